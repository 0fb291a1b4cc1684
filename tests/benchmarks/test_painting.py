"""Painting answers, in short, beside Markdown that is shown again ten times a second."""

import pytest

from tests.benchmarks.painting import measure

PANES, DELTAS = 4, 1_000


@pytest.fixture(scope="module")
def costs():
    return measure(PANES, DELTAS, "playground", "Markdown, 10 Hz")


def test_less_goes_to_the_page_than_with_markdown_that_is_replaced(costs):
    ours, theirs = costs["playground"], costs["Markdown, 10 Hz"]

    assert ours.megabytes < 0.7 * theirs.megabytes
    assert ours.messages < theirs.messages


def test_growing_costs_the_page_no_more_than_replacing(costs):
    ours, theirs = costs["playground"], costs["Markdown, 10 Hz"]

    assert ours.main_thread_s < 1.5 * theirs.main_thread_s
