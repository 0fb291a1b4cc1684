"""Where imported runs come from: a file, a text, a notebook; as rows that nobody has checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import as_csv
from llm_playground.exporting.checks import LATER
from llm_playground.exporting.columns import COLUMNS
from llm_playground.exporting.found import runs_in

MOST_BYTES = 256 << 20
_CSV_HEAD = f"{next(iter(COLUMNS))},"


def read(source: object) -> list[Any]:
    """The rows of an export or of a notebook, as they stand there.

    Args:
        source: A path, the text itself, its bytes, or the document as a dict.

    Raises:
        InvalidParameterError: It cannot be read, is too large, or holds no runs.
    """
    if isinstance(source, Mapping):
        return runs_in(source)
    if isinstance(source, (bytes, bytearray)):
        return _of_text(_decoded(source))
    if isinstance(source, str) and is_content(source):
        _check_size(len(source))
        return _of_text(source)
    if isinstance(source, (str, Path)) and str(source):
        return _of_text(_decoded(_content(source)))
    raise InvalidParameterError(
        "Runs are imported from a path, from the text of an export or from a notebook; got "
        f"{misfit.got(source)}."
    )


def is_content(text: str) -> bool:
    """Whether a text is an export itself, not the path of one."""
    start = text[:100].lstrip("\ufeff \t\r\n")
    return start.startswith(("{", "[", _CSV_HEAD)) or "\n" in text


def _content(path: str | Path) -> bytes:
    try:
        place = Path(path).expanduser()
        if not place.is_file():
            raise InvalidParameterError(f"There is no file {path}.")
        _check_size(place.stat().st_size)
        with place.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{path} cannot be read ({why}).") from error


def _decoded(content: bytes | bytearray) -> str:
    _check_size(len(content))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidParameterError("This is no export of runs: it is not UTF-8.") from None


def _check_size(size: int) -> None:
    if size > MOST_BYTES:
        raise InvalidParameterError(
            f"This is {size >> 20:,} MB; up to {MOST_BYTES >> 20} MB are imported at once. "
            "Whole logs move with lp.backup and lp.restore."
        )


def _of_text(text: str) -> list[Any]:
    text = text.lstrip("\ufeff")
    if text.startswith(_CSV_HEAD):
        return _of_csv(text)
    try:
        document = json.loads(text, parse_float=Literal, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidParameterError("This is no export of runs: nested too deeply.") from None
    except ValueError as error:
        why = misfit.shown(str(error), 80)
        raise InvalidParameterError(f"This is no export of runs: no JSON ({why}).") from None
    if not isinstance(document, dict):
        raise InvalidParameterError("This is no export of runs: no JSON object.")
    return runs_in(document)


class Literal(float):
    """A number as it was written: a cost is not rounded on its way through a float."""

    __slots__ = ("written",)

    written: str

    def __new__(cls, written: str) -> Literal:
        """The float, with its text."""
        number = super().__new__(cls, written)
        number.written = written
        return number

    def __str__(self) -> str:
        return self.written


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _of_csv(text: str) -> list[Any]:
    lines = as_csv.read(text)
    try:
        names = _head(next(lines))
        rows = [
            _row(names, cells, number) for number, cells in enumerate(lines, 2) if cells != [None]
        ]
    except ValueError as error:
        raise InvalidParameterError(f"This is no CSV of runs ({error}).") from None
    return rows


def _head(cells: list[str | None]) -> list[str]:
    missing = next((name for name in COLUMNS if name not in {*cells, *LATER}), None)
    if missing is not None:
        raise ValueError(f"it has no column {missing}")
    return [str(name) for name in cells]


def _row(names: list[str], cells: list[str | None], number: int) -> dict[str, Any]:
    if len(cells) != len(names):
        raise ValueError(f"row {number} has {len(cells)} cells, the head has {len(names)}")
    return {name: _value(name, cell) for name, cell in zip(names, cells, strict=True)}


def _value(name: str, cell: str | None) -> Any:  # noqa: ANN401 - a JSON value is any of six types
    """A cell as JSON has it; what it cannot be, the check of the rows refuses."""
    kind = COLUMNS.get(name, "text")
    if cell is None or kind in {"text", "time"}:
        return cell
    try:
        return json.loads(cell, parse_float=Literal, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return cell
