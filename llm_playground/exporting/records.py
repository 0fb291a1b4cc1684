"""What the log holds of runs beside the columns of the view ``runs``, for exports without loss.

These are rows of the log's tables without the columns that the view has: the messages of prompts
with the hashes of their tools and schemas, executions, tool calls of answers, the tools and schemas
themselves, ratings and votes. Where a frame was changed before its export, such as emptied of
prompts or users, the rows of that table are left out: they would hold what was removed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeVar

from llm_playground.exporting import rows as plain
from llm_playground.exporting.rows import Row
from llm_playground.parts import AnswerPart, AudioPart, FilePart, ImagePart
from llm_playground.runlog import definitions, open_log
from llm_playground.runlog.attachments import Attached, Attachment
from llm_playground.runlog.reading import are_messages
from llm_playground.runlog.rows import (
    DEFINITION_COLUMNS,
    EXECUTION_COLUMNS,
    PROMPT_COLUMNS,
    RATING_COLUMNS,
    RESULT_COLUMNS,
    RUN_COLUMNS,
    clean_json,
    unpacked_row,
)

Records = Mapping[str, Sequence[Row]]
Item = TypeVar("Item", bound=str | AnswerPart | FilePart)


def _rest(table: str, columns: Mapping[str, str], *without: str) -> dict[str, str]:
    """The columns of a table that the view lacks, after its id."""
    shown = set(RUN_COLUMNS.values()) | {f"coalesce({table}.cached, false)"}
    rest = {name: kind for name, kind in columns.items() if f"{table}.{name}" not in shown}
    return {"id": "VARCHAR"} | {name: kind for name, kind in rest.items() if name not in without}


# The tables of a document beside its runs, with their columns.
TABLES: dict[str, dict[str, str]] = {
    "prompts": _rest("p", PROMPT_COLUMNS),
    "executions": _rest("e", EXECUTION_COLUMNS, "process"),
    "results": _rest("r", RESULT_COLUMNS, "cached"),
    "definitions": dict(DEFINITION_COLUMNS),
    "ratings": dict(RATING_COLUMNS),
}
# What a run must still have in common with the log for the rows of a table to be exported.
_TEXTS: dict[str, tuple[str, ...]] = {
    "prompts": ("system_prompt", "user_prompt", "attachments"),
    "executions": ("username",),
    "results": ("response_text", "reasoning_text", "parts", "error_message"),
    "ratings": ("username", "rating"),
}
_IDS: dict[str, str] = {
    "prompts": "prompt_id",
    "executions": "execution_id",
    "results": "run_id",
    "ratings": "run_id",
}
_OF_RUN = "SELECT {columns}{packed} FROM {table} WHERE {id} IN {ids} ORDER BY id"
_OF_IDS = "(SELECT unnest(CAST($ids AS VARCHAR[])))"


@dataclass(frozen=True)
class Exported:
    """Runs that are exported: their plain rows, and on first use what else the log holds of them.

    ``own`` are columns of ``results`` that a run object holds itself, by the run's id, and ``held``
    the pictures, recordings and files of its answer with their bytes, by their SHA-256.
    """

    rows: list[Row]
    own: Mapping[str, Row] = field(default_factory=dict)
    held: Mapping[str, Attached] = field(default_factory=dict)

    @classmethod
    def of(cls, runs: object) -> Exported:
        """Whatever ``lp.export`` takes.

        Raises:
            InvalidParameterError: ``runs`` is none of these, or no run fits.
            RunLogError: The log cannot be read.
        """
        complete = plain.complete_rows(runs)
        held = [name for name in TABLES["results"] if name != "id"]
        own = {
            row["run_id"]: {name: clean_json(row[name]) for name in held}
            for row in complete
            if all(name in row for name in held)
        }
        media = {name: part for row in complete for name, part in row.get("_held", {}).items()}
        return cls(plain.fitting(complete, plain.plain_row, "exported"), own, media)

    def rated(self, least: float) -> Exported:
        """The runs that are rated with this or more."""
        kept = [row for row in self.rows if row["rating"] is not None and row["rating"] >= least]
        ids = {row["run_id"] for row in kept}
        own = {run_id: own for run_id, own in self.own.items() if run_id in ids}
        return Exported(kept, own, self.held)

    def oldest_first(self) -> Exported:
        """The runs in the order in which they were asked for, as documents have them.

        It is that in which mode ``reuse`` counts equal requests: by the start of the execution,
        the execution (in a comparison, of each model in turn) and the iteration.

        Raises:
            RunLogError: The log cannot be read.
        """
        ids = sorted({row["execution_id"] for row in self.rows if row["execution_id"]})
        started = {row["id"]: row["started_at"] for row in read_table("executions", "id", ids)}

        def place(row: Row) -> tuple[datetime, str, int, datetime, str]:
            own = _time(row["started_at"])
            together = started.get(row["execution_id"] or "")
            asked = own if together is None else _time(together)
            number = row["iteration_number"] or 1
            return asked, row["execution_id"] or "", number, own, row["run_id"] or ""

        return Exported(sorted(self.rows, key=place), self.own, self.held)

    @cached_property
    def attachments(self) -> dict[Attachment, str | None]:
        """The images and files, see :func:`llm_playground.exporting.rows.stored_attachments`."""
        found = plain.stored_attachments(self.rows)
        known = {one.sha256 for one in found if one.data is not None}
        used = {sha256 for row in self.rows for sha256 in plain.hashes_of(row)} - known
        held = {sha256: self.held[sha256] for sha256 in sorted(used & self.held.keys())}
        found = {one: name for one, name in found.items() if one.sha256 not in held}
        return found | {
            Attachment.of(sha256, part, math.inf): getattr(part, "name", None)
            for sha256, part in held.items()
        }

    @cached_property
    def pictures(self) -> dict[str, bytes]:
        """The bytes of the images and files by their SHA-256."""
        return {one.sha256: one.data for one in self.attachments if one.data is not None}

    @cached_property
    def records(self) -> Records:
        """Rows of :data:`TABLES` that belong to the runs, each table ordered by id.

        Raises:
            RunLogError: The log cannot be read.
        """
        if not self.rows:
            return {}
        found = {table: self._found(table) for table in _TEXTS}
        results = {row["id"]: row for row in found["results"]}
        results |= {run_id: {"id": run_id} | own for run_id, own in self.own.items()}
        hashes = {one for row in found["prompts"] for one in definitions.hashes_in(row)}
        found["results"] = [_in_order(results[run_id]) for run_id in sorted(results)]
        found["definitions"] = read_table("definitions", "id", sorted(hashes))
        return {table: found[table] for table in TABLES if found[table]}

    @cached_property
    def exact_rows(self) -> list[Row]:
        """The rows with all digits of their amounts, which frames hold as floats.

        Raises:
            RunLogError: The log cannot be read.
        """
        amounts = [name for name, kind in plain.COLUMNS.items() if kind == "usd"]
        exact = []
        for row in self.rows:
            known = self._logged.get(row["run_id"], {})
            pairs = {name: (row[name], known.get(name)) for name in amounts}
            digits = {name: amount for name, (held, amount) in pairs.items() if _same(held, amount)}
            exact.append(row | digits)
        return exact

    @cached_property
    def _logged(self) -> dict[str, Row]:
        return plain.logged_rows([row["run_id"] for row in self.rows]) if self.rows else {}

    def _found(self, table: str) -> list[Row]:
        names, key, logged = _TEXTS[table], _IDS[table], self._logged
        changed = {
            row[key]
            for row in self.rows
            if any(row[name] != logged.get(row["run_id"], {}).get(name) for name in names)
        }
        ids = sorted({row[key] for row in self.rows if row[key] is not None} - changed)
        return read_table(table, "result_id" if table == "ratings" else "id", ids)


@dataclass(slots=True)
class KeptMedia:
    """The bytes of pictures, recordings and files by their SHA-256, of which a limited sum is kept.

    >>> media = KeptMedia({"ab": b"12345"}, left_bytes=8)
    >>> part = ImagePart("image/png", stored_sha256="ab")
    >>> media.with_bytes(part).data, media.with_bytes(part).data
    (b'12345', None)
    """

    by_sha256: Mapping[str, bytes]
    left_bytes: int

    def with_bytes(self, item: Item) -> Item:
        """A picture, recording or file with its bytes, if they fit; everything else as it is."""
        if not isinstance(item, (ImagePart, AudioPart, FilePart)):
            return item
        data = self.by_sha256.get(item.sha256 or "")
        if data is None or len(data) > self.left_bytes:
            return item
        self.left_bytes -= len(data)
        return replace(item, data=data)


def _time(text: str | None) -> datetime:
    return datetime.min.replace(tzinfo=UTC) if text is None else datetime.fromisoformat(text)


def _in_order(value: Any) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A JSON value with the keys of its objects in order, which PostgreSQL's JSONB changes."""
    if isinstance(value, Mapping):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return list(map(_in_order, value)) if isinstance(value, list) else value


