"""The playground: a widget to ask models, with answers side by side while they stream.

The form is traits. Answers go to the view as custom messages (:mod:`.asking`). They are made on one
thread of this module, so that neither a busy cell nor an observer that blocks holds up a stream.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from llm_playground import _loop, config, parameters, provenance
from llm_playground._signatures import explaining
from llm_playground.budgeting import check_worst_case
from llm_playground.comparison import frame
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.widgets import notice, offers
from llm_playground.widgets.asking import Asking, Tell
from llm_playground.widgets.bringing import brought_by
from llm_playground.widgets.dials import TRAIT_OF, TRAITS
from llm_playground.widgets.form import Ordered
from llm_playground.widgets.heading import check_name
from llm_playground.widgets.kept import KeptDraft, identity
from llm_playground.widgets.material import Material
from llm_playground.widgets.panel import FORM, Panel
from llm_playground.widgets.presses import Press, Unconfirmed, ordered
from llm_playground.widgets.pricer import Pricer
from llm_playground.widgets.replies import reply
from llm_playground.widgets.saved import Saved
from llm_playground.widgets.sheet import Sheet

if TYPE_CHECKING:
    import pandas as pd

    from llm_playground.saved_prompt import Prompt
    from llm_playground.types import Run
    from llm_playground.widgets.recordings import Recording


_log = logging.getLogger(__name__)
_messenger = ThreadPoolExecutor(1, "llm_playground_widgets")
_repliers = ThreadPoolExecutor(4, "llm_playground_replies")
_panels: weakref.WeakSet[Playground] = weakref.WeakSet()


class Playground(Panel):
    """Ask models from a form; answers stream side by side, each is a run in the run log.

    Args:
        name: What the playground is called; shown as its heading.
        models: What to ask: ``["local"]``, ``["gpt-...", "claude-..."]``; None is the default.
        prompt: The user prompt; ``{{name}}`` takes a value from the notebook. A saved prompt,
            ``lp.prompt("name")``, brings its system prompt, turns, parameters and model.
        system: The system prompt.
        preset: ``precise``, ``balanced``, ``creative`` or one that was saved.
        n: Iterations: how often each model is asked.
        run: Runs of the log to open: their answers, and the form as it was sent. A run, its id or
            the beginning of it, an execution's id, or several. "Share" copies such a call.

        temperature: As for ``ask``; None is ``auto``: not sent.
        top_p: As ``temperature``.
        max_tokens: As ``temperature``.
        reasoning_effort: As ``temperature``.
        stop: As ``temperature``. Its trait is ``stop_at``, since ``stop`` is the verb.
        seed: As ``temperature``.
        top_k: As ``temperature``.
        presence_penalty: As ``temperature``.
        frequency_penalty: As ``temperature``.

    The arguments are traits (``n`` is ``iterations``): read and set them from Python at any time.
    What is changed in the panel is kept as a draft, under the name or else under notebook and cell,
    and comes back when the cell is executed again, after a restart too. An argument that the code
    has changed since wins over what was typed there before.

    A list, in one or two parameters, is a sweep: ``pg.temperature = [0, 0.5, 1]`` asks three times.

    Example:
        >>> import llm_playground as lp
        >>> pg = lp.Playground(models=["local"], prompt="Say hello.")
        >>> pg.max_tokens = 8
        >>> pg.run()
        >>> pg.results.status.tolist()
        ['completed']
    """

    @explaining("Playground")
    def __init__(
        self,
        name: str | None = None,
        *,
        models: Sequence[str] | str | None = None,
        prompt: str | Prompt = "",
        system: str = "",
        preset: str | None = None,
        n: int = 1,
        run: str | Run | Sequence[str | Run] | None = None,
        temperature: float | None = None,
        top_p: float | None = None,
        max_tokens: int | None = None,
        reasoning_effort: str | None = None,
        stop: str | Sequence[str] | None = None,
        seed: int | None = None,
        top_k: int | None = None,
        presence_penalty: float | None = None,
        frequency_penalty: float | None = None,
    ) -> None:
        check_name(name, models)
        self._lock = threading.RLock()
        self._looking_up = threading.Lock()
        self.beside = notice.Beside()
        self.material = Material(self, self._hand_on)
        self._asking = Asking(0, (), self._tell_soon)
        self._ended = threading.Event()
        self._ended.set()
        self._pricer = Pricer(self.form, self.material.notebook, self._show_price)
        brought = brought_by(prompt)
        super().__init__(
            name=name,
            models=(brought.models or [config.default_model()]) if models is None else models,
            prompt=brought.prompt,
            system=system or brought.system,
            iterations=n,
            saved_id=self.beside.display_id,
            turns=list(brought.turns),
            images=[],
            presets={name: dict(p.as_dict()) for name, p in parameters.PRESETS.items()},
        )
        self.observe(lambda _change: self._pricer.ask(), FORM)
        for parameter, trait in TRAIT_OF.items():
            setattr(self, trait, brought.parameters.get(parameter))
        self.preset = preset
        said = (temperature, top_p, max_tokens, reasoning_effort, stop, seed, top_k)
        for trait, value in zip(TRAITS, (*said, presence_penalty, frequency_penalty), strict=True):
            if value is not None:
                setattr(self, trait, value)
        self.material.follow()
        _answer_on_the_callers_thread(self.comm)
        self.on_msg(self._hear)
        if run is not None:
            from llm_playground.widgets import opening  # the run log: first use, not import

            opening.open_runs(self, run)
        given = {"models": models} if run is None else dict.fromkeys(FORM, repr(run))
        self.kept_draft = KeptDraft(self, FORM, identity(name), given)
        self.kept_draft.restore()
        self.kept_answers = Saved(self, self.kept_draft, self.beside)
        threading.Thread(target=self._look_up_choices, daemon=True).start()
        self._pricer.ask()
        _panels.add(self)
        self.kept_answers.look()

    def run(self, *, override: str | None = None) -> None:
        """Start what Run starts, and return; :attr:`results` waits for the answers.

        Args:
            override: Why it is to be sent whatever budgets and ``confirm_above_usd`` say; the
                reason is noted in the audit log.

        Raises:
            ConfigError: Nothing was sent; the panel says the same line.
            BudgetExceededError: As before: it could cost more than ``confirm_above_usd``.
        """
        self._press(Press(override=override))

    def try_one(self, *, override: str | None = None) -> None:
        """Start what Try one starts: the first call alone. Otherwise as :meth:`run`."""
        self._press(Press(one=True, override=override))

    def stop(self) -> None:
        """Stop every answer that is still running. The text so far is kept."""
        self._asking.stop()

    @property
    def results(self) -> pd.DataFrame:
        """The runs of the last Run, one row each, with the run log's column names.

        Waits until all have ended; interrupting the kernel ends the waiting, not the runs.
        """
        self.kept_answers.wait()
        self._ended.wait()
        return frame(self._asking.sheet.runs())

    def close(self) -> None:
        """Stop what runs and remove the widget from the page."""
        if hasattr(self, "_asking"):  # also called on one whose arguments were refused
            self.stop()
        if hasattr(self, "_pricer"):
            self._pricer.close()
        if hasattr(self, "kept_draft"):
            self.kept_draft.end()
            self.material.end()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:  # noqa: ANN401 - IPython's own signature
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        self.beside.watch()
        data, metadata = bundle
        return {**data, "text/html": notice.HTML, "text/plain": notice.TEXT}, metadata

    def as_prompt(self) -> Prompt:
        """The form as a prompt to be saved: ``lp.save_prompt("name", pg)``.

        Raises:
            ConfigError: It cannot be sent as it stands, or holds pictures.
        """
        from llm_playground.widgets import saving  # the run log: first use, not import

        return saving.prompt_of(self.form())

    def add_turns(self, number: int) -> None:
        """Go on from answer ``number``: it and what it answered become turns, the prompt is free.

        Raises:
            InvalidParameterError: There is no such answer, or it has no text yet.
        """
        self.material.go_on_from(number)

    def _press(self, press: Press) -> None:
        with self._lock:
            if self.running:
                raise InvalidParameterError("Still running. Stop all first.")
            try:
                self.material.settle()
                calls = ordered(press, self.form(), self.material.notebook())
            except Unconfirmed:
                self._pricer.ask()
                raise
            except LLMError as error:
                self.problem = str(error)
                raise
            self._start(calls)

    def price_anew(self) -> None:
        """Compute the price tag again, as something was changed that it cannot see."""
        self._pricer.ask()

    def _show_price(self, price: dict[str, Any]) -> None:
        self.price = price

    @property
    def sheet(self) -> Sheet:
        """The answers of the last Run."""
        return self._asking.sheet

    def _start(self, ordered: Sequence[Ordered]) -> None:
        self._asking = asking = Asking(self._asking.sheet.run + 1, ordered, self._tell_soon)
        self._begin()
        self.baseline = None
        self.kept_answers.begin(ordered)
        self.send({"type": "run", "run": asking.sheet.run, "panes": asking.sheet.opening()})
        asking.start()

    def show(self, answers: Callable[[int, Tell], Asking]) -> int:
        """Show answers of another time in the place of those that are there; nothing is sent.

        Args:
            answers: Makes them, given the number of the Run and whom to tell; all have ended.

        Returns:
            Their number; 0, and nothing is changed, while answers are still to come.
        """
        with self._lock:
            if self.running:
                return 0
            self._asking = asking = answers(self._asking.sheet.run + 1, self._tell_soon)
            self.baseline = None
        self._hand_on(self._show_to_all, asking)
        return asking.sheet.run

    def recording(self, number: int) -> Recording | None:
        """What went over the wire for answer ``number``, None where nothing was sent here."""
        return self._asking.recordings.of(number)

    def _show_to_all(self, asking: Asking) -> None:
        if asking is not self._asking:  # a Run has begun meanwhile: its news are for all views
            return
        _, everything = asking.sheet.catch_up()
        self.send(asking.message(everything) | {"type": "snapshot", "view": None})

    def take_over(self, older: Playground) -> None:
        """Show the answers of a playground that was made before, those still streaming too."""
        self._asking = asking = older._asking
        if not asking.sheet.ended():
            self._ended.clear()
            self.running = True
            self._hand_on(self._end_with, asking)  # it may have ended meanwhile

    def _begin(self) -> None:
        self._ended.clear()
        self.problem, self.running = "", True

    def _end(self) -> None:
        self.running = False
        self._ended.set()
        self._pricer.spent()
        self.kept_answers.keep_in_notebook()

    def _tell_soon(self, asking: Asking) -> None:
        self._hand_on(self._tell, asking)

    def _tell(self, asking: Asking) -> None:
        news = asking.sheet.news()
        if news:  # else an earlier message said it already
            self._tell_all(asking, news)

    def _tell_all(self, asking: Asking, news: Sequence[Mapping[str, Any]]) -> None:
        """Tell every playground that shows these answers: one that was made again does, too."""
        message = asking.message(news)
        for panel in list(_panels):
            if panel._asking is asking:
                panel.send(message)
                panel._end_with(asking)

    def _end_with(self, asking: Asking) -> None:
        """Say that the Run has ended, when it has."""
        with self._lock:  # a retry may begin meanwhile
            if self.running and asking is self._asking and asking.sheet.ended():
                self._end()

    def _retry(self, content: Mapping[str, Any]) -> None:
        """Ask for one answer once more, in its place."""
        number = content["number"]
        with self._lock:
            asking = self._asking
            try:
                if asking.sheet.is_open(number):
                    return
                one = asking.again(number, content.get("changes") or {})
                check_worst_case([one.call.request], None)
            except LLMError as error:
                self.problem = str(error)
                return
            self._begin()
            asking.replace(number, one)
            self.kept_answers.begin(asking.ordered)

    def _hear(self, _widget: object, content: Mapping[str, Any], buffers: object) -> None:
        """A view's message, on the main or a subshell's thread: hand it on and return."""
        self.beside.heard()
        act = _ON_MESSAGE.get(content.get("type", ""))
        if act is not None:
            self._hand_on(act, self, {**content, "buffers": buffers} if buffers else content)

    def _hand_on(self, act: Callable[..., None], *arguments: object) -> None:
        """Do something on the messages' thread; a fault of ours is said, not lost."""

        def guarded() -> None:
            try:
                act(*arguments)
            except Exception as error:
                _log.exception("The playground could not show what came")
                self._say_fault(error)
                self._end_with(self._asking)

        _messenger.submit(guarded)

    def _run_form(self, content: Mapping[str, Any]) -> None:
        """Run with the form as it came with the message: the traits' own messages may be late."""
        form = content.get("form", {})
        self.set_state({name: form[name] for name in FORM if name in form})
        try:
            self._press(Press.from_view(content))
        except Unconfirmed as asked:
            self.send(dict(asked.question))
        except LLMError:  # the panel says it
            return

    def _stop_some(self, content: Mapping[str, Any]) -> None:
        self._asking.stop(content.get("number"))

    def _retry_now(self, content: Mapping[str, Any]) -> None:
        self._asking.retry_now(content["number"])

    def _show_everything(self, content: Mapping[str, Any]) -> None:
        self.kept_draft.begin()
        provenance.see_front_end(str(content.get("frontEnd") or "a front end")[:60])
        self._pricer.watch()
        asking = self._asking
        news, everything = asking.sheet.catch_up()
        if news:
            self._tell_all(asking, news)
        snapshot = {"type": "snapshot", "view": content.get("view")}
        self.send(asking.message(everything) | snapshot)

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

        with self._looking_up:  # what was found first must not be shown last
            known = catalog.choices()
            self.unusable = offers.unusable(known)
            self.choices = offers.offers(known)

    def _ask_for_choices(self, _content: Mapping[str, Any]) -> None:
        self._aside(self.look_up_models)  # a locked keyring makes it wait

    def look_up_models(self) -> None:
        """Show what models are known at once, and what is served as soon as it is known."""
        from llm_playground import catalog  # as above

        self._look_up_choices()
        asked = _loop.submit(catalog.refresh())
        asked.add_done_callback(lambda _: self._aside(self._look_up_choices))


_ON_MESSAGE: dict[str, Callable[[Playground, Mapping[str, Any]], None]] = {
    "piece": lambda panel, content: panel.material.take_piece(content),
    "run": Playground._run_form,
    "stop": Playground._stop_some,
    "retry": Playground._retry,
    "retry_now": Playground._retry_now,
    "sync": Playground._show_everything,
    "choices": Playground._ask_for_choices,
    "ask": Playground._reply_to,
}


def _answer_on_the_callers_thread(comm: Any) -> None:  # noqa: ANN401 - comm has no types
    """Let a view's messages in while a synchronous cell runs.

    JupyterLab addresses them to a subshell; ipykernel sends them on to the shell that last
    published here instead, usually the busy main one. What the view addressed is right for us.
    """
    if hasattr(comm, "_reply_subshell_for"):
        comm._reply_subshell_for = lambda _data, addressed: addressed
