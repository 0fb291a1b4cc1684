"""Schemas: the shape an answer must have, and what is said of an answer of another shape."""

import dataclasses
import json
import typing
from datetime import date
from typing import Any, Literal

import pydantic
import pytest
import typing_extensions
from hypothesis import given
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground import footer, rendering
from llm_playground.request.schemas import restored, schema_from
from llm_playground.types import Schema


class Item(pydantic.BaseModel):
    name: str
    price: float
    kind: Literal["food", "drink"] | None = None


class Invoice(pydantic.BaseModel):
    """A bill."""

    number: int
    items: list[Item]


@dataclasses.dataclass
class Visit:
    city: str
    when: date
    items: list[Item] = dataclasses.field(default_factory=list)


class Tree(pydantic.BaseModel):
    children: list["Tree"] = []


class OldDict(typing.TypedDict):
    city: str


class OldTree(typing.TypedDict, total=False):
    places: typing.Required[list[OldDict]]
    home: OldDict | None


class NewDict(typing_extensions.TypedDict):
    city: str


PRICES = {
    "type": "object",
    "properties": {
        "items": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"price": {"type": "number"}, "kind": {"enum": ["a", "b"]}},
                "required": ["price"],
                "additionalProperties": False,
            },
        },
        "version": {"const": 1},
        "name": {"type": ["string", "null"], "maxLength": 3},
    },
    "required": ["items"],
}


def parse(source, text):
    return schema_from(source).parse(text)


def error_line(source, text):
    with pytest.raises(ValueError, match=r".") as caught:
        parse(source, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def parsed_or_told(source, text):
    try:
        return parse(source, text)
    except ValueError as error:
        return str(error)


class TestSources:
    def test_a_model_gives_its_instances(self):
        answer = '{"number": 1, "items": [{"name": "tea", "price": 2.5}]}'

        assert parse(Invoice, answer) == Invoice(number=1, items=[Item(name="tea", price=2.5)])

    def test_a_dataclass_gives_its_instances_inner_kinds_and_defaults_included(self):
        assert parse(Visit, '{"city": "Oslo", "when": "2026-03-31"}') == Visit(
            "Oslo", date(2026, 3, 31)
        )

    @pytest.mark.parametrize("kind", [OldDict, NewDict], ids=["typing", "typing_extensions"])
    def test_a_typed_dict_gives_dictionaries(self, kind):
        assert parse(kind, '{"city": "Oslo"}') == {"city": "Oslo"}
        assert error_line(kind, "{}") == "data.city: missing"

    def test_typed_dicts_may_hold_each_other(self):
        assert parse(OldTree, '{"places": [{"city": "Oslo"}]}') == {"places": [{"city": "Oslo"}]}
        assert error_line(OldTree, '{"places": [{"city": 1}]}').startswith(
            "data.places[0].city: expected text"
        )
        assert parse(list[OldTree], '{"value": []}') == []

    def test_a_json_schema_gives_plain_values(self):
        assert parse(PRICES, '{"items": [{"price": 1}], "other": 2}') == {
            "items": [{"price": 1}],
            "other": 2,
        }

    @pytest.mark.parametrize(
        ("source", "answer", "data"),
        [
            (list[str], '{"value": ["a"]}', ["a"]),
            (int, '{"value": 3}', 3),
            (int | None, '{"value": null}', None),
            (Literal["yes", "no"], '{"value": "no"}', "no"),
            (list[Item], '{"value": [{"name": "tea", "price": 1}]}', [Item(name="tea", price=1)]),
            ({"type": "array", "items": {"type": "integer"}}, '{"value": [1]}', [1]),
            ({"enum": ["yes", "no"]}, '{"value": "yes"}', "yes"),
        ],
        ids=str,
    )
    def test_what_is_no_object_is_asked_for_inside_one(self, source, answer, data):
        schema = schema_from(source)

        assert schema.json_schema["type"] == "object"
        assert schema.json_schema["required"] == ["value"]
        assert schema.parse(answer) == data
        stored = restored(Schema("answer", schema.json_schema, str, is_wrapped=schema.is_wrapped))
        assert stored.parse(f"```json\n{answer}\n```") == json.loads(answer)["value"]
        with pytest.raises(ValueError, match=r"data"):
            stored.parse('{"value": {"no": "such"}}')

    def test_a_schema_of_the_log_with_a_property_called_value_is_not_unwrapped(self):
        asked = schema_from({"type": "object", "properties": {"value": {"type": "integer"}}})
        stored = restored(Schema("answer", asked.json_schema, str, is_wrapped=asked.is_wrapped))
        assert stored.parse('{"value": 3}') == asked.parse('{"value": 3}') == {"value": 3}
        with pytest.raises(ValueError, match=r"data\.value: expected"):
            stored.parse('{"value": "three"}')

    def test_a_bare_value_is_taken_too(self):
        assert schema_from(list[str]).parse('["Mars", "Venus"]') == ["Mars", "Venus"]
        assert schema_from(int).parse("3") == 3

    def test_the_json_schema_says_what_the_kind_says_and_no_titles_of_fields(self):
        schema = schema_from(Invoice)

        assert schema.name == "Invoice"
        assert schema.json_schema["description"] == "A bill."
        assert schema.json_schema["properties"]["number"] == {"type": "integer"}
        assert schema.json_schema["required"] == ["number", "items"]

    def test_a_recursive_model_has_an_object_at_its_root(self):
        schema = schema_from(Tree)

        assert schema.json_schema["type"] == "object"
        assert schema.parse('{"children": [{"children": []}]}') == Tree(children=[Tree()])

    def test_properties_make_an_object(self):
        schema = schema_from({"properties": {"a": {}}})

        assert schema.json_schema["type"] == "object"
        assert schema.parse('{"a": 1}') == {"a": 1}

    def test_a_dictionary_changed_later_changes_nothing(self):
        source = {"type": "object", "properties": {"a": {"type": "integer"}}}
        schema = schema_from(source)
        source["properties"]["a"]["type"] = "string"

        assert schema.json_schema["properties"]["a"] == {"type": "integer"}
        assert schema.parse('{"a": 1}') == {"a": 1}

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            ({"title": "Bills & more", "type": "object"}, "Bills_more"),
            ({"title": "ü", "type": "object"}, "answer"),
            ({"title": "x" * 100, "type": "object"}, "x" * 64),
            (Invoice | None, "answer"),
        ],
    )
    def test_its_name_is_one_that_vendors_take(self, source, name):
        assert schema_from(source).name == name

    def test_a_schema_stays_as_it_is(self):
        schema = schema_from(Invoice)

        assert schema_from(schema) is schema


