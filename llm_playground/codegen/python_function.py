"""The function ``ask`` in Python: what it returns, text, tool calls or data, and its head."""

from __future__ import annotations

import re
from dataclasses import dataclass
from textwrap import indent

from llm_playground.codegen.literals import MAX_COLUMNS
from llm_playground.codegen.models import Models, UnsupportedSchemaError, models_of
from llm_playground.codegen.request import PreparedRequest
from llm_playground.types import Schema

_CALLS = "list[dict[str, Any]]"


@dataclass(frozen=True, slots=True)
class TypedAnswer:
    """How the answer of a request is returned."""

    result: str  # the annotation
    value: str  # the expression for what the text `reply` says
    returned: str  # a sentence
    raises: str = ""  # a line of the docstring
    models: Models | None = None
    attempts: int = 1  # to get a valid answer
    note: str = ""  # a comment for the head of the module

    @property
    def imports(self) -> dict[str, tuple[str, ...]]:
        """The names that it needs, by module."""
        imports = {} if self.models is None else dict(self.models.imports)
        if "Any" in re.findall(r"\w+", self.result):
            imports["typing"] = tuple(sorted({*imports.get("typing", ()), "Any"}))
        return imports

    @property
    def source(self) -> str:
        """The models, with empty lines behind them."""
        return "" if self.models is None else f"{self.models.source}\n\n"

    @property
    def is_repeated(self) -> bool:
        """Whether a call is repeated if its answer is not valid."""
        return self.models is not None and self.attempts > 1

    def repeated(self, lines: str) -> str:
        """Statements that call, read and return; in a loop if that may be repeated."""
        if not self.is_repeated:
            return lines
        return f"failures = 0\nwhile True:\n{indent(lines, '    ')}"


def parsed_json(schema: Schema) -> str:
    """The expression for the data in the JSON text ``reply``.

    >>> parsed_json(Schema("numbers", {}, str, is_wrapped=True))
    'json.loads(reply)["value"]'
    """
    return 'json.loads(reply)["value"]' if schema.is_wrapped else "json.loads(reply)"


def typed_answer(prepared: PreparedRequest) -> TypedAnswer:
    """What the function of a request returns; pydantic models if they can express its schema."""
    schema = prepared.request.schema
    if schema is None:
        result = f"str | {_CALLS}" if prepared.has_tools else "str"
        return TypedAnswer(result, "reply", prepared.returned(""))
    try:
        models = models_of(schema, [each.parameter for each in prepared.placeholders.items])
    except UnsupportedSchemaError as error:
        return TypedAnswer(
            "Any",
            parsed_json(schema),
            prepared.returned("the answer's JSON, parsed"),
            "ValueError: The answer is not the JSON that was asked for, or was cut off.\n",
            note=f"# Not validated, as no pydantic model can express the schema: {error}.\n",
        )
    attempts = prepared.attempts
    many = f"No answer of {attempts} was valid" if attempts > 1 else "The answer is not valid"
    return TypedAnswer(
        f"{models.result} | {_CALLS}" if prepared.has_tools else models.result,
        models.value,
        prepared.returned("the validated answer"),
        f"ValueError: {many}, or it was cut off.\n",
        models,
        attempts,
    )


def function(prepared: PreparedRequest, answer: TypedAnswer, body: str, raises: str) -> str:
    """The function with this body; ``raises`` is a line of its docstring."""
    items = prepared.placeholders.items
    parameters = ", ".join(f"{each.parameter}: str" for each in items)
    head = f"def ask({parameters}) -> {answer.result}:\n"
    if len(head) > MAX_COLUMNS + 1:  # with its line break
        lines = "".join(f"    {each.parameter}: str,\n" for each in items)
        head = f"def ask(\n{lines}) -> {answer.result}:\n"
    return head + indent(_docstring(prepared, answer, raises) + body, "    ")


def _docstring(prepared: PreparedRequest, answer: TypedAnswer, raises: str) -> str:
    sections = ['"""Send the prompt and return the answer.']
    items = prepared.placeholders.items
    if items:
        arguments = [
            f"    {each.parameter}: Takes the place of {{{{{each.name}}}}}." for each in items
        ]
        sections.append("\n".join(["Args:", *arguments]))
    sections.append(f"Returns:\n    {answer.returned}")
    sections.append(f"Raises:\n{indent(raises + answer.raises, '    ').rstrip()}")
    return "\n\n".join(sections) + '\n"""\n'
