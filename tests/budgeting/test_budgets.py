"""Budgets through the public interface."""

import asyncio
import json
import threading
import time
import warnings
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import duckdb
import pandas as pd
import pytest

import llm_playground as lp
from llm_playground import config, footer
from llm_playground.budgeting.cache import BudgetCache
from llm_playground.ids import new_id
from llm_playground.recording import numbers
from llm_playground.runlog import open_log
from tests.budgeting.client import MODEL, answer, ask, endless
from tests.providers.server import Reply

CENT = 0.01

pytestmark = pytest.mark.usefixtures("one_day")


def table():
    return lp.budgets().to_dict("records")


def audit():
    rows = lp.sql("SELECT * FROM audit_log WHERE action LIKE '%budget' ORDER BY created_at, id")
    return [(row.action, json.loads(row.detail)) for row in rows.itertuples()]


def earlier_run(cost, at, model=MODEL, user="root"):
    """Insert an earlier run like another program would."""

    def put(session):
        execution = new_id()
        session.execute(
            "INSERT INTO executions (id, username) VALUES ($id, $user)",
            {"id": execution, "user": user},
        )
        session.execute(
            "INSERT INTO results (execution_id, model, status, cost_usd, started_at) "
            "VALUES ($execution, $model, 'completed', $cost, $at)",
            {"execution": execution, "model": model, "cost": Decimal(str(cost)), "at": at},
        )

    open_log().change(put)


class TestSetting:
    def test_listed_with_spent_and_remaining(self, serve):
        serve(answer(5))
        ask()
        lp.set_budget(1, model="openai:*", unknown_price=0.25)

        [row] = table()

        columns = (
            "limit_usd",
            "spent_usd",
            "reserved_usd",
            "remaining_usd",
            "model",
            "unknown_price",
        )
        assert [row[name] for name in columns] == [1, 0.005, 0, 0.995, "openai:*", "0.25"]
        now = datetime.now(UTC)
        assert row["resets_at"] > now
        assert (row["resets_at"].day, row["resets_at"].hour) == (1, 0)
        assert row["created_by"] == config.username()

    def test_setting_again_changes_it(self, serve):
        serve(answer())
        first = lp.set_budget(1, tag="eval")
        second = lp.set_budget("0.10", tag="eval", action="warn")
        lp.set_budget(2)

        assert first.id == second.id
        assert second.limit_usd == Decimal("0.10")
        assert [(row["limit_usd"], row["action"]) for row in table()] == [
            (0.1, "warn"),
            (2, "block"),
        ]

    def test_none_removes_it(self, serve):
        serve(answer())
        lp.set_budget(0)
        assert ask().status == "over_budget"

        assert lp.set_budget(None) is None

        assert table() == []
        assert "limit_usd" in lp.budgets()
        assert ask().status == "completed"

    def test_removing_an_unknown_budget_fails(self, serve):
        lp.set_budget(1, period="day")

        with pytest.raises(lp.InvalidParameterError, match="no such budget"):
            lp.set_budget(None, period="month")

    def test_changes_are_audited(self, serve):
        serve(answer())
        lp.set_budget(1)
        lp.set_budget(2)
        lp.set_budget(None)

        actions = [(action, detail.get("limit_usd")) for action, detail in audit()]
        assert [action for action, _ in actions] == ["set_budget", "set_budget", "remove_budget"]
        assert [Decimal(limit) for _, limit in actions] == [1, 2, 2]
        assert Decimal(audit()[1][1]["limit_usd_before"]) == 1

    @pytest.mark.parametrize(
        ("limit", "given", "line"),
        [
            (-1, {}, "limit_usd is -1; it takes US dollars"),
            ("much", {}, "it takes US dollars"),
            (True, {}, "it takes US dollars"),
            (float("nan"), {}, "it takes US dollars"),
            (1e12, {}, "it takes US dollars"),
            (1, {"period": "week"}, "period is 'week'; it takes day, month, total"),
            (1, {"action": "stop"}, "action is 'stop'; it takes warn, block"),
            (1, {"unknown_price": "free"}, "unknown_price is 'free'; it takes warn, block, or"),
            (1, {"model": ""}, "model is ''; it takes text"),
            (1, {"tag": ["a"]}, "tag is"),
        ],
    )
    def test_invalid_arguments(self, home, limit, given, line):
        with pytest.raises(lp.InvalidParameterError, match=line) as caught:
            lp.set_budget(limit, **given)
        assert "\n" not in str(caught.value)


