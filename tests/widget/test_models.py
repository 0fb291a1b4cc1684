"""The model picker from Python: the models it shows, and keys, which it does not keep."""

import logging
import socket

import pytest

import llm_playground as lp
from llm_playground import config, errors
from llm_playground.catalog import models
from llm_playground.config import credentials
from llm_playground.widget import controls
from tests.providers.server import WireServer, json_reply
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


def test_names_every_provider_with_or_without_a_key(pg):
    assert set(pg.providers) == {name for name in config.rows() if config.may_ask(name)}
    assert pg.providers["deepseek"] == {"vendor": "DeepSeek", "note": ""}
    assert pg.providers["ollama"]["note"] == "no server answers"
    assert pg.unusable["deepseek"]["wants_key"]


class TestAnAnswerThatFailedForAKey:
    def ended(self, pg):
        until(lambda: not pg.running and pg.answers.ended())
        _, snapshot = pg.answers.changes_and_snapshot()
        return {pane["number"]: pane for pane in snapshot}

    def test_a_missing_key_is_mended_in_its_pane(self, home, closed_url, monkeypatch):
        made = lp.Playground(models=["deepseek:a", "deepseek:b", "groq:c"], prompt="Hi")
        made.run()
        first = self.ended(made)[1]
        line = "No key for DeepSeek. Put DEEPSEEK_API_KEY in .env or the environment."
        assert first["notices"] == [line]
        assert (first["key"]["provider"], first["key"]["vendor"]) == ("deepseek", "DeepSeek")
        assert "retry" not in first["key"]

        ask(made, "set_key", provider="deepseek", key=KEY)

        panes = self.ended(made)
        assert [panes[n]["key"].get("retry") for n in (1, 2, 3)] == [[1, 2], [1, 2], None]
        assert [len(panes[n]["notices"]) for n in (1, 2, 3)] == [0, 0, 1]
        assert KEY not in str(panes)
        made.close()

    def test_a_refused_key_names_its_source_and_is_not_found_again(self, home, monkeypatch):
        refusal = json_reply(401, {"error": {"message": "Incorrect API key provided"}})
        with WireServer(refusal) as server:
            monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
            monkeypatch.setenv("OPENAI_API_KEY", KEY)
            made = lp.Playground(models=["openai:gpt-4o"], prompt="Hi")
            made.run()
            pane = self.ended(made)[1]
            said = f"It came from the environment and ends in …{KEY[-3:]}."
            assert pane["notices"][0].endswith(f"refused the key (401). {said}")

            reply = ask(made, "check_keys", provider="openai")
            assert (
                reply["value"] == "The key for OpenAI is still the refused one (from environment)."
            )
            assert "retry" not in self.ended(made)[1]["key"]
            monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}-new")
            reply = ask(made, "check_keys", provider="openai")
            assert reply["value"] == "A key for OpenAI was found."
            assert self.ended(made)[1]["key"]["retry"] == [1]
            made.close()
