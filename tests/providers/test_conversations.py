"""Earlier answers sent to another provider: valid requests, and a count of what is left out."""

import hashlib
import json
from dataclasses import replace

import pytest
from anthropic.types import MessageParam
from google.genai import types as google_types
from openai.types.chat import ChatCompletionMessageParam
from openai.types.responses import ResponseInputParam
from pydantic import TypeAdapter

import llm_playground as lp
from llm_playground import footer
from llm_playground.parts import (
    AudioPart,
    ImagePart,
    Original,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    ToolResult,
    text_of,
)
from llm_playground.providers import wire_formats
from llm_playground.providers.left_out import left_out
from llm_playground.types import Message, Parameters, Request
from llm_playground.widget.stored_runs import stored_runs
from tests.providers import test_kept_parts, test_responses
from tests.providers.formats import anthropic_stream, gemini_event
from tests.providers.responses_format import message_item, original_of
from tests.providers.server import Reply, WireServer
from tests.providers.test_kept_parts import SEARCH, claude

# By wire format: a model, the list of turns in its body, and the SDK's type of them.
FORMATS = {
    "openai": ("openai:gpt-4o", "messages", list[ChatCompletionMessageParam]),
    "openai-responses": ("openai:gpt-5.4", "input", ResponseInputParam),
    "anthropic": ("anthropic:claude-opus-4-6", "messages", list[MessageParam]),
    "gemini": ("gemini:gemini-3-pro", "contents", list[google_types.Content]),
}
# By the wire format and the kind of an answer: its parts.
ANSWERS = {
    (name, kind): test_kept_parts.answered(name, events).parts
    for kind, (name, events, _, _) in test_kept_parts.ROUND_TRIPS.items()
} | {
    ("openai-responses", item["type"]): (
        *parts,
        TextPart("Done.", original_of(message_item("Done."), "gateway")),
    )
    for item, parts in test_responses.PARTS
}
HI, AND = Message("user", (TextPart("Hi"),)), Message("user", (TextPart("And?"),))


def body(name, *messages, model=None, **parameters):
    model = model or FORMATS[name][0]
    request = Request(model, messages, Parameters(**parameters))
    return wire_formats.WIRE_FORMATS[name].body(request)


def turns_of(name, *messages, **options):
    return body(name, *messages, **options)[FORMATS[name][1]]


def is_sent(part, as_json):
    """Whether a part is there, or need not be."""
    match part:
        case ReasoningPart() | ToolCall() | ServerToolResult(original=None):
            return True
        case AudioPart(transcript=words) if not words or "inlineData" in as_json:
            return "inlineData" in as_json
        case ImagePart(url=None):
            return "inlineData" in as_json
        case ImagePart(url=words) | ServerToolCall(arguments_json=words):
            pass
        case _:
            words = text_of(part)
    return json.dumps(words)[1:-1] in as_json


@pytest.mark.parametrize("to", FORMATS)
def test_answers_of_other_formats_are_sent_validly_and_losses_are_told(to):
    model, _, kind = FORMATS[to]
    lp.configure(openai_api="responses" if to == "openai-responses" else "chat_completions")
    sdk_type = TypeAdapter(kind)
    for of, parts in ANSWERS.items():
        if of[0] == to:
            continue
        calls = [part for part in parts if isinstance(part, ToolCall)]
        results = Message("tool", tuple(ToolResult(call.id, call.name, "1") for call in calls))
        turns = turns_of(to, HI, Message("assistant", parts), results, AND)
        sdk_type.validate_python(turns)

        counted = left_out(Request(model, (HI, Message("assistant", parts), AND)))
        as_json = json.dumps(turns, ensure_ascii=False)
        lost = [part for part in parts if not is_sent(part, as_json)]
        assert sum(counted.values()) == len(lost), (of, counted, lost)


def test_a_run_says_what_of_earlier_answers_was_not_sent(monkeypatch):
    picture = {"content": {"parts": [{"text": "Look."}]}, "index": 0}
    data = {"inlineData": {"mimeType": "image/png", "data": test_kept_parts.PNG}}
    more = {"content": {"parts": [data]}, "index": 0, "finishReason": "STOP"}
    painted = [gemini_event({"candidates": [one]}) for one in (picture, more)]
    with WireServer(Reply(painted)) as google, WireServer(Reply(anthropic_stream(["A"]))) as other:
        for name, server in (("GOOGLE_GEMINI", google), ("ANTHROPIC", other)):
            monkeypatch.setenv(f"{name}_API_KEY", "planted-" + "key-" * 4)
            monkeypatch.setenv(f"{name}_BASE_URL", server.url)
        run = lp.ask("Paint.", "gemini:gemini-2.5-flash")
        again = lp.ask("What is it?", "gemini:gemini-2.5-flash", messages=[run])
        answer = lp.ask("What is it?", "anthropic:claude-sonnet-4-5", messages=[run])

    assert (again.left_out, answer.left_out) == ({}, {"picture": 1})
    line = "Left out: 1 picture (anthropic:claude-sonnet-4-5 has no place for it)."
    assert line in footer.notices(answer)
    [stored] = stored_runs([answer.id])
    assert line in footer.notices(stored.run)


