"""An output of a notebook that is replaced in place.

A cell's own output is replaced by messages that name it (``display_id``). ``ipywidgets.Output``,
and so ``interact`` and most callbacks, ignores these messages: there a widget shows the output
until its end, and an ordinary output takes the widget's place then.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Protocol, TypeAlias

Bundle: TypeAlias = Mapping[str, str]  # an output by media type, with "text/html"


class UpdatingOutput(Protocol):
    """An output that is shown already, or only at its end (:class:`FinalOutput`)."""

    def update(self, bundle: Bundle) -> None:
        """Replace what is shown."""
        ...

    def end(self, bundle: Bundle) -> None:
        """Replace it for the last time."""
        ...


def show(bundle: Bundle) -> UpdatingOutput:
    """Show an output where the present cell or callback shows its own."""
    return _WidgetOutput(bundle) if _updates_are_lost() else _CellOutput(bundle)


class FinalOutput:
    """An output that is shown at its end only, so that it is never replaced.

    nbval compares the first state of an output; the first one of an answer that comes is empty.
    """

    def update(self, bundle: Bundle) -> None:
        """Show nothing yet."""

    def end(self, bundle: Bundle) -> None:
        """Show the output."""
        from IPython.display import display  # first use, not import

        display(bundle, raw=True)


class _CellOutput:
    """A cell's own output."""

    def __init__(self, bundle: Bundle) -> None:
        from IPython.display import display  # first use, not import

        self._handle = display(bundle, raw=True, display_id=True)

    def update(self, bundle: Bundle) -> None:
        self._handle.update(bundle, raw=True)

    end = update


class _WidgetOutput:
    """An output in an Output widget, or of a widget's callback."""

    def __init__(self, bundle: Bundle) -> None:
        import ipywidgets  # type: ignore[import-untyped]  # first use, not import
        from IPython.display import display

        self._widget = ipywidgets.HTML(bundle["text/html"])
        display(self._widget)

    def update(self, bundle: Bundle) -> None:
        self._widget.value = bundle["text/html"]

    def end(self, bundle: Bundle) -> None:
        from IPython.display import display

        self._widget.close()
        display(bundle, raw=True)


def _updates_are_lost() -> bool:
    """Whether what is displayed now goes to a widget, which ignores updates of a display."""
    from IPython import get_ipython  # first use, not import

    parent = getattr(get_ipython().display_pub, "parent_header", None) or {}
    if parent.get("msg_type", "execute_request") != "execute_request":
        return True  # a callback
    widgets = sys.modules.get("ipywidgets.widgets.widget")
    outputs = sys.modules.get("ipywidgets.widgets.widget_output")
    if widgets is None or outputs is None:
        return False
    return any(
        isinstance(widget, outputs.Output) and widget.msg_id == parent.get("msg_id")
        for widget in list(getattr(widgets, "_instances", {}).values())
    )
