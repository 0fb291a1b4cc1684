"""Budgets are read, remembered or unknown, and a change counts for the next call everywhere."""

import itertools
import json
import os
import socket
import time
from contextlib import contextmanager

import pytest

import llm_playground as lp
from llm_playground.budgeting import cache
from llm_playground.budgeting.enforcer import _enforcers
from llm_playground.runlog import open_log
from tests.budgeting.client import MODEL, answer, ask
from tests.budgeting.conftest import kept_log
from tests.runlog.holding import held

CENT = 0.01
AT_ONCE_S = 25.0  # on a busy machine; a read of the log waits for 30 s, the promise is 1 s

pytestmark = pytest.mark.usefixtures("one_day")


def forget():
    """What a new kernel knows: nothing."""
    _enforcers.clear()


def refused():
    """The error of a call, which came at once and sent nothing."""
    began = time.monotonic()
    with pytest.raises(lp.RunLogError, match=r"^Not sent: ") as caught:
        lp.ask("hi", MODEL, max_tokens=5)
    assert time.monotonic() - began < AT_ONCE_S
    assert "\n" not in str(caught.value)
    assert 'override="reason"' in str(caught.value)
    return caught.value


@contextmanager
def damaged(path):
    whole = path.read_bytes()
    path.write_bytes(b"no database at all" * 1000)
    yield
    path.write_bytes(whole)


@contextmanager
def is_folder(path):
    aside = path.rename(path.with_suffix(".aside"))
    path.mkdir()
    yield
    path.rmdir()
    aside.rename(path)


@contextmanager
def dangling(path):
    aside = path.rename(path.with_suffix(".aside"))
    path.symlink_to(path.with_suffix(".no-such-folder") / "file")
    yield
    path.unlink()
    aside.rename(path)


@contextmanager
def open_elsewhere(path):
    with held(path, "writing"):
        yield


UNREADABLE = (kept_log, open_elsewhere, damaged, is_folder, dangling)


@pytest.mark.parametrize("trouble", UNREADABLE)
class TestUnreadable:
    def test_unknown_refuses(self, serve, home, trouble):
        server = serve(answer(5))
        lp.set_budget(1)
        open_log().drain()
        with trouble(home / "runs.duckdb"):
            (home / "runs.duckdb.journal" / "budgets.json").unlink()
            forget()

            assert "whether a budget applies is unknown" in str(refused())
            assert lp.ask("hi", MODEL, max_tokens=5, override="a try").status == "completed"
        assert len(server.requests) == 1
        audited = lp.sql("SELECT detail FROM audit_log WHERE action = 'override_budget'").detail
        assert [json.loads(row)["reason"] for row in audited] == ["a try"]

    def test_remembered(self, serve, home, trouble):
        server = serve(answer(5))
        lp.set_budget(1)
        open_log().drain()
        with trouble(home / "runs.duckdb"):
            forget()
            assert "$1.00 for" in str(refused())

        lp.set_budget(0, action="warn")
        with trouble(home / "runs.duckdb"):
            forget()
            with pytest.warns(lp.BudgetWarning, match="cannot be checked"):
                run = ask()
        assert run.status == "completed"
        assert "Sent anyway: this budget only warns." in run.budget_notices[0]

        lp.set_budget(None)
        with trouble(home / "runs.duckdb"):
            forget()
            assert ask().status == "completed"
        assert len(server.requests) == 2


def of_another_user(path, whole):
    path.write_text(whole)
    os.chown(path, 12345, 12345)


def linked(path, whole):
    path.with_suffix(".other").write_text(whole)
    path.symlink_to(path.with_suffix(".other"))


