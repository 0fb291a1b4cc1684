"""The three wire formats as rows, so that one test covers all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from llm_playground.events import ProviderEvent
from llm_playground.parts import TextPart
from llm_playground.providers import Endpoint, Provider
from llm_playground.providers.anthropic import AnthropicProvider
from llm_playground.providers.gemini import GeminiProvider
from llm_playground.providers.openai import OpenAIProvider
from llm_playground.types import Message, Parameters, Request
from tests.providers.example_provider import ExampleProvider, example_event, example_stream
from tests.providers.formats import anthropic_event, anthropic_stream, gemini_stream, openai_stream
from tests.providers.responses_format import responses_stream, sse

KEY = "planted-" + "key-" * 4 + "7Qa"


@dataclass(frozen=True)
class Vendor:
    """One provider as tests need it: its row in the table of the contract suite.

    Args:
        name: The provider's name.
        model: One of its models.
        build: Its class.
        stream: Its recording: a stream's chunks, given the pieces of the answer.
        fault: An error object inside a stream, given the status it stands for.
        last_word: With the event that holds it the answer is complete.
    """

    name: str
    model: str
    build: Callable[[Endpoint], Provider]
    stream: Callable[..., tuple[bytes, ...]]
    fault: Callable[[int], bytes]
    last_word: bytes

    def __str__(self) -> str:
        return self.name

    def provider(self, base_url: str | None, connect_timeout_s: float | None = 10.0) -> Provider:
        """A provider that has the planted key."""
        return self.build(Endpoint(self.name, KEY, base_url, connect_timeout_s))

    def request(self, *turns: tuple[str, str], **parameters: Any) -> Request:
        """A request; without turns, one short user prompt."""
        messages = tuple(
            Message(role, (TextPart(text),)) for role, text in turns or [("user", "Hi")]
        )
        return Request(self.model, messages, Parameters(**parameters))

    async def answer(self, base_url: str | None, **parameters: Any) -> list[ProviderEvent]:
        """All events of one answer but the first, which says that there is a response."""
        provider = self.provider(base_url)
        try:
            return [event async for event in provider.stream(self.request(**parameters))][1:]
        finally:
            await provider.aclose()


def _error(value: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps({"error": value}).encode() + b"\n\n"


_OPENAI_CODES = {429: "rate_limit_exceeded", 500: "server_error"}
_ANTHROPIC_TYPES = {429: "rate_limit_error", 500: "api_error", 529: "overloaded_error"}

OPENAI = Vendor(
    "openai",
    "openai:gpt-4o",
    OpenAIProvider,
    openai_stream,
    lambda status: _error({"message": "Sorry.", "code": _OPENAI_CODES.get(status, status)}),
    b'"finish_reason": "stop"',
)
LOCAL = replace(OPENAI, name="local", model="local:smollm2-135m-instruct")
ANTHROPIC = Vendor(
    "anthropic",
    "anthropic:claude-sonnet-4-5",
    AnthropicProvider,
    anthropic_stream,
    lambda status: anthropic_event(
        "error", {"error": {"type": _ANTHROPIC_TYPES[status], "message": "Sorry."}}
    ),
    b'"stop_reason": "end_turn"',
)
GEMINI = Vendor(
    "gemini",
    "gemini:gemini-2.5-flash",
    GeminiProvider,
    gemini_stream,
    lambda status: _error({"code": status, "message": "Sorry.", "status": "UNAVAILABLE"}),
    b'"finishReason": "STOP"',
)
EXAMPLE = Vendor(
    "example",
    "example:example-1",
    ExampleProvider,
    example_stream,
    lambda status: example_event({"fault": status, "message": "Sorry."}),
    b'"end": "stop"',
)
_RESPONSES_CODES = {429: "rate_limit_exceeded", 500: "server_error"}
RESPONSES = Vendor(
    "gateway",
    "gateway:gpt-4o",
    OpenAIProvider,
    responses_stream,
    lambda status: sse(
        {"type": "error", "code": _RESPONSES_CODES[status], "message": "Sorry.", "param": None}
    ),
    b'"type": "response.completed"',
)
ALL = (OPENAI, ANTHROPIC, GEMINI)
# The contract suite's table: whatever it promises and whatever may go wrong, for each of these.
PROVIDERS = (*ALL, RESPONSES, LOCAL, EXAMPLE)
