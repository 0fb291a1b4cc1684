"""A vendor's stream becomes deltas and one Finish."""

import json

import pytest

from llm_playground.events import (
    Finish,
    PartAdded,
    PartEnded,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import Original
from llm_playground.types import Usage
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ALL, ANTHROPIC, GEMINI, OPENAI

PIECES = ["Grü", "ße, ", "世界 ", "👋"]
ANSWERED_BY = {
    "openai": "gpt-4o-2024-08-06",
    "anthropic": "claude-sonnet-4-5-20250929",
    "gemini": "gemini-2.5-flash",
}
# What the providers send for reasoning to go back, beside its text.
ENDED = {
    "openai": [PartEnded(Original("openai", '{"reasoning_content":null}'))],
    "anthropic": [
        PartEnded(
            Original("anthropic", '{"type":"thinking","signature":"EqQBCgIYAhIM1gbcDa9GJwZA"}')
        )
    ],
    "gemini": [],
}
REQUEST_ID_HEADER = {"openai": "x-request-id", "anthropic": "request-id", "gemini": "x-request-id"}


async def test_an_answer_is_its_deltas_and_one_finish(vendor):
    headers = {"content-type": "text/event-stream", REQUEST_ID_HEADER[vendor.name]: "req_1"}
    with WireServer(
        Reply(vendor.stream(PIECES, reasoning=["Hm, ", "so"]), headers=headers)
    ) as wire:
        events = await vendor.answer(wire.url)
    assert events == [
        ReasoningDelta("Hm, "),
        ReasoningDelta("so"),
        *ENDED[vendor.name],
        *map(TextDelta, PIECES),
        Finish(
            "stop",
            Usage(11, 5),
            ANSWERED_BY[vendor.name],
            "req_1",
        ),
    ]


@pytest.mark.parametrize("framing", ["length", "close"])
async def test_the_framing_of_the_response_does_not_matter(vendor, framing):
    with WireServer(Reply(vendor.stream(PIECES), framing=framing)) as wire:
        events = await vendor.answer(wire.url)
    assert events == [
        *map(TextDelta, PIECES),
        Finish("stop", Usage(11, 5), ANSWERED_BY[vendor.name]),
    ]


async def test_a_stream_cut_at_every_byte_gives_the_same_answer(vendor):
    recording = b"".join(vendor.stream(["Grü", "👋"]))
    byte_by_byte = [recording[place : place + 1] for place in range(len(recording))]
    places = range(1, len(recording), 7)
    in_two = [Reply((recording[:place], recording[place:])) for place in places]
    with WireServer([Reply((recording,)), Reply(byte_by_byte), *in_two]) as wire:
        whole = await vendor.answer(wire.url)
        provider = vendor.provider(wire.url)
        for _ in range(1 + len(in_two)):
            events = [event async for event in provider.stream(vendor.request())]
            assert events[1:] == whole
        await provider.aclose()
    assert whole[:2] == [TextDelta("Grü"), TextDelta("👋")]


NOISE = {
    "CRLF line ends": lambda event: event.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "CR line ends": lambda event: event.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "comments": lambda event: b": keep-alive\n\n" + event,
    "ids and retries": lambda event: b"id: 1\nretry: 10\n" + event,
    "no space after the colon": lambda event: event.replace(b"data: ", b"data:"),
    "lines that are no fields": lambda event: b"\n<!-- proxy -->\n\n" + event,
}
UNREADABLE = {
    "broken JSON": b'data: {"choices": [{"delta"\n\n',
    "JSON of another shape": b'data: {"choices": 5, "candidates": 5, "type": "message_delta", '
    b'"delta": 5}\n\n',
    "no object": b"data: null\n\n",
    "no end of brackets": b"data: " + b"[" * 100_000 + b"\n\n",
}


@pytest.mark.parametrize("noise", NOISE)
async def test_noise_on_the_wire_loses_no_text(vendor, noise):
    events = [NOISE[noise](event) for event in vendor.stream(PIECES)]
    with WireServer(Reply(events)) as wire:
        answer = await vendor.answer(wire.url)
    assert answer == [
        *map(TextDelta, PIECES),
        Finish("stop", Usage(11, 5), ANSWERED_BY[vendor.name]),
    ]


@pytest.mark.parametrize("vendor", ALL, ids=str)
async def test_data_over_several_lines_is_one_event(vendor):
    def spread(event):
        head, _, content = event.strip().rpartition(b"data: ")
        lines = json.dumps(json.loads(content), indent=1).splitlines()
        return head + "".join(f"data: {line}\n" for line in lines).encode() + b"\n"

    events = [e if b"[DONE]" in e else spread(e) for e in vendor.stream(PIECES)]
    with WireServer(Reply(events)) as wire:
        answer = await vendor.answer(wire.url)
    assert "".join(event.text for event in answer[:-1]) == "".join(PIECES)


@pytest.mark.parametrize("unreadable", UNREADABLE)
async def test_unreadable_events_are_skipped_and_counted(vendor, unreadable):
    events = [UNREADABLE[unreadable] + event for event in vendor.stream(PIECES)]
    with WireServer(Reply(events)) as wire:
        *deltas, finish = await vendor.answer(wire.url)
    kept = [one for one in deltas if isinstance(one, PartAdded)]
    assert deltas == [*map(TextDelta, PIECES), *kept]
    assert (kept == []) is (unreadable == "no object")
    assert finish == Finish(
        "stop", Usage(11, 5), ANSWERED_BY[vendor.name], skipped_events=finish.skipped_events
    )
    # What follows the end mark is not read.
    assert finish.skipped_events in (len(events), len(events) - 1)


@pytest.mark.parametrize("number", [1, 2, 5_000])
async def test_skipped_events_are_one_line_of_the_log_without_their_content(vendor, number, caplog):
    events = [b"data: {broken\n\n" * number, *vendor.stream(PIECES)]
    with WireServer(Reply(events)) as wire:
        finish = (await vendor.answer(wire.url))[-1]
    lines = [r for r in caplog.records if r.name.startswith("llm_playground")]
    assert finish.skipped_events == number
    assert len(lines) == 1
    assert f" {number:,} event" in lines[0].getMessage()
    assert "broken" not in lines[0].getMessage()


REASONS = [
    (OPENAI, "stop", "stop"),
    (OPENAI, "length", "length"),
    (OPENAI, "content_filter", "content_filter"),
    (OPENAI, "tool_calls", "tool_call"),
    (OPENAI, "function_call", "tool_call"),
    (OPENAI, "news", "other"),
    (ANTHROPIC, "end_turn", "stop"),
    (ANTHROPIC, "stop_sequence", "stop"),
    (ANTHROPIC, "max_tokens", "length"),
    (ANTHROPIC, "model_context_window_exceeded", "length"),
    (ANTHROPIC, "tool_use", "tool_call"),
    (ANTHROPIC, "refusal", "content_filter"),
    (ANTHROPIC, "pause_turn", "other"),
    (ANTHROPIC, "news", "other"),
    (GEMINI, "STOP", "stop"),
    (GEMINI, "MAX_TOKENS", "length"),
    (GEMINI, "SAFETY", "content_filter"),
    (GEMINI, "RECITATION", "content_filter"),
    (GEMINI, "BLOCKLIST", "content_filter"),
    (GEMINI, "PROHIBITED_CONTENT", "content_filter"),
    (GEMINI, "SPII", "content_filter"),
    (GEMINI, "NEWS_OF_NEXT_YEAR", "other"),
]


@pytest.mark.parametrize(("vendor", "said", "meant"), REASONS, ids=str)
async def test_finish_reasons_have_one_set_of_words(vendor, said, meant):
    name = {"anthropic": "stop_reason"}.get(vendor.name, "finish_reason")
    with WireServer(Reply(vendor.stream(["A"], **{name: said}))) as wire:
        events = await vendor.answer(wire.url)
    assert events[-1].finish_reason == meant


async def test_missing_usage_is_unknown(vendor):
    with WireServer(Reply(vendor.stream(["A"], usage=None))) as wire:
        usage = (await vendor.answer(wire.url))[-1].usage
    assert usage is None or usage.total_tokens is None


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_both_names_of_reasoning_in_chat_completions_are_read(field):
    first, *rest = openai_stream(["A"], reasoning=["Hm"])
    events = [first, *(e.replace(b"reasoning_content", field.encode()) for e in rest)]
    with WireServer(Reply(events)) as wire:
        assert ReasoningDelta("Hm") in await OPENAI.answer(wire.url)


async def test_end_mark_without_finish_reason_is_complete():
    with WireServer(Reply(openai_stream(["A"], finish_reason=None))) as wire:
        assert (await OPENAI.answer(wire.url))[-1].finish_reason == "other"


async def test_error_after_finish_is_ignored(vendor):
    done = {"openai": {"done": False}, "anthropic": {"done": False}, "gemini": {}}[vendor.name]
    with WireServer(Reply(vendor.stream(["A"], **done), end="drop")) as wire:
        events = await vendor.answer(wire.url)
    assert isinstance(events[-1], Finish)
    assert events[-1].finish_reason == "stop"


async def test_an_empty_answer_that_finishes_is_an_answer(vendor):
    with WireServer(Reply(vendor.stream([]))) as wire:
        assert [type(event) for event in await vendor.answer(wire.url)] == [Finish]


HALVES = ["a<1>", "<2>b<1>", "", "<2>", "x<2>y<1>", "z<1>"]
WHOLE = "a😀b😀x\ufffdy\ufffdz\ufffd"


async def test_joins_surrogates_across_deltas(vendor):
    whole = vendor.stream(HALVES, reasoning=HALVES)
    cut = [e.replace(b"<1>", b"\\ud83d").replace(b"<2>", b"\\uDE00") for e in whole]
    with WireServer(Reply(cut)) as wire:
        events = await vendor.answer(wire.url)
    for kind in (TextDelta, ReasoningDelta):
        texts = [event.text for event in events if isinstance(event, kind)]
        assert "".join(texts) == WHOLE
        assert all(texts)
        "".join(texts).encode()  # each can be printed
    assert isinstance(events[-1], Finish)


async def test_the_arguments_of_a_tool_call_are_joined_call_by_call():
    def said(index, arguments):
        call = {"index": index, "function": {"arguments": arguments}}
        return json.dumps({"choices": [{"delta": {"tool_calls": [call]}}]})

    pieces = [(0, "\ud83d"), (1, "\ud83d"), (0, "\ude00"), (1, "-"), (0, "\ud83d")]
    calls = [f"data: {said(*piece)}\n\n".encode() for piece in pieces]
    with WireServer(Reply([*calls, *openai_stream(["A"])])) as wire:
        events = await OPENAI.answer(wire.url)
    arguments = {0: "", 1: ""}
    for event in events:
        if isinstance(event, ToolCallDelta):
            arguments[event.index] += event.arguments_json
    assert arguments == {0: "😀\ufffd", 1: "\ufffd-"}
