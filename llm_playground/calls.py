"""The public functions ``ask``, ``complete`` and ``stream``.

What a caller asks for is collected in a :class:`CallOptions`, which checks it and plans the calls.
:func:`send` makes one call on the background loop.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any, cast

from llm_playground import _validation, config, ids, progress, provenance, providers
from llm_playground._validation import with_signature_of
from llm_playground.budgeting import confirm_worst_case
from llm_playground.budgeting.enforcer import enforcer
from llm_playground.catalog import capabilities, file_inputs
from llm_playground.errors import InvalidParameterError, LLMError, UnknownModelError
from llm_playground.event_stream import Stream
from llm_playground.execution import Call, Emit, Engine, Tally
from llm_playground.inputs import Case
from llm_playground.providers import wire_formats
from llm_playground.redaction import printable
from llm_playground.request import secret_guard, templates
from llm_playground.request.messages import Turn, checked_messages, conversation
from llm_playground.request.parameters import (
    check_iterations,
    parameters_from,
    set_parameters,
    unknown_name,
)
from llm_playground.request.prompts import Prompt
from llm_playground.request.schemas import SchemaWarning, schema_from
from llm_playground.request.secret_guard import Written
from llm_playground.request.tables import inputs_of
from llm_playground.request.tools import tools_from
from llm_playground.types import (
    CellExecution,
    Execution,
    Message,
    Request,
    Run,
    ToolExecution,
    ToolUse,
)


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What a caller asks for, for one or several calls; the fields are as for ``ask``."""

    prompt: str | Prompt | None
    models: Sequence[str | None]  # None is the default model
    system: str | None = None
    messages: Iterable[Turn] | None = None
    images: Any = None
    files: Any = None
    tools: Any = None
    schema: Any = None
    preset: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    iterations: int = 1  # calls for each model
    variables: Mapping[str, object] | None = None
    headers: Mapping[str, str] | None = None
    fresh: bool = False
    override: str | None = None
    source: str = "api"  # what makes the calls: "api", "magic" or "widget"
    tags: Iterable[str] = ()
    cell_id: str | None = None  # of the panel's cell; None is the cell that is being executed
    cell_execution: CellExecution | None = None  # of the panel; None is the present one
    case: Case | None = None  # the row of a table that ``variables`` come from

    @classmethod
    def of(cls, arguments: Mapping[str, Any]) -> CallOptions:
        """The options in the ``locals()`` of a function with the arguments of ``ask``.

        The arguments have the names of the fields; only ``model`` becomes ``models``. Another
        name raises TypeError, so that no argument is left out unnoticed.
        """
        options = dict(arguments)
        parameters = set_parameters(options)
        return cls(models=[options.pop("model")], parameters=parameters, **options)

    def plan(self) -> tuple[Call, ...]:
        """Check everything and plan ``len(models) * iterations`` calls, grouped by model.

        Raises:
            ConfigError: Something cannot be sent; the message is one line.
        """
        if isinstance(self.prompt, Prompt):
            return self._with_prompt(self.prompt).plan()
        iterations = check_iterations(self.iterations)
        messages, texts = self._messages_and_values()
        own = {} if self.headers is None else {"headers": self.headers}
        parameters = parameters_from({**self.parameters, **own}, self.preset)
        _check_override(self.override)
        tools = () if self.tools is None else tools_from(self.tools)
        schema = None if self.schema is None else schema_from(self.schema)
        execution = _execution(
            iterations, self.source, _tags(self.tags), templates.hashes_of(texts)
        )
        if texts or self.case is not None:
            plain = {name: str(text) for name, text in texts.items()}  # without their values
            inputs = inputs_of(self.case, plain, self.prompt, self.system)
            execution = replace(execution, inputs=inputs)
        if self.cell_id is not None:
            execution = replace(execution, cell_id=self.cell_id)
        if self.cell_execution is not None:
            execution = replace(execution, cell_execution=self.cell_execution)
        calls: list[Call] = []
        for name in self.models:
            model = resolve_model(config.default_model() if name is None else name)
            request = Request(model, messages, parameters, tools, schema)
            request = wire_formats.at_endpoint(request)
            # The texts are the same for all models, and a warning comes once.
            searched = Request(model, ()) if calls else request
            _check(request, searched, texts)
            calls += _calls(request, execution, fresh=self.fresh, override=self.override)
        return tuple(calls)

    def plan_one(self) -> Call:
        """The only planned call; BudgetExceededError if it could exceed ``confirm_above_usd``."""
        [call] = self.plan()
        confirm_worst_case([call.request], self.override, fresh=self.fresh)
        return call

    def _messages_and_values(self) -> tuple[tuple[Message, ...], dict[str, Written]]:
        """The messages to send, and the texts of the values that were filled in, by name."""
        earlier = self.messages
        if self.variables is not None:
            earlier = map(templates.as_template, checked_messages(earlier))
        messages = conversation(
            cast("str | None", self.prompt),  # saved prompts have been taken apart
            system=self.system,
            messages=earlier,
            images=self.images,
            files=self.files,
        )
        if self.variables is None:
            return messages, {}
        source = templates.SOURCES[self.source]
        texts = templates.values_of(messages, self.variables, source)
        return templates.filled(messages, texts, source), texts

    def _with_prompt(self, saved: Prompt) -> CallOptions:
        """These options, completed by those of a saved prompt, which is a template."""
        return replace(
            self,
            prompt=saved.question,
            models=[saved.model if model is None else model for model in self.models],
            system=saved.system if self.system is None else self.system,
            messages=[*saved.earlier, *(self.messages or ())],
            parameters=saved.parameters_beside(self.preset, self.parameters),
            variables={} if self.variables is None else self.variables,
        )


