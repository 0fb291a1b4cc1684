"""What this package adds to a request is taken back where a server refuses it, and paid once."""

import json
import threading

import pytest

import llm_playground as lp
from llm_playground import errors
from llm_playground.execution import retry
from llm_playground.providers import additions, known_refusals, wire_formats
from llm_playground.types import Parameters, Request
from tests.providers.formats import OPENAI_USAGE, anthropic_stream, gemini_stream, openai_stream
from tests.providers.responses_format import responses_stream
from tests.providers.server import Reply, WireServer, json_reply


def refusing(field, status, body):
    """A server that refuses a field of the body, wherever it stands."""

    def script(request):
        if f'"{field}":' in request.body.decode().replace('": ', '":'):
            return json_reply(status, body)
        return Reply(openai_stream(["{}"] if "response_format" in request.json else ["Hello"]))

    return script


def openai_says(message, **fields):
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


def pydantic_says(*place):
    words = "Extra inputs are not permitted"
    return {"detail": [{"type": "extra_forbidden", "loc": ["body", *place], "msg": words}]}


# Refusals by field: Azure's, pydantic's (vLLM, Mistral), OpenAI's, Go's JSON decoder, Databricks'.
REFUSALS = [
    ("stream_options", 400, openai_says("Unrecognized request argument supplied: stream_options")),
    ("stream_options", 422, pydantic_says("stream_options")),
    ("stream_options", 422, pydantic_says("stream_options", "include_usage")),
    ("stream_options", 400, {"message": 'json: unknown field "stream_options"'}),
    (
        "max_tokens",
        400,
        openai_says(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        ),
    ),
    ("max_tokens", 422, pydantic_says("max_tokens")),
]


@pytest.fixture
def endpoint():
    """The name of an endpoint, and a function that sets its address."""

    def at(url):
        lp.configure(endpoints={"mine": f"{url}/v1"}, retry={"attempts": 3, "first_wait_s": 0.01})
        lp.configure(prices={"mine:*": {"input_usd_per_mtok": 1, "output_usd_per_mtok": 10}})

    return at


@pytest.mark.parametrize(("field", "status", "said"), REFUSALS)
def test_refused_addition_is_left_out_of_a_second_try_and_of_later_calls(
    endpoint, field, status, said
):
    with WireServer(refusing(field, status, said)) as wire, retry.without_waits():
        endpoint(wire.url)
        runs = [lp.ask("Hi", "mine:m", max_tokens=50) for _ in range(2)]
        other = lp.ask("Hi", "mine:another", max_tokens=50)
        bodies = [request.json for request in wire.requests]
    assert [run.text for run in (*runs, other)] == ["Hello"] * 3
    assert [len(run.attempts) for run in (*runs, other)] == [2, 1, 2]
    assert all(run.dropped_parameters == () for run in runs)
    assert field in bodies[0]
    assert field not in bodies[1]
    assert 50 in (bodies[1].get("max_tokens"), bodies[1].get("max_completion_tokens"))


def test_calls_that_are_refused_at_the_same_time_all_get_an_answer(endpoint):
    together, refused = threading.Event(), []

    def script(request):
        if "stream_options" not in request.json:
            return Reply(openai_stream(["Hello"]))
        refused.append(request)
        if len(refused) == 3:
            together.set()
        return Reply((together, json.dumps(REFUSALS[0][2]).encode()), status=400)

    with WireServer(script) as wire:
        endpoint(wire.url)
        runs = lp.compare("Hi", ["mine:m"], n=3).runs
        assert len(wire.requests) == 6
    assert [run.text for run in runs] == ["Hello"] * 3


SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
DOCUMENT = {"files": b"%PDF-1.4 a document"}
EFFORT = {"reasoning_effort": "low"}
STREAMS = {
    "openai": openai_stream,
    "openai-responses": responses_stream,
    "anthropic": anthropic_stream,
    "gemini": gemini_stream,
}
# By wire format: arguments, the refused field, and a refusal of it: the vendor's, a proxy's.
OF_FORMATS = [
    ("openai-responses", EFFORT, "include", 400, openai_says("Not supported.", param="include")),
    ("openai-responses", EFFORT, "include", 400, openai_says("Encrypted content is not allowed.")),
    ("openai-responses", EFFORT, "include", 422, pydantic_says("include")),
    ("openai-responses", EFFORT, "summary", 422, pydantic_says("reasoning", "summary")),
    ("openai-responses", EFFORT, "summary", 400, openai_says("Verify.", param="reasoning.summary")),
    ("openai-responses", {"schema": SCHEMA}, "strict", 422, pydantic_says("text", "strict")),
    ("anthropic", DOCUMENT, "citations", 422, pydantic_says("messages", 0, "citations")),
    (
        "anthropic",
        DOCUMENT,
        "citations",
        400,
        openai_says("messages.0.content.0.document.citations: Extra inputs are not permitted"),
    ),
    (
        "gemini",
        EFFORT,
        "includeThoughts",
        400,
        openai_says("Thinking_config.include_thoughts is only enabled when thinking is enabled."),
    ),
    (
        "gemini",
        EFFORT,
        "includeThoughts",
        400,
        openai_says(
            'Invalid JSON payload received. Unknown name "includeThoughts" at '
            "'generation_config.thinking_config': Cannot find field."
        ),
    ),
]


@pytest.mark.parametrize(("wire_format", "given", "field", "status", "said"), OF_FORMATS)
def test_each_format_takes_its_additions_back(wire_format, given, field, status, said):
    def script(request):
        if f'"{field}":' in request.body.decode().replace('": ', '":'):
            return json_reply(status, said)
        return Reply(STREAMS[wire_format](['{"a": 1}']))

    with WireServer(script) as wire, retry.without_waits():
        mine = {"base_url": wire.url, "wire_format": wire_format, "free": True}
        lp.configure(endpoints={"mine": mine})
        runs = [lp.ask("Hi", "mine:m", **given) for _ in range(2)]
        bodies = [request.json for request in wire.requests]
    assert [(run.text, len(run.attempts)) for run in runs] == [('{"a": 1}', 2), ('{"a": 1}', 1)]
    assert all(run.dropped_parameters == () for run in runs)
    assert bodies[1] == bodies[2]
    for command in (lp.code(run, "curl") for run in runs):
        assert field not in command
    assert json.dumps(bodies[1]).count('"low"') == ("reasoning_effort" in given)


@pytest.mark.parametrize(
    ("wire_format", "given", "field", "status", "said"), [OF_FORMATS[at] for at in (0, 6, 8)]
)
def test_calls_of_each_format_that_are_refused_at_the_same_time(
    wire_format, given, field, status, said
):
    together, refused = threading.Event(), []

    def script(request):
        if f'"{field}":' not in request.body.decode().replace('": ', '":'):
            return Reply(STREAMS[wire_format](["Hello"]))
        refused.append(request)
        if len(refused) == 2:
            together.set()
        return Reply((together, json.dumps(said).encode()), status=status)

    with WireServer(script) as wire:
        mine = {"base_url": wire.url, "wire_format": wire_format, "free": True}
        lp.configure(endpoints={"mine": mine})
        runs = lp.compare("Hi", ["mine:m"], n=2, **given).runs
        assert len(wire.requests) == 4
    assert [run.text for run in runs] == ["Hello"] * 2


