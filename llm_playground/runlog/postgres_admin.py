"""Administration of a run log on PostgreSQL: migrations, partitions, monthly sums, roles, vacuum.

Only the owner of the tables can do these. :func:`sql` is the script of roles, grants and row-level
security for a log that many people share.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, LiteralString

from llm_playground.errors import RunLogError
from llm_playground.runlog import schema

if TYPE_CHECKING:
    import psycopg


_OLDEST = 15  # the first version whose views apply the reader's row-level security
_MONTHS_AHEAD = 2
# Taken before tables are created or changed; the number has no other meaning.
_LOCK = "SET LOCAL lock_timeout = '10s'; SELECT pg_advisory_xact_lock(7305808869231650884)"

_OWNED = """
SELECT pg_has_role(relowner, 'MEMBER') FROM pg_class WHERE oid = to_regclass('results')
"""

# How long reads and drains wait for a lock that another session holds, and a change at most; what
# is written in one drain takes at most the third.
LOCK_WAIT_MS = 3_000
CHANGE_LOCK_WAIT_MS = 10_000
DRAIN_MS = 60_000

# The session that most probably holds the lock: the strongest lock, the longest transaction.
_HOLDER = """
SELECT a.pid, coalesce(nullif(a.application_name, ''), 'a program'), a.usename,
       coalesce('table ' || l.relation::regclass::TEXT, 'it')
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_class c ON c.oid = l.relation
WHERE l.granted AND a.datname = current_database() AND l.pid <> pg_backend_pid()
      AND l.mode <> 'AccessShareLock' AND coalesce(c.relkind, 'r') IN ('r', 'p')
      AND (l.relation >= 16384 OR l.locktype = 'advisory')  -- no system tables
ORDER BY array_position(ARRAY['AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock',
                              'ShareLock'], l.mode), a.xact_start, c.relkind = 'r'
LIMIT 1
"""

# Months with rows in the default partition, and the next ones. Implausible years stay there.
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
"""  # noqa: S608 - names of columns

# How long to wait for each lock; meanwhile other reads and writes queue behind the request.
_PARTITION_LOCK_WAIT = "2s"  # shorter than LOCK_WAIT_MS

# Rows of the month move out of the default partition; ATTACH creates the indexes.
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
SET LOCAL lock_timeout = '10s';
LOCK TABLE monthly_costs_state IN EXCLUSIVE MODE;
REFRESH MATERIALIZED VIEW monthly_costs;
DELETE FROM monthly_costs_state;
INSERT INTO monthly_costs_state VALUES (now());
"""

# Rows count as new from five minutes before the refresh, which no transaction of ours exceeds.
_SUMMED_UNTIL = """
SELECT coalesce(
    (SELECT date_trunc('month', min(started_at) AT TIME ZONE 'UTC') FROM results
     WHERE recorded_at > refreshed_at - INTERVAL '5 minutes'),
    date_trunc('month', now() AT TIME ZONE 'UTC') + INTERVAL '1 month')
FROM monthly_costs_state
"""
_MAY_READ = "SELECT has_table_privilege('monthly_costs', 'SELECT')"


def check(connection: psycopg.Connection[Any]) -> None:
    """Refuse a database whose tables cannot be read and written by this package.

    Raises:
        RunLogError: There are no tables, or they are of an earlier version or a later major.
    """
    version = version_of(connection)
    schema.check_major(version)
    if version == 0:
        raise RunLogError(
            "The run log has no tables yet. Its owner must run: python -m llm_playground migrate"
        )
    if version < schema.NEWEST:
        raise RunLogError(
            f"The run log's tables are of an earlier version ({version}, here {schema.NEWEST}). "
            "Its owner must run: python -m llm_playground migrate. "
            "Runs wait safely on this machine."
        )


def holder(connection: psycopg.Connection[Any]) -> str:
    """Which session holds a lock that others of this database wait for, and on which table."""
    row = connection.execute(_HOLDER).fetchone()
    if row is None:
        return "another session holds a lock"
    pid, program, user, what = row
    return f"{what} is locked by {program} (pid {pid}, user {user})"


def version_of(connection: psycopg.Connection[Any]) -> int:
    """The version of the tables, 0 if there are none."""
    exists = _value(connection, "SELECT to_regclass('schema_migrations') IS NOT NULL")
    return int(_value(connection, schema.VERSION)) if exists else 0


def migrate(connection: psycopg.Connection[Any]) -> int:
    """Create the tables or migrate them to the newest version, which is returned.

    Each step is a transaction.

    Raises:
        RunLogError: The tables are of a later major, or the server is too old.
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
    create_partitions(connection)
    with connection.transaction():
        connection.execute(_REFRESH.encode())
    return version_of(connection)


