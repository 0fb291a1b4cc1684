"""Another session of the server locks tables: one line says which, and nothing hangs."""

import threading
import time
from contextlib import contextmanager

import pandas
import psycopg
import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log, postgres_admin, postgres_ingest, postgres_values
from tests.runlog.actors import record

LIMIT_S = 20.0
WAIT_MS = 500
BRIEF = f"= {WAIT_MS}"
# The first statements of transactions, with the wait for locks.
SETTINGS = {postgres_ingest: "_WRITING", postgres_values: "READING"}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch):
    """Locks are waited for briefly: the tests hold them until the wait is over."""
    monkeypatch.setattr(postgres_admin, "CHANGE_LOCK_WAIT_MS", WAIT_MS)
    for module, name in SETTINGS.items():
        settings = getattr(module, name)
        shorter = settings.replace(f"= {postgres_admin.LOCK_WAIT_MS}".encode(), BRIEF.encode())
        assert shorter != settings
        monkeypatch.setattr(module, name, shorter)
    monkeypatch.setattr(postgres_admin, "_LOCK", postgres_admin._LOCK.replace("= '10s'", BRIEF))
    monkeypatch.setattr(postgres_admin, "LOCK_WAIT_MS", WAIT_MS)


@contextmanager
def locked(url, statement):
    """Another program that holds a lock; its pid."""
    with psycopg.connect(url, application_name="a dashboard") as connection:
        connection.execute(statement)
        yield connection.info.backend_pid
        connection.rollback()


ACTIONS = {
    "frame": lambda log: log.frame("SELECT count(*) FROM runs"),
    "read": lambda log: log.read(lambda session: session.rows("SELECT count(*) FROM results")),
    "change": lambda log: log.change(lambda session: session.execute("DELETE FROM results")),
    "engine": lambda log: pandas.read_sql("SELECT count(*) FROM results", log.engine()),
}


@pytest.mark.parametrize("action", ACTIONS)
def test_table_that_is_locked_for_all_is_named(url, action):
    log = open_log(url)
    record(log)
    log.drain()
    began = time.monotonic()
    with (
        locked(url, "LOCK TABLE results IN ACCESS EXCLUSIVE MODE") as pid,
        pytest.raises(RunLogError) as error,
    ):
        ACTIONS[action](log)
    message = str(error.value)
    assert time.monotonic() - began < LIMIT_S
    assert "\n" not in message
    if action != "engine":  # SQLAlchemy's own error
        assert f"table results is locked by a dashboard (pid {pid}, user owner)" in message
    assert len(log.frame("SELECT * FROM runs")) == 1


@pytest.mark.parametrize(
    ("table", "mode"),
    [("results", "SHARE"), ("results", "SHARE ROW EXCLUSIVE"), ("executions", "EXCLUSIVE")],
)
def test_table_that_is_locked_against_writing_is_read_with_one_warning(url, table, mode, caplog):
    log = open_log(url)
    record(log, text="old")
    log.drain()
    with locked(url, f"LOCK TABLE {table} IN {mode} MODE") as pid:
        record(log, text="new")
        assert list(log.frame("SELECT response_text FROM runs").response_text) == ["old"]
        assert log.waiting() == 1
    [warning] = [line for line in caplog.messages if "is locked by" in line]
    assert f"table {table} is locked by a dashboard (pid {pid}, user owner)" in warning
    assert sorted(log.frame("SELECT response_text FROM runs").response_text) == ["new", "old"]


def test_row_and_advisory_locks_of_a_change_end_in_one_line(url):
    log = open_log(url)
    run = record(log)
    log.drain()
    for statement in (
        f"SELECT FROM results WHERE id = '{run.id}' FOR UPDATE",
        "SELECT pg_advisory_xact_lock(hashtextextended('mine', 0))",
    ):

        def change(session):
            session.lock("mine")
            session.execute("UPDATE results SET model = 'x'")

        with locked(url, statement), pytest.raises(RunLogError, match="locked by a dashboard"):
            log.change(change)
        with locked(url, statement), pytest.raises(RunLogError, match="locked by a dashboard"):
            log.change(change, wait_s=1)


def test_runs_are_recorded_without_delay_while_tables_are_locked(url, monkeypatch):
    monkeypatch.setattr(postgres_admin, "CHANGE_LOCK_WAIT_MS", 60_000)
    log = open_log(url)
    log.drain()
    with locked(url, "LOCK TABLE results, executions, prompts IN ACCESS EXCLUSIVE MODE"):
        reader = threading.Thread(target=lambda: log.check())
        reader.start()
        began = time.monotonic()
        for _ in range(20):
            record(log)
        assert time.monotonic() - began < LIMIT_S
    reader.join(LIMIT_S)
    assert len(log.frame("SELECT * FROM runs")) == 20


def test_migration_that_waits_for_a_lock_is_given_up(url):
    log = open_log(url)
    with (
        locked(url, "SELECT pg_advisory_xact_lock(7305808869231650884)"),
        pytest.raises(RunLogError, match="it is locked by a dashboard"),
    ):
        log.migrate()
