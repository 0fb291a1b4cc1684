"""Generated pydantic models take the values that their JSON schema takes, and no others."""

import json
import subprocess
import sys
import types
from typing import Literal

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from llm_playground.codegen.models import UnsupportedSchemaError, models_of
from llm_playground.request.schemas import schema_from
from llm_playground.types import Schema
from tests.codegen.test_hostile import TEXTS, whole

ENCODABLE = TEXTS.map(whole)  # as the schema of a prepared request is
_MODULE = "generated_models"


class Generated:
    """The module of a schema's models."""

    def __init__(self, schema, *, is_wrapped=False):
        self.models = models_of(Schema("answer", schema, str, is_wrapped=is_wrapped), {"Town"})
        lines = [f"from {name} import {', '.join(of)}" for name, of in self.models.imports.items()]
        self.source = "\n".join([*lines, "", self.models.source])
        module = sys.modules[_MODULE] = types.ModuleType(_MODULE)
        exec(compile(self.source, f"{_MODULE}.py", "exec"), module.__dict__)
        self.names = module.__dict__

    def __call__(self, value):
        """What the generated code returns for the text of a JSON value."""
        return eval(self.models.value, self.names, {"reply": json.dumps(value)})

    def takes(self, value):
        try:
            self(value)
        except ValidationError:
            return False
        return True

    @property
    def dumps_all(self):
        """Whether pydantic dumps all of a value; not an extra one with the name of an attribute."""
        return not ("alias=" in self.source and '"allow"' in self.source)

    def dumped(self, value):
        """The typed value as JSON again, as far as the answer had it."""
        adapter = TypeAdapter(eval(self.models.result, self.names))
        return adapter.dump_python(self(value), mode="json", by_alias=True, exclude_unset=True)


DEFINITIONS = {
    "Color": {"enum": ["red", "blue", None, 3, True]},
    "Tree": {
        "type": "object",
        "description": "A tree.",
        "properties": {
            "name": {"type": "string"},
            "parts": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
            "fruit": {"$ref": "#/$defs/Fruit"},
        },
        "required": ["name"],
        "additionalProperties": False,
    },
    "Fruit": {
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Tree"}, "any": {"$ref": "#/$defs/Nested"}},
        "additionalProperties": False,
    },
    "Nested": {
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"$ref": "#/$defs/Nested"}},
            {"type": "object", "additionalProperties": {"$ref": "#/$defs/Nested"}},
        ]
    },
}
NAMES = st.sampled_from(
    [
        *("a", "b", "class", "json", "model_dump", "model_x", "_id", "__init__", "str", "Any"),
        *("Field", "Answer", "Answer2", "Tree", "", "é", "ﬁ", "fi", "x²", "copy", "2"),
        *("a b", "a_b"),
        *("Integer", "NotNull", "__proto__", "self", "Town", "mro", "None", "validate", "\u3164"),
    ]
)
SIZES = st.integers(0, 3)


def constrained(kind, bounds, values):
    """Schemas of a type with up to two of its constraints."""
    keywords = st.lists(st.sampled_from(bounds), max_size=2, unique=True)
    return keywords.flatmap(
        lambda names: st.fixed_dictionaries({"type": st.just(kind), **dict.fromkeys(names, values)})
    )


BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
LITERALS = st.none() | st.booleans() | st.integers(-2, 4) | ENCODABLE | st.sampled_from([2.0, "a"])
SCALARS = st.one_of(
    st.just({}),
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.just({"type": ["string", "null"], "minLength": 1}),
    st.just({"type": ["integer", "null", "boolean"], "minimum": 1, "maxLength": 0}),
    st.just({"type": "string", "pattern": "^a|b$"}),
    constrained("string", ("minLength", "maxLength"), SIZES),
    constrained("integer", BOUNDS, st.integers(-2, 3) | st.sampled_from([0.5, 2.0])),
    constrained("integer", ("multipleOf",), st.integers(1, 3)),
    constrained("number", BOUNDS, st.sampled_from([-1, 0.5, 2])),
    st.lists(LITERALS, min_size=1, max_size=4).map(lambda values: {"enum": values}),
    LITERALS.map(lambda value: {"const": value}),
    st.sampled_from([*DEFINITIONS]).map(lambda name: {"$ref": f"#/$defs/{name}"}),
)


def compound(inner):
    return st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda each: {"anyOf": each}),
        st.builds(
            lambda items, sizes: {"type": "array", "items": items, **sizes},
            inner,
            st.dictionaries(st.sampled_from(["minItems", "maxItems"]), SIZES),
        ),
        st.lists(inner, min_size=1, max_size=2).map(
            lambda each: {
                "type": "array",
                "prefixItems": each,
                "items": False,
                "minItems": len(each),
            }
        ),
        st.builds(
            lambda values, sizes: {"type": "object", "additionalProperties": values, **sizes},
            inner,
            st.dictionaries(st.sampled_from(["minProperties", "maxProperties"]), SIZES),
        ),
        objects(inner),
    )


