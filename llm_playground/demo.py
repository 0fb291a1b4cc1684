"""Generated runs, for trying reports on a log that is still empty. Their source is ``demo``."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral

from llm_playground import catalog, pricing
from llm_playground._ids import id_from_hash, new_id
from llm_playground.capabilities import LOCAL_MODEL
from llm_playground.errors import (
    ContentBlockedError,
    InvalidParameterError,
    LLMError,
    ProviderTimeoutError,
    RateLimitError,
    RunLogError,
)
from llm_playground.runlog import RunLog, open_log
from llm_playground.types import (
    Attempt,
    Execution,
    FinishReason,
    Message,
    Parameters,
    Request,
    Run,
    Status,
    TextPart,
    Usage,
    UsageSource,
)

_DAYS = 90
_MOST = 1_000_000
_OF_EACH = 2  # models of each provider
_USERS = ("analysis", "support", "research", "editing")
_NOTEBOOKS = ("churn.ipynb", "letters.ipynb", "evaluation.ipynb", "reports/weekly.ipynb")
_TAGS: tuple[tuple[str, ...], ...] = ((), (), ("draft",), ("evaluation",), ("weekly", "draft"))
_TASKS = (
    "Summarise the complaint in two sentences.",
    "Classify the message as question, complaint or praise.",
    "Rewrite the paragraph for a reader in a hurry.",
    "Name three risks in the plan.",
    "Translate the notice into plain English.",
)
_SUBJECTS = 60
_RULES = "Answer briefly, in plain words, and say so when the text does not tell. "
_HANDBOOK = _RULES * 100  # long enough for a prompt cache
_SITTING = 20  # runs at most, one after another
_ANSWER = "The customer asks for a date and is told that none is known yet. "
_TOKENS_PER_CHAR = 0.25


@dataclass(frozen=True, slots=True)
class _Fate:
    """How a run ends, and how often."""

    weight: int
    status: Status = "completed"
    finish_reason: FinishReason | None = "stop"
    usage_source: UsageSource = "provider"
    error: LLMError | None = None
    attempts: int = 1
    reused: bool = False


_FATES = (
    _Fate(860),
    _Fate(40, attempts=2),
    _Fate(30, reused=True),
    _Fate(20, finish_reason="length"),
    _Fate(20, "cancelled", None, "estimated"),
    _Fate(15, "failed", None, "none", RateLimitError("Too many requests."), attempts=5),
    _Fate(8, "failed", None, "none", ProviderTimeoutError("No answer within 60 s.")),
    _Fate(7, "blocked", "content_filter", "provider", ContentBlockedError("Not answered.")),
)


def demo_runs(n: int = 1000) -> int:
    """Fill an empty log with generated runs of the last 90 days, for trying reports.

    Nothing is sent. The runs are the same each time but for their dates, of the newest models of
    the price list, priced as real ones; some failed, were cut off, repeated or came out of the log.
    Each has the source ``demo`` and the tag ``demo``. Takes about a second for 2,000 runs.

    Args:
        n: How many.

    Returns:
        How many there are now.

    Raises:
        InvalidParameterError: ``n`` is no number of runs.
        RunLogError: The log has runs already, or cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.configure(log="demo.duckdb")                    # doctest: +SKIP
        >>> lp.demo_runs(500)                                  # doctest: +SKIP
        500
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or not 0 < n <= _MOST:
        raise InvalidParameterError(f"n is {n!r}; it takes a number of runs from 1 to {_MOST:,}.")
    log = open_log()
    there = int(log.frame("SELECT count(*) AS n FROM results").n[0])
    if there:
        raise RunLogError(
            f"The log has {there:,} runs already; demo runs go into an empty one. "
            'Choose another with configure(log="demo.duckdb").'
        )
    for request, execution, run in _runs(int(n), datetime.now(UTC)):
        _record(log, request, execution, run)
    log.drain()
    return int(n)


def _record(log: RunLog, request: Request, execution: Execution, run: Run) -> None:
    begun = Run(
        **{name: getattr(run, name) for name in ("id", "execution_id", "prompt_id", "model")},
        iteration_number=1,
        provider=run.provider,
        started_at=run.started_at,
        parameters=run.parameters,
    )
    log.started(begun, request, execution)
    log.finished(run)
    ended = run.started_at + timedelta(milliseconds=run.response_time_ms or 0)
    log.execution_finished(execution.id, run.status, ended)


def _runs(n: int, now: datetime) -> Iterator[tuple[Request, Execution, Run]]:
    chance = random.Random(n)  # noqa: S311 - no secret, the same runs each time
    left = n
    sittings = _sittings(now, chance)
    while left:
        sitting = next(sittings)
        runs = min(left, chance.randint(1, _SITTING))
        at = sitting.begins
        for _ in range(runs):
            at += timedelta(seconds=chance.uniform(5, 90))
            request = _request(sitting, chance)
            execution = _execution(sitting, request, min(at, now))
            yield request, execution, _run(request, execution, chance)
        left -= runs


