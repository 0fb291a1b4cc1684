"""Answers out of the log: the k-th identical request of a kernel meets the k-th stored answer."""

import asyncio
import fcntl
import itertools
import threading
import time

import pytest

import llm_playground as lp
from llm_playground.recording import numbers
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
MODEL = "openai:gpt-4o"


@pytest.fixture
def go_on():
    """While it is clear, no answer ends."""
    event = threading.Event()
    event.set()
    return event


@pytest.fixture
def server(home, monkeypatch, go_on):
    """An endpoint whose every answer is another: ``answer 1``, ``answer 2``, ..."""
    numbers = itertools.count(1)

    def answer(_request):
        role, *rest = openai_stream([f"answer {next(numbers)}"])
        return Reply([role, go_on, *rest], delay_s=0.05)

    with WireServer(answer) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        restart()
        yield server


def restart():
    """What a new kernel forgets."""
    numbers.reset()


def ask(prompt="hi", **given):
    return lp.ask(prompt, MODEL, **given)


@pytest.mark.parametrize("mode", ["reuse", "replay"])
def test_log_that_another_process_keeps_ends_a_call_soon(server, home, mode):
    ask()
    lp.runs()
    lp.configure(mode=mode)
    with (home / "runs.duckdb.lock").open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        began = time.monotonic()
        with pytest.raises(lp.RunLogError, match="has kept the run log"):
            ask()
        assert time.monotonic() - began < 25
    assert len(server.requests) == 1
    restart()
    assert ask().text == "answer 1"


def test_live_sends_every_call(server):
    assert [ask().text for _ in range(2)] == ["answer 1", "answer 2"]


def test_restart_and_run_all_pays_nothing(server):
    lp.configure(mode="reuse")
    first = [ask(prompt).text for prompt in ("a", "b", "a")]
    restart()

    again = [ask(prompt) for prompt in ("a", "b", "a")]

    assert [run.text for run in again] == first == ["answer 1", "answer 2", "answer 3"]
    assert all(run.cached and run.cost_usd == 0 for run in again)
    assert len(server.requests) == 3


def test_the_same_request_outside_of_cells_sends_again(server):
    lp.configure(mode="reuse")
    ask()
    restart()
    ask()

    assert ask().text == "answer 2"
    assert len(server.requests) == 2


def test_a_loop_of_ten_stays_ten_answers(server):
    lp.configure(mode="reuse")
    first = [ask().text for _ in range(10)]
    restart()

    assert [ask().text for _ in range(10)] == first
    assert len(set(first)) == 10


def test_iterations_stay_different_answers(server):
    lp.configure(mode="reuse")
    texts = [run.text for run in lp.compare("hi", [MODEL], n=3).runs]
    restart()

    assert [run.text for run in lp.compare("hi", [MODEL], n=3).runs] == texts
    assert len(set(texts)) == len(server.requests) == 3


def test_a_reused_run_is_a_row_that_says_what_it_saved(server):
    paid = ask().cost_usd
    lp.configure(mode="reuse")
    restart()

    run = ask()

    assert run.saved_usd == paid > 0
    row = lp.runs(limit=1).iloc[0]
    assert (row.run_id, row.cached, row.cost_usd) == (run.id, True, 0)
    assert lp.latency().runs.sum() == 1


def test_another_parameter_is_another_request(server):
    lp.configure(mode="reuse")
    ask(temperature=0.1)
    restart()

    assert ask(temperature=0.2).text == "answer 2"


def test_another_endpoint_is_another_request(server, monkeypatch):
    lp.configure(mode="reuse")
    ask()
    restart()
    with WireServer(Reply(openai_stream(["elsewhere"]))) as other:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{other.url}/v1")

        assert ask().text == "elsewhere"


def test_fresh_always_sends(server):
    lp.configure(mode="reuse")
    ask()
    restart()

    assert ask(fresh=True).text == "answer 2"


def test_another_users_answers_count_only_when_asked_for(server, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "ada")
    lp.configure(mode="reuse")
    ask()
    restart()
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "grace")
    assert ask().text == "answer 2"

    restart()
    lp.configure(reuse_from="everyone")

    assert ask().text == "answer 1"


async def test_two_identical_requests_at_once_send_one(server):
    lp.configure(mode="reuse")

    runs = await asyncio.gather(*(lp.complete("hi", MODEL) for _ in range(2)))

    assert [run.text for run in runs] == ["answer 1", "answer 1"]
    assert sorted(run.cached for run in runs) == [False, True]
    assert len(server.requests) == 1


async def test_and_pay_nothing_after_a_restart_either(server):
    lp.configure(mode="reuse")
    await asyncio.gather(*(lp.complete("hi", MODEL) for _ in range(2)))
    restart()

    runs = await asyncio.gather(*(lp.complete("hi", MODEL) for _ in range(2)))

    assert all(run.cached for run in runs)
    assert len(server.requests) == 1


async def test_of_many_twins_one_takes_the_place_of_a_cancelled_leader(server, go_on):
    lp.configure(mode="reuse")
    go_on.clear()
    tasks = [asyncio.create_task(lp.complete("hi", MODEL)) for _ in range(8)]
    assert await asyncio.to_thread(server.wait_for, lambda wire: wire.requests)
    tasks[0].cancel()
    go_on.set()

    runs = [await task for task in tasks[1:]]

    assert {run.text for run in runs} == {"answer 2"}
    assert len(server.requests) == 2


async def test_a_cancelled_leader_does_not_take_its_twin_along(server, go_on):
    lp.configure(mode="reuse")
    go_on.clear()
    leader = asyncio.create_task(lp.complete("hi", MODEL))
    assert await asyncio.to_thread(server.wait_for, lambda wire: wire.requests)
    twin = asyncio.create_task(lp.complete("hi", MODEL))
    await asyncio.sleep(0.02)
    leader.cancel()
    go_on.set()

    run = await twin

    assert run.status == "completed"
    with pytest.raises(asyncio.CancelledError):
        await leader


class TestReplay:
    def test_never_sends(self, server):
        ask("known")
        lp.configure(mode="replay")
        restart()

        assert ask("known").text == "answer 1"
        with pytest.raises(lp.ConfigError, match="No answer is stored") as refused:
            ask("unknown")

        assert refused.value.run is None
        assert len(server.requests) == 1

    def test_needs_no_key(self, server, monkeypatch):
        ask()
        monkeypatch.delenv("OPENAI_API_KEY")
        lp.configure(mode="replay")
        restart()

        assert ask().text == "answer 1"


def test_the_environment_may_set_the_mode(server, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_MODE", "replay")

    with pytest.raises(lp.ConfigError, match="No answer is stored"):
        ask()


def test_the_mode_that_is_set_already_changes_no_number(server, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_MODE", "reuse")
    texts = [ask().text]
    lp.configure(mode="reuse")
    texts += [ask().text]

    assert texts == ["answer 1", "answer 2"]


@pytest.mark.parametrize("mode", ["fast", 1])
def test_an_unknown_mode_is_refused(server, mode):
    with pytest.raises(lp.InvalidParameterError, match="live, record, reuse, replay"):
        lp.configure(mode=mode)


def test_where_values_came_from_is_in_the_log(server):
    ask("Say {{n}}.", variables={"n": 3, "unused": 4})

    row = lp.sql("SELECT variables FROM executions").iloc[0]
    assert "4e07408562bedb8b60ce05c1decfe3ad" in row.variables  # sha-256 of "3"
    assert "unused" not in row.variables
