"""What the run log says: runs, costs and latency as pandas frames, computed in SQL."""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, get_args
from zoneinfo import ZoneInfo

from llm_playground.capabilities import LOCAL_MODEL
from llm_playground.errors import InvalidParameterError
from llm_playground.runlog import open_log
from llm_playground.types import Status

if TYPE_CHECKING:
    import pandas as pd

By = Literal["month", "day", "model", "provider", "user", "notebook", "tag", "status"]
When = str | date | datetime

_STATUSES = get_args(Status)
# What a frame may be grouped by. `tag` counts a run once under each of its tags.
_GROUPS: dict[str, str] = {
    "month": "strftime(started_at AT TIME ZONE $tz, '%Y-%m')",
    "day": "strftime(started_at AT TIME ZONE $tz, '%Y-%m-%d')",
    "model": "model",
    "provider": "provider",
    "user": "username",
    "notebook": "notebook",
    "tag": "unnest(CASE WHEN json_array_length(tags) > 0 "
    "THEN CAST(tags AS VARCHAR[]) ELSE [NULL] END)",
    "status": "status",
}

_COSTS = """
    count(*) AS runs,
    sum(input_tokens)::BIGINT AS input_tokens,
    sum(output_tokens)::BIGINT AS output_tokens,
    sum(cost_usd)::DOUBLE AS cost_usd,
    count(*) FILTER (cost_usd IS NULL AND status NOT IN ('running', 'over_budget')
        AND (usage_source IS DISTINCT FROM 'none' OR status = 'completed'))
        AS unpriced_runs,
    count(*) FILTER (usage_source = 'estimated') AS estimated_runs
"""
_LATENCY = """
    count(*) AS runs,
    quantile_cont(response_time_ms, 0.50) FILTER (status = 'completed') AS p50_ms,
    quantile_cont(response_time_ms, 0.95) FILTER (status = 'completed') AS p95_ms,
    quantile_cont(response_time_ms, 0.99) FILTER (status = 'completed') AS p99_ms,
    quantile_cont(ttft_ms, 0.50) FILTER (status = 'completed') AS ttft_p50_ms,
    quantile_cont(ttft_ms, 0.95) FILTER (status = 'completed') AS ttft_p95_ms,
    median(output_tokens * 1000.0 / (response_time_ms - ttft_ms))
        FILTER (status = 'completed' AND response_time_ms > ttft_ms) AS tokens_per_second,
    (count(*) FILTER (status = 'failed') / count(*))::DOUBLE AS error_rate
"""


class FilterWords(TypedDict, total=False):
    """The filters that every report takes by name; see :class:`Filters`."""

    model: str | Sequence[str] | None
    user: str | None
    since: When | None
    until: When | None
    status: Status | Sequence[Status] | None
    tag: str | None
    notebook: str | None
    search: str | None


@dataclass(frozen=True, slots=True)
class Filters:
    """Which runs a report is about. None filters nothing.

    Args:
        model: ``"local"``, ``provider:name``, or a bare name of any provider; ``*`` stands for
            anything. Several are alternatives.
        user: Who ran it.
        since: From here on: a datetime, a date, or either in ISO form, or ``"2026-03"``.
            Without a zone, UTC.
        until: Before this moment; a date or month is included to its end.
        status: One status or several.
        tag: A tag the execution carries.
        notebook: The notebook's path or file name; ``*`` stands for anything.
        search: Text in prompts or answer, in any case.
    """

    model: str | Sequence[str] | None = None
    user: str | None = None
    since: When | None = None
    until: When | None = None
    status: Status | Sequence[Status] | None = None
    tag: str | None = None
    notebook: str | None = None
    search: str | None = None

    def where(self) -> tuple[str, dict[str, object]]:
        """The condition on the view ``runs``, and its values by name.

        Raises:
            InvalidParameterError: A value cannot be understood.
        """
        values: dict[str, object] = {
            "models": [like for name in _several(self.model) for like in _models(name)],
            "user": self.user,
            "since": _start(self.since),
            "until": _end(self.until),
            "statuses": [_status(name) for name in _several(self.status)],
            "tag": self.tag,
            "notebook": None if self.notebook is None else _like(self.notebook),
            "search": None if self.search is None else self.search.lower(),
        }
        given = {name: value for name, value in values.items() if value not in (None, [])}
        return " AND ".join(["true", *(_CONDITIONS[name] for name in given)]), given


_CONDITIONS = {
    "models": r"list_bool_or([model LIKE m ESCAPE '\' FOR m IN $models])",
    "user": "username = $user",
    "since": "started_at >= $since::TIMESTAMPTZ",
    "until": "started_at < $until::TIMESTAMPTZ",
    "statuses": "list_contains($statuses, status)",
    "tag": "json_contains(tags, to_json($tag::VARCHAR))",
    "notebook": r"('/' || notebook) LIKE ('%/' || $notebook) ESCAPE '\'",
    "search": "contains(lower(concat_ws(chr(10), system_prompt, user_prompt, response_text)), "
    "$search)",
}


def runs(*, limit: int | None = None, **filters: Unpack[FilterWords]) -> pd.DataFrame:
    """Runs, newest first: the columns of the view ``runs``.

    Args:
        limit: The most rows to give.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or cannot be understood.
        RunLogError: The log cannot be read.

    Example:
        >>> len(runs(model="local", since="2026-01-01", limit=0))
        0
    """
    condition, values = _filters(filters).where()
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise InvalidParameterError(f"limit is {limit!r}; it takes a whole number of at least 0.")
    bound = "" if limit is None else f"LIMIT {limit}"
    return open_log().frame(
        f"SELECT * FROM runs WHERE {condition} ORDER BY started_at DESC, run_id DESC {bound}",  # noqa: S608 - conditions are constants, values are bound
        values,
    )


