"""The stack of a failed call is in the package's own log file: whole, private, bounded."""

import logging
import os
import re
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import doctor, package_log
from llm_playground.config.options import Privacy
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

ROOT = Path(__file__).parents[1]
KEY = "sk-" + "planted" * 4 + "7Qa"
MODEL = "openai:gpt-4o"
PROMPT = "Write to ada@example.org about the whale."


@pytest.fixture
def server(home, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lp.configure(retry=1)
    opened = []

    def start(*replies):
        opened.append(WireServer(*replies).__enter__())
        monkeypatch.setenv("OPENAI_BASE_URL", f"{opened[-1].url}/v1")
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def says(message, status=400):
    return json_reply(status, {"error": {"message": message}})


def failed(**arguments):
    with pytest.raises(lp.LLMError) as error:
        lp.ask(PROMPT, MODEL, **arguments)
    return error.value


def written():
    return package_log.path().read_text("utf-8")


@pytest.mark.parametrize(
    ("reply", "named"),
    [
        (says("No."), "BadRequestError"),
        (says("No.", 401), "AuthenticationError"),
        (says("Slow down.", 429), "RateLimitError"),
        (says("Broken.", 500), "InternalServerError"),
        (json_reply(502, "gateway"), "InternalServerError"),
        (Reply(openai_stream(["Once ", "upon "])[:2], end="reset"), "StreamInterruptedError"),
    ],
    ids=["400", "401", "429", "500", "502", "broken stream"],
)
def test_a_failed_call_leaves_its_stack(server, reply, named):
    server(reply)
    error = failed()
    assert f"run {error.run.id} of {MODEL} failed" in written()
    assert "providers/" in written()
    assert ", line " in written()
    assert named in written()


def test_a_refused_connection_leaves_its_first_cause(server, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    failed()
    assert "ConnectionRefusedError" in written()
    assert package_log.path().name in "\n".join(doctor.report())


def test_nothing_is_opened_before_the_first_failure(server):
    server(Reply(openai_stream(["Hi."])))
    lp.ask(PROMPT, MODEL)
    assert not list(package_log.path().parent.glob("llm_playground.log*"))


def test_a_refusal_of_a_budget_is_no_failure(server):
    lp.set_budget(0.0000001)
    assert isinstance(failed(), lp.BudgetExceededError)
    assert not package_log.path().exists()


@pytest.mark.parametrize(
    ("privacy", "hidden"),
    [
        ("texts", []),
        ("metrics", ["whale", "ada@"]),
        ("off", ["whale", "ada@"]),
        ({"sample": 0.0}, ["whale", "ada@"]),
        ({"redact": ["email"]}, ["ada@"]),
    ],
    ids=str,
)
def test_texts_are_written_as_privacy_allows(server, privacy, hidden):
    server(says(f"I cannot read: {PROMPT}"))
    lp.configure(privacy=privacy)
    failed()
    assert "BadRequestError" in written()
    shown = [text for text in ("whale", "ada@") if text in written()]
    assert shown == [text for text in ("whale", "ada@") if text not in hidden]


@pytest.mark.parametrize("secret", [KEY, "Bearer " + "abcdefgh1234" * 2, "gh" + "p_" + "a1B2" * 9])
def test_secrets_are_redacted(server, secret):
    server(says(f"Wrong key {secret}."))
    failed()
    assert secret not in written()
    assert "[redacted]" in written()


def test_controls_stay_harmless():
    package_log.write(logging.DEBUG, "a\x1b[2Jb\r\x00\x85\u2028c")
    assert r"a␛[2Jb␍␀\u0085\u2028c" in written()


def test_the_file_is_private_under_any_umask(server):
    server(says("No."))
    before = os.umask(0)
    try:
        failed()
    finally:
        os.umask(before)
    for file in package_log.path().parent.glob("llm_playground.log*"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_in_its_place_is_not_followed(server, tmp_path):
    server(says("No."))
    victim = tmp_path / "victim"
    victim.write_text("as it was")
    package_log.path().parent.mkdir(parents=True, exist_ok=True)
    package_log.path().symlink_to(victim)
    assert isinstance(failed(), lp.RequestRejectedError)
    assert victim.read_text() == "as it was"


def test_a_call_fails_the_same_where_nothing_can_be_written(server, capfd):
    server(says("No."))
    package_log.path().mkdir(parents=True)
    assert isinstance(failed(), lp.RequestRejectedError)
    assert "Traceback" not in capfd.readouterr().err


class _WordlessError(Exception):
    def __str__(self):
        raise ValueError("no words")


def endless():
    error = ValueError("one")
    error.__cause__ = TypeError("two")
    error.__cause__.__cause__ = error
    return error


ODD = [_WordlessError(), endless(), KeyError("\ud800"), RecursionError()]


@pytest.mark.parametrize("error", ODD)
def test_odd_errors_do_no_harm(home, error):
    package_log.call_failed("r1", MODEL, error, Privacy())


def test_the_size_of_records_and_files_is_bounded(home, monkeypatch):
    monkeypatch.setattr(package_log, "_MAX_BYTES", 100_000)
    for number in range(30):
        package_log.write(logging.DEBUG, f"record {number} {'x' * 200_000}")
    files = list(package_log.path().parent.glob("llm_playground.log*"))
    assert len(files) == 2 + package_log._BACKUPS  # with the lock
    assert sum(file.stat().st_size for file in files) < 3 * 150_000
    assert "record 29 " in written()


def test_no_record_is_lost_or_torn_while_files_are_rotated(home, monkeypatch):
    monkeypatch.setattr(package_log, "_MAX_BYTES", 20_000)
    monkeypatch.setattr(package_log, "_BACKUPS", 50)
    monkeypatch.setattr(package_log, "_LOCK_WAIT_S", 60)

    def write(thread):
        for number in range(40):
            package_log.write(logging.DEBUG, f"<{thread}.{number} {'x' * 1_000}>")

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    files = package_log.path().parent.glob("llm_playground.log*")
    found = re.findall(r"<(\d\.\d+) x{1000}>", "".join(file.read_text() for file in files))
    assert sorted(found) == sorted(f"{t}.{n}" for t in range(4) for n in range(40))


def test_processes_share_the_file(home):
    code = (
        "import logging, sys; from llm_playground import package_log\n"
        "package_log._LOCK_WAIT_S = 60\n"
        "for n in range(50): package_log.write(logging.DEBUG, f'<{sys.argv[1]}.{n} {\"x\" * 500}>')"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(number)], env=environment)
        for number in range(3)
    ]
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert len(set(re.findall(r"<(\d\.\d+) x{500}>", written()))) == 150


def test_the_logger_gets_it_if_its_level_is_debug(server, caplog):
    server(says("No."))
    with caplog.at_level(logging.INFO, "llm_playground"):
        failed()
    assert "failed" not in caplog.text
    with caplog.at_level(logging.DEBUG, "llm_playground"):
        error = failed()
    assert error.run.id in caplog.text
