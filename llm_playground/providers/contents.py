"""Sources, pictures, speech, ids of calls and log probabilities, for several wire formats.

Values of a stream are of any type and size. One that is not as the format says becomes an
:class:`~llm_playground.parts.OtherPart`; the rest of its event is read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from llm_playground import parts
from llm_playground.events import (
    PartAdded,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import (
    AnswerPart,
    AudioPart,
    ImagePart,
    Original,
    OtherPart,
    Part,
    Source,
    ToolCall,
    ToolResult,
)
from llm_playground.providers.sse import join_surrogates, may_have_surrogates
from llm_playground.types import Message, Request, TokenLogprob

ANY_ID = re.compile(r".+", re.DOTALL)
"""The form of ids of calls at servers that take all."""
NOT_MADE = "This call was not made."
"""The result of a call that has none."""
_NO_ID_CHARACTER = re.compile(r"[^A-Za-z0-9_-]")
_MAX_SOURCES = 1_000
_MAX_PLACES = 1_000  # of one source
# Media types of pictures and recordings, with parameters such as the rate of raw audio. SVG and
# other XML are documents, which may hold scripts and addresses.
_MEDIA_TYPE = re.compile(
    r"(image|audio)/(?!.*xml)[a-z0-9.+-]{1,60}(?: *; *[a-z]{1,20}=[a-z0-9.-]{1,20}){0,4}"
)

UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What readers raise for JSON of another shape."""

_Value = TypeVar("_Value")


