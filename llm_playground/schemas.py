"""The shape an answer must have, from what people write shapes in.

A pydantic model, a dataclass, a TypedDict, a type such as ``list[str]``, or a JSON schema as a
dictionary. Whatever the source, the JSON schema is an object, because no vendor takes another
root: a list or a number is asked for as ``{"value": ...}`` and taken out again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
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

from llm_playground import misfit, patterns, types
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Schema

if TYPE_CHECKING:
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

Parse = Callable[[Any], Any]

_WRAPPER = "value"
_LONGEST_NAME = 64  # OpenAI's limit


class SchemaWarning(UserWarning):
    """An answer is not in the shape that was asked for, so ``run.data`` is None."""


def schema_from(source: Any) -> Schema:  # noqa: ANN401 - what a schema may be is decided here
    """What ``schema=`` takes, as a Schema.

    Its ``parse`` gives an instance of the model or dataclass, or plain JSON values for a
    dictionary, and raises ValueError with one line that names the place, what was wanted and
    what came. It takes a fence of Markdown off the answer, and nothing else.

    Raises:
        InvalidParameterError: It is none of these, or no JSON schema can say it.

    >>> schema = schema_from(list[int])
    >>> schema.parse('{"value": [1, 2]}')
    [1, 2]
    >>> schema.parse('{"value": [1, "two"]}')
    Traceback (most recent call last):
    ValueError: data[1]: a whole number was wanted, got 'two'
    """
    if isinstance(source, Schema):
        return source
    if isinstance(source, Mapping):
        return _from_json_schema(source)
    if isinstance(source, (type, UnionType)) or get_origin(source) is not None:
        return _from_type(source)
    raise InvalidParameterError(
        "schema takes a pydantic model, a dataclass, a TypedDict, a type such as list[str], or a "
        f"JSON schema as a dictionary; got {type(source).__name__} {misfit.got(source)}."
    )


def generator() -> type[GenerateJsonSchema]:
    """How pydantic is to write JSON schemas.

    Without a title for each name, which would cost tokens and tell nothing, and without a warning
    about a default that JSON cannot say.
    """
    from pydantic.json_schema import GenerateJsonSchema  # first use, not import

    class Plain(GenerateJsonSchema):
        ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as pydantic declares it

        def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's own
            return False

    return Plain


def _from_type(source: Any) -> Schema:  # noqa: ANN401 - a type, of which there is no type
    from pydantic import ValidationError  # first use, not import

    name = getattr(source, "__name__", None) or "answer"
    try:
        adapter = _adapter(source)
        json_schema = adapter.json_schema(schema_generator=generator())
    except (
        Exception
    ) as error:  # pydantic's own kinds have no common root; a wrong hint is a NameError
        why = misfit.shown(str(error).partition("\n")[0], 200)
        raise InvalidParameterError(f"{name} cannot be made a JSON schema: {why}") from None

    def parse(value: object) -> object:
        try:
            return adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise ValueError(misfit.of_pydantic(error, value)) from None
        except Exception as error:  # a validator of the model's author
            why = misfit.shown(str(error), 160)
            raise ValueError(f"data: {type(error).__name__} in {name}: {why}") from None

    return _schema(name, json_schema, parse)


def _adapter(source: Any) -> TypeAdapter[Any]:  # noqa: ANN401 - a type, of which there is no type
    from pydantic import PydanticUserError, TypeAdapter  # first use, not import

    try:
        return TypeAdapter(source)
    except PydanticUserError as error:
        if error.code != "typed-dict-version":
            raise
        return TypeAdapter(_renewed(source))


def _renewed(kind: Any) -> Any:  # noqa: ANN401 - a type, of which there is no type
    """The same type; a TypedDict of Python 3.11 as a later one, which pydantic wants."""
    from typing_extensions import TypedDict  # as above

    origin, inner = get_origin(kind), get_args(kind)
    if inner and origin is not Literal:
        outer = Union if origin is UnionType else origin
        return outer[tuple(map(_renewed, inner))]
    if not is_typeddict(kind):
        return kind
    hints = get_type_hints(kind)
    fields = {name: _renewed(hint) for name, hint in hints.items()}
    optional = {name: NotRequired[fields[name]] for name in kind.__optional_keys__}
    return TypedDict(kind.__name__, fields | optional)  # type: ignore[operator]  # made from data, which mypy does not follow


def _from_json_schema(source: Mapping[str, Any]) -> Schema:
    from jsonschema import SchemaError  # first use, not import
    from jsonschema.exceptions import best_match
    from jsonschema.validators import Draft202012Validator, validator_for

    json_schema = _plain(source)
    kind = validator_for(json_schema, default=Draft202012Validator)
    try:
        kind.check_schema(json_schema)
    except SchemaError as error:
        place = misfit.of_json_schema(error, "schema")
        raise InvalidParameterError(f"This is no JSON schema: {place}") from None
    _check_references(json_schema)
    validator = patterns.validator(kind, json_schema)

    def parse(value: Any) -> object:  # noqa: ANN401 - a JSON value
        try:
            error = best_match(validator.iter_errors(value))
        except RecursionError:
            raise ValueError("data: it is nested too deeply to be checked") from None
        if error is not None:
            raise ValueError(misfit.of_json_schema(error))
        return value

    return _schema(str(json_schema.get("title") or "answer"), json_schema, parse)


def _plain(source: Mapping[str, Any]) -> dict[str, Any]:
    """A copy that nobody changes later, of JSON values only."""
    try:
        copy: dict[str, Any] = json.loads(json.dumps(dict(source), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        why = misfit.shown(str(error), 120)
        raise InvalidParameterError(f"The schema holds what JSON cannot: {why}") from None
    if types.nested_too_deeply(copy):
        raise InvalidParameterError(
            f"The schema is nested more than {types.DEEPEST} deep. Say it with $defs and $ref."
        )
    return copy


def _check_references(json_schema: dict[str, Any]) -> None:
    """Refuse what leads outside: validating would fetch it, and no provider would."""
    for reference in _references(json_schema):
        found: Any = json_schema if reference.startswith("#") else None
        for step in reference.removeprefix("#").split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        if found is None:
            raise InvalidParameterError(
                f"The schema refers to {misfit.got(reference)}, which is not in it; "
                'a reference is "#/$defs/name".'
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


def _schema(name: str, json_schema: dict[str, Any], parse: Parse) -> Schema:
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_")[:_LONGEST_NAME] or "answer"
    json_schema = _root_inlined(json_schema)
    if "properties" in json_schema:
        json_schema = {"type": "object"} | json_schema
    if json_schema.get("type") == "object":
        return Schema(name, json_schema, lambda text: parse(_json_of(text)))
    return Schema(name, _wrapped(json_schema), lambda text: parse(_unwrapped(_json_of(text))))


def _root_inlined(json_schema: dict[str, Any]) -> dict[str, Any]:
    """A recursive model's root is a reference, which vendors refuse: what it refers to instead."""
    start = "#/$defs/"
    reference = json_schema.get("$ref", "")
    if not reference.startswith(start):
        return json_schema
    root = json_schema["$defs"].get(reference.removeprefix(start), {})
    return {**root, **{name: v for name, v in json_schema.items() if name != "$ref"}}


