"""What past runs would have cost on another model."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.catalog import pricing
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.reports import savings
from llm_playground.reports.savings import RateCard
from llm_playground.types import Usage
from tests.reports.shelf import NEW_YEAR, add, add_row

COLUMNS = ["runs", "input_tokens", "output_tokens", "cost_usd", "what_if_usd", "difference_usd"]
COLUMNS += ["unknown_runs"]
TIERED = "gemini:gemini-2.5-pro"  # its tier starts at 200,000 input tokens


@pytest.fixture
def own_prices():
    dear = {"input_usd_per_mtok": 1_000_000, "output_usd_per_mtok": 2_000_000}
    lp.configure(prices={"openai:dear": dear | {"cache_read_usd_per_mtok": 500_000}})


def priced_one_by_one(model, usages):
    now = datetime.now(UTC)
    return float(sum(pricing.price(model, usage, now).cost_usd for usage in usages))


def test_tiers_apply_to_each_run(log):
    usages = [
        Usage(200_000, 10, 50_000, 0),
        Usage(200_001, 10, 0, 0),
        Usage(900_000, 7, 300_000, 100_000),
        Usage(3, 500, None, None),
    ]
    for usage in usages:
        add(log, usage=usage, cost_usd=Decimal("1"))
    [row] = savings.what_if(TIERED).itertuples()
    assert row.what_if_usd == pytest.approx(priced_one_by_one(TIERED, usages), rel=1e-12)
    naive = Usage(1_300_004, 527, 350_000, 100_000)
    assert row.what_if_usd != pytest.approx(priced_one_by_one(TIERED, [naive]), rel=0.05)
    assert row.difference_usd == pytest.approx(row.what_if_usd - 4)


def test_own_prices_count(log, own_prices):
    add(log, usage=Usage(10, 2, 4, 0), cost_usd=Decimal(3))
    [row] = savings.what_if("openai:dear", by=()).itertuples(index=False)
    assert tuple(row) == (1, 10, 2, 3.0, 6 + 2 + 4, 9.0, 0)


def test_counts_that_contradict_each_other_are_unknown(log):
    add(log, usage=Usage(10, 1, 30, 0))
    add(log, usage=Usage(10, 1, 6, 6))
    [row] = savings.what_if(TIERED).itertuples()
    assert (row.runs, row.unknown_runs) == (2, 2)
    assert pd.isna(row.what_if_usd)


def test_unknown_counts_are_not_guessed(log, own_prices):
    add(log, usage=None, usage_source="estimated", cost_usd=None)
    add(log, usage=Usage(1, 1), cost_usd=None)
    add(log, usage=None, usage_source="none", status="failed", cost_usd=None)
    add_row(log, model="openai:gpt-x", status="completed", started_at=NEW_YEAR)
    [row] = savings.what_if("openai:dear").itertuples()
    assert (row.runs, row.unknown_runs, row.what_if_usd) == (4, 2, 3.0)
    assert pd.isna(row.cost_usd)
    assert pd.isna(row.difference_usd)


def test_only_what_was_sent_is_repriced(log, own_prices):
    add(log, usage=Usage(1, 0), cached=True, cost_usd=Decimal(0))
    add(log, usage=None, usage_source="none", status="over_budget", cost_usd=None)
    assert len(savings.what_if("openai:dear")) == 0
    assert list(savings.what_if("openai:dear")) == ["model", *COLUMNS]
    assert list(savings.what_if("openai:dear", by=())) == COLUMNS


def test_runs_are_chosen_and_grouped_as_in_every_report(log, own_prices):
    add(log, user="bob", usage=Usage(1, 0))
    add(log, user="ada", usage=Usage(2, 0), at=NEW_YEAR + timedelta(days=40))
    add(log, user="ada", usage=Usage(4, 0), model="local:m")
    frame = savings.what_if("openai:dear", by=["user", "month"], model="gpt-x")
    rows = list(zip(frame.user, frame.month, frame.what_if_usd, strict=True))
    assert rows == [("ada", "2026-02", 2.0), ("bob", "2026-01", 1.0)]


def test_a_model_without_a_price_is_an_error_in_one_line(log):
    with pytest.raises(InvalidParameterError, match="price of openai:gpt-none is unknown"):
        savings.what_if("openai:gpt-none")
    with pytest.raises(UnknownModelError):
        savings.what_if("nonsense")
    with pytest.raises(InvalidParameterError, match="other model first"):
        savings.what_if(model="local")


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini", "openrouter"])
def test_a_rate_card_is_as_exact_as_the_price_list(provider):
    """For every listed model of a provider, over sums of runs on both sides of every tier."""
    now, chance = datetime.now(UTC), random.Random(provider)
    compared = 0
    for model in [f"{provider}:{name}" for name in listed(provider)]:
        try:
            card = RateCard.of(model, now)
        except InvalidParameterError:
            continue
        for number, rates in enumerate(card.tiers):
            bounds = [0, *card.starts, 2_000_000]
            usages = [
                usage_within(chance, bounds[number] + 1, bounds[number + 1]) for _ in range(3)
            ]
            together = Usage(*(sum(counts) for counts in zip(*map(counts_of, usages), strict=True)))
            exact = sum(pricing.price(model, usage, now).cost_usd for usage in usages)
            assert rates.price(len(usages), together) == pytest.approx(exact, abs=Decimal("1e-18"))
            compared += 1
    assert compared > 10


def listed(provider):
    from genai_prices import data_snapshot

    priced_as = config.rows()[provider].priced_as
    snapshot = data_snapshot.get_snapshot()
    [found] = [each for each in snapshot.providers if each.id == priced_as]
    return [model.id for model in found.models]


def usage_within(chance, least, most):
    sent = chance.randint(least, most)
    read = chance.randint(0, sent)
    return Usage(sent, chance.randint(0, 50_000), read, chance.randint(0, sent - read))


def counts_of(usage):
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    return [getattr(usage, name) for name in names]
