"""The lines below an answer: its cost and time, and the notices about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

from llm_playground import formatting
from llm_playground._validation import short_repr, shorten
from llm_playground.parts import LEFT_OUT, PAUSED, REPEATS, OtherPart, RefusalPart
from llm_playground.redaction import printable, redact
from llm_playground.types import Run

_ZERO = Decimal(0)
_MAX_SHOWN_NAMES = 5
_MAX_SHOWN_CALLS = 20  # of an answer; all are in `run.tool_calls`
LOCAL_NOTE = "A very small model, to try the tool. Add a key for real answers."


def line(run: Run) -> str:
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
        waited_ms = sum(attempt.wait_ms for attempt in run.attempts)
        parts.append(formatting.duration_with_wait(run.response_time_ms, waited_ms))
    if run.usage and run.usage.output_tokens is not None:
        about = "about " if run.usage_source == "estimated" else ""
        parts.append(about + formatting.count(run.usage.output_tokens, "token"))
    return " · ".join(parts)


def details(run: Run) -> str:
    """What the footer leaves out: time to first token, speed, attempts, tokens in and out."""
    parts = []
    if run.ttft_ms is not None:
        parts.append(f"first text {formatting.duration(run.ttft_ms)}")
    if run.tokens_per_second:
        parts.append(f"{run.tokens_per_second:.0f} tokens/s")
    if run.attempts:
        parts.append(formatting.count(len(run.attempts), "attempt"))
    usage = run.usage
    if usage and usage.input_tokens is not None and usage.output_tokens is not None:
        parts.append(f"{usage.input_tokens:,} in, {usage.output_tokens:,} out")
    return " · ".join(parts)


def notices(run: Run) -> list[str]:
    """Sentences that are shown with an answer: errors, warnings, what was not sent.

    :func:`caveats` has those of a whole output.
    """
    lines = []
    if run.error is not None:
        lines.append(str(run.error))
    lines += _ending(run)
    if run.max_tokens_cap is not None and run.status != "over_budget":
        lines.append(f"Max tokens capped at {run.max_tokens_cap:,}: a budget applies.")
    lines += run.budget_notices
    if run.dropped_parameters:
        lines.append(_left_out(run.dropped_parameters, run.model, "does not take"))
    if run.api_version is not None:
        later = "later ones take no temperature, top_p and top_k"
        lines.append(f"Sent with API version {run.api_version}: {later}.")
    if run.left_out:
        counts = [formatting.count(number, kind) for kind, number in run.left_out.items()]
        lines.append(_left_out(counts, run.model, "has no place for"))
    lines += _about_parts(run)
    shown = run.tool_calls[:_MAX_SHOWN_CALLS]
    # Redacted first: a key must not be cut.
    calls = [(call.name, shorten(redact(call.arguments_json), 2_000)) for call in shown]
    lines += [f"Asked for {name}({arguments})." for name, arguments in calls]
    if more := len(run.tool_calls) - len(shown):
        lines.append(f"Asked for {formatting.count(more, 'more call')}.")
    if skipped := sum(attempt.skipped_events for attempt in run.attempts):
        lines.append(f"{formatting.count(skipped, 'event')} of the stream could not be read.")
    return [printable(redact(line)) for line in lines]


def caveats(runs: Iterable[Run]) -> list[str]:
    """Sentences about the models of an output, once each, however many answers it has."""
    answered = {"completed", "cancelled"}
    is_local = any(run.provider == "local" and run.status in answered for run in runs)
    return [LOCAL_NOTE] if is_local else []


def _left_out(names: Sequence[str], model: str, why: str) -> str:
    """A sentence about what was not sent with a call that was."""
    it = "it" if len(names) == 1 else "them"
    return f"Left out: {', '.join(names)} ({model} {why} {it})."


def _about_parts(run: Run) -> list[str]:
    """Sentences about the parts of an answer, apart from those that every surface shows."""
    lines = []
    if any(isinstance(part, RefusalPart) for part in run.parts):
        lines.append("The model refused to answer.")
    others = [part.kind for part in run.parts if isinstance(part, OtherPart)]
    if unknown := [kind for kind in others if kind not in (PAUSED, LEFT_OUT, REPEATS)]:
        are = "is" if len(unknown) == 1 else "are"
        count = formatting.count(len(unknown), "part")
        it = "It is" if len(unknown) == 1 else "They are"
        lines.append(
            f"{count} of the answer {are} not understood: {_named(unknown)}. {it} in run.parts."
        )
    if REPEATS in others:
        lines.append(
            "Stopped: the answer repeats itself. "
            'lp.configure(stop_repetition="off") lets such answers go on.'
        )
    if run.is_paused:
        lines.append(
            "The provider paused the turn. Send the answer back to continue it: "
            "messages=[..., run]."
        )
    return lines


def _named(names: Iterable[str]) -> str:
    """Different names, each with how often it came if more than once."""
    counts = Counter(names)
    shown = [
        shorten(redact(name), 60) + (f" ({count:,} times)" if count > 1 else "")
        for name, count in counts.most_common(_MAX_SHOWN_NAMES)
    ]
    return ", ".join([*shown, *(["..."] if len(counts) > len(shown) else [])])


def cost(run: Run) -> str:
    """``free``, ``$0.0005``, ``about $0.0003``, ``at least $0.0003``, ``price unknown``, ..."""
    if run.cached:
        return f"reused, saved {formatting.usd(run.saved_usd)}" if run.saved_usd else "reused"
    if run.price_source == "free":
        return "free"
    if run.cost_usd is None and run.at_least_usd:
        return f"at least {formatting.usd(run.at_least_usd)}"
    if run.cost_usd is None:
        return "nothing billed" if is_unbilled(run) else "price unknown"
    amount = formatting.cost_usd(run.cost_usd)
    is_about = run.usage_source == "estimated" and not amount.startswith("<")
    return f"about {amount}" if is_about else amount


def total_cost(runs: Sequence[Run]) -> str:
    """``free``, ``nothing billed``, or as :func:`llm_playground.formatting.total_usd`."""
    billed = [run for run in runs if not is_unbilled(run)]
    priced = [run for run in billed if run.cost_usd is not None]
    others = [run for run in billed if run.cost_usd is None]
    if all(run.price_source == "free" for run in billed):
        return "free" if billed else "nothing billed"
    return formatting.total_usd(
        sum((run.cost_usd or _ZERO for run in priced), _ZERO),
        sum((run.at_least_usd or _ZERO for run in others), _ZERO),
        is_estimated=any(run.usage_source == "estimated" and run.cost_usd for run in priced),
        unpriced=sum(not run.at_least_usd for run in others),
    )


def reused(runs: Sequence[Run]) -> str:
    """How many of several answers were re-used and what they had cost; empty if none was.

    ``reused 12 answers, saved $0.42``, ``reused 9 of 12 answers``.
    """
    stored = [run for run in runs if run.cached]
    if not stored:
        return ""
    answers = formatting.count(len(runs), "answer")
    answers = answers if len(stored) == len(runs) else f"{len(stored):,} of {answers}"
    saved = sum((run.saved_usd or Decimal(0) for run in stored), Decimal(0))
    unknown = any(run.saved_usd is None and run.status == "completed" for run in stored)
    amount = f"{'at least ' if unknown else ''}{formatting.usd(saved)}"
    return f"reused {answers}, saved {amount}" if saved else f"reused {answers}"


def is_unbilled(run: Run) -> bool:
    """Whether it is known that a run without a cost was not billed.

    It is not known of a run whose process died, and of one that goes on elsewhere.
    """
    no_cost = run.cost_usd is None and run.usage is None
    return no_cost and run.status not in ("running", "interrupted")


def _ending(run: Run) -> Iterator[str]:
    if run.finish_reason == "length":
        yield run.data_error or _cut_off(run)
    elif run.data_error is not None:
        yield f"Not the shape that was asked for: {run.data_error}"
    if run.stop_sequence is not None:
        yield f"Ended at the stop text {short_repr(run.stop_sequence)}."


def _cut_off(run: Run) -> str:
    limit = run.cut_off_at
    if limit and not run.text and run.usage and run.usage.reasoning_tokens:
        return f"No answer: all {limit:,} tokens went to reasoning. Set a higher max tokens."
    at = f" at {limit:,} tokens" if limit else ""
    return f"Cut off{at}. Set a higher max tokens to get the whole answer."
