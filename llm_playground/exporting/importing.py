"""``lp.import_runs``: exported runs enter the log, once each, all that fit or none."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, NoReturn

from llm_playground import _validation, config
from llm_playground._files import open_regular
from llm_playground._validation import checks_arguments
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError, RunLogError
from llm_playground.exporting import saved_prompts, tables
from llm_playground.exporting.formats import (
    SEPARATORS,
    extract_rows,
    extract_table,
    not_an_export,
    read_csv,
)
from llm_playground.exporting.record_checks import fitting_records
from llm_playground.exporting.records import TABLES as RECORDS
from llm_playground.exporting.row_checks import (
    FREE_TEXTS,
    NOT_UTF8,
    OPTIONAL_COLUMNS,
    checked_parts,
    fitting_rows,
)
from llm_playground.exporting.rows import COLUMNS, Row, hashes_of
from llm_playground.exporting.saved_prompts import NAME
from llm_playground.parts import FilePart, ImagePart
from llm_playground.runlog import attachments, definitions, open_log, parquet, postgres_ingest
from llm_playground.runlog.attachments import Attachment
from llm_playground.runlog.store import Dialect, Session

MAX_BYTES = 256 << 20
_PARQUET_HEAD = b"PAR1"
_CSV_HEAD = f"{next(iter(COLUMNS))},"
_LINE = re.compile(r"[^\r\n]*")
_DECIMAL_COMMA = re.compile(r"(-?\d+),(\d+(?:[eE][+-]?\d+)?)")
_READABLE = "lp.import_runs reads exports as JSON, CSV or Parquet, and notebooks"
# What other programs write into CSV: pandas for missing values, Excel (in its language), pandas and
# R for flags.
_MISSING = frozenset({"", "nan", "na", "<na>", "none", "null"})
_YES = ("true", "1", "1.0", "wahr", "vrai", "verdadero", "vero", "verdadeiro", "waar", "prawda")
_NO = ("false", "0", "0.0", "falsch", "faux", "falso", "onwaar", "fałsz")
_FLAGS = dict.fromkeys(_YES, True) | dict.fromkeys(_NO, False)
_NUMBERS = frozenset({"count", "number", "usd", "flag"})
_ROWS_PER_STATEMENT = 500
_EXISTING = "SELECT id FROM results WHERE id IN (SELECT unnest(CAST($ids AS VARCHAR[])))"
_ROWS: Mapping[Dialect, str] = {
    "duckdb": "(SELECT unnest(row) FROM (SELECT unnest(from_json_strict(CAST($rows AS JSON), "
    "'[{shape}]')) AS row))",
    "postgres": "jsonb_populate_recordset(CAST(NULL AS {table}), CAST($rows AS JSONB))",
}
# ON CONFLICT names no column: members of a shared log may add rows, but not read those of others.
_INSERT = "INSERT INTO {table} ({names}) SELECT {names} FROM {rows} ON CONFLICT DO NOTHING"


@checks_arguments("import_runs")
def import_runs(source: str | Path | bytes | Mapping[str, Any]) -> int:
    """Import runs that ``lp.export`` wrote, or that a saved notebook holds, into the log.

    User, time, notebook and cost are kept as they are; a run that is in the log already is left
    unchanged. A run with a value that does not fit its column is left out, with one warning for all
    such; all others are imported or none. They count in reports and budgets, and with
    ``configure(mode="reuse")`` their answers are used again: import only what you trust. Runs that
    were still running when they were exported become ``interrupted``. Privacy settings apply: what
    is not stored here is not imported either. Saved prompts come whole, with their versions; where
    another prompt has the number of a version, the version gets the next one.

    Args:
        source: The path of a JSON, CSV or Parquet export or of a notebook (``.ipynb``); its text or
            bytes; or its document as a dict. CSV may be one that a spreadsheet saved again, with
            commas, semicolons, tabs or bars, where not with commas also with decimal commas.

    Returns:
        How many runs are new in the log.

    Raises:
        InvalidParameterError: The source cannot be read, or no run in it fits.
        RunLogError: The log cannot be written, or stores no runs.

    Example:
        >>> import llm_playground as lp
        >>> lp.import_runs(lp.export(lp.runs()))          # all are in the log already
        0
    """
    found = read_export(source)
    rows = fitting_rows(found.rows)
    privacy = config.privacy()
    if privacy.store == "off":
        raise RunLogError(
            'No run is stored here: privacy is "off". lp.configure(privacy="texts") changes that.'
        )
    log = open_log()
    ids = [row["run_id"] for row in rows]
    existing = {row["id"] for row in log.rows(_EXISTING, {"ids": ids})} if ids else set()
    new_rows = [row for row in rows if row["run_id"] not in existing]
    records = fitting_records(found.records) if new_rows or found.records.get(NAME) else {}
    saved = records.get(NAME, ())
    used = {sha256 for row in new_rows for sha256 in hashes_of(row)}
    used |= {sha256 for row in saved for sha256 in row["attachments"] or ()}
    known = checked_parts(found.attachments) if used else {}
    attached = {sha256: part for sha256, part in known.items() if sha256 in used}
    rows_by_table = tables.table_rows(tables.Import(new_rows, records, attached), privacy)

    def insert(session: Session) -> int:
        new = {
            name: _insert(session, name, table, log.dialect)
            for name, table in rows_by_table.items()
        }
        for sha256, part in attached.items() if privacy.stores_attachments else ():
            attachments.insert(session, Attachment.of(sha256, part, privacy.image_mb))
        if saved:
            _insert_saved(session, saved, records, attached, log.dialect)
        return new["results"]

    new = log.change(insert) if new_rows or saved else 0
    is_path = isinstance(source, Path) or (isinstance(source, str) and not _is_content(source))
    counts = {"runs": len(rows), "new": new} | ({NAME: len(saved)} if saved else {})
    options.record("import_runs", str(source) if is_path else None, counts)
    return new


def _insert_saved(
    session: Session,
    saved: Sequence[Row],
    records: Mapping[str, Sequence[Row]],
    attached: Mapping[str, ImagePart | FilePart],
    dialect: Dialect,
) -> None:
    """Insert saved prompts, whole whatever the privacy settings are, as saving stores them."""
    hashes = {one for row in saved for one in definitions.hashes_in(row)}
    named = [row for row in records.get("definitions", ()) if row["id"] in hashes]
    _insert(session, "prompts", saved_prompts.prompt_rows(saved), dialect)
    _insert(session, "definitions", sorted(named, key=itemgetter("id")), dialect)
    for sha256 in sorted({one for row in saved for one in row["attachments"] or ()}):
        if sha256 in attached:
            attachments.insert(session, Attachment.of(sha256, attached[sha256], math.inf))
    _insert(session, "prompt_versions", saved_prompts.version_rows(session, saved), dialect)


class Export(NamedTuple):
    """The unchecked rows, images and files, and rows of other tables, of an export."""

    rows: list[Any]
    attachments: Sequence[Any] = ()
    records: Mapping[str, Sequence[Any]] = MappingProxyType({})

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Export:
        """What a document holds.

        Raises:
            InvalidParameterError: It holds no runs, or a newer version wrote them.
        """
        records = {name: extract_table(document, name) for name in (*RECORDS, NAME)}
        return cls(extract_rows(document), extract_table(document, "attachments"), records)


def read_export(source: object) -> Export:
    """What an export or a notebook holds: a path, its text or bytes, or a dict.

    Raises:
        InvalidParameterError: The source cannot be read, is too large, or holds no runs.
    """
    if isinstance(source, Mapping):
        return Export.of(source)
    if isinstance(source, (bytes, bytearray)):
        return _export_of_bytes(source)
    if isinstance(source, str) and _is_content(source):
        _check_size(len(source))
        return _export_of_text(source)
    if isinstance(source, (str, Path)) and str(source):
        return _export_of_bytes(_read_file(source))
    raise InvalidParameterError(
        "Runs are imported from a path, from the text of an export or from a notebook; got "
        f"{_validation.short_repr(source)}."
    )


def _export_of_bytes(content: bytes | bytearray) -> Export:
    if not content.startswith(_PARQUET_HEAD):
        return _export_of_text(_decode(content))
    _check_size(len(content))
    try:
        rows = parquet.from_parquet(bytes(content), list(COLUMNS), MAX_BYTES)
    except ValueError as error:
        reason = _validation.shorten(str(error), 80)
        raise not_an_export(f"not Parquet that can be read ({reason})") from None
    return Export([{name: _cell_value(name, cell) for name, cell in row.items()} for row in rows])


def _is_content(text: str) -> bool:
    """Whether a text is an export itself rather than the path of one."""
    start = text[:100].lstrip("\ufeff \t\r\n")
    return start.startswith(("{", "[", _CSV_HEAD)) or "\n" in text


def _read_file(path: str | Path) -> bytes:
    try:
        file_path = Path(path).expanduser()
        if not file_path.is_file():
            raise InvalidParameterError(f"There is no file {path}.")
        _check_size(file_path.stat().st_size)
        with open_regular(file_path) as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{path} cannot be read ({reason}).") from error


def _decode(content: bytes | bytearray) -> str:
    """The text; bytes that are not UTF-8 become surrogates, which the checks of a row refuse."""
    _check_size(len(content))
    return content.decode("utf-8-sig", "surrogateescape")


def _check_size(size: int) -> None:
    if size > MAX_BYTES:
        raise InvalidParameterError(
            f"This is {size >> 20:,} MB; up to {MAX_BYTES >> 20} MB can be imported at once. "
            "Use lp.backup and lp.restore for whole logs."
        )


def _export_of_text(text: str) -> Export:
    text = text.lstrip("\ufeff")
    separator = None if text.startswith(("{", "[")) else _separator(text)
    if separator is not None:
        return Export(_rows_of_csv(text, separator))
    try:
        document = _load_json(text)
    except RecursionError:
        raise not_an_export("nested too deeply") from None
    except ValueError as error:
        if NOT_UTF8.search(text):
            raise not_an_export("it is not UTF-8") from None
        if not text.lstrip().startswith(("{", "[")):
            raise _other_format(text) from None
        if "Extra data" in str(error):
            raise not_an_export(f"it has several JSON documents; {_READABLE}") from None
        raise not_an_export(f"not JSON ({_validation.shorten(str(error), 80)})") from None
    if not isinstance(document, dict):
        raise not_an_export("not a JSON object")
    return Export.of(document)


def _separator(text: str) -> str | None:
    r"""What separates the cells of a table of runs, by the names in its header; None without any.

    >>> _separator("run_id;model\r\n1;a,b\r\n"), _separator("name,city\n")
    (';', None)
    """
    found = _LINE.match(text)
    line = found[0] if found else ""
    names = {one: {cell.strip('"') for cell in line.split(one)} for one in SEPARATORS}
    best = max(names, key=lambda one: len(names[one] & COLUMNS.keys()))
    return best if "run_id" in names[best] else None


def _other_format(text: str) -> InvalidParameterError:
    """The error for a text that is no JSON and no CSV of runs."""
    line = text.lstrip().split("\n", 1)[0]
    if line.startswith("<"):
        return not_an_export(f"it is HTML; {_READABLE}")
    if any(separator in line for separator in SEPARATORS):
        return not_an_export(f"not JSON, and not CSV with a column run_id; {_READABLE}")
    return not_an_export(f"not JSON, CSV or Parquet; {_READABLE}")


class _ExactFloat(float):
    """A float whose text is the number as it was written, so that costs are not rounded."""

    __slots__ = ("_text",)

    _text: str

    def __new__(cls, text: str) -> _ExactFloat:
        number = super().__new__(cls, text)
        number._text = text
        return number

    def __str__(self) -> str:
        return self._text


def _load_json(text: str) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    return json.loads(text, parse_float=_ExactFloat, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _rows_of_csv(text: str, separator: str) -> list[Any]:
    try:
        header, *lines = read_csv(text, separator)
    except ValueError as error:
        raise _not_csv(str(error)) from None
    names = [str(name) for name in header]
    missing = next((name for name in COLUMNS if name not in {*names, *OPTIONAL_COLUMNS}), None)
    if missing is not None:
        raise _not_csv(f"it has no column {missing}")
    rows: list[Any] = []
    for number, cells in enumerate(lines, 2):
        if cells == [None]:
            continue
        # Excel leaves out separators at the end of lines where 16 lines have no more values. Only
        # of a file that was cut, the last line has no end.
        left_out = names[len(cells) :]
        is_whole = number <= len(lines) or text.endswith(("\n", "\r"))
        if is_whole and OPTIONAL_COLUMNS.issuperset(COLUMNS.keys() & left_out):
            cells += [None] * len(left_out)
        if len(cells) != len(names):
            rows.append(f"row {number} has {len(cells)} cells, the header has {len(names)}")
            continue
        if separator != ",":
            cells = list(map(_with_point, names, cells))
        rows.append(dict(zip(names, map(_cell_value, names, cells), strict=True)))
    return rows


def _with_point(name: str, cell: str | None) -> str | None:
    """A cell whose number may have a decimal comma, with a point in its place.

    >>> _with_point("cost_usd", "1,5E-06"), _with_point("user_prompt", "1,5")
    ('1.5E-06', '1,5')
    """
    if cell is None or COLUMNS.get(name) not in _NUMBERS:
        return cell
    found = _DECIMAL_COMMA.fullmatch(cell.strip())
    return f"{found[1]}.{found[2]}" if found else cell


def _not_csv(reason: str) -> InvalidParameterError:
    return InvalidParameterError(f"This is not CSV of runs ({reason}).")


def _cell_value(name: str, cell: str | None) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A cell as a JSON value; one that is not JSON stays text, which the checks then reject."""
    kind = COLUMNS.get(name, "text")
    if cell is None or name not in COLUMNS or name in FREE_TEXTS:
        return cell
    if cell.strip().lower() in _MISSING:
        return None
    if kind == "flag":
        return _FLAGS.get(cell.strip().lower(), cell)
    if kind in {"text", "time"}:
        return cell
    try:
        return _load_json(cell)
    except (ValueError, RecursionError):
        return cell


def _insert(session: Session, table: str, rows: Sequence[Row], dialect: Dialect) -> int:
    """Insert rows; returns how many are new. Concurrent imports of a run insert one."""
    columns = tables.TABLES[table]
    shape = ", ".join(f'"{name}": "{sql_type}"' for name, sql_type in columns.items())
    selected = _ROWS[dialect].format(shape=f"{{{shape}}}", table=table)
    sql = _INSERT.format(table=table, names=", ".join(columns), rows=selected)
    inserted = 0
    for start in range(0, len(rows), _ROWS_PER_STATEMENT):
        batch = rows[start : start + _ROWS_PER_STATEMENT]
        # Amounts are written as text, which both databases read exactly.
        text = json.dumps(batch, ensure_ascii=False, allow_nan=False, default=str)
        text = text if dialect == "duckdb" else postgres_ingest.storable(text)
        inserted += session.execute(sql, {"rows": text})
    return inserted
