"""Runs as a Jupyter notebook: for each a cell that makes the same call, with its stored answer.

The notebook is nbformat 4.5. An output has the answer as HTML, as Markdown and as plain text, which
JupyterLab, Notebook, GitHub and nbconvert show without a kernel, and the run itself, so that
``lp.import_runs`` reads the notebook. A cell whose prompt the export does not hold says so in a
comment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from llm_playground import footer, formatting, rendering
from llm_playground.codegen import playground
from llm_playground.codegen.request import prepare
from llm_playground.codegen.sources import SentRequest, find_requests
from llm_playground.errors import LLMError
from llm_playground.exporting import formats, markdown, rows
from llm_playground.exporting.records import Exported, KeptMedia, by_id
from llm_playground.exporting.rows import Row
from llm_playground.redaction import printable, redact
from llm_playground.rendering import answers
from llm_playground.types import Run

MAX_MEDIA_BYTES = 16 << 20  # of the answers, in the outputs of one notebook
_ABOUT = (
    "Each code cell makes the call of one run again; the output below it is the stored answer. "
    "Running a cell sends its prompt, which may cost money: after "
    '`lp.configure(mode="reuse")`, answers that the run log holds are used again.'
)
_CHANGED = "The prompt of this run is not stored, or was removed or changed before the export."
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
Cell = dict[str, Any]


def to_notebook(exported: Exported) -> str:
    """The notebook as JSON."""
    cells = list(_cells(exported))
    document = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def _cells(exported: Exported) -> Iterator[Cell]:
    calls = _calls(exported)
    imports = "import json\n\n" if any("json.loads" in code for code in calls.values()) else ""
    results = by_id(exported.records, "results")
    runs = [
        rows.as_run(row | {"tool_calls": results.get(row["run_id"], {}).get("tool_calls")})
        for row in exported.exact_rows
    ]
    title = formatting.count(len(runs), "run") if runs else "No runs"
    models = ", ".join(dict.fromkeys(markdown.escape_markdown(run.model) for run in runs))
    total = f"\n\n{models} · {markdown.escape_markdown(footer.total_cost(runs))}" if runs else ""
    yield _markdown("about", f"# {title}{total}\n\n{_ABOUT}")
    yield _code("setup", f"{imports}import llm_playground as lp", 1, [])
    media = KeptMedia(exported.pictures if runs else {}, MAX_MEDIA_BYTES)
    for number, (row, run) in enumerate(zip(exported.exact_rows, runs, strict=True), 1):
        shown = replace(run, parts=tuple(map(media.with_bytes, run.parts)))
        yield _markdown(f"run-{number}-about", _heading(number, row, run))
        output = _output(row, shown, exported.pictures, number + 1)
        yield _code(f"run-{number}", calls[row["run_id"]], number + 1, [output])


def _calls(exported: Exported) -> dict[str, str]:
    """The code of each run's cell by the run's id."""
    prompts = by_id(exported.records, "prompts")
    kept = [row["run_id"] for row in exported.rows if row["prompt_id"] in prompts]
    found = find_requests(kept)
    return {row["run_id"]: _call(found.get(row["run_id"])) for row in exported.rows}


def _call(source: SentRequest | LLMError | None) -> str:
    if not isinstance(source, SentRequest):
        return _comment(_CHANGED if source is None else str(source))
    try:
        prepared = prepare(source.request)
    except LLMError as error:  # its endpoint is not known here
        return _comment(str(error))
    notes = [_comment(note) for note in (source.note, prepared.note) if note]
    return "\n".join([*notes, playground.call(prepared)])


def _comment(text: str) -> str:
    return f"# {' '.join(printable(redact(text)).split())}"


def _heading(number: int, row: Row, run: Run) -> str:
    """The title of a run and what is to be known of it."""
    case = dict(rows.input_items(row)).get("case")
    origin = (rows.start_time(row), row["username"], row["notebook"], case)
    line = " · ".join(markdown.escape_markdown(one) for one in origin if one)
    title = markdown.escape_markdown(run.model or "model unknown")
    return "\n\n".join(filter(None, (f"## {number} · {title}", line)))


def _output(row: Row, run: Run, pictures: Mapping[str, bytes], count: int) -> dict[str, Any]:
    """The stored answer as the result of its cell."""
    reasoning = row["reasoning_text"] or ""
    folded = [f"**Reasoning**\n\n{markdown.fence(reasoning)}"] if reasoning.strip() else []
    store = markdown.PictureStore(pictures)
    texts = [
        *folded,
        *markdown.items_markdown(answers.items(run), run.sources, store),
        markdown.calls_markdown(run),
        markdown.sources_markdown(run.sources),
        "\n".join(f"- {markdown.escape_markdown(notice)}" for notice in footer.notices(run)),
        markdown.escape_markdown(footer.line(run)),
    ]
    data = {
        "text/html": _lines(rendering.run_to_html(run)),
        "text/markdown": _lines("\n\n".join(text for text in texts if text)),
        "text/plain": _lines(rendering.answer_to_text(run)),
        formats.MIME_TYPE: formats.json_document([row]),
    }
    return {
        "output_type": "execute_result",
        "execution_count": count,
        "data": data,
        "metadata": {},
    }


def _markdown(name: str, text: str) -> Cell:
    return {"cell_type": "markdown", "id": name, "metadata": {}, "source": _lines(text)}


def _code(name: str, code: str, count: int, outputs: Sequence[Mapping[str, Any]]) -> Cell:
    return {
        "cell_type": "code",
        "id": name,
        "execution_count": count,
        "metadata": {},
        "outputs": list(outputs),
        "source": _lines(code.rstrip("\n")),
    }


def _lines(text: str) -> list[str]:
    """A text as notebooks store it: a list of lines, which end at a line feed only."""
    *whole, last = text.encode("utf-8", "replace").decode().split("\n")
    return [*(f"{line}\n" for line in whole), *([last] if last else [])]
