"""KeyboardInterrupt during a statement of the run log."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240

# With several threads, DuckDB itself misses some interrupts.
INTERRUPTED_WRITE = """
import os, signal, threading
from pathlib import Path
from llm_playground.runlog import duckdb_store as database, open_log
path = Path(os.environ["LOG"])
try:
    with database.writing(path, 1) as connection:
        connection.execute("SET threads = 1")
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        connection.execute("SELECT sum(sqrt(range * 1.0)) FROM range(100000000000)")
except KeyboardInterrupt:
    print("interrupted, then", len(open_log(str(path)).frame("SELECT 1")), "row")
"""
# Takes minutes.
ENDLESS = "SELECT sum(sqrt(range * 1.0)) FROM range(100000000000)"
ROUNDS = 4  # DuckDB alone would miss about two
INTERRUPTED_QUERIES = f"""
import os, signal, threading
from llm_playground.runlog import open_log
log = open_log(os.environ["LOG"])
for _ in range({ROUNDS}):
    log.frame("SELECT 1")
    try:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        log.frame({ENDLESS!r})
    except KeyboardInterrupt:
        print("interrupted, then", len(log.frame("SELECT 1")), "row")
"""
AT_EXIT = """
import atexit, os
from llm_playground.runlog import open_log
log = open_log(os.environ["LOG"])
atexit.register(lambda: print(len(log.frame("SELECT 1")), "row"))
"""


def run_script(code, tmp_path):
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOG": str(tmp_path / "runs.duckdb")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def test_interrupted_write(tmp_path):
    done = run_script(INTERRUPTED_WRITE, tmp_path)

    assert done.stdout == "interrupted, then 1 row\n", done.stderr


def test_interrupted_queries(tmp_path):
    done = run_script(INTERRUPTED_QUERIES, tmp_path)

    assert done.stdout == "interrupted, then 1 row\n" * ROUNDS, done.stderr


def test_log_is_readable_at_exit(tmp_path):
    done = run_script(AT_EXIT, tmp_path)

    assert done.stdout == "1 row\n", done.stderr
