"""Asking a model: from what a person gives to runs. The verbs ``ask``, ``complete``, ``stream``."""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_playground import (
    _ids,
    _loop,
    capabilities,
    config,
    footer,
    guard,
    limiter,
    misfit,
    provenance,
    providers,
    reuse,
    revision,
)
from llm_playground._signatures import with_arguments_of
from llm_playground.budgeting import check_worst_case, desk
from llm_playground.call import Call, Tally
from llm_playground.conversation import Turn, conversation, filled, value_hashes
from llm_playground.engine import Engine
from llm_playground.errors import (
    ConfigError,
    InvalidParameterError,
    LLMError,
    UnknownModelError,
)
from llm_playground.events import Preparing, Retrying, RunFinished, StreamEvent, Waiting
from llm_playground.parameters import check_iterations, check_names, parameters_from
from llm_playground.roles import Emit
from llm_playground.saved_prompt import Prompt
from llm_playground.schemas import SchemaWarning, schema_from
from llm_playground.template import names
from llm_playground.tools import tools_from
from llm_playground.types import Execution, Message, Request, Run, Stored


def asked(
    prompt: str | Prompt | None = None,
    model: str | None = None,
    *,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - what a picture may be is decided in images
    tools: Any = None,  # noqa: ANN401 - what a tool may be is decided in tools
    schema: Any = None,  # noqa: ANN401 - what a schema may be is decided in schemas
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    fresh: bool = False,
    override: str | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> Call:
    """What ``ask``, ``complete`` and ``stream`` take, as the one call they make.

    Args:
        prompt: What to ask. Sent byte for byte unless ``variables`` is given. A saved prompt brings
            its system prompt, earlier turns, parameters and model; what is said beside it wins.
        model: ``"local"``, a bare name, or ``"provider:name"``; None is the default model.
        system: The system prompt.
        messages: Earlier turns, before ``prompt``: ``{"role": ..., "content": ...}``, where the
            content is text or a list of parts.
        images: A picture or a list of them, sent before the prompt's text: whatever
            :func:`llm_playground.image` takes.
        tools: Functions the model may ask for. It only asks: its calls are ``run.tool_calls``;
            :func:`llm_playground.ask_with_tools` also makes them.
        schema: The shape the answer must have: a pydantic model, a dataclass, a TypedDict, a type
            such as ``list[str]``, or a JSON schema. The answer in it is ``run.data``; where it
            has another shape ``run.data_error`` says why, and so does a ``SchemaWarning``.
        preset: ``precise``, ``balanced`` or ``creative``.
        variables: Values for ``{{name}}`` in the prompts.
        fresh: Send it whatever is stored, in every mode.
        override: Why it is to be sent whatever budgets and ``confirm_above_usd`` say; the reason is
            noted in the audit log.
        tags: Labels to find the run by.
        **parameters: ``temperature``, ``top_p``, ``max_tokens``, ...; what is not set is not sent.
    """
    check_names(parameters, asked)
    [call] = plan(
        prompt,
        [model],
        system=system,
        messages=messages,
        images=images,
        tools=tools,
        schema=schema,
        preset=preset,
        parameters=parameters,
        variables=variables,
        fresh=fresh,
        override=override,
        tags=tags,
    )
    check_worst_case([call.request], override)
    return call


@with_arguments_of(asked)
def ask(call: Call) -> Run:
    """Ask a model and wait for the answer. Works in scripts and in cells.

    Returns:
        The run: ``print(run)`` shows the text, ``run.usage``, ``run.cost_usd``, ...

    Raises:
        LLMError: Whatever went wrong, as one line; ``error.run`` is the logged run,
            None where nothing was sent.

    Example:
        >>> import llm_playground as lp
        >>> lp.ask("Say hello.", max_tokens=16).status
        'completed'
    """
    return told_of_data(raised(_loop.run(send(call, tell_progress))))


@with_arguments_of(asked)
async def complete(call: Call) -> Run:
    """As :func:`ask`, for ``await``: many can be under way at once.

    Cancelling the awaiting task closes the connection and logs the partial text as ``cancelled``.

    Raises:
        LLMError: Whatever went wrong; ``error.run`` is the logged run.
    """
    return told_of_data(raised(await _loop.bridge(send(call, tell_progress))))


@with_arguments_of(asked)
async def stream(call: Call) -> AsyncGenerator[StreamEvent, None]:
    """Ask a model and yield its events as they come: deltas, then one ``RunFinished``.

    Leaving the loop early closes the connection; the run is logged as ``cancelled``.
    A failed run is data: look at ``event.run.status`` and ``event.run.error``.

    Raises:
        ConfigError: The request cannot be sent as it stands.

    Example::

        async for event in lp.stream("Tell me a story."):
            match event:
                case lp.TextDelta(text): print(text, end="")
                case lp.RunFinished(run): print(run.usage)
    """
    events: _loop.Handover[StreamEvent | None] = _loop.Handover()
    future = _loop.submit(send(call, events.put))
    future.add_done_callback(lambda _: events.put(None))
    try:
        while (event := await events.get()) is not None:
            if isinstance(event, RunFinished) and isinstance(event.run.error, ConfigError):
                raise event.run.error
            yield event
        future.result()  # what went wrong before there could be a run, such as an unusable log
    finally:
        future.cancel()


def plan(
    prompt: str | Prompt | None,
    models: Sequence[str | None],
    *,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - as in asked
    tools: Any = None,  # noqa: ANN401 - as in asked
    schema: Any = None,  # noqa: ANN401 - as in asked
    preset: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    iterations: int = 1,
    variables: Mapping[str, object] | None = None,
    fresh: bool = False,
    override: str | None = None,
    source: str = "api",
    tags: Iterable[str] = (),
) -> tuple[Call, ...]:
    """Check everything and say which runs are to be made; nothing is sent.

    Returns:
        ``len(models) * iterations`` calls, grouped by model.

    Raises:
        ConfigError: Something cannot be sent as it stands; one line says what.
    """
    iterations = check_iterations(iterations)
    if isinstance(prompt, Prompt):
        models = [prompt.model if model is None else model for model in models]
        system = prompt.system if system is None else system
        messages = [*prompt.earlier, *(messages or ())]
        parameters = prompt.parameters_beside(preset, parameters)
        prompt = prompt.question
    written = conversation(prompt, system=system, messages=messages, images=images)
    turns = written if variables is None else filled(written, variables)
    chosen = parameters_from(parameters or {}, preset)
    _check_extra(chosen.extra)
    _check_override(override)
    offered = tools_from(tools)
    shape = None if schema is None else schema_from(schema)
    origin = _origin(source, _labels(tags), value_hashes(written, variables or {}))
    calls: list[Call] = []
    for model in models:
        resolved = resolve_model(config.default_model() if model is None else model)
        config.check_allowed(resolved)
        capabilities.check_parameters(resolved, chosen)
        endpoint = config.base_url(resolved.partition(":")[0])
        request = Request(resolved, turns, chosen, offered, shape, endpoint)
        if not calls:  # what they hold is the same for all models
            guard.check(request, _used(written, variables or {}))
        made = _calls_of(request, replace(origin, iterations=iterations))
        calls += [replace(call, fresh=fresh, override=override) for call in made]
    return tuple(calls)


def next_call(call: Call, messages: tuple[Message, ...]) -> Call:
    """The call that goes on with a conversation: the same request with more messages.

    Raises:
        ConfigError: What was added, such as a tool's result, must not be sent.
    """
    request = replace(call.request, messages=messages)
    guard.check(replace(request, messages=messages[len(call.request.messages) :]))
    execution = replace(
        call.execution,
        id=_ids.new_id(),
        prompt_id=_ids.id_from_hash(request.prompt_hash()),
        started_at=datetime.now(UTC),
    )
    return replace(call, run_id=_ids.new_id(), request=request, execution=execution, tally=Tally(1))


def again(call: Call, changes: Mapping[str, Any]) -> Call:
    """The call that makes a run once more, whatever is stored, as an execution of its own.

    Args:
        call: What was sent.
        changes: Parameters that are different this time, by name.

    Raises:
        InvalidParameterError: A parameter cannot be sent as it stands.
    """
    chosen = parameters_from({**call.request.parameters.as_dict(), **changes}, None)
    _check_extra(chosen.extra)
    capabilities.check_parameters(call.request.model, chosen)
    request = replace(call.request, parameters=chosen)
    origin = replace(call.execution, iterations=1, started_at=datetime.now(UTC))
    [made] = _calls_of(request, origin)
    return replace(made, fresh=True, override=call.override)


async def send(call: Call, emit: Emit) -> Run:
    """Make one run on the background loop; see :meth:`llm_playground.engine.Engine.execute`."""
    from llm_playground.runlog import open_log  # first use, not import

    log = open_log()
    budgets = desk(log)
    budgets.known.look_ahead()
    engine = Engine(
        providers.connect, limiter, log, config.timeouts(), config.retry_policy(), budgets
    )
    if config.mode() == "live" or call.fresh:
        reuse.note(call.request)
        return await engine.execute(call, emit)
    try:
        found = await reuse.stored_or_sent(
            call.request,
            call.execution,
            call.iteration_number,
            lambda: engine.execute(call, emit),
        )
    except LLMError as error:
        return engine.refuse(call, error, emit)
    return engine.repeat(call, found, emit) if isinstance(found, Stored) else found


def resolve_model(name: str) -> str:
    """As :func:`llm_playground.capabilities.resolve_model`, with close matches from the catalog.

    Raises:
        UnknownModelError: No provider is known for it.
    """
    with suppress(UnknownModelError):
        return capabilities.resolve_model(name)
    from llm_playground import catalog  # only where it has to suggest

    try:
        return capabilities.resolve_model(name, catalog.known_models())
    except UnknownModelError as error:
        raise UnknownModelError(f"{_origin_of(name)}{error}") from None


def _origin_of(name: str) -> str:
    """The variable that names a model, as the start of a message; empty when none does."""
    variable = "LLM_PLAYGROUND_MODEL"
    return f"{variable} is {name!r}. " if config.read(variable) == name else ""


def _used(written: Iterable[Message], variables: Mapping[str, object]) -> dict[str, object]:
    """The variables that a prompt asks for."""
    asked = (name for turn in written for name in names(turn.text))
    return {name: variables[name] for name in asked if name in variables}


def _check_extra(extra: Mapping[str, Any]) -> None:
    """Refuse what cannot be sent, before a row says that it was."""
    for name, value in extra.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(
                f"extra[{name!r}] cannot be sent as JSON: {misfit.shown(str(error), 120)}."
            ) from None


def _check_override(override: object) -> None:
    if override is not None and not (isinstance(override, str) and override.strip()):
        raise InvalidParameterError(
            f"override takes the reason as text; got {misfit.got(override)}."
        )


def _labels(tags: Iterable[str]) -> tuple[str, ...]:
    labels = (tags,) if isinstance(tags, str) else tags
    if isinstance(labels, Iterable):
        labels = tuple(labels)
        if all(isinstance(label, str) for label in labels):
            return labels
    raise InvalidParameterError(f"tags takes a text or a list of texts; got {misfit.got(tags)}.")


def _origin(source: str, tags: tuple[str, ...], variables: Mapping[str, str]) -> Execution:
    """Where executions come from that are planned now; what each sends is not in it yet."""
    code = revision.revision()
    return Execution(
        id="",
        prompt_id="",
        iterations=1,
        source=source,
        username=provenance.username(),
        started_at=datetime.now(UTC),
        notebook=provenance.notebook(),
        cell_id=provenance.cell_id(),
        git_commit=code.commit,
        git_dirty=code.dirty,
        variables=variables,
        tags=tags,
        process=provenance.process(),
    )


def _calls_of(request: Request, origin: Execution) -> list[Call]:
    execution = replace(
        origin, id=_ids.new_id(), prompt_id=_ids.id_from_hash(request.prompt_hash())
    )
    tally = Tally(execution.iterations)
    return [
        Call(_ids.new_id(), request, execution, number, tally)
        for number in range(1, execution.iterations + 1)
    ]


def raised(run: Run) -> Run:
    """The run, or its error at the edge."""
    if run.error is not None:
        raise run.error
    return run


def told_of_data(run: Run) -> Run:
    """The run; a warning where its answer is in another shape, for who reads ``data`` alone."""
    if run.data_error is not None:
        user = 4  # frames up: this function, the verb, what gives it its arguments, the user's line
        warnings.warn(f"run.data is None. {run.data_error}", SchemaWarning, stacklevel=user)
    return run


def tell_progress(event: StreamEvent) -> None:
    """Where nobody draws a pane: what takes long, on stderr; a bar is one line, written over."""
    match event:
        case Preparing(message, fraction) if fraction is not None:
            end = "\n" if fraction >= 1 else ""
            sys.stderr.write(f"\r{message:<70} {fraction:>4.0%}{end}")
        case Waiting(reason):
            sys.stderr.write(f"{reason}\n")
        case Retrying(wait_s=wait_s) if wait_s >= 1:
            sys.stderr.write(f"{footer.retrying(event)}\n")
        case _:
            return
    sys.stderr.flush()