REMEMBERED = {
    "missing": lambda _path, _whole: None,
    "empty": lambda path, _whole: path.write_text(""),
    "cut": lambda path, whole: path.write_text(whole[: len(whole) // 2]),
    "no list": lambda path, _whole: path.write_text("{}"),
    "of numbers": lambda path, _whole: path.write_text("[1, 2]"),
    "no limit": lambda path, whole: path.write_text(whole.replace("limit_usd", "limit")),
    "strange limit": lambda path, whole: path.write_text(whole.replace('"1.', '"-1.')),
    "deep": lambda path, _whole: path.write_text("[" * 100_000),
    "binary": lambda path, _whole: path.write_bytes(b"\xff\xfe\x00"),
    "huge": lambda path, _whole: path.write_text("[" + " " * (2 << 20) + "]"),
    "folder": lambda path, _whole: path.mkdir(),
    "pipe": lambda path, _whole: os.mkfifo(path),
    "linked": linked,
}
if os.name == "posix" and os.geteuid() == 0:
    REMEMBERED["of another user"] = of_another_user


@pytest.mark.parametrize("remembers", [False, True])
def test_override_is_recorded_once_if_the_reason_changes(serve, home, monkeypatch, remembers):
    server = serve(answer(5))
    lp.set_budget(0)
    open_log().drain()
    if not remembers:
        (home / "runs.duckdb.journal" / "budgets.json").unlink()
    reasons = itertools.count(1)

    def fail(*_args, **_waits):
        raise lp.RunLogError(f"The run log cannot be read: reason {next(reasons)}.")

    forget()
    with monkeypatch.context() as patch:
        patch.setattr(cache.BudgetCache, "_read_log", fail)
        assert ask(override="a try").status == "completed"

    assert next(reasons) > 2
    assert len(server.requests) == 1
    audited = lp.sql("SELECT detail FROM audit_log WHERE action = 'override_budget'").detail
    assert [json.loads(row)["reason"] for row in audited] == ["a try"]


@pytest.mark.parametrize("kind", REMEMBERED)
def test_untrusted_memory_is_unknown(serve, home, kind):
    server = serve(answer(5))
    lp.set_budget("1.5")
    open_log().drain()
    file = home / "runs.duckdb.journal" / "budgets.json"
    whole = file.read_text()
    file.unlink()
    REMEMBERED[kind](file, whole)

    with damaged(home / "runs.duckdb"):
        forget()
        assert "is unknown" in str(refused())
    assert server.requests == []
    forget()
    assert ask().status == "completed"  # read again
    if kind != "folder":
        assert file.is_file()
        assert not file.is_symlink()
        assert "1.5" in file.read_text()


@pytest.mark.parametrize("answers", [False, True])
def test_server_that_is_away_on_a_new_machine(serve, home, answers):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        if not answers:
            silent.close()
        server = serve(answer(5), f"postgresql://ada@127.0.0.1:{port}/llm")

        assert "whether a budget applies is unknown" in str(refused())
        assert ask(override="a try").status == "completed"
        assert len(server.requests) == 1


def test_free_models_need_no_budgets(serve, home):
    serve(answer(5), "postgresql://ada@127.0.0.1:1/llm")

    lp.configure(prices={"openai:free": {"input_usd_per_mtok": 0, "output_usd_per_mtok": 0}})
    assert ask(model="openai:free").status == "completed"


class Kernel:
    """Another process that makes a call for each line."""

    def __init__(self, process):
        self._process = process

    def ask(self):
        self._process.stdin.write("ask\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def test_changes_count_at_once_in_other_kernels(serve, clients, log_url):
    serve(answer(5), log_url)
    lp.set_budget(100)
    kernel = Kernel(clients("repeat"))
    assert kernel.ask() == "completed"  # has an allocation of many calls now

    statuses = []
    for limit in (0, 100, CENT, None, 0, 1, 0):
        lp.set_budget(limit)
        statuses.append((kernel.ask(), ask().status))

    sent, refusal = ("completed",) * 2, ("over_budget",) * 2
    assert statuses == [refusal, sent, refusal, sent, refusal, sent, refusal]


def test_first_budget_counts_at_once(serve, clients, log_url):
    serve(answer(5), log_url)
    kernel = Kernel(clients("repeat"))
    assert kernel.ask() == "completed"

    lp.set_budget(0)

    assert kernel.ask() == "over_budget"


def test_changes_by_sql_are_found(serve, log_url, monkeypatch):
    serve(answer(5), log_url)
    lp.set_budget(1)
    assert ask().status == "completed"
    monkeypatch.setattr(cache, "_REREAD_S", 0.0)  # 10 s on DuckDB

    for limit, status in ((0, "over_budget"), (1, "completed")):
        open_log().change(lambda s, usd=limit: s.execute(f"UPDATE budgets SET limit_usd = {usd}"))
        assert ask().status == status


def test_unchanged_budgets_are_not_read_again(serve, monkeypatch):
    monkeypatch.setattr(cache, "_REREAD_S", 600.0)  # five calls may take longer than 10 s
    readings = []
    read = cache.ledger.read_budgets
    monkeypatch.setattr(cache.ledger, "read_budgets", lambda s: readings.append(1) or read(s))
    serve(answer(5))
    lp.set_budget(1, user="somebody else")
    for _ in range(5):
        assert ask().status == "completed"

    assert len(readings) <= 3
