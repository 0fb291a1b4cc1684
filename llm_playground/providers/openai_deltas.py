"""The deltas of Chat Completions as events.

Sources: the format's documentation, and recorded streams of OpenRouter, Perplexity, Groq, Mistral,
DeepSeek, LiteLLM, Azure and Google's OpenAI-compatible endpoint. These add fields of their own to
the format; what has content and is not known here is kept as an
:class:`~llm_playground.parts.OtherPart`.

The form of originals is that of :mod:`~llm_playground.providers.openai_turns`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
    AudioPart,
    Original,
    OtherPart,
    ReasoningPart,
    ServerToolCall,
    ServerToolResult,
    Source,
)
from llm_playground.providers.contents import (
    SourceList,
    dumps,
    from_base64,
    picture_at,
    read_each,
    records,
    text_or_none,
    unique_id,
)
from llm_playground.providers.openai_turns import NAME

# Fields of the message that must be sent back unchanged, such as signatures of reasoning.
_KEPT = ("reasoning_details", "thinking_blocks", "extra_content")
# The pieces of their entries that are joined; of all other fields the latest holds.
_JOINED = ("text", "summary", "thinking")
_KNOWN = frozenset({
    "content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call", "audio",
    "images", "annotations", "executed_tools", "context", "citations", "role", *_KEPT,
})  # fmt: skip
_QUIET = frozenset({"content", "role"})
_FREQUENT = _QUIET | {"reasoning_content", "reasoning", "refusal", "tool_calls"}
# What an unknown field with content is called; all others tell about the answer.
_CONTENT = re.compile(
    r"text|content|think|thought|reason|plan|image|audio|video|media|file|document|citation"
    r"|source|search|annotation|result|output|artifact|code",
    re.IGNORECASE,
)
_MAX_AUDIO_BYTES = 256 << 20
# OpenAI streams speech in this form only: https://platform.openai.com/docs/guides/audio
_AUDIO_TYPE = "audio/pcm"
_AUDIO_MARKS = {
    b"RIFF": "audio/wav",
    b"ID3": "audio/mpeg",
    b"OggS": "audio/ogg",
    b"fLaC": "audio/flac",
}
# The fields of a tool call that are parts of its event.
_OF_CALLS = ("index", "id", "type", "function", "custom")
_OF_FUNCTIONS = ("name", "arguments", "input")


class DeltaReader:
    """Reads the deltas of one answer."""

    def __init__(self) -> None:
        self.refusal: list[str] = []
        self.calls = ToolCalls()
        self._texts: list[str] = []
        self._reasoning: Original | None = None  # of the reasoning under way
        self._kept: dict[str, _Entries] = {}
        self._audio = _Audio()
        self._pictures: set[int] = set()
        self._tools: dict[object, dict[str, Any]] = {}
        self._unknown: dict[str, list[Any]] = {}
        self._cited: list[dict[str, Any]] = []
        self._refuses = False  # in the part under way

    def read(self, delta: dict[str, Any]) -> list[ProviderEvent]:
        """The events of one delta."""
        text = delta.get("content")
        if text and isinstance(text, str) and self._reasoning is None:
            for name in delta if len(delta) > 1 else ():
                if name not in _QUIET and delta[name]:
                    break
            else:  # the most frequent delta
                self._texts.append(text)
                return [TextDelta(text)]
        events: list[ProviderEvent] = []
        # The first name is that of vLLM, DeepSeek and llama.cpp, the second that of OpenRouter.
        field = "reasoning_content" if delta.get("reasoning_content") else "reasoning"
        reasoning = delta.get(field)
        if reasoning and isinstance(reasoning, str):
            self._reasoning = _REASONING[field]
            events.append(ReasoningDelta(reasoning))
            for name in delta:
                if name != field and name != "role" and delta[name]:
                    break
            else:
                return events
        after = [*self._text_in(text), *self._others_in(delta)]
        if after and self._reasoning is not None and not isinstance(after[0], ReasoningDelta):
            events.append(PartEnded(self._reasoning))
            self._reasoning = None
        return [*events, *after]

    def ended(self) -> list[ProviderEvent]:
        """The events of the answer's end, and of what comes after it: whole parts."""
        events: list[ProviderEvent] = []
        if self._reasoning is not None:
            events.append(PartEnded(self._reasoning))
            self._reasoning = None
        if self._refuses:
            self._refuses = False
            original = Original(NAME, dumps({"refusal": None}))
            events.append(PartEnded(original, is_refusal=True))
        kept = {name: entries.value() for name, entries in self._kept.items()}
        if kept:
            events.append(PartAdded(ReasoningPart("", Original(NAME, dumps(kept)))))
        events += map(PartAdded, (*self._audio.parts(), *self._tool_parts()))
        for name, values in self._unknown.items():
            value = "".join(values) if all(isinstance(v, str) for v in values) else values
            events.append(PartAdded(OtherPart(name, dumps(value))))
        self._kept, self._audio, self._tools, self._unknown = {}, _Audio(), {}, {}
        return events

    def sources(self, citations: object, search_results: object) -> tuple[Source, ...]:
        """What the answer cites; the arguments are Perplexity's, whose text has numbers for them.

        https://docs.perplexity.ai/api-reference/chat-completions-post
        """
        found = SourceList()
        results = {text_or_none(each.get("url")): each for each in records(search_results)}
        listed = citations if isinstance(citations, list) else []
        known = [one for one in listed if one and isinstance(one, (str, dict))]
        for one in known or [url for url in results if url]:
            url = one.get("url") if isinstance(one, dict) else one
            about = one if isinstance(one, dict) else results.get(text_or_none(url), {})
            found.add(about.get("title"), url)
        text = "".join(self._texts) if self._cited else ""
        for one in self._cited:
            url = one.get("url") or one.get("filepath")
            found.add(one.get("title"), url, one.get("content"), _place(one, text))
        return found.sources()

    def _text_in(self, content: object) -> Iterator[ProviderEvent]:
        """The events of content: text, or parts as Mistral's reasoning models stream them."""
        if content and isinstance(content, str):
            self._texts.append(content)
            yield TextDelta(content)
            return
        yield from read_each("content", content if isinstance(content, list) else (), self._part)

    def _part(self, part: dict[str, Any]) -> Iterator[ProviderEvent]:
        """The events of one part of content."""
        kind = part.get("type")
        if kind == "text" and isinstance(part.get("text"), str):
            yield from self._text_in(part["text"])
        elif kind == "thinking":
            pieces = [ReasoningDelta(piece["text"]) for piece in part["thinking"]]
            self._reasoning = _THINKING
            yield from pieces
        elif kind == "image_url":
            yield from self._picture(part)
        else:
            yield PartAdded(OtherPart(str(kind), dumps(part)))

    def _others_in(self, delta: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        """The events of all fields but content and reasoning."""
        refusal = delta.get("refusal")
        if refusal and isinstance(refusal, str):
            if self._texts and not self._refuses:
                yield PartEnded()
            self._refuses = True
            self.refusal.append(refusal)
            yield TextDelta(refusal)
        if delta.get("tool_calls"):
            calls = delta["tool_calls"]
            entries = calls if isinstance(calls, list) else [calls]
            yield from read_each("tool_calls", entries, lambda entry: [self.calls.delta(entry)])
        if any(value and name not in _FREQUENT for name, value in delta.items()):
            yield from self._more_in(delta)

    def _more_in(self, delta: Mapping[str, Any]) -> Iterator[ProviderEvent]:
        """The events of the fields that few servers send."""
        if delta.get("function_call"):
            yield self.calls.delta({"index": "function_call", "function": delta["function_call"]})
        for part in records(delta.get("images")):
            yield from self._picture(part)
        for one in records(delta.get("annotations")):
            yield from self._annotation(one)
        for name in _KEPT:
            if delta.get(name):
                self._kept.setdefault(name, _Entries()).add(delta[name])
        if isinstance(delta.get("audio"), dict):
            self._audio.add(delta["audio"])
        for tool in records(delta.get("executed_tools")):
            known = self._tools.setdefault(str(tool.get("index")), {})
            known |= {name: value for name, value in tool.items() if value}
        self._keep_citations(delta)
        for name in delta.keys() - _KNOWN:
            if _is_content(name, delta[name]):
                self._unknown.setdefault(name, []).append(delta[name])

    def _keep_citations(self, delta: Mapping[str, Any]) -> None:
        for holder in (delta, delta.get("context")):  # Azure's "on your data" has the latter
            self._cited += records(holder.get("citations")) if isinstance(holder, dict) else ()

    def _picture(self, part: dict[str, Any]) -> Iterator[ProviderEvent]:
        at = part.get("image_url")
        url = at.get("url") if isinstance(at, dict) else at
        if hash(text_or_none(url)) not in self._pictures:  # some chunks repeat it
            self._pictures.add(hash(text_or_none(url)))
            original = Original(NAME, dumps({"images": []}))
            yield PartAdded(picture_at("image_url", part, url, original))

    def _annotation(self, one: dict[str, Any]) -> Iterator[ProviderEvent]:
        """A citation, or another annotation: OpenRouter's of files are sent back unchanged."""
        kind = str(one.get("type"))
        details = one.get(kind)
        if kind == "url_citation":
            self._cited.append(details if isinstance(details, dict) else one)
            return
        original = Original(NAME, dumps({"annotations": [one]})) if kind == "file" else None
        yield PartAdded(OtherPart(kind, dumps(one), original))

    def _tool_parts(self) -> Iterator[ServerToolCall | ServerToolResult]:
        """The tools that Groq has executed: https://console.groq.com/docs/compound."""
        for number, tool in enumerate(self._tools.values(), 1):
            tool_id, name = f"executed_{number}", str(tool.get("type") or tool.get("name"))
            yield ServerToolCall(tool_id, name, _arguments(tool.get("arguments")))
            output = tool.get("output")
            rest = {key: tool[key] for key in ("search_results", "code_results") if key in tool}
            if output or rest:
                text = output if isinstance(output, str) and output else dumps(output or rest)
                yield ServerToolResult(tool_id, name, text)
            found = tool.get("search_results")
            self._cited += records(found.get("results") if isinstance(found, dict) else found)


_REASONING = {
    name: Original(NAME, dumps({name: None})) for name in ("reasoning_content", "reasoning")
}
_THINKING = Original(NAME, dumps({"type": "thinking"}))


def _place(citation: Mapping[str, Any], text: str) -> int | None:
    """Where the cited words end; None where the text has a marker of its own, such as a link."""
    start, end = citation.get("start_index"), citation.get("end_index")
    if not isinstance(start, int) or not isinstance(end, int) or not 0 <= start < end <= len(text):
        return None
    url = text_or_none(citation.get("url"))
    return None if url is not None and url in text[start:end] else end


def _is_content(name: str, value: object) -> bool:
    """Whether a field that is not known has content: by its name, or as objects with a type."""
    if not value or isinstance(value, (bool, int, float)):
        return False
    if isinstance(value, str):
        return bool(value.strip()) and _CONTENT.search(name) is not None
    entries = records(value if isinstance(value, list) else [value])
    return _CONTENT.search(name) is not None or any("type" in entry for entry in entries)


def _arguments(value: object) -> str:
    if isinstance(value, dict):
        return dumps(value)
    try:
        is_object = isinstance(json.loads(str(value)), dict)
    except (ValueError, RecursionError):
        is_object = False
    return str(value) if is_object else dumps({"arguments": value})


class ToolCalls:
    """Assigns entries of ``delta.tool_calls`` to calls: by index, by id, and by their content.

    Some servers give all calls one index, no index, one id or none. A new call then shows by
    another name, or by a second JSON object.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._taken: set[str] = set()
        self._given: list[object] = []  # the ids as they came
        self._names: list[str | None] = []
        self._arguments: list[list[str]] = []
        self._numbers: dict[object, int] = {}

    def delta(self, entry: dict[str, Any]) -> ToolCallDelta:
        """The event of one entry.

        Raises:
            AttributeError: It is no object.
        """
        function = entry.get("function") or entry.get("custom") or {}
        arguments = function.get("arguments", function.get("input", ""))
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else json.dumps(arguments)
        call_id, name, index = entry.get("id") or None, function.get("name"), entry.get("index")
        number = self._numbers.get(index)
        if number is not None and call_id in (None, self._given[number]):
            if not name or not self._is_another(number, name, arguments, call_id):
                self._arguments[number].append(arguments)
                return ToolCallDelta(number, arguments, name=name)
            if call_id and arguments == "".join(self._arguments[number]):
                return ToolCallDelta(number)  # the whole call once more
        number = self._numbers[index] = len(self.ids)
        self.ids.append(unique_id(call_id, self._taken))
        self._taken.add(self.ids[-1])
        self._given.append(call_id)
        self._names.append(name)
        self._arguments.append([arguments])
        return ToolCallDelta(number, arguments, self.ids[-1], name, _rest(entry, function))

    def _is_another(self, number: int, name: str, arguments: str, call_id: object) -> bool:
        known, so_far = self._names[number], self._arguments[number]
        if known is None:
            self._names[number] = name
            return False
        if name != known:
            return call_id is None or any(so_far)
        if not arguments.lstrip().startswith("{"):
            return False
        try:
            json.loads("".join(so_far))
        except (ValueError, RecursionError):
            return False
        return True


def _rest(entry: Mapping[str, Any], function: Mapping[str, Any]) -> Original | None:
    """What an entry has beside the call, such as a signature of Gemini in ``extra_content``."""
    rest = {name: v for name, v in entry.items() if v and name not in _OF_CALLS}
    more = {name: v for name, v in function.items() if v and name not in _OF_FUNCTIONS}
    if "custom" in entry:
        rest["type"] = "custom"
    rest |= {"function": more} if more else {}
    return Original(NAME, dumps(rest)) if rest else None


@dataclass(slots=True)
class _Entries:
    """A field of the message that comes in pieces: a list of entries, or an object."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    pieces: list[dict[str, list[str]]] = field(default_factory=list)
    is_list: bool = True

    def add(self, value: object) -> None:
        self.is_list = isinstance(value, list)
        for new in records(value if self.is_list else [value]):
            if not self.entries or not self._continues(new):
                self.entries.append({})
                self.pieces.append({})
            for name, item in new.items():
                if name in _JOINED and isinstance(item, str):
                    self.pieces[-1].setdefault(name, []).append(item)
                elif item is not None or name not in self.entries[-1]:
                    self.entries[-1][name] = item

    def value(self) -> object:
        joined = [
            entry | {name: "".join(texts) for name, texts in pieces.items()}
            for entry, pieces in zip(self.entries, self.pieces, strict=True)
        ]
        return joined if self.is_list else joined[-1] if joined else {}

    def _continues(self, new: Mapping[str, Any]) -> bool:
        """Whether an entry is the next piece of the last one, as Anthropic's thinking is sent."""
        last = self.entries[-1]
        same = all(last.get(name) == new.get(name) for name in ("type", "index"))
        ids = {last.get("id"), new.get("id")} - {None}
        return same and len(ids) < 2 and "data" not in last and not last.get("signature")


class _Audio:
    """Speech that comes in pieces, with its transcript: the field ``audio`` of a delta."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._data = bytearray()
        self._transcript: list[str] = []
        self._damaged: list[Any] = []

    def add(self, audio: Mapping[str, Any]) -> None:
        self._id = self._id or text_or_none(audio.get("id"))
        self._transcript += [text] if (text := text_or_none(audio.get("transcript"))) else []
        if audio.get("data"):
            data = from_base64(audio["data"])
            if data is None or len(self._data) + len(data) > _MAX_AUDIO_BYTES:
                self._damaged = [dict(audio)]
            else:
                self._data += data

    def parts(self) -> Iterator[AudioPart | OtherPart]:
        if self._data or self._transcript:
            original = Original(NAME, dumps({"audio": {"id": self._id}})) if self._id else None
            yield AudioPart(
                _audio_type(self._data),
                bytes(self._data) or None,
                "".join(self._transcript),
                original=original,
            )
        yield from (OtherPart("audio", dumps(each)) for each in self._damaged)


def _audio_type(data: bytes | bytearray) -> str:
    found = (kind for mark, kind in _AUDIO_MARKS.items() if data.startswith(mark))
    return next(found, _AUDIO_TYPE)
