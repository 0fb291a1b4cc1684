"""Where each ``{{name}}`` of the prompts gets its value, as the chips below the prompt say it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from llm_playground import template
from llm_playground.errors import TemplateError
from llm_playground.widgets.cases import Table
from llm_playground.widgets.previews import look, many, one_line

Chip: TypeAlias = dict[str, Any]  # JSON for the view; variables.js says which fields


def named(texts: Iterable[str]) -> list[str]:
    """The names that several texts ask for, in order, each once.

    >>> named(["{{a}} {{b}}", "{{b}} {{c}}"])
    ['a', 'b', 'c']
    """
    return list(dict.fromkeys(name for text in texts for name in template.names(text)))


def chips(
    names: Iterable[str],
    table: Table | None,
    typed: Mapping[str, Any],
    notebook: Mapping[str, object],
) -> list[Chip]:
    """One chip for each name; what comes first in the arguments goes before what comes later.

    A chip has a ``name``, a ``source`` (``table``, ``typed``, ``notebook``, ``missing``), what it
    is (``detail``, ``preview``), the ``value`` where it was typed, and a ``problem`` or nothing.

    >>> chips(["n"], None, {}, {"n": 3})[0]["source"]
    'notebook'
    """
    return [_chip(name, table, typed, notebook) for name in names]


def _chip(
    name: str, table: Table | None, typed: Mapping[str, Any], notebook: Mapping[str, object]
) -> Chip:
    blank = {"name": name, "detail": "", "preview": "", "value": "", "problem": ""}
    sources: dict[str, Callable[[], Chip | None]] = {
        "table": lambda: _of_table(name, table),
        "typed": lambda: {"value": str(typed[name])} if name in typed else None,
        "notebook": lambda: _of_notebook(name, notebook),
        "missing": lambda: {"problem": _missing(name, table)},
    }
    found = ((source, chip()) for source, chip in sources.items())
    return next(blank | {"source": source} | chip for source, chip in found if chip is not None)


def _of_table(name: str, table: Table | None) -> Chip | None:
    if table is None or name not in table.usable:
        return None
    return {"detail": f"{table.label}, {many(table.rows, 'case')}"}


def _of_notebook(name: str, notebook: Mapping[str, object]) -> Chip | None:
    if name not in notebook:
        return None
    shown = look(name, notebook[name])
    return {"detail": shown.detail, "preview": shown.preview}


def _missing(name: str, table: Table | None) -> str:
    """What ``template.fill`` says of it, and of a table that has no such column."""
    try:
        template.fill(f"{{{{{name}}}}}", {})
    except TemplateError as error:
        said = str(error)
    if table is None:
        return said
    return f"{said} The columns of {table.label}: {one_line(', '.join(table.columns))}."
