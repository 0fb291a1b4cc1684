"""Rows that the database refuses: all others are written, these wait in a file."""

import json
import os
import secrets
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest

from llm_playground import doctor
from llm_playground.runlog import journal, open_log, postgres_admin
from tests.runlog.actors import record

TIMEOUT_S = 240
ROOT = Path(__file__).parents[2]


def database_of(url):
    return url.partition("?")[0].rpartition("/")[2]


def result(run_id, **columns):
    started_at = datetime.now(UTC).isoformat()
    known = {"id": run_id, "model": "local:tiny", "status": "completed", "started_at": started_at}
    return {"kind": "finished", "result": known | {"response_text": run_id} | columns}


def abandon(log, *lines):
    """Write the journal of a process that has ended."""
    log.journals.mkdir(parents=True, exist_ok=True)
    path = log.journals / f"{journal.identity()}~{secrets.token_hex(6)}{journal.SUFFIX}"
    encoded = (line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines)
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


def ids(log):
    return sorted(log.frame("SELECT id FROM results").id)


def around(line):
    return [result("before"), line, result("after")]


VALUES = {
    "cost above the column's range": {"cost_usd": "12345678"},
    "cost in words": {"cost_usd": "a lot"},
    "saved amount above the range": {"saved_usd": 1e30},
    "infinite cost": {"cost_usd": "Infinity"},
    "time in words": {"started_at": "yesterday evening"},
    "month 13": {"started_at": "2026-13-01T00:00:00Z"},
    "count above 64 bits": {"input_tokens": 10**20},
    "count in words": {"output_tokens": "many"},
    "flag in words": {"cached": "perhaps"},
    "list for a number": {"ttft_ms": [1]},
    "iteration above 32 bits": {"iteration_number": 2**40},
}


@pytest.mark.parametrize("columns", VALUES.values(), ids=VALUES)
def test_value_that_no_column_holds_waits_in_a_file(log, journals, columns):
    abandon(log, *around(result("odd", **columns)))

    assert ids(log) == ["after", "before"]
    assert (log.waiting(), journals()) == (1, [])
    [file] = log.refused()
    assert file.rows == {("result", "odd")}
    assert file.reasons[0]
    assert '"response_text": "odd"' in file.path.read_text("utf-8")
    assert file.path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "line",
    [
        {"result": "no object"},
        {"result": {"model": "without an id"}},
        {"result": {"id": 5}},
        {"execution": ["a list"]},
        {"audit": {"id": None}},
    ],
)
def test_row_without_an_id_waits_in_a_file(log, line):
    cast = result("odd", cost_usd="12345678")
    abandon(log, *around(line), cast)
    assert ids(log) == ["after", "before"]
    assert log.waiting() == 2


