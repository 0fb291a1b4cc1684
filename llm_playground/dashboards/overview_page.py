"""The summary, and the section that shows what runs cost: over time, by group, this month."""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from llm_playground import formatting
from llm_playground.budgeting.status import BudgetStatus
from llm_playground.charts import fluid
from llm_playground.charts.fluid import AMBER, RED, Bar, Line, Part
from llm_playground.charts.points import COLORS
from llm_playground.dashboards.cards import Card, Cell, Table, Tile, others_key, pressed
from llm_playground.dashboards.figures import Figures, State
from llm_playground.reports.overview import Overview, Row, merged
from llm_playground.reports.overview import total as total_of

NONE = "(none)"
_MOST_SERIES, _MOST_BARS = 6, 8
_OTHERS = "all others"
_MOST_DAYS, _MOST_WEEKS = 185, 160  # more columns than that become weeks, then months
_MOST_MONTHS = 240  # more than that: a run with a wrong date
_NEARLY = 0.8  # of a budget
_USAGE = ("Cost", "Runs", "Input tokens", "Output tokens", "Without a price")


def summary(figures: Figures, state: State) -> list[Tile]:
    """The tiles above all sections."""
    found = figures.overview(state)
    total = total_of(found.by_day_and_model)
    runs, sent, failed = total["runs"], total["sent_runs"], total["failed_runs"]
    tokens = total["input_tokens"] + total["output_tokens"]
    times = [None if ms is None else formatting.duration(ms) for ms in (found.p50_ms, found.p95_ms)]
    rate = f"{failed / sent:.1%}" if sent else "none"
    return [
        Tile(
            "Total cost",
            cost(total),
            unpriced(total) or estimated(total) or "all prices known",
            pressed("all"),
            about_key=pressed("unpriced") if total["unpriced_runs"] else "",
        ),
        Tile("Runs", f"{runs:,}", f"{formatting.large(tokens)} tokens", pressed("all")),
        Tile("Error rate", rate, f"{failed:,} of {sent:,} failed", pressed("failed")),
        Tile(
            "Response time",
            times[0] or "none",
            f"median; p95 {times[1] or 'none'}",
            pressed("completed"),
        ),
        _budget_tile(figures.budgets()),
    ]


def cards(figures: Figures, state: State) -> list[Card]:
    """The cards of the section."""
    found = figures.overview(state)
    rows = found.by_day_and_model
    places = figures.by_user_and_notebook(state)
    total = cost(total_of(rows))
    note = " ".join(filter(None, (unpriced(total_of(rows)), estimated(total_of(rows)))))
    return [
        _over_time("days", "Cost per day", found, note, _steps_of_days),
        _over_time("months", "Cost per month", found, "", _steps_of_months),
        forecast_card(figures, state),
        group_card("models", "Cost by model", merged(rows, "model"), "model", total),
        group_card("users", "Cost by user", merged(places, "user"), "user", total),
        group_card("notebooks", "Cost by notebook", merged(places, "notebook"), "notebook", total),
        budgets_card(figures.budgets()),
    ]


def cost(row: Row) -> str:
    """The cost of some runs; unknown if no price is known."""
    if row["cost_usd"] is None:
        return "unknown" if row["runs"] else formatting.usd(0)
    return formatting.usd(row["cost_usd"])


def axis_usd(amounts: Sequence[float]) -> list[str]:
    """Round amounts of an axis, all with the digits that their step needs.

    >>> axis_usd([0, 0.05, 0.1]), axis_usd([0, 0.2]), axis_usd([0, 1000]), axis_usd([0, 2e6])
    (['$0.00', '$0.05', '$0.10'], ['$0.00', '$0.20'], ['$0', '$1,000'], ['$0', '$2,000k'])
    """
    step = amounts[1] - amounts[0] if len(amounts) > 1 else 1.0
    if step >= 10_000:
        return ["$0" if not amount else f"${amount / 1000:,.0f}k" for amount in amounts]
    needed = -(Decimal(f"{step:.6g}").normalize().as_tuple().exponent)  # type: ignore[operator]
    digits = max(needed, 2) if needed > 0 else 0
    return [f"${amount:,.{digits}f}" for amount in amounts]


