"""What the run log says, as pandas frames, computed in the database.

Every report asks the narrowest table: what needs no user, notebook, tag or text reads ``results``
alone. Rows that another program inserted with nothing but a ``results`` row are in every report.
"""

from llm_playground.reports.coach import prompt_cache
from llm_playground.reports.faults import failures
from llm_playground.reports.filters import Filters
from llm_playground.reports.groups import By
from llm_playground.reports.losses import waste
from llm_playground.reports.moments import When
from llm_playground.reports.month_end import forecast
from llm_playground.reports.query import sql
from llm_playground.reports.reconciliation import reconcile
from llm_playground.reports.repeats import duplicates
from llm_playground.reports.repricing import what_if
from llm_playground.reports.run_rows import runs
from llm_playground.reports.speed import latency
from llm_playground.reports.spending import costs
from llm_playground.reports.usage import usage_by

__all__ = [
    "By",
    "Filters",
    "When",
    "costs",
    "duplicates",
    "failures",
    "forecast",
    "latency",
    "prompt_cache",
    "reconcile",
    "runs",
    "sql",
    "usage_by",
    "waste",
    "what_if",
]
