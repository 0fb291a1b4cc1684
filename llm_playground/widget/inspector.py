"""The dialog "Wire" of one answer: requests, responses, parameters and a timeline.

Everything is returned as plain values without keys. HTTP traffic is recorded in memory alone, for
the answers of the current Run, and its size is bounded. For an answer from the log the request is
rebuilt, and a note says that the response was not kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llm_playground import config, footer, formatting
from llm_playground.calls import send
from llm_playground.catalog import capabilities
from llm_playground.errors import LLMError
from llm_playground.events import ReasoningDelta, Retrying, StreamEvent, TextDelta, ToolCallDelta
from llm_playground.execution import Call, Emit
from llm_playground.providers import http_trace
from llm_playground.providers.http_trace import Excerpt, HttpTrace, RoundTrip
from llm_playground.providers.wire_formats import body_of, dropped_in, format_of
from llm_playground.redaction import redact
from llm_playground.types import Request, Run

if TYPE_CHECKING:
    from llm_playground.codegen.request import PreparedRequest

MOST_BYTES = 32 << 20
_FEWEST_BYTES = 8_192
_BINS = 256
_FIRST_BIN_S = 0.01
_LONGEST_VALUE = 80

NOT_KEPT = (
    "The response was not kept: raw responses stay in memory until the next Run, never in the log."
)
REUSED = "Nothing was sent: a stored answer was reused."

# Why a parameter has another name in the body, by the name in the body.
_RENAMED = {
    "max_completion_tokens": "OpenAI's reasoning models refuse max_tokens.",
    "max_tokens": "Messages requires max_tokens; a default was added.",
    "top_logprobs": "The number of alternatives per token.",
}
# Fields that a body has in any case.
_ALWAYS = {
    "stream": "Answers are streamed.",
    "stream_options": "Requests token usage at the end of the stream.",
}
_LIMITS = ("ratelimit", "rate-limit", "retry-after")  # parts of headers' names
_ABSENT = object()


@dataclass(slots=True)
class TraceTiming:
    """Arrival times of deltas, in a fixed number of bins whose width doubles when they are full.

    >>> timing = TraceTiming()
    >>> for at in (1.0, 1.1, 1.5):
    ...     timing.add(at)
    >>> timing.count, round(timing.longest_gap_s, 1), sum(timing.bins)
    (3, 0.4, 3)
    """

    count: int = 0
    first_at: float = 0.0
    last_at: float = 0.0
    longest_gap_s: float = 0.0
    bin_s: float = _FIRST_BIN_S
    bins: list[int] = field(default_factory=lambda: [0] * _BINS)

    def add(self, at: float) -> None:
        """Count a delta that arrived at ``at``, in seconds of a monotonic clock."""
        if self.count:
            self.longest_gap_s = max(self.longest_gap_s, at - self.last_at)
        else:
            self.first_at = at
        self.count += 1
        self.last_at = at
        while (index := int((at - self.first_at) / self.bin_s)) >= _BINS:
            pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
            self.bins = [a + b for a, b in pairs] + [0] * (_BINS // 2)
            self.bin_s *= 2
        self.bins[index] += 1

    def filled(self) -> Iterator[tuple[float, int]]:
        """The bins with deltas: seconds after the first delta, and the number of deltas."""
        return ((index * self.bin_s, count) for index, count in enumerate(self.bins) if count)


@dataclass(slots=True)
class AnswerTrace:
    """The request of one answer, its HTTP traffic, and when its deltas arrived."""

    request: Request
    http: HttpTrace
    timing: TraceTiming = field(default_factory=TraceTiming)


class RunTraces:
    """The traces of one Run, whose answers share the memory, by the number of the answer."""

    def __init__(self, answers: int) -> None:
        self.most_bytes_each = max(
            _FEWEST_BYTES, min(http_trace.MOST_BYTES, MOST_BYTES // max(answers, 1))
        )
        self._traces: dict[int, AnswerTrace] = {}

    def of(self, number: int) -> AnswerTrace | None:
        """The trace of an answer, None if nothing was sent for it."""
        return self._traces.get(number)

    async def send(self, number: int, call: Call, emit: Emit) -> Run:
        """Make a call as :func:`llm_playground.calls.send` and trace it.

        A second call for a number replaces the trace of the first.
        """
        trace = self._traces[number] = AnswerTrace(call.request, HttpTrace(self.most_bytes_each))

        def record_and_emit(event: StreamEvent) -> None:
            if isinstance(event, (TextDelta, ReasoningDelta, ToolCallDelta)):
                trace.timing.add(time.perf_counter())
            elif isinstance(event, Retrying):
                trace.http.attempt = event.number
            emit(event)

        with http_trace.recording(trace.http):
            return await send(call, record_and_emit)


@dataclass(frozen=True, slots=True)
class ParameterUse:
    """How one parameter is sent."""

    name: str  # in this package, empty for a field that the package added
    value: object
    places: tuple[str, ...]  # the paths of the fields that hold it in the body
    why: str = ""  # it is not sent, or has another name


def parameter_uses(
    request: Request, dropped: tuple[str, ...] = (), max_tokens_cap: int | None = None
) -> tuple[ParameterUse, ...]:
    """How each parameter of a request is sent, in their order, then what was added to the body.

    The places are found by comparing the body with that of a request without the parameter.
    ``dropped`` and ``max_tokens_cap`` are as in :class:`~llm_playground.types.Run`.

    Raises:
        InvalidParameterError: The request cannot be sent.

    >>> from llm_playground.parts import TextPart
    >>> from llm_playground.types import Message, Parameters
    >>> hi = (Message("user", (TextPart("hi"),)),)
    >>> request = Request("openai:o3", hi, Parameters(temperature=1, max_tokens=5))
    >>> [(use.name, use.places) for use in parameter_uses(request, ("temperature",))][:2]
    [('temperature', ()), ('max_tokens', ('max_output_tokens',))]
    """
    sent = request.as_sent(dropped, max_tokens_cap)
    body = _flat(body_of(sent) or {})
    uses = [
        ParameterUse(name, value, (), _why_dropped(request, name))
        if name in dropped
        else _use(sent, body, name, value)
        for name, value in request.parameters.as_dict().items()
    ]
    return (*uses, *_added(request, body, max_tokens_cap))


def _use(sent: Request, body: Mapping[str, Any], name: str, value: object) -> ParameterUse:
    if name == "headers" or not body:  # without a body: the format of another package
        return ParameterUse(name, value, (name,))
    places = tuple(sorted({*_places(sent, body, name, value)}, key=list(body).index))
    if not places:
        return ParameterUse(name, value, (), "Replaced by a value in extra.")
    renamed = "" if name == "extra" or name in places else places[0]
    why = f"Its name at {config.label(sent.provider)}." if renamed else ""
    return ParameterUse(name, value, places, _RENAMED.get(renamed, why))


def _places(sent: Request, body: Mapping[str, Any], name: str, value: object) -> Iterator[str]:
    """Where the body differs from that of a request without the parameter or with another value."""
    others: list[Any] = [{} if name == "extra" else None]
    wire_format = format_of(sent)  # another value may be sent in another one
    if isinstance(value, (int, float)):
        others.append(value + 1)
    for other in others:
        parameters = replace(sent.parameters, **{name: other})
        other_request = replace(sent, parameters=parameters)
        without = _flat(wire_format.body(other_request) if wire_format else {})
        yield from (place for place in body if without.get(place, _ABSENT) != body[place])


def _why_dropped(request: Request, name: str) -> str:
    takes, model = capabilities.capabilities_of(request.model), request.model_name
    if name not in dropped_in(request):
        label = config.label(request.provider)
        return f"{label} refused it; the request was sent again without it."
    if name in takes.unsupported or name == "reasoning_effort":
        return f"{model} does not support it."
    if name in takes.unsupported_while_reasoning:
        return f"{model} does not support it while reasoning."
    if name not in takes.first_of:
        return "OpenAI's Responses API has no field for it."
    return f"{model} takes only one of {' and '.join(takes.first_of)}."


def _added(request: Request, body: Mapping[str, Any], cap: int | None) -> Iterator[ParameterUse]:
    if cap is not None:
        place = next((place for place in body if body[place] == cap), "max_tokens")
        why = "Set because a budget applies and max tokens is auto."
        yield ParameterUse("", cap, (place,), why)
    elif request.parameters.max_tokens is None and body.get("max_tokens") is not None:
        yield ParameterUse("", body["max_tokens"], ("max_tokens",), _RENAMED["max_tokens"])
    for name, why in _ALWAYS.items():
        places = [place for place in body if place.split(".")[0] == name]
        if places and name not in request.parameters.extra:
            yield ParameterUse("", body[places[0]], (places[0],), why)


def _flat(value: Mapping[str, Any], under: str = "") -> dict[str, Any]:
    """Every value of nested objects by its path; a list is one value."""
    flat: dict[str, Any] = {}
    for name, item in value.items():
        if isinstance(item, Mapping):
            flat |= _flat(item, f"{under}{name}.")
        else:
            flat[f"{under}{name}"] = item
    return flat


def inspect_trace(trace: AnswerTrace, run: Run | None) -> dict[str, Any]:
    """The dialog for an answer of this panel; ``run`` is None while it is running."""
    exchanges = [_exchange(trip) for trip in trace.http.trips]
    unsent = REUSED if run is not None and run.cached else "Nothing was sent."
    notes = [] if exchanges else [unsent]
    return _dialog(exchanges, notes, _parameters(trace.request, run), run, trace.timing)


def inspect_stored(run: Run) -> dict[str, Any]:
    """The dialog for an answer from the log."""
    from llm_playground import codegen  # loaded when it is needed, not with the widget
    from llm_playground.codegen.request import prepare

    try:
        source = codegen.find_request(run.id)
        sent = prepare(source.request)
    except LLMError as error:
        return _dialog([], [str(error), NOT_KEPT], [], run)
    if not sent.body:
        reason = f"Requests to {config.label(run.provider)} are built by another package."
        return _dialog([], [reason, NOT_KEPT], [], run)
    request = replace(source.request, parameters=run.parameters)
    notes = ["The request, rebuilt from the log.", REUSED if run.cached else NOT_KEPT]
    notes += [source.note] if source.note else []
    return _dialog([_rebuilt_exchange(sent)], notes, _parameters(request, run), run)


def _dialog(
    exchanges: list[dict[str, Any]],
    notes: list[str],
    parameters: list[dict[str, Any]],
    run: Run | None,
    timing: TraceTiming | None = None,
) -> dict[str, Any]:
    return {
        "exchanges": exchanges,
        "notes": notes,
        "parameters": parameters,
        **_timeline(run, timing),
        "facts": [] if run is None else list(_facts(run)),
    }


def _exchange(trip: RoundTrip) -> dict[str, Any]:
    body, missing = _shown(trip.body)
    received, lost = _shown(trip.received)
    answered = None if trip.answered_at is None else (trip.answered_at - trip.sent_at) * 1000
    answer_headers = list(map(list, trip.answer_headers))
    return {
        "attempt": trip.attempt,
        "line": f"{trip.method} {trip.url}",
        "headers": list(map(list, trip.headers)),
        "body": body if missing else _pretty(body),
        "status": "" if trip.status_code is None else str(trip.status_code),
        "headers_after": "" if answered is None else formatting.duration(answered),
        "answer_headers": answer_headers,
        "limits": [
            pair for pair in answer_headers if any(part in pair[0].lower() for part in _LIMITS)
        ],
        "received": received,
        "size": f"{trip.received.size:,} bytes",
        "lost": lost,
    }


def _rebuilt_exchange(sent: PreparedRequest) -> dict[str, Any]:
    """The exchange of a request from the log."""
    return {
        **dict.fromkeys(("status", "headers_after", "received", "size", "lost"), ""),
        "attempt": 1,
        "line": sent.shown_line,
        "headers": list(map(list, sent.shown_headers)),
        "body": _pretty(json.dumps(sent.body)),
        "answer_headers": [],
        "limits": [],
    }


def _shown(excerpt: Excerpt) -> tuple[str, str]:
    """The text that was kept, and a note on what was left out."""
    head, tail = excerpt.text()
    if excerpt.size <= excerpt.most:
        return head, ""
    missing = excerpt.size - len(head.encode()) - len(tail.encode())
    note = f"{missing:,} of {excerpt.size:,} bytes are left out in the middle."
    return f"{head}\n\n… {note}\n\n{tail}", note


def _pretty(body: str) -> str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return redact(text.encode("utf-8", "replace").decode())


def _parameters(request: Request, run: Run | None) -> list[dict[str, Any]]:
    dropped, cap = (run.dropped_parameters, run.max_tokens_cap) if run is not None else ((), None)
    try:
        uses = parameter_uses(request, dropped, cap)
    except LLMError:  # the request cannot be sent
        return []
    return [
        {
            "name": use.name,
            "value": _value(use.value),
            "places": list(use.places),
            "why": use.why,
            "sent": bool(use.places),
        }
        for use in uses
    ]


def _value(value: object) -> str:
    text = redact(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def _timeline(run: Run | None, timing: TraceTiming | None) -> dict[str, Any]:
    """Spans and deltas in ms after the first attempt was sent, and a summary as a sentence."""
    spans = [] if run is None else list(_spans(run))
    total = max([span["from"] + span["ms"] for span in spans], default=0.0)
    ticks: list[list[float]] = []
    width_ms = 0.0
    if timing is not None and timing.count:
        start = (run.ttft_ms if run is not None else None) or 0.0
        ticks = [[start + after_s * 1000, count] for after_s, count in timing.filled()]
        width_ms = timing.bin_s * 1000
        total = max(total, start + (timing.last_at - timing.first_at) * 1000)
    return {
        "spans": spans,
        "ticks": ticks,
        "tick_ms": width_ms,
        "total_ms": total,
        "total": formatting.duration(total) if total else "",
        "summary": _summary(run, timing),
    }


def _spans(run: Run) -> Iterator[dict[str, Any]]:
    at = 0.0
    for attempt in run.attempts:
        if attempt.wait_ms:
            label = f"Waited {formatting.duration(attempt.wait_ms)}"
            yield {"kind": "wait", "from": at, "ms": attempt.wait_ms, "label": label}
        at += attempt.wait_ms
        status = attempt.status_code or attempt.error_type or "stopped"
        took = formatting.duration(attempt.duration_ms)
        yield {
            "kind": "failed" if attempt.error_type else "attempt",
            "from": at,
            "ms": attempt.duration_ms,
            "label": f"Attempt {attempt.number} · {status} · {took}",
            "why": attempt.reason or "",
        }
        at += attempt.duration_ms


def _summary(run: Run | None, timing: TraceTiming | None) -> str:
    """A sentence: First text at 0.41 s, 96 deltas, longest gap 0.8 s, end at 1.9 s, 2 attempts."""
    parts = []
    if run is not None and run.ttft_ms is not None:
        parts.append(f"first text at {formatting.duration(run.ttft_ms)}")
    if timing is not None and timing.count:
        parts.append(formatting.count(timing.count, "delta"))
        parts.append(f"longest gap {formatting.duration(timing.longest_gap_s * 1000)}")
    if run is not None and run.response_time_ms is not None:
        parts.append(f"end at {formatting.duration(run.response_time_ms)}")
    if run is not None and len(run.attempts) > 1:
        parts.append(formatting.count(len(run.attempts), "attempt"))
    sentence = ", ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _facts(run: Run) -> Iterator[list[str]]:
    """Other facts of a run as pairs of name and value; unknown ones are left out."""
    queued = run.queue_ms is not None and run.queue_ms >= 1
    request_ids = dict.fromkeys(one.request_id for one in run.attempts if one.request_id)
    facts: dict[str, object] = {
        "Run": run.id,
        "Execution": run.execution_id,
        "Model": run.model,
        "Answered by": run.response_model,
        "API version": run.api_version,
        "Status": run.status,
        "Finish reason": run.finish_reason,
        "Waited in the queue": formatting.duration(run.queue_ms or 0) if queued else None,
        "Cost": footer.cost(run),
        "Request ids": ", ".join(request_ids),
        "Error": run.error and run.error.detail,
    }
    if (usage := run.usage) is not None:
        counts = {
            "Input tokens": usage.input_tokens,
            "of these from the cache": usage.cache_read_tokens,
            "of these written to the cache": usage.cache_write_tokens,
            "Output tokens": usage.output_tokens,
            "of these reasoning": usage.reasoning_tokens,
        }
        about = " (estimated)" if run.usage_source == "estimated" else ""
        facts |= {name: f"{count:,}{about}" for name, count in counts.items() if count}
    for name, value in facts.items():
        if value:
            yield [name, redact(str(value))]
