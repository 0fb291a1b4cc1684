"""The dialog "Open" from Python: saved prompts, what changed between versions, opening one."""

import pytest

import llm_playground as lp
from tests.widget import panels
from tests.widget.panels import ask, values

pg = panels.pg


@pytest.fixture
def versions(pg):
    """Two versions of ``invoice`` and one of ``greeting``; the form is the second of the first."""
    lp.save_prompt("greeting", lp.Playground(models=["local"], prompt="Hello {{who}}."))
    pg.system, pg.prompt = "Be brief.", "Summarise {{article}}."
    lp.save_prompt("invoice", pg, note="first")
    pg.prompt, pg.temperature, pg.system = "Summarise {{article}} shortly.", 0.5, ""
    lp.save_prompt("invoice", pg, note="shorter")


def test_lists_prompts_and_versions_those_saved_last_first(pg, versions):
    listed = ask(pg, "saved_prompts")

    names = [(one["name"], [v["version"] for v in one["versions"]]) for one in listed]
    assert names == [("invoice", [2, 1]), ("greeting", [1])]
    newest = listed[0]["versions"][0]
    assert (newest["note"], newest["text"]) == ("shorter", "Summarise {{article}} shortly.")
    assert newest["model"] == "local:smollm2-135m-instruct"
    assert newest["by"]
    assert newest["at"]
    assert listed[1]["versions"][0]["note"] == ""


def test_names_the_parts_that_changed_word_by_word(pg, versions):
    changes = ask(pg, "prompt_changes", name="invoice", version=2, than=1)

    by_part = {one["part"]: [tuple(piece) for piece in one["pieces"]] for one in changes}
    assert list(by_part) == ["System prompt", "User prompt", "Parameters", "Model"]
    assert by_part["System prompt"] == [("-", "Be brief.")]
    assert [text for kind, text in by_part["User prompt"] if kind == "+"] == [" shortly"]
    assert "temperature: 0.5" in "".join(t for kind, t in by_part["Parameters"] if kind != "-")
    assert {kind for kind, _ in by_part["Model"]} == {"="}
    whole = ask(pg, "prompt_changes", name="invoice", version=1, than=None)
    assert {kind for one in whole for kind, _ in one["pieces"]} == {"="}


def test_opening_fills_the_form_and_keeps_the_rest(pg, versions):
    pg.models, pg.iterations, pg.values = ["local", "openai:gpt-4o"], 3, {"article": "text"}
    pg.preset = "precise"

    ask(pg, "open_prompt", name="invoice", version=1)

    form = values(pg)
    assert (form["prompt"], form["system"]) == ("Summarise {{article}}.", "Be brief.")
    assert (form["temperature"], form["max_tokens"], pg.preset) == (None, 8, None)
    assert pg.models == ["local:smollm2-135m-instruct"]
    assert (pg.iterations, pg.values) == (3, {"article": "text"})


@pytest.mark.parametrize("request_name", ["open_prompt", "prompt_changes"])
def test_a_version_that_is_gone_is_said(pg, versions, request_name):
    with pytest.raises(lp.LLMError, match="invoice"):
        ask(pg, request_name, name="invoice", version=7)
