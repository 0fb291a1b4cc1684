"""A key that is typed into a field reaches no state, message, file, log or request."""

import contextlib
import json

import pytest

import llm_playground as lp
from llm_playground import rendering
from llm_playground.widget.traits import FORM, Panel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.test_tool_use import calling
from tests.widget import panels
from tests.widget.panels import until

closed = panels.closed
KEY = "hf" + "_" + "aB3dE6gH9jK2mN5pQ8sT" * 2
USED = "-".join(["odd", "planted", "4e1b", "90d2"])  # of no vendor's form
pytestmark = pytest.mark.usefixtures("closed")

VALUES = {
    "models": lambda key: [f"openai:{key}"],
    "turns": lambda key: [{"role": "user", "content": f"say {key}"}],
    "values": lambda key: {"name": key, key: "name"},
    "cases": lambda key: [{"name": key}],
    "images": lambda key: [{"id": "1", "name": key, "url": f"https://example.org/{key}.png"}],
    "files": lambda key: [{"id": "2", "name": key, "url": f"https://example.org/{key}.pdf"}],
}


def value_of(trait, key):
    return VALUES.get(trait, lambda key: f"say {key} now")(key)


def test_each_field_of_the_form_has_a_value_here():
    editable = {
        name
        for name, trait in Panel.class_traits(sync=True).items()
        if trait.metadata.get("echo_update") is False
    }

    assert editable == set(FORM)


@pytest.fixture
def server(home, monkeypatch):
    with WireServer(Reply(openai_stream(["Hi"]))) as running:
        monkeypatch.setenv("OPENAI_API_KEY", USED)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running


@pytest.mark.parametrize("writer", ["view", "code"])
@pytest.mark.parametrize("key", [KEY, USED], ids=["a key", "a key in use"])
@pytest.mark.parametrize("trait", FORM)
def test_a_key_in_a_field_stays_there(server, home, monkeypatch, trait, key, writer):
    panel = lp.Playground("keys", models=["openai:gpt-4o"], prompt="{{name}}")
    sent = []
    monkeypatch.setattr(panel, "_send", lambda *message, **named: sent.append((message, named)))
    monkeypatch.setattr(panel.comm, "send", lambda *message, **named: sent.append((message, named)))
    value = value_of(trait, key)
    if writer == "view":
        panel.set_state({trait: value})
    else:
        setattr(panel, trait, value)
    panel.send_state()
    with contextlib.suppress(lp.LLMError):
        panel.run()
        panel.results  # noqa: B018 - waits for the end
    panel.draft_store.save()
    lp.runs()

    notebook = panel.saved_answers.output()
    shown = [panel.get_state(), sent, notebook, panel.answers.changes_and_snapshot()]
    assert key not in json.dumps(shown, default=repr)
    assert not any(key.encode() in request.body for request in server.requests)
    assert not any(key in request.path for request in server.requests)
    for path in home.rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


def test_a_panels_name_is_no_place_for_a_key_either(server, home):
    panel = lp.Playground(KEY, models=["openai:gpt-4o"], prompt="Hi")
    panel.prompt = "Hello"
    panel.run()
    assert panel.results.status.tolist() == ["completed"]
    panel.draft_store.save()
    until(lambda: panel.saved_count)

    assert KEY not in json.dumps([panel.get_state(), panel.saved_answers.output()], default=repr)
    for path in home.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("key", [KEY, USED], ids=["a key", "a key in use"])
@pytest.mark.parametrize("place", ["name", "arguments", "long arguments"])
def test_a_key_in_a_call_that_a_model_asks_for_is_not_shown(home, monkeypatch, place, key):
    padding = "x" * 1_989 + " " if place == "long arguments" else ""
    name = f"find_{key}" if place == "name" else "find"
    arguments = {} if place == "name" else {padding + key: key}
    with WireServer(calling((name, arguments))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", USED)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        panel = lp.Playground(models=["openai:gpt-4o"], prompt="Hi")
        sent = []
        monkeypatch.setattr(panel, "_send", lambda *message, **_: sent.append(message))
        monkeypatch.setattr(panel.comm, "send", lambda *message, **_: sent.append(message))
        panel.run()
        assert panel.results.status.tolist() == ["completed"]
        run = lp.ask("Hi", "openai:gpt-4o")
        lp.runs()

    assert run.tool_calls[0].name == name
    shown = [sent, panel.answers.changes_and_snapshot(), panel.saved_answers.output()]
    texts = [json.dumps(shown, default=repr), rendering.run_to_html(run), repr(run)]
    texts += [rendering.answer_to_text(run), lp.export(run, "json"), lp.export(run, "markdown")]
    assert not any(key[:12] in text for text in texts)
    for path in home.rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


REFUSED = {
    "tag": lambda key: lp.set_budget(1, tag=key),
    "user": lambda key: lp.set_budget(1, user=f"ada {key}"),
    "model": lambda key: lp.set_budget(1, model=f"openai:{key}"),
    "prompt": lambda key: lp.save_prompt(key, lp.Playground(prompt="Hi", models=["local"])),
    "preset": lambda key: lp.save_preset(key, temperature=0),
}


@pytest.mark.parametrize("key", [KEY[:38], USED], ids=["a key", "a key in use"])
@pytest.mark.parametrize("place", REFUSED)
def test_a_name_that_contains_a_key_is_not_stored(server, home, place, key):
    with pytest.raises(lp.ConfigError, match="contains a key") as error:
        REFUSED[place](key)
    lp.runs()

    assert key not in str(error.value)
    for path in home.rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


def test_notes_and_tags_are_stored_without_keys(server, home):
    run = lp.ask("Hi", "openai:gpt-4o", tags=[f"team {KEY}", USED])
    lp.rate(run, 1, note=f"good {KEY} {USED}")
    lp.save_prompt("hi", run, note=f"from {KEY} {USED}")
    lp.runs()

    for path in home.rglob("*"):
        content = b"" if path.is_dir() else path.read_bytes()
        assert KEY.encode() not in content, path
        assert USED.encode() not in content, path
