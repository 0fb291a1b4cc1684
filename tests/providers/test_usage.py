"""Token counts are inclusive for every provider; no part exceeds its whole."""

from dataclasses import fields
from decimal import Decimal

import genai_prices
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.events import TextDelta
from llm_playground.providers import anthropic, gemini, openai, usage
from llm_playground.types import Usage
from tests.providers.formats import anthropic_event, anthropic_stream, gemini_event, openai_stream
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI

READ = {
    "openai": usage.of_chat_completions,
    "anthropic": usage.of_messages,
    "gemini": usage.of_generate_content,
}
ORACLE = {
    "openai": ("openai", "chat", "usage", "model", "gpt-4o"),
    "anthropic": ("anthropic", "default", "usage", "model", "claude-sonnet-4-5"),
    "gemini": ("google", "default", "usageMetadata", "modelVersion", "gemini-2.5-flash"),
}

# As the vendors' documentation shows them.
GOLDEN = {
    "openai plain": (
        "openai",
        {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29},
        Usage(19, 10),
    ),
    "openai cached, reasoning, audio and predictions": (
        "openai",
        {
            "prompt_tokens": 2006,
            "completion_tokens": 300,
            "total_tokens": 2306,
            "prompt_tokens_details": {"cached_tokens": 1920, "audio_tokens": 7},
            "completion_tokens_details": {
                "reasoning_tokens": 192,
                "audio_tokens": 5,
                "accepted_prediction_tokens": 1,
                "rejected_prediction_tokens": 2,
            },
        },
        Usage(
            2006,
            300,
            cache_read_tokens=1920,
            reasoning_tokens=192,
            billed_units={"audio_input_tokens": 7, "audio_output_tokens": 5},
        ),
    ),
    "openai cache writes": (
        "openai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 1,
            "total_tokens": 101,
            "prompt_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 60},
        },
        Usage(100, 1, cache_read_tokens=30, cache_write_tokens=60),
    ),
    "an imitation without details": (
        "openai",
        {
            "prompt_tokens": 5,
            "completion_tokens": 7,
            "total_tokens": 12,
            "prompt_tokens_details": None,
            "completion_tokens_details": None,
        },
        Usage(5, 7),
    ),
    "OpenRouter with a cost of its own": (
        "openai",
        {
            "prompt_tokens": 194,
            "completion_tokens": 2,
            "total_tokens": 196,
            "cost": 0.95,
            "cost_details": {"upstream_inference_cost": 19},
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
        Usage(194, 2, cache_read_tokens=0, reasoning_tokens=0, reported_cost_usd=Decimal("19.95")),
    ),
    "anthropic plain": ("anthropic", {"input_tokens": 10, "output_tokens": 25}, Usage(10, 25)),
    "anthropic cached, written for 5 minutes and an hour, with a search": (
        "anthropic",
        {
            "input_tokens": 2048,
            "cache_read_input_tokens": 1800,
            "cache_creation_input_tokens": 248,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 148,
                "ephemeral_1h_input_tokens": 100,
            },
            "output_tokens": 503,
            "server_tool_use": {"web_search_requests": 1},
            "service_tier": "standard",
        },
        Usage(
            4096,
            503,
            cache_read_tokens=1800,
            cache_write_tokens=248,
            service_tier="standard",
            billed_units={"cache_write_1h_tokens": 100, "web_searches": 1},
        ),
    ),
    "anthropic thinking": (
        "anthropic",
        {
            "input_tokens": 9,
            "cache_read_input_tokens": 0,
            "cache_creation_input_tokens": 0,
            "output_tokens": 300,
            "output_tokens_details": {"thinking_tokens": 244},
        },
        Usage(9, 300, cache_read_tokens=0, cache_write_tokens=0, reasoning_tokens=244),
    ),
    "gemini plain": (
        "gemini",
        {"promptTokenCount": 4, "candidatesTokenCount": 716, "totalTokenCount": 720},
        Usage(4, 716),
    ),
    "gemini thoughts and cached": (
        "gemini",
        {
            "promptTokenCount": 1000,
            "cachedContentTokenCount": 900,
            "candidatesTokenCount": 20,
            "thoughtsTokenCount": 170,
            "totalTokenCount": 1190,
            "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1000}],
        },
        Usage(1000, 190, cache_read_tokens=900, reasoning_tokens=170),
    ),
    "gemini blocked": ("gemini", {"promptTokenCount": 8, "totalTokenCount": 8}, Usage(8, 0)),
}
# Where another library counts otherwise.
UNLIKE_THE_ORACLE = {
    "gemini results of tools": (
        # genai-prices has no place for them; Gemini bills them as input and its total holds them.
        "gemini",
        {
            "promptTokenCount": 50,
            "toolUsePromptTokenCount": 30,
            "candidatesTokenCount": 6,
            "thoughtsTokenCount": 4,
            "totalTokenCount": 90,
        },
        Usage(80, 10, reasoning_tokens=4),
    ),
    "reasoning inside completion although it is larger, as the total shows": (
        "openai",
        {
            "prompt_tokens": 17,
            "completion_tokens": 128,
            "total_tokens": 145,
            "completion_tokens_details": {"reasoning_tokens": 130},
        },
        Usage(17, 128, reasoning_tokens=128),
    ),
    "cached input inside prompt although it is larger, as the total shows": (
        "openai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 150,
            "prompt_tokens_details": {"cached_tokens": 128},
        },
        Usage(100, 50, cache_read_tokens=100),
    ),
    "cached input and reasoning apart, as the total shows": (
        "openai",
        {
            "prompt_tokens": 100,
            "completion_tokens": 50,
            "total_tokens": 250,
            "prompt_tokens_details": {"cached_tokens": 70},
            "completion_tokens_details": {"reasoning_tokens": 30},
        },
        Usage(170, 80, cache_read_tokens=70, reasoning_tokens=30),
    ),
    "a compaction beside the other counts": (
        "anthropic",
        {
            "input_tokens": 612,
            "output_tokens": 100,
            "iterations": [
                {"type": "compaction", "input_tokens": 60000, "output_tokens": 500},
                {"type": "message", "input_tokens": 612, "output_tokens": 100},
            ],
        },
        Usage(60612, 600),
    ),
    "gemini's thoughts inside, as the total shows": (
        "gemini",
        {
            "promptTokenCount": 50,
            "candidatesTokenCount": 60,
            "thoughtsTokenCount": 40,
            "totalTokenCount": 110,
        },
        Usage(50, 60, reasoning_tokens=40),
    ),
    "reasoning apart from completion, as the total shows": (  # xAI
        "openai",
        {
            "prompt_tokens": 37,
            "completion_tokens": 530,
            "total_tokens": 800,
            "completion_tokens_details": {"reasoning_tokens": 233},
        },
        Usage(37, 763, reasoning_tokens=233),
    ),
    "cached apart from prompt": (
        "openai",
        {
            "prompt_tokens": 10,
            "completion_tokens": 1,
            "prompt_tokens_details": {"cached_tokens": 90},
        },
        Usage(100, 1, cache_read_tokens=90),
    ),
    "cached input by DeepSeek's name": (
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 6},
        Usage(10, 1, cache_read_tokens=6),
    ),
    "cached input by Moonshot's name": (
        "openai",
        {"prompt_tokens": 10, "completion_tokens": 1, "cached_tokens": 6},
        Usage(10, 1, cache_read_tokens=6),
    ),
    "anthropic's cache by lifetime only": (
        "anthropic",
        {
            "input_tokens": 1,
            "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
            "output_tokens": 4,
        },
        Usage(6, 4, cache_write_tokens=5, billed_units={"cache_write_1h_tokens": 3}),
    ),
}


