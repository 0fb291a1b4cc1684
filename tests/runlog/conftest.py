import inspect
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llm_playground.runlog import open_log
from tests.postgres import Server

ACTORS = Path(__file__).with_name("actors.py")
ROOT = Path(__file__).parents[2]
PLACES = {"duckdb": {"path", "landed"}, "postgres": {"url"}}


def pytest_generate_tests(metafunc):
    """What is promised of a log is promised of both engines; a test of one names its place."""
    if "engine" in metafunc.fixturenames:
        named = inspect.signature(metafunc.function).parameters.keys()
        own = [engine for engine, places in PLACES.items() if named & places]
        metafunc.parametrize("engine", own or list(PLACES))


@pytest.fixture(scope="session")
def server():
    server = Server()
    yield server
    server.close()


@pytest.fixture(scope="session")
def template(server):
    """A database with the tables, to be copied."""
    name = server.new_database()
    log = open_log(server.url(name))
    log.migrate()
    return name


@pytest.fixture
def path(tmp_path):
    """The file of a log on DuckDB."""
    return tmp_path / "log" / "runs.duckdb"


@pytest.fixture
def url(server, template, tmp_path, monkeypatch):
    """A log on PostgreSQL with its tables."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "home"))
    name = server.new_database(template)
    yield server.url(name)
    server.drop(name)


@pytest.fixture
def place(engine, request):
    """Where an empty log of this engine is."""
    return str(request.getfixturevalue({"duckdb": "path", "postgres": "url"}[engine]))


@pytest.fixture
def log(place):
    log = open_log(place)
    yield log
    log.close()


@pytest.fixture
def actor(place):
    """Starts processes on the log; whatever still lives at the end is ended."""
    started = []

    def start(role, *arguments, before=()):
        process = subprocess.Popen(
            [*before, sys.executable, str(ACTORS), role, place, *map(str, arguments)],
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
        process.communicate(timeout=300)


@pytest.fixture
def journals(place):
    """The journals' files as they are now."""
    folder = open_log(place).journals
    return lambda: sorted(folder.glob("*.jsonl"))


@pytest.fixture
def until():
    def wait(condition, timeout_s=60.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "waited in vain"
            time.sleep(0.02)

    return wait
