"""Runs that an export holds, or the outputs of a saved notebook."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting.as_json import FORMAT, VERSION

MIME = "application/vnd.llm_playground.runs+json"


def runs_in(found: Mapping[str, Any]) -> list[Any]:
    """The rows of runs in an export, a notebook (nbformat 4) or the MIME bundle of an output.

    A run that several outputs hold is given once, where it has the longest answer. The rows are as
    they stand there: nobody has checked them.

    Raises:
        InvalidParameterError: There are no runs in it, or a newer version wrote them.
    """
    documents = list(_documents(found))
    if not documents:
        what = "The notebook's outputs hold" if "cells" in found else "This is no export: it holds"
        raise InvalidParameterError(f"{what} no runs that llm_playground saved.")
    rows = [row for document in documents for row in _rows(document)]
    return rows if len(documents) == 1 else _once(rows)


def _documents(found: Mapping[str, Any]) -> Iterator[object]:
    if "format" in found or "runs" in found:
        yield found
    elif MIME in found:
        yield _parsed(found[MIME])
    elif isinstance(found.get("data"), Mapping) and MIME in found["data"]:
        yield _parsed(found["data"][MIME])
    else:
        for cell in _list(found, "cells"):
            for output in _list(cell, "outputs"):
                data = output.get("data") if isinstance(output, Mapping) else None
                if isinstance(data, Mapping) and MIME in data:
                    yield _parsed(data[MIME])


def _list(holder: object, name: str) -> list[Any]:
    inside = holder.get(name) if isinstance(holder, Mapping) else None
    return inside if isinstance(inside, list) else []


def _parsed(document: object) -> object:
    """Some programs keep JSON in outputs as text, or as its lines."""
    if isinstance(document, list):
        document = "".join(map(str, document))
    if not isinstance(document, str):
        return document
    try:
        return json.loads(document)
    except (ValueError, RecursionError):
        raise InvalidParameterError("The runs in the notebook's outputs are no JSON.") from None


def _rows(document: object) -> list[Any]:
    if not isinstance(document, Mapping) or document.get("format") != FORMAT:
        said = document.get("format") if isinstance(document, Mapping) else document
        raise InvalidParameterError(
            f"This is no export of runs: its format is {misfit.got(said)}, not {FORMAT}."
        )
    version = document.get("version")
    if isinstance(version, int) and version > VERSION:
        raise InvalidParameterError(
            f"A newer llm_playground wrote these runs (version {misfit.got(version)}, known here "
            f"{VERSION}). Upgrade llm_playground to import them."
        )
    if version != VERSION or isinstance(version, bool):
        raise InvalidParameterError(
            f"This is no export of runs: its version is {misfit.got(version)}, not {VERSION}."
        )
    rows = document.get("runs")
    if not isinstance(rows, list):
        raise InvalidParameterError("This is no export of runs: its runs are no list.")
    return rows


def _once(rows: list[Any]) -> list[Any]:
    best: dict[str, Any] = {}
    for place, row in enumerate(rows):
        run_id = row.get("run_id") if isinstance(row, Mapping) else None
        name = run_id if isinstance(run_id, str) else f"row {place}"
        if name not in best or _length(row) > _length(best[name]):
            best[name] = row
    return list(best.values())


def _length(row: Mapping[str, Any]) -> int:
    text = row.get("response_text")
    return len(text) if isinstance(text, str) else 0
