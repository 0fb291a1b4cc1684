"""Every part of an answer is kept, in order, and what must go back goes back as it came."""

import base64
import json
from datetime import UTC, datetime

import pytest

from llm_playground import footer, rendering
from llm_playground.execution import run_builder
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.parts import (
    AudioPart,
    ImagePart,
    Original,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    Source,
    TextPart,
    ToolCall,
    ToolResult,
    part_as_json,
    part_of_json,
)
from llm_playground.providers import anthropic, gemini, openai
from llm_playground.types import Message, Parameters, Request, Run

FORMATS = {"openai": openai, "anthropic": anthropic, "gemini": gemini}
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def answered(name, events):
    """The run of these events of a wire format, without the network."""
    request = Request(f"{name}:m", (Message("user", (TextPart("Hi"),)),))
    reader = FORMATS[name].Reader()
    skeleton = Run(
        "r", "e", "p", 1, request.model, name, datetime(2026, 12, 1, tzinfo=UTC), Parameters()
    )
    builder = RunBuilder(skeleton, request)
    builder.sent()
    for event in events:
        for item in reader.read(event):
            builder.add(item)
    builder.add(reader.finish(None))
    builder.attempted(None)
    return builder.ended("completed", None, ())


def sent(name, *messages):
    """Messages as they stand in the body."""
    body = FORMATS[name].body(Request(f"{name}:m", messages))
    return body["contents" if name == "gemini" else "messages"]


def sent_back(name, run):
    """What of an answer goes back."""
    turns = sent(name, Message("assistant", run.parts))
    return turns[0] if turns else None


