"""The public names: what they are, what completion shows, and what type checkers see."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from IPython.core.completer import IPCompleter, provisionalcompleter

import llm_playground as lp

ORDERS = ("lp.__all__", "lp.__all__[::-1]", "['estimate', *lp.__all__]")
STUB = Path(lp.__file__).with_suffix(".pyi")


@pytest.mark.parametrize("order", ORDERS)
def test_no_public_name_is_a_module_whatever_is_used_first(order):
    code = (
        "import types, llm_playground as lp\n"
        f"for name in {order}: getattr(lp, name)\n"
        "print(*[n for n in lp.__all__ if isinstance(getattr(lp, n), types.ModuleType)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    assert done.stdout.split() == []


def test_completion_shows_public_names_only():
    assert set(dir(lp)) == {"__version__", *lp.__all__}
    completer = IPCompleter(namespace={"lp": lp})
    with provisionalcompleter():
        completions = {one.text for one in completer.completions("lp.", 3)}
    assert {text.removeprefix(".") for text in completions} == set(lp.__all__)


def test_the_stub_has_the_same_names_from_the_same_modules():
    imports = [node for node in ast.parse(STUB.read_text("utf-8")).body if _is_ours(node)]
    in_stub = {
        alias.asname: node.module.removeprefix("llm_playground.")
        for node in imports
        for alias in node.names
    }
    exports = {name: module for module, names in lp._EXPORTS.items() for name in names}
    assert in_stub == exports
    assert all(alias.name == alias.asname for node in imports for alias in node.names)


def _is_ours(node):
    return isinstance(node, ast.ImportFrom) and node.module.startswith("llm_playground.")