def sql(query: str, params: Sequence[object] | Mapping[str, object] = ()) -> pd.DataFrame:
    """What one SELECT finds in the run log's tables and views.

    Args:
        query: One statement that reads; ``?`` or ``$name`` where ``params`` go.
        params: Values in order, or by name.

    Raises:
        RunLogError: The log cannot be read, or the statement is wrong or would write.

    Example:
        >>> list(sql("SELECT model, count(*) AS n FROM runs GROUP BY ALL"))
        ['model', 'n']
    """
    return open_log().frame(query, params)


def costs(
    by: By | Sequence[By] = ("month", "model"),
    *,
    tz: str = "UTC",
    **filters: Unpack[FilterWords],
) -> pd.DataFrame:
    """What runs cost: the ``by`` columns, runs, tokens, ``cost_usd``, and how sure that is.

    ``cost_usd`` is NaN where no run's price is known, never 0. ``unpriced_runs`` ended without a
    known price; ``estimated_runs`` have tokens counted here, not by the provider.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count, for example ``"Europe/Berlin"``.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    return _grouped(_COSTS, by, tz, "true", _filters(filters))


def latency(
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[FilterWords],
) -> pd.DataFrame:
    """How fast answers came, in ms: percentiles over completed runs, median tokens per second.

    ``runs`` counts those that were sent and have ended, re-used answers left out;
    ``error_rate`` is the share of them that failed.

    Args:
        by: month, day, model, provider, user, notebook, tag, status; one or several.
        tz: The time zone whose months and days count.
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: ``by``, ``tz`` or a filter cannot be understood.
        RunLogError: The log cannot be read.
    """
    sent = "NOT cached AND status NOT IN ('running', 'over_budget')"
    return _grouped(_LATENCY, by, tz, sent, _filters(filters))


def _grouped(
    figures: str, by: By | Sequence[By], tz: str, which: str, filters: Filters
) -> pd.DataFrame:
    names = _by(by)
    condition, values = filters.where()
    columns = "".join(f"{_GROUPS[name]} AS {name}_, " for name in names)
    shown = "".join(f'{name}_ AS "{name}", ' for name in names)
    order = ", ".join(f"{name}_" for name in names) or "1"
    if {"month", "day"} & set(names):
        values["tz"] = _zone(tz)
    return open_log().frame(
        f"WITH chosen AS (SELECT {columns}* FROM runs WHERE {which} AND {condition}) "  # noqa: S608 - all parts are constants, values are bound
        f"SELECT {shown}{figures} FROM chosen "
        f"GROUP BY {', '.join(f'{name}_' for name in names) or '()'} "
        f"HAVING count(*) > 0 ORDER BY {order}",
        values,
    )


def _filters(words: FilterWords) -> Filters:
    known = Filters.__slots__
    for name in words:
        if name not in known:
            raise InvalidParameterError(f"{name!r} is not a filter. There are {', '.join(known)}.")
    return Filters(**words)


def _by(by: By | Sequence[By]) -> list[str]:
    names = [by] if isinstance(by, str) else list(by)
    for name in names:
        if name not in _GROUPS:
            raise InvalidParameterError(f"by is {name!r}; it takes {', '.join(_GROUPS)}.")
    return list(dict.fromkeys(names))


def _zone(tz: str) -> str:
    try:
        ZoneInfo(tz)
    except (KeyError, ValueError, TypeError, OSError):
        raise InvalidParameterError(
            f'tz is {tz!r}; it takes a time zone such as "Europe/Berlin".'
        ) from None
    return tz


def _several(value: str | Iterable[str] | None) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _status(name: str) -> str:
    if name not in _STATUSES:
        raise InvalidParameterError(f"status is {name!r}; it takes {', '.join(_STATUSES)}.")
    return name


def _models(name: str) -> list[str]:
    """LIKE patterns over ``provider:name`` for what a person writes as a model.

    >>> _models("gpt-*")
    ['gpt-%', '%:gpt-%']
    """
    if name == "local":
        return [_like(LOCAL_MODEL)]
    return [_like(name)] if ":" in name else [_like(name), _like(f"*:{name}")]


def _like(text: str) -> str:
    r"""``*`` as ``%``, everything else as it is.

    >>> _like("50%_*")
    '50\\%\\_%'
    """
    return re.sub(r"([%_\\])", r"\\\1", text).replace("*", "%")


def _start(when: When | None) -> str | None:
    return None if when is None else _span("since", when)[0].isoformat()


def _end(when: When | None) -> str | None:
    return None if when is None else _span("until", when)[1].isoformat()


def _span(name: str, when: When) -> tuple[datetime, datetime]:
    """The first moment of what was said and the one after its end; a datetime has no length."""
    value = _parsed(name, when) if isinstance(when, str) else when
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return moment, moment
    if isinstance(value, date):
        midnight = datetime.combine(value, time(), UTC)
        days = monthrange(value.year, value.month)[1] if _is_month(when) else 1
        return midnight, midnight + timedelta(days=days)
    raise InvalidParameterError(_not_a_time(name, when))


def _parsed(name: str, text: str) -> date | datetime:
    text = text.strip()
    try:
        if _is_month(text):
            return date.fromisoformat(f"{text}-01")
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameterError(_not_a_time(name, text)) from None


def _is_month(when: object) -> bool:
    return isinstance(when, str) and re.fullmatch(r"\d{4}-\d{2}", when.strip()) is not None


def _not_a_time(name: str, value: object) -> str:
    return (
        f"{name} is {value!r}; it takes a datetime, a date, or text such as "
        '"2026-03-01", "2026-03-01T12:00" or "2026-03".'
    )
