"""Headers, query and deployment of an endpoint's row: they arrive, and no secret is kept."""

import json
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground import _runtime, calls, config
from llm_playground.calls import CallOptions
from llm_playground.catalog import listing
from llm_playground.codegen import LANGUAGES
from llm_playground.providers import http_trace
from llm_playground.runlog import open_log
from tests.codegen.running import run as run_code
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import ALL, ANTHROPIC, GEMINI, KEY, OPENAI

SECRET = "gate-" + "way-" * 4 + "9Xc"
FORMATS = [*ALL, replace(GEMINI, name="gemini-legacy")]
HEADERS = {"X-Beta": "one", "Helicone-Auth": "Bearer ${GATEWAY_KEY}", "X-Plain": 'a"$HOME`b`'}


@pytest.fixture
def gateway(monkeypatch):
    """Starts a server in place of a vendor, at an endpoint of the user's own."""
    servers = []

    def start(vendor, script=None, **fields):
        server = WireServer(script or Reply(vendor.stream(["A"]))).__enter__()
        servers.append(server)
        monkeypatch.setenv("GATEWAY_KEY", SECRET)
        monkeypatch.setenv("MINE_API_KEY", KEY)
        path = fields.pop("path", "/v1" if vendor is OPENAI else "")
        row = {"base_url": server.url + path, "key_variable": "MINE_API_KEY"}
        lp.configure(endpoints={"mine": row | {"wire_format": vendor.name} | fields})
        return server

    yield start
    for server in servers:
        server.close()


@pytest.mark.parametrize("vendor", FORMATS, ids=str)
def test_headers_of_an_endpoint_arrive_and_their_secrets_are_nowhere(vendor, gateway):
    server = gateway(vendor, headers=HEADERS)
    trace = http_trace.HttpTrace()

    async def traced():
        [call] = CallOptions("Hi", ["mine:gemini-x"], headers={"x-beta": "two"}).plan()
        with http_trace.recording(trace):
            return await calls.send(call, lambda _event: None)

    run = _runtime.run(traced())

    assert run.status == "completed", run.error
    sent = server.requests[0].headers
    assert sent["helicone-auth"] == f"Bearer {SECRET}"
    assert (sent["x-beta"], sent["x-plain"]) == ("two", HEADERS["X-Plain"])
    assert any(KEY in value for value in sent.values())
    kept = [str(trace), lp.export(run, "json"), lp.runs().to_csv()]
    kept += [str(open_log().rows("SELECT * FROM audit_log")), repr(config.rows()["mine"])]
    assert not [text for text in kept if SECRET in text]
    assert lp.ask("Again", "mine:gemini-x").status == "completed"
    assert server.requests[1].headers["x-beta"] == "one"


def test_the_vendors_own_rows_take_them_too(gateway, monkeypatch):
    server = gateway(ANTHROPIC)
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    own = {"anthropic-beta": "a", "anthropic-version": "2099-01"}
    lp.configure(endpoints={"anthropic": {"headers": own}})

    run = lp.ask("Hi", "anthropic:claude-haiku-4-5", temperature=0)

    assert server.requests[0].headers.items() >= own.items()
    assert run.api_version is None
    assert json.loads(open_log().rows("SELECT parameters FROM prompts")[0]["parameters"]) == {
        "temperature": 0
    }


def test_flags_of_an_endpoint_are_part_of_the_hash(gateway):
    gateway(OPENAI)

    def hashed(**fields):
        gateway(OPENAI, **fields)
        lp.configure(endpoints={"mine": {"base_url": "http://127.0.0.1:9/v1"}})
        return CallOptions("Hi", ["mine:m"]).plan()[0].request.prompt_hash()

    plain = hashed()
    assert hashed(headers={"x-title": "Mine", "X-Api-Token": "${GATEWAY_KEY}"}) == plain
    lp.configure(endpoints={"mine": None})
    assert len({plain, hashed(headers={"x-beta": "1"}), hashed(query={"api-version": "2"})}) == 3


@pytest.mark.parametrize("vendor", [OPENAI, ANTHROPIC], ids=str)
def test_a_query_is_sent(vendor, gateway):
    server = gateway(vendor, query={"api-version": "2024-10-21", "x": "a&c"})
    lp.ask("Hi", "mine:m")
    assert server.requests[0].path.endswith("?api-version=2024-10-21&x=a%26c")


AZURE = {
    "path": "/openai/deployments/{model}",
    "query": {"api-version": "2024-10-21"},
    "key_header": "api-key",
}


