"""``lp.import_runs``: runs that were exported go into the log, once each, all or none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from llm_playground import config, deeds
from llm_playground.errors import RunLogError
from llm_playground.exporting import sources
from llm_playground.exporting.checks import checked
from llm_playground.exporting.columns import Row
from llm_playground.exporting.tables import COLUMNS_OF, Tables, as_json, taken_apart
from llm_playground.runlog import Dialect, Session, open_log, postgres_drain

_AT_ONCE = 500  # rows of a statement
_THERE = "SELECT id FROM results WHERE id IN (SELECT unnest(CAST($ids AS VARCHAR[])))"
_ROWS: Mapping[Dialect, str] = {
    "duckdb": "(SELECT unnest(row) FROM (SELECT unnest(from_json_strict(CAST($rows AS JSON), "
    "'[{shape}]')) AS row))",
    "postgres": "jsonb_populate_recordset(CAST(NULL AS {table}), CAST($rows AS JSONB))",
}
# No column is named: who may add rows to a shared log may not see which of others are there.
_INSERT = "INSERT INTO {table} ({names}) SELECT {names} FROM {rows} ON CONFLICT DO NOTHING"


def import_runs(source: str | Path | bytes | Mapping[str, Any]) -> int:
    """Bring runs that ``lp.export`` wrote, or that a saved notebook holds, into the log.

    Who ran them, when, from where and at what cost stay as they are; a run that is in the log
    already stays as it is there. All are imported or none. They count in reports and budgets, and
    with ``configure(mode="reuse")`` their answers are used again: import what you trust. What
    still ran when it was exported comes as ``interrupted``. Privacy settings hold: what is not
    stored here is not imported either.

    Args:
        source: The path of a JSON or CSV export or of a notebook (``.ipynb``); the text or bytes
            of one; or its document as a dict.

    Returns:
        How many runs are new in the log.

    Raises:
        InvalidParameterError: It cannot be read, or something in it is not what a run has.
        RunLogError: The log cannot be written, or stores no runs.

    Example:
        >>> import llm_playground as lp
        >>> lp.import_runs(lp.export(lp.runs()))          # all are there already
        0
    """
    rows = checked(sources.read(source))
    privacy = config.privacy()
    if privacy.store == "off":
        raise RunLogError(
            'No run is stored here: privacy is "off". lp.configure(privacy="texts") changes that.'
        )
    log = open_log()
    ids = [row["run_id"] for row in rows]
    there = set(log.frame(_THERE, {"ids": ids}).id) if ids else set()  # in journals, too
    fresh = [row for row in rows if row["run_id"] not in there]
    tables = taken_apart(fresh, privacy)
    new = log.change(partial(_insert_all, tables=tables, dialect=log.dialect)) if fresh else 0
    named = isinstance(source, Path) or (isinstance(source, str) and not sources.is_content(source))
    deeds.tell("import_runs", str(source) if named else None, {"runs": len(rows), "new": new})
    return new


def _insert_all(session: Session, tables: Tables, dialect: Dialect) -> int:
    """Fill the tables; how many runs that made. What somebody else just imported stays theirs."""
    new = {table: _insert(session, table, tables[table], dialect) for table in COLUMNS_OF}
    return new["results"]


def _insert(session: Session, table: str, rows: Sequence[Row], dialect: Dialect) -> int:
    columns = COLUMNS_OF[table]
    shape = ", ".join(f'"{name}": "{kind}"' for name, kind in columns.items())
    found = _ROWS[dialect].format(shape=f"{{{shape}}}", table=table)
    sql = _INSERT.format(table=table, names=", ".join(columns), rows=found)
    texts = map(as_json, _parts(rows))
    storable = texts if dialect == "duckdb" else map(postgres_drain.storable, texts)
    return sum(session.execute(sql, {"rows": text}) for text in storable)


def _parts(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    return (rows[start : start + _AT_ONCE] for start in range(0, len(rows), _AT_ONCE))
