"""What runs would have cost otherwise: with a prompt cache, or on another model."""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from itertools import chain
from math import isnan
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from llm_playground import config
from llm_playground._validation import checks_arguments
from llm_playground.catalog import pricing
from llm_playground.catalog.capabilities import resolve_model
from llm_playground.errors import InvalidParameterError
from llm_playground.reports.query import (
    SENT,
    STATUS,
    By,
    Filters,
    check_filters,
    report,
    summed,
)
from llm_playground.runlog import open_log
from llm_playground.runlog.store import Dialect
from llm_playground.types import Usage

if TYPE_CHECKING:
    import pandas as pd


T = TypeVar("T")

_CACHE_COLUMNS = (
    *("model", "prefix", "missed_usd", "missed_tokens", "cached_tokens", "runs", "repeat_runs"),
    *("prompts", "prefix_tokens", "minimum_tokens", "advice"),
)
_MILLION = Decimal(1_000_000)

# The shortest prefix that a provider caches, by the start of a model's name; the first match wins.
# https://developers.openai.com/api/docs/guides/prompt-caching,
# https://platform.claude.com/docs/en/build-with-claude/prompt-caching,
# https://ai.google.dev/gemini-api/docs/caching; each as of November 2026.
_MINIMUM_TOKENS: tuple[tuple[str, int], ...] = (
    ("anthropic:claude-opus-5", 512),
    ("anthropic:claude-opus-4-7", 2048),
    ("anthropic:claude-opus-4-6", 4096),
    ("anthropic:claude-opus-4-5", 4096),
    ("anthropic:claude-haiku-4-5", 4096),
    ("anthropic:claude-3-5-haiku", 2048),
    ("anthropic:claude-3-haiku", 2048),
    ("gemini:gemini-2.5", 2048),
    ("gemini:", 4096),
    ("", 1024),
)
_ADVICE: tuple[tuple[str, str], ...] = (
    (
        "anthropic:",
        'Turn it on with extra={"cache_control": {"type": "ephemeral"}}, and put what varies last.',
    ),
    ("", "Caching is automatic: keep the beginning identical and put what varies last."),
)
_CACHE_LIFETIME_S = 300  # after the last use; some providers keep prefixes for longer
# A low estimate: prompts are compared by a start of so many characters that it is surely not longer
# than the prefix they share.
_CHARS_PER_TOKEN = 3
_DEFAULT_TOKENS_PER_CHAR = 0.25
_LOWEST_MISSED_SHARE = 0.05
_LOWEST_MISSED_USD = Decimal("0.000001")
_SHOWN_CHARS = 80

