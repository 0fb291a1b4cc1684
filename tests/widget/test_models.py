"""The model picker from Python: the models it shows, and keys, which it does not keep."""

import logging
import socket

import pytest

import llm_playground as lp
from llm_playground import config, errors
from llm_playground.catalog import models
from llm_playground.config import credentials
from llm_playground.widget import controls
from tests.widget.panels import until
from tests.widget.test_parameters import ask

KEY = "-".join(["sk", "planted", "for", "this", "test"])


@pytest.fixture
def closed_url():
    """An address where no server listens, and none can begin to while a test uses it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}/v1"


@pytest.fixture
def pg(home, closed_url, monkeypatch):
    """A playground that knows its models, where no server listens at the known ports."""
    lp.configure(endpoints=dict.fromkeys(["ollama", "lmstudio", "llama.cpp", "vllm"], closed_url))
    made = lp.Playground(models=["local"], prompt="Hi")
    until(lambda: made.choices)
    yield made
    made.close()


@pytest.fixture
def openai(closed_url, monkeypatch):
    """An OpenAI that is not there, so that no key goes anywhere."""
    monkeypatch.setenv("OPENAI_BASE_URL", closed_url)


def offered(pg, model):
    return next(choice for choice in pg.choices if choice["model"] == model)


def test_choice_has_the_facts_of_a_model(pg):
    known = offered(pg, "openai:gpt-4o")

    assert (known["vendor"], known["price"], known["context"]) == ("OpenAI", "$2.50/$10", "128k")
    assert known["badges"] == ["vision", "tools"]
    assert "GPT-4o" in known["about"]
    assert len(known["about"]) <= 110


def test_marks_local_and_unavailable_models(pg):
    local = offered(pg, "local:smollm2-135m-instruct")

    assert (local["where"], local["available"], local["price"]) == ("in this kernel", True, "free")
    assert offered(pg, "openai:gpt-4o")["reason"] == "no key"
    assert pg.unusable["openai"]["line"] == (
        "No key for OpenAI. Put OPENAI_API_KEY in .env or the environment."
    )
    assert pg.unusable["openai"]["wants_key"]


def test_marks_servers_of_this_machine():
    served = models.Choice("ollama:x", "ollama:x", "ollama", True, None, None, None, None)

    assert controls.model_choices([served])[0]["where"] == "on this machine"


def test_malformed_key_is_explained(pg, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "my key")

    pg.refresh_models()

    assert pg.unusable["openai"]["line"] == (
        "OPENAI_API_KEY (from environment) is not a key of OpenAI."
    )


def test_check_keys_finds_a_key_without_a_restart(pg, openai, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reply = ask(pg, "check_keys", provider="openai")
    assert reply["value"] == "There is still no key for OpenAI."
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n", "utf-8")

    reply = ask(pg, "check_keys", provider="openai")

    assert reply["value"] == "A key for OpenAI was found."
    assert "openai" not in pg.unusable
    assert offered(pg, "openai:gpt-4o")["available"]


class TestATypedKey:
    def test_is_set_for_this_kernel(self, pg, openai):
        reply = ask(pg, "set_key", provider="openai", key=f" {KEY} ")

        assert reply["value"] == "The key for OpenAI is set for this kernel."
        assert credentials.key("openai") == KEY
        assert credentials.key_status("openai").source == "this kernel"
        assert "openai" not in pg.unusable
        assert offered(pg, "openai:gpt-4o")["available"]

    def test_is_in_no_trait_reply_or_log_line(self, pg, openai, caplog):
        caplog.set_level(logging.DEBUG)

        reply = ask(pg, "set_key", provider="openai", key=KEY)
        until(lambda: any(c["available"] for c in pg.choices if c["provider"] == "openai"))

        assert KEY not in str(pg.get_state())
        assert KEY not in str(reply)
        assert KEY not in caplog.text

    @pytest.mark.parametrize("typed", ["", "nonsense-" * 5, f"{KEY} {KEY}"])
    def test_is_not_repeated_when_it_is_refused(self, pg, typed):
        reply = ask(pg, "set_key", provider="openai", key=typed)

        assert "value" not in reply
        assert not typed or typed not in reply["error"]
        assert credentials.key_status("openai").status == "missing"

    def test_needs_a_known_provider(self, pg):
        reply = ask(pg, "set_key", provider="unknown", key=KEY)

        assert reply["error"].startswith("No provider is called 'unknown'.")
        assert config.rows().get("unknown") is None


def test_refuses_a_model_in_place_of_the_name(home):
    with pytest.raises(errors.InvalidParameterError, match=r'Playground\(models="openai:gpt-4o"\)'):
        lp.Playground("openai:gpt-4o", prompt="Hi")


@pytest.mark.parametrize("name", ["review: second draft", "q3:invoices", "openai: summaries"])
def test_name_may_have_a_colon(home, name):
    pg = lp.Playground(name, prompt="Hi")

    assert pg.name == name
    pg.close()
