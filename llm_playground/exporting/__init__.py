"""Runs leave the log: as documents, tables and training files; some come back by an import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar, cast, overload

from llm_playground import _files, _validation, formatting
from llm_playground._validation import checks_arguments
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError
from llm_playground.export_formats import FORMATS, format_of_path
from llm_playground.exporting import (
    formats,
    html_document,
    markdown,
    notebook,
    parquet,
    saved_prompts,
    traces,
    training,
)
from llm_playground.exporting.records import Exported
from llm_playground.exporting.rows import as_frame
from llm_playground.redaction import printable

T = TypeVar("T", str, str | bytes)
_WRITERS: dict[str, Callable[[Exported], str | bytes]] = {
    "json": lambda runs: formats.to_json(runs.exact_rows, runs.records, runs.attachments),
    "markdown": lambda runs: markdown.to_markdown(runs.oldest_first()),
    "html": lambda runs: html_document.to_html(runs.oldest_first()),
    "notebook": lambda runs: notebook.to_notebook(runs.oldest_first()),
    "csv": lambda runs: formats.to_csv(runs.rows),
    "parquet": lambda runs: parquet.to_parquet(runs.exact_rows),
    "openai-tuning": training.to_openai_tuning,
    "openai-preferences": training.to_openai_preferences,
    "trl-preferences": training.to_trl_preferences,
    "otlp": traces.to_otlp,
    "otlp-content": traces.to_otlp_with_content,
}

TextFormat = Literal[
    "json",
    "markdown",
    "html",
    "notebook",
    "csv",
    "openai-tuning",
    "openai-preferences",
    "trl-preferences",
    "otlp",
    "otlp-content",
]


# What one line of a format is, where it is not a run.
_LINES = {"openai-preferences": "pair", "trl-preferences": "pair"}
_NOTHING = "There is no run to export. Nothing was written."


class WrittenText(str):
    """The text of an export that is in a file too; its repr, which cells show, is one line."""

    summary = ""

    def __repr__(self) -> str:
        return self.summary


class WrittenBytes(bytes):
    """The bytes of an export that is in a file too; its repr, which cells show, is one line."""

    summary = ""

    def __repr__(self) -> str:
        return self.summary


@overload
def export(
    runs: object,
    format: Literal["parquet"],
    path: str | Path | None = None,
    *,
    min_rating: float | None = None,
) -> bytes: ...


@overload
def export(
    runs: object,
    format: TextFormat,
    path: str | Path | None = None,
    *,
    min_rating: float | None = None,
) -> str: ...


@overload
def export(
    runs: object,
    format: None = None,
    path: None = None,
    *,
    min_rating: float | None = None,
) -> str: ...


@overload
def export(
    runs: object,
    format: str | None = None,
    path: str | Path | None = None,
    *,
    min_rating: float | None = None,
) -> str | bytes: ...


@checks_arguments("export")
def export(
    runs: object,
    format: str | None = None,  # noqa: A002 - the contract's name
    path: str | Path | None = None,
    *,
    min_rating: float | None = None,
) -> str | bytes:
    """Runs in a format to read or to process further, without keys. The audit log gets an entry.

    JSON, CSV and Parquet can be imported with ``lp.import_runs``; JSON is exact, in CSV control
    characters are written visibly, and a file opens in Excel by double click. They hold the columns
    of the view ``runs``; columns that a run or a narrow frame does not hold come from the log.
    Values of a frame take precedence over the log, and its additional columns are left out. JSON
    also holds the messages, images and files of the prompts, their tools and schemas, tool calls
    and each rating; not those whose texts or users were removed from the frame. Markdown holds up
    to 4 MB of pictures as data URIs, and the earlier turns of conversations. HTML is one page
    without scripts that loads nothing: totals, a comparison, the messages of each prompt, and the
    answers as the panel shows them, with up to 64 MB of pictures, recordings and files. A notebook
    has a cell for each run that makes the same call, with the stored answer as its output; it can
    be imported too. Parquet holds the columns of the view with their types: times with their zone,
    costs as DECIMAL(18, 12), tags and hashes as lists, other JSON as text. Markdown, HTML and
    notebooks list the oldest run first, the other formats keep the given order. In Markdown and
    HTML a run that continues the conversation of another one in the export shows only what is new
    since that run; the cells of notebooks have all messages, since each makes its call alone.

    ``openai-tuning`` is a file of examples for fine-tuning, a line for each answer that is whole;
    ``openai-preferences`` and ``trl-preferences`` are pairs of a better and a worse answer to the
    same prompt, by ``lp.rate``, for DPO. One warning counts the runs that these cannot hold, such
    as failed ones, by reasons. ``otlp`` is OpenTelemetry's spans of the runs as OTLP/JSON, a line
    for each run, ``otlp-content`` the same with prompts and answers.

    Args:
        runs: A run, its id, ``"last"``, a list of runs, a comparison, a playground, a frame of
            runs such as ``lp.runs()``, or a row of it; as JSON also rows of ``lp.prompts()``,
            saved prompts with their versions.
        format: ``json`` (costs are numbers with all their digits), ``markdown``, ``html``,
            ``notebook``, ``csv`` (texts that a spreadsheet would take for formulas begin with an
            apostrophe), or one of those above. None is the suffix of the path, or ``json`` without
            one.
        path: A file to write the result to as well; a new one is readable by you only, an existing
            one is replaced atomically and keeps its rights.
        min_rating: The lowest rating of the runs that are exported, on the scale of your ratings;
            None exports all, rated or not.

    Returns:
        The text; of Parquet, the bytes. With a path, its repr is one line: how many runs are there.

    Raises:
        InvalidParameterError: ``runs`` is none of these, the format or suffix is unknown, there is
            no run for a file, a training file could hold none of the runs, or the file cannot be
            written.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> run = lp.ask("Say hello.", max_tokens=8)
        >>> lp.export(run, "csv").splitlines()[0][:19]
        'run_id,execution_id'
    """
    chosen = format
    if chosen is None:
        named = isinstance(path, (str, Path)) and format_of_path(path, "format=")
        chosen = named or "json"
    if not isinstance(chosen, str) or chosen not in _WRITERS:
        raise InvalidParameterError(
            f"There is no format {_validation.short_repr(chosen)}. "
            f"Available: {', '.join(_WRITERS)}."
        )
    if saved_prompts.is_frame(frame := as_frame(runs)):
        return _export_prompts(frame, chosen, path)
    exported = Exported.of(runs)
    if min_rating is not None:
        exported = exported.rated(
            _validation.number("min_rating", min_rating, "a number", lambda _: True)
        )
    is_lines = FORMATS[chosen].suffixes == (".jsonl",)
    if not exported.rows and (path is not None or is_lines):
        raise InvalidParameterError(_NOTHING)
    content = _WRITERS[chosen](exported)
    number = _as_bytes(content, chosen).count(b"\n") if is_lines else len(exported.rows)
    return _delivered(content, chosen, path, _LINES.get(chosen, "run"), number)


def _export_prompts(frame: object, name: str, path: object) -> str:
    if name != "json":
        raise InvalidParameterError(
            f"Saved prompts are exported as json; got the format {name}. "
            "A prompt as a .prompty file: lp.prompt(name).to_prompty()."
        )
    content, number = saved_prompts.to_json(frame)
    if not number and path is not None:
        raise InvalidParameterError(_NOTHING.replace("run", "saved prompt"))
    return _delivered(content, name, path, "saved_prompt", number)


def _delivered(content: T, name: str, path: object, unit: str, number: int) -> T:
    """The content, in a file too if there is a path; the audit log gets an entry."""
    target = None if path is None else str(_write(path, _as_bytes(content, name)))
    options.record("export", target, {"format": name, f"{unit}s": number})
    if target is None:
        return content
    written = WrittenText(content) if isinstance(content, str) else WrittenBytes(content)
    counted = formatting.count(number, unit.replace("_", " "))
    written.summary = f"{counted} {'is' if number == 1 else 'are'} in {printable(str(path))}."
    return cast("T", written)


def _as_bytes(content: str | bytes, name: str) -> bytes:
    if isinstance(content, bytes):
        return content
    mark = "\ufeff" if name == "csv" else ""  # by which Excel recognises UTF-8
    return (mark + content).encode("utf-8", "replace")


def _write(path: object, content: bytes) -> Path:
    """Write a file atomically: readers see the whole old or the whole new file.

    Raises:
        InvalidParameterError: It cannot be written; an existing file is unchanged.
    """
    if not isinstance(path, (str, Path)) or not str(path):
        raise InvalidParameterError(
            f"path takes the path of a file; got {_validation.short_repr(path)}."
        )
    try:
        target = Path(path).expanduser().resolve()
        if target.is_dir():
            raise InvalidParameterError(f"{target} is a folder. Give the path of a file in it.")
        if not target.parent.is_dir():
            raise InvalidParameterError(f"There is no folder {target.parent}. Create it first.")
        _files.write_document(target, content)
    except (OSError, ValueError, RuntimeError) as error:  # NUL in the path, no home, a link loop
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{path} cannot be written ({reason}).") from error
    return target
