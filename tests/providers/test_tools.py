"""Tools in each vendor's format, and complete tool calls from streams."""

import json

import pytest

from llm_playground.events import PartEnded, ReasoningDelta, TextDelta, ToolCallDelta
from llm_playground.parts import Original, OtherPart, TextPart, ToolResult
from llm_playground.providers import anthropic, gemini, openai
from llm_playground.types import Message, Parameters, Request, Tool
from tests.providers.formats import anthropic_event, gemini_event, openai_stream
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI

BODY = {"openai": openai.body, "anthropic": anthropic.body, "gemini": gemini.body}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "minLength": 1}},
    "required": ["city"],
}
OPEN = {"type": "object", "properties": {}}
WEATHER = Tool("weather", "The weather in a city.", SCHEMA)
NOW = Tool("now", "The time.", OPEN)
STRICT = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "{minLength: 1}"}},
    "required": ["city"],
    "additionalProperties": False,
}
OFFERED = {
    "openai": [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather in a city.",
                "parameters": STRICT,
                "strict": True,
            },
        },
        {
            "type": "function",
            "function": {"name": "now", "description": "The time.", "parameters": OPEN},
        },
    ],
    "anthropic": [
        {"name": "weather", "description": "The weather in a city.", "input_schema": SCHEMA},
        {"name": "now", "description": "The time.", "input_schema": OPEN},
    ],
    "gemini": [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "The weather in a city.",
                    "parametersJsonSchema": SCHEMA,
                },
                {"name": "now", "description": "The time.", "parametersJsonSchema": OPEN},
            ]
        }
    ],
}


def request_with_tools(vendor, model=None):
    messages = (Message("user", (TextPart("Hi"),)),)
    return Request(model or vendor.model, messages, Parameters(), (WEATHER, NOW))


async def test_tools_are_offered_in_the_vendors_form(vendor):
    request = request_with_tools(vendor)
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url)
        async for _ in provider.stream(request):
            pass
        await provider.aclose()
    assert wire.requests[0].json == BODY[vendor.name](request)
    assert wire.requests[0].json["tools"] == OFFERED[vendor.name]


def test_compatible_server_gets_the_schema_unchanged():
    function = openai.body(request_with_tools(OPENAI, "ollama:x"))["tools"][0]["function"]
    assert function["parameters"] == SCHEMA
    assert "strict" not in function


# What comes back.


def chat(*deltas, finish_reason="tool_calls"):
    """A stream of Chat Completions with these deltas."""
    first, _, last, *rest = openai_stream(["A"], finish_reason=finish_reason)
    chunks = [
        b"data: "
        + json.dumps({"choices": [{"index": 0, "delta": d, "finish_reason": None}]}).encode()
        + b"\n\n"
        for d in deltas
    ]
    return [first, *chunks, last, *rest]


def entry(arguments, index=0, **more):
    function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
    said = {"function": function, **more} | ({} if index is None else {"index": index})
    return {"tool_calls": [said]}


async def events_of(vendor, events):
    with WireServer(Reply(events)) as wire:
        return await vendor.answer(wire.url)


async def test_two_calls_of_chat_completions_grow_side_by_side():
    events = await events_of(
        OPENAI,
        chat(
            {"content": "Let me see."},
            entry("", id="call_a", type="function", name="weather"),
            entry('{"city":'),
            entry("", index=1, id="call_b", type="function", name="now"),
            entry(' "Oslo"}'),
            entry("{}", index=1),
        ),
    )
    assert events[:-1] == [
        TextDelta("Let me see."),
        ToolCallDelta(0, "", "call_a", "weather"),
        ToolCallDelta(0, '{"city":'),
        ToolCallDelta(1, "", "call_b", "now"),
        ToolCallDelta(0, ' "Oslo"}'),
        ToolCallDelta(1, "{}"),
    ]
    assert events[-1].finish_reason == "tool_call"


