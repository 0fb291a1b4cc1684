"""What a person could do about an answer that ended badly, as buttons under it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from llm_playground import estimates, footer
from llm_playground.budgeting import history_of
from llm_playground.types import Request, Run

# An answer that was cut off is likely to fit into twice as much; one that had no room left beside
# its reasoning needs far more.
_MORE, _FAR_MORE = 2, 8


def remedies(run: Run, request: Request | None) -> list[dict[str, Any]]:
    """Other tries, each with its words and the parameters it changes; empty when all is well.

    A cut-off answer: ``Retry with 2,048 · at most $0.0042``.
    """
    limit = run.cut_off_at if run.finish_reason == "length" else None
    if request is not None and limit:
        return [_with_more(request, limit * (_MORE if run.text else _FAR_MORE))]
    return [{"label": "Retry", "changes": {}}] if run.status == "failed" else []


def _with_more(request: Request, max_tokens: int) -> dict[str, Any]:
    more = replace(request, parameters=replace(request.parameters, max_tokens=max_tokens))
    most = estimates.of(more, datetime.now(UTC), history_of(request.model)).worst_case_usd
    price = "price unknown" if most is None else f"at most {footer.usd(most)}" if most else "free"
    return {
        "label": f"Retry with {max_tokens:,} · {price}",
        "changes": {"max_tokens": max_tokens},
    }
