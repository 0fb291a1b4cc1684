"""Keeps a panel's price preview up to date as its form, the notebook and the budgets change."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from IPython import get_ipython

from llm_playground import config
from llm_playground.budgeting.status import CostContext, budgets_stamp
from llm_playground.calls import resolve_model
from llm_playground.errors import ConfigError, LLMError
from llm_playground.widget.cost_context import cost_contexts, log_readers
from llm_playground.widget.form import Form, known_models
from llm_playground.widget.price import Outdated, PricePreview, cost_estimates, price_preview

_log = logging.getLogger(__name__)

# Shared by all panels, as a person types into one at a time.
_prices = ThreadPoolExecutor(1, "llm_playground_prices")
_WATCH_EVERY_S = 1.0


class LatestOnly:
    """Repeats some work in a thread pool, of which only the latest result is wanted.

    Requests that come while it works make it work once more afterwards, however many they are. In
    contrast to :class:`~llm_playground._runtime.Debouncer` the work starts without a delay, on
    threads shared with other work, and can see that its result is outdated: it gets a function that
    returns whether the result is still wanted. Errors are logged.
    """

    def __init__(
        self, work: Callable[[Callable[[], bool]], None], threads: ThreadPoolExecutor
    ) -> None:
        self._work = work
        self._threads = threads
        self._lock = threading.Lock()
        self._requests = 0
        self._is_working = False

    def request(self) -> None:
        """Have the work done with the state from now on; returns at once."""
        with self._lock:
            self._requests += 1
            if not self._is_working:
                self._is_working = True
                self._start()

    def _run(self) -> None:
        number = self._requests
        try:
            self._work(lambda: number == self._requests)
        except Exception:
            _log.exception("A background update of the playground failed")
        with self._lock:
            self._is_working = number != self._requests
            if self._is_working:  # behind other work that waits for these threads
                self._start()

    def _start(self) -> None:
        with suppress(RuntimeError):  # Python is exiting
            self._threads.submit(self._run)


class PriceWorker:
    """Computes a panel's price preview on a thread of its own.

    ``publish`` is called with each new preview as JSON, and then ``compare_values`` with the form
    and the notebook's variables, whose texts have been made for the price.
    """

    def __init__(
        self,
        form: Callable[[], Form],
        notebook: Callable[[], Mapping[str, object]],
        publish: Callable[[dict[str, Any]], None],
        compare_values: Callable[[Form, Mapping[str, object]], None] = lambda _form, _notebook: (
            None
        ),
    ) -> None:
        self._form = form
        self._notebook = notebook
        self._publish = publish
        self._compare_values = compare_values
        self._previews = LatestOnly(self._compute, _prices)
        self._reads = LatestOnly(self._read_log, log_readers)
        self._context = CostContext()  # of the latest preview

    def refresh_soon(self) -> None:
        """Compute the preview again; returns at once."""
        self._previews.request()

    def on_calls_ended(self) -> None:
        """Read the budgets again, as calls that have ended used some of them."""
        cost_contexts.expire_budgets()
        self.refresh_soon()

    def on_view_opened(self) -> None:
        """From now on, include the budgets, and follow their changes and those of settings."""
        _visible.add(self)
        _watcher.start()
        self.refresh_soon()
        shell = get_ipython()
        if shell is not None:
            shell.events.register("post_run_cell", _on_cell_run)

    def close(self) -> None:
        """Stop listening to cells."""
        _visible.discard(self)

    def _compute(self, is_wanted: Callable[[], bool]) -> None:
        try:
            form = self._form()
        except ConfigError as error:
            self._publish(asdict(PricePreview(problem=str(error))))
            return
        self._context = cost_contexts.current()
        notebook = self._notebook()
        with suppress(Outdated):
            preview = preview_for_form(form, notebook, is_wanted)
            self._publish(asdict(preview) | {"rates": own_prices(form.models)})
            self._compare_values(form, notebook)
        # The log is read once a view is open, not while the panel is made and displayed.
        if self in _visible and cost_contexts.is_stale(known_models(form.models)):
            self._reads.request()

    def _read_log(self, _is_wanted: Callable[[], bool]) -> None:
        with suppress(ConfigError):  # the preview shows it
            cost_contexts.refresh(known_models(self._form().models))
        # Another panel has not asked for a reading that had begun, or that it needs no more.
        for worker in {self, *_visible}:
            if cost_contexts.current() != worker._context:
                worker.refresh_soon()


def own_prices(models: Iterable[str]) -> dict[str, str]:
    """The prices that ``configure(prices=...)`` or the policy sets, by model: ``$0.25/$2``."""
    found: dict[str, str] = {}
    for model in models:
        with suppress(ConfigError):  # the preview shows it
            rates = config.rates(resolve_model(model))
            if rates is not None:
                from llm_playground.catalog.models import price_text  # seldom needed

                found[model] = price_text(rates.input_usd_per_mtok, rates.output_usd_per_mtok)
    return found


def preview_for_form(
    form: Form, notebook: Mapping[str, object], is_wanted: Callable[[], bool] = lambda: True
) -> PricePreview:
    """The price preview of a form, from budgets and earlier runs as they were read last.

    Raises:
        Outdated: ``is_wanted`` returned False.
    """
    if not form.models:
        return PricePreview("No model chosen")
    context = cost_contexts.current()
    try:
        return price_preview(
            form,
            cost_estimates(form, notebook, context, datetime.now(UTC), is_wanted),
            context.statuses,
            confirm_above_usd=config.settings().confirm_above_usd,
            replays=config.mode() == "replay",
        )
    except ConfigError as error:
        return PricePreview(problem=str(error))


_visible: weakref.WeakSet[PriceWorker] = weakref.WeakSet()


def _on_cell_run(_result: object = None) -> None:
    """Compute all previews again: a cell may have changed variables, prices and budgets."""
    if _visible:
        cost_contexts.expire_budgets()
    for worker in list(_visible):
        worker.refresh_soon()


class _Watcher:
    """Follows changes of budgets and settings that no cell of this notebook makes.

    Budgets are changed by other processes, and both by callbacks and threads of this one.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_running = False

    def start(self) -> None:
        """Watch as long as a panel is open."""
        with self._lock:
            if not self._is_running:
                self._is_running = True
                threading.Thread(
                    target=self._watch, name="llm_playground_watch", daemon=True
                ).start()

    def _watch(self) -> None:
        seen = _stamp()
        while True:
            time.sleep(_WATCH_EVERY_S)
            with self._lock:
                if not _visible:
                    self._is_running = False
                    return
            before, seen = seen, _stamp()
            if seen != before:
                _on_cell_run()


def _stamp() -> object:
    """Changes with the budgets of the log and with the settings."""
    with suppress(LLMError):
        return budgets_stamp(), config.settings(), config.mode()
    return None


_watcher = _Watcher()
