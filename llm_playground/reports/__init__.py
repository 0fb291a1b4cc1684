"""Reports over the run log, as pandas frames: see :mod:`llm_playground.reports.query`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from llm_playground._validation import DEEPEST, checks_arguments, nested_too_deeply, repr_of
from llm_playground.errors import InvalidParameterError
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd


@checks_arguments("sql")
def sql(query: str, params: Sequence[object] | Mapping[str, object] = ()) -> pd.DataFrame:
    """The result of one SELECT over the run log's tables and views.

    Args:
        query: One statement that reads, with ``?`` or ``$name`` for ``params``.
        params: Values in order, or by name.

    Raises:
        InvalidParameterError: ``query`` is not text, or ``params`` is neither a list nor a dict.
        RunLogError: The log cannot be read, or the statement is wrong or would write.

    Example:
        >>> list(sql("SELECT model, count(*) AS n FROM runs GROUP BY ALL"))
        ['model', 'n']
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    if not isinstance(query, str) or not _is_unicode(query):
        raise InvalidParameterError(f"query is {repr_of(query)}; it takes one SELECT as text.")
    if nested_too_deeply(params):  # DuckDB would take them apart for ever
        raise InvalidParameterError(f"params is nested more than {DEEPEST} levels deep.")
    if isinstance(params, str) or not isinstance(params, (Sequence, Mapping)):
        raise InvalidParameterError(
            f"params is {repr_of(params)}; it takes a list, or a dict by name."
        )
    return Frame(open_log().frame(query, params))


def _is_unicode(text: str) -> bool:
    """Whether a text has no lone surrogate, which no database takes."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
