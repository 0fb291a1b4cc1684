"""Known models, from live lists and genai-prices, and whether each can be used now."""

from __future__ import annotations

import asyncio
import re
import textwrap
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

from llm_playground import _lifecycle, _runtime, config
from llm_playground._validation import checks_arguments
from llm_playground.catalog import capabilities, pricing, retirements
from llm_playground.catalog.listing import NOT_CHAT, ListedModel, Listing
from llm_playground.config.credentials import key_status, key_statuses
from llm_playground.config.endpoint_table import EndpointRow
from llm_playground.config.endpoints import LOCAL_MODEL
from llm_playground.errors import ConfigError
from llm_playground.installation import INSTALL
from llm_playground.providers import Endpoint, endpoint_of, local
from llm_playground.providers.local._server_process import SLOT_TOKENS

if TYPE_CHECKING:
    import pandas as pd


REFRESH_S = 3.0
_MODELS_S = 2.0
# How long a live list is used, and how long a failed query is not repeated.
_FRESH_S = 600.0
_RETRY_AFTER_S = 30.0
_MAX_DESCRIPTION_CHARS = 110

_COLUMNS = (
    *("model", "provider", "available", "reason", "context_window"),
    *("input_usd_per_mtok", "output_usd_per_mtok", "streaming", "vision", "tools", "deprecated"),
    "retires_at",
)
# Listed even without a key, to show what a key would make available.
_ALWAYS_LISTED = ("openai", "anthropic", "gemini")
# Models of these vendors that their chat APIs do not serve: audio, images, embeddings, moderation.
_OTHER_KINDS = re.compile(
    r"embedding|tts|audio|image|realtime|transcri|whisper|moderation|live|vision|instruct|davinci"
    r"|babbage|curie|^ada|robotics|omni|banana|computer-use|search|rosalind|cyber|deep-research"
    r"|safeguard|maas|:extended|-pro-1\.5|-flash-1\.5|[.]ft-|^gpt-oss|^gpt-3|codex"
)
_UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_NAMES = {
    "openai": re.compile(r"^(gpt|chatgpt|o\d|ft:)"),
    "anthropic": re.compile(r"^claude"),
    "gemini": re.compile(r"^(gemini|gemma)"),
}


@dataclass(frozen=True, slots=True)
class Choice:
    """One model that can be picked.

    ``reason`` is what is missing; None if the model can be used now. ``keyless`` is True if that is
    a key. Prices are US dollars per million tokens at the first tier. None is unknown, also for
    ``vision``, ``tools`` and ``reasoning``. ``retires_at`` is when its provider ends it; None if no
    end is known.
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
    retires_at: datetime | None = None

    @property
    def badges(self) -> tuple[str, ...]:
        """Its known abilities beyond text: ``vision``, ``tools``, ``reasoning``."""
        known = {"vision": self.vision, "tools": self.tools, "reasoning": self.reasoning}
        return tuple(name for name, able in known.items() if able)

    @property
    def description(self) -> str:
        """One line from the price list or from known facts; may be empty."""
        if self.about:
            return self.about
        facts = [
            "Reasons before it answers" if self.reasoning else "",
            f"{self.context} tokens of context" if self.context else "",
        ]
        return " · ".join(filter(None, facts))

    @property
    def context(self) -> str:
        """The context window as ``128k`` or ``1M``; empty if unknown."""
        return "" if self.context_window is None else _abbreviated(self.context_window)

    @property
    def price(self) -> str:
        """``free``, ``$0.25/$2`` per million tokens in and out, or empty."""
        if self.free:
            return "free"
        if self.input_usd_per_mtok is None or self.output_usd_per_mtok is None:
            return ""
        return price_text(self.input_usd_per_mtok, self.output_usd_per_mtok)


@dataclass(frozen=True, slots=True)
class _LiveListing:
    """A live list, its endpoint, and the time of the query (``time.monotonic``)."""

    endpoint: Endpoint
    listing: Listing
    at_s: float

    @property
    def fresh(self) -> bool:
        valid_for_s = _FRESH_S if self.listing.reason is None else _RETRY_AFTER_S
        return time.monotonic() - self.at_s < valid_for_s


_live: dict[str, _LiveListing] = {}
_lifecycle.register_state(globals(), "_live", dict)


def choices() -> list[Choice]:
    """All known models: those that can be used now first, newest first, deprecated last.

    Models of OpenAI, Anthropic and Gemini are listed with or without a key, others if they can be
    used; those that the administrator's policy does not allow are left out. The first call may take
    a few hundred milliseconds. Nothing is sent; see :func:`refresh`.
    """
    now = datetime.now(UTC)
    every = [_local(), *(choice for row in _listed_rows() for choice in _of_row(row, now))]
    every = [choice for choice in every if config.is_allowed(choice.model)]
    return sorted(every, key=lambda choice: (not choice.available, choice.deprecated))


async def refresh(timeout_s: float = REFRESH_S) -> None:
    """Query the live lists of models that :func:`choices` uses.

    Servers on known ports of this machine are queried each time, for at most 200 ms. Endpoints with
    a key are queried every ten minutes, for at most ``timeout_s``. All queries run in parallel;
    failures leave the choices unchanged.
    """
    # First use, not import; on a thread, since it takes 0.2 s and answers stream on this loop.
    await asyncio.to_thread(import_module, "httpx2")
    from llm_playground.catalog import listing

    rows = _listed_rows()
    local_rows = [row for row in rows if listing.is_near(row)]
    remote_rows = [row for row in rows if row not in local_rows and _is_due(row)]
    local_listings, listings = await asyncio.gather(
        listing.listening(local_rows),
        asyncio.gather(*(listing.listed(row, timeout_s) for row in remote_rows)),
    )
    for row in local_rows:
        _live.pop(row.name, None)
    by_name = dict(zip((row.name for row in remote_rows), listings, strict=True)) | local_listings
    for row in rows:
        endpoint = _endpoint(row) if row.name in by_name else None
        if endpoint is not None:  # None if the key was removed meanwhile
            _live[row.name] = _LiveListing(endpoint, by_name[row.name], time.monotonic())


def _is_due(row: EndpointRow) -> bool:
    endpoint, live = _endpoint(row), _live.get(row.name)
    return endpoint is not None and not (live and live.endpoint == endpoint and live.fresh)


def _endpoint(row: EndpointRow) -> Endpoint | None:
    """The endpoint of a row; None if its key is missing or must not be sent there."""
    try:
        return endpoint_of(row.name)
    except ConfigError:
        return None


def _listed_rows() -> list[EndpointRow]:
    """The endpoints with a list of models that the administrator's policy allows to ask."""
    rows = (row for row in config.rows().values() if row.offered and row.name != "local")
    return [row for row in rows if config.may_ask(row.name)]


