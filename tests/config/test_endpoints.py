"""Endpoints: the table, the user's own, and those that packages bring. Through the public door."""

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import llm_playground as lp
from llm_playground import _runtime, config, doctor, providers
from llm_playground.config import credentials, endpoints
from llm_playground.config.endpoint_table import BUILT_IN, LOCAL_SERVERS, EndpointRow
from tests.providers.example_provider import example_stream
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer

ROOT = Path(__file__).parents[2]
KEY = "planted-" + "word-" * 4


pytestmark = pytest.mark.usefixtures("home")


class TestTheTable:
    @pytest.mark.parametrize("row", BUILT_IN.values(), ids=lambda row: row.name)
    def test_a_row_says_where_whose_key_and_at_whose_prices(self, row):
        address = urlsplit(row.base_url)
        if row.name == "local":
            assert row.free
        elif row in LOCAL_SERVERS:
            assert (address.scheme, address.hostname, row.free) == ("http", "127.0.0.1", True)
            assert not row.key_variables
        else:
            assert address.scheme == "https"
            assert not row.base_url.endswith("/")
            assert row.key_variables
            assert urlsplit(row.key_page).scheme == "https"
            assert not row.free

    def test_prices_are_looked_up_under_names_that_the_price_list_knows(self):
        from genai_prices import data_snapshot

        known = {provider.id for provider in data_snapshot.get_snapshot().providers}
        assert {row.priced_as for row in BUILT_IN.values()} <= known | {None}

    def test_the_well_known_services_are_there(self):
        names = "ollama lmstudio vllm llama.cpp openrouter groq deepseek mistral gemini-legacy"
        assert set(names.split()) <= set(config.rows())


