"""Charts of reports, with Altair and without."""

import base64
import io
import json
import re
import sys
from xml.etree import ElementTree

import pandas as pd
import pytest
from PIL import Image

import llm_playground as lp
from llm_playground.charts.bars import PAPER
from llm_playground.charts.points import KINDS
from llm_playground.errors import ConfigError, InvalidParameterError

NAMES = sorted(kind.name for kind in KINDS)
VEGA, PNG, SVG = "application/vnd.vegalite.v5+json", "image/png", "image/svg+xml"
EVIL = "<script>alert(1)</script>&\"'"


@pytest.fixture
def without(monkeypatch):
    """As if a library were not installed."""

    def take_away(*modules):
        for module in modules:
            monkeypatch.setitem(sys.modules, module, None)

    return take_away


def costs_of(**by_model):
    counts = {"runs": 1, "input_tokens": 1, "output_tokens": 1}
    sure = {"unpriced_runs": 0, "estimated_runs": 0}
    rows = [{"model": name, **counts, "cost_usd": cost, **sure} for name, cost in by_model.items()]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("name", NAMES)
def test_every_report_has_a_chart_and_a_picture(reports_of_demo, name):
    drawn = lp.chart(reports_of_demo[name])
    assert drawn.points.kind.name == name
    assert drawn.points.rows
    assert drawn.spec["$schema"].endswith("v5.json")
    assert drawn.png().startswith(b"\x89PNG")
    assert ElementTree.fromstring(drawn.html().split("<p>")[0].removesuffix("</div>") + "</div>")


@pytest.mark.parametrize("name", ["costs", "usage_by", "waste", "forecast"])
def test_what_is_drawn_adds_up_to_the_report(reports_of_demo, name):
    frame = reports_of_demo[name]
    drawn = lp.chart(frame).points
    drawn_sum = sum(row["value"] for row in drawn.rows)
    columns = list(drawn.kind.values)
    assert drawn_sum == pytest.approx(frame[columns].sum().sum())


def test_months_are_side_by_side_and_small_series_are_summed_up():
    months = [costs_of(**{f"m{n}": 2.0**n for n in range(15)}) for _ in range(2)]
    frame = pd.concat(
        [each.assign(month=f"2026-0{n}") for n, each in enumerate(months, 1)], ignore_index=True
    )
    drawn = lp.chart(frame[["month", *months[0].columns]]).points
    assert drawn.time == "month"
    series = {row["series"] for row in drawn.rows}
    assert series == {"all others", *(f"m{n}" for n in range(6, 15))}
    assert sum(row["value"] for row in drawn.rows) == 2 * (2**15 - 1)


def test_of_many_rows_the_largest_are_drawn_and_the_rest_counted():
    drawn = lp.chart(costs_of(**{f"m{n}": float(n) for n in range(100)}))
    assert {row["label"] for row in drawn.points.rows} == {f"m{n}" for n in range(75, 100)}
    assert "75 smaller ones" in drawn.html()


def test_unknown_figures_are_not_drawn():
    drawn = lp.chart(costs_of(known=1.0, unknown=float("nan"))).points
    assert [row["label"] for row in drawn.rows] == ["known"]


def test_an_empty_report_is_an_empty_chart():
    drawn = lp.chart(costs_of(m=1.0).head(0))
    assert drawn.points.rows == []
    assert drawn.png().startswith(b"\x89PNG")
    assert "<svg" in drawn.html()


def test_equal_labels_stay_apart():
    long = "x" * 80
    frame = pd.concat([costs_of(**{f"{long}{n}": 1.0}) for n in range(2)], ignore_index=True)
    labels = [row["label"] for row in lp.chart(frame).points.rows]
    assert len(set(labels)) == 2
    assert all(len(label) < 70 for label in labels)


def test_a_front_end_gets_vega_lite_and_a_picture(reports_of_demo):
    shown, metadata = lp.chart(reports_of_demo["costs"])._repr_mimebundle_()
    assert set(shown) == {VEGA, PNG, "text/plain"}
    assert metadata[VEGA] == {"embed_options": {"renderer": "svg"}}
    drawn = Image.open(io.BytesIO(base64.b64decode(shown[PNG])))
    size = metadata[PNG]
    assert drawn.size == (2 * size["width"], 2 * size["height"])  # sharp, and not shown larger
    json.dumps(shown)


