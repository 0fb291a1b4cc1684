"""Charts of reports: ``lp.chart(lp.costs())``.

A report's frame is recognised by its columns (:data:`KINDS`), its figures become :class:`Points`,
and these are drawn by Altair. vl-convert-python makes PNG images for front ends without Vega-Lite
(GitHub, mails, ``nbconvert``). Both come with ``pip install 'llm_playground[charts]'``; they are an
extra because they are large: vl-convert-python contains a JavaScript engine (85 MB). Without them a
chart is an SVG of bars, made here. Nothing is loaded from the network.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html import escape
from importlib.util import find_spec
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import _files
from llm_playground._validation import checks_arguments, shorten
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.redaction import printable

if TYPE_CHECKING:
    import altair
    import pandas as pd
    from altair.typing import ChartType


_MAX_ROWS = 25
_MAX_SERIES = 10
_MAX_LABEL_CHARS = 60
_OTHERS = "all others"
_TIMES = ("month", "day")

# A palette for all kinds of colour vision: https://jfly.uni-koeln.de/color/
COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#F0E442", "#999999", "#444444", "#117733"),
)
_SVG_WIDTH, _LABEL_WIDTH, _VALUE_WIDTH, _BAR_HEIGHT, _GAP = 720, 300, 130, 14, 6
_MAX_SVG_BARS = 60
_MAX_SVG_LABEL_CHARS = 44
_CHART_WIDTH, _ROW_HEIGHT, _TIME_HEIGHT = 480, 20, 240

_INSTALL = "pip install 'llm_playground[charts]'"
# JupyterLab 4 and VS Code show Vega-Lite 5; the charts made here are the same in 5 and 6.
_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # an identifier, never fetched
_PNG_SCALE = 2.0


@dataclass(frozen=True, slots=True)
class Kind:
    """How one report is drawn."""

    name: str
    title: str
    needs: str  # the columns, beside those of `values`, by which its frames are recognised
    values: Mapping[str, str]  # the drawn columns, and their names in the chart
    unit: str = "US dollars"
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
        "ms",
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
        "runs",
        labels=("month", "day", "model", "provider", "user", "notebook", "tag", "error_type"),
    ),
    Kind("usage_by", "Usage", "prompts models first_at", {"cost_usd": "cost"}),
    Kind("costs", "Cost", "runs unpriced_runs estimated_runs", {"cost_usd": "cost"}),
)


@dataclass(frozen=True, slots=True)
class Points:
    """The figures of a chart.

    Each of ``rows`` has ``label``, ``series``, ``value``; ``time`` if the chart has one; ``low``
    and ``high`` if the value is an estimate.
    """

    kind: Kind
    time: str | None  # the column of months or days
    rows: Sequence[Mapping[str, Any]]
    left_out: int = 0  # the number of rows of the frame that are not drawn


@dataclass(frozen=True)
class Chart:
    """A report's chart, shown as the result of a cell.

    With Altair it is interactive, with a PNG for front ends without Vega-Lite; without, it is an
    SVG of bars.
    """

    points: Points = field(repr=False)
    text: str = field(repr=False)

    def __repr__(self) -> str:
        return printable(f"{self.points.kind.title}\n{self.text}")

    @cached_property
    def altair(self) -> ChartType:
        """The Altair chart, for changing it.

        Raises:
            ConfigError: Altair is not installed.
        """
        _need("altair")
        return _draw(self.points)

    @property
    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification, data included.

        Raises:
            ConfigError: Altair is not installed.
        """
        return {**self.altair.to_dict(), "$schema": _SCHEMA}

    def png(self) -> bytes:
        """The chart as a PNG image.

        Raises:
            ConfigError: Altair or vl-convert-python is not installed.
        """
        spec = self.spec
        _need("vl_convert")
        import vl_convert

        image: bytes = vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE)
        return image

    def html(self) -> str:
        """The chart as HTML: an SVG of bars, without scripts and made without any library."""
        left_out = self.points.left_out
        note = f"<p>and {left_out:,} smaller ones</p>" if left_out else ""
        return f'<div class="llm-playground-chart">{svg(self.points)}{note}</div>'

    def save(self, path: str | Path) -> Path:
        """Write the chart to a .png, .html, .svg or .json (Vega-Lite) file.

        Returns:
            The path.

        Raises:
            ConfigError: The library that makes it is not installed.
            InvalidParameterError: The suffix is another one, or the file cannot be written.
        """
        file = Path(path).expanduser()
        if file.suffix not in _FORMATS:
            raise InvalidParameterError(
                f"A chart is saved as {', '.join(_FORMATS)}, not {file.suffix or file.name!r}."
            )
        content = _FORMATS[file.suffix](self)
        try:
            _files.write_document(file, content)
        except OSError as error:
            raise InvalidParameterError(f"{file} cannot be written ({error.strerror}).") from error
        return file

    def _repr_mimebundle_(self, **_wanted: object) -> Mapping[str, Any]:
        """All representations. HTML only without Vega-Lite, since JupyterLab would prefer it."""
        plain = {"text/plain": repr(self)}
        if not _installed("altair"):
            return {"text/html": self.html(), **plain}
        shown = {_MIME: self.spec, **plain}
        if not _installed("vl_convert"):
            return {**shown, "image/svg+xml": svg(self.points)}
        return {**shown, "image/png": base64.b64encode(self.png()).decode()}


