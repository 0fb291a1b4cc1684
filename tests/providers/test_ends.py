"""How answers end: open connections, JSON in place of a stream, odd marks, choices and reasons."""

import json

import pytest

from llm_playground import errors
from llm_playground.events import Finish, ReasoningDelta, TextDelta, ToolCallDelta
from llm_playground.providers import streaming
from llm_playground.types import Usage
from tests.providers.failures import failure, failure_from
from tests.providers.formats import anthropic_event, anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import ANTHROPIC, GEMINI, OPENAI

BEAT = b": heartbeat\n\n"
PING = {OPENAI: b'data: {"choices": []}\n\n', ANTHROPIC: anthropic_event("ping", {}), GEMINI: BEAT}


async def answer_to(vendor, reply):
    with WireServer(reply) as wire:
        return await vendor.answer(wire.url)


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def sse(*values):
    return [b"data: " + json.dumps(value).encode() + b"\n\n" for value in values]


# Open connections.


@pytest.fixture
def short_waits(monkeypatch):
    """The wait after a counted answer is short; that for counts is longer than any test."""
    monkeypatch.setattr(streaming, "_COUNTED_S", 0.05)
    monkeypatch.setattr(streaming, "_UNCOUNTED_S", 300.0)


UNMARKED = {
    OPENAI: openai_stream(["Hel", "lo"], done=False),
    ANTHROPIC: anthropic_stream(["Hel", "lo"], done=False),
    GEMINI: gemini_stream(["Hel", "lo"]),
}


@pytest.mark.usefixtures("short_waits")
async def test_counted_answer_ends_although_the_connection_stays_open(vendor):
    events = await answer_to(vendor, Reply(UNMARKED[vendor], end="hang"))
    assert text_of(events) == "Hello"
    assert (events[-1].finish_reason, events[-1].usage) == ("stop", Usage(11, 5))


@pytest.mark.usefixtures("short_waits")
async def test_heartbeats_do_not_keep_a_complete_answer_waiting(vendor):
    beats = (PING[vendor], BEAT) * 20_000
    reply = Reply((*UNMARKED[vendor], *beats), pause_s=0.01, end="hang")
    events = await answer_to(vendor, reply)
    assert (text_of(events), events[-1].usage) == ("Hello", Usage(11, 5))


@pytest.mark.usefixtures("short_waits")
async def test_counts_that_come_later_are_waited_for():
    *answer, counts = openai_stream(["Hi"], done=False)
    reply = Reply((*answer, BEAT, *(BEAT,) * 30, counts), pause_s=0.01, end="hang")
    events = await answer_to(OPENAI, reply)
    assert events[-1].usage == Usage(11, 5)


async def test_answer_without_counts_ends_before_the_limit_between_deltas(monkeypatch):
    monkeypatch.setattr(streaming, "_UNCOUNTED_S", 0.05)
    reply = Reply(openai_stream(["Hi"], usage=None, done=False), end="hang")
    events = await answer_to(OPENAI, reply)
    assert events == [TextDelta("Hi"), Finish("stop", None, "gpt-4o-2024-08-06")]


@pytest.mark.usefixtures("short_waits")
async def test_text_after_a_finish_reason_belongs_to_the_answer():
    """The first Gemini models sent finishReason with every chunk."""
    chunks = [chunk for piece in ("One ", "two ", "three") for chunk in gemini_stream([piece])]
    events = await answer_to(GEMINI, Reply(chunks, pause_s=0.001))
    assert text_of(events) == "One two three"


# JSON in place of a stream, of a server that ignores "stream".

CALL = {"name": "add", "arguments": '{"a": 1}'}
WHOLE = {
    OPENAI: {
        "object": "chat.completion",
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "Hello",
                    "reasoning_content": "Hm.",
                    "tool_calls": [{"id": f"c{n}", "function": CALL} for n in (0, 1)],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    },
    ANTHROPIC: {
        "type": "message",
        "model": "m-1",
        "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "text", "text": "Hello"},
            *(
                {"type": "tool_use", "id": f"c{n}", "name": "add", "input": {"a": 1}}
                for n in (0, 1)
            ),
        ],
        "stop_reason": "tool_use",
        "usage": {"input_tokens": 11, "output_tokens": 5},
    },
    GEMINI: {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {"text": "Hm.", "thought": True},
                        {"text": "Hello"},
                        *(
                            {"functionCall": {"id": f"c{n}", "name": "add", "args": {"a": 1}}}
                            for n in (0, 1)
                        ),
                    ]
                },
                "finishReason": "STOP",
            }
        ],
        "modelVersion": "m-1",
        "usageMetadata": {"promptTokenCount": 11, "candidatesTokenCount": 5},
    },
}