def _wrapped(json_schema: dict[str, Any]) -> dict[str, Any]:
    at_root = {"$schema", "$defs", "definitions"}
    inner = {name: value for name, value in json_schema.items() if name not in at_root}
    outer = {name: value for name, value in json_schema.items() if name in at_root}
    return outer | {"type": "object", "properties": {_WRAPPER: inner}, "required": [_WRAPPER]}


def _unwrapped(value: object) -> object:
    """A server that knows no schemas leaves its model to give the bare value: as good."""
    if isinstance(value, dict) and value.keys() == {_WRAPPER}:
        return value[_WRAPPER]
    return value


def _json_of(text: str) -> object:
    text = _without_fence(text.strip())
    if not text:
        raise ValueError("The answer is empty; JSON was wanted.")
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        why = _why_no_json(error)
        raise ValueError(f"The answer is no JSON ({why}): {misfit.got(text)}") from None


def _why_no_json(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg}, line {error.lineno}, column {error.colno}"
    return "nested too deeply" if isinstance(error, RecursionError) else str(error).split(";")[0]


def _without_fence(text: str) -> str:
    """Small models put ```` ```json ```` around their answer."""
    if not (text.startswith("```") and text.endswith("```") and len(text) > 6):
        return text
    language, newline, inner = text[3:-3].partition("\n")
    return inner.strip() if newline and language.strip().lower() in {"", "json"} else text


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of it")
