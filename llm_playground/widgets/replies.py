"""What a view may ask of the kernel, and who answers: one table.

A view sends ``{"type": "ask", "id": ..., "what": ..., "given": {...}}`` and gets a ``reply`` with
the value or one line of what is wrong. Answers may take their time: they are found on threads of
their own, so that no stream waits for a search in the log. What brings the log, code and exports
along is loaded when it is first asked for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.widgets import (
    comparing,
    kept,
    material,
    missing_keys,
    own_presets,
    own_prices,
    saved,
)

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground

_log = logging.getLogger(__name__)

Given: TypeAlias = Mapping[str, Any]
Reply: TypeAlias = Callable[["Playground", Given], object]


def _later(module: str, name: str) -> Reply:
    """A reply whose module is loaded when it is first asked for."""

    def ask(panel: Playground, given: Given) -> object:
        found = import_module(f"llm_playground.widgets.{module}")
        return cast("Reply", getattr(found, name))(panel, given)

    return ask


def _pong(_panel: Playground, _given: Given) -> str:
    """What says that the kernel hears."""
    return "pong"


REPLIES: dict[str, Reply] = {
    "pictures.add": material.add_picture,
    "pictures.thumbnail": material.thumbnail,
    "turns.add": material.add_turns,
    "ping": _pong,
    "copy": saved.copy,
    "discard_draft": kept.discard_draft,
    "restore_draft": kept.restore_draft,
    "import_runs": saved.import_them,
    "text": comparing.text,
    "difference": comparing.difference,
    "presets": own_presets.tell,
    "save_preset": own_presets.save,
    "delete_preset": own_presets.delete,
    "look_for_keys": missing_keys.look_again,
    "set_key": missing_keys.set_key,
    "set_price": own_prices.set_price,
    "wire": _later("taking_out", "wire_of"),
    "code": _later("taking_out", "code"),
    "export": _later("taking_out", "export"),
    "cell": _later("taking_out", "cell"),
    "history": _later("history", "tell"),
    "reopen": _later("opening", "reopen"),
    "put_back": _later("opening", "put_back"),
    "link": _later("opening", "link"),
    "save_prompt": _later("saving", "save"),
    "prompt_names": _later("saving", "names"),
}


def reply(panel: Playground, question: Given) -> dict[str, Any]:
    """The message that answers a question: its ``value`` is JSON, or ``error`` is one line."""
    answer = {"type": "reply", "id": question.get("id")}
    try:
        return answer | {"value": _replier(question)(panel, question.get("given") or {})}
    except LLMError as error:
        return answer | {"error": str(error)}
    except Exception as error:  # a fault of ours: who asked is told, and waits no longer
        _log.exception("The playground could not answer %s", question.get("what"))
        return answer | {"error": f"This cannot be shown ({type(error).__name__})."}


def _replier(question: Given) -> Reply:
    what = str(question.get("what"))
    if what not in REPLIES:
        raise InvalidParameterError(f"The playground cannot answer {what!r}. Reload the page.")
    return REPLIES[what]
