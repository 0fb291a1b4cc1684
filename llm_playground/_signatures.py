"""Several verbs with one list of arguments, written and documented once."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar, cast

from llm_playground.errors import InvalidParameterError

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
        given = inspect.signature(asked)

        def taking(*args: P.args, **kwargs: P.kwargs) -> T:
            _check_fits(verb.__name__, given, args, kwargs)
            return verb(asked(*args, **kwargs))

        async def taking_async(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - what the verb's coroutine gives
            _check_fits(verb.__name__, given, args, kwargs)
            return await cast("Any", verb(asked(*args, **kwargs)))

        chosen: Any = taking_async if inspect.iscoroutinefunction(verb) else taking
        functools.update_wrapper(chosen, verb)
        answer = inspect.signature(verb).return_annotation
        chosen.__signature__ = given.replace(return_annotation=answer)
        chosen.__annotations__ = {**asked.__annotations__, "return": answer}
        chosen.__doc__ = f"{inspect.getdoc(verb)}\n\n{_arguments_in(inspect.getdoc(asked) or '')}"
        return cast("Callable[P, T]", chosen)

    return give


def explaining(name: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make what is called ``name`` say in one line which argument it does not take.

    >>> @explaining("area")
    ... def area(width: int) -> int:
    ...     return width * width
    >>> area(wdith=2)
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: area has no 'wdith'. Did you mean width?
    """

    def give(verb: Callable[P, T]) -> Callable[P, T]:
        given = inspect.signature(verb)

        @functools.wraps(verb)
        def taking(*args: P.args, **kwargs: P.kwargs) -> T:
            _check_fits(name, given, args, kwargs)
            return verb(*args, **kwargs)

        return taking

    return give


def closest(name: str, offered: Sequence[str], also: Sequence[str] = ()) -> str:
    """What may have been meant, as a sentence; all that is ``offered`` where nothing is close.

    >>> closest("wdith", ["width", "height"]), closest("x", ["width"], ["color"])
    ('Did you mean width?', 'There are width.')
    """
    close = difflib.get_close_matches(name, (*offered, *also), n=1)
    return f"Did you mean {close[0]}?" if close else f"There are {', '.join(offered)}."


def _check_fits(
    name: str, signature: inspect.Signature, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Say in one line what Python would say in a stack.

    Raises:
        InvalidParameterError: These are not the arguments of the signature.
    """
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        said = f"{name}: {error}. {_by_place(signature)}"
    else:
        return
    offered = [one.name for one in signature.parameters.values() if one.name != "self"]
    strange = next((given for given in kwargs if given not in offered), None)
    if strange is not None and not _takes_any_name(signature):
        said = f"{name} has no {strange!r}. {closest(strange, offered)}"
    raise InvalidParameterError(said)


def _takes_any_name(signature: inspect.Signature) -> bool:
    return any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values())


def _by_place(signature: inspect.Signature) -> str:
    """Which arguments need no name."""
    placed = [
        one.name
        for one in signature.parameters.values()
        if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"
    ]
    names = " and ".join(placed)
    return f"It takes {names} by place; name all others." if placed else "Name them all."


def _arguments_in(documentation: str) -> str:
    """The section ``Args:``, up to the next one."""
    lines = documentation.splitlines()
    start = lines.index("Args:") if "Args:" in lines else len(lines)
    rest = lines[start + 1 :]
    end = next((n for n, line in enumerate(rest) if line and not line.startswith(" ")), len(rest))
    return "\n".join(lines[start : start + 1 + end]).rstrip()