@pytest.mark.parametrize("name", GOLDEN | UNLIKE_THE_ORACLE)
def test_usage_is_inclusive(name):
    provider, said, counted = (GOLDEN | UNLIKE_THE_ORACLE)[name]
    assert READ[provider](said) == counted


@pytest.mark.parametrize("name", GOLDEN)
def test_another_library_counts_the_same(name):
    provider, said, counted = GOLDEN[name]
    provider_id, flavor, field, model_field, model = ORACLE[provider]
    body = {field: said, model_field: model}
    other = genai_prices.extract_usage(body, provider_id=provider_id, api_flavor=flavor).usage
    assert counted.input_tokens == (other.input_tokens or 0)
    assert counted.output_tokens == (other.output_tokens or 0)
    assert (counted.cache_read_tokens or 0) == (other.cache_read_tokens or 0)
    assert (counted.cache_write_tokens or 0) == (other.cache_write_tokens or 0)


# In a stream.


async def usage_of(vendor, events):
    with WireServer(Reply(events)) as wire:
        return (await vendor.answer(wire.url))[-1].usage


async def test_missing_fields_are_unknown(vendor):
    assert await usage_of(vendor, vendor.stream(["A"], usage=None)) is None


async def test_usage_in_the_last_chunk_of_content_is_read():
    said = b'"usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}'
    events = openai_stream(["A"], usage=None)
    *before, last, done = events
    assert b'"finish_reason": "stop"' in last
    counted = last.replace(b'"usage": null', said)
    assert await usage_of(OPENAI, [*before, counted, done]) == Usage(3, 2)


