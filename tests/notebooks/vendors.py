"""The vendors' side of the recordings: answers to the prompts of the notebooks, by wire format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from tests.notebooks.answers import ANSWERS, Answer, Call
from tests.providers.formats import (
    anthropic_event,
    anthropic_stream,
    gemini_stream,
    openai_stream,
)
from tests.providers.server import Reply, WireRequest, WireServer, json_reply
from tests.test_tool_use import calling

KEY = "planted-" * 4
_CHARS_PER_TOKEN = 4
_PIECE_WORDS = 3
_PAUSE_S = 0.02
_MODEL_OF_CALLS = b"gpt-4o-2024-08-06"  # of tests.test_tool_use.calling


class Vendors:
    """Answers each prompt with the answers of its table, in turn for each model."""

    def __init__(self) -> None:
        self._asked: Counter[tuple[str, str]] = Counter()

    def __call__(self, request: WireRequest) -> Reply:
        body = request.json
        model = body.get("model") or request.path.rpartition("/")[2].partition(":")[0]
        prompt = _prompt(body)
        answer = self._next(model, prompt)
        if answer is None:
            return json_reply(404, {"error": {"message": f"no answer to {prompt!r}"}})
        return _reply(request.path, model, answer, len(request.body))

    def _next(self, model: str, prompt: str) -> Answer | None:
        found = next((one for start, one in ANSWERS.items() if prompt.startswith(start)), None)
        if isinstance(found, Mapping):
            found = next((one for name, one in found.items() if model.startswith(name)), None)
        if found is None:
            return None
        answers = found if isinstance(found, list) else [found]
        number = self._asked[model, prompt]
        self._asked[model, prompt] += 1
        return answers[min(number, len(answers) - 1)]


def _prompt(body: Mapping[str, Any]) -> str:
    """The text of the last turn, in any of the formats; ``tool: `` before a tool's result."""
    turn = (body.get("messages") or body.get("contents"))[-1]
    content = turn.get("content") or turn.get("parts")
    if turn.get("role") == "tool":
        return f"tool: {content}"
    parts = [{"text": content}] if isinstance(content, str) else content
    return "".join(part["text"] for part in parts if "text" in part)


def _reply(path: str, model: str, answer: Answer, size: int) -> Reply:
    if isinstance(answer, Call):
        reply = calling(*answer.calls)
        named = [chunk.replace(_MODEL_OF_CALLS, model.encode()) for chunk in reply.chunks]
        return replace(reply, chunks=named)
    text = answer if isinstance(answer, str) else answer.text
    tokens = max(1, size // _CHARS_PER_TOKEN), max(1, len(text) // _CHARS_PER_TOKEN)
    pieces = _pieces(text)
    if "messages" in path and "completions" not in path:
        usage = {"input_tokens": tokens[0], "output_tokens": tokens[1]}
        events = list(anthropic_stream(pieces, model=model, usage=usage))
        if not isinstance(answer, str):
            end = next(n for n, one in enumerate(events) if b"content_block_stop" in one)
            events[end:end] = [
                anthropic_event(
                    "content_block_delta",
                    {"index": 0, "delta": {"type": "citations_delta", "citation": dict(cited)}},
                )
                for cited in answer.citations
            ]
        chunks: Sequence[bytes] = events
    elif "generateContent" in path or "streamGenerateContent" in path:
        usage = {"promptTokenCount": tokens[0], "candidatesTokenCount": tokens[1]}
        usage["totalTokenCount"] = sum(tokens)
        chunks = gemini_stream(pieces, model=model, usage=usage)
    else:
        usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
        usage["total_tokens"] = sum(tokens)
        chunks = openai_stream(pieces, model=model, usage=usage)
    return Reply(chunks, pause_s=_PAUSE_S)


def _pieces(text: str) -> list[str]:
    words = text.split(" ")
    spaced = [f"{word} " for word in words[:-1]] + words[-1:]
    starts = range(0, len(spaced), _PIECE_WORDS)
    return ["".join(spaced[start : start + _PIECE_WORDS]) for start in starts]


@contextmanager
def vendors_environment() -> Iterator[dict[str, str]]:
    """The environment of a kernel whose calls reach these vendors."""
    with WireServer(Vendors()) as server:
        yield {
            "OPENAI_API_KEY": f"sk-{KEY}",
            "OPENAI_BASE_URL": f"{server.url}/v1",
            "ANTHROPIC_API_KEY": f"sk-ant-{KEY}",
            "ANTHROPIC_BASE_URL": server.url,
            "GOOGLE_GEMINI_API_KEY": f"AIza{KEY}",
            "GOOGLE_GEMINI_BASE_URL": server.url,
        }
