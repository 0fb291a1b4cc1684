"""The types of a JSON schema's values as Python source, and the pydantic classes among them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, TypeGuard

from llm_playground.codegen.model_classes import (
    Field,
    class_name,
    class_source,
    field_name,
)
from llm_playground.codegen.python_layout import (
    Atom,
    Bracketed,
    Expression,
    Literal,
    Union,
    call,
    laid_out,
    text,
)
from llm_playground.codegen.schema_document import (
    VALUE_KEYWORDS,
    JsonSchema,
    SchemaDocument,
    UnsupportedSchemaError,
    json_key,
    listed_values,
    whole,
)

_ANY, _NONE = Atom("Any"), Atom("None")
_TYPES = {
    "string": Atom("str"),
    "integer": Atom("Integer"),
    "number": Atom("float"),
    "boolean": Atom("bool"),
    "null": _NONE,
}
_BOUNDS = {
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
}
# The arguments of `Field` for the keywords of each type.
_CONSTRAINTS = {
    "string": {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern"},
    "integer": _BOUNDS,
    "number": _BOUNDS,
    "array": {"minItems": "min_length", "maxItems": "max_length"},
    "object": {"minProperties": "min_length", "maxProperties": "max_length"},
}
# The whole number that a bound of whole numbers can be instead.
_ROUNDED = {"ge": math.ceil, "le": math.floor, "gt": math.floor, "lt": math.ceil}
_STRUCTURE = {"properties", "required", "additionalProperties", "items", "prefixItems"}
_COMPOSED = ("$ref", "allOf", "anyOf", "oneOf")
_UNSUPPORTED = (
    *("not", "if", "unevaluatedProperties", "unevaluatedItems"),
    *("$dynamicRef", "$recursiveRef"),
)
_UNSUPPORTED_ARRAY = ("uniqueItems", "contains")
_UNSUPPORTED_OBJECT = (
    *("patternProperties", "propertyNames", "dependencies"),
    *("dependentRequired", "dependentSchemas"),
)
_OF_ONE_TYPE = {*_STRUCTURE, *_UNSUPPORTED_ARRAY, *_UNSUPPORTED_OBJECT}.union(
    *_CONSTRAINTS.values()
)
# The keywords that decide whether a value is valid; others describe.
_ASSERTIONS = _OF_ONE_TYPE | {"type", *_COMPOSED, *VALUE_KEYWORDS, *_UNSUPPORTED}


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a schema's values."""

    code: Expression
    constraints: Mapping[str, Any] = field(default_factory=dict)  # arguments of `Field`

    @property
    def annotated(self) -> Expression:
        """The type with its constraints."""
        if not self.constraints:
            return self.code
        return Bracketed("Annotated", (self.code, call("Field", self.constraints)))