def is_owner(connection: psycopg.Connection[Any]) -> bool:
    """Whether this user may change the tables."""
    return bool(_value(connection, _OWNED))


def create_partitions(connection: psycopg.Connection[Any]) -> None:
    """Create partitions for months with rows in the default partition, and for the next months."""
    for (first,) in connection.execute(_MISSING).fetchall():
        after = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        name = f"results_{first:%Y_%m}"
        with connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{_PARTITION_LOCK_WAIT}'".encode())
            # Writers wait here, before the server chooses a partition: it refuses a row that it
            # sent to the default partition if the row's month was attached in the meantime.
            connection.execute("LOCK TABLE results IN SHARE ROW EXCLUSIVE MODE")
            row = connection.execute("SELECT to_regclass(%s)", [name]).fetchone()
            if row and row[0] is None:
                connection.execute(_PART.format(name=name, first=first, next=after).encode())


def summed_until(connection: psycopg.Connection[Any]) -> datetime | None:
    """The start of a month before which ``monthly_costs`` is up to date; None if never.

    None also for users who may not read it, because it has the costs of all users.
    """
    month = _value(connection, _SUMMED_UNTIL) if _value(connection, _MAY_READ) else None
    return month.replace(tzinfo=UTC) if month else None


_HEAD = """\
-- Rights in a run log that many people share. Run it as the owner of the tables, after
--     python -m llm_playground migrate
-- and again after each upgrade; it may be run as often as you like:
--     python -m llm_playground admin sql | psql "$LLM_PLAYGROUND_LOG"
--
-- llm_playground_member   writes runs and reads their own: row-level security by database role
-- llm_playground_reader   reads everybody's, for dashboards and accounting; its exports are audited
--
-- Give each person a role of their own, for example
--     CREATE ROLE ada LOGIN PASSWORD '...' IN ROLE llm_playground_member;
"""

_ROLES = ("llm_playground_member", "llm_playground_reader")

# Privileges of members. Row-level security restricts them further, see _PERSONAL.
_GRANTS: dict[str, tuple[str, ...]] = {
    "SELECT, INSERT, UPDATE": (
        *("executions", "results", "presets", "budget_reservations", "attachments"),
    ),
    "SELECT, INSERT": ("prompts", "definitions", "ratings", "prompt_versions"),
    "SELECT": ("budgets", "runs", "schema_migrations"),
    "INSERT": ("audit_log", "budget_alarms"),
}
_ALL_READ = (
    *schema.TABLES,
    "runs",
    "schema_migrations",
    "monthly_costs",
    "monthly_costs_state",
)
_OWN = "db_role = current_user"
_PERSONAL: dict[str, str] = {
    **dict.fromkeys(("executions", "results", "ratings"), _OWN),
    # All who send a prompt share its row: visible to those who sent it, or if it was saved.
    "prompts": " OR ".join(
        [
            _OWN,
            "EXISTS (SELECT FROM executions e WHERE e.prompt_id = prompts.id)",
            "EXISTS (SELECT FROM prompt_versions v WHERE v.prompt_id = prompts.id)",
        ]
    ),
    # An image belongs to all prompts and answers that have it, with the rights of each.
    "attachments": " OR ".join(
        [
            _OWN,
            "EXISTS (SELECT FROM prompts p WHERE p.attachments @> to_jsonb(attachments.sha256))",
            "EXISTS (SELECT FROM results r WHERE r.parts @> "
            "jsonb_build_array(jsonb_build_object('sha256', attachments.sha256)))",
        ]
    ),
    "definitions": " OR ".join(
        [
            _OWN,
            "EXISTS (SELECT FROM prompts p WHERE p.tools @> to_jsonb(definitions.id))",
            "EXISTS (SELECT FROM prompts p WHERE p.schema_hash = definitions.id)",
        ]
    ),
}


