"""Two kernels and a dashboard on one log: ``python tests/runlog/load.py [SECONDS [LIMIT [URL]]]``.

The kernels record without pause and look at their runs now and then; the dashboard reads in a loop.
Prints how many reads there were, the longest wait, and every error that reached somebody. Fails
on an error, a lost run, or a wait longer than LIMIT, in ms.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from llm_playground.runlog import open_log
from tests.runlog.actors import record

DASHBOARD = (
    "SELECT count(*) AS n FROM runs",
    "SELECT model, status, count(*) AS n, avg(response_time_ms) AS ms FROM runs GROUP BY 1, 2",
    "SELECT * FROM runs ORDER BY started_at DESC LIMIT 50",
)


def kernel(place, until):
    """Runs at 20 a second, as a person's loop has them, and a look at the log each second."""
    log = open_log(place)
    looked = 0.0
    count = 0
    while time.time() < until:
        record(log, text="A sentence of an answer. " * 20)
        count += 1
        time.sleep(0.05)
        if time.monotonic() - looked > 1:
            looked = time.monotonic()
            log.frame("SELECT * FROM runs ORDER BY started_at DESC LIMIT 5")
    print(count, flush=True)


def dashboard(place, until):
    log = open_log(place)
    waits_ms = []
    while not waits_ms or time.time() < until:
        for sql in DASHBOARD:
            start = time.perf_counter()
            log.frame(sql)
            waits_ms.append((time.perf_counter() - start) * 1000)
        time.sleep(0.2)
    return waits_ms


def main(seconds="600", limit_ms="2000", place=None):
    with tempfile.TemporaryDirectory() as folder:
        place = place or f"{folder}/log/runs.duckdb"
        open_log(place).frame("SELECT 1")  # loaded and made, as on any day but the first
        until = time.time() + float(seconds)
        command = [sys.executable, __file__, "kernel", place, str(until)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        kernels = [subprocess.Popen(command, **pipes) for _ in range(2)]
        waits_ms = dashboard(place, until)
        said = [process.communicate(timeout=300) for process in kernels]
        complaints = [line for _, err in said for line in err.splitlines()]
        stored = int(open_log(place).frame("SELECT count(*) AS n FROM runs").n[0])
    recorded = sum(int(out or 0) for out, _ in said)
    print(f"{recorded} runs, {stored} in the log; {len(waits_ms)} reads of the dashboard")
    print(f"longest wait {max(waits_ms):.0f} ms, median {sorted(waits_ms)[len(waits_ms) // 2]:.0f}")
    print("\n".join(complaints) or "no error reached anybody")
    return 0 if not complaints and stored == recorded and max(waits_ms) < float(limit_ms) else 1


if __name__ == "__main__":
    if sys.argv[1:2] == ["kernel"]:
        kernel(sys.argv[2], float(sys.argv[3]))
    else:
        sys.exit(main(*sys.argv[1:]))
