"""How values of PostgreSQL become those that DuckDB gives; imported where psycopg is at hand.

Times are microseconds since 1970, exact and of any century; JSON is text, money is float.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from psycopg.adapt import Buffer, Loader
from psycopg.pq import Format
from psycopg.types.numeric import NumericBinaryLoader

_MICROS_1970_TO_2000 = 946_684_800_000_000
_DAYS_1970_TO_2000 = 10_957
_MICROS_OF_A_DAY = 86_400_000_000


class Micros(Loader):
    """Moments, from microseconds since 2000; infinity is unknown."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int | None:
        """See :class:`psycopg.abc.Loader`."""
        micros = int.from_bytes(data, "big", signed=True)
        endless = abs(micros) >= (1 << 63) - 1  # infinity, and how it is written below zero
        return None if endless else micros + _MICROS_1970_TO_2000


class Days(Loader):
    """Days, from days since 2000; infinity is unknown."""

    format = Format.BINARY

    def load(self, data: Buffer) -> int | None:
        """See :class:`psycopg.abc.Loader`."""
        days = int.from_bytes(data, "big", signed=True)
        endless = abs(days) >= (1 << 31) - 1
        return None if endless else (days + _DAYS_1970_TO_2000) * _MICROS_OF_A_DAY


class Json(Loader):
    """JSON as text."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        """See :class:`psycopg.abc.Loader`."""
        return bytes(data).lstrip(b"\x01").decode()  # jsonb begins with its version


class Float(NumericBinaryLoader):
    """Decimal numbers as float."""

    def load(self, data: Buffer) -> Any:  # noqa: ANN401 - its parent says Decimal
        """See :class:`psycopg.abc.Loader`."""
        return float(super().load(data))


class Uuid(Loader):
    """UUIDs as text."""

    format = Format.BINARY

    def load(self, data: Buffer) -> str:
        """See :class:`psycopg.abc.Loader`."""
        return str(UUID(bytes=bytes(data)))


AS_DUCKDB: dict[str, type[Loader]] = {
    "timestamptz": Micros,
    "timestamp": Micros,
    "date": Days,
    "json": Json,
    "jsonb": Json,
    "numeric": Float,
    "uuid": Uuid,
}
