"""The JSON export loses nothing: what it holds, its schema, and the way back."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import llm_playground as lp
from llm_playground import exporting
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.records import TABLES
from llm_playground.exporting.rows import COLUMNS
from tests.exporting import everything, shelf

SCHEMA = json.loads(Path(exporting.__file__).with_name("runs.schema.json").read_text("utf-8"))
LESS = "The log holds less"
TYPES = {
    "text": ["string", "null"],
    "time": ["string", "null"],
    "count": ["integer", "null"],
    "number": ["number", "null"],
    "usd": ["number", "null"],
    "flag": ["boolean", "null"],
}


@pytest.fixture
def runs(log, monkeypatch):
    """Everything, rated by two people, with a vote, and runs of the shelf beside it."""
    shelf.fill(log)
    made = everything.fill(log)
    everything.vote(log, made["plain"], made["conversation"])
    lp.rate(made["plain"], 4, note="short")
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "bob")
    lp.rate(made["plain"], 5)
    return made


def test_the_schema_has_the_columns_of_the_log():
    properties = SCHEMA["properties"]
    run = properties["runs"]["items"]
    assert list(run["properties"]) == run["required"] == list(COLUMNS)
    for name, kind in COLUMNS.items():
        found = run["properties"][name]
        assert (
            found.get("type") == TYPES.get(kind)
            or kind == "json"
            or "enum" in found
            or (found["type"] in ("string", ["string", "null"]))
        )
    tables = {name: list(properties[name]["items"]["properties"]) for name in TABLES}
    assert tables == {name: list(columns) for name, columns in TABLES.items()}


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_everything_comes_back(log, runs, elsewhere, engine):
    before = everything.document()
    Draft202012Validator(SCHEMA).validate(before)
    assert before.keys() - {"format", "version", "runs", "attachments"} == TABLES.keys()
    code = {name: lp.code(run.id) for name, run in runs.items()}
    assert not any(LESS in text for text in code.values())

    text = lp.export(lp.runs())
    elsewhere(engine)
    assert lp.import_runs(text) == len(before["runs"])

    assert everything.document() == before
    assert {name: lp.code(run.id) for name, run in runs.items()} == code
    ratings = lp.sql("SELECT username, score, note FROM ratings WHERE against_result_id IS NULL")
    assert sorted(ratings.score) == [-1.5, 4, 5]
    assert lp.import_runs(text) == 0


def test_a_run_object_is_exported_as_its_row_is(log, runs):
    run = runs["call"]
    frame = lp.runs()
    assert everything.document(run) == everything.document(frame[frame.run_id == run.id])
    [result] = everything.document(run)["results"]
    assert result["tool_calls"][0]["arguments"] == {"city": "Oslo"}
    assert json.loads(lp.export(shelf.run()))["results"][0]["dropped_parameters"] == []


REMOVED = {
    "user_prompt": {"prompts", "definitions", "attachments"},
    "username": {"executions", "ratings"},
    "response_text": {"results"},
    "rating": {"ratings"},
}


@pytest.mark.parametrize("column", REMOVED)
def test_what_was_removed_from_a_frame_is_in_no_other_table(log, runs, column):
    empty = None if column != "rating" else float("nan")
    found = everything.document(lp.runs().assign(**{column: empty}))
    kept = set(TABLES) - REMOVED[column]
    tables = {name for name in TABLES if len(found.get(name, ())) > 1}
    assert tables <= kept
    assert "And in Rome?" not in json.dumps(found) or column != "user_prompt"


WRONG = {
    "prompts": {"messages": "Hi."},
    "executions": {"iterations": -1},
    "results": {"tool_calls": [3]},
    "definitions": {"content": "{}"},
    "ratings": {"score": "high"},
}


@pytest.mark.parametrize("table", WRONG)
def test_a_row_that_does_not_fit_is_left_out_with_a_warning(log, runs, elsewhere, table):
    document = everything.document()
    document[table] = [document[table][0] | WRONG[table], *document[table][1:]]
    elsewhere()
    with pytest.warns(UserWarning, match=rf"1 of \d+ rows of {table} are not imported") as said:
        assert lp.import_runs(document) == len(document["runs"])
    assert "\n" not in str(said[0].message)


def test_a_newer_major_version_is_one_line():
    with pytest.raises(InvalidParameterError, match=r"A newer llm_playground .* Upgrade") as error:
        lp.import_runs({"format": "llm_playground.runs", "version": 2, "runs": []})
    assert "\n" not in str(error.value)


def test_privacy_holds_for_every_table(log, runs, elsewhere):
    document = everything.document()
    other = elsewhere()
    lp.configure(privacy="metrics")
    lp.import_runs(document)
    stored = other.frame("SELECT * FROM prompts").to_csv()
    stored += other.frame("SELECT * FROM results").to_csv()
    assert "Oslo" not in stored
    assert other.frame("SELECT * FROM definitions").empty


def test_personal_data_in_tools_is_masked_on_import(log, elsewhere):
    request = everything.requests()["tools"]
    tool = everything.Tool("mail", "Writes to ada@example.org.", {"type": "object"})
    everything.record(log, everything.Request(request.model, request.messages, tools=(tool,)))
    document = everything.document()
    other = elsewhere()
    lp.configure(privacy={"store": "texts", "redact": ["email"]})
    lp.import_runs(document)
    [row] = other.rows("SELECT d.content FROM definitions d, prompts p WHERE p.tools IS NOT NULL")
    assert "[redacted]" in row["content"]
