"""Saved prompts: versions, calls, and .prompty files."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import config
from llm_playground.errors import ConfigError, InvalidParameterError, TemplateError
from llm_playground.parts import TextPart
from llm_playground.request.prompty import from_text
from llm_playground.request.templates import fill, names
from llm_playground.types import Message, Parameters
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.reports.shelf import add

KEY = "sk" + "-" + "planted" * 4


@pytest.fixture
def sent_bodies(log, monkeypatch):
    """A function that returns the request bodies sent to a scripted endpoint."""
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


def has_no_expression(text):
    try:
        fill(text, dict.fromkeys(names(text), ""))
    except TemplateError:
        return False
    return True


class TestVersions:
    def test_same_content_is_the_same_version(self, log):
        assert lp.save_prompt("greet", form("Say hello.")) == 1
        assert lp.save_prompt("greet", form("Say hello."), note="again") == 1
        assert lp.save_prompt("greet", form("Say hi."), note="shorter") == 2
        assert lp.save_prompt("greet", form("Say hello.")) == 3
        assert lp.save_prompt("other", form("Say hello.")) == 1

    def test_newest_and_exact_versions(self, log):
        lp.save_prompt("greet", form("one"))
        lp.save_prompt("greet", form("two"), note="why")
        assert str(lp.prompt("greet")) == "two"
        assert str(lp.prompt("greet@1")) == "one"
        newest = lp.prompt("greet@2")
        assert (newest.name, newest.version, newest.note) == ("greet", 2, "why")
        assert newest.username == config.username()
        assert newest.created_at.tzinfo is not None

    def test_playground_is_saved_with_placeholders(self, log):
        lp.save_prompt("p", form(system="Be {{mood}}.", temperature=0.5, max_tokens=9))
        found = lp.prompt("p")
        assert (found.system, str(found), found.model) == (
            "Be {{mood}}.",
            "Say {{word}}.",
            "openai:gpt-4o",
        )
        assert found.parameters == Parameters(temperature=0.5, max_tokens=9)

    def test_run_is_saved_as_sent(self, sent_bodies):
        earlier = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        run = lp.ask("c", "openai:gpt-4o", system="s", messages=earlier, top_p=0.5)
        assert lp.save_prompt("talk", run) == lp.save_prompt("talk", run.id) == 1
        found = lp.prompt("talk")
        assert texts(found) == [("system", "s"), ("user", "a"), ("assistant", "b"), ("user", "c")]
        assert found.model == run.model
        assert found.parameters == Parameters(top_p=0.5)

    def test_saved_prompt_survives_a_purge(self, log):
        run = add(log, question="kept")
        lp.save_prompt("p", run)
        lp.purge("0d", dry_run=False)
        lp.purge("0d", keep="nothing", dry_run=False)
        assert str(lp.prompt("p")) == "kept"

    def test_compressed_prompt_is_found(self, log):
        run = add(log, question="kept")
        lp.purge("0d", dry_run=False)
        lp.save_prompt("p", run)
        assert str(lp.prompt("p")) == "kept"

    def test_run_without_text_cannot_be_saved(self, log):
        run = add(log, question="gone")
        lp.purge(run=run, keep="metrics", dry_run=False)
        with pytest.raises(InvalidParameterError, match="not stored"):
            lp.save_prompt("p", run)

    def test_keys_are_not_saved(self, log):
        lp.save_prompt("p", form(f"use {KEY}"))
        everything = log.frame("SELECT * FROM prompts").to_csv()
        assert KEY not in everything

    def test_lists_all_versions(self, log):
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
    def test_invalid_names(self, log, name):
        with pytest.raises(InvalidParameterError, match="name"):
            lp.save_prompt(name, form())

    def test_unknown_names_and_versions(self, log):
        lp.save_prompt("greeting", form())
        for wrong, expected in [
            ("greetign", "Did you mean greeting"),
            ("zzz", "lp.prompts"),
            ("greeting@7", "versions 1 to 1"),
            ("greeting@x", "name@3"),
            (3, "name@3"),
        ]:
            with pytest.raises(InvalidParameterError, match=expected):
                lp.prompt(wrong)

    def test_other_objects_cannot_be_saved(self, log):
        for wrong in (3, None, ["x"]):
            with pytest.raises(InvalidParameterError, match="can be saved"):
                lp.save_prompt("p", wrong)
        with pytest.raises(InvalidParameterError, match="no-such"):
            lp.save_prompt("p", "no-such")


class TestCalls:
    def test_call_uses_everything_saved(self, sent_bodies):
        lp.save_prompt("p", form(system="Be brief.", temperature=0.5))
        run = lp.ask(lp.prompt("p"), variables={"word": "hello"})
        [body] = sent_bodies()
        assert run.model == "openai:gpt-4o"
        assert body["temperature"] == 0.5
        assert [m["role"] for m in body["messages"]] == ["system", "user"]
        assert "Say hello." in json.dumps(body["messages"])

    def test_arguments_take_precedence(self, sent_bodies):
        lp.save_prompt("p", form(system="Be brief.", temperature=0.5, max_tokens=5))
        hello = {"variables": {"word": "hello"}}
        lp.ask(lp.prompt("p"), "openai:gpt-4.1", system="Be kind.", temperature=0.1, **hello)
        lp.ask(lp.prompt("p"), preset="creative", **hello)
        first, second = sent_bodies()
        assert (first["model"], first["temperature"]) == ("gpt-4.1", 0.1)
        assert "Be kind." in json.dumps(first)
        assert "Be brief." not in json.dumps(first)
        assert second["temperature"] == 1.0

    def test_compare_versions(self, sent_bodies):
        lp.save_prompt("p", form("one"))
        lp.save_prompt("p", form("two"))
        compared = lp.compare([lp.prompt("p@1"), lp.prompt("p@2")], "openai:gpt-4o")
        assert compared.prompts == ("one", "two")
        assert lp.compare(lp.prompt("p"), "openai:gpt-4o").prompts == ("two",)

    def test_cell_magic_fills_placeholders(self, sent_bodies):
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "llm_playground")
        shell.user_ns["word"] = "hello"
        lp.save_prompt("p", form(system="Be brief."))
        shell.run_cell_magic("llm", "--prompt p@1 -o out", "\n")
        shell.run_cell_magic("llm", "--prompt p -o out", "Shout {{word}}!\n")
        shell.run_line_magic("llm", "--prompt p -o out")
        sent = [json.dumps(body["messages"]) for body in sent_bodies()]
        assert ["Say hello." in s for s in sent] == [True, False, True]
        assert "Shout hello!" in sent[1]
        assert all("Be brief." in s for s in sent)
        assert shell.user_ns["out"].text == "fine"

    def test_missing_value_of_a_placeholder(self, sent_bodies):
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
    def test_reads_a_file(self, tmp_path):
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

    def test_file_round_trip(self, sent_bodies, tmp_path):
        path = tmp_path / "basic.prompty"
        path.write_text(PROMPTY)
        lp.save_prompt("basic", lp.prompt_from_file(path))
        saved = lp.prompt("basic")
        path.write_text(saved.to_prompty())
        again = lp.prompt_from_file(path)
        assert again.request == saved.request
        assert again.request.prompt_hash() == saved.request.prompt_hash()
        lp.ask(again, variables={"firstName": "Ada", "question": "Why?"})
        assert "You are helping Ada." in json.dumps(sent_bodies())

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["user", "assistant", "system"]),
                st.one_of(
                    st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1),
                    st.text(alphabet="{}%#' \n\r\tab\\:", min_size=1),
                    st.sampled_from(["user:", " # System :", "{{ x }}", r"\{{a.b}}", "{% if %}"]),
                ).filter(has_no_expression),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def test_any_text_round_trips(self, turns):
        messages = (*(turn(text, role) for role, text in turns), turn("the end"))
        prompt = lp.Prompt(messages, Parameters(top_p=0.5, stop=("a", "b")), "openai:gpt-4o")
        again = from_text(prompt.to_prompty())
        assert again.messages == messages
        assert again.parameters == prompt.parameters
        assert again.model == prompt.model

    def test_an_expression_which_no_template_can_fill_becomes_text(self):
        prompt = lp.Prompt((turn("Say {{a.b}} to {{name}}."),))
        assert str(from_text(prompt.to_prompty())) == r"Say \{{a.b}} to {{name}}."

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("just text", "not a .prompty file"),
            ("---\nname: [\n---\nuser:\nhi\n", "YAML"),
            ("---\nname: x\n---\nsystem:\nhi\n", "no user prompt"),
            ("---\n---\nuser:\n{% for x in y %}hi{% endfor %}\n", "Of Jinja, use only"),
            ("---\n---\nuser:\n{{ item.name }}\n", "Of Jinja, use only"),
            ("---\n---\nuser:\n{{ '\\x' }}\n", "not quoted text"),
            ("---\nmodel:\n  parameters:\n    stop: 3\n---\nuser:\nhi\n", "stop"),
        ],
    )
    def test_unreadable_files(self, tmp_path, text, expected):
        path = tmp_path / "bad.prompty"
        path.write_text(text)
        with pytest.raises(ConfigError, match=expected) as error:
            lp.prompt_from_file(path)
        assert "bad.prompty" in str(error.value)
        assert "\n" not in str(error.value)

    def test_missing_file(self, tmp_path):
        with pytest.raises(ConfigError, match="cannot be read"):
            lp.prompt_from_file(tmp_path / "none.prompty")

    def test_images_cannot_be_written(self):
        picture = lp.ImagePart("image/png", b"x")
        prompt = lp.Prompt((Message("user", (picture, TextPart("what?"))),))
        with pytest.raises(ConfigError, match="images"):
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
            ("model: {configuration: {name: unlisted-model}}", None),
        ],
    )
    def test_model_of_a_file(self, model, resolved):
        assert from_text(f"---\n{model}\n---\nuser:\nhi\n").model == resolved
