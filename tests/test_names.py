"""The public names are what they say, in whatever order they are first used."""

import subprocess
import sys

import pytest

ORDERS = ("lp.__all__", "lp.__all__[::-1]", "['estimate', *lp.__all__]")


@pytest.mark.parametrize("order", ORDERS)
def test_no_public_name_is_a_module(order):
    code = (
        "import types, llm_playground as lp\n"
        f"for name in {order}: getattr(lp, name)\n"
        "print(*[n for n in lp.__all__ if isinstance(getattr(lp, n), types.ModuleType)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
