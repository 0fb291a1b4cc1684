"""Which models there are: live lists and genai-prices', and which can be used here and now."""

from __future__ import annotations

import asyncio
import re
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from llm_playground import _loop, abilities, config, pricing
from llm_playground.capabilities import LOCAL_MODEL
from llm_playground.credentials import key_status, key_statuses
from llm_playground.endpoints import EndpointRow
from llm_playground.errors import MissingKeyError
from llm_playground.providers import endpoint_of, local
from llm_playground.providers.base import Endpoint
from llm_playground.providers.listing import NOT_CHAT, ListedModel, Listing
from llm_playground.providers.local_server import SLOT_TOKENS

if TYPE_CHECKING:
    import pandas as pd
    from genai_prices.types import ModelInfo

REFRESH_S = 3.0
_MODELS_S = 2.0
# How long a live list is believed, and how long an endpoint that gave none is left alone.
_FRESH_S = 600.0
_AGAIN_S = 30.0
_LINE = 110  # characters of a description

# Offered without a key too, so that a person sees what a key would give.
_ALWAYS = ("openai", "anthropic", "gemini")
# Of those, what their lists and the price list name beside models for Chat Completions and its
# like: sound, pictures, vectors, moderation, what only other APIs serve.
_OTHER_KINDS = re.compile(
    r"embedding|tts|audio|image|realtime|transcri|whisper|moderation|live|vision|instruct|davinci"
    r"|babbage|curie|^ada|robotics|omni|banana|computer-use|search|rosalind|cyber|deep-research"
    r"|safeguard|maas|:extended|-pro-1\.5|-flash-1\.5|[.]ft-|^gpt-oss|^gpt-3|codex"
)
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_NAMES = {
    "openai": re.compile(r"^(gpt|chatgpt|o\d|ft:)"),
    "anthropic": re.compile(r"^claude"),
    "gemini": re.compile(r"^(gemini|gemma)"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One model a person can pick.

    ``reason`` says what is missing, None when it can be used now. Prices are US dollars per
    million tokens at the first tier. None is unknown, for ``vision``, ``tools`` and ``reasoning``
    too. ``keyless``: what is missing is a key.
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
    free: bool = False
    vision: bool | None = None
    tools: bool | None = None
    reasoning: bool | None = None
    about: str | None = None
    keyless: bool = False

    @property
    def badges(self) -> tuple[str, ...]:
        """What it is known to be able to, beside text: ``vision``, ``tools``, ``reasoning``."""
        known = {"vision": self.vision, "tools": self.tools, "reasoning": self.reasoning}
        return tuple(name for name, able in known.items() if able)

    @property
    def description(self) -> str:
        """One line: the price list's word, else what is known of it; empty when nothing is."""
        if self.about:
            return self.about
        facts = [
            "Reasons before it answers" if self.reasoning else "",
            f"{self.context} tokens of context" if self.context else "",
        ]
        return " · ".join(filter(None, facts))

    @property
    def context(self) -> str:
        """The context window as models' pages write it: ``128k``, ``1M``, or empty."""
        return "" if self.context_window is None else _shortened(self.context_window)

    @property
    def price(self) -> str:
        """``free``, ``$0.25/$2`` per million tokens in and out, or empty."""
        if self.free:
            return "free"
        if self.input_usd_per_mtok is None or self.output_usd_per_mtok is None:
            return ""
        return f"{_dollars(self.input_usd_per_mtok)}/{_dollars(self.output_usd_per_mtok)}"


@dataclass(frozen=True, slots=True)
class _Known:
    """A live list, whose it is, and when it was had (``time.monotonic``)."""

    endpoint: Endpoint
    listing: Listing
    at_s: float

    @property
    def fresh(self) -> bool:
        lasts_s = _FRESH_S if self.listing.reason is None else _AGAIN_S
        return time.monotonic() - self.at_s < lasts_s


_live: dict[str, _Known] = {}


def choices() -> list[Choice]:
    """Every known model: what can be used now first, newest first, deprecated last.

    Of OpenAI, Anthropic and Gemini with or without a key, of others where they can be used. May
    take a few hundred milliseconds the first time; nothing is sent anywhere, see :func:`refresh`.
    """
    now = datetime.now(UTC)
    found = [_local(), *(choice for row in _listed_rows() for choice in _of_row(row, now))]
    return sorted(found, key=lambda choice: (not choice.available, choice.deprecated))


async def refresh(timeout_s: float = REFRESH_S) -> None:
    """Ask which models there are, for :func:`choices` to know.

    On this machine, what listens on a known port is asked every time, for at most 200 ms. Endpoints
    whose key is there are asked every ten minutes, for at most ``timeout_s``. All at once; whatever
    goes wrong leaves the choices as they are.
    """
    # First use, not import; and not on this loop, where answers stream: it takes 0.2 s.
    await asyncio.to_thread(import_module, "httpx2")
    from llm_playground.providers import discovery, models

    rows = _listed_rows()
    near = [row for row in rows if discovery.is_near(row)]
    far = [row for row in rows if row not in near and _is_due(row)]
    found, listings = await asyncio.gather(
        discovery.listening(near), asyncio.gather(*(models.listed(row, timeout_s) for row in far))
    )
    for row in near:
        _live.pop(row.name, None)
    heard = dict(zip((row.name for row in far), listings, strict=True)) | found
    for row in rows:
        if row.name in heard:
            _keep(row, heard[row.name])


def _keep(row: EndpointRow, listing: Listing) -> None:
    endpoint = _endpoint(row)
    if endpoint is not None:  # its key may have gone meanwhile
        _live[row.name] = _Known(endpoint, listing, time.monotonic())


def _is_due(row: EndpointRow) -> bool:
    endpoint, known = _endpoint(row), _live.get(row.name)
    return endpoint is not None and not (known and known.endpoint == endpoint and known.fresh)


def _known_listing(row: EndpointRow) -> Listing | None:
    known = _live.get(row.name)
    return known.listing if known is not None and known.endpoint == _endpoint(row) else None


def _endpoint(row: EndpointRow) -> Endpoint | None:
    """Where it is reached, None while its key is missing."""
    try:
        return endpoint_of(row.name)
    except MissingKeyError:
        return None


def _listed_rows() -> list[EndpointRow]:
    return [row for row in config.rows().values() if row.offered and row.name != "local"]


def known_models() -> list[str]:
    """Every known model as ``provider:name``, without those about to be retired; newest first."""
    return [choice.model for choice in choices() if not choice.deprecated]


def models() -> pd.DataFrame:
    """Every known model, what can be used now first.

    Asks the providers whose key is there and the servers of this machine for their lists, for at
    most two seconds and at most every ten minutes.

    Returns:
        model, provider, available, reason (what is missing), context_window (tokens),
        input_usd_per_mtok and output_usd_per_mtok (US dollars per million tokens, NaN unknown),
        streaming, vision and tools (NA unknown), deprecated.
    """
    import pandas as pd  # first use, not import

    _loop.run(refresh(_MODELS_S))
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
            "vision": choice.vision,
            "tools": choice.tools,
            "deprecated": choice.deprecated,
        }
        for choice in choices()
    ]
    kinds = {"context_window": "Int64", "vision": "boolean", "tools": "boolean"}
    return pd.DataFrame(rows).astype(kinds)


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
    zero = Decimal(0)
    return Choice(
        *(LOCAL_MODEL, name, "local", here, reason, SLOT_TOKENS, zero, zero),
        free=True,
        about="Very small, runs in this kernel: to try the tool. Add a key for real answers.",
    )


