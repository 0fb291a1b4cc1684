"""The tables of the run log: one append-only list of migrations for both engines.

Ids are text, so that they join whatever program wrote them and come back as ``str`` in frames.
There are no foreign keys and no generated columns: rows that other programs insert appear in every
report, even if only their ``results`` row exists. Times are TIMESTAMPTZ.

Migrations only add columns, tables and views; what they add has a default or may be NULL. A later
version of the same major can therefore be read and written too. An incompatible change would be
version ``MAJOR``, the first of the next major.

A DuckDB file is migrated when it is opened, after a copy of the file was made. On PostgreSQL the
tables' owner runs ``python -m llm_playground migrate``, see
:mod:`llm_playground.runlog.postgres_admin`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llm_playground.errors import RunLogError
from llm_playground.runlog.rows import RUN_COLUMNS, selected
from llm_playground.runlog.store import Dialect

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


MAJOR = 1000  # versions 1 to 999 are the first major


def _monthly_costs(*sums: str) -> str:
    """PostgreSQL's summary of the runs of each month, empty until its first refresh."""
    of_runs = {"estimated_usd": "sum(r.cost_usd) FILTER (WHERE r.usage_source = 'estimated')"}
    amounts = "".join(f"    {of_runs.get(name, f'sum(r.{name})')} AS {name},\n" for name in sums)
    return f"""
CREATE MATERIALIZED VIEW monthly_costs AS
SELECT
    to_char(r.started_at AT TIME ZONE 'UTC', 'YYYY-MM') AS month,
    r.provider, r.model, e.username, e.notebook, r.status,
    count(*) AS runs,
    sum(r.input_tokens)::BIGINT AS input_tokens,
    sum(r.output_tokens)::BIGINT AS output_tokens,
{amounts}    count(*) FILTER (WHERE r.cost_usd IS NULL
        AND r.status NOT IN ('running', 'over_budget')
        AND (r.usage_source IS DISTINCT FROM 'none' OR r.status = 'completed')) AS unpriced_runs,
    count(*) FILTER (WHERE r.usage_source = 'estimated') AS estimated_runs
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
GROUP BY 1, 2, 3, 4, 5, 6
WITH NO DATA;
"""  # noqa: S608 - names of columns


# SQL in which the engines differ.
_WORDS: dict[Dialect, Mapping[str, str]] = {
    "duckdb": {
        "id": "VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR)",
        "result_id": "VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR)",
        "json": "JSON",
        "double": "DOUBLE",
        "bytes": "BLOB",
        "result_time": "TIMESTAMPTZ DEFAULT now()",
        **dict.fromkeys(("result_key", "parts", "db_role", "as_reader"), ""),
        **dict.fromkeys(("first", "second", "fourth", "fifth", "sixth"), ""),
        **dict.fromkeys(("costs_until_v4", "costs_until_v5", "costs"), ""),
    },
    "postgres": {
        "id": "VARCHAR PRIMARY KEY DEFAULT llm_playground_id()",
        "result_id": "VARCHAR NOT NULL DEFAULT llm_playground_id()",
        "json": "JSONB",
        "double": "DOUBLE PRECISION",
        "bytes": "BYTEA",
        "result_time": "TIMESTAMPTZ NOT NULL DEFAULT now()",
        "result_key": ", PRIMARY KEY (id, started_at)",
        "parts": """ PARTITION BY RANGE (started_at);
CREATE TABLE results_default PARTITION OF results DEFAULT""",
        "db_role": ", db_role VARCHAR DEFAULT current_user",
        "as_reader": "WITH (security_invoker = true) ",  # row-level security is the reader's
        # A UUIDv7 in SQL: the server's own function is there from PostgreSQL 18 on.
        "first": """
CREATE FUNCTION llm_playground_id() RETURNS VARCHAR LANGUAGE sql VOLATILE AS $$
    SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid()) placing
        substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::BIGINT) FROM 3)
        FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::UUID::VARCHAR
$$;
""",
        # `db_role`: the database role that wrote the row, for row-level security.
        # `recorded_at`: when the row was written, to know whether `monthly_costs` is up to date.
        "second": """
ALTER TABLE prompts ADD COLUMN db_role VARCHAR DEFAULT current_user;
ALTER TABLE executions ADD COLUMN db_role VARCHAR DEFAULT current_user;
ALTER TABLE ratings ADD COLUMN db_role VARCHAR DEFAULT current_user;
ALTER TABLE results ADD COLUMN db_role VARCHAR DEFAULT current_user;
ALTER TABLE results ADD COLUMN recorded_at TIMESTAMPTZ DEFAULT now();
CREATE INDEX results_by_time ON results (started_at);
CREATE INDEX results_by_recording ON results (recorded_at);
CREATE INDEX executions_by_prompt ON executions (prompt_id);
CREATE INDEX ratings_by_result ON ratings (result_id);
CREATE TABLE monthly_costs_state (refreshed_at TIMESTAMPTZ);
-- After a deletion the summary is wrong until the next refresh.
CREATE FUNCTION llm_playground_removed() RETURNS TRIGGER LANGUAGE plpgsql SECURITY DEFINER
    SET search_path FROM CURRENT AS $$
    BEGIN DELETE FROM monthly_costs_state; RETURN NULL; END
$$;
CREATE TRIGGER results_removed AFTER DELETE ON results
    FOR EACH STATEMENT EXECUTE FUNCTION llm_playground_removed();
""",
        "costs_until_v4": _monthly_costs("cost_usd"),
        "fourth": "CREATE INDEX prompts_by_attachment ON prompts USING gin (attachments);",
        "fifth": """
CREATE INDEX prompts_by_tool ON prompts USING gin (tools);
CREATE INDEX prompts_by_schema ON prompts (schema_hash);
DROP MATERIALIZED VIEW monthly_costs;
DELETE FROM monthly_costs_state;
""",
        "costs_until_v5": _monthly_costs("cost_usd", "at_least_usd"),
        "sixth": """
DROP MATERIALIZED VIEW monthly_costs;
DELETE FROM monthly_costs_state;
""",
        "costs": _monthly_costs("cost_usd", "at_least_usd", "estimated_usd"),
    },
}

