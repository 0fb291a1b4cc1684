"""A notebook's file as its cells, of the formats 3 and 4, without executing anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_playground import _files

MAX_BYTES = 256 << 20
SUFFIX = ".ipynb"
_CONFLICT = re.compile(r"^(?:<{7}|>{7})(?: |$)", re.MULTILINE)
# Encoded media, in which a key could only be found by chance.
_ENCODED = re.compile(r"base64,[A-Za-z0-9+/=\s]{100,}")
_BINARY = re.compile(r"(?:image/(?!svg)|audio/|video/|application/pdf)")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell by its number among all cells, from 1; ``errors`` are the errors in its outputs."""

    number: int
    is_code: bool
    source: str
    outputs: str
    metadata: str
    errors: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notebook:
    """The cells of a notebook, and its own metadata as text."""

    cells: tuple[Cell, ...]
    metadata: str


def read(path: Path) -> Notebook:
    """The notebook in a file.

    Raises:
        OSError: The file cannot be read, or is too large.
        ValueError: It is no notebook; the message is a part of a line.
    """
    content = _files.read_regular(path, MAX_BYTES)
    if not content.strip():
        raise ValueError("it is empty")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start + 1:,} is not UTF-8") from None
    try:
        return _of_values(json.loads(text))
    except json.JSONDecodeError as error:
        if found := _CONFLICT.search(text):
            line = text.count("\n", 0, found.start()) + 1
            raise ValueError(f"line {line} has marks of a conflict of git") from None
        raise ValueError(f"line {error.lineno}: {error.msg}") from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _of_values(values: Any) -> Notebook:  # noqa: ANN401 - a JSON value is any of six types
    match values:
        case {"nbformat": int(), "cells": list(cells)}:
            pass
        case {"nbformat": int(), "worksheets": list(sheets)}:  # format 3
            cells = [one for sheet in sheets for one in _listed(_mapping(sheet).get("cells"))]
        case _:
            raise ValueError("it has no cells")
    metadata = "\n".join(_texts(_mapping(values).get("metadata")))
    return Notebook(tuple(map(_cell, range(1, len(cells) + 1), cells)), metadata)


def _cell(number: int, value: object) -> Cell:
    cell = _mapping(value)
    outputs = _listed(cell.get("outputs"))
    tags = _mapping(cell.get("metadata")).get("tags")
    errors = [one for one in map(_mapping, outputs) if one.get("output_type") in ("error", "pyerr")]
    return Cell(
        number,
        cell.get("cell_type") == "code",
        _joined(cell.get("source", cell.get("input"))),
        "\n".join(_texts(outputs)),
        "\n".join(_texts([cell.get("metadata"), cell.get("attachments")])),
        tuple(f"{one.get('ename')}: {one.get('evalue')}" for one in errors),
        tuple(map(str, tags)) if isinstance(tags, list) else (),
    )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: object) -> list[Any]:
    """A list as it is, None as an empty one, any other value as the only item of one."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _joined(value: object) -> str:
    """A text, which a notebook may keep as a list of its lines."""
    return "".join(map(str, value)) if isinstance(value, list) else str(value or "")


def _texts(value: object, name: str = "") -> Iterator[str]:
    """The texts inside a value, apart from encoded media; a list of texts is one text."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (str(key), *_texts(item, str(key)))
    elif isinstance(value, list) and not all(isinstance(item, str) for item in value):
        for item in value:
            yield from _texts(item, name)
    elif isinstance(value, (str, list)) and not _BINARY.match(name):
        yield _ENCODED.sub("base64,", _joined(value))
