"""Which prompts, notebooks and users of the log use a model that its provider ends soon."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from numbers import Integral
from typing import TYPE_CHECKING, Unpack, cast

from llm_playground import _runtime
from llm_playground._validation import checks_arguments, repr_of, shorten
from llm_playground.catalog import models
from llm_playground.catalog.retirements import days_left
from llm_playground.errors import InvalidParameterError
from llm_playground.reports.query import SENT, By, Filters, check_filters, grouped, names_of, report

if TYPE_CHECKING:
    import pandas as pd

_REFRESH_S = 2.0
_MONTH = timedelta(days=30)
_MOST_DAYS = 36_500
_MAX_PROMPT_CHARS = 120
_MOST_LISTED = 50
_LISTS = {"prompts": "prompt", "notebooks": "notebook", "users": "username"}
_FIGURES = (
    *("retires_at", "days_left", "runs", "monthly_usd"),
    *_LISTS,
    "last_used_at",
)
# `monthly_usd` is NULL where no run of these 30 days has a known price, and 0 where there is none.
_TEMPLATE = f"""
SELECT {{shown}}count(*) AS runs,
    CASE WHEN count(*) FILTER (WHERE is_recent) = 0 THEN 0
        ELSE sum(cost_usd) FILTER (WHERE is_recent) END::FLOAT8 AS monthly_usd,
    {
    ", ".join(
        f"to_json((array_agg(DISTINCT {column}) FILTER (WHERE {column} IS NOT NULL))"
        f"[1:{_MOST_LISTED}])::TEXT AS {name}"
        for name, column in _LISTS.items()
    )
},
    max(started_at) AS last_used_at
FROM (
    SELECT {{inner}}r.started_at, r.cost_usd, e.notebook, e.username,
        left(p.user_prompt, {_MAX_PROMPT_CHARS}) AS prompt,
        coalesce(r.started_at >= $month_ago::TIMESTAMPTZ, false) AS is_recent
    {{from_runs}}
) AS chosen
GROUP BY {{group}} ORDER BY {{order_or_1}}
"""  # noqa: S608 - names of columns


@checks_arguments("retiring")
def retiring(
    within_days: int = 90, *, by: By | Sequence[By] = (), **filters: Unpack[Filters]
) -> pd.DataFrame:
    """The models of the log that end soon, or have ended, and what uses them; the first end first.

    The ends are those of the providers' live lists, which are queried for at most two seconds, and
    of their announcements.

    Columns: ``model``, those of ``by``, ``retires_at`` (UTC), ``days_left`` (between the dates in
    UTC; negative after the end), ``runs``, ``monthly_usd`` (the cost of the last 30 days; NaN where
    no price is known), ``prompts`` (the starts of the user prompts), ``notebooks`` and
    ``users`` (lists of at most 50 each), ``last_used_at``.

    Args:
        within_days: How soon a model ends, in days from today.
        by: Further columns to group by: notebook, user, tag, ...
        **filters: See :class:`~llm_playground.reports.query.Filters`.

    Raises:
        InvalidParameterError: ``within_days``, ``by`` or a filter is invalid.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> lp.retiring(by="notebook").columns[:3].tolist()
        ['model', 'notebook', 'retires_at']
    """
    check_filters(filters, retiring)
    names, days = names_of(["model", *names_of(by)]), _days(within_days)
    _runtime.run(models.refresh(_REFRESH_S))
    return ending(days, names, filters, datetime.now(UTC))


def ending(within_days: int, names: Sequence[By], filters: Filters, now: datetime) -> pd.DataFrame:
    """The frame of :func:`retiring` as of ``now``, by the lists that were read before."""
    import pandas as pd  # first use, not import

    from llm_playground.frames import Frame

    used = grouped("count(*) AS runs", "model", filters, which=SENT)["model"].dropna()
    ends = {
        name: at for name, at in models.ends_of(used).items() if days_left(at, now) <= within_days
    }
    if not ends:
        return Frame(columns=[*names, *_FIGURES])
    of_these = cast("Filters", {**filters, "model": list(ends)})
    values = {"month_ago": (now - _MONTH).isoformat()}
    tables = frozenset({"e", "p"})
    frame = report(_TEMPLATE, names, of_these, which=SENT, tables=tables, values=values)
    retires_at = frame["model"].map(ends)
    frame["retires_at"] = pd.to_datetime(retires_at, utc=True)
    frame["days_left"] = [days_left(at, now) for at in retires_at]
    for name in _LISTS:
        frame[name] = [_texts(value) for value in frame[name]]
    frame = frame.sort_values("retires_at", kind="stable", ignore_index=True)
    return frame[[*names, *_FIGURES]]


def _days(value: object) -> int:
    if isinstance(value, Integral) and not isinstance(value, bool):
        days = int(value)
        if 0 <= days <= _MOST_DAYS:
            return days
    raise InvalidParameterError(
        f"within_days is {repr_of(value)}; it takes a whole number from 0 to {_MOST_DAYS:,}."
    )


def _texts(value: object) -> list[str]:
    """The texts of a JSON list, each on one line, in order; a frame has NaN for NULL."""
    texts = json.loads(value) if isinstance(value, str) else None
    return sorted({shorten(text, _MAX_PROMPT_CHARS) for text in texts or ()})
