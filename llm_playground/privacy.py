"""What of a run is stored: its texts, only its metrics, or nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from llm_playground import misfit
from llm_playground.errors import InvalidParameterError
from llm_playground.personal import Kind

Store = Literal["texts", "metrics", "off"]
# From the loosest to the tightest.
_STORES: tuple[Store, ...] = get_args(Store)
_KINDS: tuple[Kind, ...] = get_args(Kind)
_SHARES = 1 << 32


@dataclass(frozen=True, slots=True)
class Privacy:
    """What is written to disk. The run in memory is always whole; keys are never written.

    Args:
        store: ``texts`` stores everything; ``metrics`` stores no text, neither of prompts nor of
            answers nor of errors, but the prompt's hash, tokens, cost and times; ``off`` stores
            nothing.
        redact: What is taken out of texts before they are stored: ``email``, ``phone``, ``card``.
        sample: The share of executions, 0 to 1, whose texts are stored. The others are stored as
            ``metrics``, so that costs stay whole.
    """

    store: Store = "texts"
    redact: tuple[Kind, ...] = ()
    sample: float = 1.0

    def of(self, execution_id: str) -> Privacy:
        """What holds for one execution: whether it is in the sample is the same for all its runs.

        >>> Privacy(sample=0.0).of("0190c7e2-0000-7000-8000-000000000001").store
        'metrics'
        """
        if self.store != "texts" or self.sample >= 1 or _share(execution_id) < self.sample:
            return self
        return replace(self, store="metrics")


def changed(privacy: Privacy, setting: str | Mapping[str, Any]) -> Privacy:
    """``privacy`` with what ``configure(privacy=...)`` says.

    Args:
        privacy: What holds so far.
        setting: A word for ``store``, or a mapping of the parts that change.

    Raises:
        InvalidParameterError: A name or a value is none.

    >>> changed(Privacy(), {"redact": ["email"]})
    Privacy(store='texts', redact=('email',), sample=1.0)
    """
    said = setting if isinstance(setting, Mapping) else {"store": setting}
    for name in said:
        if name not in _READERS:
            raise InvalidParameterError(
                f"privacy has no {misfit.got(name)}. There are {', '.join(_READERS)}."
            )
    read: dict[str, Any] = {name: _READERS[name](value) for name, value in said.items()}
    return replace(privacy, **read)


def tightest(one: Privacy, other: Privacy) -> Privacy:
    """The stricter of two, part by part.

    >>> tightest(Privacy("metrics"), Privacy(redact=("card",)))
    Privacy(store='metrics', redact=('card',), sample=1.0)
    """
    return Privacy(
        store=max(one.store, other.store, key=_STORES.index),
        redact=tuple(kind for kind in _KINDS if kind in (*one.redact, *other.redact)),
        sample=min(one.sample, other.sample),
    )


def _share(execution_id: str) -> float:
    """Where an execution falls between 0 and 1: the last bits of its id are random."""
    try:
        return int(execution_id.replace("-", "")[-8:], 16) / _SHARES
    except ValueError:  # an id of another form
        return 0.0


def _store(value: object) -> Store:
    for store in _STORES:
        if value == store:
            return store
    raise InvalidParameterError(f"privacy takes {', '.join(_STORES)}; got {misfit.got(value)}.")


def _redact(value: object) -> tuple[Kind, ...]:
    kinds = [value] if isinstance(value, str) else value
    if not isinstance(kinds, Iterable) or any(kind not in _KINDS for kind in kinds):
        raise InvalidParameterError(
            f"redact takes a list of {', '.join(_KINDS)}; got {misfit.got(value)}."
        )
    return tuple(kind for kind in _KINDS if kind in kinds)


def _sample(value: object) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]  # it is a number here
        raise InvalidParameterError(f"sample takes 0 to 1; got {misfit.got(value)}.")
    return float(value)  # type: ignore[arg-type]  # as above


_READERS = {"store": _store, "redact": _redact, "sample": _sample}
