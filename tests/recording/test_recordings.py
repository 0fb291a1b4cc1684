"""Mode ``record`` writes a file from which mode ``replay`` answers without key, network and log."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import lock_descriptor

import llm_playground as lp
from llm_playground import recording
from llm_playground.magics import command_lines
from llm_playground.recording import file, kernel, numbers
from llm_playground.recording.file import RecordingFile
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply
from tests.test_tool_use import calling

ROOT = Path(__file__).parents[2]
MODEL = "openai:gpt-4o"
KEY = "sk-" + "planted" * 4
LIMITED = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}


def weather(city: str) -> str:
    """The weather now."""
    return f"rain in {city}"


class Answers:
    """What the server answers: by the prompt, each time another text."""

    def __init__(self):
        self.words = {}
        self._numbers = itertools.count(1)

    def __call__(self, request):
        messages = json.loads(request.body)["messages"]
        prompt = messages[-1]["content"]
        if messages[-1]["role"] == "tool":
            return Reply(openai_stream([f"It is {prompt}."]))
        if prompt == "limit":
            return json_reply(429, LIMITED)
        if prompt == "block":
            return Reply([openai_stream(["No"])[0], *blocked_end()])
        if prompt == "umbrella":
            return calling(("weather", {"city": "Oslo"}))
        if prompt == "schema":
            return Reply(openai_stream(['{"value": ["Mars"]}']))
        word = self.words.get(prompt) or f"answer {next(self._numbers)}"
        return Reply(openai_stream([f"{word} to {prompt}\n", f"my key is {KEY}  \nand an end"]))


def blocked_end():
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "content_filter"}]}
    return [f"data: {json.dumps(end)}\n\n".encode(), b"data: [DONE]\n\n"]


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def server(home, monkeypatch, answers):
    with WireServer(answers) as server:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        monkeypatch.setenv("JPY_SESSION_NAME", str(home.parent / "report.ipynb"))
        lp.configure(retry=1)
        restart("record")
        yield server


def restart(mode):
    """A new kernel in a mode."""
    numbers.reset()
    kernel.forget_use()
    kernel._files.clear()
    lp.configure(mode=mode)


def failure(prompt):
    with pytest.raises(lp.LLMError) as failed:
        lp.ask(prompt, MODEL)
    error = failed.value
    return type(error), str(error), getattr(error, "status_code", None), error.run.status


def notebook():
    """All kinds of calls, and what comes out of them."""
    asked = [lp.ask("one", MODEL, system="Be brief.\nVery."), lp.ask("one", MODEL, temperature=0.2)]
    compared = lp.compare(["two", "three"], [MODEL], n=3).runs
    tools = lp.ask_with_tools("umbrella", MODEL, tools=[weather])
    schema = lp.ask("schema", MODEL, schema=list[str])
    streamed = [event for event in lp.stream("four", MODEL) if isinstance(event, lp.TextDelta)]
    again = [lp.ask("one", MODEL, temperature=0.2)]
    return (
        [run.text for run in (*asked, *compared, *again)],
        (tools.text, [call.arguments for call, _ in tools.steps]),
        schema.data,
        "".join(event.text for event in streamed),
        [failure("limit"), failure("block")],
    )


def masked(values):
    return json.loads(json.dumps(values, default=str).replace(KEY, "[redacted]"))


def without_server(monkeypatch):
    """No key, no network, another home without a log."""
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(Path.cwd() / "another"))

    def refused(*_arguments):
        raise AssertionError("the network was used")

    monkeypatch.setattr(socket.socket, "connect", refused)


def test_a_recording_answers_every_call_without_key_network_and_log(server, home, monkeypatch):
    first = notebook()
    path = home.parent / "recordings" / "report.yaml"
    text = path.read_text()
    assert KEY not in text
    assert "last_update" not in text

    # Made again with the same answers, it is the same file; so also after a change and back.
    requests = len(server.requests)
    without_server(monkeypatch)
    for _ in range(2):
        restart("replay")
        assert masked(notebook()) == masked(first)
    assert path.read_text() == text
    assert len(server.requests) == requests
    use = kernel.use()
    assert (use.from_file, use.from_log, use.missed) == (15, 0, [])
    runs = lp.runs()
    assert set(runs.cached) == {True}
    assert runs.cost_usd.sum() == 0
    assert runs.saved_usd.sum() > 0


def test_what_did_not_change_keeps_its_lines(server, home, answers):
    path = home.parent / "recordings" / "report.yaml"
    answers.words = {"a": "A", "b": "B", "c": "C"}
    for prompt in ("a", "c"):
        lp.ask(prompt, MODEL)
    before = path.read_text().splitlines()
    restart("record")
    for prompt in ("a", "c"):
        lp.ask(prompt, MODEL)
    assert path.read_text().splitlines() == before  # times and counts too

    answers.words["c"] = "changed"
    restart("record")
    for prompt in ("a", "b", "c"):
        lp.ask(prompt, MODEL)

    after = path.read_text().splitlines()
    prompts = [line.split()[-1] for line in after if "- user:" in line]
    assert prompts == ["a", "b", "c"]  # where it was used first
    changed = [line for line in after if line not in before and "ms:" not in line]
    assert [line.strip() for line in changed if "changed" in line] == [
        'response_text: "changed to c\\n\\'
    ]
    restart("record")
    lp.ask("c", MODEL)
    lp.ask("a", MODEL)
    assert kernel.prune(path) == (1, 2)
    assert [line.split()[-1] for line in path.read_text().splitlines() if "- user:" in line] == [
        "c",
        "a",
    ]


def test_the_command_changes_the_mode_and_says_what_was_used(server, home, capsys):
    run = command_lines.command

    def said(words):
        capsys.readouterr()
        run(f"replay {words}")()
        return capsys.readouterr().out.splitlines()

    assert said("off")[:2] == [
        "Mode live. %llm replay on, off or record changes it.",
        "There is no recording at recordings/report.yaml.",
    ]
    assert said("record")[0].startswith("Mode record.")
    lp.ask("a", MODEL)
    lp.ask("b", MODEL)
    assert said("on")[0].startswith("Mode replay.")
    with pytest.raises(lp.ConfigError, match="no call of this kernel has used"):
        said("prune")
    lp.ask("b", MODEL)
    with pytest.raises(lp.ConfigError):
        lp.ask("c", MODEL)
    *_, used, missed = said("")
    assert (
        used == "This kernel: 1 from recordings, 0 from the log, 0 recorded, 1 without an answer."
    )
    assert missed.startswith("No answer is stored for this prompt")
    assert said("prune")[0] == "1 unused answer removed, 1 kept."
    assert said("on")[1] == "recordings/report.yaml: 1 answer."
    assert lp.ask("b", MODEL).text, "the first answer once more"


def test_prune_names_the_lock_that_another_process_holds(server, home, monkeypatch):
    lp.ask("a", MODEL)
    lp.ask("b", MODEL)
    restart("replay")
    lp.ask("b", MODEL)
    monkeypatch.setattr(file, "_LOCK_WAIT_S", 0)
    folder = os.open(home.parent / "recordings", os.O_RDONLY)
    try:
        assert lock_descriptor(folder, blocking=False)
        with pytest.raises(lp.ConfigError, match="another process has locked its folder"):
            command_lines.command("replay prune")()
    finally:
        os.close(folder)


CLOSEST = [
    ({}, "Rain in Bergen?", "same model; prompt: Rain in [-Oslo-]{+Bergen+}?"),
    ({"temperature": 0.7}, "Rain in Oslo?", "same model; temperature 0.2 \u2192 0.7"),
    ({"model": "gpt-4o-mini"}, "Rain in Oslo?", "model openai:gpt-4o \u2192 openai:gpt-4o-mini"),
    ({"system": "Be kind."}, "Rain in Oslo?", "system prompt: (empty) \u2192 “Be kind.”"),
    ({"schema": int}, "Rain in Oslo?", "schema: (empty)"),
    ({"messages": [lp.Message("user", ())]}, "Rain in Oslo?", "earlier turns"),
]


@pytest.mark.parametrize("source", ["file", "log"])
def test_a_miss_names_the_closest_request_and_what_differs(server, home, source):
    lp.configure(mode="record" if source == "file" else "live")
    lp.ask("Something else entirely, with many words.", MODEL)
    lp.ask("Rain in Oslo?", MODEL, temperature=0.2)
    restart("replay")
    for given, prompt, expected in CLOSEST:
        if source == "log" and "schema" in given:
            continue
        arguments = {"model": MODEL, "temperature": 0.2, **given}
        with pytest.raises(lp.ConfigError, match="No answer is stored") as missed:
            lp.ask(prompt, **arguments)
        where = "report.yaml" if source == "file" else "the log"
        assert f"Closest in {where}: {MODEL}; " in str(missed.value)
        assert expected in str(missed.value)
    assert lp.ask("Rain in Oslo?", MODEL, temperature=0.2).cached
    with pytest.raises(lp.ConfigError, match=r"has 1 answer for this prompt .* is call 2 "):
        lp.ask("Rain in Oslo?", MODEL, temperature=0.2)


async def test_iterations_get_their_own_answers_in_any_order(server):
    first = [run.text for run in lp.compare("x", [MODEL], n=4).runs]
    restart("replay")

    both = await asyncio.gather(
        asyncio.to_thread(lp.compare, "x", [MODEL], n=2), asyncio.to_thread(lp.ask, "y", MODEL),
        return_exceptions=True,
    )  # fmt: skip

    assert [masked(run.text) for run in both[0].runs] == masked(first[:2])
    assert isinstance(both[1], lp.ConfigError)


def test_runs_are_in_the_order_of_calls_whichever_answer_is_found_first(server, monkeypatch):
    lp.compare(["one", "two"], [MODEL])
    restart("replay")
    find, is_second_found = recording._in_files, threading.Event()

    def find_second_first(request, *of_call):
        found = find(request, *of_call)
        if request.user_prompt == "two":
            is_second_found.set()
        assert is_second_found.wait(60)
        return found

    monkeypatch.setattr(recording, "_in_files", find_second_first)
    replayed = lp.compare(["one", "two"], [MODEL])

    assert lp.runs(limit=2).run_id.tolist() == [run.id for run in reversed(replayed.runs)]


def test_replay_takes_its_time_on_request(server):
    run = lp.ask("slow", MODEL)
    path = kernel.own_path()
    recorded = path.read_text()
    recorded = recorded.replace(f"ttft_ms: {run.ttft_ms:.0f}", "ttft_ms: 60")
    recorded = re.sub("response_time_ms: [0-9]+", "response_time_ms: 300", recorded)
    path.write_text(recorded)
    restart("replay")
    lp.configure(replay_timing=True)

    started = time.monotonic()
    deltas = []
    with lp.stream("slow", MODEL) as events:
        deltas = [time.monotonic() - started for e in events if isinstance(e, lp.TextDelta)]

    assert len(deltas) > 2
    assert deltas[0] >= 0.06
    assert deltas[-1] - deltas[0] >= 0.1
    assert events.run.response_time_ms == 300
    assert lp.latency().empty or not lp.latency().runs.sum() > 1


def test_another_kernel_is_stopped_in_a_timed_replay(server):
    lp.ask("slow", MODEL)
    path = kernel.own_path()
    text = path.read_text()
    [line] = [line for line in text.splitlines() if "response_time_ms" in line]
    path.write_text(text.replace(line, "        response_time_ms: 3600000"))
    restart("replay")
    lp.configure(replay_timing=True)
    with lp.stream("slow", MODEL) as events:
        for event in events:
            if isinstance(event, lp.TextDelta):
                break

    assert events.run.status == "cancelled"
    assert events.run.text
    assert events.run.cost_usd == 0


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"privacy": "metrics"}, "privacy is"),
        ({"privacy": {"sample": 0.5}}, "a sample of 0.5"),
        ({"recording": "/proc/none/a.yaml"}, "cannot be written"),
    ],
)
def test_what_cannot_be_recorded_is_not_sent(server, settings, problem):
    lp.configure(**settings)
    with pytest.raises(lp.ConfigError, match=problem):
        lp.ask("hi", MODEL)
    assert not server.requests


def test_where_the_notebook_is_unknown(server, home, monkeypatch):
    lp.ask("hi", MODEL)
    monkeypatch.delenv("JPY_SESSION_NAME")
    folder = home.parent / "recordings"
    shutil.copy(folder / "report.yaml", folder / "another.yaml")
    RecordingFile(folder / "empty.yaml").change(lambda recording: recording)
    restart("replay")
    assert lp.ask("hi", MODEL).cached  # all files of the folder are read

    lp.configure(mode="record")
    with pytest.raises(lp.ConfigError, match=r"Nothing was sent: .*lp\.configure\(recording="):
        lp.ask("hi", MODEL)
    with pytest.raises(lp.ConfigError, match=r"Nothing was removed: .*LLM_PLAYGROUND_RECORDING="):
        command_lines.command("replay prune")()
    monkeypatch.setenv("LLM_PLAYGROUND_RECORDING", "own.yaml")
    lp.ask("hi", MODEL)
    assert Path("own.yaml").exists()
    monkeypatch.setenv("LLM_PLAYGROUND_RECORDING", "own.txt")
    with pytest.raises(lp.InvalidParameterError, match=r"\.yaml"):
        lp.ask("hi", MODEL)


BROKEN = {
    "format: 9\nentries: []\n": "has format 9",
    "format: 1\nentries: 5\ncomplete: true\n": "its entries are no list",
    "format: 1\nentries: []\n": 'it is cut off: its last line, "complete: true", is missing',
    "entries: [": "line 2: ",
    "a: 1\n<<<<<<< ours\nb: 2\n": "line 2: it has marks of a conflict of git",
    "format: 1\nentries:\n- kind: call\ncomplete: true\n": "lacks its kind, key or request",
    "format: 1\nmedia:\n  ab: '%'\ncomplete: true\n": "media are damaged",
    "\x00": "cannot be read",
    "[]": "no recording",
}


def test_a_name_that_is_too_long_ends_a_call_in_one_line(server, capsys):
    lp.configure(recording=f"{'a' * 300}.yaml")
    for mode, problem in (("record", "cannot be written"), ("replay", "No answer is stored")):
        restart(mode)
        with pytest.raises(lp.ConfigError, match=problem):
            lp.ask("hi", MODEL)
    assert not server.requests
    command_lines.command("replay")()
    assert "There is no recording at aaa" in capsys.readouterr().out


def test_a_broken_file_ends_a_call_in_one_line(server, home):
    path = home.parent / "recordings" / "report.yaml"
    path.parent.mkdir()
    for text, problem in BROKEN.items():
        for mode in ("record", "replay"):
            path.write_text(text)
            restart(mode)
            with pytest.raises(lp.ConfigError, match=problem):
                lp.ask("hi", MODEL)
            assert path.read_text() == text
    assert not server.requests


SCRIPT = """
import sys, llm_playground as lp
from tests.patience import wait_long_for_the_log
wait_long_for_the_log()
lp.configure(mode="record", recording=sys.argv[1])
for n in range(int(sys.argv[3])):
    print(lp.ask(f"{sys.argv[2]} {n}", "openai:gpt-4o").text, flush=True)
"""


def start(path, name, calls):
    arguments = [sys.executable, "-c", SCRIPT, str(path), name, str(calls)]
    return subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_kernels_lose_no_entry_of_another_and_none_when_killed(server, home):
    path = home.parent / "both.yaml"
    writers = [start(path, name, 6) for name in ("a", "b")]
    killed = start(path, "killed", 1_000)
    lines = [killed.stdout.readline() for _ in range(3 * 3)]
    killed.send_signal(signal.SIGKILL)
    lines += [line for one in [*writers, killed] for line in one.communicate()[0].splitlines()]
    assert all(writer.returncode == 0 for writer in writers)

    entries = RecordingFile(path).read().entries
    recorded = [one.request["messages"][0]["user"] for one in entries]
    assert len(set(recorded)) == len(recorded)
    assert {f"{name} {n}" for name in "ab" for n in range(6)} <= set(recorded)
    done = {line.split(" to ")[1].strip() for line in lines if " to " in line}
    assert done <= set(recorded)
    assert len([one for one in recorded if one.startswith("killed")]) >= 3
    assert not list(path.parent.glob(".llm_playground-*"))
