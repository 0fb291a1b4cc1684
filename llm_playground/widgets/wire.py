"""What the dialog "Wire" tells of one answer: request, response, parameters, timeline.

Plain values for the view, without keys. Of an answer that this panel has not asked for itself the
request is built again from the log, and it says that the response was not kept.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_playground import config, footer
from llm_playground.codegen import source, wires
from llm_playground.errors import LLMError
from llm_playground.providers import places
from llm_playground.providers.tape import Excerpt, RoundTrip
from llm_playground.redact import redact
from llm_playground.types import Request, Run
from llm_playground.widgets.recordings import Pulse, Recording

NOT_KEPT = (
    "The response was not kept: raw responses stay in memory until the next Run, never in the log."
)
REUSED = "Nothing was sent: a stored answer was used again."
NEVER_SENT = "Nothing was sent."
_LIMIT = ("ratelimit", "rate-limit", "retry-after")


def of_recording(recording: Recording, run: Run | None) -> dict[str, Any]:
    """An answer of this panel, ended or still on its way."""
    told = [_exchange(trip) for trip in recording.tape.trips]
    notes = [] if told else [REUSED if run is not None and run.cached else NEVER_SENT]
    dropped, cap = (run.dropped_parameters, run.max_tokens_cap) if run is not None else ((), None)
    return {
        "exchanges": told,
        "notes": notes,
        "parameters": _parameters(recording.request, dropped, cap),
        **_timeline(run, recording.pulse),
        "facts": [] if run is None else list(_facts(run)),
    }


def of_stored(run: Run) -> dict[str, Any]:
    """An answer out of the log."""
    try:
        found = source.find(run.id)
        sent = wires.sending(found.request)
    except LLMError as error:
        return _without_request(run, str(error))
    request = replace(found.request, parameters=run.parameters)
    if not sent.body:
        return _without_request(
            run, f"A package of its own speaks to {config.label(run.provider)}."
        )
    built = {
        **_blank_exchange(f"POST {_address(sent)}"),
        "headers": _headers_of(sent),
        "body": _pretty(json.dumps(sent.body)),
    }
    notes = [note for note in (REUSED if run.cached else NOT_KEPT, found.note) if note]
    return {
        "exchanges": [built],
        "notes": ["The request as it is built from the log.", *notes],
        "parameters": _parameters(request, run.dropped_parameters, run.max_tokens_cap),
        **_timeline(run, None),
        "facts": list(_facts(run)),
    }


def _without_request(run: Run, why: str) -> dict[str, Any]:
    return {
        "exchanges": [],
        "notes": [why, NOT_KEPT],
        "parameters": [],
        **_timeline(run, None),
        "facts": list(_facts(run)),
    }


def _exchange(trip: RoundTrip) -> dict[str, Any]:
    body, missing = _shown(trip.body)
    received, lost = _shown(trip.received)
    answered = None if trip.answered_at is None else (trip.answered_at - trip.sent_at) * 1000
    return {
        "attempt": trip.attempt,
        "line": f"{trip.method} {trip.url}",
        "headers": [list(pair) for pair in trip.headers],
        "body": body if missing else _pretty(body),
        "status": "" if trip.status_code is None else str(trip.status_code),
        "headers_after": "" if answered is None else footer.duration(answered),
        "answer_headers": [list(pair) for pair in trip.answer_headers],
        "limits": [
            list(pair)
            for pair in trip.answer_headers
            if any(part in pair[0].lower() for part in _LIMIT)
        ],
        "received": received,
        "size": f"{trip.received.size:,} bytes",
        "lost": lost,
    }


def _blank_exchange(line: str) -> dict[str, Any]:
    empty = dict.fromkeys(("body", "status", "headers_after", "received", "size", "lost"), "")
    return {"attempt": 1, "line": line, "answer_headers": [], "limits": [], **empty}


def _address(sent: wires.Sending) -> str:
    """Where it goes; the embedded server has another address each time."""
    if sent.request.provider == "local":
        return "the server in this kernel"
    return sent.url


def _headers_of(sent: wires.Sending) -> list[list[str]]:
    if sent.request.provider == "local":
        return []
    key = [[sent.wire.key_header, f"{sent.wire.key_scheme}…"]] if sent.key_variable else []
    return [["content-type", "application/json"], *key, *map(list, sent.wire.headers.items())]


def _shown(excerpt: Excerpt) -> tuple[str, str]:
    """What is kept, and what has to be said of what is not."""
    head, tail = excerpt.text()
    if excerpt.size <= excerpt.most:
        return head, ""
    missing = excerpt.size - len(head.encode()) - len(tail.encode())
    said = f"{missing:,} of {excerpt.size:,} bytes are left out in the middle."
    return f"{head}\n\n… {said}\n\n{tail}", said


def _pretty(body: str) -> str:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return body
    written = json.dumps(value, indent=2, ensure_ascii=False)
    return redact(written.encode("utf-8", "replace").decode())


def _parameters(request: Request, dropped: tuple[str, ...], cap: int | None) -> list[Any]:
    try:
        told = places.passages(request, dropped, cap)
    except LLMError:  # it could not be sent as it stands
        return []
    return [
        {
            "name": one.name,
            "value": _value(one.value),
            "places": list(one.places),
            "why": one.why,
            "sent": bool(one.places),
        }
        for one in told
    ]


def _value(value: object) -> str:
    written = redact(json.dumps(value, ensure_ascii=False, default=str))
    return written if len(written) <= 80 else f"{written[:79]}…"


def _timeline(run: Run | None, pulse: Pulse | None) -> dict[str, Any]:
    """Spans and deltas in ms after the first attempt was sent, and the same as a sentence."""
    spans = [] if run is None else list(_spans(run))
    total = max([span["from"] + span["ms"] for span in spans], default=0.0)
    ticks: list[list[float]] = []
    width_ms = 0.0
    if pulse is not None and pulse.count:
        start = (run.ttft_ms if run is not None else None) or 0.0
        ticks = [[start + after * 1000, count] for after, count in pulse.filled()]
        width_ms = pulse.bin_s * 1000
        total = max(total, start + (pulse.last_at - pulse.first_at) * 1000)
    return {
        "spans": spans,
        "ticks": ticks,
        "tick_ms": width_ms,
        "total_ms": total,
        "total": footer.duration(total) if total else "",
        "summary": _summary(run, pulse),
    }


def _spans(run: Run) -> Iterator[dict[str, Any]]:
    at = 0.0
    for attempt in run.attempts:
        if attempt.wait_ms:
            yield {
                "kind": "wait",
                "from": at,
                "ms": attempt.wait_ms,
                "label": f"Waited {footer.duration(attempt.wait_ms)}",
            }
        at += attempt.wait_ms
        status = attempt.status_code or attempt.error_type or "stopped"
        took = footer.duration(attempt.duration_ms)
        yield {
            "kind": "failed" if attempt.error_type else "attempt",
            "from": at,
            "ms": attempt.duration_ms,
            "label": f"Attempt {attempt.number} · {status} · {took}",
            "why": attempt.reason or "",
        }
        at += attempt.duration_ms


def _summary(run: Run | None, pulse: Pulse | None) -> str:
    """A sentence: First text at 0.41 s, 96 deltas, longest gap 0.8 s, end at 1.9 s, 2 attempts."""
    parts = []
    if run is not None and run.ttft_ms is not None:
        parts.append(f"first text at {footer.duration(run.ttft_ms)}")
    if pulse is not None and pulse.count:
        parts.append(f"{pulse.count:,} delta{'' if pulse.count == 1 else 's'}")
        parts.append(f"longest gap {footer.duration(pulse.longest_gap_s * 1000)}")
    if run is not None and run.response_time_ms is not None:
        parts.append(f"end at {footer.duration(run.response_time_ms)}")
    if run is not None and len(run.attempts) > 1:
        parts.append(f"{len(run.attempts)} attempts")
    sentence = ", ".join(parts)
    return f"{sentence[:1].upper()}{sentence[1:]}." if sentence else ""


def _facts(run: Run) -> Iterator[list[str]]:
    """What else is known of a run, as pairs; what nobody knows is left out."""
    known: dict[str, object] = {
        "Run": run.id,
        "Execution": run.execution_id,
        "Model": run.model,
        "Answered by": run.response_model,
        "Status": run.status,
        "Finish reason": run.finish_reason,
        "Waited for a place": _duration(run.queue_ms),
        "Cost": footer.cost(run),
        "Request ids": ", ".join(_request_ids(run)),
        "Error": run.error and run.error.detail,
    }
    known |= _counts(run)
    for name, value in known.items():
        if value:
            yield [name, redact(str(value))]


def _counts(run: Run) -> Mapping[str, str]:
    usage = run.usage
    if usage is None:
        return {}
    counts = {
        "Input tokens": usage.input_tokens,
        "of these from the cache": usage.cache_read_tokens,
        "of these written to the cache": usage.cache_write_tokens,
        "Output tokens": usage.output_tokens,
        "of these reasoning": usage.reasoning_tokens,
    }
    about = " (estimated)" if run.usage_source == "estimated" else ""
    return {name: f"{count:,}{about}" for name, count in counts.items() if count}


def _request_ids(run: Run) -> Sequence[str]:
    return list(dict.fromkeys(one.request_id for one in run.attempts if one.request_id))


def _duration(ms: float | None) -> str | None:
    return footer.duration(ms) if ms is not None and ms >= 1 else None
