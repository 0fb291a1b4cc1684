"""Which of its identical requests a call is: the k-th one gets the k-th answer.

The identical requests of a kernel have the numbers 1, 2, ... In modes ``record`` and ``replay``, a
cell that is executed again gives its requests the numbers that they had, and so has the same
answers. In mode ``reuse`` they get new numbers, since a user who executes a cell again wants
another answer. Requests outside of a cell with an id, such as those of a script, always get new
numbers. A change of the mode starts at 1 again, as a new kernel does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from llm_playground import _lifecycle, config
from llm_playground.config.options import Mode
from llm_playground.types import CellExecution, Execution


@dataclass(slots=True)
class _Numbers:
    """The numbers of this kernel; a key identifies a request."""

    given: Counter[str] = field(default_factory=Counter)  # how many, by key
    of_cells: dict[tuple[str, str], list[int]] = field(default_factory=dict)  # by key and cell
    # How many of them an execution of the cell has used, by key and its id.
    used: Counter[tuple[str, str]] = field(default_factory=Counter)
    # By key and execution, until its last call: the numbers, and how many calls have begun.
    begun: dict[tuple[str, str], tuple[Sequence[int], int]] = field(default_factory=dict)
    mode: Mode | None = None  # in which they were given; None before the first


_numbers = _Numbers()
_lifecycle.register_state(globals(), "_numbers", _Numbers)


def reset() -> None:
    """Forget the requests of this kernel, as a restart does."""
    global _numbers
    _numbers = _Numbers()


_lifecycle.register(after_fork_in_child=reset)


def _on_mode() -> None:
    if _numbers.mode is not None and config.mode() != _numbers.mode:
        reset()


config.on_change("mode", _on_mode)


def following(key: str, cell: CellExecution | None, calls: int) -> Sequence[int]:
    """The numbers that the next calls with a request would have; nothing is counted."""
    again: Sequence[int] = ()
    if cell is not None and config.mode() != "reuse":
        used = _numbers.used[key, cell.id]
        again = _numbers.of_cells.get((key, cell.cell_id), [])[used : used + calls]
    first = _numbers.given[key] + 1
    return [*again, *range(first, first + calls - len(again))]


def of_iteration(key: str, execution: Execution, iteration_number: int) -> int:
    """Count a call by its place in its execution, whichever of its calls begins first.

    ``key`` identifies its request.
    """
    place = key, execution.id
    numbers, calls = _numbers.begun.pop(place, ((), 0))
    numbers = numbers or _taken(key, execution)
    if calls + 1 < execution.iterations:
        _numbers.begun[place] = numbers, calls + 1
    return numbers[iteration_number - 1]


def _taken(key: str, execution: Execution) -> Sequence[int]:
    """New numbers for the calls of an execution, or those that its cell has already."""
    cell, calls = execution.cell_execution, execution.iterations
    _numbers.mode = config.mode()
    numbers = following(key, cell, calls)
    _numbers.given[key] = max(_numbers.given[key], *numbers)
    if cell is not None and config.mode() != "reuse":
        used = _numbers.used[key, cell.id]
        of_cell = _numbers.of_cells.setdefault((key, cell.cell_id), [])
        of_cell[used : used + calls] = numbers
        _numbers.used[key, cell.id] = used + calls
    return numbers