# The messages as JSON, or the two prompts where another program stored no messages.
_BODY = "coalesce(CAST(p.messages AS TEXT), concat_ws(chr(10), p.system_prompt, p.user_prompt))"
_MODELS = """
SELECT DISTINCT r.model {from_runs} AND r.model IS NOT NULL
"""
# Each text is read, cut and hashed once, and only hashes and sizes are joined with the runs: most
# texts are shorter than any prefix that is cached. The prefix that all prompts of a group share is
# the one that the first and the last of them in alphabetical order share.
_PREFIXES = f"""
WITH starts AS (
    SELECT unnest($start_models::TEXT[]) AS model, unnest($start_chars::INTEGER[]) AS chars
), long AS MATERIALIZED (
    SELECT id, body, length(body) AS size, {{hash_of_body}} AS whole
    FROM (SELECT p.id, {_BODY} AS body FROM prompts p) AS bodies
    WHERE length(body) >= (SELECT min(chars) FROM starts)
), cut AS MATERIALIZED (
    SELECT id, size, chars, {{hash_of_start}} AS start
    FROM long JOIN (SELECT DISTINCT chars FROM starts) AS lengths ON size >= chars
), used AS MATERIALIZED (
    SELECT e.*, cut.size, cut.chars, cut.start FROM cut JOIN executions e ON e.prompt_id = cut.id
), sent AS MATERIALIZED (
    SELECT r.model, r.started_at, r.input_tokens, coalesce(r.cache_read_tokens, 0) AS read,
        e.prompt_id, e.size, e.start
    {{from_runs}} AND (r.model, e.chars) IN (SELECT model, chars FROM starts)
), timed AS (
    SELECT *, extract(epoch FROM started_at - lag(started_at) OVER (
        PARTITION BY model, start ORDER BY started_at)) <= {_CACHE_LIFETIME_S} AS soon
    FROM sent
), counted AS MATERIALIZED (
    SELECT model, start, count(*) AS runs,
        count(*) FILTER (WHERE soon) AS repeat_runs,
        {summed("read")} AS cached_tokens,
        {summed("CASE WHEN soon THEN read END")} AS repeat_cached_tokens,
        (sum(input_tokens) FILTER (WHERE input_tokens > 0))::FLOAT8
            / (sum(size) FILTER (WHERE input_tokens > 0))::FLOAT8 AS tokens_per_char
    FROM timed GROUP BY model, start HAVING count(*) FILTER (WHERE soon) > 0
), texts AS (
    SELECT model, start, count(DISTINCT whole) AS prompts,
        min(body COLLATE "C") AS first, max(body COLLATE "C") AS last
    FROM (SELECT DISTINCT model, start, prompt_id FROM sent) AS distinct_prompts
    JOIN long ON long.id = prompt_id GROUP BY model, start
)
SELECT counted.model, prompts, runs, repeat_runs, cached_tokens, repeat_cached_tokens,
    tokens_per_char, first, last
FROM counted JOIN texts ON texts.model = counted.model AND texts.start = counted.start
ORDER BY runs DESC, counted.model
"""  # noqa: S608 - names of columns
_HASH: dict[Dialect, str] = {
    "duckdb": "hash({})",
    "postgres": "hashtextextended({}, 0)",
}
# Within a tier, the price of summed tokens is the sum of the runs' prices. Tier -1 is for runs with
# token counts that are unknown or contradict each other.
_TIER_SUMS = f"""
SELECT {{shown}}price_tier, cost_usd IS NOT NULL AS priced, count(*) AS runs,
    count(*) FILTER (WHERE price_tier = -1
        AND (usage_source IS DISTINCT FROM 'none' OR {STATUS} = 'completed')) AS unknown_runs,
    {summed("input_tokens")} AS input_tokens, {summed("output_tokens")} AS output_tokens,
    {summed("cache_read_tokens")} AS cache_read_tokens,
    {summed("cache_write_tokens")} AS cache_write_tokens, sum(cost_usd)::FLOAT8 AS cost_usd
FROM (
    SELECT *, CASE
        WHEN input_tokens IS NULL OR output_tokens IS NULL
            OR coalesce(cache_read_tokens, 0)::FLOAT8 + coalesce(cache_write_tokens, 0)
                > input_tokens
            OR least(input_tokens, output_tokens, cache_read_tokens, cache_write_tokens) < 0
        THEN -1 ELSE {{price_tier}} END AS price_tier
    FROM ({{runs}}) AS chosen
) AS tiered
GROUP BY {{columns}}price_tier, cost_usd IS NOT NULL
ORDER BY {{order}}price_tier
"""  # noqa: S608 - names of columns
_COUNTS = ("runs", "input_tokens", "output_tokens")
_USD = ("cost_usd", "what_if_usd", "difference_usd")


@dataclass(frozen=True, slots=True)
class TierRates:
    """US dollars within one price tier: ``fixed`` for each run, the others for each token.

    ``cache_read`` and ``cache_write`` are the differences to the price of other input tokens.
    """

    fixed: Decimal
    input: Decimal
    output: Decimal
    cache_read: Decimal
    cache_write: Decimal

    def price(self, runs: int, usage: Usage) -> Decimal:
        """The cost of ``runs`` runs that used ``usage`` in total."""
        parts = (
            (runs, self.fixed),
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read),
            (usage.cache_write_tokens, self.cache_write),
        )
        return sum(((count or 0) * each for count, each in parts), Decimal(0))


@dataclass(frozen=True, slots=True)
class RateCard:
    """The prices of a model at one time, tier by tier, as exact as pricing each run."""

    starts: Sequence[int]  # a run with more input tokens than the n-th of these is in tier n + 1
    tiers: Sequence[TierRates]

    @classmethod
    def of(cls, model: str, at: datetime) -> RateCard:
        """The prices of ``provider:name`` at ``at``; InvalidParameterError if they are unknown."""
        starts: list[int] = []
        listed = pricing.listed_model(model)
        if listed and config.rates(model) is None and not pricing.is_free(model):
            tiers = (getattr(rate, "tiers", ()) for rate in vars(listed.get_prices(at)).values())
            starts = sorted({int(tier.start) for tier in chain.from_iterable(tiers)})
        return cls(starts, [_tier_rates(model, at, start + 1) for start in (0, *starts)])

    def tier_sql(self, column: str) -> str:
        """The SQL for the tier of a run, from its input tokens.

        >>> RateCard([200_000], []).tier_sql("input_tokens")
        '0 + (CASE WHEN input_tokens > 200000 THEN 1 ELSE 0 END)'
        """
        steps = [f"(CASE WHEN {column} > {start} THEN 1 ELSE 0 END)" for start in self.starts]
        return " + ".join(["0", *steps])


