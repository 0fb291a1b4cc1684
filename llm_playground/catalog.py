"""Which models there are: genai-prices' list, and which of them can be used here and now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from llm_playground.capabilities import LOCAL_MODEL
from llm_playground.credentials import key_status, key_statuses
from llm_playground.providers import local
from llm_playground.providers.local_server import SLOT_TOKENS

if TYPE_CHECKING:
    import pandas as pd

# Not for chat: the price list also has models for sound, pictures, vectors and moderation.
_NOT_CHAT = re.compile(
    r"embedding|tts|audio|image|realtime|transcri|whisper|moderation|live|vision|instruct|davinci"
    r"|babbage|curie|^ada|robotics|omni|banana|computer-use|search|rosalind|cyber|deep-research"
    r"|safeguard|maas|^ft:|:extended|-pro-1\.5|-flash-1\.5|[.]ft-|^gpt-oss|^gpt-3|codex"
)
PRICED_AS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}
_OWN_NAMES = {
    "openai": re.compile(r"^(gpt|chatgpt|o\d)"),
    "anthropic": re.compile(r"^claude"),
    "gemini": re.compile(r"^(gemini|gemma)"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One model a person can pick.

    ``reason`` says what is missing, None when it can be used now. Prices are US dollars per
    million tokens at the first tier, None when unknown.
    """

    model: str
    label: str
    provider: str
    available: bool
    reason: str | None
    context_window: int | None
    input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None
    deprecated: bool = False

    @property
    def price(self) -> str:
        """``free``, ``$0.25/$2`` per million tokens in and out, or empty."""
        if self.provider == "local":
            return "free"
        if self.input_usd_per_mtok is None or self.output_usd_per_mtok is None:
            return ""
        return f"{_dollars(self.input_usd_per_mtok)}/{_dollars(self.output_usd_per_mtok)}"


def choices() -> list[Choice]:
    """Every known model: what can be used now first, newest first, deprecated last.

    May take a few hundred milliseconds the first time; nothing is sent anywhere.
    """
    found = [_local(), *(choice for provider in PRICED_AS for choice in _of_provider(provider))]
    return sorted(found, key=lambda c: (not c.available, c.deprecated))


def known_models() -> list[str]:
    """Every known model as ``provider:name``."""
    return [choice.model for choice in choices()]


def models() -> pd.DataFrame:
    """Every known model, what can be used now first.

    Returns:
        model, provider, available, reason (what is missing), context_window (tokens),
        input_usd_per_mtok and output_usd_per_mtok (US dollars per million tokens, NaN unknown),
        streaming, deprecated.
    """
    import pandas as pd  # first use, not import

    rows = [
        {
            "model": choice.model,
            "provider": choice.provider,
            "available": choice.available,
            "reason": choice.reason,
            "context_window": choice.context_window,
            "input_usd_per_mtok": _as_float(choice.input_usd_per_mtok),
            "output_usd_per_mtok": _as_float(choice.output_usd_per_mtok),
            "streaming": True,
            "deprecated": choice.deprecated,
        }
        for choice in choices()
    ]
    return pd.DataFrame(rows).astype({"context_window": "Int64"})


def keys() -> pd.DataFrame:
    """Which keys were found, and where; never the keys.

    Returns:
        provider, variable, source, status (missing / malformed / present), masked.
    """
    import pandas as pd  # first use, not import

    columns = ["provider", "variable", "source", "status", "masked"]
    rows = [[getattr(key, column) for column in columns] for key in key_statuses()]
    return pd.DataFrame(rows, columns=columns)


def _local() -> Choice:
    name, here = LOCAL_MODEL.partition(":")[2], local.installed()
    reason = None if here else local.INSTALL
    return Choice(LOCAL_MODEL, name, "local", here, reason, SLOT_TOKENS, Decimal(0), Decimal(0))


def _of_provider(provider: str) -> Iterator[Choice]:
    status = key_status(provider)
    reasons = {
        "missing": f"set {status.variable}",
        "malformed": f"{status.variable} is not a key",
        "present": None,
    }
    for model in _listed(provider):
        yield Choice(
            model=f"{provider}:{model.name}",
            label=model.name,
            provider=provider,
            available=status.status == "present",
            reason=reasons[status.status],
            context_window=model.context_window,
            input_usd_per_mtok=model.input_usd_per_mtok,
            output_usd_per_mtok=model.output_usd_per_mtok,
            deprecated=model.deprecated,
        )


@dataclass(frozen=True, slots=True)
class _Listed:
    name: str
    context_window: int | None
    input_usd_per_mtok: Decimal | None
    output_usd_per_mtok: Decimal | None
    deprecated: bool


@lru_cache(maxsize=8)
def _listed(provider: str) -> list[_Listed]:
    from genai_prices import data_snapshot  # first use, not import: 0.3 s

    now = datetime.now(UTC)
    [of_provider] = [
        p for p in data_snapshot.get_snapshot().providers if p.id == PRICED_AS[provider]
    ]
    listed = [
        _Listed(
            model.id,
            model.context_window,
            _first_tier(model.get_prices(now).input_mtok),
            _first_tier(model.get_prices(now).output_mtok),
            bool(model.deprecated),
        )
        for model in of_provider.models
        if _OWN_NAMES[provider].search(model.id) and not _NOT_CHAT.search(model.id)
    ]
    priced = [model for model in listed if model.output_usd_per_mtok is not None]
    return sorted(priced, key=lambda model: _version(model.name), reverse=True)


def _first_tier(listed: Any) -> Decimal | None:  # noqa: ANN401 - a Decimal, tiers, or nothing
    value = getattr(listed, "base", listed)
    return value if isinstance(value, Decimal) else None


def _version(name: str) -> tuple[list[int], bool, str]:
    """Newest first: by the numbers in the name, a dated or preview name after its plain one.

    >>> _version("gpt-6-luna") > _version("gpt-5.6-luna") > _version("gpt-5-mini")
    True
    """
    numbers = [int(part) for part in re.findall(r"\d+", name) if len(part) < 4]  # not a date
    return numbers, "preview" not in name, name


def _dollars(amount: Decimal) -> str:
    """As price lists write it: whole dollars plain, else cents.

    >>> _dollars(Decimal("2.0")), _dollars(Decimal("0.1")), _dollars(Decimal("0.075"))
    ('$2', '$0.10', '$0.075')
    """
    plain = f"{amount.normalize():f}"
    decimals = len(plain.partition(".")[2])
    return f"${amount:.2f}" if decimals == 1 else f"${plain}"


def _as_float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
