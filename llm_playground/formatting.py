"""How amounts, durations, counts and waits are written, the same on every surface."""

from __future__ import annotations

from decimal import Decimal
from html import escape

from llm_playground.events import Preparing, Retrying
from llm_playground.redaction import printable, redact


class Sentence:
    """A value whose ``repr`` is one sentence, which a notebook shows in its own colours."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return f"<p>{escape(printable(redact(repr(self))))}</p>"


def preparing(event: Preparing) -> str:
    """The state of a run whose model or library is made ready.

    >>> preparing(Preparing("Downloading the model.", 0.4))
    'Downloading the model. 40%'
    """
    share = "" if event.fraction is None else f" {event.fraction:.0%}"
    return printable(f"{event.message}{share}")


def retrying(event: Retrying) -> str:
    """The state of a run that waits for its next attempt.

    >>> retrying(Retrying(2, 5, 6.2, "OpenAI limits the rate (429). Run again in 6 s."))
    'OpenAI limits the rate (429). Next try in 6 s, 2 of 5.'
    """
    reason = event.reason.partition(" Run again")[0]  # advice for when no attempt follows
    when = f"Next try in {event.wait_s:.0f} s" if event.wait_s >= 1 else "Trying again"
    return printable(f"{reason} {when}, {event.number} of {event.of}.")


def usd(amount: Decimal | float) -> str:
    """US dollars, with as many digits as a small amount needs.

    >>> usd(Decimal("12.4")), usd(Decimal("0.00054")), usd(Decimal("0.0000004")), usd(-0.5)
    ('$12.40', '$0.0005', '$0.0000004', '-$0.5000')
    """
    exact = amount if isinstance(amount, Decimal) else Decimal(repr(float(amount)))
    if exact < 0:
        return f"-{usd(-exact)}"
    if exact == 0 or exact >= 1:
        return f"${exact:,.2f}"
    if exact >= Decimal("0.0001"):
        return f"${exact:.4f}"
    return f"${exact:.1g}" if exact >= Decimal("0.00001") else f"${exact:.7f}"


def cost_usd(amount: Decimal) -> str:
    """What something cost, as :func:`usd`; below a hundredth of a cent only that.

    >>> cost_usd(Decimal("0.00054")), cost_usd(Decimal("0.0000004")), cost_usd(Decimal(0))
    ('$0.0005', '< $0.0001', '$0.00')
    """
    return "< $0.0001" if 0 < amount < Decimal("0.0001") else usd(amount)


def total_usd(
    known_usd: Decimal,
    at_least_usd: Decimal = Decimal(0),
    *,
    is_estimated: bool = False,
    unpriced: int = 0,
) -> str:
    """What several runs cost together.

    ``known_usd`` is the sum of known costs, of which some are estimated if ``is_estimated``;
    ``at_least_usd`` is what is known of the cost of other runs; of ``unpriced`` runs nothing is.

    >>> total_usd(Decimal("0.0049"), unpriced=2), total_usd(Decimal("0.0049"), is_estimated=True)
    ('$0.0049 and 2 unpriced', 'about $0.0049')
    >>> total_usd(Decimal("0.001"), Decimal("0.0003"))
    'at least $0.0013'
    """
    if unpriced and not known_usd and not at_least_usd:
        return "price unknown"
    total = cost_usd(known_usd + at_least_usd)
    about = "about " if is_estimated and not total.startswith("<") else ""
    least = "at least " if at_least_usd else ""
    return f"{least}{about}{total}" + (f" and {unpriced:,} unpriced" if unpriced else "")


def duration_with_wait(ms: float, waited_ms: float) -> str:
    """A duration of which a part was waiting, as before a retry.

    >>> duration_with_wait(14_100, 12_000), duration_with_wait(14_100, 0)
    ('2.1 s + 12 s waiting', '14.1 s')
    """
    if waited_ms < 1_000:
        return duration(ms)
    waited_s = round(waited_ms / 1000)
    waited = f"{waited_s} s" if waited_s < 60 else duration(waited_ms)
    return f"{duration(max(0.0, ms - waited_ms))} + {waited} waiting"


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


def large(number: int) -> str:
    """A count of which the first digits matter, such as of tokens.

    >>> large(950), large(12_300), large(1_234_567), large(2_500_000_000)
    ('950', '12,300', '1.2 M', '2.5 G')
    """
    if number < 100_000:
        return f"{number:,}"
    if number < 1_000_000:
        return f"{number / 1_000:,.0f} k"
    if number < 1_000_000_000:
        return f"{number / 1_000_000:,.1f} M"
    return f"{number / 1_000_000_000:,.1f} G"


def size(size_bytes: int) -> str:
    """A size in bytes, decimal: ``820 B``, ``12 kB``, ``1.4 MB``.

    >>> size(820), size(12_300), size(1_400_000)
    ('820 B', '12 kB', '1.4 MB')
    """
    if size_bytes < 1_000:
        return f"{size_bytes} B"
    if size_bytes < 1_000_000:
        return f"{size_bytes / 1_000:.0f} kB"
    return f"{size_bytes / 1_000_000:.1f} MB"


def article(source: str) -> str:
    """A source of settings within a sentence: a single word takes "the", a name stays as it is.

    >>> article("environment"), article(".env"), article("this kernel")
    ('the environment', '.env', 'this kernel')
    """
    return f"the {source}" if source.isalpha() else source