class TestConfigure:
    def test_a_base_url_is_enough_for_a_server_without_keys(self):
        with WireServer(Reply(openai_stream(["Hel", "lo"]))) as server:
            lp.configure(endpoints={"mine": f"{server.url}/v1"})
            run = lp.ask("Hi", "mine:any/model:8b", max_tokens=7)

        assert (run.text, run.provider, run.model) == ("Hello", "mine", "mine:any/model:8b")
        [request] = server.requests
        assert request.path == "/v1/chat/completions"
        assert request.headers["authorization"] == f"Bearer {providers.NO_KEY}"
        assert (request.json["model"], request.json["max_tokens"]) == ("any/model:8b", 7)
        assert "max_completion_tokens" not in request.json

    def test_nobody_knows_what_an_own_endpoint_costs(self):
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            lp.configure(endpoints={"mine": f"{server.url}/v1"})
            run = lp.ask("Hi", "mine:gpt-4o")

        assert (run.cost_usd, run.price_source) == (None, None)

    def test_its_key_comes_from_the_variable_it_names(self, monkeypatch):
        monkeypatch.setenv("MINE_API_KEY", KEY)
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            lp.configure(
                endpoints={"mine": {"base_url": server.url, "key_variable": "MINE_API_KEY"}}
            )
            lp.ask("Hi", "mine:model")

        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"

    def test_without_that_key_the_variable_is_named(self):
        lp.configure(
            endpoints={"mine": {"base_url": "http://x/v1", "key_variable": "MINE_API_KEY"}}
        )

        with pytest.raises(lp.MissingKeyError, match="MINE_API_KEY") as caught:
            lp.ask("Hi", "mine:model")
        assert "None" not in str(caught.value)

    def test_where_nobody_documents_how_keys_start_any_is_taken(self, monkeypatch):
        monkeypatch.setenv("MISTRAL_API_KEY", KEY)

        assert credentials.key_status("mistral").status == "present"

    @pytest.mark.parametrize(
        ("wire_format", "stream", "path"),
        [
            ("anthropic", anthropic_stream, "/v1/messages"),
            ("gemini", gemini_stream, "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ],
    )
    def test_it_may_speak_any_wire_format(self, wire_format, stream, path):
        with WireServer(Reply(stream(["Hi"]))) as server:
            lp.configure(endpoints={"mine": {"base_url": server.url, "wire_format": wire_format}})
            run = lp.ask("Hi", "mine:m")

        assert (run.text, server.requests[0].path) == ("Hi", path)

    def test_a_changed_wire_format_holds_for_the_next_call(self):
        for wire_format, stream in (("openai", openai_stream), ("anthropic", anthropic_stream)):
            with WireServer(Reply(stream([wire_format]))) as server:
                row = {"base_url": server.url, "wire_format": wire_format}
                lp.configure(endpoints={"mine": row})
                assert lp.ask("Hi", "mine:m").text == wire_format

    def test_a_known_endpoint_moves_and_stays_what_it_is(self):
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            lp.configure(endpoints={"ollama": f"{server.url}/v1"})
            run = lp.ask("Hi", "ollama:llama3.2:3b")

        assert (run.text, run.cost_usd, run.price_source) == ("Hi", 0, "free")

    def test_a_moved_vendor_takes_any_key_and_keeps_its_prices(self, monkeypatch):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        with WireServer(Reply(openai_stream(["Hi"]))) as server:
            lp.configure(endpoints={"openai": f"{server.url}/v1"})
            run = lp.ask("Hi", "openai:gpt-4o")

        assert (run.text, run.price_source) == ("Hi", "genai-prices")
        assert run.cost_usd > 0

    def test_the_doctor_has_a_line_for_whose_key_is_set(self, monkeypatch):
        with WireServer(Reply()) as server:
            row = {"base_url": server.url, "key_variable": "MINE_API_KEY", "label": "My box"}
            lp.configure(endpoints=dict.fromkeys(["openai", "anthropic", "gemini"], server.url))
            lp.configure(endpoints={"mine": row})
            assert not any(line.startswith("My box") for line in doctor.report())

            monkeypatch.setenv("MINE_API_KEY", KEY)
            [line] = [line for line in doctor.report() if line.startswith("My box")]

        assert "key present, MINE_API_KEY from environment" in line
        assert line.endswith("127.0.0.1: reached")
        assert server.requests == []

    def test_the_doctor_reaches_a_host_while_the_event_loop_is_held_up(self, monkeypatch):
        connect, connected = doctor._connect, threading.Event()

        def connecting(*where):
            connect(*where)
            connected.set()

        async def report():
            reached = asyncio.create_task(doctor._reach("openai"))
            await asyncio.sleep(0)  # the connection is under way
            assert connected.wait(60)
            loop = asyncio.get_running_loop()
            late = loop.time() + doctor._CONNECT_TIMEOUT_S + 1
            loop.time = lambda: late  # so long was the loop held up
            return await reached

        monkeypatch.setattr(doctor, "_connect", connecting)
        with WireServer(Reply()) as server:
            lp.configure(endpoints={"openai": server.url})
            assert asyncio.run(report()) == "127.0.0.1: reached"

    @pytest.mark.parametrize(
        ("base_url", "problem"),
        [
            ("localhost:8080/v1", "it does not begin with http:// or https://"),
            ("http://127.0.0.1:0/v1", "0 is not a port"),
            ("http://127.0.0.1:99999/v1", "99999 is not a port"),
            ("http://a..b/v1", "it names no host"),
            (f"http://{'x' * 70}.example/v1", "it names no host"),
            ("https://me:hopper/1906@127.0.0.1/v1", "it is not a web address"),
            ("https://me:hopper1906@127.0.0.1/v1", "it contains a user name or a password"),
            ("http://127.0.0.1/v1?key=hopper1906", "it contains a query, and keys belong in .env"),
        ],
    )
    def test_the_doctor_connects_only_where_calls_are_sent(self, monkeypatch, base_url, problem):
        monkeypatch.setattr(doctor, "_connect", pytest.fail)
        monkeypatch.setenv("OPENAI_BASE_URL", base_url)
        states = _runtime.run(doctor._reach_all(["openai"]))
        assert states == {"openai": f"the base URL cannot be used: {problem}"}

    @pytest.mark.parametrize(
        ("base_url", "variable", "proxy", "state"),
        [
            ("http://api.example", "http_proxy", "http://SERVER", "proxy SERVER: reached"),
            ("http://api.example", "http_proxy", "SERVER", "proxy SERVER: reached"),
            ("http://api.example", "http_proxy", "http://me:hop@SERVER", "proxy SERVER: reached"),
            ("https://api.example", "all_proxy", "http://SERVER", "proxy SERVER: reached"),
            ("http://SERVER", "http_proxy", "http://127.0.0.1:1", "127.0.0.1: reached"),
            ("http://api.example", "http_proxy", "http://a..b", "a..b: not a host and a port"),
            (
                "http://api.example",
                "http_proxy",
                "http://a:70000",
                "a:70000: not a host and a port",
            ),
        ],
    )
    def test_the_doctor_takes_the_way_of_calls(self, monkeypatch, base_url, variable, proxy, state):
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.upper(), raising=False)
        with WireServer(Reply()) as server:
            place = server.url.removeprefix("http://")
            monkeypatch.setenv("OPENAI_BASE_URL", base_url.replace("SERVER", place))
            monkeypatch.setenv(variable, proxy.replace("SERVER", place))
            [found] = _runtime.run(doctor._reach_all(["openai"])).values()
        assert state.replace("SERVER", place) in found

    def test_none_takes_an_endpoint_back(self):
        lp.configure(endpoints={"mine": "http://127.0.0.1:9/v1"})
        lp.configure(endpoints={"mine": None})

        with pytest.raises(lp.UnknownModelError):
            lp.ask("Hi", "mine:model")

    def test_what_is_not_given_stays_as_it_was(self):
        lp.configure(endpoints={"mine": {"base_url": "http://127.0.0.1:9/v1", "label": "My box"}})
        lp.configure(endpoints={"mine": {"free": True}}, model="local")

        row = config.rows()["mine"]
        assert (row.label, row.free, row.base_url) == ("My box", True, "http://127.0.0.1:9/v1")

    def test_a_row_is_taken_as_it_is(self):
        row = EndpointRow("other", "Other", "https://example.com/v1", priced_as="groq")
        lp.configure(endpoints={"mine": row})

        assert config.rows()["mine"].priced_as == "groq"

    WRONG = (
        ({"": "http://x/v1"}, "cannot name an endpoint"),
        ({"a b": "http://x/v1"}, "cannot name an endpoint"),
        ({"a:b": "http://x/v1"}, "cannot name an endpoint"),
        ({"local": "http://x/v1"}, "embedded model"),
        ({"mine": ""}, "is not a web address"),
        ({"mine": "x/v1"}, "is not a web address"),
        ({"mine": "ftp://x/v1"}, "is not a web address"),
        ({"mine": "http://x:99999/v1"}, "is not a web address"),
        ({"mine": "http://[::1"}, "is not a web address"),
        ({"mine": "http://x /v1"}, "is not a web address"),
        ({"mine": f"http://user:{KEY}@x/v1"}, "password"),
        ({"mine": f"http://x/v1?key={KEY}"}, "query"),
        ({"mine": {"base_url": "http://x", "wire_format": "opanai"}}, "Did you mean openai"),
        ({"mine": {"base_url": "http://x", "wire_format": "zzz"}}, "Available: openai"),
        ({"mine": {"base_ulr": "http://x"}}, "Did you mean base_url"),
        ({"mine": {"base_url": "http://x", "api_key": KEY}}, r"\.env.*MINE_API_KEY"),
        ({"mine": {"base_url": "http://x", "key": KEY}}, r"\.env.*MINE_API_KEY"),
        ({"mine": {"base_url": "http://x", "key_variable": KEY}}, "names a variable"),
        ({"mine": {"base_url": "http://x", "free": "yes"}}, "True or False"),
        ({"mine": {"base_url": 5}}, "takes text"),
        ({"mine": {"label": "no address"}}, "is not a web address"),
        ({"mine": 5}, "not of type int"),
        ("http://x/v1", "endpoints takes"),
    )

    @pytest.mark.parametrize(("setting", "line"), WRONG, ids=str)
    def test_what_is_wrong_is_one_line_without_a_key_in_it(self, setting, line):
        with pytest.raises(lp.InvalidParameterError, match=line) as caught:
            lp.configure(endpoints=setting)

        assert "\n" not in str(caught.value)
        assert KEY not in str(caught.value)

    def test_what_is_refused_changes_nothing(self):
        with pytest.raises(lp.InvalidParameterError):
            lp.configure(endpoints={"mine": "http://x/v1", "other": "no address"})

        assert "mine" not in config.rows()


PLUGIN = """
from llm_playground.config.endpoint_table import EndpointRow

def rows():
    yield EndpointRow("brought", "Brought", "https://example.com/v1")
    yield EndpointRow("second", "Second", "https://example.com/v1")

one = EndpointRow("single", "Single", "https://example.com/v1")
takes_openai = EndpointRow("openai", "Thief", "https://example.com/v1")
wrong = 5
"""
USE = """
import json, sys
import llm_playground as lp
from llm_playground import config
assert "bringer" not in sys.modules, "it is loaded at the first use"
run = lp.ask("Hi", "example:model", temperature=0.5)
named = {"example", "brought", "second", "single"} & set(config.rows())
print(json.dumps([run.text, run.cost_usd, sorted(named), config.rows()["openai"].label]))
"""


def installed(folder, entry_points, code):
    """A package as pip leaves it: a module, and metadata that names its entry points."""
    (folder / "bringer.py").write_text(code)
    about = folder / "bringing_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: bringing-package\nVersion: 1.0\n")
    lines = [f"{name} = {target}" for name, target in entry_points.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{endpoints.GROUP}]", *lines]))