def test_without_the_picture_maker_bars_stand_in(reports_of_demo, without):
    without("vl_convert")
    drawn = lp.chart(reports_of_demo["costs"])
    shown, _ = drawn._repr_mimebundle_()
    assert set(shown) == {VEGA, SVG, "text/plain"}
    assert f'fill="{PAPER}"' in shown[SVG]
    with pytest.raises(ConfigError, match="pip install altair vl-convert-python"):
        drawn.png()


@pytest.mark.parametrize("name", NAMES)
def test_without_altair_a_chart_is_html(reports_of_demo, without, name):
    without("altair", "vl_convert")
    drawn = lp.chart(reports_of_demo[name])
    shown, _ = drawn._repr_mimebundle_()
    assert set(shown) == {"text/html", "text/plain"}
    assert shown["text/html"].count("<rect") > 1
    with pytest.raises(ConfigError, match="needs altair"):
        _ = drawn.altair


def test_nothing_comes_from_the_network_and_nothing_runs():
    drawn = lp.chart(costs_of(**{EVIL: 1.0, "b": 2.0}))
    html = drawn.html()
    assert "<script" not in html
    assert "&lt;script&gt;" in html
    assert not re.findall(r"(?:src|href|url)\s*[=(]", html)
    addresses = re.findall(r"https?://[^\"\\ ]+", json.dumps(drawn.spec) + html)
    assert set(addresses) == {
        "https://vega.github.io/schema/vega-lite/v5.json",  # its name
        "http://www.w3.org/2000/svg",
    }


def test_a_chart_is_altairs_own_to_change():
    drawn = lp.chart(costs_of(a=1.0, b=2.0)).altair.properties(title="Mine")
    assert drawn.to_dict()["title"] == "Mine"


@pytest.mark.parametrize(
    ("ending", "begins"),
    [(".png", b"\x89PNG"), (".svg", b"<svg"), (".html", b"<div"), (".json", b"{")],
)
def test_a_chart_is_saved_as_its_ending_says(tmp_path, ending, begins):
    path = lp.chart(costs_of(a=1.0)).save(tmp_path / f"chart{ending}")
    assert path.read_bytes().startswith(begins)


def test_invalid_frames_and_paths_are_errors(tmp_path):
    with pytest.raises(InvalidParameterError, match="costs, duplicates"):
        lp.chart(pd.DataFrame({"a": [1]}))
    with pytest.raises(InvalidParameterError, match="not int"):
        lp.chart(5)
    drawn = lp.chart(costs_of(a=1.0))
    with pytest.raises(InvalidParameterError, match=r"not '\.pdf'"):
        drawn.save(tmp_path / "chart.pdf")
    with pytest.raises(InvalidParameterError, match="cannot be written"):
        drawn.save(tmp_path / "no" / "chart.svg")


def test_a_chart_without_any_front_end_is_its_figures():
    assert "$2.00" in repr(lp.chart(costs_of(a=2.0)))


TEXTS = {
    "costs": ("$", "2026-"),
    "usage_by": ("$",),
    "latency": (" s", "p95"),
    "waste": ("$", "cut off"),
    "forecast": ("$", " to $", "expected"),
    "failures": (),
}


@pytest.mark.parametrize("name", TEXTS)
def test_with_and_without_altair_a_chart_has_the_same_texts_and_colours(reports_of_demo, name):
    drawn = lp.chart(reports_of_demo[name])
    spec, html = json.dumps(drawn.spec), drawn.html()

    for row in drawn.points.rows if not drawn.points.time else ():
        assert json.dumps(row["text"]) in spec
        assert drawn.points.kind.stacked or row["text"] in html
    for color in drawn.points.colors.values():
        assert color in spec
        assert color in html
    assert all(text in html for text in TEXTS[name])
    assert "currentColor" in spec
    assert 'fill="currentColor"' in html
    assert "#222" not in spec + html


AXES = {0.0031: [0, 0.001, 0.002, 0.003, 0.004], 7: [0, 2, 4, 6, 8], 0: [0, 0.2, 0.4, 0.6, 0.8, 1]}


@pytest.mark.parametrize("most", AXES)
def test_an_axis_has_round_values(most):
    frame = costs_of(a=most)
    frame.insert(0, "month", "2026-03")

    assert lp.chart(frame).points.ticks() == pytest.approx(AXES[most])
