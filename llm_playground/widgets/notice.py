"""The output beside the widget: what to do where its front end is missing, and the answers.

The widget's own output shows nothing without a front end and a kernel. So its cell gets a second
one: with the last Run's answers as plain HTML, Markdown and JSON, for GitHub, nbconvert and
whoever opens the notebook later; and, where no view is heard of, with what to do about that.

JupyterLab without ipywidgets' extension shows the HTML of the widget's own output. JupyterLab with
that extension but without anywidget's shows "Failed to load model class" instead; only the second
output can help there, and it must not come where all is well. So the kernel waits for the view's
first message, and says the sentence when none comes.

A living view hides the second output by its ``data-id``, so that answers do not show twice.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

from IPython import get_ipython
from IPython.display import DisplayHandle

# A notebook that nbconvert or GitHub shows has this text too, so it begins with what helps there.
TEXT = (
    "Open this notebook in JupyterLab to see the playground. Is it open there? "
    "The playground's front end is not installed where JupyterLab runs. In that environment: "
    "pip install anywidget, then reload the page. %%llm works without it."
)
HTML = f'<p data-llm="notice">{escape(TEXT, quote=False)}</p>'

# Beside the second output's data: whose it is, and what was typed and answered last.
METADATA = "llm_playground"

# A cold JupyterLab on a slow machine takes two to three seconds to load anywidget's extension; a
# view that comes later still takes the sentence back.
WAIT_S = 5.0
# The widget's own output comes first: it is published when its MIME bundle is made.
AFTER_THE_WIDGET_S = 0.3


class Beside:
    """The second output of every cell that shows one widget, all with one ``display_id``.

    ``display_id`` is never the widget's own: an update of that one makes a new view.
    """

    def __init__(self) -> None:
        self._handle = DisplayHandle()
        self._lock = threading.Lock()
        self._heard = self._gave_up = False
        self._waiting: list[contextvars.Context] = []  # cells without a second output so far
        self._has_output = False
        self._count = 0
        self._saved: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None

    @property
    def display_id(self) -> str:
        """By which a view finds the output."""
        return str(self._handle.display_id)

    def watch(self) -> None:
        """The widget is being displayed: where there is a front end, wait for its view."""
        if not hasattr(get_ipython(), "kernel"):
            return
        with self._lock:
            # The cell that displays the widget is the one that gets the second output.
            self._waiting.append(contextvars.copy_context())
            saved = self._saved is not None
        if saved:
            self._later(AFTER_THE_WIDGET_S, self._publish)
        if not self._heard:
            self._later(WAIT_S, self._give_up)

    def heard(self) -> None:
        """A view is alive: take back what was said."""
        if not self._heard:
            self._heard = True
            if self._gave_up:
                self._publish()

    def show(self, bundle: Mapping[str, Any], metadata: Mapping[str, Any]) -> int:
        """Keep answers in the notebook, in place of those that are there.

        JupyterLab drops them where the page was loaded after the cell was executed: a view that
        finds no output with the number that this returns puts it there itself.

        Args:
            bundle: See :func:`llm_playground.exporting.static.static`.
            metadata: What the output holds besides, JSON.
        """
        with self._lock:
            self._saved = bundle, metadata
            self._count += 1
            count = self._count
        self._publish()
        return count

    def output(self) -> dict[str, Any]:
        """The second output as it is now: ``data`` and ``metadata``."""
        with self._lock:
            data, metadata = self._said()
        return {"data": data, "metadata": metadata}

    def _later(self, wait_s: float, act: Callable[[], None]) -> None:
        timer = threading.Timer(wait_s, act)
        timer.daemon = True
        timer.start()

    def _give_up(self) -> None:
        if not self._heard:
            self._gave_up = True
            self._publish()

    def _publish(self) -> None:
        """Bring all outputs to what is to be said now; make those that are missing."""
        with self._lock:
            data, metadata = self._said()
            if self._has_output:
                self._handle.update(data or {"text/plain": ""}, raw=True, metadata=metadata)
            cells, self._waiting = (self._waiting, []) if data else ([], self._waiting)
            for cell in cells:
                self._has_output = True
                cell.run(self._handle.display, data, raw=True, metadata=metadata)

    def _said(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The output as it is to be now; no data for none."""
        data, metadata = self._saved or ({}, {})
        data, html = dict(data), data.get("text/html", "")
        if html:
            known_by = f'data-llm="saved" data-id="{self.display_id}" data-count="{self._count}"'
            html = f"<div {known_by}>\n{html}\n</div>"
            data["text/html"] = html
        if self._gave_up and not self._heard:
            plain = "\n\n".join(filter(None, (TEXT, data.get("text/plain"))))
            data |= {"text/html": HTML + html, "text/plain": plain}
        return data, dict(metadata)
