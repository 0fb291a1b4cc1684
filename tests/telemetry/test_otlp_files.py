"""Spans in a file: OpenTelemetry's own decoder reads them, and they follow its conventions."""

import base64
import json
from datetime import UTC, timedelta

import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import llm_playground as lp
from llm_playground.errors import RateLimitError
from llm_playground.parts import (
    AudioPart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
)
from llm_playground.runlog import open_log
from llm_playground.telemetry.otlp_json import to_lines
from llm_playground.telemetry.spans import SCHEMA_URL, TracedRun, spans_of
from llm_playground.types import Attempt, Parameters, Request, ToolExecution, ToolUse, Usage
from tests.exporting.everything import BEGAN, PICTURE, fill, message
from tests.runlog.actors import execution_of, record
from tests.telemetry import conventions

CLIENT, INTERNAL, ERROR = 3, 1, 2


def decoded(text):
    """The spans of a file, read with OpenTelemetry's protobuf messages."""
    for line in text.splitlines():
        document = json.loads(line)
        for one in _spans_in(document):
            for name in ("traceId", "spanId", "parentSpanId"):
                if name in one:  # hexadecimal in OTLP, base64 in the mapping of protobuf
                    one[name] = base64.b64encode(bytes.fromhex(one[name])).decode()
        request = json_format.ParseDict(document, ExportTraceServiceRequest())
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                assert scope.schema_url == SCHEMA_URL
                yield from scope.spans


def _spans_in(document):
    [resource] = document["resourceSpans"]
    [scope] = resource["scopeSpans"]
    return scope["spans"]


def attributes_of(span):
    assert len({one.key for one in span.attributes}) == len(span.attributes)
    return {one.key: value_of(one.value) for one in span.attributes}


def value_of(value):
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [value_of(one) for one in value.array_value.values]
    return getattr(value, kind)


def exported(runs=None, name="otlp-content"):
    frame = lp.runs().sort_values("run_id") if runs is None else runs
    spans = list(decoded(lp.export(frame, name)))
    for span in spans:
        conventions.check(span.name, attributes_of(span))
        assert span.start_time_unix_nano <= span.end_time_unix_nano
    return spans


@pytest.fixture
def log(tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "runs.duckdb"))
    opened = open_log()
    yield opened
    opened.close()


def test_spans_of_every_kind_of_request(log):
    runs = fill(
        log,
        usage=Usage(10, 20, 4, 2, 8, billed_units={"image_output_tokens": 3, "web_searches": 1}),
        response_model="gpt-x-2026",
        queue_ms=5.0,
    )
    spans = dict(zip(runs, exported(), strict=True))
    plain, turns = attributes_of(spans["plain"]), attributes_of(spans["conversation"])
    assert spans["plain"].name == "chat gpt-x"
    assert spans["plain"].kind == CLIENT
    assert spans["plain"].end_time_unix_nano - spans["plain"].start_time_unix_nano == 125_000_000
    expected = {
        "gen_ai.provider.name": "openai",
        "gen_ai.response.finish_reasons": ["stop"],
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.time_to_first_chunk": 0.02,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 8,
        "gen_ai.usage.image.output_tokens": 3,
        "server.address": "api.openai.com",
        "server.port": 443,
        "llm_playground.run.id": runs["plain"].id,
        "llm_playground.cost_usd": 1.5e-06,
    }
    assert expected.items() <= plain.items()
    assert turns["gen_ai.request.temperature"] == 0.2
    assert turns["gen_ai.request.stop_sequences"] == ["END"]
    assert json.loads(turns["gen_ai.system_instructions"])[0]["content"] == "Be brief."
    asked = json.loads(attributes_of(spans["tools"])["gen_ai.input.messages"])
    assert [one["parts"][-1]["type"] for one in asked] == [
        *("text", "tool_call", "tool_call_response"),
    ]
    [called] = json.loads(attributes_of(spans["call"])["gen_ai.output.messages"])[0]["parts"]
    assert called == {
        "type": "tool_call",
        "id": "c1",
        "name": "weather",
        "arguments": {"city": "Oslo"},
    }
    picture = json.loads(attributes_of(spans["picture"])["gen_ai.input.messages"])[0]["parts"][0]
    assert picture["sha256"] == PICTURE.sha256
    assert attributes_of(spans["schema"])["gen_ai.output.type"] == "json"


