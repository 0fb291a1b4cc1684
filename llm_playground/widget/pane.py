"""One answer as a view shows it: its texts, its state, and what changed since the last message.

The keys of a :data:`PaneChange` are described in ``view/answer_state.js``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeAlias

from llm_playground import footer, formatting
from llm_playground.catalog import estimates
from llm_playground.catalog.estimates import NO_HISTORY
from llm_playground.events import (
    PartAdded,
    Preparing,
    ReasoningDelta,
    Retrying,
    RunFinished,
    StreamEvent,
    TextDelta,
    Waiting,
)
from llm_playground.parts import AnswerPart
from llm_playground.rendering import answers, parts, streaming
from llm_playground.types import Request, Run
from llm_playground.widget.answer_labels import NO_LABEL, AnswerLabel
from llm_playground.widget.cost_context import cost_contexts

PaneChange: TypeAlias = dict[str, Any]

OPEN = ("waiting", "running")
# A shorter wait is over before anyone can press "Retry now".
_SHORTEST_SKIPPABLE_WAIT_S = 1.0
# An answer that was cut off is likely to fit into twice as much; one that had no room left beside
# its reasoning needs far more.
_MORE, _FAR_MORE = 2, 8


@dataclass(slots=True)
class _Text:
    """A growing text; ``sent`` counts the pieces that were in an earlier message.

    ``parts`` are other parts of the answer, each with the number of pieces before it.
    """

    pieces: list[str] = field(default_factory=list)
    sent: int = 0
    parts: list[tuple[int, AnswerPart]] = field(default_factory=list)

    def take_new(self) -> str:
        """The text since the last call."""
        new = "".join(self.pieces[self.sent :])
        self.sent = len(self.pieces)
        return new

    def take_items(self) -> list[str | AnswerPart]:
        """As :meth:`take_new`, with the parts between the texts."""
        items: list[str | AnswerPart] = []
        parts, self.parts = self.parts, []
        for at, part in parts:
            items += ["".join(self.pieces[self.sent : at]), part]
            self.sent = at
        return [*items, self.take_new()]


@dataclass(slots=True)
class Pane:
    """One answer.

    Events are applied on the background loop. Messages are made on another thread: states under
    the lock of the :class:`~llm_playground.widget.session.AnswerSet`, HTML blocks and actions by
    one thread at a time, since they take longer.

    ``changed`` is set while there is something that no message has had; ``repriced`` likewise
    for new prices of suggested actions, and new keys, after the end.
    """

    number: int
    request: Request
    label: AnswerLabel = NO_LABEL
    says_caveats: bool = True
    state: str = "waiting"
    status: str = ""
    pending_retry: Retrying | None = None
    text: _Text = field(default_factory=_Text)
    reasoning: _Text = field(default_factory=_Text)
    run: Run | None = None
    changed: bool = False
    repriced: bool = False
    started_at: float | None = None
    reasoning_s: float | None = None
    size_bytes: int = 0
    restarted: bool = False
    shown_parts: int = 0
    _sent: PaneChange = field(default_factory=dict)
    _growing: streaming.GrowingAnswer = field(default_factory=streaming.GrowingAnswer)
    _last: streaming.GrowingUpdate | None = None
    _ending: PaneChange | None = None

    def apply(self, event: StreamEvent) -> bool:
        """Apply an event; whether the views need a message."""
        match event:
            case TextDelta():
                if self.reasoning_s is None and self.reasoning.pieces:
                    self.reasoning_s = time.perf_counter() - (self.started_at or 0.0)
                self._grow(self.text, event.text)
            case ReasoningDelta():
                self._grow(self.reasoning, event.text)
            case PartAdded(part):
                if not parts.is_shown(part):
                    return False
                self._grow(self.text, "")
                self.text.parts.append((len(self.text.pieces), part))
                self.shown_parts += 1
            case Preparing():
                self.status = formatting.preparing(event)
            case Waiting():
                self.status = event.reason
            case Retrying():
                self.status = formatting.retrying(event)
                can_skip = event.wait_s >= _SHORTEST_SKIPPABLE_WAIT_S
                self.pending_retry = event if can_skip else None
            case RunFinished():
                self.state, self.status, self.run = event.run.status, "", event.run
                self.pending_retry = None
            case _:
                return False
        self.changed = True
        return True

    def end_without_run(self, status: str, why: str) -> None:
        """End an answer that was stopped before it began, or broke."""
        cost = "price unknown" if self.state == "running" else "nothing billed"
        self.state, self.status, self.pending_retry, self.changed = status, "", None, True
        self._ending = {"footer": cost, "notices": [why] if why else []}

    def end_wait(self, attempt: int) -> None:
        """The wait before an attempt is over."""
        if self.pending_retry is not None and self.pending_retry.number == attempt:
            self.status = formatting.retrying(replace(self.pending_retry, wait_s=0.0))
            self.pending_retry, self.changed = None, True

    def initial_state(self) -> PaneChange:
        """What a view needs to draw the empty pane."""
        return {
            "number": self.number,
            "model": self.request.model,
            "label": self.label.as_state(),
        }

    def take_changes(self) -> PaneChange:
        """What changed since the last call; :meth:`with_new_blocks` renders its text."""
        new: PaneChange = {"text": self.text.take_items(), "reasoning": self.reasoning.take_new()}
        new["again"] = self.restarted
        self.changed = self.repriced = self.restarted = False
        state = self._state()
        changed = {name: value for name, value in state.items() if self._sent.get(name) != value}
        self._sent = state
        always = {"number": self.number, "state": self.state}
        return always | changed | {name: value for name, value in new.items() if value}

    def snapshot(self) -> PaneChange:
        """All but the answer's text, for a view that opens; :meth:`with_all_blocks` adds it."""
        return self._state() | self.initial_state() | {"reasoning": "".join(self.reasoning.pieces)}

    def with_new_blocks(self, change: PaneChange) -> PaneChange:
        """Changes with the new finished blocks as HTML, and the text after them."""
        for item in change.pop("text", ()):
            if isinstance(item, str):
                self._growing.feed(item)
            else:
                self._growing.feed_part(item)
        if change["state"] in OPEN:
            return change | _rendered(self._growing.update())
        if self._last is not None:
            return change | self._end()
        self._last = self._finish()
        return change | _rendered(self._last) | self._end()

    def with_all_blocks(self, change: PaneChange) -> PaneChange:
        """A snapshot with all blocks, as of the last :meth:`with_new_blocks`."""
        rendered = _rendered(self._growing.snapshot())
        if self._last is not None and self._last.whole is not None:
            rendered = {"whole": _blocks(self._last.whole)}
        return change | rendered | ({} if change["state"] in OPEN else self._end())

    def refresh_actions(self) -> bool:
        """Compute the suggested actions again; whether they differ from those that were sent."""
        if self._ending is None or self.run is None:
            return False  # the message with the ending is still to come
        before = self._ending["actions"]
        self._ending["actions"] = suggested_actions(self.run, self.request)
        return bool(before != self._ending["actions"])

    def offer_retry(self, numbers: Sequence[int]) -> None:
        """Offer to retry the answers ``numbers``, which failed for a key, this one among them.

        Its notices are removed, since another key has been set.
        """
        if self._ending is not None:
            key = self._ending["key"] | {"retry": [*numbers]}
            self._ending = self._ending | {"key": key, "notices": []}
            self.repriced = True

    @property
    def failed_key(self) -> str:
        """The provider whose key was missing or refused; empty for another ending."""
        key = (self._ending or {}).get("key") or {}
        return str(key.get("provider", ""))

    def _finish(self) -> streaming.GrowingUpdate:
        """The last update of the text, from the run where it has parts that came in no event."""
        run = self.run
        if run is None:
            return self._growing.finish()
        items, anchor = answers.items(run), answers.anchor(run)
        if sum(not isinstance(item, str) for item in items) == self.shown_parts:
            return self._growing.finish(run.sources, anchor)
        last = self._growing.finish()
        return replace(last, whole=tuple(answers.blocks(items, run.sources, anchor)))

    def _grow(self, text: _Text, piece: str) -> None:
        if self.started_at is None:
            self.started_at = time.perf_counter()
        self.state, self.status, self.pending_retry = "running", "", None
        self.size_bytes += len(piece.encode("utf-8", "surrogatepass"))
        text.pieces.append(piece)

    def _end(self) -> PaneChange:
        if self._ending is None and self.run is not None:
            text = self.run.text.strip().encode("utf-8", "replace")
            key = _key_failure(self.run)
            self._ending = {
                "footer": footer.line(self.run),
                "hover": footer.details(self.run),
                "cut": self.run.finish_reason == "length",
                "notices": self._notices(self.run, key.get("line", "")),
                "actions": suggested_actions(self.run, self.request),
                "key": key,
                "digest": hashlib.sha256(text).hexdigest()[:16],
            }
        return self._ending or {}

    def _notices(self, run: Run, error: str) -> list[str]:
        """The notices, ``error`` in place of the run's if given; caveats are said once."""
        notices = [*footer.notices(run), *(footer.caveats([run]) if self.says_caveats else ())]
        return [error, *notices[1:]] if error else notices

    def _state(self) -> PaneChange:
        state: PaneChange = {"number": self.number, "state": self.state, "status": self.status}
        state["waits"] = self.pending_retry is not None
        if self.pending_retry is not None:
            billed = self.pending_retry.billed
            state["footer"] = "an attempt may be billed" if billed else "nothing billed yet"
        if self.state == "running" and self.started_at is not None:
            took = formatting.duration((time.perf_counter() - self.started_at) * 1000)
            so_far = estimates.of_bytes(self.size_bytes)
            state["footer"] = f"{took} · about {so_far:,} tokens so far"
        if self.reasoning_s is not None:
            state["thought"] = formatting.duration(self.reasoning_s * 1000)
        return state