class ModelWriter:
    """Writes the classes and aliases of one schema, each before those that use it.

    ``taken`` are names that no class or alias gets.

    Raises:
        UnsupportedSchemaError: The schema is no JSON Schema.
    """

    def __init__(self, root: Mapping[str, Any], taken: Iterable[str]) -> None:
        self.blocks: list[str] = []  # the source of each class and alias
        self.used: set[str] = set()  # the names in them
        self.fields: dict[str, dict[str, Expression]] = {}  # of each class, by property
        self.incomplete: list[str] = []  # classes and aliases that need one written later
        self._document = SchemaDocument(root)
        self._taken = frozenset(taken)
        self._names: set[str] = set()  # of classes and aliases, also of those under way
        self._written: set[str] = set()  # names of classes and aliases
        self._finished: dict[str, ValueType] = {}  # by pointer
        self._open: dict[str, tuple[str, int]] = {}  # name and depth of those under way
        self._recursive: set[str] = set()  # pointers
        self._has_tuples = False
        self._depth = 0  # in arrays and objects

    def referenced(self, pointer: str, hint: str) -> ValueType:
        """The type of the schema at a JSON pointer, written once under one name."""
        pointer = self._document.original(pointer)
        if pointer in self._finished:
            return self._finished[pointer]
        if pointer in self._open:
            name, depth = self._open[pointer]
            if depth == self._depth:
                raise UnsupportedSchemaError("a definition that is only itself")
            self._recursive.add(pointer)
            return ValueType(Atom(name))
        target = self._document.at(pointer)
        name = self._new_name(target, hint)
        self._open[pointer] = (name, self._depth)
        if _is_class(target):
            found = self._class(name, target)
        else:
            found = self._alias(name, self.type_of(target, hint), pointer)
        del self._open[pointer]
        if not self._awaited(found.code):
            self._finished[pointer] = found
        return found

    def _alias(self, name: str, found: ValueType, pointer: str) -> ValueType:
        """The type under its name; without one if it is a name itself, the root or incomplete."""
        code = found.annotated
        if pointer in self._recursive:
            self._note_incomplete(name, [code])
            self.used |= {*code.names()}
            code = Bracketed("TypeAliasType", (text(name), text(code.flat)), "()")
        elif pointer == "#" or isinstance(code, Atom) or self._awaited(code):
            self._names.discard(name)
            return found
        self.used |= {*code.names()}
        self._write(name, f"{name} = {laid_out(code, 0, len(name) + 3)}\n")
        return ValueType(Atom(name))

    def _write(self, name: str, source: str) -> None:
        self._written.add(name)
        self.blocks.append(source)

    def _note_incomplete(self, name: str, codes: Iterable[Expression]) -> None:
        """Remember a class or alias that needs another which is written later."""
        needed = {each for code in codes for each in code.names()}
        later = {other for other, _ in self._open.values()} - {name}
        if needed & {*later, *self.incomplete}:
            self.incomplete.append(name)

    def _new_name(self, schema: JsonSchema, hint: str) -> str:
        title = schema.get("title") if isinstance(schema, Mapping) else None
        name = class_name(title or hint, self._names | self._taken)
        self._names.add(name)
        return name

    def _awaited(self, code: Expression) -> set[str]:
        """The names in it of classes and aliases that are under way."""
        return {name for name, _ in self._open.values()}.intersection(code.names())

    def type_of(self, schema: JsonSchema, hint: str) -> ValueType:
        """The type of a schema's values; ``hint`` are words for a class of them."""
        if isinstance(schema, bool):
            if not schema:
                raise UnsupportedSchemaError("a place where no value is valid")
            return ValueType(_ANY)
        used = _ASSERTIONS & schema.keys()
        _refuse(schema, _UNSUPPORTED)
        for name in _COMPOSED:
            if name in used:
                if len(used) > 1:
                    raise UnsupportedSchemaError(f'"{name}" beside "{min(used - {name})}"')
                return self._composed(name, schema[name], hint)
        if used & VALUE_KEYWORDS:
            return self._one_of(schema)
        if "type" not in schema:
            if used:
                raise UnsupportedSchemaError(f'"{min(used)}" without "type"')
            return ValueType(_ANY)
        kinds = schema["type"]
        names = [kinds] if isinstance(kinds, str) else kinds
        return _union([self._of_kind(kind, schema, hint) for kind in names])

    def _composed(self, keyword: str, value: Any, hint: str) -> ValueType:  # noqa: ANN401 - a JSON value
        if keyword == "$ref":
            return self.referenced(value, value.rpartition("/")[2].strip("#") or hint)
        if keyword == "allOf" and len(value) > 1:
            raise UnsupportedSchemaError('"allOf"')
        if keyword == "oneOf" and not all(
            self._document.are_disjoint(one, other) for one, other in combinations(value, 2)
        ):
            raise UnsupportedSchemaError('"oneOf" of schemas that may overlap')
        return _union([self.type_of(each, hint) for each in value])

    def _one_of(self, schema: Mapping[str, Any]) -> ValueType:
        """``Literal`` of the values of ``enum`` or ``const`` that are valid."""
        listed = [whole(value) for value in listed_values(schema)]
        values = {
            json_key(value): value for value in listed if self._document.is_valid(schema, value)
        }
        if not values:
            raise UnsupportedSchemaError("a place where no value is valid")
        plain = [value for value in values.values() if type(value) in (str, int)]
        flags = [value for value in values.values() if isinstance(value, bool)]
        if len(plain) + len(flags) + (None in values.values()) < len(values):
            raise UnsupportedSchemaError('"enum" of other values than texts and whole numbers')
        members: list[Expression] = []
        if plain:
            literal = Bracketed("Literal", tuple(map(Literal, plain)))
            has_numbers = any(isinstance(value, int) for value in plain)
            members.append(_marked(literal, "Whole") if has_numbers else literal)
        if len(flags) == 1:
            members.append(_marked(Bracketed("Literal", tuple(map(Literal, flags))), "Boolean"))
        elif flags:
            members.append(_TYPES["boolean"])
        if None in values.values():
            members.append(_NONE)
        return _union(map(ValueType, members))

    def _of_kind(self, kind: str, schema: Mapping[str, Any], hint: str) -> ValueType:
        if kind == "array":
            return self._array(schema, hint)
        if kind != "object":
            return ValueType(_TYPES[kind], _constraints(kind, schema))
        if _has_properties(schema):
            return self._class(self._new_name(schema, hint), schema)
        _refuse(schema, _UNSUPPORTED_OBJECT)
        values = self._nested(schema.get("additionalProperties", True), f"{hint} value")
        return ValueType(_dict_of(values), _constraints(kind, schema))

    def _nested(self, schema: JsonSchema, hint: str) -> ValueType:
        self._depth += 1
        found = self.type_of(schema, hint)
        self._depth -= 1
        return found

    def _array(self, schema: Mapping[str, Any], hint: str) -> ValueType:
        _refuse(schema, _UNSUPPORTED_ARRAY)
        lengths, items = _constraints("array", schema), schema.get("items", True)
        first = schema.get("prefixItems", [])
        if isinstance(items, list):
            raise UnsupportedSchemaError('a list as "items"')
        if not first:
            code = self._nested(items, f"{hint} item").annotated
            return ValueType(Bracketed("list", (code,)), lengths)
        ends = {"min_length": lengths.get("min_length", 0), "max_length": lengths.get("max_length")}
        if items is False and ends["max_length"] is None:
            ends["max_length"] = len(first)
        if set(ends.values()) != {len(first)}:
            raise UnsupportedSchemaError('"prefixItems" without their number')
        self._has_tuples = True
        codes = [self._nested(each, f"{hint} {n}").annotated for n, each in enumerate(first, 1)]
        return ValueType(Bracketed("tuple", tuple(codes)))

    def _class(self, name: str, schema: Mapping[str, Any]) -> ValueType:
        """The class of an object with known properties."""
        _refuse(schema, (*_UNSUPPORTED_OBJECT, *_CONSTRAINTS["object"]))
        additional, required = schema.get("additionalProperties"), schema.get("required", [])
        undeclared = True if additional is None else additional
        properties = schema.get("properties", {})
        properties = properties | {each: undeclared for each in required if each not in properties}
        types = {each: self._nested(inner, each) for each, inner in properties.items()}
        fields: list[Field] = []
        for each, found in types.items():
            attribute = field_name(each, {*self._names, *(one.name for one in fields)})
            fields.append(self._field(attribute, each, properties[each], found, each in required))
        extra = (
            {} if additional is None else {"extra": "forbid" if additional is False else "allow"}
        )
        if isinstance(additional, Mapping) and _ASSERTIONS & additional.keys():
            values = _dict_of(self._nested(additional, f"{name} value"))
            fields.append(
                Field("__pydantic_extra__", self._quoted(values), Atom("Field(init=False)"))
            )
            self.used.add("Field")
        self.fields[name] = {each: found.code for each, found in types.items()}
        config = call("ConfigDict", {**extra, "strict": True})
        self.used |= {"BaseModel", "ConfigDict"}
        self._note_incomplete(name, [found.annotated for found in types.values()])
        self._write(name, class_source(name, schema.get("description", ""), config, fields))
        return ValueType(Atom(name))

    def _field(
        self, attribute: str, name: str, schema: JsonSchema, found: ValueType, is_required: bool
    ) -> Field:
        """The field of a property, with a default unless it is required."""
        described = schema if isinstance(schema, Mapping) else {}
        default, code = described.get("default"), found.code
        arguments, constraints = {}, found.constraints
        if not is_required:
            has_default = default is not None and self._can_be_default(schema, code, default)
            arguments["default"] = default if has_default else None
            if has_default and _has_object(default) and self._written.intersection(code.names()):
                arguments["validate_default"] = True
            if not has_default and not self._document.is_valid(schema, None):
                inner = (call("Field", constraints),) if constraints else ()
                union = Union((code, _NONE))
                code, constraints = Bracketed("Annotated", (union, *inner, Atom("NotNull"))), {}
        if attribute != name:
            arguments["alias"] = name
        if described.get("description"):
            arguments["description"] = described["description"]
        arguments |= constraints
        value: Expression | None = None
        if arguments.keys() == {"default"}:
            value = Literal(arguments["default"])
        elif arguments:
            value = call("Field", arguments)
        self.used |= {*code.names(), *(value.names() if value else ())}
        return Field(attribute, self._quoted(code), value)

    def _can_be_default(self, schema: JsonSchema, code: Expression, default: Any) -> bool:  # noqa: ANN401 - a JSON value
        """Whether the code of a default gives a value of the type.

        A list in it would not become a tuple, and a default of the class that has the field would
        contain itself.
        """
        is_filled = isinstance(default, (list, dict)) and bool(default)
        if is_filled and (self._has_tuples or self._awaited(code)):
            return False
        return self._document.is_valid(schema, default)

    def _quoted(self, annotation: Expression) -> Expression:
        """The annotation, as a text if it names what is written later."""
        self.used |= {*annotation.names()}
        return text(annotation.flat) if self._awaited(annotation) else annotation


