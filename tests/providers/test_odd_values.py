"""Each value of an answer replaced by odd ones: nothing raises, and no other part is lost."""

import copy
import json
import re
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import rendering
from llm_playground.events import (
    Finish,
    InBackground,
    PartAdded,
    Responded,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import OtherPart, TextPart, part_as_json
from llm_playground.providers import (
    Endpoint,
    RequestContext,
    anthropic,
    gemini,
    openai,
    openai_responses_reader,
    usage,
)
from llm_playground.providers.streaming import stream_events
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.types import Message, Request
from tests.providers import odd_streams
from tests.providers.server import Reply

CALL = RequestContext(Endpoint("openai", "planted-" + "key"), "openai:gpt-4o")
FORMATS = {
    "chat": (openai.Reader, odd_streams.chat),
    "messages": (anthropic.Reader, odd_streams.messages),
    "generateContent": (gemini.Reader, odd_streams.generate_content),
    "responses": (lambda: openai_responses_reader.Reader(print), odd_streams.responses),
}
ODD = [None, -1, 1e308, "odd", [None], {"a": 1}]
# Fields that say what a value belongs to: another one makes it a part of another answer.
PLACES = ("index", "output_index", "sequence_number", "status")
MARK = re.compile(r"\bt\d+\b")
TITLES = {"t3", "t17"}  # of sources, which go with what cites them


async def read(reader, events, *, ensure_ascii=False):
    """The items of an answer, and after each event what was read until then."""

    async def chunks():
        for event in events:
            yield b"data: " + json.dumps(event, ensure_ascii=ensure_ascii).encode() + b"\n\n"
            reader.finish(None)

    items = []
    try:
        async for item in stream_events(CALL, {}, chunks(), reader):
            items.append(item)  # noqa: PERF401 - those before an error are kept
    except lp.LLMError as error:
        return items, error
    return items, None


def shown(items):
    """All texts of an answer."""
    texts = []
    for item in items:
        if isinstance(item, PartAdded):
            texts.append(json.dumps(part_as_json(item.part), ensure_ascii=False))
        elif isinstance(item, ToolCallDelta):
            texts.append(f"{item.name} {item.arguments_json} {item.original}")
        elif isinstance(item, Finish):
            texts.append(repr(item.sources))
            item.usage and json.dumps(item.usage.billed_units)
        else:
            texts.append(f"{getattr(item, 'text', '')} {getattr(item, 'original', '')}")
    return set(MARK.findall("\n".join(texts).replace("\\n", "\n")))


def places(value, path=()):
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for name, each in inner:
        if isinstance(each, (dict, list)):
            yield from places(each, (*path, name))
        else:
            yield (*path, name)


def replaced(value, path, new):
    value = copy.deepcopy(value)
    holder = value
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = new
    return value


@pytest.mark.parametrize("name", FORMATS)
async def test_an_odd_value_neither_raises_nor_takes_others_along(name):
    make, stream = FORMATS[name]
    events = stream()
    whole = shown((await read(make(), events))[0])
    assert len(whole) > 9
    for number, event in enumerate(events):
        for path in places(event):
            for odd in ODD if path else ():
                changed = [*events]
                changed[number] = replaced(event, path, odd)
                items, error = await read(make(), changed)
                left = whole & set(MARK.findall(json.dumps(changed)))
                if error is None and path[-1] not in PLACES:
                    lost = left - shown(items) - TITLES
                    assert not lost, (number, path, odd, lost)


@pytest.mark.parametrize("name", FORMATS)
async def test_an_event_that_cannot_be_read_is_a_part_at_the_end(name):
    make, stream = FORMATS[name]
    strange = {"type": "hologram", "choices": 5, "candidates": 5, "delta": "t99"}
    items, error = await read(make(), [strange, *stream()])

    kept = [item.part for item in items if isinstance(item, PartAdded)]
    assert error is None
    assert json.loads(kept[-1].json) == strange
    assert (kept[-1].kind, items[-1].skipped_events) == ("event", 1)


async def test_all_of_a_response_that_came_whole_is_read_beside_an_item_that_is_none():
    output = [None, *odd_streams.responses()[-1]["response"]["output"]]
    event = odd_streams.responses()[-1] | {"response": {"status": "completed", "output": output}}
    items, _ = await read(openai_responses_reader.Reader(print), [event])

    assert items[1] == PartAdded(OtherPart("item", "[0,null]"))
    assert shown(items) >= {"t1", "t2", "t13", "t16"}


async def test_items_at_one_place_are_all_read_once():
    events = [e | {"output_index": 0} for e in odd_streams.responses() if "output_index" in e]
    end = odd_streams.responses()[-1]
    items, _ = await read(openai_responses_reader.Reader(print), [*events, end])

    assert [item.text for item in items if isinstance(item, TextDelta)] == ["t2", "t16"]
    assert sum(isinstance(item, ToolCallDelta) and item.name == "t4" for item in items) == 1


async def test_what_comes_after_a_finish_reason_is_kept_and_null_as_text_is_none():
    events = odd_streams.chat()
    events[0]["choices"][0]["finish_reason"] = "null"
    ends = [events.pop(-2), *events]

    assert shown((await read(openai.Reader(), ends))[0]) >= {"t7", "t10", "t11", "t12", "t16"}
    reader = openai.Reader()
    reader.read(events[0])
    assert not reader.complete


@pytest.mark.parametrize("cost", [1e308, "1e400", 10**9, -1, "NaN", "Infinity", "text", [1], {}])
def test_a_cost_that_cannot_be_is_none(cost):
    found = usage.of_chat_completions({"prompt_tokens": 1, "completion_tokens": 1, "cost": cost})
    assert found.reported_cost_usd is None
    given = usage.of_chat_completions({"prompt_tokens": 1, "completion_tokens": 1, "cost": "0.5"})
    assert given.reported_cost_usd == Decimal("0.5")


HALF = "a\ud83d"  # JSON can escape half a character, which can be neither shown, stored nor sent
TRANSPORT = ("type", "role", "finish_reason", "finishReason", "stop_reason", "status", "mimeType")


def halved(value, name=""):
    """The value with half a character at the end of its texts and names of unknown fields."""
    if isinstance(value, dict):
        return {key: halved(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [halved(each, name) for each in value]
    is_text = isinstance(value, str) and name not in (*TRANSPORT, "data", "partial_json")
    return value + HALF if is_text else value


@pytest.mark.parametrize("name", FORMATS)
async def test_half_characters_are_in_no_part_source_or_original(name):
    make, stream = FORMATS[name]
    items, _ = await read(make(), halved(stream()), ensure_ascii=True)

    assert len(items) > 9
    for item in items:
        if not isinstance(item, (Responded, InBackground)):  # an id is asked for as it came
            assert "\\ud83d" not in repr(item), item


async def test_half_characters_of_json_in_place_of_a_stream_are_replaced(serve):
    token = {"token": "a\ud83d", "logprob": -0.5}
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": "Hi"},
        "logprobs": {"content": [token]},
        "finish_reason": "stop",
    }
    body = {"choices": [choice], "citations": ["https://example.com/\ud83d"]}
    serve(Reply((json.dumps(body).encode(),), headers={"content-type": "application/json"}))

    run = await lp.complete("Hi", "openai:gpt-4o", logprobs=1)

    assert (run.text, run.logprobs[0].token) == ("Hi", "a\N{REPLACEMENT CHARACTER}")
    assert run.sources[0].url == "https://example.com/\N{REPLACEMENT CHARACTER}"


async def test_a_run_of_half_characters_is_shown_stored_and_sent_again(serve):
    call = {
        "index": 0,
        "id": "c\ud83d",
        "function": {"name": "f\ud83d", "arguments": '{"a": "\\ud83d"}'},
    }
    deltas = [{"content": HALF, "hologram_text\ud83d": HALF}, {"tool_calls": [call]}]
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    stream = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    server = serve(Reply((*stream, b"data: [DONE]\n\n")))

    run = await lp.complete("Hi", "openai:gpt-4o")
    rendering.run_to_html(run).encode()
    lp.export(run, "markdown").encode()
    assert lp.runs().response_text.tolist() == ["a\ufffd"]
    for name in ("openai", "anthropic", "gemini"):
        turns = (Message("assistant", run.parts), Message("user", (TextPart("And?"),)))
        body = WIRE_FORMATS[name].body(Request(f"{name}:m", turns))
        json.dumps(body, ensure_ascii=False).encode()
    await lp.complete("And?", "openai:gpt-4o", messages=[run])
    assert len(server.requests) == 2
