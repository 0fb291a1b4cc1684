"""OpenAI's Responses API: which requests use it, their bodies, and what its streams say."""

import base64
import json
import threading

import pytest
from openai.types.responses import ResponseStreamEvent
from openai.types.responses.response_create_params import ResponseCreateParamsStreaming
from pydantic import ConfigDict, TypeAdapter, with_config

import llm_playground as lp
from llm_playground.parts import (
    FilePart,
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
)
from llm_playground.providers import openai_responses, wire_formats
from llm_playground.providers.contents import dumps
from llm_playground.types import Message, Parameters, Request, Schema, Tool
from tests.providers.responses_format import (
    USAGE,
    call_item,
    events,
    message_item,
    original_of,
    reasoning_item,
    response,
    responses_stream,
    sse,
)
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import RESPONSES

PNG = b"\x89PNG\r\n\x1a\n" + bytes(24)
OPENAIS_OWN = "https://api.openai.com/v1"


def hi(model="openai:gpt-4o", endpoint=None, **parameters):
    words = Message("user", (TextPart("Hi"),))
    return Request(model, (words,), Parameters(**parameters), endpoint=endpoint)


# Which requests use it.


@pytest.mark.parametrize(
    ("given", "chosen", "name"),
    [
        ({}, None, "openai-responses"),
        ({"endpoint": OPENAIS_OWN}, None, "openai-responses"),
        ({"endpoint": "https://eu.api.openai.com/v1"}, None, "openai-responses"),
        ({"endpoint": "https://api.openai.com.example.org/v1"}, None, "openai"),
        ({"endpoint": "http://127.0.0.1:9/v1"}, None, "openai"),
        ({"endpoint": "http://127.0.0.1:9/v1"}, "responses", "openai-responses"),
        ({}, "chat_completions", "openai"),
        ({"model": "groq:llama"}, "responses", "openai"),
        ({"stop": ("END",)}, None, "openai"),
        ({"seed": 1}, None, "openai"),
        ({"frequency_penalty": 0.5}, None, "openai"),
        ({"seed": 1}, "responses", "openai-responses"),
        ({"extra": {"logit_bias": {}}}, None, "openai"),
        ({"extra": {"tools": [{"type": "function", "function": {}}]}}, None, "openai"),
        ({"extra": {"tools": [{"type": "web_search"}]}, "seed": 1}, None, "openai-responses"),
        ({"extra": {"background": True}, "seed": 1}, None, "openai-responses"),
    ],
)
def test_the_address_the_setting_and_the_parameters_choose_the_format(given, chosen, name):
    lp.configure(openai_api=chosen)

    assert wire_formats.format_name(hi(**given)) == name


def test_a_recording_goes_where_it_can_be_sent():
    spoken = Message("user", (FilePart("audio/wav", "a.wav", b"RIFF"),))
    assert wire_formats.format_name(Request("openai:gpt-audio", (spoken,))) == "openai"
    with pytest.raises(lp.InvalidParameterError, match="takes no audio"):
        openai_responses.body(Request("openai:gpt-audio", (spoken,)))


def test_what_the_format_has_no_field_for_is_dropped_with_a_notice(serve):
    server = serve(Reply(responses_stream(["Hello"])))
    lp.configure(openai_api="responses")

    run = lp.ask("Hi", "openai:gpt-4o", seed=1, stop="END", temperature=0.5)

    assert (run.text, set(run.dropped_parameters)) == ("Hello", {"seed", "stop"})
    [sent] = server.requests
    assert sent.path == "/v1/responses"
    assert not {"seed", "stop"} & sent.json.keys()
    assert sent.json["temperature"] == 0.5


# Bodies.

