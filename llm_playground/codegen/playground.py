"""Python through this package, for models that no SDK of a vendor reaches."""

from __future__ import annotations

from typing import Any

from llm_playground.codegen.literals import LiteralWriter, string_literal
from llm_playground.codegen.placeholders import Placeholders
from llm_playground.codegen.python_function import function, parsed_json, typed_answer
from llm_playground.codegen.python_layout import STYLE, import_lines
from llm_playground.codegen.request import PreparedRequest
from llm_playground.parts import FilePart, ImagePart, Part, TextPart
from llm_playground.request import files, images
from llm_playground.types import Message, Request, messages_as_json

_CALLS = """\
if run.tool_calls:
    return [
        {"id": call.id, "name": call.name, "arguments": json.loads(call.arguments_json or "{}")}
        for call in run.tool_calls
    ]
"""
_CHECK = """\
if run.data_error:
    raise ValueError(run.data_error)
return run.data
"""
_CHECK_AGAIN = """\
if run.data_error is None:
    return run.data
failures += 1
if failures == ATTEMPTS:
    raise ValueError(run.data_error)
"""


def code(prepared: PreparedRequest) -> str:
    """``lp.ask(...)``: for the embedded model and for providers of other packages."""
    note = f"# {prepared.note}\n" if prepared.note else ""
    if prepared.as_function:
        return f"{note}{_function(prepared)}"
    imports = "" if prepared.request.schema is None else "import json\n\n"
    return f"{note}{imports}import llm_playground as lp\n\nprint({call(prepared)})\n"


def _function(prepared: PreparedRequest) -> str:
    """A module with the function ``ask``."""
    answer = typed_answer(prepared)
    lines = f"run = {call(prepared, answer.value)}\n"
    lines += _CALLS if prepared.has_tools else ""
    if prepared.request.schema is None:
        lines += "return run.text\n"
    elif answer.is_repeated:
        lines += _CHECK_AGAIN.replace("ATTEMPTS", str(answer.attempts))
    else:
        lines += _CHECK
    imports = {name: names for name, names in answer.imports.items() if name != "typing"}
    typing = answer.imports.get("typing")
    standard = "import json\n" if "json." in lines else ""
    standard += import_lines({"typing": typing}) if typing else ""
    standard += "\n" if standard else ""
    head = f"{answer.note}{standard}import llm_playground as lp\n{import_lines(imports)}"
    raises = "llm_playground.LLMError: The call failed, also when it was repeated.\n"
    return f"{head}\n\n{answer.source}" + function(prepared, answer, answer.repeated(lines), raises)


def call(prepared: PreparedRequest, data: str | None = None) -> str:
    """The expression for the run, with the names ``lp`` and those in ``data``.

    ``data`` is the expression for the data in the text ``reply`` where the request has a schema;
    None for its JSON, parsed.
    """
    writer = LiteralWriter(STYLE, Placeholders())
    request, last = prepared.request, prepared.request.messages[-1]
    question = last.text if last.role == "user" and _is_single_text(last) else None
    arguments = [writer.write(argument, 4) for argument in (question, request.model)]
    arguments += [
        f"{name}={writer.write(value, 4, len(name) + 1)}"
        for name, value in _named_arguments(request, question).items()
    ]
    if request.schema is not None:
        shape = writer.write(request.schema.json_schema, 4)
        data = data or parsed_json(request.schema)
        function_name = data.removesuffix("(reply)")
        parse = function_name if function_name != data else f"lambda reply: {data}"
        schema = [string_literal(request.schema.name), shape, parse]
        schema += ["is_wrapped=True"] if request.schema.is_wrapped else []
        arguments.append(f"schema=lp.Schema({', '.join(schema)})")
    if prepared.placeholders.items:
        items = prepared.placeholders.items
        values = (f"{string_literal(each.name)}: {each.parameter}" for each in items)
        arguments.append(f"variables={{{', '.join(values)}}}")
    return "lp.ask(\n" + "".join(f"    {argument},\n" for argument in arguments) + ")"


def _named_arguments(request: Request, question: str | None) -> dict[str, Any]:
    """The keyword arguments of ``lp.ask``, except the schema."""
    named: dict[str, Any] = {}
    messages = list(request.messages if question is None else request.messages[:-1])
    first = messages[0] if messages else None
    if first and first.role == "system" and _is_single_text(first) and first.text.strip():
        named["system"] = messages.pop(0).text
    if messages:
        named["messages"] = [_message_json(message) for message in messages]
    if request.tools:
        named["tools"] = [
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
            for tool in request.tools
        ]
    parameters = request.parameters.as_dict().items()
    return named | {
        name: list(value) if isinstance(value, tuple) else value for name, value in parameters
    }


def _is_single_text(message: Message) -> bool:
    return len(message.content) == 1 and isinstance(message.content[0], TextPart)


def _message_json(message: Message) -> dict[str, Any]:
    """A message as JSON, with its images and files as data URLs."""
    [as_json] = messages_as_json((message,))
    content = [
        _attached_json(part) or item
        for part, item in zip(message.content, as_json["content"], strict=True)
    ]
    return as_json | {"content": content}


def _attached_json(part: Part) -> dict[str, Any] | None:
    """An image or file in the form that ``messages=`` takes; None for other parts."""
    match part:
        case ImagePart():
            return {"type": "image", "image": images.data_url(part)}
        case FilePart():
            return {"type": "file", "file": files.data_url(part), "name": part.name}
    return None
