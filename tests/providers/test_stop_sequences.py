"""The stop text at which an answer ended is reported, where a service reports it."""

import json

import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.recording import numbers
from tests.providers.server import Reply

ANTHROPIC = (
    ("message_start", {"message": {"model": "claude-x", "usage": {"input_tokens": 3}}}),
    ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": "A"}}),
    ("content_block_stop", {"index": 0}),
    (
        "message_delta",
        {
            "delta": {"stop_reason": "stop_sequence", "stop_sequence": "END"},
            "usage": {"output_tokens": 1},
        },
    ),
    ("message_stop", {}),
)


def messages():
    for kind, fields in ANTHROPIC:
        data = json.dumps({"type": kind} | fields)
        yield f"event: {kind}\ndata: {data}\n\n".encode()


def chat(**fields):
    choice = {"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"} | fields
    return (f"data: {json.dumps({'choices': [choice]})}\n\n".encode(), b"data: [DONE]\n\n")


STREAMS = {
    "anthropic": ("anthropic", tuple(messages()), "END"),
    "vllm": ("openai", chat(stop_reason="END"), "END"),
    "sglang": ("openai", chat(matched_stop="END"), "END"),
    "a token": ("openai", chat(stop_reason=128_009, matched_stop=2), None),
    "a word": ("openai", chat(stop_reason="eos"), None),
    "an object": ("openai", chat(stop_reason={"a": 1}), None),
    "none": ("openai", chat(), None),
    "a limit": ("openai", chat(finish_reason="length", stop_reason="END"), None),
}


@pytest.mark.parametrize("name", STREAMS)
def test_the_stop_text_is_shown_kept_and_reused(name, serve, monkeypatch):
    wire_format, stream, stop = STREAMS[name]
    server = serve(Reply(stream))
    path = "" if wire_format == "anthropic" else "/v1"
    row = {"base_url": server.url + path, "wire_format": wire_format}
    lp.configure(endpoints={"mine": row})

    run = lp.ask("Hi", "mine:m", stop=["X", "END"])

    assert (run.text, run.stop_sequence) == ("A", stop)
    assert any("'END'" in line for line in footer.notices(run)) is (stop is not None)
    logged = lp.sql("SELECT stop_sequence FROM runs WHERE stop_sequence IS NOT NULL")
    assert logged.stop_sequence.tolist() == ([stop] if stop else [])
    numbers.reset()
    lp.configure(mode="reuse")
    again = lp.ask("Hi", "mine:m", stop=["X", "END"])
    assert (again.cached, again.stop_sequence) == (True, stop)
    lp.purge(older_than="0d", keep="metrics", dry_run=False)
    kept = lp.sql("SELECT count(stop_sequence) AS kept FROM results").kept.tolist()
    assert kept == [0]
