"""Journals of other processes: those of the dead are taken over, those of the living only read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llm_playground.runlog import journal
from llm_playground.runlog.journal import Journal
from llm_playground.runlog.recorder import Recorder

# So many living processes are read by every reader, to see their runs at once. More are a hub,
# where each would read all others'; there, what is new is seen when its owner brings it in.
_NEIGHBOURS = 12


@dataclass(frozen=True, slots=True)
class Others:
    """Journals of other processes."""

    dead: Sequence[Journal]
    living: Sequence[Path]


NOBODY = Others((), ())


def files(recorder: Recorder) -> list[Path]:
    """Journals that are not this process's own."""
    mine = set(recorder.paths())
    return [path for path in journal.files(recorder.folder) if path not in mine]


@contextmanager
def others(recorder: Recorder) -> Iterator[Others]:
    """Those of the dead, taken over, and files that somebody still writes, unless it is a crowd."""
    taken = {path: Journal.take_over(path) for path in files(recorder)}
    dead = [held for held in taken.values() if held is not None]
    living = [path for path, held in taken.items() if held is None]
    try:
        yield Others(dead, living if len(living) <= _NEIGHBOURS else ())
    finally:
        for held in dead:
            held.close()
