"""Streaming answers in a cell's output: plain text while running, then Markdown with a footer."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Sequence

from IPython import get_ipython

from llm_playground import _runtime, footer
from llm_playground.comparison import run_all
from llm_playground.events import PartAdded, RunFinished, StreamEvent, TextDelta
from llm_playground.execution import Call
from llm_playground.magics.cell_output import CellOutput
from llm_playground.progress import (
    Interrupted,
    Progress,
    TerminalLine,
    interrupted_text,
    is_terminal,
)
from llm_playground.redaction import printable, redact
from llm_playground.rendering import answers, parts, source_list
from llm_playground.types import Run

# Ten updates a second look like typing and are cheaper than one per token: every update replaces
# the whole output.
_PAINT_EVERY_S = 0.1

_Arrivals = queue.SimpleQueue[tuple[Call, StreamEvent] | None]


def watch(calls: Sequence[Call]) -> tuple[Run, ...]:
    """Execute all calls and show their answers while they stream.

    Raises:
        LLMError: All runs failed; the error of the first. Where some succeeded, the errors of the
            others are only shown in their places.
        Interrupted: The kernel was interrupted; partial answers stay shown and are logged.
    """
    arrivals: _Arrivals = queue.SimpleQueue()

    async def work() -> tuple[Run, ...]:
        try:
            return await run_all(calls, lambda call, event: arrivals.put((call, event)))
        finally:
            arrivals.put(None)

    in_kernel = hasattr(get_ipython(), "kernel")
    screen = CellOutput(calls) if in_kernel else _Terminal(calls)
    # After the output: an interrupt while that is made sends nothing.
    future = _runtime.submit(work())
    try:
        _follow(arrivals, screen)
    except KeyboardInterrupt:
        future.cancel()
        _follow(arrivals, screen)
        raise Interrupted(interrupted_text(call.run_id for call in calls)) from None
    runs = future.result()
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) == len(runs):  # raised, so that Run All and nbconvert stop here
        raise errors[0]
    return runs


def _follow(arrivals: _Arrivals, screen: CellOutput | _Terminal) -> None:
    """Pass events to the screen until the closing None, painting at most every 100 ms."""
    ended = False
    while not ended:
        batch = [arrivals.get()]
        while not arrivals.empty():
            batch.append(arrivals.get())
        for arrival in batch:
            if arrival is None:
                ended = True
            else:
                screen.take(*arrival)
        if ended:
            screen.end()
            return
        started = time.perf_counter()
        screen.paint()
        # long answers take longer to paint: at most a fifth of the time
        time.sleep(max(_PAINT_EVERY_S, 4 * (time.perf_counter() - started)))


class _Terminal:
    """A terminal: one answer as it streams, or several, each when it has ended."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self._several = len(calls) > 1
        self._progress = Progress(len(calls))
        # A single answer streams itself and needs no line.
        self._line = TerminalLine() if self._several and is_terminal() else None
        self._runs: list[Run] = []

    def take(self, call: Call, event: StreamEvent) -> None:
        """Write what an event adds."""
        self._progress.take(call.run_id, event)
        match event:
            case TextDelta(text) if not self._several:
                sys.stdout.write(printable(text))
            case PartAdded(part) if not self._several:
                sys.stdout.write(f"\n{parts.to_line(part)}\n")
            case RunFinished(run):
                self._runs.append(run)
                if self._line is not None:
                    self._line.end("")
                shown = (
                    answers.as_lines(run) if self._several else source_list.to_lines(run.sources)
                )
                lines = [printable(run.model)] if self._several else [""]
                lines += [printable(redact(line)) for line in shown]
                lines += [*footer.notices(run), footer.line(run)]
                sys.stdout.write("\n".join(lines) + "\n")

    def paint(self) -> None:
        """Show what was written, and below it the line of progress."""
        sys.stdout.flush()
        if self._line is not None:
            self._line.show(self._progress.line())

    def end(self) -> None:
        """Write what is said once about all answers."""
        if self._line is not None:
            self._line.end("")
        last = [self._progress.last_line()] if self._several else []
        sys.stdout.write("".join(f"{line}\n" for line in [*last, *footer.caveats(self._runs)]))
        sys.stdout.flush()
