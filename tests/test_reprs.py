"""The reprs of values: one sentence, as text and as HTML, without controls and keys."""

from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.budgeting.budget import Budget
from llm_playground.catalog.estimates import Estimate
from llm_playground.frames import Frame, local_time
from llm_playground.parts import TextPart
from llm_playground.request.prompts import Prompt
from llm_playground.text_table import Column, table
from llm_playground.types import Attempt, Message, Parameters

BUDGET = ("b1", Decimal(50), "month", "openai:*", None, None, "block", "warn", "ada", None)
VALUES = {
    "Budget of $50.00 a month for model openai:*: blocks calls that do not fit.": Budget(*BUDGET),
    "Estimate of 2 calls to a:b: about $1.0000, at most $2.0000; 10 tokens in, about 20 out.": (
        Estimate("a:b", 2, 10, 20, 30, 40, Decimal(1), Decimal(2))
    ),
    "Prompt sum@3: 'Sum up <b>␛[2J' (a:b, top_p 0.5)": Prompt(
        (Message("user", (TextPart("Sum up <b>\x1b[2J"),)),),
        Parameters(top_p=0.5),
        "a:b",
        "sum",
        3,
    ),
    "Attempt 1: 429, RateLimitError: Slow down. (1.50 s)": Attempt(
        1, 0, 1_500, 429, None, "RateLimitError", "Slow down."
    ),
}


@pytest.mark.parametrize("sentence", VALUES)
def test_a_value_is_one_sentence(sentence):
    value = VALUES[sentence]
    html = getattr(value, "_repr_html_", lambda: "<p></p>")()

    assert repr(value) == sentence
    assert html.startswith("<p>")
    assert "<b>" not in html
    assert "\x1b" not in html


def test_a_playground_is_one_sentence(home):
    pg = lp.Playground("shop", models=["local"], prompt="Say {{word}}.")

    assert repr(pg) == "Playground 'shop': 'Say {{word}}.' to local"
    pg.close()


NOW = datetime(2026, 11, 30, 23, 30).astimezone()
MOMENTS = {
    "14:02": datetime(2026, 11, 30, 14, 2),
    "29 Nov 14:02": datetime(2026, 11, 29, 14, 2),
    "30 Nov 2025": datetime(2025, 11, 30, 14, 2),
}


@pytest.mark.parametrize("text", MOMENTS)
def test_times_are_local_and_short(text):
    utc = MOMENTS[text].astimezone().astimezone(UTC)

    assert local_time(utc, NOW) == text


def frame(rows=2):
    return Frame(
        {
            "started_at": pd.to_datetime(["2020-11-29T14:02:00Z"] * rows),
            "response_text": ["<b>bold</b> \x1b[2J " + "long " * 40] * rows,
            "cost_usd": [0.00054] * rows,
            "response_time_ms": [1_900.0] * rows,
            "input_tokens": [1_200.0, *[None] * (rows - 1)],
            "rating": [None] * rows,
            **{f"more_{number}": [number] * rows for number in range(12)},
            "run_id": ["0190c7e2"] * rows,
        }
    )


def test_a_frame_shows_what_a_person_reads():
    html, text = frame()._repr_html_(), repr(frame())

    for shown in (html, text):
        left_out = "1 empty column left out (rating)"
        for expected in ("29 Nov 2020", "$0.0005", "1.9 s", "1,200", left_out):
            assert expected in shown
        assert "\x1b" not in shown
        assert "None" not in shown
    assert "run_id</th>" not in html
    assert "run_id" not in text.splitlines()[0]
    assert "&lt;b&gt;bold" in html
    assert max(map(len, text.splitlines()[:-1])) <= pd.get_option("display.width")
    assert "6 more columns (more_7" in html


