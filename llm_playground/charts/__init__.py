"""Charts of reports: ``lp.chart(lp.costs())``.

A report's frame is recognised by its columns (:data:`KINDS`), its figures become :class:`Points`,
and these are drawn by Altair (``charts.vega``). vl-convert-python makes PNG images for front ends
without Vega-Lite (GitHub, mails, ``nbconvert``). Both come with
``pip install altair vl-convert-python``; they are an extra because they are large:
vl-convert-python contains a JavaScript engine (85 MB). Without them a chart is an SVG that looks
the same (``charts.bars``). Nothing is loaded from the network.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_playground import _files, image_formats
from llm_playground._validation import checks_arguments
from llm_playground.charts.bars import MARGIN, PAPER, picture, svg
from llm_playground.charts.points import KINDS, Points, points_of
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.installation import INSTALL
from llm_playground.redaction import printable

if TYPE_CHECKING:
    import pandas as pd
    from altair.typing import ChartType

# JupyterLab 4 and VS Code show Vega-Lite 5; the charts made here are the same in 5 and 6.
_MIME = "application/vnd.vegalite.v5+json"
_SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"  # an identifier, never fetched
_PNG_SCALE = 2
# An SVG takes the colour of the text around it, a canvas does not.
_METADATA = {_MIME: {"embed_options": {"renderer": "svg"}}}


@dataclass(frozen=True)
class Chart:
    """A report's chart, shown as the result of a cell.

    With Altair it is interactive, with a PNG for front ends without Vega-Lite; without, it is an
    SVG of bars.
    """

    points: Points = field(repr=False)
    text: str = field(repr=False)

    def __repr__(self) -> str:
        return printable(f"{self.points.kind.title}\n{self.text}")

    @cached_property
    def altair(self) -> ChartType:
        """The Altair chart, for changing it.

        Raises:
            ConfigError: Altair is not installed.
        """
        _need("altair")
        from llm_playground.charts.vega import draw

        return draw(self.points)

    @property
    def spec(self) -> dict[str, Any]:
        """The Vega-Lite specification, data included.

        Raises:
            ConfigError: Altair is not installed.
        """
        return {**self.altair.to_dict(), "$schema": _SCHEMA}

    def png(self) -> bytes:
        """The chart as a PNG image.

        Raises:
            ConfigError: Altair or vl-convert-python is not installed.
        """
        spec = {**self.spec, "background": PAPER, "padding": MARGIN}
        _need("vl_convert")
        import vl_convert

        image: bytes = vl_convert.vegalite_to_png(spec, scale=_PNG_SCALE)
        return image

    def html(self) -> str:
        """The chart as HTML: an SVG of bars, without scripts and made without any library."""
        left_out = self.points.left_out
        note = f"<p>and {left_out:,} smaller ones</p>" if left_out else ""
        return f'<div class="llm-playground-chart">{svg(self.points)}{note}</div>'

    def save(self, path: str | Path) -> Path:
        """Write the chart to a .png, .html, .svg or .json (Vega-Lite) file.

        Returns:
            The path.

        Raises:
            ConfigError: The library that makes it is not installed.
            InvalidParameterError: The suffix is another one, or the file cannot be written.
        """
        file = Path(path).expanduser()
        if file.suffix not in _FORMATS:
            raise InvalidParameterError(
                f"A chart is saved as {', '.join(_FORMATS)}, not {file.suffix or file.name!r}."
            )
        content = _FORMATS[file.suffix](self)
        try:
            _files.write_document(file, content)
        except OSError as error:
            raise InvalidParameterError(f"{file} cannot be written ({error.strerror}).") from error
        return file

    def _repr_mimebundle_(self, **_wanted: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """All representations and their metadata.

        HTML only without Vega-Lite, since JupyterLab would prefer it.
        """
        plain = {"text/plain": repr(self)}
        if not _installed("altair"):
            return {"text/html": self.html(), **plain}, {}
        shown = {_MIME: self.spec, **plain}
        if not _installed("vl_convert"):
            return {**shown, "image/svg+xml": picture(self.points)}, _METADATA
        image = self.png()
        sides = zip(("width", "height"), image_formats.size(image) or (), strict=False)
        sizes = {"image/png": {name: side // _PNG_SCALE for name, side in sides}}
        return {**shown, "image/png": base64.b64encode(image).decode()}, _METADATA | sizes


@checks_arguments("chart")
def chart(frame: pd.DataFrame) -> Chart:
    """The chart of a report, such as ``lp.costs()`` or ``lp.latency()``.

    Of many rows the largest are drawn; of many series the smallest are summed up. Unknown figures
    (NaN) are not drawn.

    Args:
        frame: The frame of a report, or a part of it. The report is recognised by the columns.

    Raises:
        InvalidParameterError: It is not the frame of a report.

    Example:
        >>> import pandas as pd
        >>> figures = {"p50_ms": 310.0, "p95_ms": 900.0, "p99_ms": 1200.0, "error_rate": 0.0}
        >>> print(chart(pd.DataFrame([{"model": "local", "runs": 7, **figures}])).points.kind.name)
        latency
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    if not hasattr(frame, "columns"):
        raise InvalidParameterError(f"A chart is made from a frame, not {type(frame).__name__}.")
    columns = {str(name) for name in frame.columns}
    kind = next((kind for kind in KINDS if columns >= {*kind.needs.split(), *kind.values}), None)
    if kind is None:
        names = ", ".join(sorted(kind.name for kind in KINDS))
        raise InvalidParameterError(
            f"These columns are not those of a report. A chart is made from a frame of {names}."
        )
    return Chart(points_of(frame, kind), repr(Frame(frame)))


def _installed(module: str) -> bool:
    return find_spec(module) is not None


def _need(module: str) -> None:
    """Raise a ConfigError with the command that installs a missing library."""
    if not _installed(module):
        package = {"vl_convert": "vl-convert-python"}.get(module, module)
        raise ConfigError(
            f"This needs {package}: {INSTALL['charts']}. Without it, .html() draws bars."
        )


_FORMATS: dict[str, Callable[[Chart], bytes]] = {
    ".png": Chart.png,
    ".html": lambda drawn: drawn.html().encode(),
    ".svg": lambda drawn: picture(drawn.points).encode(),
    ".json": lambda drawn: json.dumps(drawn.spec).encode(),
}