class TestBlocking:
    def test_refused_call_is_logged_and_not_sent(self, serve):
        server = serve(answer(5))
        budget = lp.set_budget(0.8 * CENT)
        ask()

        with pytest.raises(lp.BudgetExceededError) as caught:
            lp.ask("hi", MODEL, max_tokens=5)

        error = caught.value
        assert str(error).startswith(
            "Not sent: could cost up to $0.0050, $0.0030 is left of $0.0080 "
        )
        assert f"set by {config.username()}, resets 1 " in str(error)
        assert (error.budget.id, error.estimate.worst_case_usd) == (budget.id, Decimal("0.005"))
        assert error.run.status == "over_budget"
        assert len(server.requests) == 1
        row = lp.runs(status="over_budget").iloc[0]
        assert row.run_id == error.run.id
        assert pd.isna(row.cost_usd)
        assert row.error_type == "BudgetExceededError"
        [status] = lp.sql(
            "SELECT status FROM executions WHERE id = ?", [error.run.execution_id]
        ).status
        assert status == "failed"

    def test_unused_part_is_available_to_later_calls(self, serve):
        serve(answer(1))
        lp.set_budget(CENT)

        statuses = [ask(max_tokens=5).status for _ in range(8)]

        assert statuses == ["completed"] * 6 + ["over_budget"] * 2  # 0.4 cents are left after 6
        assert ask(max_tokens=4).status == "completed"

    def test_all_matching_budgets_must_fit(self, serve):
        serve(answer(5))
        lp.set_budget(10)
        lp.set_budget(0.5 * CENT, period="day", tag="eval")

        assert ask(tags="eval").status == "completed"
        assert ask(tags="eval").status == "over_budget"
        assert ask(tags="other").status == "completed"
        assert [row["spent_usd"] for row in table()] == [0.01, 0.005]

    def test_budgets_of_models_and_users(self, serve, monkeypatch):
        serve(answer(5))
        lp.set_budget(0, model="any-big*")
        lp.set_budget(0, user="bob")

        assert ask(model="openai:any-bigger").status == "over_budget"
        assert ask(model="openai:Any-Bigger").status == "over_budget"
        assert ask(model="openai:any-small").status == "completed"
        monkeypatch.setenv("LLM_PLAYGROUND_USER", "bob")
        assert ask(model="openai:any-small").status == "over_budget"

    def test_names_count_in_any_case_of_letters(self, serve, log_url):
        serve(answer(5), log_url)
        ask(model="openai:Any-50%")
        lp.set_budget(CENT, model="any-50*")
        lp.set_budget(CENT, model="openai:any_50*")

        assert [row["spent_usd"] for row in table()] == [0.005, 0]
        assert ask(model="openai:ANY-50").status == "completed"
        assert ask(model="openai:any-50").status == "over_budget"
        assert [row["spent_usd"] for row in table()] == [0.01, 0]

    def test_earlier_periods_do_not_count(self, serve):
        serve(answer(5))
        yesterday = datetime.now(UTC) - timedelta(days=1)
        earlier_run(5, yesterday)
        lp.set_budget(CENT, period="day")
        lp.set_budget(5.5 * CENT + 5, period="total")

        assert ask().status == "completed"
        assert [row["spent_usd"] for row in table()] == [0.005, 5.005]
        assert pd.isna(table()[1]["resets_at"])

    def test_rows_of_other_programs_count(self, serve):
        serve(answer(5))
        lp.set_budget(CENT)
        earlier_run(0.006, datetime.now(UTC))

        assert ask().status == "over_budget"

    def test_free_models_always_pass(self, serve):
        serve(answer(5))
        lp.configure(prices={"openai:free": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}})
        lp.set_budget(0)

        assert ask(model="openai:free").status == "completed"
        assert lp.ask("Say hello.", "local", max_tokens=2).status == "completed"

    def test_reused_answers_pass(self, serve):
        server = serve(answer(5))
        ask()
        lp.configure(mode="reuse")
        lp.set_budget(0)
        numbers.reset()  # as in a new kernel

        run = ask()

        assert (run.cached, run.status) == (True, "completed")
        assert len(server.requests) == 1

    def test_a_failed_call_costs_nothing(self, serve):
        replies = iter([answer(5, status=400)])
        serve(lambda _request: next(replies, answer(5)))
        lp.set_budget(0.5 * CENT)

        assert [ask().status for _ in range(3)] == ["failed", "completed", "over_budget"]


