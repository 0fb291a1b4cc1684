"""A short form of ``crash_rounds.py``, on both engines."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llm_playground.runlog import open_log
from tests.postgres import Server

SCRIPT = Path(__file__).with_name("crash_rounds.py")
ROUNDS, SEED = 2, 11
TIMEOUT_S = 240


@pytest.fixture(params=["duckdb", "postgres"])
def logs(request):
    """Arguments that name a log and another to restore into; the script makes those on DuckDB."""
    if request.param == "duckdb":
        yield []
        return
    server = Server()
    names = [server.new_database() for _ in range(2)]
    for name in names:
        open_log(server.url(name)).migrate()
    yield [server.url(name) for name in names]
    server.close()


def test_what_returned_is_in_the_log_or_set_aside_and_nothing_is_left_over(logs):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(ROUNDS), str(SEED), *logs],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
        env=os.environ,
    )
    assert "all as promised" in done.stdout, done.stdout + done.stderr