@pytest.mark.parametrize("indent", [None, 2])
async def test_whole_json_is_the_answer(vendor, indent):
    body = json.dumps(WHOLE[vendor], indent=indent).encode()
    headers = {"content-type": "application/json"}
    events = await answer_to(vendor, Reply((body[:30], body[30:]), headers=headers))
    assert text_of(events) == "Hello"
    assert [event.text for event in events if isinstance(event, ReasoningDelta)] == ["Hm."]
    calls = [event for event in events if isinstance(event, ToolCallDelta)]
    assert [(call.id, call.name, json.loads(call.arguments_json)) for call in calls] == [
        ("c0", "add", {"a": 1}),
        ("c1", "add", {"a": 1}),
    ]
    finish = events[-1]
    assert (finish.finish_reason, finish.response_model) == ("tool_call", "m-1")
    assert (finish.usage.input_tokens, finish.usage.output_tokens) == (11, 5)


async def test_json_lines_and_a_list_of_chunks_are_an_answer():
    chunks = [{"candidates": [{"content": {"parts": [{"text": text}]}}]} for text in ("Hel", "lo")]
    chunks[-1]["candidates"][0]["finishReason"] = "STOP"
    bodies = [json.dumps(chunks), "\n".join(map(json.dumps, chunks))]
    for body in bodies:
        assert text_of(await answer_to(GEMINI, Reply((body.encode(),)))) == "Hello"


async def test_long_json_is_read_whole():
    text = "word " * 20_000
    whole = {"choices": [{"message": {"content": text}}]}  # a finish reason may be missing, too
    events = await answer_to(OPENAI, json_reply(200, whole))
    assert (text_of(events), events[-1].finish_reason) == (text, "other")


async def test_cut_json_is_no_answer(vendor):
    body = json.dumps(WHOLE[vendor]).encode()[:-20]
    error, events = await failure_from(vendor, Reply((body,)))
    assert type(error) is errors.ProviderError
    assert events == []


# Marks and frames.

TWO = {"choices": [{"index": 0, "delta": {"content": "Two."}, "finish_reason": None}]}


@pytest.mark.parametrize("mark", ["[DONE] ", " [DONE]", '"[DONE]"', "DONE", "[done]", "[DONE]\t"])
async def test_end_mark_in_other_spellings_ends_the_answer(mark):
    reply = Reply((*sse(TWO), f"data: {mark}\n\n".encode()), end="hang")
    events = await answer_to(OPENAI, reply)
    assert (text_of(events), events[-1].skipped_events) == ("Two.", 0)


def unparted(stream):
    return b"".join(stream).replace(b"\r\n", b"\n").replace(b"\n\n", b"\n")


async def test_events_without_blank_lines_are_read(vendor):
    whole = unparted(vendor.stream(["Hel", "lo"], reasoning=["Hm."]))
    events = await answer_to(vendor, Reply((whole,)))
    assert (text_of(events), events[-1].skipped_events) == ("Hello", 0)
    assert events[-1].usage == Usage(11, 5)


async def test_events_without_blank_lines_stream():
    first, second = (json.dumps(TWO) for _ in range(2))
    reply = Reply((f"data: {first}\ndata: {second}\n".encode(),), end="drop")
    error, events = await failure_from(OPENAI, reply)
    assert type(error) is errors.StreamInterruptedError
    assert events[:1] == [TextDelta("Two.")]


async def test_several_objects_and_lists_in_one_event_are_read():
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    framings = [
        f"data: {json.dumps([TWO, end])}\n\n",
        f"data: {json.dumps(TWO)}{json.dumps(end)}\n\n",
        f"data: {json.dumps(TWO)}\ndata: {json.dumps(end)}\ndata: [DONE]\n",
    ]
    for framing in framings:
        events = await answer_to(OPENAI, Reply((framing.encode(),)))
        assert (text_of(events), events[-1].finish_reason) == ("Two.", "stop")
        assert events[-1].skipped_events == 0


