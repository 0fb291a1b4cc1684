"""Spans sent to a collector on loopback as runs end, and what that costs a call: nothing."""

import json
import re
import subprocess
import sys
import textwrap
import threading

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import llm_playground as lp
from llm_playground.config import tracing
from llm_playground.errors import ConfigError, LLMError
from llm_playground.telemetry import emission, live
from llm_playground.telemetry.spans import SCHEMA_URL
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.responses_format import responses_stream
from tests.providers.server import Reply, WireServer, json_reply
from tests.telemetry import conventions
from tests.telemetry.test_otlp_files import ERROR, attributes_of, decoded
from tests.test_tool_use import answering, calling, weather

KEY = "sk-" + "planted" * 4
TIMES = ("start_time_unix_nano", "end_time_unix_nano")


@pytest.fixture(autouse=True)
def new_outbox(monkeypatch):
    """As in a new process, which has sent nothing."""
    monkeypatch.setattr(live, "_outbox", live._Outbox())


@pytest.fixture
def collector(home, monkeypatch):
    """A collector that the standard variables name, and what it has received."""
    with WireServer(Reply((b"",), headers={"content-type": "application/x-protobuf"})) as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        monkeypatch.setenv("OTEL_SERVICE_NAME", "reports")
        yield server


def received(server):
    """The spans that a collector has; all runs before are exported first."""
    live.flush()
    spans = []
    for request in server.requests:
        assert request.path == "/v1/traces"
        for resource in ExportTraceServiceRequest.FromString(request.body).resource_spans:
            assert attributes_of(resource.resource)["service.name"] == "reports"
            [scope] = resource.scope_spans
            assert (scope.scope.name, scope.schema_url) == ("llm_playground", SCHEMA_URL)
            spans += scope.spans
    for span in spans:
        conventions.check(span.name, attributes_of(span))
    return sorted(spans, key=lambda span: span.start_time_unix_nano)


def assert_same_span(sent, filed):
    """A span that was sent is that of the export, but for what only one of them has."""
    assert attributes_of(sent) == attributes_of(filed)
    for name in (*("trace_id", "span_id", "name", "kind", "status"), *TIMES):
        assert getattr(sent, name) == getattr(filed, name), name


FORMATS = [
    ("openai:gpt-4o", "chat_completions", openai_stream, "OPENAI", "/v1"),
    ("openai:gpt-4o", "responses", responses_stream, "OPENAI", "/v1"),
    ("anthropic:claude-sonnet-4-5", None, anthropic_stream, "ANTHROPIC", ""),
    ("gemini:gemini-2.5-flash", None, gemini_stream, "GEMINI", ""),
]


@pytest.mark.parametrize(("model", "api", "stream", "vendor", "path"), FORMATS)
def test_a_run_of_each_wire_format_is_the_span_of_its_export(
    collector, monkeypatch, model, api, stream, vendor, path
):
    with WireServer(Reply(stream(["It ", "rains."]))) as server:
        monkeypatch.setenv(f"{vendor}_API_KEY", KEY)
        lp.configure(
            openai_api=api,
            telemetry="content",
            endpoints={model.partition(":")[0]: {"base_url": server.url + path}},
        )
        run = lp.ask("Is it raining?", model, system="Be brief.", max_tokens=9, seed=None)
    [span] = received(collector)
    [filed] = decoded(lp.export(run, "otlp-content"))
    attributes = attributes_of(span)
    assert_same_span(span, filed)
    assert attributes["gen_ai.usage.output_tokens"] == 5
    assert attributes["gen_ai.request.max_tokens"] == 9
    assert attributes["server.port"] == int(server.url.rpartition(":")[2])
    [answer] = json.loads(attributes["gen_ai.output.messages"])
    assert answer["parts"] == [{"type": "text", "content": "It rains."}]


def test_errors_with_attempts(collector, serve):
    lp.configure(telemetry="content", retry={"attempts": 2, "first_wait_s": 0})
    serve(json_reply(429, {"error": {"message": "slow down"}}))
    with pytest.raises(LLMError):
        lp.ask("Hi.", "openai:gpt-4o")
    failed, *attempts = received(collector)
    assert [span.name for span in attempts] == ["attempt 1", "attempt 2"]
    assert failed.status.code == ERROR
    assert "slow down" in failed.status.message
    assert attributes_of(failed)["error.type"] == "RateLimitError"
    assert {one.parent_span_id for one in attempts} == {failed.span_id}


