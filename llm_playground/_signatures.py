"""Several verbs with one list of arguments, written and documented once."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")


def with_arguments_of(asked: Callable[P, A]) -> Callable[[Callable[[A], T]], Callable[P, T]]:
    """Make a verb of one value take the arguments that ``asked`` makes the value from.

    The verb's signature and documentation then show them; a coroutine function stays one.

    >>> def size(width: int, height: int = 1) -> tuple[int, int]:
    ...     '''Args:
    ...     width: In metres.
    ...     '''
    ...     return width, height
    >>> @with_arguments_of(size)
    ... def area(size: tuple[int, int]) -> int:
    ...     '''The area.'''
    ...     return size[0] * size[1]
    >>> area(2, height=3), str(inspect.signature(area))
    (6, "(width: 'int', height: 'int' = 1) -> 'int'")
    """

    def give(verb: Callable[[A], T]) -> Callable[P, T]:
        def taking(*args: P.args, **kwargs: P.kwargs) -> T:
            return verb(asked(*args, **kwargs))

        async def taking_async(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - what the verb's coroutine gives
            return await cast("Any", verb(asked(*args, **kwargs)))

        chosen: Any = taking_async if inspect.iscoroutinefunction(verb) else taking
        functools.update_wrapper(chosen, verb)
        given = inspect.signature(asked)
        answer = inspect.signature(verb).return_annotation
        chosen.__signature__ = given.replace(return_annotation=answer)
        chosen.__annotations__ = {**asked.__annotations__, "return": answer}
        chosen.__doc__ = f"{inspect.getdoc(verb)}\n\n{_arguments_in(inspect.getdoc(asked) or '')}"
        return cast("Callable[P, T]", chosen)

    return give


def _arguments_in(documentation: str) -> str:
    """The section ``Args:``, up to the next one."""
    lines = documentation.splitlines()
    start = lines.index("Args:") if "Args:" in lines else len(lines)
    rest = lines[start + 1 :]
    end = next((n for n, line in enumerate(rest) if line and not line.startswith(" ")), len(rest))
    return "\n".join(lines[start : start + 1 + end]).rstrip()