class TestPackages:
    def test_a_package_brings_providers_and_a_broken_one_is_one_line(self, tmp_path):
        broken = {
            "a": "bringer:nothing",
            "b": "no_such_module:row",
            "c": "bringer:wrong",
            "d": "bringer:takes_openai",
        }
        whole = {
            "e": "bringer:rows",
            "f": "bringer:one",
            "g": "tests.providers.example_provider:ROW",
        }
        installed(tmp_path, broken | whole, PLUGIN)
        with WireServer(Reply(example_stream(["Hel", "lo"]))) as server:
            done = subprocess.run(
                [sys.executable, "-c", USE],
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])}
                | {"EXAMPLE_API_KEY": KEY, "EXAMPLE_BASE_URL": server.url},
                capture_output=True,
                text=True,
                timeout=300,
                check=True,
            )

        brought = ["brought", "example", "second", "single"]
        assert json.loads(done.stdout) == ["Hello", None, brought, "OpenAI"]
        [request] = server.requests
        assert request.path == "/talk"
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.json == {
            "model": "model",
            "turns": [{"who": "user", "says": "Hi"}],
            "temperature": 0.5,
        }
        lines = [line for line in done.stderr.splitlines() if "bringing-package" in line]
        assert len(lines) == len(broken), done.stderr

    def test_a_class_that_is_not_there_is_said_at_the_first_call(self):
        row = {"base_url": "http://127.0.0.1:9", "wire_format": "no_such_module:Class"}
        lp.configure(endpoints={"mine": row})

        with pytest.raises(lp.ConfigError, match=re.escape("no_such_module:Class")):
            lp.ask("Hi", "mine:model")


