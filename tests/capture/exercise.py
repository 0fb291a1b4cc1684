"""What becomes of each call of a library: without a recording, with one, under a budget, replayed.

``python -m tests.capture.exercise LIBRARY ...`` prints it as JSON on its last line, by the library
and the name of the call. It is a process of its own: the libraries leave connections open and warn,
which are errors in the tests' process.
"""

import json
import os
import sys
import tempfile

import llm_playground as lp
from llm_playground.recording import numbers
from tests.capture.callers import LIBRARIES, Loop
from tests.capture.wire import answer
from tests.providers.server import WireServer

COLUMNS = (
    *("model", "status", "source", "response_text", "cost_usd", "saved_usd", "cached"),
    *("input_tokens", "output_tokens"),
)


def exercise(library: str) -> dict:
    """What becomes of each call of a library, by its name."""
    loop = Loop()
    with WireServer(answer) as server:
        calls = LIBRARIES[library](server.url, loop)
        found = {name: _one(call, server) for name, call in calls.items()}
        loop.close()
    return found


def _one(call, server) -> dict:
    call()  # a first call may do more, such as look for a version
    plain = _sent(call, server)
    with lp.record():
        recorded = _sent(call, server)
    row = _newest()
    lp.set_budget("0.000001", period="total")
    with lp.record():
        blocked = _sent(call, server)
    lp.set_budget(None, period="total")
    refused = _newest()
    numbers.reset()
    lp.configure(mode="replay")
    with lp.record():
        replayed = _sent(call, server)
    lp.configure(mode="live")
    return {
        "plain": plain,
        "recorded": recorded,
        "row": row,
        "blocked": blocked,
        "refused": refused,
        "replayed": replayed,
        "replayed row": _newest(),
    }


def _sent(call, server) -> dict:
    """The answer or the error of a call, and the bytes that reached the server."""
    before = len(server.requests)
    try:
        text, error = call(), None
    except Exception as raised:
        text, error = None, f"{type(raised).__name__}: {raised}"
    wire = [
        [one.method, one.path, list(one.headers.items()), one.body.decode()]
        for one in server.requests[before:]
    ]
    return {"text": text, "error": error, "wire": wire}


def _newest() -> dict:
    """The newest run of the log: what is known of it, in plain values."""
    row = lp.sql("SELECT * FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 1").iloc[0]
    known = {name: value for name, value in row.dropna().items() if name in COLUMNS}
    plain = {name: one if isinstance(one, str) else float(one) for name, one in known.items()}
    return {**plain, "tags": json.loads(row["tags"])}


if __name__ == "__main__":
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    os.environ["LLM_PLAYGROUND_HOME"] = tempfile.mkdtemp(prefix="llm-playground-capture-")
    print(json.dumps({library: exercise(library) for library in sys.argv[1:]}))
