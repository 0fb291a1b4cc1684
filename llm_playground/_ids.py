"""Identifiers: UUIDv7, sortable by time (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import time
from uuid import UUID

_VERSION = 0x7 << 76
_VARIANT = 0b10 << 62
_CLEAR = ~((0xF << 76) | (0b11 << 62))


def new_id() -> str:
    """A UUIDv7: 48 bits of Unix milliseconds, then random bits.

    >>> UUID(new_id()).version
    7
    """
    stamp = time.time_ns() // 1_000_000
    return _as_v7((stamp << 80) | int.from_bytes(os.urandom(10)))


def id_from_hash(sha256_hex: str) -> str:
    """An id every process derives alike from the same hash, without asking the database.

    It has a UUIDv7's form, so that one rule holds for every id column; its time bits mean nothing.

    >>> id_from_hash("ab" * 32) == id_from_hash("ab" * 32)
    True
    """
    return _as_v7(int(sha256_hex[:32], 16))


def _as_v7(bits: int) -> str:
    return str(UUID(int=(bits & _CLEAR) | _VERSION | _VARIANT))
