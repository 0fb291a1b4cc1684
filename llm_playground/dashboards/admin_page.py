"""The section for those who look after a shared log: who spent what, budgets, the audit log."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llm_playground import formatting
from llm_playground.dashboards import audit_text
from llm_playground.dashboards.cards import Card, Cell, Choice, Table, pressed
from llm_playground.dashboards.figures import Figures, State
from llm_playground.dashboards.overview_page import NONE, budgets_card
from llm_playground.dashboards.quality_page import known
from llm_playground.reports import run_rows, spending

if TYPE_CHECKING:
    import pandas as pd

_MOST_ENTRIES = 200


def cards(figures: Figures, state: State) -> list[Card]:
    """The cards of the section."""
    filters = state.chosen
    users = figures.read("usage", state.filters, lambda: spending.usage_by("user", **filters))
    return [
        _users_card(users),
        budgets_card(figures.budgets(), is_wide=True),
        _audit_card(state),
    ]


def _users_card(frame: pd.DataFrame) -> Card:
    rows = []
    for row in frame.to_dict("records"):
        usd, user = known(row["cost_usd"]), row["user"] if isinstance(row["user"], str) else None
        counts = [int(row[name]) for name in ("runs", "prompts", "models", "failed_runs")]
        last = row["last_at"]
        rows.append(
            [
                Cell(user or NONE, key=pressed("user", user)),
                Cell("" if last != last else f"{last:%Y-%m-%d %H:%M}"),
                Cell("unknown" if usd is None else formatting.usd(usd), usd or 0.0),
                *(Cell(f"{count:,}", float(count)) for count in counts),
                Cell(f"{row['unpriced_runs']:,}", float(row["unpriced_runs"])),
            ]
        )
    columns = ("User", "Last run (UTC)", "Cost", "Runs", "Prompts", "Models", "Failed")
    return Card(
        "spenders",
        "Who spent what",
        table=Table((*columns, "Without a price"), rows, texts=2),
        empty="" if rows else "No runs.",
        is_wide=True,
        is_table=True,
    )


def _audit_card(state: State) -> Card:
    """The newest entries of the audit log that fit the dates, the user and the action."""
    chosen = state.of("user", "since", "until")
    everything = run_rows.audit(limit=_MOST_ENTRIES, **chosen)
    actions = sorted({str(action) for action in everything["action"]} | ({state.action} - {""}))
    found = (
        run_rows.audit(action=state.action, limit=_MOST_ENTRIES, **chosen)
        if state.action
        else everything
    )
    rows = [_audit_cells(row) for row in found.to_dict("records")]
    options = [("", "All actions"), *((action, action) for action in actions)]
    columns = ("Time (UTC)", "User", "Action", "Change", "Notebook")
    return Card(
        "audit",
        "Audit log",
        f"the newest {len(rows):,}"
        if len(rows) == _MOST_ENTRIES
        else formatting.count(len(rows), "action"),
        table=Table(columns, rows, texts=len(columns)),
        empty="" if rows else "Nothing was recorded.",
        is_wide=True,
        is_table=True,
        choice=Choice("action", "Action", options, state.action),
    )


def _audit_cells(row: Mapping[Any, Any]) -> list[Cell]:
    detail = audit_text.detail_of(row["detail"])
    user, target, notebook = (
        row[name] if isinstance(row[name], str) else None
        for name in ("username", "target", "notebook")
    )
    run_id = detail.get("run_id")
    key = json.dumps({"run": run_id}) if isinstance(run_id, str) else ""
    return [
        Cell(f"{row['created_at']:%Y-%m-%d %H:%M}"),
        Cell(user or NONE, key=pressed("user", user)),
        Cell(audit_text.what(str(row["action"]), target, detail), key=key),
        Cell(audit_text.change(str(row["action"]), detail)),
        Cell(notebook or "", key=pressed("notebook", notebook) if notebook else ""),
    ]
