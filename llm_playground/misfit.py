"""Why a value does not fit its schema, in one line: the place, what was wanted, what came."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import jsonschema
    import pydantic

_SHOWN = 40

# Pydantic's error types (https://docs.pydantic.dev/latest/errors/validation_errors/) that say no
# more than which kind was wanted; the others' own messages say it better.
_KINDS_OF_PYDANTIC: dict[str, tuple[str, ...]] = {
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
_OF_PYDANTIC = {name: wanted for wanted, names in _KINDS_OF_PYDANTIC.items() for name in names}
_OF_JSON_SCHEMA = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}


def of_pydantic(error: pydantic.ValidationError, value: object, root: str = "data") -> str:
    """What pydantic found, the first place first.

    Args:
        error: What it raised.
        value: What it was given, as plain JSON values.
        root: What the value is called; empty when its parts have names of their own.

    >>> import pydantic
    >>> try:
    ...     pydantic.TypeAdapter(list[float]).validate_python([1, "n/a"])
    ... except pydantic.ValidationError as error:
    ...     of_pydantic(error, [1, "n/a"])
    "data[1]: a number was wanted, got 'n/a'"
    """
    found = error.errors(include_url=False, include_context=True)
    lines: dict[str, str] = {}
    for one in found:
        place = _place(root, one["loc"], value, missing=one["type"] == "missing")
        lines.setdefault(place, _said(one["type"], one["msg"], one.get("ctx", {}), one["input"]))
    (place, line), *others = lines.items()
    more = f" ({len(others)} more like this)" if others else ""
    return f"{place}: {line}{more}" if place else f"{line}{more}"


def of_json_schema(
    error: jsonschema.ValidationError | jsonschema.SchemaError, root: str = "data"
) -> str:
    """What a JSON schema's validator found.

    >>> import jsonschema
    >>> validator = jsonschema.Draft202012Validator({"items": {"type": "integer"}})
    >>> of_json_schema(next(validator.iter_errors([1, None])))
    'data[1]: a whole number was wanted, got null'
    """
    place = _joined(root, list(error.absolute_path))
    said = _SAID.get(str(error.validator))
    if said is not None:
        return said(place, error.validator_value, error.instance, error.schema)
    return f"{place}: {shown(error.message, 160)}"


def shown(text: str, length: int = _SHOWN) -> str:
    """The start of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"


def got(value: object) -> str:
    """A value as it came, on one line and not longer than it helps.

    >>> got("n/a"), got({"a": None})
    ("'n/a'", '{"a": null}')
    """
    if isinstance(value, str):
        return repr(shown(value))
    try:
        return shown(json.dumps(value, ensure_ascii=False))
    except (TypeError, ValueError, RecursionError):
        return shown(repr(value))


def _said(kind: str, message: str, context: Mapping[str, Any], value: object) -> str:
    if kind == "missing":
        return "missing"
    if kind in {"extra_forbidden", "unexpected_keyword_argument"}:
        return "this name is not wanted here"
    if kind in {"literal_error", "enum"}:
        return f"{context['expected']} was wanted, got {got(value)}"
    if kind in _OF_PYDANTIC:
        return f"{_OF_PYDANTIC[kind]} was wanted, got {got(value)}"
    for start in ("Value error, ", "Assertion failed, "):  # what a person's own validator said
        message = message.removeprefix(start)
    return f"{shown(message[:1].lower() + message[1:], 160)}, got {got(value)}"


def _place(root: str, steps: Sequence[str | int], value: Any, *, missing: bool) -> str:  # noqa: ANN401 - a JSON value
    """Where it is. A step that leads nowhere in the value is a union's branch, and no place."""
    real: list[str | int] = []
    for number, step in enumerate(steps, 1):
        leads = (isinstance(value, Mapping) and step in value) or (
            isinstance(value, list) and isinstance(step, int) and step < len(value)
        )
        if leads:
            value = value[step]
        if leads or (missing and number == len(steps)):
            real.append(step)
    return _joined(root, real)


def _joined(root: str, steps: Sequence[str | int]) -> str:
    place = root + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in steps)
    return place if root else place.removeprefix(".")


def _of_type(place: str, wanted: Any, value: object, _schema: object) -> str:  # noqa: ANN401 - one type or several
    names = wanted if isinstance(wanted, list) else [wanted]
    words = " or ".join(_OF_JSON_SCHEMA.get(name, str(name)) for name in names)
    return f"{place}: {words} was wanted, got {got(value)}"


def _of_enum(place: str, wanted: Sequence[object], value: object, _schema: object) -> str:
    return f"{place}: {shown(' or '.join(map(got, wanted)), 160)} was wanted, got {got(value)}"


def _of_const(place: str, wanted: object, value: object, _schema: object) -> str:
    return f"{place}: {got(wanted)} was wanted, got {got(value)}"


def _of_required(place: str, wanted: Sequence[str], value: Mapping[str, Any], _: object) -> str:
    name = next(name for name in wanted if name not in value)
    return f"{_joined(place, [name])}: missing"


def _of_additional(
    place: str, wanted: object, value: Mapping[str, Any], schema: Mapping[str, Any]
) -> str:
    known = schema.get("properties", {})
    name = next((name for name in value if name not in known), "")
    if wanted is False:
        return f"{_joined(place, [name])}: this name is not wanted here"
    return f"{_joined(place, [name])}: {got(value.get(name))} does not fit"


_SAID: dict[str, Callable[[str, Any, Any, Any], str]] = {
    "type": _of_type,
    "enum": _of_enum,
    "const": _of_const,
    "required": _of_required,
    "additionalProperties": _of_additional,
}
