"""Several reads that share one opening of the log."""

import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import duckdb_store
from llm_playground.runlog.postgres_server import Server
from tests.runlog.actors import record

COUNT = "SELECT count(*) AS n FROM results"
RATE = "INSERT INTO ratings (id, score) VALUES ('r1', 1.0)"


@pytest.fixture
def openings(engine, monkeypatch):
    """One entry for each opening of the database."""
    seen = []
    of, name = (duckdb_store, "reading") if engine == "duckdb" else (Server, "connect")
    original = getattr(of, name)
    monkeypatch.setattr(of, name, lambda *given: seen.append(given) or original(*given))
    return seen


def test_reads_within_one_opening_open_the_database_once(log, openings):
    record(log)
    log.drain()
    openings.clear()
    with log.opened():
        record(log)  # is seen by the next opening
        assert log.frame(COUNT).n[0] == 1
        assert log.select(COUNT)[1] == [(1,)]
        with pytest.raises(RunLogError):
            log.frame("SELECT nothing FROM results")
        assert log.read(lambda session: session.rows(COUNT), which="all") == [(1,)]
        with pytest.raises(RunLogError, match="has kept the run log"):
            log.change(lambda session: session.execute(RATE), wait_s=0.01)
    assert len(openings) == 1
    assert log.frame(COUNT).n[0] == 2
    assert log.change(lambda session: session.execute(RATE)) == 1


def test_reads_within_one_opening_see_one_state_of_a_server(log, url, server):
    record(log)
    log.drain()
    database = url.partition("?")[0].rpartition("/")[2]
    with log.opened():
        assert log.frame(COUNT).n[0] == 1
        server.execute(database, "INSERT INTO results (id) VALUES ('of another program')")
        assert log.frame(COUNT).n[0] == 1
        with pytest.raises(RunLogError):
            log.read(lambda session: session.rows("DELETE FROM results"))
    assert log.frame(COUNT).n[0] == 2
