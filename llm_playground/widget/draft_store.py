"""The draft of one playground while it lives: saved after each pause, restored, discarded.

Drafts are written on a background thread of this module, and what is left when Python ends.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from IPython import get_ipython

from llm_playground import _lifecycle, _runtime, config, provenance
from llm_playground.errors import ConfigError
from llm_playground.widget import drafts
from llm_playground.widget.drafts import Draft, DraftAnswer, Identity, check_texts, storable

if TYPE_CHECKING:
    from traitlets import HasTraits

PAUSE_S = 1.0
State = Literal["saved", "restored", "discarded", "not kept"]

_log = logging.getLogger(__name__)
_made_in_cell: dict[str, int] = {}
_stores: list[DraftStore] = []  # in the order in which they were made
_stores_lock = threading.Lock()


def identity(name: str | None) -> Identity | None:
    """The identity of a playground: its name, else its notebook and cell; None if unknown.

    Playgrounds without a name in one cell differ by their order.
    """
    if name is not None:
        return Identity(name)
    notebook, cell = provenance.notebook(), provenance.cell_id()
    if notebook is None or cell is None:
        return None
    executed = f"{getattr(get_ipython(), 'execution_count', 0)} {cell}"
    before = _made_in_cell.get(executed, 0)
    _made_in_cell.clear()  # another execution counts from the start
    _made_in_cell[executed] = before + 1
    return Identity(f"{cell} {before}", notebook)


class DraftStore:
    """Observes the traits of one playground and saves what is changed in them.

    The trait ``draft`` of the playground shows the outcome: ``state`` is one of :data:`State`,
    ``at`` the draft's ISO time, ``why`` one line if it is not kept. ``arguments`` are those from
    which traits were computed, by the traits' names. Without an ``identity``, nothing is saved.
    """

    def __init__(
        self,
        panel: HasTraits,
        traits: Sequence[str],
        identity: Identity | None,
        arguments: Mapping[str, object],
    ) -> None:
        self._panel = weakref.ref(panel)
        self._traits = tuple(traits)
        self._identity = identity
        self._arguments = drafts.digests({**self._values(self._traits), **arguments})
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._setting = threading.local()
        self.current = Draft(datetime.now(UTC))  # as it was saved last, with the last answers
        self._form: dict[str, Any] = {}  # what a person typed, now and before
        self._code: dict[str, Any] = {}  # the code's values of the restored traits
        self._discarded: dict[str, Any] = {}
        self._is_new = True
        self._view_opened = self._unsaved = self._typed = False
        self._changed_at = 0.0

    def restore(self) -> None:
        """Restore what was typed before, and observe the traits from now on."""
        panel = self._panel()
        if panel is None or self._identity is None:
            return
        for other in self._others():  # in this kernel, perhaps with unsaved changes
            other.save()
        try:
            draft = drafts.read_draft(self._identity)
            if draft is not None:
                self._is_new, self.current = False, draft
                self._apply(draft)
        except ConfigError as error:
            self._set_state("not kept", why=str(error))
        panel.observe(self._on_change, self._traits)
        with _stores_lock:
            _stores[:] = [*(store for store in _stores if store._panel() is not None), self]

    def previous_playground(self) -> Any:  # noqa: ANN401 - Playground, whose module imports this
        """The previous playground of this kernel with the same identity and last answers."""
        answers = self.current.answers
        same = [
            store for store in self._others() if not answers or store.current.answers == answers
        ]
        panels = [store._panel() for store in same]
        return next((panel for panel in reversed(panels) if panel is not None), None)

    def adopt(self, draft: Draft) -> None:
        """Restore and save a draft from elsewhere if there was none; what was typed since stays."""
        if self._is_new and self._identity is not None:
            with self._lock:
                untouched = {n: value for n, value in draft.form.items() if n not in self._form}
            with suppress(ConfigError):
                self._apply(replace(draft, form=untouched))
            self._unsaved = True
            self._save_now()

    def as_json(self) -> dict[str, Any]:
        """The current form and answers as JSON; without a form that must not be stored."""
        with self._lock:
            form = storable(self._form)
            draft = self._with_form(form)
        try:
            check_texts(form)
        except ConfigError:
            draft = replace(draft, form={})
        return drafts.as_json("", draft)

    def _with_form(self, form: Mapping[str, Any]) -> Draft:
        now = datetime.now(UTC)
        return replace(self.current, saved_at=now, arguments=self._arguments, form=form)

    def on_view_message(self) -> None:
        """On the first message of a view: all changes until now were made by code."""
        with self._lock:
            if not self._view_opened:
                self._view_opened = True
                self._form = {n: value for n, value in self._form.items() if n in self._code}

    def record_answers(self, answers: Sequence[DraftAnswer], asked_at: datetime) -> None:
        """Save the last answers at once, so that they survive the end of the kernel."""
        with self._lock:
            self.current = replace(self.current, answers=tuple(answers), asked_at=asked_at)
            self._unsaved = True
        self._save_now()

    def save(self) -> None:
        """Write unsaved changes. Never raises: the playground shows why a draft is not kept."""
        with self._writing:
            with self._lock:
                unsaved, self._unsaved = self._unsaved, False
                typed, self._typed = self._typed, False
                if not unsaved or self._identity is None:
                    return
                form = storable(self._form)
            try:
                self._write(self._identity, form)
            except ConfigError as error:
                self._set_state("not kept", why=f"Draft not kept: {error}.")
                return
            if typed:
                self._set_state("saved", self.current.saved_at)

    def close(self) -> None:
        """Write unsaved changes, and save nothing from now on."""
        self.save()
        with _stores_lock:
            _stores[:] = [store for store in _stores if store is not self]

    def discard(self) -> None:
        """Set the code's values; :meth:`undo` brings back what was typed."""
        self._discarded, code = self._values(self._code), self._code
        self._exchange(code, {})
        self._set_state("discarded", self.current.saved_at)

    def undo(self) -> None:
        """Restore what was discarded."""
        discarded, self._discarded = self._discarded, {}
        self._exchange(discarded, self._values(discarded))
        self._set_state("restored", self.current.saved_at)

    @property
    def identity(self) -> Identity | None:
        """The identity of the playground; None if nothing is saved."""
        return self._identity

    def pause_left_s(self) -> float | None:
        """Seconds until a pause in typing is long enough to save; None if all is saved."""
        return self._changed_at + PAUSE_S - time.monotonic() if self._unsaved else None

    def _others(self) -> list[DraftStore]:
        """The other stores of the same identity, the oldest first."""
        with _stores_lock:
            return [s for s in _stores if s is not self and s._identity == self._identity]

    def _exchange(self, values: Mapping[str, Any], code: dict[str, Any]) -> None:
        """Set values; ``code`` has the code's values of those that a person typed."""
        self._set(values)
        with self._lock:
            others = {name: value for name, value in self._form.items() if name not in values}
            self._form = others | ({name: values[name] for name in code})
            self._code, self._unsaved = code, True
        self._save_now()

    def _apply(self, draft: Draft) -> None:
        """Set the traits of a draft.

        Raises:
            ConfigError: A value is invalid; nothing is changed.
        """
        restored = draft.restored(self._arguments)
        values = {name: value for name, value in restored.items() if name in self._traits}
        code = self._values(values)
        try:
            self._set(values)
        except Exception:  # the file may have been written by hand
            _log.debug("A draft has an invalid value", exc_info=True)
            self._set(code)
            raise ConfigError("A draft does not fit this playground and is left out.") from None
        with self._lock:
            self._form |= values
            self._code |= code
        if any(code[name] != value for name, value in values.items()):
            self._set_state("restored", draft.saved_at)

    def _values(self, names: Iterable[str]) -> dict[str, Any]:
        panel = self._panel()
        return {name: getattr(panel, name) for name in names}

    def _set(self, values: Mapping[str, Any]) -> None:
        """Set traits without taking that for typing; the preset last, as it sets others."""
        panel = self._panel()
        self._setting.now = True
        try:
            for name in sorted(values, key=lambda name: name == "preset"):
                setattr(panel, name, values[name])
        finally:
            self._setting.now = False

    def _on_change(self, change: Mapping[str, Any]) -> None:
        if getattr(self._setting, "now", False):
            return
        with self._lock:
            self._form[change["name"]] = change["new"]
            self._discarded = {}
            self._unsaved = self._typed = True
            self._changed_at = time.monotonic()
        _saver.soon()

    def _save_now(self) -> None:
        with suppress(RuntimeError):  # Python is ending: the draft is saved at exit
            threading.Thread(target=self.save, name="llm_playground-draft", daemon=True).start()

    def _write(self, identity: Identity, form: Mapping[str, Any]) -> None:
        """Write the draft.

        Raises:
            ConfigError: The form is not kept; the answers are, unless privacy stores no texts.
        """
        if config.privacy().store != "texts":
            raise ConfigError("privacy stores no texts")
        draft = self._with_form(form)
        try:
            check_texts(form)
            drafts.write_draft(identity, draft)
        except ConfigError:
            drafts.write_draft(identity, self.current)
            raise
        with self._lock:
            answers, asked_at = self.current.answers, self.current.asked_at
            self.current = replace(draft, answers=answers, asked_at=asked_at)

    def _set_state(self, state: State, at: datetime | None = None, why: str = "") -> None:
        panel = self._panel()
        if panel is not None:
            saved_at = None if at is None else at.isoformat()
            panel.set_trait("draft", {"state": state, "at": saved_at, "why": why})


def forget_all() -> None:
    """Stop saving the drafts of all playgrounds, without writing them. For tests."""
    with _stores_lock:
        for store in _stores:
            store._identity = None
        _stores.clear()


def _living() -> list[DraftStore]:
    with _stores_lock:
        return list(_stores)


def _save_after_pause() -> float | None:
    """Save all drafts once nothing was typed for :data:`PAUSE_S`."""
    pauses = [store.pause_left_s() for store in _living()]
    left_s = max([left for left in pauses if left is not None], default=0)
    if left_s > 0:
        return left_s
    _save_all()
    return None


def _save_all() -> None:
    for store in _living():
        try:
            store.save()
        except Exception:  # an observer of the trait `draft` raised
            _log.exception("The state of a draft could not be shown")


# The delay is short because each further check waits for the rest of the pause and the delay.
_saver = _runtime.Debouncer(_save_after_pause, 0.1, "llm_playground-drafts")
_lifecycle.register(at_exit=_save_all)
