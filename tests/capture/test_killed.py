"""A process that is killed or interrupted during a recorded call leaves a row of it."""

import signal
import subprocess
import sys

import pytest

import llm_playground as lp
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

LONG = "Hello " * 20_000  # more than is read at once

CALL = """
import signal, sys, threading, time
import httpx2
import llm_playground as lp

BODY = {"model": "gpt-4o", "messages": [{"role": "user", "content": "Hi"}], "stream": True}

def call():
    received = b""
    with httpx2.Client(trust_env=False) as client:
        with client.stream("POST", sys.argv[1], json=BODY) as response:
            for piece in response.iter_raw():
                received += piece
                if b"you" in received:
                    print("came", flush=True)

lp.record()
"""
KILLED = f"""{CALL}
threading.Thread(target=call, daemon=True).start()
while not any(text.endswith("you") for text in lp.runs(status="running").response_text):
    time.sleep(0.1)
print("running", flush=True)
signal.pause()
"""
INTERRUPTED = f"""{CALL}
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    call()
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


@pytest.mark.parametrize(
    ("script", "line", "how", "status"),
    [
        (KILLED, "running", signal.SIGKILL, "interrupted"),
        (INTERRUPTED, "came", signal.SIGINT, "cancelled"),
    ],
)
def test_the_text_that_came_is_in_the_log_and_counted(home, monkeypatch, script, line, how, status):
    answer = openai_stream([LONG, "you", "and more"])[:3]
    with WireServer(Reply(answer, end="hang")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")  # a host with prices
        command = [sys.executable, "-c", script, f"{server.url}/v1/chat/completions"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
            while child.stdout.readline().strip() != line:
                assert child.poll() is None
            child.send_signal(how)
            rest = child.communicate()[0]

    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["response_text"]) == (status, f"{LONG}you")
    assert row["output_tokens"] > 0
    assert row["cost_usd"] > 0
    assert child.returncode == (0 if "stopped" in rest else -how)
    assert ("stopped" in rest) == (how == signal.SIGINT)
