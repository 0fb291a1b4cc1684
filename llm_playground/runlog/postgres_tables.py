"""The tables on PostgreSQL and what only their owner does: make, part and sum them up."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llm_playground.errors import RunLogError
from llm_playground.runlog import schema

if TYPE_CHECKING:
    import psycopg

_OLDEST = 15  # the first whose views keep to the reader's row-level security
_MONTHS_AHEAD = 2
# Everybody who makes or changes tables takes this lock first; the number has no other meaning.
_LOCK = "SELECT pg_advisory_xact_lock(7305808869231650884)"

_OWNED = """
SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = to_regclass('results')
"""

# Months that lie in the default partition, and the next ones. A year that nobody can mean stays.
_MISSING = f"""
SELECT m::DATE FROM (
    SELECT DISTINCT date_trunc('month', started_at AT TIME ZONE 'UTC') AS m FROM results_default
    WHERE started_at BETWEEN '2020-01-01+00' AND now() + INTERVAL '1 year'
    UNION
    SELECT date_trunc('month', now() AT TIME ZONE 'UTC') + n * INTERVAL '1 month'
    FROM generate_series(0, {_MONTHS_AHEAD}) AS n
) AS months
WHERE to_regclass('results_' || to_char(m, 'YYYY_MM')) IS NULL
ORDER BY m
"""  # noqa: S608 - a number of this module

# Rows that already lie in the default partition move; ATTACH makes the indexes.
_PART = """
LOCK TABLE results_default IN ACCESS EXCLUSIVE MODE;
CREATE TABLE {name} (LIKE results INCLUDING DEFAULTS);
WITH moved AS (
    DELETE FROM results_default
    WHERE started_at >= '{first}+00' AND started_at < '{next}+00' RETURNING *
)
INSERT INTO {name} SELECT * FROM moved;
ALTER TABLE results ATTACH PARTITION {name} FOR VALUES FROM ('{first}+00') TO ('{next}+00');
"""

_REFRESH = """
LOCK TABLE monthly_costs_state IN EXCLUSIVE MODE;
REFRESH MATERIALIZED VIEW monthly_costs;
DELETE FROM monthly_costs_state;
INSERT INTO monthly_costs_state VALUES (now());
"""

# Rows count as new from five minutes before the refresh: longer no transaction of ours may last.
_SUMMED_UNTIL = """
SELECT coalesce(
    (SELECT date_trunc('month', min(started_at) AT TIME ZONE 'UTC') FROM results
     WHERE recorded_at > refreshed_at - INTERVAL '5 minutes'),
    date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '1 month')
FROM monthly_costs_state
"""
_MAY_READ = "SELECT has_table_privilege('monthly_costs', 'SELECT')"


def check(connection: psycopg.Connection[Any]) -> None:
    """Let only a database pass whose tables can be read and written here.

    Raises:
        RunLogError: There are none yet, they are of an earlier version, or of a later major.
    """
    version = version_of(connection)
    schema.check_major(version)
    if version == 0:
        raise RunLogError(
            "The run log's tables are not there yet. "
            "Its owner runs: python -m llm_playground migrate"
        )
    if version < schema.NEWEST:
        raise RunLogError(
            f"The run log's tables are of an earlier version ({version}, here {schema.NEWEST}). "
            "Its owner runs: python -m llm_playground migrate. Runs wait safely on this machine."
        )


def version_of(connection: psycopg.Connection[Any]) -> int:
    """The version of the tables, 0 when there are none."""
    found = connection.execute("SELECT to_regclass('schema_migrations') IS NOT NULL").fetchone()
    if not (found and found[0]):
        return 0
    row = connection.execute(schema.VERSION).fetchone()
    return int(row[0]) if row else 0


def migrate(connection: psycopg.Connection[Any]) -> int:
    """Make the tables, or bring them to the newest, each step in a transaction; their version.

    Raises:
        RunLogError: They are of a later major, or the server is too old.
        psycopg.Error: The server refuses; the step is undone.
    """
    if connection.info.server_version < _OLDEST * 10_000:
        found = connection.info.server_version // 10_000
        raise RunLogError(f"The run log needs PostgreSQL {_OLDEST} or later; this is {found}.")
    with connection.transaction():
        connection.execute(_LOCK)
        connection.execute(schema.VERSIONS_TABLE)
    for number in range(1, schema.NEWEST + 1):
        with connection.transaction():
            connection.execute(_LOCK)
            schema.check_major(version_of(connection))
            if version_of(connection) < number:
                connection.execute(schema.statements(number, "postgres").encode())
                connection.execute("INSERT INTO schema_migrations VALUES (%s)", [number])
    part(connection)
    refresh(connection)
    return version_of(connection)


def is_owner(connection: psycopg.Connection[Any]) -> bool:
    """Whether this user may change the tables."""
    row = connection.execute(_OWNED).fetchone()
    return bool(row and row[0])


def part(connection: psycopg.Connection[Any]) -> None:
    """Give a partition to every month that has rows in the default one, and to the next months."""
    for (first,) in connection.execute(_MISSING).fetchall():
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        name = f"results_{first:%Y_%m}"
        with connection.transaction():
            connection.execute("SET LOCAL lock_timeout = '5s'")
            # Before looking: without a lock on a table the server may not know of new ones yet.
            connection.execute("LOCK TABLE results IN SHARE UPDATE EXCLUSIVE MODE")
            row = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
            if row and row[0] is None:
                connection.execute(_PART.format(name=name, first=first, next=after).encode())


def refresh(connection: psycopg.Connection[Any]) -> None:
    """Sum up the costs anew, for :func:`summed_until`."""
    with connection.transaction():
        connection.execute(_REFRESH.encode())


def summed_until(connection: psycopg.Connection[Any]) -> datetime | None:
    """Before which moment (the first of a month) ``monthly_costs`` is exact; None for never.

    None, too, for a user who may not read it: it shows what everybody spent.
    """
    allowed = connection.execute(_MAY_READ).fetchone()
    row = connection.execute(_SUMMED_UNTIL).fetchone() if allowed and allowed[0] else None
    return row[0].replace(tzinfo=UTC) if row else None
