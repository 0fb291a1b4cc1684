"""The section that lists the runs behind a figure."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, cast

from llm_playground import formatting
from llm_playground.dashboards.cards import Card, Cell, Table, pressed
from llm_playground.dashboards.figures import Figures, State
from llm_playground.dashboards.overview_page import budget_name
from llm_playground.reports import slices
from llm_playground.reports.moments import time_zone
from llm_playground.reports.query import MAX_MS, Filters
from llm_playground.reports.slices import Slice

PAGE = 50
_TITLES = {
    "all": "Runs",
    "undated": "Runs without a date",
    "sent": "Runs that were sent",
    "completed": "Runs that were answered",
    "retried": "Runs that were repeated after a failure",
    "other_model": "Runs of the other models",
    "other_user": "Runs by the other users",
    "other_notebook": "Runs in the other notebooks",
    "other_prompt": "Runs of the other prompts",
    "failed": "Runs that failed",
    "unpriced": "Runs without a known price",
    "cancelled": "Runs that were stopped or interrupted",
    "truncated": "Runs that were cut off at max_tokens",
    "blocked": "Runs that were blocked",
}


def cards(figures: Figures, state: State) -> list[Card]:
    """The one card of the section."""
    part, filters, title = _chosen(figures, state)
    found = figures.read(
        "runs",
        (tuple(filters.items()), part, state.offset),
        lambda: slices.page(part, filters, tz=figures.tz, limit=PAGE, offset=state.offset),
    )
    zone = time_zone(figures.tz)
    rows = [_cells(row, zone) for row in found.rows]
    total = formatting.count(found.runs, "run")
    if found.cost_usd is not None:
        total = f"{total} · {formatting.usd(found.cost_usd)}"
    is_part = state.slice != Slice()
    columns = ("Started", "Model", "Prompt", "Status", "User", "Notebook")
    return [
        Card(
            "runs",
            title,
            total,
            None,
            Table((*columns, "Cost", "Time", "Tokens"), rows, texts=len(columns)),
            "Show all runs" if is_part else "",
            pressed("all") if is_part else "",
            empty="" if rows else "No runs.",
            is_wide=True,
            is_table=True,
            pages=(state.offset + 1, state.offset + len(rows), found.runs) if rows else None,
        )
    ]


def _chosen(figures: Figures, state: State) -> tuple[Slice, Filters, str]:
    """The slice, the filters and the title of the runs; those of a budget have its own filters."""
    if state.slice.name != "budget":
        return state.slice, state.chosen, title_of(state.slice)
    found = [one for one in figures.budgets() if one.budget.id == state.slice.value]
    if not found:
        return Slice(), state.chosen, title_of(Slice())
    budget, span = found[0].budget, found[0].span
    of_budget = {
        "model": budget.model,
        "user": budget.user,
        "tag": budget.tag,
        "since": span.start,
        "until": span.end,
    }
    kept = {name: value for name, value in of_budget.items() if value is not None}
    return Slice(), cast("Filters", kept), f"Runs of the budget {budget_name(found[0])}"


def title_of(part: Slice) -> str:
    """What the runs of a slice have in common."""
    if part.name in _TITLES:
        return _TITLES[part.name]
    value = "(none)" if part.value is None else part.value
    if part.name in {"days", "whenever"}:
        first, _, last = value.partition("/")
        return f"Runs of {first}" if last in {"", first} else f"Runs from {first} to {last}"
    named = {"model": "Runs of", "user": "Runs by", "notebook": "Runs in", "failure": "Runs:"}
    return f"{named.get(part.name, 'Runs of the prompt')} {value[:60]}"


def _cells(row: Any, zone: Any) -> list[Cell]:  # noqa: ANN401 - a row of the database
    started: datetime | None = row["started_at"]
    moment = "" if started is None else f"{started.astimezone(zone):%Y-%m-%d %H:%M}"
    usd, ms = row["cost_usd"], row["response_time_ms"]
    has_time = ms is not None and 0 <= ms <= MAX_MS
    status = f"{row['status'] or 'completed'}{', reused' if row['cached'] else ''}"
    if row["error_type"]:
        status = f"{status}: {row['error_type']}"
    tokens = [row[f"{name}_tokens"] for name in ("input", "output")]
    known = [count for count in tokens if count is not None]
    return [
        Cell(moment or "no date", moment, json.dumps({"run": row["run_id"]})),
        Cell(row["model"] or ""),
        Cell(" ".join((row["user_prompt"] or "").split())[:90]),
        Cell(status),
        Cell(row["username"] or ""),
        Cell(row["notebook"] or ""),
        Cell("unknown" if usd is None else formatting.cost_usd(usd), float(usd or 0)),
        Cell(formatting.duration(ms), ms) if has_time else Cell("", 0.0),
        Cell(f"{sum(known):,}" if known else "", float(sum(known))),
    ]