class TestMisfits:
    @pytest.mark.parametrize(
        ("source", "answer", "said"),
        [
            (
                Invoice,
                '{"number": 1, "items": [{"name": "a", "price": 1}, {"name": "b", "price": "?"}]}',
                "data.items[1].price: expected a number, got '?'",
            ),
            (Invoice, '{"items": []}', "data.number: missing"),
            (Invoice, "[]", "data: expected an object, got []"),
            (Invoice, '{"number": 1, "items": "tea"}', "data.items: expected a list, got 'tea'"),
            (
                Item,
                '{"name": "a", "price": 1, "kind": "toy"}',
                "data.kind: expected 'food' or 'drink', got 'toy'",
            ),
            (
                Item,
                '{"name": null, "price": []}',
                "data.name: expected text, got null (1 more like this)",
            ),
            (list[str], '{"value": [1]}', "data[0]: expected text, got 1"),
            (list[str], '{"planets": 1}', 'data: expected a list, got {"planets": 1}'),
            (PRICES, '{"items": [{}]}', "data.items[0].price: missing"),
            (
                PRICES,
                '{"items": [{"price": "n/a"}]}',
                "data.items[0].price: expected a number, got 'n/a'",
            ),
            (
                PRICES,
                '{"items": [{"price": 1, "kind": "c"}]}',
                "data.items[0].kind: expected 'a' or 'b', got 'c'",
            ),
            (
                PRICES,
                '{"items": [{"price": 1, "size": 2}]}',
                "data.items[0].size: unexpected name",
            ),
            (PRICES, '{"items": [], "version": 2}', "data.version: expected 1, got 2"),
            (PRICES, '{"items": [], "name": 2}', "data.name: expected text or null, got 2"),
            (PRICES, '{"items": [], "name": "long"}', "data.name: 'long' is too long"),
        ],
    )
    def test_the_line_names_the_place_what_was_wanted_and_what_came(self, source, answer, said):
        assert error_line(source, answer) == said

    @pytest.mark.parametrize(
        ("answer", "said"),
        [
            ("", "The answer is empty"),
            ("Sure! {}", "not JSON (Expecting value, line 1, column 1): 'Sure! {}'"),
            ('{"number": 1, "items": [', "not JSON"),
            ('{"number": NaN, "items": []}', "NaN is not a JSON number"),
            ("[" * 100_000, "nested too deeply"),
            ("1" * 5000, "The answer is not JSON"),
            ('{"number": "\\ud800", "items": []}', "data"),
        ],
        ids=range(7),
    )
    def test_what_is_no_json_is_one_line(self, answer, said):
        assert said in error_line(Invoice, answer)

    def test_what_came_is_shown_up_to_a_length(self):
        assert len(error_line(list[int], f'{{"value": ["{"x" * 10_000}"]}}')) < 120

    def test_what_a_validator_of_ones_own_says_is_kept(self):
        class Even(pydantic.BaseModel):
            n: int

            @pydantic.field_validator("n")
            @classmethod
            def is_even(cls, n: int) -> int:
                if n == 7:
                    raise KeyError("seven")
                if n % 2:
                    raise ValueError("n must be even")
                return n

        assert error_line(Even, '{"n": 3}') == "data.n: n must be even, got 3"
        assert "KeyError in Even" in error_line(Even, '{"n": 7}')

    @given(st.text())
    def test_no_text_does_anything_but_fit_or_raise_one_line(self, text):
        came = parsed_or_told(Tree, text)

        assert isinstance(came, Tree) or "\n" not in came


