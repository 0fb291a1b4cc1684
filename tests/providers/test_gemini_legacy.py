"""Gemini over its retired SDK behaves like Gemini over google-genai."""

import asyncio
import re
import subprocess
import sys
from dataclasses import replace

import pytest

from llm_playground import errors
from llm_playground.providers import Endpoint, connect
from llm_playground.providers.gemini_legacy import GeminiLegacyProvider
from tests.providers import (
    test_answers,
    test_connections,
    test_contract,
    test_errors,
    test_requests,
    test_transport_errors,
)
from tests.providers.failures import collect
from tests.providers.fault_matrix import FAULTS, complaint, outcome_of
from tests.providers.formats import gemini_event
from tests.providers.legacy_format import (
    ELEMENTS,
    FINISH_REASONS,
    LEGACY,
    array,
    legacy_element,
    reply,
    texts,
)
from tests.providers.server import Reply, WireServer
from tests.providers.vendors import GEMINI, KEY


@pytest.fixture
def vendor():
    return LEGACY


dead_port = test_transport_errors.dead_port


# What is promised of every provider and has nothing to do with server-sent events.
SHARED = {
    test_contract: (
        "test_whole_stream_is_a_completed_run_with_usage_and_cost",
        "test_reasoning_is_kept_apart",
        "test_events_come_in_order_and_the_last_is_one_finish",
        "test_a_run_that_broke_after_its_first_delta_is_priced_by_estimate",
        "test_leaving_early_closes_the_connection",
        "test_a_cancelled_run_closes_the_connection_and_keeps_its_text",
        "test_what_the_provider_says_of_itself_comes_first",
        "test_many_at_once_do_not_mix",
    ),
    test_answers: (
        "test_an_answer_is_its_deltas_and_one_finish",
        "test_the_framing_of_the_response_does_not_matter",
        "test_a_stream_cut_at_every_byte_gives_the_same_answer",
        "test_missing_usage_is_unknown",
        "test_error_after_finish_is_ignored",
        "test_an_empty_answer_that_finishes_is_an_answer",
    ),
    test_transport_errors: tuple(
        name for name in vars(test_transport_errors) if name.startswith("test_")
    ),
    test_connections: (
        "test_closing_the_generator_closes_the_connection",
        "test_cancelling_the_reader_closes_the_connection",
        "test_cancelling_before_the_response_closes_the_connection",
        "test_answers_in_turn_share_a_connection",
        "test_loopback_server_that_closes_connections_works",
        "test_closed_connection_is_not_reused",
        "test_a_hundred_and_fifty_answers_run_at_once",
        "test_answers_at_once_do_not_mix",
        "test_loopback_never_goes_through_a_proxy",
        "test_vendors_are_reached_through_the_environments_proxy",
        "test_an_answer_comes_through_a_proxy_as_without",
        "test_no_proxy_is_honoured",
    ),
    test_errors: (
        "test_each_status_is_one_class_and_one_line",
        "test_error_without_json",
        "test_which_errors_are_retryable",
        "test_the_sdk_never_sends_twice_on_its_own",
        "test_a_redirect_does_not_carry_the_key_elsewhere",
        "test_a_refused_key_is_named_by_its_source_and_its_end",
        "test_retry_after_is_in_seconds",
        "test_an_error_object_before_any_text_is_what_its_status_would_be",
        "test_an_error_object_after_text_keeps_the_text",
        "test_broken_answer_is_never_complete",
        "test_incomplete_event_is_no_text",
        "test_nothing_at_all_may_be_tried_again",
        "test_reset_before_headers_is_not_a_timeout",
        "test_a_server_that_does_not_speak_http_is_unavailable",
        "test_page_instead_of_stream_is_reported",
        "test_an_error_in_json_instead_of_a_stream_is_that_error",
        "test_plain_json_instead_of_stream_is_reported",
        "test_endless_line_does_not_fill_memory",
        "test_key_is_in_no_error",
        "test_key_is_in_no_repr",
    ),
    test_requests: (
        "test_sdk_sends_exactly_the_body",
        "test_the_key_goes_into_one_header_and_nowhere_else",
        "test_what_is_set_is_sent_under_the_vendors_name",
        "test_turns_and_system_prompt_have_the_vendors_form",
        "test_text_is_sent_byte_for_byte",
        "test_extra_is_added_to_the_body_unread",
        "test_zero_is_sent_where_it_means_something",
    ),
}
globals().update(
    {name: getattr(module, name) for module, names in SHARED.items() for name in names}
)


