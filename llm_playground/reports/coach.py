"""A coach for providers' prompt caches: what prompts begin with alike, and what that could save."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from math import isnan
from typing import TYPE_CHECKING, Any, Unpack

from llm_playground import pricing
from llm_playground.reports.filters import Filters, condition
from llm_playground.reports.groups import tables
from llm_playground.reports.speed import SENT
from llm_playground.runlog import open_log

if TYPE_CHECKING:
    import pandas as pd

_COLUMNS = (
    *("model", "prefix", "prefix_tokens", "minimum_tokens", "prompts", "runs", "repeat_runs"),
    *("cached_tokens", "missed_tokens", "missed_usd", "advice"),
)
_MILLION = Decimal(1_000_000)

# The fewest tokens a provider caches, by the start of a model's name; the first that fits counts.
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
        'Ask for it: extra={"cache_control": {"type": "ephemeral"}}, and keep what varies last.',
    ),
    ("", "Caching is automatic: keep the beginning the same to the letter and what varies last."),
)
_LASTS_S = 300  # after its last use; some providers keep it for longer
# Fewer than there are: a cut that is too long would miss prefixes, a shorter one finds them too.
_CHARS_PER_TOKEN = 3
_UNKNOWN_TOKENS_PER_CHAR = 0.25
_WORTH = 0.05  # what is missed of what could be read; less is as good as it gets
_SHOWN_CHARS = 80

_NOTHING_USD = Decimal("0.000001")

# Messages in their order, as JSON; of a program that stores none, the two prompts.
_BODY = "coalesce(CAST(p.messages AS TEXT), concat_ws(chr(10), p.system_prompt, p.user_prompt))"
_MODELS = """
SELECT DISTINCT r.model FROM {tables} WHERE {where} AND {sent} AND r.model IS NOT NULL
"""
# What all of a group begin with is what its first and its last in alphabetical order begin with.
_GROUPS = f"""
WITH cuts AS (
    SELECT unnest($models_cut::TEXT[]) AS model, unnest($chars_cut::INTEGER[]) AS chars
), sent AS (
    SELECT r.model, r.started_at, r.input_tokens, coalesce(r.cache_read_tokens, 0) AS read,
        {_BODY} AS body, md5(left({_BODY}, cuts.chars)) AS start
    FROM {{tables}} JOIN cuts ON cuts.model = r.model
    WHERE {{where}} AND {{sent}} AND length({_BODY}) >= cuts.chars
), timed AS (
    SELECT *, extract(epoch FROM started_at - lag(started_at) OVER (
        PARTITION BY model, start ORDER BY started_at)) <= {_LASTS_S} AS soon
    FROM sent
)
SELECT model, count(DISTINCT body) AS prompts, count(*) AS runs,
    count(*) FILTER (WHERE soon) AS repeat_runs,
    sum(read)::BIGINT AS cached_tokens,
    (sum(read) FILTER (WHERE soon))::BIGINT AS repeat_cached_tokens,
    (sum(input_tokens) FILTER (WHERE input_tokens > 0))::FLOAT8
        / (sum(length(body)) FILTER (WHERE input_tokens > 0))::FLOAT8 AS tokens_per_char,
    min(body COLLATE "C") AS first, max(body COLLATE "C") AS last
