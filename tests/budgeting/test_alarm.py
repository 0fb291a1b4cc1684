"""Alarms of budgets reach a webhook or a function, once, and never a call's way."""

import asyncio
import json
import multiprocessing
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import config, package_log
from llm_playground.budgeting import alarm
from llm_playground.config.options import Webhook
from llm_playground.config.policy import Policy
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.runlog import open_log
from tests.budgeting.client import KEY, MODEL, PRICES, answer, ask

ROOT = Path(__file__).parents[2]
SECRET_PATH = "/hook/" + "T0k3n" * 4


class Hook:
    """A webhook on loopback; ``statuses`` are its next ones, None for one that never answers."""

    def __init__(self):
        self.bodies, self.paths, self.statuses = [], [], []
        self.hanging = threading.Event()
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.paths.append(self.path)
                hook.bodies.append(json.loads(body))
                status = hook.statuses.pop(0) if hook.statuses else 204
                if status is None:
                    hook.hanging.wait(30)
                    return
                self.send_response(status)
                self.send_header("Location", f"{hook.url}/elsewhere")
                self.end_headers()

            def do_GET(self):  # where a redirection would lead
                hook.paths.append(f"GET {self.path}")

            def log_message(self, *_arguments):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def setting(self):
        return {"url": self.url + SECRET_PATH, "allow_http": True}

    def close(self):
        self.hanging.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def hook(monkeypatch):
    monkeypatch.setattr(alarm, "_WAITS_S", (0.0, 0.0))
    opened = Hook()
    yield opened
    opened.close()


@pytest.fixture
def served(serve):
    """Calls cost half a cent each."""
    return serve(lambda _request: answer(5))


@pytest.fixture
def shared(serve, log_url):
    """The same on each engine."""
    return serve(lambda _request: answer(5), log_url)


def sent():
    assert alarm._sender.flush(30)
    assert alarm._caller.flush(30)


def events(hook):
    sent()
    return [body["event"] for body in hook.bodies]


def test_a_budget_posts_its_shares_and_its_refusal_once(shared, hook):
    lp.configure(on_budget=hook.setting)
    lp.set_budget(0.025, tag="another")
    lp.set_budget(0.025, tag="thesis")
    for _ in range(7):
        ask("a prompt", tags=["thesis"])

    assert events(hook) == ["80%", "100%", "blocked"]
    [first, *_] = hook.bodies
    assert (first["limit_usd"], first["spent_usd"]) == (0.025, 0.02)
    assert first["budget"]["tag"] == "thesis"
    assert first["period_start"] < first["at"] < first["period_end"]
    assert first["text"].startswith("80 % are spent: $0.0250 for ")
    assert "a prompt" not in json.dumps(hook.bodies)
    assert KEY not in json.dumps(hook.bodies)


def test_a_changed_limit_is_a_new_alarm(shared, hook):
    lp.configure(on_budget=hook.setting)
    for limit in (0.004, 0.004, 0.003, 0.004):
        lp.set_budget(limit)
        ask()
    assert events(hook) == ["blocked", "blocked"]
    assert [body["limit_usd"] for body in hook.bodies] == [0.004, 0.003]


@pytest.mark.parametrize(
    ("budget", "event"),
    [
        ({"limit_usd": 0.004}, "blocked"),
        ({"limit_usd": 0}, "blocked"),
        ({"limit_usd": 0.004, "action": "warn"}, "exceeded"),
        ({"limit_usd": 0.005}, "100%"),
        ({"limit_usd": 0.006}, "80%"),
        ({"limit_usd": 0.0063}, None),
        ({"limit_usd": 0.004, "period": "total"}, "blocked"),
        ({"limit_usd": 1, "model": "anthropic:*"}, None),
    ],
    ids=str,
)
def test_which_alarm_a_call_raises(served, hook, budget, event):
    lp.configure(on_budget=hook.setting)
    lp.set_budget(**budget)
    ask()
    assert events(hook)[:1] == ([event] if event else [])


def test_a_refusal_for_an_unknown_price_is_an_alarm(served, hook):
    lp.configure(on_budget=hook.setting, prices=dict.fromkeys(PRICES), endpoints={})
    lp.set_budget(1, unknown_price="block")
    assert ask(model="openai:of-unknown-price").status == "over_budget"
    assert events(hook) == ["blocked"]
    assert hook.bodies[0]["spent_usd"] is None


def test_a_function_gets_the_alarm(served):
    got = []
    lp.configure(on_budget=got.append)
    lp.set_budget(0.004)
    ask()
    sent()
    [one] = got
    assert isinstance(one, lp.BudgetAlarm)
    assert (one.event, one.budget.limit_usd) == ("blocked", Decimal("0.004"))
    lp.configure(on_budget=None)
    lp.set_budget(0.003)
    ask()
    sent()
    assert len(got) == 1


def is_away(*_arguments):
    raise ValueError("the mail server is away")


