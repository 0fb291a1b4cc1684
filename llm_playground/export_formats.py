"""The formats of ``lp.export`` by name: suffixes, media type, and one line about each.

Completion, help and messages read this table, which loads nothing heavy. What writes a format is in
:mod:`llm_playground.exporting`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from llm_playground._validation import short_repr
from llm_playground.errors import InvalidParameterError


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """A format; the first of ``suffixes`` is that of new files.

    A suffix that several formats share, such as ``.jsonl``, selects none of them.
    """

    suffixes: tuple[str, ...]
    media_type: str
    holds: str
    is_text: bool = True  # of bytes otherwise


_LINES = ((".jsonl",), "application/jsonl")

FORMATS: dict[str, ExportFormat] = {
    "json": ExportFormat((".json",), "application/json", "everything, to be imported again"),
    "markdown": ExportFormat((".md", ".markdown"), "text/markdown", "a document to read"),
    "html": ExportFormat((".html", ".htm"), "text/html", "one page to read, print or send"),
    "notebook": ExportFormat(
        (".ipynb",), "application/x-ipynb+json", "a cell for each call, with its answer"
    ),
    "csv": ExportFormat((".csv",), "text/csv", "a table, also for Excel"),
    "parquet": ExportFormat(
        (".parquet",),
        "application/vnd.apache.parquet",
        "a table with types, for DuckDB, Spark and pandas (with pyarrow)",
        is_text=False,
    ),
    "openai-tuning": ExportFormat(*_LINES, "answers as examples for fine-tuning"),
    "openai-preferences": ExportFormat(*_LINES, "rated answers as pairs for DPO at OpenAI"),
    "trl-preferences": ExportFormat(*_LINES, "rated answers as pairs for Hugging Face's TRL"),
    "otlp": ExportFormat(*_LINES, "OpenTelemetry spans without texts"),
    "otlp-content": ExportFormat(*_LINES, "OpenTelemetry spans with prompts and answers"),
}


def format_of_path(path: str | PurePath, option: str) -> str | None:
    """The format that a path's suffix selects; None for a path without a suffix.

    ``option`` is how a user names a format, such as ``format=``, for the message.

    Raises:
        InvalidParameterError: The suffix is unknown, or that of several formats.

    >>> format_of_path("a.MD", "format=")
    'markdown'
    """
    suffix = PurePath(path).suffix.lower()
    if not suffix:
        return None
    found = [name for name, one in FORMATS.items() if suffix in one.suffixes]
    if len(found) == 1:
        return found[0]
    if found:
        raise InvalidParameterError(
            f"Several formats end in {suffix}: add {option} with {_either(found)}."
        )
    raise InvalidParameterError(unknown(path, option))


def unknown(path: str | PurePath, option: str) -> str:
    """The message about a path whose format is unknown."""
    suffixes = [one.suffixes[0] for one in FORMATS.values()]
    ends = [suffix for suffix in dict.fromkeys(suffixes) if suffixes.count(suffix) == 1]
    advice = f"End it in {_either(ends)}, or add {option} with {_either(FORMATS)}."
    return f"The format of {short_repr(str(path))} is unknown. {advice}"


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last
