"""What a notebook's file keeps of a playground: its answers and its draft, in one of the outputs.

The kernel does not know the outputs of its notebook; the file has them as they were saved last.
Others may have written it: everything is checked, nothing is believed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from llm_playground.errors import LLMError
from llm_playground.exporting.checks import checked
from llm_playground.exporting.columns import Row
from llm_playground.exporting.found import runs_in
from llm_playground.widgets import draft as drafts
from llm_playground.widgets.draft import Draft
from llm_playground.widgets.notice import METADATA
from llm_playground.widgets.stored import StoredRun, of_row

MOST_BYTES = 200_000_000
_JSON = ("attempts", "parameters")
_AMOUNTS = ("cost_usd", "saved_usd")
_NOT_EXPORTED = ("error_detail", "dropped_parameters", "messages", "iterations", "tool_calls")


@dataclass(frozen=True, slots=True)
class Leaf:
    """What a notebook keeps of one playground.

    Args:
        rows: Its runs, checked, as ``lp.import_runs`` takes them.
        draft: What was typed into it, and which of the runs were its last answers.
    """

    rows: tuple[Row, ...]
    draft: Draft

    def stored(self) -> list[StoredRun]:
        """The runs as those that the log gives, the last answers in their order."""
        found = {row["run_id"]: row for row in self.rows}
        ids = [answer.run_id for answer in self.draft.answers]
        return [_stored(found[run_id]) for run_id in ids if run_id in found]


def find(notebook: Path, name: str | None, cell_id: str | None) -> Leaf | None:
    """What a notebook keeps of a playground; None where it keeps nothing that can be read.

    Args:
        notebook: The file.
        name: The playground's; None for one that is known by its cell.
        cell_id: The cell that it is made in.
    """
    try:
        if notebook.stat().st_size > MOST_BYTES:
            return None
        cells = json.loads(notebook.read_bytes())["cells"]
        outputs = list(_outputs(cells, name, cell_id))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    for output in reversed(outputs):
        leaf = _leaf(output)
        if leaf is not None:
            return leaf
    return None


def _outputs(
    cells: Sequence[Mapping[str, Any]], name: str | None, cell_id: str | None
) -> Iterator[Mapping[str, Any]]:
    """The outputs that are this playground's, whoever says so."""
    for cell in cells:
        for output in cell.get("outputs", ()):
            said = output.get("metadata", {}).get(METADATA)
            if not isinstance(said, Mapping):
                continue
            if said.get("name") == name and (name is not None or cell.get("id") == cell_id):
                yield output


def _leaf(output: Mapping[str, Any]) -> Leaf | None:
    with suppress(LLMError, ValueError, TypeError, KeyError, OverflowError, RecursionError):
        rows = checked(runs_in(output))
        draft = drafts.of_document(output["metadata"][METADATA]["draft"])
        return Leaf(tuple(rows), draft)
    return None


def _stored(row: Row) -> StoredRun:
    """As the log gives it: JSON and amounts are text there."""
    known = {name: json.dumps(row[name]) for name in _JSON if row[name] is not None}
    amounts = {name: str(row[name]) for name in _AMOUNTS if row[name] is not None}
    moment = datetime.fromisoformat(row["started_at"])
    unknown = dict.fromkeys(_NOT_EXPORTED)
    return of_row({**unknown, **row, **known, **amounts, "started_at": moment})
