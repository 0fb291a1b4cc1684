"""Code sends what we send: it is run, and what arrives is compared."""

from dataclasses import replace
from urllib.parse import unquote

import pytest

import llm_playground as lp
from llm_playground.codegen import LANGUAGES
from llm_playground.errors import ConfigError
from llm_playground.request.schemas import schema_from
from tests.codegen.requests import (
    BASE_PATH,
    DATA_URL,
    FILES,
    GIF,
    KINDS,
    plain,
    sent_by_us,
    text,
)
from tests.codegen.running import CALLS, KEY, run
from tests.providers.formats import openai_stream
from tests.providers.responses_format import responses_stream
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import OPENAI


@pytest.fixture(params=LANGUAGES)
def language(request):
    return request.param


@pytest.fixture
def server(vendor):
    with WireServer(Reply(vendor.stream(["Hel", "lo [DONE] 👋"]))) as started:
        yield started


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_body_arrives_at_the_same_place_with_the_key(vendor, server, kind, language, runs):
    request = KINDS[kind](vendor)
    here = replace(request, endpoint=server.url + BASE_PATH[vendor.name])

    printed = runs(language, lp.code(here, language))

    [arrived], ours = server.requests, sent_by_us(vendor, request)
    assert arrived.json == ours.json
    assert (arrived.method, arrived.path) == (ours.method, ours.path)
    [name] = [name for name, value in ours.headers.items() if KEY in value]
    for header in (name, "anthropic-version", *request.parameters.headers):
        assert arrived.headers.get(header) == ours.headers.get(header)
    assert ("Hello [DONE] 👋" in printed) is (language != "curl")  # it shows the stream itself


def test_a_function_gives_the_answer(vendor, server, language, runs):
    here = replace(plain(vendor), endpoint=server.url + BASE_PATH[vendor.name])
    code = lp.code(here, language, as_function=True)

    runs(language, code)
    assert server.requests == []
    printed = runs(language, code + CALLS[language]([]))

    assert server.requests[0].json == sent_by_us(vendor, plain(vendor)).json
    assert language == "curl" or printed == "Hello [DONE] 👋"


ARGUMENTS = ('a "b" \\ $HOME `id` {{class}}', "\\n\n\ttab\x01\x1f\x7f EOF\nEOF\n\u2028🎉 <blank0>")


def test_placeholders_are_the_parameters_of_the_function(vendor, server, language, runs):
    words = text("user", "Say {{ who }}, {{class}}: \"{{who}}\" {not} <blank1> '''${x}\n{{class}}")
    unfilled = replace(plain(vendor), messages=(words,), parameters=lp.Parameters(max_tokens=9))
    here = replace(unfilled, endpoint=server.url + BASE_PATH[vendor.name])

    code = lp.code(here, language, as_function=True)
    runs(language, code + CALLS[language](ARGUMENTS))

    who, what = ARGUMENTS
    said = f"Say {who}, {what}: \"{who}\" {{not}} <blank1> '''${{x}}\n{what}"
    filled = replace(unfilled, messages=(text("user", said),))
    assert server.requests[0].json == sent_by_us(vendor, filled).json


def test_a_logged_run_is_sent_again_as_it_was(vendor, server, language, runs, monkeypatch, keys):
    variable = {"gemini": "GOOGLE_GEMINI_BASE_URL"}.get(
        vendor.name, f"{vendor.name.upper()}_BASE_URL"
    )
    monkeypatch.setenv(variable, server.url + BASE_PATH[vendor.name])
    asked = lp.ask(
        'Say "{{this}}".', vendor.model, system="Be brief.", temperature=0.2, top_k=5, stop="END"
    )

    for source in (asked, asked.id, "last", lp.runs(limit=1).iloc[0], dict(lp.runs().iloc[0])):
        code = lp.code(source, language)
        assert code == lp.code(asked, language)
    runs(language, code)

    first, second = server.requests
    assert (second.path, second.json) == (first.path, first.json)


def test_without_a_base_url_of_ones_own_it_is_the_vendors(vendor, language):
    code = lp.code(plain(vendor), language)

    hosts = {
        "openai": "https://api.openai.com/v1/responses",
        "anthropic": "https://api.anthropic.com/v1/messages",
        "gemini": "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-flash:stream",
    }
    assert (hosts[vendor.name] in code) is (language == "curl")
    assert "baseurl" not in code.lower().replace("_", "")


def test_in_python_the_sdk_reads_key_and_address_from_the_environment(tmp_path):
    with WireServer(Reply(responses_stream(["Hello"]))) as server:
        there = {"OPENAI_BASE_URL": f"{server.url}/v1"}
        printed = run("python", lp.code(plain(OPENAI)), tmp_path, there)

    assert printed == "Hello\n"
    assert KEY in server.requests[0].headers["authorization"]


def test_an_own_endpoint_has_its_address_and_its_key(language, runs):
    with WireServer(Reply(openai_stream(["Hello"]))) as server:
        own = {"base_url": f"{server.url}/deep/v1", "key_variable": "MINE_API_KEY"}
        lp.configure(endpoints={"mine": own})
        request = replace(plain(OPENAI), model="mine:some/model")
        runs(language, lp.code(request, language))

    [arrived] = server.requests
    assert arrived.path == "/deep/v1/chat/completions"
    assert arrived.headers["authorization"] == f"Bearer {KEY}"
    assert arrived.json["model"] == "some/model"


