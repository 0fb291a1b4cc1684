"""JSON schemas whose patterns are checked in time that grows with the text, and not beyond.

Python's own engine goes back and tries again: one pattern such as ``^(a+)+$`` and one answer hold
the interpreter for minutes, and every stream with it. Pydantic's engine, Rust's, never does. It
has no look-around and no back-reference: a pattern with these is refused before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

# What stands below these is a value and no schema.
_VALUES = frozenset({"const", "default", "enum", "examples"})


def validator(kind: type[Validator], json_schema: dict[str, Any]) -> Validator:
    """A validator of ``kind`` for a schema; its patterns take linear time.

    Raises:
        InvalidParameterError: A pattern is none, or one that takes no linear time.

    >>> from jsonschema import Draft202012Validator
    >>> checking = validator(Draft202012Validator, {"pattern": "^(a+)+$"})
    >>> checking.is_valid("a" * 40), checking.is_valid("a" * 40 + "!")
    (True, False)
    """
    from jsonschema import validators  # first use, not import

    for pattern in _patterns(json_schema):
        _matcher(pattern)
    linear = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    used: Callable[[dict[str, Any]], Validator] = validators.extend(kind, linear)  # type: ignore[no-untyped-call]  # the library's own
    return used(_of_one_kind(json_schema))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # first use, not import

    try:
        checking = SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError as error:
        why = misfit.shown(str(error).rpartition("rror: ")[2].partition("\n")[0], 80).rstrip(".")
        raise InvalidParameterError(
            f"The schema's pattern {misfit.got(pattern)} cannot be checked: {why}. "
            "Write it without look-around and back-references."
        ) from None
    return checking.isinstance_python


def _patterns(schema: object) -> Iterator[str]:
    if isinstance(schema, list):
        for inner in schema:
            yield from _patterns(inner)
    if not isinstance(schema, dict):
        return
    if isinstance(schema.get("pattern"), str):
        yield schema["pattern"]
    named = schema.get("patternProperties")
    if isinstance(named, dict):
        yield from named
        # Its own checks of what is left over match these names with Python's engine.
        if "unevaluatedProperties" in schema:
            raise InvalidParameterError(
                "The schema has unevaluatedProperties beside patternProperties, which cannot be "
                "checked. Use additionalProperties."
            )
    for name, inner in schema.items():
        if name not in _VALUES:
            yield from _patterns(inner)


def _of_one_kind(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """Without ``$schema``, at which the library would go back to its own validator."""
    if isinstance(schema, list):
        return [_of_one_kind(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: inner if name in _VALUES else _of_one_kind(inner)
        for name, inner in schema.items()
        if name != "$schema" or not isinstance(inner, str)
    }


def _pattern(_: Any, pattern: str, value: object, __: object) -> Iterator[Exception]:  # noqa: ANN401 - the library's own
    from jsonschema import ValidationError  # first use, not import

    if isinstance(value, str) and not _matcher(pattern)(value):
        yield ValidationError(f"{misfit.got(value)} does not match {misfit.got(pattern)}")


def _pattern_properties(
    checking: Any,  # noqa: ANN401 - the library's own
    named: Mapping[str, Any],
    value: object,
    _: object,
) -> Iterator[Exception]:
    if not isinstance(value, dict):
        return
    for pattern, schema in named.items():
        fits = _matcher(pattern)
        for name, inner in value.items():
            if fits(name):
                yield from checking.descend(inner, schema, path=name, schema_path=pattern)


def _additional_properties(
    checking: Any,  # noqa: ANN401 - the library's own
    wanted: object,
    value: object,
    schema: Mapping[str, Any],
) -> Iterator[Exception]:
    from jsonschema import ValidationError  # first use, not import

    if not isinstance(value, dict):
        return
    known, matchers = (
        schema.get("properties", {}),
        map(_matcher, schema.get("patternProperties", {})),
    )
    fitting = list(matchers)
    more = [n for n in value if n not in known and not any(fits(n) for fits in fitting)]
    if isinstance(wanted, dict):
        for name in more:
            yield from checking.descend(value[name], wanted, path=name)
    elif not wanted and more:
        yield ValidationError("not wanted here", instance={name: value[name] for name in more})
