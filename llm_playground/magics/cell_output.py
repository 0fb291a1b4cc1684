"""The output of a cell in a notebook: answers that grow in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html import escape

from llm_playground import footer, formatting, rendering, updating_output
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
from llm_playground.progress import Progress, replays_at_once
from llm_playground.redaction import printable
from llm_playground.types import Run
from llm_playground.updating_output import Bundle, FinalOutput, UpdatingOutput

_MOST_IDS = 3
# Each update hides the line for this time, so it appears only after a time without updates.
_QUIET_S = 10
_QUIET = "color:var(--jp-ui-font-color2,#616161);font-size:12px"
_LOST = (
    "<style>@keyframes llm-playground-quiet{{from,to{{max-height:0;opacity:0}}}}</style>"
    '<div style="overflow:hidden;{style};animation:llm-playground-quiet {seconds}s">{text}</div>'
)


class CellOutput:
    """The answers of some calls: one, or a column per model.

    Where no call waits for a provider, they are shown once, when all have ended.
    """

    def __init__(self, calls: Sequence[Call]) -> None:
        alone = len({call.request.user_prompt for call in calls}) == 1
        self._panes = {
            call.run_id: _Pane(
                rendering.heading(call.request.model, call.request.user_prompt, alone=alone)
            )
            for call in calls
        }
        self._progress = Progress(len(calls))
        self._lost = _lost_line(calls)
        self._output: UpdatingOutput = (
            FinalOutput()
            if replays_at_once() and not any(call.fresh for call in calls)
            else updating_output.show(self._shown(ended=False))
        )

    def take(self, call: Call, event: StreamEvent) -> None:
        """Note an event of a call."""
        if isinstance(event, RunFinished) and len(self._panes) == 1:
            event = RunFinished(replace(event.run, error=None))  # it is raised, and shown by that
        self._progress.take(call.run_id, event)
        self._panes[call.run_id].take(event)

    def paint(self) -> None:
        """Show the events so far."""
        self._output.update(self._shown(ended=False))

    def end(self) -> None:
        """Show the ended answers, without what concerns their streaming."""
        self._output.end(self._shown(ended=True))

    def _shown(self, *, ended: bool) -> Bundle:
        panes = list(self._panes.values())
        runs = [pane.ended for pane in panes if pane.ended is not None]
        html, text = panes[0].html(), panes[0].text()
        if len(panes) > 1:
            line = self._progress.last_line() if ended else self._progress.line()
            columns = rendering.side_by_side([(pane.head, pane.html()) for pane in panes])
            html = f'<div style="{_QUIET};padding-bottom:8px">{escape(line)}</div>{columns}'
            text = "\n\n".join([line, *(f"{pane.head}\n{pane.text()}" for pane in panes)])
        html += rendering.caveats_to_html(runs)
        text = "\n".join([text, *footer.caveats(runs)])
        if not ended:
            html += _LOST.format(style=_QUIET, seconds=_QUIET_S, text=escape(self._lost))
            text += f"\n{self._lost}"
        return {"text/html": html, "text/plain": text}


def _lost_line(calls: Sequence[Call]) -> str:
    """Where to find answers whose output gets no more updates, as after the page was reloaded."""
    ids = list(dict.fromkeys(call.execution.id for call in calls))
    command = f"%llm show {' '.join(ids)}" if len(ids) <= _MOST_IDS else "%llm runs"
    it = "it" if len(calls) == 1 else "them"
    return f"If the page was reloaded, the answer goes on without it: {command} brings {it} here."


class _Pane:
    """The state of one answer."""

    def __init__(self, head: str) -> None:
        self.head = head
        self._pieces: list[str | AnswerPart] = []
        self._line = "waiting"
        self.ended: Run | None = None
        self._shown = "", ""

    def take(self, event: StreamEvent) -> None:
        match event:
            case TextDelta(text):
                self._pieces.append(text)
                self._line = "streaming"
            case PartAdded(part):
                self._pieces.append(part)
                self._line = "streaming"
            case Preparing():
                self._line = formatting.preparing(event)
            case Waiting(reason):
                self._line = printable(reason)
            case Retrying():
                self._line = formatting.retrying(event)
            case RunFinished(run):
                # rendered once: other answers may stream on
                self._shown = rendering.answer_to_html(run), rendering.answer_to_text(run)
                self.ended = run

    def html(self) -> str:
        if self.ended is not None:
            return self._shown[0]
        return rendering.partial_to_html(self._pieces, self._line)

    def text(self) -> str:
        """A running answer as plain text is its state only: HTML has the text already."""
        return self._line if self.ended is None else self._shown[1]
