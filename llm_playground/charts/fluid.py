"""Charts of a dashboard as SVG: bars, columns over time, a forecast.

A page gives them their width: positions are shares of it, so that texts keep their size. With a
``width`` in pixels the SVG is a picture of its own, for pages that show it as an image. Colours of
series are those of :data:`~llm_playground.charts.points.COLORS`; texts and lines have the colour
of the text around them.

A bar with a ``key`` can be pressed: it is a button with ``data-key`` and its description.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from llm_playground._validation import shorten
from llm_playground.charts.bars import escaped, on_paper
from llm_playground.charts.points import COLORS, round_values

_ROW, _BAR, _BASE = 36, 8, 13  # the height of a row, its bar, and the base line of its texts
_LEFT, _TOP, _PLOT, _BOTTOM = 58, 12, 176, 24  # around and in a plot, in pixels
_LABEL_CHARS, _MOST_LABEL_CHARS = 46, 200  # in a picture of 640 pixels, and in a page
_MOST_LABELS = 6
AMBER, RED = "#B26A00", "#C4314B"
FAINT, _MUTED = 0.14, 0.8
# Of a gauge, whose full length is a figure too: more than 3 to 1 on light and on dark.
_OUTLINE = ' stroke="currentColor" stroke-opacity="0.55"'
_LEAST = 2.0  # pixels, so that a small amount is seen in a picture
_BAND = COLORS[4]  # of the forecast: bright enough on a dark page
Write = Callable[[Sequence[float]], Sequence[str]]  # the values of an axis as texts


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar; ``series`` is its place in the legend."""

    series: str
    value: float
    color: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, or one column over time.

    ``text`` is its value as written, ``about`` what is said of it beside; ``most`` is the value of
    a full bar, such as a budget's limit, instead of the highest of all bars.
    """

    label: str
    parts: Sequence[Part]
    text: str
    about: str = ""
    key: str = ""
    most: float | None = None

    @property
    def total(self) -> float:
        """The sum of its parts."""
        return sum(part.value for part in self.parts)

    @property
    def description(self) -> str:
        """What a tooltip and a screen reader say."""
        return " · ".join(filter(None, (self.label, self.text, self.about)))


@dataclass(frozen=True, slots=True)
class Line:
    """A cumulative cost over the days of a month, and what is expected of its rest.

    ``values`` are those at the end of each day until now, the last one as of now; ``days`` is the
    length of the month; ``limit`` is an amount that is marked.
    """

    values: Sequence[float]
    days: int
    expected: float
    low: float
    high: float
    labels: Sequence[str]  # of the days
    elapsed: float  # days until now
    limit: float | None = None
    steps: Sequence[Bar] = ()  # what the days until now are when they are pressed


@dataclass(frozen=True, slots=True)
class Drawing:
    """A chart that has yet to get its width."""

    title: str
    height: float
    draw: Callable[[float | None], str] = field(repr=False)
    legend: Mapping[str, str] = field(default_factory=dict)  # the colours of series
    rows: Sequence[Bar] = ()
    axis: str = ""  # the texts left of a plot

    def fluid(self) -> str:
        """The SVG for a page, as wide as the place it gets."""
        size = f'height="{self.height:.0f}" font-size="12" fill="currentColor"'
        axis = f'<svg width="{_LEFT}" {size} aria-hidden="true">{self.axis}</svg>'
        return (
            f'<div class="llm-chart" role="group" aria-label="{escaped(self.title)}">'
            f'{axis if self.axis else ""}<svg width="100%" {size}>{self.draw(None)}</svg></div>'
        )

    def picture(self, width: float = 640) -> str:
        """The SVG as a document of its own, with its legend, on paper."""
        names = list(self.legend.items()) if len(self.legend) > 1 else []
        lines = math.ceil(len(names) / 3)
        height = self.height + 20 * lines
        entries = "".join(
            f'<rect x="{number % 3 * width / 3:.0f}" y="{self.height + number // 3 * 20 + 4:.0f}" '
            f'width="10" height="10" rx="2" fill="{color}"/>'
            f'<text x="{number % 3 * width / 3 + 16:.0f}" '
            f'y="{self.height + number // 3 * 20 + 13:.0f}">{escaped(shorten(name, 28))}</text>'
            for number, (name, color) in enumerate(names)
        )
        return on_paper(f"{self._placed(width)}{entries}", width, height)

    def _placed(self, width: float) -> str:
        """The chart in a picture, right of its axis if it has one."""
        if not self.axis:
            return self.draw(width)
        plot = width - _LEFT
        size = f'width="{plot:.0f}" height="{self.height:.0f}" overflow="visible"'
        return f'{self.axis}<svg x="{_LEFT}" {size}>{self.draw(plot)}</svg>'


def colors(names: Sequence[str]) -> dict[str, str]:
    """A colour for each of some series; series beyond the palette share the last, a grey."""
    return {name: COLORS[min(place, 7)] for place, name in enumerate(names)}


def bars(title: str, rows: Sequence[Bar]) -> Drawing:
    """Horizontal bars, each below its label and its value."""
    highest = max((row.total for row in rows), default=0.0) or 1.0
    legend = {part.series: part.color for row in rows for part in row.parts}

    def draw(width: float | None) -> str:
        return "".join(
            _bar(row, number * _ROW, row.most or highest, width) for number, row in enumerate(rows)
        )

    return Drawing(title, max(len(rows), 1) * _ROW, draw, legend, rows)


def _bar(row: Bar, top: float, most: float, width: float | None) -> str:
    y = top + _BASE + 5
    drawn = [
        f'<rect x="0" y="{y + 0.5}" width="{_share(1, width)}" height="{_BAR - 1}" rx="2" '
        f'fill="currentColor" fill-opacity="{FAINT / 2}"{_OUTLINE if row.most else ""}/>'
    ]
    starts = accumulate((part.value for part in row.parts), initial=0.0)
    for start, part in zip(starts, row.parts, strict=False):
        left, size = min(start / most, 1.0), min(part.value, most - min(start, most)) / most
        if size > 0:
            size = size if width is None else max(size, _LEAST / width)
            drawn.append(
                f'<rect x="{_share(left, width)}" y="{y:.0f}" width="{_share(size, width)}" '
                f'height="{_BAR}" rx="2" fill="{part.color}"/>'
            )
    drawn.append(_texts(row, top) if width is None else _texts_in_picture(row, top, width))
    target = f'<rect x="0" y="{top - 2:.0f}" width="100%" height="{_ROW - 4}" rx="3"'
    return _pressable(row, "".join(drawn), target) if width is None else "".join(drawn)


def _texts(row: Bar, top: float) -> str:
    """A bar's label and value, as HTML: a label without room for it ends in an ellipsis."""
    about = f' <span class="llm-dash-about">{escaped(row.about)}</span>' if row.about else ""
    return (
        f'<foreignObject y="{top - 3:.0f}" width="100%" height="{_BASE + 7}"><div class="llm-row">'
        f"<span>{escaped(shorten(row.label, _MOST_LABEL_CHARS))}</span>"
        f"<span>{escaped(row.text)}{about}</span></div></foreignObject>"
    )


