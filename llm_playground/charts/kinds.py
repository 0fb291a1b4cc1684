"""Which report a frame is, told by its columns, and what of it is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from llm_playground.errors import InvalidParameterError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Kind:
    """A report as a chart.

    Args:
        name: The report's.
        title: What the chart shows.
        columns: The columns by which its frames are known.
        first: The column behind its groups: every column before is one.
        values: What is drawn of each group, with its name for people.
        unit: Of those values.
        labels: The columns that name a row, where groups do not.
        stacked: Whether the values are parts of one whole.
        span: The columns between which the last value may lie.
    """

    name: str
    title: str
    columns: frozenset[str]
    first: str
    values: Sequence[tuple[str, str]]
    unit: str
    labels: Sequence[str] = ()
    stacked: bool = False
    span: tuple[str, str] | None = None

    def groups(self, frame: pd.DataFrame) -> list[str]:
        """The columns that say what a row is about."""
        if self.labels:
            return [name for name in self.labels if name in frame.columns]
        return [str(name) for name in frame.columns[: list(frame.columns).index(self.first)]]


def _kind(
    name: str,
    title: str,
    needs: str,
    values: Sequence[tuple[str, str]],
    unit: str = "US dollars",
    *,
    first: str = "runs",
    labels: Sequence[str] = (),
    stacked: bool = False,
    span: tuple[str, str] | None = None,
) -> Kind:
    columns = frozenset({*needs.split(), *(column for column, _ in values)})
    return Kind(name, title, columns, first, values, unit, labels, stacked, span)


# The first whose columns a frame has.
KINDS: tuple[Kind, ...] = (
    _kind(
        "latency",
        "Response time of completed runs",
        "error_rate",
        [("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99")],
        "ms",
    ),
    _kind(
        "waste",
        "Paid for nothing whole",
        "wasted_usd retries",
        [
            ("cancelled_usd", "cancelled"),
            ("truncated_usd", "cut off"),
            ("blocked_usd", "blocked"),
            ("failed_usd", "failed"),
        ],
        stacked=True,
    ),
    _kind(
        "what_if",
        "What it cost, and would cost on another model",
        "difference_usd",
        [("cost_usd", "cost"), ("what_if_usd", "what if")],
    ),
    _kind(
        "forecast",
        "The month at its end",
        "days_left low_usd high_usd",
        [("spent_usd", "spent"), ("expected_usd", "expected")],
        first="spent_usd",
        span=("low_usd", "high_usd"),
    ),
    _kind(
        "reconcile",
        "The provider's report against the log",
        "difference_usd reason",
        [("theirs_usd", "theirs"), ("ours_usd", "ours")],
        labels=("day", "model"),
    ),
    _kind(
        "prompt_cache",
        "What a prompt cache would have saved",
        "prefix_tokens",
        [("missed_usd", "missed")],
        labels=("model", "prefix"),
    ),
    _kind(
        "duplicates",
        "Paid for asking again",
        "prompt_hash",
        [("repeated_usd", "repeats")],
        labels=("model", "user_prompt"),
    ),
    _kind(
        "failures",
        "Failures",
        "rate last_message",
        [("runs", "runs")],
        "runs",
        labels=("month", "day", "model", "provider", "user", "notebook", "tag", "error_type"),
    ),
    _kind("usage_by", "Use", "prompts models first_at", [("cost_usd", "cost")]),
    _kind("costs", "Cost", "runs unpriced_runs estimated_runs", [("cost_usd", "cost")]),
)


def kind_of(frame: pd.DataFrame) -> Kind:
    """Which report a frame is.

    Raises:
        InvalidParameterError: It is none that can be drawn.
    """
    columns = {str(name) for name in frame.columns}
    for kind in KINDS:
        if kind.columns <= columns:
            return kind
    known = ", ".join(sorted(kind.name for kind in KINDS))
    raise InvalidParameterError(f"A chart is drawn of a report: {known}. This frame is none.")