def test_no_text_is_exported_unless_asked_for_or_where_it_is_not_stored(log):
    fill(log, text="SECRET answer")
    for span in exported(name="otlp"):
        text = json.dumps(attributes_of(span))
        assert not any(word in text for word in ("SECRET", "Oslo", "Be brief"))
    lp.configure(privacy="metrics")
    private = record(log, text="SECRET answer")
    [span] = exported(private.id)
    names = set(attributes_of(span))
    assert not names & {"gen_ai.input.messages", "gen_ai.output.messages"}


def test_parts_of_answers_have_the_types_of_the_conventions(log):
    parts = (
        ReasoningPart("I search."),
        ServerToolCall("s1", "web_search", '{"query": "rain"}'),
        ServerToolResult("s1", "web_search", "It rains."),
        TextPart("It rains."),
        RefusalPart("No more."),
        AudioPart("audio/wav", b"RIFF", "It rains."),
        OtherPart("new", '{"a": 1}'),
    )
    record(log, text="It rains.", parts=parts)
    [message] = json.loads(attributes_of(exported()[0])["gen_ai.output.messages"])
    assert [part["type"] for part in message["parts"]] == [
        *("reasoning", "server_tool_call", "server_tool_call_response", "text", "refusal"),
        *("llm_playground.audio", "new"),
    ]


def test_attempts_are_children_and_a_failure_is_an_error(log):
    attempts = [
        Attempt(1, 0.0, 30.0, 429, error_type="RateLimitError", reason="slow down", billed=False),
        Attempt(2, 50.0, 20.0, 429, error_type="RateLimitError", reason="slow down", billed=False),
    ]
    record(
        log,
        text="",
        status="failed",
        finish_reason=None,
        attempts=attempts,
        response_time_ms=100.0,
        error=RateLimitError("slow down"),
    )
    run, first, second = exported()
    assert attributes_of(run)["error.type"] == "RateLimitError"
    assert attributes_of(run)["gen_ai.response.finish_reasons"] == ["error"]
    assert (run.status.code, run.status.message) == (ERROR, "slow down")
    assert {first.parent_span_id, second.parent_span_id} == {run.span_id}
    assert {first.trace_id, second.trace_id} == {run.trace_id}
    assert [one.end_time_unix_nano - one.start_time_unix_nano for one in (first, second)] == [
        *(30_000_000, 20_000_000),
    ]
    assert second.start_time_unix_nano - first.end_time_unix_nano == 50_000_000
    assert second.end_time_unix_nano == run.end_time_unix_nano
    assert attributes_of(second)["http.request.resend_count"] == 1
    assert attributes_of(second)["http.response.status_code"] == 429


def test_ids_are_stable_and_a_comparison_is_one_trace(log, monkeypatch, tmp_path):
    for model in ("openai:a", "anthropic:b"):
        request = Request(model, (message("user", "Hi."),))
        record(log, request, execution_of(request, started_at=BEGAN))
    later = BEGAN + timedelta(seconds=1)
    alone = Request("openai:a", (message("user", "Hi."),))
    record(log, alone, execution_of(alone, started_at=later))
    called = ToolExecution("c1", "weather", BEGAN, 2.5)
    round_2 = execution_of(alone, started_at=later, tool_use=ToolUse(BEGAN, (None, called)))
    record(log, alone, round_2)
    spans = exported()
    assert len({span.span_id for span in spans}) == 5
    traces = [span.trace_id == spans[0].trace_id for span in spans]
    assert traces == [True, True, False, True, True]
    assert spans[3].end_time_unix_nano - spans[3].start_time_unix_nano == 2_500_000
    lp.export(lp.runs(), path=tmp_path / "runs.json")
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "other.duckdb"))
    lp.import_runs(tmp_path / "runs.json")
    assert [(one.trace_id, one.span_id) for one in exported()] == [
        (one.trace_id, one.span_id) for one in spans
    ]


