"""The process of an embedded model: a llama.cpp server on loopback. Runs as a script.

It is separate from the kernel because loading a model holds the GIL (half a second for the small
model, longer for large ones), a crash in native code would lose the notebook's variables, a forked
child could never exit, and a server that is alive at exit can hang the interpreter.

Generation stops when the reader of a stream disconnects; without streaming it runs to the end of
the answer (as of llama.cpp build 11549). Providers here stream.

The process reads one JSON line from standard input (other users can read arguments and environment,
so the key is not passed there), writes one to standard output, and serves until standard input
closes, that is, until its parent process ends.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

SLOT_TOKENS = 4096  # of prompt and answer together
# Limit of answers without max_tokens: a small model may repeat itself without end.
ANSWER_TOKENS = 1024
_SLOTS = 4


def _serve(config: dict[str, Any]) -> Any:  # noqa: ANN401 - the library has no types
    """Start a server, which runs as long as the returned object is kept."""
    sys.path[:] = config["search_path"]
    import xllamacpp  # type: ignore[import-untyped]  # no stubs

    params = xllamacpp.CommonParams()
    params.model.path = config["weights"]
    params.model_alias = {config["model"]}
    params.cpuparams.n_threads = config["threads"]
    params.cpuparams_batch.n_threads = config["threads"]
    params.n_parallel = _SLOTS
    params.n_ctx = _SLOTS * min(config["context_length"] or SLOT_TOKENS, SLOT_TOKENS)
    params.n_predict = ANSWER_TOKENS
    params.cache_ram_mib = 0  # the default keeps up to 8 GB of finished prompts
    params.verbosity = 1  # errors only; the parent shows them when the start fails
    params.offline = True
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free port
    params.api_keys = [config["api_key"]]
    params.cors_origins = "http://127.0.0.1.invalid"  # matches no page; the default allows all
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.ui_mcp_proxy = False
    params.endpoint_slots = True  # shows whether the server is generating; needs the key
    params.endpoint_props = False
    params.endpoint_metrics = False
    return xllamacpp.Server(params)


def main() -> None:
    """Serve as configured by the line on standard input."""
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # keeps output of libraries apart from the result
    config = json.loads(sys.stdin.readline())
    try:
        server = _serve(config)
        result = {"address": server.listening_address}
    except RuntimeError as error:
        result = {"error": str(error)}
    print(json.dumps(result), file=output, flush=True)
    sys.stdin.read()
    os._exit(0)  # without waiting for requests in flight and destructors


if __name__ == "__main__":
    main()
