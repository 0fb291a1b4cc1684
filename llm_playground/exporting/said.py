"""What is said below an answer that comes from a row: as below one that comes from a run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from llm_playground import footer
from llm_playground.errors import LLMError
from llm_playground.exporting.columns import Row
from llm_playground.types import Attempt, Parameters, Run, Usage

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_KNOWN = (
    *("response_model", "status", "finish_reason", "usage_source", "cost_usd", "price_source"),
    *("ttft_ms", "response_time_ms", "queue_ms", "saved_usd"),
)
_COUNTS = (
    *("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"),
    "reasoning_tokens",
)


def footnote(row: Row) -> str:
    """The line under the answer: cost, time, tokens."""
    return footer.text(_run(row))


def cost(row: Row) -> str:
    """The first part of that line."""
    run = _run(row)
    return "nothing billed" if run.status == "over_budget" else footer.cost(run)


def notices(row: Row) -> list[str]:
    """What has to be said about the answer. Advice to whoever ran it is not for whoever reads."""
    return [said for said in footer.notices(_run(row)) if said != footer.LOCAL_NOTE]


def settings(parameters: object) -> list[tuple[str, str]]:
    """Parameters by name, for people.

    >>> settings({"temperature": 0.2, "stop": ["END"]})
    [('temperature', '0.2'), ('stop', "['END']")]
    """
    if not isinstance(parameters, Mapping):
        return []
    return [(str(name), str(value)) for name, value in parameters.items()]


def settings_line(row: Row) -> str:
    """Parameters of one answer on a line; empty where none was set."""
    return " · ".join(f"{name} {value}" for name, value in settings(row["parameters"]))


def time(row: Row) -> str:
    """How long it took, empty where nobody knows."""
    ms = row["response_time_ms"]
    return "" if ms is None else footer.duration(ms)


def tokens(row: Row) -> str:
    """How long the answer is, empty where nobody knows."""
    count = row["output_tokens"]
    return "" if count is None else f"{count:,}"


def ending(row: Row) -> str:
    """How it ended, in a word or two."""
    cut = row["status"] == "completed" and row["finish_reason"] == "length"
    return "cut off" if cut else (row["status"] or "").replace("_", " ")


def when(row: Row) -> str | None:
    """When it began, to the second."""
    started = row["started_at"]
    return None if started is None else f"{started[:19].replace('T', ' ')} UTC"


def _run(row: Row) -> Run:
    """The row as a run, as far as notes need it."""
    known: dict[str, Any] = {name: row[name] for name in _KNOWN if row[name] is not None}
    return Run(
        id=row["run_id"],
        execution_id=row["execution_id"] or "",
        prompt_id=row["prompt_id"] or "",
        iteration_number=row["iteration_number"] or 1,
        model=row["model"] or "",
        provider=row["provider"] or "",
        started_at=_LONG_AGO,
        parameters=Parameters(max_tokens=_max_tokens(row["parameters"])),
        text=row["response_text"] or "",
        usage=_usage(row),
        attempts=_attempts(row["attempts"]),
        error=_error(row),
        cached=bool(row["cached"]),
        **known,
    )


def _usage(row: Row) -> Usage | None:
    counts = {name: row[name] for name in _COUNTS}
    reported = any(count is not None for count in counts.values())
    if not reported or (row["cached"] and row["output_tokens"] is None):
        return None
    return Usage(**counts)


def _max_tokens(parameters: object) -> int | None:
    said = parameters.get("max_tokens") if isinstance(parameters, Mapping) else None
    return said if isinstance(said, int) and not isinstance(said, bool) else None


def _attempts(attempts: object) -> list[Attempt]:
    found = attempts if isinstance(attempts, list) else []
    skipped = [one.get("skipped_events", 0) if isinstance(one, Mapping) else 0 for one in found]
    return [
        Attempt(number, 0.0, 0.0, skipped_events=count if isinstance(count, int) else 0)
        for number, count in enumerate(skipped, 1)
    ]


def _error(row: Row) -> LLMError | None:
    said = row["error_message"] or row["error_type"]
    return None if said is None else LLMError(said)
