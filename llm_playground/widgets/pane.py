"""One answer as a view shows it: what came, what is new since a view was told, how it ended."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from llm_playground import footer, render, tokens
from llm_playground.events import (
    Preparing,
    ReasoningDelta,
    Retrying,
    RunFinished,
    StreamEvent,
    TextDelta,
    Waiting,
)
from llm_playground.types import Request, Run
from llm_playground.widgets.remedies import remedies

PaneChange: TypeAlias = dict[str, Any]  # JSON for the view; panes.js says which fields

OPEN = ("waiting", "running")
# A shorter wait is over before anybody has found the button.
_WORTH_ENDING_S = 1.0


@dataclass(slots=True)
class _Text:
    """A growing text; ``told`` counts the pieces that a view has been given."""

    pieces: list[str] = field(default_factory=list)
    told: int = 0

    def new(self) -> str:
        """What was not told yet, which now counts as told."""
        new = "".join(self.pieces[self.told :])
        self.told = len(self.pieces)
        return new

    def whole(self) -> str:
        return "".join(self.pieces)


@dataclass(slots=True)
class Pane:
    """One answer. ``changed`` is whether there is something a view was not told.

    Events come on the background loop (:meth:`take`), messages are made on another thread, under
    the sheet's lock, but for the blocks: those are made by one thread at a time.
    """

    number: int
    model: str
    label: str = ""
    request: Request | None = None
    state: str = "waiting"
    status: str = ""
    awaited: Retrying | None = None
    text: _Text = field(default_factory=_Text)
    reasoning: _Text = field(default_factory=_Text)
    run: Run | None = None
    changed: bool = False
    begun_at: float | None = None
    thought_s: float | None = None
    size_bytes: int = 0
    anew: bool = False
    _told: PaneChange = field(default_factory=dict)
    _growing: render.Growing = field(default_factory=render.Growing)
    _last: render.Growth | None = None
    _ending: PaneChange | None = None

    def take(self, event: StreamEvent) -> bool:
        """Note an event; whether a view has to know."""
        take = _TAKERS.get(type(event))
        if take is not None:
            take(self, event)
            self.changed = True
        return take is not None

    def give_up(self, status: str, why: str) -> None:
        """End without a run: it was stopped before it began, or broke."""
        self.state, self.status, self.awaited, self.changed = status, "", None, True
        self._ending = {"footer": "nothing billed", "notices": [why] if why else []}

    def begin_again(self, attempt: int) -> None:
        """The wait before an attempt is over."""
        if self.awaited is not None and self.awaited.number == attempt:
            self.status = footer.retrying(replace(self.awaited, wait_s=0.0))
            self.awaited, self.changed = None, True

    def news(self) -> PaneChange:
        """What is new, now told; :meth:`with_new_blocks` makes blocks of its text."""
        self.changed, anew, self.anew = False, self.anew, False
        new = {"text": self.text.new(), "reasoning": self.reasoning.new(), "again": anew}
        state = self._state()
        changed = {name: value for name, value in state.items() if self._told.get(name) != value}
        self._told = state
        kept = {"number": self.number, "state": self.state}
        return kept | changed | {name: value for name, value in new.items() if value}

    def everything(self) -> PaneChange:
        """All but the answer's text, for a view that opens; :meth:`with_all_blocks` adds it."""
        return self._state() | self.opening() | {"reasoning": self.reasoning.whole()}

    def with_new_blocks(self, change: PaneChange) -> PaneChange:
        """News with what they add to the view: finished parts as HTML, and the text after them."""
        self._growing.feed(change.pop("text", ""))
        if change["state"] in OPEN:
            return change | _shown(self._growing.take())
        if self._last is not None:
            return change | self._end()
        self._last = self._growing.end()
        return change | _shown(self._last) | self._end()

    def with_all_blocks(self, change: PaneChange) -> PaneChange:
        """Everything for a view that opens, as of the last :meth:`with_new_blocks`."""
        shown = _shown(self._growing.everything())
        if self._last is not None and self._last.whole is not None:
            shown = {"whole": [self._last.whole]}
        return change | shown | ({} if change["state"] in OPEN else self._end())

    def _end(self) -> PaneChange:
        if self._ending is None and self.run is not None:
            self._ending = _ending(self.run, self.request)
        return self._ending or {}

    def opening(self) -> PaneChange:
        """What a view needs to draw it empty."""
        return {"number": self.number, "model": self.model, "label": self.label}

    def grow(self, text: _Text, piece: str) -> None:
        """More of one of its texts."""
        if self.begun_at is None:
            self.begun_at = time.perf_counter()
        self.state, self.status, self.awaited = "running", "", None
        self.size_bytes += len(piece.encode("utf-8", "surrogatepass"))
        text.pieces.append(piece)

    def _state(self) -> PaneChange:
        state: PaneChange = {"number": self.number, "state": self.state, "status": self.status}
        state["waits"] = self.awaited is not None
        if self.awaited is not None:
            state["footer"] = "nothing billed yet"
        if self.state == "running" and self.begun_at is not None:
            took = footer.duration((time.perf_counter() - self.begun_at) * 1000)
            so_far = tokens.of_bytes(self.size_bytes)
            state["footer"] = f"{took} · about {so_far:,} tokens so far"
        if self.thought_s is not None:
            state["thought"] = footer.duration(self.thought_s * 1000)
        return state


def _shown(growth: render.Growth) -> PaneChange:
    """What the view does with it: see ``PaneChange`` in panes.js."""
    shown: PaneChange = {"blocks": growth.blocks} if growth.blocks else {}
    if growth.tail or growth.blocks:
        shown["tail"] = growth.tail
    return shown if growth.whole is None else {"whole": [growth.whole]}


def _ending(run: Run, request: Request | None) -> PaneChange:
    return {
        "footer": footer.text(run),
        "hover": footer.details(run),
        "notices": footer.notices(run),
        "remedies": remedies(run, request),
        "digest": hashlib.sha256(run.text.strip().encode("utf-8", "replace")).hexdigest()[:16],
    }


def _take_text(pane: Pane, event: TextDelta) -> None:
    if pane.thought_s is None and pane.reasoning.pieces and pane.begun_at is not None:
        pane.thought_s = time.perf_counter() - pane.begun_at
    pane.grow(pane.text, event.text)


def _take_reasoning(pane: Pane, event: ReasoningDelta) -> None:
    pane.grow(pane.reasoning, event.text)


def _take_preparing(pane: Pane, event: Preparing) -> None:
    share = "" if event.fraction is None else f" {event.fraction:.0%}"
    pane.status = f"{event.message}{share}"


def _take_waiting(pane: Pane, event: Waiting) -> None:
    pane.status = event.reason


def _take_retrying(pane: Pane, event: Retrying) -> None:
    pane.status = footer.retrying(event)
    pane.awaited = event if event.wait_s >= _WORTH_ENDING_S else None


def _take_end(pane: Pane, event: RunFinished) -> None:
    pane.state, pane.status, pane.run = event.run.status, "", event.run
    pane.awaited = None


_TAKERS: dict[type, Callable[[Pane, Any], None]] = {
    TextDelta: _take_text,
    ReasoningDelta: _take_reasoning,
    Preparing: _take_preparing,
    Waiting: _take_waiting,
    Retrying: _take_retrying,
    RunFinished: _take_end,
}
