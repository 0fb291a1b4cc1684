"""A scripted endpoint: an output token costs a tenth of a cent, an input token nothing."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

import llm_playground as lp
from tests.budgeting import client
from tests.providers.server import WireServer
from tests.runlog.conftest import ACTORS, server, template  # noqa: F401 - fixtures

ROOT = Path(__file__).parents[2]
ENGINES = ("duckdb", "postgres")


@pytest.fixture(params=ENGINES)
def log_url(request, home):
    """The URL of an empty log on each engine."""
    if request.param == "duckdb":
        return str(home / "runs.duckdb")
    database = request.getfixturevalue("server").new_database(request.getfixturevalue("template"))
    return request.getfixturevalue("server").url(database)


@pytest.fixture
def serve(home, monkeypatch):
    """Starts the scripted endpoint, with prices and a log of its own."""
    servers = []

    def start(script, log=None):
        opened = WireServer(script).__enter__()
        servers.append(opened)
        monkeypatch.setenv("OPENAI_API_KEY", client.KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{opened.url}/v1")
        if log is not None:
            monkeypatch.setenv("LLM_PLAYGROUND_LOG", log)
        lp.configure(prices=client.PRICES)
        return opened

    yield start
    for opened in servers:
        opened.__exit__(None, None, None)


@pytest.fixture
def clients():
    """Starts processes that make calls, and kills those that are left."""
    started = []

    def start(role, *arguments, clock_s=0):
        wrong = ["tests.budgeting.wrong_clock", str(clock_s)]
        module = wrong if clock_s else ["tests.budgeting.client"]
        process = subprocess.Popen(
            [sys.executable, "-m", *module, role, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=300)


@contextmanager
def kept_log(place):
    """Another process keeps its turn at the log, as for a long query."""
    keeper = subprocess.Popen(
        [sys.executable, str(ACTORS), "keep", str(place)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert keeper.stdout.readline() == b"kept\n"
        yield
    finally:
        keeper.communicate(timeout=300)


@pytest.fixture
def until():
    def wait(condition, timeout_s=60.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "timed out"
            time.sleep(0.02)

    return wait
