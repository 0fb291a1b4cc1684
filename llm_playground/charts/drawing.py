"""Charts as Altair draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from llm_playground.charts.bars import COLORS
from llm_playground.charts.points import Points

if TYPE_CHECKING:
    import altair
    from altair.typing import ChartType

_WIDTH, _ROW_HEIGHT, _TIME_HEIGHT = 480, 20, 240


def draw(points: Points) -> ChartType:
    """The chart of a report.

    Raises:
        ImportError: Altair is not installed.
    """
    import altair as alt

    data = alt.InlineData(values=[dict(row) for row in points.rows])
    series = list(dict.fromkeys(str(row["series"]) for row in points.rows))
    color = alt.Color(
        "series:N",
        title=None,
        sort=series,
        scale=alt.Scale(domain=series, range=list(COLORS[: len(series)])),
        legend=alt.Legend(labelLimit=240) if len(series) > 1 else None,
    )
    value = alt.Tooltip("value:Q", title=points.kind.unit, format=",.4~g")
    tooltip = [alt.Tooltip("label:N", title="about"), alt.Tooltip("series:N", title="of"), value]
    bars = alt.Chart(data, title=points.kind.title).mark_bar()
    coloured = bars.encode(color=color, tooltip=tooltip)
    return _in_time(coloured, points) if points.time else _in_rows(coloured, points, series)


def _in_time(bars: altair.Chart, points: Points) -> ChartType:
    import altair as alt

    shown = bars.encode(
        x=alt.X("time:O", title=points.time, axis=alt.Axis(labelAngle=-45, labelOverlap=True)),
        y=alt.Y("value:Q", title=points.kind.unit, stack=True),
    )
    return shown.properties(width=_WIDTH, height=_TIME_HEIGHT)


def _in_rows(bars: altair.Chart, points: Points, series: Sequence[str]) -> ChartType:
    """One row for each group; its values end to end where they are parts, else side by side."""
    import altair as alt

    shown = bars.encode(
        x=alt.X("value:Q", title=points.kind.unit, stack=points.kind.stacked or None),
        y=alt.Y("label:N", title=None, sort=None, axis=alt.Axis(labelLimit=320)),
    )
    if not points.kind.stacked and len(series) > 1:
        shown = shown.encode(yOffset=alt.YOffset("series:N", sort=list(series)))
    drawn = alt.layer(shown, _spans(shown)) if points.kind.span else shown
    return drawn.properties(width=_WIDTH, height=alt.Step(_ROW_HEIGHT))


def _spans(bars: altair.Chart) -> altair.Chart:
    """Lines over the bars, from the lowest to the highest that is likely."""
    import altair as alt

    lines: altair.Chart = bars.mark_rule(size=2).transform_filter("isValid(datum.low)")
    return lines.encode(
        x=alt.X("low:Q", title=""),
        x2=alt.X2("high:Q"),
        color=alt.value("#222222"),
        tooltip=[alt.Tooltip("low:Q", title="from"), alt.Tooltip("high:Q", title="to")],
    )
