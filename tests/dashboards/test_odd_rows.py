"""Rows, filters and messages that no part of this package makes: every section is still drawn."""

import json
import re
from datetime import UTC, date, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET

import ipywidgets
import pytest

import llm_playground as lp
from llm_playground.charts import fluid
from llm_playground.charts.fluid import Bar, Part
from llm_playground.dashboards import Dashboard
from llm_playground.types import Usage
from tests.reports.conftest import log as log
from tests.reports.shelf import add, add_row

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
SECTIONS = ("overview", "quality", "savings", "runs", "admin")
MOST = 2**63 - 1
ODD = (
    {"response_time_ms": float("nan"), "ttft_ms": float("nan")},
    {"response_time_ms": float("inf"), "ttft_ms": float("-inf")},
    {"response_time_ms": -5.0, "ttft_ms": -1.0},
    *({"input_tokens": MOST, "output_tokens": MOST, "cache_read_tokens": MOST} for _ in range(2)),
    {"input_tokens": -100, "cost_usd": Decimal(-5)},
    {"cost_usd": Decimal(999_999)},
    {"model": None, "cost_usd": Decimal(1)},
    {"status": "exploded", "finish_reason": "odd", "attempts": '[{"status_code": "x"}]'},
    {"started_at": datetime(1, 1, 2, tzinfo=UTC)},
    {"started_at": datetime(2262, 5, 1, tzinfo=UTC)},
    {"started_at": datetime(9999, 12, 31, tzinfo=UTC)},
)


def made(**filters):
    return Dashboard(filters, tz="UTC", admin=True, at=NOW, open_run=ipywidgets.Label)


def shown(dashboard, section):
    dashboard.show(section)
    assert dashboard.wait()
    assert dashboard.board.problem == ""
    return re.sub("<[^>]*>", " ", dashboard.board.content + dashboard.board.summary)


@pytest.fixture
def odd(log):
    add(log, at=NOW, cost_usd=Decimal("0.5"), usage=Usage(10, 5), response_time_ms=100.0)
    for number, columns in enumerate(ODD):
        known = {"status": "completed", "model": "openai:gpt-4o", "started_at": NOW}
        add_row(log, id=f"odd{number}", **{**known, **columns})
    log.drain()


def test_rows_of_another_program_do_not_end_a_section(odd):
    dashboard = made()
    texts = {section: shown(dashboard, section) for section in SECTIONS}

    assert not re.findall(r"\b(?:nan|NaN|inf|None)\b", " ".join(texts.values()))
    assert "(none)" in texts["overview"]
    assert "(none)" in texts["quality"]
    assert f"{1 + len(ODD)} runs" in texts["runs"]
    assert "0.10 s" in texts["overview"]  # the median of the one time that is possible
    assert dashboard.board.content.count("<tr>") < 50, "a row for each run, not for each century"


def test_reports_leave_impossible_times_out(odd):
    assert lp.latency().p50_ms.dropna().tolist() == [100.0]
    assert lp.costs(()).input_tokens.tolist() == [MOST]
    assert lp.costs(()).cost_usd.tolist() == [999_995.5]


def test_the_far_ends_of_the_calendar_can_be_chosen(odd):
    dashboard = made()
    for first, last in ((date.max, None), (None, date.max), (date.min, None), (None, date.min)):
        dashboard.filter_bar.since.value, dashboard.filter_bar.until.value = first, last
        shown(dashboard, "overview")
    for key in re.findall(r'data-key="([^"]*days[^"]*)"', dashboard.board.content):
        dashboard._on_message(None, {"type": "press", "value": key.replace("&quot;", '"')}, [])
        assert dashboard.wait()
        assert dashboard.board.problem == ""


def test_a_name_with_control_characters_is_drawn():
    for name in ("a\0b", "\x1b[31mred", "a\ufffeb", "\ud800", "\u202eabc"):
        key = json.dumps({"slice": "model", "value": name})
        drawing = fluid.bars("t", [Bar(name, (Part("cost", 1.0, "#000"),), name, name, key)])
        for text in (drawing.picture(), drawing.fluid()):
            assert not set(text) & set("\0\x1b\ufffe\ud800\u202e")
        ET.fromstring(drawing.picture().encode())
