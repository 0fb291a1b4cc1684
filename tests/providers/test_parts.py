"""Images, reasoning, tool calls and tool results in each vendor's format."""

import json

import pytest

from llm_playground import errors
from llm_playground.parts import (
    ImagePart,
    Original,
    OtherPart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.providers import anthropic, gemini, openai
from llm_playground.types import Message, Request
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, GEMINI

BODY = {"openai": openai.body, "anthropic": anthropic.body, "gemini": gemini.body}
MESSAGES = {"openai": "messages", "anthropic": "messages", "gemini": "contents"}
PNG = ImagePart("image/png", data=b"\x89PNG")
BASE64 = "iVBORw=="
SEALED = Original("anthropic", '{"type": "thinking", "signature": "c2VhbA=="}', "anthropic")
ELSEWHERE = ImagePart(None, url="https://example.com/cat.jpg")


def sent(vendor, *messages):
    """The messages as they stand in the body."""
    return BODY[vendor.name](Request(vendor.model, messages))[MESSAGES[vendor.name]]


def user(*parts):
    return Message("user", parts)


def assistant(*parts):
    return Message("assistant", parts)


def tool(*parts):
    return Message("tool", parts)


async def test_every_part_leaves_as_the_body_builder_says(vendor):
    messages = (
        user(TextPart("Look"), PNG, ELSEWHERE),
        assistant(
            ReasoningPart("Hm", SEALED),
            TextPart("So:"),
            ToolCall("a", "f", '{"snake_case": 1}'),
        ),
        tool(ToolResult("a", "f", "1"), ToolResult("b", "g", "no", is_error=True)),
        user(TextPart("And?")),
    )
    request = Request(vendor.model, messages)
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url)
        async for _ in provider.stream(request):
            pass
        await provider.aclose()
    assert wire.requests[0].json == BODY[vendor.name](request)


PICTURES = {
    "openai": [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{BASE64}"}},
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.jpg"}},
    ],
    "anthropic": [
        {"type": "text", "text": "What is it?"},
        {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": BASE64},
        },
        {"type": "image", "source": {"type": "url", "url": "https://example.com/cat.jpg"}},
    ],
    "gemini": [
        {"text": "What is it?"},
        {"inlineData": {"mimeType": "image/png", "data": BASE64}},
        {"fileData": {"fileUri": "https://example.com/cat.jpg", "mimeType": "image/jpeg"}},
    ],
}


def test_pictures_go_as_bytes_or_as_their_address(vendor):
    [turn] = sent(vendor, user(TextPart("What is it?"), PNG, ELSEWHERE))
    assert turn["role"] == "user"
    assert turn["parts" if vendor is GEMINI else "content"] == PICTURES[vendor.name]


@pytest.mark.parametrize("vendor", [ANTHROPIC, GEMINI], ids=str)
def test_an_address_that_holds_the_picture_goes_as_bytes(vendor):
    held = ImagePart(None, url=f"data:image/png;base64,{BASE64}")
    assert sent(vendor, user(held)) == sent(vendor, user(PNG))


def test_a_picture_of_unknown_type_is_one_line(vendor):
    with pytest.raises(errors.InvalidParameterError, match="no media type"):
        sent(vendor, user(ImagePart(None, data=b"x")))


def test_a_picture_that_anthropic_cannot_fetch_is_one_line():
    with pytest.raises(errors.InvalidParameterError, match="Pass its bytes"):
        sent(ANTHROPIC, user(ImagePart("image/png", url="gs://bucket/cat.png")))


@pytest.mark.parametrize(
    "url",
    [
        "https://www.youtube.com/watch?v=abc",
        "https://youtube.com/watch?v=a.png",
        "HTTPS://YouTu.be/abc",
        "https://a:b@m.youtube.com:443/watch",
        "https://www.youtube-nocookie.com/embed/abc",
        "https://generativelanguage.googleapis.com/v1beta/files/abc",
        "https://example.com/film.mp4",
        "https://example.com/book.pdf?a=b",
        "gs://bucket/talk.mp3",
    ],
)
@pytest.mark.parametrize("media_type", [None, "image/png"])
def test_gemini_gets_no_video_or_document_for_a_picture(url, media_type):
    part = ImagePart(media_type, url=url)
    if media_type and not gemini._OTHER_MEDIA.match(url):
        [turn] = sent(GEMINI, user(part))
        assert turn["parts"][0]["fileData"]["mimeType"] == media_type
    else:
        with pytest.raises(errors.InvalidParameterError, match="is no image"):
            sent(GEMINI, user(part))


CALLS = (
    ToolCall(
        "call_1",
        "weather",
        '{"city": "Oslo"}',
        Original("gemini", '{"thoughtSignature": "c2VhbA=="}', "gemini"),
    ),
    ToolCall("call_2", "time", "{}"),
)
CALLS_SENT = {
    "openai": {
        "role": "assistant",
        "content": "Let me see.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
            },
            {"id": "call_2", "type": "function", "function": {"name": "time", "arguments": "{}"}},
        ],
    },
    "anthropic": {
        "role": "assistant",
        "content": [
            {"type": "text", "text": "Let me see."},
            {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
            {"type": "tool_use", "id": "call_2", "name": "time", "input": {}},
        ],
    },
    "gemini": {
        "role": "model",
        "parts": [
            {"text": "Let me see."},
            {
                "functionCall": {"id": "call_1", "name": "weather", "args": {"city": "Oslo"}},
                "thoughtSignature": "c2VhbA==",
            },
            {"functionCall": {"id": "call_2", "name": "time", "args": {}}},
        ],
    },
}


