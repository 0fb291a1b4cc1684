"""Where a recorded call went: its provider, its price, and the code that sends it again."""

import json
import re

import pytest

import llm_playground as lp
from llm_playground.capture.recognition import provider_of, target_of
from llm_playground.codegen import find_request
from llm_playground.codegen.request import prepare
from llm_playground.recording import numbers
from llm_playground.runlog import open_log
from tests.capture.transports import CALLS, HEADERS, TRANSPORTS, post
from tests.capture.wire import KEY, TEXT, answer
from tests.providers.server import WireServer

# The call and its address in Python, the address in cURL, all below the server's URL.
WRITTEN = {
    "openai": ("client.chat.completions.create(", "/v1", "/v1/chat/completions"),
    "openai-responses": ("client.responses.create(", "/v1", "/v1/responses"),
    "anthropic": ("client.messages.create(", "", "/v1/messages"),
    "gemini": (
        "client.models.generate_content_stream(",
        "",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
    ),
}


@pytest.fixture
def server(home):
    """A server that no provider names."""
    with WireServer(answer) as started:
        yield started


def recorded(server, wire_format="openai", **fields):
    with lp.record():
        assert post("httpx2", server, wire_format=wire_format, **fields)[0] == 200
    return lp.runs(limit=1).iloc[0]


@pytest.mark.parametrize("wire_format", CALLS)
def test_code_of_a_recorded_call_goes_to_its_server_and_api(server, wire_format):
    run = recorded(server, wire_format)
    call, base_url, path = WRITTEN[wire_format]

    for source in (run, run.run_id, "last"):
        python = lp.code(source)
        assert call in python
        assert re.search(rf'base_url"?[=:] ?"{server.url}{base_url}"', python)
    shell, javascript = lp.code(run, "curl"), lp.code(run, "javascript")
    assert f"{server.url}{path}" in shell
    assert server.url in javascript
    for code in (python, shell, javascript):
        assert not code.startswith(("# The log", "// The log"))
        assert not re.search(r"api\.openai|api\.anthropic|googleapis", code)


@pytest.mark.parametrize("wire_format", CALLS)
def test_the_note_names_the_server_so_that_code_sends_its_key(server, wire_format, monkeypatch):
    row = {"base_url": server.url + WRITTEN[wire_format][1], "wire_format": wire_format}
    lp.configure(endpoints={"mine": row})
    run = recorded(server, wire_format)
    lp.configure(endpoints={"mine": None})
    without = lp.code(run)
    assert "mine is no provider of this kernel, so no key is sent." in without
    assert 'api_key="none"' in without
    written = re.search(r"lp\.configure\(endpoints=(.*)\)\.", without)[1]
    lp.configure(endpoints=json.loads(written))

    code = lp.code(run, "curl")

    assert "no key is sent" not in code
    assert "$NAME" in code
    assert f"{server.url}{WRITTEN[wire_format][2]}" in code
    monkeypatch.setenv("NAME", KEY)
    numbers.reset()  # as in a new kernel
    lp.configure(mode="replay")
    [cell] = json.loads(lp.export(run.run_id, "notebook"))["cells"][-1:]
    assert eval("".join(cell["source"]), {"lp": lp}).text == TEXT
    assert len(server.requests) == 1


def test_the_address_is_kept_when_settings_change(server, monkeypatch):
    run = recorded(server)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")

    code = lp.code(run)

    assert run.model == "openai:gpt-4o"
    assert f'base_url="{server.url}/v1"' in code
    assert not code.startswith("# The log")


def test_the_address_is_exported_and_imported(server, monkeypatch, tmp_path):
    run = recorded(server)
    code, exported, table = lp.code(run), lp.export(run.run_id), lp.export(run.run_id, "csv")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "other.duckdb"))
    assert lp.import_runs(exported) == 1
    assert lp.code(run.run_id) == code

    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "third.duckdb"))
    assert lp.import_runs(table) == 1
    with pytest.raises(lp.ConfigError, match="without its address and API"):
        lp.code(run.run_id)


def test_code_is_refused_where_the_log_has_no_address(server):
    run = recorded(server)
    older = "UPDATE executions SET wire_format = NULL, base_url = NULL"
    open_log().change(lambda session: session.execute(older))

    with pytest.raises(lp.ConfigError, match=r"no code can send it to the same server\."):
        lp.code(run)


def test_another_base_url_changes_no_price(server):
    lp.set_budget(1, model="openai:*")
    run = recorded(server)

    assert (run.provider, run.model) == ("openai", "openai:gpt-4o")
    assert run.cost_usd > 0
    assert float(lp.budgets().spent_usd[0]) == pytest.approx(run.cost_usd)


def test_a_configured_endpoint_says_the_price(server):
    lp.configure(
        endpoints={"mine": f"{server.url}/v1"},
        prices={"mine:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 1}},
    )
    run = recorded(server)

    assert run.model == "mine:gpt-4o"
    assert run.cost_usd == pytest.approx(1.6e-5)
    assert f'base_url="{server.url}/v1"' in lp.code(run)


@pytest.mark.parametrize(
    ("url", "provider"),
    [
        ("https://eu.api.openai.com/v1/chat/completions", "openai"),
        ("http://[::1]:8000/v1/messages", "anthropic"),
        ("https://us-central1-aiplatform.googleapis.com/v1/projects/p/locations/l/publishers/"
         "google/models/m:generateContent", "gemini"),
        ("https://user:pass@llm.example.org/v1/messages", "anthropic"),
    ],
)  # fmt: skip
def test_a_server_without_a_name_has_the_vendor_of_its_api(url, provider):
    target = target_of("POST", url)

    assert provider_of(target) == provider
    assert "pass" not in target.base_url


@pytest.mark.parametrize("wire_format", CALLS)
def test_two_texts_of_a_message_stay_two(server, wire_format):
    path, body_of = CALLS[wire_format]
    kind = "input_text" if wire_format == "openai-responses" else "text"
    parts = [{"type": kind, "text": "hi"}, {"type": kind, "text": "there"}]
    body = body_of({"role": "user", "content": parts})
    if wire_format == "gemini":
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}, {"text": "there"}]}]}
    with lp.record():
        TRANSPORTS["httpx2"](server.url + path, json.dumps(body).encode())
    run = lp.runs(limit=1).iloc[0]

    assert run.user_prompt == "hi\nthere"
    turns = "input" if wire_format == "openai-responses" else "contents"
    turns = turns if turns in body else "messages"
    assert prepare(find_request(run.run_id).request).body[turns] == body[turns]
    assert HEADERS["authorization"][7:] not in lp.code(run)