class TestFence:
    @pytest.mark.parametrize(
        "answer",
        [
            '```json\n{"a": 1}\n```',
            '```\n{"a": 1}\n```',
            ' \n```JSON \n\n{"a": 1}\n\n``` \n',
            '```json\n{"a": 1}```',
        ],
    )
    def test_a_fence_around_the_answer_is_taken_off(self, answer):
        assert parse({"properties": {"a": {}}}, answer) == {"a": 1}

    @pytest.mark.parametrize(
        "answer",
        [
            'Here:\n```json\n{"a": 1}\n```',
            '```python\n{"a": 1}\n```',
            '```{"a": 1}```',
            "```",
            "``````",
        ],
    )
    def test_nothing_else_is(self, answer):
        assert "not JSON" in error_line({"properties": {"a": {}}}, answer)


class TestTrouble:
    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (Item(name="a", price=1), "got Item"),
            ("Invoice", "got str 'Invoice'"),
            (7, "got int 7"),
            (print, "got builtin_function"),
            (typing.Callable[[int], int], "cannot be converted to a JSON schema"),
            (type("Plain", (), {}), "Plain cannot be converted to a JSON schema"),
            ({"type": "objekt"}, "not a JSON schema: schema.type"),
            ({"a": {1, 2}}, "cannot be written as JSON"),
            ({"a": float("nan")}, "cannot be written as JSON"),
            ({"$ref": "https://example.com/schema.json"}, "not in it"),
            ({"properties": {"a": {"$ref": "#/$defs/missing"}}}, "not in it"),
        ],
        ids=str,
    )
    def test_what_is_no_schema_is_one_line(self, source, said):
        with pytest.raises(lp.InvalidParameterError, match=said.replace("$", r"\$")) as caught:
            schema_from(source)

        assert "\n" not in str(caught.value)

    def test_an_annotation_that_leads_nowhere_is_one_line(self):
        broken = dataclasses.make_dataclass("Broken", [("a", "Nowhere")])

        with pytest.raises(lp.InvalidParameterError, match=r"Broken.*not fully defined"):
            schema_from(broken)

    def test_a_property_may_be_called_like_a_reference(self):
        schema: Any = {"type": "object", "properties": {"$ref": {"type": "string"}}}

        assert schema_from(schema).parse('{"$ref": "x"}') == {"$ref": "x"}