TOOL = Tool("look", "Looks.", {"type": "object", "properties": {"n": {"type": "integer"}}})
CONVERSATION = (
    Message("system", (TextPart("Be brief."),)),
    Message("user", (TextPart("Look: "), ImagePart("image/png", PNG))),
    Message("user", (FilePart("application/pdf", "a.pdf", b"%PDF-1"), TextPart("And this."))),
    Message("user", (FilePart("application/pdf", url="https://example.com/b.pdf"),)),
    Message("assistant", (ReasoningPart("Hm."), ToolCall("c1", "look", '{"n": 1}'))),
    Message("tool", (ToolResult("c1", "look", "2"),)),
    Message("system", (TextPart("Now in French."),)),
)
INPUT = [
    {
        "role": "user",
        "content": [
            {"type": "input_text", "text": "Look: "},
            {
                "type": "input_image",
                "detail": "auto",
                "image_url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}",
            },
        ],
    },
    {
        "role": "user",
        "content": [
            {
                "type": "input_file",
                "filename": "a.pdf",
                "file_data": "data:application/pdf;base64,JVBERi0x",
            },
            {"type": "input_text", "text": "And this."},
        ],
    },
    {
        "role": "user",
        "content": [{"type": "input_file", "file_url": "https://example.com/b.pdf"}],
    },
    {"type": "function_call", "call_id": "c1", "name": "look", "arguments": '{"n": 1}'},
    {"type": "function_call_output", "call_id": "c1", "output": "2"},
    {"role": "system", "content": "Now in French."},
]


def test_a_conversation_is_a_list_of_items_that_the_sdk_knows():
    request = Request(
        "openai:gpt-5.4",
        CONVERSATION,
        Parameters(max_tokens=9, top_p=0.5, reasoning_effort="high", logprobs=2),
        (TOOL,),
        Schema("A town", {"type": "object", "properties": {}}, str),
    )

    body = openai_responses.body(request)

    assert body["instructions"] == "Be brief."
    assert body["input"] == INPUT
    assert body["tools"][0]["name"] == "look"
    assert body["text"]["format"]["name"] == "A_town"
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}
    assert body["include"] == ["message.output_text.logprobs", "reasoning.encrypted_content"]
    assert (body["max_output_tokens"], body["top_logprobs"]) == (9, 2)
    assert (body["store"], body["stream"]) == (False, True)
    known = with_config(ConfigDict(extra="forbid"))(ResponseCreateParamsStreaming)
    TypeAdapter(known).validate_python(body)


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({}, {"store": False}),
        ({"extra": {"store": True}}, {"store": True}),
        ({"extra": {"store": None}}, {}),
        ({"extra": {"background": True}}, {"background": True}),
        ({"reasoning_effort": "none"}, {"reasoning": {"effort": "none"}, "store": False}),
        (
            {"reasoning_effort": "low", "extra": {"include": None}},
            {"reasoning": {"effort": "low", "summary": "auto"}, "store": False},
        ),
        (
            {
                "reasoning_effort": "low",
                "extra": {"reasoning": {"summary": None}, "include": ["x"], "store": None},
            },
            {"reasoning": {"effort": "low"}, "include": ["reasoning.encrypted_content", "x"]},
        ),
    ],
)
def test_what_our_side_adds_can_be_taken_back(given, fields):
    body = openai_responses.body(hi(**given))

    assert {name: body[name] for name in body if name not in ("model", "input", "stream")} == fields


def test_tools_of_extra_join_the_functions():
    search = {"type": "web_search"}
    request = Request("openai:gpt-4o", (), Parameters(extra={"tools": [search]}), (TOOL,))

    assert [tool["type"] for tool in openai_responses.body(request)["tools"]] == [
        "function",
        "web_search",
    ]


def refusal_of(param, message):
    error = {"message": message, "type": "invalid_request_error", "param": param, "code": None}
    return json_reply(400, {"error": error})


def test_a_refused_addition_is_left_out_and_remembered(serve):
    server = serve(
        refusal_of("include", "Encrypted content is not supported with this model."),
        refusal_of("reasoning.summary", "Your organization must be verified for summaries."),
        Reply(responses_stream(["Hello"])),
    )
    lp.configure(openai_api="responses")

    runs = [lp.ask("Hi", "openai:gpt-5.4") for _ in range(2)]
    other = lp.ask("Hi", "openai:gpt-5.5")

    assert [run.text for run in (*runs, other)] == ["Hello"] * 3
    assert len(server.requests) == 5  # only the first call was refused something
    added = [("include" in sent.json, "reasoning" in sent.json) for sent in server.requests]
    assert added == [(True, True), (False, True), (False, False), (False, False), (True, True)]


