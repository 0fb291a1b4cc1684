"""JSON schemas in the strict dialects of OpenAI and Anthropic, which constrain decoding.

Both support a part of JSON Schema and require closed objects. Values that fit the rewritten schema
fit the original, except for constraints (such as ``minLength``) that move into the description,
where the model reads them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground.types import Schema

_DEFINITIONS = ("$defs", "definitions")
# Keywords without influence on valid values.
_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "discriminator", "deprecated", "readOnly"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one vendor supports: keywords, and values of ``format``.

    ``all_required`` is whether all properties of an object must be required, ``takes`` whether a
    constraint is supported with this value.
    """

    constraints: frozenset[str]
    formats: frozenset[str]
    all_required: bool
    takes: Callable[[str, Any], bool] = lambda _name, _value: True


_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
_CONSTRAINTS = frozenset({
    "pattern", "multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minItems", "maxItems",
})  # fmt: skip
OPENAI = Dialect(
    constraints=_CONSTRAINTS,
    formats=_FORMATS,
    all_required=True,
    takes=lambda name, value: name != "pattern" or "(?" not in str(value),  # no lookaround
)
# https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
ANTHROPIC = Dialect(
    constraints=frozenset({"minItems"}),
    formats=_FORMATS | {"uri"},
    all_required=False,
    takes=lambda _name, value: value in (0, 1),
)


class _NotExpressibleError(Exception):
    """The schema has no equivalent in the vendor's dialect."""


def strict(schema: Mapping[str, Any], dialect: Dialect) -> dict[str, Any] | None:
    """The schema in a vendor's dialect, None where that cannot express it.

    That is the case for an open object (``dict[str, int]``), for a value of any type, and, if all
    properties must be required, for an optional property without a default that cannot be null:
    the model would have to invent a value.

    >>> strict({"type": "object", "properties": {"a": {"type": "string", "minLength": 2}},
    ...         "required": ["a"]}, OPENAI)  # doctest: +NORMALIZE_WHITESPACE
    {'type': 'object', 'properties': {'a': {'type': 'string', 'description': '{minLength: 2}'}},
     'required': ['a'], 'additionalProperties': False}
    """
    try:
        rewritten = _rewritten(_with_root(schema), dialect)
    except _NotExpressibleError:
        return None
    return rewritten if rewritten.get("type") == "object" else None


def openai_format(schema: Schema) -> dict[str, Any]:
    """The schema of an answer with the name and strictness that both of OpenAI's formats send."""
    rewritten = strict(schema.json_schema, OPENAI)
    return {
        "name": re.sub(r"[^A-Za-z0-9_-]", "_", schema.name)[:64] or "answer",
        "schema": schema.json_schema if rewritten is None else rewritten,
        "strict": rewritten is not None,
    }


def _with_root(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema that only refers to one of its own definitions, replaced by that definition."""
    _, _, place = str(schema.get("$ref", "")).partition("#/")
    key, _, name = place.partition("/")
    definitions = schema.get(key)
    root = definitions.get(name) if isinstance(definitions, Mapping) else None
    return {**root, key: definitions} if isinstance(root, Mapping) else schema


def _rewritten(schema: object, dialect: Dialect) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _NotExpressibleError
    rest = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
    definitions = {name: _each(rest.pop(name), dialect) for name in _DEFINITIONS if name in rest}
    rewritten = _described(_shape(rest, dialect), rest)
    if rest.get("title"):
        rewritten["title"] = rest["title"]
    return rewritten | definitions


def _shape(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Type, properties, items and constraints; they are removed from ``rest``."""
    if "$ref" in rest:
        return {"$ref": rest.pop("$ref")}
    union = rest.pop("anyOf", None) or rest.pop("oneOf", None)
    if union is not None:
        if not isinstance(union, list):
            raise _NotExpressibleError
        return {"anyOf": [_rewritten(schema, dialect) for schema in union]}
    if isinstance(rest.get("allOf"), list) and len(rest["allOf"]) == 1:
        return _rewritten(rest.pop("allOf")[0], dialect)
    values: dict[str, Any] = {name: rest.pop(name) for name in ("enum", "const") if name in rest}
    kind = rest.pop("type", None)
    if kind is None and values:
        return values
    if kind is None or "allOf" in rest:
        raise _NotExpressibleError
    shape = {"type": kind} | values
    if kind == "object":
        return shape | _object(rest, dialect)
    if kind == "array":
        shape["items"] = _rewritten(rest.pop("items", None), dialect)
    return shape | _taken(rest, dialect)


def _object(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    properties, required = rest.pop("properties", None), rest.pop("required", [])
    if not properties or rest.pop("additionalProperties", False) or "patternProperties" in rest:
        raise _NotExpressibleError
    if dialect.all_required:
        optional = (schema for name, schema in properties.items() if name not in required)
        if any(map(_needs_value, optional)):
            raise _NotExpressibleError
        required = properties
    return {
        "properties": _each(properties, dialect),
        "required": list(required),
        "additionalProperties": False,
    }


def _needs_value(schema: object) -> bool:
    """Whether an optional property has neither a default nor null for leaving it out."""
    if not isinstance(schema, Mapping):
        raise _NotExpressibleError
    if "default" in schema:
        return False
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return False
    union = schema.get("anyOf") or schema.get("oneOf")
    return not union or all(map(_needs_value, union))


def _taken(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The supported constraints; they are removed from ``rest``."""
    names = [name for name in rest if name in dialect.constraints]
    taken = {name: rest.pop(name) for name in names if dialect.takes(name, rest[name])}
    if rest.get("format") in dialect.formats:
        taken["format"] = rest.pop("format")
    return taken


def _described(shape: dict[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The shape with the unsupported constraints in its description."""
    constraints = [
        f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}"
        for name, value in rest.items()
        if name not in ("description", "title") and value is not None
    ]
    texts = [rest.get("description"), f"{{{', '.join(constraints)}}}" if constraints else None]
    described = {"description": "\n\n".join(filter(None, texts))} if any(texts) else {}
    if "$ref" in shape and described:  # $ref allows no other keyword beside it
        return {"anyOf": [shape]} | described
    return shape | described


def _each(schemas: object, dialect: Dialect) -> dict[str, Any]:
    if not isinstance(schemas, Mapping):
        raise _NotExpressibleError
    return {name: _rewritten(schema, dialect) for name, schema in schemas.items()}
