"""The tool calls of a stream of Chat Completions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm_playground.events import ToolCallDelta
from llm_playground.parts import Original
from llm_playground.providers.contents import dumps, unique_id
from llm_playground.providers.openai_turns import NAME

_OF_ENTRIES = ("index", "id", "type", "function", "custom")
_OF_FUNCTIONS = ("name", "arguments", "input")


class ToolCalls:
    """Assigns entries of ``delta.tool_calls`` to calls: by index, by id, and by their content.

    Some servers give all calls one index, no index, one id or none. A new call then shows by
    another name, or by a second JSON object.
    """

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._taken: set[str] = set()
        self._given: list[object] = []  # the ids as they came
        self._names: list[str | None] = []
        self._arguments: list[list[str]] = []
        self._numbers: dict[object, int] = {}

    def delta(self, entry: dict[str, Any]) -> ToolCallDelta:
        """The event of one entry.

        Raises:
            AttributeError: It is no object.
        """
        function = entry.get("function") or entry.get("custom") or {}
        arguments = function.get("arguments", function.get("input", ""))
        if not isinstance(arguments, str):
            arguments = "" if arguments is None else json.dumps(arguments)
        call_id, name, index = entry.get("id") or None, function.get("name"), entry.get("index")
        number = self._numbers.get(index)
        if number is not None and call_id in (None, self._given[number]):
            if not name or not self._is_another(number, name, arguments, call_id):
                self._arguments[number].append(arguments)
                return ToolCallDelta(number, arguments, name=name)
            if call_id and arguments == "".join(self._arguments[number]):
                return ToolCallDelta(number)  # the whole call once more
        number = self._numbers[index] = len(self.ids)
        self.ids.append(unique_id(call_id, self._taken))
        self._taken.add(self.ids[-1])
        self._given.append(call_id)
        self._names.append(name)
        self._arguments.append([arguments])
        return ToolCallDelta(number, arguments, self.ids[-1], name, _rest(entry, function))

    def _is_another(self, number: int, name: str, arguments: str, call_id: object) -> bool:
        known, so_far = self._names[number], self._arguments[number]
        if known is None:
            self._names[number] = name
            return False
        if name != known:
            return call_id is None or any(so_far)
        if not arguments.lstrip().startswith("{"):
            return False
        try:
            json.loads("".join(so_far))
        except (ValueError, RecursionError):
            return False
        return True


def _rest(entry: Mapping[str, Any], function: Mapping[str, Any]) -> Original | None:
    """What an entry has beside the call, such as a signature of Gemini in ``extra_content``."""
    rest = {name: v for name, v in entry.items() if v and name not in _OF_ENTRIES}
    more = {name: v for name, v in function.items() if v and name not in _OF_FUNCTIONS}
    if "custom" in entry:
        rest["type"] = "custom"
    rest |= {"function": more} if more else {}
    return Original(NAME, dumps(rest)) if rest else None
