"""Makes a large log at once: results with their own executions, a prompt for every four of them.

Of 1,000 prompts in a row, the first 50 are long and share their beginning.
Ids are in the order of time, as the package's own are; a year of runs of eight models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from llm_playground.runlog import open_log

_FIRST_MS = 1_735_689_600_000  # 2025-01-01
_YEAR_MS = 365 * 86_400_000
_MS = f"({_FIRST_MS} + i * {_YEAR_MS} // $rows)"
_ID = f"printf('%08x-%04x-7{{kind}}-8000-%012x', {_MS} >> 16, {_MS} & 65535, i)"
_AT = f"make_timestamp({_MS} * 1000)::TIMESTAMPTZ"
_PROMPT = "sha256((i % ($rows // 4))::VARCHAR)"

_MESSAGE = "json_object('role', '{0}', 'content', [json_object('type', 'text', 'text', {0}_)])"
_PROMPTS = f"""
INSERT INTO prompts (id, created_at, system_prompt, user_prompt, messages, parameters,
                     selected_model, prompt_hash)
SELECT left({_PROMPT}, 36), {_AT}, system_, user_,
    json_array({_MESSAGE.format("system")}, {_MESSAGE.format("user")}),
    '{{"temperature":0.2}}', 'openai:model-1', {_PROMPT}
FROM (
    SELECT i, 'You are helpful.' || CASE WHEN i % 1000 < 50
            THEN repeat(' Rule ' || i // 1000 % 9 || ' holds.', 300) ELSE '' END AS system_,
        'Question ' || i || repeat(' more', 50) AS user_
    FROM range($rows // 4) AS t(i)
) AS texts
"""
_EXECUTIONS = f"""
INSERT INTO executions (id, prompt_id, status, started_at, completed_at, source, username,
                        notebook, tags)
SELECT {_ID.format(kind="001")}, left({_PROMPT}, 36), 'completed', {_AT}, {_AT}, 'magic',
    'user-' || i % 20, 'notebook-' || i % 50 || '.ipynb',
    CASE WHEN i % 3 = 0 THEN '["a", "b"]' ELSE '[]' END
FROM range($rows) AS t(i)
"""
_RESULTS = f"""
INSERT INTO results (id, execution_id, prompt_hash, provider, model, response_text, tokens_used,
                     input_tokens, output_tokens, usage_source, cost_usd, price_source, ttft_ms,
                     response_time_ms, queue_ms, attempts, status, finish_reason, started_at)
SELECT {_ID.format(kind="002")}, {_ID.format(kind="001")}, {_PROMPT}, 'openai',
    'openai:model-' || hash(i) % 8, repeat('word ', (hash(i) % 200)::INTEGER), '{{}}',
    100 + hash(i) % 1000, 50 + hash(i) % 500, 'provider', (hash(i) % 100000)::DECIMAL / 1000000,
    'genai-prices', 100 + hash(i) % 400, 800 + hash(i) % 4000, 0, '[]',
    CASE WHEN hash(i) % 50 = 0 THEN 'failed' ELSE 'completed' END, 'stop', {_AT}
FROM range($rows) AS t(i)
"""


def fill(path: str, rows: int, *, executions: bool = True) -> None:
    """A new log at ``path`` with so many results."""
    import duckdb

    log = open_log(path)
    log.frame("SELECT 1")  # makes the tables
    statements = [_PROMPTS, _EXECUTIONS, _RESULTS] if executions else [_RESULTS]
    with duckdb.connect(path) as connection:
        for statement in statements:
            connection.execute(statement, {"rows": rows})


def copy_to_postgres(path: str, url: str) -> None:
    """Copy the results of a log that :func:`fill` made into the empty log at ``url``."""
    import duckdb
    import psycopg

    open_log(url).migrate()
    with (
        duckdb.connect(path, read_only=True) as source,
        psycopg.connect(url) as target,
        tempfile.TemporaryDirectory() as folder,
    ):
        for table in ("prompts", "executions", "results"):
            rows = Path(folder) / f"{table}.csv"
            source.execute(f"COPY {table} TO '{rows}' (HEADER)")
            with rows.open(encoding="utf-8") as lines:
                columns = lines.readline().strip()
                with target.cursor().copy(
                    f"COPY {table} ({columns}) FROM STDIN (FORMAT csv)"
                ) as to:
                    while piece := lines.read(1 << 20):
                        to.write(piece)
            target.execute(f"ANALYZE {table}")
