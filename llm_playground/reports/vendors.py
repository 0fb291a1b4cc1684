"""What providers' own cost reports look like: one row of a table for each layout.

Sources, as of November 2026:

- OpenAI: the Costs export of the usage page (CSV), and ``GET /v1/organization/costs``, grouped by
  line item: https://platform.openai.com/docs/api-reference/usage/costs
- Anthropic: the Cost page's export (CSV), and ``GET /v1/organizations/cost_report``, grouped by
  description; its amounts are cents: https://platform.claude.com/docs/en/api/admin/cost_report
- Google: the Reports and Cost table pages' exports (CSV, days of Pacific time) and the export to
  BigQuery: https://cloud.google.com/billing/docs/how-to/export-data-bigquery-tables
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain

from llm_playground.reports.model_names import gemini_name

_DAY, _ENDS, _MODEL, _USD, _CURRENCY = "day", "ends", "model", "usd", "currency"


@dataclass(frozen=True, slots=True)
class Layout:
    """One form of a report.

    Args:
        columns: For ``day``, ``model``, ``usd`` and, where there are, ``ends`` and ``currency``:
            the columns that may hold it, the first one there counts. In small letters.
        model: The model's name in what its column says; None for rows of no model.
        timezone: Whose days these are.
        units: How many of its amounts make a dollar.
        strangers: Whether rows of no model are of something else and left out.
    """

    columns: Mapping[str, Sequence[str]]
    model: Callable[[str], str | None] = str
    timezone: str = "UTC"
    units: Decimal = Decimal(1)
    strangers: bool = False

    def find(self, header: Sequence[str]) -> dict[str, str] | None:
        """The column for each of ``columns``, None when day or amount is missing."""
        known = {name.strip().lower(): name for name in header}
        found = {
            role: known[name]
            for role, names in self.columns.items()
            for name in [next((name for name in names if name in known), None)]
            if name is not None
        }
        return found if {_DAY, _USD} <= found.keys() else None


def _line_item(text: str) -> str | None:
    """``gpt-4o-2024-08-06, input`` is of ``gpt-4o-2024-08-06``."""
    return text.split(",")[0]


def _description(text: str) -> str | None:
    """``Claude Sonnet 4 Usage - Input Tokens`` is of Claude Sonnet 4."""
    return re.split(r" Usage\b", text)[0]


_OWN = Layout(
    {
        _DAY: ("day", "date"),
        _MODEL: ("model",),
        _USD: ("cost_usd", "usd"),
        _CURRENCY: ("currency",),
    }
)
_LAYOUTS: Mapping[str, Sequence[Layout]] = {
    "openai": (
        Layout(
            {
                _DAY: ("start_time_iso", "start_time"),
                _MODEL: ("line_item",),
                _USD: ("amount_value",),
                _CURRENCY: ("amount_currency",),
            },
            model=_line_item,
        ),
    ),
    "anthropic": (
        Layout({_DAY: ("usage_date_utc",), _MODEL: ("model",), _USD: ("cost_usd",)}),
        Layout(
            {
                _DAY: ("starting_at",),
                _MODEL: ("model", "description"),
                _USD: ("amount",),
                _CURRENCY: ("currency",),
            },
            model=_description,
            units=Decimal(100),
        ),
    ),
    "gemini": (
        Layout(
            {
                _DAY: ("date", "usage start date", "usage_start_time", "usage start time"),
                _ENDS: ("usage end date",),
                _MODEL: ("sku description", "sku.description", "sku_description"),
                _USD: (
                    *("unrounded subtotal ($)", "subtotal ($)", "unrounded cost ($)", "cost ($)"),
                    "cost",
                ),
                _CURRENCY: ("currency",),
            },
            model=gemini_name,
            timezone="America/Los_Angeles",
            strangers=True,
        ),
    ),
}


def layouts(provider: str) -> Sequence[Layout]:
    """The forms a provider's report may have; any may be a frame of day, model, cost_usd."""
    return (*_LAYOUTS.get(provider, ()), _OWN)


def needed(provider: str) -> str:
    """The columns to name when none of the forms fits.

    >>> needed("openrouter")
    'day, model, cost_usd'
    """
    firsts = [
        ", ".join(layout.columns[role][0] for role in (_DAY, _MODEL, _USD))
        for layout in layouts(provider)
    ]
    return "; or ".join(firsts)


def rows_of_json(value: object) -> list[dict[str, object]]:
    """The rows of a cost report as these APIs answer: one page, or a list of pages or rows."""
    pages = value if isinstance(value, list) else [value]
    return list(chain.from_iterable(_rows(page) for page in pages if isinstance(page, Mapping)))


def _rows(page: Mapping[str, object]) -> Iterator[dict[str, object]]:
    buckets = page.get("data")
    if not isinstance(buckets, list):
        yield _flat(page)
        return
    for bucket in buckets:
        results = bucket.get("results") or []
        outer = {name: each for name, each in bucket.items() if name != "results"}
        yield from (_flat(outer | result) for result in results)


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """``{"amount": {"value": 1}}`` as ``amount_value``, as OpenAI's CSV names it."""
    flat: dict[str, object] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            joint = "." if name in ("sku", "service") else "_"
            flat |= {f"{name}{joint}{inner}": each for inner, each in value.items()}
        else:
            flat[name] = value
    return flat
