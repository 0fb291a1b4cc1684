"""Ctrl+C while the run log works."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 60

# One thread: with several DuckDB itself misses some interrupts, with one it sees each.
INTERRUPTED = """
import os, signal, threading
from pathlib import Path
from llm_playground.runlog import database, open_log
path = Path(os.environ["LOG"])
try:
    with database.writing(path, 1) as connection:
        connection.execute("SET threads = 1")
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
        connection.execute("SELECT sum(sqrt(range * 1.0)) FROM range(100000000000)")
except KeyboardInterrupt:
    print("interrupted, then", len(open_log(str(path)).frame("SELECT 1")), "row")
"""
# Would take minutes; it stands for any statement in which a person loses patience.
ENDLESS = "SELECT sum(sqrt(range * 1.0)) FROM range(100000000000)"
ROUNDS = 4  # DuckDB alone would miss about two
IMPATIENT = f"""
import os, signal, threading
from llm_playground.runlog import open_log
log = open_log(os.environ["LOG"])
for _ in range({ROUNDS}):
    log.frame("SELECT 1")
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    try:
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


def test_an_interrupted_statement_is_a_keyboard_interrupt_and_the_log_goes_on(tmp_path):
    done = run_script(INTERRUPTED, tmp_path)

    assert done.stdout == "interrupted, then 1 row\n", done.stderr


def test_every_interrupt_of_a_query_is_heard(tmp_path):
    done = run_script(IMPATIENT, tmp_path)

    assert done.stdout == "interrupted, then 1 row\n" * ROUNDS, done.stderr


def test_a_script_can_read_the_log_at_its_very_end(tmp_path):
    done = run_script(AT_EXIT, tmp_path)

    assert done.stdout == "1 row\n", done.stderr