def tides(city: str) -> str:
    """High tides."""
    raise LookupError(f"{city} has none")


def rounds_with_tools(serve, telemetry, **settings):
    """Three rounds: two calls of tools of which one fails, a call of an unknown one, an answer."""
    serve(
        calling(("weather", {"city": "Oslo"}), ("tides", {"city": "Oslo"}), ("wether", {})),
        calling(("weather", {"city": "Rome"})),
        answering("Rain."),
    )
    lp.configure(telemetry=telemetry, **settings)
    lp.ask_with_tools("Umbrella?", "openai:gpt-4o", tools=[weather, tides])


def test_calls_of_tools_are_spans_in_the_trace_of_their_rounds(collector, serve, monkeypatch):
    rounds_with_tools(serve, "content")
    first, *tools, second, third, last = received(collector)
    assert len({span.trace_id for span in (first, *tools, second, third, last)}) == 1
    tools.sort(key=lambda span: attributes_of(span)["gen_ai.tool.call.id"])
    assert [span.name for span in tools] == ["execute_tool weather", "execute_tool tides"]
    assert third.name == "execute_tool weather"
    common = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.type": "function"}
    assert attributes_of(tools[0]) == {
        **common,
        "gen_ai.tool.name": "weather",
        "gen_ai.tool.call.id": "call_0",
        "gen_ai.tool.description": "The weather forecast.",
        "gen_ai.tool.call.arguments": '{"city": "Oslo"}',
        "gen_ai.tool.call.result": "1 days of rain in Oslo",
    }
    assert attributes_of(tools[1])["error.type"] == "LookupError"
    assert (tools[1].status.code, tools[1].status.message) == (
        *(ERROR, "LookupError: Oslo has none"),
    )
    for tool in tools:
        begun, ended = tool.start_time_unix_nano, tool.end_time_unix_nano
        assert first.start_time_unix_nano <= begun <= second.start_time_unix_nano
        assert begun < ended
    filed = {span.span_id: span for span in decoded(lp.export(lp.runs(), "otlp-content"))}
    sent = received(collector)
    assert len(filed) == len(sent) == 6
    for span in sent:
        assert_same_span(span, filed[span.span_id])


def test_calls_of_tools_have_no_texts_unless_asked_for(collector, serve):
    rounds_with_tools(serve, "spans")
    spans = received(collector)
    assert [span.name for span in spans].count("execute_tool tides") == 1
    assert len({span.trace_id for span in spans}) == 1
    for span in (*spans, *decoded(lp.export(lp.runs(), "otlp"))):
        assert "Oslo" not in str(span)
        assert "High tides" not in str(span)


def test_without_stored_texts_no_tool_is_named(collector, serve):
    rounds_with_tools(serve, "content", privacy="metrics")
    assert [span.name for span in received(collector)] == ["chat gpt-4o"] * 3
    assert lp.sql("SELECT count(tool_use) AS n FROM executions").n[0] == 0


@pytest.mark.parametrize(
    ("telemetry", "privacy", "names", "texts"),
    [
        ("off", "texts", 0, None),
        ("spans", "texts", 1, ()),
        ("content", "metrics", 1, ()),
        ("content", {"sample": 0}, 1, ()),
        ("content", "off", 0, None),
        ("content", {"redact": ["email"]}, 1, ("SECRET",)),
        ("content", "texts", 1, ("SECRET", "ada@example.org")),
    ],
)
def test_texts_are_sent_only_if_asked_for_and_stored(
    collector, serve, telemetry, privacy, names, texts
):
    serve(Reply(openai_stream(["SECRET ada@example.org"])))
    lp.configure(telemetry=telemetry, privacy=privacy)
    lp.ask("SECRET ada@example.org?", "openai:gpt-4o")
    spans = received(collector)
    assert len(spans) == names
    sent = b"".join(request.body for request in collector.requests)
    for text in ("SECRET", "ada@example.org"):
        assert (text.encode() in sent) == (text in (texts or ()))


