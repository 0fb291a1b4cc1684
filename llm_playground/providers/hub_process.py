"""The process that fetches from Hugging Face. Runs as a script.

One JSON line comes in on standard input; progress, and last the answer, go out on standard output.
It ends when standard input closes, which the end of the parent process does, however it ends.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

_TICK_S = 0.2


def _answer(order: dict[str, Any], told: Any) -> dict[str, str]:  # noqa: ANN401 - see main
    """The path of the file, or why there is none."""
    try:
        from llm_playground.providers.hub_download import fetch
    except (ImportError, AttributeError) as error:
        line = "The installed huggingface_hub is too old: pip install -U huggingface_hub"
        return {"error": line, "detail": repr(error)}
    return fetch(order["repo"], order["file"], order["token"], told)


def main() -> None:
    """Obey the one order on standard input."""
    door = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints must not look like the answer
    order = json.loads(sys.stdin.readline())
    sys.path[:] = order["search_path"]
    from llm_playground.providers.hub_files import Progress  # found on that path only

    progress, ended = Progress(f"Looking for {order['repo']}"), threading.Event()

    def tell() -> None:
        while not ended.wait(_TICK_S):
            print(json.dumps(progress.line()), file=door, flush=True)

    def end_with_parent() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    telling = threading.Thread(target=tell, daemon=True)
    telling.start()
    answer = _answer(order, progress)
    ended.set()
    telling.join()
    print(json.dumps(answer), file=door, flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