FROM timed GROUP BY model, start HAVING count(*) FILTER (WHERE soon) > 0
ORDER BY runs DESC, model
"""  # noqa: S608 - constants of this module


def prompt_cache(**filters: Unpack[Filters]) -> pd.DataFrame:
    """Beginnings that prompts share, and what a prompt cache would have saved on them.

    ``model``, ``prefix`` (how it begins), ``prefix_tokens`` (estimated from the runs' own counts),
    ``minimum_tokens`` (what the provider caches at least), ``prompts``, ``runs``, ``repeat_runs``
    (sent within five minutes of another, so that a cache would have held), ``cached_tokens`` (read
    from a cache), ``missed_tokens``, ``missed_usd`` (today's prices, writing into the cache
    counted; NaN where unknown) and ``advice``. What saves most comes first; beginnings that are
    too short, or cached well already, are not listed. Of messages, tools and pictures only the
    messages' text is known here.

    Args:
        **filters: See :class:`Filters`.

    Raises:
        InvalidParameterError: A filter is unknown or cannot be understood.
        RunLogError: The log cannot be read.
    """
    import pandas as pd

    log = open_log()
    where = condition(filters, log.dialect)
    parts = {"where": where.sql, "sent": SENT}
    asked = _MODELS.format(tables=tables(where.tables), **parts)
    models = [str(model) for model in log.frame(asked, where.values).model]
    cuts = {
        "models_cut": models,
        "chars_cut": [minimum_tokens(model) * _CHARS_PER_TOKEN for model in models],
    }
    query = _GROUPS.format(tables=tables(where.tables | {"p"}), **parts)
    found = log.frame(query, {**where.values, **cuts}).itertuples() if models else ()
    now = datetime.now(UTC)
    rows = [row for group in found if (row := _row(group, now)) is not None]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    return frame.astype({"missed_usd": "float64"}).sort_values(
        "missed_usd", ascending=False, kind="stable", ignore_index=True
    )


def minimum_tokens(model: str) -> int:
    """The shortest beginning that a model's provider caches.

    >>> minimum_tokens("anthropic:claude-haiku-4-5"), minimum_tokens("openai:gpt-x")
    (4096, 1024)
    """
    return next(least for start, least in _MINIMUM_TOKENS if model.startswith(start))


def _row(group: Any, now: datetime) -> tuple[object, ...] | None:  # noqa: ANN401 - a row of a frame
    """What there is to say of one group, None where a cache would not help."""
    prefix = _common(group.first, group.last)
    per_char = _UNKNOWN_TOKENS_PER_CHAR if isnan(group.tokens_per_char) else group.tokens_per_char
    tokens, least = int(len(prefix) * per_char), minimum_tokens(group.model)
    missed = max(group.repeat_runs * tokens - int(group.repeat_cached_tokens), 0)
    if tokens < least or missed < _WORTH * group.repeat_runs * tokens:
        return None
    writes = 0 if group.cached_tokens else (group.runs - group.repeat_runs) * tokens
    missed_usd = _saving(group.model, now, missed, writes)
    if missed_usd is not None and missed_usd < _NOTHING_USD:
        return None
    advice = next(text for start, text in _ADVICE if group.model.startswith(start))
    return (
        *(group.model, _shown(prefix), tokens, least, group.prompts, group.runs),
        *(group.repeat_runs, int(group.cached_tokens), missed),
        *(None if missed_usd is None else float(missed_usd), advice),
    )


def _common(first: str, last: str) -> str:
    """What both begin with.

    >>> _common("prefix", "present")
    'pre'
    """
    pairs = enumerate(zip(first, last, strict=False))
    differs = (place for place, (one, other) in pairs if one != other)
    return first[: next(differs, min(len(first), len(last)))]


def _saving(model: str, now: datetime, missed: int, writes: int) -> Decimal | None:
    """US dollars less for tokens read from the cache instead, writing them once counted."""
    rates = pricing.rates(model, now)
    if rates is None:
        return None
    plain = rates.input_usd_per_mtok
    read = plain if rates.cache_read_usd_per_mtok is None else rates.cache_read_usd_per_mtok
    write = plain if rates.cache_write_usd_per_mtok is None else rates.cache_write_usd_per_mtok
    return (missed * (plain - read) - writes * max(write - plain, Decimal(0))) / _MILLION


def _shown(prefix: str) -> str:
    """How a prefix begins, for people: the first text within its messages."""
    found = re.search(r'"text":\s*("(?:[^"\\]|\\.)*)', prefix)
    text = json.loads(found[1] + '"') if found else prefix
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARS else f"{line[:_SHOWN_CHARS]}…"
