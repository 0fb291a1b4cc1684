"""Generated runs for trying reports on an empty log. Their source is ``demo``."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from numbers import Integral

from llm_playground._validation import checks_arguments, repr_of
from llm_playground.catalog import models, pricing
from llm_playground.config.endpoints import LOCAL_MODEL
from llm_playground.errors import (
    ContentBlockedError,
    InvalidParameterError,
    LLMError,
    ProviderTimeoutError,
    RateLimitError,
    RunLogError,
)
from llm_playground.ids import id_from_hash, new_id
from llm_playground.parts import TextPart
from llm_playground.runlog import open_log, record
from llm_playground.types import (
    Attempt,
    Execution,
    FinishReason,
    Message,
    Parameters,
    Request,
    Run,
    Status,
    Usage,
    UsageSource,
)

_DAYS = 90
_MAX_RUNS = 1_000_000
_MODELS_PER_PROVIDER = 2
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
_MAX_SESSION_RUNS = 20
_ANSWER = "The customer asks for a date and gets the answer that none is known yet. "
_TOKENS_PER_CHAR = 0.25


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a run ends, with the weight of how often."""

    weight: int
    status: Status = "completed"
    finish_reason: FinishReason | None = "stop"
    usage_source: UsageSource = "provider"
    error: LLMError | None = None
    attempts: int = 1
    reused: bool = False


_OUTCOMES = (
    _Outcome(860),
    _Outcome(40, attempts=2),
    _Outcome(30, reused=True),
    _Outcome(20, finish_reason="length"),
    _Outcome(20, "cancelled", None, "estimated"),
    _Outcome(15, "failed", None, "none", RateLimitError("Too many requests."), attempts=5),
    _Outcome(8, "failed", None, "none", ProviderTimeoutError("No answer within 60 s.")),
    _Outcome(7, "blocked", "content_filter", "provider", ContentBlockedError("Not answered.")),
)


@checks_arguments("demo_runs")
def demo_runs(n: int = 1000) -> int:
    """Fill an empty log with generated runs of the last 90 days, for trying reports.

    Nothing is sent. Apart from their dates, the runs are the same each time; they use the newest
    models of the price list at their prices. Some failed, were cut off, repeated or re-used from
    the log. Each has the source ``demo`` and the tag ``demo``. The audit log gets an entry. 2,000
    runs take about a second.

    Args:
        n: The number of runs.

    Returns:
        The number of runs in the log.

    Raises:
        InvalidParameterError: ``n`` is not a valid number of runs.
        RunLogError: The log has runs already, or cannot be written.

    Example:
        >>> import llm_playground as lp
        >>> lp.configure(log="demo.duckdb")                    # doctest: +SKIP
        >>> lp.demo_runs(500)                                  # doctest: +SKIP
        500
    """
    if isinstance(n, bool) or not isinstance(n, Integral) or not 0 < n <= _MAX_RUNS:
        raise InvalidParameterError(
            f"n is {repr_of(n)}; it takes a number of runs from 1 to {_MAX_RUNS:,}."
        )
    log = open_log()
    there = int(log.frame("SELECT count(*) AS n FROM results").n[0])
    if there:
        raise RunLogError(
            f"The log has {there:,} runs already; demo runs go into an empty one. "
            'Choose another with configure(log="demo.duckdb").'
        )
    for request, execution, run in _runs(int(n), datetime.now(UTC)):
        log.started(run, request, execution)
        log.finished(run)
        ended = run.started_at + timedelta(milliseconds=run.response_time_ms or 0)
        log.execution_finished(execution.id, run.status, ended)
    record("demo_runs", None, {"runs": int(n)})
    log.drain()
    return int(n)


def _runs(n: int, now: datetime) -> Iterator[tuple[Request, Execution, Run]]:
    chance = random.Random(n)  # noqa: S311 - seeded, for the same runs each time
    left = n
    sessions = _work_sessions(now, chance)
    while left:
        session = next(sessions)
        runs = min(left, chance.randint(1, _MAX_SESSION_RUNS))
        at = session.execution.started_at
        for _ in range(runs):
            at += timedelta(seconds=chance.uniform(5, 90))
            request = _request(session, chance)
            prompt_id = id_from_hash(request.prompt_hash())
            execution = replace(
                session.execution, id=new_id(), prompt_id=prompt_id, started_at=min(at, now)
            )
            yield request, execution, _run(request, execution, chance)
        left -= runs