# Their rows are made of an event stream's lines and of its events' order.
OTHERS_FAULTS = {"malformed SSE line", "finish twice"}


@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if fault.name not in OTHERS_FAULTS], ids=lambda f: f.name
)
async def test_fault_has_its_error_attempts_and_message(fault):
    assert complaint(fault, await outcome_of(fault, LEGACY)) == ""


# The request.


async def test_the_retired_sdk_sends_what_gemini_is_sent_otherwise():
    request = await test_requests.sent(LEGACY)
    assert (request.method, request.path) == (
        "POST",
        "/v1beta/models/gemini-2.5-flash:streamGenerateContent?%24alt=json%3Benum-encoding%3Dint",
    )
    assert request.json == test_requests.NOTHING_SET["gemini"][1]
    assert request.headers["x-goog-api-client"].startswith("genai-py/")


async def test_a_tuned_model_has_its_own_place():
    with WireServer(reply(*ELEMENTS)) as wire:
        await asked(wire, "gemini:tunedModels/mine")
    assert wire.requests[0].path.startswith("/v1beta/tunedModels/mine:stream")


@pytest.mark.parametrize("name", ["a/../b?c", "a?b", "models/a/b", "a#b", "a%2Fb", "files/a", ""])
async def test_a_model_name_that_cannot_be_addressed_is_rejected_and_nothing_is_sent(name):
    with WireServer(reply(*ELEMENTS)) as wire:
        with pytest.raises(errors.RequestRejectedError, match="not the name of a Gemini model"):
            await asked(wire, f"gemini:{name}")
        assert wire.requests == []


async def test_lone_surrogate_in_a_model_name_is_rejected():
    with WireServer(reply(*ELEMENTS)) as wire:
        with pytest.raises(errors.RequestRejectedError, match="cannot be sent"):
            await asked(wire, "gemini:half \ud83d")
        assert wire.requests == []


async def asked(wire, model):
    provider = LEGACY.provider(wire.url)
    try:
        await collect(provider.stream(replace(LEGACY.request(), model=model)), [])
    finally:
        await provider.aclose()


async def test_lone_surrogate_is_sent_as_by_google_genai():
    request = await test_requests.sent(LEGACY, ("user", "half \ud83d"))
    assert rb"half \ud83d" in request.body


async def test_endpoints_at_once_keep_their_keys_apart():
    with WireServer(reply(*ELEMENTS)) as one, WireServer(reply(*ELEMENTS)) as other:
        servers = {KEY: one, KEY + "-other": other}
        providers = [
            GeminiLegacyProvider(Endpoint("gemini", key, wire.url)) for key, wire in servers.items()
        ]
        streams = [collect(p.stream(LEGACY.request()), []) for p in providers * 5]
        await asyncio.gather(*streams)
        for provider in providers:
            await provider.aclose()
    for key, wire in servers.items():
        assert {request.headers["x-goog-api-key"] for request in wire.requests} == {key}
        assert len(wire.requests) == 5