def test_calls_that_are_refused_at_the_same_time_all_get_an_answer(serve):
    together, refused = threading.Event(), []
    said = {"error": {"message": "Not supported.", "param": "include"}}

    def script(request):
        if "include" not in request.json:
            return Reply(responses_stream(["Hello"]))
        refused.append(request)
        if len(refused) == 3:
            together.set()
        return Reply((together, json.dumps(said).encode()), status=400)

    server = serve(script)
    lp.configure(openai_api="responses")
    runs = lp.compare("Hi", ["openai:gpt-5.4"], n=3).runs

    assert len(server.requests) == 6
    assert [run.text for run in runs] == ["Hello"] * 3


def test_a_refusal_of_something_else_is_not_repeated(serve):
    server = serve(refusal_of("input", "Invalid value."))
    lp.configure(openai_api="responses")

    with pytest.raises(lp.RequestRejectedError):
        lp.ask("Hi", "openai:gpt-5.4")
    assert len(server.requests) == 1


# Streams.

SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "town", "queries": ["town"]},
}
OPENED = {**SEARCH, "id": "ws_2", "action": {"type": "open_page", "url": "https://a.example"}}
CODE = {
    "id": "ci_1",
    "type": "code_interpreter_call",
    "status": "completed",
    "code": "print(1)",
    "container_id": "cntr_1",
    "outputs": [{"type": "logs", "logs": "1\n"}],
}
DRAWN = {
    "id": "ci_2",
    "type": "code_interpreter_call",
    "status": "completed",
    "code": "plot()",
    "container_id": "cntr_1",
    "outputs": [
        {"type": "image", "url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"},
        {"type": "image", "url": "https://a.example/plot.png"},
        {"type": "table", "rows": [1]},
    ],
}
FOUND = {
    "id": "fs_1",
    "type": "file_search_call",
    "status": "completed",
    "queries": ["town"],
    "results": [{"file_id": "f1", "filename": "a.txt", "score": 0.5, "text": "Oslo"}],
}
PICTURE = {
    "id": "ig_1",
    "type": "image_generation_call",
    "status": "completed",
    "result": base64.b64encode(PNG).decode(),
    "output_format": "png",
    "revised_prompt": "A town.",
}
REMOTE = {
    "id": "mcp_1",
    "type": "mcp_call",
    "server_label": "docs",
    "name": "find",
    "arguments": '{"q": 1}',
    "output": "2",
    "error": None,
}
UNKNOWN = {"id": "x_1", "type": "hologram_call", "beam": 5}
PARTS = [
    (
        SEARCH,
        [
            ServerToolCall(
                "ws_1", "web_search", dumps(SEARCH["action"]), original_of(SEARCH, "gateway")
            )
        ],
    ),
    (
        CODE,
        [
            ServerToolCall(
                "ci_1", "code_interpreter", '{"code":"print(1)"}', original_of(CODE, "gateway")
            ),
            ServerToolResult("ci_1", "code_interpreter", "1\n"),
        ],
    ),
    (
        DRAWN,
        [
            ServerToolCall(
                "ci_2", "code_interpreter", '{"code":"plot()"}', original_of(DRAWN, "gateway")
            ),
            ImagePart("image/png", PNG),
            ImagePart(None, url="https://a.example/plot.png"),
            OtherPart("table", '{"type":"table","rows":[1]}'),
        ],
    ),
    (
        FOUND,
        [
            ServerToolCall(
                "fs_1", "file_search", '{"queries":["town"]}', original_of(FOUND, "gateway")
            ),
            ServerToolResult("fs_1", "file_search", "a.txt: Oslo"),
        ],
    ),
    (
        PICTURE,
        [
            ServerToolCall(
                "ig_1",
                "image_generation",
                '{"revised_prompt":"A town."}',
                original_of({**PICTURE, "result": None}, "gateway"),
            ),
            ImagePart("image/png", PNG),
        ],
    ),
    (
        REMOTE,
        [
            ServerToolCall("mcp_1", "docs.find", '{"q": 1}', original_of(REMOTE, "gateway")),
            ServerToolResult("mcp_1", "docs.find", "2"),
        ],
    ),
    (UNKNOWN, [OtherPart("hologram_call", dumps(UNKNOWN), original_of(UNKNOWN, "gateway"))]),
]
URL = {"type": "url_citation", "url": "https://a.example", "title": "A"}
NOTES = [
    {**URL, "start_index": 0, "end_index": 5},
    {"type": "file_citation", "file_id": "f1", "filename": "a.txt", "index": 3},
    {**URL, "start_index": 6, "end_index": 8},
]


