"""JSON and CSV of plain rows, and the rows in an export or a saved notebook.

JSON: ``{"format": "llm_playground.runs", "version": 1, "runs": [...]}``, with the columns of the
view ``runs`` as one object and line per run; ``runs.schema.json`` in this folder is its JSON
Schema. A later version of this package may add fields; another ``version`` changes them. Costs are
numbers with all their digits; ``json.loads(text, parse_float=decimal.Decimal)`` reads them exactly.
``prompts``, ``executions``, ``results``, ``definitions`` and ``ratings`` are what the log holds of
the runs beside (``records``). If prompts have images or files, ``attachments`` holds them:
``sha256``, ``media_type``, ``size_bytes``, ``data`` in base64, null where the log holds no more,
and the ``name`` of a file.

CSV: RFC 4180 in UTF-8, safe to open in a spreadsheet. Spreadsheets take a cell that begins with
``=``, ``+``, ``-`` or ``@`` for a formula, so such texts (not numbers) get an apostrophe in front,
which reading removes again. None is an empty cell, an empty text is ``""``. Control characters are
written visibly (␛). After the columns of the view come those of the inputs and the parameters,
which reading leaves out. A file begins with a byte order mark, by which Excel recognises UTF-8;
where it separates cells by semicolons, it opens the file by Data, From Text/CSV. What it saves
there, semicolons and decimal commas, is read as well.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date, time, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from llm_playground import _validation
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.rows import (
    COLUMNS,
    Row,
)
from llm_playground.inputs import inputs_from_json
from llm_playground.runlog.attachments import Attachment
from llm_playground.runlog.input_columns import input_columns, parameter_names

FORMAT = "llm_playground.runs"
VERSION = 1
MIME_TYPE = "application/vnd.llm_playground.runs+json"


def to_json(
    rows: Iterable[Row],
    records: Mapping[str, Sequence[Row]] = MappingProxyType({}),
    attachments: Mapping[Attachment, str | None] = MappingProxyType({}),
) -> str:
    """The whole document, one run or other object per line, ending in a newline.

    ``records`` are the rows of other tables. The values of ``attachments`` are the names of files.
    """
    tables: dict[str, Iterable[Row]] = {"runs": rows, **records}
    if attachments:
        tables["attachments"] = [_values(one, name) for one, name in attachments.items()]
    written = ", ".join(f'"{name}": {_json_lines(table)}' for name, table in tables.items())
    return f'{{"format": "{FORMAT}", "version": {VERSION}, {written}}}\n'


def _json_lines(rows: Iterable[Row]) -> str:
    lines = []
    for row in rows:
        pairs = (f"{json.dumps(name)}: {_json_literal(value)}" for name, value in row.items())
        lines.append("{" + ", ".join(pairs) + "}")
    return "[\n" + ",\n".join(lines) + "\n]" if lines else "[]"


def _values(attachment: Attachment, name: str | None) -> Row:
    data = None if attachment.data is None else base64.b64encode(attachment.data).decode()
    return asdict(attachment) | {"data": data} | ({} if name is None else {"name": name})


def json_document(rows: Iterable[Row]) -> dict[str, Any]:
    """The document as JSON values; a cost that a float cannot represent exactly is text.

    >>> json_document([])
    {'format': 'llm_playground.runs', 'version': 1, 'runs': []}
    """
    runs = [{name: _json_value(value) for name, value in row.items()} for row in rows]
    return {"format": FORMAT, "version": VERSION, "runs": runs}


def _json_literal(value: object) -> str:
    if isinstance(value, Decimal):
        return _decimal_text(value)
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _json_value(value: object) -> object:
    if not isinstance(value, Decimal):
        return value
    number = float(value)
    return number if Decimal(repr(number)) == value else _decimal_text(value)


def _decimal_text(value: Decimal) -> str:
    """An amount with the digits it needs, without an exponent.

    >>> _decimal_text(Decimal("0.000001500000")), _decimal_text(Decimal("1E+2"))
    ('0.0000015', '100')
    """
    return f"{value.normalize():f}"


# Signs that make spreadsheets evaluate a cell (full-width ones too), and blanks that they skip
# before. Apostrophes in front may be the text's own: another one keeps them apart.
_FORMULA = re.compile(r"'*(?:[\t\r\n]|\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
_TO_QUOTE = re.compile(r'[",\r\n]|^\s|\s$')
SEPARATORS = (",", ";", "\t", "|")  # of cells, as programs save CSV
_CELLS = {
    one: re.compile(rf'(?:"([^"]*(?:""[^"]*)*)"|([^"{one}\r\n]*))([{one}]|\r\n|\n|\r|\Z)')
    for one in SEPARATORS
}


def to_csv(rows: Sequence[Row]) -> str:
    """A header with the names of the columns and one line per run, each ending in CR LF."""
    added = {} if not rows else _added_columns(rows)
    cells = [*COLUMNS, *added]
    values = zip(*added.values(), strict=True) if added else [()] * len(rows)
    lines = [[*row.values(), *more] for row, more in zip(rows, values, strict=True)]
    return "".join(f"{','.join(map(to_csv_cell, line))}\r\n" for line in [cells, *lines])


def _added_columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """The parameters and the inputs of runs by the columns that they have of their own."""
    parameters = [row["parameters"] if isinstance(row["parameters"], dict) else {} for row in rows]
    names = parameter_names(parameters)
    return {
        **{name: [each.get(name) for each in parameters] for name in names},
        **input_columns([inputs_from_json(row["inputs"]) for row in rows]),
    }


def with_visible_controls(text: str) -> str:
    r"""The text with the controls of terminals as their pictures; tabs and line breaks stay.

    >>> with_visible_controls("\x1b[2J\x00\t")
    '␛[2J␀\t'
    """
    return text.translate(_PICTURES)


_PICTURES = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\r\n"}
_PICTURES |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def to_csv_cell(value: object) -> str:
    """A value as a cell; None as an empty one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return _decimal_text(value)
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, (date, time, timedelta)):  # a datetime is a date
        value = str(value)
    if not isinstance(value, str):
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    value = with_visible_controls(value)
    if _FORMULA.match(value):
        value = f"'{value}"
    if value and not _TO_QUOTE.search(value):
        return value
    return '"' + value.replace('"', '""') + '"'


