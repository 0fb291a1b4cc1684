"""The price tag beside Run: how many calls, what they cost, and what budgets say to that."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from math import prod
from typing import Any, Literal

from llm_playground.budgeting import words
from llm_playground.budgeting.standing import Standing
from llm_playground.footer import usd
from llm_playground.parameters import check_iterations
from llm_playground.widgets.form import Form, variations
from llm_playground.widgets.previews import many
from llm_playground.widgets.quotes import Quote, applying

Tone = Literal["", "amber", "red"]

_ZERO = Decimal(0)
# A budget of which less than this part is left is worth a word.
_LOW = Decimal("0.1")


@dataclass(frozen=True, slots=True)
class PriceTag:
    """What a view shows beside Run.

    Args:
        text: The line.
        tone: ``amber`` where a budget gets low, ``red`` where it would refuse.
        details: What the line leaves out, for hover.
        problem: Why there is no price: one line, empty when there is one.
        button: The word on Run.
        calls: How many calls the form stands for.
        fits: How many of them budgets let through; None where that is all.
        second_press: Whether Run asks once more, as it could cost more than
            ``confirm_above_usd``.
        unpriced: The models whose price nobody knows.
        override: Whether a reason would let all calls through.
        one: What Try one would send and cost.
    """

    text: str = ""
    tone: Tone = ""
    details: str = ""
    problem: str = ""
    button: str = "Run"
    calls: int = 0
    fits: int | None = None
    second_press: bool = False
    unpriced: Sequence[str] = ()
    override: bool = False
    one: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self) | {"unpriced": list(self.unpriced)}


@dataclass(frozen=True, slots=True)
class Fit:
    """What budgets let through.

    Args:
        counts: Of each quote, how many of its calls; the first ones.
        after: What each budget then has left at least, by its id, where the calls cost any of it.
        refused: A budget that does not let all through, None where all do.
        refused_model: The model of unknown price that it refuses for that alone, else None.
    """

    counts: tuple[int, ...]
    after: Mapping[str, Decimal] = field(default_factory=dict)
    refused: Standing | None = None
    refused_model: str | None = None


def tag(
    form: Form,
    quotes: Sequence[Quote],
    standings: Sequence[Standing] = (),
    *,
    confirm_above_usd: Decimal | None = None,
    replays: bool = False,
) -> PriceTag:
    """The price tag of a form.

    Args:
        form: What is set.
        quotes: What its calls cost, in their order.
        standings: What budgets have left.
        confirm_above_usd: What one press of Run may cost without asking, None for anything.
        replays: Whether answers come from the run log alone.
    """
    counted = multiplication(form)
    calls = sum(quote.times for quote in quotes)
    if replays:
        return PriceTag(f"{counted} · free, replayed from the log", calls=calls)
    fit = fitting(quotes, standings)
    text, tone = _line(counted, quotes, standings, fit, calls)
    fits = sum(fit.counts)
    return PriceTag(
        text=text,
        tone=tone,
        details=_details(f"{counted} · {money(quotes)}", quotes),
        button=f"Run {fits:,}" if 0 < fits < calls else "Run",
        calls=calls,
        fits=fits if fits < calls else None,
        second_press=_could_slip(quotes, fit.counts, confirm_above_usd),
        unpriced=_unpriced(quotes),
        override=fits < calls,
        one=f"{_name(quotes[0].model)} once · {money([_once(quotes[0])])}",
    )


def multiplication(form: Form) -> str:
    """How many calls a form stands for, and why so many; all factors but 1.

    >>> multiplication(Form(models=["a:b", "c:d"], iterations=3))
    '2 models × 3 = 6 calls'
    >>> multiplication(Form(models=["local"], iterations=3))
    '3 calls'
    """  # noqa: RUF002 - the sign that people read
    swept = variations(form)[0].parameters
    factors = [(len(form.models), " models"), (max(len(form.cases), 1), " cases")]
    factors += [(len(form.parameters[n]), f" {n.replace('_', ' ')} values") for n in swept]
    factors.append((check_iterations(form.iterations), ""))
    said = [f"{count:,}{noun}" for count, noun in factors if count > 1]
    calls = many(prod(count for count, _ in factors), "call")
    return f"{' × '.join(said)} = {calls}" if len(said) > 1 else calls  # noqa: RUF001 - as above


def money(quotes: Sequence[Quote]) -> str:
    """What calls cost together: ``about $0.0054, at most $0.0232``, ``free``, what is unknown."""
    known = [quote for quote in quotes if quote.one.worst_case_usd is not None]
    priced = sum(quote.times for quote in known)
    unpriced = sum(quote.times for quote in quotes) - priced
    most = _sum((quote.one.worst_case_usd, quote.times) for quote in known)
    likely = _sum((quote.one.expected_usd, quote.times) for quote in known)
    if not known:
        return "price unknown"
    if unpriced:
        said = f"priced at about {usd(likely)}" if most else "free"
        return f"{priced:,} {said}, {unpriced:,} of unknown price"
    if most == 0:
        here = all(quote.model.startswith("local:") for quote in quotes)
        return "free, runs in this kernel" if here else "free"
    about = "about " if any(quote.one.assumed for quote in known) else ""
    return f"about {usd(likely)}, at most {about}{usd(most)}"


def fitting(quotes: Sequence[Quote], standings: Sequence[Standing]) -> Fit:
    """Which calls budgets let through: each in its turn, as long as its worst case is left.

    What does not fit is left out, and what comes after it may fit all the same.
    """
    left = {standing.budget.id: standing.left_usd for standing in standings}
    after: dict[str, Decimal] = {}
    counts: list[int] = []
    refused, refused_model = None, None
    counting = {model: applying(model, standings) for model in {q.model for q in quotes}}
    for quote in quotes:
        needs = _needs(quote, counting[quote.model])
        blocking = [(where, need) for where, need in needs if where.budget.blocks]
        room = [_room(left[where.budget.id], need) for where, need in blocking]
        counts.append(min([quote.times, *room]))
        if counts[-1] < quote.times and refused is None:
            refused, need = blocking[room.index(min(room))]
            refused_model = quote.model if need is None else None
        for where, need in needs:
            left[where.budget.id] -= (need or _ZERO) * counts[-1]
            after[where.budget.id] = left[where.budget.id]
    return Fit(tuple(counts), after, refused, refused_model)


def _needs(quote: Quote, standings: Sequence[Standing]) -> list[tuple[Standing, Decimal | None]]:
    """What one call needs of each budget that counts it; None where one refuses it unpriced."""
    needs: list[tuple[Standing, Decimal | None]] = []
    for standing in standings:
        need, unknown = quote.one.worst_case_usd, standing.budget.unknown_price
        if need is None and isinstance(unknown, Decimal):
            need = unknown
        if need is None and unknown == "block":
            needs.append((standing, None))
        elif need:
            needs.append((standing, need))
    return needs


def _room(left: Decimal, need: Decimal | None) -> int:
    return 0 if need is None else max(int(left // need), 0)


def _line(
    counted: str, quotes: Sequence[Quote], standings: Sequence[Standing], fit: Fit, calls: int
) -> tuple[str, Tone]:
    if fit.refused is not None:
        return f"Fits {sum(fit.counts):,} of {many(calls, 'call')}: {_refusal(fit)}", "red"
    base = f"{counted} · {money(quotes)}"
    low = [
        (fit.after[where.budget.id] / where.budget.limit_usd, where)
        for where in standings
        if where.budget.id in fit.after and where.budget.limit_usd
    ]
    part, tightest = min(low, key=lambda one: one[0], default=(Decimal(1), None))
    if tightest is None or part >= _LOW:
        return base, ""
    limit = words.limit(tightest.budget, tightest.span)
    left = fit.after[tightest.budget.id]
    if left < 0:
        return f"{base} · over {limit}, which only warns", "amber"
    return f"{base} · leaves {usd(left)} of {limit}", "amber"


def _refusal(fit: Fit) -> str:
    """``$0.0151 of $50.00 left for November``."""
    assert fit.refused is not None  # noqa: S101 - for the type checker; asked before
    limit = words.limit(fit.refused.budget, fit.refused.span)
    if fit.refused_model is not None:
        return f"the price of {_name(fit.refused_model)} is unknown, which {limit} does not allow"
    amount, _, scope = limit.partition(" ")
    left = fit.refused.left_usd
    return f"{usd(left) if left > 0 else 'nothing'} of {amount} left {scope}"


def _details(line: str, quotes: Sequence[Quote]) -> str:
    likely_in = sum(quote.one.input_tokens * quote.times for quote in quotes)
    likely_out = sum(quote.one.output_tokens * quote.times for quote in quotes)
    most_out = sum(quote.one.most_output_tokens * quote.times for quote in quotes)
    tokens = f"about {likely_in:,} tokens in, {likely_out:,} out, at most {most_out:,} out"
    return f"{line}\n{tokens}"


def _could_slip(
    quotes: Sequence[Quote], counts: Sequence[int], confirm_above_usd: Decimal | None
) -> bool:
    could = _sum((quote.slip_usd, count) for quote, count in zip(quotes, counts, strict=True))
    return confirm_above_usd is not None and could > confirm_above_usd


def _unpriced(quotes: Sequence[Quote]) -> tuple[str, ...]:
    unknown = (quote.model for quote in quotes if quote.one.worst_case_usd is None)
    return tuple(dict.fromkeys(unknown))


def _once(quote: Quote) -> Quote:
    return Quote(quote.model, 1, quote.one, quote.slip_usd)


def _name(model: str) -> str:
    return model.partition(":")[2]


def _sum(amounts: Iterable[tuple[Decimal | None, int]]) -> Decimal:
    return sum((amount * times for amount, times in amounts if amount is not None), _ZERO)
