"""Where a run comes from: who, which notebook, which cell."""

from __future__ import annotations

import sys

from llm_playground import config


def username() -> str:
    """Who runs this; see :func:`llm_playground.config.username`."""
    return config.username()


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