@checks_arguments("prompt_cache")
def prompt_cache(**filters: Unpack[Filters]) -> pd.DataFrame:
    """Prefixes that prompts share, and what a prompt cache would have saved on them.

    Columns: ``model``, ``prefix`` (its beginning), ``missed_usd`` (at today's prices, less the cost
    of writing into the cache; NaN where unknown), ``missed_tokens``, ``cached_tokens`` (read from a
    cache), ``runs``, ``repeat_runs`` (sent within five minutes of another, so that a cache would
    have kept the prefix), ``prompts``, ``prefix_tokens`` (estimated from the runs' own counts),
    ``minimum_tokens`` (the shortest prefix that the provider caches) and ``advice``. The largest
    saving comes first; prefixes that are too short or already cached well are left out.
    Only the text of messages is compared, not tools and images.

    Args:
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or its value is invalid.
        RunLogError: The log cannot be read.
    """
    from llm_playground.frames import Frame  # pandas is imported on first use

    models = [str(model) for model in report(_MODELS, (), filters, which=SENT).model]
    chars = [_first_match(_MINIMUM_TOKENS, model) * _CHARS_PER_TOKEN for model in models]
    values = {"start_models": models, "start_chars": chars}
    rows = []
    if models:
        hash_of = _HASH[open_log().dialect].format
        found = report(
            _PREFIXES,
            (),
            filters,
            which=SENT,
            tables=frozenset("e"),
            executions="used",
            values=values,
            hash_of_body=hash_of("body"),
            hash_of_start=hash_of("left(body, chars)"),
        )
        now = datetime.now(UTC)
        rows = [row for group in found.itertuples() if (row := _cache_row(group, now))]
    frame = Frame(rows, columns=list(_CACHE_COLUMNS))
    return frame.astype({"missed_usd": "float64"}).sort_values(
        "missed_usd", ascending=False, kind="stable", ignore_index=True
    )


@checks_arguments("what_if")
def what_if(
    other: str = "",
    /,
    by: By | Sequence[By] = ("model",),
    *,
    tz: str = "UTC",
    **filters: Unpack[Filters],
) -> pd.DataFrame:
    """What past runs would cost on another model, at its current prices, tiers included.

    Columns: those of ``by``, ``runs`` (sent and ended), ``input_tokens``, ``output_tokens``,
    ``cost_usd`` (the actual cost, where known), ``what_if_usd``, ``difference_usd`` (over the runs
    where both are known) and ``unknown_runs`` (token counts that are unknown or contradict each
    other; these runs are in no amount). The same token counts are assumed, cached ones too,
    although another model counts and caches differently.

    Args:
        other: The other model, ``provider:name`` or a bare name. (``model=`` filters runs.)
        by: month, day, model, provider, user, notebook, tag, tier, status; one or several.
        tz: The time zone of months and days.
        **filters: See :class:`Filters`.

    Raises:
        UnknownModelError: The name resolves to no model.
        InvalidParameterError: Its price is unknown, or ``by``, ``tz`` or a filter is invalid.
        RunLogError: The log cannot be read.

    Example:
        >>> float(what_if("local", by="month", since="2026-01").what_if_usd.sum())
        0.0
    """
    check_filters(filters, what_if)
    import pandas as pd

    if not other:
        raise InvalidParameterError('what_if takes the other model first: what_if("claude-...").')
    card = RateCard.of(resolve_model(other), datetime.now(UTC))
    tier = card.tier_sql("input_tokens")
    sums = report(_TIER_SUMS, by, filters, which=SENT, tz=tz, price_tier=tier)
    what_if_usd = pd.Series([_what_if_usd(row, card) for row in sums.itertuples()], dtype="float64")
    both = what_if_usd.notna() & sums.priced.astype(bool)
    difference_usd = (what_if_usd - sums.cost_usd).where(both)
    names = list(sums.columns[: list(sums.columns).index("price_tier")])
    priced = sums.assign(what_if_usd=what_if_usd, difference_usd=difference_usd)
    return _merge_tiers(priced, names)