@checks_arguments("chart")
def chart(frame: pd.DataFrame) -> Chart:
    """The chart of a report, such as ``lp.costs()`` or ``lp.latency()``.

    Of many rows the largest are drawn; of many series the smallest are summed up. Unknown figures
    (NaN) are not drawn.

    Args:
        frame: The frame of a report, or a part of it. The report is recognised by the columns.

    Raises:
        InvalidParameterError: It is not the frame of a report.

    Example:
        >>> import pandas as pd
        >>> figures = {"p50_ms": 310.0, "p95_ms": 900.0, "p99_ms": 1200.0, "error_rate": 0.0}
        >>> print(chart(pd.DataFrame([{"model": "local", "runs": 7, **figures}])).points.kind.name)
        latency
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    if not hasattr(frame, "columns"):
        raise InvalidParameterError(f"A chart is made from a frame, not {type(frame).__name__}.")
    columns = {str(name) for name in frame.columns}
    kind = next((kind for kind in KINDS if columns >= {*kind.needs.split(), *kind.values}), None)
    if kind is None:
        names = ", ".join(sorted(kind.name for kind in KINDS))
        raise InvalidParameterError(
            f"These columns are not those of a report. A chart is made from a frame of {names}."
        )
    return Chart(_points(frame, kind), repr(Frame(frame)))


def _points(frame: pd.DataFrame, kind: Kind) -> Points:
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
        point = {"label": label, "series": series, "value": float(value)}
        if kind.span and column == list(kind.values)[-1]:
            point |= {"low": float(row[kind.span[0]]), "high": float(row[kind.span[1]])}
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
        {"time": str(row[0]), "series": str(row[1]), "value": float(row[2]), "label": str(row[0])}
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


def svg(points: Points) -> str:
    """Horizontal bars, each with its label and value, without any script."""
    series = list(dict.fromkeys(str(row["series"]) for row in points.rows))
    colors = {name: COLORS[place % len(COLORS)] for place, name in enumerate(series)}
    rows = points.rows[-_MAX_SVG_BARS:] if points.time else points.rows[:_MAX_SVG_BARS]
    longest = max((row["value"] for row in rows), default=0) or 1
    parts: list[str] = []
    top = 34.0
    for label, bars in groupby(rows, key=itemgetter("label")):
        parts.append(_svg_text(_LABEL_WIDTH - 8, top + _BAR_HEIGHT - 3, str(label), anchor="end"))
        for bar in bars:
            width = max((_SVG_WIDTH - _LABEL_WIDTH - _VALUE_WIDTH) * bar["value"] / longest, 1)
            color = colors[str(bar["series"])]
            name = f"{bar['series']}: " if len(series) > 1 else ""
            parts.append(
                f'<rect x="{_LABEL_WIDTH}" y="{top}" width="{width:.1f}" '
                f'height="{_BAR_HEIGHT}" fill="{color}">'
                f"<title>{escape(name)}{_figure(bar['value'])}</title></rect>"
            )
            figure = _figure(bar["value"])
            if "low" in bar:
                figure = f"{figure} ({_figure(bar['low'])} to {_figure(bar['high'])})"
            parts.append(_svg_text(_LABEL_WIDTH + width + 4, top + _BAR_HEIGHT - 3, figure))
            top += _BAR_HEIGHT + 2
        top += _GAP
    legend, top = _legend(colors, top) if len(series) > 1 else ("", top)
    title = f"{points.kind.title} ({points.kind.unit})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_SVG_WIDTH} {top + 8}" '
        f'width="{_SVG_WIDTH}" height="{top + 8}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/><title>{escape(title)}</title>'
        f'<text x="8" y="20" font-size="14" font-weight="bold" fill="#222222">{escape(title)}'
        f"</text>{''.join(parts)}{legend}</svg>"
    )


def _legend(colors: dict[str, str], top: float) -> tuple[str, float]:
    parts = []
    for name, color in colors.items():
        parts.append(f'<rect x="{_LABEL_WIDTH}" y="{top}" width="10" height="10" fill="{color}"/>')
        parts.append(_svg_text(_LABEL_WIDTH + 16, top + 9, name))
        top += 16
    return "".join(parts), top


def _svg_text(x: float, y: float, text: str, anchor: str = "start") -> str:
    shown = escape(shorten(text, _MAX_SVG_LABEL_CHARS))
    position = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {position} fill="#222222">{shown}</text>'


def _figure(value: float) -> str:
    """A number with as many digits as are useful.

    >>> _figure(1234.5), _figure(0.00012345), _figure(3.0)
    ('1,234.50', '0.000123', '3')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"


