"""What the run log says, as pandas frames, computed in the database.

Every report asks the narrowest table: what needs no user, notebook, tag or text reads ``results``
alone. Rows that another program inserted with nothing but a ``results`` row are in every report.
"""

from llm_playground.reports.costs import costs
from llm_playground.reports.duplicates import duplicates
from llm_playground.reports.failures import failures
from llm_playground.reports.filters import Filters
from llm_playground.reports.forecast import forecast
from llm_playground.reports.groups import By
from llm_playground.reports.latency import latency
from llm_playground.reports.moments import When
from llm_playground.reports.prompt_cache import prompt_cache
from llm_playground.reports.reconcile import reconcile
from llm_playground.reports.runs import runs
from llm_playground.reports.sql import sql
from llm_playground.reports.usage import usage_by
from llm_playground.reports.waste import waste
from llm_playground.reports.what_if import what_if

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
