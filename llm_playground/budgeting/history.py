"""What the run log tells of a model's earlier runs: how long answers are, and how texts count."""

from __future__ import annotations

from collections.abc import Mapping

from llm_playground.estimates import History
from llm_playground.runlog import Dialect, Session, open_log

# With fewer runs than this a model's own figures say less than common ones.
_FEWEST_RUNS = 20
_NEWEST = 200
# In a short text the format's own tokens count for more than the text's.
_SHORTEST_BYTES = 400

_SIZE: Mapping[Dialect, str] = {
    "duckdb": "strlen(coalesce(p.system_prompt, '')) + strlen(coalesce(p.user_prompt, ''))",
    "postgres": "octet_length(coalesce(p.system_prompt, ''))"
    " + octet_length(coalesce(p.user_prompt, ''))",
}
_TURNS: Mapping[Dialect, str] = {
    "duckdb": "json_array_length(p.messages)",
    "postgres": "jsonb_array_length(p.messages)",
}
# A conversation's earlier turns are in `messages` alone: only single prompts tell their size.
_NEWEST_RUNS = """
WITH newest AS (
    SELECT r.input_tokens, r.output_tokens, {size} AS bytes,
           {turns} = CASE WHEN p.system_prompt IS NULL THEN 1 ELSE 2 END AS alone
    FROM results r
    JOIN executions e ON e.id = r.execution_id JOIN prompts p ON p.id = e.prompt_id
    WHERE r.model = $model AND r.status = 'completed' AND r.usage_source = 'provider'
      AND NOT coalesce(r.cached, false)
    ORDER BY r.started_at DESC LIMIT {limit}
), ratios AS (
    SELECT CAST(bytes AS DOUBLE PRECISION) / input_tokens AS ratio FROM newest
    WHERE alone AND bytes >= {shortest} AND input_tokens > 0
)
SELECT (SELECT count(*) FROM newest), (SELECT avg(output_tokens) FROM newest),
       (SELECT count(*) FROM ratios), (SELECT avg(ratio) FROM ratios),
       (SELECT percentile_cont(0.05) WITHIN GROUP (ORDER BY ratio) FROM ratios)
"""


def read(session: Session, dialect: Dialect, model: str) -> History:
    """What the newest runs of a model tell.

    Args:
        session: A change.
        dialect: Its engine.
        model: ``provider:name``.
    """
    sql = _NEWEST_RUNS.format(
        size=_SIZE[dialect], turns=_TURNS[dialect], limit=_NEWEST, shortest=_SHORTEST_BYTES
    )
    [(runs, output_tokens, texts, ratio, fewest)] = session.rows(sql, {"model": model})
    told, counted = runs >= _FEWEST_RUNS, texts >= _FEWEST_RUNS
    return History(
        bytes_per_token=float(ratio) if counted else None,
        fewest_bytes_per_token=float(fewest) if counted else None,
        output_tokens=float(output_tokens) if told and output_tokens is not None else None,
    )


def history_of(model: str) -> History:
    """What the run log tells of a model.

    Raises:
        RunLogError: The log cannot be read.
    """
    log = open_log()
    return log.change(lambda session: read(session, log.dialect, model))
