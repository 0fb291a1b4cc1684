"""The tables of the run log on DuckDB: an append-only list of migrations.

Ids are text, so that they join whatever program wrote them and come back as ``str`` in frames.
There are no foreign keys and no generated columns: rows that another program inserts are welcome
and appear in every report, even when only their ``results`` row exists. Times are TIMESTAMPTZ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_playground.errors import RunLogError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_V1 = """
CREATE TABLE prompts (
    id VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR),
    created_at TIMESTAMPTZ DEFAULT now(),
    system_prompt VARCHAR,
    user_prompt VARCHAR,
    messages JSON,
    parameters JSON,
    selected_model VARCHAR,
    prompt_hash VARCHAR
);
CREATE TABLE executions (
    id VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR),
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
    tags JSON
);
CREATE TABLE results (
    id VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR),
    execution_id VARCHAR,
    iteration_number INTEGER DEFAULT 1,
    prompt_hash VARCHAR,
    provider VARCHAR,
    model VARCHAR,
    response_model VARCHAR,
    response_text VARCHAR,
    reasoning_text VARCHAR,
    tool_calls JSON,
    tokens_used JSON,
    input_tokens BIGINT,
    output_tokens BIGINT,
    cache_read_tokens BIGINT,
    cache_write_tokens BIGINT,
    reasoning_tokens BIGINT,
    usage_source VARCHAR,
    cost_usd DECIMAL(18, 12),
    price_source VARCHAR,
    ttft_ms DOUBLE,
    response_time_ms DOUBLE,
    queue_ms DOUBLE,
    attempts JSON,
    status VARCHAR,
    finish_reason VARCHAR,
    error_type VARCHAR,
    error_message VARCHAR,
    cached BOOLEAN DEFAULT false,
    started_at TIMESTAMPTZ DEFAULT now(),
    error_detail VARCHAR,
    dropped_parameters JSON
);
CREATE INDEX results_by_execution ON results (execution_id, iteration_number);
CREATE INDEX results_by_prompt ON results (prompt_hash);
CREATE TABLE ratings (
    id VARCHAR PRIMARY KEY DEFAULT (uuidv7()::VARCHAR),
    result_id VARCHAR,
    against_result_id VARCHAR,
    username VARCHAR,
    score DOUBLE,
    note VARCHAR,
    blind BOOLEAN DEFAULT false,
    created_at TIMESTAMPTZ DEFAULT now()
);
CREATE VIEW runs AS
SELECT
    r.id AS run_id, r.execution_id, e.prompt_id, r.prompt_hash, r.started_at,
    e.username, e.notebook, e.cell_id, e.git_commit, e.tags, e.source,
    r.provider, r.model, r.response_model, p.system_prompt, p.user_prompt, p.parameters,
    r.response_text, r.reasoning_text, r.status, r.finish_reason,
    r.input_tokens, r.output_tokens, r.cache_read_tokens, r.cache_write_tokens,
    r.reasoning_tokens, r.usage_source, r.cost_usd, r.price_source,
    r.ttft_ms, r.response_time_ms, r.queue_ms, r.attempts, r.error_type, r.error_message,
    r.iteration_number, coalesce(r.cached, false) AS cached, s.rating
FROM results r
LEFT JOIN executions e ON e.id = r.execution_id
LEFT JOIN prompts p ON p.id = e.prompt_id
LEFT JOIN (SELECT result_id, avg(score) AS rating FROM ratings GROUP BY result_id) s
    ON s.result_id = r.id;
"""

MIGRATIONS: tuple[str, ...] = (_V1,)  # append only: version n is entry n - 1


def migrate(connection: DuckDBPyConnection) -> None:
    """Bring the database to the newest version this package knows.

    Raises:
        RunLogError: A newer version of this package wrote the database.
    """
    connection.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations "
        "(version INTEGER PRIMARY KEY, applied_at TIMESTAMPTZ DEFAULT now())"
    )
    version = version_of(connection)
    for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.begin()
        connection.execute(statements)
        connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", [number])
        connection.commit()


def version_of(connection: DuckDBPyConnection) -> int:
    """The version of the database's tables, 0 when it has none.

    Raises:
        RunLogError: A newer version of this package wrote the database.
    """
    row = connection.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()
    version = int(row[0]) if row else 0
    if version > len(MIGRATIONS):
        raise RunLogError(
            f"The run log was written by a newer version of llm_playground (tables {version}, "
            f"known here {len(MIGRATIONS)}). Upgrade llm_playground; "
            "runs go on into the log's journal until then."
        )
    return version