class TestCap:
    def test_unlimited_answer_is_capped(self, serve):
        server = serve(answer(5))
        lp.configure(confirm_above_usd=None)
        lp.set_budget(5)

        run = lp.ask("hi", MODEL)

        assert server.requests[0].json["max_completion_tokens"] == 4096
        assert run.max_tokens_cap == 4096
        assert run.parameters.max_tokens is None
        assert "Max tokens capped at 4,096: a budget applies." in footer.notices(run)

    def test_cap_is_the_worst_case(self, serve):
        serve(answer(5))
        lp.configure(confirm_above_usd=None)
        lp.set_budget(4)
        assert ask(max_tokens=None).status == "over_budget"

        lp.configure(budget_max_tokens=4000)

        assert ask(max_tokens=None).status == "completed"

    def test_limited_answer_is_not_capped(self, serve):
        server = serve(answer(5))
        lp.set_budget(10)

        assert ask(max_tokens=5000, override="long").max_tokens_cap is None
        ask(max_tokens=None, extra={"max_completion_tokens": 6000}, override="long")

        sent = [request.json["max_completion_tokens"] for request in server.requests]
        assert sent == [5000, 6000]

    @pytest.mark.parametrize("given", [{"action": "warn"}, {"model": "anthropic:*"}])
    def test_budget_that_does_not_block_does_not_cap(self, serve, given):
        server = serve(answer(5))
        lp.set_budget(5, **given)

        lp.ask("hi", MODEL, override="as it is")

        assert "max_completion_tokens" not in server.requests[0].json


class TestWarning:
    def test_warns_once_and_notes_every_run(self, serve):
        server = serve(answer(5))
        lp.set_budget(0.5 * CENT, action="warn")
        assert ask().budget_notices == ()

        with pytest.warns(lp.BudgetWarning, match="nothing is left of") as caught:
            runs = [ask(), ask()]

        assert [run.status for run in runs] == ["completed"] * 2
        assert len(caught) == 1
        assert all("Sent anyway: this budget only warns." in run.budget_notices[0] for run in runs)
        assert len(server.requests) == 3

    def test_warnings_as_errors_stop_no_call(self, serve):
        serve(answer(5))
        lp.set_budget(0, action="warn")

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert ask().status == "completed"


class TestUnknownPrice:
    MODEL = "mine:any"

    @pytest.fixture
    def server(self, serve):
        server = serve(answer(5))
        lp.configure(endpoints={"mine": f"{server.url}/v1"})
        return server

    def test_warn_sends_it_with_a_notice(self, server):
        lp.set_budget(0.01)

        run = ask(model=self.MODEL)

        assert run.status == "completed"
        assert run.budget_notices == (
            f"The price of mine:any is unknown: not counted in $0.0100 for {datetime.now(UTC):%B}.",
        )

    def test_block_does_not_send_it(self, server):
        lp.set_budget(0.01, unknown_price="block")

        with pytest.raises(lp.BudgetExceededError, match="price of mine:any is unknown") as caught:
            lp.ask("hi", self.MODEL)

        assert caught.value.run.status == "over_budget"
        assert server.requests == []
        assert ask(model=self.MODEL, override="a try").status == "completed"

    def test_amount_is_assumed_per_call(self, server):
        lp.set_budget(0.01, unknown_price=0.004)

        assert [ask(model=self.MODEL).status for _ in range(3)] == [
            "completed",
            "completed",
            "over_budget",
        ]
        assert table()[0]["spent_usd"] == 0.008


