"""Values of the notebook in the panel: one-line previews, and its tables.

A notebook may hold objects whose ``str`` raises or never ends, and frames of a gigabyte. No method
is called that is not Python's own, and only the beginning of a value is looked at. pandas is not
imported here: without it, no value can be a frame.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm_playground import config
from llm_playground.catalog import estimates
from llm_playground.errors import InvalidParameterError
from llm_playground.formatting import count
from llm_playground.redaction import MASK, redact
from llm_playground.request.tables import Table, checked_table, is_of, is_simple, table_from
from llm_playground.request.values import fewest_characters, sent_as, shape_in_words

_MOST_TABLES = 20
_MOST_CHARACTERS = 160
_MOST_ITEMS = 3
_MOST_DEPTH = 2
_READ_CHARACTERS = 1_000  # of a long text: enough for a line, and to recognise a key
_COUNTED_CHARACTERS = 4_000_000  # tokens of a longer text are estimated from its length

# The value of a variable with such a name is never shown.
_SECRET_NAME = re.compile(r"(?i)(api_?key|secret|passw|credential|token$)")
# The types whose size can be read, and how they are sent said, without reading their values.
_TABLES: dict[str, tuple[str, ...]] = {
    "pandas": ("DataFrame", "Series"),
    "numpy": ("ndarray",),
    "polars": ("DataFrame", "Series"),
    "pyarrow": ("Table", "RecordBatch"),
    "torch": ("Tensor",),
    "xarray": ("DataArray", "Dataset"),
}
_NOUN_OF_ITEMS: dict[type, str] = {
    **dict.fromkeys((list, tuple, dict, set, frozenset), "item"),
    **dict.fromkeys((bytes, bytearray), "byte"),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """``detail`` is the type or size, ``text`` the beginning of the value; either may be empty."""

    detail: str
    text: str


def preview_of(name: str, value: object) -> Preview:
    """The preview of a variable's value.

    >>> preview_of("article", "Sales rose."), preview_of("n", 3)
    (Preview(detail='3 tokens', text='Sales rose.'), Preview(detail='', text='3'))
    """
    preview = _preview(value)
    is_secret = preview.text and _SECRET_NAME.search(name)
    return Preview(preview.detail, MASK) if is_secret else preview


def one_line(text: str) -> str:
    """The beginning of a text on one line, without keys.

    >>> one_line("a    b")
    'a b'
    """
    words = redact(text[:_READ_CHARACTERS]).split()
    if len(text) > _READ_CHARACTERS and len(words) > 1:
        words.pop()  # the last word may be half a key, which is not recognised
    line = " ".join(words)
    return line if len(line) <= _MOST_CHARACTERS else f"{line[: _MOST_CHARACTERS - 1].rstrip()}…"


def _preview(value: object) -> Preview:
    kind = type(value)
    if kind is str:
        text = str(value)
        is_counted = len(text) <= _COUNTED_CHARACTERS
        tokens = estimates.estimate(text) if is_counted else estimates.of_bytes(len(text))
        return Preview(count(tokens, "token"), one_line(text) if text else "(empty)")
    if is_simple(value):
        return Preview("", one_line(str(value)))
    if kind is int:
        return Preview("a very large whole number", "")
    if any(is_of(value, library, *kinds) for library, kinds in _TABLES.items()):
        return Preview(shape_in_words(value), _how_sent(value))
    if kind in _NOUN_OF_ITEMS:
        size = count(len(value), _NOUN_OF_ITEMS[kind])  # type: ignore[arg-type] # these have a length
        text = one_line(_short_repr(value, _MOST_DEPTH)) if kind in _CONTAINERS else ""
        return Preview(f"{kind.__name__}, {size}", text)
    return Preview(f"{kind.__name__[:_MOST_CHARACTERS]} object", "")


def _how_sent(value: object) -> str:
    """``sent whole, as CSV``, or why it cannot be sent; only the size of the value is looked at."""
    most, fewest = config.settings().max_value_chars, fewest_characters(value)
    if most is not None and fewest > most:
        return f"too large to send: over {fewest:,} characters, {most:,} are allowed"
    return f"sent whole, as {sent_as(value)}"


def _short_repr(value: object, depth: int) -> str:
    """As ``repr``, of the first items and of Python's own types only."""
    kind = type(value)
    if kind is str:
        return repr(value[:_MOST_CHARACTERS])  # type: ignore[index] # its type is str
    if is_simple(value):
        return str(value)
    if kind in _CONTAINERS:
        return _CONTAINERS[kind](value, depth) if depth else "…"
    return kind.__name__