def _refuse(schema: Mapping[str, Any], keywords: Iterable[str]) -> None:
    """Raise for the first of these keywords that a schema has; ``uniqueItems: false`` is none."""
    for name in keywords:
        if schema.get(name, False) is not False:
            raise UnsupportedSchemaError(f'"{name}"')


def _has_properties(schema: Mapping[str, Any]) -> bool:
    """Whether objects of it are a class, not a dictionary."""
    names = schema.get("properties"), schema.get("required")
    return any(names) or schema.get("additionalProperties") is False


def _is_class(schema: JsonSchema) -> TypeGuard[Mapping[str, Any]]:
    if isinstance(schema, bool) or schema.get("type") != "object":
        return False
    is_composed = schema.keys() & {*_COMPOSED, *VALUE_KEYWORDS, *_UNSUPPORTED}
    return _has_properties(schema) and not is_composed


def _constraints(kind: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``Field`` for the values of a type."""
    found: dict[str, Any] = {}
    for keyword, argument in _CONSTRAINTS.get(kind, {}).items():
        if keyword not in schema:
            continue
        value = whole(schema[keyword])
        if isinstance(value, bool):  # as draft 4 had it
            raise UnsupportedSchemaError(f'"{keyword}" of an early draft')
        if kind == "integer" and isinstance(value, float):
            if argument not in _ROUNDED:
                raise UnsupportedSchemaError(f'a fraction as "{keyword}" of whole numbers')
            value = _ROUNDED[argument](value)
        found[argument] = value
    return found


def _union(types: Iterable[ValueType]) -> ValueType:
    """The union, with ``None`` last; one type with ``None`` keeps its constraints beside it."""
    by_code = {found.annotated.flat: found for found in types}
    if _ANY.flat in by_code:
        return by_code[_ANY.flat]
    is_nullable = by_code.pop(_NONE.flat, None) is not None
    found = [*by_code.values()]
    if len(found) == 1:
        [only] = found
        return ValueType(Union((only.code, _NONE)), only.constraints) if is_nullable else only
    members = (*(each.annotated for each in found), *([_NONE] if is_nullable else []))
    return ValueType(Union(members)) if len(members) > 1 else ValueType(_NONE)


def _marked(code: Expression, validator: str) -> Bracketed:
    return Bracketed("Annotated", (code, Atom(validator)))


def _dict_of(values: ValueType) -> Bracketed:
    return Bracketed("dict", (Atom("str"), values.annotated))


def _has_object(value: object) -> bool:
    if isinstance(value, list):
        return any(map(_has_object, value))
    return isinstance(value, dict)