@dataclasses.dataclass
class Town:
    name: str
    size: Literal["small", "large"]
    people: int


class TestLocal:
    def test_the_embedded_model_answers_in_the_shape(self, home):
        run = lp.ask("Describe Oslo.", schema=Town, max_tokens=100, temperature=0)

        assert isinstance(run.data, Town)
        assert run.data_error is None

    def test_an_answer_that_is_cut_off_has_no_data_and_says_why(self, home):
        with pytest.warns(lp.SchemaWarning, match="cut off at 12 tokens") as warned:
            run = lp.ask("Describe Oslo.", schema=Town, max_tokens=12, temperature=0)

        assert warned[0].filename == __file__
        assert run.data is None
        assert run.data_error == (
            "The answer was cut off at 12 tokens, before its JSON was complete. "
            "Set a higher max_tokens."
        )
        assert footer.notices(run)[0] == run.data_error
        assert rendering.run_to_html(run).count("cut off at") == 1
        assert (run.status, run.finish_reason) == ("completed", "length")


SLOW = "^(\\w+\\s?)*$"  # tried in every way by an engine that goes back


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {"name": {"type": "string", "pattern": SLOW}}},
        {"type": "object", "patternProperties": {SLOW: {"type": "string"}}},
        {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {"name": {"$ref": "#/$defs/word"}},
            "$defs": {
                "word": {"$schema": "http://json-schema.org/draft-07/schema#", "pattern": SLOW}
            },
        },
    ],
    ids=["pattern", "patternProperties", "$schema"],
)
def test_no_pattern_takes_longer_than_its_text(schema):
    text = "a" * 5_000 + "!"
    closed = schema | {"additionalProperties": False}
    said = error_line(closed, f'{{"name": "{text}", "{text}": 1}}')
    assert said.startswith("data")
    assert parse(schema, '{"name": "two words"}') == {"name": "two words"}


def test_what_matches_a_pattern_has_its_schema_and_what_does_not_is_additional():
    schema = {
        "type": "object",
        "properties": {"id": {"type": "string", "pattern": "^x"}},
        "patternProperties": {"^n_": {"type": "integer"}},
        "additionalProperties": {"type": "boolean"},
    }
    assert parse(schema, '{"id": "x1", "n_a": 1, "else": true}')
    assert error_line(schema, '{"n_a": "1"}') == "data.n_a: expected a whole number, got '1'"
    assert error_line(schema, '{"else": 1}') == "data.else: expected true or false, got 1"
    assert error_line(schema, '{"id": "y"}') == "data.id: 'y' does not match '^x'"
    assert error_line(schema | {"additionalProperties": False}, '{"n_a": 1, "m": 1}') == (
        "data.m: unexpected name"
    )


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(a{1000}){1000}"])
@pytest.mark.parametrize("place", ["pattern", "patternProperties"])
def test_a_pattern_that_may_take_for_ever_is_refused_before_anything_is_sent(pattern, place):
    inner = pattern if place == "pattern" else {pattern: {}}
    with pytest.raises(lp.InvalidParameterError, match="cannot be checked") as caught:
        schema_from({"type": "object", "properties": {"a": {place: inner}}})
    assert "\n" not in str(caught.value)


def test_a_constant_that_looks_like_a_pattern_is_none():
    schema = {"const": {"pattern": "(?=a)", "$schema": "x"}}
    assert parse(schema, '{"value": {"pattern": "(?=a)", "$schema": "x"}}')


def test_a_schema_nested_out_of_all_reason_is_refused_in_one_line():
    schema: dict[str, Any] = {}
    for _ in range(300):
        schema = {"type": "object", "properties": {"a": schema}}
    with pytest.raises(lp.InvalidParameterError, match="nested more than 100 levels deep"):
        lp.ask("Hi", "local", schema=schema)


def test_extra_nested_out_of_all_reason_is_refused_in_one_line():
    extra: dict[str, Any] = {}
    for _ in range(700):
        extra = {"a": extra}
    with pytest.raises(lp.InvalidParameterError, match="extra is nested more than 100 levels deep"):
        lp.ask("Hi", "local", extra=extra)
