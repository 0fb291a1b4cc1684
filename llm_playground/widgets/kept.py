"""The draft of one playground while it lives: kept on each pause, put back, discarded, undone."""

from __future__ import annotations

import atexit
import contextlib
import logging
import threading
import weakref
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from IPython import get_ipython

from llm_playground import _loop, provenance
from llm_playground.errors import ConfigError
from llm_playground.widgets import draft as drafts
from llm_playground.widgets.draft import Answer, Draft

if TYPE_CHECKING:
    import asyncio

    from traitlets import HasTraits

    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given

PAUSE_S = 1.0
State = Literal["saved", "restored", "discarded", "not kept"]

_log = logging.getLogger(__name__)
_writer = ThreadPoolExecutor(1, "llm_playground_drafts")
_in_this_cell: dict[str, int] = {}


def identity(name: str | None) -> str | None:
    """What a playground is known by: its name, else its notebook and cell; None when neither is.

    Several without a name in one cell are told apart by their order.
    """
    if name is not None:
        return f"name {name}"
    notebook, cell = provenance.notebook(), provenance.cell_id()
    if notebook is None or cell is None:
        return None
    executed = f"{getattr(get_ipython(), 'execution_count', 0)} {cell}"
    before = _in_this_cell.get(executed, 0)
    _in_this_cell.clear()  # another execution counts from the start
    _in_this_cell[executed] = before + 1
    return f"cell {notebook} {cell} {before}"