def _draw(points: Points) -> ChartType:
    """The chart as an Altair chart, which has to be installed."""
    import altair as alt

    kind = points.kind
    data = alt.InlineData(values=[dict(row) for row in points.rows])
    series = list(dict.fromkeys(str(row["series"]) for row in points.rows))
    color = alt.Color(
        "series:N",
        title=None,
        sort=series,
        scale=alt.Scale(domain=series, range=list(COLORS[: len(series)])),
        legend=alt.Legend(labelLimit=240) if len(series) > 1 else None,
    )
    tooltip = [
        alt.Tooltip("label:N", title="group"),
        alt.Tooltip("series:N", title="series"),
        alt.Tooltip("value:Q", title=kind.unit, format=",.4~g"),
    ]
    bars: alt.Chart = alt.Chart(data, title=kind.title).mark_bar()
    bars = bars.encode(color=color, tooltip=tooltip)
    if points.time:
        axis = alt.Axis(labelAngle=-45, labelOverlap=True)
        return bars.encode(
            x=alt.X("time:O", title=points.time, axis=axis),
            y=alt.Y("value:Q", title=kind.unit, stack=True),
        ).properties(width=_CHART_WIDTH, height=_TIME_HEIGHT)
    # One row for each group, with its values stacked or side by side.
    shown = bars.encode(
        x=alt.X("value:Q", title=kind.unit, stack=kind.stacked or None),
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=320)),
    )
    if not kind.stacked and len(series) > 1:
        shown = shown.encode(yOffset=alt.YOffset("series:N", sort=series))
    drawn = alt.layer(shown, _spans(shown)) if kind.span else shown
    return drawn.properties(width=_CHART_WIDTH, height=alt.Step(_ROW_HEIGHT))


def _spans(bars: altair.Chart) -> altair.Chart:
    """Lines over the bars, from the lowest to the highest likely value."""
    import altair as alt

    lines: altair.Chart = bars.mark_rule(size=2).transform_filter("isValid(datum.low)")
    return lines.encode(
        x=alt.X("low:Q", title=""),
        x2=alt.X2("high:Q"),
        color=alt.value("#222222"),
        tooltip=[alt.Tooltip("low:Q", title="from"), alt.Tooltip("high:Q", title="to")],
    )


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _need(module: str) -> None:
    """Raise a ConfigError with the command that installs a missing library."""
    if not _installed(module):
        package = {"vl_convert": "vl-convert-python"}.get(module, module)
        raise ConfigError(f"This needs {package}: {_INSTALL}. Without it, .html() draws bars.")


_FORMATS: dict[str, Callable[[Chart], bytes]] = {
    ".png": Chart.png,
    ".html": lambda drawn: drawn.html().encode(),
    ".svg": lambda drawn: svg(drawn.points).encode(),
    ".json": lambda drawn: json.dumps(drawn.spec).encode(),
}