# The rating of a run is the mean over its raters, of the latest row of each; unsigned rows count
# each. A vote between two answers (`against_result_id`) is no rating.
RATINGS = """
SELECT result_id, avg(score) AS rating FROM (
    SELECT DISTINCT ON (result_id, coalesce(username, id)) result_id, score FROM ratings
    WHERE against_result_id IS NULL
    ORDER BY result_id, coalesce(username, id), created_at DESC, id DESC
) AS newest GROUP BY result_id
"""
_ALL_RATINGS = "SELECT result_id, avg(score) AS rating FROM ratings GROUP BY result_id"  # until v3


def _runs_view(last: str, ratings: str) -> str:
    """The view ``runs`` with the columns up to ``last``."""
    names = list(RUN_COLUMNS)
    columns = {name: RUN_COLUMNS[name] for name in names[: names.index(last) + 1]}
    return f"""CREATE OR REPLACE VIEW runs {{as_reader}}AS
SELECT {selected(columns)}
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id
LEFT JOIN prompts p ON p.id = e.prompt_id
LEFT JOIN ({ratings}) s ON s.result_id = r.id;
"""  # noqa: S608 - names of columns


_V1 = """{first}
CREATE TABLE prompts (
    id {id},
    created_at TIMESTAMPTZ DEFAULT now(),
    system_prompt VARCHAR,
    user_prompt VARCHAR,
    messages {json},
    parameters {json},
    selected_model VARCHAR,
    prompt_hash VARCHAR
);
CREATE TABLE executions (
    id {id},
    prompt_id VARCHAR,
    iterations INTEGER DEFAULT 1,
    status VARCHAR,
    started_at TIMESTAMPTZ DEFAULT now(),
    completed_at TIMESTAMPTZ,
    source VARCHAR,
    username VARCHAR,
    notebook VARCHAR,
    cell_id VARCHAR,
    git_commit VARCHAR,
    tags {json}
);
CREATE TABLE results (
    id {result_id},
    execution_id VARCHAR,
    iteration_number INTEGER DEFAULT 1,
    prompt_hash VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    response_model VARCHAR,
    response_text VARCHAR,
    reasoning_text VARCHAR,
    tool_calls {json},
    tokens_used {json},
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    usage_source VARCHAR,
    cost_usd DECIMAL(18, 12),
    price_source VARCHAR,
    ttft_ms {double},
    response_time_ms {double},
    queue_ms {double},
    attempts {json},
    status VARCHAR,
    finish_reason VARCHAR,
    error_type VARCHAR,
    error_message VARCHAR,
    cached BOOLEAN DEFAULT false,
    started_at {result_time},
    error_detail VARCHAR,
    dropped_parameters {json}{result_key}
){parts};
CREATE INDEX results_by_execution ON results (execution_id, iteration_number);
CREATE INDEX results_by_prompt ON results (prompt_hash);
CREATE TABLE ratings (
    id {id},
    result_id VARCHAR,
    against_result_id VARCHAR,
    username VARCHAR,
    score {double},
    note VARCHAR,
    blind BOOLEAN DEFAULT false,
    created_at TIMESTAMPTZ DEFAULT now()
);
"""
_V1 += _runs_view("rating", _ALL_RATINGS)

