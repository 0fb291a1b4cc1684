"""The spans of a run: the call, each of its attempts if there were several, and calls of tools.

They follow OpenTelemetry's semantic conventions for generative AI (repository
``open-telemetry/semantic-conventions-genai``), which are in development; attributes in
``llm_playground.*`` are this package's own. Ids are derived from those of the run, so that the same
run has the same ids wherever its spans are made. Runs that were started together, such as those of
a comparison, are one trace; so are the rounds of ``lp.ask_with_tools`` with their calls of tools.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from llm_playground.runlog.rows import Row
from llm_playground.telemetry import content

CONVENTIONS = "1.42.0-dev, commit 024a4f944a1291fcb627c9c47da69e79868dd15e"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"
SCOPE = "llm_playground"

Kind = Literal["client", "internal"]
Value = str | bool | int | float | Sequence[str]

_EPOCH = datetime.fromtimestamp(0, UTC)
_LIMIT = 1 << 63  # of numbers in OTLP
_LATEST_NS = 1 << 62  # in the year 2116
# Values of ``gen_ai.provider.name``: by the end of the server's name, else by our provider.
_BY_HOST = (
    ("api.openai.com", "openai"),
    (".openai.azure.com", "azure.ai.openai"),
    (".services.ai.azure.com", "azure.ai.inference"),
    ("aiplatform.googleapis.com", "gcp.vertex_ai"),
    ("generativelanguage.googleapis.com", "gcp.gemini"),
    (".api.aws", "aws.bedrock"),
    (".amazonaws.com", "aws.bedrock"),
)
_BY_NAME = {
    "gemini": "gcp.gemini",
    "gemini-legacy": "gcp.gemini",
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
}
# The attributes of parameters by our names, with the types that they have.
_PARAMETERS: dict[str, tuple[str, type[int] | type[float] | type[str]]] = {
    "temperature": ("gen_ai.request.temperature", float),
    "top_p": ("gen_ai.request.top_p", float),
    "top_k": ("gen_ai.request.top_k", int),
    "max_tokens": ("gen_ai.request.max_tokens", int),
    "seed": ("gen_ai.request.seed", int),
    "presence_penalty": ("gen_ai.request.presence_penalty", float),
    "frequency_penalty": ("gen_ai.request.frequency_penalty", float),
    "reasoning_effort": ("gen_ai.request.reasoning.level", str),
}
_COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_write.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    # These are among the billed units.
    "audio_input_tokens": "gen_ai.usage.audio.input_tokens",
    "audio_output_tokens": "gen_ai.usage.audio.output_tokens",
    "image_input_tokens": "gen_ai.usage.image.input_tokens",
    "image_output_tokens": "gen_ai.usage.image.output_tokens",
}
_OWN = {
    "run_id": "llm_playground.run.id",
    "usage_source": "llm_playground.usage.source",
    "source": "llm_playground.source",
    "notebook": "llm_playground.notebook",
}
_NO_ERROR = ("completed", "running", "cancelled")


@dataclass(frozen=True, slots=True)
class TracedRun:
    """What spans are made of.

    ``row`` has the columns of the view ``runs`` and of ``results``; amounts are numbers or text,
    times ISO 8601 or datetimes. Without ``messages``, the spans have no texts.
    """

    row: Row
    asked_at: object = None  # when the execution began, None if unknown
    base_url: str | None = None  # of the server, None if there is none
    has_schema: bool = False
    messages: Sequence[Mapping[str, Any]] | None = None
    tools: Sequence[Mapping[str, Any]] = ()
    tool_use: object = None  # as JSON, see `llm_playground.types.ToolUse`


@dataclass(frozen=True, slots=True)
class Span:
    """A span, for every exporter. Times are in nanoseconds since 1970."""

    name: str
    kind: Kind
    trace_id: str  # 32 hexadecimal digits
    span_id: str  # 16
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value]
    parent_id: str | None = None
    error: str | None = None  # the description of the status `error`, empty for none
    children: Sequence[Span] = field(default_factory=tuple)


def spans_of(run: TracedRun) -> list[Span]:
    """The spans of the calls of tools whose results a run sends, then that of the run.

    The latter has those of its attempts if there were several.

    >>> row = {"run_id": "r1", "model": "openai:gpt-x", "started_at": "2026-03-31T12:00:00Z"}
    >>> [span] = spans_of(TracedRun(row))
    >>> span.name, span.kind, span.attributes["gen_ai.provider.name"]
    ('chat gpt-x', 'client', 'openai')
    """
    trace_id = _id(f"trace {_group(run)}", 16)
    calls = _tool_use(run).get("calls")
    tools = [
        _tool_call(run, trace_id, number, call)
        for number, call in enumerate(calls if isinstance(calls, list) else ())
        if isinstance(call, Mapping) and _nanoseconds(call.get("started_at"))
    ]
    return [*tools, _chat(run, trace_id)]


def _chat(run: TracedRun, trace_id: str) -> Span:
    row, model = run.row, _model_name(run.row)
    start_ns = _nanoseconds(row.get("started_at"))
    sent_ns = start_ns + _ms(row.get("queue_ms"))
    attempts = [one for one in row.get("attempts") or () if isinstance(one, Mapping)]
    ends = list(_times(attempts, sent_ns))
    end_ns = max([sent_ns + _ms(row.get("response_time_ms")), *(end for _, end in ends)])
    is_call = not row.get("cached") and row.get("provider") != "local"
    attributes = {name: value for name, value in _attributes(run) if value is not None}
    shown = zip(attempts, ends, strict=True) if len(attempts) > 1 else ()
    return Span(
        f"chat {model}",
        "client" if is_call else "internal",
        trace_id,
        _id(f"span {row['run_id']}", 8),
        start_ns,
        end_ns,
        attributes,
        error=_error(row),
        children=tuple(
            _attempt(run, trace_id, number, attempt, times)
            for number, (attempt, times) in enumerate(shown, 1)
        ),
    )


def _group(run: TracedRun) -> str:
    """What the runs of one trace have in common: the start of their executions, and the place.

    As in :mod:`llm_playground.reports.run_groups`: a later start is that of another program's row.
    """
    row, asked_ns = run.row, _nanoseconds(_tool_use(run).get("started_at") or run.asked_at)
    if not asked_ns or asked_ns > _nanoseconds(row.get("started_at")):
        return str(row.get("execution_id") or row["run_id"])
    place = (row.get(name) or "" for name in ("source", "notebook", "cell_id"))
    return " ".join([str(asked_ns), *map(str, place)])


def _tool_use(run: TracedRun) -> Mapping[str, Any]:
    return run.tool_use if isinstance(run.tool_use, Mapping) else {}


def _tool_call(run: TracedRun, trace_id: str, number: int, call: Mapping[str, Any]) -> Span:
    """The span of a call of a tool; its texts are those of the messages that the run sends."""
    name, failed = str(call.get("name")), _as(str, call.get("error_type"))
    attributes: dict[str, Value | None] = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": name,
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.id": _as(str, call.get("id")),
        "error.type": failed,
    }
    texts: dict[str, str | None] = {}
    if run.messages is not None:
        texts = dict(content.tool_attributes(run.messages, number, name, run.tools))
    start_ns = _nanoseconds(call.get("started_at"))
    return Span(
        f"execute_tool {name}",
        "internal",
        trace_id,
        _id(f"tool {number} of {run.row['run_id']}", 8),
        start_ns,
        start_ns + _ms(call.get("duration_ms")),
        {key: value for key, value in {**attributes, **texts}.items() if value is not None},
        error=None if failed is None else texts.get("gen_ai.tool.call.result") or "",
    )


def _attributes(run: TracedRun) -> Iterator[tuple[str, Value | None]]:
    row = run.row
    yield "gen_ai.operation.name", "chat"
    yield "gen_ai.provider.name", provider_name(str(row.get("provider") or _prefix(row)), run)
    yield "gen_ai.request.model", _model_name(row)
    yield from _server(run)
    yield from _request(run)
    yield from _response(row)
    if not row.get("cached"):  # a re-used answer has used nothing
        units = row.get("billed_units")
        counts = {**row, **(units if isinstance(units, Mapping) else {})}
        for name, attribute in _COUNTS.items():
            yield attribute, _as(int, counts.get(name))
    for name, attribute in _OWN.items():
        yield attribute, _as(str, row.get(name))
    yield "llm_playground.cost_usd", _as(float, row.get("cost_usd"))
    yield "llm_playground.cached", True if row.get("cached") else None
    yield "llm_playground.tags", _texts(row.get("tags"))
    if run.messages is not None:
        yield from content.attributes(run.messages, row, run.tools)


def _request(run: TracedRun) -> Iterator[tuple[str, Value | None]]:
    row, given = run.row, run.row.get("parameters")
    dropped = row.get("dropped_parameters") or ()
    parameters = {
        name: value
        for name, value in (given.items() if isinstance(given, Mapping) else ())
        if name not in dropped
    }
    for name, (attribute, kind) in _PARAMETERS.items():
        yield attribute, _as(kind, parameters.get(name))
    yield "gen_ai.request.stop_sequences", _texts(parameters.get("stop"))
    streams = row.get("source") != "recorded" or row.get("ttft_ms") is not None
    yield "gen_ai.request.stream", True if streams and not row.get("cached") else None
    yield "gen_ai.output.type", "json" if run.has_schema else None


def _response(row: Row) -> Iterator[tuple[str, Value | None]]:
    yield "gen_ai.response.model", _as(str, row.get("response_model"))
    ttft_ms = _as(float, row.get("ttft_ms"))
    yield "gen_ai.response.time_to_first_chunk", None if ttft_ms is None else ttft_ms / 1000
    reason = row.get("finish_reason")
    if reason is None and row.get("status") not in ("completed", "running"):
        reason = "error"
    yield "gen_ai.response.finish_reasons", None if reason is None else [str(reason)]
    attempts = [one for one in row.get("attempts") or () if isinstance(one, Mapping)]
    if attempts:
        yield "gen_ai.response.id", _as(str, attempts[-1].get("response_id"))
    yield "error.type", error_type(row)


def error_type(row: Row) -> str | None:
    """The kind of error that a run ended with; None if it ended without, or was stopped.

    >>> error_type({"status": "failed", "error_type": "RateLimitError"})
    'RateLimitError'
    """
    if row.get("status") in _NO_ERROR or row.get("status") is None:
        return None
    return str(row.get("error_type") or "_OTHER")


def _error(row: Row) -> str | None:
    return None if error_type(row) is None else str(row.get("error_message") or "")


def _server(run: TracedRun) -> Iterator[tuple[str, Value | None]]:
    address, port = _address(run)
    yield "server.address", address
    yield "server.port", port


def _address(run: TracedRun) -> tuple[str | None, int | None]:
    try:
        parts = urlsplit(run.base_url or "")
        host, port = parts.hostname, parts.port
    except ValueError:
        return None, None
    if host is None or run.row.get("cached"):
        return None, None
    return host, port or (80 if parts.scheme == "http" else 443)


def provider_name(provider: str, run: TracedRun) -> str:
    """The name that the conventions have for a provider; its own name if they have none."""
    host = _address(run)[0] or ""
    known = (name for end, name in _BY_HOST if host == end.lstrip(".") or host.endswith(end))
    return next(known, None) or _BY_NAME.get(provider, provider)


def _attempt(
    run: TracedRun,
    trace_id: str,
    number: int,
    attempt: Mapping[str, Any],
    times: tuple[int, int],
) -> Span:
    failed = _as(str, attempt.get("error_type"))
    run_id = run.row["run_id"]
    attributes: dict[str, Value | None] = {
        **dict(_server(run)),
        "http.response.status_code": _as(int, attempt.get("status_code")),
        "http.request.resend_count": number - 1 or None,
        "error.type": failed,
    }
    return Span(
        f"attempt {number}",
        "internal",
        trace_id,
        _id(f"attempt {number} of {run_id}", 8),
        *times,
        {name: value for name, value in attributes.items() if value is not None},
        parent_id=_id(f"span {run_id}", 8),
        error=None if failed is None else str(attempt.get("reason") or ""),
    )


def _times(attempts: Iterable[Mapping[str, Any]], start_ns: int) -> Iterator[tuple[int, int]]:
    """Start and end of each attempt, after the wait before it."""
    end_ns = start_ns
    for attempt in attempts:
        begin_ns = end_ns + _ms(attempt.get("wait_ms"))
        end_ns = begin_ns + _ms(attempt.get("duration_ms"))
        yield begin_ns, end_ns


def _prefix(row: Row) -> str:
    return str(row.get("model") or "").partition(":")[0]


def _model_name(row: Row) -> str:
    """The model as its provider calls it."""
    provider, _, name = str(row.get("model") or "").partition(":")
    return name or provider or "unknown"


def _as(kind: type[Any], value: object) -> Any:  # noqa: ANN401 - one of three types
    """A value of a type; None for what is none or too large, such as what another program wrote."""
    if value is None or isinstance(value, (bool, Mapping, list)):
        return None
    try:
        converted = kind(value)
    except (ValueError, TypeError, ArithmeticError):
        return None
    return converted if kind is str or abs(converted) < _LIMIT else None


def _texts(value: object) -> list[str] | None:
    texts = [value] if isinstance(value, str) else value
    return [str(one) for one in texts] if isinstance(texts, (list, tuple)) and texts else None


def _ms(value: object) -> int:
    """Milliseconds in nanoseconds; 0 for unknown or negative ones."""
    number = _as(float, value)
    return max(0, round(number * 1e6)) if number is not None and number < 1e12 else 0


def _nanoseconds(moment: object) -> int:
    if isinstance(moment, str):
        try:
            moment = datetime.fromisoformat(moment)
        except ValueError:  # another program wrote it
            return 0
    if not isinstance(moment, datetime):
        return 0
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    return min(_LATEST_NS, max(0, (utc - _EPOCH) // timedelta(microseconds=1) * 1000))


def _id(name: str, size_bytes: int) -> str:
    return hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()[: 2 * size_bytes]