@st.composite
def objects(draw, inner):
    """Objects with properties, in a third of the cases with descriptions or defaults."""
    properties = draw(st.dictionaries(NAMES, inner, min_size=1, max_size=4))
    for name, schema in properties.items():
        optional = {"description": ENCODABLE, "default": values(schema)}
        more = draw(st.fixed_dictionaries({}, optional=optional) | st.just({}))
        properties[name] = {**schema, **more}
    required = draw(st.lists(st.sampled_from([*properties]), unique=True))
    additional = draw(st.booleans() | inner)
    about = draw(st.fixed_dictionaries({}, optional={"title": ENCODABLE, "description": ENCODABLE}))
    shape = {"type": "object", "properties": properties, "required": required}
    return {**shape, "additionalProperties": additional, **about}


NUMBERS = st.integers(-3, 5) | st.sampled_from([0.5, 3.0, -1.0, 1.5])
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text("ab", max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2),
    max_leaves=4,
)
NESTED = st.recursive(SCALARS, compound, max_leaves=5)
SCHEMAS = (NESTED | objects(NESTED)).map(lambda schema: {**schema, "$defs": DEFINITIONS})


def values(schema, depth=0):
    """Values that mostly are valid against a schema."""
    if "$ref" in schema:
        schema = DEFINITIONS[schema["$ref"].rpartition("/")[2]]
    if depth > 4:
        return VALUES
    if "anyOf" in schema:
        good = st.one_of([values(each, depth) for each in schema["anyOf"]])
    elif "enum" in schema or "const" in schema:
        good = st.sampled_from(schema.get("enum", [schema.get("const")]))
    else:
        kinds = schema.get("type", [])
        names = [kinds] if isinstance(kinds, str) else kinds
        good = st.one_of([_of_kind(kind, schema, depth) for kind in names] or [VALUES])
    return st.one_of(good, good, good, good, good, VALUES)


def _of_kind(kind, schema, depth):
    if kind == "array":
        if "prefixItems" in schema:
            return st.tuples(*(values(each, depth + 1) for each in schema["prefixItems"])).map(list)
        return st.lists(values(schema.get("items", {}), depth + 1), max_size=3)
    if kind == "object":
        more = schema.get("additionalProperties", True)
        extra = st.dictionaries(
            NAMES, VALUES if isinstance(more, bool) else values(more, depth + 1), max_size=2
        )
        named = {
            name: values(each, depth + 1) for name, each in schema.get("properties", {}).items()
        }
        needed = {name: each for name, each in named.items() if name in schema.get("required", [])}
        rest = {name: each for name, each in named.items() if name not in needed}
        known = st.fixed_dictionaries(needed, optional=rest)
        return known if more is False else st.builds(lambda a, b: {**a, **b}, extra, known)
    scalars = {
        "string": st.text("ab", max_size=4),
        "integer": NUMBERS,
        "number": NUMBERS,
        "boolean": st.booleans(),
        "null": st.none(),
    }
    return scalars[kind]


