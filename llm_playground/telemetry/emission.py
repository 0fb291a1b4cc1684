"""Spans as OpenTelemetry's SDK makes them, into its pipeline. Only this module imports it.

They go to the ``TracerProvider`` of the application, if it has set one. Otherwise they go to one of
this module, which sends batches by OTLP/HTTP where the variables ``OTEL_*`` say.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, Tracer, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode

from llm_playground import __version__
from llm_playground._validation import shorten
from llm_playground.redaction import printable, redact
from llm_playground.telemetry.spans import SCHEMA_URL, SCOPE, Kind, Span

_KINDS: dict[Kind, SpanKind] = {"client": SpanKind.CLIENT, "internal": SpanKind.INTERNAL}
_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.sdk._shared_internal",
)
_UNNAMED = "unknown_service"
_MAX_REASON_CHARS = 200

_log = logging.getLogger(__name__)


class Emitter:
    """Makes spans. One thread at a time may use it."""

    def __init__(self) -> None:
        self._own: _OwnProvider | None = None

    def emit(self, span: Span, parent: SpanContext | None) -> None:
        """Make a span and its children, within a span of the application if there is one."""
        outer = Context()
        if parent is not None:
            outer = trace.set_span_in_context(NonRecordingSpan(parent), outer)
        with _messages_kept():
            _emit(self._tracer(), span, outer)

    def _tracer(self) -> trace.Tracer:
        given = trace.get_tracer_provider()
        if not isinstance(given, trace.ProxyTracerProvider):
            return given.get_tracer(SCOPE, __version__, SCHEMA_URL)
        if self._own is None:
            self._own = _OwnProvider()
        return self._own.provider.get_tracer(SCOPE, __version__, SCHEMA_URL)

    def shutdown(self) -> None:
        """Send what waits. The application's provider is shut down by the application."""
        if self._own is not None:
            self._own.provider.shutdown()

    def interrupt(self) -> None:
        """End the repetitions of an export that fails."""
        if self._own is not None:
            self._own.exporter.shutdown()


def _emit(tracer: trace.Tracer, span: Span, outer: Context) -> None:
    # The ids of an exported file, unless the application has its own form of ids.
    if isinstance(tracer, Tracer) and isinstance(
        tracer.id_generator, (RandomIdGenerator, _DerivedIds)
    ):
        tracer.id_generator = _DerivedIds(span)
    made = tracer.start_span(
        span.name, outer, _KINDS[span.kind], span.attributes, start_time=span.start_ns
    )
    if span.error is not None:
        made.set_status(Status(StatusCode.ERROR, span.error or None))
    inner = trace.set_span_in_context(made, outer)
    for child in span.children:
        _emit(tracer, child, inner)
    made.end(span.end_ns)


@dataclass(frozen=True, slots=True)
class _DerivedIds(IdGenerator):
    span: Span

    def generate_span_id(self) -> int:
        return int(self.span.span_id, 16)

    def generate_trace_id(self) -> int:
        return int(self.span.trace_id, 16)


class _OwnProvider:
    """A provider with this package's exporter, by the standard variables."""

    def __init__(self) -> None:
        try:
            resource = Resource.create()
        except RuntimeError:  # it starts threads, which it cannot while Python ends
            resource = OTELResourceDetector().detect()
        if str(resource.attributes.get("service.name", _UNNAMED)).startswith(_UNNAMED):
            resource = resource.merge(Resource({"service.name": SCOPE}))
        self.exporter = _WarningExporter(OTLPSpanExporter())
        self.provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self.provider.add_span_processor(BatchSpanProcessor(self.exporter))
        for name in _LOGGERS:
            logging.getLogger(name).addFilter(_kept_messages)


class _WarningExporter(SpanExporter):
    """Logs one warning when exports fail, and another one only after one has succeeded."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        with _messages_kept() as messages:
            result = self._exporter.export(spans)
        is_failing = result is not SpanExportResult.SUCCESS
        if is_failing and not self._failing:
            why = shorten(redact(messages[0] if messages else "no reason"), _MAX_REASON_CHARS)
            _log.warning(
                "%s",
                printable(
                    f"Spans of runs are not exported ({why}). Calls go on; set "
                    "OTEL_EXPORTER_OTLP_ENDPOINT to the address of a collector."
                ),
            )
        self._failing = is_failing
        return result

    def shutdown(self) -> None:
        with _messages_kept():
            self._exporter.shutdown()


class _KeptMessages(logging.Filter):
    """Keeps messages of this thread from the log, which would be one for each export."""

    def __init__(self) -> None:
        super().__init__()
        self.of_thread = threading.local()

    def filter(self, record: logging.LogRecord) -> bool:
        messages: list[str] | None = getattr(self.of_thread, "messages", None)
        if messages is None:  # a record of the application's own exporter
            return True
        messages.append(record.getMessage())
        return False


_kept_messages = _KeptMessages()


@contextmanager
def _messages_kept() -> Iterator[list[str]]:
    messages: list[str] = []
    _kept_messages.of_thread.messages = messages
    try:
        yield messages
    finally:
        _kept_messages.of_thread.messages = None
