"""Tools and schemas of requests in the log: the table ``definitions``, each once, by its hash.

A prompt's row names them in ``tools`` (a JSON list) and ``schema_hash``. The hash covers what is
stored: texts without keys, masked as the privacy settings require. ``content`` is JSON as text,
since PostgreSQL's JSONB would change the order of properties, which models follow.

>>> tool = Tool("look", "Looks.", {"type": "object"})
>>> [row] = rows_of(Request("local:m", (), tools=(tool,)), (), datetime(2026, 1, 1))
>>> row["kind"], row["name"], row["content"]
('tool', 'look', '{"description":"Looks.","parameters":{"type":"object"}}')
>>> references([row])["tools"] == [row["id"]]
True
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from llm_playground.redaction.pii import Kind, masked_json
from llm_playground.runlog.attachments import Rows
from llm_playground.runlog.reading import json_value
from llm_playground.runlog.rows import Row, clean_json
from llm_playground.runlog.store import Dialect, Session
from llm_playground.types import Request, Schema, Tool

_WRAPPED = "wrapped_schema"  # of an answer that is a property, see Schema

_READ = """
SELECT id, kind, name, content FROM definitions
WHERE id IN (SELECT unnest(CAST($hashes AS VARCHAR[])))
"""
# On PostgreSQL, an ingest locks nothing itself; this lock makes it wait for a removal, so that no
# row that it is about to use is removed.
_LOCK: Mapping[Dialect, Sequence[str]] = {
    "duckdb": (),
    "postgres": ("LOCK TABLE definitions IN SHARE ROW EXCLUSIVE MODE",),
}
_USED_TOOLS: Mapping[Dialect, str] = {
    "duckdb": "SELECT unnest(CAST(tools AS VARCHAR[])) FROM prompts"
    " WHERE json_type(tools) = 'ARRAY'",
    "postgres": "SELECT jsonb_array_elements_text("
    "CASE jsonb_typeof(tools) WHEN 'array' THEN tools END) FROM prompts",
}
_REMOVE_UNUSED = """
DELETE FROM definitions WHERE id NOT IN (
    SELECT schema_hash FROM prompts WHERE schema_hash IS NOT NULL UNION ALL {used_tools}
)
"""


def rows_of(request: Request, kinds: Sequence[Kind], created_at: datetime) -> list[Row]:
    """The rows of a request's tools, in their order, and of its schema.

    Args:
        request: A request.
        kinds: The personal data to mask.
        created_at: When the request is sent.
    """
    return [
        _row(kind, clean_json(masked_json([name, content], kinds)), created_at)
        for kind, name, content in _definitions(request)
    ]


def _definitions(request: Request) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for tool in request.tools:
        content = {"description": tool.description, "parameters": tool.parameters}
        yield "tool", tool.name, content
    if request.schema is not None:
        kind = _WRAPPED if request.schema.is_wrapped else "schema"
        yield kind, request.schema.name, request.schema.json_schema


def _row(kind: str, named: tuple[str, Any], created_at: datetime | str) -> Row:
    name, content = named
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    row = {"kind": kind, "name": name, "content": text, "created_at": created_at}
    return {"id": hash_of(row)} | row


def hash_of(row: Mapping[str, Any]) -> str:
    """The id of a row: the hash of its kind, name and content."""
    covered = json.dumps([row["kind"], row["name"], row["content"]], ensure_ascii=False)
    return hashlib.sha256(covered.encode()).hexdigest()


def masked_row(row: Row, kinds: Sequence[Kind]) -> Row:
    """The row with personal data masked, and with the id that it has then."""
    if not kinds:
        return row
    named = masked_json([row["name"], json_value(row["content"])], kinds)
    return _row(row["kind"], named, row["created_at"])


def references(rows: Iterable[Row]) -> Row:
    """The columns of ``prompts`` that name these rows."""
    tools, schemas = list[str](), list[str]()
    for row in rows:
        (tools if row["kind"] == "tool" else schemas).append(row["id"])
    return {"tools": tools or None, "schema_hash": next(iter(schemas), None)}


def hashes_in(row: Mapping[str, Any]) -> list[str]:
    """The hashes that a prompt's row names.

    >>> hashes_in({"tools": '["ab"]', "schema_hash": "cd"})
    ['ab', 'cd']
    """
    schema = row.get("schema_hash")
    return [*tool_hashes(row), *([] if schema is None else [schema])]


def tool_hashes(row: Mapping[str, Any]) -> list[str]:
    """The hashes of the tools that a prompt's row names.

    >>> tool_hashes({"tools": ["ab", 3]})
    ['ab']
    """
    found = json_value(row.get("tools"))
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def find(log: Rows, hashes: Iterable[str]) -> dict[str, Tool | Schema]:
    """Tools, which have no function, and schemas of the log by their hashes.

    Those that the log lacks, and rows of other programs that are none, are left out.

    Raises:
        RunLogError: The log cannot be read.
    """
    wanted = sorted(set(hashes))
    found: dict[str, Tool | Schema] = {}
    for row in log.rows(_READ, {"hashes": wanted}) if wanted else []:
        with suppress(AttributeError, ValueError, TypeError, KeyError, RecursionError):
            found[row["id"]] = _of_row(row)
    return found


def _of_row(row: Row) -> Tool | Schema:
    content = json.loads(row["content"])
    if row["kind"] in ("schema", _WRAPPED):
        is_wrapped = row["kind"] == _WRAPPED and _has_value(content)
        return Schema(row["name"], content, json.loads, is_wrapped=is_wrapped)
    return Tool(row["name"], content["description"], content["parameters"])


def _has_value(json_schema: Mapping[str, Any]) -> bool:
    """Whether a schema has the property of a wrapped answer; another program's may lack it."""
    properties = json_schema.get("properties")
    return isinstance(properties, dict) and isinstance(properties.get("value"), dict)


def tools_of(row: Mapping[str, Any], found: Mapping[str, Tool | Schema]) -> tuple[Tool, ...]:
    """The tools that a prompt's row names, without those that the log lacks."""
    named = (found.get(sha256) for sha256 in tool_hashes(row))
    return tuple(one for one in named if isinstance(one, Tool))


def schema_of(row: Mapping[str, Any], found: Mapping[str, Tool | Schema]) -> Schema | None:
    """The schema that a prompt's row names; None for none, or if the log lacks it."""
    one = found.get(row.get("schema_hash") or "")
    return one if isinstance(one, Schema) else None


def remove_unused(session: Session, dialect: Dialect) -> None:
    """Delete the tools and schemas that no prompt uses, in a transaction of its own.

    New rows of other transactions wait for its end.
    """
    for statement in _LOCK[dialect]:
        session.execute(statement)
    session.execute(_REMOVE_UNUSED.format(used_tools=_USED_TOOLS[dialect]))
