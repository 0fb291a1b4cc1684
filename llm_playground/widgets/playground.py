"""The playground: a widget to ask models, with answers side by side while they stream.

The form is traits. Answers go to the view as custom messages: at most one every 30 ms for all
answers together, each with new text only. Provider calls run on the package's background loop;
messages are made on one thread of this module, so that neither a busy cell nor an observer that
blocks holds up a stream.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets as t
from IPython import get_ipython

from llm_playground import _loop, capabilities, config, parameters, provenance
from llm_playground._signatures import explaining
from llm_playground.budgeting import check_worst_case
from llm_playground.call import Call
from llm_playground.calls import resolve_model, send
from llm_playground.comparison import frame
from llm_playground.errors import BudgetExceededError, ConfigError, InvalidParameterError
from llm_playground.types import Run, StreamEvent
from llm_playground.widgets import esm, notice
from llm_playground.widgets.form import Form, Ordered, order
from llm_playground.widgets.replies import reply
from llm_playground.widgets.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

MESSAGE_EVERY_S = 0.03
PARAMETERS = ("temperature", "top_p", "max_tokens")
FORM = ("prompt", "system", "models", *PARAMETERS, "preset", "iterations")

_VIEW = Path(__file__).parent / "view"
_MODULES = (
    *("keys", "panes", "choices", "dom", "link", "dialog", "keysdialog", "picker", "textbox"),
    *("parameters", "runbar", "pane", "answers", "playground"),
)
_STYLES = ("base", "models", "form", "runbar", "answers", "rich", "dialogs")

_log = logging.getLogger(__name__)
_messenger = ThreadPoolExecutor(1, "llm_playground_widgets")
_repliers = ThreadPoolExecutor(4, "llm_playground_replies")


def _dial(name: str, models: Sequence[str]) -> dict[str, Any]:
    """One control as the view draws it; ``note`` says who does not take the parameter."""
    offered = capabilities.control(name, models)
    names = ", ".join(model.partition(":")[2] for model in offered.without)
    return {
        "min": offered.range.bottom,
        "max": offered.range.top,
        "rest": offered.default,
        "note": f"Not taken by {names}" if names else "",
        "off": bool(models) and len(offered.without) == len(models),
    }


def _from_view(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    """A trait the view edits. Not echoed: an echo that comes late would undo what was typed since.

    A number is any value here, so that a wrong one is kept, and explained, instead of refused.
    """
    return trait.tag(sync=True, echo_update=False)


def _for_view(trait: t.TraitType[Any, Any]) -> t.TraitType[Any, Any]:
    return trait.tag(sync=True)


class Playground(anywidget.AnyWidget):
    """Ask models from a form; answers stream side by side, each is a run in the run log.

    Args:
        name: What the playground is called; shown as its heading.
        models: What to ask: ``["local"]``, ``["gpt-...", "claude-..."]``; None is the default.
        prompt: The user prompt; ``{{name}}`` takes a value from the notebook.
        system: The system prompt.
        preset: ``precise``, ``balanced`` or ``creative``.
        n: Iterations: how often each model is asked.

        temperature: As for ``ask``; None is ``auto``: not sent.
        top_p: As ``temperature``.
        max_tokens: As ``temperature``.

    The arguments are traits (``n`` is ``iterations``): read and set them from Python at any time.

    Example:
        >>> import llm_playground as lp
        >>> pg = lp.Playground(models=["local"], prompt="Say hello.")
        >>> pg.max_tokens = 8
        >>> pg.run()
        >>> pg.results.status.tolist()
        ['completed']
    """

    _esm = esm.joined(_VIEW / f"{module}.js" for module in _MODULES)
    _css = "\n".join((_VIEW / f"{style}.css").read_text("utf-8") for style in _STYLES)

    name = _for_view(t.Unicode(allow_none=True))
    prompt = _from_view(t.Unicode())
    system = _from_view(t.Unicode())
    models = _from_view(t.Any())
    temperature = _from_view(t.Any(None))
    top_p = _from_view(t.Any(None))
    max_tokens = _from_view(t.Any(None))
    preset = _from_view(t.Any(None))
    iterations = _from_view(t.Any(1))

    running = _for_view(t.Bool(False))
    problem = _for_view(t.Unicode())
    choices = _for_view(t.List(t.Dict()))
    presets = _for_view(t.Dict())
    dials = _for_view(t.Dict())

    @explaining("Playground")
    def __init__(
        self,
        name: str | None = None,
        *,
        models: Sequence[str] | str | None = None,
        prompt: str = "",
        system: str = "",
        preset: str | None = None,
        n: int = 1,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._setting = threading.local()
        self._notice = notice.Notice()
        self._sheet = Sheet(0, ())
        self._tasks: dict[int, asyncio.Task[Run]] = {}
        self._due: Sheet | None = None
        self._ended = threading.Event()
        self._ended.set()
        super().__init__(
            name=name,
            models=[config.default_model()] if models is None else models,
            prompt=prompt,
            system=system,
            iterations=n,
            top_p=top_p,
            max_tokens=max_tokens,
            presets={name: dict(p.as_dict()) for name, p in parameters.PRESETS.items()},
        )
        self.observe(self._explain, FORM)
        self.observe(self._adapt, "models")
        self._adapt({})
        self.preset = preset
        if temperature is not None:
            self.temperature = temperature
        _answer_on_the_callers_thread(self.comm)
        self.on_msg(self._hear)
        threading.Thread(target=self._look_up_choices, daemon=True).start()

    def run(self) -> None:
        """Start what Run starts, and return; :attr:`results` waits for the answers.

        Raises:
            ConfigError: Nothing was sent; the panel says the same line.
            BudgetExceededError: As before: it could cost more than ``confirm_above_usd``.
        """
        with self._lock:
            if self.running:
                raise InvalidParameterError("Still running. Stop all first.")
            try:
                ordered = self._plan()
            except (ConfigError, BudgetExceededError) as error:
                self.problem = str(error)
                raise
            self._start(ordered)

    def stop(self) -> None:
        """Stop every answer that is still running. The text so far is kept."""
        _loop.loop().call_soon_threadsafe(self._cancel, ())

    @property
    def results(self) -> pd.DataFrame:
        """The runs of the last Run, one row each, with the run log's column names.

        Waits until all have ended; interrupting the kernel ends the waiting, not the runs.
        """
        self._ended.wait()
        return frame(self._sheet.runs())

    def close(self) -> None:
        """Stop what runs and remove the widget from the page."""
        if hasattr(self, "_tasks"):  # also called on one whose arguments were refused
            self.stop()
        super().close()

    @contextlib.contextmanager
    def hold_trait_notifications(self) -> Iterator[None]:
        """Hold nothing: what traitlets holds back is shared by all threads of an object."""
        yield

    @property
    def _property_lock(self) -> dict[str, Any]:
        """What ``set_state`` is setting now: of each thread its own, as two may set at once."""
        held: dict[str, Any] = getattr(self._setting, "held", {})
        return held

    @_property_lock.setter
    def _property_lock(self, held: dict[str, Any]) -> None:
        self._setting.held = held

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:  # noqa: ANN401 - IPython's own signature
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        self._notice.watch()
        data, metadata = bundle
        return {**data, "text/html": notice.HTML, "text/plain": notice.TEXT}, metadata

    @t.validate("models")
    def _as_list(self, proposal: Mapping[str, Any]) -> list[str]:
        value = proposal["value"]
        names = [value] if isinstance(value, str) else list(value or [])
        return list(dict.fromkeys(map(str, names)))

    @t.observe("preset")
    def _use_preset(self, change: Mapping[str, Any]) -> None:
        chosen = self.presets.get(change["new"])
        if chosen is not None:
            self.temperature = chosen["temperature"]

    @t.observe("temperature")
    def _leave_preset(self, change: Mapping[str, Any]) -> None:
        chosen = self.presets.get(self.preset)
        if chosen is not None and chosen["temperature"] != change["new"]:
            self.preset = None

    def _explain(self, _change: Mapping[str, Any]) -> None:
        """Say the first thing that is wrong with the form; empty when nothing is."""
        self.problem = self._complaint()

    def _adapt(self, _change: Mapping[str, Any]) -> None:
        """Let the controls offer what the chosen models take."""
        known = []
        for model in self.models if isinstance(self.models, (list, tuple)) else ():
            with contextlib.suppress(ConfigError):
                known.append(resolve_model(model))
        self.dials = {name: _dial(name, known) for name in PARAMETERS}

    def _complaint(self) -> str:
        try:
            parameters.check_iterations(self.iterations)
            chosen = parameters.parameters_from(self._parameters(), self.preset)
            for model in self.models:
                capabilities.check_parameters(resolve_model(model), chosen)
        except ConfigError as error:
            return str(error)
        return ""

    def _parameters(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def form(self) -> Form:
        """What is set now, as one value."""
        return Form(
            prompt=self.prompt,
            system=self.system,
            models=self.models,
            preset=self.preset,
            parameters=self._parameters(),
            iterations=self.iterations,
        )

    def _plan(self) -> tuple[Ordered, ...]:
        ordered = order(self.form(), _variables())
        check_worst_case([one.call.request for one in ordered], None)
        return ordered

    def _start(self, ordered: Sequence[Ordered]) -> None:
        opening = [(one.call.request.model, one.label) for one in ordered]
        self._sheet = sheet = Sheet(self._sheet.run + 1, opening)
        self._ended.clear()
        self.problem, self.running = "", True
        self.send({"type": "run", "run": sheet.run, "panes": sheet.opening()})
        calls = [one.call for one in ordered]
        _loop.loop().call_soon_threadsafe(self._ask_all, sheet, calls)

    def _ask_all(self, sheet: Sheet, calls: Sequence[Call]) -> None:
        """On the background loop, as is all that follows up to the messages."""
        self._tasks = {
            number: asyncio.ensure_future(send(call, partial(self._take, sheet, number)))
            for number, call in enumerate(calls, 1)
        }
        for number, task in self._tasks.items():
            task.add_done_callback(partial(self._settle, sheet, number))

    def _cancel(self, numbers: Sequence[int]) -> None:
        for number in numbers or self._tasks:
            if number in self._tasks:  # a Stop of an earlier Run may come late
                self._tasks[number].cancel()

    def _take(self, sheet: Sheet, number: int, event: StreamEvent) -> None:
        sheet.take(number, event)
        self._tell_soon(sheet)

    def _tell_soon(self, sheet: Sheet) -> None:
        if self._due is not sheet:
            self._due = sheet
            _loop.loop().call_later(MESSAGE_EVERY_S, self._hand_on, self._tell, sheet)

    def _settle(self, sheet: Sheet, number: int, task: asyncio.Task[Run]) -> None:
        """A call that was stopped before its first step, or broke, has told nobody."""
        error = None if task.cancelled() else task.exception()
        if sheet.give_up(number, "failed" if error else "cancelled", str(error or "")):
            self._tell_soon(sheet)

    def _tell(self, sheet: Sheet) -> None:
        if self._due is sheet:
            self._due = None
        self._send_news(sheet, sheet.news())

    def _send_news(self, sheet: Sheet, news: Sequence[Mapping[str, Any]]) -> None:
        ended = sheet.ended()
        message = {"type": "events", "run": sheet.run, "panes": news, "running": not ended}
        self.send(message | {"summary": sheet.summary()})
        if ended and sheet is self._sheet:
            self.running = False
            self._ended.set()

    def _hear(self, _widget: object, content: Mapping[str, Any], _buffers: object) -> None:
        """A view's message, on the main or a subshell's thread: hand it on and return."""
        self._notice.heard()
        act = _ON_MESSAGE.get(content.get("type", ""))
        if act is not None:
            self._hand_on(act, self, content)

    def _hand_on(self, act: Callable[..., None], *arguments: object) -> None:
        """Do something on the messages' thread; a fault of ours is said, not lost."""

        def guarded() -> None:
            try:
                act(*arguments)
            except Exception as error:
                _log.exception("The playground could not show what came")
                self._say_fault(error)
                if self._sheet.ended():
                    self.running = False
                    self._ended.set()

        _messenger.submit(guarded)

    def _run_form(self, content: Mapping[str, Any]) -> None:
        """Run with the form as it came with the message: the traits' own messages may be late."""
        form = content.get("form", {})
        self.set_state({name: form[name] for name in FORM if name in form})
        with contextlib.suppress(ConfigError, BudgetExceededError):  # the panel says it
            self.run()

    def _stop_some(self, content: Mapping[str, Any]) -> None:
        number = content.get("number")
        if number is None or number in self._tasks:
            _loop.loop().call_soon_threadsafe(self._cancel, [number] if number else ())

    def _show_everything(self, content: Mapping[str, Any]) -> None:
        provenance.see_front_end(str(content.get("frontEnd") or "a front end")[:60])
        sheet = self._sheet
        news, everything = sheet.catch_up()
        if news:
            self._send_news(sheet, news)
        snapshot = {"type": "snapshot", "view": content.get("view"), "run": sheet.run}
        state = {"running": not sheet.ended(), "summary": sheet.summary(), "panes": everything}
        self.send(snapshot | state)

    def _reply_to(self, content: Mapping[str, Any]) -> None:
        self._aside(lambda: self._hand_on(self.send, reply(self, content)))

    def _aside(self, act: Callable[[], None]) -> None:
        """Do what may take its time; a fault of ours is said, not lost."""

        def guarded() -> None:
            try:
                act()
            except Exception as error:
                _log.exception("The playground could not find what was asked for")
                self._hand_on(self._say_fault, error)

        _repliers.submit(guarded)

    def _say_fault(self, error: Exception) -> None:
        self.problem = f"Not everything could be shown ({type(error).__name__})."

    def _look_up_choices(self) -> None:
        from llm_playground import catalog  # reads the price list: not on the way to the display

        self.choices = [
            {
                "model": choice.model,
                "label": choice.label,
                "available": choice.available,
                "reason": choice.reason or "",
                "price": choice.price or "",
            }
            for choice in catalog.choices()
        ]

    def _ask_for_choices(self, _content: Mapping[str, Any]) -> None:
        """The picker opened: what is known at once, what is served as soon as it is known."""
        from llm_playground import catalog  # as above

        self._look_up_choices()
        asked = _loop.submit(catalog.refresh())
        asked.add_done_callback(lambda _: self._hand_on(self._look_up_choices))


_ON_MESSAGE: dict[str, Callable[[Playground, Mapping[str, Any]], None]] = {
    "run": Playground._run_form,
    "stop": Playground._stop_some,
    "sync": Playground._show_everything,
    "choices": Playground._ask_for_choices,
    "ask": Playground._reply_to,
}


def _variables() -> Mapping[str, object]:
    """The notebook's variables, for ``{{name}}``; none outside IPython."""
    shell = get_ipython()
    return shell.user_ns if shell is not None else {}


def _answer_on_the_callers_thread(comm: Any) -> None:  # noqa: ANN401 - comm has no types
    """Let a view's messages in while a synchronous cell runs.

    JupyterLab addresses them to a subshell; ipykernel sends them on to the shell that last
    published here instead, usually the busy main one. What the view addressed is right for us.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, addressed: addressed