def test_tool_calls_go_back_as_they_came(vendor):
    assert sent(vendor, assistant(TextPart("Let me see."), *CALLS)) == [CALLS_SENT[vendor.name]]


def test_calls_without_text_have_no_empty_block(vendor):
    [turn] = sent(vendor, assistant(TextPart(""), CALLS[1]))
    assert (
        turn
        == {
            "openai": CALLS_SENT["openai"]
            | {"content": None, "tool_calls": CALLS_SENT["openai"]["tool_calls"][1:]},
            "anthropic": {"role": "assistant", "content": CALLS_SENT["anthropic"]["content"][2:]},
            "gemini": {"role": "model", "parts": CALLS_SENT["gemini"]["parts"][2:]},
        }[vendor.name]
    )


def test_invalid_arguments_are_sent_back_in_the_vendors_form(vendor):
    [turn] = sent(vendor, assistant(ToolCall("a", "f", '{"city": "Os')))
    assert (
        turn
        == {
            "openai": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "a",
                        "type": "function",
                        "function": {"name": "f", "arguments": '{"city": "Os'},
                    }
                ],
            },
            "anthropic": {
                "role": "assistant",
                "content": [
                    {
                        "type": "tool_use",
                        "id": "a",
                        "name": "f",
                        "input": {"INVALID_JSON": '{"city": "Os'},
                    }
                ],
            },
            "gemini": {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {
                            "id": "a",
                            "name": "f",
                            "args": {"invalid_json": '{"city": "Os'},
                        }
                    }
                ],
            },
        }[vendor.name]
    )


RESULTS = (ToolResult("call_1", "weather", "Rain"), ToolResult("call_2", "time", "late", True))
RESULTS_SENT = {
    "openai": [
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain"},
        {"role": "tool", "tool_call_id": "call_2", "content": "late"},
        {"role": "user", "content": "And now?"},
    ],
    "anthropic": [
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "call_1", "content": "Rain"},
                {
                    "type": "tool_result",
                    "tool_use_id": "call_2",
                    "content": "late",
                    "is_error": True,
                },
                {"type": "text", "text": "And now?"},
            ],
        }
    ],
    "gemini": [
        {
            "role": "user",
            "parts": [
                {
                    "functionResponse": {
                        "id": "call_1",
                        "name": "weather",
                        "response": {"output": "Rain"},
                    }
                },
                {
                    "functionResponse": {
                        "id": "call_2",
                        "name": "time",
                        "response": {"error": "late"},
                    }
                },
            ],
        },
        {"role": "user", "parts": [{"text": "And now?"}]},
    ],
}


@pytest.mark.parametrize("apart", [False, True], ids=["one message", "a message each"])
def test_tools_results_go_together_in_the_vendors_form(vendor, apart):
    results = [tool(result) for result in RESULTS] if apart else [tool(*RESULTS)]
    turns = sent(vendor, *results, user(TextPart("And now?")))
    assert turns == RESULTS_SENT[vendor.name]


def test_anthropic_gets_results_before_text():
    turns = sent(ANTHROPIC, user(TextPart("And now?")), tool(*RESULTS))
    assert turns == RESULTS_SENT["anthropic"]


# Reasoning of an earlier turn.


def test_anthropic_gets_signed_reasoning_back_in_its_place():
    [turn] = sent(ANTHROPIC, assistant(ReasoningPart("Hm", SEALED), TextPart("So:"), CALLS[1]))
    assert turn["content"] == [
        {"type": "thinking", "thinking": "Hm", "signature": "c2VhbA=="},
        {"type": "text", "text": "So:"},
        {"type": "tool_use", "id": "call_2", "name": "time", "input": {}},
    ]


@pytest.mark.parametrize(
    "original",
    [
        None,
        Original("gemini", '{"signature": "c2VhbA=="}'),
        Original("anthropic", '{"type": "thinking"}', "anthropic"),
        Original("anthropic", "{no JSON", "anthropic"),
        Original("anthropic", "[1]", "anthropic"),
    ],
)
def test_unsigned_reasoning_is_not_sent_to_anthropic(original):
    [turn] = sent(ANTHROPIC, assistant(ReasoningPart("Hm", original), CALLS[1]))
    assert [block["type"] for block in turn["content"]] == ["tool_use"]


@pytest.mark.parametrize("kind", ["document", "image", "tool_result", ["thinking"], None])
def test_no_original_sends_anthropic_a_block_of_a_request(kind):
    block = {"type": kind, "source": {"type": "url", "url": "https://example.com/a.pdf"}}
    original = Original("anthropic", json.dumps(block), "anthropic")
    parts = (
        OtherPart("x", original.json, original),
        ServerToolCall("1", "x", "{}", original),
        ServerToolResult("1", "x", "", original=original),
        TextPart("So"),
    )
    [turn] = sent(ANTHROPIC, assistant(*parts))
    assert turn["content"] == "So"
