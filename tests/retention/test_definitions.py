"""Tools and schemas of prompts: stored once, by hash, and sent again wherever a run is."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import psycopg
import pytest

import llm_playground as lp
from llm_playground.codegen import find_request
from llm_playground.errors import RunLogError
from llm_playground.parts import TextPart
from llm_playground.request.schemas import schema_from
from llm_playground.runlog import open_log
from llm_playground.runlog.reading import json_value
from llm_playground.types import Message, Request, Schema, Tool, ToolExecution, ToolUse
from llm_playground.widget.stored_runs import session_of, stored_runs
from tests.retention.test_images import purge
from tests.runlog.actors import execution_of, record

KEY = "sk-" + "proj-" + "a1B2" * 10
# Names in an order that PostgreSQL's JSONB does not keep.
SHAPE = {"type": "object", "properties": {"zebra": {"type": "string"}, "a": {"minimum": 1.0}}}
LOOK = Tool("look", "Looks \N{BALLOON}\0.", SHAPE, call=print)
FIND = Tool("find", "Finds.", {"type": "object"})
ANSWER = Schema("Answer", SHAPE, json.loads)


def asks(question, *tools, schema=None):
    messages = (Message("user", (TextPart(question),)),)
    return Request("anthropic:claude-x", messages, tools=tools, schema=schema)


def test_the_calls_of_a_tool_loop_are_stored_until_a_purge_of_texts(log):
    began = datetime(2026, 3, 31, tzinfo=UTC)
    called = ToolExecution("c1", "look", began, 2.5, "LookupError")
    request = asks("All?", LOOK)
    use = ToolUse(began, (None, called))
    record(log, request, execution_of(request, started_at=began, tool_use=use))
    record(log, request)

    columns = "SELECT tool_use FROM executions ORDER BY started_at"
    first, other = (json_value(row["tool_use"]) for row in log.rows(columns))
    assert (first, other) == (use.as_json(), None)
    purge(keep="metrics")
    assert [row["tool_use"] for row in log.rows(columns)] == [None, None]


def stored(log):
    return log.rows("SELECT id, kind, name, content FROM definitions ORDER BY kind, name")


def test_a_logged_run_has_the_tools_and_the_schema_it_was_sent_with(
    log, new_url, tmp_path, monkeypatch
):
    request = asks("All?", LOOK, FIND, schema=ANSWER)
    run = record(log, request)
    record(log, asks("Again?", FIND))
    plain = record(log, asks("None?"))

    names = [(row["kind"], row["name"]) for row in stored(log)]
    assert names == [("schema", "Answer"), ("tool", "find"), ("tool", "look")]
    for again in (find_request(run.id).request, _repeated(run)):
        assert again == request
        assert again.prompt_hash() == request.prompt_hash()
        assert json.dumps(again.schema.json_schema) == json.dumps(SHAPE)
        assert json.dumps(again.tools[0].parameters) == json.dumps(SHAPE)
        assert again.tools[0].call is None
    assert lp.code(run) == lp.code(request)
    [row] = log.rows(
        "SELECT tools, schema_hash FROM prompts WHERE id = $id", {"id": plain.prompt_id}
    )
    assert row == {"tools": None, "schema_hash": None}

    copy = lp.backup(tmp_path / "copy.duckdb")
    backed_up = open_log(str(copy))
    assert stored(backed_up) == stored(log)
    backed_up.close()
    exported = lp.export(run)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", new_url(log.dialect))
    assert lp.import_runs(exported) == 1
    assert lp.code(run.id) == lp.code(request)
    open_log().close()


def test_an_answer_that_is_no_object_is_read_as_at_first_asking(log):
    asked = schema_from(list[int])
    run = record(log, asks("Which?", schema=asked))

    for again in (find_request(run.id).request, _repeated(run)):
        assert again.schema == asked
        assert again.schema.parse('{"value": [1, 2]}') == [1, 2]


def test_a_wrapped_schema_of_another_program_without_its_value_is_a_plain_one(log):
    run = record(log, asks("Which?", schema=Schema("answer", {"type": "object"}, str, True)))

    for again in (find_request(run.id).request, _repeated(run)):
        assert not again.schema.is_wrapped
        assert again.schema.parse('{"value": 1}') == {"value": 1}


def _repeated(run):
    """The request that an answer of the panel sends again."""
    session = session_of(1, stored_runs([run.id]), lambda *_: None, cell_id=None)
    return session.calls[0].call.request


def test_a_purge_removes_what_no_prompt_uses(log):
    first = record(log, asks("One?", LOOK, FIND, schema=ANSWER))
    second = record(log, asks("Two?", FIND))

    purge(run=first, keep="compressed")
    assert find_request(first.id).request == asks("One?", LOOK, FIND, schema=ANSWER)
    purge(run=first, keep="metrics")
    assert [row["name"] for row in stored(log)] == ["find"]
    assert find_request(second.id).request == asks("Two?", FIND)
    purge(run=second, keep="nothing")
    assert stored(log) == []


def test_keys_and_personal_data_are_masked_and_metrics_keep_none(log):
    text = f"Write to ada@example.org with {KEY}."
    leaky = Tool("look", text, {"type": "object", "description": text})
    lp.configure(privacy={"redact": ["email"]})
    run = record(log, asks("Masked?", leaky))
    [row] = stored(log)
    assert row["content"].count("Write to [redacted] with [redacted") == 2
    assert lp.code(run).startswith("# The log holds less than was sent")

    lp.configure(privacy="metrics")
    record(log, asks("Metrics?", FIND, schema=ANSWER))
    assert stored(log) == [row]
    [counts] = log.rows("SELECT count(tools) AS t, count(schema_hash) AS s FROM prompts")
    assert counts == {"t": 1, "s": 0}


def test_a_long_purge_keeps_no_run_with_tools_waiting(new_url, monkeypatch):
    url = new_url("postgres")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log, other = open_log(url), open_log(f"{url}&application_name=other")
    old = record(log, asks("One?", LOOK))
    log.drain()
    with psycopg.connect(url) as holder, ThreadPoolExecutor() as pool:
        holder.execute("LOCK TABLE ratings")
        purging = pool.submit(purge, run=old, keep="nothing")
        while not holder.execute("SELECT FROM pg_locks WHERE NOT granted").fetchall():
            assert not purging.done(), purging.result()

        record(other, asks("Two?", FIND))
        other.drain()
        assert ("find",) in holder.execute("SELECT name FROM definitions").fetchall()

        holder.rollback()
        purging.result()
    assert [row["name"] for row in stored(log)] == ["find"]
    other.close()
    log.close()


def test_a_removal_of_tools_that_fails_is_no_failed_purge(new_url, monkeypatch):
    url = new_url("postgres")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    log = open_log(url)
    old, other = record(log, asks("One?", LOOK)), record(log, asks("Two?", FIND))
    log.drain()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RAISE ''not now''; END'"
        )
        admin.execute("CREATE TRIGGER t BEFORE DELETE ON definitions EXECUTE FUNCTION refuse()")

        with pytest.raises(RunLogError, match=r"Purged, but .*not now"):
            purge(run=old, keep="nothing")

        assert log.rows("SELECT action FROM audit_log") == [{"action": "purge"}]
        assert [row["run_id"] for row in log.rows("SELECT run_id FROM runs")] == [other.id]
        admin.execute("DROP TRIGGER t ON definitions")
    purge(run=other, keep="nothing")
    assert stored(log) == []
    log.close()