def _texts_in_picture(row: Bar, top: float, width: float) -> str:
    """A bar's label and value, as SVG, which programs other than browsers show too."""
    about = f' <tspan fill-opacity="{_MUTED}">{escaped(row.about)}</tspan>' if row.about else ""
    return (
        f'<text x="0" y="{top + _BASE:.0f}">{escaped(shorten(row.label, _LABEL_CHARS))}</text>'
        f'<text x="{width:.1f}" y="{top + _BASE:.0f}" text-anchor="end">'
        f"{escaped(row.text)}{about}</text>"
    )


def columns(title: str, steps: Sequence[Bar], write: Write) -> Drawing:
    """Stacked columns over time, with an axis of round values that ``write`` writes."""
    ticks = round_values(max((step.total for step in steps), default=0.0))
    series = list(dict.fromkeys(part.series for step in steps for part in step.parts))
    colored = {part.series: part.color for step in steps for part in step.parts}

    def draw(width: float | None) -> str:
        count = max(len(steps), 1)
        paths = _stacked(steps, series, colored, ticks[-1])
        stretched = (
            f'<svg width="100%" height="{_PLOT}" viewBox="0 0 {count} 1" '
            f'preserveAspectRatio="none">{paths}</svg>'
        )
        labels = "".join(_time_labels([step.label for step in steps], width))
        targets = _targets(steps, count) if width is None else ""
        return _grid(ticks) + _plot(stretched + labels + targets)

    legend = {name: colored[name] for name in series}
    return Drawing(title, _TOP + _PLOT + _BOTTOM, draw, legend, steps, _axis(ticks, write))


def _stacked(
    steps: Sequence[Bar], series: Sequence[str], colored: Mapping[str, str], most: float
) -> str:
    """One path for each series: a page draws few large shapes faster than many small ones."""
    outlines: dict[str, list[str]] = {name: [] for name in series}
    margin = 0.12 if len(steps) <= 120 else 0.0
    for number, step in enumerate(steps):
        values = {part.series: part.value for part in step.parts}
        below = 0.0
        for name in series:
            value = values.get(name, 0.0)
            if value > 0:
                low, high = 1 - below / most, 1 - (below + value) / most
                left, right = number + margin, number + 1 - margin
                outlines[name].append(f"M{left:g} {low:.5g}V{high:.5g}H{right:g}V{low:.5g}z")
                below += value
    return "".join(
        f'<path fill="{colored[name]}" d="{"".join(shapes)}"/>'
        for name, shapes in outlines.items()
        if shapes
    )


