"""Error messages for common mistakes: one line that says what to write."""

import asyncio
import inspect
import os
import re
import subprocess
import sys

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.catalog import models
from tests.providers.server import WireServer, json_reply

KEY = "sk-" + "planted" * 4


pytestmark = pytest.mark.usefixtures("home")


def line_of(call, *args, **kwargs):
    """The message of the ConfigError that a call raises."""
    with pytest.raises(lp.ConfigError) as caught:
        call(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class TestModel:
    @pytest.mark.parametrize(
        ("typed", "expected"),
        [
            (5, "model is 5; it takes a name such as"),
            ("", "model is ''; it takes a name such as"),
            (["local", "openai:x"], "model takes one name; for several use lp.compare."),
            ("opnai:x", "Did you mean openai:x?"),
            ("locl", "Did you mean local?"),
            ("Local", "Did you mean local?"),
            ("lokal", "Did you mean local?"),
            ("loca", "Did you mean local?"),
            ("locals", "Did you mean local?"),
            ("OpenAI:x", "Did you mean openai:x?"),
            ("openai:", "The model's name is missing after 'openai:'."),
            ("openai", "Write openai:NAME"),
            ("qqqq:x", 'lp.configure(endpoints={"qqqq": "http://host:port/v1"}) adds'),
        ],
    )
    def test_suggests_a_name(self, typed, expected):
        line = line_of(lp.ask, "hi", typed)

        assert expected in line
        assert "groq" not in line, "lists only close names"

    def test_suggests_newest_models(self):
        stay = [c.model for c in models.choices() if c.provider == "anthropic" and not c.deprecated]

        assert f"Closest: {', '.join(stay[:3])}." in line_of(lp.ask, "hi", "claude")

    def test_names_the_variable(self, monkeypatch):
        monkeypatch.setenv("LLM_PLAYGROUND_MODEL", "opnai:x")

        assert line_of(lp.ask, "hi").startswith("LLM_PLAYGROUND_MODEL is 'opnai:x'.")
        assert "LLM_PLAYGROUND_MODEL" not in line_of(lp.ask, "hi", "opnai:y")

    def test_prints_one_traceback_in_a_script(self):
        done = subprocess.run(
            [sys.executable, "-c", "import llm_playground as lp; lp.ask('hi', 'opnai:x')"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )

        assert done.stderr.count("Did you mean openai:x?") == 1
        assert "During handling" not in done.stderr

    def test_default_model_is_checked(self):
        assert "Did you mean openai:x?" in line_of(lp.configure, model="opnai:x")
        assert "model is 5" in line_of(lp.configure, model=5)
        assert config.default_model() == "local"

    def test_default_model_of_a_new_endpoint(self):
        lp.configure(endpoints={"my_lab": "http://127.0.0.1:9/v1"}, model="my_lab:any")

        assert config.default_model() == "my_lab:any"


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ({"n": 3}, "lp.compare(..., n=3)"),
            ({"timeout": 1}, "lp.configure(timeout_s=...)"),
            ({"timeout_s": 1}, "lp.configure(timeout_s=...)"),
            ({"stream": True}, "lp.stream(...)"),
            ({"image": "cat.png"}, "Did you mean images?"),
            ({"modle": "local"}, "Did you mean model?"),
            ({"tempature": 1}, "Did you mean temperature?"),
            ({"zzz": 1}, "Available: temperature,"),
        ],
    )
    def test_ask_suggests_arguments(self, arguments, expected):
        assert expected in line_of(lp.ask, "hi", "local", **arguments)

    @pytest.mark.parametrize(
        ("verb", "arguments", "expected"),
        [
            (lp.compare, {"models": "local", "vairables": {}}, "Did you mean variables?"),
            (lp.estimate, {"image": "cat.png"}, "Did you mean images?"),
            (lp.ask_with_tools, {"max_round": 3}, "Did you mean max_rounds?"),
        ],
    )
    def test_other_functions_suggest_arguments(self, verb, arguments, expected):
        assert expected in line_of(verb, "hi", **arguments)

    @pytest.mark.parametrize(
        ("call", "arguments", "expected"),
        [
            (lp.configure, {"timeot_s": 3}, "configure has no 'timeot_s'. Did you mean timeout_s?"),
            (lp.Playground, {"tempature": 0.2}, "Did you mean temperature?"),
            (lp.Playground, {"model": "local"}, "Did you mean models?"),
        ],
    )
    def test_configure_and_playground_suggest_arguments(self, call, arguments, expected):
        assert expected in line_of(call, **arguments)

    def test_too_many_positional_arguments(self):
        expected = "too many positional arguments. Only prompt and model can be positional"
        assert line_of(lp.ask, "t", "local", "sys").startswith(f"ask: {expected}")
        assert line_of(lp.ask_with_tools, "t", "local", "sys").startswith(
            f"ask_with_tools: {expected}"
        )
        coroutine = lp.complete("t", "local", "sys")
        assert line_of(asyncio.run, coroutine).startswith(f"complete: {expected}")

    def test_signatures_are_preserved(self):
        assert "timeout_s" in inspect.signature(lp.configure).parameters
        assert "models" in inspect.signature(lp.Playground).parameters

    @pytest.mark.parametrize(
        ("verb", "arguments", "expected"),
        [
            (lp.compare, {"models": "local", "n": "3"}, "n is '3';"),
            (lp.compare, {"models": "local", "iterations": "3"}, "iterations is '3';"),
            (lp.estimate, {"n": "a"}, "n is 'a';"),
            (lp.ask, {"system": 5}, "system is text; got int."),
        ],
    )
    def test_messages_use_the_argument_name(self, verb, arguments, expected):
        assert line_of(verb, "hi", **arguments).startswith(expected)


class TestSettings:
    @pytest.mark.parametrize(
        ("setting", "expected"),
        [("5", "timeout_s is '5';"), ({"total": "5"}, "timeout_s['total'] is '5';")],
    )
    def test_invalid_timeouts(self, setting, expected):
        assert line_of(lp.configure, timeout_s=setting).startswith(expected)

    def test_invalid_key_is_not_repeated(self):
        assert line_of(lp.set_key, "anthropic", 52) == "Not set: a key is text; got int."

    def test_missing_key_of_an_own_endpoint(self):
        with WireServer(json_reply(401, {"error": {"message": "No"}})) as server:
            lp.configure(endpoints={"my_lab": f"{server.url}/v1"})
            with pytest.raises(lp.AuthenticationError) as caught:
                lp.ask("hi", "my_lab:any")

        setting = 'lp.configure(endpoints={"my_lab": {"key_variable": "NAME"}})'
        assert str(caught.value).endswith(f"None is set. Say which variable holds it: {setting}.")

    def test_invalid_endpoint_name(self):
        assert "underscores" in line_of(lp.configure, endpoints={"my lab": "http://x/v1"})

    @pytest.mark.parametrize(
        ("url", "expected"),
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
            (
                "http://me:horse@x/v1",
                "OPENAI_BASE_URL cannot be used: it contains a user name or a password",
            ),
        ],
    )
    def test_invalid_base_urls_without_secrets(self, monkeypatch, url, expected):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", url)

        line = line_of(lp.ask, "hi", "openai:any")

        assert line.startswith(expected)
        assert not re.search("planted|horse", line)
