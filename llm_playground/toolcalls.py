"""Making the calls a model asks for. Whatever goes wrong is told to the model, not raised."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from llm_playground import _loop, misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.redact import redact
from llm_playground.types import Tool, ToolCall, ToolResult

_LONGEST_REASON = 500


async def results_of(
    calls: Sequence[ToolCall], tools: Sequence[Tool], problems: Sequence[str | None]
) -> tuple[ToolResult, ...]:
    """The results of one answer's calls, in their order; the calls are made side by side.

    Ordinary functions run in threads, coroutine functions on this loop.

    Args:
        calls: What the model asks for.
        tools: What there is.
        problems: Why a call is not to be made, None where it is; see :func:`problem_of`.
    """
    by_name = {tool.name: tool for tool in tools}
    made = (
        _made(by_name[call.name], call) if problem is None else _told(call, problem)
        for call, problem in zip(calls, problems, strict=True)
    )
    return tuple(await asyncio.gather(*made))


def problem_of(call: ToolCall, tools: Sequence[Tool]) -> str | None:
    """Why a call cannot be made at all, None when it can.

    >>> problem_of(ToolCall("1", "wether"), [Tool("weather", "", {})])
    "There is no tool called 'wether'. There are: weather."
    """
    names = [tool.name for tool in tools]
    if call.name not in names:
        return f"There is no tool called {call.name!r}. There are: {', '.join(names)}."
    try:
        _ = call.arguments
    except (ValueError, RecursionError) as error:
        return f"The arguments are no JSON object: {error}"
    return None


def _refused(call: ToolCall, why: str) -> ToolResult:
    """The result that tells a model why its call was not made, or failed: one line, no keys."""
    line = redact(misfit.shown(why, _LONGEST_REASON))
    return ToolResult(call.id, call.name, line, is_error=True)


async def _told(call: ToolCall, problem: str) -> ToolResult:
    return _refused(call, problem)


async def _made(tool: Tool, call: ToolCall) -> ToolResult:
    value, error = await _outcome(lambda: tool.call and tool.call(**call.arguments))
    if error is None:  # in a thread too: what was given may be big, or of a class that misbehaves
        value, error = await _outcome(lambda: _as_text(value))
    if error is None:
        return ToolResult(call.id, call.name, value)
    return _refused(call, _reason(error))


async def _outcome(function: Callable[[], Any]) -> tuple[Any, BaseException | None]:
    """What a function of the user gives or raises, ordinary or not.

    An exception travels as a value: StopIteration cannot pass through a future (the caller would
    wait for ever), and SystemExit would end the background loop.
    """

    def called() -> tuple[Any, BaseException | None]:
        try:
            return function(), None
        except BaseException as error:
            return None, error

    value, error = await _loop.in_thread(called)
    if not inspect.isawaitable(value):
        return value, error
    try:
        return await value, None
    except asyncio.CancelledError as failure:
        if (task := asyncio.current_task()) and task.cancelling():
            raise  # we are cancelled, not the tool
        return None, failure
    except BaseException as failure:
        return None, failure


def _reason(error: BaseException) -> str:
    """Why a tool failed, in a line; an error that cannot be printed is its class."""
    ours = isinstance(error, InvalidParameterError)  # says itself what is wrong with what
    try:
        return str(error) if ours else f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def _as_text(value: object) -> str:
    """What the model is told: text as it is, JSON where there is some, else what print shows."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()  # file names may hold half characters
    from pydantic_core import PydanticSerializationError, to_json  # first use, not import

    try:
        return to_json(value).decode()
    except PydanticSerializationError:
        return _as_text(str(value))