def read_csv(csv: str, separator: str = ",") -> Iterator[list[str | None]]:
    r"""The cells of each line, without the apostrophes; None for an empty cell.

    ``separator`` is one of :data:`SEPARATORS`.

    Raises:
        ValueError: The text is not CSV; the message says where.

    >>> list(read_csv("a,b\n,'=1"))
    [['a', 'b'], [None, '=1']]
    """
    cells: list[str | None] = []
    position, line = 0, 1
    while position < len(csv):
        match = _CELLS[separator].match(csv, position)
        if match is None:
            raise ValueError(f"line {line}")
        quoted, bare, end = match.groups()
        cell = bare or None if quoted is None else quoted.replace('""', '"')
        if cell and cell.startswith("'") and _FORMULA.match(cell):
            cell = cell[1:]
        cells.append(cell)
        position = match.end()
        at_end = position == len(csv)
        if end == separator and at_end:
            cells.append(None)
        if end != separator or at_end:
            yield cells
            cells, line = [], line + 1


def extract_table(document: Mapping[str, Any], name: str) -> list[Any]:
    """A table of an export beside its runs, unchecked; a notebook's outputs hold none."""
    return _list(document, name)


def extract_rows(document: Mapping[str, Any]) -> list[Any]:
    """The rows of an export, a notebook (nbformat 4), an output or its MIME bundle, unchecked.

    A run in several outputs is returned once, from the output with its longest answer.

    Raises:
        InvalidParameterError: The document holds no runs, or a newer version wrote them.
    """
    exports = list(_exports(document))
    if not exports:
        if "cells" not in document:
            raise InvalidParameterError("The document holds no runs that llm_playground saved.")
        raise InvalidParameterError(
            "The notebook's outputs hold no runs that llm_playground saved: panels save theirs, "
            "%%llm and lp.ask do not. Export them from their log: lp.runs(notebook=...)."
        )
    rows = [row for export in exports for row in _rows_of(export)]
    return rows if len(exports) == 1 else _without_duplicates(rows)


def _exports(document: Mapping[str, Any]) -> Iterator[object]:
    if "format" in document or "runs" in document:
        yield document
        return
    outputs = (
        [{"data": document}, document]
        if "cells" not in document
        else [output for cell in _list(document, "cells") for output in _list(cell, "outputs")]
    )
    for output in outputs:
        data = output.get("data") if isinstance(output, Mapping) else None
        if isinstance(data, Mapping) and MIME_TYPE in data:
            yield _parsed(data[MIME_TYPE])


def _list(holder: object, name: str) -> list[Any]:
    value = holder.get(name) if isinstance(holder, Mapping) else None
    return value if isinstance(value, list) else []


def _parsed(export: object) -> object:
    """Some programs save the JSON of outputs as text, or as a list of lines."""
    if isinstance(export, list):
        export = "".join(map(str, export))
    if not isinstance(export, str):
        return export
    try:
        return json.loads(export)
    except (ValueError, RecursionError):
        raise InvalidParameterError("The runs in the notebook's outputs are not JSON.") from None


def not_an_export(reason: str) -> InvalidParameterError:
    """The error for a source that is another thing than an export."""
    return InvalidParameterError(f"This is not an export of runs: {reason}.")


def _rows_of(export: object) -> list[Any]:
    if not isinstance(export, Mapping) or export.get("format") != FORMAT:
        name = export.get("format") if isinstance(export, Mapping) else export
        raise not_an_export(f"its format is {_validation.short_repr(name)}, not {FORMAT}")
    version = export.get("version")
    shown = _validation.short_repr(version)
    if isinstance(version, int) and version > VERSION:
        raise InvalidParameterError(
            f"A newer llm_playground wrote these runs (version {shown}, known here: {VERSION}). "
            "Upgrade llm_playground to import them."
        )
    if version != VERSION or isinstance(version, bool):
        raise not_an_export(f"its version is {shown}, not {VERSION}")
    rows = export.get("runs")
    if not isinstance(rows, list):
        raise not_an_export("its runs are not a list")
    return rows


def _without_duplicates(rows: list[Any]) -> list[Any]:
    def answer_length(row: Mapping[str, Any]) -> int:
        text = row.get("response_text")
        return len(text) if isinstance(text, str) else 0

    longest: dict[str, Any] = {}
    for index, row in enumerate(rows):
        run_id = row.get("run_id") if isinstance(row, Mapping) else None
        name = run_id if isinstance(run_id, str) else f"row {index}"
        if name not in longest or answer_length(row) > answer_length(longest[name]):
            longest[name] = row
    return list(longest.values())
