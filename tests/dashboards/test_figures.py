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

NOW = datetime(2026, 3, 13, 12, tzinfo=UTC)  # after the last run
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
            model=MODELS[5 * n % len(MODELS)],
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
    """What bars and table cells of a card send when they are pressed, with their cost or None."""
    bars = card.drawing.rows if card.drawing else ()
    of_costs = card.name not in {"times", "first", "failures", "cache", "retiring", "budgets"}
    yield from ((bar.key, bar.total if of_costs else None, bar) for bar in bars if bar.key)
    for row in card.table.rows if card.table else ():
        yield from ((cell.key, None, None) for cell in row if cell.key)
    if card.note_key:
        yield card.note_key, None, None


def names_of_slices(filters):
    """The names of the slices that figures lead to, after a look at each slice."""
    figures, state = Figures("UTC", NOW), State(tuple(filters.items()))
    pages = (overview_page, quality_page, savings_page, admin_page)
    cards = [card for page in pages for card in page.cards(figures, state)]
    tiles = [(tile.key, None, None) for tile in overview_page.summary(figures, state)]
    pressed, names = [*tiles, *(found for card in cards for found in keys_of(card))], set()
    for key, cost_usd, bar in pressed:
        if key and (sent := json.loads(key)).get("slice"):
            part = Slice(sent["slice"], sent["value"])
            names.add(part.name)
            page = slices.page(part, filters, limit=1000)
            assert page.runs == len(page.rows)
            if cost_usd is not None:
                assert (page.cost_usd or 0.0) == pytest.approx(cost_usd), key
            for text in (bar.text, bar.about) if bar else ():
                if text.partition(" · ")[0].endswith(("run", "runs")):
                    assert text.startswith(f"{page.runs:,} run"), key
    return names


@pytest.mark.parametrize(
    "filters",
    [{}, {"provider": "openai", "user": "ada"}, {"since": datetime(2026, 2, 1, tzinfo=UTC)}],
    ids=str,
)
def test_a_figure_leads_to_the_runs_behind_it(filled, filters):
    with open_log().opened():
        names = names_of_slices(filters)
    assert names >= {"all", "completed", "whenever", "days", "model", "user", "prompt"}
    if not filters:
        assert names >= {"other_model", "other_notebook", "other_prompt", "unpriced", "failure"}


def test_the_rest_of_the_prompts_leads_to_its_runs(filled):
    [*_, rest] = savings_page.cards(Figures("UTC", NOW), State())[0].table.rows
    sent = json.loads(rest[0].key)
    page = slices.page(Slice(sent["slice"], sent["value"]), {})
    assert rest[0].text == "all other prompts"
    assert page.cost_usd == pytest.approx(rest[2].value)


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
