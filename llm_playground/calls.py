"""Asking a model: from what a person gives to runs. The verbs ``ask``, ``complete``, ``stream``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, cast, get_args

from llm_playground import _ids, _loop, capabilities, config, limiter, provenance, providers
from llm_playground.engine import Call, Emit, Engine, Tally
from llm_playground.errors import ConfigError, InvalidParameterError, UnknownModelError
from llm_playground.parameters import check_iterations, parameters_from
from llm_playground.template import fill
from llm_playground.types import (
    Execution,
    Message,
    Parameters,
    Preparing,
    Request,
    Role,
    Run,
    RunFinished,
    StreamEvent,
    TextPart,
)

Turn = Message | Mapping[str, str]


def ask(
    prompt: str | None = None,
    model: str | None = None,
    *,
    system: str | None = None,
    messages: Sequence[Turn] | None = None,
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> Run:
    """Ask a model and wait for the answer. Works in scripts and in cells.

    Args:
        prompt: What to ask. Sent byte for byte unless ``variables`` is given.
        model: ``"local"``, a bare name, or ``"provider:name"``; None is the default model.
        system: The system prompt.
        messages: Earlier turns, before ``prompt``: ``{"role": ..., "content": ...}``.
        preset: ``precise``, ``balanced`` or ``creative``.
        variables: Values for ``{{name}}`` in the prompts.
        tags: Labels to find the run by.
        **parameters: ``temperature``, ``top_p``, ``max_tokens``, ...; what is not set is not sent.

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
    [call] = plan(
        prompt,
        [model],
        system=system,
        messages=messages,
        preset=preset,
        parameters=parameters,
        variables=variables,
        tags=tags,
    )
    return _raised(_loop.run(send(call, _tell_progress)))


async def complete(
    prompt: str | None = None,
    model: str | None = None,
    *,
    system: str | None = None,
    messages: Sequence[Turn] | None = None,
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> Run:
    """As :func:`ask`, for ``await``: many can be under way at once.

    Cancelling the awaiting task closes the connection and logs the partial text as ``cancelled``.

    Raises:
        LLMError: Whatever went wrong; ``error.run`` is the logged run.
    """
    [call] = plan(
        prompt,
        [model],
        system=system,
        messages=messages,
        preset=preset,
        parameters=parameters,
        variables=variables,
        tags=tags,
    )
    return _raised(await _loop.bridge(send(call, _tell_progress)))


async def stream(
    prompt: str | None = None,
    model: str | None = None,
    *,
    system: str | None = None,
    messages: Sequence[Turn] | None = None,
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> AsyncGenerator[StreamEvent, None]:
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
    [call] = plan(
        prompt,
        [model],
        system=system,
        messages=messages,
        preset=preset,
        parameters=parameters,
        variables=variables,
        tags=tags,
    )
    here = asyncio.get_running_loop()
    events: asyncio.Queue[StreamEvent | None] = asyncio.Queue()

    def hand_over(event: StreamEvent | None) -> None:
        with suppress(RuntimeError):  # that loop is closed: nobody listens any more
            here.call_soon_threadsafe(events.put_nowait, event)

    future = _loop.submit(send(call, hand_over))
    future.add_done_callback(lambda _: hand_over(None))
    try:
        while (event := await events.get()) is not None:
            if isinstance(event, RunFinished) and isinstance(event.run.error, ConfigError):
                raise event.run.error
            yield event
        future.result()  # what went wrong before there could be a run, such as an unusable log
    finally:
        future.cancel()


def plan(
    prompt: str | None,
    models: Sequence[str | None],
    *,
    system: str | None = None,
    messages: Sequence[Turn] | None = None,
    preset: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    iterations: int = 1,
    variables: Mapping[str, object] | None = None,
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
    turns = _conversation(prompt, system, messages, variables)
    chosen = parameters_from(parameters or {}, preset)
    labels = (tags,) if isinstance(tags, str) else tuple(tags)
    requests = [
        _request(resolve_model(model or config.default_model()), turns, chosen) for model in models
    ]
    return tuple(
        call for request in requests for call in _calls_of(request, iterations, source, labels)
    )


async def send(call: Call, emit: Emit) -> Run:
    """Make one run on the background loop; see :meth:`llm_playground.engine.Engine.execute`."""
    from llm_playground.runlog import open_log  # first use, not import

    engine = Engine(
        providers.connect, limiter, open_log(), config.timeouts(), config.retry_policy()
    )
    return await engine.execute(call, emit)


def resolve_model(name: str) -> str:
    """As :func:`llm_playground.capabilities.resolve_model`, with close matches from the catalog.

    Raises:
        UnknownModelError: No provider is known for it.
    """
    try:
        return capabilities.resolve_model(name)
    except UnknownModelError:
        from llm_playground import catalog  # only where it has to suggest

        return capabilities.resolve_model(name, catalog.known_models())


def _request(model: str, turns: tuple[Message, ...], parameters: Parameters) -> Request:
    capabilities.check_parameters(model, parameters)
    return Request(model, turns, parameters)


def _calls_of(request: Request, iterations: int, source: str, tags: tuple[str, ...]) -> list[Call]:
    execution = Execution(
        id=_ids.new_id(),
        prompt_id=_ids.id_from_hash(request.prompt_hash()),
        iterations=iterations,
        source=source,
        username=provenance.username(),
        started_at=datetime.now(UTC),
        notebook=provenance.notebook(),
        cell_id=provenance.cell_id(),
        tags=tags,
    )
    tally = Tally(iterations)
    return [
        Call(_ids.new_id(), request, execution, number, tally)
        for number in range(1, iterations + 1)
    ]


def _conversation(
    prompt: str | None,
    system: str | None,
    messages: Sequence[Turn] | None,
    variables: Mapping[str, object] | None,
) -> tuple[Message, ...]:
    turns = [] if system is None else [_message("system", system)]
    turns = [turn for turn in turns if turn.text.strip()]
    turns += [_turn(message) for message in messages or ()]
    if prompt is not None:
        turns.append(_message("user", prompt))
    if not any(turn.role == "user" and turn.text.strip() for turn in turns):
        raise InvalidParameterError("The prompt is empty. Write what you want to ask.")
    if variables is None:
        return tuple(turns)
    return tuple(_message(turn.role, fill(turn.text, variables)) for turn in turns)


def _turn(turn: Turn) -> Message:
    if isinstance(turn, Message):
        return turn
    fields = turn if isinstance(turn, Mapping) else {}
    role, content = fields.get("role"), fields.get("content")
    if role not in get_args(Role) or not isinstance(content, str):
        raise InvalidParameterError(
            'A message is {"role": "system" | "user" | "assistant", "content": "text"}; '
            f"got {turn!r}."
        )
    return _message(cast("Role", role), content)


def _message(role: Role, text: str) -> Message:
    if not isinstance(text, str):
        raise InvalidParameterError(f"A prompt is text; got {type(text).__name__}.")
    # A lone surrogate (a broken paste) cannot be sent as UTF-8 by anyone.
    return Message(role, (TextPart(text.encode("utf-8", "replace").decode("utf-8")),))


def _raised(run: Run) -> Run:
    """The run, or its error at the edge."""
    if run.error is not None:
        raise run.error
    return run


def _tell_progress(event: StreamEvent) -> None:
    """Where nobody draws a bar: one line on stderr that is written over."""
    if isinstance(event, Preparing) and event.fraction is not None:
        end = "\n" if event.fraction >= 1 else ""
        sys.stderr.write(f"\r{event.message:<70} {event.fraction:>4.0%}{end}")
        sys.stderr.flush()