def _same(amount: Decimal | None, exact: Decimal | None) -> bool:
    """Whether an amount is an exact one after it was a float."""
    return amount is not None and exact is not None and math.isclose(amount, exact, rel_tol=1e-14)


def read_table(table: str, id_column: str, ids: Sequence[str]) -> list[Row]:
    """The rows of one of :data:`TABLES` by their ids, as plain values.

    Raises:
        RunLogError: The log cannot be read.
    """
    columns = TABLES[table]
    packed = {"prompts": "_prompt_gz", "results": "_result_gz"}.get(table)
    sql = _OF_RUN.format(
        columns=", ".join(columns),
        packed=f", texts_gz AS {packed}" if packed else "",
        table=table,
        id=id_column,
        ids=_OF_IDS,
    )
    found = open_log().rows(sql, {"ids": list(ids)}) if ids else []
    return [_plain(unpacked_row(row), columns) for row in found]


def _plain(row: Row, columns: Mapping[str, str]) -> Row:
    """The row as JSON values; what another program wrote and does not fit is None."""
    return {name: plain.converted_or_none(row[name], kind) for name, kind in columns.items()}


def by_id(records: Records, table: str) -> dict[str, Row]:
    """The rows of a table by their ids.

    >>> by_id({"results": [{"id": "a", "tool_calls": None}]}, "results")["a"]["tool_calls"]
    >>> by_id({}, "results")
    {}
    """
    return {row["id"]: row for row in records.get(table, ())}


def conversation(row: Row, prompts: Mapping[str, Row]) -> list[Mapping[str, Any]]:
    """The messages that a run sent, as far as they are known.

    >>> conversation({"prompt_id": None, "system_prompt": "Be brief.", "user_prompt": "Hi."}, {})
    [{'role': 'system', 'content': 'Be brief.'}, {'role': 'user', 'content': 'Hi.'}]
    """
    known = prompts.get(row["prompt_id"] or "", {}).get("messages")
    if are_messages(known):
        return [*known]
    texts = (("system", row["system_prompt"]), ("user", row["user_prompt"]))
    return [{"role": role, "content": text} for role, text in texts if text is not None]


def parts_of(message: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    """The parts of a message, as the log has them.

    >>> list(parts_of({"role": "user", "content": "Hi."}))
    [{'type': 'text', 'text': 'Hi.'}]
    """
    content = message.get("content")
    if isinstance(content, list):
        return [part for part in content if isinstance(part, Mapping)]
    return [{"type": "text", "text": str(content or "")}]
