"""Which calls count in a budget, and its messages."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.budgeting.budget import (
    Budget,
    describe_limit,
    matches,
    period_span,
    refused_message,
)

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
def test_periods_are_contiguous(moment, period):
    here = period_span(period, moment)

    assert moment in here
    if here.end is not None:
        assert here.end not in here
        assert here.end - timedelta(microseconds=1) in here
        assert period_span(period, here.end).start == here.end


@pytest.mark.parametrize(
    ("moment", "month"),
    [
        ("2026-11-30T23:59:59.999999", ("2026-11-01", "2026-12-01")),
        ("2026-12-01T00:00:00", ("2026-12-01", "2027-01-01")),
        ("2028-02-29T12:00:00", ("2028-02-01", "2028-03-01")),
    ],
)
def test_months_are_in_utc(moment, month):
    assert (period_span("month", at(moment)).start, period_span("month", at(moment)).end) == tuple(
        map(at, month)
    )


def test_moments_of_other_time_zones_are_converted():
    evening = datetime(2026, 11, 30, 20, tzinfo=timezone(timedelta(hours=-5)))  # 1 Dec, 01:00 UTC

    assert period_span("day", evening).start == at("2026-12-01")


@pytest.mark.parametrize(
    ("pattern", "model", "matched"),
    [
        ("gpt-*", "openai:gpt-6", True),
        ("gpt-6", "openai:gpt-6-mini", False),
        ("openai:*", "openai:gpt-6", True),
        ("openai:*", "mine:openai:x", False),
        ("*", "anthropic:any", True),
        ("local", "local:smollm2-135m-instruct", True),
        ("gpt.6", "openai:gpt-6", False),
        ("GPT-6", "openai:gpt-6", True),
        ("a*b*c", "x:a-b-c", True),
    ],
)
def test_model_patterns(pattern, model, matched):
    assert matches(pattern, model) is matched


def test_all_criteria_must_match():
    picky = budget(model="gpt-*", user="ada", tag="eval")

    assert picky.applies_to("openai:gpt-6", "ada", ("eval", "other"))
    assert not picky.applies_to("openai:gpt-6", "bob", ("eval",))
    assert not picky.applies_to("openai:gpt-6", "ada", ())
    assert not picky.applies_to("anthropic:x", "ada", ("eval",))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, "$50.00 for November"),
        ({"period": "day"}, "$50.00 for 21 Nov"),
        ({"period": "total", "model": "gpt-*"}, "$50.00 in total on gpt-*"),
        ({"user": "bob", "tag": "eval"}, "$50.00 for November by bob tagged eval"),
    ],
)
def test_description_of_a_limit(given, text):
    one = budget(**given)

    assert describe_limit(one, period_span(one.period, at("2026-11-21T17:52:00"))) == text


def test_refusal_has_origin_remainder_and_reset():
    one = budget()
    here = period_span("month", at("2026-11-21"))

    assert refused_message(one, here, Decimal("0.0154"), Decimal("0.0101")).startswith(
        "Not sent: could cost up to $0.0154, $0.0101 is left of $50.00 for November "
        "(set by ada, resets 1 Dec UTC)."
    )
    assert "$0.000041, $0.000039 is left" in refused_message(
        one, here, Decimal("0.000041"), Decimal("0.000039")
    )
    assert "nothing is left" in refused_message(one, here, Decimal(1), Decimal(0))