def replied(*items, **fields):
    stream = events([(item, None) for item in items], **fields)
    return Reply(tuple(map(sse, stream)))


def answer_to(reply, **parameters):
    """The run of one reply."""
    with WireServer(reply) as server:
        lp.configure(endpoints={"gateway": {"base_url": f"{server.url}/v1"}})
        return lp.ask("Hi", RESPONSES.model, **parameters)


@pytest.fixture
def key(home, monkeypatch):
    monkeypatch.setenv("GATEWAY_API_KEY", "planted-" + "key-" * 4)


def test_the_recordings_are_events_that_the_sdk_knows():
    items = [reasoning_item("Hm."), SEARCH, message_item("Hello", NOTES), call_item("look", "{}")]
    for event in events([(item, None) for item in items]):
        TypeAdapter(ResponseStreamEvent).validate_python(event)


@pytest.mark.parametrize(("item", "parts"), PARTS, ids=lambda value: str(value)[:12])
def test_an_item_is_these_parts_and_goes_back_as_it_came(key, item, parts):
    run = answer_to(replied(item, message_item("Done.")))

    assert [*run.parts] == [
        *parts,
        TextPart("Done.", original_of(message_item("Done."), "gateway")),
    ]
    turn = Message("assistant", run.parts)
    assert openai_responses.body(Request(RESPONSES.model, (turn,)))["input"] == [
        item,
        message_item("Done."),
    ]


def test_an_answer_of_unknown_items_is_shown(key):
    run = answer_to(replied(UNKNOWN))

    assert (run.status, run.text) == ("completed", "")
    [part] = run.parts
    assert part.kind == "hologram_call"


def test_items_without_events_are_read_from_the_whole_response(key):
    whole = response(
        "completed", output=[reasoning_item("Hm."), message_item("Hello")], usage=USAGE
    )
    run = answer_to(Reply((sse({"type": "response.completed", "response": whole}),)))

    assert (run.text, run.reasoning, run.usage_source) == ("Hello", "Hm.", "provider")


def test_sources_name_their_places_in_the_whole_text(key):
    run = answer_to(replied(message_item("One. "), message_item("Two two.", NOTES)))

    assert run.text == "One. Two two."
    assert run.sources == (
        Source("A", "https://a.example", cited_at=(10, 13)),
        Source("a.txt", cited_at=(8,)),
    )


def test_billed_units_are_those_of_the_response_or_counted(key):
    details = {"cached_tokens": 4, "cache_write_tokens": 2}
    usage = {
        **USAGE,
        "input_tokens_details": details,
        "output_tokens_details": {"reasoning_tokens": 3},
    }
    items = (SEARCH, OPENED, CODE, {**CODE, "id": "ci_2"}, FOUND, message_item("Done."))
    counted = answer_to(replied(*items, usage=usage, service_tier="priority")).usage
    stated = answer_to(
        replied(*items, usage=usage, tool_usage={"web_search": {"num_requests": 0}})
    ).usage

    assert (counted.input_tokens, counted.output_tokens, counted.reasoning_tokens) == (11, 5, 3)
    assert (counted.cache_read_tokens, counted.cache_write_tokens) == (4, 2)
    assert counted.service_tier == "priority"
    units = {"web_searches": 1, "code_interpreter_sessions": 1, "file_searches": 1}
    assert counted.billed_units == units
    del units["web_searches"]
    assert stated.billed_units == units


@pytest.mark.parametrize(
    ("reason", "status", "finish_reason"),
    [
        ("max_output_tokens", "completed", "length"),
        ("content_filter", "blocked", "content_filter"),
        ("something_new", "completed", "other"),
    ],
)
def test_an_incomplete_response_says_why(key, reason, status, finish_reason):
    reply = replied(message_item("Hel"), status="incomplete", incomplete_details={"reason": reason})
    with WireServer(reply) as server:
        lp.configure(endpoints={"gateway": {"base_url": f"{server.url}/v1"}})
        try:
            run = lp.ask("Hi", RESPONSES.model)
        except lp.ContentBlockedError as error:
            run = error.run

    assert (run.status, run.finish_reason, run.text) == (status, finish_reason, "Hel")
    assert run.usage_source == "provider"


