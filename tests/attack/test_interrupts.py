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


def test_an_interrupted_statement_is_a_keyboard_interrupt_and_the_log_goes_on(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOG": str(tmp_path / "runs.duckdb")},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stdout == "interrupted, then 1 row\n", done.stderr