def unpriced(row: Row) -> str:
    """The sentence about runs without a known price; empty without any."""
    if not row["unpriced_runs"]:
        return ""
    least = row["at_least_usd"]
    known = f", of at least {formatting.usd(least)}" if least else ""
    return f"{formatting.count(row['unpriced_runs'], 'run')} without a known price{known}."


def estimated(row: Row) -> str:
    """The sentence about runs whose tokens were estimated; empty without any."""
    if not row["estimated_runs"]:
        return ""
    amount = formatting.usd(row["estimated_usd"] or 0)
    return f"{amount} of it is estimated, for {formatting.count(row['estimated_runs'], 'run')}."


def usage_table(name: str, rows: Sequence[Row], column: str, slice_name: str = "") -> Table:
    """Cost, runs and tokens of each group."""

    def cells(row: Row) -> list[Cell]:
        value = row[column]
        key = pressed(slice_name, value) if slice_name else row.get("key", "")
        return [
            Cell(NONE if value is None else str(value), key=key),
            Cell(cost(row), -1.0 if row["cost_usd"] is None else row["cost_usd"]),
            *(
                Cell(f"{row[count] or 0:,}", float(row[count] or 0))
                for count in ("runs", "input_tokens", "output_tokens", "unpriced_runs")
            ),
        ]

    return Table((name, *_USAGE), [cells(row) for row in rows])


def group_card(name: str, title: str, rows: Sequence[Row], column: str, total: str) -> Card:
    """The cost of each group as bars, the highest first."""
    drawn, rest = rows[:_MOST_BARS], rows[_MOST_BARS:]
    bars = [
        Bar(
            NONE if row[column] is None else str(row[column]),
            (Part("cost", float(row["cost_usd"] or 0), COLORS[0]),),
            cost(row),
            formatting.count(row["runs"], "run"),
            pressed(column, row[column]),
        )
        for row in drawn
    ]
    if rest:
        others = sum(row["cost_usd"] or 0 for row in rest)
        count = formatting.count(sum(row["runs"] for row in rest), "run")
        part = Part("cost", others, COLORS[7])
        key = others_key(column, [row[column] for row in drawn])
        bars.append(Bar(f"{len(rest):,} others", (part,), formatting.usd(others), count, key))
    return Card(
        name,
        title,
        total,
        fluid.bars(title, bars),
        usage_table(column.capitalize(), rows, column, column),
        empty="" if rows else "No runs.",
    )


def _over_time(
    name: str,
    title: str,
    found: Overview,
    note: str,
    steps_of: Callable[[Sequence[date]], tuple[str, Sequence[tuple[date, date]]]],
) -> Card:
    """Columns of the cost over time, by model."""
    dated = [row for row in found.by_day_and_model if row["day"] is not None]
    days = [date.fromisoformat(row["day"]) for row in dated]
    unit, steps = steps_of(days)
    names = [_model(row) for row in merged(found.by_day_and_model, "model") if row["cost_usd"]]
    shown = names if len(names) <= _MOST_SERIES + 1 else [*names[:_MOST_SERIES], _OTHERS]
    colored = fluid.colors(shown)
    grouped = _by_step(found.by_day_and_model, steps)
    columns, rows = [], []
    for (first, last), inside in grouped.items():
        values = _values(inside, shown)
        row = {**total_of(inside), "step": _span_name(unit, first)}
        key = pressed("days", f"{first}/{last}") if first != date.max else pressed("undated")
        parts = [Part(model, values[model], colored[model]) for model in shown if values[model]]
        about = formatting.count(row["runs"], "run")
        label = _axis_name(unit, first)
        columns.append(Bar(label, parts, cost(row), f"{about} · {row['step']}", key))
        rows.append({**row, "key": key})
    if unit != "day" and name == "days":
        title = f"Cost per {unit}"
    return Card(
        name,
        title,
        cost(total_of(found.by_day_and_model)),
        fluid.columns(title, columns, axis_usd),
        usage_table(unit.capitalize(), rows[::-1], "step"),
        note,
        pressed("unpriced") if "price" in note else "",
        empty="" if any(step.total for step in columns) else _without_cost(rows),
        is_wide=name == "days",
    )


