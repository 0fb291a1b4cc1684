"""Rows of the view ``runs`` taken apart into rows of the tables that it joins."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from llm_playground._ids import id_from_hash
from llm_playground.exporting.columns import Row, utc
from llm_playground.privacy import Privacy
from llm_playground.runlog import discretion, records
from llm_playground.types import (
    Message,
    Parameters,
    Request,
    TextPart,
    messages_as_json,
)

Tables = dict[str, list[Row]]

RATING_COLUMNS = {
    "id": "VARCHAR",
    "result_id": "VARCHAR",
    "score": "DOUBLE",
    "note": "VARCHAR",
    "blind": "BOOLEAN",
    "created_at": "TIMESTAMPTZ",
}
COLUMNS_OF: Mapping[str, Mapping[str, str]] = {
    "prompts": records.PROMPT_COLUMNS,
    "executions": records.EXECUTION_COLUMNS,
    "results": records.RESULT_COLUMNS,
    "ratings": RATING_COLUMNS,
}
_COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning")


def taken_apart(rows: Sequence[Row], privacy: Privacy) -> Tables:
    """What goes into each table, as far as privacy lets it be stored.

    Args:
        rows: Checked rows.
        privacy: What is stored here.
    """
    tables: Mapping[str, Iterable[Row]] = {
        "prompts": _prompts(rows, privacy),
        "executions": (
            discretion.execution(one, privacy.of(one["id"])) for one in _executions(rows)
        ),
        "results": (
            discretion.result(_result(row), privacy.of(row["execution_id"] or "")) for row in rows
        ),
        "ratings": (_rating(row) for row in rows if row["rating"] is not None),
    }
    # By their ids, so that of two who import the same none waits for the other without end.
    return {name: sorted(found, key=itemgetter("id")) for name, found in tables.items()}


def _prompts(rows: Iterable[Row], privacy: Privacy) -> Iterable[Row]:
    """Each prompt once; where privacy samples, once with texts and once without."""
    found = {}
    for row in rows:
        store = privacy.of(row["execution_id"] or "")
        name = (row["prompt_id"], store)
        if row["prompt_id"] is not None and name not in found:
            found[name] = discretion.prompt(_prompt(row), store)
    return found.values()


def _prompt(row: Row) -> Row:
    return {
        "id": row["prompt_id"],
        "created_at": row["started_at"],
        "system_prompt": row["system_prompt"],
        "user_prompt": row["user_prompt"],
        "messages": _messages(row),
        "parameters": row["parameters"] or {},
        "selected_model": row["model"],
        "prompt_hash": row["prompt_hash"],
    }


def _messages(row: Row) -> list[dict[str, Any]] | None:
    """The whole request, where the prompt's hash proves that these texts are all of it."""
    if row["prompt_hash"] is None or row["user_prompt"] is None or row["model"] is None:
        return None
    system = [] if row["system_prompt"] is None else [("system", row["system_prompt"])]
    messages = tuple(
        Message(role, (TextPart(text),))  # type: ignore[arg-type]  # both are roles
        for role, text in [*system, ("user", row["user_prompt"])]
    )
    try:
        said = row["parameters"] or {}
        stop = {"stop": tuple(said["stop"])} if said.get("stop") else {}
        request = Request(row["model"], messages, Parameters(**{**said, **stop}))
        proven = request.prompt_hash() == row["prompt_hash"]
    except (TypeError, ValueError, AttributeError):  # parameters of another kind
        return None
    return messages_as_json(messages) if proven else None


def _executions(rows: Sequence[Row]) -> Iterable[Row]:
    runs_of: dict[str, list[Row]] = {}
    for row in rows:
        if row["execution_id"] is not None:
            runs_of.setdefault(row["execution_id"], []).append(row)
    for execution_id, runs in runs_of.items():
        first = runs[0]
        statuses = {run["status"] for run in runs}
        yield {
            "id": execution_id,
            "prompt_id": first["prompt_id"],
            "iterations": max(len(runs), *(run["iteration_number"] or 1 for run in runs)),
            "status": first["status"] if len(statuses) == 1 else "partial",
            "started_at": min(run["started_at"] for run in runs),
            "completed_at": max(map(_ended, runs)),
            **{name: first[name] for name in ("source", "username", "notebook", "cell_id")},
            **{name: first[name] for name in ("git_commit", "git_dirty", "variables")},
            "tags": first["tags"],
            "process": None,
        }


def _ended(row: Row) -> str:
    began = datetime.fromisoformat(row["started_at"])
    try:
        return utc(began + timedelta(milliseconds=row["response_time_ms"] or 0))
    except OverflowError:  # of a time that lasted for ages
        return str(row["started_at"])


def _result(row: Row) -> Row:
    same = {name: row[name] for name in records.RESULT_COLUMNS if name in row}
    return {
        **dict.fromkeys(records.RESULT_COLUMNS),
        **same,
        "id": row["run_id"],
        "tokens_used": _tokens_used(row),
        "attempts": row["attempts"] or [],
        "iteration_number": 1 if row["iteration_number"] is None else row["iteration_number"],
        "cached": bool(row["cached"]),
    }


def _tokens_used(row: Row) -> dict[str, int] | None:
    counts = {name: row[f"{name}_tokens"] for name in _COUNTS}
    if row["input_tokens"] is not None and row["output_tokens"] is not None:
        counts["total"] = row["input_tokens"] + row["output_tokens"]
    return {name: count for name, count in counts.items() if count is not None} or None


def _rating(row: Row) -> Row:
    """One rating that nobody signed, with the mean over those who rated the run elsewhere."""
    return {
        "id": id_from_hash(hashlib.sha256(f"rating of {row['run_id']}".encode()).hexdigest()),
        "result_id": row["run_id"],
        "score": row["rating"],
        "note": "the mean of those that were given before the import",
        "blind": False,
        "created_at": row["started_at"],
    }


def as_json(rows: Sequence[Row]) -> str:
    """Rows as one JSON text for the database; amounts as text, which it reads exactly."""
    return json.dumps(rows, ensure_ascii=False, allow_nan=False, default=str)
