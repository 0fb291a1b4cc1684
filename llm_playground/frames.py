"""Frames of runs and reports: DataFrames with a short repr, and columns of Python values.

Importing this module imports pandas, so it is imported on first use.
"""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from html import escape
from typing import Any

import pandas as pd

from llm_playground import config, formatting, text_table
from llm_playground._validation import shorten
from llm_playground.redaction import printable, redact

_MOST_COLUMNS = 12
_MOST_NAMED = 6  # columns that are not shown
_ENDS = 5  # rows at the beginning and the end of a long frame
_MOST_CHARACTERS = 60
_SEARCHED_CHARACTERS = 1_000  # for keys, which must not be cut
# Different each time that a notebook is replayed, whose outputs are to be the same.
_PASSING = frozenset({"run_id", "execution_id", "started_at", "finished_at", "queue_ms"})
_NUMBERS = {"integer", "floating", "mixed-integer-float", "decimal"}
_FIGURE, _LINE, _TEXT = (
    "",
    ' style="text-align:left;white-space:nowrap"',
    ' style="text-align:left;min-width:16em"',
)
_LINE_CHARACTERS = 32  # a text that is not broken into lines

Format = Callable[[Any], str]


class Frame(pd.DataFrame):
    """A DataFrame that shows what a person reads; its data are those of any DataFrame.

    The repr has local times, amounts and durations as in the panel, the beginnings of long texts,
    and neither empty columns nor more than twelve; ``pandas.set_option("display.max_columns",
    None)`` shows all. In mode ``replay``, ids and times of runs are left out. Columns keep their
    order. ``pandas.DataFrame(frame)`` has the repr of pandas.
    """

    @property
    def _constructor(self) -> type[Frame]:
        return Frame

    def __repr__(self) -> str:
        return _to_text(self) if _is_plain(self) else super().__repr__()

    def _repr_html_(self) -> str:
        if not _is_plain(self):
            return self.to_html(max_rows=2 * _ENDS if _is_long(self) else None, notebook=True)
        shown = _shown_columns(self)
        if not len(self):
            return f"<p>{escape(_summary(self, shown))}</p>"
        formats = [_format_of(self[name], _MOST_CHARACTERS) for name in shown]
        styles = [_style(self[name], form) for name, form in zip(shown, formats, strict=True)]
        bodies = [
            "".join(_html_row(self, at, shown, formats, styles) for at in part)
            for part in _shown_rows(self)
        ]
        gap = f"<tr><th>…</th>{'<td>…</td>' * len(shown)}</tr>"
        head = "".join(
            f"<th{style}>{escape(_text(name, _MOST_CHARACTERS))}</th>"
            for name, style in zip(shown, styles, strict=True)
        )
        return (
            f'<div style="overflow-x:auto"><table class="dataframe"><thead><tr><th></th>{head}'
            f"</tr></thead><tbody>{gap.join(bodies)}</tbody></table>"
            f"<p>{escape(_summary(self, shown))}</p></div>"
        )


class WholeFrame(Frame):
    """A frame that shows all its rows, for a table in which a person looks something up."""

    def __repr__(self) -> str:
        with pd.option_context("display.max_rows", None):
            return _to_text(self, is_first_whole=True)  # names are what a person copies

    def _repr_html_(self) -> str:
        with pd.option_context("display.max_rows", None):
            return super()._repr_html_()


def column(values: Sequence[Any]) -> pd.Series[Any]:
    """A column of Python values: whole numbers, flags and dates stay what they are beside None.

    >>> column([1, None]).tolist(), column([1, 2]).dtype.name
    ([1, None], 'int64')
    """
    known = [value for value in values if value is not None]
    keeps_objects = len(known) < len(values) and all(isinstance(value, int) for value in known)
    return pd.Series(list(values), dtype=object if keeps_objects else None)


def _is_plain(frame: pd.DataFrame) -> bool:
    """Whether rows and columns have labels of a single level, and each column its own."""
    has_levels = isinstance(frame.index, pd.MultiIndex) or isinstance(frame.columns, pd.MultiIndex)
    return not has_levels and bool(frame.columns.is_unique)


def _is_long(frame: pd.DataFrame) -> bool:
    most = pd.get_option("display.max_rows")
    return bool(most) and len(frame) > most


def _to_text(frame: pd.DataFrame, *, is_first_whole: bool = False) -> str:
    """The repr of a frame, in the width of the terminal, or of pandas' option without one."""
    shown, width = _shown_columns(frame), _text_width()
    if not len(frame):
        return _filled(_summary(frame, shown), width)
    rows = _shown_rows(frame)
    names = [_text(name, _MOST_CHARACTERS) for name in shown]
    formats = [_format_of(frame[name], _MOST_CHARACTERS) for name in shown]
    columns = [text_table.Column("", _cells(frame.index, partial(_text, longest=24), rows))]
    columns += [
        text_table.Column(
            name,
            _cells(frame[key], form, rows),
            _is_figure(frame[key]),
            is_cut=not (is_first_whole and key is shown[0]) and _is_text(frame[key]),
        )
        for key, name, form in zip(shown, names, formats, strict=True)
    ]
    text, number = text_table.table(columns, width)
    return f"{text}\n\n{_filled(_summary(frame, shown[: number - 1]), width)}"


def _filled(sentence: str, width: int | None) -> str:
    return textwrap.fill(sentence, width or 80, break_on_hyphens=False)


def _cells(
    values: pd.Series[Any] | pd.Index[Any], form: Format, rows: Sequence[range]
) -> list[str]:
    """The cells of a column, with one for the rows that are left out."""
    first, *others = ([form(values.array[at]) for at in part] for part in rows)
    return [*first, *(cell for part in others for cell in ("…", *part))]


