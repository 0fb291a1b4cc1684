"""The parts of Gemini's contents, as events of a stream and as they are sent back.

Formats: ``Part``, ``GroundingMetadata``, ``CitationMetadata`` and ``UrlContextMetadata`` of
google-genai 3, and https://ai.google.dev/gemini-api/docs/thought-signatures. An original of this
format is the part without what the package's own part holds: mostly its signature.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
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
    AnswerPart,
    ImagePart,
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
    fields,
    media,
    records,
    text_or_none,
    unique_id,
)
from llm_playground.types import TokenLogprob

NAME = "gemini"
OWN_ID = "unnamed-"
"""Prefix of ids made up here, which are not sent: Gemini then matches results to calls by name."""
UNSIGNED = "skip_thought_signature_validator"
"""The value in place of the signature of a call that another model has made."""
_CHECKS_SIGNATURES = re.compile(r"(?:models/)?gemini-(?![12]\b)")
# Fields about a part, which are none of its content.
_ABOUT = frozenset({
    "thought", "thoughtSignature", "partMetadata", "videoMetadata", "mediaResolution",
})  # fmt: skip
_CODE = "code_execution"


class PartReader:
    """Reads the parts of one answer, and what it rests on."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._taken: set[str] = set()
        self._texts: list[str] = []
        self._code_id = ""
        self._queries: list[object] = []
        self._about: dict[str, Any] = {}

    def read(self, part: dict[str, Any]) -> list[ProviderEvent]:
        """The events of one part."""
        text = part.get("text")
        if text and len(part) == 1 and isinstance(text, str):
            self._texts.append(text)  # the most frequent part
            return [TextDelta(text)]
        if part.get("functionCall"):
            return [self._call(part)]
        if isinstance(text, str) and not (part.keys() - _ABOUT - {"text"}):
            return self._text(part, text)
        whole = self._whole(part)
        return [] if whole is None else [PartAdded(whole)]

    def about(self, candidate: Mapping[str, Any]) -> list[ProviderEvent]:
        """The events of a candidate's grounding; what it cites is kept for :meth:`sources`."""
        for name in ("groundingMetadata", "citationMetadata", "urlContextMetadata"):
            if isinstance(candidate.get(name), dict):
                self._about[name] = self._about.get(name, {}) | candidate[name]
        queries = self._about.get("groundingMetadata", {}).get("webSearchQueries")
        if not isinstance(queries, list) or not (
            new := [q for q in queries if q not in self._queries]
        ):
            return []
        self._queries += new
        call_id = unique_id(None, (), OWN_ID)
        return [PartAdded(ServerToolCall(call_id, "google_search", dumps({"queries": new})))]

    def sources(self) -> tuple[Source, ...]:
        """What the answer rests on, in the provider's order."""
        found = SourceList()
        text = "".join(self._texts) if self._about else ""
        self._add_grounding(found, text)
        for one in _entries(self._about.get("citationMetadata"), "citationSources", "citations"):
            end = one.get("endIndex")
            found.add(one.get("title"), one.get("uri"), None, _place(text, {"endIndex": end}))
        for one in _entries(self._about.get("urlContextMetadata"), "urlMetadata"):
            if str(one.get("urlRetrievalStatus")).endswith("SUCCESS"):
                found.add_page(one.get("retrievedUrl"))
        return found.sources()

    def _add_grounding(self, found: SourceList, text: str) -> None:
        grounding = self._about.get("groundingMetadata")
        pages = _entries(grounding, "groundingChunks")
        for page in pages:
            found.add(*_title_url_quote(page))
        for support in _entries(grounding, "groundingSupports"):
            segment = support.get("segment")
            at = _place(text, segment) if isinstance(segment, dict) else None
            numbers = support.get("groundingChunkIndices")
            for number in numbers if isinstance(numbers, list) else ():
                if isinstance(number, int) and 0 <= number < len(pages):
                    found.add(*_title_url_quote(pages[number]), at)

    def _call(self, part: Mapping[str, Any]) -> ToolCallDelta:
        call, number = part["functionCall"], len(self.ids)
        name = call["name"]
        if not isinstance(name, str):
            raise TypeError("not a text")
        self.ids.append(unique_id(call.get("id"), self._taken, OWN_ID))
        self._taken.add(self.ids[-1])
        arguments = json.dumps(call.get("args") or {}, ensure_ascii=False)
        original = _rest(part, "functionCall")
        return ToolCallDelta(number, arguments, self.ids[-1], name, original)

    def _text(self, part: Mapping[str, Any], text: str) -> list[ProviderEvent]:
        """A text with a signature stays a part of its own, as Gemini requires."""
        is_thought = bool(part.get("thought"))
        original = _rest(part, "text") if part.get("thoughtSignature") else None
        if not text:
            empty = ReasoningPart("", original) if is_thought else TextPart("", original)
            return [] if original is None else [PartAdded(empty)]
        if not is_thought:
            self._texts.append(text)
        delta = ReasoningDelta(text) if is_thought else TextDelta(text)
        return [delta] if original is None else [PartEnded(), delta, PartEnded(original)]

    def _whole(self, part: dict[str, Any]) -> AnswerPart | None:
        kind = next((name for name in part if name not in _ABOUT and part[name]), None)
        if kind is None:  # a signature alone belongs to what came before it
            original = _rest(part, "text")
            return TextPart("", original) if part.get("thoughtSignature") else None
        read = _READ.get(kind)
        content = part[kind]
        if read is None or not isinstance(content, dict):
            original = _whole_of(part)
            return OtherPart(kind, original.json, original)
        return read(self, part, content)

    def _code(self, part: dict[str, Any], code: dict[str, Any]) -> AnswerPart:
        self._code_id = text_or_none(code.get("id")) or unique_id(None, (), OWN_ID)
        texts = {
            "language": (text_or_none(code.get("language")) or "").lower(),
            "code": code.get("code"),
        }
        known = {name: text for name, text in texts.items() if text}
        return ServerToolCall(self._code_id, _CODE, dumps(known), _whole_of(part))

    def _code_result(self, part: dict[str, Any], result: dict[str, Any]) -> AnswerPart:
        is_error = result.get("outcome") not in ("OUTCOME_OK", 1, None)
        text = text_or_none(result.get("output")) or (
            str(result.get("outcome")) if is_error else ""
        )
        call_id = text_or_none(result.get("id")) or self._code_id
        return ServerToolResult(call_id, _CODE, text, is_error, _whole_of(part))

    def _tool_call(self, part: dict[str, Any], call: dict[str, Any]) -> AnswerPart:
        call_id, name = str(call.get("id")), str(call.get("toolType")).lower()
        return ServerToolCall(call_id, name, dumps(call.get("args") or {}), _whole_of(part))

    def _tool_response(self, part: dict[str, Any], call: dict[str, Any]) -> AnswerPart:
        call_id, name = str(call.get("id")), str(call.get("toolType")).lower()
        return ServerToolResult(
            call_id, name, dumps(call.get("response")), original=_whole_of(part)
        )

    def _inline(self, part: dict[str, Any], blob: dict[str, Any]) -> AnswerPart:
        found = media(
            "inlineData", part, blob.get("mimeType"), blob.get("data"), _rest(part, "inlineData")
        )
        return OtherPart(found.kind, found.json) if isinstance(found, OtherPart) else found

    def _file(self, part: dict[str, Any], file: dict[str, Any]) -> AnswerPart:
        media_type, url = text_or_none(file.get("mimeType")), text_or_none(file.get("fileUri"))
        if url and (media_type or "").startswith("image/"):
            return ImagePart(media_type, url=url, original=_rest(part, "fileData"))
        return OtherPart("fileData", dumps(part), _whole_of(part))