IMITATIONS = {
    "every call at index 0": [
        entry("{}", id="a", name="f"),
        entry("[", id="b", name="g"),
        entry("]", id="b"),
    ],
    "no index": [
        entry("{}", index=None, id="a", name="f"),
        entry("[", index=None, id="b", name="g"),
        entry("]", index=None),
    ],
    "arguments as an object": [
        entry({}, id="a", name="f"),
        entry("[", index=1, id="b", name="g"),
        entry("]", index=1, id=""),
    ],
}


@pytest.mark.parametrize("kind", IMITATIONS)
async def test_distinguishes_calls_of_compatible_servers(kind):
    *deltas, finish = await events_of(OPENAI, chat(*IMITATIONS[kind], finish_reason="stop"))
    assert deltas == [
        ToolCallDelta(0, "{}", "a", "f"),
        ToolCallDelta(1, "[", "b", "g"),
        ToolCallDelta(1, "]"),
    ]
    assert finish.finish_reason == "tool_call"


async def test_a_call_without_an_id_gets_one():
    [delta, _] = await events_of(OPENAI, chat(entry("{}", name="f")))
    assert delta.id
    assert delta.name == "f"


def block(index, start, *deltas):
    return [
        anthropic_event("content_block_start", {"index": index, "content_block": start}),
        *(
            anthropic_event("content_block_delta", {"index": index, "delta": delta})
            for delta in deltas
        ),
        anthropic_event("content_block_stop", {"index": index}),
    ]


def claude(*blocks, stop_reason="tool_use", **delta):
    """A stream of Messages with these blocks."""
    said = {"delta": {"stop_reason": stop_reason, **delta}, "usage": {"output_tokens": 5}}
    return [
        anthropic_event("message_start", {"message": {"model": "m", "usage": {"input_tokens": 1}}}),
        *(event for one in blocks for event in one),
        anthropic_event("message_delta", said),
        anthropic_event("message_stop", {}),
    ]


def thinking(index, text, signature):
    return block(
        index,
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "thinking_delta", "thinking": text},
        {"type": "signature_delta", "signature": signature},
    )


def tool_use(index, call_id, name, *pieces):
    return block(
        index,
        {"type": "tool_use", "id": call_id, "name": name, "input": {}},
        *({"type": "input_json_delta", "partial_json": piece} for piece in pieces),
    )


async def test_messages_reasoning_and_calls_in_order_with_signature():
    events = await events_of(
        ANTHROPIC,
        claude(
            thinking(0, "Hm", "c2VhbA=="),
            block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "So:"}),
            tool_use(2, "toolu_a", "weather", "", '{"city":', ' "Oslo"}'),
            tool_use(3, "toolu_b", "now"),
        ),
    )
    assert events[:-1] == [
        ReasoningDelta("Hm"),
        PartEnded(Original("anthropic", '{"type":"thinking","signature":"c2VhbA=="}')),
        TextDelta("So:"),
        ToolCallDelta(0, "", "toolu_a", "weather"),
        ToolCallDelta(0, '{"city":'),
        ToolCallDelta(0, ' "Oslo"}'),
        ToolCallDelta(1, "", "toolu_b", "now"),
    ]
    assert events[-1].finish_reason == "tool_call"


def gemini_chunk(*parts, **more):
    candidate = {"content": {"parts": list(parts), "role": "model"}, "index": 0, **more}
    return gemini_event({"candidates": [candidate]})


async def test_gemini_calls_arrive_complete_with_signatures():
    events = await events_of(
        GEMINI,
        [
            gemini_chunk({"text": "Hm", "thought": True}),
            gemini_chunk(
                {
                    "functionCall": {"id": "g1", "name": "weather", "args": {"city": "Tromsø"}},
                    "thoughtSignature": "c2VhbA==",
                },
                {"functionCall": {"id": "g2", "name": "now"}},
                finishReason="STOP",
            ),
        ],
    )
    assert events[:-1] == [
        ReasoningDelta("Hm"),
        ToolCallDelta(
            0,
            '{"city": "Tromsø"}',
            "g1",
            "weather",
            Original("gemini", '{"thoughtSignature":"c2VhbA=="}'),
        ),
        ToolCallDelta(1, "{}", "g2", "now"),
    ]
    assert events[-1].finish_reason == "tool_call"


