"""Colab's model proxy: offered where the kernel has one, absent elsewhere."""

import subprocess
import sys
import types

import pytest

import llm_playground as lp
from llm_playground import _runtime, config
from llm_playground.catalog import listing
from llm_playground.config import credentials
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

TOKEN = "proxy-" + "token-" * 4 + "3Kd"
MODEL = "google/gemini-2.5-flash"


@pytest.fixture
def proxy(home, monkeypatch):
    """A model proxy as Colab's kernels have it."""

    def answer(request):
        if request.path == "/p/models":
            return json_reply(200, {"data": [{"id": MODEL}]})
        return Reply(openai_stream(["A"]))

    monkeypatch.setattr(credentials, "_keys_read", {})
    monkeypatch.setattr(credentials, "_query", None)
    with WireServer(answer) as server:
        monkeypatch.setenv("MODEL_PROXY_HOST", f"{server.url}/p")
        yield server


def test_it_is_absent_elsewhere(home, monkeypatch):
    (home.parent / ".env").write_text("MODEL_PROXY_HOST=http://127.0.0.1:9\n")
    for host in ("", "example.com", "http://user:x@example.com", "http://a/?b", "javascript:x"):
        monkeypatch.setenv("MODEL_PROXY_HOST", host)
        assert "colab" not in config.rows()
        with pytest.raises(lp.UnknownModelError):
            lp.ask("Hi", f"colab:{MODEL}")


def test_its_models_are_listed_and_asked_with_the_token_of_the_page(proxy, monkeypatch):
    asked = []

    def get(name):
        asked.append(name)
        return TOKEN

    page = types.ModuleType("google.colab")
    page.userdata = types.SimpleNamespace(get=get)
    monkeypatch.setitem(sys.modules, "google.colab", page)
    with pytest.raises(lp.MissingKeyError):
        lp.ask("Hi", "openai:gpt-4o")
    assert asked == []  # another provider's key is missing

    listed = _runtime.run(listing.listed(config.rows()["colab"], 60.0))
    run = lp.ask("Hi", f"colab:{MODEL}")

    assert [model.name for model in listed.models] == [MODEL]
    assert asked == ["MODEL_PROXY_API_KEY"]
    assert [request.path for request in proxy.requests] == [
        "/p/models",
        "/p/models/openapi/chat/completions",
    ]
    assert {request.headers["authorization"] for request in proxy.requests} == {f"Bearer {TOKEN}"}
    assert (run.cost_usd, run.price_source) == (0, "free")
    status = credentials.key_status("colab")
    assert (status.source, status.status) == ("Colab", "present")
    assert TOKEN not in lp.export(run, "json")


def test_a_token_of_the_environment_needs_no_page(proxy, monkeypatch):
    monkeypatch.setenv("MODEL_PROXY_API_KEY", TOKEN)
    assert lp.ask("Hi", f"colab:{MODEL}").text == "A"


def test_without_a_token_the_error_says_so(proxy):
    with pytest.raises(lp.MissingKeyError, match="MODEL_PROXY_API_KEY"):
        lp.ask("Hi", f"colab:{MODEL}")
    assert proxy.requests == []


def test_importing_the_package_imports_nothing_of_google():
    code = (
        "import os, sys; os.environ['MODEL_PROXY_HOST'] = 'http://127.0.0.1:9'; "
        "from llm_playground import config; config.rows(); "
        "print([name for name in sys.modules if name.startswith('google.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
