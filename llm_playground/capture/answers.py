"""The bytes that another library received, as a run."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any

import httpx2

from llm_playground import config
from llm_playground.capture.exchange import report
from llm_playground.capture.received import Chunks, Decoded, Received
from llm_playground.capture.requests import LARGE_BYTES, RecordedCall
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
_MAX_RECORDED_BYTES = 1 << 20
_DELTAS = (TextDelta, ReasoningDelta, ToolCallDelta, PartAdded)


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
    """The run of a call that has ended, failed if its answer is not kept or cannot be read."""
    try:
        decoded = await _decoded(received)
        if received.lost is None or received.status_code != 200:
            return await _run_of(call, wire_format, received, decoded)
    except Exception as error:  # a bug; the call's reservation must be settled
        received.lose(f"it could not be read ({type(error).__name__})")
        report("An answer is not recorded", error)
    return _lost_run(call, received)


async def text_so_far(call: RecordedCall, wire_format: str, received: Received) -> str:
    """The text of a response that is still coming; empty if it cannot be read yet."""
    try:
        come = received.so_far()
        return (await _run_of(call, wire_format, come, await _decoded(come))).text
    except Exception:  # nothing is lost: it is read again at its end
        return ""


async def _run_of(
    call: RecordedCall, wire_format: str, received: Received, decoded: Decoded
) -> Run:
    builder = RunBuilder(skeleton_of(call), call.request)
    builder.sent()
    first = _FirstDelta()
    error = await _read(call, wire_format, received, decoded, builder, first)
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
    return _timed(builder.ended(status, error, ()), received, first.at)


async def _decoded(received: Received) -> Decoded:
    if received.size_bytes > LARGE_BYTES:
        with suppress(RuntimeError):  # Python ends, and no thread can begin
            return await asyncio.to_thread(received.decoded)
    return received.decoded()


def _lost_run(call: RecordedCall, received: Received) -> Run:
    """The run of a call whose answer is not kept: its tokens are unknown, its input is billed."""
    builder = RunBuilder(skeleton_of(call), call.request)
    builder.sent()
    label = config.label(call.request.provider)
    error = ProviderError(
        f"The answer of {label} is not in the log: {received.lost}. Its caller has received it.",
        status_code=received.status_code,
        provider=call.request.provider,
        model=call.request.model,
    )
    builder.attempted(error)
    run = builder.ended("cancelled" if received.is_stopped else "failed", error, ())
    least_usd = run.cost_usd or run.at_least_usd
    run = replace(run, usage=None, usage_source="none", cost_usd=None, at_least_usd=least_usd)
    return _timed(run, received, None)


@dataclass(slots=True)
class _FirstDelta:
    """When the bytes that are being read came, and those of the first delta."""

    now: float = 0.0
    at: float | None = None


async def _read(
    call: RecordedCall,
    wire_format: str,
    received: Received,
    decoded: Decoded,
    builder: RunBuilder,
    first: _FirstDelta,
) -> LLMError | None:
    """Add the events of the response to the builder; returns the error of the call."""
    context = RequestContext(call.endpoint, call.request.model, call.request.parameters)
    chunks = decoded.chunks
    if received.status_code is None:
        return None if received.is_stopped else _transport_error(context, received, delivered=False)
    if received.status_code >= 400:
        text = decoded.body[:_MAX_ERROR_BYTES].decode("utf-8", "replace")
        return errors.status_error(context, received.status_code, text, received.headers)
    if wire_format == "openai-responses":
        chunks = _as_event(decoded)
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
        is_stopped = received.is_stopped and builder.finish is None and decoded.error is None
        if builder.background is not None or is_stopped:
            return None
        return _cause_of(error, context, received, decoded, delivered=builder.delivered)
    finish = builder.finish
    if finish is None or finish.finish_reason != "content_filter":
        return None
    label = config.label(call.request.provider)
    return errors.blocked_error(
        finish, provider=call.request.provider, model=call.request.model, label=label
    )


def kept_response(received: Received, streamed: bool, run: Run) -> dict[str, Any] | None:
    """What a recording keeps of a response, to give it again byte for byte; without keys.

    None for an error, for bytes that are no text, many or not kept, and for an answer with a key,
    whose pieces in a stream are no keys.
    """
    if received.status_code != 200 or received.lost is not None:
        return None
    body = received.decoded().body
    texts = (run.text, run.reasoning or "", *(call.arguments_json for call in run.tool_calls))
    joined = "\n".join(texts)
    if len(body) > _MAX_RECORDED_BYTES or redact(joined) != joined:
        return None
    try:
        text = redact(body.decode())
    except UnicodeDecodeError:
        return None
    content_type = received.headers.get("content-type", "application/json")
    return {"streamed": streamed, "content_type": content_type, "body": text}


def _as_event(decoded: Decoded) -> Chunks:
    """A response of Responses that came whole, as the last event of its stream."""
    chunks, body = decoded.chunks, decoded.body
    if not body.lstrip().startswith(b"{"):
        return chunks
    try:
        response = json.loads(body)
    except (ValueError, RecursionError):  # cut short
        return chunks
    event = {"type": f"response.{response.get('status')}", "response": response}
    return [(chunks[0][0], f"data: {dumps(event)}\n\n".encode())]


async def _paced(chunks: Chunks, first: _FirstDelta) -> AsyncIterator[bytes]:
    """The bytes, with a turn of the loop for other calls between them."""
    for first.now, data in chunks:
        yield data
        await asyncio.sleep(0)


def _cause_of(
    error: ProviderError,
    context: RequestContext,
    received: Received,
    decoded: Decoded,
    *,
    delivered: bool,
) -> LLMError:
    """Why a response is no answer: ``error``, unless the connection or the encoding explains it."""
    why = decoded.error
    if received.error is not None and not isinstance(received.error, type(why)):
        return _transport_error(context, received, delivered=delivered)
    if why is None:
        return error
    encoding = received.headers.get("content-encoding")
    return ProviderError(
        f"{context.label} sent an answer that cannot be decoded as {encoding}. Check the base URL "
        "and the proxy.",
        status_code=received.status_code,
        provider=context.endpoint.provider,
        model=context.model,
        detail=redact(repr(why)),
    )


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


def _timed(run: Run, received: Received, first_at: float | None) -> Run:
    """The run with the times of the call in place of those of its reading.

    ``first_at`` is when the first delta came.
    """
    duration_ms = (received.ended_at - received.sent_at) * 1000
    streams = "stream" in received.headers.get("content-type", "")
    since_sent_ms = None if first_at is None else (first_at - received.sent_at) * 1000
    return replace(
        run,
        attempts=[replace(one, duration_ms=duration_ms) for one in run.attempts],
        response_time_ms=duration_ms,
        ttft_ms=since_sent_ms if streams else None,
    )