# Errors in odd forms, with the words of the server. `error:` is llama.cpp's
# (ggml-org/llama.cpp#16104), the bare message vLLM's and SGLang's, `detail` FastAPI's, `base_resp`
# MiniMax's, the text Ollama's proxies'.
SAID = "context shift is disabled"
ODD_ERRORS = [
    f'error: {{"error": {{"code": 500, "message": "{SAID}"}}}}\n\n',
    f'error: {{"code": 500, "message": "{SAID}", "type": "server_error"}}\n\ndata: [DONE]\n\n',
    f"error: {SAID}\n\n",
    f'event: error\ndata: {{"message": "{SAID}"}}\n\n',
    f"event: error\ndata: {SAID}\n\n",
    f'event: error\ndata: {{"detail": "{SAID}", "code": 500}}\n\n',
    f'data: {{"object": "error", "message": "{SAID}", "code": 500}}\n\n',
    f'data: {{"type": "error", "message": "{SAID}"}}\n\n',
    f'data: {{"detail": "{SAID}"}}\n\n',
    f'data: {{"error": "{SAID}"}}\n\n',
    f'data: {{"error": {{"error": "{SAID}", "error_code": 4001}}}}\n\n',
    f'data: [{{"error": {{"code": 500, "message": "{SAID}"}}}}]\n\n',
]


@pytest.mark.parametrize("odd", ODD_ERRORS)
async def test_error_in_an_odd_form_is_named(vendor, odd):
    error, _ = await failure_from(vendor, Reply((odd.encode(),)))
    assert type(error) is errors.ProviderUnavailableError
    assert SAID in str(error)
    text = vendor.stream(["A", "B"])
    cut = next(number for number, event in enumerate(text) if b'"B"' in event)
    error, events = await failure_from(vendor, Reply((*text[:cut], odd.encode())))
    assert type(error) is errors.StreamInterruptedError
    assert SAID in str(error)
    assert events == [TextDelta("A")]


FILTERED = [
    {"message": "The prompt was filtered.", "code": "content_filter", "status": 400},
    {"message": "It may contain inappropriate content.", "code": "data_inspection_failed"},
]


@pytest.mark.parametrize("said", FILTERED)
async def test_content_filter_inside_a_stream_is_a_block(said):
    error, _ = await failure_from(OPENAI, Reply(sse({"choices": []}, {"error": said})))
    assert type(error) is errors.ContentBlockedError
    assert (error.stage, error.retryable) == ("prompt", False)
    error, events = await failure_from(OPENAI, Reply(sse(TWO, {"error": said})))
    assert type(error) is errors.ContentBlockedError
    assert (error.stage, events) == ("answer", [TextDelta("Two.")])
    assert "billed" not in str(error)


# Choices.


def choice(index, text, reason=None):
    entry = {"index": index, "delta": {"content": text}, "finish_reason": reason}
    return {key: value for key, value in entry.items() if key != "index" or index is not None}


def candidate(index, text, reason=None):
    entry = {"content": {"parts": [{"text": text}]}}
    entry |= {} if index is None else {"index": index}
    return entry | ({"finishReason": "STOP"} if reason else {})


CHOICES = {
    "each chunk has the next index (Foundry Local)": (
        [[(n, str(n), "stop" if n == 7 else None)] for n in range(8)],
        "01234567",
    ),
    "counted from 1, and few (TGI)": ([[(1, "a")], [(2, "b")], [(3, "c", "stop")]], "abc"),
    "two chunks": ([[(0, "a")], [(1, "b", "stop")]], "ab"),
    "the only one has index 1": ([[(1, "a")], [(1, "b")], [(1, "", "stop")]], "ab"),
    "no index": ([[(None, "a")], [(0, "b")], [(None, "c", "stop")]], "abc"),
    "two answers, one chunk each in turn": (
        [[(0, "a")], [(1, "x")], [(0, "b")], [(1, "y", "stop")], [(0, "c", "stop")]],
        "abc",
    ),
    "two answers, one after the other": (
        [[(0, "a")], [(0, "b")], [(1, "x")], [(1, "y")], [(0, "", "stop")], [(1, "", "stop")]],
        "ab",
    ),
    "two answers in one chunk": (
        [[(0, "a"), (1, "x")], [(1, "y"), (0, "b")], [(1, "z", "stop"), (0, "c", "stop")]],
        "abc",
    ),
    "three answers": (
        [[(0, "a")], [(1, "x")], [(2, "y")], [(0, "b")], [(1, "x")], [(0, "", "stop")]],
        "ab",
    ),
    "a second answer after the end of the first": (
        [[(0, "a", "stop")], [(1, "x", "stop")]],
        "a",
    ),
}


