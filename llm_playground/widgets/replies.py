"""What a view may ask of the kernel, and who answers: one table.

A view sends ``{"type": "ask", "id": ..., "what": ..., "given": {...}}`` and gets a ``reply`` with
the value or one line of what is wrong. Answers may take their time: they are found on threads of
their own, so that no stream waits for a search in the log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.widgets import comparing, material, missing_keys, own_presets, own_prices, saved
from llm_playground.widgets.tools import TOOLS

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground

Given: TypeAlias = Mapping[str, Any]
Reply: TypeAlias = Callable[["Playground", Given], object]

REPLIES: dict[str, Reply] = {
    "pictures.add": material.add_picture,
    "pictures.thumbnail": material.thumbnail,
    "turns.add": material.add_turns,
    "ping": saved.ping,
    "copy": saved.copy,
    "discard_draft": saved.discard_draft,
    "restore_draft": saved.restore_draft,
    "import_runs": saved.import_them,
    "text": comparing.text,
    "difference": comparing.difference,
    "presets": own_presets.tell,
    "save_preset": own_presets.save,
    "delete_preset": own_presets.delete,
    "look_for_keys": missing_keys.look_again,
    "set_key": missing_keys.set_key,
    "set_price": own_prices.set_price,
    **TOOLS,
}


def reply(panel: Playground, question: Given) -> dict[str, Any]:
    """The message that answers a question: its ``value`` is JSON, or ``error`` is one line."""
    answer = {"type": "reply", "id": question.get("id")}
    try:
        return answer | {"value": _replier(question)(panel, question.get("given") or {})}
    except LLMError as error:
        return answer | {"error": str(error)}


def _replier(question: Given) -> Reply:
    what = str(question.get("what"))
    if what not in REPLIES:
        raise InvalidParameterError(f"The playground cannot answer {what!r}. Reload the page.")
    return REPLIES[what]
