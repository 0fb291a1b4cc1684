"""What a person sees where the widget's front end is missing.

JupyterLab without ipywidgets' extension shows the HTML of the widget's own output. JupyterLab with
that extension but without anywidget's shows "Failed to load model class" instead; only a second
output can help there, and it must not come where all is well. So the kernel waits for the view's
first message, and says the sentence when none comes.
"""

from __future__ import annotations

import contextvars
import threading
from html import escape

from IPython import get_ipython
from IPython.display import DisplayHandle

# A notebook that nbconvert or GitHub shows has this text too, so it begins with what helps there.
TEXT = (
    "Open this notebook in JupyterLab to see the playground. Is it open there? "
    "The playground's front end is not installed where JupyterLab runs. In that environment: "
    "pip install anywidget, then reload the page. %%llm works without it."
)
HTML = f'<p data-llm="notice">{escape(TEXT, quote=False)}</p>'

# A cold JupyterLab on a slow machine takes two to three seconds to load anywidget's extension; a
# view that comes later still takes the sentence back.
WAIT_S = 5.0


class Notice:
    """Says :data:`TEXT` below the widget unless its view is heard of in time."""

    def __init__(self) -> None:
        self._heard = threading.Event()
        self._said: list[DisplayHandle] = []

    def watch(self) -> None:
        """Start waiting, once per display, where there is a front end to wait for."""
        if self._heard.is_set() or not hasattr(get_ipython(), "kernel"):
            return
        # The cell that displays the widget is the one that gets the second output.
        cell = contextvars.copy_context()
        timer = threading.Timer(WAIT_S, cell.run, [self._say])
        timer.daemon = True
        timer.start()

    def heard(self) -> None:
        """A view is alive: take back what was said."""
        self._heard.set()
        while self._said:
            self._said.pop().update({"text/plain": ""}, raw=True)

    def _say(self) -> None:
        if not self._heard.is_set():
            handle = DisplayHandle()
            handle.display({"text/html": HTML, "text/plain": TEXT}, raw=True)
            self._said.append(handle)
