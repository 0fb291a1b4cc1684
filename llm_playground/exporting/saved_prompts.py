"""Saved prompts with their versions in the JSON export, and their way back.

Each object in ``saved_prompts`` is one version: what ``prompt_versions`` has of it, and the whole
row of its prompt, whose id, time of creation and model are ``prompt_id``, ``prompt_created_at`` and
``selected_model``. ``definitions`` and ``attachments`` hold its tools, schema, images and files, as
for runs.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import formats
from llm_playground.exporting.records import read_table
from llm_playground.exporting.rows import (
    Row,
    converted_or_none,
    frame_values,
    stored_attachments,
)
from llm_playground.request import prompts
from llm_playground.runlog import definitions, open_log
from llm_playground.runlog.rows import PROMPT_COLUMNS, selected, unpacked_row
from llm_playground.runlog.store import Session

NAME = "saved_prompts"
VERSION_COLUMNS = {
    "name": "VARCHAR",
    "version": "INTEGER",
    "note": "VARCHAR",
    "username": "VARCHAR",
    "created_at": "TIMESTAMPTZ",
    "prompt_id": "VARCHAR",
}
# Columns of `prompts` that have other names in the export.
_RENAMED = {"id": "prompt_id", "created_at": "prompt_created_at"}
COLUMNS: dict[str, str] = VERSION_COLUMNS | {
    _RENAMED.get(name, name): kind for name, kind in PROMPT_COLUMNS.items()
}
_FROM = {name: f"v.{name}" for name in VERSION_COLUMNS} | {
    _RENAMED.get(name, name): f"p.{name}" for name in PROMPT_COLUMNS
}
_READ = f"""
SELECT {selected(_FROM)}, p.texts_gz AS _prompt_gz
FROM prompt_versions v JOIN prompts p ON p.id = v.prompt_id
WHERE v.name IN (SELECT unnest(CAST($names AS VARCHAR[]))) ORDER BY v.name, v.version
"""  # noqa: S608 - names of columns
_KNOWN = """
SELECT name, version, prompt_id, created_at FROM prompt_versions
WHERE name IN (SELECT unnest(CAST($names AS VARCHAR[])))
"""
_SHOWN = ("system_prompt", "user_prompt", "note", "username")  # of a frame of `lp.prompts`


def is_frame(value: object) -> bool:
    """Whether a value is a frame such as ``lp.prompts()`` gives."""
    columns = getattr(value, "columns", ())
    return hasattr(value, "iloc") and "run_id" not in columns and {"name", "version"} <= {*columns}


def to_json(frame: Any) -> tuple[str, int]:  # noqa: ANN401 - pandas is not imported for its name
    """The document with the versions in a frame, and how many it holds.

    Raises:
        InvalidParameterError: The frame was changed, or the log does not hold one of its versions.
        RunLogError: The log cannot be read.
    """
    wanted = _versions_of(frame)
    names = sorted({name for name, _ in wanted})
    found = open_log().rows(_READ, {"names": names}) if names else []
    rows = [
        {name: converted_or_none(row[name], kind) for name, kind in COLUMNS.items()}
        for row in map(unpacked_row, found)
        if (row["name"], row["version"]) in wanted
    ]
    if len(rows) < len(wanted):
        held = {(row["name"], row["version"]) for row in rows}
        name, version = min(wanted - held)
        raise InvalidParameterError(f"The log does not hold the prompt {name}@{version}.")
    hashes = sorted({one for row in rows for one in definitions.hashes_in(row)})
    used = read_table("definitions", "id", hashes)
    records = {NAME: rows} | ({"definitions": used} if used else {})
    attached = stored_attachments(row | {"parts": None} for row in rows)
    return formats.to_json([], records, attached), len(rows)


def _versions_of(frame: Any) -> set[tuple[str, int]]:  # noqa: ANN401 - as above
    """The names and versions in a frame, whose other columns are as they are in the log.

    Otherwise the export would hold what was removed from the frame.
    """
    shown = [name for name in _SHOWN if name in frame.columns]

    def rows(of: Any) -> dict[tuple[str, int], tuple[object, ...]]:  # noqa: ANN401 - as above
        values = frame_values(of[["name", "version", *shown]])
        return {(str(name), int(version)): tuple(rest) for name, version, *rest in values}

    wanted, held = rows(frame), rows(prompts.prompts())
    changed = [key for key, values in wanted.items() if held.get(key, values) != values]
    if changed or len(shown) < len(_SHOWN):
        raise InvalidParameterError(
            "Saved prompts are exported as the log holds them: pass rows of lp.prompts() with all "
            "their columns, unchanged."
        )
    return set(wanted)


def prompt_rows(saved: Iterable[Row]) -> list[Row]:
    """The rows of ``prompts`` behind saved prompts, each once, ordered by id."""
    names = {name: _RENAMED.get(name, name) for name in PROMPT_COLUMNS}
    rows = {
        row["prompt_id"]: {name: row[given] for name, given in names.items()}
        | {"parameters": row["parameters"] or {}}
        for row in saved
    }
    return [rows[prompt_id] for prompt_id in sorted(rows)]


def version_rows(session: Session, saved: Sequence[Row]) -> list[Row]:
    """The rows of ``prompt_versions`` that are new, in a transaction that ends with them.

    A number that another prompt has here becomes the next free one; one warning names such
    versions.
    """
    session.lock("prompt_versions")
    names = sorted({row["name"] for row in saved})
    taken: dict[str, dict[int, tuple[str, object]]] = {name: {} for name in names}
    for name, version, prompt_id, created_at in session.rows(_KNOWN, {"names": names}):
        created = converted_or_none(created_at, "TIMESTAMPTZ")
        taken[name][int(version)] = (prompt_id, created)
    new, moved = [], []
    for row in sorted(saved, key=lambda one: (one["name"], one["version"])):
        here, version = taken[row["name"]], row["version"]
        same = (row["prompt_id"], row["created_at"])
        if same in here.values() or here.get(version, ("",))[0] == row["prompt_id"]:
            continue
        if version in here:
            version = max(here) + 1
            moved.append(f"{row['name']}@{row['version']} is {row['name']}@{version}")
        here[version] = same
        new.append({name: row[name] for name in VERSION_COLUMNS} | {"version": version})
    if moved:
        message = f"Numbers of saved prompts were taken: {', '.join(moved[:3])}"
        warnings.warn_explicit(
            message + (" ..." if len(moved) > 3 else "."), UserWarning, "llm_playground", 1
        )
    return new