_V2 = """
ALTER TABLE executions ADD COLUMN git_dirty BOOLEAN;
ALTER TABLE executions ADD COLUMN variables {json};
ALTER TABLE executions ADD COLUMN process VARCHAR;
ALTER TABLE results ADD COLUMN saved_usd DECIMAL(18, 12);
{second}{costs_until_v4}
CREATE TABLE prompt_versions (
    name VARCHAR,
    version INTEGER,
    prompt_id VARCHAR,
    note VARCHAR,
    username VARCHAR,
    created_at TIMESTAMPTZ DEFAULT now(),
    PRIMARY KEY (name, version)
);
CREATE TABLE presets (
    username VARCHAR,
    name VARCHAR,
    parameters {json},
    created_at TIMESTAMPTZ DEFAULT now(),
    PRIMARY KEY (username, name)
);
CREATE TABLE attachments (
    sha256 VARCHAR PRIMARY KEY,
    media_type VARCHAR,
    data {bytes},
    created_at TIMESTAMPTZ DEFAULT now(){db_role}
);
CREATE TABLE budgets (
    id {id},
    limit_usd DECIMAL(24, 12),
    period VARCHAR,
    model VARCHAR,
    username VARCHAR,
    tag VARCHAR,
    action VARCHAR,
    unknown_price VARCHAR,
    created_at TIMESTAMPTZ DEFAULT now(),
    created_by VARCHAR,
    removed_at TIMESTAMPTZ
);
CREATE TABLE budget_reservations (
    id {id},
    budget_id VARCHAR,
    process VARCHAR,
    amount_usd DECIMAL(24, 12),
    settled_usd DECIMAL(24, 12),
    created_at TIMESTAMPTZ DEFAULT now(),
    expires_at TIMESTAMPTZ,
    settled_at TIMESTAMPTZ
);
CREATE INDEX budget_reservations_by_budget ON budget_reservations (budget_id);
CREATE TABLE audit_log (
    id {id},
    created_at TIMESTAMPTZ DEFAULT now(),
    username VARCHAR,
    action VARCHAR,
    target VARCHAR,
    detail {json},
    notebook VARCHAR
);
"""
_V2 += _runs_view("variables", _ALL_RATINGS)

_V3 = """
ALTER TABLE prompts ADD COLUMN texts_gz {bytes};
ALTER TABLE results ADD COLUMN texts_gz {bytes};
"""
_V3 += _runs_view("compressed", RATINGS)

# `prompts.attachments`: the hashes of the prompt's images and files, a JSON list; NULL for none.
# `attachments.data` is NULL for one above the limit of `configure(privacy=...)`.
_V4 = """
ALTER TABLE prompts ADD COLUMN attachments {json};
ALTER TABLE attachments ADD COLUMN size_bytes BIGINT;
CREATE TABLE budget_alarms (
    id VARCHAR PRIMARY KEY,
    budget_id VARCHAR,
    event VARCHAR,
    username VARCHAR,
    created_at TIMESTAMPTZ DEFAULT now()
);
{fourth}
"""
_V4 += _runs_view("attachments", RATINGS)