@dataclass(frozen=True, slots=True)
class _Sitting:
    """Somebody at work on something."""

    begins: datetime
    username: str
    notebook: str
    tags: tuple[str, ...]
    model: str
    system: str


def _sittings(now: datetime, chance: random.Random) -> Iterator[_Sitting]:
    """In working hours more than at night, on working days more than at weekends, more lately."""
    models = _models()
    preferred = [1 / (place + 1) for place in range(len(models))]
    hours = [now - timedelta(hours=hour) for hour in range(1, _DAYS * 24)]
    likely = [
        (1 if at.weekday() < 5 else 0.15) * (1 if 8 <= at.hour < 18 else 0.1) * (1.5 - age)
        for age, at in zip(_shares(len(hours)), hours, strict=True)
    ]
    while True:
        [hour] = chance.choices(hours, likely)
        [model] = chance.choices(models, preferred)
        yield _Sitting(
            begins=hour + timedelta(seconds=chance.uniform(0, 3000)),
            username=chance.choice(_USERS),
            notebook=chance.choice(_NOTEBOOKS),
            tags=("demo", *chance.choice(_TAGS)),
            model=model,
            system=_HANDBOOK if chance.random() < 0.3 else _RULES,
        )


def _shares(count: int) -> Iterator[float]:
    """From 0 up to 1."""
    return (number / count for number in range(count))


def _models() -> list[str]:
    """The local model and the newest of each provider whose price is known."""
    found: dict[str, list[str]] = {"local": [LOCAL_MODEL]}
    for choice in catalog.choices():
        known = found.setdefault(choice.provider, [])
        if choice.output_usd_per_mtok and not choice.deprecated and len(known) < _OF_EACH:
            known.append(choice.model)
    return [model for known in found.values() for model in known]


def _request(sitting: _Sitting, chance: random.Random) -> Request:
    # Few subjects are asked about often, so some requests come again.
    subject = min(int(chance.expovariate(1 / 20)), _SUBJECTS)
    user = f"{chance.choice(_TASKS)} It is case {subject}."
    messages = (
        Message("system", (TextPart(sitting.system),)),
        Message("user", (TextPart(user),)),
    )
    return Request(sitting.model, messages, Parameters(temperature=chance.choice((0.2, 0.7))))


def _execution(sitting: _Sitting, request: Request, at: datetime) -> Execution:
    return Execution(
        id=new_id(),
        prompt_id=id_from_hash(request.prompt_hash()),
        iterations=1,
        source="demo",
        username=sitting.username,
        started_at=at,
        notebook=sitting.notebook,
        tags=sitting.tags,
    )


def _run(request: Request, execution: Execution, chance: random.Random) -> Run:
    [fate] = chance.choices(_FATES, [fate.weight for fate in _FATES])
    words = 1 + int(chance.lognormvariate(1.5, 0.8)) if fate.status != "failed" else 0
    text = _ANSWER * words
    usage = None if fate.usage_source == "none" else _usage(request, text, chance)
    price = pricing.price(request.model, usage, execution.started_at)
    ttft_ms = chance.lognormvariate(math.log(400), 0.4)
    run = Run(
        id=new_id(),
        execution_id=execution.id,
        prompt_id=execution.prompt_id,
        iteration_number=1,
        model=request.model,
        provider=request.provider,
        started_at=execution.started_at,
        parameters=request.parameters,
        status=fate.status,
        text=text,
        response_model=request.model_name,
        finish_reason=fate.finish_reason,
        usage=usage,
        usage_source=fate.usage_source,
        cost_usd=price.cost_usd,
        price_source=price.source,
        ttft_ms=None if fate.usage_source == "none" else ttft_ms,
        response_time_ms=ttft_ms + len(text) * chance.uniform(2, 6),
        queue_ms=0.0,
        attempts=_attempts(fate, ttft_ms),
        error=fate.error,
    )
    return _reused(run) if fate.reused else run


def _usage(request: Request, text: str, chance: random.Random) -> Usage:
    sent = sum(len(message.text) for message in request.messages)
    tokens = int(sent * _TOKENS_PER_CHAR * chance.uniform(0.95, 1.05))
    return Usage(tokens, max(int(len(text) * _TOKENS_PER_CHAR), 1), 0, 0)


def _attempts(fate: _Fate, duration_ms: float) -> list[Attempt]:
    failed: Sequence[Attempt] = [
        Attempt(number, 500.0 * number, 80.0, 429, error_type="RateLimitError")
        for number in range(1, fate.attempts)
    ]
    return [*failed, Attempt(fate.attempts, 0.0, duration_ms)]


def _reused(run: Run) -> Run:
    """The same answer out of the log: it cost nothing, and what it saved is known."""
    return replace(
        run,
        cached=True,
        saved_usd=run.cost_usd,
        cost_usd=Decimal(0),
        price_source="reused",
        ttft_ms=None,
        response_time_ms=None,
        attempts=[],
    )