def dumps(value: object) -> str:
    """A JSON value as text, shorter than with the default separators, without lone surrogates."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if text.isascii() else join_surrogates(text)


def arguments(call: ToolCall) -> dict[str, Any]:
    """The arguments of a call as they can be sent, without lone surrogates.

    Raises:
        ValueError: They are not a JSON object.
    """
    value: dict[str, Any] = call.arguments
    return json.loads(dumps(value)) if may_have_surrogates(call.arguments_json) else value


def text_or_none(value: object) -> str | None:
    """A text that is not empty, None for any other value.

    >>> text_or_none("a"), text_or_none(""), text_or_none(7)
    ('a', None, None)
    """
    return value if isinstance(value, str) and value else None


def fields(value: object) -> Mapping[str, Any]:
    """The fields of a JSON object; empty for any other value."""
    return value if isinstance(value, Mapping) else {}


def records(value: object) -> list[dict[str, Any]]:
    """The objects in a list of JSON; empty for any other value.

    >>> records([{"a": 1}, 2]), records(None)
    ([{'a': 1}], [])
    """
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def token_logprobs(entries: object) -> tuple[TokenLogprob, ...]:
    """The tokens in a list of OpenAI's formats, without entries of another form.

    >>> token_logprobs([{"token": "a", "logprob": -0.5, "top_logprobs": []}, {"token": 1}])
    (TokenLogprob(token='a', logprob=-0.5, top=()),)
    """
    return tuple(
        TokenLogprob(
            one["token"],
            one["logprob"],
            tuple((top["token"], top["logprob"]) for top in _tokens(one.get("top_logprobs"))),
        )
        for one in _tokens(entries)
    )


def _tokens(entries: object) -> list[dict[str, Any]]:
    return [
        entry
        for entry in records(entries)
        if isinstance(entry.get("token"), str) and isinstance(entry.get("logprob"), (int, float))
    ]


def with_unique_ids(
    messages: tuple[Message, ...], form: re.Pattern[str] = ANY_ID
) -> tuple[Message, ...]:
    """A conversation in which each call has an id of its own and of this form, and its result too.

    Some servers number the calls of each answer from 0, and several vendors refuse such a
    conversation.

    >>> asked = Message("assistant", (ToolCall("0", "f"),))
    >>> answered = Message("tool", (ToolResult("0", "f", "1"),))
    >>> [turn.content[0].id for turn in with_unique_ids((asked, answered, asked, answered))]
    ['0', '0', '0-2', '0-2']
    """
    ids = [call.id for turn in messages for call in _calls(turn)]
    if len(set(ids)) == len(ids) and all(map(form.fullmatch, ids)):
        return messages
    taken: set[str] = set()
    waiting: dict[str, list[str]] = {}  # new ids of calls without a result, by the old one

    def renamed(part: Part) -> Part:
        if isinstance(part, ToolCall):
            new = _in_form(unique_id(part.id or f"call_{len(taken) + 1}", taken), form, taken)
            taken.add(new)
            waiting.setdefault(part.id, []).append(new)
            return replace(part, id=new)
        if isinstance(part, ToolResult) and waiting.get(part.id):
            return replace(part, id=waiting[part.id].pop(0))
        return part

    turns: list[Message] = []
    for turn in messages:
        turns.append(replace(turn, content=tuple(map(renamed, turn.content))))
        if turn.role == "user":  # a later result is that of a later call
            waiting.clear()
    return tuple(turns)


def _in_form(call_id: str, form: re.Pattern[str], taken: Collection[str]) -> str:
    """The id in a form: as it is, without other characters, or as nine digits of its hash."""
    plain = _NO_ID_CHARACTER.sub("_", call_id)
    known = next((one for one in (call_id, plain) if form.fullmatch(one)), None)
    if known is not None and known not in taken:
        return known
    return hashlib.sha256(call_id.encode("utf-8", "surrogatepass")).hexdigest()[:9]


def with_all_results(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """A conversation in which each call has a result, before anything else is said.

    All vendors refuse one without, such as after an answer that was stopped at its calls. Calls at
    the end stay open.

    >>> asked, said = Message("assistant", (ToolCall("0", "f"),)), Message("user", ())
    >>> [turn.role for turn in with_all_results((asked, said))]
    ['assistant', 'tool', 'user']
    """
    answered = _answered(messages)
    turns: list[Message] = []
    waiting: list[ToolCall] = []
    for message in messages:
        if waiting and message.role != "tool":
            results = (ToolResult(call.id, call.name, NOT_MADE, True) for call in waiting)
            turns.append(Message("tool", tuple(results)))
            waiting = []
        turns.append(message)
        waiting += [call for call in _calls(message) if call.id not in answered]
    return tuple(turns)


def _answered(messages: tuple[Message, ...]) -> set[str]:
    """The ids of calls that have a result before the user speaks again."""
    answered, asked = set[str](), set[str]()
    for message in messages:
        results = {part.id for part in message.content if isinstance(part, ToolResult)}
        answered |= results & asked
        if message.role == "user":
            asked.clear()
        asked.update(call.id for call in _calls(message))
    return answered


def _calls(message: Message) -> list[ToolCall]:
    return [part for part in message.content if isinstance(part, ToolCall)]


def sendable(request: Request, call_ids: re.Pattern[str] = ANY_ID) -> tuple[Message, ...]:
    """The request's conversation as it goes to its provider.

    Calls have ids of their own in the form ``call_ids``, see :func:`with_unique_ids`, and results,
    see :func:`with_all_results`; parts have only originals that came from this provider.
    """
    return with_all_results(with_unique_ids(for_provider(request), call_ids))


def for_provider(request: Request) -> tuple[Message, ...]:
    """The request's conversation without originals of other providers."""
    provider = request.provider
    return tuple(
        replace(turn, content=tuple(parts.for_provider(part, provider) for part in turn.content))
        if turn.role == "assistant"
        else turn
        for turn in request.messages
    )


class SourceList:
    """The sources of one answer, each once, in the order in which they came."""

    def __init__(self) -> None:
        self._places: dict[tuple[str | None, str | None, str | None], list[int]] = {}

    def add(self, title: object, url: object, quote: object = None, at: int | None = None) -> None:
        """Add a source; ``at`` is the place in the text that it supports."""
        key = text_or_none(title), text_or_none(url), text_or_none(quote)
        if key == (None, None, None):
            return
        if key not in self._places and len(self._places) >= _MAX_SOURCES:
            return
        places = self._places.setdefault(key, [])
        if at is not None and len(places) < _MAX_PLACES and at not in places:
            places.append(at)

    def add_page(self, url: object) -> None:
        """Add the page at a URL, unless a source is there."""
        if all(url != known for _, known, _ in self._places):
            self.add(None, url)

    def sources(self) -> tuple[Source, ...]:
        """What was added."""
        return tuple(Source(*key, tuple(places)) for key, places in self._places.items())


