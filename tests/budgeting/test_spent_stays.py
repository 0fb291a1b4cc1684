"""What is spent stays spent: deleting runs or restoring a backup gives nothing back."""

from datetime import UTC, datetime, timedelta

import pytest

import llm_playground as lp
from llm_playground.budgeting.enforcer import _enforcers
from llm_playground.runlog import open_log
from tests.budgeting.client import answer, ask
from tests.budgeting.test_budgets import earlier_run

CENT = 0.01
LEFT = [0.015, 0.015, 0.015, 0.985, 0.002, 1.985]  # spent and remaining: day, month, total

pytestmark = pytest.mark.usefixtures("one_day")


def new_kernel():
    """This process forgets its allocations, as at its end."""
    for each in _enforcers.values():
        each.close()
    _enforcers.clear()


def status():
    table = lp.budgets().sort_values("period")
    return [*table.spent_usd, *table.remaining_usd]


@pytest.fixture
def spending(serve, log_url):
    """Three budgets that have spent a cent and a half, by this process and another."""
    server = serve(answer(5), log_url)
    earlier_run(CENT, datetime.now(UTC))  # before there are budgets
    lp.set_budget(1.7 * CENT)
    lp.set_budget(1, period="day")
    lp.set_budget(2, period="total")
    assert ask().status == "completed"
    assert status() == pytest.approx(LEFT)
    return server


DELETIONS = {
    "all": lambda: lp.purge("0h", keep="nothing", dry_run=False),
    "one by one": lambda: [
        lp.purge(keep="nothing", run=run, dry_run=False) for run in lp.runs().run_id
    ],
    "of a user": lambda: [
        lp.purge(keep="nothing", user=user, dry_run=False) for user in set(lp.runs().username)
    ],
    "metrics first": lambda: [
        lp.purge("0h", keep=keep, dry_run=False) for keep in ("metrics", "nothing")
    ],
    "twice": lambda: [lp.purge("0h", keep="nothing", dry_run=False) for _ in range(2)],
}


@pytest.mark.parametrize("how", DELETIONS)
def test_deleted_runs(spending, how):
    DELETIONS[how]()

    assert lp.runs().empty
    assert status() == pytest.approx(LEFT)
    new_kernel()
    assert ask().status == "over_budget"
    lp.set_budget(10)
    assert ask().status == "completed"
    assert lp.budgets().spent_usd.tolist() == pytest.approx([0.02] * 3)


def test_rows_that_another_program_deletes(serve, log_url):
    serve(answer(5), log_url)
    lp.set_budget(CENT)
    assert [ask().status for _ in range(2)] == ["completed"] * 2

    new_kernel()
    open_log().change(lambda session: session.execute("DELETE FROM results"))

    assert ask().status == "over_budget"


def test_earlier_periods_are_not_counted_now(serve, log_url):
    serve(answer(5), log_url)
    earlier_run(5, datetime.now(UTC) - timedelta(days=1))
    lp.set_budget(1, period="day")

    lp.purge("0h", keep="nothing", dry_run=False)

    assert lp.budgets().spent_usd.tolist() == [0]


class TestAnotherDatabase:
    def test_older_backup(self, serve, tmp_path):
        serve(answer(5))
        lp.set_budget(50)
        lp.backup(tmp_path / "old.duckdb")
        lp.set_budget(1.2 * CENT)
        lp.set_budget(3, period="day", tag="eval")
        assert [ask().status for _ in range(2)] == ["completed"] * 2

        lp.restore(tmp_path / "old.duckdb")

        assert lp.runs().empty
        table = lp.budgets().sort_values("limit_usd")
        assert table.limit_usd.tolist() == [0.012, 3]
        assert table.spent_usd.tolist() == [0.01, 0]
        assert ask().status == "over_budget"

    def test_backup_with_the_same_runs(self, serve, tmp_path):
        serve(answer(5))
        lp.set_budget(1)
        ask()
        lp.backup(tmp_path / "old.duckdb")
        lp.restore(tmp_path / "old.duckdb")

        assert lp.budgets().spent_usd.tolist() == [0.005]

    @pytest.mark.parametrize("is_damaged", [False, True])
    def test_log_that_is_set_aside(self, serve, is_damaged):
        serve(answer(5))
        lp.set_budget(0.7 * CENT)
        ask()
        log = open_log()
        log.drain()
        if is_damaged:
            log.path.write_bytes(b"nothing" * 1000)

        lp.set_aside_log()

        assert lp.budgets().limit_usd.tolist() == [0.007]
        if not is_damaged:  # what was spent cannot be read otherwise
            assert ask().status == "over_budget"

    def test_log_without_budgets(self, serve, tmp_path):
        serve(answer(5))
        ask()
        lp.backup(tmp_path / "old.duckdb")
        lp.restore(tmp_path / "old.duckdb")

        assert lp.budgets().empty
        assert ask().status == "completed"