class Away:
    __call__ = is_away


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (is_away, "is_away"),
        (lambda alarm: is_away(alarm), "<lambda>"),
        (partial(is_away), "partial"),
        (Away(), "Away"),
    ],
)
def test_a_function_that_fails_is_logged_and_warned_of_once(served, caplog, function, name):
    lp.configure(on_budget=function)
    for limit in (0.004, 0.003, 0.002):
        lp.set_budget(limit)
        assert ask().status == "over_budget"
    sent()
    [line] = [line for line in caplog.messages if "the alarm was" in line]
    start = f"Your on_budget function {name} raised "
    assert line.startswith(f"{start}ValueError; the alarm was: A call was not sent: $0.0040 for ")
    assert line.endswith(f". The traceback is in {package_log.path()}.")
    assert package_log.path().read_text().count("ValueError: the mail server is away") == 3


@dataclass
class Unhashable:
    """A dataclass that compares by value has no hash."""

    got: list

    def __call__(self, alarm):
        self.got.append(alarm)


def ending(error):
    def function(got, alarm):
        got.append(alarm)
        raise error

    return function


async def awaited(got, alarm):
    await asyncio.sleep(0)
    got.append(alarm)


@pytest.mark.parametrize(
    "make",
    [
        Unhashable,
        lambda got: partial(awaited, got),
        lambda got: partial(ending(SystemExit("no")), got),
        lambda got: partial(ending(KeyboardInterrupt()), got),
    ],
    ids=["unhashable", "async", "SystemExit", "KeyboardInterrupt"],
)
def test_each_alarm_reaches_an_odd_function(served, make):
    got = []
    lp.configure(on_budget=make(got))
    for limit in (0.004, 0.003):
        lp.set_budget(limit)
        assert ask().status == "over_budget"
        sent()
    assert [float(each.budget.limit_usd) for each in got] == [0.004, 0.003]


def test_a_function_that_blocks_keeps_no_alarm_from_the_administrator(served, hook, monkeypatch):
    required = Webhook(f"{hook.url}/admin", "127.0.0.1")
    monkeypatch.setattr(config, "policy", lambda **_: Policy(budget_webhook=required))
    released = threading.Event()
    lp.configure(on_budget=lambda _alarm: released.wait(30))
    for limit in (0.004, 0.003):
        lp.set_budget(limit)
        ask()
        assert alarm._sender.flush(30)
    assert hook.paths == ["/admin", "/admin"]
    assert not alarm._caller.flush(0)
    released.set()
    sent()


def test_a_call_ends_as_usual_where_no_thread_can_be_started(served, monkeypatch):
    lp.configure(on_budget=print)
    lp.set_budget(0.005)
    ask()  # starts the other threads
    start = threading.Thread.start

    def limited(thread):
        if thread.name == "llm_playground-alarm":
            raise RuntimeError("can't start new thread")
        start(thread)

    sent()
    alarm._start_over()
    monkeypatch.setattr(threading.Thread, "start", limited)
    assert ask().status == "over_budget"


@pytest.mark.parametrize(
    ("statuses", "posts", "fails"),
    [
        ([204], 1, False),
        ([200], 1, False),
        ([500, 204], 2, False),
        ([429, 503, 200], 3, False),
        ([500, 500, 500, 204], 3, True),
        ([301, 301, 301], 3, True),
        ([302, 307, 308], 3, True),
        ([404, 404, 404], 3, True),
    ],
    ids=str,
)
def test_a_webhook_is_tried_again_and_not_redirected(served, hook, caplog, statuses, posts, fails):
    hook.statuses = list(statuses)
    lp.configure(on_budget=hook.setting)
    lp.set_budget(0.004)
    ask()
    sent()
    assert hook.paths == [SECRET_PATH] * posts
    assert ("the alarm was" in caplog.text) == fails
    assert SECRET_PATH not in caplog.text
    if fails:
        assert SECRET_PATH not in package_log.path().read_text()


@pytest.mark.parametrize(
    "url", ["https://127.0.0.1:9/x", "https://nowhere.invalid/x", "https://[::1]:9/x"]
)
def test_a_webhook_that_is_away_fails_no_call(served, hook, caplog, url):
    lp.configure(on_budget=url)
    lp.set_budget(0.004)
    assert ask().status == "over_budget"
    sent()
    assert "the alarm was" in caplog.text


def test_a_webhook_that_speaks_no_tls_gets_nothing(served, hook, caplog):
    lp.configure(on_budget=hook.url.replace("http:", "https:"))
    lp.set_budget(0.004)
    ask()
    sent()
    assert hook.bodies == []
    assert "the alarm was" in caplog.text


def test_a_call_does_not_wait_for_its_alarm(served, hook):
    hook.statuses = [None]
    lp.configure(on_budget=hook.setting)
    lp.set_budget(0.004, tag="thesis")
    assert ask(tags=["thesis"]).status == "over_budget"
    assert ask().status == "completed"
    assert not alarm._sender.flush(0)
    hook.hanging.set()
    sent()


