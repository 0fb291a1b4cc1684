"""What was asked more than once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Unpack

from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import tables
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

_SENT = "NOT coalesce(r.cached, false) AND r.prompt_hash IS NOT NULL"
# One pass over the results; the prompt's text comes from its own row, for the prompts found.
_REPORT = """
WITH found AS (
    SELECT prompt_hash, max(model) AS model, count(*) AS runs,
        count(DISTINCT execution_id) AS executions,
        count(DISTINCT response_text) AS answers,
        sum(cost_usd)::FLOAT8 AS cost_usd,
        (sum(cost_usd) FILTER (WHERE place > 1))::FLOAT8 AS repeated_usd,
        min(started_at) AS first_at, max(started_at) AS last_at
    FROM (
        SELECT r.*, row_number() OVER (
            PARTITION BY r.prompt_hash ORDER BY r.started_at NULLS LAST, r.id) AS place
        FROM {tables} WHERE {where}
    ) AS placed
    GROUP BY prompt_hash HAVING count(*) > 1
)
SELECT found.prompt_hash, model, texts.user_prompt, runs, executions, answers, cost_usd,
    repeated_usd, first_at, last_at
FROM found LEFT JOIN (
    SELECT prompt_hash, min(user_prompt) AS user_prompt FROM prompts
    WHERE prompt_hash IN (SELECT prompt_hash FROM found) GROUP BY prompt_hash
) AS texts ON texts.prompt_hash = found.prompt_hash
ORDER BY repeated_usd DESC NULLS LAST, runs DESC, found.prompt_hash
"""


def duplicates(**filters: Unpack[Filters]) -> pd.DataFrame:
    """Requests that were sent more than once, by ``prompt_hash``; the dearest repeats first.

    ``prompt_hash``, ``model``, ``user_prompt``, ``runs``, ``executions`` (asked in one go with
    ``n=5`` is one of them), ``answers`` (different texts), ``cost_usd``, ``repeated_usd`` (all but
    the first), ``first_at``, ``last_at``. Answers out of the log were not sent and do not count.

    Args:
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or cannot be understood.
        RunLogError: The log cannot be read.
    """
    log = open_log()
    where = condition(filters, log.dialect)
    query = _REPORT.format(tables=tables(where.tables), where=f"{where.sql} AND {_SENT}")
    return log.frame(query, where.values)