class TestOverride:
    def test_passes_and_is_audited(self, serve):
        server = serve(answer(5))
        budget = lp.set_budget(0)

        run = lp.ask("hi", MODEL, max_tokens=5, override="the demo")

        assert run.status == "completed"
        assert len(server.requests) == 1
        action, detail = audit()[-1]
        assert action == "override_budget"
        assert (detail["reason"], detail["run_id"]) == ("the demo", run.id)
        assert table()[0]["remaining_usd"] == -0.005
        overridden = lp.sql("SELECT target FROM audit_log WHERE action = 'override_budget'")
        assert overridden.target.tolist() == [budget.id]

    def test_override_of_a_call_that_fits_is_not_audited(self, serve):
        serve(answer(5))
        lp.set_budget(1)

        ask(override="to be sure")

        assert [action for action, _ in audit()] == ["set_budget"]

    @pytest.mark.parametrize("reason", ["", "  ", True, 3])
    def test_invalid_reasons(self, serve, reason):
        with pytest.raises(lp.InvalidParameterError, match="override takes the reason"):
            lp.ask("hi", MODEL, override=reason)


class TestWaiting:
    async def test_waits_for_running_calls(self, serve):
        all_wait, (role, *rest) = threading.Event(), answer(1).chunks
        serve(Reply([role, all_wait, *rest]))
        lp.set_budget(0.7 * CENT)
        waits = []

        async def watched():
            async for event in lp.stream("hi", MODEL, max_tokens=5):
                if isinstance(event, lp.Waiting):
                    waits.append(event.reason)
                    if len(waits) == 2:
                        asyncio.get_running_loop().call_later(0.5, all_wait.set)
                elif isinstance(event, lp.RunFinished):
                    return event.run
            return None

        runs = await asyncio.gather(watched(), watched(), watched())

        assert [run.status for run in runs] == ["completed"] * 3
        assert len(waits) == 2
        assert waits[0].startswith("Waiting for running calls to leave enough of $0.0070")
        assert max(run.queue_ms for run in runs) >= 500

    async def test_refused_as_soon_as_it_cannot_fit(self, serve):
        server = serve(answer(5, delay_s=0.5))
        lp.set_budget(0.9 * CENT)

        runs = await asyncio.gather(*(asyncio.to_thread(ask) for _ in range(3)))

        assert sorted(run.status for run in runs) == ["completed", "over_budget", "over_budget"]
        assert len(server.requests) == 1

    async def test_waiting_can_be_cancelled(self, serve, until):
        server = serve(endless())
        lp.set_budget(0.6 * CENT)
        first = asyncio.create_task(lp.complete("hi", MODEL, max_tokens=5))
        await asyncio.to_thread(server.wait_for, lambda s: len(s.requests) == 1)
        second = asyncio.create_task(lp.complete("hi", MODEL, max_tokens=5))
        await asyncio.to_thread(until, lambda: (lp.runs().status == "running").sum() == 2)

        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(second, 60)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(first, 60)

        await asyncio.to_thread(until, lambda: (lp.runs().status == "cancelled").all())
        assert table()[0]["reserved_usd"] == 0
        assert len(server.requests) == 1

    async def test_other_models_do_not_wait(self, serve):
        server = serve(lambda request: endless() if "slow" in request.json["model"] else answer(5))
        lp.configure(concurrency=2)
        lp.set_budget(0.6 * CENT, model="slow*")
        slow = [
            asyncio.create_task(lp.complete("hi", "openai:slow", max_tokens=5)) for _ in range(4)
        ]
        await asyncio.to_thread(server.wait_for, lambda s: len(s.requests) == 1)

        run = await asyncio.wait_for(lp.complete("hi", "openai:other", max_tokens=5), 60)

        assert run.status == "completed"
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)

    def test_iterations_are_reserved_one_by_one(self, serve):
        server = serve(answer(5))
        lp.set_budget(2 * CENT)

        comparison = lp.compare("hi", MODEL, n=6, max_tokens=5)

        statuses = [run.status for run in comparison.runs]
        assert sorted(statuses) == ["completed"] * 4 + ["over_budget"] * 2
        assert len(server.requests) == 4


