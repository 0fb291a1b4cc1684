"""Saved prompts: versions, asking them again, and .prompty files."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import config
from llm_playground.errors import ConfigError, InvalidParameterError, TemplateError
from llm_playground.prompt_file import read
from llm_playground.types import Message, Parameters, TextPart
from tests.reports.shelf import add
from tests.wire.formats import openai_stream
from tests.wire.server import Reply, WireServer

KEY = "sk" + "-" + "planted" * 4


@pytest.fixture
def asked(log, monkeypatch):
    """An endpoint that answers; the bodies that were sent to it."""
    with WireServer(lambda _request: Reply(openai_stream(["fine"]))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield lambda: [json.loads(request.body) for request in server.requests]


def form(prompt="Say {{word}}.", **known):
    return lp.Playground(prompt=prompt, **{"models": ["openai:gpt-4o"], **known})


def texts(prompt):
    return [(turn.role, turn.text) for turn in prompt.messages]


def turn(text, role="user"):
    return Message(role, (TextPart(text),))


class TestVersions:
    def test_they_count_from_one_and_the_same_content_is_the_same_version(self, log):
        assert lp.save_prompt("greet", form("Say hello.")) == 1
        assert lp.save_prompt("greet", form("Say hello."), note="again") == 1
        assert lp.save_prompt("greet", form("Say hi."), note="shorter") == 2
        assert lp.save_prompt("greet", form("Say hello.")) == 3
        assert lp.save_prompt("other", form("Say hello.")) == 1

    def test_a_name_is_the_newest_and_a_number_is_exact(self, log):
        lp.save_prompt("greet", form("one"))
        lp.save_prompt("greet", form("two"), note="why")
        assert str(lp.prompt("greet")) == "two"
        assert str(lp.prompt("greet@1")) == "one"
        newest = lp.prompt("greet@2")
        assert (newest.name, newest.version, newest.note) == ("greet", 2, "why")
        assert newest.username == config.username()
        assert newest.created_at.tzinfo is not None

    def test_a_playground_is_saved_with_its_names_unfilled(self, log):
        lp.save_prompt("p", form(system="Be {{mood}}.", temperature=0.5, max_tokens=9))
        found = lp.prompt("p")
        assert (found.system, str(found), found.model) == (
            "Be {{mood}}.",
            "Say {{word}}.",
            "openai:gpt-4o",
        )
        assert found.parameters == Parameters(temperature=0.5, max_tokens=9)

    def test_a_run_is_saved_as_it_was_sent(self, asked):
        earlier = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        run = lp.ask("c", "openai:gpt-4o", system="s", messages=earlier, top_p=0.5)
        assert lp.save_prompt("talk", run) == lp.save_prompt("talk", run.id) == 1
        found = lp.prompt("talk")
        assert texts(found) == [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]
        assert found.model == run.model
        assert found.parameters == Parameters(top_p=0.5)

    def test_a_purged_prompt_is_still_found(self, log):
        run = add(log, question="kept")
        lp.save_prompt("p", run)
        lp.purge("0d", dry_run=False)
        lp.purge("0d", keep="nothing", dry_run=False)
        assert str(lp.prompt("p")) == "kept"

    def test_a_prompt_whose_text_is_compressed_is_found(self, log):
        run = add(log, question="kept")
        lp.purge("0d", dry_run=False)
        lp.save_prompt("p", run)
        assert str(lp.prompt("p")) == "kept"

    def test_a_run_without_its_text_cannot_be_saved(self, log):
        run = add(log, question="gone")
        lp.purge(run=run, keep="metrics", dry_run=False)
        with pytest.raises(InvalidParameterError, match="not stored"):
            lp.save_prompt("p", run)

    def test_a_key_is_not_saved(self, log):
        lp.save_prompt("p", form(f"use {KEY}"))
        everything = log.frame("SELECT * FROM prompts").to_csv()
        assert KEY not in everything

    def test_all_are_listed(self, log):
        lp.save_prompt("b", form("one"))
        lp.save_prompt("b", form("two"))
        lp.save_prompt("a", form("three"), note="n")
        frame = lp.prompts()
        assert list(zip(frame["name"], frame.version, frame.user_prompt, strict=True)) == [
            ("a", 1, "three"),
            ("b", 2, "two"),
            ("b", 1, "one"),
        ]

    @pytest.mark.parametrize("name", ["", " ", "a@b", 3, "x" * 201, "two\nlines"])
    def test_a_name_that_cannot_be_one_is_refused(self, log, name):
        with pytest.raises(InvalidParameterError, match="name"):
            lp.save_prompt(name, form())

    def test_what_is_not_there_is_said_with_what_is_close(self, log):
        lp.save_prompt("greeting", form())
        for wrong, said in [
            ("greetign", "Did you mean greeting"),
            ("zzz", "lp.prompts"),
            ("greeting@7", "versions 1 to 1"),
            ("greeting@x", "name@3"),
            (3, "name@3"),
        ]:
            with pytest.raises(InvalidParameterError, match=said):
                lp.prompt(wrong)

    def test_nothing_else_can_be_saved(self, log):
        for wrong in (3, None, ["x"]):
            with pytest.raises(InvalidParameterError, match="can be saved"):
                lp.save_prompt("p", wrong)
        with pytest.raises(InvalidParameterError, match="no-such"):
            lp.save_prompt("p", "no-such")


class TestAsking:
    def test_it_is_asked_with_all_that_was_saved(self, asked):
        lp.save_prompt("p", form(system="Be brief.", temperature=0.5))
        run = lp.ask(lp.prompt("p"), variables={"word": "hello"})
        [body] = asked()
        assert run.model == "openai:gpt-4o"
        assert body["temperature"] == 0.5
        assert [m["role"] for m in body["messages"]] == ["system", "user"]
        assert "Say hello." in json.dumps(body["messages"])

    def test_what_is_said_beside_it_wins(self, asked):
        lp.save_prompt("p", form(system="Be brief.", temperature=0.5, max_tokens=5))
        lp.ask(lp.prompt("p"), "openai:gpt-4.1", system="Be kind.", temperature=0.1)
        lp.ask(lp.prompt("p"), preset="creative")
        first, second = asked()
        assert (first["model"], first["temperature"]) == ("gpt-4.1", 0.1)
        assert "Be kind." in json.dumps(first)
        assert "Be brief." not in json.dumps(first)
        assert second["temperature"] == 1.0

    def test_two_versions_are_compared(self, asked):
        lp.save_prompt("p", form("one"))
        lp.save_prompt("p", form("two"))
        compared = lp.compare([lp.prompt("p@1"), lp.prompt("p@2")], "openai:gpt-4o")
        assert compared.prompts == ("one", "two")
        assert lp.compare(lp.prompt("p"), "openai:gpt-4o").prompts == ("two",)

    def test_in_a_cell_it_takes_the_notebooks_variables(self, asked):
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "llm_playground")
        shell.user_ns["word"] = "hello"
        lp.save_prompt("p", form(system="Be brief."))
        shell.run_cell_magic("llm", "--prompt p@1 -o out", "\n")
        shell.run_cell_magic("llm", "--prompt p -o out", "Shout {{word}}!\n")
        shell.run_line_magic("llm", "--prompt p -o out")
        said = [json.dumps(body["messages"]) for body in asked()]
        assert ["Say hello." in s for s in said] == [True, False, True]
        assert "Shout hello!" in said[1]
        assert all("Be brief." in s for s in said)
        assert shell.user_ns["out"].text == "fine"

    def test_a_name_without_a_value_is_said(self, asked):
        lp.save_prompt("p", form())
        with pytest.raises(TemplateError, match="word"):
            lp.ask(lp.prompt("p"), variables={})


PROMPTY = """\
---
name: Basic Prompt
description: A basic prompt
authors:
  - somebody
