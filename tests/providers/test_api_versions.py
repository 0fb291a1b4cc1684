"""Which version of Anthropic's API a request is sent with, and in which header the key goes."""

from dataclasses import replace

import pytest
from anthropic import _constants

import llm_playground as lp
from llm_playground import footer
from llm_playground.codegen import LANGUAGES
from llm_playground.providers.wire_formats import WIRE_FORMATS
from llm_playground.types import Message, Request, TextPart
from llm_playground.widget import inspector, stored_runs
from tests.codegen.running import KEY, run
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer

CURRENT, OLDER = "2026-10-21", "2023-06-01"
SENT = [
    # model, parameters, version, parameters that are left out
    ("claude-haiku-4-5", {}, CURRENT, ()),
    ("claude-haiku-4-5", {"max_tokens": 9, "stop": ["x"]}, CURRENT, ()),
    ("claude-haiku-4-5", {"temperature": 0}, OLDER, ()),
    ("claude-sonnet-4-6", {"temperature": 1}, OLDER, ()),  # refused at the default too
    ("claude-opus-4-6", {"top_p": 0.5}, OLDER, ()),
    ("claude-opus-4-5", {"top_k": 5}, OLDER, ()),
    ("claude-3-haiku-20240307", {"temperature": 0.5, "seed": 1}, OLDER, ("seed",)),
    ("claude-opus-4-7", {"temperature": 0.2}, CURRENT, ("temperature",)),
    ("claude-sonnet-5-5", {"top_k": 5, "top_p": 0.5}, CURRENT, ("top_p", "top_k")),
    ("claude-fable-5-2", {"temperature": 0.2}, CURRENT, ("temperature",)),
    ("claude-opus-4-6", {"extra": {"top_k": 5}}, OLDER, ()),
    ("claude-opus-4-6", {"top_k": 5, "headers": {"Anthropic-Version": CURRENT}}, CURRENT, ()),
]


@pytest.fixture
def anthropic(home, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-" + KEY)
    with WireServer(Reply(anthropic_stream(["Hi"]))) as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
        yield server


def test_a_run_is_sent_with_the_version_that_takes_its_parameters_and_says_so(anthropic):
    for model, parameters, version, left_out in SENT:
        answered = lp.ask("Hi", f"anthropic:{model}", **parameters)

        request = anthropic.requests[-1]
        assert request.headers["anthropic-version"] == version, (model, parameters)
        assert answered.dropped_parameters == left_out
        assert not {*left_out} & {*request.json}
        is_older = version == OLDER
        assert answered.api_version == (OLDER if is_older else None)
        notices = [line for line in footer.notices(answered) if OLDER in line]
        assert len(notices) == is_older
    assert len(anthropic.requests) == len(SENT)  # none was refused first


def test_a_run_of_the_log_says_so_again(anthropic):
    answered = lp.ask("Hi", "anthropic:claude-haiku-4-5", temperature=0.5)

    [stored] = stored_runs.stored_runs([answered.id])

    assert stored.run.api_version == OLDER
    assert footer.notices(stored.run) == footer.notices(answered)
    [exchange] = inspector.inspect_stored(stored.run)["exchanges"]
    assert ["anthropic-version", OLDER] in exchange["headers"]


def test_the_current_version_is_that_of_the_sdk():
    sent = WIRE_FORMATS["anthropic"].headers["anthropic-version"]

    assert sent == _constants.ANTHROPIC_API_VERSION == CURRENT


FORMATS = {"openai": openai_stream, "anthropic": anthropic_stream, "gemini": gemini_stream}


@pytest.mark.parametrize("wire_format", FORMATS)
def test_a_proxy_gets_the_key_in_the_header_that_it_reads(wire_format, home, monkeypatch):
    monkeypatch.setenv("MINE_API_KEY", KEY)
    with WireServer(Reply(FORMATS[wire_format](["Hi"]))) as server:
        mine = {"base_url": server.url, "key_variable": "MINE_API_KEY", "key_header": "X-Api-Key"}
        lp.configure(endpoints={"mine": {**mine, "wire_format": wire_format}})
        lp.ask("Hi", "mine:a-model")

    [request] = server.requests
    assert request.headers["x-api-key"] == KEY
    assert not {"authorization", "x-goog-api-key"} & {*request.headers}


@pytest.mark.usefixtures("node_modules")
@pytest.mark.parametrize("language", LANGUAGES)
def test_code_sends_the_key_in_that_header_too(language, home, tmp_path):
    with WireServer(Reply(anthropic_stream(["Hi"]))) as server:
        mine = {"base_url": server.url, "key_variable": "MINE_API_KEY", "key_header": "X-Api-Key"}
        lp.configure(endpoints={"mine": {**mine, "wire_format": "anthropic"}})
        hi = Request("mine:m", (Message("user", (TextPart("Hi"),)),))
        hi = replace(hi, parameters=lp.Parameters(temperature=0.5), endpoint=server.url)
        run(language, lp.code(hi, language), tmp_path)

    [request] = server.requests
    assert request.headers["x-api-key"] == KEY
    assert "authorization" not in request.headers
    assert request.headers["anthropic-version"] == OLDER


@pytest.mark.parametrize("header", ["X Api Key", "", "X-Key:", 5])
def test_what_names_no_header_is_refused_without_a_word_of_it(header, home):
    with pytest.raises(lp.InvalidParameterError, match="key_header names a header"):
        lp.configure(endpoints={"mine": {"base_url": "http://x/v1", "key_header": header}})
