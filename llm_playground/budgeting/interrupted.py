"""What runs cost whose process died: nobody counted, so it is estimated from what came."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from llm_playground import pricing, tokens
from llm_playground.runlog import Dialect, Session
from llm_playground.types import Usage

# No period that still counts is longer, but for budgets in all.
_DAYS = 40

_BYTES: Mapping[Dialect, str] = {"duckdb": "strlen", "postgres": "octet_length"}
# Nothing came of a run without text: as with other runs, nothing is taken to be billed then.
_UNCOUNTED = """
SELECT r.id, r.model, r.started_at,
       {bytes}(coalesce(p.system_prompt, '')) + {bytes}(coalesce(p.user_prompt, '')),
       {bytes}(r.response_text) + {bytes}(coalesce(r.reasoning_text, ''))
FROM results r LEFT JOIN executions e ON e.id = r.execution_id
LEFT JOIN prompts p ON p.id = e.prompt_id
WHERE r.status = 'interrupted' AND r.cost_usd IS NULL AND r.response_text <> ''
  AND coalesce(r.usage_source, 'none') = 'none' AND r.started_at >= $since
"""
_COUNTED = """
UPDATE results SET input_tokens = $sent, output_tokens = $came, usage_source = 'estimated',
    cost_usd = CAST($cost AS DECIMAL(18, 12)), price_source = $source
WHERE id = $id AND started_at = $at AND status = 'interrupted'
"""


def settle(session: Session, dialect: Dialect, now: datetime) -> None:
    """Give interrupted runs an estimated usage and cost, within a change."""
    since = now - timedelta(days=_DAYS)
    sql = _UNCOUNTED.format(bytes=_BYTES[dialect])
    for run_id, model, at, sent_bytes, came_bytes in session.rows(sql, {"since": since}):
        usage = Usage(tokens.of_bytes(sent_bytes), tokens.of_bytes(came_bytes))
        price = pricing.price(model, usage, at)
        values = {
            "id": run_id,
            "at": at,
            "sent": usage.input_tokens,
            "came": usage.output_tokens,
            "cost": price.cost_usd,
            "source": price.source,
        }
        session.execute(_COUNTED, values)
