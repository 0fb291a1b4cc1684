"""Streaming answers in a cell's output: plain text while running, then Markdown with a footer."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from IPython import get_ipython
from IPython.display import display

from llm_playground import _runtime, footer, formatting, rendering
from llm_playground.comparison import run_all
from llm_playground.events import (
    PartAdded,
    Preparing,
    Retrying,
    RunFinished,
    StreamEvent,
    TextDelta,
    Waiting,
)
from llm_playground.execution import Call
from llm_playground.parts import AnswerPart
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
        KeyboardInterrupt: The kernel was interrupted; partial answers stay shown and are logged.
    """
    arrivals: _Arrivals = queue.SimpleQueue()

    async def work() -> tuple[Run, ...]:
        try:
            return await run_all(calls, lambda call, event: arrivals.put((call, event)))
        finally:
            arrivals.put(None)

    future = _runtime.submit(work())
    in_kernel = hasattr(get_ipython(), "kernel")
    screen = _Output(calls) if in_kernel else _Terminal(several=len(calls) > 1)
    try:
        _follow(arrivals, screen)
    except KeyboardInterrupt:
        future.cancel()
        _follow(arrivals, screen)
        raise
    runs = future.result()
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) == len(runs):  # raised, so that Run All and nbconvert stop here
        raise errors[0]
    return runs


def _follow(arrivals: _Arrivals, screen: _Output | _Terminal) -> None:
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
        started = time.perf_counter()
        screen.paint()
        if not ended:  # long answers take longer to paint: at most a fifth of the time
            time.sleep(max(_PAINT_EVERY_S, 4 * (time.perf_counter() - started)))


class _Output:
    """A cell's output: one answer, or a column per model."""

    def __init__(self, calls: Sequence[Call]) -> None:
        alone = len({call.request.user_prompt for call in calls}) == 1
        self._panes = {
            call.run_id: _Pane(
                rendering.heading(call.request.model, call.request.user_prompt, alone=alone)
            )
            for call in calls
        }
        self._handle = display(self._shown(), raw=True, display_id=True)

    def take(self, call: Call, event: StreamEvent) -> None:
        if isinstance(event, RunFinished) and len(self._panes) == 1:
            event = RunFinished(replace(event.run, error=None))  # it is raised, and shown by that
        self._panes[call.run_id].take(event)

    def paint(self) -> None:
        if self._handle is not None:
            self._handle.update(self._shown(), raw=True)

    def _shown(self) -> dict[str, str]:
        """The output by media type."""
        panes = list(self._panes.values())
        if len(panes) == 1:
            return {"text/html": panes[0].html(), "text/plain": panes[0].text()}
        html = rendering.side_by_side([(pane.head, pane.html()) for pane in panes])
        text = "\n\n".join(f"{pane.head}\n{pane.text()}" for pane in panes)
        return {"text/html": html, "text/plain": text}


class _Pane:
    """The state of one answer."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._pieces: list[str | AnswerPart] = []
        self._line = "waiting"
        self._ended: tuple[str, str] | None = None

    def take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._pieces.append(text)
                self._line = "streaming"
            case PartAdded(part):
                self._pieces.append(part)
                self._line = "streaming"
            case Preparing(message, fraction):
                share = "" if fraction is None else f" {fraction:.0%}"
                self._line = printable(f"{message}{share}")
            case Waiting(reason):
                self._line = printable(reason)
            case Retrying():
                self._line = formatting.retrying(event)
            case RunFinished(run):
                # rendered once: other answers may stream on
                self._ended = rendering.run_to_html(run), rendering.run_to_text(run)

    def html(self) -> str:
        if self._ended is not None:
            return self._ended[0]
        return rendering.partial_to_html(self._pieces, self._line)

    def text(self) -> str:
        """A running answer as plain text is its state only: HTML has the text already."""
        return self._line if self._ended is None else self._ended[1]


class _Terminal:
    """A terminal: one answer as it streams, or several, each when it has ended."""

    def __init__(self, *, several: bool) -> None:
        self._several = several

    def take(self, _call: Call, event: StreamEvent) -> None:
        match event:
            case TextDelta(text) if not self._several:
                sys.stdout.write(printable(text))
            case PartAdded(part) if not self._several:
                sys.stdout.write(f"\n{parts.to_line(part)}\n")
            case RunFinished(run):
                shown = (
                    answers.as_lines(run) if self._several else source_list.to_lines(run.sources)
                )
                lines = [printable(run.model)] if self._several else [""]
                lines += [printable(redact(line)) for line in shown]
                lines += [*footer.notices(run), footer.line(run)]
                sys.stdout.write("\n".join(lines) + "\n")

    def paint(self) -> None:
        sys.stdout.flush()
