"""The second output of a playground's cell: saved answers, and help if the front end is missing.

The widget's own output is empty without a front end and a kernel. The second output has the last
Run's answers as plain HTML, Markdown and JSON, for GitHub, nbconvert and readers of the saved
notebook. An open view hides it by its ``data-id``, so that answers are not shown twice.

It also has the help text if the view does not start. JupyterLab without the extension of
ipywidgets shows the HTML of the widget's own output, but with that extension and without that of
anywidget it shows "Failed to load model class" instead. So the kernel waits for the first message
of a view, and publishes the help text if none arrives in :data:`WAIT_S`.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from IPython import get_ipython
from IPython.display import DisplayHandle

from llm_playground.widget import unattended

# nbconvert and GitHub show this text too, so it begins with what helps there.
_ADVICE = "Open this notebook in JupyterLab to see the playground."
_CASE = "If JupyterLab shows this text instead:"
_REMEDY = (
    "install the playground's front end where JupyterLab runs (pip install anywidget), then reload "
    "the page. %%llm works without it."
)
TEXT = f"{_ADVICE} {_CASE} {_REMEDY}"
NO_ANSWERS = "No answers yet. Run this cell to ask. lp.runs() lists what was asked for before."
# Readers of a saved notebook need no more than the first sentence; the rest is folded.
HTML = (
    f'<div data-llm="notice"><p>{_ADVICE}</p>\n<details><summary>{_CASE}</summary>\n'
    f"<p>{escape(_REMEDY, quote=False)}</p></details></div>"
)

# The key in the output's metadata with the playground's name and its draft.
METADATA = "llm_playground"

# A cold JupyterLab on a slow machine takes two to three seconds to load anywidget's extension; a
# view that starts later removes the help text again.
WAIT_S = 5.0
# The widget's own output must come first: it is published after its MIME bundle was made.
AFTER_THE_WIDGET_S = 0.3


class FallbackOutput:
    """The second output of all cells that show one widget, with one ``display_id``.

    ``display_id`` is another than the widget's own: an update of that would make a new view.
    """

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._lock = threading.Lock()
        self._view_started = self._timed_out = self._unattended = False
        self._pending_cells: list[contextvars.Context] = []  # without a second output so far
        self._published = False
        self._count = 0
        self._answers: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None

    @property
    def display_id(self) -> str:
        """The id by which a view finds the output."""
        return str(self._handle.display_id)

    def on_display(self) -> None:
        """The widget is being displayed: in a kernel, wait for its view."""
        if not hasattr(get_ipython(), "kernel"):
            return
        with self._lock:
            # The context has the cell: the second output goes where the widget is displayed.
            self._pending_cells.append(contextvars.copy_context())
            has_answers = self._answers is not None
        if unattended.is_unattended():
            self._unattended = True
            unattended.at_cell_end(self.publish)
            return
        if has_answers:
            self._later(AFTER_THE_WIDGET_S, self.publish)
        if not self._view_started:
            self._later(WAIT_S, self._on_timeout)

    def on_view_message(self) -> None:
        """A view has started: remove the help text."""
        if not self._view_started:
            self._view_started = True
            if self._timed_out:
                self.publish()

    def replace(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> int:
        """Take new answers, a MIME bundle with the output's metadata, for :meth:`publish`.

        Returns:
            The number of this update. JupyterLab drops updates if the page was loaded after the
            cell was executed: a view that finds no output with this number adds it itself.
        """
        with self._lock:
            self._answers = bundle, metadata
            self._count += 1
            return self._count

    def output(self) -> dict[str, Any]:
        """The second output as it is now: ``data`` and ``metadata``."""
        with self._lock:
            data, metadata = self._content()
        return {"data": data, "metadata": metadata}

    def _later(self, wait_s: float, function: Callable[[], None]) -> None:
        timer = threading.Timer(wait_s, function)
        timer.daemon = True
        timer.start()

    def _on_timeout(self) -> None:
        if not self._view_started:
            self._timed_out = True
            self.publish()

    def publish(self) -> None:
        """Update the outputs of all cells; make those that are missing."""
        with self._lock:
            data, metadata = self._content()
            if self._published:
                self._handle.update(data or {"text/plain": ""}, raw=True, metadata=metadata)
            if data:
                cells, self._pending_cells = self._pending_cells, []
                for cell in cells:
                    self._published = True
                    cell.run(self._handle.display, data, raw=True, metadata=metadata)

    def _content(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The data and metadata of the output; without data there is none."""
        answers, metadata = self._answers or ({}, {})
        data = dict(answers)
        html = data.get("text/html", "")
        if html:
            # How many updates there were depends on time: a file needs no number, a page does.
            count = "" if self._unattended else f' data-count="{self._count}"'
            attributes = f'data-llm="saved" data-id="{self.display_id}"{count}'
            html = data["text/html"] = f"<div {attributes}>\n{html}\n</div>"
        if self._unattended and not data:  # later cells can only update what is there
            data = {"text/plain": NO_ANSWERS}
        if self._timed_out and not self._view_started:
            plain = "\n\n".join(filter(None, (TEXT, data.get("text/plain"))))
            data |= {"text/html": HTML + html, "text/plain": plain}
        return data, dict(metadata)
