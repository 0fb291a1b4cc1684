"""Keeps the price tag of one panel right while its form, the notebook and the budgets change."""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from IPython import get_ipython

from llm_playground import config
from llm_playground.calls import resolve_model
from llm_playground.errors import ConfigError
from llm_playground.widgets.form import Form
from llm_playground.widgets.newest import Newest
from llm_playground.widgets.outlooks import outlooks
from llm_playground.widgets.price_tag import PriceTag, tag
from llm_playground.widgets.quotes import Outdated, quotes

# All panels share them: only one is typed into at a time.
_prices = ThreadPoolExecutor(1, "llm_playground_prices")
_readers = ThreadPoolExecutor(1, "llm_playground_outlooks")


class Pricer:
    """Computes a panel's price tag off every thread that has something else to do.

    Args:
        form: Says what is set now.
        notebook: Says the notebook's variables.
        publish: Gets each new price tag, as JSON has it.
    """

    def __init__(
        self,
        form: Callable[[], Form],
        notebook: Callable[[], Mapping[str, object]],
        publish: Callable[[dict[str, Any]], None],
    ) -> None:
        self._form = form
        self._notebook = notebook
        self._publish = publish
        self._prices = Newest(self._price, _prices)
        self._reads = Newest(self._read, _readers)

    def ask(self) -> None:
        """Something that counts may have changed; returns at once."""
        self._prices.ask()

    def spent(self) -> None:
        """Calls have ended: budgets have less left now."""
        outlooks.expire()
        self.ask()

    def watch(self) -> None:
        """Somebody sees the price: from now on budgets count, and each cell may change things."""
        _watching.add(self)
        self.ask()
        shell = get_ipython()
        if shell is not None:
            shell.events.register("post_run_cell", _cell_has_run)

    def close(self) -> None:
        """Watch no more."""
        _watching.discard(self)

    def _price(self, wanted: Callable[[], bool]) -> None:
        try:
            form = self._form()
        except ConfigError as error:
            self._publish(PriceTag(problem=str(error)).as_dict())
            return
        with contextlib.suppress(Outdated):
            self._publish(price(form, self._notebook(), wanted).as_dict())
        # The log is read once somebody looks, not while the panel is made and displayed.
        if self in _watching and outlooks.is_stale(_known(form.models)):
            self._reads.ask()

    def _read(self, _wanted: Callable[[], bool]) -> None:
        with contextlib.suppress(ConfigError):  # the price tag says it
            if outlooks.read(_known(self._form().models)):
                self.ask()


def price(
    form: Form, notebook: Mapping[str, object], wanted: Callable[[], bool] = lambda: True
) -> PriceTag:
    """The price tag of a form, with what is known of budgets and earlier runs.

    Raises:
        Outdated: ``wanted`` said no.
    """
    if not form.models:
        return PriceTag("No model chosen")
    known = outlooks.known()
    try:
        return tag(
            form,
            quotes(form, notebook, known, datetime.now(UTC), wanted),
            known.standings,
            confirm_above_usd=config.confirm_above_usd(),
            replays=config.mode() == "replay",
        )
    except ConfigError as error:
        return PriceTag(problem=str(error))


def _known(models: Sequence[str]) -> list[str]:
    """The models as the run log has them, of those that a provider is known for."""
    known: list[str] = []
    for model in models:
        with contextlib.suppress(ConfigError):
            known.append(resolve_model(model))
    return known


_watching: weakref.WeakSet[Pricer] = weakref.WeakSet()


def _cell_has_run(_result: object) -> None:
    if _watching:
        outlooks.expire()
    for pricer in list(_watching):
        pricer.ask()
