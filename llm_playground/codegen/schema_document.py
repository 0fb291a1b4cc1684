"""A JSON schema: what its references name, which values are valid, and which parts are disjoint.

https://json-schema.org/draft/2020-12/json-schema-validation
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from llm_playground.errors import InvalidParameterError
from llm_playground.request.schemas import schema_validator

JsonSchema: TypeAlias = Mapping[str, Any] | bool

VALUE_KEYWORDS = {"enum", "const"}
_KINDS = {
    str: "string",
    int: "number",
    float: "number",
    bool: "boolean",
    type(None): "null",
    list: "array",
    dict: "object",
}
_MOST_COMPARED = 8  # levels, to tell two schemas apart


class UnsupportedSchemaError(Exception):
    """Pydantic models cannot express a schema; the message names what is in it."""


class SchemaDocument:
    """A whole JSON schema, whose parts refer to each other by JSON pointers.

    Raises:
        UnsupportedSchemaError: It is no JSON schema, or has a pattern of another engine.

    >>> document = SchemaDocument({"$defs": {"Town": {"type": "string"}}})
    >>> document.at("#/$defs/Town"), document.is_valid({"$ref": "#/$defs/Town"}, 3)
    ({'type': 'string'}, False)
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        try:
            self._validator = schema_validator(dict(root))
        except InvalidParameterError:
            reason = 'what is not JSON Schema, or a "pattern" for another engine'
            raise UnsupportedSchemaError(reason) from None
        # `Schema` copies a recursive model to the root, where vendors want an object.
        own = {name: value for name, value in root.items() if name != "$defs"}
        self._copies = {
            f"#/$defs/{name}" for name, each in root.get("$defs", {}).items() if each == own
        }

    def original(self, pointer: str) -> str:
        """The pointer to what a part is a copy of: the root, for one of its definitions."""
        return "#" if pointer in self._copies else pointer

    def at(self, pointer: str) -> JsonSchema:
        """The part at a JSON pointer.

        Raises:
            UnsupportedSchemaError: It is in another document, or there is none.
        """
        if not pointer.startswith("#"):
            raise UnsupportedSchemaError('"$ref" to another document')
        target: Any = self._root
        for step in unquote(pointer).split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            target = target.get(name) if isinstance(target, Mapping) else None
        if not isinstance(target, (Mapping, bool)):
            raise UnsupportedSchemaError('"$ref" to what is not in it')
        return target

    def is_valid(self, schema: JsonSchema, value: Any) -> bool:  # noqa: ANN401 - a JSON value
        """Whether a value is valid against a part."""
        return self._validator.evolve(schema=schema).is_valid(value)

    def are_disjoint(self, one: JsonSchema, other: JsonSchema, depth: int = 0) -> bool:
        """Whether it is plain that no value is valid against both parts."""
        one, other = self._followed(one), self._followed(other)
        if depth > _MOST_COMPARED or isinstance(one, bool) or isinstance(other, bool):
            return False
        kinds = _kinds(one), _kinds(other)
        if not kinds[0] & kinds[1]:
            return True
        values = [
            set(map(json_key, listed_values(schema)))
            for schema in (one, other)
            if schema.keys() & VALUE_KEYWORDS
        ]
        if len(values) == 2:
            return not values[0] & values[1]
        return kinds == ({"object"}, {"object"}) and (
            _lacks_required(one, other)
            or _lacks_required(other, one)
            or any(
                self.are_disjoint(
                    one.get("properties", {}).get(name, True),
                    other.get("properties", {}).get(name, True),
                    depth + 1,
                )
                for name in {*one.get("required", [])} & {*other.get("required", [])}
            )
        )

    def _followed(self, schema: JsonSchema) -> JsonSchema:
        """The schema behind references."""
        for _ in range(_MOST_COMPARED):
            if isinstance(schema, bool) or "$ref" not in schema:
                return schema
            schema = self.at(schema["$ref"])
        return True


def listed_values(schema: Mapping[str, Any]) -> list[Any]:
    """The values of ``enum``, or the one of ``const``.

    >>> listed_values({"const": 3})
    [3]
    """
    return list(schema.get("enum", [schema.get("const")]))


def whole(value: Any) -> Any:  # noqa: ANN401 - a JSON value
    """3 for 3.0: JSON has one type of numbers."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def json_key(value: object) -> str:
    """A text that values have in common if they are equal in JSON; 1 and true are not.

    >>> json_key(3.0) == json_key(3), json_key(True) == json_key(1)
    (True, False)
    """
    return json.dumps(whole(value), sort_keys=True)


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types of values, ``number`` for whole numbers too."""
    if schema.keys() & VALUE_KEYWORDS:
        return {_KINDS[type(value)] for value in listed_values(schema)}
    kinds = schema.get("type", [*_KINDS.values()])
    names = [kinds] if isinstance(kinds, str) else kinds
    return {"number" if name == "integer" else name for name in names}


def _lacks_required(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether the one forbids a property that the other requires."""
    return one.get("additionalProperties") is False and any(
        name not in one.get("properties", {}) for name in other.get("required", [])
    )
