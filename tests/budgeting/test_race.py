"""Budgets under concurrency and across processes, on both engines."""

import json
import signal
import threading
import time
from contextlib import nullcontext, suppress

import pytest

import llm_playground as lp
from llm_playground.budgeting import ledger
from llm_playground.budgeting.enforcer import IDLE_S
from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log
from tests.budgeting.client import answer, ask, endless
from tests.budgeting.conftest import kept_log
from tests.providers.server import Reply

CENT = 0.01

pytestmark = pytest.mark.usefixtures("one_day")


def begin(clients, processes, calls, clocks_s=(0,) * 4):
    """Processes that make calls in parallel, all from the same moment."""
    started = [clients("burst", calls, clock_s=clocks_s[n]) for n in range(processes)]
    for process in started:
        assert process.stdout.readline() == "ready\n"
    for process in started:
        process.stdin.write("go\n")
        process.stdin.flush()
    return started


def ended(started):
    """Status and cost of the calls of processes."""
    return [tuple(run) for p in started for run in json.loads(p.communicate(timeout=240)[0])]


def bursts(clients, processes, calls):
    """Status and cost of the calls of several processes that start at once."""
    return ended(begin(clients, processes, calls))


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


def spent():
    """What the log says that all runs cost."""
    return float(lp.sql("SELECT coalesce(sum(cost_usd), 0) AS usd FROM results").usd[0])


def expire(log_url):
    """Let the time pass after which a process that does not renew its reservations is gone."""
    late = "UPDATE budget_reservations SET expires_at = expires_at - INTERVAL '25 hours'"
    with suppress(RunLogError):  # the suspended process may keep the log
        open_log(log_url).change(lambda session: session.execute(late), wait_s=1)


def keeps_log(log_url):
    """Whether a suspended process keeps the log."""
    try:
        open_log(log_url).rows("SELECT 1", wait_s=5)
    except RunLogError:
        return True
    return False


def test_wrong_clocks_a_suspended_process_and_a_long_query(serve, clients, log_url, until):
    go_on = threading.Event()
    first, gated = answer(5).chunks, iter(range(3))
    server = serve(
        lambda _request: Reply([go_on, *first]) if next(gated, None) is not None else answer(5),
        log_url,
    )
    lp.set_budget(5 * CENT)  # each costs half a cent

    started = begin(clients, 4, 16, (300, -300, 0, 0))
    until(lambda: len(server.requests) >= 3)
    suspended, *others = reversed(started)
    suspended.send_signal(signal.SIGSTOP)
    expire(log_url)
    with nullcontext() if keeps_log(log_url) else kept_log(log_url):
        go_on.set()
    expire(log_url)
    assert not server.wait_for(lambda wire: len(wire.requests) > 10, timeout_s=2)
    suspended.send_signal(signal.SIGCONT)
    runs = ended([suspended, *others])

    assert len(runs) == 64
    assert {status for status, _ in runs} <= {"completed", "over_budget", "failed"}
    assert 3 <= len(server.requests) <= 10
    assert spent() == pytest.approx(len(server.requests) * CENT / 2)
    assert lp.budgets().spent_usd[0] == pytest.approx(spent())


def test_a_limit_that_changes_in_mid_race(serve, clients, log_url, until):
    go_on = threading.Event()
    server = serve(Reply([go_on, *answer(5).chunks]), log_url)
    lp.set_budget(2 * CENT)  # fits 4

    started = begin(clients, 4, 16)
    until(lambda: len(server.requests) >= 4)
    lp.set_budget(6 * CENT)
    until(lambda: len(server.requests) >= 12)
    lp.set_budget(5 * CENT)  # those under way go on
    go_on.set()
    answered, cost, others = totals(ended(started))

    assert (answered, others) == (12, {"over_budget"})
    assert cost == pytest.approx(6 * CENT)
    assert len(server.requests) == 12
    assert spent() == pytest.approx(6 * CENT)


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
