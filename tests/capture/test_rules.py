"""The administrator's policy and the secret guard hold for calls of other libraries too."""

import json
import warnings

import pytest

import llm_playground as lp
from tests.capture.transports import CALLS, TRANSPORTS, post
from tests.capture.wire import TEXT, answer
from tests.providers.server import WireServer

FOREIGN_KEY = "gsk" + "_" + "a1B2" * 8
CARD = "4111 1111 1111 1111"


@pytest.fixture
def server(home):
    with WireServer(answer) as started:
        yield started


@pytest.fixture
def set_policy(monkeypatch, tmp_path):
    def write(text):
        path = tmp_path / "policy.toml"
        path.write_text(text)
        monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(path))

    return write


def message_of(body):
    return json.loads(body)["error"]["message"]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_rules_hold_at_each_transport(server, set_policy, transport):
    with lp.record():
        assert post(transport, server)[0] == 200
        blocked = post(transport, server, f"Use {FOREIGN_KEY}.")
        with pytest.warns(UserWarning, match=r"The prompt contains .* card number"):
            assert post(transport, server, f"My card:\n{CARD}")[0] == 200
        set_policy('models = ["anthropic:*"]')
        refused = post(transport, server)

    assert (blocked[0], refused[0]) == (403, 403)
    assert message_of(blocked[1]).startswith(
        "Not sent: the prompt contains a value that looks like an API key (…"
    )
    assert FOREIGN_KEY not in blocked[1].decode()
    assert message_of(refused[1]) == (
        "openai:gpt-4o is not allowed here. The administrator allows anthropic:*."
    )
    assert len(server.requests) == 2
    assert list(lp.runs()["response_text"]) == [TEXT] * 2


@pytest.mark.parametrize("wire_format", CALLS)
def test_a_refusal_has_the_form_of_each_vendor(server, wire_format):
    with lp.record():
        status, body = post("httpx2", server, f"Use {FOREIGN_KEY}.", wire_format)

    assert status == 403
    assert "Not sent" in message_of(body)
    assert not server.requests


@pytest.mark.parametrize(
    ("policy", "text", "fields", "status"),
    [
        ('models = ["openai:gpt-4o"]', "Hi.", {}, 200),
        ('models = ["openai:gpt-5*"]', "Hi.", {}, 403),
        ('endpoints = ["openai"]', "Hi.", {}, 403),
        ('endpoints = ["URL/v1"]', "Hi.", {}, 200),
        ('secret_guard = { email = "block" }', "Write to ada@example.org.", {}, 403),
        ('secret_guard = { email = "block" }', "Write to Ada.", {}, 200),
        ("models = 5", "Hi.", {}, 403),
        ("", "Hi.", {"user": FOREIGN_KEY}, 403),
        ("", "Hi.", {"tools": [{"type": "function", "function": {"name": FOREIGN_KEY}}]}, 403),
    ],
)
def test_each_rule_holds(server, set_policy, policy, text, fields, status):
    set_policy(policy.replace("URL", server.url))
    with lp.record():
        found = post("httpx2", server, text, **fields)

    assert found[0] == status, found[1]
    assert len(server.requests) == (status == 200)


def test_a_warning_that_is_an_error_breaks_no_call(server, caplog):
    with lp.record(), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert post("httpx2", server, CARD)[0] == 200

    assert "looks like a card number" in caplog.text


@pytest.mark.parametrize(
    "written",
    [r"\u0067sk_" + FOREIGN_KEY[4:], r"\n" + FOREIGN_KEY, r"\"" + FOREIGN_KEY],
)
def test_a_key_is_found_however_json_writes_it(server, written):
    turns = '[{"role": "user", "content": "a ' + written + '"}]'
    body = '{"model": "gpt-4o", "messages": ' + turns + "}"
    with lp.record():
        status, _ = TRANSPORTS["httpx"](f"{server.url}/v1/chat/completions", body.encode())

    assert status == 403
    assert not server.requests
