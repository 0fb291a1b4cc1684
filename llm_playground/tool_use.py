"""``ask_with_tools``: ask a model, call the tools it asks for, send it the results, and repeat.

Errors of tools are results too: the model sees them in one line.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from html import escape
from typing import Any, TypeVar

from llm_playground import _runtime, _validation, footer, formatting, rendering
from llm_playground._validation import with_signature_of
from llm_playground.calls import (
    CallOptions,
    awaited,
    next_call,
    raise_for_error,
    wait_for,
    warn_about_data,
)
from llm_playground.errors import InvalidParameterError
from llm_playground.execution import Call
from llm_playground.parts import ToolCall, ToolResult
from llm_playground.redaction import printable, redact
from llm_playground.request.messages import Turn
from llm_playground.request.parameters import unknown_name
from llm_playground.types import Message, Run, Status, Tool, ToolExecution

T = TypeVar("T")
Confirm = Callable[[ToolCall], bool | Awaitable[bool]]
Step = tuple[ToolCall, ToolResult]
Made = tuple[ToolResult, ToolExecution | None]
Send = Callable[[Call], Awaitable[Run]]
# Awaits, or blocks until there is a result: one loop serves blocking and async callers.
Wait = Callable[[Awaitable[Any]], Awaitable[Any]]

MAX_ROUNDS = 1_000
MAX_CALLS_PER_ANSWER = 128  # the further ones are answered with one line each
_MAX_CALLS_AT_ONCE = 32  # each call of an ordinary function takes a thread
_MAX_RESULT_CHARS = 1_000_000  # of one call; no model reads more
_MAX_ERROR_LENGTH = 500
_MAX_SHOWN_STEPS = 20

# A logger, not warnings.warn: a filter that turns warnings into exceptions would lose the answers.
# Without logging set up, Python prints the line to stderr.
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, repr=False)
class ToolRun:
    """The result of ``ask_with_tools``: its rounds, tool calls and conversation.

    Args:
        runs: One logged run per round, the answer last.
        messages: The whole conversation; ``ask(..., messages=...)`` continues it.
        steps: Every tool call with its result, in the model's order.
        notice: A message in one line, if ``max_rounds`` was reached.
    """

    runs: tuple[Run, ...]
    messages: tuple[Message, ...]
    steps: tuple[Step, ...]
    notice: str | None = None

    @property
    def run(self) -> Run:
        """The run of the last round: the answer, unless ``max_rounds`` was reached."""
        return self.runs[-1]

    @property
    def text(self) -> str:
        """The text of the last run."""
        return self.run.text

    @property
    def status(self) -> Status:
        """How the last round ended."""
        return self.run.status

    @property
    def data(self) -> Any:  # noqa: ANN401 - its type depends on the schema
        """The parsed answer if a schema was given; otherwise see ``run.data_error``."""
        return self.run.data

    @property
    def cost_usd(self) -> Decimal | None:
        """The cost of all rounds, None if one is unknown."""
        costs = [run.cost_usd for run in self.runs]
        return None if None in costs else sum(filter(None, costs), Decimal(0))

    def __str__(self) -> str:
        """The text of the last run, as ``str(run)``."""
        return str(self.run)

    def __repr__(self) -> str:
        rounds = formatting.count(len(self.runs), "round")
        text = _validation.short_repr(redact(self.text[:1_000]))
        return f"ToolRun({rounds}, {formatting.count(len(self.steps), 'call')}: {text})"

    def _repr_html_(self) -> str:
        lines = [
            f"{call.name}({_validation.shorten(call.arguments_json, 80)}) → {result.text[:1_000]}"
            for call, result in self.steps[:_MAX_SHOWN_STEPS]
        ]
        lines = [_validation.shorten(line, 160) for line in lines]
        if more := len(self.steps) - len(lines):
            lines.append(f"and {formatting.count(more, 'more call')}")
        lines += [self.notice] if self.notice else []
        steps = "".join(f"<div>{escape(line)}</div>" for line in lines)
        answer = rendering.run_to_html(self.run)
        reused = footer.reused(self.runs) if len(self.runs) > 1 else ""
        return f"{steps}{answer}<div>{escape(reused)}</div>" if reused else steps + answer


@dataclass(frozen=True, slots=True)
class _ToolLoop:
    """The first call, and the options of all rounds."""

    call: Call
    max_rounds: int
    confirm: Confirm | None


def _tool_loop(  # noqa: D417 - the other arguments are documented at ask
    prompt: str | None = None,
    model: str | None = None,
    *,
    tools: Any = None,  # noqa: ANN401 - the accepted types are listed in tools
    max_rounds: int = 8,
    confirm: Confirm | None = None,
    system: str | None = None,
    messages: Iterable[Turn] | None = None,
    images: Any = None,  # noqa: ANN401 - the accepted types are listed in images
    files: Any = None,  # noqa: ANN401 - the accepted types are listed in files
    schema: Any = None,  # noqa: ANN401 - the accepted types are listed in schemas
    preset: str | None = None,
    variables: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
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
) -> _ToolLoop:
    """The arguments of ``ask_with_tools`` and ``complete_with_tools``, checked.

    Args:
        tools: Functions the model may call; see :func:`llm_playground.tool`. Ordinary functions run
            in other threads. The calls of one answer run in parallel, up to 32 at a time; those
            beyond the first 128 of an answer are not made, and the model is informed.
        max_rounds: How many times the model is asked at most.
        confirm: Called with each :class:`ToolCall` before it is made, one after the other, in the
            caller's thread, so that it may use ``input``. False declines the call, and the model is
            informed. It may be a coroutine function.

    The other arguments are as for :func:`llm_playground.ask`.
    """
    arguments = dict(locals())  # a copy: a debugger adds this variable to the original
    del arguments["max_rounds"], arguments["confirm"]
    call = CallOptions.of(arguments).plan_one()
    no_function = next((tool.name for tool in call.request.tools if tool.call is None), None)
    if no_function is not None or not call.request.tools:
        problem = f"{no_function!r} has no function" if no_function else "tools is empty"
        raise InvalidParameterError(
            f"Each of tools needs a function to call; {problem}. "
            "To make the calls yourself, use lp.ask."
        )
    is_integer = isinstance(max_rounds, int) and not isinstance(max_rounds, bool)
    if not is_integer or not 1 <= max_rounds <= MAX_ROUNDS:
        raise InvalidParameterError(
            f"max_rounds is {_validation.repr_of(max_rounds)}; "
            f"it takes a whole number from 1 to {MAX_ROUNDS:,}."
        )
    if confirm is not None and not callable(confirm):
        raise InvalidParameterError(
            f"confirm takes a function; got {_validation.short_repr(confirm)}."
        )
    return _ToolLoop(call, max_rounds, confirm)


@with_signature_of(_tool_loop, unknown_name)
def ask_with_tools(loop: _ToolLoop) -> ToolRun:
    """Ask a model that may use tools, and wait for its answer.

    Each round is a logged run. If a tool fails, the model gets the error as one line and continues.
    If ``max_rounds`` is reached, the calls of the last run are not made, and ``notice`` and a line
    on stderr say so.

    Returns:
        All runs and the conversation; ``print`` shows the answer.

    Raises:
        LLMError: A round failed; ``error.run`` is its logged run.
        BudgetExceededError: All rounds together could cost more than ``confirm_above_usd``.

    Example::

        def weather(city: str) -> str:
            '''The weather now.'''
            return f"12 degrees and rain in {city}"

        print(lp.ask_with_tools("Umbrella in Oslo?", "gpt-6", tools=[weather]))
    """
    rounds = _rounds(loop, _sent, _blocking)
    try:
        rounds.send(None)  # to its end: all that it awaits blocks
    except StopIteration as ended:
        result: ToolRun = ended.value
    warn_about_data(result.run)
    return result


@with_signature_of(_tool_loop, unknown_name)
async def complete_with_tools(loop: _ToolLoop) -> ToolRun:
    """Like :func:`ask_with_tools`, for ``await``; coroutine functions run on the caller's loop.

    Raises:
        LLMError: A round failed; ``error.run`` is its logged run.
    """
    result = await _rounds(loop, awaited, _awaiting)
    warn_about_data(result.run)
    return result


async def _rounds(loop: _ToolLoop, send_one: Send, wait: Wait) -> ToolRun:
    """All rounds; ``wait`` awaits, or blocks until there is a result."""
    call, runs, steps = loop.call, list[Run](), list[Step]()
    while True:
        run = await send_one(call)
        runs.append(raise_for_error(run))
        messages = (*call.request.messages, Message("assistant", run.parts))
        if run.is_paused and not run.tool_calls and len(runs) < loop.max_rounds:
            call = next_call(call, messages, runs)
            continue
        if not run.tool_calls:
            return ToolRun(tuple(runs), messages, tuple(steps))
        if len(runs) < loop.max_rounds:
            notice = None
            if len(run.tool_calls) > MAX_CALLS_PER_ANSWER:
                _log.warning(_excess_message(run.tool_calls))
            problems = await _problems(run.tool_calls, call.request.tools, loop.confirm, wait)
        else:  # also a result for the model, so that the conversation can be continued
            notice = _limit_message(run.tool_calls, loop.max_rounds)
            problems = [notice] * len(run.tool_calls)
        made = await wait(results_of(run.tool_calls, call.request.tools, problems))
        results = tuple(result for result, _ in made)
        steps += zip(run.tool_calls, results, strict=True)
        messages = (*messages, Message("tool", results))
        if notice is not None:
            _log.warning(notice)
            return ToolRun(tuple(runs), messages, tuple(steps), notice)
        call = next_call(call, messages, runs, [execution for _, execution in made])


async def _problems(
    calls: Sequence[ToolCall], tools: Sequence[Tool], confirm: Confirm | None, wait: Wait
) -> list[str | None]:
    """Why each call is not made, None if it is. Confirmations are asked for one by one.

    ``confirm`` is called in the caller's thread: an interrupted ``input`` in another thread would
    take the answers to later questions.
    """
    problems = [problem_of(call, tools) for call in calls[:MAX_CALLS_PER_ANSWER]]
    excess = f"Not made: one answer may have {MAX_CALLS_PER_ANSWER} calls."
    problems += [excess] * (len(calls) - len(problems))
    for number, call in enumerate(calls):
        if problems[number] is None and confirm is not None:
            allowed = confirm(call)
            if inspect.isawaitable(allowed):
                allowed = await wait(allowed)
            problems[number] = None if allowed else "The user declined this call."
    return problems


async def _sent(call: Call) -> Run:
    return wait_for(call)  # blocks, as all that the rounds of a blocking caller await


async def _awaiting(work: Awaitable[T]) -> T:
    return await work


async def _blocking(work: Awaitable[T]) -> T:
    # A coroutine is passed on as it is, since `run` closes it where it cannot run.
    coroutine: Coroutine[Any, Any, T] = work if isinstance(work, Coroutine) else _awaiting(work)
    return _runtime.run(coroutine)


def problem_of(call: ToolCall, tools: Sequence[Tool]) -> str | None:
    """Why a call is invalid, None if it is valid.

    >>> problem_of(ToolCall("1", "wether"), [Tool("weather", "", {})])
    "There is no tool called 'wether'. There are: weather."
    """
    names = [tool.name for tool in tools]
    if call.name not in names:
        return f"There is no tool called {call.name!r}. There are: {', '.join(names)}."
    try:
        _ = call.arguments
    except (ValueError, RecursionError) as error:
        return f"The arguments are not a JSON object: {error}"
    return None


async def results_of(
    calls: Sequence[ToolCall], tools: Sequence[Tool], problems: Sequence[str | None]
) -> tuple[Made, ...]:
    """Make the calls of one answer in parallel; the results are in the order of the calls.

    A call with a problem, None if it has none, is not made; the problem is its result, and its
    execution is None. Ordinary functions run in threads, coroutine functions on this loop.
    """
    by_name = {tool.name: tool for tool in tools}
    at_once = asyncio.Semaphore(_MAX_CALLS_AT_ONCE)

    async def result_of(call: ToolCall, problem: str | None) -> Made:
        if problem is not None:
            return _error_result(call, problem), None
        async with at_once:
            return await _result(by_name[call.name], call)

    return tuple(await asyncio.gather(*map(result_of, calls, problems)))


async def _result(tool: Tool, call: ToolCall) -> Made:
    started_at, began_s = datetime.now(UTC), time.perf_counter()
    value, error = await _outcome(lambda: tool.call and tool.call(**call.arguments))
    if error is None:  # in a thread too: values may be large, or their classes may misbehave
        value, error = await _outcome(lambda: _as_text(value))
    duration_ms = (time.perf_counter() - began_s) * 1000
    failed = None if error is None else type(error).__name__
    execution = ToolExecution(call.id, call.name, started_at, duration_ms, failed)
    if error is None:
        return ToolResult(call.id, call.name, _bounded(value)), execution
    return _error_result(call, _reason(error)), execution


def _bounded(text: str) -> str:
    if len(text) <= _MAX_RESULT_CHARS:
        return text
    more = formatting.count(len(text) - _MAX_RESULT_CHARS, "more character")
    return f"{text[:_MAX_RESULT_CHARS]}… [{more}, not sent]"


def _error_result(call: ToolCall, reason: str) -> ToolResult:
    """The result of a call that failed or was not made: one line, without keys."""
    line = redact(_validation.shorten(reason, _MAX_ERROR_LENGTH))
    return ToolResult(call.id, call.name, line, is_error=True)


async def _outcome(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What a user's function, ordinary or not, returns or raises.

    Exceptions are returned as values: StopIteration cannot pass through a future (the caller would
    wait forever), and SystemExit would end the background loop.
    """

    def called() -> tuple[Any, BaseException | None]:
        try:
            return function(), None
        except BaseException as error:
            return None, error

    value, error = await _runtime.in_thread(called)
    if not inspect.isawaitable(value):
        return value, error
    try:
        return await value, None
    except asyncio.CancelledError as failure:
        if (task := asyncio.current_task()) and task.cancelling():
            raise  # this task is cancelled, not only the tool
        return None, failure
    except BaseException as failure:
        return None, failure


def _reason(error: BaseException) -> str:
    """One line about a tool's exception; only its class if it cannot be printed."""
    try:
        is_clear = isinstance(error, InvalidParameterError)  # needs no class name
        return str(error) if is_clear else f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _as_text(value: object) -> str:
    """A tool's result for the model: text unchanged, JSON if possible, otherwise ``str()``."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # file names may hold lone surrogates
    from pydantic_core import PydanticSerializationError, to_json  # first use, not import

    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return _as_text(str(value))


def _limit_message(calls: Iterable[ToolCall], max_rounds: int) -> str:
    names = _validation.shorten(", ".join(dict.fromkeys(call.name for call in calls)), 160)
    return printable(
        f"Stopped after {formatting.count(max_rounds, 'round')}; the model asked for more calls of "
        f"{names}. Set a higher max_rounds to continue."
    )


def _excess_message(calls: Sequence[ToolCall]) -> str:
    return (
        f"The model asked for {formatting.count(len(calls), 'call')} in one answer; only the first "
        f"{MAX_CALLS_PER_ANSWER} are made. All are in run.tool_calls."
    )