def test_azure_by_deployment(gateway, tmp_path, monkeypatch):
    server = gateway(OPENAI, **AZURE)
    run = lp.ask("Hi", "mine:my-gpt.4", max_tokens=5)

    request = server.requests[0]
    assert request.path == "/openai/deployments/my-gpt.4/chat/completions?api-version=2024-10-21"
    assert request.headers["api-key"] == KEY
    assert "authorization" not in request.headers
    for name in ("a/b", "..", "a?b", "a%2fb", "é"):
        with pytest.raises(lp.InvalidParameterError, match="No deployment"):
            lp.ask("Hi", f"mine:{name}")
    assert len(server.requests) == 1
    policy = tmp_path / "policy.toml"
    policy.write_text(f'endpoints = ["{server.url}/openai/deployments"]')
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    assert lp.ask("Hi", "mine:my-gpt.4").status == "completed"
    policy.write_text(f'endpoints = ["{server.url}/other"]')
    with pytest.raises(lp.ConfigError, match="not allowed here"):
        lp.ask("Hi", "mine:my-gpt.4")
    listed = _runtime.run(listing.listed(config.rows()["mine"], 60.0))
    assert listed.reason == "its base URL names the model"
    assert run.cost_usd is None


def test_azures_first_version_needs_a_base_url_alone(gateway):
    server = gateway(OPENAI, path="/openai/v1/", query={"api-version": "preview"})
    lp.ask("Hi", "mine:my-deployment")
    assert server.requests[0].path == "/openai/v1/chat/completions?api-version=preview"
    assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"
    assert server.requests[0].json["model"] == "my-deployment"


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("vendor", ALL, ids=str)
def test_code_sends_the_same(vendor, gateway, language, tmp_path):
    fields = {"headers": HEADERS} | ({"key_header": "x-own-key"} if vendor is not GEMINI else {})
    if vendor is OPENAI:
        fields |= AZURE
    elif vendor is ANTHROPIC:
        fields["query"] = {"beta": "true"}
    server = gateway(vendor, **fields)
    run = lp.ask("Hi", "mine:gemini-x", headers={"x-own": "b $X"})
    code = lp.code(run, language)

    run_code(language, code, tmp_path, {"GATEWAY_KEY": SECRET})

    ours, theirs = server.requests
    names = ["x-beta", "helicone-auth", "x-plain", "x-own", "anthropic-version", "authorization"]
    names += ["x-own-key", "api-key", "x-goog-api-key"]
    assert theirs.path == ours.path
    assert theirs.json == ours.json
    assert [theirs.headers.get(name) for name in names] == [ours.headers.get(n) for n in names]
    assert SECRET not in code


def test_the_list_of_models_is_asked_with_them(gateway):
    models = json_reply(200, {"data": [{"id": "m"}]})
    server = gateway(OPENAI, models, headers=HEADERS, query={"api-version": "2"})
    listed = _runtime.run(listing.listed(config.rows()["mine"], 60.0))
    assert [model.name for model in listed.models] == ["m"]
    assert server.requests[0].path == "/v1/models?api-version=2"
    assert server.requests[0].headers["helicone-auth"] == f"Bearer {SECRET}"


def test_a_variable_that_is_missing_or_odd_is_named(gateway, monkeypatch):
    server = gateway(OPENAI, headers=HEADERS)
    monkeypatch.setenv("GATEWAY_KEY", SECRET + "\r\nx-b: c")
    with pytest.raises(lp.ConfigError, match="line break") as raised:
        lp.ask("Hi", "mine:m")
    assert SECRET not in str(raised.value)
    monkeypatch.delenv("GATEWAY_KEY")
    with pytest.raises(lp.MissingKeyError, match=r"helicone-auth .* GATEWAY_KEY"):
        lp.ask("Hi", "mine:m")
    assert server.requests == []


REFUSED = [
    {"headers": {"Authorization": "Bearer " + "x" * 20}},
    {"headers": {"x-note": "hf" + "_" + "a1" * 12}},
    {"headers": {"host": "a"}},
    {"headers": ["x-a"]},
    {"headers": {"x-a": 5}},
    {"query": {"key": "a"}},
    {"query": {"api_key": "a"}},
    {"query": {"a b": "c"}},
    {"query": {"a": "b c"}},
    {"query": {"a": 5}},
    {"query": "a=b"},
    {"query": {"a": "b"}, "wire_format": "gemini"},
    {"base_url": "http://127.0.0.1:9/{model}", "wire_format": "anthropic"},
]


@pytest.mark.parametrize("fields", REFUSED, ids=str)
def test_keys_in_code_and_odd_fields_are_refused_in_one_line(fields):
    with pytest.raises(lp.InvalidParameterError) as raised:
        lp.configure(endpoints={"mine": {"base_url": "http://127.0.0.1:9/v1"} | fields})
    assert len(str(raised.value).splitlines()) == 1
    assert "x" * 20 not in str(raised.value)
    assert "mine" not in config.rows()
