"""The arithmetic of allocations: in any order of events, processes never exceed a limit."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_playground.budgeting.budget import ZERO, Allocation, growth

cents = st.integers(0, 400).map(lambda n: Decimal(n) / 100)
some_cents = st.integers(1, 400).map(lambda n: Decimal(n) / 100)
LIMIT = Decimal(10)


@given(st.lists(some_cents, max_size=8), cents, cents, st.integers(0, 64))
def test_growth_is_at_most_what_remains(worst_cases, available, remaining, block_calls):
    assert 0 <= growth(worst_cases, available, remaining, block_calls) <= remaining


@given(st.lists(some_cents, min_size=1, max_size=8), cents, cents)
def test_growth_covers_a_call_that_fits(worst_cases, available, remaining):
    grown = growth(worst_cases, available, remaining, 16)

    if worst_cases[0] <= available + remaining:
        assert available + grown >= worst_cases[0]


@given(some_cents, cents)
def test_growth_for_future_calls_is_at_most_a_quarter(worst_usd, remaining):
    grown = growth([worst_usd], ZERO, remaining, 16)

    assert grown <= max(worst_usd, min(16 * worst_usd, remaining / 4))


class Processes(RuleBasedStateMachine):
    """Three processes and one log: rounds, calls, late rows, releases."""

    def __init__(self):
        super().__init__()
        self.allocations = [Allocation() for _ in range(3)]
        self.amounts = [ZERO] * 3  # their rows
        self.logged = [ZERO] * 3  # the logged costs of each
        self.late = [ZERO] * 3  # costs of ended calls that are not yet in the log
        self.calls = 0

    def used(self):
        """What the log shows: spent, and what allocations may still cost."""
        pairs = zip(self.amounts, self.logged, strict=True)
        return sum(self.logged) + sum(max(amount - cost, ZERO) for amount, cost in pairs)

    @rule(
        index=st.integers(0, 2), worst_cases=st.lists(some_cents, max_size=3), release=st.booleans()
    )
    def a_round(self, index, worst_cases, release):
        """A process ingests its own rows first; those of others may be late."""
        allocation = self.allocations[index]
        self.logged[index] += self.late[index]
        self.late[index] = ZERO
        if release:
            allocation.release_unused()
        others = (
            self.used() - self.logged[index] - max(self.amounts[index] - self.logged[index], ZERO)
        )
        remaining = LIMIT - others - allocation.granted_usd
        allocation.granted_usd += growth(worst_cases, allocation.available_usd, remaining, 16)
        self.amounts[index] = allocation.granted_usd

    @rule(index=st.integers(0, 2), worst=some_cents)
    def a_call_is_sent(self, index, worst):
        if self.allocations[index].available_usd >= worst:
            self.calls += 1
            self.allocations[index].reserve(f"{self.calls}", worst)

    @precondition(lambda self: any(allocation.reserved for allocation in self.allocations))
    @rule(data=st.data())
    def a_call_ends(self, data):
        index = data.draw(st.sampled_from([n for n in range(3) if self.allocations[n].reserved]))
        run_id = data.draw(st.sampled_from(sorted(self.allocations[index].reserved)))
        quarters = data.draw(st.integers(0, 4))
        cost = self.allocations[index].reserved[run_id] * quarters / 4
        self.allocations[index].settle(run_id, cost)
        self.late[index] += cost

    @rule(index=st.integers(0, 2))
    def rows_come_in(self, index):
        self.logged[index] += self.late[index]
        self.late[index] = ZERO

    @invariant()
    def the_limit_holds(self):
        reserved = sum(allocation.reserved_usd for allocation in self.allocations)
        assert sum(self.logged) + sum(self.late) + reserved <= LIMIT
        assert self.used() <= LIMIT

    @invariant()
    def nothing_is_counted_twice(self):
        for allocation, row, cost, late in zip(
            self.allocations, self.amounts, self.logged, self.late, strict=True
        ):
            assert row - cost >= allocation.reserved_usd + late
            assert allocation.reserved_usd == sum(allocation.reserved.values())


Processes.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestProcesses = Processes.TestCase