def options_from_arguments(
    prompt: str | Prompt | None = None,
    model: str | None = None,
    *,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - the accepted types are listed in images
    files: Any = None,  # noqa: ANN401 - the accepted types are listed in files
    tools: Any = None,  # noqa: ANN401 - the accepted types are listed in tools
    schema: Any = None,  # noqa: ANN401 - the accepted types are listed in schemas
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
    fresh: bool = False,
    override: str | None = None,
    tags: Iterable[str] = (),
    temperature: float | None = None,
    top_p: float | None = None,
    top_k: int | None = None,
    max_tokens: int | None = None,
    stop: str | Sequence[str] | None = None,
    seed: int | None = None,
    presence_penalty: float | None = None,
    frequency_penalty: float | None = None,
    reasoning_effort: str | None = None,
    logprobs: int | None = None,
    extra: Mapping[str, Any] | None = None,
) -> CallOptions:
    r"""What ``ask``, ``complete``, ``stream`` and ``dry_run`` are asked for by their arguments.

    Args:
        prompt: The user prompt. It is sent byte for byte unless ``variables`` is given. A saved
            prompt brings its system prompt, earlier turns, parameters and model; other arguments
            take precedence over them. Its ``{{name}}`` are variables in any case.
        model: ``"local"``, a bare name, or ``"provider:name"``; None is the default model.
        system: The system prompt.
        messages: Earlier turns, before ``prompt``: ``{"role": ..., "content": ...}``, where the
            content is text or a list of parts.
        images: An image or a list of images, sent before the text of the prompt: whatever
            :func:`llm_playground.image` takes.
        files: A document or recording or a list of these, sent after the images: whatever
            :func:`llm_playground.file` takes.
        tools: Functions the model may ask for. They are not called: the model's requests are in
            ``run.tool_calls``. :func:`llm_playground.ask_with_tools` calls them.
        schema: The type of the answer: a pydantic model, a dataclass, a TypedDict, a type such as
            ``list[str]``, or a JSON schema. The parsed answer is ``run.data``. If it does not fit,
            ``run.data_error`` and a ``SchemaWarning`` say why.
        preset: ``precise``, ``balanced`` or ``creative``.
        variables: Values for ``{{name}}`` in the prompts; tables are sent whole, as CSV. With
            variables, ``\\{{name}}`` is sent as ``{{name}}``.
        headers: HTTP headers of the request, such as beta flags:
            ``{"anthropic-beta": "files-api-2025-04-14"}``. They are logged, so none is a key:
            ``lp.configure(endpoints=...)`` sets such headers.
        fresh: Send the request even if an answer to it is stored, in every mode.
        override: Why the call is sent even if it exceeds budgets or ``confirm_above_usd``; the
            reason is written to the audit log.
        tags: Labels to find the run by.
        temperature: How varied the answers are; parameters that are not set are not sent.
        top_p: The share of likely tokens to choose from.
        top_k: The number of likely tokens to choose from.
        max_tokens: The longest answer, in tokens.
        stop: Texts that end the answer.
        seed: For answers that can be repeated, where the model supports it.
        presence_penalty: Against repeated subjects.
        frequency_penalty: Against repeated words.
        reasoning_effort: A word such as ``low``.
        logprobs: Alternatives per token in ``run.logprobs``; 0 for the token alone.
        extra: Further fields of the request's body.
    """
    return CallOptions.of(locals())


