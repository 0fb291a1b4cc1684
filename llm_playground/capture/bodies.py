"""The JSON bodies that other libraries send, as requests of this package.

What this package has no field for is kept: parts of messages as
:class:`~llm_playground.parts.OtherPart`, all other fields in ``extra``. ``stream`` is left out: an
answer is the same either way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from llm_playground.parts import OtherPart, Part, ToolCall, ToolResult
from llm_playground.providers.contents import dumps, fields, records
from llm_playground.types import Message, Parameters, Role, Schema, Tool

Json = Mapping[str, Any]
_TRANSPORT = ("model", "stream", "stream_options")
# Parameters and the types of their values; a value of another type stays in ``extra``.
_TYPES: dict[str, tuple[type, ...]] = {
    "temperature": (int, float),
    "top_p": (int, float),
    "top_k": (int,),
    "max_tokens": (int,),
    "seed": (int,),
    "presence_penalty": (int, float),
    "frequency_penalty": (int, float),
    "reasoning_effort": (str,),
}


@dataclass(slots=True)
class Fields:
    """The fields of a body that have not been read; what is left is ``extra``."""

    left: dict[str, Any]
    values: dict[str, Any] = field(default_factory=dict)
    tools: list[Tool] = field(default_factory=list)
    schema: Schema | None = None

    @classmethod
    def of(cls, body: Json, *read: str) -> Fields:
        """The fields of a body without those that were ``read`` otherwise."""
        return cls(
            {name: value for name, value in body.items() if name not in (*_TRANSPORT, *read)}
        )

    def take(self, parameter: str, name: str, inside: str | None = None) -> None:
        """Take a parameter from the field ``name``, of the object ``inside`` if it is given."""
        holder = self.left if inside is None else self.left.get(inside)
        if not isinstance(holder, dict):
            return
        value = holder.get(name)
        if isinstance(value, bool) or not isinstance(value, _TYPES[parameter]):
            return
        if parameter in self.values:
            return
        self.values[parameter] = value
        self._drop(name, inside)

    def take_stop(self, name: str, inside: str | None = None) -> None:
        """Take the texts that end an answer."""
        holder = fields(self.left if inside is None else self.left.get(inside))
        value = holder.get(name)
        texts = [value] if isinstance(value, str) else value
        if isinstance(texts, list) and texts and all(isinstance(one, str) for one in texts):
            self.values["stop"] = tuple(texts)
            self._drop(name, inside)

    def take_tools(self, read: Callable[[Json], Tool | None]) -> None:
        """Take the tools that the caller executes; tools of the vendor stay."""
        kept = []
        for one in records(self.left.get("tools")):
            tool = read(one)
            if tool is None:
                kept.append(one)
            else:
                self.tools.append(tool)
        if self.tools:
            self.left["tools"] = kept
            if not kept:
                del self.left["tools"]

    def take_schema(self, name: object, schema: object, field_name: str, inside: str) -> None:
        """Take the schema of the answer, which is in ``field_name`` of the object ``inside``."""
        if isinstance(schema, dict):
            self.schema = Schema(name if isinstance(name, str) else "answer", schema, json.loads)
            self._drop(field_name, inside)

    def parameters(self, headers: Mapping[str, str]) -> Parameters:
        """The parameters, with all that is left as ``extra``."""
        return Parameters(**self.values, extra=self.left, headers=headers)

    def _drop(self, name: str, inside: str | None) -> None:
        if inside is None:
            del self.left[name]
            return
        rest = {key: value for key, value in self.left[inside].items() if key != name}
        if rest:
            self.left[inside] = rest
        else:
            del self.left[inside]


@dataclass(frozen=True, slots=True)
class Body:
    """What a body says beside its model."""

    messages: tuple[Message, ...]
    fields: Fields


def tool_of(declared: Json, schema_name: str) -> Tool | None:
    """A tool from its declaration; None for one without a name."""
    name, schema = declared.get("name"), declared.get(schema_name)
    if not isinstance(name, str):
        return None
    described = declared.get("description")
    return Tool(
        name,
        described if isinstance(described, str) else "",
        schema if isinstance(schema, dict) else {"type": "object"},
    )


def other(kind: object, value: object) -> OtherPart:
    """A part that this package does not know."""
    return OtherPart(str(kind), dumps(value))


def split(role: Role, parts: Iterable[Part]) -> Iterator[Message]:
    """The messages of one turn: results of tools are a message of their own, before the others."""
    every = tuple(parts)
    results = tuple(part for part in every if isinstance(part, ToolResult))
    rest = tuple(part for part in every if not isinstance(part, ToolResult))
    if results:
        yield Message("tool", results)
    if rest or not results:
        yield Message(role, rest)


def named(messages: Iterable[Message]) -> tuple[Message, ...]:
    """Messages in which each result of a tool has the name of its call."""
    names: dict[str, str] = {}
    turns = []
    for message in messages:
        names |= {part.id: part.name for part in message.content if isinstance(part, ToolCall)}
        parts = tuple(
            ToolResult(part.id, names.get(part.id, ""), part.text, part.is_error)
            if isinstance(part, ToolResult) and not part.name
            else part
            for part in message.content
        )
        turns.append(Message(message.role, parts))
    return tuple(turns)


def text_of(content: object) -> str:
    """The text of a tool's result: texts joined, all else as JSON."""
    if isinstance(content, str):
        return content
    if isinstance(content, list) and all(
        isinstance(fields(one).get("text"), str) for one in content
    ):
        return "".join(one["text"] for one in content)
    return "" if content is None else dumps(content)
