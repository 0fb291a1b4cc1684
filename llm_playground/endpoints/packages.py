"""Providers that installed packages bring, as entry points of ``llm_playground.providers``.

An entry point is an :class:`~llm_playground.endpoints.EndpointRow`, several, or a callable that
gives either. One that does not work is said in one line, and leaves the others alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_playground.endpoints.row import EndpointRow
from llm_playground.endpoints.settings import checked
from llm_playground.endpoints.table import BUILT_IN

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "llm_playground.providers"

_log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def from_packages() -> dict[str, EndpointRow]:
    """The rows of every installed package, by name; read once, at the first use."""
    from importlib.metadata import entry_points  # first use, not import

    found: dict[str, EndpointRow] = {}
    for entry in entry_points(group=GROUP):
        try:
            for row in _rows(entry):
                if row.name in BUILT_IN or row.name in found:
                    raise ValueError(f"there is a provider {row.name} already")  # noqa: TRY301 - said like every other fault of a package
                found[row.name] = row
        except Exception as error:
            package = entry.dist.name if entry.dist is not None else entry.value
            _log.warning(
                "The package %s brings a provider that cannot be used: %s: %s",
                package,
                type(error).__name__,
                str(error).partition("\n")[0],
            )
    return found


def _rows(entry: EntryPoint) -> Iterator[EndpointRow]:
    brought = entry.load()
    given = brought() if callable(brought) else brought
    rows = given if isinstance(given, Iterable) else (given,)
    for row in rows:
        if not isinstance(row, EndpointRow):
            raise TypeError(f"{entry.name} is no EndpointRow")
        yield checked(row)
