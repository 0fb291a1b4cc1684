"""The history drawer: runs of the log as short rows, newest first."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from llm_playground import footer, provenance, reports
from llm_playground.errors import InvalidParameterError
from llm_playground.redact import redact

if TYPE_CHECKING:
    import pandas as pd

    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given

PAGE = 50
# Runs of one moment, which a page may end in the middle of.
_AT_ONCE = 50
_PROMPT = 120
_ANSWER = 160


def tell(_panel: Playground, given: Given) -> dict[str, Any]:
    """A page of runs.

    Args:
        _panel: Whose history it is: all of the log's.
        given: ``search``, a text in prompts or answers; ``after``, the last row that is shown
            already; ``here``, only this notebook's; ``compressed``, look into compressed texts too.

    Returns:
        ``rows``, ``more`` (whether there are), ``notebook`` (its name, empty where unknown).

    Raises:
        RunLogError: The log cannot be read.
    """
    notebook = provenance.notebook()
    after = given.get("after")
    found = reports.runs(
        limit=PAGE + 1 + (_AT_ONCE if after else 0),
        search_compressed=bool(given.get("compressed")),
        search=_searched(given),
        notebook=notebook if given.get("here") else None,
        until=_until(after) if after else None,
    )
    rows = [_row(row) for row in found.astype(object).where(found.notna(), None).itertuples()]
    rows = [row for row in rows if not after or _is_after(row, after)]
    return {
        "rows": rows[:PAGE],
        "more": len(rows) > PAGE,
        "notebook": notebook.rpartition("/")[2] if notebook else "",
    }


def _searched(given: Given) -> str | None:
    text = str(given.get("search") or "").strip()
    return text.encode("utf-8", "replace").decode().replace("\0", "") or None


def _until(after: Any) -> datetime:  # noqa: ANN401 - what a view sends
    """Just after the last row that is shown: others of the same moment may follow it."""
    try:
        return datetime.fromisoformat(after["started_at"]) + timedelta(microseconds=1)
    except (TypeError, KeyError, ValueError):
        raise InvalidParameterError("The page does not say what it shows. Reload it.") from None


def _is_after(row: dict[str, Any], after: Any) -> bool:  # noqa: ANN401 - as above
    """Whether a row comes after another in the order of the log: by time and id, newest first."""
    mine = (datetime.fromisoformat(row["started_at"]), row["run_id"])
    return mine < (datetime.fromisoformat(after["started_at"]), str(after["run_id"]))


def _row(row: Any) -> dict[str, Any]:  # noqa: ANN401 - a named tuple of the frame
    started: pd.Timestamp = row.started_at
    return {
        "run_id": row.run_id,
        "started_at": started.isoformat(),
        "model": str(row.model or ""),
        "prompt": _start(row.user_prompt, _PROMPT),
        "answer": _start(row.response_text or row.error_message, _ANSWER),
        "status": str(row.status or ""),
        "cost": _cost(row),
        "compressed": bool(row.compressed),
    }


def _start(text: object, most: int) -> str:
    """The first words on one line, without keys."""
    if not isinstance(text, str):
        return ""
    words = " ".join(redact(text[: 8 * most]).split())
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _cost(row: Any) -> str:  # noqa: ANN401 - a named tuple of the frame
    if row.cached:
        return "reused"
    if row.price_source == "free":
        return "free"
    if row.cost_usd is None:
        return "" if row.input_tokens is None and row.output_tokens is None else "price unknown"
    return footer.usd(Decimal(str(row.cost_usd)))
