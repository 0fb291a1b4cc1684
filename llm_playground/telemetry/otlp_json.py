"""Spans as a file in OTLP/JSON: one JSON object ``{"resourceSpans": [...]}`` for each run and line.

That is the form of the collector's file exporter and of its receiver ``otlpjsonfile``. It is
written here, since the encoders of OpenTelemetry need its SDK, and a file should need nothing.

https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from llm_playground.telemetry.spans import SCHEMA_URL, SCOPE, Kind, Span, Value

_KINDS: Mapping[Kind, int] = {"internal": 1, "client": 3}
_ERROR = 2


def to_lines(runs: Iterable[Iterable[Span]], version: str) -> str:
    """The spans of each run with their children, in a line; ``version`` is that of this package."""
    scope = {"name": SCOPE, "version": version}
    resource = {"attributes": _attributes({"service.name": SCOPE})}
    return "".join(
        json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [spans_of_run]}]}) + "\n"
        for spans_of_run in (
            {
                "scope": scope,
                "spans": [one for span in spans for one in _with_children(span)],
                "schemaUrl": SCHEMA_URL,
            }
            for spans in runs
        )
    )


def _with_children(span: Span) -> Iterator[dict[str, Any]]:
    parent = {} if span.parent_id is None else {"parentSpanId": span.parent_id}
    status = {} if span.error is None else {"status": {"code": _ERROR, "message": span.error}}
    yield {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **parent,
        "name": span.name,
        "kind": _KINDS[span.kind],
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _attributes(span.attributes),
        **status,
    }
    for child in span.children:
        yield from _with_children(child)


def _attributes(values: Mapping[str, Value]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _any_value(value)} for name, value in values.items()]


def _any_value(value: Value) -> dict[str, Any]:
    """A value by its type; the mapping of 64-bit integers to JSON is text.

    >>> _any_value(5), _any_value(0.5), _any_value(["a"])
    ({'intValue': '5'}, {'doubleValue': 0.5}, {'arrayValue': {'values': [{'stringValue': 'a'}]}})
    """
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case str():
            return {"stringValue": value}
    return {"arrayValue": {"values": [_any_value(one) for one in value]}}
