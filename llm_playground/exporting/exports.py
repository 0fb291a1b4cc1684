"""``lp.export``: runs as a text, and into a file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from llm_playground import deeds, misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.exporting import as_csv, as_json, as_markdown
from llm_playground.exporting.columns import Row
from llm_playground.exporting.rows import rows_of
from llm_playground.exporting.writing import write

FORMATS: dict[str, Callable[[Sequence[Row]], str]] = {
    "json": as_json.text,
    "markdown": as_markdown.text,
    "csv": as_csv.text,
}


def export(runs: object, format: str = "json", path: str | Path | None = None) -> str:  # noqa: A002 - the contract's name
    """Runs as JSON, Markdown or CSV, without keys. It is noted in the audit log.

    JSON is exact and comes back with ``lp.import_runs``, and so does CSV. Both hold the columns of
    the view ``runs``; what a run or a narrow frame does not hold comes from the log. A frame's
    other columns are left out, and where it has a column of the view, the frame's values count.

    Args:
        runs: A run, a list of runs, a comparison, a playground, or a frame of runs such as
            ``lp.runs()``.
        format: ``json`` (costs are numbers with all their digits), ``markdown`` or ``csv`` (texts
            that a spreadsheet would take for formulas begin with an apostrophe).
        path: A file to write it to as well; one that is there is replaced, in one step.

    Returns:
        The text.

    Raises:
        InvalidParameterError: These are no runs, there is no such format, or the file cannot be
            written.
        RunLogError: The log cannot be read.

    Example:
        >>> import llm_playground as lp
        >>> run = lp.ask("Say hello.", max_tokens=8)
        >>> lp.export(run, "csv").splitlines()[0][:19]
        'run_id,execution_id'
    """
    as_text = _format(format)
    rows = rows_of(runs)
    content = as_text(rows)
    written = None if path is None else write(path, content)
    target = None if written is None else str(written)
    deeds.tell("export", target, {"format": format, "runs": len(rows)})
    return content


def _format(name: object) -> Callable[[Sequence[Row]], str]:
    if isinstance(name, str) and name in FORMATS:
        return FORMATS[name]
    raise InvalidParameterError(
        f"There is no format {misfit.got(name)}. There are {', '.join(FORMATS)}."
    )
