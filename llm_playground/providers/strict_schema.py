"""JSON schemas as vendors take them who hold a model to them while it writes.

Both take a part of JSON Schema and want every object closed. What is rewritten here asks for no
less than the original: whatever fits the result fits the original, but for constraints (such as
``minLength``) that move into the description, where the model reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_DEFINITIONS = ("$defs", "definitions")
# Says nothing of the shape.
_ANNOTATIONS = frozenset({"$schema", "$id", "$comment", "discriminator", "deprecated", "readOnly"})


@dataclass(frozen=True, slots=True)
class Dialect:
    """What one vendor takes.

    Args:
        constraints: Keywords that are taken as they are.
        formats: Values of ``format`` that are taken.
        all_required: Whether an object must name all its properties as required.
        takes: Whether a constraint is taken with this value.
    """

    constraints: frozenset[str]
    formats: frozenset[str]
    all_required: bool
    takes: Callable[[str, Any], bool] = lambda _name, _value: True


_FORMATS = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"}
)
# https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
OPENAI = Dialect(
    constraints=frozenset(
        {
            "pattern",
            "multipleOf",
            "minimum",
            "maximum",
            "exclusiveMinimum",
            "exclusiveMaximum",
            "minItems",
            "maxItems",
        }
    ),
    formats=_FORMATS,
    all_required=True,
    takes=lambda name, value: name != "pattern" or "(?" not in str(value),  # no looking around
)
# https://docs.claude.com/en/docs/build-with-claude/structured-outputs#json-schema-limitations
ANTHROPIC = Dialect(
    constraints=frozenset({"minItems"}),
    formats=_FORMATS | {"uri"},
    all_required=False,
    takes=lambda _name, value: value in (0, 1),
)


class _CannotBeMetError(Exception):
    """The vendor cannot hold a model to this schema."""


def strict(schema: Mapping[str, Any], dialect: Dialect) -> dict[str, Any] | None:
    """The schema in a vendor's dialect, None where it cannot be said there.

    It cannot where an object is open (``dict[str, int]``), where something may be anything, and,
    if all must be required, where a property may be left out that has no default and cannot be
    null: the model would have to make it up.

    >>> strict({"type": "object", "properties": {"a": {"type": "string", "minLength": 2}},
    ...         "required": ["a"]}, OPENAI)  # doctest: +NORMALIZE_WHITESPACE
    {'type': 'object', 'properties': {'a': {'type': 'string', 'description': '{minLength: 2}'}},
     'required': ['a'], 'additionalProperties': False}
    """
    try:
        rewritten = _rewritten(_with_root(schema), dialect)
    except _CannotBeMetError:
        return None
    return rewritten if rewritten.get("type") == "object" else None


def _with_root(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema that is a reference to one of its own definitions, as that definition."""
    _, _, place = str(schema.get("$ref", "")).partition("#/")
    key, _, name = place.partition("/")
    definitions = schema.get(key)
    root = definitions.get(name) if isinstance(definitions, Mapping) else None
    return {**root, key: definitions} if isinstance(root, Mapping) else schema


def _rewritten(schema: object, dialect: Dialect) -> dict[str, Any]:
    if not isinstance(schema, Mapping):
        raise _CannotBeMetError
    rest = {name: value for name, value in schema.items() if name not in _ANNOTATIONS}
    definitions = {name: _each(rest.pop(name), dialect) for name in _DEFINITIONS if name in rest}
    rewritten = _shape(rest, dialect)
    rewritten = _noted(rewritten, rest)
    if rest.get("title"):
        rewritten["title"] = rest["title"]
    return rewritten | definitions


def _shape(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The part that says the shape; taken out of ``rest``."""
    if "$ref" in rest:
        return {"$ref": rest.pop("$ref")}
    union = rest.pop("anyOf", None) or rest.pop("oneOf", None)
    if union is not None:
        return {"anyOf": _all(union, dialect)}
    if isinstance(rest.get("allOf"), list) and len(rest["allOf"]) == 1:
        return _rewritten(rest.pop("allOf")[0], dialect)
    values: dict[str, Any] = {name: rest.pop(name) for name in ("enum", "const") if name in rest}
    kind = rest.pop("type", None)
    if kind is None and values:
        return values
    if kind is None or "allOf" in rest:
        raise _CannotBeMetError
    shape = {"type": kind} | values
    if kind == "object":
        return shape | _object(rest, dialect)
    if kind == "array":
        shape["items"] = _rewritten(rest.pop("items", None), dialect)
    return shape | _taken(rest, dialect)


def _object(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    properties, required = rest.pop("properties", None), rest.pop("required", [])
    if not properties or rest.pop("additionalProperties", False) or "patternProperties" in rest:
        raise _CannotBeMetError
    if dialect.all_required:
        if any(_must_be_made_up(properties[name]) for name in properties if name not in required):
            raise _CannotBeMetError
        required = properties
    return {
        "properties": _each(properties, dialect),
        "required": list(required),
        "additionalProperties": False,
    }


def _must_be_made_up(schema: object) -> bool:
    if not isinstance(schema, Mapping):
        raise _CannotBeMetError
    if "default" in schema:
        return False
    kinds = schema.get("type")
    if kinds == "null" or (isinstance(kinds, list) and "null" in kinds):
        return False
    union = schema.get("anyOf") or schema.get("oneOf")
    return not union or all(map(_must_be_made_up, union))


def _taken(rest: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """The constraints that the vendor takes; taken out of ``rest``."""
    names = [name for name in rest if name in dialect.constraints]
    taken = {name: rest.pop(name) for name in names if dialect.takes(name, rest[name])}
    if rest.get("format") in dialect.formats:
        taken["format"] = rest.pop("format")
    return taken


def _noted(shape: dict[str, Any], rest: Mapping[str, Any]) -> dict[str, Any]:
    """The shape with what it does not say in its description."""
    notes = [
        f"{name}: {json.dumps(value, ensure_ascii=False, default=str)}"
        for name, value in rest.items()
        if name not in _SAID_APART and value is not None
    ]
    said = [rest.get("description"), f"{{{', '.join(notes)}}}" if notes else None]
    described = {"description": "\n\n".join(filter(None, said))} if any(said) else {}
    if "$ref" in shape and described:  # which stands alone
        return {"anyOf": [shape]} | described
    return shape | described


_SAID_APART = ("description", "title")


def _each(schemas: object, dialect: Dialect) -> dict[str, Any]:
    if not isinstance(schemas, Mapping):
        raise _CannotBeMetError
    return {name: _rewritten(schema, dialect) for name, schema in schemas.items()}


def _all(schemas: object, dialect: Dialect) -> list[dict[str, Any]]:
    if not isinstance(schemas, list):
        raise _CannotBeMetError
    return [_rewritten(schema, dialect) for schema in schemas]