def _text_width() -> int | None:
    """The characters of a line; None where all columns are to be shown."""
    if pd.get_option("display.max_columns") is None:
        return None
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    width: int = pd.get_option("display.width") or 80
    return shutil.get_terminal_size((width, 0)).columns if is_terminal else width


def _shown_rows(frame: pd.DataFrame) -> Sequence[range]:
    """The positions of the rows that are shown: all, or the two ends of a long frame."""
    positions = range(len(frame))
    return (positions[:_ENDS], positions[-_ENDS:]) if _is_long(frame) else (positions,)


def _shown_columns(frame: pd.DataFrame) -> list[Any]:
    """The first columns that are not empty and, in mode ``replay``, the same each time."""
    most = pd.get_option("display.max_columns")
    if most is None:
        return list(frame.columns)
    passing = _PASSING if config.mode() == "replay" else frozenset[str]()
    known = [
        name for name in frame.columns if frame[name].notna().any() and str(name) not in passing
    ]
    return (known or list(frame.columns))[:_MOST_COLUMNS]


def _summary(frame: pd.DataFrame, shown: Sequence[Any]) -> str:
    """The size of a frame, and what of it is not shown."""
    rows = formatting.count(len(frame), "row") if len(frame) else "No rows"
    size = f"{rows}, {formatting.count(frame.shape[1], 'column')}"
    zoned = any(isinstance(frame[name].dtype, pd.DatetimeTZDtype) for name in shown)
    parts = [size, *([f"times in {datetime.now().astimezone().tzname()}"] if zoned else [])]
    if not len(frame):
        return f"{size} ({_named(list(frame.columns))})" if len(frame.columns) else size
    hidden = [name for name in frame.columns if name not in set(shown)]
    more = [name for name in hidden if frame[name].notna().any()]
    empty = [name for name in hidden if name not in set(more)]
    if more:
        parts.append(f"{formatting.count(len(more), 'more column')} ({_named(more)})")
    if empty:
        parts.append(f"{formatting.count(len(empty), 'empty column')} left out ({_named(empty)})")
    return " · ".join(parts)


def _named(names: Sequence[Any]) -> str:
    shown = ", ".join(_text(name, _MOST_CHARACTERS) for name in names[:_MOST_NAMED])
    return f"{shown}, …" if len(names) > _MOST_NAMED else shown


def _html_row(
    frame: pd.DataFrame,
    at: int,
    shown: Iterable[Any],
    formats: Iterable[Format],
    styles: Iterable[str],
) -> str:
    cells = "".join(
        f"<td{style}>{escape(form(frame[name].iloc[at]))}</td>"
        for name, form, style in zip(shown, formats, styles, strict=True)
    )
    return f"<tr><th>{escape(_text(frame.index[at], _MOST_CHARACTERS))}</th>{cells}</tr>"


def _is_figure(values: pd.Series[Any]) -> bool:
    if values.dtype == object:  # numbers beside None, and amounts of a database
        return pd.api.types.infer_dtype(values, skipna=True) in _NUMBERS
    is_flag = pd.api.types.is_bool_dtype(values.dtype)
    return pd.api.types.is_numeric_dtype(values.dtype) and not is_flag


def _style(values: pd.Series[Any], form: Format) -> str:
    """The style of a column's cells: JupyterLab aligns all right and breaks every text."""
    if _is_figure(values):
        return _FIGURE
    shown = values.array[: 2 * _ENDS]
    return _LINE if max((len(form(one)) for one in shown), default=0) <= _LINE_CHARACTERS else _TEXT


def _is_text(values: pd.Series[Any]) -> bool:
    is_time = isinstance(values.dtype, pd.DatetimeTZDtype)
    return not (is_time or _is_figure(values) or pd.api.types.is_bool_dtype(values.dtype))


def _format_of(values: pd.Series[Any], longest: int) -> Format:
    """How the values of a column are written; a missing one is empty."""
    name = str(values.name)
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        write: Format = local_time
    elif _is_figure(values) and name.endswith("_usd"):
        write = formatting.usd
    elif _is_figure(values) and name.endswith("_ms"):
        write = formatting.duration
    elif _is_figure(values):
        write = _number
    else:
        write = partial(_text, longest=longest)
    return lambda value: "" if _is_missing(value) else write(value)


def _is_missing(value: object) -> bool:
    return value is None or value is pd.NA or value is pd.NaT or value != value


def local_time(moment: datetime, now: datetime | None = None) -> str:
    """A time in the local zone, as short as today allows: ``14:02``, ``30 Nov 14:02``.

    ``now`` is the present time; None for that of the clock.
    """
    # pandas' Timestamp.astimezone takes a zone.
    local = datetime.fromtimestamp(moment.timestamp()).astimezone()
    today = (datetime.now() if now is None else now).astimezone()
    if local.date() == today.date():
        return f"{local:%H:%M}"
    day = f"{local.day} {_MONTHS[local.month - 1]}"
    return f"{day} {local:%H:%M}" if local.year == today.year else f"{day} {local.year}"


# The names of `strftime` depend on the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _number(value: Any) -> str:  # noqa: ANN401 - a number of any library
    return f"{int(value):,}" if float(value).is_integer() else f"{float(value):,.4g}"


def _text(value: object, longest: int) -> str:
    text = value if isinstance(value, str) else str(value)
    return shorten(printable(redact(text[:_SEARCHED_CHARACTERS])), longest)
