"""From the start of a kernel to the first streamed token of the embedded model.

    python tests/benchmarks/first_token.py

The weights must be there already; the log is a new one.
"""

import os
import statistics
import tempfile
import time

from llm_playground.providers.local import weights
from tests.kernel import kernel

ROUNDS = 5
CELL = "%load_ext llm_playground\n%llm Say hello."


def seconds():
    """Until the first state of the output that shows text, and what an empty kernel takes."""
    started = time.perf_counter()
    with kernel({"LLM_PLAYGROUND_HOME": tempfile.mkdtemp()}) as notebook:
        ready = time.perf_counter()
        cell = notebook.start(CELL)
        while True:
            message = notebook.client.get_iopub_msg(timeout=60)
            html = message["content"].get("data", {}).get("text/html", "")
            if message["parent_header"].get("msg_id") == cell and "streaming" in html:
                return time.perf_counter() - started, ready - started


def main():
    os.environ.setdefault("LLM_PLAYGROUND_LOCAL_MODEL", str(weights.find()))
    rounds = [seconds() for _ in range(ROUNDS)]
    first, ready = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"first token {first:.2f} s after the kernel's start, an empty kernel {ready:.2f} s")


if __name__ == "__main__":
    main()