class KeptDraft:
    """Follows the traits of one playground, and keeps what is changed in them.

    What the panel says of it is its trait ``draft``: ``state`` is one of :data:`State`, ``at`` the
    draft's ISO time, ``why`` a line where it is not kept.

    Args:
        panel: The playground.
        traits: Which of its traits are drafted.
        known_as: See :func:`identity`; None keeps nothing.
        said: Arguments that the traits do not show as they were given, by the traits' names.
    """

    def __init__(
        self,
        panel: HasTraits,
        traits: Sequence[str],
        known_as: str | None,
        said: Mapping[str, object],
    ) -> None:
        self._panel = weakref.ref(panel)
        self._traits = tuple(traits)
        self._known_as = known_as
        self._given = drafts.digests({**self._now(self._traits), **said})
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._setting = threading.local()
        self._draft = Draft(datetime.now(UTC))
        self._form: dict[str, Any] = {}  # what a person typed, now and before
        self._code: dict[str, Any] = {}  # of what was restored, the values that the code gave
        self._undone: dict[str, Any] = {}
        self._is_new = True
        self._has_begun = self._unsaved = self._typed = False
        self._pause: asyncio.TimerHandle | None = None

    @property
    def last(self) -> Draft:
        """What is kept: its answers are those of the last Run."""
        return self._draft

    def restore(self) -> None:
        """Put back what was typed before, and follow the traits from now on."""
        panel = self._panel()
        if panel is None or self._known_as is None:
            return
        for other in self._others():  # of this kernel, with what was typed a moment ago
            other.keep()
        try:
            found = drafts.read(self._known_as)
            if found is not None:
                self._is_new, self._draft = False, found
                self._put_back(found)
        except ConfigError as error:
            self._say("not kept", why=str(error))
        panel.observe(self._changed, self._traits)
        with _register:
            _living[:] = [*(one for one in _living if one._panel() is not None), self]

    def older(self) -> Any:  # noqa: ANN401 - a playground, whose module is above this one
        """The last playground before this one in this kernel that has the answers of the draft."""
        answers = self._draft.answers
        same = [one for one in self._others() if not answers or one._draft.answers == answers]
        found = [one._panel() for one in same]
        return next((panel for panel in reversed(found) if panel is not None), None)

    def adopt(self, found: Draft) -> None:
        """Put back a draft from elsewhere where there was none here; what was typed since stays."""
        if self._is_new and self._known_as is not None:
            with self._lock:
                unchanged = {n: was for n, was in found.form.items() if n not in self._form}
            with contextlib.suppress(ConfigError):
                self._put_back(replace(found, form=unchanged))

    def document(self) -> dict[str, Any]:
        """What is typed and answered now, as JSON; without a form that must not be stored."""
        with self._lock:
            form = drafts.storable(self._form)
            draft = replace(self._draft, saved_at=datetime.now(UTC), given=self._given, form=form)
        try:
            drafts.check_texts(form)
        except ConfigError:
            draft = replace(draft, form={})
        return drafts.document("", draft)

    def begin(self) -> None:
        """The first view is there: what was changed before is the code's, not a person's."""
        with self._lock:
            if not self._has_begun:
                self._has_begun = True
                self._form = {n: value for n, value in self._form.items() if n in self._code}

    def note_answers(self, answers: Sequence[Answer], asked_at: datetime) -> None:
        """A Run begins: these are the answers to show again, even when the kernel dies now."""
        with self._lock:
            self._draft = replace(self._draft, answers=tuple(answers), asked_at=asked_at)
            self._unsaved = True
        self._keep_in(0)

    def keep(self) -> None:
        """Write what is not written yet. Never raises: the panel says what is not kept."""
        with self._writing:
            with self._lock:
                unsaved, self._unsaved = self._unsaved, False
                typed, self._typed = self._typed, False
                form = drafts.storable(self._form)
            if not unsaved or self._known_as is None:
                return
            try:
                self._write(self._known_as, form)
            except ConfigError as error:
                self._say("not kept", why=f"Draft not kept: {error}.")
                return
            if typed:
                self._say("saved", self._draft.saved_at)

    def end(self) -> None:
        """Keep what is not kept yet, and nothing from now on."""
        self.keep()
        with _register:
            _living[:] = [one for one in _living if one is not self]

    def discard(self) -> None:
        """Take the values that the code gave; :meth:`undo` brings back what was discarded."""
        self._undone, code = self._now(self._code), self._code
        self._exchange(code, {})
        self._say("discarded", self._draft.saved_at)

    def undo(self) -> None:
        """Put back what was discarded."""
        undone, self._undone = self._undone, {}
        self._exchange(undone, self._now(undone))
        self._say("restored", self._draft.saved_at)

    def _others(self) -> list[KeptDraft]:
        """Of the same identity, the oldest first."""
        with _register:
            return [o for o in _living if o is not self and o._known_as == self._known_as]

    def _exchange(self, values: Mapping[str, Any], code: dict[str, Any]) -> None:
        """Set values; ``code`` is what the code gave where they are a person's."""
        self._set(values)
        with self._lock:
            others = {name: was for name, was in self._form.items() if name not in values}
            self._form = others | ({name: values[name] for name in code})
            self._code, self._unsaved = code, True
        self._keep_in(0)

    def _put_back(self, found: Draft) -> None:
        """Set what was typed.

        Raises:
            ConfigError: It does not fit; nothing is changed.
        """
        values = {
            name: value
            for name, value in found.restored(self._given).items()
            if name in self._traits
        }
        code = self._now(values)
        try:
            self._set(values)
        except Exception:  # a file made by hand may hold anything
            _log.debug("A draft does not fit", exc_info=True)
            self._set(code)
            raise ConfigError("A draft does not fit this playground and is left out.") from None
        with self._lock:
            self._form |= values
            self._code |= code
        if any(code[name] != value for name, value in values.items()):
            self._say("restored", found.saved_at)

    def _now(self, names: Iterable[str]) -> dict[str, Any]:
        panel = self._panel()
        return {name: getattr(panel, name) for name in names}

    def _set(self, values: Mapping[str, Any]) -> None:
        """Set traits without taking it for typing; the preset last, for it sets others."""
        panel = self._panel()
        self._setting.now = True
        try:
            for name in sorted(values, key=lambda name: name == "preset"):
                setattr(panel, name, values[name])
        finally:
            self._setting.now = False

    def _changed(self, change: Mapping[str, Any]) -> None:
        if getattr(self._setting, "now", False):
            return
        with self._lock:
            self._form[change["name"]] = change["new"]
            self._undone = {}
            self._unsaved = self._typed = True
        self._keep_in(PAUSE_S)

    def _keep_in(self, pause_s: float) -> None:
        _loop.loop().call_soon_threadsafe(self._postpone, pause_s)

    def _postpone(self, pause_s: float) -> None:
        if self._pause is not None:
            self._pause.cancel()
        self._pause = _loop.loop().call_later(pause_s, self._keep_aside)

    def _keep_aside(self) -> None:
        with contextlib.suppress(RuntimeError):  # Python is ending: the rest is done at exit
            _writer.submit(self.keep)

    def _write(self, known_as: str, form: Mapping[str, Any]) -> None:
        """Write the draft.

        Raises:
            ConfigError: It is not kept. Which answers there were is, unless nothing may be.
        """
        drafts.check_allowed()
        kept = replace(self._draft, saved_at=datetime.now(UTC), given=self._given, form=form)
        try:
            drafts.check_texts(form)
            drafts.write(known_as, kept)
        except ConfigError:
            drafts.write(known_as, self._draft)
            raise
        with self._lock:
            answers, asked_at = self._draft.answers, self._draft.asked_at
            self._draft = replace(kept, answers=answers, asked_at=asked_at)

    def _say(self, state: State, at: datetime | None = None, why: str = "") -> None:
        panel = self._panel()
        if panel is not None:
            told = None if at is None else at.isoformat()
            panel.set_trait("draft", {"state": state, "at": told, "why": why})


def discard_draft(panel: Playground, _given: Given) -> None:
    """The reply to a view that discards the draft."""
    panel.kept_draft.discard()


def restore_draft(panel: Playground, _given: Given) -> None:
    """The reply to a view that takes that back."""
    panel.kept_draft.undo()


_register = threading.Lock()
_living: list[KeptDraft] = []  # in the order in which they were made


def _keep_all() -> None:
    for kept in _living:
        kept.keep()


atexit.register(_keep_all)
