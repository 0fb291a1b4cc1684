"""A dashboard of the run log in a notebook: ``lp.dashboard()``.

The filters are ipywidgets (:mod:`.filter_bar`), the figures are HTML made in Python
(:mod:`.cards`) from reports (:mod:`.figures`) and charts, and shown by one view (:mod:`.board`). A
change is drawn on a thread; while one is being drawn, only the newest of further changes counts.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any, Unpack

import ipywidgets  # type: ignore[import-untyped]
from IPython.display import display

from llm_playground import _runtime
from llm_playground._runtime import Debouncer
from llm_playground._validation import checks_arguments, short_repr
from llm_playground.catalog import models
from llm_playground.dashboards import (
    admin_page,
    overview_page,
    quality_page,
    runs_page,
    savings_page,
)
from llm_playground.dashboards.board import Board
from llm_playground.dashboards.cards import Card, tiles
from llm_playground.dashboards.figures import Figures, State
from llm_playground.dashboards.filter_bar import FilterBar
from llm_playground.dashboards.saved_output import SavedOutput, saved_html, saved_text
from llm_playground.demo import demo_runs
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.ids import short_id
from llm_playground.reports import moments, query
from llm_playground.reports.moments import When
from llm_playground.reports.query import Filters, check_filters
from llm_playground.reports.slices import Slice

_log = logging.getLogger(__name__)

_DRAW_AFTER_S = 0.02
_DEMO_RUNS = 1_000
_EMPTY = (
    "The run log is empty. This dashboard will show what runs cost, how fast and how reliable "
    "they were, and where money can be saved. Ask something, then press Refresh, or try it with "
    "generated runs."
)
_NONE_FIT = "No run fits these filters. Reset shows all runs."
_DEMO = (
    "This shows demo data: {count} generated runs (source demo). "
    'lp.purge(tag="demo", keep="nothing", dry_run=False) removes them.'
)
Cards = Callable[[Figures, State], list[Card]]
# Name, title and cards of each section.
_SECTIONS: tuple[tuple[str, str, Cards], ...] = (
    ("overview", "Costs", overview_page.cards),
    ("quality", "Speed and errors", quality_page.cards),
    ("savings", "Savings", savings_page.cards),
    ("runs", "Runs", runs_page.cards),
)
_ADMIN: tuple[tuple[str, str, Cards], ...] = (("admin", "Admin", admin_page.cards),)


class Dashboard(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets has no types
    """The widget that :func:`dashboard` returns.

    ``dashboard.filters`` are the filters now, ``dashboard.filter_bar`` has the controls, such as
    ``dashboard.filter_bar.lists["model"].value = "local"``. :meth:`wait` waits until what is shown
    is up to date.
    """

    def __init__(
        self,
        given: Filters,
        *,
        tz: str,
        admin: bool,
        at: datetime | None,
        section: str = "overview",
        open_run: Callable[[str], ipywidgets.Widget],
    ) -> None:
        self._figures = Figures(tz, at)
        self._open_run = open_run
        self._sections = (*_SECTIONS, *(_ADMIN if admin else ()))
        self._cards_of = {name: cards for name, _, cards in self._sections}
        self._check_section(section)
        self._saved = SavedOutput()
        self._state_lock = threading.Lock()
        self._drawn = threading.Event()
        self._must_forget = False
        self.filter_bar = FilterBar(self._figures, given, self._on_filters, self.refresh)
        self._state = State(self.filter_bar.filters(), section)
        self.board = Board(
            saved_id=self._saved.identity,
            sections=[[name, title] for name, title, _ in self._sections],
        )
        self.board.on_msg(self._on_message)
        self._playground = ipywidgets.VBox([])
        super().__init__([self.filter_bar, self.board, self._playground])
        self.add_class("llm-dash")
        self._drawer = Debouncer(self._draw_newest, _DRAW_AFTER_S, "llm_playground-dashboard")
        _runtime.submit(models.refresh())  # for the models that end soon
        self._draw(self._state)
        self._drawn.set()

    @property
    def filters(self) -> Filters:
        """The filters that are set now."""
        return self._state.chosen

    @property
    def section(self) -> str:
        """The section: ``overview``, ``quality``, ``savings``, ``runs`` or ``admin``."""
        return self._state.section

    def show(self, section: str) -> None:
        """Show another section.

        Raises:
            InvalidParameterError: There is no such section.
        """
        self._check_section(section)
        self._change(section=section)

    def _check_section(self, section: object) -> None:
        if section not in tuple(self._cards_of):  # which takes values without a hash too
            names, more = ", ".join(self._cards_of), " admin=True adds admin."
            raise InvalidParameterError(
                f"This dashboard has the sections {names}, not {short_repr(section)}."
                f"{'' if 'admin' in self._cards_of else more}"
            )

    def refresh(self) -> None:
        """Read the run log again."""
        self._must_forget = True
        self._change()

    def wait(self, timeout_s: float = 60.0) -> bool:
        """Wait until all changes are drawn, and return whether they are."""
        return self._drawn.wait(timeout_s)

    def close(self) -> None:
        """Close the dashboard and all of its parts, which would keep it in memory."""
        parts: list[ipywidgets.Widget] = [self]
        for part in parts:
            parts += getattr(part, "children", ())
        for part in parts[1:]:
            part.close()
        super().close()

    def cards(self) -> list[Card]:
        """The cards of the section that is shown, with their figures."""
        return self._cards_of[self._state.section](self._figures, self._state)

    def _ipython_display_(self) -> None:
        bundle = super()._repr_mimebundle_()
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        display({**data, "text/plain": self._saved.data["text/plain"]}, raw=True, metadata=metadata)
        self._saved.display()

    def _on_filters(self) -> None:
        self._change(filters=self.filter_bar.filters(), offset=0)

    def _change(self, **changes: Any) -> None:  # noqa: ANN401 - fields of State
        """Change what is shown, and have it drawn soon."""
        with self._state_lock:
            self._state = replace(self._state, **changes)
            self._drawn.clear()
        self.board.is_busy = True
        self._drawer.soon()

    def _draw_newest(self) -> None:
        with self._state_lock:
            state = self._state
        self._draw(state)
        with self._state_lock:
            if state == self._state and not self._must_forget:
                self.board.is_busy = False
                self._drawn.set()

    def _draw(self, state: State) -> None:
        """Draw a state; an error is one line of the dashboard."""
        try:
            if self._must_forget:
                self._must_forget = False
                self._figures.forget()
            with self._figures.reading():
                self._draw_figures(state)
            self.board.problem = ""
        except LLMError as error:
            self.board.problem = str(error)
        except Exception as error:
            _log.exception("The dashboard could not be drawn")
            self.board.problem = (
                f"The dashboard could not be drawn ({type(error).__name__}: {error})."
            )

    def _draw_figures(self, state: State) -> None:
        values = self._figures.values()
        self.filter_bar.offer(values)
        is_empty = not values.statuses
        cards = (
            []
            if is_empty and state.section != "admin"
            else self._cards_of[state.section](self._figures, state)
        )
        with self.board.hold_sync():  # before the summary, which takes further time
            self.board.section = state.section
            self.board.content = "".join(card.html() for card in cards)
        summary = [] if is_empty else overview_page.summary(self._figures, state)
        with self.board.hold_sync():
            self.board.notice = self._notice(is_empty, state)
            self.board.has_demo_button = is_empty
            self.board.summary = tiles(summary)
        about = self._about(state)
        self._saved.replace(
            saved_html(self._saved.identity, f"{about} {self.board.notice}", summary, cards),
            saved_text(about, summary),
        )

    def _notice(self, is_empty: bool, state: State) -> str:
        if is_empty:
            return _EMPTY
        if not self._figures.overview(state).by_day_and_model:
            return _NONE_FIT
        count = self._figures.values().demo_runs
        return _DEMO.format(count=f"{count:,}") if count else ""

    def _about(self, state: State) -> str:
        """Which runs are shown, in words."""
        chosen = ", ".join(f"{name} {value}" for name, value in state.filters)
        return f"Runs with {chosen}." if chosen else "All runs."

    def _on_message(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        handler = _HANDLERS.get(str(content.get("type")))
        if handler is None:
            return
        try:
            handler(self, content.get("value"))
        except LLMError as error:
            self.board.problem = str(error)

    def _on_section(self, value: object) -> None:
        with suppress(InvalidParameterError):
            self.show(str(value))

    def _on_press(self, value: object) -> None:
        """Show the runs behind a figure, or open a run."""
        try:
            pressed = json.loads(str(value))
        except ValueError:  # no message of the view
            return
        match pressed:
            case {"run": str(run_id)}:
                self._playground.children = [self._open_run(run_id)]
            case {"slice": str(name), "value": str() | None as of}:
                self._change(section="runs", slice=Slice(name, of), offset=0)

    def _on_step(self, value: object) -> None:
        step = 1 if value == 1 else -1
        self._change(offset=max(0, self._state.offset + step * runs_page.PAGE))

    def _on_demo(self, _value: object) -> None:
        demo_runs(_DEMO_RUNS)
        self.refresh()


_HANDLERS: dict[str, Callable[[Dashboard, object], None]] = {
    "section": Dashboard._on_section,
    "press": Dashboard._on_press,
    "step": Dashboard._on_step,
    "demo": Dashboard._on_demo,
    "other_model": lambda shown, value: shown._change(other_model=str(value)),
    "action": lambda shown, value: shown._change(action=str(value)),
}


@checks_arguments("dashboard")
def dashboard(
    *,
    tz: str = "UTC",
    admin: bool = False,
    section: str = "overview",
    at: When | None = None,
    **filters: Unpack[Filters],
) -> Dashboard:
    """Costs, speed, errors and possible savings of the run log, with filters and charts.

    Each figure leads to the runs behind it, and a run to a playground that asks it again. On an
    empty log a button fills it with generated runs. A saved notebook keeps the section that was
    shown last, as tables and pictures.

    Args:
        tz: The time zone of days and months, for example ``"Europe/Berlin"``.
        admin: Whether there is a section for those who look after a shared log: who spent what,
            all budgets, the audit log.
        section: The section to begin with: ``overview``, ``quality``, ``savings``, ``runs`` or
            ``admin``. A notebook that is executed without a browser saves this one; for several
            sections, use one dashboard for each.
        at: The moment that counts as now for the forecast and "7 days"; None is the clock's.
        **filters: The filters to begin with, see :class:`Filters`.

    Raises:
        InvalidParameterError: ``tz``, ``section``, ``at`` or a filter is invalid.

    Example:
        >>> import llm_playground as lp
        >>> lp.dashboard(since="2026-01").section
        'overview'
    """
    check_filters(filters, dashboard)
    query.condition(filters, "duckdb")
    moments.time_zone(tz)
    moment = None if at is None else moments.span("at", at)[0]
    return Dashboard(filters, tz=tz, admin=admin, at=moment, section=section, open_run=_playground)


def _playground(run_id: str) -> ipywidgets.Widget:
    """A playground with a run of the log."""
    from llm_playground import Playground  # the top level joins the two surfaces

    return Playground(f"run {short_id(run_id)}", run=run_id)
