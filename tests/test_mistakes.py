"""What people mistype, and the one line each gets: what is wrong, then what to write."""

import asyncio
import inspect
import os
import re
import subprocess
import sys

import pytest

import llm_playground as lp
from llm_playground import catalog, config, credentials
from tests.wire.server import WireServer, json_reply

KEY = "sk-" + "planted" * 4


@pytest.fixture(autouse=True)
def as_it_was(home, monkeypatch):
    """What a test configures is gone after it."""
    monkeypatch.setattr(config, "_settings", config._settings)
    monkeypatch.setattr(credentials, "_set_here", {})


def line_of(call, *args, **kwargs):
    """The one line that a wrong call gets."""
    with pytest.raises(lp.ConfigError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestTheModel:
    @pytest.mark.parametrize(
        ("typed", "said"),
        [
            (5, "model is 5; it takes a name such as"),
            ("", "model is ''; it takes a name such as"),
            (["local", "openai:x"], "model takes one name; for several use lp.compare."),
            ("opnai:x", "Did you mean openai:x?"),
            ("OpenAI:x", "Did you mean openai:x?"),
            ("openai:", "The model's name is missing after 'openai:'."),
            ("openai", "Write openai:NAME"),
            ("nobody-at-all:x", 'lp.configure(endpoints={"mine": "http://host:port/v1"}) adds'),
        ],
    )
    def test_is_said_with_what_to_write(self, typed, said):
        line = line_of(lp.ask, "hi", typed)

        assert said in line
        assert "groq" not in line, "not all there are"

    def test_is_looked_for_among_the_newest_that_stay(self):
        stay = [
            c.model for c in catalog.choices() if c.provider == "anthropic" and not c.deprecated
        ]

        assert f"Closest: {', '.join(stay[:3])}." in line_of(lp.ask, "hi", "claude")

    def test_is_said_with_the_variable_that_names_it(self, monkeypatch):
        monkeypatch.setenv("LLM_PLAYGROUND_MODEL", "opnai:x")

        assert line_of(lp.ask, "hi").startswith("LLM_PLAYGROUND_MODEL is 'opnai:x'.")
        assert "LLM_PLAYGROUND_MODEL" not in line_of(lp.ask, "hi", "opnai:y")

    def test_is_said_once_in_a_script(self):
        done = subprocess.run(
            [sys.executable, "-c", "import llm_playground as lp; lp.ask('hi', 'opnai:x')"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

        assert done.stderr.count("Did you mean openai:x?") == 1
        assert "During handling" not in done.stderr

    def test_is_checked_where_it_becomes_the_default(self):
        assert "Did you mean openai:x?" in line_of(lp.configure, model="opnai:x")
        assert "model is 5" in line_of(lp.configure, model=5)
        assert config.default_model() == "local"

    def test_may_be_of_an_endpoint_that_is_added_with_it(self):
        lp.configure(endpoints={"my_lab": "http://127.0.0.1:9/v1"}, model="my_lab:any")

        assert config.default_model() == "my_lab:any"


class TestTheArguments:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"n": 3}, "lp.compare(..., n=3)"),
            ({"timeout": 1}, "lp.configure(timeout_s=...)"),
            ({"timeout_s": 1}, "lp.configure(timeout_s=...)"),
            ({"stream": True}, "lp.stream(...)"),
            ({"image": "cat.png"}, "Did you mean images?"),
            ({"modle": "local"}, "Did you mean model?"),
            ({"tempature": 1}, "Did you mean temperature?"),
            ({"zzz": 1}, "There are temperature,"),
        ],
    )
    def test_of_ask_are_looked_for_among_all(self, given, said):
        assert said in line_of(lp.ask, "hi", "local", **given)

    @pytest.mark.parametrize(
        ("verb", "given", "said"),
        [
            (lp.compare, {"models": "local", "vairables": {}}, "Did you mean variables?"),
            (lp.estimate, {"image": "cat.png"}, "Did you mean images?"),
            (lp.ask_with_tools, {"max_round": 3}, "Did you mean max_rounds?"),
        ],
    )
    def test_of_other_verbs_too(self, verb, given, said):
        assert said in line_of(verb, "hi", **given)

    @pytest.mark.parametrize(
        ("call", "given", "said"),
        [
            (lp.configure, {"timeot_s": 3}, "configure has no 'timeot_s'. Did you mean timeout_s?"),
            (lp.Playground, {"tempature": 0.2}, "Did you mean temperature?"),
            (lp.Playground, {"model": "local"}, "Did you mean models?"),
        ],
    )
    def test_that_are_a_signatures_own_are_looked_for_in_it(self, call, given, said):
        assert said in line_of(call, **given)

    def test_too_many_by_place_name_the_verb_that_was_called(self):
        said = "too many positional arguments. It takes prompt and model by place"
        assert line_of(lp.ask, "t", "local", "sys").startswith(f"ask: {said}")
        assert line_of(lp.ask_with_tools, "t", "local", "sys").startswith(f"ask_with_tools: {said}")
        asking = lp.complete("t", "local", "sys")
        assert line_of(asyncio.run, asking).startswith(f"complete: {said}")

    def test_are_still_shown_by_help(self):
        assert "timeout_s" in inspect.signature(lp.configure).parameters
        assert "models" in inspect.signature(lp.Playground).parameters

    @pytest.mark.parametrize(
        ("verb", "given", "said"),
        [
            (lp.compare, {"models": "local", "n": "3"}, "n is '3';"),
            (lp.compare, {"models": "local", "iterations": "3"}, "iterations is '3';"),
            (lp.estimate, {"n": "a"}, "n is 'a';"),
            (lp.ask, {"system": 5}, "system is text; got int."),
        ],
    )
    def test_are_named_as_they_were_given(self, verb, given, said):
        assert line_of(verb, "hi", **given).startswith(said)


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "said"),
        [("5", "timeout_s is '5';"), ({"total": "5"}, "timeout_s['total'] is '5';")],
    )
    def test_a_time_out_is_named(self, setting, said):
        assert line_of(lp.configure, timeout_s=setting).startswith(said)

    def test_a_key_that_is_no_text_is_not_repeated(self):
        assert line_of(lp.set_key, "anthropic", 52) == "Not set: a key is text; got int."

    def test_a_key_that_an_own_endpoint_wants_is_said_with_the_setting(self):
        with WireServer(json_reply(401, {"error": {"message": "No"}})) as server:
            lp.configure(endpoints={"my_lab": f"{server.url}/v1"})
            with pytest.raises(lp.AuthenticationError) as caught:
                lp.ask("hi", "my_lab:any")

        setting = 'lp.configure(endpoints={"my_lab": {"key_variable": "NAME"}})'
        assert str(caught.value).endswith(f"None is set. Say which variable holds it: {setting}.")

    def test_an_endpoints_name_may_have_underscores_and_the_line_says_so(self):
        assert "underscores" in line_of(lp.configure, endpoints={"my lab": "http://x/v1"})

    @pytest.mark.parametrize(
        ("url", "said"),
        [
            (
                "127.0.0.1:8917",
                "OPENAI_BASE_URL is 127.0.0.1:8917; write it as http://host:port/v1.",
            ),
            ("llm.example.org/v1", "OPENAI_BASE_URL is llm.example.org/v1; write it as"),
            (
                f"me:{KEY}@127.0.0.1:1",
                "OPENAI_BASE_URL cannot be used: it does not begin with http",
            ),
            (
                "correct-horse-battery",
                "OPENAI_BASE_URL cannot be used: it does not begin with http",
            ),
            ("http://me:horse@x/v1", "OPENAI_BASE_URL cannot be used: a user name or a password"),
        ],
    )
    def test_a_base_url_is_named_by_its_variable_and_never_with_a_secret(
        self, monkeypatch, url, said
    ):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        line = line_of(lp.ask, "hi", "openai:any")

        assert line.startswith(said)
        assert not re.search("planted|horse", line)
