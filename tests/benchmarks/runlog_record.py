"""What recording costs while the database is busy: ``python tests/benchmarks/runlog_record.py``.

Prints p50 and p99 of ``finished`` with a quiet log and while drains run without pause, and their
ratio; and the drain's own time against opening the database for each run, which it replaces.
"""

import statistics
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import duckdb

from llm_playground.runlog import open_log
from tests.runlog.actors import begin, completed

RUNS = 2_000
TEXT = "A sentence of an answer that somebody has asked for. " * 20


def finish_times_ms(log):
    times = []
    for number in range(RUNS):
        run = begin(log)
        log.text(run.id, TEXT)
        ended = completed(run, text=TEXT)
        start = time.perf_counter()
        log.finished(ended)
        times.append((time.perf_counter() - start) * 1000)
        log.execution_finished(run.execution_id, "completed", datetime.now(UTC))
        if number % 10 == 0:
            time.sleep(0.001)  # as calls do, between one answer and the next
    return times


def percentiles(times):
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def under_drain(log):
    ended = threading.Event()
    durations = []

    def drain():
        while not ended.is_set():
            start = time.perf_counter()
            log.drain()
            durations.append((time.perf_counter() - start) * 1000)

    thread = threading.Thread(target=drain)
    thread.start()
    times = finish_times_ms(log)
    ended.set()
    thread.join(60)
    return times, durations


def open_insert_close_ms(folder):
    path = str(folder / "plain.duckdb")
    with duckdb.connect(path) as connection:
        connection.execute("CREATE TABLE results (id VARCHAR PRIMARY KEY, text VARCHAR)")
    times = []
    for number in range(20):
        start = time.perf_counter()
        with duckdb.connect(path) as connection:
            connection.execute("INSERT INTO results VALUES (?, ?)", [str(number), TEXT])
        times.append((time.perf_counter() - start) * 1000)
    return statistics.median(times)


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        calm = open_log(str(folder / "quiet.duckdb"))
        quiet = percentiles(finish_times_ms(calm))
        log = open_log(str(folder / "busy.duckdb"))
        times, drains = under_drain(log)
        busy = percentiles(times)
        stored = log.frame("SELECT count(*) AS n FROM runs").n[0]
        direct = open_insert_close_ms(folder)
        calm.close()
        log.close()
    print(f"finished, quiet log:      p50 {quiet[0]:.3f} ms   p99 {quiet[1]:.3f} ms")
    print(f"finished, drains running: p50 {busy[0]:.3f} ms   p99 {busy[1]:.3f} ms")
    print(
        f"ratio busy / quiet:       p50 {busy[0] / quiet[0]:.1f}      p99 {busy[1] / quiet[1]:.1f}"
    )
    print(f"drain: {len(drains)} times, median {statistics.median(drains):.0f} ms; {stored} rows")
    print(
        f"opening the database for each run instead: {direct:.0f} ms, {direct / busy[0]:.0f} x p50"
    )


if __name__ == "__main__":
    main()
