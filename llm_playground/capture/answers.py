"""The bytes that another library received, as a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2

from llm_playground import config
from llm_playground.capture.requests import RecordedCall
from llm_playground.errors import ContentBlockedError, LLMError, ProviderError
from llm_playground.events import (
    PartAdded,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from llm_playground.execution.run_builder import RunBuilder
from llm_playground.providers import (
    RequestContext,
    anthropic,
    errors,
    gemini,
    openai,
    openai_responses_reader,
    streaming,
    transport_errors,
)
from llm_playground.providers.contents import dumps
from llm_playground.redaction import redact
from llm_playground.types import Run, Status

_MAX_ERROR_BYTES = 65_536
_MAX_KEPT_BYTES = 1 << 20
_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta, PartAdded)
# Exceptions that mean that the caller has stopped, not that the connection failed.
_STOPPED = (asyncio.CancelledError, GeneratorExit, KeyboardInterrupt, SystemExit)


@dataclass(slots=True)
class Received:
    """What came of a response. Times are of :func:`time.perf_counter`, in seconds.

    ``chunks`` are the bytes as they came, encoded as the header ``content-encoding`` says, unless
    ``is_decoded``. ``error`` is the exception that the caller got; ``is_whole`` is whether the
    response was read to its end.
    """

    sent_at: float
    chunks: list[tuple[float, bytes]] = field(default_factory=list)
    status_code: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    error: BaseException | None = None
    is_whole: bool = False
    is_decoded: bool = False
    ended_at: float = 0.0

    @property
    def is_stopped(self) -> bool:
        """Whether the caller stopped reading."""
        if self.error is not None:
            return isinstance(self.error, _STOPPED)
        return not self.is_whole

    def decoded(self) -> Sequence[tuple[float, bytes]]:
        """The decoded bytes, as far as they can be decoded, with the time at which they came."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if self.is_decoded or encoding in ("", "identity"):
            return self.chunks
        body = httpx2.Response(
            200,
            headers={"content-encoding": encoding},
            stream=httpx2.ByteStream(b"".join(data for _, data in self.chunks)),
        )
        decoded = bytearray()
        try:
            for piece in body.iter_bytes():
                decoded += piece
        except httpx2.DecodingError:  # broken off, or not encoded as the header says
            pass
        return [(self.chunks[0][0], bytes(decoded))] if self.chunks else []


async def _never(_response_id: str) -> None:
    """The answers of other libraries are theirs to stop."""


_READERS: Mapping[str, Callable[[], streaming.Reader]] = {
    "openai": openai.Reader,
    "openai-responses": lambda: openai_responses_reader.Reader(_never),
    "anthropic": anthropic.Reader,
    "gemini": gemini.Reader,
}


def skeleton_of(call: RecordedCall) -> Run:
    """The run of a call before its answer."""
    request, execution = call.request, call.execution
    return Run(
        id=call.run_id,
        execution_id=execution.id,
        prompt_id=execution.prompt_id,
        iteration_number=1,
        model=request.model,
        provider=request.provider,
        started_at=execution.started_at,
        parameters=request.parameters,
    )


def refused_run(call: RecordedCall, error: LLMError) -> Run:
    """The run of a call that a budget did not let pass."""
    return RunBuilder(skeleton_of(call), call.request).ended("over_budget", error, ())


async def run_of(call: RecordedCall, wire_format: str, received: Received) -> Run:
    """The run of a call that has ended."""
    builder = RunBuilder(skeleton_of(call), call.request)
    builder.sent()
    first = _FirstDelta()
    error = await _read(call, wire_format, received, builder, first)
    builder.attempted(error)
    status: Status = "completed"
    if isinstance(error, ContentBlockedError):
        status = "blocked"
    elif error is not None:
        status = "failed"
    elif received.is_stopped and builder.finish is None:
        status = "cancelled"
    elif builder.finish is None and builder.background is not None:
        status = "interrupted"  # lp.resume reads it
    return _timed(builder.ended(status, error, ()), received, first)


@dataclass(slots=True)
class _FirstDelta:
    """When the bytes that are being read came, and those of the first delta."""

    now: float = 0.0
    at: float | None = None


