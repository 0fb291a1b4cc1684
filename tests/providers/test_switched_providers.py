"""What only one service reads of an answer goes back to this service and to no other.

Two endpoints of one wire format answer in turns in one conversation, such as two servers that speak
Chat Completions, or Anthropic and a compatible endpoint.
"""

import json

import pytest

import llm_playground as lp
from llm_playground.parts import Original, part_as_json, part_of_json
from tests.providers.formats import (
    anthropic_stream,
    gemini_event,
    openai_stream,
)
from tests.providers.responses_format import responses_stream
from tests.providers.server import Reply, WireServer

MARK = "EqQBCgIYAhIM1gbcDa9GJwZA"


def _anthropic(mark):
    chunks = anthropic_stream(["Yes."], reasoning=["Hm."])
    return tuple(chunk.replace(MARK.encode(), mark.encode()) for chunk in chunks)


def _responses(mark):
    chunks = responses_stream(["Yes."], reasoning=["Hm."])
    return tuple(chunk.replace(b"gAAAAABo-sealed", mark.encode()) for chunk in chunks)


def _gemini(mark):
    part = {"text": "Yes.", "thoughtSignature": mark}
    end = {"content": {"parts": [part], "role": "model"}, "index": 0, "finishReason": "STOP"}
    return (gemini_event({"candidates": [end]}),)


def _chat_signed(mark):
    """As Gemini's endpoint for Chat Completions signs its thoughts."""
    chunk, *rest = openai_stream(["Yes."])
    delta = {"extra_content": {"google": {"thought_signature": mark}}}
    signed = {"choices": [{"index": 0, "delta": delta}]}
    return (chunk, b"data: " + json.dumps(signed).encode() + b"\n\n", *rest)


def _chat_reasoned(mark):
    return openai_stream(["Yes."], reasoning=[mark])


# By wire format: the stream of an answer whose original holds a mark.
ANSWERS = [
    ("openai", _chat_reasoned),
    ("openai", _chat_signed),
    ("openai-responses", _responses),
    ("anthropic", _anthropic),
    ("gemini", _gemini),
]


def turn_of(run):
    """An answer as another notebook gets it: as JSON."""
    parts = json.loads(json.dumps([part_as_json(part) for part in run.parts]))
    return {"role": "assistant", "content": parts}


@pytest.mark.parametrize(("wire_format", "stream"), ANSWERS)
def test_originals_go_back_only_where_they_came_from(wire_format, stream):
    with (
        WireServer(Reply(stream("bWFyazE"))) as one,
        WireServer(Reply(stream("bWFyazI"))) as two,
    ):
        servers = {"one": one, "two": two}
        lp.configure(
            endpoints={
                name: {"base_url": server.url, "wire_format": wire_format, "free": True}
                for name, server in servers.items()
            }
        )
        talk = [{"role": "user", "content": "Hi"}]
        for name in ("one", "two", "one", "two"):
            run = lp.ask(messages=talk, model=f"{name}:m")
            talk += [turn_of(run), {"role": "user", "content": "And?"}]
    bodies = {
        name: [request.body.decode() for request in server.requests]
        for name, server in servers.items()
    }
    counts = {
        name: [(body.count("bWFyazE"), body.count("bWFyazI")) for body in sent]
        for name, sent in bodies.items()
    }
    assert counts == {"one": [(0, 0), (1, 0)], "two": [(0, 0), (0, 1)]}
    assert [body.count("Yes.") for body in (*bodies["one"], *bodies["two"])] == [0, 2, 1, 3]


def test_part_without_its_provider_is_sent_without_its_original():
    part = {"type": "reasoning", "text": "Hm.", "original": {"wire_format": "openai", "json": "{}"}}
    assert part_of_json(part).original == Original("openai", "{}", None)
    assert part_as_json(part_of_json(part)) == part
    part["original"] |= {"json": '{"reasoning_content":null}', "provider": "two"}
    assert part_as_json(part_of_json(part)) == part
    with WireServer(Reply(openai_stream(["Yes."]))) as wire:
        lp.configure(endpoints=dict.fromkeys(("one", "two"), f"{wire.url}/v1"))
        for provider in ("two", None):
            part["original"] |= {"provider": provider}
            answer = {"role": "assistant", "content": [part, {"type": "text", "text": "Yes."}]}
            lp.ask(messages=[answer, {"role": "user", "content": "And?"}], model="two:m")
        turns = [request.json["messages"][0] for request in wire.requests]
    assert turns == [
        {"role": "assistant", "content": "Yes.", "reasoning_content": "Hm."},
        {"role": "assistant", "content": "Yes."},
    ]