@pytest.mark.parametrize("name", FORMATS)
def test_a_call_without_a_result_has_one_before_the_user_speaks(name):
    asked = Message("assistant", (ToolCall("a", "look", '{"n": 1}'), ToolCall("b", "look")))
    known = Message("tool", (ToolResult("b", "look", "7"),))
    turns = turns_of(name, HI, asked, known, AND)

    assert turns == turns_of(name, HI, asked, known, Message("tool", (not_made("a"),)), AND)
    TypeAdapter(FORMATS[name][2]).validate_python(turns)
    assert json.dumps(turns_of(name, HI, asked)).count("not made") == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_result_is_that_of_the_call_after_which_the_user_spoke(name):
    asked = Message("assistant", (ToolCall("0", "look"),))
    again = Message("assistant", (ToolCall("0-2", "look"),))
    known, named = (Message("tool", (ToolResult(one, "look", "7"),)) for one in ("0", "0-2"))

    sent = turns_of(name, HI, asked, AND, asked, known)

    given_up = Message("tool", (not_made("0"),))
    assert sent == turns_of(name, HI, asked, given_up, AND, again, named)
    assert json.dumps(sent).count('"0-2"') == 2


@pytest.mark.parametrize("name", FORMATS)
def test_the_result_of_a_call_that_was_not_made_comes_before_further_text(name):
    asked = Message("assistant", (ToolCall("a", "look"), ToolCall("b", "look")))
    known, said = Message("tool", (ToolResult("b", "look", "7"),)), Message("assistant", HI.content)
    given_up = Message("tool", (not_made("a"),))
    whole = turns_of(name, HI, asked, known, given_up, said, AND)

    assert turns_of(name, HI, asked, known, said, AND) == whole
    later = json.dumps(turns_of(name, HI, asked, said, known, given_up, AND))
    assert later.count("not made") == 1


def not_made(call_id):
    return ToolResult(call_id, "look", "This call was not made.", is_error=True)


GONE = ImagePart("image/png", stored_sha256="ab" * 32)
SIGNED, SHOWN = (
    replace(GONE, original=Original(name, fields, name))
    for name, fields in (("gemini", '{"thoughtSignature":"c2k="}'), ("openai", '{"images":null}'))
)
DREW = original_of({**test_responses.PICTURE, "result": None}, "openai")


@pytest.mark.parametrize(
    ("name", "parts", "counted"),
    [
        ("gemini", (GONE,), {"picture": 1}),
        ("gemini", (SIGNED,), {"picture": 1}),
        ("gemini", (AudioPart("audio/wav"), AudioPart(None, b"RIFF")), {"recording": 2}),
        ("openai", (SHOWN,), {"picture": 1}),
        (
            "openai-responses",
            (ServerToolCall("ig_1", "image_generation", "{}", DREW), GONE),
            {"server tool call": 1, "picture": 1},
        ),
    ],
)
def test_pictures_and_recordings_without_bytes_are_left_out_and_counted(name, parts, counted):
    said = TextPart("So.")
    turns = [Message("assistant", content) for content in ((*parts, said), (said,))]
    without, plain = (turns_of(name, HI, turn, AND) for turn in turns)

    assert without == plain
    lp.configure(openai_api="responses" if name == "openai-responses" else "chat_completions")
    assert left_out(Request(FORMATS[name][0], (HI, turns[0], AND))) == counted


@pytest.mark.parametrize("name", ["anthropic", "gemini"])
def test_a_picture_of_the_user_without_bytes_is_refused(name):
    with pytest.raises(lp.InvalidParameterError, match="Pass its bytes"):
        turns_of(name, Message("user", (GONE, *HI.content)))


def test_ids_of_searches_that_are_no_texts_name_nothing():
    call = {"type": "server_tool_use", "id": ["x"], "name": "web_search", "input": {}}
    found = {"type": "web_search_tool_result", "tool_use_id": ["x"], "content": []}
    blocks = (Original("anthropic", json.dumps(one), "anthropic") for one in (call, found))
    searched = (ServerToolCall("x", "web_search", "{}", next(blocks)),
                ServerToolResult("x", "web_search", "", original=next(blocks)))  # fmt: skip
    turns = turns_of("anthropic", HI, Message("assistant", searched), AND)
    assert turns[1]["content"] == [found]