async def _read(
    call: RecordedCall,
    wire_format: str,
    received: Received,
    builder: RunBuilder,
    first: _FirstDelta,
) -> LLMError | None:
    """Add the events of the response to the builder; returns the error of the call."""
    context = RequestContext(call.endpoint, call.request.model, call.request.parameters)
    chunks = received.decoded()
    if received.status_code is None:
        return None if received.is_stopped else _transport_error(context, received, delivered=False)
    if received.status_code >= 400:
        body = b"".join(data for _, data in chunks)[:_MAX_ERROR_BYTES]
        text = body.decode("utf-8", "replace")
        return errors.status_error(context, received.status_code, text, received.headers)
    if wire_format == "openai-responses":
        chunks = _as_event(chunks)
    events = streaming.stream_events(
        context, received.headers, _paced(chunks, first), _READERS[wire_format](),
        received.status_code,
    )  # fmt: skip
    try:
        async with aclosing(events):
            async for event in events:
                if first.at is None and isinstance(event, _DELTAS):
                    first.at = first.now
                builder.add(event)
    except ProviderError as error:
        if builder.background is not None or (received.is_stopped and builder.finish is None):
            return None
        if received.error is not None:
            return _transport_error(context, received, delivered=builder.delivered)
        return error
    finish = builder.finish
    if finish is None or finish.finish_reason != "content_filter":
        return None
    label = config.label(call.request.provider)
    return errors.blocked_error(
        finish, provider=call.request.provider, model=call.request.model, label=label
    )


def kept_response(received: Received, streamed: bool, run: Run) -> dict[str, Any] | None:
    """What a recording keeps of a response, to give it again byte for byte; without keys.

    None for an error, for bytes that are no text or many, and for an answer with a key, whose
    pieces in a stream are no keys.
    """
    body = b"".join(data for _, data in received.decoded())
    texts = (run.text, run.reasoning or "", *(call.arguments_json for call in run.tool_calls))
    joined = "\n".join(texts)
    if received.status_code != 200 or len(body) > _MAX_KEPT_BYTES or redact(joined) != joined:
        return None
    try:
        text = redact(body.decode())
    except UnicodeDecodeError:
        return None
    content_type = received.headers.get("content-type", "application/json")
    return {"streamed": streamed, "content_type": content_type, "body": text}


def _as_event(chunks: Sequence[tuple[float, bytes]]) -> Sequence[tuple[float, bytes]]:
    """A response of Responses that came whole, as the last event of its stream."""
    body = b"".join(data for _, data in chunks)
    if not body.lstrip().startswith(b"{"):
        return chunks
    try:
        response = json.loads(body)
    except (ValueError, RecursionError):  # cut short
        return chunks
    event = {"type": f"response.{response.get('status')}", "response": response}
    return [(chunks[0][0], f"data: {dumps(event)}\n\n".encode())]


async def _paced(chunks: Sequence[tuple[float, bytes]], first: _FirstDelta) -> AsyncIterator[bytes]:
    """The bytes, with a turn of the loop for other calls between them."""
    for first.now, data in chunks:
        yield data
        await asyncio.sleep(0)


def _transport_error(context: RequestContext, received: Received, *, delivered: bool) -> LLMError:
    error = received.error
    own = _as_httpx2(error) if error is not None else None
    if own is not None:
        return transport_errors.transport_error(context, own, received.headers, delivered=delivered)
    return ProviderError(
        f"The call to {context.label} failed: {type(error).__name__}.",
        provider=context.endpoint.provider,
        model=context.model,
        detail=redact(repr(error)),
    )


def _as_httpx2(error: BaseException) -> BaseException | None:
    """An exception of httpx as that of httpx2 with the same name; None for one of neither."""
    if isinstance(error, transport_errors.TRANSPORT_ERRORS):
        return error
    same: Any = getattr(httpx2, type(error).__name__, None)
    if not (isinstance(same, type) and issubclass(same, httpx2.RequestError)):
        return None
    converted = same(str(error))
    converted.__cause__ = error.__cause__
    return converted


def _timed(run: Run, received: Received, first: _FirstDelta) -> Run:
    """The run with the times of the call in place of those of its reading."""
    duration_ms = (received.ended_at - received.sent_at) * 1000
    streams = "stream" in received.headers.get("content-type", "")
    since_sent = None if first.at is None else (first.at - received.sent_at) * 1000
    return replace(
        run,
        attempts=[replace(one, duration_ms=duration_ms) for one in run.attempts],
        response_time_ms=duration_ms,
        ttft_ms=since_sent if streams else None,
    )
