"""The picker from Python: what it is told of models, and how a key gets in without being kept."""

import logging
import time

import pytest

import llm_playground as lp
from llm_playground import catalog, config, credentials, errors
from llm_playground.widgets import offers
from tests.widget.test_parameters import ask
from tests.wire.server import Reply, WireServer

KEY = "-".join(["sk", "planted", "for", "this", "test"])


@pytest.fixture
def nobody():
    """An address where nobody listens any more."""
    with WireServer(Reply()) as server:
        return f"{server.url}/v1"


@pytest.fixture
def pg(home, nobody, monkeypatch):
    """A playground that knows its models, where nobody listens at the known ports."""
    monkeypatch.setattr(credentials, "_set_here", {})
    monkeypatch.setattr(catalog, "_live", {})
    lp.configure(endpoints=dict.fromkeys(["ollama", "lmstudio", "llama.cpp", "vllm"], nobody))
    made = lp.Playground(models=["local"], prompt="Hi")
    until(lambda: made.choices)
    yield made
    made.close()


@pytest.fixture
def openai(nobody, monkeypatch):
    """An OpenAI that is not there, so that no key goes anywhere."""
    monkeypatch.setenv("OPENAI_BASE_URL", nobody)


def until(condition, timeout_s=30):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def offered(pg, model):
    return next(choice for choice in pg.choices if choice["model"] == model)


def test_a_model_is_told_with_its_facts(pg):
    known = offered(pg, "openai:gpt-4o")

    assert (known["vendor"], known["price"], known["context"]) == ("OpenAI", "$2.50/$10", "128k")
    assert known["badges"] == ["vision", "tools"]
    assert "GPT-4o" in known["about"]
    assert len(known["about"]) <= 110


def test_local_and_unavailable_ones_are_told_apart(pg):
    local = offered(pg, "local:smollm2-135m-instruct")

    assert (local["where"], local["available"], local["price"]) == ("in this kernel", True, "free")
    assert offered(pg, "openai:gpt-4o")["reason"] == "no key"
    assert pg.unusable["openai"]["line"] == (
        "No key for OpenAI. Put OPENAI_API_KEY in .env or the environment."
    )
    assert pg.unusable["openai"]["wants_key"]


def test_a_server_of_this_machine_says_so():
    served = catalog.Choice("ollama:x", "ollama:x", "ollama", True, None, None, None, None)

    assert offers.offers([served])[0]["where"] == "on this machine"


def test_a_key_that_cannot_be_one_is_named_in_the_line(pg, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "my key")

    pg.look_up_models()

    assert pg.unusable["openai"]["line"] == (
        "OPENAI_API_KEY (from environment) is not a key of OpenAI."
    )


def test_looking_again_finds_a_key_without_a_restart(pg, openai, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reply = ask(pg, "look_for_keys", provider="openai")
    assert reply["value"] == "There is still no key for OpenAI."
    (tmp_path / ".env").write_text(f"OPENAI_API_KEY={KEY}\n", "utf-8")

    reply = ask(pg, "look_for_keys", provider="openai")

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

    def test_stands_in_no_trait_no_reply_and_no_log_line(self, pg, openai, caplog):
        caplog.set_level(logging.DEBUG)

        reply = ask(pg, "set_key", provider="openai", key=KEY)
        until(lambda: any(c["available"] for c in pg.choices if c["provider"] == "openai"))

        assert KEY not in str(pg.get_state())
        assert KEY not in str(reply)
        assert KEY not in caplog.text

    @pytest.mark.parametrize("typed", ["", "nonsense-" * 5, f"{KEY} {KEY}"])
    def test_that_is_none_is_refused_without_repeating_it(self, pg, typed):
        reply = ask(pg, "set_key", provider="openai", key=typed)

        assert "value" not in reply
        assert not typed or typed not in reply["error"]
        assert credentials.key_status("openai").status == "missing"

    def test_needs_a_provider_that_there_is(self, pg):
        reply = ask(pg, "set_key", provider="nobody", key=KEY)

        assert reply["error"].startswith("No provider is called 'nobody'.")
        assert config.rows().get("nobody") is None


def test_a_model_in_the_place_of_the_name_is_refused_with_the_call_that_was_meant(home):
    with pytest.raises(errors.InvalidParameterError, match=r'Playground\(models="openai:gpt-4o"\)'):
        lp.Playground("openai:gpt-4o", prompt="Hi")


@pytest.mark.parametrize("name", ["review: second draft", "q3:invoices", "openai: summaries"])
def test_a_name_may_have_a_colon(home, name):
    pg = lp.Playground(name, prompt="Hi")

    assert pg.name == name
    pg.close()