def _short_sequence(value: Any, depth: int) -> str:  # noqa: ANN401 - a list or a tuple
    items = [_short_repr(item, depth - 1) for item in value[:_MOST_ITEMS]]
    more = ["…"] if len(value) > _MOST_ITEMS else []
    opening, closing = "[]" if type(value) is list else "()"
    return f"{opening}{', '.join([*items, *more])}{closing}"


def _short_dict(value: Any, depth: int) -> str:  # noqa: ANN401 - a dict
    names = list(value)[:_MOST_ITEMS] if len(value) <= _READ_CHARACTERS else []
    items = [f"{_short_repr(name, 0)}: {_short_repr(value[name], depth - 1)}" for name in names]
    more = ["…"] if len(value) > len(names) else []
    return f"{{{', '.join([*items, *more])}}}"


_CONTAINERS: dict[type, Callable[[Any, int], str]] = {
    list: _short_sequence,
    tuple: _short_sequence,
    dict: _short_dict,
}


def available_tables(variables: Mapping[str, object], wanted: Iterable[str]) -> list[Table]:
    """The notebook's tables, sorted by how many of the wanted columns they have."""
    columns = frozenset(wanted)
    tables = [
        table
        for name, value in dict(variables).items()  # a copy: a running cell may add variables
        if not name.startswith("_") and name not in {"In", "Out"}
        if (table := table_from(value, name)) is not None and table.rows
    ]
    tables.sort(key=lambda table: -len(columns & set(table.columns)))
    return tables[:_MOST_TABLES]


def chosen_table(cases: object, variables: Mapping[str, object]) -> Table | None:
    """The table of a panel's ``cases``, which is a variable's name or a table itself, or None.

    Raises:
        InvalidParameterError: There is no such table.
    """
    if cases is None or (isinstance(cases, str) and not cases.strip()):
        return None
    if not isinstance(cases, str):
        name = type(cases).__name__
        return checked_table(cases, name, f"Got {name}")
    name = cases.strip()
    if not name.isidentifier():  # from the draft of a table without a name
        raise InvalidParameterError(
            "The table that was set from Python is no longer here. Set it again, or choose another."
        )
    if name not in variables:
        raise InvalidParameterError(
            f"The table {name} is not defined. Run the cell that defines it, or choose another."
        )
    return checked_table(variables[name], name, f"{name} is a {type(variables[name]).__name__}")


def cases_to_view(cases: object, _panel: object) -> object:
    """``cases`` as JSON: a name unchanged, a table that was set from Python as a description."""
    if cases is None or isinstance(cases, str):
        return cases
    table = table_from(cases, type(cases).__name__)
    return {"table": f"{table.label}, {count(table.rows, 'row')}" if table else "no table"}


def cases_from_view(data: object, panel: Any) -> object:  # noqa: ANN401 - the playground, whose module imports this one
    """The value of ``cases`` that a view sends: a description stands for the table in the panel."""
    if not isinstance(data, Mapping):
        if not isinstance(panel.cases, (str, type(None))):
            panel.removed_cases = panel.cases  # Undo in the view brings them back
        return data
    return panel.removed_cases if panel.cases is None else panel.cases
