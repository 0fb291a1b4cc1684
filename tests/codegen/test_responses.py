"""Code for OpenAI's Responses API sends what we send: it is run, and what arrives is compared."""

from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground.codegen import LANGUAGES
from llm_playground.parts import (
    FilePart,
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.types import Message, Parameters, Request, Schema, Tool
from tests.codegen.requests import GIF, sent_by_us, text
from tests.providers.responses_format import (
    call_item,
    original_of,
    reasoning_item,
    responses_stream,
)
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import OPENAI

_TOWN = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
_CALL = call_item("look", '{"city": "Oslo"}')
RICH = Request(
    "openai:gpt-5.4",
    (
        text("system", 'Be "brief".\nEOF\n$HOME `id` ${x} \\'),
        Message(
            "user", (ImagePart("image/gif", GIF), FilePart("application/pdf", "a.pdf", b"%PDF"))
        ),
        Message(
            "assistant",
            (
                ReasoningPart("Hm.", original=original_of(reasoning_item("Hm."), "openai")),
                ToolCall(
                    "call_1", "look", '{"city": "Oslo"}', original=original_of(_CALL, "openai")
                ),
            ),
        ),
        Message("tool", (ToolResult("call_1", "look", "It's 'there'."),)),
        Message("assistant", (TextPart("Seen."),)),
        text("user", "Go on.", " Now."),
    ),
    Parameters(
        max_tokens=50,
        reasoning_effort="low",
        extra={
            "tools": [{"type": "web_search"}],
            "include": ["web_search_call.action.sources"],
            "text": {"verbosity": "low"},
            "metadata": {"__proto__": "1"},
        },
    ),
    (Tool("look", 'Looks "there".', _TOWN),),
    Schema("Town", _TOWN, str),
)
PLAIN = Request("openai:gpt-4o", (text("user", "Say hello."),))


@pytest.mark.parametrize("request_", [PLAIN, RICH], ids=["plain", "rich"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_same_body_arrives_at_the_same_place(request_, language, runs):
    lp.configure(openai_api="responses")
    with WireServer(Reply(responses_stream(["Hel", "lo 👋"], reasoning=["Hm"]))) as server:
        printed = runs(language, lp.code(replace(request_, endpoint=f"{server.url}/v1"), language))

    ours = sent_by_us(replace(OPENAI, stream=responses_stream), request_)
    [arrived] = server.requests
    assert arrived.json == ours.json
    assert (arrived.method, arrived.path) == (ours.method, ours.path) == ("POST", "/v1/responses")
    assert language == "curl" or printed == "Hello 👋\n"
