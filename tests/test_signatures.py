"""What editors and type checkers see of the functions that ask models."""

import inspect

import jedi
import pytest

import llm_playground as lp
from llm_playground.request.parameters import ARGUMENTS

FUNCTIONS = ["ask", "complete", "stream", "compare", "estimate", "ask_with_tools"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_parameter_stands_in_the_signature(name):
    signature = inspect.signature(getattr(lp, name))

    assert set(ARGUMENTS) <= set(signature.parameters)
    assert all(each.kind is not each.VAR_KEYWORD for each in signature.parameters.values())


@pytest.mark.parametrize("name", [*FUNCTIONS, "Playground"])
def test_an_editor_completes_them(name):
    found = jedi.Interpreter(f"lp.{name}(temp", [{"lp": lp}]).complete()
    assert "temperature=" in [each.name for each in found]


@pytest.mark.parametrize(
    ("call", "line"),
    [
        *(
            (f"lp.{name}('Hi', 'local', temprature=1)", "Did you mean temperature")
            for name in FUNCTIONS
            if name != "complete"  # raises when it is awaited
        ),
        ("lp.Playground(temprature=1)", "Did you mean temperature"),
        ("lp.ask('Hi', service_tier='flex')", 'Write extra={"service_tier": ...}.'),
        ("lp.set_budget(5, modl='local')", "set_budget has no 'modl'. Did you mean model"),
    ],
)
def test_a_wrong_name_is_one_line_with_the_closest(call, line):
    with pytest.raises(lp.InvalidParameterError) as caught:
        eval(call)

    assert line in str(caught.value)
