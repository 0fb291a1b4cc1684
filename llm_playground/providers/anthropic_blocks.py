"""The content blocks of Anthropic's Messages, as events of a stream and as they are sent back.

Formats: ``RawContentBlockDelta`` and ``BetaContentBlock`` of anthropic 2, and
https://docs.claude.com/en/docs/build-with-claude/streaming. Blocks that the package does not know
are kept as :class:`~llm_playground.parts.OtherPart`, with all their deltas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from llm_playground.events import (
    PartAdded,
    PartEnded,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import (
    PAUSED,
    AnswerPart,
    Original,
    OtherPart,
    Part,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    Source,
    TextPart,
    original_for,
)
from llm_playground.providers.contents import (
    SourceList,
    dumps,
    records,
    text_or_none,
    unique_id,
    unknown_event,
)

NAME = "anthropic"

_SERVER_CALLS = ("server_tool_use", "mcp_tool_use")
_RESULT = "_tool_result"
_OF_CALLS = ("type", "id", "name", "input")
# Blocks of requests, which hold addresses, files and results. No answer has them, so that one in an
# original comes from another program.
_NOT_SENT_BACK = frozenset({"document", "image", "search_result", "tool_result", "file"})
# What people read in a tool's result, in this order; the rest is encrypted, or about the result.
_READABLE = (
    "error_code", "title", "url", "text", "stdout", "stderr", "content", "source", "data", "lines",
    "tool_references", "tool_name", "file_id", "abort_reason",
)  # fmt: skip
_MAX_RESULT_CHARS = 100_000


@dataclass(slots=True)
class _Block:
    """A block; ``start`` is the length of the text before it, ``end`` that with it, once known."""

    content: dict[str, Any]
    start: int
    end: int | None = None
    pieces: dict[str, list[str]] = field(default_factory=dict)
    citations: list[dict[str, Any]] = field(default_factory=list)
    has_thoughts: bool = False

    def add(self, name: str, text: str) -> None:
        self.pieces.setdefault(name, []).append(text)

    def whole(self) -> dict[str, Any]:
        """The block with the pieces that its deltas brought."""
        known = self.content
        joined = {name: "".join(pieces) for name, pieces in self.pieces.items()}
        texts = {
            name: (text_or_none(known.get(name)) or "") + text for name, text in joined.items()
        }
        if "input" in joined:
            texts.pop("input")
            return known | texts | {"input": _parsed(joined["input"])}
        return known | texts


class Blocks:
    """Reads the blocks of one answer."""

    def __init__(self) -> None:
        self._open: dict[object, _Block] = {}
        self._calls: dict[object, int] = {}
        self._ids: set[str] = set()
        self._server_tools: dict[str, str] = {}
        self._chars = 0
        self._after_text = False
        self._cited: list[_Block] = []

    def delta(self, index: object, delta: Mapping[str, Any]) -> list[ProviderEvent]:
        """The events of one delta."""
        text = delta.get("text")
        if text and isinstance(text, str):
            self._chars += len(text)
            return [TextDelta(text)]
        thinking = delta.get("thinking")
        if thinking and isinstance(thinking, str):
            if index in self._open:
                self._open[index].has_thoughts = True
            return [ReasoningDelta(thinking)]
        if delta.get("partial_json") and index in self._calls:
            return [ToolCallDelta(self._calls[index], str(delta["partial_json"]))]
        if index not in self._open:
            return unknown_event(delta)
        self._keep(self._open[index], delta)
        return []

    def started(self, index: object, block: Mapping[str, Any]) -> list[ProviderEvent]:
        """The events of a block's start, which has the fields of deltas, mostly empty."""
        kind = str(block.get("type"))
        is_text, follows_text = kind == "text", self._after_text
        self._after_text = is_text
        if kind == "tool_use":
            return [self._call(index, block)]
        if kind == "redacted_thinking":
            return [PartAdded(ReasoningPart("", _original(block)))]
        if kind.endswith(_RESULT):
            return [PartAdded(self._result(kind, block))]
        opened = self._open[index] = _Block(dict(block), self._chars)
        if not (is_text or kind == "thinking"):
            return []
        for citation in records(block.get("citations")):
            self._cite(opened, citation)
        opened.content = {"type": kind}
        if signature := text_or_none(block.get("signature")):
            opened.add("signature", signature)
        texts = {name: block[name] for name in ("text", "thinking") if block.get(name)}
        return [*([PartEnded()] if is_text and follows_text else []), *self.delta(index, texts)]

    def stopped(self, index: object) -> list[ProviderEvent]:
        """The events of a block's end."""
        block = self._open.pop(index, None)
        if block is None:
            return []
        content = block.whole()
        match content.get("type"):
            case "text":
                block.end = self._chars
                is_cited = block.citations and block.end > block.start
                cited = {"type": "text", "citations": block.citations}
                return [PartEnded(_original(cited))] if is_cited else []
            case "thinking":
                if not content.get("signature"):  # it would be refused
                    return [PartEnded()] if block.has_thoughts else []
                if block.has_thoughts:
                    return [PartEnded(_original(content))]
                return [PartAdded(ReasoningPart("", _original(content)))]
            case kind if kind in _SERVER_CALLS:
                return [PartAdded(self._server_call(content))]
            case kind:
                original = _original(content)
                return [PartAdded(OtherPart(str(kind), original.json, original))]

    def ended(self, reason: object) -> list[ProviderEvent]:
        """The events of the answer's end, for its stop reason."""
        rest = [event for index in list(self._open) for event in self.stopped(index)]
        if reason == PAUSED:
            rest.append(PartAdded(OtherPart(PAUSED, dumps({"stop_reason": PAUSED}))))
        return rest

    def sources(self) -> tuple[Source, ...]:
        """What the text cites until now."""
        found = SourceList()
        for block in self._cited:
            for one in block.citations:
                title = one.get("title") or one.get("document_title")
                url = one.get("url") or one.get("source")
                at = self._chars if block.end is None else block.end
                found.add(title, url, one.get("cited_text"), at)
        return found.sources()

    def _keep(self, block: _Block, delta: Mapping[str, Any]) -> None:
        """Keep a delta that is no text: a citation, a signature, or one of an unknown kind."""
        citation = delta.get("citation")
        if isinstance(citation, dict):
            self._cite(block, citation)
            return
        for name, value in delta.items():
            if name == "type" or value is None:
                continue
            if name == "partial_json":
                block.add("input", str(value))
            elif isinstance(value, str):
                block.add(name, value)
            else:
                block.content[name] = value

    def _call(self, index: object, block: Mapping[str, Any]) -> ToolCallDelta:
        if not isinstance(block["name"], str):
            raise TypeError("not a text")
        number = self._calls[index] = len(self._ids)
        call_id = unique_id(block.get("id"), self._ids, "toolu_")
        self._ids.add(call_id)
        arguments = json.dumps(block["input"]) if block.get("input") else ""
        rest = {name: value for name, value in block.items() if value and name not in _OF_CALLS}
        original = _original(rest) if rest else None
        return ToolCallDelta(number, arguments, call_id, block["name"], original)

    def _server_call(self, block: Mapping[str, Any]) -> ServerToolCall:
        call_id, name = str(block.get("id")), str(block.get("name"))
        self._server_tools[call_id] = name
        return ServerToolCall(call_id, name, dumps(block.get("input") or {}), _original(block))

    def _result(self, kind: str, block: Mapping[str, Any]) -> AnswerPart:
        call_id, content = str(block.get("tool_use_id")), block.get("content")
        details: Mapping[str, Any] = content if isinstance(content, dict) else {}
        is_error = (
            bool(block.get("is_error"))
            or str(details.get("type")).endswith("_error")
            or details.get("return_code") not in (None, 0)
        )
        name = self._server_tools.get(call_id) or kind.removesuffix(_RESULT)
        text = "\n".join(_readable(content))[:_MAX_RESULT_CHARS]
        return ServerToolResult(call_id, name, text, is_error, _original(block))

    def _cite(self, block: _Block, citation: dict[str, Any]) -> None:
        if not block.citations:
            self._cited.append(block)
        block.citations.append(citation)