@pytest.mark.parametrize("text", ["Hel", ""])
def test_an_answer_that_was_cancelled_elsewhere_is_not_complete(key, text):
    *begun, _ = events([(message_item(text), None)] if text else [])
    end = {"type": "response.cancelled", "response": response("cancelled", usage=USAGE)}
    reply = Reply(tuple(map(sse, [*begun, end])))

    with pytest.raises(lp.ProviderError, match="cancelled") as caught:
        answer_to(reply)

    run = caught.value.run
    assert (run.text, run.usage_source) == (text, "provider")
    assert run.status != "completed"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("server_error", lp.ProviderUnavailableError),
        ("rate_limit_exceeded", lp.RateLimitError),
        ("invalid_prompt", lp.RequestRejectedError),
        ("invalid_image_format", lp.RequestRejectedError),
        ("bio_policy", lp.ContentBlockedError),
        ("image_content_policy_violation", lp.ContentBlockedError),
    ],
)
@pytest.mark.parametrize("form", ["failed", "flat", "nested"])
def test_a_failure_has_its_class_and_its_words(key, code, kind, form):
    error = {"code": code, "message": "Not like this."}
    event = {
        "failed": {"type": "response.failed", "response": response("failed", error=error)},
        "flat": {"type": "error", "param": None, **error},
        "nested": {"type": "error", "error": error},
    }[form]
    lp.configure(retry=1)

    with pytest.raises(kind, match=r"Not like this\.|Not like this"):
        answer_to(Reply((sse(event),)))


def test_a_refusal_blocks_the_answer_and_is_kept(key):
    item = message_item("")
    item["content"] = [{"type": "refusal", "refusal": "I will not."}]
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**item, "content": []},
    }
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    end = {"type": "response.completed", "response": response("completed", output=[item])}

    with pytest.raises(lp.ContentBlockedError, match="I will not") as caught:
        answer_to(Reply(tuple(map(sse, (added, done, end)))))
    assert caught.value.run.parts == (RefusalPart("I will not.", original_of(item, "gateway")),)


@pytest.mark.parametrize("streamed", [{"text", "refusal"}, {"text"}, {"refusal"}, set()])
def test_a_refusal_after_text_is_a_part_of_its_own(key, streamed):
    item = message_item("Well.")
    item["content"].append({"type": "refusal", "refusal": "I will not."})
    began = {**item, "content": []}
    deltas = {
        "text": {"type": "response.output_text.delta", "content_index": 0, "delta": "Well."},
        "refusal": {"type": "response.refusal.delta", "content_index": 1, "delta": "I will not."},
    }
    stream = [
        {"type": "response.output_item.added", "output_index": 0, "item": began},
        *(deltas[name] | {"output_index": 0} for name in deltas if name in streamed),
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": response("completed", output=[item])},
    ]

    with pytest.raises(lp.ContentBlockedError, match="I will not") as caught:
        answer_to(Reply(tuple(map(sse, stream))))

    text = "".join(part.text for part in caught.value.run.parts)
    assert sorted(text.split(".")) == ["", "I will not", "Well"]
    if streamed != {"refusal"}:  # whose part ends after the text
        original = original_of(item, "gateway")
        kept = (TextPart("Well.", original), RefusalPart("I will not.", original))
        assert caught.value.run.parts == kept


def test_content_of_unknown_events_is_shown_unless_an_item_brings_it(key):
    def event(kind, place, **fields):
        return {
            "type": f"response.{kind}",
            "output_index": place,
            "item_id": f"i_{place}",
            **fields,
        }

    *begun, end = events([(message_item("Hello"), None)])
    new = [
        event("hologram.delta", 7, delta="3D"),
        event("hologram.delta", 7, delta=" view"),
        event("hologram.in_progress", 7),
        event("layout.delta", 0, delta="Hello"),
        {"type": "response.heartbeat", "sequence_number": 40},
        {"type": "response.aside", "text": "By the way."},
    ]

    run = answer_to(Reply(tuple(map(sse, [*new, *begun, end]))))

    shown = [one for one in run.parts if isinstance(one, OtherPart)]
    assert [one.kind for one in shown] == ["response.hologram.delta", "event"]
    assert [each["delta"] for each in json.loads(shown[0].json)] == ["3D", " view"]
    assert json.loads(shown[1].json) == new[-1]
    assert run.text == "Hello"


