"""Runs leave the log and come back: as JSON, Markdown or CSV, and inside saved notebooks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path, PurePath

from llm_playground import _files, _validation
from llm_playground._validation import checks_arguments
from llm_playground.config import options
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import formats, markdown
from llm_playground.exporting.records import Exported
from llm_playground.exporting.rows import earlier_turns

_WRITERS: dict[str, Callable[[Exported], str]] = {
    "json": lambda runs: formats.to_json(runs.exact_rows, runs.records, runs.attachments),
    "markdown": lambda runs: markdown.to_markdown(
        runs.rows, earlier_turns(runs.rows), runs.pictures
    ),
    "csv": lambda runs: formats.to_csv(runs.rows),
}
SUFFIXES = {".json": "json", ".md": "markdown", ".markdown": "markdown", ".csv": "csv"}


@checks_arguments("export")
def export(
    runs: object,
    format: str | None = None,  # noqa: A002 - the contract's name
    path: str | Path | None = None,
) -> str:
    """Runs as JSON, Markdown or CSV, without keys. The audit log gets an entry.

    JSON and CSV can be imported with ``lp.import_runs``; JSON is exact, in CSV control characters
    are written visibly, and a file opens in Excel by double click. Both hold the columns of the
    view ``runs``; columns that a run or a narrow frame does not hold come from the log. Values of a
    frame take precedence over the log, and its additional columns are left out. JSON also holds the
    messages, images and files of the prompts, their tools and schemas, tool calls and each rating;
    not those whose texts or users were removed from the frame. Markdown holds up to 4 MB of
    pictures as data URIs, and the earlier turns of conversations.

    Args:
        runs: A run, its id, a list of runs, a comparison, a playground, or a frame of runs such as
            ``lp.runs()``.
        format: ``json`` (costs are numbers with all their digits), ``markdown`` or ``csv`` (texts
            that a spreadsheet would take for formulas begin with an apostrophe). None is the suffix
            of the path, or ``json`` without one.
        path: A file to write the text to as well; a new one is readable by you only, an existing
            one is replaced atomically and keeps its rights.

    Returns:
        The text.

    Raises:
        InvalidParameterError: ``runs`` is none of these, the format or suffix is unknown, or the
            file cannot be written.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> run = lp.ask("Say hello.", max_tokens=8)
        >>> lp.export(run, "csv").splitlines()[0][:19]
        'run_id,execution_id'
    """
    if format is None:
        suffix = PurePath(path).suffix.lower() if isinstance(path, (str, Path)) else ""
        if suffix and suffix not in SUFFIXES:
            raise InvalidParameterError(
                f"The format of {_validation.short_repr(str(path))} is unknown. End it in .json, "
                '.md or .csv, or add format="json", "markdown" or "csv".'
            )
        format = SUFFIXES.get(suffix, "json")  # noqa: A001 - as above
    if not isinstance(format, str) or format not in _WRITERS:
        raise InvalidParameterError(
            f"There is no format {_validation.short_repr(format)}. "
            f"Available: {', '.join(_WRITERS)}."
        )
    exported = Exported.of(runs)
    content = _WRITERS[format](exported)
    mark = "\ufeff" if format == "csv" else ""  # by which Excel recognises UTF-8
    target = None if path is None else str(_write(path, mark + content))
    options.record("export", target, {"format": format, "runs": len(exported.rows)})
    return content


def _write(path: object, content: str) -> Path:
    """Write a UTF-8 file atomically: readers see the whole old or the whole new file.

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
        _files.write_document(target, content.encode("utf-8", "replace"))
    except (OSError, ValueError, RuntimeError) as error:  # NUL in the path, no home, a link loop
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{path} cannot be written ({reason}).") from error
    return target
