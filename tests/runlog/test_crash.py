"""``kill -9`` at any moment, and load without pause: short forms of two scripts, both engines."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROUNDS = 8
LOAD_S = 3
BUSY_MS = 20_000  # on a machine that does everything at once; the script's own limit is 2 s
TIMEOUT_S = 240


def run(script, *arguments):
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=os.environ
    )


def test_what_returned_is_there_once_however_many_writers_are_killed(place):
    done = run("crash.py", ROUNDS, place)
    assert "all as promised" in done.stdout, done.stdout + done.stderr


def test_two_kernels_and_a_dashboard_see_no_error_and_lose_nothing(place):
    done = run("load.py", LOAD_S, BUSY_MS, place)
    assert "no error reached anybody" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0, done.stdout + done.stderr
