"""What one Run costs while it runs, and what it was expected to cost."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from llm_playground import pricing
from llm_playground.endpoints import Rates
from llm_playground.estimates import Estimate
from llm_playground.footer import usd
from llm_playground.types import Request, Run
from llm_playground.widgets.outlooks import outlooks
from llm_playground.widgets.quotes import basis

_ZERO = Decimal(0)
_MILLION = Decimal(1_000_000)
# Figures that change more often cannot be read.
_SAY_EVERY_S = 0.25


@dataclass(frozen=True, slots=True)
class _Expected:
    """What one call is expected to cost; ``rates`` are None where nobody knows the price."""

    estimate: Estimate
    rates: Rates | None

    def so_far_usd(self, output_tokens: int) -> Decimal | None:
        """What it costs when it is stopped now, None when the price is unknown."""
        if self.rates is None or self.estimate.worst_case_usd is None:
            return self.estimate.worst_case_usd
        sent = self.rates.input_usd_per_mtok * self.estimate.input_tokens
        came = self.rates.output_usd_per_mtok * output_tokens
        return min((sent + came) / _MILLION, self.estimate.worst_case_usd)


class Spending:
    """Of the calls of one Run, numbered from 1. Nothing is worked out before it is asked for.

    Args:
        requests: What is sent, in the order of the numbers.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._requests = dict(enumerate(requests, 1))
        self._known: dict[int, _Expected] = {}
        self._said = ""
        self._said_at = 0.0

    def expect(self, number: int, request: Request) -> None:
        """Call ``number`` is made anew, with another request."""
        self._requests[number] = request
        self._known.pop(number, None)

    def estimate(self) -> str:
        """``$0.0054``, what all calls were expected to cost; empty where nobody can know."""
        likely = [one.estimate.expected_usd for one in self._expected().values()]
        known = [amount for amount in likely if amount is not None]
        total = sum(known, _ZERO)
        return usd(total) if total and len(known) == len(likely) else ""

    def so_far(self, runs: Mapping[int, Run], came: Mapping[int, int]) -> str:
        """``$0.0016 so far, at most $0.0154``; empty where nothing costs anything.

        It is worked out anew four times a second at most.

        Args:
            runs: The calls that have ended.
            came: The tokens of each answer under way.
        """
        now = time.monotonic()
        if now - self._said_at >= _SAY_EVERY_S:
            self._said, self._said_at = self._words(runs, came), now
        return self._said

    def _words(self, runs: Mapping[int, Run], came: Mapping[int, int]) -> str:
        open_calls = {n: one for n, one in self._expected().items() if n not in runs}
        spent = sum((run.cost_usd or _ZERO for run in runs.values()), _ZERO)
        flowing = (
            open_calls[n].so_far_usd(tokens) for n, tokens in came.items() if n in open_calls
        )
        so_far = spent + sum((amount or _ZERO for amount in flowing), _ZERO)
        worst = [one.estimate.worst_case_usd for one in open_calls.values()]
        most = spent + sum((amount or _ZERO for amount in worst), _ZERO)
        unknown = sum(amount is None for amount in worst)
        unknown += sum(run.cost_usd is None and run.usage is not None for run in runs.values())
        if not most and not unknown:
            return ""
        known = [f"{usd(so_far)} so far, at most {usd(most)}"] if most else []
        return ", ".join([*known, *([f"{unknown:,} of unknown price"] if unknown else [])])

    def _expected(self) -> dict[int, _Expected]:
        """Of all calls; the same request is looked at once."""
        new = {n: request for n, request in self._requests.items() if n not in self._known}
        if new:
            outlook, at = outlooks.known(), datetime.now(UTC)
            bases = {model: basis(model, outlook) for model in {r.model for r in new.values()}}
            distinct = {id(request): request for request in new.values()}
            found = {
                key: _Expected(
                    bases[request.model].estimate(request, at), pricing.rates(request.model, at)
                )
                for key, request in distinct.items()
            }
            self._known |= {number: found[id(request)] for number, request in new.items()}
        return self._known