def known_models() -> list[str]:
    """All known models as ``provider:name``, newest first, without deprecated ones."""
    return [choice.model for choice in choices() if not choice.deprecated]


@checks_arguments("models")
def models() -> pd.DataFrame:
    """All known models; those that can be used now come first.

    Queries the lists of providers with a key and of servers on this machine, for at most two
    seconds and at most every ten minutes.

    Returns:
        model, provider, available, reason (what is missing), context_window (tokens),
        input_usd_per_mtok and output_usd_per_mtok (US dollars per million tokens, NaN unknown),
        streaming, vision and tools (NA unknown), deprecated, retires_at (UTC, when the provider
        ends the model; NaT if no end is known).
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    _runtime.run(refresh(_MODELS_S))
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
            "retires_at": choice.retires_at,
        }
        for choice in choices()
    ]
    kinds = {"context_window": "Int64", "vision": "boolean", "tools": "boolean"}
    kinds["retires_at"] = "datetime64[us, UTC]"
    return Frame(rows, columns=list(_COLUMNS)).astype(kinds)


@checks_arguments("keys")
def keys() -> pd.DataFrame:
    """The state and source of every provider's key, without the keys.

    Returns:
        provider, variable, source, status (missing / malformed / present), masked.
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    columns = ["provider", "variable", "source", "status", "masked"]
    rows = [[getattr(key, column) for column in columns] for key in key_statuses()]
    return Frame(rows, columns=columns)


def _local() -> Choice:
    name, installed = LOCAL_MODEL.partition(":")[2], local.installed()
    reason = None if installed else INSTALL["local"]
    zero = Decimal(0)
    return Choice(
        *(LOCAL_MODEL, name, "local", installed, reason, SLOT_TOKENS, zero, zero),
        free=True,
        about="Very small, runs in this kernel: to try the tool. Add a key for real answers.",
    )


def _of_row(row: EndpointRow, now: datetime) -> Iterator[Choice]:
    reason = _missing(row)
    if reason is not None and row.name not in _ALWAYS_LISTED and not _is_malformed(row):
        return
    keyless = reason is not None and not _is_malformed(row)
    live = _live.get(row.name)
    listing = live.listing if live is not None and live.endpoint == _endpoint(row) else None
    if listing is not None and listing.key_refused:
        reason = f"{row.key_variables[0]} is not accepted"
    models = _served(row, listing)
    models.sort(key=lambda one: (one.released_at or _UNDATED, *_version(one.name)), reverse=True)
    for model in models:
        yield _choice(row, model, reason, keyless, now)


