"""What all Python code has in common: how values are written, and the head of a function."""

from __future__ import annotations

from textwrap import indent

from llm_playground.codegen.literals import Style
from llm_playground.codegen.request import PreparedRequest

STYLE = Style(
    constants=("None", "True", "False"),
    number=repr,
    astral_escape=lambda code: f"\\U{code:08x}",
    key=lambda _, literal: literal,
    concatenation="",
    indent=4,
    padding="",
)
_CALLS = "list[dict[str, Any]]"


def function(prepared: PreparedRequest, body: str, raises: str = "") -> str:
    """The function ``ask`` with this body; ``raises`` are lines of its docstring."""
    items = prepared.placeholders.items
    parameters = ", ".join(f"{each.parameter}: str" for each in items)
    head = f"def ask({parameters}) -> {result_type(prepared)}:\n"
    if len(head) > 89:  # with its line break
        lines = "".join(f"    {each.parameter}: str,\n" for each in items)
        head = f"def ask(\n{lines}) -> {result_type(prepared)}:\n"
    return head + indent(_docstring(prepared, raises) + body, "    ")


def result_type(prepared: PreparedRequest) -> str:
    """The annotation of what ``ask`` returns."""
    if prepared.request.schema is not None:
        return "Any"
    return f"str | {_CALLS}" if prepared.has_tools else "str"


def _docstring(prepared: PreparedRequest, raises: str) -> str:
    sections = ['"""Send the prompt and return the answer.']
    items = prepared.placeholders.items
    if items:
        arguments = [
            f"    {each.parameter}: Takes the place of {{{{{each.name}}}}}." for each in items
        ]
        sections.append("\n".join(["Args:", *arguments]))
    sections.append(f"Returns:\n    {prepared.returned}")
    if raises:
        sections.append(f"Raises:\n{indent(raises, '    ').rstrip()}")
    return "\n\n".join(sections) + '\n"""\n'
