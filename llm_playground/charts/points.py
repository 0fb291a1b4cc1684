"""What a chart shows: the report that a frame is, and its figures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import cycle
from typing import TYPE_CHECKING, Any

from llm_playground import formatting
from llm_playground._validation import shorten

if TYPE_CHECKING:
    import pandas as pd

_MAX_ROWS = 25
_MAX_SERIES = 10
_MAX_LABEL_CHARS = 60
_OTHERS = "all others"
_TIMES = ("month", "day")
_FEWEST_TICKS = 2.5

# A palette for all kinds of colour vision, most of it from https://jfly.uni-koeln.de/color/;
# visible on white and on black.
COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#A39A00", "#999999", "#8A6FBF", "#2E8B45"),
)


@dataclass(frozen=True, slots=True)
class Kind:
    """How one report is drawn."""

    name: str
    title: str
    needs: str  # the columns, beside those of `values`, by which its frames are recognised
    values: Mapping[str, str]  # the drawn columns, and their names in the chart
    write: Callable[[float], str] = formatting.usd  # a value as text
    first: str = "runs"  # the first column after those that name the group
    labels: Sequence[str] = ()  # the columns that name a row, where the groups' columns do not
    stacked: bool = False  # whether the values are parts of a whole
    # The columns of the lowest and highest likely value of the last of `values`.
    span: tuple[str, str] | None = None


# The first that fits a frame is its kind.
KINDS: tuple[Kind, ...] = (
    Kind(
        "latency",
        "Response time of completed runs",
        "error_rate",
        {"p50_ms": "p50", "p95_ms": "p95", "p99_ms": "p99"},
        formatting.duration,
    ),
    Kind(
        "waste",
        "Spent on incomplete answers",
        "wasted_usd retries",
        {
            "cancelled_usd": "cancelled",
            "truncated_usd": "cut off",
            "blocked_usd": "blocked",
            "failed_usd": "failed",
        },
        stacked=True,
    ),
    Kind(
        "what_if",
        "Cost, and cost on another model",
        "difference_usd",
        {"cost_usd": "cost", "what_if_usd": "what if"},
    ),
    Kind(
        "forecast",
        "Expected cost of the month",
        "days_left low_usd high_usd",
        {"spent_usd": "spent", "expected_usd": "expected"},
        first="spent_usd",
        span=("low_usd", "high_usd"),
    ),
    Kind(
        "reconcile",
        "The provider's report against the log",
        "difference_usd reason",
        {"theirs_usd": "theirs", "ours_usd": "ours"},
        labels=("day", "model"),
    ),
    Kind(
        "prompt_cache",
        "What a prompt cache would have saved",
        "prefix_tokens",
        {"missed_usd": "missed"},
        labels=("model", "prefix"),
    ),
    Kind(
        "duplicates",
        "Spent on repeated requests",
        "prompt_hash",
        {"repeated_usd": "repeats"},
        labels=("model", "user_prompt"),
    ),
    Kind(
        "failures",
        "Failures",
        "rate last_message",
        {"runs": "runs"},
        "{:,.0f}".format,
        labels=("month", "day", "model", "provider", "user", "notebook", "tag", "error_type"),
    ),
    Kind("usage_by", "Usage", "prompts models first_at", {"cost_usd": "cost"}),
    Kind("costs", "Cost", "runs unpriced_runs estimated_runs", {"cost_usd": "cost"}),
)


@dataclass(frozen=True, slots=True)
class Points:
    """The figures of a chart.

    Each of ``rows`` has ``label``, ``series``, ``value`` and ``text``, which the bar shows at
    ``end``; ``time`` if the chart has one; ``low`` and ``high`` if the value is an estimate.
    """

    kind: Kind
    time: str | None  # the column of months or days
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0  # the number of rows of the frame that are not drawn

    @property
    def colors(self) -> dict[str, str]:
        """The colour of each series, in order."""
        series = dict.fromkeys(str(row["series"]) for row in self.rows)
        return dict(zip(series, cycle(COLORS), strict=False))

    @property
    def sums(self) -> list[Mapping[str, Any]]:
        """The sum of each label's values, with its text."""
        values: dict[str, float] = {}
        for row in self.rows:
            values[row["label"]] = values.get(row["label"], 0.0) + row["value"]
        write = self.kind.write
        return [
            {"label": name, "value": value, "end": value, "text": write(value)}
            for name, value in values.items()
        ]

    def ticks(self) -> list[float]:
        """The values of the axis of a chart over time, from 0 to at least the highest column.

        >>> Points(KINDS[-1], "month", [{"label": "2026-01", "value": 0.0031}]).ticks()
        [0.0, 0.001, 0.002, 0.003, 0.004]
        """
        return round_values(max((row["value"] for row in self.sums), default=0.0))


