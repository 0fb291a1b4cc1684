"""What is promised of a report is promised of both engines: each test here runs on each."""

import pytest

from llm_playground.runlog import open_log
from tests.postgres import Server

ENGINES = ("duckdb", "postgres")


@pytest.fixture(scope="session")
def new_url(tmp_path_factory):
    """Makes empty logs, by engine. The server starts with the first that needs it."""
    started = {}

    def start():
        started["server"] = Server()
        started["template"] = started["server"].new_database()
        open_log(started["server"].url(started["template"])).migrate()

    def make(engine):
        if engine == "duckdb":
            return str(tmp_path_factory.mktemp("log") / "runs.duckdb")
        if not started:
            start()
        return started["server"].url(started["server"].new_database(started["template"]))

    yield make
    if started:
        started["server"].close()


@pytest.fixture(params=ENGINES)
def log(request, new_url, monkeypatch):
    """An empty log that reports read."""
    url = new_url(request.param)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log = open_log(url)
    yield log
    log.close()
