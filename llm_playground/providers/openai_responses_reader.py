"""Reads the stream of OpenAI's Responses API; see :class:`~.streaming.Reader`.

An answer is a list of items: messages, reasoning, tool calls. Texts and arguments are streamed; all
else is read from the whole item at its end. The next round sends items back unchanged, so their
JSON is kept with the parts. An item of an unknown type is a part too.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from llm_playground.events import (
    Block,
    Finish,
    InBackground,
    PartAdded,
    PartEnded,
    ProviderEvent,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.parts import Original, OtherPart, ReasoningPart, Source
from llm_playground.providers import endings, error_bodies, streaming, usage
from llm_playground.providers.contents import (
    UNREADABLE,
    SourceList,
    check_texts,
    dumps,
    fields,
    read_each,
    records,
    text_or_none,
    token_logprobs,
    unknown_event,
)
from llm_playground.providers.openai_responses_items import (
    Json,
    original_of,
    server_parts,
    unit_of,
)
from llm_playground.types import FinishReason

_BREAK = "\n\n"  # between two summaries of one thought
# These give texts, arguments and reasoning again that their deltas have brought.
_REPEATS = re.compile(
    r"response\.(output_text|content_part|reasoning\w*|refusal|function_call_arguments)\."
)
_OF_ITEM = frozenset({"item_id", "output_index"})
_ABOUT_ITEM = _OF_ITEM | {"type", "obfuscation"}
_INCOMPLETE: dict[object, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


class Reader:
    """Reads one answer.

    ``stop`` stops an answer in the background by its id, ``background_id``. By this id and
    ``last_number``, the number of the last event, its stream is resumed.
    """

    def __init__(self, stop: Callable[[str], Awaitable[None]]) -> None:
        self.complete = False
        self.ended = False
        self.bad_end: endings.BadEnd | None = None  # a failed response is an event of its own
        self.background_id: str | None = None
        self.last_number: int | None = None
        self._stop = stop
        self._response: Json = {}
        self._reason: FinishReason = "other"
        self._streamed = False  # whether deltas of the present item came
        self._refused = False  # whether deltas of its refusal came
        self._held: list[str] = []  # its refusal where a text came first: that part ends before
        self._calls: dict[object, int] = {}  # the numbers of the calls, by output_index
        self._read_items: set[object] = set()  # places and ids of those that are complete
        self._kept: list[Json] = []  # events that are not known, about items to come
        self._chars = 0  # of the messages that are complete
        self._cited: list[tuple[Json, int]] = []  # with the characters before its text
        self._citing: list[tuple[Json, int]] = []  # of the message that is not complete
        self._refusals: list[str] = []
        self._logprobs: list[Json] = []
        self._units: set[tuple[str, object]] = set()  # billed beside tokens: unit and thing

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        kind = event["type"]
        number = event.get("sequence_number")
        self.last_number = number if isinstance(number, int) else self.last_number
        if kind == "response.output_text.delta":
            self._streamed = True
            if event.get("logprobs"):
                self._logprobs += records(event["logprobs"])
            return [TextDelta(event["delta"])]
        read = _READ.get(kind)
        if read is not None:
            return read(self, event)
        if not kind.startswith("response."):
            return unknown_event(event)
        return [] if _REPEATS.match(kind) else self._keep(event)

    def rest(self) -> list[ProviderEvent]:
        """A refusal under way; of events that are not known, those that no item has brought."""
        kinds: dict[str, list[Json]] = {}
        for event in self._left() if self.complete else ():
            kinds.setdefault(event["type"], []).append(event)
        held, self._held, self._kept = "".join(self._held), [], []
        refusal: list[ProviderEvent] = [PartEnded(), TextDelta(held)] if held else []
        return refusal + [
            PartAdded(OtherPart(kind, dumps(events))) for kind, events in kinds.items()
        ]

    def finish(self, request_id: str | None) -> Finish:
        reason, block = self._reason, None
        if self._refusals:
            reason, block = "content_filter", Block("answer", reason="".join(self._refusals))
        elif reason == "content_filter":
            block = Block("answer")
        elif reason == "stop" and self._calls:
            reason = "tool_call"
        model = self._response.get("model")
        return Finish(
            reason,
            usage.of_responses(self._response, Counter(unit for unit, _ in self._units)),
            model if isinstance(model, str) else None,
            request_id,
            block=block,
            logprobs=token_logprobs(self._logprobs),
            sources=_sources([*self._cited, *self._citing]),
        )

    def _keep(self, event: dict[str, Any]) -> list[ProviderEvent]:
        """Keep an event about an item until the item has come whole, which has its content."""
        if event.keys().isdisjoint(_OF_ITEM):
            return unknown_event(event)
        content = (value for name, value in event.items() if name not in _ABOUT_ITEM)
        if any(value and isinstance(value, (str, list, dict)) for value in content):
            self._kept.append(event)
        return []

    def _left(self) -> list[Json]:
        """The kept events whose item has not come."""
        return [
            event
            for event in self._kept
            if event.get("output_index") not in self._read_items
            and text_or_none(event.get("item_id")) not in self._read_items
        ]

    def _begin(self, event: Json) -> list[ProviderEvent]:
        """The response as it was accepted."""
        response = event["response"]
        response_id, is_new = response.get("id"), self.background_id is None
        self._response = response
        if response.get("background") is not True or not isinstance(response_id, str):
            return []
        self.background_id = response_id
        return [InBackground(response_id, partial(self._stop, response_id))] if is_new else []

    def _begin_item(self, event: Json) -> list[ProviderEvent]:
        self._streamed = self._refused = False
        item = event["item"]
        if item.get("type") != "function_call":
            return []
        begun = ToolCallDelta(len(self._calls), "", item["call_id"], item["name"])
        check_texts([begun])
        self._calls[event["output_index"]] = begun.index
        return [begun]

    def _arguments(self, event: Json) -> list[ProviderEvent]:
        delta = ToolCallDelta(self._calls[event["output_index"]], event["delta"])
        self._streamed = True
        return [delta]

    def _reasoning(self, event: Json) -> list[ProviderEvent]:
        self._streamed = True
        return [ReasoningDelta(event["delta"])]

    def _begin_summary(self, _event: Json) -> list[ProviderEvent]:
        return [ReasoningDelta(_BREAK)] if self._streamed else []

    def _annotation(self, event: Json) -> list[ProviderEvent]:
        if isinstance(event.get("annotation"), Mapping):
            self._citing.append((event["annotation"], self._chars))
        return []

    def _end_item(self, event: Json) -> list[ProviderEvent]:
        place, item = event["output_index"], event["item"]
        known = text_or_none(item.get("id")) or place  # some servers give several items one place
        if not isinstance(item["type"], str):
            raise TypeError("not an item")
        if known in self._read_items:
            return []
        return list(self._item(place, item))

    def _left_item(self, placed: tuple[int, Json]) -> Iterable[ProviderEvent]:
        """What the events have not given of an item of the whole response."""
        place, item = placed
        is_read = place in self._read_items or text_or_none(item.get("id")) in self._read_items
        return () if is_read else self._item(place, item)

    def _item(self, place: object, item: Json) -> Iterator[ProviderEvent]:
        """What the deltas of an item have not given, and its form for the next round."""
        self._read_items |= {place, text_or_none(item.get("id"))} - {None}
        self._kept = self._left()
        unit = unit_of(item)
        if unit is not None:
            self._units.add(unit)
        read = _READ_ITEM.get(str(item.get("type")))
        try:
            events = [] if read is None else list(read(self, place, item))
            check_texts(events)
        except UNREADABLE:  # another shape
            read = None
        if read is None:
            events = list(map(PartAdded, server_parts(item)))
        self._streamed = self._refused = False
        self._held.clear()
        yield from events

    def _refusal(self, event: Json) -> list[ProviderEvent]:
        delta = TextDelta(event["delta"])
        check_texts([delta])
        if self._streamed:
            self._held.append(delta.text)
            return []
        self._refused = True
        return [delta]

    def _message(self, _place: object, item: Json) -> Iterator[ProviderEvent]:
        original = original_of(item)
        self._citing.clear()
        for content in item["content"]:
            match content.get("type"):
                case "output_text":
                    notes = content.get("annotations") or ()
                    self._cited += [(one, self._chars) for one in notes if isinstance(one, Mapping)]
                    yield from self._written(content["text"], original, is_refusal=False)
                case "refusal":
                    self._refusals.append(str(content["refusal"]))
                    yield from self._written(content["refusal"], original, is_refusal=True)
                case kind:
                    yield PartAdded(OtherPart(str(kind), dumps(content), original))

    def _written(
        self, text: str, original: Original, *, is_refusal: bool
    ) -> Iterator[ProviderEvent]:
        self._chars += len(text)
        if text and not (self._refused if is_refusal else self._streamed):
            yield TextDelta(text)
        if text:
            yield PartEnded(original, is_refusal)

    def _thought(self, _place: object, item: Json) -> Iterator[ProviderEvent]:
        original = original_of(item)
        if self._streamed:
            yield PartEnded(original)
            return
        pieces = [*(item.get("summary") or ()), *(item.get("content") or ())]
        text = _BREAK.join(piece["text"] for piece in pieces)
        if text:
            yield ReasoningDelta(text)
            yield PartEnded(original)
        else:
            yield PartAdded(ReasoningPart("", original=original))

    def _call(self, place: object, item: Json) -> Iterator[ProviderEvent]:
        is_new, number = place not in self._calls, self._calls.get(place, len(self._calls))
        arguments = "" if self._streamed else item.get("arguments") or ""
        if item["type"] == "custom_tool_call":
            arguments = dumps({"input": item["input"]})
        if is_new:
            begun = ToolCallDelta(number, "", item["call_id"], item["name"])
            check_texts([begun])
            self._calls[place] = number
            yield begun
        yield ToolCallDelta(number, arguments, original=original_of(item))

    def _end(self, event: Json) -> list[ProviderEvent]:
        """The end of the answer; also all items of which there was no event."""
        given = event["response"]
        if isinstance(given, Mapping):
            self._response = given
        else:  # only that it has ended is known
            self._response = {**self._response, "status": str(event["type"]).rpartition(".")[2]}
        response = self._response
        why = fields(response.get("incomplete_details")).get("reason")
        status = response.get("status")
        self._reason = "stop" if status == "completed" else _INCOMPLETE.get(str(why), "other")
        if self._reason == "other":
            self.bad_end = endings.bad_end(why or status)
        self.complete = self.ended = True
        output = response.get("output") or ()
        items = enumerate(output if isinstance(output, list) else [output])
        return list(read_each("item", items, self._left_item))

    def _fail(self, event: Json) -> list[ProviderEvent]:
        """An error event, or a response that has failed."""
        if isinstance(event.get("response"), Mapping):
            self._response = event["response"]
            error = self._response.get("error") or {"message": "the response has failed"}
        else:
            error = event.get("error") or {
                name: event[name] for name in ("code", "message", "param") if event.get(name)
            }
        self.ended = True
        raise streaming.StreamError(error_bodies.status_of(error), dumps({"error": error}))

    def _whole(self, event: Json) -> list[ProviderEvent]:
        """A response that came whole, in place of a stream, or an error without a type."""
        if event.get("object") == "response":
            read = self._fail if event.get("status") == "failed" else self._end
            return read({"response": event})
        error = error_bodies.error_in(event)
        return self._fail({"error": error}) if error else unknown_event(event)


_READ: dict[object, Callable[[Reader, Json], list[ProviderEvent]]] = {
    None: Reader._whole,
    "response.created": Reader._begin,
    "response.queued": Reader._begin,
    "response.in_progress": Reader._begin,
    "response.output_item.added": Reader._begin_item,
    "response.output_item.done": Reader._end_item,
    "response.function_call_arguments.delta": Reader._arguments,
    "response.reasoning_summary_part.added": Reader._begin_summary,
    "response.reasoning_summary_text.delta": Reader._reasoning,
    "response.reasoning_text.delta": Reader._reasoning,
    "response.refusal.delta": Reader._refusal,
    "response.output_text.annotation.added": Reader._annotation,
    "response.completed": Reader._end,
    "response.incomplete": Reader._end,
    "response.cancelled": Reader._end,
    "response.failed": Reader._fail,
    "error": Reader._fail,
}

_READ_ITEM: dict[object, Callable[[Reader, object, Json], Iterator[ProviderEvent]]] = {
    "message": Reader._message,
    "reasoning": Reader._thought,
    "function_call": Reader._call,
    "custom_tool_call": Reader._call,
}


# The field with the place of a citation in its text, by type.
_PLACES = {
    "url_citation": "end_index",
    "container_file_citation": "end_index",
    "file_citation": "index",
}


def _sources(cited: Iterable[tuple[Json, int]]) -> tuple[Source, ...]:
    """The sources of citations, each once, with all places where it is cited."""
    found = SourceList()
    for citation, before in cited:
        title = citation.get("title") or citation.get("filename") or citation.get("file_id")
        place = citation.get(_PLACES.get(str(citation.get("type")), ""))
        at = before + place if isinstance(place, int) else None
        found.add(title, citation.get("url"), at=at)
    return found.sources()
