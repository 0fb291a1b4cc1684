"""Tools in use: ask, make the calls the model asks for, tell it what came, until it answers."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Any, TypeVar, cast

from llm_playground import _loop, answers, misfit
from llm_playground._signatures import with_arguments_of
from llm_playground.call import Call
from llm_playground.calls import asked, next_call, raised, send, tell_progress, told_of_data
from llm_playground.conversation import Turn
from llm_playground.errors import InvalidParameterError
from llm_playground.events import Finish, StreamEvent
from llm_playground.parameters import check_names
from llm_playground.roles import Emit
from llm_playground.toolcalls import problem_of, results_of
from llm_playground.types import (
    Message,
    Part,
    ReasoningPart,
    Run,
    Status,
    TextPart,
    Tool,
    ToolCall,
    ToolResult,
)

T = TypeVar("T")
Confirm = Callable[[ToolCall], bool | Awaitable[bool]]
Step = tuple[ToolCall, ToolResult]
Send = Callable[[Call, Emit], Awaitable[Run]]
# Gives what is to be awaited next and takes what came of it, whoever does the waiting.
Steps = Generator[Coroutine[Any, Any, Any], Any, T]

MAX_ROUNDS = 1_000

# A logger, not warnings.warn: a filter may turn a warning into an exception, which would cost
# the answers. Without any set-up Python prints the line to stderr.
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class ToolRun:
    """A question answered with tools.

    Args:
        runs: One logged run a round, the answer last.
        messages: The whole conversation, with the answer; ``ask(..., messages=...)`` goes on.
        steps: Every call with its result, in the order the model asked for them.
        notice: What has to be said of it in one line, such as that the limit ended it.
    """

    runs: tuple[Run, ...]
    messages: tuple[Message, ...]
    steps: tuple[Step, ...]
    notice: str | None = None

    @property
    def run(self) -> Run:
        """The last round's run: the answer, unless the limit ended it."""
        return self.runs[-1]

    @property
    def text(self) -> str:
        """The answer's text."""
        return self.run.text

    @property
    def status(self) -> Status:
        """How the last round ended."""
        return self.run.status

    @property
    def data(self) -> Any:  # noqa: ANN401 - what the schema made of the answer
        """The answer parsed when a schema was given; ``run.data_error`` says why not."""
        return self.run.data

    @property
    def cost_usd(self) -> Decimal | None:
        """What all rounds cost together, None when the price of one is unknown."""
        costs = [run.cost_usd for run in self.runs]
        known = [cost for cost in costs if cost is not None]
        return sum(known, Decimal(0)) if len(known) == len(costs) else None

    def __str__(self) -> str:
        """The answer's text."""
        return self.text

    def __repr__(self) -> str:
        calls = len(self.steps)
        rounds = f"{len(self.runs)} round{'' if len(self.runs) == 1 else 's'}"
        return f"ToolRun({rounds}, {calls} call{'' if calls == 1 else 's'}: {self.run.text!r})"

    def _repr_html_(self) -> str:
        lines = [
            misfit.shown(f"{_shown(call)} → {result.text}", 160) for call, result in self.steps
        ]
        lines += [self.notice] if self.notice else []
        return "".join(f"<div>{escape(line)}</div>" for line in lines) + answers.ended(self.run)


@dataclass(frozen=True, slots=True)
class _Work:
    """What is to be done: the first call, and what holds for all rounds."""

    call: Call
    max_rounds: int
    confirm: Confirm | None


def _work(  # noqa: D417 - the other arguments are described where they are shared
    prompt: str | None = None,
    model: str | None = None,
    *,
    tools: Any = None,  # noqa: ANN401 - what a tool may be is decided in tools
    max_rounds: int = 8,
    confirm: Confirm | None = None,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - what a picture may be is decided in images
    schema: Any = None,  # noqa: ANN401 - what a schema may be is decided in schemas
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    override: str | None = None,
    tags: Iterable[str] = (),
    **parameters: Any,  # noqa: ANN401 - checked by name and range in capabilities
) -> _Work:
    """What ``ask_with_tools`` and ``complete_with_tools`` take, checked.

    Args:
        tools: Functions the model may call; see :func:`llm_playground.tool`. Ordinary ones run in
            another thread, those that one answer asks for side by side.
        max_rounds: How many times the model is asked at most.
        confirm: Called with each :class:`ToolCall` before it is made, one after the other, where
            the asking is done, so that it may ask with ``input``; False declines the call, and
            the model is told so. It may be a coroutine function.
        **parameters: As for :func:`llm_playground.ask`, and so are all the others.
    """
    check_names(parameters, _work)
    call = asked(
        prompt,
        model,
        system=system,
        messages=messages,
        images=images,
        tools=tools,
        schema=schema,
        preset=preset,
        variables=variables,
        override=override,
        tags=tags,
        **parameters,
    )
    _check_tools(call.request.tools)
    _check_max_rounds(max_rounds)
    if confirm is not None and not callable(confirm):
        raise InvalidParameterError(f"confirm takes a function; got {misfit.got(confirm)}.")
    return _Work(call, max_rounds, confirm)


