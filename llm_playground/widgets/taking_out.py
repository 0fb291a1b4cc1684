"""What leaves the panel as a text: code, an export, a cell; and what went over the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from llm_playground import codegen, exporting
from llm_playground.errors import InvalidParameterError, LLMError
from llm_playground.render.highlighting import highlighted
from llm_playground.types import Request, Run
from llm_playground.widgets import wire
from llm_playground.widgets.cell_text import as_cell
from llm_playground.widgets.form import first, order

if TYPE_CHECKING:
    from llm_playground.widgets.playground import Playground
    from llm_playground.widgets.replies import Given

# By format: what a file of it is called and is.
_FILES = {
    "json": (".json", "application/json"),
    "markdown": (".md", "text/markdown"),
    "csv": (".csv", "text/csv"),
}


def code(panel: Playground, given: Given) -> dict[str, Any]:
    """Code in every language: of the answer ``number``, or of the first call of the form.

    Returns:
        ``of``, a line that says which call it is; ``tabs``, each with its ``language`` and its
        ``text``, which is also there as ``html`` in colours, or why there is none as ``error``.
    """
    number = given.get("number")
    run = None if number is None else panel.sheet.run_of(number)
    if run is not None:
        asked: Run | Request = run
        of = f"Answer {number} · {run.model}"
    else:
        asked, of = _first_call(panel)
    return {"of": of, "tabs": [_tab(asked, language) for language in codegen.LANGUAGES]}


def _first_call(panel: Playground) -> tuple[Request, str]:
    form = panel.form()
    calls = order(first(form), panel.material.notebook())
    request = calls[0].call.request
    many = len(order(form, panel.material.notebook())) > 1
    return request, f"The first call · {request.model}" if many else request.model


def _tab(asked: Run | Request, language: str) -> dict[str, str]:
    try:
        text = codegen.code(asked, language)
    except LLMError as error:
        return {"language": language, "error": str(error)}
    coloured = highlighted(text, "bash" if language == "curl" else language)
    return {"language": language, "text": text, "html": f"<pre><code>{coloured}</code></pre>"}


def export(panel: Playground, given: Given) -> dict[str, str]:
    """The answers in ``format``: a text, the name of a file for it, and its media type.

    Raises:
        InvalidParameterError: There are no answers yet, or there is no such format.
        RunLogError: The log cannot be read.
    """
    runs = panel.sheet.runs()
    if not runs:
        raise InvalidParameterError("Nothing to export yet: run first.")
    text = exporting.export(runs, given["format"])
    suffix, kind = _FILES[given["format"]]
    return {"text": text, "name": f"{_stem(panel.name)}{suffix}", "kind": kind}


def _stem(name: str | None) -> str:
    """A name for a file, whatever the playground is called: ``invoice-summary 2026-11-23 1752``."""
    plain = "".join(char if char.isalnum() or char in "-_ " else "-" for char in name or "answers")
    words = " ".join(plain.split())[:60].strip("- ") or "answers"
    return f"{words} {datetime.now(UTC).astimezone():%Y-%m-%d %H%M}"


def cell(panel: Playground, _given: Given) -> str:
    """The form as a cell."""
    return as_cell(panel.form())


def wire_of(panel: Playground, given: Given) -> dict[str, Any]:
    """What went over the wire for the answer ``number``."""
    number = given["number"]
    run, recording = panel.sheet.run_of(number), panel.recording(number)
    told: dict[str, Any]
    if recording is not None:
        told = wire.of_recording(recording, run)
    elif run is not None:
        told = wire.of_stored(run)
    else:
        raise InvalidParameterError(f"Answer {number} has no run yet: nothing was sent.")
    return {"title": f"Wire · answer {number}", **told}
