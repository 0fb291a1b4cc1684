"""The arithmetic of shares: whatever happens in whatever order, nobody spends what is not there."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from llm_playground.budgeting.purse import ZERO, Purse, growth

cents = st.integers(0, 400).map(lambda n: Decimal(n) / 100)
some_cents = st.integers(1, 400).map(lambda n: Decimal(n) / 100)
LIMIT = Decimal(10)


@given(st.lists(some_cents, max_size=8), cents, cents, st.integers(0, 64))
def test_a_share_never_grows_by_more_than_remains(wants, free, remaining, block_calls):
    assert 0 <= growth(wants, free, remaining, block_calls) <= remaining


@given(st.lists(some_cents, min_size=1, max_size=8), cents, cents)
def test_a_call_that_fits_is_granted(wants, free, remaining):
    grown = growth(wants, free, remaining, 16)

    if wants[0] <= free + remaining:
        assert free + grown >= wants[0]


@given(some_cents, cents)
def test_it_takes_no_more_than_a_quarter_ahead(want, remaining):
    grown = growth([want], ZERO, remaining, 16)

    assert grown <= max(want, min(16 * want, remaining / 4))


class Processes(RuleBasedStateMachine):
    """Three processes and one log: rounds, sending, ending, late rows, giving back."""

    def __init__(self):
        super().__init__()
        self.purses = [Purse() for _ in range(3)]
        self.amounts = [ZERO] * 3  # their rows
        self.logged = [ZERO] * 3  # what the log has of each one's costs
        self.late = [ZERO] * 3  # ended, and not yet in the log
        self.calls = 0

    def used(self):
        """What the log shows: spent, and what the rows say is still to come."""
        come = [max(row - cost, ZERO) for row, cost in zip(self.amounts, self.logged, strict=True)]
        return sum(self.logged) + sum(come)

    @rule(who=st.integers(0, 2), wants=st.lists(some_cents, max_size=3), back=st.booleans())
    def a_round(self, who, wants, back):
        """A process brings in its own rows first; others' may be late."""
        purse = self.purses[who]
        self.logged[who] += self.late[who]
        self.late[who] = ZERO
        if back:
            purse.give_back()
        others = self.used() - self.logged[who] - max(self.amounts[who] - self.logged[who], ZERO)
        remaining = LIMIT - others - purse.granted
        purse.granted += growth(wants, purse.free, remaining, 16)
        self.amounts[who] = purse.granted

    @rule(who=st.integers(0, 2), worst=some_cents)
    def a_call_is_sent(self, who, worst):
        if self.purses[who].free >= worst:
            self.calls += 1
            self.purses[who].take(f"{self.calls}", worst)

    @precondition(lambda self: any(purse.held for purse in self.purses))
    @rule(data=st.data())
    def a_call_ends(self, data):
        who = data.draw(st.sampled_from([n for n in range(3) if self.purses[n].held]))
        run_id = data.draw(st.sampled_from(sorted(self.purses[who].held)))
        share = data.draw(st.integers(0, 4))
        cost = self.purses[who].held[run_id] * share / 4
        self.purses[who].settle(run_id, cost)
        self.late[who] += cost

    @rule(who=st.integers(0, 2))
    def rows_come_in(self, who):
        self.logged[who] += self.late[who]
        self.late[who] = ZERO

    @invariant()
    def the_limit_holds(self):
        held = sum(purse.held_usd for purse in self.purses)
        assert sum(self.logged) + sum(self.late) + held <= LIMIT
        assert self.used() <= LIMIT

    @invariant()
    def nothing_is_counted_twice(self):
        for purse, row, cost, late in zip(
            self.purses, self.amounts, self.logged, self.late, strict=True
        ):
            assert row - cost >= purse.held_usd + late
            assert purse.held_usd == sum(purse.held.values())


Processes.TestCase.settings = settings(deadline=None, max_examples=60, stateful_step_count=40)
TestProcesses = Processes.TestCase
