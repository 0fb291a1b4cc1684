"""How amounts, durations, counts and the state of a run are written, the same on every surface."""

from __future__ import annotations

from decimal import Decimal

from llm_playground._validation import shorten
from llm_playground.events import Retrying
from llm_playground.redaction import printable, redact
from llm_playground.types import Run

_MAX_SHOWN_CALLS = 20  # of an answer; all are in `run.tool_calls`
LOCAL_NOTE = "A very small model, to try the tool. Add a key for real answers."


def footer(run: Run) -> str:
    """The footer of an ended run: cost · time · output tokens.

    A cancelled run shows after how many tokens it was stopped instead of its time.
    """
    if run.status == "over_budget" and run.usage is None:
        return "not sent · nothing billed"
    parts = [cost(run)]
    if run.status == "cancelled" and not run.cached:
        output = run.usage.output_tokens if run.usage else None
        when = f"after {output:,} tokens" if output else "before the first token"
        return f"{parts[0]} · stopped {when}"
    if run.response_time_ms is not None and not run.cached:
        parts.append(duration(run.response_time_ms))
    if run.usage and run.usage.output_tokens is not None:
        about = "about " if run.usage_source == "estimated" else ""
        parts.append(about + count(run.usage.output_tokens, "token"))
    return " · ".join(parts)


def details(run: Run) -> str:
    """What the footer leaves out: time to first token, speed, attempts, tokens in and out."""
    parts = []
    if run.ttft_ms is not None:
        parts.append(f"first text {duration(run.ttft_ms)}")
    if run.tokens_per_second:
        parts.append(f"{run.tokens_per_second:.0f} tokens/s")
    if run.attempts:
        parts.append(count(len(run.attempts), "attempt"))
    usage = run.usage
    if usage and usage.input_tokens is not None and usage.output_tokens is not None:
        parts.append(f"{usage.input_tokens:,} in, {usage.output_tokens:,} out")
    return " · ".join(parts)


def notices(run: Run) -> list[str]:
    """Sentences that are shown with an answer: errors, warnings, what was not sent."""
    lines = []
    if run.error is not None:
        lines.append(str(run.error))
    if run.finish_reason == "length":
        lines.append(run.data_error or _cut_off(run))
    elif run.data_error is not None:
        lines.append(f"Not the shape that was asked for: {run.data_error}")
    if run.max_tokens_cap is not None and run.status != "over_budget":
        lines.append(f"Max tokens capped at {run.max_tokens_cap:,}: a budget applies.")
    lines += run.budget_notices
    if run.dropped_parameters:
        lines.append(f"Not sent, {run.model} takes no {', '.join(run.dropped_parameters)}.")
    shown = run.tool_calls[:_MAX_SHOWN_CALLS]
    # Redacted first: a key must not be cut.
    calls = [(call.name, shorten(redact(call.arguments_json), 2_000)) for call in shown]
    lines += [f"Asked for {name}({arguments})." for name, arguments in calls]
    if more := len(run.tool_calls) - len(shown):
        lines.append(f"Asked for {count(more, 'more call')}.")
    if skipped := sum(attempt.skipped_events for attempt in run.attempts):
        lines.append(f"{count(skipped, 'event')} of the stream could not be read.")
    if run.provider == "local" and run.status in {"completed", "cancelled"}:
        lines.append(LOCAL_NOTE)
    return [printable(redact(line)) for line in lines]


def retrying(event: Retrying) -> str:
    """The state of a run that waits for its next attempt.

    >>> retrying(Retrying(2, 5, 6.2, "OpenAI limits the rate (429). Run again in 6 s."))
    'OpenAI limits the rate (429). Next try in 6 s, 2 of 5.'
    """
    reason = event.reason.partition(" Run again")[0]  # advice for when no attempt follows
    when = f"Next try in {event.wait_s:.0f} s" if event.wait_s >= 1 else "Trying again"
    return printable(f"{reason} {when}, {event.number} of {event.of}.")


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
    """US dollars, with as many digits as a small amount needs.

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


def count(number: int, noun: str) -> str:
    """A number with its noun.

    >>> count(1, "row"), count(1_200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def article(source: str) -> str:
    """A source of settings within a sentence: a single word takes "the", a name stays as it is.

    >>> article("environment"), article(".env"), article("this kernel")
    ('the environment', '.env', 'this kernel')
    """
    return f"the {source}" if source.isalpha() else source


def _cut_off(run: Run) -> str:
    limit = run.cut_off_at
    if limit and not run.text and run.usage and run.usage.reasoning_tokens:
        return f"No answer: all {limit:,} tokens went to reasoning. Set a higher max tokens."
    at = f" at {limit:,} tokens" if limit else ""
    return f"Cut off{at}. Set a higher max tokens to get the whole answer."