def test_a_frame_stays_one_and_keeps_its_data():
    whole = frame()
    parts = (
        whole.head(1),
        whole.query("cost_usd > 0"),
        pd.concat([whole, whole]),
        whole[["run_id"]],
    )

    assert all("_repr_html_" in vars(type(part)) for part in parts)
    assert str(whole.started_at.dtype).endswith("UTC]")
    assert whole.cost_usd.tolist() == [0.00054] * 2
    assert isinstance(whole, pd.DataFrame)


def test_a_long_frame_shows_its_ends():
    long = frame(1_000)

    assert long._repr_html_().count("<tr>") == 12  # the head, 5 rows, a gap, 5 rows
    assert "1,000 rows" in repr(long)
    with pd.option_context("display.max_columns", None):
        assert "more_11" in long._repr_html_()


REPORTS = {
    "runs": lp.runs,
    "duplicates": lp.duplicates,
    "audit": lp.audit,
    "sql": lambda: lp.sql("SELECT * FROM runs"),
    "costs": lp.costs,
    "usage_by": lp.usage_by,
    "forecast": lp.forecast,
    "latency": lp.latency,
    "failures": lp.failures,
    "waste": lp.waste,
    "what_if": lambda: lp.what_if("local"),
    "what_if in all": lambda: lp.what_if("local", by=()),
    "prompt_cache": lp.prompt_cache,
    "retiring": lp.retiring,
    "budgets": lp.budgets,
    "keys": lp.keys,
    "prompts": lp.prompts,
    "presets": lp.presets,
    "purge": lambda: lp.purge(older_than="1d"),
}


def test_every_report_is_shown_as_a_frame(home):
    lp.demo_runs(8)

    for name, report in REPORTS.items():
        shown = report()
        assert isinstance(shown, Frame), name
        assert repr(shown).splitlines()[-1], name
        assert max(map(len, repr(shown).splitlines())) <= 80, name
    assert " ".join(repr(lp.runs(model="none")).split()).startswith("No rows, 50 columns (started")
    assert lp.runs(model="none")._repr_html_().startswith("<p>No rows, 50 columns")


def test_eighty_columns_show_what_a_person_looks_for(home):
    lp.demo_runs(8)

    head = " ".join(repr(lp.runs(limit=3)).splitlines()[:2])

    for name in ("started_at", "model", "user_prompt", "status", "response_", "time_ms", "usd"):
        assert name in head


COLUMNS = {
    "figures are aligned right": (
        [Column("n", ["1", "1,200"], is_figure=True), Column("b", ["x", "y"])],
        80,
        "    n  b\n    1  x\n1,200  y",
    ),
    "texts are cut before columns are left out": (
        [Column("", ["0"]), Column("a", ["w" * 40], is_cut=True), Column("b", ["v"])],
        16,
        "  a            b\n0 wwwwwwwwwww… v",
    ),
    "what leaves no room is left out": (
        [Column("", ["0"]), Column("a", ["w" * 12]), Column("b", ["v" * 12])],
        16,
        "  a\n0 wwwwwwwwwwww",
    ),
    "wide characters take two columns": (
        [Column("", ["0"]), Column("a", ["漢字漢字漢字漢字"], is_cut=True)],
        13,
        "  a\n0 漢字漢字漢…",
    ),
    "a model keeps its end": (
        [Column("", ["0"]), Column("a", ["openai:gpt-6-luna"], is_cut=True)],
        13,
        "  a\n0 …gpt-6-luna",
    ),
    "a name is broken": (
        [Column("", ["0"]), Column("a_long_name", ["1"], is_figure=True)],
        7,
        "     a_\n  long_\n   name\n0     1",
    ),
    "no width shows all": (
        [Column("", ["0"]), Column("a", ["w" * 90], is_cut=True)],
        None,
        f"   a\n0  {'w' * 90}",
    ),
}


@pytest.mark.parametrize("case", COLUMNS)
def test_a_table_fits_a_width(case):
    columns, width, expected = COLUMNS[case]

    assert table(columns, width)[0] == expected