def _choice(
    row: EndpointRow, model: ListedModel, reason: str | None, keyless: bool, now: datetime
) -> Choice:
    name = f"{row.name}:{model.name}"
    priced, rates = pricing.listed_model(name), pricing.rates(name, now)
    abilities = capabilities.abilities_of(name)
    description = (priced.description if priced else None) or ""
    retired = bool(priced and priced.deprecated) or description.startswith("Retired")
    return Choice(
        model=name,
        label=model.name if row.name in _ALWAYS_LISTED else name,
        provider=row.name,
        available=reason is None,
        reason=reason,
        context_window=model.context_window or (priced.context_window if priced else None),
        input_usd_per_mtok=None if rates is None else rates.input_usd_per_mtok,
        output_usd_per_mtok=None if rates is None else rates.output_usd_per_mtok,
        deprecated=bool(model.deprecated or retired),
        free=pricing.is_free(name),
        vision=abilities.vision if model.vision is None else model.vision,
        tools=abilities.tools if model.tools is None else model.tools,
        reasoning=abilities.reasoning,
        about=_first_sentence(description),
        keyless=keyless,
        retires_at=_retires_at(row.name, model),
    )


def _retires_at(provider: str, model: ListedModel) -> datetime | None:
    """The end in the live list; what is announced elsewhere, unless the list calls it active."""
    if model.retires_at is not None or model.deprecated is False:
        return model.retires_at
    return retirements.announced(provider, model.name)


def ends_of(names: Iterable[str]) -> dict[str, datetime]:
    """When models end, given as ``provider:name``; only those of which an end is known.

    Reads the live lists that :func:`refresh` has queried, also of models that are no chat models.
    """
    ends: dict[str, datetime] = {}
    for name in names:
        provider, _, model = name.partition(":")
        live = _live.get(provider)
        listed = {one.name: one for one in live.listing.models} if live is not None else {}
        retires_at = _retires_at(provider, listed.get(model, ListedModel(model)))
        if retires_at is not None:
            ends[name] = retires_at
    return ends


def _missing(row: EndpointRow) -> str | None:
    """The reason why the endpoint cannot be used; None if it can."""
    if not row.key_variables:
        return None
    status = key_status(row.name)
    reasons = {"missing": f"set {status.variable}", "malformed": f"{status.variable} is not a key"}
    return reasons.get(status.status)


def _is_malformed(row: EndpointRow) -> bool:
    return bool(row.key_variables) and key_status(row.name).status == "malformed"


def _served(row: EndpointRow, listing: Listing | None) -> list[ListedModel]:
    """The models of the live list, or of the price list if there is no live one."""
    if listing is None or listing.reason is not None:
        return [] if row.priced_as is None else [*_priced(row.name, row.priced_as)]
    is_gateway = config.base_url(row.name) is not None  # which may serve any model
    return [model for model in listing.models if is_gateway or _is_for_chat(row.name, model.name)]


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


def _version(name: str) -> tuple[list[int], bool, str]:
    """Sort key of a model name: its numbers, then plain names above preview names.

    >>> _version("gpt-6-luna") > _version("gpt-5.6-luna") > _version("gpt-5-mini")
    True
    """
    numbers = [int(part) for part in re.findall(r"\d+", name) if len(part) < 4]  # not a date
    return numbers, "preview" not in name, name


def price_text(input_usd_per_mtok: Decimal, output_usd_per_mtok: Decimal) -> str:
    """The price of a million tokens in and out.

    >>> price_text(Decimal("0.25"), Decimal(2))
    '$0.25/$2'
    """
    return f"{_dollars(input_usd_per_mtok)}/{_dollars(output_usd_per_mtok)}"


def _dollars(amount: Decimal) -> str:
    """An amount as in price lists: whole dollars without decimals, else at least cents.

    >>> _dollars(Decimal("2.0")), _dollars(Decimal("0.1")), _dollars(Decimal("0.075"))
    ('$2', '$0.10', '$0.075')
    """
    plain = f"{amount.normalize():f}"
    decimals = len(plain.partition(".")[2])
    return f"${amount:.2f}" if decimals == 1 else f"${plain}"


def _abbreviated(tokens: int) -> str:
    """A number of tokens with the suffix k or M.

    >>> _abbreviated(4096), _abbreviated(128_000), _abbreviated(1_048_576)
    ('4k', '128k', '1M')
    """
    if tokens >= 1_000_000:
        return f"{tokens // 100_000 / 10:g}M"
    return f"{tokens // 1000}k" if tokens >= 1000 else str(tokens)


def _first_sentence(text: str) -> str | None:
    """The first sentence, shortened between words if it is long; None without one.

    >>> _first_sentence("Fast and small. Does much.")
    'Fast and small'
    """
    if not text:
        return None
    first = re.split(r"(?<=[^.\s][a-z)\d])\. |\n", text.strip(), maxsplit=1)[0].rstrip(".")
    return textwrap.shorten(first, _MAX_DESCRIPTION_CHARS, placeholder="…")


def _as_float(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