# `parts` is NULL for an answer that is reasoning, text and tool calls in this order, which have
# columns of their own. `at_least_usd` is what is known of a cost that is not known as a whole.
# `definitions`: tools and schemas by their hashes, which `prompts.tools` (a JSON list) and
# `prompts.schema_hash` name; NULL for none.
_V5 = """
ALTER TABLE results ADD COLUMN service_tier VARCHAR;
ALTER TABLE results ADD COLUMN billed_units {json};
ALTER TABLE results ADD COLUMN parts {json};
ALTER TABLE results ADD COLUMN sources {json};
ALTER TABLE results ADD COLUMN stop_sequence VARCHAR;
ALTER TABLE results ADD COLUMN at_least_usd DECIMAL(18, 12);
ALTER TABLE prompts ADD COLUMN tools {json};
ALTER TABLE prompts ADD COLUMN schema_hash VARCHAR;
CREATE TABLE definitions (
    id VARCHAR PRIMARY KEY,
    kind VARCHAR,
    name VARCHAR,
    content VARCHAR,
    created_at TIMESTAMPTZ DEFAULT now(){db_role}
);
{fifth}{costs_until_v5}
"""
_V5 += _runs_view("at_least_usd", RATINGS)

# `inputs`: the case, the values and the template of a prompt, see `llm_playground.inputs`.
_V6 = """
ALTER TABLE executions ADD COLUMN inputs {json};
{sixth}{costs}
"""
_V6 += _runs_view("inputs", RATINGS)

# `tool_use`: when the tool loop of a later round began and its calls before the round ran, see
# `llm_playground.types.ToolUse`; NULL for all other executions.
_V7 = "ALTER TABLE executions ADD COLUMN tool_use {json};"

# Where a prompt was sent: `base_url`, NULL for the vendor's own; `wire_format`, in which another
# program sent it, NULL for calls of this package.
_V8 = """
ALTER TABLE executions ADD COLUMN wire_format VARCHAR;
ALTER TABLE executions ADD COLUMN base_url VARCHAR;
"""

# Which migrations were applied to a database.
VERSIONS_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ DEFAULT now())"
)
VERSION = "SELECT coalesce(max(version), 0) FROM schema_migrations"
# Append only: version n is entry n - 1.
_MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4, _V5, _V6, _V7, _V8)
NEWEST = len(_MIGRATIONS)

# The tables of a backup, in the order in which they are restored.
TABLES = (
    "prompts",
    "executions",
    "results",
    "ratings",
    "prompt_versions",
    "presets",
    "attachments",
    "definitions",
    "budgets",
    "budget_reservations",
    "budget_alarms",
    "audit_log",
)


def statements(version: int, dialect: Dialect) -> str:
    """The SQL that migrates the tables from the previous version to ``version``."""
    return _MIGRATIONS[version - 1].format_map(_WORDS[dialect])


def check_major(version: int) -> None:
    """Raise RunLogError for tables of a later major, which this package could damage."""
    if version >= MAJOR:
        raise RunLogError(
            f"The run log was written by a newer version of llm_playground (tables {version}, "
            f"known here {NEWEST}). Upgrade llm_playground; "
            "until then runs are kept in the log's journal."
        )


_OURS = {"schema_migrations", "results"}
_TABLES = "SELECT table_name FROM duckdb_tables() WHERE NOT internal AND NOT temporary"


def version_of(connection: DuckDBPyConnection) -> int:
    """The version of the file's tables, 0 for an empty file.

    Raises:
        RunLogError: A later major wrote the file, or it is not a run log.
    """
    tables = {row[0] for row in connection.execute(_TABLES).fetchall()}
    if tables >= _OURS:
        version = _number(connection)
        check_major(version)
        return version
    if tables <= {"schema_migrations"} and not (tables and _number(connection)):
        return 0
    named = ", ".join(sorted(tables)[:3])
    raise RunLogError(
        f"This DuckDB file is not a run log: it holds {named}. It is not changed. "
        "Set LLM_PLAYGROUND_LOG to another file."
    )


def _number(connection: DuckDBPyConnection) -> int:
    row = connection.execute(VERSION).fetchone()
    return int(row[0]) if row else 0


def migrate(connection: DuckDBPyConnection, version: int) -> None:
    """Migrate the tables from ``version`` to the newest, each step in a transaction."""
    connection.execute(VERSIONS_TABLE)
    for number in range(version + 1, NEWEST + 1):
        connection.begin()
        connection.execute(statements(number, "duckdb"))
        connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", [number])
        connection.commit()
