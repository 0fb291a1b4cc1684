"""``lp.engine()``: the run log for pandas and other tools, read-only, on both databases."""

import threading

import pandas
import pytest
import sqlalchemy

import llm_playground as lp
from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log
from tests.postgres import PASSWORD
from tests.runlog.actors import record

RUNS = "SELECT model, cost_usd FROM runs"


@pytest.fixture
def engine_of(place, monkeypatch):
    """The engine of ``lp.engine()``, by name: the fixture ``engine`` is the kind of database."""
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", place)
    return lp.engine


def test_pandas_reads_runs(log, engine_of):
    record(log)
    frame = pandas.read_sql(RUNS, engine_of())
    assert frame.to_dict("list") == {"model": ["local:tiny"], "cost_usd": [0.0000015]}


def test_each_connection_sees_what_was_recorded_before(log, engine_of):
    engine = engine_of()
    assert pandas.read_sql(RUNS, engine).columns.tolist() == ["model", "cost_usd"]
    record(log)
    assert len(pandas.read_sql(RUNS, engine)) == 1


def test_parameters_are_bound(log, engine_of):
    run = record(log)
    record(log)
    query = sqlalchemy.text("SELECT run_id FROM runs WHERE run_id = :run AND model LIKE 'local%'")
    assert pandas.read_sql(query, engine_of(), params={"run": run.id}).run_id.tolist() == [run.id]


def test_columns_of_sqlalchemy_can_be_selected(log, engine_of):
    record(log)
    runs = sqlalchemy.table("runs", sqlalchemy.column("model"), sqlalchemy.column("status"))
    with engine_of().connect() as connection:
        found = connection.execute(
            sqlalchemy.select(runs.c.model, sqlalchemy.func.count())
            .where(runs.c.status.in_(["completed", "failed"]))
            .group_by(runs.c.model)
            .limit(1)
        )
        assert found.all() == [("local:tiny", 1)]


def test_tables_and_views_are_listed(log, engine_of):
    log.migrate()
    names = sqlalchemy.inspect(engine_of())
    assert {"results", "prompts"} <= set(names.get_table_names())
    assert "runs" in names.get_view_names()
    assert names.has_table("runs")
    assert not names.has_table("nothing")


@pytest.mark.parametrize("options", [{}, {"isolation_level": "AUTOCOMMIT"}], ids=["begin", "auto"])
@pytest.mark.parametrize(
    "sql", ["INSERT INTO prompts (id) VALUES ('x')", "DELETE FROM results", "DROP VIEW runs"]
)
def test_a_write_is_refused_in_one_line(log, engine_of, sql, options):
    record(log)
    connection = engine_of().connect().execution_options(**options)
    with connection, pytest.raises(RunLogError) as error:
        connection.execute(sqlalchemy.text(sql))
    assert "\n" not in str(error.value)
    assert len(log.frame("SELECT * FROM runs")) == 1


def test_an_open_connection_does_not_stop_the_log(log, engine_of):
    with engine_of().connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
        record(log)
        assert len(log.frame("SELECT * FROM runs")) == 1


def test_threads_share_an_engine(log, engine_of):
    record(log)
    engine, found = engine_of(), []
    threads = [
        threading.Thread(target=lambda: found.append(len(pandas.read_sql(RUNS, engine))))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [1] * 4


def test_the_password_is_nowhere(url, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url.replace("/log", "/nolog"))
    engine = lp.engine()
    with pytest.raises(RunLogError) as error:
        engine.connect()
    for text in (repr(engine), str(engine.url), str(error.value), str(error.value.detail)):
        assert PASSWORD not in text
    assert open_log(url).engine().dialect.name == "postgresql"


def test_the_name_stays_a_function_after_the_package_engine_is_imported():
    import llm_playground.execution  # noqa: F401 - sets the attribute `engine` of its parent

    assert callable(lp.engine)
