"""Which providers there are: a table of rows, what the user adds, what packages bring."""

from __future__ import annotations

from llm_playground.endpoints.row import EndpointRow
from llm_playground.endpoints.table import AT_HOME, BUILT_IN

__all__ = ["AT_HOME", "BUILT_IN", "EndpointRow"]