@pytest.mark.parametrize(
    ("wire_format", "given"),
    [
        (
            "openai-responses",
            {
                "include": ["reasoning.encrypted_content"],
                "reasoning": {"summary": "auto"},
                "tools": [{"type": "function", "name": "f", "strict": True}],
                "stream_options": {"include_obfuscation": False},
            },
        ),
        ("gemini", {"generation_config": {"thinking_config": {"include_thoughts": True}}}),
        ("openai", {"max_tokens": 5, "tools": [{"type": "function", "function": {"strict": 1}}]}),
    ],
)
def test_what_extra_sets_is_left_in_any_spelling(wire_format, given):
    request = Request("mine:m", (), Parameters(extra=given))
    lp.configure(endpoints={"mine": {"base_url": "http://127.0.0.1:9", "wire_format": wire_format}})
    body = wire_formats.body_of(request)
    own = [
        name
        for name, row in additions.ADDITIONS.items()
        if wire_format in row.wire_formats and name not in ("stream", "stream_options")
    ]
    assert additions.without(body, own, given) == body


def test_the_second_try_is_none_of_the_attempts_of_retry(endpoint):
    with WireServer(refusing(*REFUSALS[0])) as wire:
        endpoint(wire.url)
        lp.configure(retry=1)
        assert lp.ask("Hi", "mine:m").text == "Hello"


def test_limit_that_a_budget_adds_reaches_the_model_under_the_name_it_takes(endpoint):
    with WireServer(refusing("max_tokens", *REFUSALS[4][1:])) as wire, retry.without_waits():
        endpoint(wire.url)
        lp.set_budget(50, model="mine:*")
        run = lp.ask("Hi", "mine:m")
        assert run.max_tokens_cap == wire.requests[-1].json["max_completion_tokens"]


def test_limit_under_no_name_is_one_error_and_two_requests(endpoint):
    def script(request):
        name = next(name for name in request.json if name.startswith("max_"))
        return json_reply(400, openai_says(f"Unrecognized request argument supplied: {name}"))

    with WireServer(script) as wire, retry.without_waits():
        endpoint(wire.url)
        with pytest.raises(errors.RequestRejectedError, match="does not take max_tokens"):
            lp.ask("Hi", "mine:m", max_tokens=50)
        assert len(wire.requests) == 2


def test_server_that_refuses_to_stream_answers_whole(endpoint):
    whole = {
        "choices": [{"message": {"content": "Hello"}, "finish_reason": "stop"}],
        "usage": OPENAI_USAGE,
    }

    def script(request):
        if request.json.get("stream"):
            words = "Unsupported value: 'stream' does not support true with this model."
            said = openai_says(words, param="stream", code="unsupported_value")
            return json_reply(400, said)
        return json_reply(200, whole)

    with WireServer(script) as wire, retry.without_waits():
        endpoint(wire.url)
        run = lp.ask("Hi", "mine:m")
        assert "stream_options" not in wire.requests[-1].json
    assert (run.text, run.usage_source) == ("Hello", "provider")


def test_strict_is_left_out_of_tools_and_format(endpoint):
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    said = openai_says("Unknown parameter: 'response_format.json_schema.strict'.")
    with WireServer(refusing("strict", 400, said)) as wire, retry.without_waits():
        endpoint(wire.url)
        lp.ask("Hi", "mine:m", schema=schema)
        form = wire.requests[-1].json["response_format"]["json_schema"]
    assert "strict" not in form
    assert form["schema"]["properties"] == schema["properties"]


def test_user_leaves_stream_options_out_with_none(endpoint):
    with WireServer(Reply(openai_stream(["Hello"], usage=None))) as wire:
        endpoint(wire.url)
        run = lp.ask("Hi", "mine:m", extra={"stream_options": None})
        assert "stream_options" not in wire.requests[0].json
    assert (run.text, run.usage_source) == ("Hello", "estimated")


def test_what_the_user_set_is_not_taken_back(endpoint):
    said = REFUSALS[0][2]
    with WireServer(refusing("stream_options", 400, said)) as wire, retry.without_waits():
        endpoint(wire.url)
        options = {"include_usage": True, "chunked": True}
        with pytest.raises(errors.RequestRejectedError):
            lp.ask("Hi", "mine:m", extra={"stream_options": options})
        assert len(wire.requests) == 1
        assert json.loads(wire.requests[0].body)["stream_options"] == options