@pytest.mark.parametrize("kind", CHOICES)
async def test_one_answer_is_read_whole_and_a_further_one_not(kind):
    chunks, text = CHOICES[kind]
    openai = [{"choices": [choice(*each) for each in chunk]} for chunk in chunks]
    gemini = [{"candidates": [candidate(*each) for each in chunk]} for chunk in chunks]
    for vendor, events in ((OPENAI, openai), (GEMINI, gemini)):
        read = await answer_to(vendor, Reply(sse(*events)))
        assert (text_of(read), read[-1].finish_reason) == (text, "stop")


# Finish reasons, in the words of other services.

REASONS = {
    "max_tokens": "length",
    "MAX_TOKENS": "length",
    "maxTokens": "length",
    "FinishReason.MAX_TOKENS": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "end_turn": "stop",
    "STOP": "stop",
    "stop_sequence": "stop",
    "eos_token": "stop",
    "tool_use": "tool_call",
    "sensitive": "content_filter",
    "content_filter: RECITATION": "content_filter",
    "SAFETY": "content_filter",
    "guardrail_intervened": "content_filter",
    "news of next year": "other",
}


def ending(vendor, reason):
    if vendor is OPENAI:
        return openai_stream(["A"], finish_reason=reason)
    return (anthropic_stream if vendor is ANTHROPIC else gemini_stream)(
        ["A"], **{"stop_reason" if vendor is ANTHROPIC else "finish_reason": reason}
    )


@pytest.mark.parametrize("reason", REASONS)
async def test_finish_reason_of_another_service_is_understood(vendor, reason):
    finish = (await answer_to(vendor, Reply(ending(vendor, reason))))[-1]
    assert finish.finish_reason == REASONS[reason]


FAILED = {
    "error": "error",
    "network_error": "network error",
    "insufficient_system_resource": "insufficient system resource",
    "MALFORMED_FUNCTION_CALL": "malformed function call",
    "function_call_filter: MALFORMED_FUNCTION_CALL": "MALFORMED_FUNCTION_CALL",
    "UNEXPECTED_TOOL_CALL": "unexpected tool call",
    "abort": "abort",
}


@pytest.mark.parametrize("reason", FAILED)
async def test_finish_reason_of_a_failure_fails_and_keeps_text_and_counts(vendor, reason):
    error, events = await failure_from(vendor, Reply(ending(vendor, reason)))
    assert type(error) is errors.StreamInterruptedError
    assert FAILED[reason] in str(error)
    assert "text so far is kept" in str(error)
    assert events[0] == TextDelta("A")
    assert events[-1].usage == Usage(11, 5)


async def test_failure_without_text_is_not_repeated_since_it_is_billed():
    words = "Malformed function call: print(default_api.weather("
    end = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": words}
    usage = {"promptTokenCount": 1000, "totalTokenCount": 1000}
    reply = Reply(sse({"candidates": [end], "usageMetadata": usage}))
    error, events = await failure_from(GEMINI, reply)
    assert not error.retryable
    assert words in str(error)
    assert events[-1].usage == Usage(1000, 0)


async def test_unknown_reason_without_text_is_no_silent_success(vendor):
    reply = Reply(tuple(event.replace(b'"A"', b'""') for event in ending(vendor, "news")))
    error, _ = await failure_from(vendor, reply)
    assert "news" in str(error)


async def test_error_inside_a_choice_is_named():
    lost = {"code": 502, "message": "Upstream connection lost"}
    ends = [
        {"index": 0, "delta": {"content": ""}, "finish_reason": "error", "error": lost},
        {"index": 0, "delta": {}, "finish_reason": None, "error": lost},
        {"index": 0, "delta": {"content": ""}, "finish_reason": "stop", "error": lost},
    ]
    for end in ends:
        with WireServer(Reply((*sse(TWO, {"choices": [end]}), b"data: [DONE]\n\n"))) as wire:
            error, events = await failure(OPENAI, wire.url)
        assert type(error) is errors.StreamInterruptedError
        assert "Upstream connection lost" in str(error)
        assert events[0] == TextDelta("Two.")


@pytest.mark.parametrize("reason", [None, "null", "stop"])
async def test_error_beside_text_keeps_the_text_and_fails(reason):
    lost = {"message": "Upstream connection lost"}
    choice = {"index": 0, "delta": {"content": "Two"}, "finish_reason": reason, "error": lost}
    stream = (*sse({"choices": [choice]}), b"data: [DONE]\n\n")
    with WireServer(Reply(stream)) as wire:
        error, events = await failure(OPENAI, wire.url)
    assert "Upstream connection lost" in str(error)
    assert events[0] == TextDelta("Two")
