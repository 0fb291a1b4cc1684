"""Executes the numbered notebooks and stores their outputs; makes the recordings that they replay.

``python -m tests.notebooks.refresh 06_run_log`` stores the outputs of one notebook, without a name
those of all. With ``--record``, the notebooks that replay are executed in mode ``record`` first,
against the answers of :mod:`tests.notebooks.vendors`.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbval.plugin import coalesce_streams

from llm_playground import config
from llm_playground.providers.local import weights
from tests.notebooks.vendors import vendors_environment

FOLDER = Path(__file__).parents[2] / "notebooks"
CELL_TIMEOUT_S = 240
_REPLAYS = 'mode="replay"'


def environment(home: str) -> dict[str, str]:
    """A kernel's environment: no keys, no log of others, the embedded model."""
    rows = config.rows().values()
    unwanted = {name for row in rows for name in (*row.key_variables, row.base_url_variable)}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in unwanted and not name.startswith("LLM_PLAYGROUND_")
    }
    found = weights.find() or weights.fetch(lambda _done, _total: None, threading.Event())
    return kept | {"LLM_PLAYGROUND_HOME": home, "LLM_PLAYGROUND_LOCAL_MODEL": str(found)}


def replays(notebook: NotebookNode) -> bool:
    """Whether the answers of a notebook come from a recording."""
    return any(_REPLAYS in cell.source for cell in notebook.cells if cell.cell_type == "code")


def executed(notebook: NotebookNode, more: Mapping[str, str] | None = None) -> NotebookNode:
    """A copy with the outputs of an execution in a kernel with a home of its own."""
    copy = nbformat.from_dict(notebook)
    with tempfile.TemporaryDirectory() as home:
        client = NotebookClient(
            copy, timeout=CELL_TIMEOUT_S, resources={"metadata": {"path": str(FOLDER)}}
        )
        client.execute(env={**environment(home), **(more or {})})
    for cell in copy.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = coalesce_streams(cell.outputs)
    copy.metadata.pop("widgets", None)
    copy.metadata.language_info = {"name": "python"}
    return copy


def record(notebook: NotebookNode) -> None:
    """Make the recording of a notebook again."""
    copy = nbformat.from_dict(notebook)
    for cell in copy.cells:
        cell.source = cell.source.replace(_REPLAYS, 'mode="record"')
        cell.metadata.tags = [*cell.metadata.get("tags", []), "raises-exception"]
    for path in re.findall(r'recording="(recordings/[\w.]+)"', str(copy)):
        (FOLDER / path).unlink(missing_ok=True)
    with ExitStack() as stack:
        executed(copy, stack.enter_context(vendors_environment()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    numbered = sorted(path.stem for path in FOLDER.glob("[0-9]*.ipynb"))
    for name in options.names or numbered:
        path = FOLDER / f"{name}.ipynb"
        notebook = nbformat.read(path, as_version=4)
        if options.record and replays(notebook):
            record(notebook)
        nbformat.write(executed(notebook), path)
        print(name)


if __name__ == "__main__":
    main()