async def test_an_id_that_gemini_did_not_give_is_unique_here_and_not_sent_there():
    call = {"functionCall": {"name": "now", "args": {}}}
    events = [gemini_chunk(call, call, finishReason="STOP")]
    first, second, _ = await events_of(GEMINI, events)
    assert first.id != second.id
    result = Message("tool", (ToolResult(first.id, "now", "noon"),))
    [turn] = gemini.body(Request(GEMINI.model, (result,)))["contents"]
    assert turn["parts"] == [{"functionResponse": {"name": "now", "response": {"output": "noon"}}}]


# More answers than one, which only extra can ask for, and servers that count their chunks.


def openai_choice(index, text, reason=None):
    return {"index": index, "delta": {"content": text}, "finish_reason": reason}


def gemini_choice(index, text, reason=None):
    end = {} if reason is None else {"finishReason": reason.upper()}
    return {"index": index, "content": {"parts": [{"text": text}]}} | end


def openai_chunk(*choices):
    return b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n"


FORMATS_OF_CHOICES = {
    "openai": (OPENAI, openai_choice, openai_chunk, b"data: [DONE]\n\n"),
    "gemini": (GEMINI, gemini_choice, lambda *all_of: gemini_event({"candidates": all_of}), b""),
}


@pytest.mark.parametrize("name", FORMATS_OF_CHOICES)
@pytest.mark.parametrize(
    "events",
    [
        [[(0, "a")], [(1, "X")], [(1, "Y", "length")], [(0, "b", "stop")]],
        [[(0, "a")], [(1, "XY", "length")], [(0, "b", "stop")]],
        [[(0, "a")], [(1, "X")], [(2, "Y")], [(0, "b", "stop")]],
        [[(0, "a"), (1, "X")], [(0, "b", "stop"), (1, "Y", "stop")]],
        [[(0, "a")], [(0, "b", "stop")], [(1, "XY", "stop")]],
        [[(1, "X"), (0, "a")], [(0, "b", "stop")], [(1, "Y", "stop")]],
    ],
    ids=["in turn", "ends at once", "three", "in one event", "afterwards", "first"],
)
async def test_another_answers_text_is_not_mixed_in_and_not_lost(name, events):
    vendor, choice, chunk, end = FORMATS_OF_CHOICES[name]
    chunks = [chunk(*(choice(*one) for one in each)) for each in events]

    *deltas, finish = await events_of(vendor, [*chunks, end])

    own, others = ("XY", "ab") if events[0][0][0] == 1 else ("ab", "XY")
    texts = [delta for delta in deltas if isinstance(delta, TextDelta)]
    kept = deltas[len(texts) :]
    assert "".join(delta.text for delta in texts) == own
    assert {type(one.part) for one in kept} == {OtherPart}
    assert all(letter in "".join(one.part.json for one in kept) for letter in others)
    assert finish.finish_reason == "stop"


@pytest.mark.parametrize("name", FORMATS_OF_CHOICES)
@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("number", [1, 2, 3, 6])
async def test_an_answer_whose_chunks_are_counted_is_whole(name, first, number):
    vendor, choice, chunk, end = FORMATS_OF_CHOICES[name]
    ends = [None] * (number - 1) + ["stop"]
    chunks = [chunk(choice(first + place, str(place), ends[place])) for place in range(number)]

    *deltas, finish = await events_of(vendor, [*chunks, end])

    assert deltas == [TextDelta(str(place)) for place in range(number)]
    assert finish.finish_reason == "stop"