def _first_match(table: Iterable[tuple[str, T]], model: str) -> T:
    return next(value for start, value in table if model.startswith(start))


def _cache_row(group: Any, now: datetime) -> tuple[object, ...] | None:  # noqa: ANN401 - a row of a frame
    """The row of the report for one group of prompts, None where a cache would not help."""
    # Of characters, not of path components.
    prefix = os.path.commonprefix([group.first, group.last])  # noqa: RUF071 - as above
    per_char = _DEFAULT_TOKENS_PER_CHAR if isnan(group.tokens_per_char) else group.tokens_per_char
    tokens, minimum = int(len(prefix) * per_char), _first_match(_MINIMUM_TOKENS, group.model)
    missed = max(group.repeat_runs * tokens - int(group.repeat_cached_tokens), 0)
    if tokens < minimum or missed < _LOWEST_MISSED_SHARE * group.repeat_runs * tokens:
        return None
    writes = 0 if group.cached_tokens else (group.runs - group.repeat_runs) * tokens
    missed_usd = _saving(group.model, now, missed, writes)
    if missed_usd is not None and missed_usd < _LOWEST_MISSED_USD:
        return None
    return (
        *(group.model, _shown(prefix), None if missed_usd is None else float(missed_usd)),
        *(missed, int(group.cached_tokens), group.runs, group.repeat_runs),
        *(group.prompts, tokens, minimum, _first_match(_ADVICE, group.model)),
    )


def _saving(model: str, now: datetime, missed: int, writes: int) -> Decimal | None:
    """US dollars saved by reading tokens from the cache, less the cost of writing them once."""
    rates = pricing.rates(model, now)
    if rates is None:
        return None
    plain = rates.input_usd_per_mtok
    read = plain if rates.cache_read_usd_per_mtok is None else rates.cache_read_usd_per_mtok
    write = plain if rates.cache_write_usd_per_mtok is None else rates.cache_write_usd_per_mtok
    return (missed * (plain - read) - writes * max(write - plain, Decimal(0))) / _MILLION


def _shown(prefix: str) -> str:
    """The beginning of the first text of a prefix, on one line."""
    match = re.search(r'"text":\s*("(?:[^"\\]|\\.)*)', prefix)
    text = json.loads(match[1] + '"') if match else prefix
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"


def _tier_rates(model: str, at: datetime, least: int) -> TierRates:
    """The rates of the tier that begins at ``least`` input tokens.

    They are found by pricing single tokens, so that all prices come from :mod:`catalog.pricing`.
    """

    def cost(sent: int, received: int = 0, read: int = 0, written: int = 0) -> Decimal:
        usd = pricing.price(model, Usage(sent, received, read, written), at).cost_usd
        if usd is None:
            raise InvalidParameterError(
                f"The price of {model} is unknown. Set it with configure(prices=...)."
            )
        return usd

    base = cost(least)
    each = cost(least + 1) - base
    return TierRates(
        fixed=base - least * each,
        input=each,
        output=cost(least, received=1) - base,
        cache_read=cost(least, read=1) - base,
        cache_write=cost(least, written=1) - base,
    )


def _what_if_usd(row: Any, card: RateCard) -> float | None:  # noqa: ANN401 - a row of a frame
    from pandas import isna

    if row.price_tier < 0:
        return None
    names = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")
    counts = {name: getattr(row, name) for name in names}
    known = {name: 0 if isna(count) else int(count) for name, count in counts.items()}
    usage = Usage(**known)  # type: ignore[arg-type]  # the names are those of token counts
    return float(card.tiers[row.price_tier].price(row.runs, usage))


def _merge_tiers(priced: pd.DataFrame, names: list[str]) -> pd.DataFrame:
    """One row for each group, of its tiers; an amount is NaN where it is unknown in all of them."""
    from llm_playground.frames import Frame  # pandas is imported on first use

    columns = [*_COUNTS, *_USD, "unknown_runs"]
    min_counts = {**dict.fromkeys(columns, 0), **dict.fromkeys(_USD, 1)}
    if not names:
        sums = {name: priced[name].sum(min_count=min_counts[name]) for name in columns}
        return Frame([sums] if len(priced) else [], columns=columns)
    groups = priced.groupby(names, dropna=False, sort=False)
    merged = Frame({name: groups[name].sum(min_count=min_counts[name]) for name in columns})
    return merged.reset_index()[[*names, *columns]]