def test_a_search_that_was_stopped_is_left_out_unless_the_turn_goes_on():
    run = test_kept_parts.answered("anthropic", claude(test_kept_parts.said("I look."), (SEARCH,)))
    stopped = Message("assistant", run.parts)
    model = "anthropic:m"
    assert [turn["content"] for turn in turns_of("anthropic", HI, stopped, AND, model=model)] == [
        "Hi",
        "I look.",
        "And?",
    ]
    went_on = turns_of("anthropic", HI, stopped, model=model)
    assert went_on[-1]["content"] == [{"type": "text", "text": "I look."}, SEARCH]
    by_code = Message("assistant", (*run.parts, ToolCall("t", "f")))
    result = Message("tool", (ToolResult("t", "f", "1"),))
    assert SEARCH in turns_of("anthropic", HI, by_code, result, model=model)[1]["content"]


@pytest.mark.parametrize(
    ("name", "model", "given", "sent"),
    [
        ("openai", "openai:gpt-4o", "call_1", "call_1"),
        ("openai", "openai:gpt-4o", "c" * 41, None),
        ("openai", "groq:m", "c" * 41, "c" * 41),
        ("openai", "mistral:m", "Ab3dE6gH9", "Ab3dE6gH9"),
        ("openai", "mistral:m", "toolu_01", None),
        ("openai-responses", "openai:gpt-5.4", "c" * 41, "c" * 41),
        ("openai-responses", "openai:gpt-5.4", "c" * 65, None),
        ("anthropic", "anthropic:m", "functions.f:0", "functions_f_0"),
        ("gemini", "gemini:m", "c" * 65, "c" * 65),
    ],
)
def test_ids_of_calls_are_in_the_form_that_the_provider_takes(name, model, given, sent):
    turns = (
        HI,
        Message("assistant", (ToolCall(given, "f"),)),
        Message("tool", (ToolResult(given, "f", "1"),)),
    )
    as_json = json.dumps(turns_of(name, *turns, model=model))
    if sent is None:
        assert given not in as_json
        sent = hash_of(given)
    assert as_json.count(f'"{sent}"') == 2


def hash_of(call_id):
    return hashlib.sha256(call_id.encode()).hexdigest()[:9]


def test_ids_that_are_alike_in_another_form_stay_apart():
    ids = ("a.b", "a:b", "a_b")
    asked = Message("assistant", tuple(ToolCall(one, "f") for one in ids))
    done = Message("tool", tuple(ToolResult(one, "f", one) for one in ids))
    calls, results = turns_of("anthropic", HI, asked, done, model="anthropic:m")[1:]
    sent = [call["id"] for call in calls["content"]]
    assert len(set(sent)) == 3
    assert [one["tool_use_id"] for one in results["content"]] == sent


@pytest.mark.parametrize(
    ("model", "marks"),
    [("gemini-2.5-flash", 0), ("gemini-1.5-pro", 0), ("gemini-3-pro", 1), ("models/gemini-4", 1)],
)
def test_calls_of_other_models_are_marked_where_gemini_wants_a_signature(model, marks):
    asked = Message("assistant", (ToolCall("a", "f"), ToolCall("b", "f")))
    done = Message("tool", tuple(ToolResult(one, "f", "1") for one in "ab"))
    parts = turns_of("gemini", HI, asked, done, model=f"gemini:{model}")[1]["parts"]
    assert [part.get("thoughtSignature", "")[:4] for part in parts] == ["skip"[: 4 * marks], ""]


def test_a_signed_call_gets_no_mark():
    call = {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    events = test_kept_parts.google(call, {"functionCall": {"id": "d", "name": "f", "args": {}}})
    run = test_kept_parts.answered("gemini", events)
    sent = turns_of("gemini", HI, Message("assistant", run.parts), model="gemini:gemini-3-pro")
    marked = [part.get("thoughtSignature") for part in sent[1]["parts"]]
    assert marked == (["c2ln", None])


def test_responses_get_no_item_of_a_request_from_an_original():
    for harm in ({"role": "system", "type": "message"}, {"type": "function_call_output"}, ["x"]):
        original = Original("openai-responses", json.dumps(harm), "openai")
        turns = turns_of("openai-responses", HI, Message("assistant", (TextPart("A", original),)))
        assert turns[1:] == [{"role": "assistant", "content": "A"}]