def forecast(title: str, line: Line, write: Write) -> Drawing:
    """The cost of a month until now, and a band of what is expected until its end."""
    highest = max(line.high, line.expected, *line.values, 0.0)
    if line.limit is not None and line.limit < 1.6 * highest:
        highest = max(highest, line.limit)
    ticks = round_values(highest)
    most, color = ticks[-1], COLORS[0]

    def draw(width: float | None) -> str:
        now, end = line.elapsed, float(line.days)
        points = [(0.0, 0.0), *((min(day + 1.0, now), v) for day, v in enumerate(line.values))]
        at = [f"{x:.3f} {1 - value / most:.5f}" for x, value in points]
        spent = line.values[-1] if line.values else 0.0
        here = f"{now:.3f} {1 - spent / most:.5f}"
        low, high = (f"{end:g} {1 - value / most:.5f}" for value in (line.low, line.high))
        thin = 'fill="none" vector-effect="non-scaling-stroke" stroke-width="2"'
        shapes = [
            f'<path d="M{here}L{high}L{low}z" fill="{_BAND}" fill-opacity="0.4"/>',
            f'<path d="M{"L".join(at)}L{now:.3f} 1z" fill="{_BAND}" fill-opacity="0.15"/>',
            f'<path d="M{"L".join(at)}" stroke="{color}" {thin}/>',
            f'<path d="M{here}L{end:g} {1 - line.expected / most:.5f}" stroke="currentColor" '
            f'stroke-dasharray="5 4" {thin}/>',
        ]
        if line.limit is not None and line.limit <= most:
            y = 1 - line.limit / most
            shapes.append(f'<path d="M0 {y:.5f}H{end:g}" stroke="{RED}" {thin}/>')
        stretched = (
            f'<svg width="100%" height="{_PLOT}" viewBox="0 0 {end:g} 1" '
            f'preserveAspectRatio="none">{"".join(shapes)}</svg>'
        )
        labels = "".join(_time_labels(line.labels, width))
        targets = _targets(line.steps, line.days) if width is None else ""
        return _grid(ticks) + _plot(stretched + labels + targets)

    axis = _axis(ticks, write)
    return Drawing(title, _TOP + _PLOT + _BOTTOM, draw, rows=line.steps, axis=axis)


def _targets(steps: Sequence[Bar], count: int) -> str:
    """What can be pressed over the first of ``count`` equal steps of a plot."""
    return "".join(
        _pressable(
            step,
            "",
            f'<rect x="{100 * number / count:.3f}%" y="0" '
            f'width="{100 / count:.3f}%" height="{_PLOT}"',
        )
        for number, step in enumerate(steps)
    )


def _axis(ticks: Sequence[float], write: Write) -> str:
    """The texts of an axis, left of the plot."""
    return "".join(
        f'<text x="{_LEFT - 8}" y="{_height(tick, ticks) + 4:.1f}" text-anchor="end" '
        f'fill-opacity="{_MUTED}">{escaped(text)}</text>'
        for tick, text in zip(ticks, write(ticks), strict=True)
    )


def _grid(ticks: Sequence[float]) -> str:
    """The lines of an axis, across the plot."""
    return "".join(
        f'<line x1="0" x2="100%" y1="{(y := _height(tick, ticks)):.1f}" y2="{y:.1f}" '
        f'stroke="currentColor" stroke-opacity="{FAINT}"/>'
        for tick in ticks
    )


def _height(tick: float, ticks: Sequence[float]) -> float:
    return _TOP + _PLOT * (1 - tick / ticks[-1])


def _plot(drawn: str) -> str:
    """What is drawn within the lines, and below them."""
    return (
        f'<svg y="{_TOP}" width="100%" height="{_PLOT + _BOTTOM}" overflow="visible">{drawn}</svg>'
    )


def _time_labels(labels: Sequence[str], width: float | None) -> Iterator[str]:
    """Some of the labels below a plot; the middle of each is below the middle of its step."""
    every = math.ceil(len(labels) / _MOST_LABELS)
    for place, number in enumerate(range(every // 2, len(labels), max(every, 1))):
        x = _share((number + 0.5) / len(labels), width)
        second = ' class="llm-second"' if place % 2 else ""  # left out where there is little room
        yield (
            f'<text x="{x}" y="{_PLOT + 17}" text-anchor="middle" fill-opacity="{_MUTED}"{second}>'
            f"{escaped(labels[number])}</text>"
        )


def _pressable(bar: Bar, drawn: str, target: str) -> str:
    """A bar with a target over it that shows its description and may be pressed."""
    about = escaped(bar.description)
    if not bar.key:
        return f'<g>{drawn}{target} class="llm-target" data-tip="{about}"/></g>'
    return (
        f'<g role="button" tabindex="0" class="llm-pressable" data-key="{escaped(bar.key)}" '
        f'aria-label="{about}">{drawn}{target} class="llm-target" data-tip="{about}"/></g>'
    )


def _share(share: float, width: float | None) -> str:
    """A length: a share of the page's width, or of ``width`` pixels."""
    return f"{100 * share:.3f}%" if width is None else f"{share * width:.1f}"