def test_an_address_with_signs_of_the_shell_and_of_patterns_is_met(language, runs):
    path = "/$HOME/`id`/{a,b}/[1-3]/'x'/v1"
    with WireServer(Reply(openai_stream(["Hello"]))) as server:
        request = replace(plain(OPENAI), endpoint=server.url + path)
        runs(language, lp.code(request, language))

    [arrived] = server.requests
    assert unquote(arrived.path) == f"{path}/chat/completions"


def test_a_server_without_keys_needs_none(language, runs):
    with WireServer(Reply(openai_stream(["Hello"]))) as server:
        lp.configure(endpoints={"vllm": f"{server.url}/v1"})
        runs(language, lp.code(replace(plain(OPENAI), model="vllm:m"), language))

    [arrived] = server.requests
    assert KEY not in str(arrived.headers)
    assert arrived.json["messages"] == [{"role": "user", "content": "Say hello."}]


def test_the_local_model_is_asked_through_this_package(tmp_path):
    asked = lp.ask(
        "Say '''hello''' to \"{{name}}\"\n\\",
        "local",
        system="Be brief.",
        messages=[{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}],
        max_tokens=4,
        stop=["END"],
        temperature=0,
    )

    run("python", lp.code(asked), tmp_path)

    hashes = lp.sql("SELECT prompt_hash FROM runs").prompt_hash
    assert len(hashes) == 2
    assert len(set(hashes)) == 1


def test_the_local_model_is_asked_with_the_same_schema_and_tools(tmp_path):
    request = lp.Schema("Town", {"type": "object", "properties": {"a": {"type": "string"}}}, str)
    tools = (lp.Tool("look", "Looks.", {"type": "object", "properties": {}}),)
    asked = replace(plain(OPENAI), model="local:smollm2-135m-instruct", tools=tools)
    wrapped = schema_from(list[int])
    for one in (asked, *(replace(asked, tools=(), schema=one) for one in (request, wrapped))):
        one = replace(one, parameters=lp.Parameters(max_tokens=2))
        run("python", lp.code(one), tmp_path)

        assert lp.sql("SELECT prompt_hash FROM runs").prompt_hash.iloc[-1] == one.prompt_hash()


def test_functions_of_the_local_model_return_models_or_raise(tmp_path):
    shape = {"type": "object", "properties": {"a": {"const": "yes"}}, "required": ["a"]}
    lp.configure(retry=2)
    asked = replace(plain(OPENAI), model="local:smollm2-135m-instruct")
    found = replace(
        asked, schema=lp.Schema("Town", shape, str), parameters=lp.Parameters(max_tokens=40)
    )
    cut = replace(asked, schema=schema_from(list[int]), parameters=lp.Parameters(max_tokens=1))

    code = lp.code(found, as_function=True)
    assert run("python", f"{code}\nprint(ask())", tmp_path) == "a='yes'\n"
    caught = "\ntry:\n    ask()\nexcept ValueError as error:\n    print(error)\n"
    printed = run("python", lp.code(cut, as_function=True) + caught, tmp_path)

    assert "cut off" in printed
    reasons = lp.sql("SELECT finish_reason FROM runs").finish_reason
    assert sorted(reasons) == ["length", "length", "stop"]


@pytest.mark.parametrize("other", ["javascript", "curl"])
def test_the_local_model_has_no_address(other):
    with pytest.raises(ConfigError, match=r'no address outside this kernel\. Use language="py'):
        lp.code(replace(plain(OPENAI), model="local:smollm2-135m-instruct"), other)


def test_a_provider_of_another_package_is_asked_through_this_one():
    row = {"base_url": "http://127.0.0.1:9/v1", "wire_format": "some_package:Provider"}
    lp.configure(endpoints={"mine": row})
    request = replace(plain(OPENAI), model="mine:m")

    assert 'lp.ask(\n    "Say hello.",\n    "mine:m",\n)' in lp.code(request)
    with pytest.raises(ConfigError, match="through a package of its own"):
        lp.code(request, "curl")


def test_this_package_sends_images_and_files_again(tmp_path, keys):
    with WireServer(Reply(openai_stream(["Hello"]))) as server:
        own = {
            "base_url": server.url,
            "wire_format": "llm_playground.providers.openai:OpenAIProvider",
        }
        lp.configure(endpoints={"mine": own})
        asked = lp.ask("See.", "mine:m", images=[GIF, DATA_URL], files=list(FILES), system="{{a}}")
        code = lp.code(asked)
        setup = f"import llm_playground as lp\nlp.configure(endpoints={{'mine': {own!r}}})\n"
        run("python", setup + code, tmp_path)

    first, second = server.requests
    assert second.json == first.json


SHOWN = {
    "python": "import json; print(json.dumps(ask(), separators=(',', ':')), end='')",
    "javascript": "process.stdout.write(JSON.stringify(await ask()));",
}


def test_a_function_returns_the_value_in_a_wrapped_answer(runs):
    with WireServer(Reply(openai_stream(['{"value": [1, 2]}']))) as server:
        here = replace(plain(OPENAI), endpoint=server.url, schema=schema_from(list[int]))
        for language, shown in SHOWN.items():
            code = lp.code(here, language, as_function=True)
            assert runs(language, f"{code}\n{shown}\n") == "[1,2]"