_READ: dict[str, Callable[[PartReader, dict[str, Any], dict[str, Any]], AnswerPart]] = {
    "executableCode": PartReader._code,
    "codeExecutionResult": PartReader._code_result,
    "toolCall": PartReader._tool_call,
    "toolResponse": PartReader._tool_response,
    "inlineData": PartReader._inline,
    "fileData": PartReader._file,
}


def _whole_of(part: Mapping[str, Any]) -> Original:
    return Original(NAME, dumps(part))


def _rest(part: Mapping[str, Any], kind: str) -> Original | None:
    """What a part has beside its content."""
    rest = {name: value for name, value in part.items() if value and name != kind}
    return Original(NAME, dumps(rest)) if rest else None


def _entries(holder: object, *names: str) -> list[dict[str, Any]]:
    """The first list of objects under these names."""
    known = holder if isinstance(holder, dict) else {}
    return next((found for name in names if (found := records(known.get(name)))), [])


def _title_url_quote(page: Mapping[str, Any]) -> tuple[object, object, object]:
    """A grounding chunk, whose one field names its origin."""
    about = next((value for value in page.values() if isinstance(value, dict)), {})
    url = about.get("uri") or about.get("sourceUri") or about.get("imageUri")
    return about.get("title") or about.get("domain"), url, about.get("text")


