"""Parameters, presets and iterations as users give them."""

from decimal import Decimal

import pandas as pd
import pytest

from llm_playground.errors import InvalidParameterError
from llm_playground.request import parameters


def test_numbers_of_a_frame_become_plain_numbers():
    frame = pd.DataFrame({"n": [4], "t": [0.5]})
    chosen = parameters.parameters_from(
        {"max_tokens": frame.n[0], "temperature": frame.t[0], "top_p": Decimal("0.5")}
    )

    assert [type(value) for value in chosen.as_dict().values()] == [float, float, int]
    assert parameters.check_iterations(frame.n[0]) == 4


def test_none_is_left_out():
    assert parameters.parameters_from({"temperature": None}).as_dict() == {}


def test_a_parameter_wins_over_the_preset():
    chosen = parameters.parameters_from({"temperature": 0.9}, "precise")

    assert chosen.as_dict() == {"temperature": 0.9}


def test_a_misspelt_parameter_gets_a_suggestion():
    with pytest.raises(InvalidParameterError, match="Did you mean temperature"):
        parameters.parameters_from({"temprature": 1})


@pytest.mark.parametrize(
    "given", [{"stop": 5}, {"stop": ["a", 1]}, {"extra": "x"}, {"reasoning_effort": 1}]
)
def test_a_value_of_the_wrong_type_is_rejected_by_name(given):
    [name] = given

    with pytest.raises(InvalidParameterError, match=name):
        parameters.parameters_from(given)


def test_an_integral_float_becomes_an_integer():
    assert repr(parameters.parameters_from({"max_tokens": 5.0}).max_tokens) == "5"


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(InvalidParameterError, match="precise, balanced, creative"):
        parameters.preset("wild")


@pytest.mark.parametrize("iterations", [0, -1, 1.5, True, "3", 1_001])
def test_iterations_are_a_whole_number_from_one(iterations):
    with pytest.raises(InvalidParameterError):
        parameters.check_iterations(iterations)
