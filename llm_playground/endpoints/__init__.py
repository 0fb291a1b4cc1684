"""Which providers there are: a table of rows, what the user adds, what packages bring."""

from __future__ import annotations

from llm_playground.endpoints.packages import from_packages
from llm_playground.endpoints.rates import Rates, rates_of
from llm_playground.endpoints.row import EndpointRow
from llm_playground.endpoints.table import AT_HOME, BUILT_IN

__all__ = ["AT_HOME", "BUILT_IN", "EndpointRow", "Rates", "from_packages", "rates_of"]
