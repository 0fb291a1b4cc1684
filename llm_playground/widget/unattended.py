"""Notebooks that a program executes: nbconvert, nbclient, papermill, ``jupyter execute``.

There is no page that shows the panel, and the program reads the outputs of a cell only while the
cell runs. What belongs into the file must therefore be published before the cell ends.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress

from IPython import get_ipython

from llm_playground import provenance

_INTERRUPTS = (KeyboardInterrupt, asyncio.CancelledError)


def is_unattended() -> bool:
    """Whether a program executes the cell: notebook pages name the cell, or have shown a view."""
    return (
        hasattr(get_ipython(), "kernel")
        and provenance.cell_id() is None
        and provenance.front_end() is None
        and "google.colab" not in sys.modules  # its page names the cell in another way
    )


def at_cell_end(function: Callable[[], None], wait: Callable[[], None] = lambda: None) -> None:
    """Call a function once, when the code of the cell has run and before the cell ends.

    ``wait`` is called before, unless the program has interrupted the cell, as at its time limit.
    """
    events = get_ipython().events

    def once(result: object) -> None:
        events.unregister("post_run_cell", once)
        if not isinstance(getattr(result, "error_in_exec", None), _INTERRUPTS):
            with suppress(KeyboardInterrupt):
                wait()
        function()

    events.register("post_run_cell", once)
