"""How values get into SQL: ``$name`` (and ``?``) as psycopg wants it, or written as texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from llm_playground.runlog.store import SqlParams

# What stands in SQL and holds no placeholder: texts, quoted names, comments, dollar-quoted texts;
# then the placeholders themselves.
_TOKENS = re.compile(
    r"""
      (?P<text>   (?i:\be)'(?:[^'\\]|''|\\.)*' | '(?:[^']|'')*' | "(?:[^"]|"")*"
                | --[^\n]* | /\*.*?\*/ | \$(?P<tag>[A-Za-z_]\w*)?\$.*?\$(?P=tag)\$ | \$\$.*?\$\$ )
    | \$(?P<name>\w+)
    | (?P<mark>\?)
    | (?P<percent>%)
    """,
    re.VERBOSE | re.DOTALL,
)


def for_psycopg(sql: str, params: SqlParams) -> tuple[str, dict[str, object]]:
    """The statement with ``%(name)s`` where ``$name``, ``$1`` or ``?`` stands, and the values.

    ``?`` counts as a placeholder only when values come in order; else it is Postgres' operator.

    >>> for_psycopg("SELECT '?', a FROM t WHERE b LIKE '5%' AND c = ?", [1])
    ("SELECT '?', a FROM t WHERE b LIKE '5%%' AND c = %(1)s", {'1': 1})
    >>> for_psycopg("SELECT $a::INT", {"a": 1})
    ('SELECT %(a)s::INT', {'a': 1})
    """
    values = _by_name(params)
    in_order = not isinstance(params, Mapping)
    count = 0

    def written(found: re.Match[str]) -> str:
        nonlocal count
        if found["name"]:
            return f"%({found['name']})s"
        if found["mark"] and in_order:
            count += 1
            return f"%({count})s"
        return found[0].replace("%", "%%")

    return _TOKENS.sub(written, sql), values


def _by_name(params: Sequence[object] | Mapping[str, object]) -> dict[str, object]:
    if isinstance(params, Mapping):
        return dict(params)
    return {str(place): value for place, value in enumerate(params, start=1)}


def quoted(text: str) -> str:
    """A text within a statement, for places that take no placeholder.

    >>> quoted("it's")
    "'it''s'"
    """
    return "'" + text.replace("'", "''") + "'"


def reads(sql: str) -> bool:
    """Whether a statement begins as one that reads.

    >>> reads("/* why */ SELECT 1"), reads("COPY results TO '/tmp/x'")
    (True, False)
    """
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.DOTALL).lstrip(" \t\r\n(")
    return re.match(r"(?i)(select|with|values|table|explain|show)\b", bare) is not None