def _without_cost(rows: Sequence[Row]) -> str:
    """Why there are no columns of costs."""
    if not rows:
        return "No runs."
    return "These runs cost nothing." if total_of(rows)["cost_usd"] == 0 else "No price is known."


def _model(row: Row) -> str:
    return NONE if row["model"] is None else str(row["model"])


def _values(rows: Iterable[Row], shown: Sequence[str]) -> Mapping[str, float]:
    """The cost of each series."""
    values = dict.fromkeys(shown, 0.0)
    for row in rows:
        if row["cost_usd"]:
            model = _model(row)
            values[model if model in values else _OTHERS] += row["cost_usd"]
    return values


def _by_step(
    rows: Sequence[Row], steps: Sequence[tuple[date, date]]
) -> dict[tuple[date, date], list[Row]]:
    """The rows of each step; those without a date are a step of their own at the end."""
    grouped: dict[tuple[date, date], list[Row]] = {step: [] for step in steps}
    step_of = {}
    for first, last in steps:
        for number in range((last - first).days + 1):
            step_of[first + timedelta(days=number)] = first, last
    for row in rows:
        undated = row["day"] is None
        step = (date.max, date.max) if undated else step_of[date.fromisoformat(row["day"])]
        grouped.setdefault(step, []).append(row)
    return grouped


