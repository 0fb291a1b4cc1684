"""The embedded model's own process: llama.cpp behind a door on loopback. Runs as a script.

Why a process beside the kernel: loading a model inside it holds Python's lock until it is loaded
(half a second for the small model, longer for a large one), a crash in native code would take the
notebook's variables along, a forked child could never exit, and a server alive at the end of the
interpreter can hang it.

An answer that is streamed ends when its reader leaves; one that is not is worked out to its end,
whether its caller is there or not (seen with llama.cpp's build 11549). Providers here stream.

One JSON line comes in on standard input (the key never stands in arguments or environment, which
other users can read), one goes out on standard output; then it serves until standard input is
closed, which the end of the parent process does, however it ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

SLOT_TOKENS = 4096  # the longest prompt and answer together
# The longest answer where nobody says: a small model that repeats itself never ends by itself.
ANSWER_TOKENS = 1024
_SLOTS = 4


def _serve(order: dict[str, Any]) -> Any:  # noqa: ANN401 - the library has no types
    """Start the server that ``order`` describes; keep what is returned to keep it running."""
    sys.path[:] = order["search_path"]
    import xllamacpp  # type: ignore[import-untyped]  # it has no stubs

    params = xllamacpp.CommonParams()
    params.model.path = order["weights"]
    params.model_alias = {order["model"]}
    params.cpuparams.n_threads = order["threads"]
    params.cpuparams_batch.n_threads = order["threads"]
    params.n_parallel = _SLOTS
    params.n_ctx = _SLOTS * min(order["context_length"] or SLOT_TOKENS, SLOT_TOKENS)
    params.n_predict = ANSWER_TOKENS
    params.cache_ram_mib = 0  # else up to 8 GB of finished prompts are kept
    params.verbosity = 1  # errors only; the parent shows them when the start fails
    params.offline = True
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.api_keys = [order["api_key"]]
    params.cors_origins = "http://127.0.0.1.invalid"  # no page's origin; the default is every one
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.ui_mcp_proxy = False
    params.endpoint_slots = True  # tells, for the key, whether any answer is under way
    params.endpoint_props = False
    params.endpoint_metrics = False
    return xllamacpp.Server(params)


def main() -> None:
    """Obey the one order on standard input."""
    door = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like the answer
    order = json.loads(sys.stdin.readline())
    try:
        server = _serve(order)
        answer = {"address": server.listening_address}
    except RuntimeError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), file=door, flush=True)
    sys.stdin.read()
    os._exit(0)  # at once: no request in flight and no destructor is waited for


if __name__ == "__main__":
    main()
