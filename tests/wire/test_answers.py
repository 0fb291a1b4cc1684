"""What a vendor streams becomes deltas and one Finish; what a user sets becomes the body."""

import json

import genai_prices
import pytest

from llm_playground.types import Finish, ReasoningDelta, TextDelta, Usage
from tests.wire.formats import (
    ANTHROPIC_USAGE,
    GEMINI_USAGE,
    OPENAI_USAGE,
    anthropic_stream,
    openai_stream,
)
from tests.wire.server import Reply, WireServer
from tests.wire.vendors import ALL, ANTHROPIC, GEMINI, OPENAI

PIECES = ["Grü", "ße, ", "世界 ", "👋"]
ANSWERED_BY = {
    "openai": "gpt-4o-2024-08-06",
    "anthropic": "claude-sonnet-4-5-20250929",
    "gemini": "gemini-2.5-flash",
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
        *map(TextDelta, PIECES),
        Finish("stop", Usage(11, 5), ANSWERED_BY[vendor.name], "req_1"),
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
            assert [event async for event in provider.stream(vendor.request())] == whole
        await provider.aclose()
    assert whole[:2] == [TextDelta("Grü"), TextDelta("👋")]


NOISE = {
    "CRLF line ends": lambda event: event.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"),
    "CR line ends": lambda event: event.replace(b"\r\n", b"\n").replace(b"\n", b"\r"),
    "comments": lambda event: b": keep-alive\n\n" + event,
    "ids and retries": lambda event: b"id: 1\nretry: 10\n" + event,
    "no space after the colon": lambda event: event.replace(b"data: ", b"data:"),
    "lines that are no fields": lambda event: b"\n<!-- proxy -->\n\n" + event,
    "broken JSON": lambda event: b'data: {"choices": [{"delta"\n\n' + event,
    "JSON of another shape": lambda event: b'data: {"choices": 5, "candidates": 5}\n\n' + event,
    "no object": lambda event: b"data: null\n\n" + event,
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


async def test_how_many_events_were_no_json_is_logged_without_their_content(vendor, caplog):
    events = [b"data: {broken\n\n", *vendor.stream(PIECES)]
    with WireServer(Reply(events)) as wire:
        await vendor.answer(wire.url)
    lines = [r for r in caplog.records if r.name.startswith("llm_playground")]
    assert len(lines) == 1
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
    (GEMINI, "MALFORMED_FUNCTION_CALL", "other"),
    (GEMINI, "NEWS_OF_NEXT_YEAR", "other"),
]


@pytest.mark.parametrize(("vendor", "said", "meant"), REASONS, ids=str)
async def test_finish_reasons_have_one_set_of_words(vendor, said, meant):
    name = {"anthropic": "stop_reason"}.get(vendor.name, "finish_reason")
    with WireServer(Reply(vendor.stream(["A"], **{name: said}))) as wire:
        events = await vendor.answer(wire.url)
    assert events[-1].finish_reason == meant


USAGES = [
    (
        OPENAI,
        OPENAI_USAGE
        | {
            "prompt_tokens_details": {"cached_tokens": 4},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
        Usage(11, 5, cache_read_tokens=4, reasoning_tokens=3),
        ("openai", "chat"),
    ),
    (
        ANTHROPIC,
        ANTHROPIC_USAGE | {"cache_read_input_tokens": 100, "cache_creation_input_tokens": 20},
        Usage(131, 5, cache_read_tokens=100, cache_write_tokens=20),
        ("anthropic", "default"),
    ),
    (
        GEMINI,
        GEMINI_USAGE | {"thoughtsTokenCount": 7, "cachedContentTokenCount": 2},
        Usage(11, 12, cache_read_tokens=2, reasoning_tokens=7),
        ("google", "default"),
    ),
]


@pytest.mark.parametrize(
    ("vendor", "said", "counted", "oracle"), USAGES, ids=["openai", "anthropic", "gemini"]
)
async def test_usage_is_inclusive_as_another_library_counts_it(vendor, said, counted, oracle):
    with WireServer(Reply(vendor.stream(["A"], usage=said))) as wire:
        usage = (await vendor.answer(wire.url))[-1].usage
    assert usage == counted
    field = "usageMetadata" if vendor is GEMINI else "usage"
    model = "modelVersion" if vendor is GEMINI else "model"
    body = {field: said, model: ANSWERED_BY[vendor.name]}
    second = genai_prices.extract_usage(body, provider_id=oracle[0], api_flavor=oracle[1]).usage
    assert (usage.input_tokens, usage.output_tokens) == (second.input_tokens, second.output_tokens)
    assert usage.cache_read_tokens == second.cache_read_tokens
    assert (usage.cache_write_tokens or 0) == (second.cache_write_tokens or 0)


async def test_usage_nobody_told_is_unknown(vendor):
    with WireServer(Reply(vendor.stream(["A"], usage=None))) as wire:
        usage = (await vendor.answer(wire.url))[-1].usage
    assert usage is None or usage.total_tokens is None


async def test_thinking_tokens_of_messages_are_part_of_output():
    usage = ANTHROPIC_USAGE | {"output_tokens_details": {"thinking_tokens": 4}}
    with WireServer(Reply(anthropic_stream(["A"], usage=usage))) as wire:
        assert (await ANTHROPIC.answer(wire.url))[-1].usage == Usage(11, 5, reasoning_tokens=4)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_both_names_of_reasoning_in_chat_completions_are_read(field):
    first, *rest = openai_stream(["A"], reasoning=["Hm"])
    events = [first, *(e.replace(b"reasoning_content", field.encode()) for e in rest)]
    with WireServer(Reply(events)) as wire:
        assert ReasoningDelta("Hm") in await OPENAI.answer(wire.url)


async def test_a_refusal_in_chat_completions_is_text():
    events = openai_stream(["No."])
    refusing = [events[0], events[1].replace(b'"content"', b'"refusal"'), *events[2:]]
    with WireServer(Reply(refusing)) as wire:
        assert TextDelta("No.") in await OPENAI.answer(wire.url)


async def test_a_server_that_never_says_why_it_finished_but_marks_the_end_is_believed():
    with WireServer(Reply(openai_stream(["A"], finish_reason=None))) as wire:
        assert (await OPENAI.answer(wire.url))[-1].finish_reason == "other"


async def test_a_fault_after_the_providers_finish_changes_nothing(vendor):
    done = {"openai": {"done": False}, "anthropic": {"done": False}, "gemini": {}}[vendor.name]
    with WireServer(Reply(vendor.stream(["A"], **done), end="drop")) as wire:
        events = await vendor.answer(wire.url)
    assert isinstance(events[-1], Finish)
    assert events[-1].finish_reason == "stop"


async def test_an_empty_answer_that_finishes_is_an_answer(vendor):
    with WireServer(Reply(vendor.stream([]))) as wire:
        assert [type(event) for event in await vendor.answer(wire.url)] == [Finish]
