"""How long a call may take, part by part."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from llm_playground.errors import InvalidParameterError


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Limits of one call in seconds; None is no limit.

    Args:
        connect: To reach the provider.
        first_delta: From sending to the first delta; reasoning models are silent for minutes.
        between_deltas: From one delta to the next.
        total: From sending to the end, further attempts included.
    """

    connect: float | None = 10.0
    first_delta: float | None = 120.0
    between_deltas: float | None = 120.0
    total: float | None = None


_NAMES = tuple(field.name for field in fields(Timeouts))


def changed(timeouts: Timeouts, setting: float | Mapping[str, float | None]) -> Timeouts:
    """``timeouts`` with what ``configure(timeout_s=...)`` says.

    Args:
        timeouts: What holds so far.
        setting: One number sets connect, first delta and between deltas; a mapping sets the parts
            it names, None for no limit.

    Raises:
        InvalidParameterError: Not a positive number, or a name that is none.

    >>> changed(Timeouts(), 5).between_deltas, changed(Timeouts(), {"total": 60}).total
    (5.0, 60.0)
    """
    if not isinstance(setting, Mapping):
        _check(setting, "timeout_s")
        setting = dict.fromkeys(("connect", "first_delta", "between_deltas"), setting)
    for name, value in setting.items():
        if name not in _NAMES:
            raise InvalidParameterError(
                f"timeout_s has no {name!r}. There are {', '.join(_NAMES)}."
            )
        _check(value, f"timeout_s[{name!r}]")
    seconds = {name: None if value is None else float(value) for name, value in setting.items()}
    return replace(timeouts, **seconds)


def _check(value: object, name: str) -> None:
    if value is not None and not _is_duration(value):
        raise InvalidParameterError(f"{name} is {value!r}; it takes seconds above 0, or None.")


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return math.isfinite(value) and value > 0
