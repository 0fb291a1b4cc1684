"""The section that shows where money could be saved, and which models end soon."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_playground import formatting
from llm_playground.catalog import models
from llm_playground.charts import fluid
from llm_playground.charts.fluid import AMBER, Bar, Part
from llm_playground.charts.points import COLORS
from llm_playground.dashboards.cards import Card, Cell, Choice, Table, others_key, pressed
from llm_playground.dashboards.figures import Figures, State
from llm_playground.dashboards.overview_page import NONE
from llm_playground.dashboards.quality_page import known, known_text
from llm_playground.errors import LLMError
from llm_playground.reports import retiring, run_rows, savings
from llm_playground.reports.overview import total as total_of

if TYPE_CHECKING:
    import pandas as pd

_SOON_DAYS = 90
_MOST_BARS = 10
_MOST_PROMPTS = 10
_MOST_OPTIONS = 60
_FREE = "local"
_ROUNDING_USD = 1e-9


def cards(figures: Figures, state: State) -> list[Card]:
    """The cards of the section."""
    filters, key = state.chosen, state.filters
    prompts = figures.read(
        "prompts", key, lambda: run_rows.top_prompts(limit=_MOST_PROMPTS, **filters)
    )
    return [
        _prompts_card(prompts, figures, state),
        _what_if_card(figures, state),
        _cache_card(figures.read("cache", key, lambda: savings.prompt_cache(**filters))),
        _retiring_card(
            figures.read(
                "retiring",
                key,
                lambda: retiring.ending(_SOON_DAYS, ["model"], filters, figures.now()),
            )
        ),
    ]


def _prompts_card(frame: pd.DataFrame, figures: Figures, state: State) -> Card:
    title = "Prompts that cost the most"
    total = float(total_of(figures.overview(state).by_day_and_model)["cost_usd"] or 0)
    bars, cells, shown = [], [], 0.0
    for row in frame.to_dict("records"):
        usd = known(row["cost_usd"])
        shown += usd or 0.0
        prompt = row["user_prompt"] if isinstance(row["user_prompt"], str) else "(text not stored)"
        key = pressed("prompt", row["prompt_hash"])
        amount = "unknown" if usd is None else formatting.usd(usd)
        runs = formatting.count(int(row["runs"]), "run")
        bars.append(Bar(prompt, (Part("cost", usd or 0.0, COLORS[0]),), amount, runs, key))
        cells.append(
            [
                Cell(" ".join(prompt.split())[:120], key=key),
                Cell(known_text(row["model"]) or NONE),
                Cell(amount, usd or 0.0),
                Cell(f"{row['runs']:,}", float(row["runs"])),
            ]
        )
    rest = max(total - shown, 0.0)
    if rest > _ROUNDING_USD:
        amount = formatting.usd(rest)
        key = others_key("prompt", frame["prompt_hash"].tolist())
        cells.append([Cell("all other prompts", key=key), Cell(""), Cell(amount, rest), Cell("")])
    return Card(
        "prompts",
        title,
        f"{formatting.usd(shown)} of {formatting.usd(total)}" if bars else "",
        fluid.bars(title, bars),
        Table(("Prompt", "Model", "Cost", "Runs"), cells, texts=2),
        empty="" if bars else "No runs.",
    )


def _what_if_card(figures: Figures, state: State) -> Card:
    """The cost of the same runs on another model, which a select names."""
    title, filters = "The same runs on another model", state.chosen
    prices = figures.read("choices", None, _output_prices)
    names = list(prices)
    paid = [name for name in names if prices[name]]
    other = state.other_model or min(paid, key=prices.__getitem__, default=_FREE)
    choice = Choice("other_model", "Model", [(name, name) for name in names], other)
    try:
        frame = figures.read(
            "what_if", (state.filters, other), lambda: savings.what_if(other, **filters)
        )
    except LLMError as error:
        return Card("what_if", title, empty=str(error), choice=choice)
    bars, cells = [], []
    for row in frame.sort_values("cost_usd", ascending=False).to_dict("records"):
        now, then, change = (
            known(row[name]) for name in ("cost_usd", "what_if_usd", "difference_usd")
        )
        of = known_text(row["model"])
        model, key = of or NONE, pressed("model", of)
        texts = ["unknown" if usd is None else formatting.usd(usd) for usd in (now, then, change)]
        cells.append(
            [
                Cell(model, key=key),
                *(
                    Cell(text, usd or 0.0)
                    for text, usd in zip(texts, (now, then, change), strict=True)
                ),
            ]
        )
        bars.append(
            Bar(model, (Part("now", now or 0.0, COLORS[0]),), texts[0], f"would be {texts[1]}", key)
        )
    difference = known(frame.difference_usd.sum()) if len(frame) else None
    saying = "" if difference is None else _difference(difference)
    return Card(
        "what_if",
        title,
        saying,
        fluid.bars(title, bars[:_MOST_BARS]),
        Table(("Model", "Now", "Then", "Difference"), cells),
        "At today's prices, with the same numbers of tokens.",
        empty="" if bars else "No runs.",
        choice=choice,
    )


def _difference(usd: float) -> str:
    if abs(usd) < _ROUNDING_USD:
        return "no difference"
    return f"{formatting.usd(abs(usd))} {'more' if usd > 0 else 'less'}"


def _output_prices() -> dict[str, Decimal]:
    """The known prices of output tokens, by model in the order of the picker."""
    known_prices = [
        (choice.model, choice.output_usd_per_mtok)
        for choice in models.choices()
        if choice.output_usd_per_mtok is not None and not choice.deprecated
    ]
    return dict(known_prices[:_MOST_OPTIONS])


def _cache_card(frame: pd.DataFrame) -> Card:
    title = "What a prompt cache would save"
    bars, cells = [], []
    for row in frame.to_dict("records"):
        usd = known(row["missed_usd"])
        amount = "unknown" if usd is None else formatting.usd(usd)
        label = f"{row['model']} · {row['prefix']}"
        part = Part("missed", usd or 0.0, COLORS[2])
        key = pressed("model", row["model"])
        tokens = f"{formatting.large(int(row['missed_tokens']))} tokens"
        bars.append(Bar(label, (part,), amount, tokens, key))
        cells.append(
            [
                Cell(known_text(row["model"]) or NONE, key=key),
                Cell(str(row["prefix"])),
                Cell(str(row["advice"])),
                Cell(f"{row['prefix_tokens']:,}", float(row["prefix_tokens"])),
                Cell(f"{row['repeat_runs']:,}", float(row["repeat_runs"])),
                Cell(amount, usd or 0.0),
            ]
        )
    columns = ("Model", "Beginning", "Advice", "Tokens of it", "Repeated", "Saving")
    return Card(
        "cache",
        title,
        formatting.usd(sum(bar.total for bar in bars)) if bars else "",
        fluid.bars(title, bars[:_MOST_BARS]),
        Table(columns, cells, texts=3),
        empty=""
        if bars
        else "No prompts share a beginning that is long enough and not cached yet.",
    )


def _retiring_card(frame: pd.DataFrame) -> Card:
    title = "Models that end within 90 days"
    bars, cells = [], []
    for row in frame.to_dict("records"):
        days, usd = int(row["days_left"]), known(row["monthly_usd"])
        ends = f"{row['retires_at']:%Y-%m-%d}"
        text = f"ended {ends}" if days < 0 else f"ends {ends}"
        of = known_text(row["model"])
        model, key = of or NONE, pressed("model", of)
        part = Part("days", float(max(days, 0)), AMBER)
        bars.append(
            Bar(model, (part,), text, f"{formatting.count(max(days, 0), 'day')} left", key, 90.0)
        )
        cells.append(
            [
                Cell(model, key=key),
                Cell(ends),
                Cell(_listed(row["notebooks"])),
                Cell(_listed(row["users"])),
                Cell(_listed(row["prompts"])),
                Cell(f"{row['runs']:,}", float(row["runs"])),
                Cell("unknown" if usd is None else formatting.usd(usd), usd or 0.0),
            ]
        )
    columns = ("Model", "Ends", "Notebooks", "Users", "Prompts", "Runs", "Last 30 days")
    return Card(
        "retiring",
        title,
        formatting.count(len(bars), "model") if bars else "",
        fluid.bars(title, bars[:_MOST_BARS]),
        Table(columns, cells, texts=5),
        empty="" if bars else "No model that was used ends soon.",
    )


def _listed(names: Any) -> str:  # noqa: ANN401 - a list in a cell of a frame
    return ", ".join(str(name) for name in names[:5]) + (" …" if len(names) > 5 else "")
