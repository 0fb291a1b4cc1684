"""What leaves the panel: code, exports, a cell; and the form saved under a name."""

import base64
import re

import pytest

import llm_playground as lp
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.widget import panels
from tests.widget.panels import KEY, answered, ask, values

pg, served = panels.pg, panels.served
SCRIPT = {"as_function": False, "stream": True}


def test_code_of_the_form_is_of_its_first_call(served):
    pg, _ = served(Reply(openai_stream(["A"])), temperature=0.5)
    pg.models = ["openai:gpt-4o", "local"]

    reply = ask(pg, "code", **SCRIPT)

    assert reply["of"] == "The first call · openai:gpt-4o"
    texts = {tab["language"]: tab["text"] for tab in reply["tabs"]}
    assert set(texts) == {"python", "javascript", "curl"}
    for text in texts.values():
        assert "Say hello." in text
        assert "0.5" in text
        assert KEY not in text


def test_code_of_an_answer_is_of_its_run(pg):
    run_id = answered(pg).run_id[0]
    pg.prompt = "Another one."

    reply = ask(pg, "code", number=1, **SCRIPT)

    assert reply["of"] == "Answer 1 · local:smollm2-135m-instruct"
    python, javascript = reply["tabs"][0], reply["tabs"][1]
    assert python["text"] == lp.code(run_id)
    assert "Say hello." in python["text"]
    assert "no address outside this kernel" in javascript["error"]


def test_a_function_of_the_form_takes_its_variables(served):
    pg, _ = served(Reply(openai_stream(["A"])))
    pg.values = {"town": "Rome"}
    pg.prompt = r"Where is {{town}}, written \{{town}}?"

    reply = ask(pg, "code", as_function=True, stream=False)

    python = reply["tabs"][0]["text"]
    assert "def ask(town: str)" in python
    assert "stream=True" not in python
    assert "Rome" not in python
    script = ask(pg, "code", **SCRIPT)["tabs"][0]["text"]
    assert "Where is Rome, written {{town}}?" in script


@pytest.mark.parametrize("prompt", ["Say hello.", r"Say \{{hello}}."])
def test_a_function_without_variables_sends_what_the_form_sends(served, prompt):
    pg, _ = served(Reply(openai_stream(["A"])))
    pg.prompt = prompt

    python = ask(pg, "code", as_function=True, stream=True)["tabs"][0]["text"]

    assert "def ask()" in python
    assert prompt.replace("\\", "") in python


def test_form_that_cannot_be_sent_has_no_code(pg):
    pg.prompt = "{{nothing_of_the_kind}}"

    with pytest.raises(lp.LLMError, match="nothing_of_the_kind"):
        ask(pg, "code", **SCRIPT)


@pytest.mark.parametrize(
    ("form", "suffix", "kind"),
    [
        ("json", ".json", "application/json"),
        ("markdown", ".md", "text/markdown"),
        ("html", ".html", "text/html"),
        ("notebook", ".ipynb", "application/x-ipynb+json"),
        ("csv", ".csv", "text/csv"),
        ("parquet", ".parquet", "application/vnd.apache.parquet"),
    ],
)
def test_export_has_its_content_and_a_file_name(pg, form, suffix, kind):
    frame = answered(pg)

    reply = ask(pg, "export", format=form)

    content = reply["text"] if "text" in reply else base64.b64decode(reply["base64"])
    assert content == lp.export(frame, form)
    assert re.match(r"invoice summary \d+ 20\d\d-", reply["name"])
    assert reply["name"].endswith(suffix)
    assert reply["kind"] == kind


def test_file_name_is_valid(pg):
    pg.name = '../..\\a:b*"<>|?\n'
    answered(pg)

    name = ask(pg, "export", format="json")["name"]

    assert not set(name) & set('/\\:*"<>|?\n')
    assert name.startswith("a-b")


@pytest.mark.parametrize("what", ["export", "link"])
def test_nothing_to_export_or_share_before_a_run(pg, what):
    with pytest.raises(lp.LLMError, match="yet: run first"):
        ask(pg, what, format="json")


def test_cell_of_the_form(pg):
    assert ask(pg, "cell") == "%%llm -m local --max-tokens 8\nSay hello."


def test_saved_form_fills_a_panel(pg):
    pg.system, pg.prompt, pg.temperature = "Be {{how}}.", "Say {{what}}.", 0.5

    assert ask(pg, "save_prompt", name=" invoice-summary ", note="first") == "invoice-summary@1"
    pg.prompt = "Say {{what}} twice."
    assert ask(pg, "save_prompt", name="invoice-summary", note="") == "invoice-summary@2"
    assert ask(pg, "prompt_names") == ["invoice-summary"]

    again = lp.Playground(prompt=lp.prompt("invoice-summary"))
    assert values(again) == values(pg) | {"models": ["local:smollm2-135m-instruct"]}
    assert lp.prompt("invoice-summary@1").note == "first"


def test_arguments_take_precedence_over_a_saved_prompt(pg):
    pg.system, pg.temperature = "Old.", 0.5
    ask(pg, "save_prompt", name="a")
    saved = lp.prompt("a")

    again = lp.Playground(prompt=saved, system="New.", preset="precise", models=["ollama:x"])

    assert (again.system, again.temperature, again.models) == ("New.", 0.2, ["ollama:x"])
    assert again.max_tokens == 8


def test_saved_prompt_has_turns_and_parameters(pg):
    pg.turns = [{"role": "user", "content": "A"}, {"role": "assistant", "content": "B"}]
    pg.seed, pg.stop_at = 3, ["x", "y"]
    ask(pg, "save_prompt", name="talk")

    saved = lp.prompt("talk")

    assert [turn.text for turn in saved.messages] == ["A", "B", "Say hello."]
    assert saved.parameters.as_dict() == {"max_tokens": 8, "seed": 3, "stop": ("x", "y")}
    again = lp.Playground(prompt=saved)
    assert [turn["content"] for turn in again.turns] == ["A", "B"]
    assert (again.seed, list(again.stop_at)) == (3, ["x", "y"])


@pytest.mark.parametrize("name", ["", "a@3", " "])
def test_invalid_prompt_name_is_explained(pg, name):
    with pytest.raises(lp.LLMError, match="A prompt name is text without @"):
        ask(pg, "save_prompt", name=name)


def test_save_prompt_takes_a_panel(pg):
    pg.seed = 5

    assert lp.save_prompt("whole", pg) == 1
    assert lp.prompt("whole").parameters.seed == 5
