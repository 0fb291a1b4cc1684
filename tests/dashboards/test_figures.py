"""What a dashboard shows adds up to ``lp.costs()``, and each figure to the runs behind it."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from llm_playground.dashboards import admin_page, overview_page, quality_page, savings_page
from llm_playground.dashboards.figures import Figures, State
from llm_playground.reports import slices, spending
from llm_playground.reports.slices import Slice
from llm_playground.runlog import open_log
from llm_playground.types import Usage
from tests.reports.conftest import ENGINES
from tests.reports.shelf import NEW_YEAR, add

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
MODELS = [f"openai:m{n}" for n in range(11)] + ["local:m"]
HOSTILE = "<img src=x onerror=alert(1)>&\"'"
ENDINGS = (
    {"status": "completed"},
    {"status": "completed", "finish_reason": "length"},
    {"status": "failed", "usage_source": "none"},
    {"status": "cancelled"},
    {"status": "blocked"},
)


@pytest.fixture(scope="module", params=ENGINES)
def filled(request, new_url):
    """120 runs of many models, users and notebooks in 70 days; some prices are unknown."""
    url = new_url(request.param)
    log = open_log(url)
    for n in range(120):
        add(
            log,
            model=MODELS[n * n % len(MODELS)],
            question=f"Question {n % 30} {HOSTILE}",
            at=NEW_YEAR + timedelta(hours=14 * n),
            user=("ada", "bob", None, HOSTILE)[n % 4],
            notebook=None if n % 5 == 0 else f"n{n % 13}.ipynb",
            tags=("x", "y")[: n % 3],
            cost_usd=None if n % 7 == 0 else Decimal(n % 9) / 1000,
            usage=Usage(10 + n, n),
            response_time_ms=100.0 + n,
            ttft_ms=50.0 + n,
            **ENDINGS[n % len(ENDINGS) if n % 3 == 0 else 0],
        )
    log.drain()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLM_PLAYGROUND_LOG", url)
        yield
    log.close()


FILTERS = (
    {},
    {"model": "openai:m1"},
    {"provider": "openai"},
    {"user": "ada", "since": datetime(2026, 1, 20, tzinfo=UTC)},
    {"notebook": "n3.ipynb", "status": "completed"},
    {"tag": "x", "until": datetime(2026, 2, 14, tzinfo=UTC)},
    {"status": "failed"},
    {"search": "question 7"},
    {"user": "nobody"},
)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.parametrize("tz", ["UTC", "Asia/Tokyo"])
def test_every_chart_of_costs_adds_up_to_the_costs(filled, filters, tz):
    state = State(tuple(filters.items()))
    cards = {card.name: card for card in overview_page.cards(Figures(tz, NOW), state)}
    [expected] = spending.costs((), **filters).cost_usd.fillna(0).tolist() or [0.0]
    for name in ("days", "months", "models", "users", "notebooks"):
        drawn = sum(bar.total for bar in cards[name].drawing.rows)
        listed = sum(max(row[1].value, 0) for row in cards[name].table.rows)
        assert (drawn, listed) == pytest.approx((expected, expected)), name
    prompts = savings_page.cards(Figures(tz, NOW), state)[0]
    assert sum(row[2].value for row in prompts.table.rows) == pytest.approx(expected)
    users = admin_page.cards(Figures(tz, NOW), state)[0]
    assert sum(row[2].value for row in users.table.rows) == pytest.approx(expected)


def keys_of(card):
    """The bars of a card that can be pressed, with what they send."""
    return [(json.loads(bar.key), bar) for bar in card.drawing.rows if bar.key]


@pytest.mark.parametrize("filters", [{}, {"provider": "openai", "user": "ada"}], ids=str)
def test_a_figure_leads_to_the_runs_behind_it(filled, filters):
    figures, state = Figures("UTC", NOW), State(tuple(filters.items()))
    pages = (overview_page, quality_page)
    for card in (card for page in pages for card in page.cards(figures, state)):
        if card.drawing is None or card.name in {"times", "first"}:
            continue
        for key, bar in keys_of(card):
            found = slices.page(Slice(key["slice"], key["value"]), filters, limit=1000)
            assert found.runs == len(found.rows)
            written = [
                text
                for text in (bar.text, bar.about)
                if text.partition(" · ")[0].endswith(("run", "runs"))
            ]
            assert written[0].startswith(f"{found.runs:,} run"), (card.name, key)
            if card.name != "failures":
                cost_usd = found.cost_usd or 0.0
                assert cost_usd == pytest.approx(bar.total), (card.name, key)


def test_runs_are_paged_newest_first_and_each_once(filled):
    pages = [slices.page(Slice(), {}, limit=50, offset=offset) for offset in (0, 50, 100)]
    rows = [row for page in pages for row in page.rows]
    assert [len(page.rows) for page in pages] == [50, 50, 20]
    assert {page.runs for page in pages} == {120}
    assert len({row["run_id"] for row in rows}) == 120
    assert [row["started_at"] for row in rows] == sorted(
        (row["started_at"] for row in rows), reverse=True
    )


def test_the_summary_counts_what_the_reports_count(filled):
    tiles = {tile.name: tile for tile in overview_page.summary(Figures("UTC", NOW), State())}
    [costs] = spending.costs(()).to_dict("records")
    assert tiles["Runs"].text == "120"
    assert f"{costs['unpriced_runs']} runs without a known price" in tiles["Total cost"].about
    assert tiles["Error rate"].about == "8 of 120 failed"
    assert tiles["Budget left"].text == "no budget"


def test_hostile_names_are_text(filled):
    pages = (overview_page, quality_page, savings_page, admin_page)
    cards = [card for page in pages for card in page.cards(Figures("UTC", NOW), State())]
    for html in [card.html() for card in cards] + [card.saved() for card in cards]:
        assert "<img src=x" not in html
    assert any("&lt;img src=x" in card.html() for card in cards)