def _place(text: str, segment: Mapping[str, Any]) -> int | None:
    """The characters of ``text`` up to a segment's end, which Gemini counts in bytes of UTF-8.

    If the segment's text is not at that place, since the text came in several parts, it is searched
    for.

    >>> _place("Ö. Ä.", {"endIndex": 3, "text": "Ö."})
    2
    """
    end, words = segment.get("endIndex"), text_or_none(segment.get("text"))
    if isinstance(end, int) and end >= 0:
        before = text.encode("utf-8", "surrogatepass")[:end].decode("utf-8", "ignore")
        if words is None or before.endswith(words):
            return len(before)
    at = -1 if words is None else text.find(words)
    return None if at < 0 or words is None else at + len(words)


def sent_back(part: Part) -> dict[str, Any] | None:
    """The part with its original, None for one whose plain form is sent, or nothing.

    >>> sent_back(TextPart("Hi.", Original("gemini", '{"thoughtSignature":"c2k="}')))
    {'text': 'Hi.', 'thoughtSignature': 'c2k='}
    """
    original = original_for(part, NAME)
    if original is None:
        return None
    match part:
        case TextPart(text):
            return {"text": text, **original}
        case ReasoningPart(text):
            return {"text": text, "thought": True, **original}
        case ServerToolCall() | ServerToolResult() | OtherPart():
            return original
    return None


def with_signed_calls(model_name: str, contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The contents with a mark for the signature of calls that other models have made.

    Models from Gemini 3 on refuse calls in the present turn of which none is signed, and take this
    mark: https://ai.google.dev/gemini-api/docs/thought-signatures.

    >>> call = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
    >>> with_signed_calls("gemini-3-pro", [call])[0]["parts"][0]["thoughtSignature"]
    'skip_thought_signature_validator'
    """
    if not _CHECKS_SIGNATURES.match(model_name):
        return contents
    for content in contents:
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and not any("thoughtSignature" in call for call in calls):
            calls[0]["thoughtSignature"] = UNSIGNED
    return contents


def tokens(result: object) -> Iterator[TokenLogprob]:
    """The chosen token of each step of ``logprobsResult``, with its alternatives."""
    given = fields(result)
    steps = given.get("topCandidates") or ()
    for chosen, step in zip_longest(given.get("chosenCandidates") or (), steps):
        if chosen is None:
            return
        top = (step or {}).get("candidates") or ()
        yield TokenLogprob(*_token(chosen), tuple(map(_token, top)))


def _token(token: Mapping[str, Any]) -> tuple[str, float]:
    return token.get("token", ""), token.get("logProbability", 0.0)  # a zero is left out
