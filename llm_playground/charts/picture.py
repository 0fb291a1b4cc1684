"""One chart: shown in a notebook, saved to a file, or given to Altair for more."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground.charts.bars import svg
from llm_playground.charts.drawing import draw
from llm_playground.charts.kinds import kind_of
from llm_playground.charts.points import Points, points
from llm_playground.errors import ConfigError, InvalidParameterError

if TYPE_CHECKING:
    import pandas as pd
    from altair.typing import ChartType

_INSTALL = "pip install 'llm_playground[charts]'"
# JupyterLab 4 and VS Code show Vega-Lite 5; what is drawn here is the same in 5 and 6.
_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # a name; nothing is fetched
_PNG_SCALE = 2.0


@dataclass(frozen=True)
class Chart:
    """A report's chart; the last line of a cell shows it.

    Where Altair is installed it is interactive, with a PNG beside it for wherever that is not
    shown; elsewhere it is bars in HTML.
    """

    points: Points = field(repr=False)
    text: str = field(repr=False)

    def __repr__(self) -> str:
        return f"{self.points.kind.title}\n{self.text}"

    @cached_property
    def altair(self) -> ChartType:
        """The chart as Altair's own, to change it.

        Raises:
            ConfigError: Altair is not installed.
        """
        _need("altair")
        return draw(self.points)

    @property
    def spec(self) -> dict[str, Any]:
        """The chart in Vega-Lite's words, its data included.

        Raises:
            ConfigError: Altair is not installed.
        """
        return {**self.altair.to_dict(), "$schema": _SCHEMA}

    def png(self) -> bytes:
        """The chart as a PNG picture.

        Raises:
            ConfigError: Altair or vl-convert-python is not installed.
        """
        spec = self.spec
        _need("vl_convert")
        import vl_convert

        drawn: bytes = vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE)
        return drawn

    def html(self) -> str:
        """The chart as HTML without a script: bars, made without any library."""
        left_out = self.points.left_out
        note = f"<p>and {left_out:,} smaller ones</p>" if left_out else ""
        return f'<div class="llm-playground-chart">{svg(self.points)}{note}</div>'

    def save(self, path: str | Path) -> Path:
        """Write the chart to a file, as its ending says: .png, .html, .svg or .json (Vega-Lite).

        Returns:
            The path.

        Raises:
            ConfigError: What makes it is not installed.
            InvalidParameterError: Another ending, or the file cannot be written.
        """
        place = Path(path).expanduser()
        if place.suffix not in _FORMATS:
            raise InvalidParameterError(
                f"A chart is saved as {', '.join(_FORMATS)}, not {place.suffix or place.name!r}."
            )
        content = _FORMATS[place.suffix](self)
        try:
            place.write_bytes(content)
        except OSError as error:
            raise InvalidParameterError(f"{place} cannot be written ({error.strerror}).") from error
        return place

    def _repr_mimebundle_(self, **_wanted: object) -> Mapping[str, Any]:
        """What a front end chooses from. HTML only alone: JupyterLab would prefer it."""
        plain = {"text/plain": repr(self)}
        if not _installed("altair"):
            return {"text/html": self.html(), **plain}
        shown = {_MIME: self.spec, **plain}
        if not _installed("vl_convert"):
            return {**shown, "image/svg+xml": svg(self.points)}
        return {**shown, "image/png": base64.b64encode(self.png()).decode()}


def chart(frame: pd.DataFrame) -> Chart:
    """The chart of a report: of ``lp.costs()``, ``lp.latency()``, or any other frame of figures.

    Which report it is, the columns tell. Of many rows the largest are drawn; of many series the
    smallest are summed up. What nobody knows (NaN) is not drawn.

    Args:
        frame: A frame that a report gave, or a part of it.

    Raises:
        InvalidParameterError: It is no report's frame.

    Example:
        >>> import pandas as pd
        >>> figures = {"p50_ms": 310.0, "p95_ms": 900.0, "p99_ms": 1200.0, "error_rate": 0.0}
        >>> print(chart(pd.DataFrame([{"model": "local", "runs": 7, **figures}])).points.kind.name)
        latency
    """
    if not hasattr(frame, "columns"):
        raise InvalidParameterError(f"A chart is drawn of a frame, not of {type(frame).__name__}.")
    kind = kind_of(frame)
    return Chart(points(frame, kind), frame.to_string(max_rows=20))


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _need(module: str) -> None:
    """Raise a ConfigError that says how to get what is missing."""
    if not _installed(module):
        package = {"vl_convert": "vl-convert-python"}.get(module, module)
        raise ConfigError(f"This needs {package}: {_INSTALL}. Without it, .html() draws bars.")


_FORMATS: dict[str, Callable[[Chart], bytes]] = {
    ".png": Chart.png,
    ".html": lambda drawn: drawn.html().encode(),
    ".svg": lambda drawn: svg(drawn.points).encode(),
    ".json": lambda drawn: json.dumps(drawn.spec).encode(),
}