async def test_usage_within_the_last_choice_is_read():
    said = b'"finish_reason": "stop", "usage": {"prompt_tokens": 3, "completion_tokens": 2}'
    events = [e.replace(b'"finish_reason": "stop"', said) for e in openai_stream(["A"], usage=None)]
    assert await usage_of(OPENAI, events) == Usage(3, 2)


async def test_usage_that_grows_from_chunk_to_chunk_is_not_added_up():
    def with_usage(event, number):
        usage = b'"usage": {"prompt_tokens": 3, "completion_tokens": %d}' % number
        return event.replace(b'"usage": null', usage)

    events = [with_usage(e, n) for n, e in enumerate(openai_stream(["A", "B", "C"], usage=None))]
    assert await usage_of(OPENAI, events) == Usage(3, 4)


async def test_null_usage_keeps_earlier_usage():
    events = openai_stream(["A"])
    null = b'data: {"choices": [], "usage": null}\n\n'
    assert await usage_of(OPENAI, [*events[:-1], null, events[-1]]) == Usage(11, 5)


async def test_messages_counts_input_at_its_start_and_output_at_its_end():
    start = {
        "input_tokens": 25,
        "cache_creation_input_tokens": 4,
        "cache_read_input_tokens": 6,
        "output_tokens": 1,
    }
    events = list(anthropic_stream(["A"], usage=start))
    place = next(i for i, event in enumerate(events) if b"message_delta" in event)
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events[place] = anthropic_event(
        "message_delta", {"delta": delta, "usage": {"output_tokens": 9}}
    )
    assert await usage_of(ANTHROPIC, events) == Usage(35, 9, 6, 4)


async def test_later_messages_counts_replace_the_first():
    events = list(anthropic_stream(["A"], usage={"input_tokens": 2679, "output_tokens": 3}))
    place = next(i for i, event in enumerate(events) if b"message_delta" in event)
    usage = {
        "input_tokens": 10682,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": 510,
        "server_tool_use": {"web_search_requests": 1},
    }
    delta = {"stop_reason": "end_turn", "stop_sequence": None}
    events[place] = anthropic_event("message_delta", {"delta": delta, "usage": usage})
    counted = Usage(10682, 510, 0, 0, billed_units={"web_searches": 1})
    assert await usage_of(ANTHROPIC, events) == counted


