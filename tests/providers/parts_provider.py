"""A provider whose wire format can carry every part of an answer.

For tests of what shows answers: they need no vendor's format. Requests go to ``POST {base}/talk``;
the answer is a stream of server-sent events::

    data: {"say": "Hello."}
    data: {"part": {"type": "image", "media_type": "image/png"}, "data": "iVBORw0KGgo="}
    data: {"end": "stop", "sources": [{"title": "Moon", "url": "https://example.com"}]}

A part is as :func:`llm_playground.parts.part_as_json` writes it, with its bytes beside it.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.events import Finish, PartAdded, ProviderEvent, TextDelta
from llm_playground.parts import AnswerPart, Source, part_as_json, part_of_json
from llm_playground.providers import Endpoint, RequestContext, streaming
from llm_playground.providers.http import client_for
from llm_playground.types import Request, Usage
from tests.providers.example_provider import body, example_event


def settings(url: str) -> dict[str, Any]:
    """Settings of ``lp.configure`` for the models ``atlas:...`` at an address."""
    row = EndpointRow(
        "atlas",
        "Atlas",
        url,
        wire_format="tests.providers.parts_provider:PartsProvider",
    )
    prices = {"atlas:*": {"input_usd_per_mtok": 3, "output_usd_per_mtok": 15}}
    return {"endpoints": {"atlas": row}, "prices": prices}


class PartsProvider:
    """Speaks the format to one endpoint."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._client = client_for(endpoint)

    async def stream(self, request: Request) -> AsyncGenerator[ProviderEvent, None]:
        call = RequestContext(self._endpoint, request.model, request.parameters)
        address = f"{self._endpoint.address}/talk"
        async with self._client.stream("POST", address, json=body(request)) as response:
            chunks = response.aiter_bytes()
            events = streaming.stream_events(call, response.headers, chunks, Reader())
            async with aclosing(events):
                async for event in events:
                    yield event

    async def aclose(self) -> None:
        await self._client.aclose()


class Reader:
    """Reads the events of one answer."""

    def __init__(self) -> None:
        self.complete = self.ended = False
        self.bad_end = None
        self._sources: tuple[Source, ...] = ()

    def read(self, event: dict[str, Any]) -> list[ProviderEvent]:
        if "say" in event:
            return [TextDelta(event["say"])]
        if "part" in event:
            part = part_of_json(event["part"])
            if "data" in event:
                part = replace(part, data=base64.b64decode(event["data"]))
            return [PartAdded(part)]
        known = [one | {"cited_at": tuple(one.get("cited_at", ()))} for one in event["sources"]]
        self._sources = tuple(Source(**one) for one in known)
        self.complete = self.ended = True
        return []

    def rest(self) -> list[ProviderEvent]:
        return []  # each event is read at once

    def finish(self, request_id: str | None) -> Finish:
        return Finish("stop", Usage(412, 386), "atlas-1", request_id, sources=self._sources)


def parts_stream(
    items: Iterable[str | AnswerPart], sources: Iterable[Source] = ()
) -> tuple[bytes, ...]:
    """The recording of an answer: texts by words and parts, one event each, then its end."""
    events: list[Mapping[str, Any]] = []
    for item in items:
        if isinstance(item, str):
            events += [{"say": piece} for piece in _words(item)]
        else:
            data = getattr(item, "data", None)
            encoded = {} if data is None else {"data": base64.b64encode(data).decode()}
            events.append({"part": part_as_json(item)} | encoded)
    ends = [
        {name: value for name in Source.__slots__ if (value := getattr(one, name)) is not None}
        for one in sources
    ]
    return tuple(map(example_event, [*events, {"end": "stop", "sources": ends}]))


def _words(text: str) -> list[str]:
    words = text.split(" ")
    return [*(f"{word} " for word in words[:-1]), words[-1]]
