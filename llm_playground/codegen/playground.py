"""Python through this package: for the embedded model, and for providers of other packages."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import indent
from typing import Any

from llm_playground.codegen.blanks import Blanks
from llm_playground.codegen.literal import Writer, quoted
from llm_playground.codegen.python import STYLE
from llm_playground.codegen.wires import Sending
from llm_playground.providers import pictures
from llm_playground.types import ImagePart, Message, TextPart, messages_as_json


def ask(sent: Sending) -> str:
    """``lp.ask(...)``."""
    writer = Writer(STYLE, Blanks())
    imports = "import llm_playground as lp\n"
    arguments = [writer.value(argument, 4) for argument in (_question(sent), sent.request.model)]
    arguments += [f"{name}={writer.value(v, 4, len(name) + 1)}" for name, v in _named(sent).items()]
    if sent.request.schema is not None:
        imports = f"import json\n\n{imports}"
        arguments.append(f"schema={_schema(sent, writer)}")
    if sent.blanks.all:
        given = (f"{quoted(one.name)}: {one.parameter}" for one in sent.blanks.all)
        arguments.append(f"variables={{{', '.join(given)}}}")
    call = "lp.ask(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"
    head = f"# {sent.note}\n{imports}" if sent.note else imports
    if not sent.as_function:
        return f"{head}\nprint({call})\n"
    parameters = ", ".join(f"{blank.parameter}: str" for blank in sent.blanks.all)
    body = indent(f"return {call}.text\n", "    ")
    return f"{head}\n\ndef ask({parameters}) -> str:\n{body}"


def _question(sent: Sending) -> str | None:
    """The last turn where it is a user's one text."""
    last = sent.request.messages[-1]
    return last.text if last.role == "user" and _is_text(last) else None


def _named(sent: Sending) -> dict[str, Any]:
    """What ``lp.ask`` takes by name, but for the schema."""
    request, named = sent.request, dict[str, Any]()
    turns = list(request.messages[:-1] if _question(sent) is not None else request.messages)
    if turns and turns[0].role == "system" and _is_text(turns[0]) and turns[0].text.strip():
        named["system"] = turns.pop(0).text
    if turns:
        named["messages"] = [_as_json(turn) for turn in turns]
    if request.tools:
        named["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ]
    for name, value in request.parameters.as_dict().items():
        named[name] = list(value) if isinstance(value, tuple) else value
    return named


def _schema(sent: Sending, writer: Writer) -> str:
    schema = sent.request.schema
    assert schema is not None  # noqa: S101 - asked only where there is one
    shape = writer.value(schema.json_schema, 4)
    return f"lp.Schema({quoted(schema.name)}, {shape}, json.loads)"


def _is_text(turn: Message) -> bool:
    return len(turn.content) == 1 and isinstance(turn.content[0], TextPart)


def _as_json(turn: Message) -> dict[str, Any]:
    [written] = messages_as_json((turn,))
    parts = zip(turn.content, written["content"], strict=True)
    return written | {"content": [_part(part, as_json) for part, as_json in parts]}


def _part(part: object, as_json: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(part, ImagePart):
        return as_json
    return {"type": "image", "image": pictures.data_url(part)}