model:
  api: chat
  configuration:
    type: openai
    name: gpt-4o
    api_key: ${env:OPENAI_API_KEY}
  parameters:
    max_tokens: 128
    temperature: 0.2
    response_format:
      type: json_object
sample:
  firstName: Jane
---
system:
You are an assistant.

# Customer
You are helping {{firstName}}.

user:
{{question}}
"""


class TestFiles:
    def test_a_file_of_the_format_is_read(self, tmp_path):
        path = tmp_path / "basic.prompty"
        path.write_text(PROMPTY)
        found = lp.prompt_from_file(path)
        assert (found.name, found.note, found.model) == (
            "Basic Prompt",
            "A basic prompt",
            "openai:gpt-4o",
        )
        assert found.system == "You are an assistant.\n\n# Customer\nYou are helping {{firstName}}."
        assert str(found) == "{{question}}"
        assert found.parameters == Parameters(
            max_tokens=128, temperature=0.2, extra={"response_format": {"type": "json_object"}}
        )

    def test_a_file_is_saved_asked_and_written_again(self, asked, tmp_path):
        path = tmp_path / "basic.prompty"
        path.write_text(PROMPTY)
        lp.save_prompt("basic", lp.prompt_from_file(path))
        saved = lp.prompt("basic")
        path.write_text(saved.to_prompty())
        again = lp.prompt_from_file(path)
        assert again.request == saved.request
        assert again.request.prompt_hash() == saved.request.prompt_hash()
        lp.ask(again, variables={"firstName": "Ada", "question": "Why?"})
        assert "You are helping Ada." in json.dumps(asked())

    @settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["user", "assistant", "system"]),
                st.one_of(
                    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1),
                    st.text(alphabet="{}%#' \n\r\tab\\:", min_size=1),
                    st.sampled_from(["user:", " # System :", "{{ x }}", "{{a.b}}", "{% if %}"]),
                ),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_whatever_text_is_written_is_read_as_it_was(self, turns):
        messages = (*(turn(text, role) for role, text in turns), turn("the end"))
        prompt = lp.Prompt(messages, Parameters(top_p=0.5, stop=("a", "b")), "openai:gpt-4o")
        again = read(prompt.to_prompty())
        assert again.messages == messages
        assert again.parameters == prompt.parameters
        assert again.model == prompt.model

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("just text", "no .prompty file"),
            ("---\nname: [\n---\nuser:\nhi\n", "YAML"),
            ("---\nname: x\n---\nsystem:\nhi\n", "no user prompt"),
            ("---\n---\nuser:\n{% for x in y %}hi{% endfor %}\n", "more of Jinja"),
            ("---\n---\nuser:\n{{ item.name }}\n", "more of Jinja"),
            ("---\n---\nuser:\n{{ '\\x' }}\n", "no quoted text"),
            ("---\nmodel:\n  parameters:\n    stop: 3\n---\nuser:\nhi\n", "stop"),
        ],
    )
    def test_what_cannot_be_read_is_said_in_one_line(self, tmp_path, text, said):
        path = tmp_path / "bad.prompty"
        path.write_text(text)
        with pytest.raises(ConfigError, match=said) as error:
            lp.prompt_from_file(path)
        assert "bad.prompty" in str(error.value)
        assert "\n" not in str(error.value)

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            lp.prompt_from_file(tmp_path / "none.prompty")

    def test_pictures_do_not_go_into_a_file(self):
        picture = lp.ImagePart("image/png", b"x")
        prompt = lp.Prompt((Message("user", (picture, TextPart("what?"))),))
        with pytest.raises(ConfigError, match="pictures"):
            prompt.to_prompty()

    @pytest.mark.parametrize(
        ("model", "resolved"),
        [
            ("model: gpt-4o", "openai:gpt-4o"),
            (
                "model: {id: claude-x, provider: anthropic, options: {top_p: 0.5}}",
                "anthropic:claude-x",
            ),
            ("model: {configuration: {type: azure_openai, azure_deployment: mine}}", None),
            ("model: {configuration: {type: openai, name: '${env:M}'}}", None),
            ("model: {configuration: {name: nobody-knows}}", None),
        ],
    )
    def test_a_model_is_taken_where_it_is_known(self, model, resolved):
        assert read(f"---\n{model}\n---\nuser:\nhi\n").model == resolved