@dataclass(frozen=True, slots=True)
class _WorkSession:
    """Some runs of one user, one after another; ``execution`` has all but their ids and times."""

    execution: Execution
    model: str
    system: str


def _work_sessions(now: datetime, chance: random.Random) -> Iterator[_WorkSession]:
    """Endless sessions: more in working hours, on working days, and in recent weeks."""
    models = _models()
    preferred = [1 / (place + 1) for place in range(len(models))]
    hours = [now - timedelta(hours=hour) for hour in range(1, _DAYS * 24)]
    likely = [
        (1 if at.weekday() < 5 else 0.15)
        * (1 if 8 <= at.hour < 18 else 0.1)
        * (1.5 - hours_ago / len(hours))
        for hours_ago, at in enumerate(hours)
    ]
    while True:
        [hour] = chance.choices(hours, likely)
        [model] = chance.choices(models, preferred)
        execution = Execution(
            id="",
            prompt_id="",
            iterations=1,
            source="demo",
            started_at=hour + timedelta(seconds=chance.uniform(0, 3000)),
            username=chance.choice(_USERS),
            notebook=chance.choice(_NOTEBOOKS),
            tags=("demo", *chance.choice(_TAGS)),
        )
        yield _WorkSession(execution, model, _HANDBOOK if chance.random() < 0.3 else _RULES)


def _models() -> list[str]:
    """The local model and the newest of each provider whose price is known."""
    by_provider: dict[str, list[str]] = {"local": [LOCAL_MODEL]}
    for choice in models.choices():
        if choice.output_usd_per_mtok and not choice.deprecated:
            by_provider.setdefault(choice.provider, []).append(choice.model)
    return [model for all_of in by_provider.values() for model in all_of[:_MODELS_PER_PROVIDER]]


def _request(session: _WorkSession, chance: random.Random) -> Request:
    # Few subjects are frequent, so that some requests are repeated.
    subject = min(int(chance.expovariate(1 / 20)), _SUBJECTS)
    user = f"{chance.choice(_TASKS)} It is case {subject}."
    messages = (
        Message("system", (TextPart(session.system),)),
        Message("user", (TextPart(user),)),
    )
    return Request(session.model, messages, Parameters(temperature=chance.choice((0.2, 0.7))))


def _run(request: Request, execution: Execution, chance: random.Random) -> Run:
    [outcome] = chance.choices(_OUTCOMES, [outcome.weight for outcome in _OUTCOMES])
    words = 1 + int(chance.lognormvariate(1.5, 0.8)) if outcome.status != "failed" else 0
    text = _ANSWER * words
    usage = None if outcome.usage_source == "none" else _usage(request, text, chance)
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
        status=outcome.status,
        text=text,
        response_model=request.model_name,
        finish_reason=outcome.finish_reason,
        usage=usage,
        usage_source=outcome.usage_source,
        cost_usd=price.cost_usd,
        price_source=price.source,
        ttft_ms=None if outcome.usage_source == "none" else ttft_ms,
        response_time_ms=ttft_ms + len(text) * chance.uniform(2, 6),
        queue_ms=0.0,
        attempts=_attempts(outcome, ttft_ms),
        error=outcome.error,
    )
    return _reused(run) if outcome.reused else run


def _usage(request: Request, text: str, chance: random.Random) -> Usage:
    sent = sum(len(message.text) for message in request.messages)
    tokens = int(sent * _TOKENS_PER_CHAR * chance.uniform(0.95, 1.05))
    return Usage(tokens, max(int(len(text) * _TOKENS_PER_CHAR), 1), 0, 0)


def _attempts(outcome: _Outcome, duration_ms: float) -> list[Attempt]:
    failed = (
        Attempt(number, 500.0 * number, 80.0, 429, error_type="RateLimitError")
        for number in range(1, outcome.attempts)
    )
    return [*failed, Attempt(outcome.attempts, 0.0, duration_ms)]


def _reused(run: Run) -> Run:
    """The run as a re-used answer: its cost is 0, and the original cost is what it saved."""
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
