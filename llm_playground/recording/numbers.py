"""Which of the identical requests of this kernel a call is: the k-th one gets the k-th answer."""

from __future__ import annotations

from collections import Counter

from llm_playground import _lifecycle
from llm_playground.types import Execution, Request

_counts: Counter[str] = Counter()
# How many requests were made before an execution, by hash and execution, until its last call.
_first: dict[tuple[str, str], list[int]] = {}


def reset() -> None:
    """Forget the requests of this kernel, as a restart does."""
    _counts.clear()
    _first.clear()


_lifecycle.register(after_fork_in_child=reset)


def count(request: Request) -> None:
    """Count a request of this kernel that is sent, whatever is stored."""
    _counts[request.prompt_hash()] += 1


def made(key: str) -> int:
    """How often a request was made in this kernel; ``key`` is its hash or identifies it."""
    return _counts[key]


def of_iteration(key: str, execution: Execution, iteration_number: int) -> int:
    """Count a call by its place in its execution, whichever of its calls begins first.

    ``key`` identifies its request.
    """
    place = key, execution.id
    if place not in _first:
        _first[place] = [_counts[key], 0]
        _counts[key] += execution.iterations
    before, calls = _first[place]
    _first[place][1] = calls + 1
    if calls + 1 >= execution.iterations:
        del _first[place]
    return before + iteration_number
