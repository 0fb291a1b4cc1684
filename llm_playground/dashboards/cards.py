"""The parts of a dashboard: tiles with one figure, and cards with a chart and its table.

Each is HTML in two forms: for the view, and for a saved notebook, where neither scripts nor styles
may be kept. All texts are escaped here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from llm_playground.charts.fluid import Drawing
from llm_playground.redaction import printable, redact

_SAVED_ROWS = 12
_MOST_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table; ``value`` is what its column is sorted by."""

    text: str
    value: float | str | None = None
    key: str = ""  # what pressing it sends


@dataclass(frozen=True, slots=True)
class Table:
    """The figures of a card: names of columns, and rows of as many cells.

    Columns after the first ``texts`` ones are numbers. The key of a row's first cell is the row's.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Tile:
    """One figure of the summary."""

    name: str
    text: str
    about: str = ""
    key: str = ""
    alarm: str = ""  # "amber" or "red"
    about_key: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """A select of a card; choosing sends ``{"type": name, "value": ...}``."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]  # values and their texts
    value: str


@dataclass(frozen=True, slots=True)
class Card:
    """A chart, its sum, its table and what is said of it."""

    name: str
    title: str
    total: str = ""
    drawing: Drawing | None = None
    table: Table | None = None
    note: str = ""
    note_key: str = ""  # what pressing the note sends
    empty: str = ""  # what is said instead of a chart without figures
    is_wide: bool = False
    is_table: bool = False  # whether the table is what is shown
    choice: Choice | None = None
    pages: tuple[int, int, int] | None = None  # the first and last row, and the number of all

    def html(self) -> str:
        """The card in the view."""
        body = [self._head()]
        if self.choice is not None:
            body.append(_select(self.choice))
        if self.empty:
            body.append(f'<p class="llm-empty">{_text(self.empty)}</p>')
        elif self.drawing is not None:
            body += [self.drawing.fluid(), _legend(self.drawing)]
        if self.note:
            body.append(_pressed_text("p", "llm-dash-note", self.note, self.note_key))
        if self.table is not None and self.table.rows:
            table = _table(self.table, self.title)
            if self.is_table:
                body.append(table)
            else:
                opened = f'<details data-name="{escape(self.name)}"><summary>Table</summary>'
                body.append(f"{opened}{table}</details>")
        if self.pages is not None:
            body.append(_pager(*self.pages))
        wide = " llm-dash-wide" if self.is_wide else ""
        name = escape(self.name)
        return (
            f'<section class="llm-card{wide}" aria-labelledby="llm-{name}" data-card="{name}">'
            f"{''.join(body)}</section>"
        )

    def saved(self) -> str:
        """The card in a saved notebook."""
        total = f" · {_text(self.total)}" if self.total else ""
        body = [f"<h4>{_text(self.title)}{total}</h4>"]
        if self.empty:
            body.append(f"<p>{_text(self.empty)}</p>")
        elif self.drawing is not None:
            image = base64.b64encode(self.drawing.picture().encode()).decode()
            alt = escape(f"Chart: {self.title}")
            body.append(f'<img alt="{alt}" src="data:image/svg+xml;base64,{image}"/>')
        if self.note:
            body.append(f"<p>{_text(self.note)}</p>")
        if self.table is not None and self.table.rows:
            body.append(_saved_table(self.table))
        return "\n".join(body)

    def _head(self) -> str:
        total = f'<span class="llm-total">{_text(self.total)}</span>' if self.total else ""
        name = escape(self.name)
        return f'<header><h3 id="llm-{name}">{_text(self.title)}</h3>{total}</header>'


def pressed(name: str, value: str | None = None) -> str:
    """The key of what leads to the runs of a slice."""
    return json.dumps({"slice": name, "value": value})


def others_key(column: str, shown: Sequence[str | None]) -> str:
    """The key of what leads to the runs of all values of a column but some."""
    return pressed(f"other_{column}", json.dumps(list(shown)))


