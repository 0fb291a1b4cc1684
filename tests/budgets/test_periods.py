"""Which calls a budget is about: periods of UTC, patterns of models, users, tags."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.budgeting.budget import Budget, fits, span
from llm_playground.budgeting.words import limit, refused

moments = st.datetimes(
    datetime(2020, 1, 1),
    datetime(2100, 1, 1),
    timezones=st.just(UTC),
)


def budget(**given):
    values = {
        "id": "b",
        "limit_usd": Decimal(50),
        "period": "month",
        "model": None,
        "user": None,
        "tag": None,
        "action": "block",
        "unknown_price": "warn",
        "created_by": "ada",
        "created_at": datetime(2026, 11, 1, tzinfo=UTC),
    }
    return Budget(**(values | given))


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@given(moments, st.sampled_from(["day", "month", "total"]))
def test_every_moment_is_in_its_period_and_the_next_one_begins_where_it_ends(moment, period):
    here = span(period, moment)

    assert moment in here
    if here.end is not None:
        assert here.end not in here
        assert here.end - timedelta(microseconds=1) in here
        assert span(period, here.end).start == here.end


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-11-30T23:59:59.999999", ("2026-11-01", "2026-12-01")),
        ("2026-12-01T00:00:00", ("2026-12-01", "2027-01-01")),
        ("2028-02-29T12:00:00", ("2028-02-01", "2028-03-01")),
    ],
)
def test_months_are_those_of_utc(moment, month):
    assert (span("month", at(moment)).start, span("month", at(moment)).end) == tuple(map(at, month))


def test_a_moment_of_another_zone_counts_where_it_is_in_utc():
    evening = datetime(2026, 11, 30, 20, tzinfo=timezone(timedelta(hours=-5)))  # 1 Dec, 01:00 UTC

    assert span("day", evening).start == at("2026-12-01")


@pytest.mark.parametrize(
    ("pattern", "model", "is_meant"),
    [
        ("gpt-*", "openai:gpt-6", True),
        ("gpt-6", "openai:gpt-6-mini", False),
        ("openai:*", "openai:gpt-6", True),
        ("openai:*", "mine:openai:x", False),
        ("*", "anthropic:any", True),
        ("local", "local:smollm2-135m-instruct", True),
        ("gpt.6", "openai:gpt-6", False),
        ("GPT-6", "openai:gpt-6", False),
        ("a*b*c", "x:a-b-c", True),
    ],
)
def test_a_pattern_means_what_a_person_means(pattern, model, is_meant):
    assert fits(pattern, model) is is_meant


def test_all_that_is_said_must_fit():
    picky = budget(model="gpt-*", user="ada", tag="eval")

    assert picky.applies_to("openai:gpt-6", "ada", ("eval", "other"))
    assert not picky.applies_to("openai:gpt-6", "bob", ("eval",))
    assert not picky.applies_to("openai:gpt-6", "ada", ())
    assert not picky.applies_to("anthropic:x", "ada", ("eval",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "$50.00 for November"),
        ({"period": "day"}, "$50.00 for 21 Nov"),
        ({"period": "total", "model": "gpt-*"}, "$50.00 in all on gpt-*"),
        ({"user": "bob", "tag": "eval"}, "$50.00 for November by bob tagged eval"),
    ],
)
def test_a_budget_is_said_in_words(given, said):
    one = budget(**given)

    assert limit(one, span(one.period, at("2026-11-21T17:52:00"))) == said


def test_a_refusal_says_who_set_it_what_is_left_and_when_it_resets():
    one = budget()
    here = span("month", at("2026-11-21"))

    assert refused(one, here, Decimal("0.0154"), Decimal("0.0101")).startswith(
        "Not sent: could cost up to $0.0154, $0.0101 is left of $50.00 for November "
        "(set by ada, resets 1 Dec UTC)."
    )
    assert "$0.000041, $0.000039 is left" in refused(
        one, here, Decimal("0.000041"), Decimal("0.000039")
    )
    assert "nothing is left" in refused(one, here, Decimal(1), Decimal(0))
