"""Reports over a large log: ``python tests/benchmarks/runlog_reports.py [ROWS] [FOLDER]``.

Makes a log of ROWS results (1,000,000) with their own executions and a quarter as many prompts, and
prints what opening it, the monthly costs, the latency and the newest 100 runs take, each with
opening and closing the file; the costs beside the same query on an open connection, and beside
SQLite; and how fast 100,000 runs in journals are brought in. Best of nine; ``cpu`` is what the
process spent, on all its cores. With FOLDER, the logs are kept there and used again.
"""

import sqlite3
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import duckdb

from llm_playground import config, reports
from llm_playground.reports import quality, run_rows, savings, spending
from llm_playground.runlog import open_log
from tests.benchmarks.many_runs import fill
from tests.runlog.actors import record

TIMES = 9
JOURNALLED = 100_000
SQLITE = """
SELECT strftime('%Y-%m', started_at / 1000, 'unixepoch') AS month, model, count(*),
    sum(input_tokens), sum(output_tokens), sum(cost_usd),
    count(*) FILTER (WHERE cost_usd IS NULL), count(*) FILTER (WHERE usage_source = 'estimated')
FROM results GROUP BY 1, 2 ORDER BY 1, 2
"""


def best(work, times=TIMES):
    """Milliseconds on the clock and of the process, each the least of several."""
    wall, cpu = [], []
    for _ in range(times):
        began, spent = time.perf_counter(), time.process_time()
        work()
        wall.append((time.perf_counter() - began) * 1000)
        cpu.append((time.process_time() - spent) * 1000)
    return min(wall), min(cpu)


def say(what, times, note=""):
    print(f"{what:52} {times[0]:8.1f} ms   cpu {times[1]:8.1f} ms   {note}", flush=True)


def costs_query():
    """The statement that ``reports.costs()`` asks, as it goes to the database."""
    seen = []
    log = open_log()
    asked = log.frame
    log.frame = lambda sql, params=(): seen.append((sql, params or None)) or asked(sql, params)
    spending.costs()
    del log.frame
    return seen[0]


def of_open_connection(path, query):
    with duckdb.connect(path, read_only=True) as connection:
        return best(lambda: connection.execute(*query).fetchnumpy())


def of_sqlite(path, folder):
    """The same figures from the same rows in SQLite, connecting and closing included."""
    target = folder / "runs.sqlite"
    with duckdb.connect(path, read_only=True) as source:
        rows = source.execute(
            "SELECT epoch_ms(started_at), model, input_tokens, output_tokens, cost_usd::DOUBLE, "
            "usage_source FROM results"
        ).fetchall()
    with sqlite3.connect(target) as connection:
        connection.execute(
            "CREATE TABLE results (started_at, model, input_tokens, output_tokens, cost_usd, "
            "usage_source)"
        )
        connection.executemany("INSERT INTO results VALUES (?, ?, ?, ?, ?, ?)", rows)

    def work():
        connection = sqlite3.connect(target)
        connection.execute(SQLITE).fetchall()
        connection.close()

    return best(work, 3)


def drained_per_s(folder):
    """Runs per second from journals into a new log."""
    log = open_log(str(folder / "drained.duckdb"))
    log.frame("SELECT 1")
    log._drainer.soon = lambda: None  # they wait until all are there
    for _ in range(JOURNALLED):
        record(log)
    began = time.perf_counter()
    log.drain()
    taken_s = time.perf_counter() - began
    stored = int(log.frame("SELECT count(*) AS n FROM results").n[0])
    log.close()
    return stored / taken_s


def run(rows, folder):
    path = str(folder / f"runs-{rows}.duckdb")
    if not Path(path).exists():
        began = time.perf_counter()
        fill(path, rows)
        print(f"{rows:,} results made in {time.perf_counter() - began:.0f} s", flush=True)
    config.configure(log=path)
    opened = best(lambda: reports.sql("SELECT 1"))
    say("opening and closing the log", opened)
    costs = best(spending.costs)
    open_already = of_open_connection(path, costs_query())
    say("lp.costs(), opening included", costs, f"{costs[0] / open_already[0]:.1f} x the next")
    say("  the same on an open DuckDB connection", open_already)
    say("  the same in SQLite", of_sqlite(path, folder))
    (folder / "runs.sqlite").unlink()
    say('lp.costs(tz="Europe/Berlin")', best(lambda: spending.costs(tz="Europe/Berlin")))
    say('lp.costs("user")', best(lambda: spending.costs("user")))
    say("lp.latency()", best(quality.latency))
    say("lp.runs(limit=100)", best(lambda: run_rows.runs(limit=100)))
    say("lp.what_if(...)", best(lambda: savings.what_if("gemini-2.5-pro")))


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        folder = Path(sys.argv[2] if len(sys.argv) > 2 else name)
        run(rows, folder)
        print(f"journals: {drained_per_s(Path(name)):,.0f} runs/s brought in, of {JOURNALLED:,}")


if __name__ == "__main__":
    main()
