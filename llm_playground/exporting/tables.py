"""The rows of an export as rows of the log's tables, as far as privacy lets them be stored."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from llm_playground import config
from llm_playground.config import endpoint_fields
from llm_playground.config.options import Privacy
from llm_playground.exporting import saved_prompts
from llm_playground.exporting.records import Records, by_id
from llm_playground.exporting.rows import Row, utc_text
from llm_playground.ids import id_from_hash
from llm_playground.parts import FilePart, ImagePart, TextPart
from llm_playground.runlog import definitions, recorder
from llm_playground.runlog.rows import (
    DEFINITION_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RATING_COLUMNS,
    RESULT_COLUMNS,
)
from llm_playground.types import Message, Parameters, Request, messages_as_json

_COUNTS = ("input", "output", "cache_read", "cache_write", "reasoning")
TABLES: Mapping[str, Mapping[str, str]] = {
    "prompts": PROMPT_COLUMNS,
    "definitions": DEFINITION_COLUMNS,
    "executions": EXECUTION_COLUMNS,
    "results": RESULT_COLUMNS,
    "ratings": RATING_COLUMNS,
    "prompt_versions": saved_prompts.VERSION_COLUMNS,
}


@dataclass(frozen=True, slots=True)
class Import:
    """The checked content of an export, of which the runs in ``rows`` are new here."""

    rows: Sequence[Row]
    records: Records
    attached: Mapping[str, ImagePart | FilePart]  # images and files by their SHA-256


def table_rows(new: Import, privacy: Privacy) -> dict[str, list[Row]]:
    """The rows of each table, as far as the privacy settings allow storing them."""
    executions, results = (by_id(new.records, name) for name in ("executions", "results"))
    prompts = list(_prompts(new, privacy))
    tables: Mapping[str, Iterable[Row]] = {
        "prompts": prompts,
        "definitions": _definitions(prompts, new.records, privacy),
        "executions": (
            recorder.private_execution(row | executions.get(row["id"], {}), privacy.of(row["id"]))
            for row in _executions(new.rows)
        ),
        "results": (
            recorder.private_result(
                _result(row) | results.get(row["run_id"], {}),
                privacy.of(row["execution_id"] or ""),
            )
            for row in new.rows
        ),
        "ratings": _ratings(new),
    }
    # Ordered by id, so that concurrent imports of the same runs cannot deadlock.
    return {name: sorted(table, key=itemgetter("id")) for name, table in tables.items()}


def _prompts(new: Import, privacy: Privacy) -> Iterable[Row]:
    """Each prompt once; with sampled privacy, once with texts and once without."""
    known, renamed = by_id(new.records, "prompts"), _renamed(new.records, privacy)
    prompts = {}
    for row in new.rows:
        store = privacy.of(row["execution_id"] or "")
        key = (row["prompt_id"], store)
        if row["prompt_id"] is not None and key not in prompts:
            record = known.get(row["prompt_id"]) or {"messages": _messages(row, new.attached)}
            tools, schema = record.get("tools"), record.get("schema_hash")
            record = record | {
                "tools": [renamed[one] for one in tools if one in renamed] if tools else None,
                "schema_hash": renamed.get(schema or ""),
            }
            prompts[key] = recorder.private_prompt(_prompt(row) | record, store)
    return prompts.values()


def _prompt(row: Row) -> Row:
    return {
        "id": row["prompt_id"],
        "created_at": row["started_at"],
        "system_prompt": row["system_prompt"],
        "user_prompt": row["user_prompt"],
        "parameters": row["parameters"] or {},
        "selected_model": row["model"],
        "prompt_hash": row["prompt_hash"],
        "attachments": row["attachments"],
    }


def _renamed(records: Records, privacy: Privacy) -> dict[str, str]:
    """The ids that tools and schemas have here by those in the export."""
    return {
        row["id"]: definitions.masked_row(row, privacy.redact)["id"]
        for row in records.get("definitions", ())
    }


def _definitions(prompts: Iterable[Row], records: Records, privacy: Privacy) -> Iterable[Row]:
    """The tools and schemas that the prompts to be stored name."""
    used = {one for row in prompts for one in definitions.hashes_in(row)}
    known = (definitions.masked_row(row, privacy.redact) for row in records.get("definitions", ()))
    return {row["id"]: row for row in known if row["id"] in used}.values()


def _ratings(new: Import) -> Iterable[Row]:
    """The ratings of the runs; where the export has only their mean, one without a name."""
    ids = {row["run_id"] for row in new.rows}
    ratings = [row for row in new.records.get("ratings", ()) if row["result_id"] in ids]
    rated = {row["result_id"] for row in ratings if row["against_result_id"] is None}
    yield from ratings
    for row in new.rows:
        if row["rating"] is not None and row["run_id"] not in rated:
            yield _rating(row)


def _messages(
    row: Row, attached: Mapping[str, ImagePart | FilePart]
) -> list[dict[str, Any]] | None:
    """The messages, if the hash proves that the two prompt texts and attachments are all of them.

    The hash covers the base URL, which exports lack: the default one and that of this kernel are
    tried. Attachments are kept without proof too, since only messages hold them.
    """
    system, user, model = row["system_prompt"], row["user_prompt"], row["model"]
    if row["prompt_hash"] is None or user is None or model is None:
        return None
    known = [attached[sha256] for sha256 in row["attachments"] or () if sha256 in attached]
    messages: tuple[Message, ...] = (Message("user", (*known, TextPart(user))),)
    if system is not None:
        messages = (Message("system", (TextPart(system),)), *messages)
    try:
        values = row["parameters"] or {}
        stop = {"stop": tuple(values["stop"])} if values.get("stop") else {}
        request = Request(model, messages, Parameters(**{**values, **stop}))
        here = replace(
            request,
            endpoint=config.base_url(request.provider),
            endpoint_settings=endpoint_fields.with_effect(config.rows().get(request.provider)),
        )
        hashes = (request.prompt_hash(), here.prompt_hash())
        is_complete = row["prompt_hash"] in hashes
    except (TypeError, ValueError, AttributeError):  # parameters of another program
        return None
    return messages_as_json(messages) if is_complete or known else None


def _executions(rows: Sequence[Row]) -> Iterable[Row]:
    by_execution: dict[str, list[Row]] = {}
    for row in rows:
        if row["execution_id"] is not None:
            by_execution.setdefault(row["execution_id"], []).append(row)
    for execution_id, runs in by_execution.items():
        first = runs[0]
        statuses = {run["status"] for run in runs}
        yield {
            **{name: first[name] for name in EXECUTION_COLUMNS if name in first},
            "id": execution_id,
            "iterations": max(len(runs), *(run["iteration_number"] or 1 for run in runs)),
            "status": first["status"] if len(statuses) == 1 else "partial",
            "started_at": min(run["started_at"] for run in runs),
            "completed_at": max(map(_end_time, runs)),
            "process": None,
            **dict.fromkeys(("tool_use", "wire_format", "base_url")),
        }


def _end_time(row: Row) -> str:
    started = datetime.fromisoformat(row["started_at"])
    try:
        return utc_text(started + timedelta(milliseconds=row["response_time_ms"] or 0))
    except OverflowError:
        return str(row["started_at"])


def _result(row: Row) -> Row:
    counts = {name: row[f"{name}_tokens"] for name in _COUNTS}
    if row["input_tokens"] is not None and row["output_tokens"] is not None:
        counts["total"] = row["input_tokens"] + row["output_tokens"]
    tokens_used = {name: count for name, count in counts.items() if count is not None}
    return {
        **{name: row.get(name) for name in RESULT_COLUMNS},
        "id": row["run_id"],
        "tokens_used": tokens_used or None,
        "attempts": row["attempts"] or [],
        "iteration_number": 1 if row["iteration_number"] is None else row["iteration_number"],
        "cached": bool(row["cached"]),
    }


def _rating(row: Row) -> Row:
    """One anonymous rating: the mean of the ratings in the exporting log."""
    return {
        "id": id_from_hash(hashlib.sha256(f"rating of {row['run_id']}".encode()).hexdigest()),
        "result_id": row["run_id"],
        "against_result_id": None,
        "username": None,
        "score": row["rating"],
        "note": "the mean of the ratings before the import",
        "blind": False,
        "created_at": row["started_at"],
    }
