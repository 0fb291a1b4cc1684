"""Budgets under concurrency and across processes, on both engines."""

import json
import time

import pytest

import llm_playground as lp
from llm_playground.budgeting import ledger
from llm_playground.budgeting.enforcer import IDLE_S
from tests.budgeting.client import answer, ask, endless

CENT = 0.01

pytestmark = pytest.mark.usefixtures("one_day")


def bursts(clients, processes, calls):
    """Status and cost of the calls of several processes that start at once."""
    started = [clients("burst", calls) for _ in range(processes)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [tuple(run) for p in started for run in json.loads(p.communicate(timeout=240)[0])]


def totals(runs):
    """How many completed, what they cost, and the statuses of the others."""
    costs = [cost for status, cost in runs if status == "completed"]
    others = {status for status, _ in runs} - {"completed"}
    return len(costs), sum(costs), others


def test_parallel_processes_never_exceed_a_limit(serve, clients, log_url):
    server = serve(answer(5, delay_s=0.05), log_url)
    lp.set_budget(5 * CENT)  # each costs half a cent

    answered, cost, others = totals(bursts(clients, processes=4, calls=16))

    assert others == {"over_budget"}
    assert answered == 10
    assert cost == pytest.approx(5 * CENT)
    assert len(server.requests) == 10
    [budget] = lp.budgets().to_dict("records")
    assert budget["spent_usd"] == pytest.approx(5 * CENT)
    assert budget["reserved_usd"] == 0
    assert set(lp.runs().status) == {"completed", "over_budget"}
    assert len(lp.runs()) == 64


def test_unused_reservations_are_available_to_others(serve, clients, log_url):
    serve(
        answer(2, delay_s=0.05), log_url
    )  # each costs a fifth of a cent, and could cost half of one
    lp.set_budget(5 * CENT)

    answered, cost, others = totals(bursts(clients, processes=4, calls=16))

    assert others == {"over_budget"}
    assert 23 <= answered <= 25  # the last ones find less than their worst case
    assert cost <= 5 * CENT + 1e-9


def test_nothing_is_refused_if_all_calls_fit(serve, clients, log_url):
    serve(answer(5), log_url)
    lp.set_budget(32 * CENT)

    answered, _, others = totals(bursts(clients, processes=4, calls=16))

    assert (answered, others) == (64, set())


def test_reservations_of_a_killed_process_are_freed(serve, clients, until, log_url):
    first = iter([endless()])
    server = serve(lambda _request: next(first, answer(5)), log_url)
    lp.set_budget(0.8 * CENT)
    holder = clients("hold")
    until(lambda: len(server.requests) == 1)
    assert lp.budgets().reserved_usd[0] == pytest.approx(0.5 * CENT)

    waiting = clients("repeat")
    waiting.stdin.write("ask\n")
    waiting.stdin.flush()
    until(lambda: (lp.runs().status == "running").sum() == 2)
    assert len(server.requests) == 1
    holder.kill()

    assert waiting.stdout.readline() == "completed\n"
    assert len(server.requests) == 2
    killed = lp.runs(status="interrupted").iloc[0]
    assert (killed.response_text, killed.usage_source) == ("one two ", "estimated")
    assert killed.cost_usd == 0.002
    assert lp.budgets().spent_usd[0] == pytest.approx(0.7 * CENT)


def test_100_calls_need_at_most_10_rounds(serve, monkeypatch):
    rounds = []
    grow = ledger.grow
    monkeypatch.setattr(ledger, "grow", lambda *args: rounds.append(1) or grow(*args))
    serve(answer(1))
    lp.set_budget(100)

    began = time.monotonic()
    assert {ask().status for _ in range(100)} == {"completed"}
    idle = (time.monotonic() - began) / IDLE_S  # after each such pause one round more

    assert len(rounds) <= 10 + idle