async def test_netrc_password_is_not_sent(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password planted-word\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with WireServer(reply(*ELEMENTS)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        await LEGACY.answer("http://models.example")
    assert "authorization" not in proxy.requests[0].headers


async def test_settings_of_the_environment_do_not_redirect_the_sdk(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_API_KEY", "another-key")
    monkeypatch.setenv("GOOGLE_CLOUD_UNIVERSE_DOMAIN", "elsewhere.example")
    monkeypatch.setenv("GOOGLE_API_USE_MTLS_ENDPOINT", "always")
    request = await test_requests.sent(LEGACY)
    assert request.headers["x-goog-api-key"] == KEY


# What the answer means.


async def outcome(vendor, stream):
    """What comes of a stream: its events, or its error."""
    with WireServer(Reply(stream)) as wire:
        try:
            return await vendor.answer(wire.url)
        except errors.LLMError as error:
            return type(error), str(error), vars(error)


def rated(category, probability):
    return {"category": category, "probability": probability, "blocked": True}


SAFETY = [
    ({"promptFeedback": {"blockReason": 1}}, {"promptFeedback": {"blockReason": "SAFETY"}}),
    (
        {"promptFeedback": {"blockReason": 4, "safetyRatings": [rated(10, 4)]}},
        {
            "promptFeedback": {
                "blockReason": "PROHIBITED_CONTENT",
                "safetyRatings": [rated("HARM_CATEGORY_DANGEROUS_CONTENT", "HIGH")],
            }
        },
    ),
    (
        {"candidates": [{"finishReason": 3, "safetyRatings": [rated(7, 3)]}]},
        {
            "candidates": [
                {
                    "finishReason": "SAFETY",
                    "safetyRatings": [rated("HARM_CATEGORY_HARASSMENT", "MEDIUM")],
                }
            ]
        },
    ),
    *(
        ({"candidates": [{"finishReason": n}]}, {"candidates": [{"finishReason": name}]})
        for name, n in FINISH_REASONS.items()
    ),
]


@pytest.mark.parametrize(("numbers", "names"), SAFETY, ids=str)
async def test_enums_as_numbers_equal_enums_as_names(numbers, names):
    other_way = await outcome(GEMINI, (gemini_event(names),))
    assert same(await outcome(LEGACY, array(legacy_element(numbers))), other_way)
    assert same(await outcome(LEGACY, array(legacy_element(names))), other_way)


def same(outcome, other):
    """Equal but for the JSON that an error quotes, and the port of the server."""

    def plain_part(part):
        if isinstance(part, str):
            return re.sub(r"127\.0\.0\.1:\d+", "the server", part)
        return {**part, "detail": None} if isinstance(part, dict) else part

    plain = [list(map(plain_part, one)) for one in (outcome, other)]
    return plain[0] == plain[1]


async def test_unknown_enum_number_is_other():
    element = {"candidates": [{"finishReason": 99, "safetyRatings": [rated(99, 99)]}]}
    with WireServer(reply(ELEMENTS[0], legacy_element(element))) as wire:
        events = await LEGACY.answer(wire.url)
    assert texts(events) == "Grü"
    assert events[-1].finish_reason == "other"


async def test_what_a_model_says_to_a_tool_is_not_read_as_safety():
    call = {
        "id": "1",
        "name": "sort",
        "args": {"category": 10, "finishReason": 3, "candidates": [{}]},
    }
    value = {"candidates": [{"content": {"parts": [{"functionCall": call}]}}]}
    finish = {"candidates": [{"finishReason": "STOP"}]}
    other_way = await outcome(GEMINI, (gemini_event(value), gemini_event(finish)))
    ours = await outcome(LEGACY, array(legacy_element(value), legacy_element(finish)))
    assert same(ours, other_way)


# Configuration.


async def test_without_the_library_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "AIza" + "planted" * 5)
    monkeypatch.setitem(sys.modules, "google.generativeai", None)
    monkeypatch.delitem(sys.modules, "llm_playground.providers.gemini_legacy")
    with pytest.raises(errors.ConfigError, match="pip install google-generativeai ") as caught:
        await connect("gemini-legacy:gemini-2.5-flash", lambda _: None)
    assert "google.generativeai" in str(caught.value)
    assert "\n" not in str(caught.value)


async def test_by_its_name_gemini_legacy_goes_where_gemini_goes(monkeypatch):
    with WireServer(reply(*ELEMENTS)) as wire:
        monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "AIza" + "planted" * 5)
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", wire.url)
        provider = await connect("gemini-legacy:gemini-2.5-flash", lambda _: None)
        request = replace(LEGACY.request(), model="gemini-legacy:gemini-2.5-flash")
        events = [event async for event in provider.stream(request)]
        await provider.aclose()
    assert texts(events) == "Grü👋"


def test_an_api_version_the_sdk_does_not_speak_is_refused(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_VERSION", "v1")
    with pytest.raises(errors.ConfigError, match="supports only v1beta"):
        LEGACY.provider(None)


def test_a_setting_the_sdk_refuses_is_one_line(monkeypatch):
    monkeypatch.setenv("GOOGLE_API_USE_CLIENT_CERTIFICATE", "perhaps")
    with pytest.raises(errors.ConfigError, match="GOOGLE_API_USE_CLIENT_CERTIFICATE"):
        LEGACY.provider(None)


def test_only_the_sdks_retirement_warnings_are_hidden():
    code = (
        "import warnings, llm_playground.providers.gemini_legacy\n"
        "warnings.warn('planted', FutureWarning)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code],
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    warned = [line for line in done.stderr.splitlines() if "FutureWarning" in line]
    assert len(warned) == 1
    assert "planted" in warned[0]
