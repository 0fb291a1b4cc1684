"""``headers=`` of a call: what may be sent, that it arrives, and what is kept of it."""

import json
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground import _runtime, calls
from llm_playground.calls import CallOptions
from llm_playground.providers import http_trace
from llm_playground.recording import numbers
from llm_playground.request.prompts import Prompt
from llm_playground.runlog import open_log
from llm_playground.types import Message, Parameters, Request, TextPart
from llm_playground.widget.form import Form, plan_calls
from llm_playground.widget.inspector import parameter_uses
from tests.providers.vendors import ALL, GEMINI, KEY, OPENAI

BETA = {"X-Beta": "flag-1", "anthropic-beta": 'a, "b" $HOME \\ `id`'}
SENT = {name.lower(): value for name, value in BETA.items()}
FORMATS = [*ALL, replace(GEMINI, name="gemini-legacy", model="gemini-legacy:gemini-2.5-flash")]


def hi(model, **parameters):
    return Request(model, (Message("user", (TextPart("Hi"),)),), Parameters(**parameters))


def logged_parameters():
    [row] = open_log().rows("SELECT CAST(parameters AS VARCHAR) AS parameters FROM prompts")
    return json.loads(row["parameters"])


@pytest.mark.parametrize("vendor", FORMATS, ids=str)
def test_headers_arrive_and_are_logged(vendor, reaching):
    server = reaching(vendor)

    run = lp.ask("Hi", vendor.model, headers=BETA)

    assert server.requests[0].headers.items() >= SENT.items()
    assert any(KEY in value for value in server.requests[0].headers.values())
    assert run.parameters.headers == SENT
    assert logged_parameters() == {"headers": SENT}


def test_a_header_of_the_call_wins_over_that_of_the_sdk(reaching):
    for vendor in ALL:
        server = reaching(vendor)
        lp.ask("Hi", vendor.model, headers={"User-Agent": "mine", "Anthropic-Version": "2099-01"})
        assert server.requests[0].headers["anthropic-version"] == "2099-01"
        assert "mine" in server.requests[0].headers["user-agent"].split()


REFUSED = (
    *({name: "x"} for name in ("", "a b", "a:b", "ä", "a\n", "x" * 101, 5, "Host", "HOST")),
    *({name: "x"} for name in ("Content-Length", "Transfer-Encoding", "Connection", "TE")),
    *({name: "x"} for name in ("Proxy-Authorization", "X-Forwarded-Host", "X-HTTP-Method")),
    *({name: "x"} for name in ("Authorization", "X-Api-Key", "api-key", "x-goog-api-key")),
    *({name: "x"} for name in ("Cookie", "Helicone-Auth", "X-Secret", "X-Access-Token")),
    *({"x-a": value} for value in ("", " ", None, 5, ["a"], "a\r\nx-b: c", "a\nb", "a\0", "ä")),
    {"x-a": "v" * 4_097},
    {"X-A": "1", "x-a": "2"},
    {f"x-{number}": "v" for number in range(33)},
    ["x-a"],
    "x-a: b",
)


def test_what_no_call_may_set_is_refused_in_one_line_without_its_value(reaching):
    server = reaching(OPENAI)

    for headers in REFUSED:
        with pytest.raises(lp.InvalidParameterError, match="headers") as raised:
            pytest.fail(f"{headers} was taken: {lp.ask('Hi', OPENAI.model, headers=headers)}")
        assert len(str(raised.value).splitlines()) == 1
        assert "x-b: c" not in str(raised.value)
        assert "[redacted]" not in str(raised.value)
    assert server.requests == []
    assert lp.runs().empty


def ways(model):
    """The ways in which ``headers`` reach a call."""
    headers = {"x-beta": "flag-1"}
    plain = CallOptions("Hi", [model]).plan()[0]
    lp.save_preset("beta", headers=headers)
    saved = Prompt((Message("user", (TextPart("Hi"),)),), Parameters(headers=headers), model)
    lp.save_prompt("beta", saved)
    form = Form("Hi", models=[model], parameters={"headers": headers})

    def echo(text: str) -> str:
        return text

    async def streamed():
        return [event async for event in lp.stream("Hi", model, headers=headers)]

    def send(call):
        return _runtime.run(calls.send(call, lambda _event: None))

    return {
        "compare": lambda: lp.compare("Hi", [model], headers=headers),
        "complete": lambda: _runtime.run(lp.complete("Hi", model, headers=headers)),
        "stream": lambda: _runtime.run(streamed()),
        "tools": lambda: lp.ask_with_tools("Hi", model, tools=[echo], headers=headers),
        "preset": lambda: lp.ask("Hi", model, preset="beta"),
        "prompt": lambda: lp.ask(lp.prompt("beta")),
        "panel": lambda: send(plan_calls(form, {})[0].call),
        "again": lambda: send(calls.repeated_call(plain, {"headers": headers})),
        "next": lambda: send(
            calls.next_call(
                replace(plain, request=hi(model, headers=headers)), plain.request.messages, ()
            )
        ),
    }


