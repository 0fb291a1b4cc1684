"""Which runs a report is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TypedDict, get_args

from llm_playground.capabilities import LOCAL_MODEL
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import moments
from llm_playground.reports.moments import When
from llm_playground.runlog import Dialect
from llm_playground.types import Status


class Filters(TypedDict, total=False):
    """The filters that every report takes by name. None filters nothing.

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

    model: str | Sequence[str] | None
    user: str | None
    since: When | None
    until: When | None
    status: Status | Sequence[Status] | None
    tag: str | None
    notebook: str | None
    search: str | None


@dataclass(frozen=True, slots=True)
class Condition:
    """A WHERE over the tables ``r`` (results), ``e`` (executions) and ``p`` (prompts).

    Args:
        sql: The condition, with ``$name`` for values.
        values: Those values.
        tables: Which of the tables it reads beside ``r``.
    """

    sql: str
    values: Mapping[str, object]
    tables: frozenset[str]


# By the name of its value: the tables beside `r`, and the SQL of each engine.
_CONDITIONS: dict[str, tuple[str, Mapping[Dialect, str]]] = {
    "models": (
        "",
        {
            "duckdb": r"list_bool_or([r.model LIKE m ESCAPE '\' FOR m IN $models])",
            "postgres": "r.model LIKE ANY($models)",
        },
    ),
    "since": ("", dict.fromkeys(("duckdb", "postgres"), "r.started_at >= $since::TIMESTAMPTZ")),
    "until": ("", dict.fromkeys(("duckdb", "postgres"), "r.started_at < $until::TIMESTAMPTZ")),
    "statuses": (
        "",
        {"duckdb": "list_contains($statuses, r.status)", "postgres": "r.status = ANY($statuses)"},
    ),
    "user": ("e", dict.fromkeys(("duckdb", "postgres"), "e.username = $user")),
    "notebook": (
        "e",
        dict.fromkeys(
            ("duckdb", "postgres"), r"('/' || e.notebook) LIKE ('%/' || $notebook::TEXT) ESCAPE '\'"
        ),
    ),
    "tag": (
        "e",
        {
            "duckdb": "json_contains(e.tags, to_json($tag::VARCHAR))",
            "postgres": "e.tags @> to_jsonb($tag::TEXT)",
        },
    ),
    "search": (
        "ep",
        {
            "duckdb": "contains(lower(concat_ws(chr(10), p.system_prompt, p.user_prompt, "
            "r.response_text)), $search)",
            "postgres": "strpos(lower(concat_ws(chr(10), p.system_prompt, p.user_prompt, "
            "r.response_text)), $search) > 0",
        },
    ),
}


def condition(filters: Filters, dialect: Dialect) -> Condition:
    """What ``filters`` say, for one engine.

    Raises:
        InvalidParameterError: A filter is unknown or cannot be understood.
    """
    given = _values(filters)
    parts = [_CONDITIONS[name] for name in given]
    return Condition(
        sql=" AND ".join(["true", *(sql[dialect] for _, sql in parts)]),
        values=given,
        tables=frozenset(table for tables, _ in parts for table in tables),
    )


def bound(limit: object) -> str:
    """The end of a SELECT that gives so many rows at most; empty where nobody bounds it.

    Raises:
        InvalidParameterError: It is no whole number of at least 0.
    """
    if limit is None:
        return ""
    if isinstance(limit, bool) or not isinstance(limit, Integral) or limit < 0:
        raise InvalidParameterError(f"limit is {limit!r}; it takes a whole number of at least 0.")
    return f"LIMIT {int(limit)}"


def _values(filters: Filters) -> dict[str, object]:
    _check_names(filters)
    since, until = filters.get("since"), filters.get("until")
    notebook, search = _text(filters, "notebook"), _text(filters, "search")
    values: dict[str, object] = {
        "models": [like for name in _several(filters, "model") for like in _models(name)],
        "user": _text(filters, "user"),
        "since": None if since is None else moments.start("since", since).isoformat(),
        "until": None if until is None else moments.end("until", until).isoformat(),
        "statuses": [_status(name) for name in _several(filters, "status")],
        "tag": _text(filters, "tag"),
        "notebook": None if notebook is None else _like(notebook),
        "search": None if search is None else search.lower(),
    }
    return {name: value for name, value in values.items() if value not in (None, [])}


def _check_names(filters: Filters) -> None:
    known = Filters.__annotations__
    for name in filters:
        if name not in known:
            raise InvalidParameterError(f"{name!r} is not a filter. There are {', '.join(known)}.")


def _text(filters: Filters, name: str) -> str | None:
    value: object = dict(filters).get(name)
    return None if value is None else _checked(name, value)


def _several(filters: Filters, name: str) -> list[str]:
    value: object = dict(filters).get(name)
    if value is None:
        return []
    if isinstance(value, str) or not isinstance(value, Iterable):
        return [_checked(name, value)]
    return [_checked(name, each) for each in value]


def _checked(name: str, value: object) -> str:
    """Text that a database can take."""
    if not isinstance(value, str) or "\0" in value or not _encodes(value):
        raise InvalidParameterError(f"{name} is {value!r}; it takes text.")
    return value


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a pair
        return False
    return True


def _status(name: str) -> str:
    if name not in get_args(Status):
        raise InvalidParameterError(f"status is {name!r}; it takes {', '.join(get_args(Status))}.")
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