class TestOtherProcesses:
    def test_budget_of_another_process_applies_within_2_s(self, serve, clients):
        serve(answer(5))
        ask()
        other = clients("repeat")
        other.stdin.write("ask\n")
        other.stdin.flush()
        assert other.stdout.readline() == "completed\n"

        lp.set_budget(0)
        time.sleep(2)  # the promised time
        other.stdin.write("ask\n")
        other.stdin.flush()

        assert other.stdout.readline() == "over_budget\n"

    def test_ending_process_frees_its_allocation(self, serve, clients):
        serve(answer(5))
        lp.set_budget(1)

        clients("burst", 1).communicate("go\n", timeout=300)

        [held] = lp.sql("SELECT amount_usd - settled_usd AS held FROM budget_reservations").held
        assert held == 0


class TestUnreadableLog:
    def test_blocking_budget_refuses_calls(self, serve, home):
        server = serve(answer(5))
        lp.set_budget(CENT)
        lp.set_budget(0, action="warn", period="day")
        ask()

        with held(home / "runs.duckdb"):
            run = ask()

        assert run.status == "failed"
        assert isinstance(run.error, lp.RunLogError)
        assert "cannot be checked. The run log" in str(run.error)
        assert len(server.requests) == 1

    def test_new_process_knows_blocking_budgets(self, serve, clients, home):
        server = serve(answer(5))
        lp.set_budget(0.5 * CENT)
        ask()

        with held(home / "runs.duckdb"):
            output, _ = clients("burst", 1).communicate("go\n", timeout=300)

        assert "completed" not in output
        assert len(server.requests) == 1

    def test_calls_pass_without_budgets(self, serve, clients, home):
        serve(answer(5))
        ask()

        with held(home / "runs.duckdb"):
            output, _ = clients("burst", 1).communicate("go\n", timeout=300)

        assert "completed" in output


def held(path):
    """A connection of this process that locks the file; retries while the log has it open."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return duckdb.connect(path)
        except duckdb.Error:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


class TestModelPattern:
    @pytest.mark.parametrize(
        ("model", "message"),
        [
            ("openai", "openai:\\*"),
            ("opnai:*", "openai:\\*"),
            ("OpenAI:*", "openai:\\*"),
            ("nonsense", "No provider is known"),
            ("open?i:*", "\\* matches any text"),
            ("openai:gpt-?o", "\\* matches any text"),
            ("openai:[g]pt-4o", "\\* matches any text"),
        ],
    )
    def test_pattern_without_match_is_refused(self, home, model, message):
        with pytest.raises(lp.ConfigError, match=message):
            lp.set_budget(5, model=model)

        assert lp.budgets().empty

    @pytest.mark.parametrize("typed", [" openai:any", "openai: any", "openai :any* ", "op* : any"])
    def test_spaces_around_names_do_not_count(self, serve, typed):
        serve(answer(5))
        lp.set_budget(0, model=typed)

        assert ask().status == "over_budget"

    @pytest.mark.parametrize("model", ["openai:*", "gpt-*", "gpt-4o", "open*:gpt-4o", "*", None])
    def test_valid_patterns(self, home, model):
        assert lp.set_budget(5, model=model).model == model


def test_reading_budgets_of_no_log_creates_none(home):
    async def read():
        budgets = (await BudgetCache(open_log()).current()).budgets
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
        return budgets

    assert asyncio.run(read()) == ()
    assert not home.exists()
