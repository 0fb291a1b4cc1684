"""What a recording holds: an entry for each different request, with its answers by number.

An entry is plain JSON values. Its ``kind`` says what its request and answers are; readers keep
entries of kinds that they do not read. ``key`` identifies the request among those of its kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from llm_playground.parts import TextPart, part_as_json
from llm_playground.redaction.pii import Kind, masked_json
from llm_playground.runlog.rows import clean_json
from llm_playground.types import Message, Request, Run

CALL = "call"
"""The kind of entries whose request is a :class:`~llm_playground.types.Request`."""

# Where a request is sent to is not part of it: a recording made through a proxy answers without.
_NOT_IN_KEY = ("endpoint", "endpoint_settings")
_KEY = "recording_key"
_MOST_TEXT_CHARS = 20_000  # of a text of a request, which is for readers; the key covers all of it
_KEY_CHARS = 32

JSON = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An earlier run, whose answer an identical request gets. It may have failed.

    ``response`` is what a recording keeps of the HTTP response, see ``recording.recorded``.
    """

    run: Run
    response: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A request and its answers: by ``number``, the k-th identical request gets the k-th answer."""

    kind: str
    key: str
    request: Mapping[str, Any]
    answers: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> tuple[str, str]:
        """What no other entry of a recording has."""
        return self.kind, self.key

    def with_answers(self, answers: Mapping[int, Mapping[str, Any]]) -> Entry:
        """The entry with exactly these answers, in the order of their numbers."""
        return replace(self, answers=dict(sorted(answers.items())))


@dataclass(frozen=True, slots=True)
class Recording:
    """The entries of a file in order, and the bytes of answers' media by their SHA-256."""

    entries: tuple[Entry, ...] = ()
    media: Mapping[str, bytes] = field(default_factory=dict)

    def find(self, kind: str, key: str) -> Entry | None:
        """The entry of a request, None if there is none."""
        return next((one for one in self.entries if one.id == (kind, key)), None)


def key_of(request: Request) -> str:
    """What identifies a request in recordings, wherever it is sent. Computed once per request.

    >>> from llm_playground.types import Request
    >>> key_of(Request("a:b", ())) == key_of(Request("a:b", (), endpoint="http://proxy/v1"))
    True
    """
    if _KEY not in request.derived:
        canonical = request.canonical()
        covered = {name: one for name, one in canonical.items() if name not in _NOT_IN_KEY}
        text = json.dumps(covered, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
        request.derived[_KEY] = found[:_KEY_CHARS]
    key: str = request.derived[_KEY]
    return key


def described(request: Request, kinds: Sequence[Kind] = ()) -> JSON:
    """A request for readers, as plain values without keys; personal data of ``kinds`` is masked.

    Images and files are there by their hashes, originals of earlier answers are left out.
    """
    tools = {
        tool.name: {"description": tool.description, "parameters": tool.parameters}
        for tool in request.tools
    }
    schema = None if request.schema is None else request.schema.json_schema
    values = {
        "model": request.model,
        "parameters": dict(sorted(request.parameters.with_effect().as_dict().items())),
        "messages": list(map(_turn, request.messages)),
        "tools": tools,
        "schema": schema,
    }
    cleaned: JSON = clean_json({name: one for name, one in values.items() if one})
    masked: JSON = masked_json(cleaned, kinds) if kinds else cleaned
    shortened: JSON = _shortened(masked)
    return shortened


def _turn(message: Message) -> JSON:
    if all(isinstance(part, TextPart) for part in message.content):
        return {message.role: message.text}
    parts = [part_as_json(part) for part in message.content]
    for part in parts:
        part.pop("original", None)
    return {message.role: parts}


def _shortened(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    if isinstance(value, str) and len(value) > _MOST_TEXT_CHARS:
        return f"{value[:_MOST_TEXT_CHARS]}… [{len(value) - _MOST_TEXT_CHARS:,} more characters]"
    if isinstance(value, dict):
        return {name: _shortened(item) for name, item in value.items()}
    return list(map(_shortened, value)) if isinstance(value, list) else value


def in_order_of_use(
    entries: Iterable[Entry], new: Iterable[Entry], used: Sequence[tuple[str, str]]
) -> list[Entry]:
    """Entries with new ones among them: each after the one that was used before it.

    What is in the file keeps its order, so that a recording that is made again changes no line of
    what did not change.
    """
    merged = {one.id: one for one in entries}
    added = {one.id: one for one in new}
    changed = [added.get(one, merged[one]) for one in merged]
    place = {one.id: number for number, one in enumerate(changed)}
    before: tuple[str, str] | None = None
    for one in used:
        if one in added and one not in place:
            at = 0 if before is None else place[before] + 1
            changed.insert(at, added[one])
            place = {entry.id: number for number, entry in enumerate(changed)}
        before = one if one in place else before
    return [*changed, *(one for one in added.values() if one.id not in place)]


def media_in(answers: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """The hashes of the bytes that answers need."""
    for answer in answers:
        for part in answer.get("parts") or ():
            if isinstance(part, Mapping) and isinstance(part.get("sha256"), str):
                yield part["sha256"]