_ROLE = "DO $$ BEGIN CREATE ROLE {role} NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;"
_USAGE = (
    "DO $$ BEGIN EXECUTE format('GRANT USAGE ON SCHEMA %I TO {role}', current_schema()); END $$;"
)


def sql() -> str:
    """The script that creates roles, grants and row-level security."""
    roles = [line.format(role=role) for line in (_ROLE, _USAGE) for role in _ROLES]
    return "\n".join([_HEAD, *roles, "", *_grants(), "", *_policies()]) + "\n"


def _grants() -> list[str]:
    member, reader = _ROLES
    revoked = [f"REVOKE ALL ON {', '.join(_ALL_READ)} FROM {member}, {reader};"]
    granted = [f"GRANT {what} ON {', '.join(on)} TO {member};" for what, on in _GRANTS.items()]
    read = f"GRANT SELECT ON {', '.join(_ALL_READ)} TO {reader};"
    audited = f"GRANT INSERT ON audit_log TO {reader};"  # such as the exports of a reader
    return [*revoked, *granted, read, audited]


def _policies() -> list[str]:
    member, reader = _ROLES
    lines = []
    for table, seen in _PERSONAL.items():
        lines += [
            f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY;",
            *_policy(table, "read_own", f"FOR SELECT TO {member} USING ({seen})"),
            *_policy(table, "write_own", f"FOR INSERT TO {member} WITH CHECK ({_OWN})"),
            *_policy(table, "read_all", f"FOR SELECT TO {reader} USING (true)"),
        ]
    for table in ("executions", "results", "attachments"):
        rule = f"FOR UPDATE TO {member} USING ({_OWN}) WITH CHECK ({_OWN})"
        lines += _policy(table, "update_own", rule)
    return lines


def _policy(table: str, name: str, rule: str) -> list[str]:
    return [
        f"DROP POLICY IF EXISTS {name} ON {table};",
        f"CREATE POLICY {name} ON {table} {rule};",
    ]


# A table with a larger share of dead rows is rewritten; less space is left for reuse.
_WORTH_IT = 0.2
_LOCK_WAIT = "10s"

_SIZE = "SELECT pg_database_size(current_database())"
_DEAD_ROWS = """
SELECT c.oid::regclass::TEXT, s.n_dead_tup > $1 * (s.n_live_tup + s.n_dead_tup)
FROM pg_class c JOIN pg_stat_user_tables s ON s.relid = c.oid
WHERE s.n_dead_tup > 0 AND c.relkind = 'r' AND pg_has_role(c.relowner, 'MEMBER') AND (
    c.oid IN (SELECT relid FROM pg_partition_tree('results') WHERE isleaf)
    OR c.oid IN (to_regclass('prompts'), to_regclass('executions'), to_regclass('ratings'),
        to_regclass('attachments'), to_regclass('definitions')))
"""


def vacuum(connection: psycopg.Connection[Any]) -> int:
    """Rewrite tables with many dead rows, for which others wait; the number of bytes freed."""
    from psycopg import errors

    before_bytes = _value(connection, _SIZE)
    connection.execute("SELECT pg_stat_force_next_flush()")
    tables = connection.execute(_DEAD_ROWS.replace("$1", str(_WORTH_IT)).encode()).fetchall()
    connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'".encode())
    try:
        for table, rewrite in tables:
            full = "FULL, " if rewrite else ""
            try:
                connection.execute(f"VACUUM ({full}ANALYZE) {table}".encode())
            except errors.LockNotAvailable:  # the table is in use: only mark the space as free
                connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {table}".encode())
    finally:
        connection.execute("RESET lock_timeout")
    return int(before_bytes - _value(connection, _SIZE))


def _value(connection: psycopg.Connection[Any], sql: LiteralString) -> Any:  # noqa: ANN401 - of any column
    """The first value of a query, None if it has no rows."""
    row = connection.execute(sql).fetchone()
    return row[0] if row else None
