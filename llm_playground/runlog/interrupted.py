"""Prices of runs whose process died, set by the process that takes over its journal.

Until then nothing in the log has what such a run cost. Prices and budgets are packages above this
one: they are imported if there is such a run.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from importlib import import_module

from llm_playground.runlog.store import Dialect, Writer

# Rows of running runs have the estimated input, or what the provider had counted. A time is in rows
# of ended runs only.
UNPRICED = """r.status = 'interrupted' AND r.cost_usd IS NULL AND r.started_at >= $since
  AND (coalesce(r.usage_source, 'none') = 'none'
       OR r.usage_source = 'provider' AND r.response_time_ms IS NULL)"""
_ANY = f"SELECT 1 FROM results r WHERE {UNPRICED} LIMIT 1"  # noqa: S608 - a constant
# Longer than any period of a budget except `total`.
MAX_AGE = timedelta(days=40)

_log = logging.getLogger(__name__)


def price(writer: Writer, dialect: Dialect) -> None:
    """Price the interrupted runs that have no price yet. Never raises: the runs are ingested."""
    since = datetime.now(UTC) - MAX_AGE
    try:
        if writer.change(lambda session: session.rows(_ANY, {"since": since})):
            ledger = import_module("llm_playground.budgeting.ledger")
            writer.change(
                lambda session: ledger.price_interrupted_runs(session, dialect, datetime.now(UTC))
            )
    except Exception as error:  # a read-only server, a row of another program
        _log.warning("Interrupted runs have no price yet: %s", error)
