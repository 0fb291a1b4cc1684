"""Names of generated pydantic classes and of their fields."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Collection

# What stands in a module with models beside them.
_USED = """
BaseModel ConfigDict Field TypeAdapter ValidationError AfterValidator BeforeValidator
Annotated Any Literal TypeAliasType ANSWER Integer Whole Boolean NotNull
whole_number boolean not_null
OpenAI Anthropic Omit genai lp os json cache client ask
"""
RESERVED = frozenset({*_USED.split(), *keyword.kwlist, *dir(builtins)})
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
    while chosen in taken or chosen in RESERVED:
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
    while (
        attribute in taken
        or attribute in _NOT_FIELDS
        or hasattr(BaseModel, attribute)
        or attribute.startswith(("model_validate", "model_dump"))
    ):
        is_prefix = attribute.startswith(("model_validate", "model_dump"))
        attribute = f"field_{attribute}" if is_prefix else f"{attribute}_"
    return attribute
