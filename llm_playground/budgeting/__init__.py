"""Budgets that hold, across all processes that share a run log.

A call's worst case is held before it is sent and settled with its cost when it has ended. Each
process holds a share of every budget it uses (:mod:`.purse`), shown to the others as a row of
``budget_reservations`` (:mod:`.ledger`); :mod:`.desk` is where calls come, :mod:`.claim` is one
call's way through it.
"""

from __future__ import annotations

import atexit
import os

from llm_playground.budgeting import desk as _desks
from llm_playground.budgeting.budget import Budget
from llm_playground.budgeting.claim import BudgetWarning, Claim
from llm_playground.budgeting.desk import Desk, desk
from llm_playground.budgeting.history import history_of
from llm_playground.budgeting.setting import set_budget
from llm_playground.budgeting.slip import check_worst_case
from llm_playground.budgeting.table import budgets

__all__ = [
    "Budget",
    "BudgetWarning",
    "Claim",
    "Desk",
    "budgets",
    "check_worst_case",
    "desk",
    "history_of",
    "set_budget",
]


atexit.register(_desks.close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_desks.forget_all)