async def test_geminis_latest_count_of_each_kind_holds():
    def chunk(text, usage, **more):
        candidate = {"content": {"parts": [{"text": text}], "role": "model"}, "index": 0, **more}
        return gemini_event({"candidates": [candidate]}, usage=usage)

    events = [
        chunk("A", {"promptTokenCount": 9, "thoughtsTokenCount": 40, "totalTokenCount": 49}),
        chunk("B", {"promptTokenCount": 9, "candidatesTokenCount": 3}, finishReason="STOP"),
    ]
    assert await usage_of(GEMINI, events) == Usage(9, 43, reasoning_tokens=40)


# Whatever a server says.

COUNTS = st.one_of(
    st.integers(-5, 1_000),
    st.none(),
    st.booleans(),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.integers(), max_size=2),
)
NAMES = {
    "openai": ("prompt_tokens", "completion_tokens", "total_tokens", "prompt_cache_hit_tokens"),
    "anthropic": (
        "input_tokens",
        "output_tokens",
        "cache_read_input_tokens",
        "cache_creation_input_tokens",
    ),
    "gemini": (
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
        "cachedContentTokenCount",
        "toolUsePromptTokenCount",
    ),
}
DETAILS = {
    "prompt_tokens_details": ("cached_tokens", "cache_write_tokens"),
    "completion_tokens_details": ("reasoning_tokens",),
    "output_tokens_details": ("thinking_tokens",),
    "cache_creation": ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"),
}


def fields_of(names):
    return st.dictionaries(st.sampled_from(names), COUNTS)


def said_by(provider):
    details = st.fixed_dictionaries(
        {}, optional={name: st.one_of(COUNTS, fields_of(inner)) for name, inner in DETAILS.items()}
    )
    return st.tuples(fields_of(NAMES[provider]), details).map(lambda two: two[0] | two[1])


@pytest.mark.parametrize("provider", READ)
@given(data=st.data())
def test_no_part_exceeds_its_whole(provider, data):
    counted = READ[provider](data.draw(said_by(provider)))
    if counted is None:
        return
    counts = [getattr(counted, f.name) for f in fields(counted) if f.name.endswith("_tokens")]
    assert all(count is None or (type(count) is int and count >= 0) for count in counts)
    if counted.input_tokens is not None:
        cached = (counted.cache_read_tokens or 0) + (counted.cache_write_tokens or 0)
        assert cached <= counted.input_tokens
    if counted.output_tokens is not None:
        assert (counted.reasoning_tokens or 0) <= counted.output_tokens
    if counted.total_tokens is not None:
        assert counted.total_tokens == counted.input_tokens + counted.output_tokens


@pytest.mark.parametrize("provider", READ)
@given(said=st.recursive(COUNTS, lambda inner: st.dictionaries(st.text(max_size=3), inner)))
def test_invalid_usage_is_unknown(provider, said):
    counted = READ[provider](said)
    assert counted is None or (provider == "gemini" and counted == Usage(0, 0))


@given(said=st.one_of(said_by("openai"), COUNTS))
def test_no_usage_however_strange_loses_text_of_chat_completions(said):
    reader = openai.Reader()
    choice = {"index": 0, "delta": {"content": "A"}, "finish_reason": "stop"}
    assert reader.read({"choices": [choice], "usage": said}) == [TextDelta("A")]
    assert reader.finish(None).finish_reason == "stop"


@given(said=st.one_of(said_by("gemini"), COUNTS))
def test_no_usage_however_strange_loses_text_of_gemini(said):
    reader = gemini.Reader()
    candidate = {"content": {"parts": [{"text": "A"}]}, "finishReason": "STOP"}
    assert reader.read({"candidates": [candidate], "usageMetadata": said}) == [TextDelta("A")]
    assert reader.finish(None).finish_reason == "stop"


@given(said=st.one_of(said_by("anthropic"), COUNTS))
def test_no_usage_however_strange_loses_the_end_of_messages(said):
    reader = anthropic.Reader()
    reader.read({"type": "message_start", "message": {"usage": said}})
    reader.read({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": said})
    assert reader.finish(None).finish_reason == "stop"