def _check_tools(tools: Sequence[Tool]) -> None:
    idle = next((tool.name for tool in tools if tool.call is None), None)
    if idle is not None or not tools:
        missing = f"{idle!r} has no function" if idle else "tools holds none"
        raise InvalidParameterError(
            f"Each of tools needs a function to call; {missing}. "
            "With ask, the calls are yours to make."
        )


def _check_max_rounds(max_rounds: int) -> None:
    whole = isinstance(max_rounds, int) and not isinstance(max_rounds, bool)
    if not whole or not 1 <= max_rounds <= MAX_ROUNDS:
        raise InvalidParameterError(
            f"max_rounds is {max_rounds!r}; it takes a whole number from 1 to {MAX_ROUNDS:,}."
        )


@with_arguments_of(_work)
def ask_with_tools(work: _Work) -> ToolRun:
    """Ask a model that may use tools, and wait for its answer.

    Each round is a run of the log. A tool that fails is no error here: the model is told in one
    line and goes on. Where ``max_rounds`` ends it, the last run is given as it is, the calls it
    still wanted are not made, and a line on stderr and ``notice`` say so.

    Returns:
        All runs and the conversation; ``print`` shows the answer.

    Raises:
        LLMError: A round failed; ``error.run`` is its logged run.

    Example::

        def weather(city: str) -> str:
            '''The weather now.'''
            return f"12 degrees and rain in {city}"

        print(lp.ask_with_tools("Umbrella in Oslo?", "gpt-6", tools=[weather]))
    """
    steps, came = _rounds(work, send), None
    while True:
        try:
            to_await = steps.send(came)
        except StopIteration as ended:
            result = cast("ToolRun", ended.value)
            told_of_data(result.run)
            return result
        came = _loop.run(to_await)


@with_arguments_of(_work)
async def complete_with_tools(work: _Work) -> ToolRun:
    """As :func:`ask_with_tools`, for ``await``; coroutine functions run on the caller's loop.

    Raises:
        LLMError: A round failed; ``error.run`` is its logged run.
    """
    steps, came = _rounds(work, lambda call, emit: _loop.bridge(send(call, emit))), None
    while True:
        try:
            to_await = steps.send(came)
        except StopIteration as ended:
            result = cast("ToolRun", ended.value)
            told_of_data(result.run)
            return result
        came = await to_await


def _rounds(work: _Work, send_one: Send) -> Steps[ToolRun]:
    """The rounds, for both verbs: one waits by blocking, the other by awaiting."""
    call, runs, steps = work.call, list[Run](), list[Step]()
    while True:
        run, said = yield _answer(call, send_one)
        runs.append(raised(run))
        messages = (*call.request.messages, said)
        if not run.tool_calls:
            return ToolRun(tuple(runs), messages, tuple(steps))
        if len(runs) < work.max_rounds:
            notice = None
            problems = yield from _problems(run.tool_calls, call.request.tools, work.confirm)
        else:  # the model is told too, so that the conversation can go on from here
            notice = _at_limit(run.tool_calls, work.max_rounds)
            problems = [notice] * len(run.tool_calls)
        results = yield results_of(run.tool_calls, call.request.tools, problems)
        steps += zip(run.tool_calls, results, strict=True)
        messages = (*messages, Message("tool", results))
        if notice is not None:
            _log.warning(notice)
            return ToolRun(tuple(runs), messages, tuple(steps), notice)
        call = next_call(call, messages)


def _problems(
    calls: Sequence[ToolCall], tools: Sequence[Tool], confirm: Confirm | None
) -> Steps[list[str | None]]:
    """Why calls are not to be made. A person is asked about one call after the other.

    ``confirm`` is called in the thread that asks: an interrupted ``input`` in another one would
    take the answers to later questions.
    """
    problems = [problem_of(call, tools) for call in calls]
    for number, call in enumerate(calls):
        if problems[number] is None and confirm is not None:
            allowed = confirm(call)
            if inspect.isawaitable(allowed):
                allowed = yield _awaited(allowed)
            problems[number] = None if allowed else "The user declined this call."
    return problems


async def _awaited(answer: Awaitable[T]) -> T:
    return await answer


async def _answer(call: Call, send_one: Send) -> tuple[Run, Message]:
    """One round: its run, and the message in which the model said it."""
    seals: list[str | None] = [None]

    def emit(event: StreamEvent) -> None:
        tell_progress(event)
        if isinstance(event, Finish):
            seals.append(event.reasoning_signature)

    run = await send_one(call, emit)
    parts: list[Part] = []
    if run.reasoning or seals[-1]:
        parts.append(ReasoningPart(run.reasoning, seals[-1]))
    if run.text:
        parts.append(TextPart(run.text))
    return run, Message("assistant", (*parts, *run.tool_calls))


def _at_limit(calls: Iterable[ToolCall], max_rounds: int) -> str:
    names = ", ".join(dict.fromkeys(call.name for call in calls))
    return (
        f"Stopped after {max_rounds} round{'' if max_rounds == 1 else 's'}, the model still wanted "
        f"to call {names}. Set a higher max_rounds to let it go on."
    )


def _shown(call: ToolCall) -> str:
    return f"{call.name}({misfit.shown(call.arguments_json, 80)})"
