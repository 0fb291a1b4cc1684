"""What a saved notebook keeps of a playground, for whoever opens it without a kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llm_playground.exporting import as_json, fitting, leaf, page
from llm_playground.exporting.columns import Row, plain
from llm_playground.exporting.found import MIME, runs_in
from llm_playground.exporting.rows import of_run
from llm_playground.types import Run

__all__ = ["MIME", "MOST_BYTES", "runs_in", "static"]

MOST_BYTES = 256 << 10


def static(
    name: str | None,
    form: Mapping[str, Any],
    runs: Sequence[Run | Row],
    *,
    most_bytes: int = MOST_BYTES,
) -> dict[str, Any]:
    """A playground and its answers as a MIME bundle that needs neither kernel nor script.

    Pure: reads no log. Rows of :func:`llm_playground.exporting.rows.rows_of` tell more than bare
    runs, such as who ran them, and are what is to be imported again.

    Args:
        name: The playground's, its heading; None for one without.
        form: What was asked: ``prompt``, ``system``, ``models``, ``parameters``, ``preset``,
            ``iterations``; each may be missing.
        runs: The answers, in order.
        most_bytes: The most that the runs may take in the notebook. Texts are cut where they are
            longer than fits, and say so; when that is not enough, the last runs are left out.

    Returns:
        ``text/html`` (plain tags, answers sanitised) and ``text/markdown`` with the same content,
        ``text/plain`` without the answers' texts, and the runs under :data:`MIME` as
        ``lp.import_runs`` takes them. No key is in any of them.

    Raises:
        InvalidParameterError: A run has a value that its column cannot hold.

    >>> static("greetings", {"prompt": "Say hello."}, [])["text/plain"].splitlines()[0]
    'greetings'
    """
    rows = [_asked(of_run(run) if isinstance(run, Run) else plain(run), form) for run in runs]
    kept = fitting.fitted(rows, most_bytes)
    sheet = leaf.Leaf.of(name, fitting.form_cut(form, most_bytes), kept, len(rows) - len(kept))
    return {
        "text/plain": page.text(sheet),
        "text/markdown": page.markdown(sheet),
        "text/html": page.html(sheet),
        MIME: as_json.document(kept),
    }


def _asked(row: Row, form: Mapping[str, Any]) -> Row:
    """A bare run does not hold its prompt; the form does, as it was written."""
    if row["user_prompt"] is not None or row["system_prompt"] is not None:
        return row
    asked = {"user_prompt": form.get("prompt"), "system_prompt": form.get("system") or None}
    return plain({**row, **asked})