def _steps_of_days(days: Sequence[date]) -> tuple[str, Sequence[tuple[date, date]]]:
    """All days from the first to the last, or all weeks where these are too many."""
    if not days:
        return "day", []
    first, last = min(days), max(days)
    count = (last - first).days + 1
    if count <= _MOST_DAYS:
        every = [first + timedelta(days=number) for number in range(count)]
        return "day", [(day, day) for day in every]
    monday = first - timedelta(days=first.weekday())
    weeks = ((last - monday).days // 7) + 1
    if weeks > _MOST_WEEKS:
        return _steps_of_months(days)
    starts = [monday + timedelta(weeks=number) for number in range(weeks)]
    latest = date.max - timedelta(days=6)
    return "week", [
        (start, start + timedelta(days=6) if start <= latest else date.max) for start in starts
    ]


def _steps_of_months(days: Sequence[date]) -> tuple[str, Sequence[tuple[date, date]]]:
    """All months from the first day's to the last day's; of too many, those with a run."""
    numbers = {day.year * 12 + day.month - 1 for day in days}
    if numbers and max(numbers) - min(numbers) < _MOST_MONTHS:
        numbers.update(range(min(numbers), max(numbers)))
    firsts = [date(number // 12, number % 12 + 1, 1) for number in sorted(numbers)]
    return "month", [
        (first, first.replace(day=monthrange(first.year, first.month)[1])) for first in firsts
    ]


def _axis_name(unit: str, first: date) -> str:
    if first == date.max:
        return "no date"
    return f"{first:%b %Y}" if unit == "month" else f"{first.day} {first:%b}"


def _span_name(unit: str, first: date) -> str:
    if first == date.max:
        return "no date"
    names = {"day": f"{first:%Y-%m-%d}", "week": f"week of {first:%Y-%m-%d}"}
    return names.get(unit, f"{first:%Y-%m}")


def forecast_card(figures: Figures, state: State) -> Card:
    """The expected cost of the current month, with its range."""
    found = figures.outlook(state)
    title, figure = "Forecast to the end of the month", found.forecast
    if figure is None:
        return Card("forecast", title, empty="No costs in the last eight weeks.")
    from llm_playground.reports.moments import time_zone

    now = figures.now().astimezone(time_zone(figures.tz))
    first, days = now.date().replace(day=1), monthrange(now.year, now.month)[1]
    usd = formatting.usd
    spent, values, steps = 0.0, [], []
    for day in (first + timedelta(days=number) for number in range(now.day)):
        of_day = found.spent_on.get(day, 0.0)
        spent += of_day
        values.append(spent)
        parts = (Part("spent", of_day, COLORS[0]),)
        key = pressed("whenever", f"{day}/{day}")
        steps.append(
            Bar(f"{day}", parts, usd(of_day), f"{usd(spent)} since the {first:%-d %b}", key)
        )
    expected, low, high = (figure[f"{name}_usd"] for name in ("expected", "low", "high"))
    elapsed = now.day - 1 + (now.hour * 60 + now.minute) / 1440
    labels = [f"{day} {now:%b}" for day in range(1, days + 1)]
    line = Line(
        values, days, expected, low, high, labels, elapsed, _limit(figures.budgets()), steps
    )
    this_month = pressed("whenever", f"{first}/{now.date()}")
    cells = (
        (usd(spent), "spent so far", this_month),
        (usd(expected), "expected", ""),
        (usd(low), "low", ""),
        (usd(high), "high", ""),
    )
    return Card(
        "forecast",
        title,
        f"{usd(expected)} expected",
        fluid.forecast(title, line, axis_usd),
        Table(
            ("Figure", "Amount"), [[Cell(name, key=key), Cell(text)] for text, name, key in cells]
        ),
        f"{usd(spent)} so far; {usd(low)} to {usd(high)} with 80 % probability, "
        "from the last eight weeks, whatever dates are chosen.",
    )


def _limit(statuses: Sequence[BudgetStatus]) -> float | None:
    """The limit of the monthly budget for everything, if there is one."""
    whole = (
        float(status.budget.limit_usd)
        for status in statuses
        if status.budget.period == "month"
        and not (status.budget.model or status.budget.user or status.budget.tag)
    )
    return next(whole, None)


def budget_name(status: BudgetStatus) -> str:
    """What a budget is for: ``month · openai:* · ada``."""
    budget = status.budget
    scope = [text for text in (budget.model, budget.user, budget.tag) if text]
    return " · ".join((f"per {budget.period}" if budget.period != "total" else "in total", *scope))


def budgets_card(statuses: Sequence[BudgetStatus], *, is_wide: bool = False) -> Card:
    """A gauge of each budget."""
    title = "Budgets"
    bars, rows = [], []
    for status in sorted(statuses, key=_used, reverse=True):
        used, limit = status.budget.limit_usd - status.remaining_usd, status.budget.limit_usd
        share = _used(status)
        color = RED if share >= 1 else AMBER if share >= _NEARLY else COLORS[2]
        text = f"{formatting.usd(used)} of {formatting.usd(limit)}"
        name = budget_name(status)
        parts = (Part("used", float(used), color),)
        key = pressed("budget", status.budget.id)
        bars.append(Bar(name, parts, text, f"{share:.0%} used", key, float(limit) or 1.0))
        resets = f"{status.span.end:%Y-%m-%d}" if status.span.end else "never"
        amounts = (used, limit, status.remaining_usd)
        rows.append(
            [
                Cell(name, key=key),
                Cell(status.budget.action),
                Cell(resets),
                *(Cell(formatting.usd(amount), float(amount)) for amount in amounts),
            ]
        )
    return Card(
        "budgets",
        title,
        "",
        fluid.bars(title, bars),
        Table(("Budget", "Action", "Resets", "Used", "Limit", "Left"), rows, texts=3),
        "Of the current period, for everybody who shares the log, whatever filters are chosen."
        if bars
        else "",
        empty="" if bars else "No budgets. lp.set_budget(50) limits what calls may cost per month.",
        is_wide=is_wide,
    )


def _used(status: BudgetStatus) -> float:
    limit = status.budget.limit_usd
    used = limit - status.remaining_usd
    return float(used / limit) if limit else float(used >= Decimal(0))


def _budget_tile(statuses: Sequence[BudgetStatus]) -> Tile:
    if not statuses:
        return Tile("Budget left", "no budget", "lp.set_budget(50) sets one")
    tightest = max(statuses, key=_used)
    share = _used(tightest)
    alarm = "red" if share >= 1 else "amber" if share >= _NEARLY else ""
    limit = formatting.usd(tightest.budget.limit_usd)
    return Tile(
        "Budget left",
        formatting.usd(tightest.remaining_usd),
        f"of {limit} {budget_name(tightest)}",
        pressed("budget", tightest.budget.id),
        alarm=alarm,
    )
