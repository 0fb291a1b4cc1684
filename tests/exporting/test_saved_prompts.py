"""Saved prompts with their versions leave one log and enter another without loss."""

import copy
import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

import llm_playground as lp
from llm_playground import exporting
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.saved_prompts import COLUMNS
from llm_playground.request.prompts import Prompt
from llm_playground.types import Parameters
from tests.exporting import everything
from tests.exporting.everything import message
from tests.exporting.shelf import KEY

SCHEMA = json.loads(Path(exporting.__file__).with_name("runs.schema.json").read_text("utf-8"))
FIRST = Prompt(
    (message("system", "Be brief."), message("user", "Greet {{who}}.")),
    Parameters(temperature=0.2, stop=("END",)),
    "openai:gpt-x",
)
SECOND = FIRST.with_question("Greet {{who}} warmly, in {{language}}.")
SEEN = Prompt((message("user", everything.PICTURE, everything.REPORT, "What is it?"),))


@pytest.fixture
def saved(log):
    """Three versions of one prompt, one with a picture and a file, and one of a run with tools."""
    runs = everything.fill(log)
    for prompt, note in ((FIRST, None), (SECOND, "warmer"), (FIRST, "back")):
        lp.save_prompt("greet", prompt, note)
    lp.save_prompt("seen", SEEN)
    lp.save_prompt("tools", runs["call"])
    return runs


def state():
    """Everything about saved prompts, as values."""
    listed = lp.prompts().astype(object).where(lp.prompts().notna(), None).to_dict("records")
    listed = [row | {"parameters": json.loads(row["parameters"])} for row in listed]
    return listed, [lp.prompt(f"{row['name']}@{row['version']}") for row in listed]


def test_the_schema_has_the_columns():
    items = SCHEMA["properties"]["saved_prompts"]["items"]
    assert list(items["properties"]) == list(COLUMNS)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_versions_come_back_as_they_were(saved, elsewhere, engine, tmp_path):
    before, path = state(), tmp_path / "prompts.json"
    text = lp.export(lp.prompts(), path=path)
    Draft202012Validator(SCHEMA).validate(json.loads(text))
    assert len(json.loads(text)["saved_prompts"]) == 5
    elsewhere(engine)
    assert lp.import_runs(path) == 0
    assert state() == before
    assert lp.import_runs(text) == 0
    assert state() == before
    assert json.loads(lp.export(lp.prompts())) == json.loads(text)
    assert lp.save_prompt("greet", FIRST) == 3
    assert "saved_prompts" in str(lp.audit(action="import_runs").to_dict())


def test_runs_that_follow_keep_their_tools(saved, elsewhere):
    prompts, runs = lp.export(lp.prompts()), lp.export(lp.runs())
    code = lp.code(saved["call"].id)
    elsewhere()
    lp.import_runs(prompts)
    lp.import_runs(runs)
    assert lp.code(saved["call"].id) == code


def test_some_versions_are_selected(saved):
    frame = lp.prompts()
    found = json.loads(lp.export(frame[frame.name == "seen"]))
    assert [(row["name"], row["version"]) for row in found["saved_prompts"]] == [("seen", 1)]
    assert len(found["attachments"]) == 2
    assert json.loads(lp.export(frame.head(0)))["saved_prompts"] == []


def test_a_number_that_is_taken_becomes_the_next_one(saved, elsewhere):
    text = lp.export(lp.prompts()[lp.prompts().name == "greet"])
    elsewhere()
    other = FIRST.with_question("Something else.")
    lp.save_prompt("greet", other)
    with pytest.warns(UserWarning, match="greet@1 is greet@2, greet@2 is greet@3, greet@3 is gre"):
        lp.import_runs(text)
    texts = [str(lp.prompt(f"greet@{version}")) for version in range(1, 5)]
    assert texts == list(map(str, (other, FIRST, SECOND, FIRST)))
    assert lp.import_runs(text) == 0  # again: nothing is new
    assert len(lp.prompts()) == 4


def test_a_changed_frame_is_refused(saved):
    frame = lp.prompts()
    for changed in (
        frame.assign(user_prompt=None),
        frame.drop(columns="username"),
        frame.assign(version=frame.version + 7),
    ):
        with pytest.raises(InvalidParameterError) as error:
            lp.export(changed)
        assert "\n" not in str(error.value)
    with pytest.raises(InvalidParameterError, match="exported as json; got the format csv"):
        lp.export(frame, "csv")


WRONG = {
    "name": "a@1",
    "version": -1,
    "prompt_id": "x",
    "messages": "Hi.",
    "parameters": [],
    "attachments": ["x"],
    "tools": [1],
    "created_at": "soon",
}


@pytest.mark.parametrize("column", WRONG)
def test_what_does_not_fit_is_refused_in_a_line(saved, elsewhere, column):
    found = json.loads(lp.export(lp.prompts()))
    elsewhere()
    changed = copy.deepcopy(found)
    for row in changed["saved_prompts"]:
        row[column] = WRONG[column]
    with pytest.raises(InvalidParameterError, match=rf"saved_prompts\[0\]\.{column}: ") as error:
        lp.import_runs(changed)
    assert "\n" not in str(error.value)
    assert lp.prompts().empty


def test_keys_of_another_program_are_removed(saved, elsewhere):
    found = json.loads(lp.export(lp.prompts()))
    for row in found["saved_prompts"]:
        row["note"], row["system_prompt"] = KEY, KEY
        row["messages"] = [{"role": "user", "content": [{"type": "text", "text": KEY}]}]
    elsewhere()
    lp.import_runs(found)
    assert KEY not in lp.export(lp.prompts())
    assert len(lp.prompts()) == 5