def media(
    kind: str, raw: object, media_type: object, data: object, original: Original | None = None
) -> AnswerPart:
    """The picture or recording with these bytes in base64.

    Anything else, and what cannot be decoded, is an OtherPart of ``kind`` with the ``raw`` value.

    >>> media("inlineData", {}, "image/png", "YWJj")
    ImagePart(media_type='image/png', url=None, stored_sha256=None, original=None)
    >>> media("inlineData", {"data": 1}, "text/html", 1)
    OtherPart(kind='inlineData', json='{"data":1}', original=None)
    """
    name = media_type.strip().lower() if isinstance(media_type, str) else ""
    content = from_base64(data)
    match = _MEDIA_TYPE.fullmatch(name)
    if match is None or not content:
        return OtherPart(kind, dumps(raw), original)
    if match[1] == "image":
        return ImagePart(name, content, original=original)
    return AudioPart(name, content, original=original)


def from_base64(data: object) -> bytes | None:
    """The bytes in base64, with or without padding; None for any other value."""
    if not isinstance(data, str):
        return None
    try:
        return base64.b64decode(data + "=" * (-len(data) % 4), validate=True)
    except ValueError:
        return None


def picture_at(kind: str, raw: object, url: object, original: Original | None = None) -> AnswerPart:
    """The picture at a URL: from the bytes of a ``data:`` URL, or not fetched.

    >>> picture_at("images", {}, "data:image/png;base64,YWJj").data
    b'abc'
    >>> picture_at("images", {}, "https://example.com/a.png").url
    'https://example.com/a.png'
    """
    address = text_or_none(url) or ""
    head, comma, data = address.partition(",")
    if comma and head[:5].lower() == "data:" and head.lower().endswith(";base64"):
        return media(kind, raw, head[5:-7], data, original)
    if address.startswith(("https://", "http://")):
        return ImagePart(None, url=address, original=original)
    return OtherPart(kind, dumps(raw), original)


def unique_id(call_id: object, taken: Collection[str], prefix: str = "call_") -> str:
    """The id of a call, or one of our own where it has none or one that is ``taken``.

    >>> unique_id("a", {"a"}), unique_id("b", {"a"})
    ('a-2', 'b')
    """
    known = text_or_none(call_id)
    if known is None:
        return f"{prefix}{uuid.uuid4().hex}"
    if known not in taken:
        return known
    number = len(taken) + 1
    while f"{known}-{number}" in taken:
        number += 1
    return f"{known}-{number}"


def check_texts(items: Iterable[ProviderEvent]) -> None:
    """Raise TypeError for a number, a list or an object where the format has a text."""
    for item in items:
        if isinstance(item, (TextDelta, ReasoningDelta)):
            is_text = isinstance(item.text, str)
        elif isinstance(item, ToolCallDelta):
            optional: tuple[object, ...] = (item.id, item.name)
            is_text = isinstance(item.arguments_json, str) and all(
                text is None or isinstance(text, str) for text in optional
            )
        elif isinstance(item, PartAdded):
            is_text = all(isinstance(text, str) for text in parts.texts_in(item.part))
        else:
            continue
        if not is_text:
            raise TypeError("not a text")


def read_each(
    kind: str, values: Iterable[_Value], read: Callable[[_Value], Iterable[ProviderEvent]]
) -> Iterator[ProviderEvent]:
    """The events of each value; one that cannot be read is an OtherPart of ``kind``.

    >>> list(read_each("part", ["a", 5], lambda text: [TextDelta(text)]))
    [TextDelta(text='a'), PartAdded(part=OtherPart(kind='part', json='5', original=None))]
    """
    for value in values:
        try:
            events = list(read(value))
            check_texts(events)
        except UNREADABLE:
            events = [PartAdded(OtherPart(kind, dumps(value)))]
        yield from events


def unknown_event(event: Mapping[str, Any]) -> list[ProviderEvent]:
    """No events for one of a type that is not known, if it holds nothing, as heartbeats do.

    Raises:
        LookupError: It may hold a part of the answer.

    >>> unknown_event({"type": "ping", "sequence_number": 3})
    []
    """
    holds = (value for name, value in event.items() if name != "type" and value)
    if any(isinstance(value, (str, list, dict)) for value in holds):
        raise LookupError(event.get("type"))
    return []
