"""The users' door to the file reads, and does nothing else."""

from decimal import Decimal

import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log
from tests.runlog.actors import record
from tests.runlog.holding import held


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A log with one run, for all questions here: none of them may change it."""
    log = open_log(str(tmp_path_factory.mktemp("log") / "runs.duckdb"))
    record(log)
    log.drain()
    yield log
    log.close()


WRITING = [
    "INSERT INTO results (model) VALUES ('x')",
    "UPDATE results SET model = 'x'",
    "DELETE FROM results",
    "DROP TABLE results",
    "CREATE TABLE mine (x INTEGER)",
    "CREATE TEMP TABLE mine (x INTEGER)",
    "ALTER TABLE results ADD COLUMN x INTEGER",
    "COPY results TO '{folder}/stolen.csv'",
    "COPY (SELECT 1) TO '{folder}/stolen.csv'",
    "EXPORT DATABASE '{folder}/stolen'",
    "ATTACH '{folder}/other.duckdb'",
    "ATTACH ':memory:' AS other",
    "PRAGMA database_size",
    "PRAGMA enable_profiling",
    "SET threads = 1",
    "SET enable_external_access = true",
    "RESET lock_configuration",
    "INSTALL httpfs",
    "LOAD httpfs",
    "CHECKPOINT",
    "VACUUM",
    "USE main",
    "BEGIN",
    "SELECT 1; DROP TABLE results",
    "SELECT * FROM read_text('{folder}/secret.txt')",
    "SELECT * FROM '{folder}/secret.csv'",
    "SELECT * FROM read_csv('{folder}/secret.csv')",
    "SELECT * FROM glob('{folder}/*')",
    "SELECT * FROM local_variable",
    "SELECT * FROM no_such_table",
    "SELEC 1",
    "",
    "-- nothing",
    "SELECT ?",
]


@pytest.mark.parametrize("sql", WRITING)
def test_what_is_not_a_question_to_the_log_is_refused_in_one_line(filled, tmp_path, sql):
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.csv").write_text("a,b\n1,2\n")
    there = sorted(tmp_path.iterdir())
    local_variable = filled.frame("SELECT * FROM runs")
    with pytest.raises(RunLogError) as error:
        filled.frame(sql.format(folder=tmp_path))
    assert "\n" not in str(error.value)
    assert sorted(tmp_path.iterdir()) == there
    assert filled.frame("SELECT * FROM runs").equals(local_variable)


@pytest.mark.parametrize(
    "sql",
    [
        "FROM runs",
        "WITH a AS (SELECT * FROM runs) SELECT count(*) FROM a",
        "DESCRIBE runs",
        "SHOW TABLES",
        "SUMMARIZE runs",
        "EXPLAIN SELECT * FROM runs",
        "SELECT date_trunc('month', started_at) AS month, count(*) FROM runs GROUP BY ALL",
        "SELECT list(started_at) AS times, uuid() AS id, 1 AS a, 2 AS a FROM runs",
    ],
)
def test_questions_of_any_form_are_answered(filled, sql):
    assert len(filled.frame(sql)) >= 1


def test_values_are_bound_in_order_or_by_name(log):
    record(log, text="O'Hara; DROP TABLE results")
    in_order = log.frame(
        "SELECT * FROM runs WHERE response_text = ?", ["O'Hara; DROP TABLE results"]
    )
    by_name = log.frame("SELECT * FROM runs WHERE model = $model", {"model": "local:tiny"})
    assert (len(in_order), len(by_name)) == (1, 1)


def test_months_are_utc_wherever_the_kernel_stands(log, monkeypatch):
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    record(log)
    zone = log.frame("SELECT current_setting('TimeZone') AS zone").zone[0]
    assert zone == "UTC"


COUNT = "SELECT count(*) FROM results"


def count(session):
    return session.rows(COUNT)[0][0]


def test_a_look_sees_what_was_recorded_in_values_of_python(log):
    run = record(log)
    sql = "SELECT cost_usd, started_at FROM runs WHERE run_id = $id"

    found = log.read(lambda session: session.rows(sql, {"id": run.id}))

    assert found == [(Decimal("0.000001500000"), run.started_at)]


def test_a_look_changes_nothing(log):
    with pytest.raises(RunLogError) as error:
        log.read(lambda session: session.rows("DELETE FROM ratings RETURNING id"))
    assert "\n" not in str(error.value)


def test_a_look_works_beside_another_program_that_reads(log, path):
    record(log)
    log.drain()

    with held(path):
        assert log.read(count) == 1
        record(log)
        with pytest.raises(RunLogError, match="another program"):
            log.read(count)
        assert log.read(count, may_lag=True) == 1

    assert log.read(count) == 2
