"""The playground: a widget to ask models, with answers side by side while they stream.

The form is traits (:mod:`.traits`), the answers of a Run are sent to the views as custom messages
(:mod:`.session`), and views send requests (:mod:`.requests`). Messages are built and sent on one
thread of this module, so that neither a busy cell nor a slow observer delays a stream.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from llm_playground import _runtime, config, progress, provenance
from llm_playground._validation import checks_arguments
from llm_playground.budgeting import confirm_worst_case
from llm_playground.comparison import frame
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.request import parameters
from llm_playground.widget import baseline, controls, fallback_output, form, unattended
from llm_playground.widget.controls import TRAIT_OF, TRAITS
from llm_playground.widget.draft_store import DraftStore, identity
from llm_playground.widget.fallback_output import FallbackOutput
from llm_playground.widget.panel_runs import PanelRuns
from llm_playground.widget.price import ConfirmationNeeded, RunRequest, calls_to_send
from llm_playground.widget.price_worker import PriceWorker
from llm_playground.widget.requests import reply
from llm_playground.widget.restore import AnswerRestorer
from llm_playground.widget.session import STILL_RUNNING, AnswerSet, RunSession
from llm_playground.widget.stored_runs import open_runs
from llm_playground.widget.traits import FORM, Panel
from llm_playground.widget.variables import PromptInputs

if TYPE_CHECKING:
    import pandas as pd

    from llm_playground.request.prompts import Prompt
    from llm_playground.types import Run
    from llm_playground.widget.inspector import AnswerTrace

_log = logging.getLogger(__name__)

_messages = ThreadPoolExecutor(1, "llm_playground_widgets")
_replies = ThreadPoolExecutor(4, "llm_playground_replies")
_run_starts = ThreadPoolExecutor(4, "llm_playground_runs")
_panels: weakref.WeakSet[Playground] = weakref.WeakSet()


class Playground(Panel):
    """Ask models from a form; answers stream side by side, each is a run in the run log.

    Args:
        name: The playground's name; shown as its heading.
        models: The models to ask: ``["local"]``, ``["gpt-...", "claude-..."]``; None is the
            default model.
        prompt: The user prompt; ``{{name}}`` takes a value from the notebook. A saved prompt,
            ``lp.prompt("name")``, also sets its system prompt, turns, parameters and model.
        system: The system prompt.
        preset: ``precise``, ``balanced``, ``creative`` or one that was saved.
        n: Iterations: how often each model is asked.
        run: Runs of the log to open: their answers, and the form as it was sent. A run, its id or
            the beginning of it, an execution's id, or several. "Share" copies such a call.
        temperature: As for ``ask``; None is ``auto``: not sent.
        top_p: As ``temperature``.
        max_tokens: As ``temperature``.
        reasoning_effort: As ``temperature``.
        stop: As ``temperature``. Its trait is ``stop_at``, since ``stop`` is a method.
        seed: As ``temperature``.
        top_k: As ``temperature``.
        presence_penalty: As ``temperature``.
        frequency_penalty: As ``temperature``.
        cases: Rows for the ``{{name}}`` of the prompt, one call each: a frame or a list of dicts.

    The arguments are traits (``n`` is also ``iterations``): read and set them at any time.
    Changes made in the panel are kept as a draft, under the name or else under notebook and cell,
    and are restored when the cell is executed again, also after a restart. An argument that was
    changed in the code since takes precedence over the draft.

    A list, in one or two parameters, is a sweep: ``pg.temperature = [0, 0.5, 1]`` asks three times.

    Example:
        >>> import llm_playground as lp
        >>> pg = lp.Playground(models=["local"], prompt="Say hello.")
        >>> pg.max_tokens = 8
        >>> pg.run()
        >>> pg.results.status.tolist()
        ['completed']
    """

    lock: threading.RLock  # guards which Run is shown, and which is running
    fallback_output: FallbackOutput
    draft_store: DraftStore
    saved_answers: AnswerRestorer

    @checks_arguments("Playground")
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
        cases: object = None,
    ) -> None:
        controls.check_name(name, models)
        self.cell_id = provenance.cell_id()  # views' messages do not name their cell
        self.cell_execution = provenance.cell_execution()
        self.lock = threading.RLock()
        self._choices_lock = threading.Lock()
        self.fallback_output = FallbackOutput()
        self.inputs = PromptInputs(self, self._on_widget_thread)
        self.panel_runs = PanelRuns(self, self._publish_soon)
        self._sending = self.panel_runs.newest  # the session whose answers may be running
        self._ended = threading.Event()
        self._ended.set()
        self._price_worker = PriceWorker(
            self.form, self.inputs.notebook, self._set_price, self.panel_runs.compare_values
        )
        from_prompt = form.form_from_prompt(prompt)
        super().__init__(
            name=name,
            models=(from_prompt.models or [config.default_model()]) if models is None else models,
            prompt=from_prompt.prompt,
            system=from_prompt.system if isinstance(system, str) and not system else system,
            iterations=n,
            saved_id=self.fallback_output.display_id,
            turns=list(from_prompt.turns),
            images=list(from_prompt.images),
            files=list(from_prompt.files),
            cases=cases,
            presets={name: dict(p.as_dict()) for name, p in parameters.PRESETS.items()},
            providers=controls.known_providers(),
        )
        self.observe(lambda _change: self._price_worker.refresh_soon(), FORM)
        for parameter, trait in TRAIT_OF.items():
            setattr(self, trait, from_prompt.parameters.get(parameter))
        self.preset = preset
        values = (temperature, top_p, max_tokens, reasoning_effort, stop, seed, top_k)
        penalties = (presence_penalty, frequency_penalty)
        for trait, value in zip(TRAITS, (*values, *penalties), strict=True):
            if value is not None:
                setattr(self, trait, value)
        self.inputs.start()
        self.on_msg(self._on_message)
        if run is not None:
            open_runs(self, run)
        from_code = {"models": models} if run is None else dict.fromkeys(FORM, repr(run))
        self.draft_store = DraftStore(self, FORM, identity(name), from_code)
        self.panel_runs.start(self.draft_store.identity)
        self.draft_store.restore()
        self.saved_answers = AnswerRestorer(self, self.draft_store, self.fallback_output)
        threading.Thread(target=self._update_choices, daemon=True).start()
        self.refresh_price()
        _panels.add(self)
        self.saved_answers.start()

    def run(self, *, override: str | None = None) -> None:
        """Start a Run and return; :attr:`results` waits for the answers.

        Where a program executes the notebook, such as nbconvert or papermill, the cell ends when
        the answers have ended, so that the file has them.

        Args:
            override: A reason to send the calls whatever budgets and ``confirm_above_usd`` allow;
                it is written to the audit log.

        Raises:
            ConfigError: Nothing was sent; the panel shows the same message.
            BudgetExceededError: Nothing was sent: it could cost more than ``confirm_above_usd``.
        """
        self._run_from_code(RunRequest(override=override))

    def try_one(self, *, override: str | None = None) -> None:
        """Start the first call of the form alone; otherwise as :meth:`run`."""
        self._run_from_code(RunRequest(one=True, override=override))

    def stop(self) -> None:
        """Stop every answer that is still running. The text so far is kept."""
        self._sending.stop()

    @property
    def results(self) -> pd.DataFrame:
        """The runs of the Run that is shown, one row each: answers, figures, cases, parameters.

        :func:`llm_playground.comparison.frame` lists the columns; ``pg.results.merge(df,
        on="review_id")`` joins them with the table of the cases.

        That is the last Run, unless the panel shows an earlier one. Waits until all have ended;
        interrupting the kernel ends the waiting, not the runs.
        """
        self.saved_answers.wait()
        session = self.panel_runs.display.session
        while True:
            if session is self._sending:
                with progress.interrupts_in_one_line(STILL_RUNNING):
                    self._ended.wait()
            with self.lock:
                if session is not self._sending or self._ended.is_set():  # else a retry began
                    ended = session.ended()
                    break
        return frame(
            [run for run, _ in ended],
            [call.request.user_prompt for _, call in ended],
            [call.request.system for _, call in ended],
            [call.execution.inputs for _, call in ended],
        )

    @property
    def answers(self) -> AnswerSet:
        """The answers of the Run that is shown."""
        return self.panel_runs.display.session.answers

    def recording(self, number: int) -> AnswerTrace | None:
        """The HTTP trace of answer ``number``; None if it was not made by this panel."""
        return self.panel_runs.display.session.traces.of(number)

    def as_prompt(self) -> Prompt:
        """The form as a prompt to be saved: ``lp.save_prompt("name", pg)``.

        Raises:
            ConfigError: It cannot be sent as it is, or has images or files.
        """
        return form.prompt_from_form(self.form())

    def add_turns(self, number: int) -> None:
        """Continue from answer ``number``: it and the messages before it become turns.

        Raises:
            InvalidParameterError: There is no such answer, or it has no text yet.
        """
        self.inputs.continue_from(number)

    def refresh_price(self) -> None:
        """Compute the price preview again, after a change that it does not notice itself."""
        self._price_worker.refresh_soon()

    def refresh_models(self) -> None:
        """Show the models that are known at once, and those of servers when they have replied."""
        from llm_playground.catalog import models  # reads the price list

        self._update_choices()
        refreshed = _runtime.submit(models.refresh())
        refreshed.add_done_callback(lambda _: self._in_background(self._update_choices))

    def offer_retry(self, provider: str) -> None:
        """Offer to retry the answers that failed for a provider's key, which is another now."""
        session = self.panel_runs.display.session
        if session.answers.offer_retry(provider):
            self._on_widget_thread(self._publish, session)

    def take_over(self, older: Playground) -> None:
        """Show the answers of an older playground, including those that are still streaming."""
        self.panel_runs.take_over(older.panel_runs)
        self._sending = session = older._sending
        if not session.answers.ended():
            self._ended.clear()
            self.running = True
            self._on_widget_thread(self._end_if_complete, session)  # it may have ended meanwhile

    def send_snapshot_soon(self) -> None:
        """Send the whole state of the shown answers to all views."""
        self._on_widget_thread(self._send_snapshot)

    def close(self) -> None:
        """Stop running answers and remove the widget from the page."""
        # Some attributes are missing if the arguments were refused.
        if hasattr(self, "_sending"):
            self.stop()
        if hasattr(self, "_price_worker"):
            self._price_worker.close()
        if hasattr(self, "draft_store"):
            self.draft_store.close()
            self.inputs.close()
        super().close()

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:  # noqa: ANN401 - IPython's own signature
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        self.fallback_output.on_display()
        self._complete_output()
        texts = {"text/html": fallback_output.HTML, "text/plain": fallback_output.TEXT}
        data, metadata = bundle
        return {**data, **texts}, metadata

    def _complete_output(self) -> None:
        """Where a program executes the notebook, have the answers in it before the cell ends."""

        def wait() -> None:
            self.saved_answers.wait()
            self._ended.wait()

        def complete() -> None:
            self.saved_answers.keep_in_notebook_now()
            self.store_little()

        if unattended.is_unattended():
            unattended.at_cell_end(complete, wait)

    def _run_from_code(self, request: RunRequest) -> None:
        self.cell_execution = provenance.cell_execution() or self.cell_execution
        self._start_run(request)
        self._complete_output()

    def _start_run(self, request: RunRequest) -> None:
        self._check_idle()
        calls = self._calls_to_send(request)
        asked = {name: getattr(self, name) for name in FORM}
        with self.lock:  # not while planning: that may wait for the run log, and views must not
            self._check_idle()
            number = self.panel_runs.next_number()
            session = RunSession(number, calls, self._publish_soon)
            self._begin(session)
            self.panel_runs.begin(session, asked)
            self.saved_answers.on_run(calls)
            panes = session.answers.initial_states()
            number = self.panel_runs.display.number
            pinned = None if self.baseline is None else baseline.state_of(self)
            self.send({"type": "run", "run": number, "panes": panes, "baseline": pinned})
            session.start()

    def _check_idle(self) -> None:
        if self.running:
            raise InvalidParameterError("Still running. Stop all first.")

    def _calls_to_send(self, request: RunRequest) -> Sequence[form.PlannedCall]:
        try:
            self.inputs.prepare_run()
            return calls_to_send(request, self.form(), self.inputs.notebook())
        except ConfirmationNeeded:
            self.refresh_price()
            raise
        except LLMError as error:
            self.problem = str(error)
            raise

    def _set_price(self, price: dict[str, Any]) -> None:
        self.price = price

    def _begin(self, session: RunSession) -> None:
        self._sending = session
        self._ended.clear()
        self.problem, self.running = "", True

    def _end_if_complete(self, session: RunSession) -> None:
        with self.lock:  # a retry may begin meanwhile
            if self.running and session is self._sending and session.answers.ended():
                self.running = False
                self._ended.set()
                self.panel_runs.update()
                self._price_worker.on_calls_ended()
                self.saved_answers.keep_in_notebook()

    def _publish_soon(self, session: RunSession) -> None:
        self._on_widget_thread(self._publish, session)

    def _publish(self, session: RunSession) -> None:
        changes = session.answers.take_changes()
        if changes:  # else an earlier message contained them
            self._send_changes(session, changes)

    def _send_changes(self, session: RunSession, changes: Sequence[Mapping[str, Any]]) -> None:
        """Send changes to every playground that shows these answers, also those made again."""
        message = session.message(changes)
        for panel in list(_panels):
            display = panel.panel_runs.display
            if display.session is session:
                panel.send(message | {"run": display.number})
            panel._end_if_complete(session)

    def _send_snapshot(self, view: object = None) -> None:
        """Send everything to one view, or to all."""
        display = self.panel_runs.display
        changes, everything = display.session.answers.changes_and_snapshot()
        if changes:
            self._send_changes(display.session, changes)
        snapshot = {"type": "snapshot", "view": view, "run": display.number}
        snapshot["baseline"] = baseline.state_of(self)
        self.send(display.session.message(everything) | snapshot)

    def _on_message(self, _widget: object, content: Mapping[str, Any], buffers: object) -> None:
        """Pass a view's message on: it arrives on the main thread or that of a subshell."""
        self.fallback_output.on_view_message()
        # Before the handler, which runs later: changes of traits that follow are typed.
        self.draft_store.on_view_message()
        handler = _HANDLERS.get(content.get("type", ""))
        if handler is not None:
            with_buffers = {**content, "buffers": buffers} if buffers else content
            self._on_widget_thread(handler, self, with_buffers)

    def _on_widget_thread(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function on the thread that sends messages; an error is shown in the panel."""

        def guarded() -> None:
            try:
                function(*arguments)
            except Exception as error:
                _log.exception("An update of the playground failed")
                self._show_failure(error)
                self._end_if_complete(self._sending)

        _messages.submit(guarded)

    def _in_background(
        self, function: Callable[..., None], *arguments: object, on: ThreadPoolExecutor = _replies
    ) -> None:
        """Call a function that may take long; an error is shown in the panel."""

        def guarded() -> None:
            try:
                function(*arguments)
            except Exception as error:
                _log.exception("A request to the playground failed")
                self._on_widget_thread(self._show_failure, error)

        on.submit(guarded)

    def _show_failure(self, error: Exception) -> None:
        self.problem = f"Not everything could be shown ({type(error).__name__})."

    def _run_form(self, content: Mapping[str, Any]) -> None:
        """Run with the form in the message, as messages with changed traits may arrive later."""
        values = content.get("form", {})
        form = self.get_state(FORM)
        self.set_state({n: values[n] for n in FORM if n in values and values[n] != form[n]})
        try:
            self._start_run(RunRequest.from_view(content))
        except ConfirmationNeeded as confirmation:
            self.send(dict(confirmation.message))
        except LLMError:  # the panel shows it
            return

    def _on_retry(self, content: Mapping[str, Any]) -> None:
        """Call the model again for one answer, in its place."""
        number = content["number"]
        with self.lock:
            session = self.panel_runs.display.session
            try:
                if session.answers.is_open(number):
                    return
                if session is not self._sending:
                    self._check_idle()
                planned = session.prepare_retry(number, content.get("changes") or {})
                confirm_worst_case([planned.call.request], None, fresh=planned.call.fresh)
            except LLMError as error:
                self.problem = str(error)
                return
            self._begin(session)
            session.retry(number, planned)
            self.panel_runs.on_retry(session)
            self.saved_answers.on_run(session.calls)

    def _on_stop(self, content: Mapping[str, Any]) -> None:
        """Stop one of the answers that are shown, or all that are running."""
        number = content.get("number")
        session = self._sending if number is None else self.panel_runs.display.session
        session.stop(number)

    def _on_sync(self, content: Mapping[str, Any]) -> None:
        """Send everything to a view that was opened or reconnected."""
        provenance.see_front_end(str(content.get("frontEnd") or "a front end")[:60])
        self._price_worker.on_view_opened()
        self._send_snapshot(content.get("view"))

    def _reply(self, content: Mapping[str, Any]) -> None:
        self._on_widget_thread(self.send, reply(self, content))

    def _update_choices(self) -> None:
        from llm_playground.catalog import models  # reads the price list

        with self._choices_lock:  # so that an older list never replaces a newer one
            choices = models.choices()
            self.providers = controls.known_providers(choices)
            self.unusable = controls.unusable_providers(choices)
            self.choices = controls.model_choices(choices)


# The types of messages from views.
_HANDLERS: dict[str, Callable[[Playground, Mapping[str, Any]], None]] = {
    # Planning may wait for the run log, where presets are read and overrides recorded.
    "run": lambda panel, content: panel._in_background(panel._run_form, content, on=_run_starts),
    "stop": Playground._on_stop,
    "retry": Playground._on_retry,
    "retry_now": lambda panel, content: panel.panel_runs.display.session.retry_now(
        content["number"]
    ),
    "sync": Playground._on_sync,
    # May wait for a locked keyring.
    "choices": lambda panel, _content: panel._in_background(panel.refresh_models),
    "piece": lambda panel, content: panel.inputs.add_piece(content),
    "request": lambda panel, content: panel._in_background(panel._reply, content),
}
