"""Changes to the log: one transaction, on everything recorded until now, alone."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_playground.errors import RunLogError
from tests.runlog.actors import record

RATE = "INSERT INTO ratings (id, result_id, score) VALUES ($id, $result_id, $score)"


def rate(session, run, score, id="r1"):  # noqa: A002 - the column's name
    return session.execute(RATE, {"id": id, "result_id": run.id, "score": score})


def test_a_change_sees_what_was_recorded_and_gives_back_what_it_found(log):
    run = record(log)
    found = log.change(
        lambda session: session.rows(
            "SELECT model, cost_usd, started_at, iteration_number FROM runs WHERE run_id = $id",
            {"id": run.id},
        )
    )
    assert found == [("local:tiny", Decimal("0.000001500000"), run.started_at, 1)]
    assert found[0][2].tzinfo is not None
    assert isinstance(found[0][1], Decimal)


def test_a_change_counts_its_rows_and_is_kept(log):
    run = record(log)
    changed = log.change(lambda session: [rate(session, run, 2.0), rate(session, run, 4.0, "r2")])
    assert changed == [1, 1]
    removed = "DELETE FROM ratings WHERE result_id = $id"
    assert log.frame("SELECT rating FROM runs").rating[0] == 3.0
    assert log.change(lambda session: session.execute(removed, {"id": run.id})) == 2


def test_a_change_gives_back_what_it_returned(log):
    at = datetime(2026, 3, 1, 12, 30, 0, 250, tzinfo=UTC)
    sql = "INSERT INTO ratings (id, created_at) VALUES ($id, $at) RETURNING id, created_at"
    assert log.change(lambda s: s.rows(sql, {"id": "r1", "at": at})) == [("r1", at)]


def test_a_change_that_raises_leaves_nothing_behind_but_what_was_recorded(log, journals):
    run = record(log)

    def broken(session):
        rate(session, run, 1.0)
        raise LookupError("enough")

    with pytest.raises(LookupError, match="enough"):
        log.change(broken)
    assert journals() == []
    assert log.frame("SELECT count(*) AS n FROM ratings").n[0] == 0
    assert log.frame("SELECT count(*) AS n FROM runs").n[0] == 1


def test_a_refused_statement_undoes_the_whole_change_in_one_line(log):
    run = record(log)

    def broken(session):
        rate(session, run, 1.0)
        session.execute("INSERT INTO no_such_table VALUES (1)")

    with pytest.raises(RunLogError, match="no_such_table") as error:
        log.change(broken)
    assert "\n" not in str(error.value)
    assert log.frame("SELECT count(*) AS n FROM ratings").n[0] == 0


def test_the_log_says_which_engine_it_has(log, path):
    assert log.dialect == "duckdb"
    assert log.path == path
