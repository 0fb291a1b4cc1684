"""The line under an answer, the same on every surface: cost · time · tokens."""

from __future__ import annotations

from decimal import Decimal

from llm_playground.events import Retrying
from llm_playground.types import Run

LOCAL_NOTE = "A very small model, to try the tool. Add a key for real answers."


def text(run: Run) -> str:
    """Cost, time and output tokens of an ended run.

    A stopped one says after how many tokens instead of how long it took.
    """
    parts = [cost(run)]
    if run.status == "over_budget":
        return "not sent · nothing billed"
    if run.cached:
        return " · ".join([*parts, *([_tokens(run)] if run.usage else [])])
    if run.status == "cancelled":
        parts.append(_stopped(run))
    else:
        parts += [duration(run.response_time_ms)] if run.response_time_ms is not None else []
        parts += [_tokens(run)] if run.usage and run.usage.output_tokens is not None else []
    return " · ".join(parts)


def details(run: Run) -> str:
    """What the footer leaves out: first text, speed, attempts, tokens in and out."""
    usage = run.usage
    parts = [
        f"first text {duration(run.ttft_ms)}" if run.ttft_ms is not None else "",
        f"{run.tokens_per_second:.0f} tokens/s" if run.tokens_per_second else "",
        _attempts(run),
        f"{usage.input_tokens:,} in, {usage.output_tokens:,} out"
        if usage and usage.input_tokens is not None and usage.output_tokens is not None
        else "",
    ]
    return " · ".join(part for part in parts if part)


def notices(run: Run) -> list[str]:
    """What has to be said about an answer: how it failed or ended, who gave it."""
    said = []
    if run.error is not None:
        said.append(str(run.error))
    if run.finish_reason == "length":
        said.append(run.data_error or _cut_off(run))
    elif run.data_error is not None:
        said.append(f"Not the shape that was asked for: {run.data_error}")
    if run.max_tokens_cap is not None and run.status != "over_budget":
        said.append(f"Max tokens capped at {run.max_tokens_cap:,}: a budget applies.")
    said += run.budget_notices
    if run.dropped_parameters:
        said.append(f"Not sent, {run.model} takes no {', '.join(run.dropped_parameters)}.")
    said += [f"Asked for {call.name}({call.arguments_json})." for call in run.tool_calls]
    if skipped := sum(attempt.skipped_events for attempt in run.attempts):
        said.append(f"{skipped:,} event{'' if skipped == 1 else 's'} of the stream made no sense.")
    if run.provider == "local" and run.status in {"completed", "cancelled"}:
        said.append(LOCAL_NOTE)
    return said


def retrying(event: Retrying) -> str:
    """What a running answer says while it waits for its next attempt.

    >>> retrying(Retrying(2, 5, 6.2, "OpenAI limits the rate (429). Run again in 6 s."))
    'OpenAI limits the rate (429). Next try in 6 s, 2 of 5.'
    """
    happened = event.reason.partition(" Run again")[0]  # advice for when nothing else follows
    when = f"Next try in {event.wait_s:.0f} s" if event.wait_s >= 1 else "Trying again"
    return f"{happened} {when}, {event.number} of {event.of}."


def cost(run: Run) -> str:
    """``free``, ``$0.0005``, ``about $0.0003``, or ``price unknown``."""
    if run.cached:
        return f"reused, saved {usd(run.saved_usd)}" if run.saved_usd else "reused"
    if run.price_source == "free":
        return "free"
    if run.cost_usd is None:
        return "nothing billed" if run.usage is None else "price unknown"
    about = "about " if run.usage_source == "estimated" else ""
    return f"{about}{usd(run.cost_usd)}"


def usd(amount: Decimal) -> str:
    """Dollars, with as many digits as a small amount needs.

    >>> usd(Decimal("12.4")), usd(Decimal("0.00054")), usd(Decimal("0.0000004"))
    ('$12.40', '$0.0005', '$0.0000004')
    """
    if amount == 0 or amount >= 1:
        return f"${amount:,.2f}"
    if amount >= Decimal("0.0001"):
        return f"${amount:.4f}"
    return f"${amount:.1g}" if amount >= Decimal("0.00001") else f"${amount:.7f}"


def duration(ms: float) -> str:
    """Seconds, or minutes and seconds.

    >>> duration(1_900), duration(410), duration(125_000)
    ('1.9 s', '0.41 s', '2 min 5 s')
    """
    seconds = ms / 1000
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def _tokens(run: Run) -> str:
    output = run.usage.output_tokens if run.usage else None
    about = "about " if run.usage_source == "estimated" else ""
    return f"{about}{output:,} token{'' if output == 1 else 's'}"


def _attempts(run: Run) -> str:
    count = len(run.attempts)
    return f"{count} attempt{'' if count == 1 else 's'}" if count else ""


def _stopped(run: Run) -> str:
    output = run.usage.output_tokens if run.usage else None
    return f"stopped after {output:,} tokens" if output else "stopped before the first token"


def _cut_off(run: Run) -> str:
    limit = run.cut_off_at
    if limit and not run.text and run.usage and run.usage.reasoning_tokens:
        return f"No answer: all {limit:,} tokens went to reasoning. Set a higher max tokens."
    at = f" at {limit:,} tokens" if limit else ""
    return f"Cut off{at}. Set a higher max tokens to get the whole answer."