def test_the_loopback_webhook_is_reached_without_the_proxy(served, hook, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    lp.configure(on_budget=hook.setting)
    lp.set_budget(0.004)
    ask()
    assert events(hook) == ["blocked"]


@pytest.mark.parametrize(
    "setting",
    [
        "http://127.0.0.1/x",
        "http://example.org/x",
        "ftp://example.org",
        "file:///etc/passwd",
        "example.org/hook",
        "https://user:pw@example.org/",
        "https://example.org/\r\nX: y",
        "https://[::1/",
        "https://example.org:0/",
        "",
        7,
        ["https://example.org"],
        {"url": "gopher://x", "allow_http": True},
        {"url": "https://example.org", "method": "GET"},
    ],
    ids=str,
)
def test_other_addresses_are_refused_in_one_line(setting):
    with pytest.raises(InvalidParameterError) as error:
        lp.configure(on_budget=setting)
    assert "\n" not in str(error.value)
    if not isinstance(setting, dict) or "method" not in setting:
        assert "on_budget takes a function or an https:// URL" in str(error.value)
    assert config.settings().on_budget is None


def test_the_administrator_is_alarmed_whatever_users_set(served, hook, tmp_path, monkeypatch):
    policy = tmp_path / "policy.toml"
    policy.write_text(
        f'budget_webhook = {{ url = "{hook.url}/admin", allow_http = true }}', "utf-8"
    )
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    lp.configure(on_budget=hook.setting)
    lp.configure(on_budget=None)
    lp.set_budget(0.004)
    ask()
    sent()
    assert hook.paths == ["/admin"]
    got = []
    lp.configure(on_budget=got.append)
    lp.set_budget(0.003)
    ask()
    sent()
    assert (hook.paths, len(got)) == (["/admin", "/admin"], 1)


def test_a_call_counts_if_the_policy_is_damaged_before_its_end(home, serve, hook, monkeypatch):
    policy = home.parent / "policy.toml"
    price = "input_usd_per_mtok = 0, output_usd_per_mtok = 1000"
    policy.write_text(
        f'budget_webhook = {{ url = "{hook.url}/admin", allow_http = true }}\n'
        f'prices = {{ "{MODEL}" = {{ {price} }} }}'
    )
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    lp.set_budget(0.006)

    def damaging(_request):
        policy.write_text("half a li")
        return answer(5)

    serve(damaging)
    run = lp.ask("hi", MODEL, max_tokens=5)
    assert (run.text, run.cost_usd) == ("Hi", Decimal("0.005"))
    assert events(hook) == ["80%"]
    with pytest.raises(ConfigError, match="No calls are sent"):
        lp.ask("hi", MODEL, max_tokens=5)


@pytest.mark.parametrize("rule", ['"http://127.0.0.1/"', "7", '"no url"', "{ uri = 'https://x' }"])
def test_an_odd_rule_stops_every_call(served, tmp_path, monkeypatch, rule):
    policy = tmp_path / "policy.toml"
    policy.write_text(f"budget_webhook = {rule}")
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    with pytest.raises(ConfigError, match="budget_webhook"):
        lp.ask("hi", MODEL)


SCRIPT = """
import sys, llm_playground as lp
from tests.budgeting.client import PRICES, ask
from tests.patience import wait_long_for_the_log
wait_long_for_the_log()
lp.configure(prices=PRICES, on_budget={"url": sys.argv[1], "allow_http": True})
print(ask().status)
"""


def test_of_several_processes_one_sends_the_alarm_also_when_it_ends_at_once(shared, hook):
    lp.set_budget(0.004)
    open_log().drain()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT, hook.url],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    assert [process.communicate(timeout=300)[0] for process in started] == ["over_budget\n"] * 3
    assert [body["event"] for body in hook.bodies] == ["blocked"]


def test_a_forked_worker_sends_its_alarm_before_it_ends(served, tmp_path, monkeypatch):
    monkeypatch.setattr(alarm, "_EXIT_WAIT_S", 60.0)
    file = tmp_path / "alarms"
    begins = multiprocessing.get_context("fork").Event()

    def note(alarm):
        begins.wait(30)
        file.write_text(alarm.event)

    def work():
        ask()
        begins.set()

    lp.configure(on_budget=note)
    lp.set_budget(0.004)
    worker = multiprocessing.get_context("fork").Process(target=work)
    worker.start()
    worker.join(60)
    assert file.read_text() == "blocked"


def test_without_a_receiver_nothing_is_started(served):
    lp.set_budget(0.004)
    ask()
    assert alarm._sender._thread is alarm._caller._thread is None
    assert open_log().frame("SELECT * FROM budget_alarms").empty


def test_a_log_that_cannot_be_written_does_not_silence_an_alarm(shared, hook):
    lp.configure(on_budget=hook.setting)
    lp.set_budget(0.004)
    log = open_log()
    log.change(lambda session: session.execute("ALTER TABLE budget_alarms RENAME TO hidden"))
    ask()
    assert events(hook) == ["blocked"]


def test_a_settings_text_does_not_show_the_address(hook):
    lp.configure(on_budget=hook.setting)
    assert SECRET_PATH not in repr(config.settings())