def test_log_probabilities_are_kept(key):
    token = {"token": "Hello", "logprob": -0.5, "bytes": [1], "top_logprobs": []}
    stream = events([(message_item("Hello"), None)])
    for event in stream:
        if event["type"] == "response.output_text.delta":
            event["logprobs"] = [token]

    run = answer_to(Reply(tuple(map(sse, stream))), logprobs=0)

    assert [(one.token, one.logprob) for one in run.logprobs] == [("Hello", -0.5)]


# Conversations.


def test_parts_of_both_formats_are_in_one_conversation():
    mixed = Message(
        "assistant",
        (
            ReasoningPart("Hm.", original=original_of(reasoning_item("Hm."), "gateway")),
            TextPart("One", original_of(message_item("One"), "gateway")),
            ToolCall("c1", "look", "{}"),
            TextPart("Two"),
        ),
    )
    turns = (mixed, Message("tool", (ToolResult("c1", "look", "2"),)))

    assert openai_responses.body(Request(RESPONSES.model, turns))["input"] == [
        reasoning_item("Hm."),
        message_item("One"),
        {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
        {"role": "assistant", "content": "Two"},
        {"type": "function_call_output", "call_id": "c1", "output": "2"},
    ]
    chat = wire_formats.WIRE_FORMATS["openai"].body(Request(RESPONSES.model, turns))
    assert "gAAAA" not in json.dumps(chat)


@pytest.mark.parametrize("written", ["{", "[1]", "null"])
def test_a_part_whose_original_is_no_object_goes_back_in_its_plain_form(written):
    part = TextPart("One", Original("openai-responses", written, "gateway"))
    body = openai_responses.body(Request(RESPONSES.model, (Message("assistant", (part,)),)))
    assert body["input"] == [{"role": "assistant", "content": "One"}]


def test_a_custom_tool_has_its_own_kind_of_result(key):
    item = {
        "type": "custom_tool_call",
        "id": "ctc_1",
        "call_id": "call_9",
        "name": "shell",
        "input": "ls",
    }
    run = answer_to(replied(item))
    turns = (
        Message("assistant", run.parts),
        Message("tool", (ToolResult("call_9", "shell", "a"),)),
    )

    assert run.finish_reason == "tool_call"
    [call] = run.tool_calls
    assert (call.id, call.name, call.arguments) == ("call_9", "shell", {"input": "ls"})
    assert openai_responses.body(Request(RESPONSES.model, turns))["input"] == [
        item,
        {"type": "custom_tool_call_output", "call_id": "call_9", "output": "a"},
    ]


def test_a_tool_loop_sends_everything_back_as_it_came(serve):
    rounds = [
        [reasoning_item("First."), call_item("look", '{"n": 1}', "call_1")],
        [
            reasoning_item(),
            message_item("Looking again."),
            call_item("look", '{"n": 2}', "call_2"),
            call_item("look", '{"n":  3}', "call_3"),
        ],
        [reasoning_item("Last."), message_item("Done.")],
    ]
    server = serve(*(replied(*items) for items in rounds))
    lp.configure(openai_api="responses")

    def look(n: int) -> int:
        """Looks."""
        return 10 * n

    result = lp.ask_with_tools("Look.", "openai:gpt-5.4", tools=[look])

    assert (result.text, len(result.runs)) == ("Done.", 3)
    outputs = [
        {"type": "function_call_output", "call_id": f"call_{n}", "output": str(10 * n)}
        for n in (1, 2, 3)
    ]
    first = [{"role": "user", "content": "Look."}]
    second = [*first, *rounds[0], outputs[0]]
    third = [*second, *rounds[1], *outputs[1:]]
    assert [sent.json["input"] for sent in server.requests] == [first, second, third]
    assert all("reasoning.encrypted_content" in sent.json["include"] for sent in server.requests)
    following = lp.ask("And now?", "openai:gpt-5.4", messages=result.messages)
    assert following.status == "completed"
    assert server.requests[-1].json["input"][-3:-1] == rounds[2]