def test_the_applications_provider_and_its_active_span_are_used(collector, serve, monkeypatch):
    memory = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(memory))
    monkeypatch.setattr(emission.trace, "get_tracer_provider", lambda: provider)
    serve(Reply(openai_stream(["Hello."])))
    lp.configure(telemetry="spans")
    with provider.get_tracer("application").start_as_current_span("report") as outer:
        lp.ask("Hi.", "openai:gpt-4o")
    live.flush()
    span = next(one for one in memory.get_finished_spans() if one.name == "chat gpt-4o")
    assert span.parent.span_id == outer.get_span_context().span_id
    assert span.context.trace_id == outer.get_span_context().trace_id
    assert collector.requests == []


def test_a_collector_that_is_away_costs_one_warning_and_no_call(serve, monkeypatch, caplog):
    serve(Reply(openai_stream(["Hello."])))
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
    asked = threading.Event()
    with WireServer(lambda _: asked.set() or json_reply(400, {})) as refusing:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", refusing.url)
        lp.configure(telemetry="spans")
        for _ in range(3):
            asked.clear()
            assert lp.ask("Hi.", "openai:gpt-4o").text == "Hello."
            assert asked.wait(60)
        live.flush()
    lines = [one.getMessage() for one in caplog.records if "pans" in one.getMessage()]
    assert len(lines) == 1, lines
    assert "are not exported (Failed to export spans batch code: 400" in lines[0]


def test_a_call_does_not_wait_for_a_collector_that_hangs(serve, monkeypatch):
    serve(Reply(openai_stream(["Hello."])))
    with WireServer(Reply(end="hang")) as hanging:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", hanging.url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "1")
        monkeypatch.setattr(live, "_FLUSH_S", 0.1)
        lp.configure(telemetry="spans")
        lp.ask("Hi.", "openai:gpt-4o")
        assert hanging.wait_for(lambda server: server.requests)
        assert lp.ask("Hi.", "openai:gpt-4o").text == "Hello."  # the export still hangs
        assert len(hanging.requests) == 1
        live.flush()


def test_without_the_package_a_setting_is_refused(home, monkeypatch):
    monkeypatch.setattr(tracing, "_is_installed", lambda: False)
    lp.configure(telemetry="off")
    with pytest.raises(ConfigError, match="pip install opentelemetry-sdk "):
        lp.configure(telemetry="spans")
    with pytest.raises(lp.LLMError, match="telemetry is 'all'; it takes off, spans, content"):
        lp.configure(telemetry="all")


SCRIPT = """
    import os, sys
    import llm_playground as lp

    def ask_twice(case, variable):
        os.environ["LLM_PLAYGROUND_TELEMETRY"] = variable
        for _ in range(2):
            print(lp.ask("Hi.", "openai:gpt-4o", tags=case).text)
        print(case, file=sys.stderr)

    ask_twice("off", "off")
    ask_twice("odd", "yes")
    assert not [name for name in sys.modules if name.startswith("opentelemetry")]
    assert "llm_playground.telemetry.live" not in sys.modules
    sys.modules["opentelemetry"] = None
    ask_twice("missing", "spans")
    sys.modules["llm_playground.telemetry.live"].flush()
    print("flushed", file=sys.stderr)
    del sys.modules["opentelemetry"]
    ask_twice("on", "spans")
"""


def test_the_variable_and_the_end_of_a_process(collector, serve):
    serve(Reply(openai_stream(["Hello."])))
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "Hello.\n" * 8), done.stderr
    off, odd, missing, on = re.split("odd\n|flushed\n|^off\n", done.stderr, flags=re.MULTILINE)
    assert off == ""
    assert odd.startswith("LLM_PLAYGROUND_TELEMETRY is 'yes'; it takes off, spans, content.")
    assert odd.count("\n") == 1
    warnings = missing.replace("missing\n", "")
    assert "pip install opentelemetry-sdk " in warnings
    assert warnings.count("\n") == 1
    assert on == "on\n"
    spans = received(collector)
    assert [attributes_of(span)["llm_playground.tags"] for span in spans] == [["on"]] * 2
