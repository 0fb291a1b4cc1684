"""Answers that grow in a cell's output while they stream, and end as Markdown with a footer."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from IPython import get_ipython
from IPython.display import display

from llm_playground import _loop, answers, footer
from llm_playground.call import Call
from llm_playground.comparison import run_all
from llm_playground.events import Preparing, Retrying, RunFinished, StreamEvent, TextDelta, Waiting
from llm_playground.types import Run

# Ten paints a second look like typing and cost a small part of a paint per token: an output is
# replaced whole at every update.
_PAINT_EVERY_S = 0.1

_Arrivals = queue.SimpleQueue[tuple[Call, StreamEvent] | None]


def watch(calls: Sequence[Call]) -> tuple[Run, ...]:
    """Make all runs and show them as they come.

    Raises:
        LLMError: All runs failed; of several the first one's error, and each shows its own line.
            Where some succeeded, the others' lines are all that is said.
        KeyboardInterrupt: The kernel was interrupted; what had come stays shown and is logged.
    """
    arrivals: _Arrivals = queue.SimpleQueue()

    async def work() -> tuple[Run, ...]:
        try:
            return await run_all(calls, lambda call, event: arrivals.put((call, event)))
        finally:
            arrivals.put(None)

    future = _loop.submit(work())
    screen = _screen(calls)
    try:
        _follow(arrivals, screen)
    except KeyboardInterrupt:
        future.cancel()
        _follow(arrivals, screen)
        raise
    runs = future.result()
    errors = [run.error for run in runs if run.error is not None]
    if len(errors) == len(runs):  # as an error, so that Run All and nbconvert stop here
        raise errors[0]
    return runs


class Screen(Protocol):
    """Where answers are shown."""

    def take(self, call: Call, event: StreamEvent) -> None:
        """Note what came."""

    def paint(self) -> None:
        """Show what was noted."""


def _follow(arrivals: _Arrivals, screen: Screen) -> None:
    """Hand arrivals to the screen until the closing None, painting at most every 100 ms."""
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
        if not ended:  # an answer that is long to paint is painted less often
            time.sleep(max(_PAINT_EVERY_S, 4 * (time.perf_counter() - started)))


def _screen(calls: Sequence[Call]) -> Screen:
    """A cell's output where there is a kernel, the terminal otherwise."""
    if hasattr(get_ipython(), "kernel"):
        return _Output(calls)
    return _Terminal(several=len(calls) > 1)


class _Output:
    """A cell's output: one answer, or a column per model."""

    def __init__(self, calls: Sequence[Call]) -> None:
        alone = len({call.request.user_prompt for call in calls}) == 1
        self._panes = {
            call.run_id: _Pane(
                answers.heading(call.request.model, call.request.user_prompt, alone=alone)
            )
            for call in calls
        }
        self._handle = display(self._shown(), raw=True, display_id=True)

    def take(self, call: Call, event: StreamEvent) -> None:
        if isinstance(event, RunFinished) and len(self._panes) == 1:
            event = RunFinished(replace(event.run, error=None))  # it is raised, which shows it
        self._panes[call.run_id].take(event)

    def paint(self) -> None:
        if self._handle is not None:
            self._handle.update(self._shown(), raw=True)

    def _shown(self) -> dict[str, str]:
        """The answers in the formats of a cell's output, by media type."""
        panes = list(self._panes.values())
        if len(panes) == 1:
            return {"text/html": panes[0].html(), "text/plain": panes[0].text()}
        html = answers.side_by_side([(pane.head, pane.html()) for pane in panes])
        text = "\n\n".join(f"{pane.head}\n{pane.text()}" for pane in panes)
        return {"text/html": html, "text/plain": text}


class _Pane:
    """One answer on its way: what to show now."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._pieces: list[str] = []
        self._line = "waiting"
        self._ended: tuple[str, str] | None = None

    def take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._pieces.append(text)
                self._line = "streaming"
            case Preparing(message, fraction):
                self._line = message if fraction is None else f"{message} {fraction:.0%}"
            case Waiting(reason):
                self._line = reason
            case Retrying():
                self._line = footer.retrying(event)
            case RunFinished(run):
                # once: others may go on for long
                self._ended = answers.ended(run), answers.as_text(run)

    def html(self) -> str:
        if self._ended is not None:
            return self._ended[0]
        return answers.running("".join(self._pieces), self._line)

    def text(self) -> str:
        """Only an ended answer is worth sending twice."""
        return self._line if self._ended is None else self._ended[1]


class _Terminal:
    """A terminal: text as it comes, or, of several answers, each when it is whole."""

    def __init__(self, *, several: bool) -> None:
        self._several = several

    def take(self, _call: Call, event: StreamEvent) -> None:
        match event:
            case TextDelta(text) if not self._several:
                sys.stdout.write(text)
            case RunFinished(run):
                lines = [run.model, run.text] if self._several else [""]
                lines += [*footer.notices(run), footer.text(run)]
                sys.stdout.write("\n".join(lines) + "\n")

    def paint(self) -> None:
        sys.stdout.flush()
