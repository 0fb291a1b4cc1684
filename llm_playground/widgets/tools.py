"""What the words of the heading and of the answers' line ask of the kernel.

Their modules bring the log, code and exports along: each is loaded when it is first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground

_Reply = Callable[["Playground", Mapping[str, Any]], object]


def _later(module: str, name: str) -> _Reply:
    """A reply whose module is loaded when it is first asked for."""

    def ask(panel: Playground, given: Mapping[str, Any]) -> object:
        found = import_module(f"llm_playground.widgets.{module}")
        return cast("_Reply", getattr(found, name))(panel, given)

    return ask


TOOLS: dict[str, _Reply] = {
    "wire": _later("taking_out", "wire_of"),
    "code": _later("taking_out", "code"),
    "export": _later("taking_out", "export"),
    "cell": _later("taking_out", "cell"),
    "history": _later("history", "tell"),
    "reopen": _later("opening", "reopen"),
    "link": _later("opening", "link"),
    "save_prompt": _later("saving", "save"),
    "prompt_names": _later("saving", "names"),
}
