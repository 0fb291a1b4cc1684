"""A call of another library as a request of this package and its execution."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from llm_playground import ids, provenance
from llm_playground.capture import openai_bodies, recognition, vendor_bodies
from llm_playground.capture.bodies import Body
from llm_playground.capture.recognition import Target
from llm_playground.catalog import estimates
from llm_playground.config.endpoints import known_rows
from llm_playground.providers import NO_KEY, Endpoint, wire_formats
from llm_playground.redaction import remember
from llm_playground.types import RECORDED, CellExecution, Execution, Parameters, Request

_READERS: Mapping[str, Callable[[Mapping[str, Any]], Body]] = {
    "openai": openai_bodies.of_chat,
    "openai-responses": openai_bodies.of_responses,
    "anthropic": vendor_bodies.of_messages,
    "gemini": vendor_bodies.of_gemini,
}
# Headers that change what an answer is.
_WITH_EFFECT = ("anthropic-beta", "openai-beta")
_LONG_TEXT = 8_192
LARGE_BYTES = 100_000
"""From this size on, a body is translated on another thread."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What another library sends, and from where.

    Names of ``headers`` are in lower case. ``library`` is the one that makes the call, None if it
    is not known; ``tags`` are those of the recordings, ``override`` is theirs too.
    """

    target: Target
    body: bytes
    headers: Mapping[str, str]
    started_at: datetime
    cell_id: str | None = None
    cell_execution: CellExecution | None = None
    library: str | None = None
    tags: tuple[str, ...] = ()
    override: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedCall:
    """A call as it is logged; ``endpoint`` is where it goes, with the library's key."""

    run_id: str
    request: Request
    execution: Execution
    endpoint: Endpoint
    streams: bool

    def at_commit(self) -> RecordedCall:
        """The call with the commit of the working folder, whose files are read for it."""
        return replace(self, execution=replace(self.execution, git_commit=provenance.commit()))

    @property
    def bounded_request(self) -> Request:
        """The request with what budgets assume where it has no limit, for all answers it asks for.

        Nothing is added to what other libraries send, so that such a call has no limit of its own.
        """
        answers = self.request.parameters.extra.get("n")
        count = answers if isinstance(answers, int) and 1 < answers <= 1_000 else 1
        limit = estimates.limit_of(self.request)
        if limit is not None and count == 1:
            return self.request
        most = (limit or estimates.ASSUMED_MAX_TOKENS) * count
        bounded = replace(
            self.request, parameters=replace(self.request.parameters, max_tokens=most)
        )
        bounded.derived.update(self.request.derived, **{"as sent": bounded})
        return bounded


def call_of(sent: Sent) -> RecordedCall:
    """The call that another library makes.

    Raises:
        ValueError: The body is no JSON object, or names no model.
    """
    body = json.loads(sent.body)
    target = sent.target
    name = target.model or (body.get("model") if isinstance(body, dict) else None)
    if not isinstance(body, dict) or not isinstance(name, str):
        raise ValueError("the body names no model")  # noqa: TRY004 - a value of the wrong content
    provider, key = recognition.provider_of(target), recognition.key_in(sent.headers)
    if key is not None:
        remember(key)  # so that no message or text in the log has it
    request = _request(f"{provider}:{name}", body, sent)
    return RecordedCall(
        ids.new_id(),
        request,
        _execution(request, sent),
        Endpoint(provider, key or NO_KEY, target.base_url),
        recognition.streams(target, body),
    )


def _request(model: str, body: dict[str, Any], sent: Sent) -> Request:
    read = _READERS[sent.target.wire_format](body)
    headers = {name: sent.headers[name] for name in _WITH_EFFECT if name in sent.headers}
    parameters: Parameters = read.fields.parameters(headers)
    row = known_rows().get(model.partition(":")[0])
    base_url = sent.target.base_url
    usual = () if row is None else (row.base_url, f"{row.base_url}/v1beta")
    request = Request(
        model,
        read.messages,
        parameters,
        tuple(read.fields.tools),
        read.fields.schema,
        None if base_url in usual else base_url,
        wire_format=sent.target.wire_format,
    )
    wire_formats.set_body(request, body, _without_bytes(body))
    return request


def _without_bytes(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A body without the base64 of pictures and files, which is not read as text."""
    if isinstance(value, str):
        is_data = value.startswith("data:") or (len(value) > _LONG_TEXT and " " not in value)
        return "" if is_data else value
    if isinstance(value, list):
        return [_without_bytes(one) for one in value]
    if isinstance(value, dict):
        return {name: _without_bytes(one) for name, one in value.items()}
    return value


def _execution(request: Request, sent: Sent) -> Execution:
    library = () if sent.library is None else (sent.library,)
    return Execution(
        id=ids.new_id(),
        prompt_id=ids.id_from_hash(request.prompt_hash()),
        iterations=1,
        source=RECORDED,
        username=provenance.username(),
        started_at=sent.started_at,
        notebook=provenance.notebook(),
        cell_id=sent.cell_id,
        tags=_distinct((*library, *sent.tags)),
        process=provenance.process(),
        cell_execution=sent.cell_execution,
    )


def _distinct(tags: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(tags))
