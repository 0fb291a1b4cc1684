"""The recordings of this kernel: which files, and what this kernel has used of them."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from llm_playground import _lifecycle, config, provenance
from llm_playground.errors import ConfigError
from llm_playground.recording.entries import Entry, Recording, in_order_of_use
from llm_playground.recording.file import RecordingFile, found_in

FOLDER = "recordings"
SUFFIX = ".yaml"
Place = tuple[str, str]  # the kind and the key of an entry


@dataclass(slots=True)
class Use:
    """What this kernel has used: ``order`` of requests, the numbers of their answers, counts.

    ``interrupted`` are the numbers of calls whose answers can be resumed, by the ids of their runs.
    """

    order: dict[Place, set[int]] = field(default_factory=dict)
    interrupted: dict[str, int] = field(default_factory=dict)
    from_file: int = 0
    from_log: int = 0
    recorded: int = 0
    missed: list[str] = field(default_factory=list)  # a line for each miss, the newest last
    last: Path | None = None  # the file of the last answer


_use = Use()
_files: dict[Path, RecordingFile] = {}
_lock = threading.Lock()
_lifecycle.register_state(globals(), "_use", Use)
_lifecycle.register_state(globals(), "_files", dict)


def use() -> Use:
    """What this kernel has used of its recordings."""
    return _use


def forget_use() -> None:
    """Begin again, as a new kernel does."""
    global _use
    _use = Use()


def file(path: Path) -> RecordingFile:
    """The file of a path, one object for all of this kernel's threads."""
    with _lock:
        return _files.setdefault(path, RecordingFile(path))


def own_path() -> Path | None:
    """The recording of this notebook or script; None where its name is not known.

    ``configure(recording=)``, then ``LLM_PLAYGROUND_RECORDING``, then ``recordings/NAME.yaml``
    beside the notebook or the script.
    """
    given = config.recording()
    if given is not None:
        return given
    source = provenance.notebook() or _script()
    return None if source is None else beside(Path(source))


def beside(source: Path) -> Path:
    """The recording of a notebook or script.

    >>> beside(Path("work/report.ipynb")).as_posix()
    'work/recordings/report.yaml'
    """
    return source.parent / FOLDER / f"{source.stem}{SUFFIX}"


def _script() -> str | None:
    """The file that Python runs, None for an interactive session or ``python -m``."""
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None) or ""
    is_script = path.endswith(".py") and getattr(main, "__spec__", None) is None
    return str(Path(path).absolute()) if is_script else None


def path_to_write(otherwise: str) -> Path:
    """The recording of this notebook or script.

    Raises:
        ConfigError: Its name is not known here; the message begins with ``otherwise``.
    """
    path = own_path()
    if path is None:
        raise ConfigError(
            f"{otherwise}: this kernel does not know its notebook, and so not its recording. Set "
            "the environment variable LLM_PLAYGROUND_RECORDING=recordings/NAME.yaml, or "
            'lp.configure(recording="recordings/NAME.yaml").'
        )
    return path


def paths_to_replay() -> Sequence[Path]:
    """The files to replay from: the notebook's own; where that is not known, all of ``recordings``.

    nbclient, nbval and papermill give a kernel no name of its notebook. The file of the last answer
    comes first, since it is most likely the notebook's.
    """
    own = own_path()
    if own is not None:
        return [own] if os.path.exists(own) else []  # noqa: PTH110 - Path raises if the name is too long
    try:
        found = found_in(Path.cwd() / FOLDER)
    except FileNotFoundError:  # the working folder was deleted
        return []
    return sorted(found, key=lambda path: path != _use.last)


def note_use(place: Place, number: int) -> None:
    """Note that a request is made, in the order of the calls."""
    _use.order.setdefault(place, set()).add(number)


def add_answer(
    path: Path, entry: Entry, answer: Mapping[str, Any], number: int, media: Mapping[str, bytes]
) -> None:
    """Write an answer to a file, in place of an earlier one of this number that says another.

    Raises:
        ConfigError: The file cannot be read.
        OSError: It cannot be written.
    """
    from llm_playground.recording.answers import is_same  # needed for recording only

    used = list(_use.order)

    def with_answer(recording: Recording) -> Recording:
        known = recording.find(*entry.id)
        before = {} if known is None else known.answers
        if number in before and is_same(before[number], answer):
            return recording
        new = (known or entry).with_answers({**before, number: answer})
        entries = in_order_of_use(recording.entries, [new], used)
        return replace(recording, entries=tuple(entries), media={**recording.media, **media})

    file(path).change(with_answer)
    _use.recorded += 1
    _use.last = path


def prune(path: Path) -> tuple[int, int]:
    """Remove the answers that this kernel has not used; how many were removed, and how many stay.

    What stays is in the order of its first use.

    Raises:
        ConfigError: This kernel has used none, or the file cannot be read.
        OSError: It cannot be written.
    """
    used = {place: set(numbers) for place, numbers in _use.order.items()}
    counts = [0, 0]

    def pruned(recording: Recording) -> Recording:
        kept = []
        for place, numbers in used.items():
            entry = recording.find(*place)
            if entry is not None:
                of_use = {n: one for n, one in entry.answers.items() if n in numbers}
                kept += [entry.with_answers(of_use)] if of_use else []
        before = sum(len(one.answers) for one in recording.entries)
        counts[1] = sum(len(one.answers) for one in kept)
        counts[0] = before - counts[1]
        return replace(recording, entries=tuple(kept)) if kept else recording

    file(path).change(pruned)
    if counts[0] and not counts[1]:
        raise ConfigError(
            f"Nothing was removed: no call of this kernel has used {path}. Run all cells in "
            "mode record or replay first."
        )
    return counts[0], counts[1]