def _original(block: Mapping[str, Any]) -> Original:
    return Original(NAME, dumps(block))


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return {"INVALID_JSON": text}


def _readable(value: object) -> Iterator[str]:
    """The lines of a tool's result that people can read."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from _readable(each)
    elif isinstance(value, dict):
        for name in _READABLE:
            if value.get(name):
                yield from _readable(value[name])


def sent_back(part: Part) -> dict[str, Any] | None:
    """The block of a part with its original, None for a part without one that can be sent.

    >>> sent_back(ReasoningPart("Hm", Original("anthropic", '{"signature":"c2k="}')))
    {'signature': 'c2k=', 'type': 'thinking', 'thinking': 'Hm'}
    """
    block = original_for(part, NAME)
    if block is None:
        return None
    match part:
        case TextPart(text):
            return {"type": "text", "text": text, **block} if text.strip() else None
        case ReasoningPart(text) if block.get("type") == "redacted_thinking":
            return block
        case ReasoningPart(text) if block.get("signature"):
            return {**block, "type": "thinking", "thinking": text}
        case ServerToolCall() | ServerToolResult() | OtherPart():
            return block if _is_of_an_answer(block) else None
    return None


def without_open_calls(turns: list[list[dict[str, Any]]]) -> list[list[dict[str, Any]]]:
    """The turns without server tool calls that have no result: of answers that were stopped.

    Messages refuses them, but at the end, where the answer goes on, and before results of calls
    that they make.

    >>> call, said = {"type": "server_tool_use", "id": "a"}, {"type": "text", "text": "Go on."}
    >>> without_open_calls([[call], [said]]), without_open_calls([[call]])
    ([[], [{'type': 'text', 'text': 'Go on.'}]], [[{'type': 'server_tool_use', 'id': 'a'}]])
    """
    results = (text_or_none(block.get("tool_use_id")) for blocks in turns for block in blocks)
    done = set(filter(None, results))
    whole = []
    for blocks, following in zip_longest(turns, turns[1:]):
        goes_on = following is None or any(one["type"] == "tool_result" for one in following)
        whole.append(
            [
                block
                for block in blocks
                if goes_on
                or block["type"] not in _SERVER_CALLS
                or text_or_none(block.get("id")) in done
            ]
        )
    return whole


def _is_of_an_answer(block: Mapping[str, Any]) -> bool:
    kind = block.get("type")
    return isinstance(kind, str) and kind not in _NOT_SENT_BACK
