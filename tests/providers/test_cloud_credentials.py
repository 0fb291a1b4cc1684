"""Clouds that take an account's credentials, which the SDKs of the vendors find and send."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal

import anthropic
import httpx2
import pytest
from anthropic.lib.aws._auth import _get_session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google import genai
from google.auth.credentials import AnonymousCredentials
from google.genai import types as sdk

import llm_playground as lp
from llm_playground import _runtime, config
from llm_playground.catalog import listing
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.test_clouds import OF_SDK
from tests.providers.vendors import ANTHROPIC, GEMINI

TOKEN = "planted-" + "token-" * 4 + "8Rb"
SECRET = "planted-" + "secret-" * 4 + "9Sc"
PLACE = "/projects/my-project/locations/europe-west1"
VERTEX = f"/v1{PLACE}/publishers/anthropic/models/claude-haiku-4-5@20251001:streamRawPredict"
ANSWERS = {"streamRawPredict": ANTHROPIC, "messages": ANTHROPIC, "alt=sse": GEMINI}


def reply(request):
    """What Google's token server and the models answer."""
    if request.path == "/token":
        return json_reply(200, {"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})
    if request.path == "/tokens":
        return json_reply(400, {"error": "invalid_grant"})
    vendor = next(v for end, v in ANSWERS.items() if request.path.endswith(end))
    return Reply(vendor.stream(["A"]))


@pytest.fixture
def cloud():
    with WireServer(reply) as server:
        yield server


@pytest.fixture(scope="module")
def private_key():
    key = rsa.generate_private_key(65537, 2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.fixture
def google(cloud, private_key, tmp_path, monkeypatch):
    """Credentials of a service account, whose token server is on loopback."""
    file = tmp_path / "account.json"
    account = {
        "type": "service_account",
        "project_id": "my-project",
        "client_email": "me@my-project.iam.gserviceaccount.com",
        "private_key": private_key,
        "token_uri": f"{cloud.url}/token",
    }
    file.write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return file


@pytest.fixture
def aws(tmp_path, monkeypatch):
    _get_session.cache_clear()  # else of another test
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    for name in ("AWS_BEARER_TOKEN_BEDROCK", "ANTHROPIC_AWS_API_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "MINE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)


def configure(cloud, wire_format, path, **fields):
    row = {"wire_format": wire_format, "base_url": cloud.url + path} | fields
    lp.configure(endpoints={"cloud": row})


def calls(cloud):
    return [request for request in cloud.requests if not request.path.startswith("/token")]


async def ask_vertex(url):
    async with anthropic.AsyncAnthropicVertex(
        project_id="my-project", region="europe-west1", base_url=f"{url}/v1"
    ) as client:
        fields = OF_SDK | {"model": "claude-haiku-4-5@20251001"}
        await client.messages.create(max_tokens=9, **fields)


def test_claude_on_vertex(cloud, google):
    asyncio.run(ask_vertex(cloud.url))
    configure(cloud, "anthropic-vertex", f"/v1{PLACE}")
    run = lp.ask("Hi", "cloud:claude-haiku-4-5@20251001", max_tokens=9)

    theirs, ours = calls(cloud)
    assert ours.path == theirs.path == VERTEX
    assert ours.json == theirs.json
    assert ours.headers["authorization"] == theirs.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-api-key" not in ours.headers
    assert run.text == "A"
    assert (run.usage.input_tokens, run.usage.output_tokens) == (11, 5)
    assert run.cost_usd is None  # a region costs more than the list says


async def ask_gemini(url):
    async with httpx2.AsyncClient() as http_client:
        client = genai.Client(
            vertexai=True,
            project="my-project",
            location="europe-west1",
            http_options=sdk.HttpOptions(base_url=url, httpx_async_client=http_client),
        )
        async for _ in await client.aio.models.generate_content_stream(
            model="gemini-2.5-flash", contents="Hi"
        ):
            pass


def test_gemini_on_vertex(cloud, google):
    asyncio.run(ask_gemini(cloud.url))
    configure(cloud, "gemini-vertex", f"/v1beta1{PLACE}", priced_as="google")
    run = lp.ask("Hi", "cloud:gemini-2.5-flash")

    theirs, ours = calls(cloud)
    assert ours.path == theirs.path
    assert ours.path.startswith(f"/v1beta1{PLACE}/publishers/google/models/gemini-2.5-flash:")
    assert ours.json["contents"][0]["parts"] == theirs.json["contents"][0]["parts"]
    assert ours.headers["authorization"] == f"Bearer {TOKEN}"
    assert "x-goog-api-key" not in ours.headers
    assert run.text == "A"
    assert (run.usage.input_tokens, run.usage.output_tokens) == (11, 5)
    assert run.cost_usd == Decimal("0.0000158")  # 11 at $0.30, 5 at $2.50 per million


def signature(request, region):
    """The signature of AWS that a request as it arrived ought to have."""
    _, _, fields = request.headers["authorization"].partition(" ")
    signed_with = dict(field.strip().split("=", 1) for field in fields.split(","))
    headers = {name: request.headers[name] for name in signed_with["SignedHeaders"].split(";")}
    url = f"http://{request.headers['host']}{request.path}"
    signed = AWSRequest(request.method, url, headers, request.body)
    signed.context["timestamp"] = request.headers["x-amz-date"]
    auth = SigV4Auth(Credentials("MINE", SECRET, TOKEN), "bedrock-mantle", region)
    text = auth.string_to_sign(signed, auth.canonical_request(signed))
    return signed_with["Signature"], auth.signature(text, signed)


def test_claude_on_bedrock_is_signed(cloud, aws):
    configure(cloud, "anthropic-bedrock", "/anthropic")
    run = lp.ask("Hi", "cloud:anthropic.claude-haiku-4-5-20251001-v1:0", max_tokens=9)

    [ours] = calls(cloud)
    assert ours.path == "/anthropic/v1/messages"
    assert ours.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=MINE/")
    assert ours.headers["x-amz-security-token"] == TOKEN
    signed_with, right = signature(ours, "eu-west-1")
    assert signed_with == right
    assert ours.json["model"] == "anthropic.claude-haiku-4-5-20251001-v1:0"
    assert run.text == "A"
    assert (run.usage.input_tokens, run.usage.output_tokens) == (11, 5)
    assert run.cost_usd == Decimal("0.0001188")  # 11 at $3.30, 5 at $16.50: Sonnet 4.5 answered


def test_what_older_models_take_goes_with_the_older_version(cloud, google):
    configure(cloud, "anthropic-vertex", f"/v1{PLACE}")
    run = lp.ask("Hi", "cloud:claude-haiku-4-5@20251001", temperature=0.5)

    [ours] = calls(cloud)
    assert ours.json["anthropic_version"] == run.api_version == "vertex-2023-10-16"
    assert ours.json["temperature"] == 0.5
    assert "anthropic-version" not in ours.headers
    for name in ("a/b", "..", "a?b", "a%2fb", "a;b"):
        with pytest.raises(lp.InvalidParameterError, match="No model on Vertex"):
            lp.ask("Hi", f"cloud:{name}")
    assert len(calls(cloud)) == 1


def changed(file, **fields):
    file.write_text(json.dumps(json.loads(file.read_text()) | fields))


FAILURES = {
    "no file": lambda file: file.unlink(),
    "no JSON": lambda file: file.write_text("{"),
    "no key": lambda file: changed(file, private_key="x"),
    "refused": lambda file: changed(
        file, token_uri=json.loads(file.read_text())["token_uri"] + "s"
    ),
}


@pytest.mark.parametrize("wire_format", ["anthropic-vertex", "gemini-vertex"])
@pytest.mark.parametrize("failure", FAILURES)
def test_credentials_of_google_that_fail(cloud, google, wire_format, failure):
    FAILURES[failure](google)
    configure(cloud, wire_format, f"/v1{PLACE}")
    with pytest.raises(lp.AuthenticationError, match="gcloud auth") as raised:
        lp.ask("Hi", "cloud:m")
    assert raised.value.run.status == "failed"
    assert calls(cloud) == []


def test_a_token_server_that_is_not_reached_is_unavailable(cloud, google):
    changed(google, token_uri="http://127.0.0.1:9/token")
    configure(cloud, "anthropic-vertex", f"/v1{PLACE}")
    lp.configure(retry=1)
    with pytest.raises(lp.ProviderUnavailableError, match="not reached"):
        lp.ask("Hi", "cloud:m")


def test_credentials_of_aws_that_are_missing(cloud, aws, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    configure(cloud, "anthropic-bedrock", "/anthropic")
    with pytest.raises(lp.AuthenticationError, match="aws configure"):
        lp.ask("Hi", "cloud:m")
    assert cloud.requests == []


URLS = [
    ("anthropic-vertex", "us-east5", "https://us-east5-aiplatform.googleapis.com/v1/"),
    ("anthropic-vertex", "global", "https://aiplatform.googleapis.com/v1/"),
    ("anthropic-vertex", "eu", "https://aiplatform.eu.rep.googleapis.com/v1/"),
    ("gemini-vertex", "us-east5", "https://us-east5-aiplatform.googleapis.com/v1beta1/"),
    ("gemini-vertex", "us", "https://aiplatform.us.rep.googleapis.com/v1beta1/"),
]


@pytest.mark.parametrize(("wire_format", "region", "start"), URLS)
def test_project_and_region_stand_for_the_url_of_the_sdks(wire_format, region, start):
    place = {"project": "p", "region": region}
    lp.configure(endpoints={"cloud": {"wire_format": wire_format} | place})
    row = config.rows()["cloud"]
    if wire_format == "gemini-vertex":
        client = genai.Client(
            vertexai=True, project="p", location=region, credentials=AnonymousCredentials()
        )
        options = client._api_client._http_options
        sdk_url = f"{options.base_url}{options.api_version}/"
    else:
        sdk_url = str(anthropic.AsyncAnthropicVertex(project_id="p", region=region).base_url)
    assert start == sdk_url
    assert row.base_url == f"{start}projects/p/locations/{region}"
    assert row.priced_as == ("google" if region == "global" else None)


def test_a_region_stands_for_the_url_of_bedrock():
    lp.configure(endpoints={"cloud": {"wire_format": "anthropic-bedrock", "region": "eu-west-1"}})
    client = anthropic.AsyncAnthropicBedrockMantle(aws_region="eu-west-1")
    assert config.rows()["cloud"].base_url == str(client.base_url).rstrip("/")


REFUSED = [
    {"wire_format": "anthropic", "project": "p", "region": "r"},
    {"wire_format": "anthropic-vertex", "region": "r"},
    {"wire_format": "anthropic-vertex", "project": "p/q", "region": "r"},
    {"wire_format": "anthropic-vertex", "project": 5, "region": "r"},
    {"wire_format": "anthropic-vertex", "base_url": "https://host/v1"},
    {"wire_format": "anthropic-bedrock", "base_url": "https://host", "region": "r"},
    {"wire_format": "anthropic-bedrock", "region": "r", "key_variable": "A"},
]


@pytest.mark.parametrize("fields", REFUSED, ids=str)
def test_rows_that_cannot_be(fields):
    with pytest.raises(lp.InvalidParameterError, match="cloud"):
        lp.configure(endpoints={"cloud": fields})
    assert "cloud" not in config.rows()


def test_code_and_lists_of_a_cloud(cloud, aws):
    configure(cloud, "anthropic-bedrock", "/anthropic")
    run = lp.ask("Hi", "cloud:m", max_tokens=9)
    assert "lp.ask(" in lp.code(run)
    for language in ("javascript", "curl"):
        with pytest.raises(lp.ConfigError, match="AWS credentials"):
            lp.code(run, language)
    listed = _runtime.run(listing.listed(config.rows()["cloud"], 60.0))
    assert "no list of models" in listed.reason
    assert "cloud" not in set(lp.models()["provider"])


def test_what_is_added_is_taken_back_on_vertex_too(google):
    refusal = {
        "error": {
            "type": "invalid_request_error",
            "message": "citations: Extra inputs are not permitted",
        }
    }

    def refusing(request):
        if b'"citations"' in request.body:
            return json_reply(400, refusal)
        return reply(request)

    with WireServer(refusing) as server:
        changed(google, token_uri=f"{server.url}/token")
        configure(server, "anthropic-vertex", f"/v1{PLACE}")
        run = lp.ask("Hi", "cloud:claude-haiku-4-5@20251001", files=[b"a,b\n1,2\n"])
        assert run.text == "A"
        assert [b'"citations"' in request.body for request in calls(server)] == [True, False]
