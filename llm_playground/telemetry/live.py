"""Export of runs as OpenTelemetry spans as they end, for ``lp.configure(telemetry=...)``.

A call only adds to a queue. A daemon thread makes spans of the queue and imports OpenTelemetry on
first use, so that neither the background loop nor a kernel without telemetry pays for it. The rows
are those that the log keeps: what the privacy settings exclude from it is exported nowhere.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from llm_playground import _lifecycle, config
from llm_playground._runtime import Debouncer
from llm_playground.config.tracing import NOT_INSTALLED
from llm_playground.redaction import printable
from llm_playground.runlog.rows import Row, clean_json
from llm_playground.telemetry import content
from llm_playground.telemetry.spans import TracedRun, spans_of
from llm_playground.types import Request

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from llm_playground.telemetry.emission import Emitter

_WAITING_RUNS = 2_048  # as many as OpenTelemetry's own queue holds; older ones are dropped
_DRAIN_AFTER_S = 0.2
_FLUSH_S = 3.0  # at the end of the kernel

# A logger instead of warnings.warn: a filter may turn a warning into an exception.
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known when a run begins: its rows as the log keeps them, and the span around it."""

    prompt: Row
    execution: Row
    definitions: Iterable[Row] = ()
    base_url: str | None = None
    parent: SpanContext | None = None


def begun(rows: Mapping[str, Row], definitions: Iterable[Row], request: Request) -> Begun:
    """Keep what the span of a run needs; ``rows`` has the keys ``prompt`` and ``execution``."""
    known = config.rows().get(request.provider)
    base_url = request.endpoint or (known.base_url if known else None)
    return Begun(rows["prompt"], rows["execution"], definitions, base_url, _span_around())


def _span_around() -> SpanContext | None:
    """The context of the application's active span; None if there is none."""
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    found: SpanContext = trace.get_current_span().get_span_context()
    return found if found.is_valid else None


def ended(begun: Begun | None, result: Row) -> None:
    """Have the span of a run exported; ``begun`` is None if it began in another process."""
    begun = begun or Begun({}, {})
    if begun.execution.get("source") == "demo":  # it called no model
        return
    has_content = config.telemetry() == "content" and begun.prompt.get("messages") is not None
    _outbox.put(_Ended(begun, result, has_content))


@dataclass(frozen=True, slots=True)
class _Ended:
    begun: Begun
    result: Row
    has_content: bool

    def traced(self) -> TracedRun:
        """The run with keys removed from its texts, as in the log."""
        begun = self.begun
        rows = {**begun.prompt, **begun.execution, **self.result, "run_id": self.result["id"]}
        row = clean_json(rows)
        return TracedRun(
            row,
            begun.execution.get("started_at"),
            begun.base_url,
            row.get("schema_hash") is not None,
            row["messages"] if self.has_content else None,
            content.tools_of(row, {one["id"]: one for one in begun.definitions}),
            row.get("tool_use"),
        )


@dataclass(slots=True, eq=False)
class _Outbox:
    """Runs that wait for export, and where their spans go."""

    waiting: deque[_Ended] = field(default_factory=lambda: deque(maxlen=_WAITING_RUNS))
    emitter: Emitter | None = None
    failing: bool = False  # whether a warning was logged
    _emptying: threading.Lock = field(default_factory=threading.Lock)
    _worker: Debouncer = field(init=False)

    def __post_init__(self) -> None:
        self._worker = Debouncer(self.empty, _DRAIN_AFTER_S, "llm_playground-telemetry")

    def put(self, run: _Ended) -> None:
        """Add a run, which is exported soon."""
        self.waiting.append(run)
        self._worker.soon()

    def empty(self) -> None:
        """Make spans of all runs that wait; never raises."""
        with self._emptying:
            while self.waiting:
                run = self.waiting.popleft()
                try:
                    for span in spans_of(run.traced()):
                        self._emitter().emit(span, run.begun.parent)
                except ImportError:
                    self._warn(NOT_INSTALLED)
                except Exception as error:
                    self._warn(f"{type(error).__name__}: {error}")

    def _emitter(self) -> Emitter:
        if self.emitter is None:
            from llm_playground.telemetry.emission import Emitter  # imports OpenTelemetry

            self.emitter = Emitter()
            # Once more, since functions at exit run in reverse order: before those of the
            # application's provider, which has been made by now.
            _lifecycle.register(at_exit=flush)
        return self.emitter

    def _warn(self, why: str) -> None:
        if not self.failing:
            self.failing = True
            _log.warning("%s", printable(f"Spans of runs are not exported: {why} Calls go on."))


_outbox = _Outbox()


def flush() -> None:
    """Export what has ended, and shut down the exporter of this module; about 3 s at most."""
    outbox = _outbox

    def complete() -> None:
        outbox.empty()
        if outbox.emitter is not None:
            outbox.emitter.shutdown()

    worker = threading.Thread(target=complete, daemon=True)
    with suppress(RuntimeError):  # Python has ended too far for a new thread
        worker.start()
        worker.join(_FLUSH_S)
        if worker.is_alive() and outbox.emitter is not None:
            outbox.emitter.interrupt()


def _start_over() -> None:
    """Leave the runs that wait to the parent: a forked child has no thread and no connection."""
    global _outbox
    _outbox = _Outbox()


_lifecycle.register(at_exit=flush, after_fork_in_child=_start_over)