def new_kernel():
    """This process forgets what was refused, as at its end."""
    wire_formats.refused_additions.clear()
    known_refusals.read_folders.clear()


def kept_in(folder):
    return next(folder.rglob("refused*.json"))


def test_next_kernel_is_not_refused_again_for_thirty_days(home, endpoint):
    field, status, said = REFUSALS[0]
    with WireServer(refusing(field, status, said)) as wire:
        endpoint(wire.url)
        runs = [lp.ask("Hi", "mine:m")]
        new_kernel()
        runs += [lp.ask("Hi", model) for model in ("mine:m", "mine:another")]
        kept = json.loads(kept_in(home).read_text())
        new_kernel()
        old = [{**entry, "refused_at": "2020-01-01T00:00:00+00:00"} for entry in kept]
        kept_in(home).write_text(json.dumps(old))
        runs.append(lp.ask("Hi", "mine:m"))
    assert [len(run.attempts) for run in runs] == [2, 1, 2, 2]
    assert {entry["model"] for entry in kept} == {"m", "another"}
    assert {entry["base_url"] for entry in kept} == {f"{wire.url}/v1"}
    assert kept_in(home).stat().st_mode & 0o777 == 0o600


DAMAGED = ["", "[", "{}", "[1]", "[{}]", '[{"left_out": ["nothing"]}]', "[" * 100_000]


@pytest.mark.parametrize("content", DAMAGED)
def test_damaged_file_of_refusals_is_replaced(home, endpoint, content):
    field, status, said = REFUSALS[0]
    with WireServer(refusing(field, status, said)) as wire:
        endpoint(wire.url)
        lp.ask("Hi", "mine:m")
        new_kernel()
        kept_in(home).write_text(content)
        assert len(lp.ask("Hi", "mine:m").attempts) == 2
        new_kernel()
        assert len(lp.ask("Hi", "mine:m").attempts) == 1


def test_refusals_are_in_memory_only_where_nothing_is_logged(home, endpoint):
    field, status, said = REFUSALS[0]
    lp.configure(privacy="off")
    with WireServer(refusing(field, status, said)) as wire:
        endpoint(wire.url)
        assert [len(lp.ask("Hi", "mine:m").attempts) for _ in range(2)] == [2, 1]
    assert not [*home.rglob("refused*.json")]


def test_refusal_that_stays_without_the_addition_is_not_remembered(home, endpoint):
    """It was about something else: the next call is sent as a whole."""
    field, status, said = REFUSALS[0]
    with WireServer(lambda _request: json_reply(status, said)) as wire:
        endpoint(wire.url)
        for _ in range(2):
            with pytest.raises(errors.RequestRejectedError):
                lp.ask("Hi", "mine:m")
        assert [field in request.json for request in wire.requests] == [True, False] * 2
    assert not [*home.rglob("refused*.json")]


def test_refusal_before_another_failure_is_kept(home, endpoint):
    _, status, said = REFUSALS[0]
    broken = json_reply(503, {"error": {"message": "The server is busy."}})
    replies = [json_reply(status, said), broken, Reply(openai_stream(["Hello"]))]
    with WireServer(lambda _request: replies.pop(0)) as wire, retry.without_waits():
        endpoint(wire.url)
        assert lp.ask("Hi", "mine:m").text == "Hello"
    [entry] = json.loads(kept_in(home).read_text())
    assert entry["left_out"] == ["stream_options"]


def test_refusal_without_a_signature_keeps_the_marks_of_calls():
    missing = "Function call is missing a thought_signature in functionCall parts."
    assert additions.refused((), None, missing) == frozenset()
    named = "Invalid value: skip_thought_signature_validator"
    assert additions.refused((), None, named) == {"call_marks"}