def _of_row(row: EndpointRow, now: datetime) -> Iterator[Choice]:
    reason = _missing(row)
    if reason is not None and row.name not in _ALWAYS and not _is_malformed(row):
        return
    keyless = reason is not None and not _is_malformed(row)
    listing = _known_listing(row)
    if listing is not None and listing.key_refused:
        reason = f"{row.key_variables[0]} is not accepted"
    served = _served(row, listing)
    for model in sorted(served, key=_newest_first, reverse=True):
        yield _choice(row, model, reason, keyless, now)


def _choice(
    row: EndpointRow, model: ListedModel, reason: str | None, keyless: bool, now: datetime
) -> Choice:
    name = f"{row.name}:{model.name}"
    priced, rates = pricing.listed_model(name), pricing.rates(name, now)
    able = abilities.of(name)
    return Choice(
        model=name,
        label=model.name if row.name in _ALWAYS else name,
        provider=row.name,
        available=reason is None,
        reason=reason,
        context_window=model.context_window or (priced.context_window if priced else None),
        input_usd_per_mtok=None if rates is None else rates.input_usd_per_mtok,
        output_usd_per_mtok=None if rates is None else rates.output_usd_per_mtok,
        deprecated=bool(model.deprecated or _is_retired(priced)),
        free=pricing.is_free(name),
        vision=able.vision if model.vision is None else model.vision,
        tools=able.tools if model.tools is None else model.tools,
        reasoning=able.reasoning,
        about=_first_sentence(priced.description if priced else None),
        keyless=keyless,
    )