def round_values(most: float) -> list[float]:
    """Values of an axis, from 0 to at least ``most``.

    >>> round_values(0.0031)
    [0.0, 0.001, 0.002, 0.003, 0.004]
    """
    most = most or 1.0
    power = Decimal(10) ** math.floor(math.log10(most / _FEWEST_TICKS))
    steps = (power * times for times in (1, 2, 5, 10))
    step = next(one for one in steps if most / float(one) <= 2 * _FEWEST_TICKS)
    return [float(step * number) for number in range(math.ceil(most / float(step)) + 1)]


def points_of(frame: pd.DataFrame, kind: Kind) -> Points:
    """The known figures of a report; of many rows or series the largest."""
    names = [str(name) for name in frame.columns]
    if kind.labels:
        groups = [name for name in kind.labels if name in names]
    else:
        groups = names[: names.index(kind.first)]
    time = next((name for name in _TIMES if name in groups), None)
    if time is not None and len(kind.values) == 1:
        return _time_points(frame, kind, time, [name for name in groups if name != time])
    drawn = frame
    if len(frame) > _MAX_ROWS:
        sums = frame[list(kind.values)].astype("float64").sum(axis=1)
        drawn = frame.loc[sums.nlargest(_MAX_ROWS).index]
    labelled = zip(_unique(_labels(drawn, groups)), drawn.to_dict("records"), strict=True)
    rows = [point for label, row in labelled for point in _of_row(label, row, kind)]
    return Points(kind, None, rows, len(frame) - len(drawn))


def _of_row(label: str, row: Mapping[Any, Any], kind: Kind) -> Iterator[Mapping[str, Any]]:
    for column, series in kind.values.items():
        value = row[column]
        if value != value:  # NaN: unknown
            continue
        point: dict[str, Any] = {"label": label, "series": series}
        point |= {"value": float(value), "end": float(value)}
        text = kind.write(point["value"])
        if kind.span and column == list(kind.values)[-1]:
            low, high = (float(row[name]) for name in kind.span)
            text = f"{text} ({kind.write(low)} to {kind.write(high)})"
            point |= {"low": low, "high": high, "end": max(high, point["value"])}
        point["text"] = text
        yield point


def _time_points(frame: pd.DataFrame, kind: Kind, time: str, others: list[str]) -> Points:
    """One series for each group; the smallest are summed up."""
    [(column, name)] = kind.values.items()
    table = frame[[time]].assign(
        series=_labels(frame, others) if others else name,
        value=frame[column].astype("float64"),
    )
    table = table[table["value"].notna() & table[time].notna()]
    sums = table.groupby("series")["value"].sum().sort_values(ascending=False)
    kept = list(sums.index[: _MAX_SERIES - 1 if len(sums) > _MAX_SERIES else _MAX_SERIES])
    table["series"] = table["series"].where(table["series"].isin(kept), _OTHERS)
    summed = table.groupby([time, "series"], sort=True)["value"].sum().reset_index()
    rows = [
        {
            "time": str(row[0]),
            "label": str(row[0]),
            "series": str(row[1]),
            "value": float(row[2]),
            "text": kind.write(float(row[2])),
        }
        for row in summed.itertuples(index=False)
    ]
    return Points(kind, time, rows)


def _labels(frame: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """The name of each row, on one line."""
    if not columns:
        return ["all"] * len(frame)
    named = frame[list(columns)].astype(object)
    rows = named.where(named.notna(), "(none)").itertuples(index=False, name=None)
    return [shorten(" · ".join(map(str, row)), _MAX_LABEL_CHARS) for row in rows]


def _unique(labels: Sequence[str]) -> list[str]:
    """The labels, with a number after each repetition.

    >>> _unique(["a", "b", "a"])
    ['a', 'b', 'a (2)']
    """
    seen = Counter[str]()
    unique = []
    for label in labels:
        seen[label] += 1
        unique.append(label if seen[label] == 1 else f"{label} ({seen[label]})")
    return unique