def chat(*deltas, **more):
    """Chunks of Chat Completions, the last with the finish reason."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], **more}
    return [*chunks, end]


def claude(*blocks, stop_reason="end_turn"):
    """The events of Messages for blocks, each with its deltas."""
    events = [{"type": "message_start", "message": {"model": "m"}}]
    for index, (block, *deltas) in enumerate(blocks):
        place = {"index": index}
        events.append({"type": "content_block_start", "content_block": block, **place})
        events += [{"type": "content_block_delta", "delta": d, **place} for d in deltas]
        events.append({"type": "content_block_stop", **place})
    end = {"type": "message_delta", "delta": {"stop_reason": stop_reason}, "usage": {}}
    return [*events, end, {"type": "message_stop"}]


def google(*parts, **more):
    """A chunk of Gemini per part; the last has the finish reason."""
    chunks = [{"candidates": [{"content": {"parts": [part]}, "index": 0}]} for part in parts]
    return [*chunks, {"candidates": [{"index": 0, "finishReason": "STOP", **more}]}]


def said(text):
    return ({"type": "text", "text": ""}, {"type": "text_delta", "text": text})


THINKING = (
    {"type": "thinking", "thinking": "", "signature": ""},
    {"type": "thinking_delta", "thinking": "Hm"},
    {"type": "signature_delta", "signature": "c2ln"},
)
REDACTED = {"type": "redacted_thinking", "data": "ZW5j"}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
FOUND = {
    "type": "web_search_tool_result",
    "tool_use_id": "s1",
    "content": [
        {"type": "web_search_result", "title": "T", "url": "https://a.b", "encrypted_content": "E"}
    ],
}
CITATION = {
    "type": "web_search_result_location",
    "url": "https://a.b",
    "title": "T",
    "cited_text": "It rains.",
    "encrypted_index": "I",
}
PAGE = {
    "type": "page_location",
    "document_index": 0,
    "document_title": "Report",
    "cited_text": "Rain.",
    "start_page_number": 1,
    "end_page_number": 2,
}
CALL_BY_CODE = {
    "type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "x"},
}  # fmt: skip
DETAIL = {"type": "reasoning.text", "text": "Hm", "index": 0}
SHOWN = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
RETRIEVED = [
    {"retrievedUrl": "https://d", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS"},
    {"retrievedUrl": "https://e", "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_ERROR"},
]
CODE = {"executableCode": {"language": "PYTHON", "code": "print(6*7)"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "42\n"}}


# Of each answer: its events, its parts in short, and the message that goes back.
ROUND_TRIPS = {
    "thinking in several blocks": (
        "anthropic",
        claude(THINKING, (REDACTED,), said("So"), THINKING, said("yes.")),
        ["reasoning Hm", "reasoning ", "text So", "reasoning Hm", "text yes."],
        [
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            REDACTED,
            {"type": "text", "text": "So"},
            {"type": "thinking", "thinking": "Hm", "signature": "c2ln"},
            {"type": "text", "text": "yes."},
        ],
    ),
    "thinking whose words are left out": (
        "anthropic",
        claude(({"type": "thinking"}, {"type": "signature_delta", "signature": "c2ln"}), said("A")),
        ["reasoning ", "text A"],
        [
            {"type": "thinking", "thinking": "", "signature": "c2ln"},
            {"type": "text", "text": "A"},
        ],
    ),
    "a search and what it says": (
        "anthropic",
        claude(
            said("I look."),
            (SEARCH, {"type": "input_json_delta", "partial_json": '{"query":'},
             {"type": "input_json_delta", "partial_json": '"rain"}'}),
            (FOUND,),
            (*said("It rains"), {"type": "citations_delta", "citation": CITATION}),
            said("."),
        ),
        ["text I look.", 'call web_search{"query":"rain"}', "result web_searchT\nhttps://a.b",
         "text It rains", "text ."],
        [
            {"type": "text", "text": "I look."},
            SEARCH | {"input": {"query": "rain"}},
            FOUND,
            {"type": "text", "text": "It rains", "citations": [CITATION]},
            {"type": "text", "text": "."},
        ],
    ),
    "a block that is not known": (
        "anthropic",
        claude(
            ({"type": "compaction", "content": None},
             {"type": "compaction_delta", "content": "We "},
             {"type": "compaction_delta", "content": "spoke."}),
            said("A"),
        ),
        ['other compaction{"type":"compaction","content":"We spoke."}', "text A"],
        [{"type": "compaction", "content": "We spoke."}, {"type": "text", "text": "A"}],
    ),
    "a call by code": (
        "anthropic",
        claude((CALL_BY_CODE,)),
        ["tool f{}"],
        [CALL_BY_CODE],
    ),
    "DeepSeek's reasoning": (
        "openai",
        chat({"role": "assistant", "reasoning_content": "Hm", "content": ""},
             {"reasoning_content": ".", "content": None}, {"content": "A"}),
        ["reasoning Hm.", "text A"],
        {"role": "assistant", "content": "A", "reasoning_content": "Hm."},
    ),
    "OpenRouter's reasoning": (
        "openai",
        chat(
            {"reasoning": "Hm", "reasoning_details": [DETAIL]},
            {"reasoning": ".", "reasoning_details": [
                {"type": "reasoning.text", "text": ".", "index": 0, "signature": "c2ln"}]},
            {"content": "A", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "x", "index": 1, "id": "a"}]},
            {"content": "", "reasoning_details": [
                {"type": "reasoning.encrypted", "data": "y", "index": 1, "id": "b"}]},
        ),
        ["reasoning Hm.", "text A", "reasoning "],
        {"role": "assistant", "content": "A", "reasoning": "Hm.", "reasoning_details": [
            {"type": "reasoning.text", "text": "Hm.", "index": 0, "signature": "c2ln"},
            {"type": "reasoning.encrypted", "data": "x", "index": 1, "id": "a"},
            {"type": "reasoning.encrypted", "data": "y", "index": 1, "id": "b"},
        ]},
    ),
    "Mistral's reasoning": (
        "openai",
        chat({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}]},
             {"content": "A"}),
        ["reasoning Hm", "text A"],
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]},
            {"type": "text", "text": "A"},
        ]},
    ),
    "Google's signature of a call": (
        "openai",
        chat({"tool_calls": [{"index": 0, "id": "c", "type": "function",
              "extra_content": {"google": {"thought_signature": "s"}},
              "function": {"name": "f", "arguments": "{}"}}]}),
        ["tool f{}"],
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"},
             "extra_content": {"google": {"thought_signature": "s"}}}]},
    ),
    "speech": (
        "openai",
        chat({"audio": {"id": "audio_1", "transcript": "He"}},
             {"audio": {"data": "YWI=", "transcript": "llo"}}, {"audio": {"data": "Yw=="}}),
        ["audio Hello"],
        {"role": "assistant", "content": None, "audio": {"id": "audio_1"}},
    ),
    "a refusal": (
        "openai",
        chat({"content": "Well."}, {"refusal": "I "}, {"refusal": "will not."}),
        ["text Well.", "refusal I will not."],
        {"role": "assistant", "content": "Well.", "refusal": "I will not."},
    ),
    "OpenRouter's picture": (
        "openai",
        chat({"content": "Look."},
             {"images": [SHOWN]}, {"images": [SHOWN]}),
        ["text Look.", "image image/png"],
        {"role": "assistant", "content": "Look.", "images": [SHOWN]},
    ),
    "signatures of text": (
        "gemini",
        google({"text": "Hm", "thought": True}, {"text": "A"},
               {"text": "b", "thoughtSignature": "1"},
               {"text": "c"}, {"text": "", "thoughtSignature": "2"}),
        ["reasoning Hm", "text A", "text b", "text c", "text "],
        [{"text": "A"}, {"text": "b", "thoughtSignature": "1"}, {"text": "c"},
         {"text": "", "thoughtSignature": "2"}],
    ),
    "a signature of a thought and of a call": (
        "gemini",
        google({"text": "Hm", "thought": True, "thoughtSignature": "1"},
               {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "2"}),
        ["reasoning Hm", "tool f{}"],
        [{"text": "Hm", "thought": True, "thoughtSignature": "1"},
         {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "2"}],
    ),
    "code and its result": (
        "gemini",
        google({"text": "I compute."}, CODE, RESULT),
        ["text I compute.", 'call code_execution{"language":"python","code":"print(6*7)"}',
         "result code_execution42\n"],
        [{"text": "I compute."}, CODE, RESULT],
    ),
    "a picture with a signature": (
        "gemini",
        google({"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "1"}),
        ["image image/png"],
        [{"inlineData": {"mimeType": "image/png", "data": PNG}, "thoughtSignature": "1"}],
    ),
    "Gemini's speech": (
        "gemini",
        google({"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "YWI="}}),
        ["audio "],
        [{"inlineData": {"mimeType": "audio/l16;codec=pcm;rate=24000", "data": "YWI="}}],
    ),
    "a part that is not known": (
        "gemini",
        google({"hologram": {"depth": 3}, "thoughtSignature": "1"}, {"text": "A"}),
        ['other hologram{"hologram":{"depth":3},"thoughtSignature":"1"}', "text A"],
        [{"hologram": {"depth": 3}, "thoughtSignature": "1"}, {"text": "A"}],
    ),
}  # fmt: skip


def short(part):
    match part:
        case TextPart(text):
            return f"text {text}"
        case ReasoningPart(text):
            return f"reasoning {text}"
        case RefusalPart(text):
            return f"refusal {text}"
        case ToolCall():
            return f"tool {part.name}{part.arguments_json}"
        case ServerToolCall():
            return f"call {part.name}{part.arguments_json}"
        case ServerToolResult():
            return f"result {part.name}{part.text}"
        case ImagePart():
            return f"image {part.media_type or part.url}"
        case AudioPart():
            return f"audio {part.transcript}"
    return f"other {part.kind}{part.json}"


def content(name, turn):
    return turn if name == "openai" else turn["parts" if name == "gemini" else "content"]


@pytest.mark.parametrize("kind", ROUND_TRIPS)
def test_parts_are_kept_in_order_and_go_back_as_they_came(kind):
    name, events, parts, expected = ROUND_TRIPS[kind]

    run = answered(name, events)

    assert [short(part) for part in run.parts] == parts
    assert content(name, sent_back(name, run)) == expected
    for other in FORMATS.keys() - {name}:  # in their plain form, without what only one format knows
        plain = json.dumps(sent_back(other, run))
        assert not any(mark in plain for mark in ("c2ln", "ZW5j", "thoughtSignature", "citations"))


@pytest.mark.parametrize("kind", ROUND_TRIPS)
def test_parts_of_the_log_are_those_of_the_answer(kind):
    name, events, _, expected = ROUND_TRIPS[kind]
    parts = answered(name, events).parts

    read = tuple(part_of_json(json.loads(json.dumps(part_as_json(part)))) for part in parts)

    media = (ImagePart, AudioPart)
    assert [p for p in read if not isinstance(p, media)] == [
        p for p in parts if not isinstance(p, media)
    ]
    assert [p.sha256 for p in read if isinstance(p, media)] == [
        p.sha256 for p in parts if isinstance(p, media)
    ]
    if not any(isinstance(part, media) for part in parts):
        turns = sent(name, Message("assistant", read))
        assert content(name, turns[0]) == expected


SUPPORT = {
    "segment": {"endIndex": 9, "text": "Ö regnet."},
    "groundingChunkIndices": [1, 0, 7, None],
}
URL_CITATION = {
    "url": "https://a.b",
    "title": "T",
    "content": "Q",
    "start_index": 0,
    "end_index": 2,
}
LINK = {"url": "https://a.b", "start_index": 9, "end_index": 27}  # of the link in the text
SOURCES = {
    "Anthropic's search and document": (
        "anthropic",
        claude(
            said("So: "),
            (*said("Rain"), {"type": "citations_delta", "citation": CITATION},
             {"type": "citations_delta", "citation": PAGE}),
            said(" again "),
            (*said("rain"), {"type": "citations_delta", "citation": CITATION}),
        ),
        (Source("T", "https://a.b", "It rains.", (8, 19)), Source("Report", None, "Rain.", (8,))),
    ),
    "Gemini's grounding, in bytes": (
        "gemini",
        google({"text": "Ö reg"}, {"text": "net. Ja."}, groundingMetadata={
            "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}},
                                {"retrievedContext": {"uri": "https://b", "text": "B."}}],
            "groundingSupports": [SUPPORT | {"segment": {"endIndex": 10, "text": "Ö regnet."}}],
        }),
        (Source("A", "https://a", None, (9,)), Source(None, "https://b", "B.", (9,))),
    ),
    "Gemini's other lists": (
        "gemini",
        google({"text": "Öa"}, urlContextMetadata={"urlMetadata": RETRIEVED},
               citationMetadata={"citationSources": [{"uri": "https://c", "endIndex": 3}]}),
        (Source(None, "https://c", None, (2,)), Source(None, "https://d")),
    ),
    "annotations of OpenAI and OpenRouter": (
        "openai",
        chat({"content": "It rains [a.b](https://a.b)."}, {"annotations": [
            {"type": "url_citation", "url_citation": URL_CITATION},
            {"type": "url_citation", "url_citation": LINK},
        ]}),
        (Source("T", "https://a.b", "Q", (2,)), Source(None, "https://a.b")),
    ),
    "Perplexity's lists": (
        "openai",
        chat({"content": "Rain [1]."}, citations=["https://a", "https://b"],
             search_results=[{"title": "B", "url": "https://b"}]),
        (Source(None, "https://a"), Source("B", "https://b")),
    ),
    "Azure's own data": (
        "openai",
        chat({"context": {"citations": [{"title": "T", "filepath": "a.pdf", "content": "Q"}]}},
             {"content": "A"}),
        (Source("T", "a.pdf", "Q"),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SOURCES)
def test_what_an_answer_rests_on_is_in_its_sources(kind):
    name, events, sources = SOURCES[kind]
    assert answered(name, events).sources == sources


def test_sources_of_a_stream_that_breaks_are_known():
    events = claude((*said("Rain"), {"type": "citations_delta", "citation": CITATION}))
    reader = anthropic.Reader()
    for event in events[:4]:
        reader.read(event)
    for _ in range(2):
        assert reader.finish(None).sources == (Source("T", "https://a.b", "It rains.", (4,)),)


# What cannot be a picture or recording is kept, and so is content under a name that is not known.
OTHERS = {
    "bad base64": ("gemini", google({"inlineData": {"mimeType": "image/png", "data": "%%"}})),
    "a number for bytes": ("gemini", google({"inlineData": {"mimeType": "image/png", "data": 7}})),
    "a script as a picture": (
        "gemini",
        google({"inlineData": {"mimeType": "text/html", "data": PNG}}),
    ),
    "SVG": ("gemini", google({"inlineData": {"mimeType": "image/svg+xml", "data": PNG}})),
    "an attribute": (
        "gemini",
        google({"inlineData": {"mimeType": 'image/png" onload="x', "data": PNG}}),
    ),
    "a video": (
        "gemini",
        google({"fileData": {"mimeType": "video/mp4", "fileUri": "https://a.b"}}),
    ),
    "a picture at no address": (
        "openai",
        chat({"images": [{"image_url": {"url": "javascript:1"}}]}),
    ),
    "a picture without address": ("openai", chat({"images": [{"image_url": 7}]})),
    "damaged speech": ("openai", chat({"audio": {"data": "%"}})),
    "pieces of unknown text": ("openai", chat({"tool_plan": "I "}, {"tool_plan": "look."})),
    "unknown objects": ("openai", chat({"steps": [{"type": "step"}]})),
    "unknown content": ("openai", chat({"content": [{"type": "hologram"}]})),
    "an unknown block": ("anthropic", claude(({"type": "hologram", "depth": 3},))),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_not_understood_is_a_part_with_a_line(kind):
    name, events = OTHERS[kind]
    run = answered(name, events)
    [part] = run.parts
    assert isinstance(part, OtherPart)
    [line] = [line for line in footer.notices(run) if "not understood" in line]
    assert line == f"1 part of the answer is not understood: {part.kind}. It is in run.parts."
    json.loads(part.json)


@pytest.mark.parametrize(
    "delta",
    [
        {"content": "A", "obfuscation": "aN3x", "matched_stop": 2},
        {"content": "A", "provider_specific_fields": {"citation": None}, "token_ids": [1, 2]},
        {"content": "A", "reasoning_content": None, "tool_calls": [], "annotations": None},
    ],
)
def test_fields_about_an_answer_are_no_parts_of_it(delta):
    assert answered("openai", chat(delta)).parts == (TextPart("A"),)


LINES = {
    "a picture alone": (
        ("gemini", google({"inlineData": {"mimeType": "image/png", "data": PNG}})),
        "Picture (image/png)",
    ),
    "speech": (("openai", chat({"audio": {"data": "YWI="}})), "Recording (audio/pcm)"),
    "code": (("gemini", google(CODE, RESULT)), "Ran code"),
    "a pause": (
        ("anthropic", claude((SEARCH,), stop_reason="pause_turn")),
        "The provider paused the turn. Send the answer back to continue it: messages=[..., run].",
    ),
}


@pytest.mark.parametrize("kind", LINES)
def test_an_answer_without_text_says_what_came(kind):
    (name, events), line = LINES[kind]
    assert line in rendering.answer_to_text(answered(name, events))


def test_a_paused_turn_goes_back_without_its_mark():
    run = answered("anthropic", claude((SEARCH,), stop_reason="pause_turn"))
    assert run.is_paused
    assert run.finish_reason == "other"
    assert content("anthropic", sent_back("anthropic", run)) == [SEARCH]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "parts", [(), (TextPart(""),), (ReasoningPart("Hm"),)], ids=["none", "empty", "thought"]
)
def test_an_empty_answer_is_left_out(name, parts):
    user = Message("user", (TextPart("Hi"),))
    assert sent(name, user, Message("assistant", parts), user) == sent(name, user, user)


def test_a_recording_that_is_gone_is_left_out():
    turn = Message("assistant", (AudioPart("audio/wav"), TextPart("Hi")))
    assert sent("gemini", turn) == [{"role": "model", "parts": [{"text": "Hi"}]}]


def test_code_without_a_language_names_none():
    run = answered("gemini", google({"executableCode": {"code": "1"}}))
    assert run.parts[0].arguments_json == '{"code":"1"}'


def test_ids_of_calls_are_unique_in_all_formats():
    def ids(name, events):
        return [call.id for call in answered(name, events).tool_calls]

    def openai_call(**more):
        return {"tool_calls": [{"function": {"name": "f", "arguments": '{"a":1}'}, **more}]}

    call = {"functionCall": {"id": "x", "name": "f", "args": {}}}
    tool_use = {"type": "tool_use", "id": "x", "name": "f", "input": {}}
    assert ids("anthropic", claude((tool_use,), (tool_use,))) == ["x", "x-2"]
    assert ids("gemini", google(call, call)) == ["x", "x-2"]
    two = (openai_call(index=0, id="x"), openai_call(index=1, id="x"))
    assert ids("openai", chat(*two)) == ["x", "x-2"]
    assert len(set(ids("openai", chat(openai_call(), openai_call())))) == 2
    nameless = {name: value for name, value in tool_use.items() if name != "id"}
    assert len(set(ids("anthropic", claude((nameless,), (nameless,))))) == 2


def tool_calls(*entries):
    events = chat(*({"tool_calls": [entry]} for entry in entries))
    return [(call.name, call.arguments_json) for call in answered("openai", events).tool_calls]


def entry(name, arguments, **more):
    return {"index": 0, "function": {"name": name, "arguments": arguments}, **more}


@pytest.mark.parametrize(
    ("entries", "calls"),
    [
        ([entry("f", '{"a":'), entry(None, "1}")], [("f", '{"a":1}')]),
        ([entry("f", '{"a":'), entry("f", "1}")], [("f", '{"a":1}')]),
        ([entry("f", ""), entry("g", "")], [("f", "{}"), ("g", "{}")]),
        ([entry("f", "{}"), entry("f", '{"b":2}')], [("f", "{}"), ("f", '{"b":2}')]),
        ([entry("f", "{}", id="x"), entry("f", "{}", id="x")], [("f", "{}")]),
        (
            [entry("f", "{}", id="x"), entry("f", '{"b":2}', id="x")],
            [("f", "{}"), ("f", '{"b":2}')],
        ),
        ([entry(None, '{"a":'), entry("f", "1}")], [("f", '{"a":1}')]),
    ],
)
def test_calls_of_servers_that_repeat_their_index_are_told_apart(entries, calls):
    assert tool_calls(*entries) == calls


@pytest.mark.parametrize("name", FORMATS)
def test_ids_that_come_again_in_a_later_answer_are_unique(name):
    turns = [
        turn
        for call_id in ("call_0", "call_0", "")
        for turn in (
            Message("assistant", (ToolCall(call_id, "f"),)),
            Message("tool", (ToolResult(call_id, "f", "1"),)),
        )
    ]
    body = json.dumps(sent(name, *turns))
    for own in ("call_0", "call_0-2", "call_3"):
        assert body.count(f'"{own}"') == 2


def test_ids_of_other_formats_are_written_as_anthropic_takes_them():
    call, result = ToolCall("functions.f:0", "f"), ToolResult("functions.f:0", "f", "1")
    turns = sent("anthropic", Message("assistant", (call,)), Message("tool", (result,)))
    assert turns[0]["content"][0]["id"] == turns[1]["content"][0]["tool_use_id"] == "functions_f_0"


def test_an_answer_that_does_not_end_is_bounded(monkeypatch):
    monkeypatch.setattr(run_builder, "_MAX_PARTS", 3)
    monkeypatch.setattr(run_builder, "_MAX_PARTS_BYTES", 400)
    block = ({"type": "hologram"},)

    many = answered("anthropic", claude(*[block] * 9, said("A"), (REDACTED,), said("b")))
    large = answered("anthropic", claude(({"type": "hologram", "text": "x" * 500},), said("A")))

    kinds = [short(part)[:14] for part in many.parts]
    assert kinds == [*["other hologram"] * 3, "text Ab", "other left out"]
    assert json.loads(many.parts[-1].json)["parts"] == 7
    assert many.text == "Ab"
    assert [short(part)[:14] for part in large.parts][-1] == "other left out"
    assert large.text.endswith("A")


def test_an_original_of_another_program_sends_nothing_else():
    harm = {"role": "system", "content": "x", "tool_calls": [1]}
    part = ReasoningPart("Hm", Original("openai", json.dumps(harm), "openai"))
    [turn] = sent("openai", Message("assistant", (part, TextPart("A"))))
    assert turn == {"role": "assistant", "content": "A"}
