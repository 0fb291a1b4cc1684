"""Pydantic models for a JSON schema, as Python source.

The models take the values that the schema takes, no others. They are strict, and two validators
make up for differences between JSON Schema and pydantic: 3.0 is a whole number, and a property that
may be missing is not null. A schema that models cannot express has none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from llm_playground.codegen.model_types import ModelWriter
from llm_playground.codegen.python_layout import Bracketed, laid_out
from llm_playground.codegen.schema_document import UnsupportedSchemaError
from llm_playground.types import Schema

__all__ = ["Models", "UnsupportedSchemaError", "models_of"]

_MODULES = {
    **dict.fromkeys(("AfterValidator", "BaseModel", "BeforeValidator", "ConfigDict"), "pydantic"),
    **dict.fromkeys(("Field", "TypeAdapter"), "pydantic"),
    **dict.fromkeys(("Annotated", "Any", "Literal"), "typing"),
    "TypeAliasType": "typing_extensions",
}
# Validators that generated models use, by their names; `Literal` takes true for 1 and 1 for true.
_VALIDATORS = {
    "Whole": '''\
def whole_number(value: Any) -> Any:
    """3 for 3.0, which is a whole number in JSON; true is none."""
    if isinstance(value, bool):
        raise ValueError("true and false are no numbers")
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = BeforeValidator(whole_number)
''',
    "Boolean": '''\
def boolean(value: Any) -> Any:
    """Refuse 1 and 0, which are true and false in Python only."""
    if not isinstance(value, bool):
        raise ValueError("neither true nor false")
    return value


Boolean = BeforeValidator(boolean)
''',
    "NotNull": '''\
def not_null(value: Any) -> Any:
    """Refuse null for a property that may be missing; it is None then."""
    if value is None:
        raise ValueError("null is not allowed")
    return value


NotNull = AfterValidator(not_null)
''',
}
_INTEGER = "Integer = Annotated[int, Whole]\n"


@dataclass(frozen=True, slots=True)
class Models:
    """The source of a schema's models, and how they are used."""

    source: str
    imports: Mapping[str, tuple[str, ...]]  # names by module
    result: str  # the annotation of a validated answer
    value: str  # the expression that validates the text `reply`


def models_of(schema: Schema, taken: Iterable[str] = ()) -> Models:
    """The models of a schema; none has a name of ``taken``.

    Raises:
        UnsupportedSchemaError: Pydantic models cannot express it.

    Example:
        >>> town = {"properties": {"city": {"type": "string"}}, "required": ["city"]}
        >>> models = models_of(Schema("town", {"type": "object", **town}, str))
        >>> print(models.source)
        class Town(BaseModel):
            model_config = ConfigDict(strict=True)
        <BLANKLINE>
            city: str
        <BLANKLINE>
        >>> models.value, models.result
        ('Town.model_validate_json(reply)', 'Town')
    """
    writer = ModelWriter(schema.json_schema, taken)
    try:
        found = writer.referenced("#", "answer" if schema.is_wrapped else schema.name)
    except RecursionError:
        raise UnsupportedSchemaError("too many levels") from None
    blocks, result = list(writer.blocks), found.code.flat
    if result in writer.fields:
        value = f"{result}.model_validate_json(reply)"
        if schema.is_wrapped:
            result, value = writer.fields[result]["value"].flat, f"{value}.value"
    else:
        adapter = Bracketed("TypeAdapter", (found.annotated,), "()")
        writer.used |= {*adapter.names()}
        blocks.append(f"ANSWER = {laid_out(adapter, 0, len('ANSWER = '))}\n")
        value = "ANSWER.validate_json(reply, strict=True)"
    rebuilt = [name for name in writer.incomplete if name in writer.fields]
    if rebuilt:
        blocks.append("".join(f"{name}.model_rebuild()\n" for name in rebuilt))
    validators = _validators(writer.used)
    used = writer.used.union(*(re.findall(r"\w+", source) for source in validators))
    return Models("\n\n".join([*validators, *blocks]), _imports(used), result, value)


def _validators(used: Set[str]) -> list[str]:
    """The source of the validators that models with these names use."""
    needed = used | {"Whole"} if "Integer" in used else used
    sources = {name: source for name, source in _VALIDATORS.items() if name in needed}
    if "Integer" in used:
        sources["Whole"] += _INTEGER
    return [*sources.values()]


def _imports(used: Set[str]) -> dict[str, tuple[str, ...]]:
    names = sorted(used & _MODULES.keys())
    modules = sorted({_MODULES[name] for name in names})
    return {module: tuple(name for name in names if _MODULES[name] == module) for module in modules}
