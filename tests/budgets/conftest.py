"""A shop where a token of an answer costs a tenth of a cent, and an input token nothing."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import config
from tests.budgets import shopper
from tests.runlog.conftest import server, template  # noqa: F401 - fixtures
from tests.wire.server import WireServer

ROOT = Path(__file__).parents[2]
ENGINES = ("duckdb", "postgres")


@pytest.fixture(params=ENGINES)
def place(request, home):
    """An empty log on each engine, which is the one in use."""
    if request.param == "duckdb":
        return str(home / "runs.duckdb")
    database = request.getfixturevalue("server").new_database(request.getfixturevalue("template"))
    return request.getfixturevalue("server").url(database)


@pytest.fixture
def shop(home, monkeypatch):
    """Starts the scripted endpoint, on a log of the test's own; prices are set."""
    monkeypatch.setattr(config, "_settings", config._Settings())
    servers = []

    def start(script, log=None):
        opened = WireServer(script).__enter__()
        servers.append(opened)
        monkeypatch.setenv("OPENAI_API_KEY", shopper.KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{opened.url}/v1")
        if log is not None:
            monkeypatch.setenv("LLM_PLAYGROUND_LOG", log)
        lp.configure(prices=shopper.PRICES)
        return opened

    yield start
    for opened in servers:
        opened.__exit__(None, None, None)


@pytest.fixture
def shoppers():
    """Starts processes that ask; whatever still lives at the end is ended."""
    started = []

    def start(role, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.budgets.shopper", role, *map(str, arguments)],
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
        process.communicate(timeout=20)


@pytest.fixture
def until():
    def wait(condition, timeout_s=60.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    return wait
