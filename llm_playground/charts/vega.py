"""A chart drawn by Altair, which looks like the one of :mod:`llm_playground.charts.bars`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from llm_playground import formatting
from llm_playground.charts.bars import BAR_HEIGHT, FONT, MAX_COLUMN_WIDTH, TIME_HEIGHT
from llm_playground.charts.points import Points

if TYPE_CHECKING:
    import altair
    from altair.typing import ChartType

_INK = "currentColor"  # that of the page, light or dark
_WIDTH, _TIME_WIDTH = 260, 640
_MAX_LABEL_PIXELS = 260
_MONEY = (
    "datum.value >= 1 || datum.value == 0 ? format(datum.value, '$,.2f')"
    " : datum.value >= 0.0001 ? format(datum.value, '$.4f') : format(datum.value, '$.1r')"
)


def draw(points: Points) -> ChartType:
    """The chart as an Altair chart; Altair has to be installed."""
    import altair as alt

    drawn = _columns(points) if points.time else _bars(points)
    text: dict[str, Any] = {"labelColor": _INK, "labelFontSize": 12, "labelFont": FONT}
    title: dict[str, Any] = {"font": FONT, "fontSize": 13, "fontWeight": 600, "color": _INK}
    lines: dict[str, Any] = {
        "domain": False,
        "ticks": False,
        "gridColor": _INK,
        "gridOpacity": 0.15,
    }
    styled: ChartType = drawn.properties(
        title=points.kind.title, background="transparent"
    ).configure(
        font=FONT,
        view=alt.ViewConfig(stroke=None),
        title=alt.TitleConfig(anchor="start", frame="bounds", offset=12, **title),
        axis=alt.AxisConfig(labelPadding=8, titleColor=_INK, **lines, **text),
        legend=alt.LegendConfig(
            orient="bottom", columns=3, labelLimit=200, symbolType="square", offset=12, **text
        ),
    )
    return styled


def _bars(points: Points) -> ChartType:
    """Horizontal bars with their labels and values."""
    import altair as alt

    kind, series = points.kind, list(points.colors)
    is_beside = not kind.stacked and len(series) > 1
    rows = _base(points, points.rows).encode(
        y=alt.Y(
            "label:N",
            title=None,
            sort=None,
            axis=alt.Axis(labelLimit=_MAX_LABEL_PIXELS),
            scale=alt.Scale(paddingInner=0.2 if is_beside else 0.36),
        )
    )
    if is_beside:
        rows = rows.encode(yOffset=alt.YOffset("series:N", sort=series))
    bars = rows.mark_bar().encode(
        x=alt.X("value:Q", axis=None, stack=kind.stacked or None),
        color=_color(points),
        order=alt.Order("rank:Q", sort="ascending"),
    )
    labelled = rows.properties(data=alt.InlineData(values=points.sums)) if kind.stacked else rows
    texts = labelled.mark_text(align="left", dx=6, color=_INK, fontSize=12).encode(
        x="end:Q", text="text:N"
    )
    lines = rows.transform_filter("isValid(datum.low)").mark_rule(color=_INK)
    spans = [lines.encode(x="low:Q", x2="high:Q")] if kind.span else []
    height = alt.Step(BAR_HEIGHT + 2 if is_beside else BAR_HEIGHT + 8)
    return alt.layer(bars, *spans, texts).properties(width=_WIDTH, height=height)


def _columns(points: Points) -> altair.Chart:
    """Stacked columns over an axis of months or days."""
    import altair as alt

    money: dict[str, Any] = {"labelExpr": _MONEY} if points.kind.write is formatting.usd else {}
    along = alt.Axis(labelAngle=0, labelOverlap=True)
    up = alt.Axis(values=points.ticks(), **money)
    step = _TIME_WIDTH / max(len(points.sums), 1)
    chart = _base(points, points.rows).mark_bar(width=min(step * 0.7, MAX_COLUMN_WIDTH))
    columns: altair.Chart = chart.encode(
        x=alt.X("time:O", title=None, axis=along),
        y=alt.Y(
            "value:Q",
            title=None,
            stack=True,
            axis=up,
            scale=alt.Scale(domainMax=points.ticks()[-1]),
        ),
        color=_color(points),
        order=alt.Order("rank:Q", sort="descending"),  # the first on top, as in the legend
    ).properties(width=_TIME_WIDTH, height=TIME_HEIGHT)
    return columns


def _base(points: Points, rows: Iterable[Mapping[str, Any]]) -> altair.Chart:
    import altair as alt

    tooltip = [
        alt.Tooltip("label:N", title=points.time or "group"),
        alt.Tooltip("series:N", title="series"),
        alt.Tooltip("text:N", title="value"),
    ]
    ranks = {name: rank for rank, name in enumerate(points.colors)}
    values = [{**row, "rank": ranks.get(str(row.get("series")), 0)} for row in rows]
    chart: altair.Chart = alt.Chart(alt.InlineData(values=values))
    return chart.encode(tooltip=tooltip)


def _color(points: Points) -> altair.Color:
    import altair as alt

    names, colors = list(points.colors), list(points.colors.values())
    scale = alt.Scale(domain=names, range=colors)
    legend: dict[str, Any] = {} if len(names) > 1 else {"legend": None}
    return alt.Color("series:N", title=None, sort=names, scale=scale, **legend)