def test_every_way_to_a_call_takes_them(reaching):
    server = reaching(OPENAI)

    for way, attempt in ways(OPENAI.model).items():
        attempt()
        assert server.requests[-1].headers.get("x-beta") == "flag-1", way
    assert lp.estimate("Hi", OPENAI.model, headers=BETA).worst_case_usd is not None
    assert len(server.requests) == len(ways(OPENAI.model))


def test_a_flag_is_part_of_the_hash_and_an_identifier_is_not(reaching):
    plain, flagged = hi(OPENAI.model), hi(OPENAI.model, headers={"x-beta": "1"})
    traced = hi(OPENAI.model, headers={"traceparent": "00-1", "x-title": "Mine"})
    hashes = [each.prompt_hash() for each in (plain, flagged, traced)]
    assert hashes[0] == hashes[2] != hashes[1]

    server = reaching(OPENAI)
    lp.ask("Hi", OPENAI.model, headers={"X-Beta": "1"})
    numbers.reset()
    lp.configure(mode="reuse")
    asked = {
        "same": {"x-beta": "1", "x-request-id": "new"},
        "other": {"x-beta": "2"},
        "none": None,
    }
    cached = {
        name: lp.ask("Hi", OPENAI.model, headers=headers).cached for name, headers in asked.items()
    }
    assert cached == {"same": True, "other": False, "none": False}
    assert len(server.requests) == 3
    lp.configure(mode="live")
    lp.ask("Again", OPENAI.model, headers={"x-request-id": "new"})
    [row] = open_log().rows("SELECT parameters FROM runs WHERE user_prompt = 'Again'")
    assert json.loads(row["parameters"]) == {}


def test_what_looks_like_a_key_is_blocked_or_redacted_everywhere(reaching):
    server, secret = reaching(OPENAI), "hf" + "_" + "a1" * 12
    headers = {"x-note": f"for {secret}"}
    with pytest.raises(lp.ConfigError, match=r"`headers` contains .* API key"):
        lp.ask("Hi", OPENAI.model, headers=headers)
    with pytest.raises(lp.ConfigError, match=r"key of|in use"):
        lp.ask("Hi", OPENAI.model, headers={"x-note": KEY})
    assert server.requests == []

    lp.configure(secret_guard="off")
    trace = http_trace.HttpTrace()

    async def traced():
        [call] = CallOptions("Hi", [OPENAI.model], headers=headers).plan()
        with http_trace.recording(trace):
            return await calls.send(call, lambda _event: None)

    run = _runtime.run(traced())

    assert server.requests[0].headers["x-note"] == headers["x-note"]
    assert logged_parameters() == {"headers": {"x-note": "for [redacted]"}}
    assert dict(trace.trips[0].headers)["x-note"] == "for [redacted]"
    shown = [lp.export(run, to) for to in ("json", "csv", "markdown")]
    shown += [lp.code(run, language) for language in ("python", "javascript", "curl")]
    assert not [text for text in shown if secret in str(text)]


def test_the_panel_says_where_they_are_sent():
    [use] = [
        use
        for use in parameter_uses(hi(OPENAI.model, headers={"x-beta": "1"}))
        if use.name == "headers"
    ]
    assert (use.places, use.why) == (("headers",), "")


def test_metrics_alone_keep_no_headers(reaching):
    reaching(OPENAI)
    lp.configure(privacy="metrics")
    lp.ask("Hi", OPENAI.model, headers=BETA, temperature=0.5)
    assert logged_parameters() == {"temperature": 0.5}


def test_the_policy_names_the_headers_that_may_be_set(reaching, tmp_path, monkeypatch):
    server, policy = reaching(OPENAI), tmp_path / "policy.toml"
    policy.write_text('headers = ["Anthropic-Beta", "x-*"]')
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))

    lp.ask("Hi", OPENAI.model, headers=BETA)
    with pytest.raises(lp.ConfigError, match="header y-route is not allowed"):
        lp.ask("Hi", OPENAI.model, headers={"Y-Route": "elsewhere"})
    policy.write_text("headers = []")
    with pytest.raises(lp.ConfigError, match="allows none"):
        lp.ask("Hi", OPENAI.model, headers=BETA)
    assert len(server.requests) == 1
