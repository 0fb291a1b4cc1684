"""Parameters become the vendor's body, and nothing else is sent."""

from dataclasses import replace

from llm_playground.providers import anthropic, gemini, openai
from llm_playground.providers.anthropic import DEFAULT_MAX_TOKENS
from tests.providers.formats import gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import ANTHROPIC, GEMINI, KEY, OPENAI, Vendor

NOTHING_SET = {
    "openai": (
        "/v1/chat/completions",
        {
            "model": "gpt-4o",
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        },
    ),
    "anthropic": (
        "/v1/messages",
        {
            "model": "claude-sonnet-4-5",
            "max_tokens": DEFAULT_MAX_TOKENS,
            "messages": [{"role": "user", "content": "Hi"}],
            "stream": True,
        },
    ),
    "gemini": (
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
        {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}], "generationConfig": {}},
    ),
}
BASE_PATH = {"openai": "/v1", "anthropic": "", "gemini": ""}


async def sent(vendor: Vendor, *turns, **parameters):
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url + BASE_PATH[vendor.name])
        async for _ in provider.stream(vendor.request(*turns, **parameters)):
            pass
        await provider.aclose()
    [request] = wire.requests
    return request


async def test_unset_parameters_are_not_sent(vendor):
    request = await sent(vendor)
    path, body = NOTHING_SET[vendor.name]
    assert (request.method, request.path, request.json) == ("POST", path, body)


BODY = {"openai": openai.body, "anthropic": anthropic.body, "gemini": gemini.body}


async def test_sdk_sends_exactly_the_body(vendor):
    request = vendor.request(*TURNS, **SETTINGS, extra={"new_thing": {"deep": [1, None]}})
    with WireServer(Reply(vendor.stream(["A"]))) as wire:
        provider = vendor.provider(wire.url)
        async for _ in provider.stream(request):
            pass
        await provider.aclose()
    assert wire.requests[0].json == BODY[vendor.name](request)


async def test_the_key_goes_into_one_header_and_nowhere_else(vendor):
    request = await sent(vendor)
    holding = [name for name, value in request.headers.items() if KEY in value]
    assert len(holding) == 1
    assert KEY not in request.path
    assert KEY.encode() not in request.body


SETTINGS = {
    "temperature": 0.2,
    "top_p": 0.5,
    "top_k": 40,
    "max_tokens": 7,
    "stop": ("END",),
    "seed": 3,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.3,
    "reasoning_effort": "low",
}
SENT_SETTINGS = {
    "openai": {
        "temperature": 0.2,
        "top_p": 0.5,
        "top_k": 40,
        "max_completion_tokens": 7,
        "stop": ["END"],
        "seed": 3,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.3,
        "reasoning_effort": "low",
    },
    "anthropic": {
        "temperature": 0.2,
        "top_p": 0.5,
        "top_k": 40,
        "max_tokens": 7,
        "stop_sequences": ["END"],
        "output_config": {"effort": "low"},
    },
    "gemini": {
        "generationConfig": {
            "temperature": 0.2,
            "topP": 0.5,
            "topK": 40,
            "maxOutputTokens": 7,
            "stopSequences": ["END"],
            "seed": 3,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.3,
            "thinkingConfig": {"thinkingBudget": 1024, "includeThoughts": True},
        }
    },
}


async def test_what_is_set_is_sent_under_the_vendors_name(vendor):
    request = await sent(vendor, **SETTINGS)
    assert request.json == NOTHING_SET[vendor.name][1] | SENT_SETTINGS[vendor.name]


TURNS = (
    ("system", "Be brief."),
    ("user", "One"),
    ("user", "Two"),
    ("assistant", "Three"),
    ("user", "Four"),
)
SENT_TURNS = {
    "openai": {"messages": [{"role": role, "content": text} for role, text in TURNS]},
    "anthropic": {
        "system": "Be brief.",
        "messages": [
            {
                "role": "user",
                "content": [{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}],
            },
            {"role": "assistant", "content": "Three"},
            {"role": "user", "content": "Four"},
        ],
    },
    "gemini": {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "One"}]},
            {"role": "user", "parts": [{"text": "Two"}]},
            {"role": "model", "parts": [{"text": "Three"}]},
            {"role": "user", "parts": [{"text": "Four"}]},
        ],
    },
}


async def test_turns_and_system_prompt_have_the_vendors_form(vendor):
    request = await sent(vendor, *TURNS)
    assert request.json == NOTHING_SET[vendor.name][1] | SENT_TURNS[vendor.name]


async def test_text_is_sent_byte_for_byte(vendor):
    text = 'Grüße 👋 {{name}} "quoted" \u2028 \\n\n\ttab'
    request = await sent(vendor, ("user", text))
    assert text in _strings(request.json)


def _strings(value):
    if isinstance(value, dict):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in _strings(item)]
    return [value]


async def test_extra_is_added_to_the_body_unread(vendor):
    request = await sent(vendor, extra={"metadata": {"a": [1]}, "new_thing": None})
    assert request.json == NOTHING_SET[vendor.name][1] | {"metadata": {"a": [1]}, "new_thing": None}


async def test_extra_adds_to_geminis_generation_config():
    extra = {"generationConfig": {"responseMimeType": "text/plain"}}
    request = await sent(GEMINI, temperature=0.2, extra=extra)
    assert request.json["generationConfig"] == {
        "temperature": 0.2,
        "responseMimeType": "text/plain",
    }


async def test_compatible_servers_get_max_tokens():
    local = replace(OPENAI, name="local", model="local:tiny")
    with WireServer(Reply(openai_stream(["A"]))) as wire:
        await local.answer(wire.url + "/v1", max_tokens=7)
    assert wire.requests[0].json["max_tokens"] == 7
    assert "max_completion_tokens" not in wire.requests[0].json


async def test_zero_is_sent_where_it_means_something(vendor):
    request = await sent(vendor, temperature=0.0, seed=0)
    values = request.json.get("generationConfig", request.json)
    assert values["temperature"] == 0.0
    assert values.get("seed") == (None if vendor is ANTHROPIC else 0)


async def test_a_setting_of_the_environment_does_not_redirect_the_sdk(vendor, monkeypatch):
    elsewhere = "http://127.0.0.1:9/elsewhere"
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, elsewhere)
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")
    monkeypatch.setenv("GOOGLE_GENAI_API_VERSION", "v9")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "another-key")
    monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "another-key")
    request = await sent(vendor)
    assert request.path == NOTHING_SET[vendor.name][0]
    assert "another-key" not in str(request.headers)


async def test_geminis_api_version_can_be_set(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_VERSION", "v1alpha")
    with WireServer(Reply(gemini_stream(["A"]))) as wire:
        await GEMINI.answer(wire.url)
    assert wire.requests[0].path.startswith("/v1alpha/models/")


async def test_an_old_models_name_raises_no_warning():
    old = replace(ANTHROPIC, model="anthropic:claude-2.1")
    assert (await sent(old)).json["model"] == "claude-2.1"  # warnings are errors in these tests
