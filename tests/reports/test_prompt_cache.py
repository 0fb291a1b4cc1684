"""Prefixes that prompts share, and what a prompt cache could have saved."""

from datetime import timedelta
from decimal import Decimal

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.reports import savings
from llm_playground.types import Usage
from tests.reports.shelf import NEW_YEAR, add, add_row

COLUMNS = ["model", "prefix", "missed_usd", "missed_tokens", "cached_tokens", "runs", "repeat_runs"]
COLUMNS += ["prompts", "prefix_tokens", "minimum_tokens", "advice"]
LONG = "You are a careful assistant. " * 300  # 8,700 characters


@pytest.fixture(autouse=True)
def prices():
    """Ten dollars for a million tokens, one from the cache, twelve and a half into it."""
    rates = {"input_usd_per_mtok": 10, "output_usd_per_mtok": 20, "cache_read_usd_per_mtok": 1}
    lp.configure(
        prices={
            "openai:gpt-x": rates,
            "anthropic:claude-x": rates | {"cache_write_usd_per_mtok": "12.5"},
        }
    )


def ask(log, question, *, after_s=0, system=LONG, read=0, tokens=2000, **known):
    at = NEW_YEAR + timedelta(seconds=after_s)
    add(log, question=question, system=system, at=at, usage=Usage(tokens, 10, read), **known)


def test_a_shared_beginning_is_found_with_what_it_could_save(log):
    for number in range(5):
        ask(log, f"{number} is the question", after_s=60 * number)
    frame = savings.prompt_cache()
    assert list(frame) == COLUMNS
    [row] = frame.itertuples()
    assert (row.model, row.prompts, row.runs, row.repeat_runs) == ("openai:gpt-x", 5, 5, 4)
    assert row.prefix.startswith("You are a careful assistant. You are")
    assert row.prefix.endswith("…")
    assert row.prefix_tokens == pytest.approx(2000, rel=0.03)
    assert row.missed_tokens == 4 * row.prefix_tokens
    assert row.missed_usd == pytest.approx(row.missed_tokens * 9 / 1e6)
    assert "automatic" in row.advice


def test_writing_into_the_cache_costs_where_it_does(log):
    model = "anthropic:claude-x"
    for number in range(3):
        ask(log, f"{number}?", after_s=number, model=model)
    [row] = savings.prompt_cache().itertuples()
    once = row.prefix_tokens
    assert row.missed_usd == pytest.approx((2 * once * 9 - once * 2.5) / 1e6)
    assert "cache_control" in row.advice


def test_what_was_cached_is_not_missed(log):
    for number in range(4):
        ask(log, f"{number}?", after_s=number, read=0 if number == 0 else 1950)
    assert savings.prompt_cache().empty
    ask(log, "4?", after_s=5)
    ask(log, "5?", after_s=6)
    [row] = savings.prompt_cache().itertuples()
    assert (row.cached_tokens, row.missed_tokens) == (5850, 5 * row.prefix_tokens - 5850)


@pytest.mark.parametrize(
    "known",
    [
        {"system": "Short."},
        {"tokens": 1000},
        {"after_s": 301},
        {"model": "gemini:gemini-3-flash"},
        {"model": "local:smollm2-135m-instruct"},
        {"cached": True},
    ],
)
def test_what_a_cache_would_not_help_is_not_listed(log, known):
    """Too short, too late, below a provider's minimum, free, or answered out of the log."""
    ask(log, "First?", **known | {"after_s": 0})
    ask(log, "Second?", **known)
    frame = savings.prompt_cache()
    assert frame.empty
    assert list(frame) == COLUMNS


def test_prefixes_are_separate_and_sorted_by_saving(log):
    other = "Another text altogether. " * 800
    for number in range(3):
        ask(log, f"{number}?", after_s=number)
        ask(log, f"{number}?", after_s=number, system=other, tokens=5000)
    frame = savings.prompt_cache()
    assert [text[:7] for text in frame.prefix] == ["Another", "You are"]
    assert frame.missed_usd.is_monotonic_decreasing


def test_a_question_before_the_long_part_shares_nothing(log):
    for number in range(3):
        ask(log, f"{number}?", after_s=number, system=f"Case {number}. {LONG}")
    assert savings.prompt_cache().empty


def test_an_unknown_price_is_not_zero(log):
    for number in range(2):
        ask(log, f"{number}?", after_s=number, model="openrouter:none/such", cost_usd=None)
    [row] = savings.prompt_cache().itertuples()
    assert row.missed_tokens > 0
    assert pd.isna(row.missed_usd)


def test_runs_are_chosen_as_in_every_report(log):
    for number in range(2):
        ask(log, f"{number}?", after_s=number, user="bob")
    assert len(savings.prompt_cache(user="bob")) == len(savings.prompt_cache(tag=None)) == 1
    assert savings.prompt_cache(user="ada").empty


def test_rows_without_a_prompt_do_no_harm(log):
    for _ in range(2):
        add_row(log, model="theirs:m", input_tokens=5000, started_at=NEW_YEAR, cost_usd=Decimal(1))
    assert savings.prompt_cache().empty