def suggested_actions(run: Run, request: Request) -> list[dict[str, Any]]:
    """Retries that may help, each with its label and the parameters that it changes.

    A cut-off answer gets ``Retry with 2,048 · at most $0.0042``. The price uses the statistics of
    earlier runs that were read so far: the end of an answer does not wait for a database.
    """
    limit = run.cut_off_at if run.finish_reason == "length" else None
    if not limit:
        return [{"label": "Retry", "changes": {}}] if run.status == "failed" else []
    max_tokens = limit * (_MORE if run.text else _FAR_MORE)
    more = replace(request, parameters=replace(request.parameters, max_tokens=max_tokens))
    history = cost_contexts.current().histories.get(request.model, NO_HISTORY)
    most = estimates.of(more, datetime.now(UTC), history).worst_case_usd
    price = "price unknown" if most is None else f"at most {formatting.usd(most)}"
    label = f"Retry with {max_tokens:,} · {'free' if most == 0 else price}"
    return [{"label": label, "changes": {"max_tokens": max_tokens}}]


def _key_failure(run: Run) -> dict[str, Any]:
    if run.status != "failed":
        return {}
    from llm_playground.widget.key_failures import key_failure  # seldom needed

    return key_failure(run)


def _rendered(update: streaming.GrowingUpdate) -> PaneChange:
    if update.whole is not None:
        return {"whole": _blocks(update.whole)}
    rendered: PaneChange = {"blocks": _blocks(update.blocks)} if update.blocks else {}
    return rendered | ({"tail": update.tail} if update.tail or update.blocks else {})


def _blocks(blocks: Iterable[answers.Block]) -> list[str | dict[str, str]]:
    return [block if isinstance(block, str) else {"part": block.html} for block in blocks]
