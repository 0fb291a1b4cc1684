"""Checks of the rows of an export beside its runs, before any of them enters a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llm_playground import _validation
from llm_playground._validation import nested_too_deeply
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import row_checks, saved_prompts
from llm_playground.exporting.records import TABLES, Records
from llm_playground.exporting.row_checks import Check
from llm_playground.exporting.rows import Row, fitting
from llm_playground.request import prompts
from llm_playground.runlog import definitions
from llm_playground.runlog.reading import are_messages
from llm_playground.runlog.rows import clean_json, clean_text

_COLUMNS = TABLES | {saved_prompts.NAME: saved_prompts.COLUMNS}
_KEYS = {saved_prompts.NAME: ("name", "version")}  # of the other tables the id
_DEFINED = ("tool", "schema", "wrapped_schema")


def fitting_records(tables: Mapping[str, Sequence[object]]) -> Records:
    """The rows that fit their tables, each once; one warning for each table names those left out.

    Columns that are missing are unknown. A definition whose id is not the hash of its content does
    not fit.

    >>> dict(fitting_records({"results": []}))
    {'results': []}
    """
    return {table: _fitting(table, found) for table, found in tables.items()}


def _fitting(table: str, found: Sequence[object]) -> list[Row]:
    numbered = [(f"{table}[{index}]", row) for index, row in enumerate(found)]
    rows = fitting(
        numbered, lambda pair: _check(table, pair[1], pair[0]), "imported", f"rows of {table}"
    )
    key = _KEYS.get(table, ("id",))
    return list({tuple(row[name] for name in key): row for row in reversed(rows)}.values())


def _check(table: str, row: object, place: str) -> Row:
    if not isinstance(row, Mapping):
        shown = _validation.short_repr(row)
        raise InvalidParameterError(f"{place}: expected an object, got {shown}.")
    checked = {
        name: row_checks.check_value(row.get(name), _check_of(table, name), f"{place}.{name}")
        for name in _COLUMNS[table]
    }
    for name in _REQUIRED[table]:
        if checked[name] is None:
            raise InvalidParameterError(f"{place}.{name}: missing.")
    if table == "definitions" and checked["id"] != definitions.hash_of(checked):
        raise InvalidParameterError(f"{place}.id: it is not the hash of the content.")
    return checked


def _check_of(table: str, name: str) -> Check:
    return _CHECKS.get((table, name)) or _CHECKS.get(("", name)) or _BY_TYPE[_COLUMNS[table][name]]


_ANY_JSON: Check = ("a JSON value", lambda value: not nested_too_deeply(value), clean_json)
_HASH: Check = ("a SHA-256 hash", row_checks.is_sha256, str)
_BY_TYPE: dict[str, Check] = {
    "VARCHAR": ("text", row_checks.is_text, clean_text),
    "JSON": _ANY_JSON,
    "INTEGER": row_checks.INTEGER,
    "BIGINT": row_checks.COUNT,
    "DOUBLE": row_checks.SCORE,
    "BOOLEAN": row_checks.FLAG,
    "TIMESTAMPTZ": row_checks.TIME,
    "DECIMAL(18, 12)": row_checks.USD,
}
_CHECKS: dict[tuple[str, str], Check] = {
    **{(table, "id"): row_checks.ID for table in ("prompts", "executions", "results")},
    ("definitions", "id"): _HASH,
    ("", "schema_hash"): _HASH,
    ("ratings", "result_id"): row_checks.ID,
    ("ratings", "against_result_id"): row_checks.ID,
    ("executions", "status"): ("text", row_checks.is_text, row_checks.ended_status),
    ("", "messages"): (
        "a list of messages",
        lambda value: are_messages(value) and not nested_too_deeply(value),
        clean_json,
    ),
    ("", "tools"): row_checks.HASHES,
    (saved_prompts.NAME, "name"): (
        "a name without @",
        prompts.is_name,
        lambda name: clean_text(name.strip()),
    ),
    (saved_prompts.NAME, "prompt_id"): row_checks.ID,
    (saved_prompts.NAME, "parameters"): row_checks.OBJECT,
    (saved_prompts.NAME, "attachments"): row_checks.HASHES,
    ("results", "tool_calls"): row_checks.OBJECTS,
    ("results", "dropped_parameters"): row_checks.TEXTS,
    ("results", "tokens_used"): row_checks.COUNTS,
    # Its text is what the hash covers, so it is not changed; one with a key was never logged.
    ("definitions", "content"): ("text without keys", row_checks.is_clean_text, str),
    ("definitions", "name"): ("text without keys", row_checks.is_clean_text, str),
    ("definitions", "kind"): (
        f"one of {', '.join(_DEFINED)}",
        lambda value: value in _DEFINED,
        str,
    ),
}
_REQUIRED: dict[str, tuple[str, ...]] = {
    "prompts": ("id",),
    "executions": ("id",),
    "results": ("id",),
    "definitions": ("id", "kind", "name", "content"),
    "ratings": ("id", "result_id"),
    saved_prompts.NAME: ("name", "version", "prompt_id", "messages"),
}
