"""Pictures of charts, which have to be readable on light and on dark pages."""

import io
import re
from datetime import date
from xml.etree import ElementTree

import pytest
from PIL import Image

import llm_playground as lp
from llm_playground.charts import fluid
from llm_playground.charts.bars import picture
from llm_playground.charts.fluid import Bar, Line, Part
from llm_playground.charts.points import COLORS
from tests.charts.test_charts import costs_of

TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
SPENT = [Bar(f"m{n}", (Part("cost", float(n), COLORS[n]),), f"${n}", "9 runs") for n in range(3)]
# A small amount is seen: 1 cent of a limit of 20 dollars.
GAUGE = [Bar("per month", (Part("used", 0.01, COLORS[2]),), "$0.01 of $20", "0% used", most=20.0)]
LINE = Line([1.0, 2.0], 30, 20.0, 10.0, 30.0, [str(date(2026, 3, n + 1)) for n in range(30)], 1.5)
DRAWINGS = {
    "bars": fluid.bars("Cost by model", SPENT),
    "gauge": fluid.bars("Budgets", GAUGE),
    "columns": fluid.columns("Cost per day", SPENT, lambda ticks: [f"${tick}" for tick in ticks]),
    "forecast": fluid.forecast("Forecast", LINE, lambda ticks: [f"${tick}" for tick in ticks]),
}


def color(text):
    return tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))


def contrast(one, other):
    """The contrast ratio of WCAG 2.2, https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(rgb):
        linear = [
            c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
            for c in (c / 255 for c in rgb)
        ]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def painted(element, paint, ground, ink):
    """The color of an element on the ground."""
    own = element.get(paint, "currentColor")
    share = float(element.get(f"{paint}-opacity", "1"))
    rgb = ink if own == "currentColor" else color(own)
    return tuple(share * a + (1 - share) * b for a, b in zip(rgb, ground, strict=True))


def report(months):
    costs = costs_of(a=1.0, b=2.0)
    return costs if months is None else costs.assign(month=months)[["month", *costs.columns]]


def checked(svg):
    """The root of a picture in its own size, on a ground of its own, with texts that are read."""
    root = ElementTree.fromstring(svg)
    card = next(element for element in root if element.tag.endswith("rect"))
    left, top, width, height = map(float, root.get("viewBox").split())
    assert (float(root.get("width")), float(root.get("height"))) == (width, height)
    assert (float(card.get("width")), float(card.get("height"))) == (width - 1, height - 1)
    assert min(-left, -top) >= 12  # room between the drawing and the card's edge
    ground, ink = color(card.get("fill")), color(root.get("fill"))
    texts = [one for one in root.iter() if re.search(r"\}(text|tspan)$", one.tag)]
    assert texts
    for text in texts:
        assert contrast(painted(text, "fill", ground, ink), ground) >= TEXT_CONTRAST
    return root, ground, ink


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_of_a_dashboard_is_read_on_any_page(name):
    checked(DRAWINGS[name].picture())


@pytest.mark.parametrize("months", [None, ("2026-01", "2026-02")])
def test_the_picture_of_a_report_is_read_on_any_page(months):
    checked(picture(lp.chart(report(months)).points))


def test_a_gauge_shows_its_whole_length_and_the_least_amount():
    root, ground, ink = checked(DRAWINGS["gauge"].picture())
    _card, track, used = (one for one in root.iter() if one.tag.endswith("rect"))
    assert contrast(painted(track, "stroke", ground, ink), ground) >= SHAPE_CONTRAST
    assert float(track.get("width")) == 640
    assert float(used.get("width")) >= 2
    assert contrast(color(used.get("fill")), ground) >= SHAPE_CONTRAST


def test_a_png_has_the_ground_and_the_room_of_the_other_pictures():
    _root, ground, _ink = checked(DRAWINGS["bars"].picture())
    drawn = Image.open(io.BytesIO(lp.chart(report(None)).png())).convert("RGB")
    room = drawn.crop((0, 0, drawn.width, 2 * 12))
    assert room.getcolors() == [(room.width * room.height, ground)]
