"""The users' door to the run log's tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llm_playground.errors import InvalidParameterError
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd


def sql(query: str, params: Sequence[object] | Mapping[str, object] = ()) -> pd.DataFrame:
    """What one SELECT finds in the run log's tables and views.

    Args:
        query: One statement that reads; ``?`` or ``$name`` where ``params`` go.
        params: Values in order, or by name.

    Raises:
        InvalidParameterError: ``query`` is no text, or ``params`` are no values.
        RunLogError: The log cannot be read, or the statement is wrong or would write.

    Example:
        >>> list(sql("SELECT model, count(*) AS n FROM runs GROUP BY ALL"))
        ['model', 'n']
    """
    if not isinstance(query, str):
        raise InvalidParameterError(f"query is {query!r}; it takes one SELECT as text.")
    if isinstance(params, str) or not isinstance(params, (Sequence, Mapping)):
        raise InvalidParameterError(f"params is {params!r}; it takes a list, or a dict by name.")
    return open_log().frame(query, params)
