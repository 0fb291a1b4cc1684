"""Process-wide state: what happens to it at a fork, when Python ends, and between tests.

A module that keeps state registers it here once. This module imports nothing of the package, so
that all of it, from :mod:`llm_playground.redaction` up, can use it.
"""

from __future__ import annotations

import atexit
import copy
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_before_reads: list[Callable[[], object]] = []
_state: dict[tuple[str, str], tuple[dict[str, Any], Callable[[], object]]] = {}


def register(
    *,
    at_exit: Callable[[], object] | None = None,
    before_fork: Callable[[], object] | None = None,
    after_fork_in_parent: Callable[[], object] | None = None,
    after_fork_in_child: Callable[[], object] | None = None,
) -> None:
    """Register what a module does when Python ends and when the process forks.

    Like :mod:`atexit` and :func:`os.register_at_fork`, functions run at exit and before a fork in
    the reverse order of registration, and after a fork in that order.
    """
    if at_exit is not None:
        atexit.register(at_exit)
    hooks = {
        "before": before_fork,
        "after_in_parent": after_fork_in_parent,
        "after_in_child": after_fork_in_child,
    }
    given: dict[str, Any] = {name: hook for name, hook in hooks.items() if hook is not None}
    if given and hasattr(os, "register_at_fork"):  # Windows cannot fork
        os.register_at_fork(**given)


def before_reads(complete: Callable[[], object]) -> None:
    """Register a function that records what has ended, for each reader of the run log."""
    _before_reads.append(complete)


def complete_records() -> None:
    """Call what :func:`before_reads` has registered."""
    for complete in _before_reads:
        complete()


def register_state(namespace: dict[str, Any], name: str, initial: Callable[[], object]) -> None:
    """Register a module's global variable that tests put back.

    Args:
        namespace: The module's ``globals()``.
        name: The variable's name.
        initial: Makes the value that the variable has in a new process.
    """
    _state[namespace["__name__"], name] = namespace, initial


def reset_state() -> None:
    """Set all registered variables to what they are in a new process. For tests."""
    for (_, name), (namespace, initial) in _state.items():
        namespace[name] = initial()


@contextmanager
def isolated_state() -> Iterator[None]:
    """Put all registered variables back at the end of the block. For tests."""
    before = {key: namespace[key[1]] for key, (namespace, _) in _state.items()}
    for (_, name), (namespace, _) in _state.items():
        namespace[name] = copy.copy(namespace[name])
    try:
        yield
    finally:
        for key, (namespace, initial) in _state.items():  # some modules were imported meanwhile
            namespace[key[1]] = before[key] if key in before else initial()


def _keep_duckdb_connection() -> None:
    """Keep DuckDB from closing the default connection of ``duckdb.sql`` when a forked child ends.

    Closing waits for threads that only the parent has, which ends the child with SIGSEGV.
    """
    if (duckdb := sys.modules.get("duckdb")) is not None:
        import ctypes  # only needed here

        ctypes.pythonapi.Py_IncRef(ctypes.py_object(duckdb.default_connection()))


register(after_fork_in_child=lambda: atexit.register(_keep_duckdb_connection))
