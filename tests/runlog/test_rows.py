"""A run becomes a row, and the row the same run again."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from llm_playground.errors import LLMError, RateLimitError, RunLogError
from llm_playground.parts import ToolCall
from llm_playground.runlog import reading, rows
from llm_playground.runlog.attachments import hashes_in
from llm_playground.types import Attempt, Parameters, Usage, messages_as_json
from tests.runlog.actors import completed, execution_of, prompt, record, run_of

REQUEST = prompt(system="Be brief.", temperature=0.5, max_tokens=9)
CALLS = (ToolCall("c1", "weather", '{"city": "Oslo"}'), ToolCall("c2", "odd", "not JSON"))
RUN = replace(
    completed(run_of(REQUEST, execution_of(REQUEST)), usage=Usage(10, 20, 1, 2, 3)),
    reasoning="Hm.",
    tool_calls=CALLS,
    parts=rows.plain_parts("Hm.", "An answer.", CALLS),
    response_model="tiny-1",
    queue_ms=1.5,
    attempts=[Attempt(1, 0.0, 5.0, 429, "r1", "RateLimitError", "busy"), Attempt(2, 9.0, 120.0)],
    cached=True,
    saved_usd=Decimal("0.25"),
    dropped_parameters=("seed",),
)
ONLY_IN_TABLE = ("tool_calls", "error_detail", "dropped_parameters")


def whole_row(run):
    """The view's columns and those of ``results`` that a run needs too."""
    result = rows.result_row(run, None)
    return rows.row_of(run) | {name: result[name] for name in ONLY_IN_TABLE}


def as_text(row):
    """As the database gives a row: JSON as text, the time as text in ISO 8601."""
    json_columns = ("tool_calls", "attempts", "dropped_parameters", "parameters")
    texts = {name: json.dumps(row[name]) for name in json_columns if row[name] is not None}
    return row | texts | {"started_at": row["started_at"].isoformat()}


@pytest.mark.parametrize("form", [dict, as_text], ids=["values", "text"])
def test_a_run_survives_its_row(form):
    found = reading.run_of(form(whole_row(RUN)))
    assert found == RUN
    assert found.cost_usd == Decimal("0.000001500000")


def test_parameters_of_the_caller_win():
    assert reading.run_of(whole_row(RUN), Parameters(seed=1)).parameters == Parameters(seed=1)


def test_an_error_keeps_its_class_message_and_detail():
    run = replace(RUN, status="failed", error=RateLimitError("Too fast.", detail="429"))
    error = reading.run_of(whole_row(run)).error
    assert (type(error), str(error), error.detail) == (RateLimitError, "Too fast.", "429")


@pytest.mark.parametrize("name", ["Strange", "Any", None], ids=str)
def test_an_unknown_error_class_becomes_the_base_class(name):
    error = reading.run_of({"run_id": "r", "error_type": name, "error_message": "Odd."}).error
    assert (type(error), str(error)) == (LLMError, "Odd.")


def test_missing_columns_are_unknown():
    run = reading.run_of({"run_id": "r"})
    assert (run.status, run.usage, run.cost_usd, run.text) == ("completed", None, None, "")
    assert run.started_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "wrong", [{"attempts": "[3]"}, {"cost_usd": "much"}, {"parameters": '{"nonsense": 1}'}], ids=str
)
def test_values_that_no_run_can_have_raise(wrong):
    with pytest.raises((AttributeError, TypeError, ValueError, ArithmeticError)):
        reading.run_of({"run_id": "r"} | wrong)


def test_a_row_has_columns_of_the_view_only():
    assert set(rows.row_of(RUN)) < set(rows.RUN_COLUMNS)


def test_messages_come_from_json_or_from_the_prompt():
    row = rows.prompt_row(RUN, REQUEST, "hash")
    messages = messages_as_json(REQUEST.messages)
    assert reading.messages_of(row) == messages
    assert reading.messages_of(row | {"messages": json.dumps(messages)}) == messages
    assert reading.messages_of(row | {"messages": None}) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is a run log?"},
    ]
    assert reading.messages_of(dict.fromkeys(row)) is None


def test_images_are_found_by_their_hash():
    part = {"type": "image", "media_type": "image/png", "sha256": "ab"}
    text = {"type": "text", "text": "sha256"}
    assert hashes_in([{"role": "user", "content": [part, text, part]}]) == ["ab", "ab"]
    assert hashes_in([{"role": "user", "content": "sha256"}]) == []


def test_packed_texts_of_a_row_come_back():
    packed = {"_result_gz": rows.pack({"response_text": "long"}), "_prompt_gz": None}
    row = {"run_id": "r", "response_text": None} | packed
    assert rows.unpacked_row(row) == {"run_id": "r", "response_text": "long"}


KINDS = """
SELECT 1::INTEGER AS whole, 0.25::DECIMAL(18, 12) AS amount, 1.5::FLOAT8 AS number, 'a' AS text,
       true AS flag, NULL::VARCHAR AS nothing, '[1]'::JSON AS json, 2 AS whole,
       TIMESTAMPTZ '2026-03-01 12:00:00.000001+02' AS moment
"""


def test_rows_are_plain_dictionaries_on_both_engines(log):
    [row] = log.rows(KINDS)
    assert row == {
        "whole": 1,
        "amount": Decimal("0.250000000000"),
        "number": 1.5,
        "text": "a",
        "flag": True,
        "nothing": None,
        "json": "[1]",
        "whole_1": 2,
        "moment": datetime(2026, 3, 1, 10, 0, 0, 1, UTC),
    }
    assert [type(value) for value in row.values()][:3] == [int, Decimal, float]


def test_rows_take_values_and_see_what_was_recorded(log):
    run = record(log)
    [row] = log.rows("SELECT run_id, cost_usd FROM runs WHERE run_id = $run", {"run": run.id})
    assert row == {"run_id": run.id, "cost_usd": Decimal("0.000001500000")}
    assert log.rows("SELECT run_id FROM runs WHERE run_id = ?", ["nobody"]) == []


def test_an_infinite_time_is_unknown(log):
    assert log.rows("SELECT 'infinity'::TIMESTAMPTZ AS moment") == [{"moment": None}]


@pytest.mark.parametrize("sql", ["DELETE FROM results", "SELECT 1; SELECT 2", "nonsense"], ids=str)
def test_rows_refuse_anything_but_one_select(log, sql):
    with pytest.raises(RunLogError):
        log.rows(sql)