@with_signature_of(options_from_arguments, unknown_name)
def ask(options: CallOptions) -> Run:
    """Ask a model and wait for the answer. Works in scripts and in cells.

    Returns:
        The run: ``print(run)`` shows the text, ``run.usage``, ``run.cost_usd``, ...

    Raises:
        LLMError: The call failed. ``error.run`` is the logged run, None if nothing was sent.

    Example:
        >>> import llm_playground as lp
        >>> lp.ask("Say hello.", max_tokens=16).status
        'completed'
    """
    return warn_about_data(raise_for_error(wait_for(options.plan_one())))


@with_signature_of(options_from_arguments, unknown_name)
async def complete(options: CallOptions) -> Run:
    """Ask a model like :func:`ask`, for ``await``: many calls can run at once.

    Cancelling the awaiting task closes the connection and logs the partial text as ``cancelled``.

    Raises:
        LLMError: The call failed. ``error.run`` is the logged run, None if nothing was sent.
    """
    return warn_about_data(raise_for_error(await awaited(options.plan_one())))


@with_signature_of(options_from_arguments, unknown_name)
def stream(options: CallOptions) -> Stream:
    """Ask a model and iterate over the events of the answer: deltas, then one ``RunFinished``.

    ``async for`` and ``for`` read them. Leaving the loop closes the connection at once, and the run
    is logged as ``cancelled``; ``async with`` or ``with`` around it also waits for that. A failed
    run does not raise: see ``event.run.status`` and ``event.run.error``.

    Raises:
        ConfigError: The request cannot be sent.
        BudgetExceededError: It could cost more than ``confirm_above_usd``.

    Example::

        async with lp.stream("Tell me a story.") as events:
            async for event in events:
                match event:
                    case lp.TextDelta(text): print(text, end="")
                    case lp.RunFinished(run): print(run.usage)
    """
    call = options.plan_one()
    return Stream(partial(send, call), call.run_id)


def next_call(
    call: Call,
    messages: tuple[Message, ...],
    runs: Iterable[Run],
    tools: Iterable[ToolExecution | None] = (),
) -> Call:
    """The call that continues a conversation after its ``runs`` and the calls of ``tools``.

    Raises:
        ConfigError: It must not be sent.
        BudgetExceededError: With the runs, it could cost more than ``confirm_above_usd``.
    """
    request = replace(call.request, messages=messages)
    _check(request, replace(request, messages=messages[len(call.request.messages) :]), {})
    spent_usd = sum((run.cost_usd or Decimal(0) for run in runs), Decimal(0))
    confirm_worst_case([request], call.override, spent_usd, fresh=call.fresh)
    loop = ToolUse((call.execution.tool_use or call.execution).started_at, tuple(tools))
    execution = _now(call.execution, loop)
    [following] = _calls(request, execution, fresh=call.fresh, override=call.override)
    return following


def repeated_call(call: Call, changes: Mapping[str, Any]) -> Call:
    """The call that repeats another one with changed parameters, as a new execution.

    Every mode but ``replay`` sends it.

    Raises:
        ConfigError: It must not be sent, or a parameter cannot be.
    """
    parameters = parameters_from({**call.request.parameters.as_dict(), **changes}, None)
    request = replace(call.request, parameters=parameters)
    _check(request, request, {})
    is_fresh = config.mode() != "replay"
    [repeated] = _calls(request, _now(call.execution), fresh=is_fresh, override=call.override)
    return repeated


async def send(call: Call, emit: Emit) -> Run:
    """Make one run on the background loop; see :meth:`llm_playground.execution.Engine.execute`."""
    from llm_playground.runlog import open_log  # first use, not import

    log = open_log()
    budgets = enforcer(log)
    budgets.cache.prefetch()
    own, mode = config.settings(), config.mode()
    engine = Engine(providers.connect, log, own.timeouts, own.retry, budgets)
    if mode == "live":
        return await engine.execute(call, emit)
    return await _sent_or_repeated(engine, call, emit, mode)


async def _sent_or_repeated(engine: Engine, call: Call, emit: Emit, mode: str) -> Run:
    """Make one run in a mode that records, or that looks for a stored answer first."""
    from llm_playground import recording  # seldom needed

    place = call.request, call.execution, call.iteration_number
    try:
        if mode == "record":
            return await recording.recorded(*place, emit, partial(engine.execute, call))
        if call.fresh:
            recording.count_fresh(*place)
            return await engine.execute(call, emit)
        found = await recording.stored_or_sent(*place, partial(engine.execute, call, emit))
    except LLMError as error:
        return engine.refuse(call, error, emit)
    if isinstance(found, Run):
        return found
    timed = config.settings().replay_timing and mode == "replay"
    return await engine.repeat(call, found.run, emit, timed=timed)


