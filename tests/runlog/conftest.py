import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_playground.runlog import open_log

ACTORS = Path(__file__).with_name("actors.py")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "log" / "runs.duckdb"


@pytest.fixture
def log(path):
    log = open_log(str(path))
    yield log
    log.close()


@pytest.fixture
def actor(path):
    """Starts processes on the log; whatever still lives at the end is ended."""
    started = []

    def start(role, *arguments, before=()):
        process = subprocess.Popen(
            [*before, sys.executable, str(ACTORS), role, str(path), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=20)


@pytest.fixture
def journals(path):
    """The journals' files as they are now."""
    folder = path.with_name(path.name + ".journal")
    return lambda: sorted(folder.glob("*.jsonl"))


@pytest.fixture
def until():
    def wait(condition, timeout_s=20.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    return wait
