"""A chart as plain SVG, for where no library draws: no script, nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import groupby
from operator import itemgetter
from typing import Any

from llm_playground.charts.points import Points

# A palette that the colour-blind tell apart: https://jfly.uni-koeln.de/color/
COLORS = (
    *("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9"),
    *("#D55E00", "#F0E442", "#999999", "#444444", "#117733"),
)
_WIDTH, _LABEL, _VALUE, _BAR, _GAP = 720, 300, 130, 14, 6
_MOST_BARS = 60
_LONGEST = 44  # of a label, in characters


def svg(points: Points) -> str:
    """Bars, one below the other, each with its label and value."""
    series = list(dict.fromkeys(str(row["series"]) for row in points.rows))
    colors = {name: COLORS[place % len(COLORS)] for place, name in enumerate(series)}
    rows = points.rows[-_MOST_BARS:] if points.time else points.rows[:_MOST_BARS]
    longest = max((row["value"] for row in rows), default=0) or 1
    parts: list[str] = []
    top = 34.0
    for label, bars in groupby(rows, key=itemgetter("label")):
        parts.append(_text(_LABEL - 8, top + _BAR - 3, str(label), anchor="end"))
        for bar in bars:
            width = max((_WIDTH - _LABEL - _VALUE) * bar["value"] / longest, 1)
            color = colors[str(bar["series"])]
            told = f"{bar['series']}: " if len(series) > 1 else ""
            parts.append(
                f'<rect x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" fill="{color}">'
                f"<title>{escape(told)}{_figure(bar['value'])}</title></rect>"
            )
            parts.append(_text(_LABEL + width + 4, top + _BAR - 3, _told(bar)))
            top += _BAR + 2
        top += _GAP
    legend, top = _legend(colors, top) if len(series) > 1 else ("", top)
    title = f"{points.kind.title} ({points.kind.unit})"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {_WIDTH} {top + 8}" '
        f'width="{_WIDTH}" height="{top + 8}" font-family="sans-serif" font-size="12">'
        f'<rect width="100%" height="100%" fill="#ffffff"/><title>{escape(title)}</title>'
        f'<text x="8" y="20" font-size="14" font-weight="bold" fill="#222222">{escape(title)}'
        f"</text>{''.join(parts)}{legend}</svg>"
    )


def _told(bar: Mapping[str, Any]) -> str:
    """The figure, and between which others it may lie."""
    figure = _figure(bar["value"])
    if "low" not in bar:
        return figure
    return f"{figure} ({_figure(bar['low'])} to {_figure(bar['high'])})"


def _legend(colors: dict[str, str], top: float) -> tuple[str, float]:
    parts = []
    for name, color in colors.items():
        parts.append(f'<rect x="{_LABEL}" y="{top}" width="10" height="10" fill="{color}"/>')
        parts.append(_text(_LABEL + 16, top + 9, name))
        top += 16
    return "".join(parts), top


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    shown = escape(text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…")
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="#222222">{shown}</text>'


def _figure(value: float) -> str:
    """As many digits as tell something.

    >>> _figure(1234.5), _figure(0.00012345), _figure(3.0)
    ('1,234.50', '0.000123', '3')
    """
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) >= 1 else f"{value:.3g}"
