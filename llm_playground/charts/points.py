"""A report's figures as points: what a chart draws, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_playground.charts.kinds import Kind

if TYPE_CHECKING:
    import pandas as pd

TIMES = ("month", "day")
_MOST_ROWS = 25
_MOST_SERIES = 10
_LONGEST_LABEL = 60
_OTHERS = "all others"
_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Points:
    """What is drawn.

    Args:
        kind: Of which report.
        time: The column of months or days, None where there is none.
        rows: Each with ``label``, ``series``, ``value``; ``time`` where there is one; ``low`` and
            ``high`` where the value is not sure.
        left_out: How many rows of the frame are not drawn.
    """

    kind: Kind
    time: str | None
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0


def points(frame: pd.DataFrame, kind: Kind) -> Points:
    """The figures of a report that are known, the largest where there are too many."""
    groups = kind.groups(frame)
    time = next((name for name in TIMES if name in groups), None)
    if time is not None and len(kind.values) == 1:
        return _in_time(frame, kind, time, [name for name in groups if name != time])
    drawn = frame if len(frame) <= _MOST_ROWS else _largest(frame, kind)
    labelled = zip(_told_apart(_labels(drawn, groups)), drawn.to_dict("records"), strict=True)
    rows = [point for label, row in labelled for point in _of_row(label, row, kind)]
    return Points(kind, None, rows, len(frame) - len(drawn))


def _of_row(label: str, row: Mapping[Any, Any], kind: Kind) -> Iterator[Mapping[str, Any]]:
    for column, series in kind.values:
        value = row[column]
        if value != value:  # NaN: nobody knows
            continue
        point = {"label": label, "series": series, "value": float(value)}
        if kind.span and column == kind.values[-1][0]:
            point |= {"low": float(row[kind.span[0]]), "high": float(row[kind.span[1]])}
        yield point


def _in_time(frame: pd.DataFrame, kind: Kind, time: str, others: list[str]) -> Points:
    """One series for each group, the smallest together."""
    [(column, name)] = kind.values
    table = frame[[time]].assign(
        series=_labels(frame, others) if others else name,
        value=frame[column].astype("float64"),
    )
    table = table[table["value"].notna() & table[time].notna()]
    sums = table.groupby("series")["value"].sum().sort_values(ascending=False)
    kept = list(sums.index[: _MOST_SERIES - 1 if len(sums) > _MOST_SERIES else _MOST_SERIES])
    table["series"] = table["series"].where(table["series"].isin(kept), _OTHERS)
    summed = table.groupby([time, "series"], sort=True)["value"].sum().reset_index()
    rows = [
        {"time": str(row[0]), "series": str(row[1]), "value": float(row[2]), "label": str(row[0])}
        for row in summed.itertuples(index=False)
    ]
    return Points(kind, time, rows)


def _largest(frame: pd.DataFrame, kind: Kind) -> pd.DataFrame:
    sums = frame[[column for column, _ in kind.values]].astype("float64").sum(axis=1)
    return frame.loc[sums.nlargest(_MOST_ROWS).index]


def _labels(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """What a row is about, on one line."""
    labels = [
        " · ".join(_text(value) for value in row)
        for row in frame[list(columns)].itertuples(index=False, name=None)
    ]
    if not columns:
        return ["all"] * len(frame)
    return [
        label if len(label) <= _LONGEST_LABEL else f"{label[: _LONGEST_LABEL - 1]}…"
        for label in labels
    ]


def _told_apart(labels: Sequence[str]) -> list[str]:
    """Equal labels with a number behind.

    >>> _told_apart(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    seen = Counter[str]()
    told = []
    for label in labels:
        seen[label] += 1
        told.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return told


def _text(value: object) -> str:
    missing = value is None or value != value  # NaN
    return _NONE if missing else " ".join(str(value).split())
