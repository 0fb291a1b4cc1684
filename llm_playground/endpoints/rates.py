"""What a model's tokens cost, as the user says: ``configure(prices=...)``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation

from llm_playground.errors import InvalidParameterError


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens.

    Args:
        input_usd_per_mtok: What is sent.
        output_usd_per_mtok: What comes, reasoning included.
        cache_read_usd_per_mtok: The part of the input that comes out of a cache; None where it
            costs what other input costs.
        cache_write_usd_per_mtok: The part of the input that goes into a cache; None likewise.
    """

    input_usd_per_mtok: Decimal
    output_usd_per_mtok: Decimal
    cache_read_usd_per_mtok: Decimal | None = None
    cache_write_usd_per_mtok: Decimal | None = None


_FIELDS = tuple(field.name for field in fields(Rates))
_NEEDED = _FIELDS[:2]

Setting = Rates | Mapping[str, Decimal | float | str] | None


def changed(
    prices: Mapping[str, Rates], setting: Mapping[str, Setting], providers: Mapping[str, object]
) -> dict[str, Rates]:
    """``prices`` with what ``configure(prices=...)`` says.

    Args:
        prices: What holds so far, by model.
        setting: By ``provider:name`` or ``provider:start*``, the rates, or None to take them back.
        providers: Those there are.

    Raises:
        InvalidParameterError: An unknown provider or field, or an amount that is none.

    >>> said = {"mine:*": {"input_usd_per_mtok": 0.1, "output_usd_per_mtok": "2"}}
    >>> changed({}, said, {"mine": ...})["mine:*"].input_usd_per_mtok
    Decimal('0.1')
    """
    if not isinstance(setting, Mapping):
        raise InvalidParameterError('prices takes {"provider:name": {"input_usd_per_mtok": ...}}.')
    after = dict(prices)
    for model, said in setting.items():
        _check_model(model, providers)
        if said is None:
            after.pop(model, None)
        else:
            after[model] = _rates(model, _said(said) if isinstance(said, Rates) else said)
    return after


def rates_of(model: str, prices: Mapping[str, Rates]) -> Rates | None:
    """The rates set for a model: its own, else those of the longest ``start*`` that fits.

    >>> some, other = Rates(Decimal(1), Decimal(1)), Rates(Decimal(2), Decimal(2))
    >>> rates_of("mine:big-2", {"mine:*": some, "mine:big*": other}) is other
    True
    """
    if model in prices:
        return prices[model]
    fitting = [key for key in prices if key.endswith("*") and model.startswith(key[:-1])]
    return prices[max(fitting, key=len)] if fitting else None


def _check_model(model: str, providers: Mapping[str, object]) -> None:
    provider, colon, name = model.partition(":") if isinstance(model, str) else ("", "", "")
    if not colon or not name:
        raise InvalidParameterError(f"{model!r} has no price: write provider:name, or provider:*.")
    if provider not in providers:
        close = difflib.get_close_matches(provider, providers, n=1)
        hint = f"Did you mean {close[0]}?" if close else "configure(endpoints=...) adds one."
        raise InvalidParameterError(f"{model!r} has no known provider. {hint}")


def _said(rates: Rates) -> dict[str, Decimal]:
    """A ready-made row as a mapping: what it holds may be of any kind."""
    named = {name: getattr(rates, name) for name in _FIELDS}
    return {name: value for name, value in named.items() if name in _NEEDED or value is not None}


def _rates(model: str, said: Mapping[str, Decimal | float | str]) -> Rates:
    if not isinstance(said, Mapping) or not set(_NEEDED) <= set(said):
        raise InvalidParameterError(f"The price of {model} takes {' and '.join(_NEEDED)}.")
    for name in said:
        if name not in _FIELDS:
            close = difflib.get_close_matches(str(name), _FIELDS, n=1)
            hint = f"Did you mean {close[0]}?" if close else f"There are {', '.join(_FIELDS)}."
            raise InvalidParameterError(f"A price has no {name!r}. {hint}")
    return Rates(**{name: _amount(name, value) for name, value in said.items()})


def _amount(name: str, value: object) -> Decimal:
    """Exactly what was written: 0.1 is a tenth, not the float next to it."""
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise InvalidParameterError(f"{name} is {value!r}; it takes US dollars, 0 or more.")
    return amount