@pytest.mark.parametrize(
    ("model", "url", "name"),
    [
        ("anthropic:claude", "https://api.anthropic.com", "anthropic"),
        ("gemini:flash", "https://generativelanguage.googleapis.com", "gcp.gemini"),
        ("vertex:claude", "https://us-east5-aiplatform.googleapis.com/v1", "gcp.vertex_ai"),
        ("bedrock:claude", "https://bedrock-mantle.eu-west-1.api.aws/anthropic", "aws.bedrock"),
        ("azure:gpt", "https://me.openai.azure.com/openai", "azure.ai.openai"),
        ("mistral:m", "https://api.mistral.ai/v1", "mistral_ai"),
        ("xai:grok", "https://api.x.ai/v1", "x_ai"),
        ("moonshot:kimi", "https://api.moonshot.ai/v1", "moonshot_ai"),
        ("groq:m", "https://api.groq.com/openai/v1", "groq"),
        ("mine:m", "http://10.0.0.5:8000/v1", "mine"),
    ],
)
def test_providers_have_the_names_of_the_conventions(model, url, name):
    row = {"run_id": "r", "model": model, "provider": model.partition(":")[0]}
    [span] = spans_of(TracedRun(row, base_url=url))
    attributes = span.attributes
    assert attributes["gen_ai.provider.name"] == name
    assert name in conventions.PROVIDERS or name == "mine"
    assert attributes["server.port"] == (8000 if name == "mine" else 443)


def test_what_is_not_sent_is_no_call_of_a_server(log):
    record(log)
    record(log, Request("openai:a", (message("user", "Hi."),)), cached=True)
    for span in exported():
        assert span.kind == INTERNAL
        assert "server.address" not in attributes_of(span)
    assert "gen_ai.usage.input_tokens" not in attributes_of(span)
    assert attributes_of(span)["llm_playground.cached"] is True


def test_dropped_parameters_are_left_out(log):
    request = Request("openai:a", (message("user", "Hi."),), Parameters(seed=1, top_p=0.5))
    record(log, request, dropped_parameters=("seed",))
    attributes = attributes_of(exported()[0])
    assert "gen_ai.request.seed" not in attributes
    assert attributes["gen_ai.request.top_p"] == 0.5


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NUMBERS = st.none() | st.integers(-(2**53), 2**53) | st.floats()
ANYTHING = st.none() | TEXTS | NUMBERS | st.booleans() | st.lists(TEXTS, max_size=3)
ROWS = st.fixed_dictionaries(
    {"run_id": TEXTS, "model": TEXTS, "provider": TEXTS},
    optional={
        "started_at": st.datetimes(timezones=st.just(UTC)),
        "status": st.sampled_from(["completed", "failed", "cancelled", None]),
        "attempts": st.lists(
            st.fixed_dictionaries(
                {}, optional={"wait_ms": ANYTHING, "duration_ms": ANYTHING, "reason": TEXTS}
            ),
            max_size=3,
        ),
        "parameters": st.dictionaries(
            st.sampled_from(["temperature", "top_k", "max_tokens", "stop"]), ANYTHING
        ),
        "response_text": TEXTS,
        "error_message": TEXTS,
        "tags": st.lists(TEXTS, max_size=3),
        "cost_usd": st.none() | st.decimals(0, 100, allow_nan=False),
        **dict.fromkeys(("ttft_ms", "response_time_ms", "queue_ms"), ANYTHING),
        "input_tokens": st.none() | st.integers(0, 2**40),
    },
)
MOMENTS = TEXTS | st.datetimes(timezones=st.just(UTC)).map(str)
CALLS = st.fixed_dictionaries({}, optional={"name": TEXTS, "id": ANYTHING, "error_type": ANYTHING})
TIMED = st.fixed_dictionaries({"started_at": MOMENTS, "duration_ms": ANYTHING})
TOOL_USE = ANYTHING | st.fixed_dictionaries(
    {"started_at": ANYTHING | MOMENTS},
    optional={"calls": ANYTHING | st.lists(st.builds(dict.__or__, CALLS, TIMED), max_size=3)},
)


@settings(max_examples=50, deadline=None)
@given(ROWS, TEXTS, ANYTHING, TOOL_USE)
def test_any_row_is_read_back_as_it_was(row, prompt, base_url, tool_use):
    messages = [{"role": "user", "content": prompt}]
    run = TracedRun(row, row.get("started_at"), str(base_url), messages=messages, tool_use=tool_use)
    *tools, span = spans_of(run)
    found = list(decoded(to_lines([[*tools, span]], "1")))
    spans = [*tools, span, *span.children]
    assert [one.name for one in found] == [one.name for one in spans]
    for made, read in zip(spans, found, strict=True):
        assert read.span_id.hex() == made.span_id
        assert read.start_time_unix_nano == made.start_ns
        attributes = attributes_of(read)
        assert attributes == {name: _plain(value) for name, value in made.attributes.items()}
    asked = json.loads(attributes_of(found[len(tools)])["gen_ai.input.messages"])
    assert asked[0]["parts"][0]["content"] == prompt


def _plain(value):
    return list(value) if isinstance(value, (list, tuple)) else value
