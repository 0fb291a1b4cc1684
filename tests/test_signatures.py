"""What editors see of the public functions, and what wrong arguments say; for type checkers see
``type_checked.py``.
"""

import ast
import asyncio
import inspect
import sys

import jedi
import pytest

import llm_playground as lp
from llm_playground.reports.query import Filters
from llm_playground.request.parameters import ARGUMENTS

PUBLIC = [name for name in lp.__all__ if inspect.isfunction(getattr(lp, name))]
FUNCTIONS = ["ask", "complete", "stream", "compare", "estimate", "ask_with_tools"]


@pytest.mark.parametrize("name", [*FUNCTIONS, "save_preset"])
def test_each_parameter_stands_in_the_signature(name):
    signature = inspect.signature(getattr(lp, name))

    assert set(ARGUMENTS) <= set(signature.parameters)
    assert all(each.kind is not each.VAR_KEYWORD for each in signature.parameters.values())


@pytest.mark.parametrize("name", [*FUNCTIONS, "save_preset", "Playground"])
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


def call(name, *arguments, **named):
    """Call a public function; wait for it if it is a coroutine function."""
    called = getattr(lp, name)(*arguments, **named)
    return asyncio.run(called) if inspect.iscoroutine(called) else called


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "set_key"])
def test_wrong_arguments_of_every_function_are_one_line(name):
    named = list(inspect.signature(getattr(lp, name)).parameters)
    if "filters" in named:
        named = [*named[:-1], *Filters.__annotations__]

    with pytest.raises(lp.InvalidParameterError, match=f"^{name}\\b"):
        call(name, *range(50))
    for parameter in named or ["any"]:
        with pytest.raises(lp.InvalidParameterError) as caught:
            call(name, **{f"{parameter}x": 1})
        hint = f"Did you mean {parameter}?" if named else f"{name} takes no arguments."
        assert hint in str(caught.value)


@pytest.mark.parametrize("name", [*PUBLIC, "Playground"])
def test_the_signature_is_that_of_the_source(name):
    """So that editors, which read the source, and ``help`` say the same."""
    found = getattr(lp, name)
    function = found.__init__ if inspect.isclass(found) else found

    definition = definitions(function)[function.__name__]
    for decorator in definition.decorator_list:
        if isinstance(decorator, ast.Call) and decorator.func.id == "with_signature_of":
            build = getattr(sys.modules[function.__module__], decorator.args[0].id)
            definition = definitions(build)[build.__name__]

    shown = inspect.signature(function)
    assert list(shown.parameters) == [argument.arg for argument in all_arguments(definition.args)]
    parameters = shown.parameters.values()
    assert len(defaults_of(definition.args)) == sum(p.default is not p.empty for p in parameters)


def definitions(function):
    """The functions and methods of a function's module, by name, without overloads for types."""
    tree = ast.parse(inspect.getsource(sys.modules[function.__module__]))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [
        node
        for node in ast.walk(tree)
        if isinstance(node, kinds) and "overload" not in map(ast.unparse, node.decorator_list)
    ]
    return {node.name: node for node in reversed(nodes)}  # the outermost of a name


def all_arguments(arguments):
    """The arguments of a definition, in order."""
    last = [arguments.kwarg] if arguments.kwarg else []
    return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, *last]


def defaults_of(arguments):
    return [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
