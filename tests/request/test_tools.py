"""Tools: the description of a Python function for models, and the arguments of its calls."""

import asyncio
import dataclasses
import enum
import functools
from datetime import date
from typing import Annotated, Any, Literal, Optional

import pandas as pd
import pydantic
import pytest

import llm_playground as lp
from llm_playground.request.tools import tools_from


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Place:
    city: str
    country: str = "NO"


class Order(pydantic.BaseModel):
    name: str
    amounts: list[int] = []


def properties(function):
    return lp.tool(function).parameters["properties"]


class TestSchema:
    def test_name_description_and_arguments_come_from_the_function(self):
        def weather(city: str, days: int = 1) -> str:
            """The weather
            to come.

            Args:
                city (str): Where,
                    by its English name.
                days: How many days.

            Returns:
                city: Not an argument.
            """
            return f"{city} {days}"

        made = lp.tool(weather)

        assert (made.name, made.description) == ("weather", "The weather to come.")
        assert made.parameters == {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "Where, by its English name."},
                "days": {"type": "integer", "description": "How many days.", "default": 1},
            },
            "required": ["city"],
            "additionalProperties": False,
        }

    @pytest.mark.parametrize(
        ("annotation", "said"),
        [
            (Literal["c", "f"], {"enum": ["c", "f"], "type": "string"}),
            (list[str], {"type": "array", "items": {"type": "string"}}),
            (dict[str, int], {"type": "object", "additionalProperties": {"type": "integer"}}),
            (Optional[float], {"anyOf": [{"type": "number"}, {"type": "null"}]}),  # noqa: UP045 - as people write it
            (bool | None, {"anyOf": [{"type": "boolean"}, {"type": "null"}]}),
            (date, {"type": "string", "format": "date"}),
            (Any, {}),
            (Annotated[int, "How many"], {"type": "integer", "description": "How many"}),
            (
                Annotated[int, pydantic.Field(ge=0, description="A count")],
                {"type": "integer", "minimum": 0, "description": "A count"},
            ),
        ],
        ids=str,
    )
    def test_an_annotation_says_what_an_argument_is(self, annotation, said):
        def function(argument): ...

        function.__annotations__["argument"] = annotation

        assert properties(function)["argument"] == said

    @pytest.mark.parametrize("kind", [Colour, Place, Order], ids=lambda kind: kind.__name__)
    def test_enums_dataclasses_and_models_are_described_beside(self, kind):
        def function(argument): ...

        function.__annotations__["argument"] = kind

        made = lp.tool(function)
        assert made.parameters["properties"]["argument"] == {"$ref": f"#/$defs/{kind.__name__}"}
        assert kind.__name__ in made.parameters["$defs"]

    def test_what_the_annotation_says_wins_over_the_docstring(self):
        def function(n: Annotated[int, "From the annotation"]):
            """Do.

            Args:
                n: From the docstring.
            """

        assert properties(function)["n"]["description"] == "From the annotation"

    def test_an_argument_may_have_any_name(self):
        def function(json: str, _x: int, schema: str, model_config: int = 1, copy: int = 2):
            return json, _x, schema, model_config, copy

        made = lp.tool(function)

        assert [*made.parameters["properties"]] == ["json", "_x", "schema", "model_config", "copy"]
        assert made.call(json="a", _x=1, schema="b", copy=3) == ("a", 1, "b", 1, 3)

    def test_a_default_that_json_cannot_say_is_left_out(self):
        marker = object()

        def function(x: Any = marker):
            return x is marker

        assert properties(function)["x"] == {}
        assert lp.tool(function).call()

    def test_a_method_is_a_tool_without_its_self(self):
        class Shop:
            def price(self, name: str) -> float:
                """What it costs."""
                return len(name)

        made = lp.tool(Shop().price)

        assert [*made.parameters["properties"]] == ["name"]
        assert made.call(name="tea") == 3

    def test_it_is_a_decorator_too(self):
        @lp.tool
        def double(n: int) -> int:
            """Twice as much."""
            return 2 * n

        assert isinstance(double, lp.Tool)
        assert double.call(n=4) == 8


