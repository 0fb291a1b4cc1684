"""Charts of reports: ``lp.chart(lp.costs())``.

Altair draws them, and vl-convert-python makes PNG pictures for where Vega-Lite is not shown
(GitHub, mails, ``nbconvert``). Both come with ``pip install 'llm_playground[charts]'``: they are
not small, vl-convert-python holds a whole JavaScript engine (85 MB), and reports are useful
without. Without them a chart is bars in plain HTML, made here. Nothing comes from the network.
"""

from llm_playground.charts.picture import Chart, chart

__all__ = ["Chart", "chart"]