def tiles(summary: Sequence[Tile]) -> str:
    """The summary in the view."""
    return "".join(
        f'<div class="llm-tile"{f" data-alarm={tile.alarm}" if tile.alarm else ""}>'
        f'<span class="llm-dash-name">{_text(tile.name)}</span>'
        f"{_pressed_text('span', 'llm-dash-figure', tile.text, tile.key)}"
        f"{_pressed_text('span', 'llm-dash-about', tile.about, tile.about_key)}</div>"
        for tile in summary
    )


def saved_tiles(summary: Sequence[Tile]) -> str:
    """The summary in a saved notebook."""
    heads = "".join(f"<th>{_text(tile.name)}</th>" for tile in summary)
    cells = "".join(f"<td>{_text(tile.text)}<br/>{_text(tile.about)}</td>" for tile in summary)
    return f"<table><thead><tr>{heads}</tr></thead><tbody><tr>{cells}</tr></tbody></table>"


def _text(text: str) -> str:
    """A text as HTML, without keys and control characters."""
    return escape(printable(redact(text[:_MOST_CHARACTERS])))


def _pressed_text(tag: str, kind: str, text: str, key: str) -> str:
    if not key:
        return f'<{tag} class="{kind}">{_text(text)}</{tag}>'
    button = f'<button type="button" data-key="{escape(key)}">{_text(text)}</button>'
    return f'<{tag} class="{kind}">{button}</{tag}>'


def _legend(drawing: Drawing) -> str:
    if len(drawing.legend) < 2:
        return ""
    entries = "".join(
        f'<li><svg width="10" height="10" aria-hidden="true">'
        f'<rect width="10" height="10" rx="2" fill="{color}"/></svg>{_text(name)}</li>'
        for name, color in drawing.legend.items()
    )
    return f'<ul class="llm-legend">{entries}</ul>'


def _table(table: Table, title: str) -> str:
    heads = "".join(
        f'<th scope="col"{"" if place < table.texts else " class=llm-dash-number"}>'
        f'<button type="button" data-sort="{place}">{_text(name)}</button></th>'
        for place, name in enumerate(table.columns)
    )
    rows = "".join(_row(row, table.texts) for row in table.rows)
    return (
        f'<div class="llm-scroll" tabindex="0" role="region" aria-label="{escape(title)}, table">'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(row: Sequence[Cell], texts: int) -> str:
    cells = []
    for place, cell in enumerate(row):
        value = cell.text if cell.value is None else cell.value
        tag = 'th scope="row"' if place == 0 else "td"
        number = "" if place < texts else ' class="llm-dash-number"'
        text = _text(cell.text)
        if cell.key:
            text = f'<button type="button" data-key="{escape(cell.key)}">{text}</button>'
        cells.append(
            f'<{tag}{number} data-value="{escape(str(value)[:80])}">{text}</{tag.split()[0]}>'
        )
    return f"<tr>{''.join(cells)}</tr>"


def _saved_table(table: Table) -> str:
    heads = "".join(f"<th>{_text(name)}</th>" for name in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_text(cell.text)}</td>' for cell in row)}</tr>"
        for row in table.rows[:_SAVED_ROWS]
    )
    more = len(table.rows) - _SAVED_ROWS
    left_out = f"<p>and {more:,} more rows</p>" if more > 0 else ""
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>{left_out}"


def _select(choice: Choice) -> str:
    options = "".join(
        f'<option value="{escape(value)}"{" selected" if value == choice.value else ""}>'
        f"{_text(text)}</option>"
        for value, text in choice.options
    )
    return (
        f'<label class="llm-choice">{_text(choice.label)} '
        f'<select data-send="{escape(choice.name)}">{options}</select></label>'
    )


def _pager(first: int, last: int, count: int) -> str:
    """The place in a table of many rows, and buttons to the pages beside."""
    newer = " disabled" if first <= 1 else ""
    older = " disabled" if last >= count else ""
    return (
        '<nav class="llm-pager" aria-label="Pages">'
        f'<button type="button" data-step="-1"{newer}>Newer</button>'
        f"<span>{first:,} to {last:,} of {count:,}</span>"
        f'<button type="button" data-step="1"{older}>Older</button></nav>'
    )