def _missing(row: EndpointRow) -> str | None:
    """What must be done before the endpoint can be used, None when nothing."""
    if not row.key_variables:
        return None
    status = key_status(row.name)
    words = {"missing": f"set {status.variable}", "malformed": f"{status.variable} is not a key"}
    return words.get(status.status)


def _is_malformed(row: EndpointRow) -> bool:
    return bool(row.key_variables) and key_status(row.name).status == "malformed"


def _served(row: EndpointRow, listing: Listing | None) -> list[ListedModel]:
    """The live list where there is one, else the price list's models."""
    if listing is None or listing.reason is not None:
        return [] if row.priced_as is None else _priced(row.name, row.priced_as)
    moved = config.base_url(row.name) is not None  # a gateway may serve anything
    return [model for model in listing.models if moved or _is_for_chat(row.name, model.name)]


def _is_for_chat(provider: str, name: str) -> bool:
    own = _OWN_NAMES.get(provider)
    if own is None:
        return not NOT_CHAT.search(name)
    return bool(own.search(name)) and not _OTHER_KINDS.search(name)


@lru_cache(maxsize=64)
def _priced(provider: str, priced_as: str) -> list[ListedModel]:
    from genai_prices import data_snapshot  # first use, not import: 0.3 s

    now = datetime.now(UTC)
    return [
        ListedModel(model.id)
        for of_provider in data_snapshot.get_snapshot().providers
        if of_provider.id == priced_as
        for model in of_provider.models
        if _is_for_chat(provider, model.id) and model.get_prices(now).output_mtok is not None
    ]


def _newest_first(model: ListedModel) -> tuple[datetime, list[int], bool, str]:
    return (model.released_at or _LONG_AGO, *_version(model.name))


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


def _shortened(tokens: int) -> str:
    """A number of tokens, short.

    >>> _shortened(4096), _shortened(128_000), _shortened(1_048_576)
    ('4k', '128k', '1M')
    """
    if tokens >= 1_000_000:
        return f"{tokens // 100_000 / 10:g}M"
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def _is_retired(priced: ModelInfo | None) -> bool:
    """Whether the price list marks it so, or keeps it only for the bills of old."""
    if priced is None:
        return False
    return bool(priced.deprecated or (priced.description or "").startswith("Retired"))


def _first_sentence(text: str | None) -> str | None:
    """The first sentence, cut between words where it is longer than a line.

    >>> _first_sentence("Fast and small. Does much.")
    'Fast and small'
    """
    if not text:
        return None
    first = re.split(r"(?<=[^.\s][a-z)\d])\. |\n", text.strip(), maxsplit=1)[0].rstrip(".")
    return textwrap.shorten(first, _LINE, placeholder="…")


def _as_float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