@settings(
    max_examples=150,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(SCHEMAS, st.data())
def test_models_and_schema_agree(schema, data):
    Draft202012Validator.check_schema(schema)
    models, validator = Generated(schema), Draft202012Validator(schema)
    assert all(line.isprintable() for line in models.source.split("\n"))
    for value in data.draw(st.lists(values(schema), min_size=3, max_size=6)):
        is_valid = validator.is_valid(value)

        assert models.takes(value) is is_valid, (models.source, value)
        if is_valid and models.dumps_all:
            assert models.dumped(value) == value


class Point(BaseModel):
    """A point of a route. Its coordinates are those of the map."""

    name: str = Field(description="Its name", min_length=1)
    place: tuple[int, float]
    zone: Literal["north", "south"] = "north"
    tags: list[str] = Field(default=[], max_length=3, description="What travellers say of it here")
    level: int = Field(default=2, ge=0)
    next: "Point | None" = None
    costs: dict[str, float]


ROUTE = '''\
class Point(BaseModel):
    """A point of a route. Its coordinates are those of the map."""

    model_config = ConfigDict(strict=True)

    name: str = Field(description="Its name", min_length=1)
    place: tuple[Integer, float]
    zone: Literal["north", "south"] = "north"
    tags: list[str] = Field(
        default=[],
        description="What travellers say of it here",
        max_length=3,
    )
    level: Integer = Field(default=2, ge=0)
    next: "Point | None" = None
    costs: dict[str, float]
'''


def test_the_models_of_a_pydantic_model_are_its_source_again():
    models = models_of(schema_from(Point))

    assert models.source.endswith(f"\n\n\n{ROUTE}")
    assert (models.result, models.value) == ("Point", "Point.model_validate_json(reply)")


def test_the_source_is_formatted_as_ruff_does():
    long = [f"a rather long value {number}" for number in range(5)]
    schema = {
        "type": "object",
        "description": "Words, " * 30,
        "properties": {
            "long": {"enum": long, "description": "What it is"},
            "either": {"anyOf": [{"enum": long}, {"type": "integer"}], "default": 3},
            "class": {"type": "array", "items": {"enum": long}, "default": long},
            "point": {"$ref": "#/$defs/Point"},
        },
        "$defs": {"Point": schema_from(Point).json_schema},
    }
    source = Generated(schema).models.source

    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--line-length=88", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)
    assert done.stdout == source


def test_missing_properties_have_their_defaults():
    schema = {
        "type": "object",
        "properties": {
            "town": {
                "type": "object",
                "properties": {"name": {"type": "string"}},
                "default": {"name": "Oslo"},
            },
            "count": {"type": "integer", "default": "many"},  # not valid, so no default
            "sizes": {"type": "array", "items": {"type": "integer"}, "default": [1]},
            "rest": {},
        },
    }
    answer = Generated(schema)({})

    assert answer.town.name == "Oslo"
    assert (answer.count, answer.sizes, answer.rest) == (None, [1], None)


def test_other_roots_than_objects_with_properties_have_an_adapter():
    open_object = Generated({"type": "object", "additionalProperties": {"type": "integer"}})
    wrapped = schema_from(list[Point])

    assert "ANSWER = TypeAdapter(dict[str, Integer])" in open_object.source
    assert open_object({"a": 3.0}) == {"a": 3}
    numbers = Generated(wrapped.json_schema, is_wrapped=True)
    assert numbers.models.result == "list[Point]"
    point = {"name": "A", "place": [1, 2], "costs": {}}
    assert [each.name for each in numbers({"value": [point, point]})] == ["A", "A"]


DISJOINT = (
    [{"type": "integer"}, {"type": "string"}, {"type": "null"}],
    [{"const": "a"}, {"enum": ["b", 1]}],
    [
        {"type": "object", "properties": {"is": {"const": kind}}, "required": ["is"]}
        for kind in ("cat", "dog")
    ],
    [
        {"type": "object", "properties": {"a": {}}, "additionalProperties": False},
        {"type": "object", "properties": {"b": {}}, "required": ["b"]},
    ],
)


@pytest.mark.parametrize("schemas", DISJOINT, ids=repr)
def test_one_of_disjoint_schemas_is_a_union(schemas):
    schema = {"type": "object", "properties": {"it": {"oneOf": schemas}}, "required": ["it"]}
    models, validator = Generated(schema), Draft202012Validator(schema)

    tried = [1, "a", "b", None, True, {}, {"is": "cat"}, {"is": "cow"}, {"a": 1}, {"b": 1}]
    found = [models.takes({"it": each}) for each in tried]
    assert found == [validator.is_valid({"it": each}) for each in tried]
    assert len({*found}) == 2


def inside(schema):
    return {"type": "object", "properties": {"it": schema}}


@pytest.mark.parametrize(
    ("schema", "named"),
    [
        (inside({"not": {"type": "string"}}), '"not"'),
        (inside({"if": {}, "then": {}}), '"if"'),
        (inside({"type": "object", "patternProperties": {"^a": {}}}), '"patternProperties"'),
        (inside({"type": "object", "propertyNames": {}, "properties": {"a": {}}}), '"propertyN'),
        (inside({"type": "array", "uniqueItems": True}), '"uniqueItems"'),
        (inside({"type": "array", "prefixItems": [{}]}), '"prefixItems" without their number'),
        (inside({"oneOf": [{"type": "integer"}, {"type": "number"}]}), "that may overlap"),
        (inside({"allOf": [{"type": "string"}, {"minLength": 1}]}), '"allOf"'),
        (inside({"$ref": "#/$defs/a", "minLength": 1}), '"$ref" beside "minLength"'),
        (inside({"$ref": "https://example.com/a.json"}), '"$ref" to another document'),
        (inside({"$ref": "#/$defs/missing"}), '"$ref" to what is not in it'),
        (inside({"minLength": 1}), '"minLength" without "type"'),
        (inside({"type": "string", "pattern": "(?=a)"}), 'a "pattern" for another engine'),
        (inside({"type": "integer", "multipleOf": 0.5}), 'a fraction as "multipleOf"'),
        (inside({"enum": [1.5]}), '"enum" of other values'),
        (inside({"enum": [[1]]}), '"enum" of other values'),
        (inside(False), "no value is valid"),
        (inside({"type": "text"}), "what is not JSON Schema"),
        ({"type": "object", "required": ["a"], "additionalProperties": False}, "no value is valid"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "only itself"),
    ],
    ids=str,
)
def test_what_models_cannot_express_is_named(schema, named):
    with pytest.raises(UnsupportedSchemaError) as raised:
        Generated(schema)

    assert named in str(raised.value)
