"""Where a run comes from: who, which notebook, which cell."""

from __future__ import annotations

import os
import sys

from llm_playground import _ids, config


def username() -> str:
    """Who runs this; see :func:`llm_playground.config.username`."""
    return config.username()


def process() -> str:
    """This process's own id, told to nobody before; a forked child has another."""
    return _process


def notebook() -> str | None:
    """The notebook's path where the front end tells, else None."""
    return config.notebook()


def cell_id() -> str | None:
    """The id of the cell being executed, None outside a notebook."""
    if "IPython" not in sys.modules:  # not in a shell, and not worth an import to learn so
        return None
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    if kernel is None:
        return None
    cell: object = kernel.get_parent("shell").get("metadata", {}).get("cellId")
    return cell if isinstance(cell, str) else None


def front_end() -> str | None:
    """The front end that last showed one of our widgets, such as ``JupyterLab 4.6.6``."""
    return _front_end


def see_front_end(name: str) -> None:
    """Note which front end has shown a widget."""
    global _front_end  # a kernel's latest view is what counts
    _front_end = name


_front_end: str | None = None
_process = _ids.new_id()


def _after_fork() -> None:
    global _process
    _process = _ids.new_id()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