TEXTS = {
    "NUL": rb"a\u0000b",
    "escaped backslash before u0000": rb"a\\u0000b",
    "NUL as a byte": b"a\0b",
    "lone surrogate": rb"a\ud800b",
    "two lone surrogates": rb"\udc00a\udc00b",
    "bytes that are not UTF-8": b"a\xff\xfeb",
    "half a character": b"ab\xe2\x82",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_text_that_no_database_holds_is_written_without_these_characters(log, text):
    odd = json.dumps(result("odd", response_text="TEXT")).encode().replace(b"TEXT", text)
    abandon(log, *around(odd))
    [stored] = log.frame("SELECT response_text FROM results WHERE id = 'odd'").response_text
    assert ids(log) == ["after", "before", "odd"]
    assert stored.startswith(("a", "?"))
    assert log.waiting() == 0


def test_end_that_is_refused_leaves_the_run_and_counts(log, journals):
    run = record(log, text="an answer", cost_usd=Decimal("99999999"))
    record(log, text="another")
    assert list(log.frame("SELECT response_text FROM results").response_text) == ["another"]
    assert (log.waiting(), journals()) == (1, [])
    assert log.refused()[0].rows == {("result", run.id)}


def test_refused_rows_are_named_by_doctor_and_once_by_the_logger(log, place, monkeypatch, caplog):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", place)
    for number in range(3):
        abandon(log, *around(result(f"odd {number}", cost_usd="12345678")))
        log.drain()
    lines = doctor._refused()
    warnings = [entry.getMessage() for entry in caplog.records if "refuses rows" in entry.message]
    assert all(str(f.path) in one for f, one in zip(log.refused(), lines, strict=True))
    assert all(line.startswith("Refused      1 row in ") for line in lines)
    assert "llm_playground.migrate()" in lines[0]
    assert log.refused()[0].reasons[0] in lines[0]
    assert len(warnings) == 1
    assert "\n" not in warnings[0]


def test_the_next_process_tries_refused_rows_again_and_joins_their_files(log, actor):
    for number in range(3):
        abandon(log, result(f"odd {number}", cost_usd="12345678"))
        log.drain()
    [one, two, three] = log.refused()
    rewritten = one.path.read_text("utf-8").replace("12345678", "0.5")
    one.path.write_text(rewritten, "utf-8")  # as if the column held it by now

    assert actor("look").communicate(timeout=TIMEOUT_S)[0] == "2 runs\n"

    [left] = log.refused()
    assert left.rows == two.rows | three.rows
    assert log.waiting() == 2
    assert "odd 0" in ids(log)


def test_files_are_joined_without_loss_beside_a_journal_whose_rows_are_in_one_of_them(log):
    journal_file = abandon(log, result("odd", cost_usd="12345678"))
    left_by_a_killed_process = journal_file.read_bytes()
    log.drain()
    abandon(log, result("odder", cost_usd="12345678"))
    log.drain()
    journal_file.write_bytes(left_by_a_killed_process)
    log._retries = True  # as in the next process
    log.drain()
    assert {key for file in log.refused() for _, key in file.rows} == {"odd", "odder"}
    assert log.waiting() == 2


def test_running_run_of_a_dead_process_that_is_refused_keeps_its_text(log):
    started = {"result": result("odd", status="running", iteration_number=2**40)["result"]}
    pieces = [{"n": n, "pieces": [{"id": "odd", "text": text}]} for n, text in enumerate("abc")]
    abandon(log, result("before"), started, *pieces)
    log.drain()
    [file] = log.refused()
    file.path.write_text(file.path.read_text("utf-8").replace(str(2**40), "1"), "utf-8")
    log.migrate()
    row = log.rows("SELECT status, response_text FROM results WHERE id = 'odd'")
    assert row == [{"status": "interrupted", "response_text": "abc"}]
    assert (log.refused(), log.waiting()) == ([], 0)


def test_many_refused_rows_are_not_tried_one_by_one(log):
    lines = [result(f"{number:05}", cost_usd="12345678") for number in range(3000)]
    abandon(log, *lines, {"audit": {"id": "a", "action": "look"}})
    log.drain()
    assert log.waiting() == 3000
    assert list(log.frame("SELECT id FROM audit_log").id) == ["a"]


@pytest.mark.parametrize(
    ("cause", "removal"),
    [
        ("CREATE UNIQUE INDEX own ON results (response_text)", "DROP INDEX own"),
        ("ALTER TABLE audit_log DROP COLUMN notebook", "ALTER TABLE audit_log ADD notebook TEXT"),
        ("DROP TABLE audit_log", "CREATE TABLE audit_log AS SELECT * FROM saved"),
    ],
)
def test_change_of_a_duckdb_file_by_its_owner_is_survived(path, cause, removal):
    log = open_log(str(path))
    log.drain()
    change(path, "CREATE TABLE saved AS SELECT * FROM audit_log; " + cause)
    abandon(log, result("one", response_text="same"))
    log.drain()
    abandon(log, result("two", response_text="same"), {"audit": {"id": "a", "action": "look"}})
    log.drain()
    assert (len(ids(log)), log.waiting()) in {(1, 1), (2, 1)}
    change(path, removal.replace("AS SELECT", "AS SELECT"))
    if "CREATE TABLE" in removal:
        change(path, "CREATE UNIQUE INDEX key ON audit_log (id)")
    log.migrate()
    assert (len(ids(log)), log.waiting(), log.refused()) == (2, 0, [])


def change(path, statement):
    with duckdb.connect(str(path)) as connection:
        connection.execute(statement)


# Statements of a server's administrator, and those that take them back.
CAUSES = {
    "check constraint": (
        "ALTER TABLE results ADD CONSTRAINT own CHECK (response_text <> 'odd') NOT VALID",
        "ALTER TABLE results DROP CONSTRAINT own",
    ),
    "constraint of another table": (
        "ALTER TABLE audit_log ADD CONSTRAINT own CHECK (action <> 'odd')",
        "ALTER TABLE audit_log DROP CONSTRAINT own",
    ),
    "required column": (
        "ALTER TABLE results ADD own TEXT CHECK (own IS NOT NULL OR response_text <> 'odd')",
        "ALTER TABLE results DROP own",
    ),
    "trigger": (
        "CREATE FUNCTION own() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.response_text = 'odd' THEN RAISE 'not\nodd'; END IF; RETURN NEW; END $$; "
        "CREATE TRIGGER own BEFORE INSERT ON results FOR EACH ROW EXECUTE FUNCTION own()",
        "DROP TRIGGER own ON results",
    ),
    "trigger with a code of its own": (
        "CREATE FUNCTION own() RETURNS TRIGGER LANGUAGE plpgsql AS $$ BEGIN "
        "IF NEW.action = 'odd' THEN RAISE 'no' USING ERRCODE = '99ODD'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER own BEFORE INSERT ON audit_log FOR EACH ROW EXECUTE FUNCTION own()",
        "DROP TRIGGER own ON audit_log",
    ),
    "missing right on a table": (
        "REVOKE INSERT ON audit_log FROM llm_playground_member",
        "GRANT INSERT ON audit_log TO llm_playground_member",
    ),
    "missing right on a column": (
        "REVOKE INSERT ON audit_log FROM llm_playground_member; "
        "GRANT INSERT (id, action) ON audit_log TO llm_playground_member",
        "GRANT INSERT ON audit_log TO llm_playground_member",
    ),
    "missing column": (
        "ALTER TABLE audit_log DROP notebook",
        "ALTER TABLE audit_log ADD notebook TEXT",
    ),
    "missing table": (
        "ALTER TABLE audit_log RENAME TO other",
        "ALTER TABLE other RENAME TO audit_log",
    ),
    "missing partition": (
        "ALTER TABLE results DETACH PARTITION results_default",
        "ALTER TABLE results ATTACH PARTITION results_default DEFAULT",
    ),
    "another type of a column": (
        "ALTER TABLE audit_log ALTER action TYPE VARCHAR(2)",
        "ALTER TABLE audit_log ALTER action TYPE VARCHAR",
    ),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_what_a_server_refuses_waits_until_the_cause_is_removed(server, url, member, cause):
    admin = server.url(database_of(url), "postgres", None)
    refuse, allow = CAUSES[cause]
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(refuse)
    abandon(member, {"audit": {"id": "first", "action": "a"}})
    abandon(
        member,
        result("before"),
        result("odd", started_at="2020-01-01T00:00:00Z"),
        {"audit": {"id": "odd", "action": "odd"}},
        result("after"),
    )
    member.drain()

    assert set(ids(member)) >= {"after", "before"}
    assert member.waiting() >= 1
    assert all("\n" not in reason for file in member.refused() for reason in file.reasons)
    assert list(member.journals.glob("*.jsonl")) == []

    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(allow)
        member._retries = True
        member.drain()
        actions = connection.execute("SELECT count(*) FROM audit_log WHERE action = 'odd'")
        assert actions.fetchone() == (1,)
    assert ids(member) == ["after", "before", "odd"]
    assert (member.waiting(), member.refused()) == (0, [])


@pytest.fixture
def member(server, url):
    """The log as a user who may insert runs, with the documented roles."""
    server.execute(database_of(url), postgres_admin.sql())
    return open_log(server.new_role(url, "llm_playground_member"))


def test_id_that_no_index_holds_is_refused(url):
    log = open_log(url)
    long_id = secrets.token_hex(20_000)
    abandon(log, *around(result(long_id)))
    assert ids(log) == ["after", "before"]
    assert log.refused()[0].rows == {("result", long_id)}


KILLED = """
import os, signal, sys
from llm_playground.runlog import open_log
left = int(sys.argv[2])
def count(event, arguments):
    global left
    if event in ("os.rename", "os.remove") or event == "open" and ".part" in str(arguments[0]):
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)
log = open_log(sys.argv[1])
sys.addaudithook(count)
log.drain()
"""


# The first operations on files of a drain: taking over journals, writing refused rows, removing.
STEPS = range(1, 11)


def test_process_that_is_killed_while_it_keeps_refused_rows_loses_and_doubles_nothing(log, place):
    log.drain()
    codes = []
    for step in STEPS:
        abandon(log, *around(result(f"odd {step}", cost_usd="12345678")))
        abandon(log, result(f"more {step}"), result(f"odder {step}", input_tokens="many"))
        done = subprocess.run(
            [sys.executable, "-c", KILLED, place, str(step)],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=TIMEOUT_S,
            check=False,
        )
        codes.append(done.returncode)
    assert codes == [-9] * len(STEPS)
    log.drain()
    more = [f"more {step}" for step in STEPS]
    odd = {f"{word} {step}" for word in ("odd", "odder") for step in STEPS}
    assert ids(log) == sorted(["after", "before", *more])
    assert {key for file in log.refused() for _, key in file.rows} == odd
    assert log.waiting() == len(odd)
    assert list(log.journals.glob("*.jsonl")) == []
