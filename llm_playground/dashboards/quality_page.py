"""The section that shows how fast answers are, what fails, and what is wasted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from llm_playground import formatting
from llm_playground.charts import fluid
from llm_playground.charts.fluid import Bar, Part
from llm_playground.charts.points import COLORS
from llm_playground.dashboards.cards import Card, Cell, Table, pressed
from llm_playground.dashboards.figures import Figures, State
from llm_playground.dashboards.overview_page import NONE
from llm_playground.reports import quality

if TYPE_CHECKING:
    import pandas as pd

_MOST_BARS = 10
_WASTE = {
    "failed": "failed",
    "truncated": "cut off at max_tokens",
    "cancelled": "stopped or interrupted",
    "blocked": "blocked",
}


def cards(figures: Figures, state: State) -> list[Card]:
    """The cards of the section."""
    filters, key = state.chosen, state.filters
    times = figures.read("latency", key, lambda: quality.latency(**filters))
    failed = figures.read("failures", key, lambda: quality.failures((), **filters))
    wasted = figures.read("waste", key, lambda: quality.waste((), **filters))
    return [
        _times_card("times", "Response time by model", times, ("p50_ms", "p95_ms")),
        _times_card("first", "Time to first text by model", times, ("ttft_p50_ms", "ttft_p95_ms")),
        _failures_card(failed),
        _waste_card(wasted),
    ]


def known(value: Any) -> float | None:  # noqa: ANN401 - a cell of a frame
    """A number of a frame; None for NaN."""
    return None if value is None or value != value else float(value)


def known_text(value: object) -> str | None:
    """A text of a frame; None for NaN."""
    return value if isinstance(value, str) else None


def _times_card(name: str, title: str, frame: pd.DataFrame, columns: tuple[str, str]) -> Card:
    rows = sorted(frame.to_dict("records"), key=lambda row: -row["runs"])
    bars, cells = [], []
    for row in rows:
        median, high = (known(row[column]) for column in columns)
        model = known_text(row["model"])
        texts = ["" if ms is None else formatting.duration(ms) for ms in (median, high)]
        key = pressed("model", model)
        rate = known(row["error_rate"]) or 0.0
        speed = known(row["tokens_per_second"])
        cells.append(
            [
                Cell(model or NONE, key=key),
                Cell(texts[0], median),
                Cell(texts[1], high),
                Cell(f"{row['runs']:,}", float(row["runs"])),
                Cell("" if speed is None else f"{speed:,.0f}", speed),
                Cell(f"{rate:.1%}", rate),
            ]
        )
        if median is None or high is None:
            continue
        parts = (
            Part("median", median, COLORS[0]),
            Part("to p95", max(high - median, 0.0), COLORS[4]),
        )
        bars.append(Bar(model or NONE, parts, texts[0], f"p95 {texts[1]}", key))
    columns_shown = ("Model", "Median", "p95", "Runs", "Tokens/s", "Failed")
    left_out = len(bars) - _MOST_BARS
    return Card(
        name,
        title,
        "",
        fluid.bars(title, bars[:_MOST_BARS]),
        Table(columns_shown, cells),
        f"and {formatting.count(left_out, 'model')} with fewer runs" if left_out > 0 else "",
        empty="" if bars else "No completed runs with a known time.",
    )


def _failures_card(frame: pd.DataFrame) -> Card:
    title = "Errors and blocked runs by kind"
    bars, cells = [], []
    for row in frame.to_dict("records"):
        kind = " ".join(str(row[name]) for name in ("status", "error_type") if _is_text(row[name]))
        shown = str(row["error_type"]) if _is_text(row["error_type"]) else str(row["status"])
        runs, rate = int(row["runs"]), float(row["rate"])
        key = pressed("failure", kind)
        part = Part("runs", float(runs), COLORS[5])
        text = formatting.count(runs, "run")
        bars.append(Bar(shown, (part,), text, f"{rate:.1%} of all", key))
        message = str(row["last_message"]) if _is_text(row["last_message"]) else ""
        cells.append(
            [
                Cell(shown, key=key),
                Cell(str(row["status"])),
                Cell(message),
                Cell(f"{runs:,}", float(runs)),
                Cell(f"{rate:.2%}", rate),
            ]
        )
    return Card(
        "failures",
        title,
        formatting.count(sum(int(bar.total) for bar in bars), "run") if bars else "",
        fluid.bars(title, bars[:_MOST_BARS]),
        Table(("Error", "Status", "Last message", "Runs", "Share"), cells, texts=3),
        empty="" if bars else "No run failed.",
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _waste_card(frame: pd.DataFrame) -> Card:
    title = "Spent without a complete answer"
    if frame.empty:
        return Card("waste", title, empty="No runs.")
    [row] = frame.to_dict("records")
    kinds = [
        (name, text, int(row[f"{name}_runs"]), known(row[f"{name}_usd"]))
        for name, text in _WASTE.items()
    ]
    kinds.sort(key=lambda kind: (-(kind[3] or 0), -kind[2]))
    bars = [
        Bar(
            text,
            (Part("cost", usd or 0.0, COLORS[1]),),
            "unknown" if usd is None else formatting.usd(usd),
            formatting.count(runs, "run"),
            _waste_key(name),
        )
        for name, text, runs, usd in kinds
        if runs
    ]
    wasted = known(row["wasted_usd"])
    return Card(
        "waste",
        title,
        "" if wasted is None else formatting.usd(wasted),
        fluid.bars(title, bars),
        Table(("Kind", "Cost", "Runs"), [_waste_cells(*kind) for kind in kinds]),
        _retries_note(row),
        pressed("retried") if row["retries"] else "",
        empty="" if bars else "Every run was answered in full.",
    )


def _waste_key(name: str) -> str:
    return pressed(name)


def _waste_cells(name: str, text: str, runs: int, usd: float | None) -> Sequence[Cell]:
    amount = "unknown" if usd is None else formatting.usd(usd)
    return [
        Cell(text, key=_waste_key(name)),
        Cell(amount, usd or 0.0),
        Cell(f"{runs:,}", float(runs)),
    ]


def _retries_note(row: dict[Any, Any]) -> str:
    """What was repeated and reused, as far as it occurred."""
    retries, reused = int(row["retries"]), int(row["reused_runs"])
    saved = formatting.usd(known(row["saved_usd"]) or 0.0)
    notes = {
        f"{formatting.count(retries, 'attempt')} repeated after a failure.": retries,
        f"{formatting.count(reused, 'answer')} reused, which saved {saved}.": reused,
    }
    return " ".join(note for note, number in notes.items() if number)
