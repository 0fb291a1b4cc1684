"""Checks of arguments and data, with one-line messages.

Messages of :class:`~llm_playground.errors.InvalidParameterError` have the argument's value and the
expected values. Errors of pydantic and jsonschema are described by the path in the data, the
expected value and the actual value.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from llm_playground.errors import InvalidParameterError

if TYPE_CHECKING:
    import jsonschema
    import pydantic

P = ParamSpec("P")
A = TypeVar("A")
T = TypeVar("T")

# Maximum nesting of JSON values that are hashed, checked and sent; no vendor accepts more.
DEEPEST = 100
_MAX_SHOWN_CHARS = 40

# Pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/) for values of
# the wrong type, by description of the expected type. For others, pydantic's message is used.
_PYDANTIC_TYPES: dict[str, tuple[str, ...]] = {
    "text": ("string_type",),
    "a whole number": ("int_type", "int_parsing", "int_parsing_size", "int_from_float"),
    "a number": ("float_type", "float_parsing", "finite_number", "decimal_type", "decimal_parsing"),
    "true or false": ("bool_type", "bool_parsing"),
    "a list": ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"),
    "an object": (
        *("dict_type", "mapping_type", "model_type", "model_attributes_type"),
        *("dataclass_type", "dataclass_exact_type"),
    ),
    "null": ("none_required",),
    "a date such as 2026-03-31": ("date_type", "date_parsing", "date_from_datetime_parsing"),
    "a time such as 2026-03-31T12:00:00Z": (
        *("datetime_type", "datetime_parsing", "datetime_from_date_parsing"),
    ),
}
_PYDANTIC_EXPECTED = {name: kind for kind, names in _PYDANTIC_TYPES.items() for name in names}
_JSON_EXPECTED = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def describe_pydantic_error(
    error: pydantic.ValidationError, value: object, root: str = "data"
) -> str:
    """The first error in a pydantic error, and the number of others.

    ``value`` is the validated value, as plain JSON values; ``root`` is its name in the message,
    empty to start with the names of its parts.

    >>> import pydantic
    >>> try:
    ...     pydantic.TypeAdapter(list[float]).validate_python([1, "n/a"])
    ... except pydantic.ValidationError as error:
    ...     describe_pydantic_error(error, [1, "n/a"])
    "data[1]: expected a number, got 'n/a'"
    """
    lines: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=True):
        path = _path(root, item["loc"], value, missing=item["type"] == "missing")
        line = _pydantic_line(item["type"], item["msg"], item.get("ctx", {}), item["input"])
        lines.setdefault(path, line)
    (path, line), *others = lines.items()
    more = f" ({len(others)} more like this)" if others else ""
    return f"{path}: {line}{more}" if path else f"{line}{more}"


def describe_schema_error(
    error: jsonschema.ValidationError | jsonschema.SchemaError, root: str = "data"
) -> str:
    """An error of a JSON schema validator.

    >>> import jsonschema
    >>> validator = jsonschema.Draft202012Validator({"items": {"type": "integer"}})
    >>> describe_schema_error(next(validator.iter_errors([1, None])))
    'data[1]: expected a whole number, got null'
    """
    path, schema = _joined(root, list(error.absolute_path)), cast("Mapping[str, Any]", error.schema)
    given, value = cast("Any", error.validator_value), cast("Any", error.instance)
    match error.validator:
        case "type":
            names = given if isinstance(given, list) else [given]
            expected = " or ".join(_JSON_EXPECTED.get(name, str(name)) for name in names)
        case "enum":
            expected = shorten(" or ".join(map(short_repr, given)), 160)
        case "const":
            expected = short_repr(given)
        case "required":
            missing = next(name for name in given if name not in value)
            return f"{_joined(path, [missing])}: missing"
        case "additionalProperties":
            known = schema.get("properties", {})
            name = next((name for name in value if name not in known), "")
            problem = f"{short_repr(value.get(name))} is invalid"
            return f"{_joined(path, [name])}: {'unexpected name' if given is False else problem}"
        case _:
            return f"{path}: {shorten(error.message, 160)}"
    return f"{path}: expected {expected}, got {short_repr(value)}"


def nested_too_deeply(value: object) -> bool:
    """Whether a JSON value is nested deeper than :data:`DEEPEST`, or cyclic.

    >>> levels = [[]]
    >>> for _ in range(DEEPEST - 1):
    ...     levels = [levels]
    >>> nested_too_deeply(levels), nested_too_deeply([[levels]])
    (False, True)
    """
    level = [value]
    for _ in range(DEEPEST + 1):
        containers = [inner for inner in level if isinstance(inner, (Mapping, list, tuple))]
        if not containers:
            return False
        level = [
            inner
            for outer in containers
            for inner in (outer.values() if isinstance(outer, Mapping) else outer)
        ]
    return bool(level)


def shorten(text: str, length: int = _MAX_SHOWN_CHARS) -> str:
    """The start of a text on one line, at most ``length`` characters."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def short_repr(value: object) -> str:
    """The start of a value on one line, as JSON if possible.

    >>> short_repr("n/a"), short_repr({"a": None})
    ("'n/a'", '{"a": null}')
    """
    if isinstance(value, str):
        return repr(shorten(value))
    try:
        return shorten(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return repr_of(value)


def repr_of(value: object, length: int = _MAX_SHOWN_CHARS) -> str:
    """The start of a value's ``repr`` on one line; its class if it is too deep, or has none.

    >>> repr_of({"a": None}), repr_of(10**5_000)
    ("{'a': None}", 'a value of type int')
    """
    try:
        return shorten(repr(value), length)
    except Exception:  # classes of users may raise anything; RecursionError, huge integers
        return f"a value of type {type(value).__name__}"


def _pydantic_line(kind: str, message: str, context: Mapping[str, Any], value: object) -> str:
    if kind == "missing":
        return "missing"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "unexpected name"
    if kind in {"literal_error", "enum"}:
        return f"expected {context['expected']}, got {short_repr(value)}"
    if kind in _PYDANTIC_EXPECTED:
        return f"expected {_PYDANTIC_EXPECTED[kind]}, got {short_repr(value)}"
    for start in ("Value error, ", "Assertion failed, "):  # of the user's validators
        message = message.removeprefix(start)
    return f"{shorten(message[:1].lower() + message[1:], 160)}, got {short_repr(value)}"


def _path(root: str, steps: Sequence[str | int], value: Any, *, missing: bool) -> str:  # noqa: ANN401 - a JSON value
    """The path to the error, without steps such as union branches that are not in the value."""
    present: list[str | int] = []
    for position, step in enumerate(steps, 1):
        exists = (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if exists:
            value = value[step]
        if exists or (missing and position == len(steps)):
            present.append(step)
    return _joined(root, present)


def _joined(root: str, steps: Sequence[str | int]) -> str:
    path = root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
    return path if root else path.removeprefix(".")


def closest(
    name: object, offered: Iterable[str], also: Sequence[str] = (), otherwise: str = ""
) -> str:
    """A sentence that suggests a similar name.

    ``also`` has further names to suggest, which are not listed. If no name is similar, the sentence
    is ``otherwise``; by default, a list of the valid names.

    >>> closest("wdith", ["width", "height"]), closest("x", ["width"], ["color"])
    ('Did you mean width?', 'Available: width.')
    """
    names = list(offered)
    text = name if isinstance(name, str) else ""
    close = difflib.get_close_matches(text, (*names, *also), n=1)
    return f"Did you mean {close[0]}?" if close else otherwise or f"Available: {', '.join(names)}."


def check_names(owner: str, names: Iterable[object], known: Sequence[str]) -> None:
    """Check the names in a mapping.

    Raises:
        InvalidParameterError: A name is not ``known``.

    >>> check_names("retry", ["atempts"], ["attempts", "total_s"])
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: retry has no 'atempts'. Did you mean attempts?
    """
    for name in names:
        if name not in known:
            raise InvalidParameterError(
                f"{owner} has no {short_repr(name)}. {closest(name, known)}"
            )


def one_of(name: str, value: object, choices: Sequence[str]) -> str:
    """Return ``value`` if it is one of ``choices``; else raise InvalidParameterError."""
    if not isinstance(value, str) or value not in choices:
        raise _rejected(name, value, ", ".join(choices))
    return str(value)


def flag(name: str, value: object) -> bool:
    """Return ``value`` if it is True or False; else raise InvalidParameterError."""
    if not isinstance(value, bool):
        raise _rejected(name, value, "True or False")
    return value


def number(name: str, value: object, takes: str, accepts: Callable[[float], bool]) -> float:
    """Return ``value`` if it is a finite number that ``accepts`` returns true for.

    Otherwise raise InvalidParameterError; its message includes ``takes``.

    >>> number("sample", 2, "0 to 1", lambda share: 0 <= share <= 1)
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: sample is 2; it takes 0 to 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise _rejected(name, value, takes)
    if not is_finite(value) or not accepts(value):
        raise _rejected(name, value, takes)
    return value


def is_finite(value: float) -> bool:
    """Whether a number has a value as a float: neither NaN nor infinite, nor 10**400."""
    try:
        return math.isfinite(value)
    except (OverflowError, ValueError):  # 10**400, a signaling NaN
        return False


def whole_number(name: str, value: object) -> int:
    """Return ``value`` if it is a whole number above 0; else raise InvalidParameterError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _rejected(name, value, "a whole number above 0")
    return value


def usd(
    name: str,
    value: object,
    takes: str = "US dollars, 0 or more",
    *,
    below: Decimal = Decimal("Infinity"),
) -> Decimal:
    """An amount in US dollars, exactly as written: the float 0.1 becomes a tenth.

    Raises:
        InvalidParameterError: It is not a number from 0 to ``below``.

    >>> usd("limit_usd", 0.1)
    Decimal('0.1')
    """
    try:
        amount = Decimal(str(value))
    except Exception:  # no number, or an integer that is too long to be written
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or not 0 <= amount < below:
        raise _rejected(name, value, takes)
    return amount


def text(name: str, value: object) -> str:
    """Return ``value`` without surrounding space; raise InvalidParameterError if none is left."""
    if not isinstance(value, str) or not value.strip():
        raise _rejected(name, value, "text")
    return value.strip()


def _rejected(name: str, value: object, takes: str) -> InvalidParameterError:
    return InvalidParameterError(f"{name} is {repr_of(value)}; it takes {takes}.")


# Makes the message about an unknown argument from its name and those of all arguments.
Explain = Callable[[str, Sequence[str]], str]


def with_signature_of(
    build: Callable[P, A], explain: Explain | None = None
) -> Callable[[Callable[[A], T]], Callable[P, T]]:
    """Decorate a function of one value to take the arguments of ``build``, which builds it.

    The decorated function has the signature and the ``Args`` section of ``build``; a coroutine
    function stays one.

    >>> def size(width: int, height: int = 1) -> tuple[int, int]:
    ...     '''Args:
    ...     width: In metres.
    ...     '''
    ...     return width, height
    >>> @with_signature_of(size)
    ... def area(size: tuple[int, int]) -> int:
    ...     '''The area.'''
    ...     return size[0] * size[1]
    >>> area(2, height=3), str(inspect.signature(area))
    (6, "(width: 'int', height: 'int' = 1) -> 'int'")
    """

    def decorate(function: Callable[[A], T]) -> Callable[P, T]:
        signature = inspect.signature(build)

        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            _check_call(function.__name__, signature, args, kwargs, explain)
            return function(build(*args, **kwargs))

        async def async_wrapper(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401 - the result of the coroutine
            _check_call(function.__name__, signature, args, kwargs, explain)
            return await cast("Any", function(build(*args, **kwargs)))

        chosen: Any = async_wrapper if inspect.iscoroutinefunction(function) else wrapper
        functools.update_wrapper(chosen, function)
        result = inspect.signature(function).return_annotation
        chosen.__signature__ = signature.replace(return_annotation=result)
        chosen.__annotations__ = {**build.__annotations__, "return": result}
        chosen.__doc__ = (
            f"{inspect.getdoc(function)}\n\n{_arguments_in(inspect.getdoc(build) or '')}"
        )
        return cast("Callable[P, T]", chosen)

    return decorate


def checks_arguments(
    name: str, explain: Explain | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Make the function called ``name`` raise a one-line error for wrong arguments.

    >>> @checks_arguments("area")
    ... def area(width: int) -> int:
    ...     return width * width
    >>> area(wdith=2)
    Traceback (most recent call last):
    llm_playground.errors.InvalidParameterError: area has no 'wdith'. Did you mean width?
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
            _check_call(name, signature, args, kwargs, explain)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def _check_call(
    name: str,
    signature: inspect.Signature,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    explain: Explain | None,
) -> None:
    """Raise InvalidParameterError for arguments that do not match the signature."""
    try:
        signature.bind(*args, **kwargs)
    except TypeError as error:
        message = str(error)
    else:
        return
    parameters = [each for each in signature.parameters.values() if each.name != "self"]
    if not parameters:
        raise InvalidParameterError(f"{name} takes no arguments.")
    known = [each.name for each in parameters]
    unknown = next((given for given in kwargs if given not in known), None)
    if explain is not None and unknown is not None:
        raise InvalidParameterError(explain(unknown, known))
    if not any(each.kind is each.VAR_KEYWORD for each in parameters):
        check_names(name, kwargs, known)
    positional = [each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD]
    hint = (
        f"Only {' and '.join(positional)} can be positional; use keywords for all others."
        if positional
        else "Use keywords for all arguments."
    )
    raise InvalidParameterError(f"{name}: {message}. {hint}")


def _arguments_in(documentation: str) -> str:
    """The section ``Args:`` of a docstring."""
    lines = documentation.splitlines()
    start = lines.index("Args:") if "Args:" in lines else len(lines)
    rest = lines[start + 1 :]
    end = next((n for n, line in enumerate(rest) if line and not line.startswith(" ")), len(rest))
    return "\n".join(lines[start : start + 1 + end]).rstrip()