@pytest.mark.parametrize(
    "fields",
    [
        {"key_variables": None},
        {"key_variables": 5},
        {"wire_format": 5},
        {"base_url_variable": "a b"},
        {"priced_as": 5},
        {"free": "yes"},
        {"label": None},
    ],
    ids=str,
)
def test_a_ready_made_row_is_checked_as_a_mapping_is(fields):
    row = EndpointRow(**{"name": "mine", "label": "Mine", "base_url": "http://h/v1"} | fields)
    with pytest.raises(lp.InvalidParameterError, match=next(iter(fields))):
        lp.configure(endpoints={"mine": row})


def test_the_variables_of_a_ready_made_row_may_be_one_name():
    row = EndpointRow("mine", "Mine", "http://h/v1", key_variables="MINE_API_KEY")
    lp.configure(endpoints={"mine": row})
    assert config.rows()["mine"].key_variables == ("MINE_API_KEY",)


def test_a_base_url_of_the_environment_holds_no_query(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "planted-" + "key-" * 4 + "7Qa")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1?key=hidden")
    with pytest.raises(lp.ConfigError, match="it contains a query") as caught:
        lp.ask("Hi", "openai:m")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("version", ["v1/../x", "v1?key=a", "v{0}"])
def test_a_version_that_is_none_is_not_sent(monkeypatch, version):
    monkeypatch.setenv("GOOGLE_GEMINI_API_VERSION", version)
    with pytest.raises(lp.ConfigError, match="is not a version"):
        config.gemini_api_version()