def wait_for(call: Call) -> Run:
    """Make one call from synchronous code, with a line of progress."""
    return progress.run(1, lambda take: send(call, partial(take, call.run_id)))


async def awaited(call: Call) -> Run:
    """Make one call from any loop, with a line of progress."""
    return await progress.bridge(1, lambda take: send(call, partial(take, call.run_id)))


def resolve_model(name: str) -> str:
    """``provider:name`` for a model's name; UnknownModelError suggests names of the live lists."""
    with suppress(UnknownModelError):
        return capabilities.resolve_model(name)
    from llm_playground.catalog import models  # only needed for suggestions

    try:
        return capabilities.resolve_model(name, models.known_models())
    except UnknownModelError as error:
        variable = "LLM_PLAYGROUND_MODEL"
        origin = f"{variable} is {name!r}. " if config.read(variable) == name else ""
        raise UnknownModelError(f"{origin}{error}") from None


def raise_for_error(run: Run) -> Run:
    """The run; raises its error if it has one."""
    if run.error is not None:
        raise run.error
    return run


def warn_about_data(run: Run) -> Run:
    """The run; warns callers who only use ``run.data`` if the answer does not fit the schema."""
    if run.data_error is not None:
        user = 4  # frames up: this function, the verb, with_signature_of, the user's line
        message = f"run.data is None. {printable(run.data_error)}"
        if provenance.in_kernel():  # whose cells have names with the number of its process
            warnings.warn_explicit(message, SchemaWarning, "llm_playground", 1)
        else:
            warnings.warn(message, SchemaWarning, stacklevel=user)
    return run


def _check(request: Request, searched: Request, variables: Mapping[str, object]) -> None:
    """Check that a request may be sent; the guard reads only ``searched``, a part of it.

    Raises:
        ConfigError: It must not be sent, or cannot be.
    """
    config.check_allowed(request.model)
    row = config.rows().get(request.provider)
    headers = {**(row.headers if row else {}), **request.parameters.headers}
    if headers:
        config.policy().check_headers(headers)
    capabilities.check_parameters(request.model, request.parameters)
    if request.images:
        capabilities.check_vision(request.model)
    if request.files:
        file_inputs.check(request)
    wire_formats.check(request)
    secret_guard.check(searched, variables)


def _check_override(override: object) -> None:
    if override is not None and not (isinstance(override, str) and override.strip()):
        raise InvalidParameterError(
            f"override takes the reason as text; got {_validation.short_repr(override)}."
        )


def _tags(tags: Iterable[str]) -> tuple[str, ...]:
    labels = (tags,) if isinstance(tags, str) else tags
    if isinstance(labels, Iterable):
        labels = tuple(labels)
        if all(isinstance(label, str) for label in labels):
            return labels
    raise InvalidParameterError(
        f"tags takes a text or a list of texts; got {_validation.short_repr(tags)}."
    )


def _execution(
    iterations: int, source: str, tags: tuple[str, ...], variables: Mapping[str, str]
) -> Execution:
    """An execution that starts now, from this place; ids are set for each request."""
    return Execution(
        id="",
        prompt_id="",
        iterations=iterations,
        source=source,
        username=provenance.username(),
        started_at=datetime.now(UTC),
        notebook=provenance.notebook(),
        cell_id=provenance.cell_id(),
        git_commit=provenance.commit(),
        variables=variables,
        tags=tags,
        process=provenance.process(),
        cell_execution=provenance.cell_execution(),
    )


def _now(execution: Execution, tool_use: ToolUse | None = None) -> Execution:
    """An execution of one call from the same place that starts now."""
    return replace(execution, iterations=1, started_at=datetime.now(UTC), tool_use=tool_use)


def started_together(calls: Iterable[Call]) -> tuple[Call, ...]:
    """The calls with the start of the first one, by which reports group them."""
    planned = tuple(calls)
    return tuple(
        replace(one, execution=replace(one.execution, started_at=planned[0].execution.started_at))
        for one in planned
    )


def _calls(
    request: Request, execution: Execution, *, fresh: bool, override: str | None
) -> list[Call]:
    """The calls of one execution, which gets new ids."""
    prompt_id = ids.id_from_hash(request.prompt_hash())
    execution = replace(execution, id=ids.new_id(), prompt_id=prompt_id)
    tally = Tally(execution.iterations)
    return [
        Call(ids.new_id(), request, execution, number, tally, fresh, override)
        for number in range(1, execution.iterations + 1)
    ]
