"""A press of Run: what it sends, and the question that it may be answered with first."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from llm_playground.budgeting import check_worst_case
from llm_playground.errors import BudgetExceededError
from llm_playground.footer import usd
from llm_playground.widgets.form import Form, Ordered, first, order
from llm_playground.widgets.outlooks import outlooks
from llm_playground.widgets.previews import many
from llm_playground.widgets.price_tag import fitting
from llm_playground.widgets.quotes import quotes

# What the audit log has for the reason why more than `confirm_above_usd` was sent.
_TWICE = "Run was pressed twice"


@dataclass(frozen=True, slots=True)
class Press:
    """What a person wants sent.

    Args:
        one: The first call alone.
        override: Why it is to be sent whatever budgets say.
        fits: As many calls as the price tag said that budgets let through; None for all.
        confirmed: The fingerprint of the calls that the panel has asked about.
        view: Which view, empty for Python.
    """

    one: bool = False
    override: str | None = None
    fits: int | None = None
    confirmed: str = ""
    view: str = ""

    @classmethod
    def from_view(cls, content: Mapping[str, Any]) -> Press:
        """As a view's message has it."""
        return cls(
            one=bool(content.get("one")),
            override=content.get("override"),
            fits=content.get("fits"),
            confirmed=str(content.get("confirmed") or ""),
            view=str(content.get("view") or ""),
        )


class Unconfirmed(Exception):  # noqa: N818 - a question, not an error
    """The person should look once more. ``question`` is the message to the view."""

    def __init__(self, question: Mapping[str, Any]) -> None:
        super().__init__(question)
        self.question = question


def ordered(press: Press, form: Form, notebook: Mapping[str, object]) -> tuple[Ordered, ...]:
    """The calls that a press sends.

    Raises:
        ConfigError: Something cannot be sent as it stands; one line says what.
        BudgetExceededError: It could cost more than ``confirm_above_usd``.
        RunLogError: An override cannot be noted.
        Unconfirmed: A view's press could cost more than ``confirm_above_usd``, or other calls fit
            the budget than it has shown.
    """
    wanted = first(form) if press.one and form.models else form
    calls = order(wanted, notebook, press.override)
    if press.fits is not None and not press.one and press.override is None:
        calls = _fitting(press, calls, wanted, notebook)
    requests = [one.call.request for one in calls]
    fingerprint = _fingerprint(calls)
    if press.confirmed == fingerprint and press.override is None:
        check_worst_case(requests, _TWICE)
        return calls
    try:
        check_worst_case(requests, press.override)
    except BudgetExceededError as error:
        if not press.view:
            raise
        raise Unconfirmed(_question(press, error, fingerprint)) from None
    return calls


def _fitting(
    press: Press, calls: Sequence[Ordered], form: Form, notebook: Mapping[str, object]
) -> tuple[Ordered, ...]:
    known = outlooks.known()
    quoted = quotes(form, notebook, known, datetime.now(UTC))
    counts = fitting(quoted, known.standings).counts
    if sum(counts) != press.fits or not press.fits:
        says = f"{sum(counts):,} of {len(calls):,} calls fit the budget now. Nothing was sent."
        raise Unconfirmed({"type": "look", "view": press.view, "says": says})
    rest, kept = list(calls), []
    for quote, count in zip(quoted, counts, strict=True):
        kept += rest[:count]
        del rest[: quote.times]
    return tuple(kept)


def _fingerprint(calls: Sequence[Ordered]) -> str:
    """The same for the same requests, however often they are ordered."""
    ids = "\n".join(one.call.execution.prompt_id for one in calls)
    return hashlib.sha256(ids.encode()).hexdigest()


def _question(press: Press, error: BudgetExceededError, fingerprint: str) -> dict[str, Any]:
    estimate = error.estimate
    assert estimate is not None and estimate.worst_case_usd is not None  # noqa: S101, PT018 - its own
    about = "about " if estimate.assumed else ""
    word, calls = "Try one" if press.one else "Run", estimate.calls
    return {
        "type": "confirm",
        "view": press.view,
        "one": press.one,
        "confirmed": fingerprint,
        "button": f"{word} · up to {about}{usd(estimate.worst_case_usd)}",
        "says": f"Press again to send {many(calls, 'call')}",
    }
