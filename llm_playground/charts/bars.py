"""A chart as an SVG, made without any library: bars, or columns over months and days."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

from llm_playground._validation import shorten
from llm_playground.charts.points import Points
from llm_playground.redaction import printable

FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
WIDTH, BAR_HEIGHT, TIME_HEIGHT = 720, 14, 200
MAX_LABEL_CHARS = 44
# A picture that stands alone cannot know whether the page around it is light or dark, and no gray
# is 4.5 to 1 against both. So it has a background of its own, with room around the chart.
INK, PAPER, EDGE, MARGIN = "#1f2328", "#f6f8fa", "#d0d7de", 16
_LABEL_WIDTH, _VALUE_WIDTH, _GAP, _TOP = 270, 190, 8, 32
_AXIS_WIDTH = 64
_MAX_BARS, _TIME_LABEL_WIDTH = 60, 80
MAX_COLUMN_WIDTH = 48
_LEGEND_COLUMNS, _LEGEND_CHARS = 3, 30
_NONCHARACTERS = dict.fromkeys((0xFFFE, 0xFFFF), "\N{REPLACEMENT CHARACTER}")


def escaped(text: str) -> str:
    r"""A text for SVG, whose parsers refuse control characters.

    >>> escaped("<b>\x1b")
    '&lt;b&gt;␛'
    """
    return escape(printable(text).translate(_NONCHARACTERS))


def svg(points: Points) -> str:
    """The chart without any script, for a page: in the colour of the text around it."""
    drawn, height = _drawn(points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {height:.0f}" '
        f'width="{WIDTH}" height="{height:.0f}" font-size="12" fill="currentColor" '
        f'style="max-width:100%;font-family:var(--jp-ui-font-family, {FONT});'
        f'font-variant-numeric:tabular-nums">{drawn}</svg>'
    )


def picture(points: Points) -> str:
    """The chart as a document of its own, such as a file."""
    drawn, height = _drawn(points)
    return on_paper(drawn, WIDTH, height)


def on_paper(drawn: str, width: float, height: float) -> str:
    """An SVG document with a drawing of a size in pixels on a card, readable on any page."""
    wide, high = round(width) + 2 * MARGIN, round(height) + 2 * MARGIN
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
        f'viewBox="{-MARGIN} {-MARGIN} {wide} {high}" width="{wide}" height="{high}" '
        f'font-size="12" font-family="{escaped(FONT)}" fill="{INK}" color="{INK}" '
        f'style="max-width:100%;font-variant-numeric:tabular-nums"><rect x="{0.5 - MARGIN}" '
        f'y="{0.5 - MARGIN}" width="{wide - 1}" height="{high - 1}" rx="8" fill="{PAPER}" '
        f'stroke="{EDGE}"/>{drawn}</svg>'
    )


def _drawn(points: Points) -> tuple[str, float]:
    """The title, the bars or columns and the legend, and their height."""
    drawn, bottom = _columns(points) if points.time else _bars(points)
    legend, height = _legend(points, bottom)
    title = escaped(points.kind.title)
    heading = f'<text x="0" y="16" font-size="13" font-weight="600">{title}</text>'
    return f"<title>{title}</title>{heading}{drawn}{legend}", height


def _bars(points: Points) -> tuple[str, float]:
    """Horizontal bars with their labels and values, and where they end."""
    colors, is_stacked = points.colors, points.kind.stacked
    rows = points.rows[:_MAX_BARS]
    scaled = points.sums if is_stacked else rows
    longest = max((row["end"] for row in scaled), default=0) or 1
    width = (WIDTH - _LABEL_WIDTH - _VALUE_WIDTH) / longest
    sums = {row["label"]: row["text"] for row in points.sums}
    parts: list[str] = []
    top = float(_TOP)
    for label, group in groupby(rows, key=itemgetter("label")):
        bars = list(group)
        height = (1 if is_stacked else len(bars)) * (BAR_HEIGHT + 2) - 2
        parts.append(_text(_LABEL_WIDTH - 8, top + height / 2 + 4, str(label), anchor="end"))
        left = float(_LABEL_WIDTH)
        for number, bar in enumerate(bars):
            y = top if is_stacked else top + number * (BAR_HEIGHT + 2)
            size = width * bar["value"]
            name = f"{bar['series']}: " if len(colors) > 1 else ""
            color = colors[str(bar["series"])]
            parts.append(_rect(left, y, size, BAR_HEIGHT, color, f"{name}{bar['text']}"))
            if is_stacked:
                left += size
                continue
            if "low" in bar:
                parts.append(_span(bar, width, y + BAR_HEIGHT / 2))
            parts.append(_text(left + width * bar["end"] + 6, y + BAR_HEIGHT - 3, bar["text"]))
        if is_stacked:
            parts.append(_text(left + 6, top + BAR_HEIGHT - 3, sums[label]))
        top += height + _GAP
    return "".join(parts), top


def _span(bar: Mapping[str, Any], width: float, y: float) -> str:
    """A line from the lowest to the highest likely value."""
    low, high = (_LABEL_WIDTH + width * bar[end] for end in ("low", "high"))
    return f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="currentColor"/>'


def _columns(points: Points) -> tuple[str, float]:
    """Stacked columns over an axis of months or days, and where they end."""
    ticks, bottom = points.ticks(), _TOP + TIME_HEIGHT
    scale = TIME_HEIGHT / ticks[-1]
    parts = []
    for tick in ticks:
        y = bottom - tick * scale
        parts.append(_text(_AXIS_WIDTH - 8, y + 4, points.kind.write(tick), anchor="end"))
        line = f'<line x1="{_AXIS_WIDTH}" x2="{WIDTH}" y1="{y:.1f}" y2="{y:.1f}"'
        parts.append(f'{line} stroke="currentColor" stroke-opacity="0.15"/>')
    times = [(time, list(bars)) for time, bars in groupby(points.rows, key=itemgetter("time"))]
    step = (WIDTH - _AXIS_WIDTH) / max(len(times), 1)
    every = math.ceil(_TIME_LABEL_WIDTH / step)
    for number, (time, bars) in enumerate(times):
        middle, size = _AXIS_WIDTH + (number + 0.5) * step, min(step * 0.7, MAX_COLUMN_WIDTH)
        parts += _column(bars, points, middle - size / 2, size, bottom, scale)
        if number % every == 0 and middle + _TIME_LABEL_WIDTH / 2 <= WIDTH:
            parts.append(_text(middle, bottom + 16, str(time), anchor="middle"))
    return "".join(parts), bottom + 28.0


def _column(
    bars: Sequence[Any], points: Points, left: float, width: float, bottom: float, scale: float
) -> Iterator[str]:
    colors, top = points.colors, bottom
    order = list(colors)
    for bar in sorted(bars, key=lambda bar: order.index(bar["series"]), reverse=True):
        height = bar["value"] * scale
        top -= height
        name = f"{bar['series']}: " if len(colors) > 1 else ""
        color = colors[str(bar["series"])]
        yield _rect(left, top, width, height, color, f"{bar['time']} · {name}{bar['text']}")


def _legend(points: Points, top: float) -> tuple[str, float]:
    colors = points.colors
    if len(colors) < 2:
        return "", top + 4
    parts, y = [], top
    for number, (name, color) in enumerate(colors.items()):
        x = (number % _LEGEND_COLUMNS) * WIDTH / _LEGEND_COLUMNS
        y = top + 4 + number // _LEGEND_COLUMNS * 18
        parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="10" height="10" fill="{color}"/>')
        parts.append(_text(x + 16, y + 9, name, most=_LEGEND_CHARS))
    return "".join(parts), y + 22


def _rect(x: float, y: float, width: float, height: float, color: str, title: str) -> str:
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{color}">'
        f"<title>{escaped(title)}</title></rect>"
    )


def _text(x: float, y: float, text: str, anchor: str = "start", most: int = MAX_LABEL_CHARS) -> str:
    position = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f"<text {position}>{escaped(shorten(text, most))}</text>"
