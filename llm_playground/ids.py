"""Identifiers: UUIDv7, which sort by time (RFC 9562, section 5.7)."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID


def new_id() -> str:
    """A UUIDv7: 48 bits of Unix milliseconds, 12 bits of their fraction, then random bits.

    Ids of one machine sort in the order in which they were made (RFC 9562, section 6.2, method 3:
    a step is 244 ns, and a call takes longer).

    >>> ids = [new_id() for _ in range(100)]
    >>> UUID(ids[0]).version, ids == sorted(ids)
    (7, True)
    """
    ms, rest_ns = divmod(time.time_ns(), 1_000_000)
    fraction = (rest_ns << 12) // 1_000_000
    return _as_v7(ms << 80 | fraction << 64 | int.from_bytes(os.urandom(8)))


def short_id(full_id: str) -> str:
    """The first 18 characters of an id: its time in steps of 244 ns.

    They differ between runs; the first 8 are the same for all ids of a minute.

    >>> len({short_id(new_id()) for _ in range(100)})
    100
    """
    return full_id[:18]


def made_at(uuid7: str) -> datetime:
    """When :func:`new_id` made an id, in UTC.

    >>> before = datetime.now(UTC)
    >>> before <= made_at(new_id()) + timedelta(microseconds=1)
    True
    """
    bits = UUID(uuid7).int
    ms, rest_us = bits >> 80, (bits >> 64 & 0xFFF) * 1000 // 4096
    return datetime.fromtimestamp(ms // 1000, UTC) + timedelta(
        milliseconds=ms % 1000, microseconds=rest_us
    )


def id_from_hash(sha256_hex: str) -> str:
    """An id that depends on the hash only, so that all processes use the same one.

    It has the form of a UUIDv7, like all other ids, but its time bits have no meaning.

    >>> id_from_hash("ab" * 32) == id_from_hash("ab" * 32)
    True
    """
    return _as_v7(int(sha256_hex[:32], 16))


def _as_v7(bits: int) -> str:
    text = str(UUID(int=bits, version=4))  # sets the variant; before Python 3.14 it takes no 7
    return f"{text[:14]}7{text[15:]}"
