"""``%llm export``: the runs of the log into a file, or the newest ones onto the page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError

_OPTION = "--format"
_FORMATS = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".csv": "csv"}
_SHOWN = 20  # as %llm runs lists


@dataclass(frozen=True, slots=True)
class _Wish:
    format: str | None
    path: str | None


def is_meant(words: Sequence[str]) -> bool:
    """Whether what follows ``export`` are its arguments: else the line is a prompt.

    >>> is_meant(["runs.csv"]), is_meant(["my", "notes", "to", "Markdown"])
    (True, False)
    """
    return _wish(words) is not None


def export(*words: str) -> None:
    """Write all runs of the log into a file, or print the newest ones.

    Args:
        *words: ``--format`` with json, markdown or csv; the path of a file, by whose ending the
            format is known, too. Without a path, the newest 20 runs are printed.

    Raises:
        InvalidParameterError: The format is not known, or the file cannot be written.
        RunLogError: The log cannot be read.
    """
    from llm_playground import exporting, reports  # pandas: first use, not load

    wish = _wish(words)
    if wish is None:
        raise InvalidParameterError("Write %llm export [--format json|markdown|csv] [PATH].")
    if wish.path is None:
        print(exporting.export(reports.runs(limit=_SHOWN), wish.format or "json"), end="")
        return
    chosen = wish.format or _format_of(wish.path)
    runs = reports.runs()
    exporting.export(runs, chosen, wish.path)
    print(f"{len(runs):,} run{' is' if len(runs) == 1 else 's are'} in {wish.path}.")


def _wish(words: Sequence[str]) -> _Wish | None:
    try:
        rest = shlex.split(" ".join(words))
    except ValueError:  # an open quote: somebody's prompt
        return None
    chosen = None
    for place, word in enumerate(rest):
        if word == _OPTION or word.startswith(f"{_OPTION}="):
            taken = 1 if "=" in word else 2
            named = rest[place : place + taken]
            chosen = word.partition("=")[2] if taken == 1 else "".join(named[1:])
            del rest[place : place + taken]
            break
    return _Wish(chosen, rest[0] if rest else None) if len(rest) <= 1 else None


def _format_of(path: str) -> str:
    ending = PurePath(path).suffix.lower()
    if ending in _FORMATS:
        return _FORMATS[ending]
    raise InvalidParameterError(
        f"In which format is {misfit.got(path)} to be? End it in .json, .md or .csv, or add "
        "--format json, markdown or csv. To ask a model that, use %%llm."
    )
