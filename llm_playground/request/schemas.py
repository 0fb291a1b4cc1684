"""Schemas of answers: ``schema=`` as a JSON schema, and validation of the answer.

A schema is a pydantic model, a dataclass, a TypedDict, a type such as ``list[str]``, or a JSON
schema as a dictionary. The JSON schema sent is always an object, because no vendor takes another
root: a list or a number is requested as ``{"value": ...}`` and unwrapped again.

Patterns are matched with pydantic's regex engine (Rust's), in time linear in the text. Python's
engine backtracks: a pattern such as ``^(a+)+$`` could block the interpreter, and with it all
streams, for minutes. Rust's engine has no look-around and no back-references; patterns with these
are rejected before anything is sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    NoReturn,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Schema

if TYPE_CHECKING:
    from jsonschema.protocols import Validator
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

# Keywords whose contents are values, not schemas.
_VALUES = frozenset({"const", "default", "enum", "examples"})


def schema_validator(json_schema: dict[str, Any]) -> Validator:
    """A validator of a JSON schema that matches patterns in linear time.

    Raises:
        InvalidParameterError: This is not a JSON schema, or a pattern in it cannot be matched in
            linear time.

    >>> validator = schema_validator({"pattern": "^(a+)+$"})
    >>> validator.is_valid("a" * 40), validator.is_valid("a" * 40 + "!")
    (True, False)
    """
    from jsonschema import SchemaError, validators  # first use, not import

    kind = validators.validator_for(json_schema, default=validators.Draft202012Validator)
    try:
        kind.check_schema(json_schema)
    except SchemaError as error:
        reason = _validation.describe_schema_error(error, "schema")
        raise InvalidParameterError(f"This is not a JSON schema: {reason}") from None
    for pattern in _patterns(json_schema):
        _matcher(pattern)
    linear = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
    }
    create: Callable[[dict[str, Any]], Validator] = validators.extend(kind, linear)  # type: ignore[no-untyped-call]  # untyped in jsonschema
    return create(_without_dialect(json_schema))


@lru_cache(maxsize=256)
def _matcher(pattern: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaError, SchemaValidator, core_schema  # first use, not import

    try:
        validator = SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError as error:
        reason = str(error).rpartition("rror: ")[2].partition("\n")[0]
        why = _validation.shorten(reason, 80).rstrip(".")
        raise InvalidParameterError(
            f"The schema's pattern {_validation.short_repr(pattern)} cannot be checked: {why}. "
            "Write it without look-around or back-references."
        ) from None
    return validator.isinstance_python


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
        # jsonschema matches these names with Python's engine for unevaluatedProperties.
        if "unevaluatedProperties" in schema:
            raise InvalidParameterError(
                "The schema has both unevaluatedProperties and patternProperties, which cannot be "
                "checked. Use additionalProperties."
            )
    for name, inner in schema.items():
        if name not in _VALUES:
            yield from _patterns(inner)


def _without_dialect(schema: Any) -> Any:  # noqa: ANN401 - a JSON value
    """A copy without ``$schema``, which would make jsonschema use its own validator."""
    if isinstance(schema, list):
        return [_without_dialect(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: inner if name in _VALUES else _without_dialect(inner)
        for name, inner in schema.items()
        if name != "$schema" or not isinstance(inner, str)
    }


def _pattern(_: Any, pattern: str, value: object, __: object) -> Iterator[Exception]:  # noqa: ANN401 - as jsonschema calls it
    from jsonschema import ValidationError  # first use, not import

    if isinstance(value, str) and not _matcher(pattern)(value):
        yield ValidationError(
            f"{_validation.short_repr(value)} does not match {_validation.short_repr(pattern)}"
        )


def _pattern_properties(
    validator: Any,  # noqa: ANN401 - as jsonschema calls it
    named: Mapping[str, Any],
    value: object,
    _: object,
) -> Iterator[Exception]:
    if not isinstance(value, dict):
        return
    for pattern, schema in named.items():
        matches = _matcher(pattern)
        for name, inner in value.items():
            if matches(name):
                yield from validator.descend(inner, schema, path=name, schema_path=pattern)


def _additional_properties(
    validator: Any,  # noqa: ANN401 - as jsonschema calls it
    additional: object,
    value: object,
    schema: Mapping[str, Any],
) -> Iterator[Exception]:
    from jsonschema import ValidationError  # first use, not import

    if not isinstance(value, dict):
        return
    properties = schema.get("properties", {})
    matchers = [_matcher(pattern) for pattern in schema.get("patternProperties", {})]
    extra = [
        name
        for name in value
        if name not in properties and not any(matches(name) for matches in matchers)
    ]
    if isinstance(additional, dict):
        for name in extra:
            yield from validator.descend(value[name], additional, path=name)
    elif not additional and extra:
        yield ValidationError("unexpected name", instance={name: value[name] for name in extra})


_WRAPPER = "value"
_AT_ROOT = frozenset({"$schema", "$defs", "definitions"})
_LONGEST_NAME = 64  # OpenAI's limit


class SchemaWarning(UserWarning):
    """An answer does not match the schema, so ``run.data`` is None."""


def schema_from(source: Any) -> Schema:  # noqa: ANN401 - types are checked here
    """The Schema for a value of ``schema=``.

    Its ``parse`` returns an instance of the model or dataclass, or plain JSON values for a
    dictionary, and raises ValueError with one line: the path, the expected value and the actual
    value. Of text around the JSON, only a Markdown fence is removed.

    Raises:
        InvalidParameterError: The source has another type, or cannot be expressed as JSON schema.

    >>> schema = schema_from(list[int])
    >>> schema.parse('{"value": [1, 2]}')
    [1, 2]
    >>> schema.parse('{"value": [1, "two"]}')
    Traceback (most recent call last):
    ValueError: data[1]: expected a whole number, got 'two'
    """
    if isinstance(source, Schema):
        return source
    if isinstance(source, Mapping):
        return _from_json_schema(source)
    if isinstance(source, (type, UnionType)) or get_origin(source) is not None:
        return _from_type(source)
    raise InvalidParameterError(
        "schema takes a pydantic model, a dataclass, a TypedDict, a type such as list[str], or a "
        f"JSON schema as a dictionary; got {type(source).__name__} "
        f"{_validation.short_repr(source)}."
    )


def generator() -> type[GenerateJsonSchema]:
    """Pydantic's generator of JSON schemas, without titles and some warnings.

    Titles of fields cost tokens and only repeat the names; defaults that JSON cannot express are
    left out without a warning.
    """
    from pydantic.json_schema import GenerateJsonSchema  # first use, not import

    class Plain(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic declares it

        def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
            return False

    return Plain


def _from_type(source: Any) -> Schema:  # noqa: ANN401 - any type expression
    from pydantic import ValidationError  # first use, not import

    name = getattr(source, "__name__", None) or "answer"
    try:
        adapter = _adapter(source)
        json_schema = adapter.json_schema(schema_generator=generator())
    except Exception as error:  # pydantic's errors have no common base; bad hints raise NameError
        why = _validation.shorten(str(error).partition("\n")[0], 200)
        raise InvalidParameterError(f"{name} cannot be converted to a JSON schema: {why}") from None

    def parse(value: object) -> object:
        try:
            return adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise ValueError(_validation.describe_pydantic_error(error, value)) from None
        except Exception as error:  # raised by a validator in the model
            why = _validation.shorten(str(error), 160)
            raise ValueError(f"data: {type(error).__name__} in {name}: {why}") from None

    return _schema(name, json_schema, parse)


def _adapter(source: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - any type expression
    from pydantic import PydanticUserError, TypeAdapter  # first use, not import

    try:
        return TypeAdapter(source)
    except PydanticUserError as error:
        if error.code != "typed-dict-version":
            raise
        return TypeAdapter(_with_extended_typed_dicts(source))


def _with_extended_typed_dicts(kind: Any) -> Any:  # noqa: ANN401 - any type expression
    """The type with each TypedDict made by typing_extensions, as pydantic needs on Python 3.11."""
    from typing_extensions import TypedDict  # first use, not import

    origin, inner = get_origin(kind), get_args(kind)
    if inner and origin is not Literal:
        outer = Union if origin is UnionType else origin
        return outer[tuple(map(_with_extended_typed_dicts, inner))]
    if not is_typeddict(kind):
        return kind
    hints = get_type_hints(kind)
    fields = {name: _with_extended_typed_dicts(hint) for name, hint in hints.items()}
    optional = {name: NotRequired[fields[name]] for name in kind.__optional_keys__}
    return TypedDict(kind.__name__, fields | optional)  # type: ignore[operator]  # mypy does not support fields from a variable


def _from_json_schema(source: Mapping[str, Any]) -> Schema:
    json_schema = _plain(source)
    return _schema(str(json_schema.get("title") or "answer"), json_schema, _checked_by(json_schema))


def restored(schema: Schema) -> Schema:
    """A schema of the log, which has no types: the data of its answers are plain JSON values.

    >>> asked = schema_from(list[int])
    >>> restored(Schema(asked.name, asked.json_schema, str, is_wrapped=True)).parse("[1, 2]")
    [1, 2]
    """
    at_root = schema.json_schema
    inner = dict(at_root)
    if schema.is_wrapped:
        outer = {name: value for name, value in at_root.items() if name in _AT_ROOT}
        inner = {**outer, **at_root["properties"][_WRAPPER]}

    def parse(text: str) -> object:
        value = _unwrapped(_json_of(text)) if schema.is_wrapped else _json_of(text)
        with suppress(InvalidParameterError):  # masked, or a pattern that only its type can check
            return _checked_by(inner)(value)
        return value

    return replace(schema, parse=parse)


def _checked_by(json_schema: dict[str, Any]) -> Callable[[Any], object]:
    """Returns a JSON value that matches a schema, and raises ValueError for any other."""
    from jsonschema.exceptions import best_match  # first use, not import

    validator = schema_validator(json_schema)
    _check_references(json_schema)

    def parse(value: Any) -> object:  # noqa: ANN401 - a JSON value
        try:
            error = best_match(validator.iter_errors(value))
        except RecursionError:
            raise ValueError("data: nested too deeply to be checked") from None
        if error is not None:
            raise ValueError(_validation.describe_schema_error(error))
        return value

    return parse


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of JSON values only."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(source), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        why = _validation.shorten(str(error), 120)
        raise InvalidParameterError(f"The schema cannot be written as JSON: {why}") from None
    if _validation.nested_too_deeply(copy):
        raise InvalidParameterError(
            f"The schema is nested more than {_validation.DEEPEST} levels deep. Use $defs and $ref."
        )
    return copy


def _check_references(json_schema: dict[str, Any]) -> None:
    """Reject references to other documents, which the validator would fetch."""
    for reference in _references(json_schema):
        target: Any = json_schema if reference.startswith("#") else None
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, dict) else None
        if target is None:
            raise InvalidParameterError(
                f"The schema refers to {_validation.short_repr(reference)}, which is not in it; "
                'references look like "#/$defs/name".'
            )


def _references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name in {"$ref", "$dynamicRef"} and isinstance(inner, str):
                yield inner
            else:
                yield from _references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _references(inner)


def _schema(name: str, json_schema: dict[str, Any], parse: Callable[[Any], Any]) -> Schema:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_LONGEST_NAME] or "answer"
    json_schema = _root_inlined(json_schema)
    if "properties" in json_schema:
        json_schema = {"type": "object"} | json_schema
    if json_schema.get("type") == "object":
        return Schema(name, json_schema, lambda text: parse(_json_of(text)))
    return Schema(
        name,
        _wrapped(json_schema),
        lambda text: parse(_unwrapped(_json_of(text))),
        is_wrapped=True,
    )


def _root_inlined(json_schema: dict[str, Any]) -> dict[str, Any]:
    """Inline the reference at the root of a recursive model, which vendors reject."""
    start = "#/$defs/"
    reference = json_schema.get("$ref", "")
    if not reference.startswith(start):
        return json_schema
    root = json_schema["$defs"].get(reference.removeprefix(start), {})
    return {**root, **{name: v for name, v in json_schema.items() if name != "$ref"}}


def _wrapped(json_schema: dict[str, Any]) -> dict[str, Any]:
    inner = {name: value for name, value in json_schema.items() if name not in _AT_ROOT}
    outer = {name: value for name, value in json_schema.items() if name in _AT_ROOT}
    return outer | {"type": "object", "properties": {_WRAPPER: inner}, "required": [_WRAPPER]}


def _unwrapped(value: object) -> object:
    """The wrapped value; a bare value, sent by servers without schema support, is kept."""
    if isinstance(value, dict) and value.keys() == {_WRAPPER}:
        return value[_WRAPPER]
    return value


def _json_of(text: str) -> object:
    text = _without_fence(text.strip())
    if not text:
        raise ValueError("The answer is empty; expected JSON.")
    try:
        return json.loads(text, parse_constant=_reject_constant)
    except json.JSONDecodeError as error:
        why = f"{error.msg}, line {error.lineno}, column {error.colno}"
    except RecursionError:
        why = "nested too deeply"
    except ValueError as error:
        why = str(error).split(";")[0]
    raise ValueError(f"The answer is not JSON ({why}): {_validation.short_repr(text)}")


def _without_fence(text: str) -> str:
    """Remove a fence such as ```` ```json ````, which small models put around their answer."""
    if not (text.startswith("```") and text.endswith("```") and len(text) > 6):
        return text
    language, newline, inner = text[3:-3].partition("\n")
    return inner.strip() if newline and language.strip().lower() in {"", "json"} else text


def _reject_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
