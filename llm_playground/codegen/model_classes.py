"""The source of a pydantic class: its name, its docstring, its fields and their names."""

from __future__ import annotations

import builtins
import keyword
import re
import textwrap
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from llm_playground.codegen.literals import MAX_COLUMNS, string_literal
from llm_playground.codegen.python_layout import STYLE, Expression, laid_out

# What stands in a module with models beside them; names of classes begin with a capital letter.
_USED = """
BaseModel ConfigDict Field TypeAdapter ValidationError AfterValidator BeforeValidator
Annotated Any Literal TypeAliasType ANSWER Integer Whole Boolean NotNull OpenAI Anthropic Omit
"""
_RESERVED = frozenset({*_USED.split(), *dir(builtins)})
# Names in the annotations of fields, which a field of this name would hide.
_IN_CLASSES = """
str int float bool list dict tuple Any Literal Annotated Field ConfigDict Integer Whole Boolean
NotNull
"""
_NOT_FIELDS = frozenset({*_IN_CLASSES.split(), *keyword.kwlist})
_MOST_LETTERS = 60


def class_name(words: str, taken: Collection[str]) -> str:
    """A class name of these words that is not taken.

    >>> class_name("home address", {"Town"}), class_name("town", {"Town"}), class_name("3?", ())
    ('HomeAddress', 'Town2', 'Model3')
    """
    parts = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", words))
    name = "".join(part[:1].upper() + part[1:] for part in parts)[:_MOST_LETTERS]
    if not name.isidentifier():
        name = f"Model{name}"
    if not name.isidentifier() or not name.isprintable():
        name = "Model"
    number, chosen = 2, name
    while chosen in taken or chosen in _RESERVED:
        chosen = f"{name}{number}"
        number += 1
    return chosen


def field_name(name: str, taken: Collection[str]) -> str:
    """The attribute for a property: its name where a field of a pydantic model can have it.

    >>> field_name("city", ()), field_name("class", ()), field_name("e-mail", ())
    ('city', 'class_', 'e_mail')
    >>> field_name("_id", ()), field_name("2nd", ()), field_name("json", ()), field_name("é", ())
    ('id', 'field_2nd', 'json_', 'é')
    """
    from pydantic import BaseModel  # first use, not import

    words = unicodedata.normalize("NFKC", name)
    attribute = re.sub(r"\W+", "_", words)[:_MOST_LETTERS].lstrip("_")
    if not attribute.isidentifier() or not attribute.isprintable():
        attribute = "field_" + re.sub(r"\W+", "_", attribute, flags=re.ASCII)
    # Pydantic warns of fields that hide its own attributes, or begin as its methods do.
    if attribute.startswith(("model_validate", "model_dump")):
        attribute = f"field_{attribute}"
    while attribute in taken or attribute in _NOT_FIELDS or hasattr(BaseModel, attribute):
        attribute += "_"
    return attribute


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a class: ``name: annotation = value``."""

    name: str
    annotation: Expression
    value: Expression | None = None

    def source(self, column: int) -> str:
        """The line, or lines, of the field."""
        start = f"{' ' * column}{self.name}: "
        if self.value is None:
            return f"{start}{laid_out(self.annotation, column, len(self.name) + 2)}\n"
        flat = f"{start}{self.annotation.flat} = {self.value.flat}"
        if len(flat) <= MAX_COLUMNS:
            return f"{flat}\n"
        # Of `value`, the first line has its name and a bracket.
        taken = len(self.name) + 2 + len(" = Field(")
        annotation = laid_out(self.annotation, column, taken)
        last = annotation.rpartition("\n")[2].lstrip()
        before = (0 if "\n" in annotation else len(self.name) + 2) + len(last) + len(" = ")
        return f"{start}{annotation} = {laid_out(self.value, column, before)}\n"


def class_source(name: str, description: str, config: Expression, fields: Sequence[Field]) -> str:
    """A pydantic class with its configuration and fields."""
    indent = " " * STYLE.indent
    head = f"{docstring(description, STYLE.indent)}\n" if description.strip() else ""
    start = "model_config = "
    body = f"{indent}{start}{laid_out(config, STYLE.indent, len(start))}\n"
    if fields:
        body += "\n" + "".join(field.source(STYLE.indent) for field in fields)
    return f"class {name}(BaseModel):\n{head}{body}"


def docstring(description: str, column: int) -> str:
    """A docstring at this column; a literal where the text has quotes or invisible characters.

    >>> print(docstring("A town.", 4).replace('"', "'"))
        '''A town.'''
    <BLANKLINE>
    """
    margin = " " * column
    lines = description.strip().splitlines()
    is_plain = all(line.isprintable() for line in lines) and not set('"\\') & {*description}
    if not is_plain:  # the quotes of the literal become three
        return f'{margin}""{string_literal(description.strip(), STYLE.astral_escape)}""\n'
    width = MAX_COLUMNS - column - 3
    wrapped = [part for line in lines for part in (textwrap.wrap(line, width) or [""])]
    if len(wrapped) == 1 and len(wrapped[0]) <= width - 3:
        return f'{margin}"""{wrapped[0]}"""\n'
    first, *others = wrapped
    inner = "".join(f"{margin}{line}\n" if line else "\n" for line in others)
    return f'{margin}"""{first}\n{inner}{margin}"""\n'