class TestCall:
    def test_arguments_are_converted(self):
        def function(
            n: int, when: date, colour: Colour, place: Place, order: Order, rest: set[int]
        ):
            return n, when, colour, place, order, rest

        given = lp.tool(function).call(
            n="3",
            when="2026-03-31",
            colour="blue",
            place={"city": "Oslo"},
            order={"name": "tea", "amounts": ["1"]},
            rest=[1, 1],
        )

        assert given == (
            3,
            date(2026, 3, 31),
            Colour.BLUE,
            Place("Oslo"),
            Order(name="tea", amounts=[1]),
            {1},
        )

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({}, "n: missing"),
            ({"n": "three"}, "n: expected a whole number, got 'three'"),
            ({"n": 1, "unit": "k"}, "unit: expected 'c' or 'f', got 'k'"),
            ({"n": 1, "m": 2}, "m: unexpected name"),
            ({"n": 1, "place": {"city": None}}, "place.city: expected text, got null"),
            ({"n": None, "unit": "k"}, r"n: expected a whole .* \(1 more like this\)"),
        ],
        ids=str,
    )
    def test_what_does_not_fit_is_one_line_and_calls_nothing(self, arguments, said):
        called = []

        def function(n: int, unit: Literal["c", "f"] = "c", place: Place | None = None):
            called.append((n, unit, place))

        with pytest.raises(lp.InvalidParameterError, match=said) as caught:
            lp.tool(function).call(**arguments)

        assert "\n" not in str(caught.value)
        assert not called

    def test_what_the_function_raises_is_its_own(self):
        def function():
            raise pydantic.ValidationError.from_exception_data("inner", [])

        with pytest.raises(pydantic.ValidationError):
            lp.tool(function).call()

    def test_a_coroutine_function_is_awaited_by_the_caller(self):
        async def double(n: int) -> int:
            return 2 * n

        assert asyncio.run(lp.tool(double).call(n="4")) == 8


def stars(*names): ...
def more_stars(**names): ...
def by_place(n, /): ...
def lost(n: "Nowhere"): ...  # noqa: F821 - the annotation that leads nowhere is the point
def framed(n: pd.DataFrame): ...
def grüße(): ...


class TestTrouble:
    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (lambda x: x, "a name"),
            (functools.partial(print, 1), "a name"),
            (stars, r"takes \*names"),
            (more_stars, r"takes \*\*names"),
            (by_place, "takes n, which cannot be passed by name"),
            (lost, "'Nowhere' is not defined"),
            (framed, "DataFrame"),
            (grüße, "letters"),
            (7, "got int 7"),
            ("weather", "got str 'weather'"),
            ({"name": "two words"}, "letters"),
            ({"description": "no name"}, '"name": text'),
            ({"name": "x", "type": "function"}, '"name": text'),
            ({"name": "x", "parameters": {"type": "array"}}, '"type": "object"'),
            ({"name": "x", "parameters": {"type": "object", "required": 1}}, "not a JSON schema"),
        ],
    )
    def test_what_is_no_tool_is_one_line(self, source, said):
        with pytest.raises(lp.InvalidParameterError, match=said) as caught:
            lp.tool(source)

        assert "\n" not in str(caught.value)

    def test_two_of_one_name_are_refused(self):
        with pytest.raises(lp.InvalidParameterError, match="Two tools are called 'by'"):
            tools_from([{"name": "by"}, {"name": "by"}])

    @pytest.mark.parametrize("given", [7, "weather"])
    def test_what_is_no_list_of_tools_is_one_line(self, given):
        with pytest.raises(lp.InvalidParameterError, match="got"):
            tools_from(given)


class TestReady:
    def test_a_dictionary_is_a_tool_that_somebody_else_executes(self):
        parameters = {"type": "object", "properties": {"city": {"type": "string"}}}

        made = lp.tool({"name": "weather", "description": "Now.", "parameters": parameters})

        assert made == lp.Tool("weather", "Now.", parameters)
        assert made.call is None

    def test_one_alone_needs_no_list(self):
        made = lp.tool({"name": "weather"})

        assert tools_from(made) == tools_from([made]) == tools_from(iter([made])) == (made,)
        assert tools_from(None) == ()
