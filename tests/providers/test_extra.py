"""``extra``: what is checked is what is sent, whatever it holds and wherever it comes from."""

import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground import _runtime, calls
from llm_playground.budgeting.status import CostContext
from llm_playground.calls import CallOptions
from llm_playground.catalog import estimates
from llm_playground.parts import TextPart, ToolCall, ToolResult
from llm_playground.providers.wire_formats import WIRE_FORMATS, readable_body
from llm_playground.request import prompty, secret_guard
from llm_playground.request.prompts import Prompt
from llm_playground.types import Message, Parameters, Request, Tool
from llm_playground.widget.form import Form, plan_calls
from llm_playground.widget.price import cost_estimates
from tests.providers.vendors import ALL, ANTHROPIC, EXAMPLE, GEMINI, OPENAI

# Names that make the call what it is, as one may try to write them, and the argument to use.
IDENTITY = [
    *((name, "model=") for name in ("model", "Model", "MODEL", " model", "mo_del", "Models")),
    *((name, "model=") for name in ("fallbacks", "preset", "\uff4dodel")),
    *((name, "model=") for name in ("context_window_fallbacks", "content_policy_fallbacks")),
    *((name, "model=") for name in ("user_config", "deployment_id", "routingConfig", "modelId")),
    *((name, "model=") for name in ("context_window_fallback_dict", "router_settings_override")),
    *((name, "messages=") for name in ("messages", "Messages", "contents", "input", "prompt")),
    *((name, "messages=") for name in ("inputs", "promptId", "conversation")),
    ("previous_response_id", "messages="),
    *((name, "system=") for name in ("system", "systemInstruction", "system_instruction")),
    *((name, "system=") for name in ("System-Instruction", "instructions", "system_prompt")),
    *((name, "n= of lp.compare") for name in ("n", "N", "candidateCount", "candidate_count")),
    *((name, "n= of lp.compare") for name in ("best_of", "CandidateCount", "num_generations")),
    *((name, "n= of lp.compare") for name in ("sample_count", "numCompletions", "n ")),
    *((name, "n= of lp.compare") for name in ("num_return_sequences", "num_candidates")),
    *((name, "leave it out") for name in ("stream", "Stream", "STREAM ")),
    *((name, "endpoints=") for name in ("api_base", "base_url", "api_key")),
    ("custom_llm_provider", "endpoints="),
]
LIMIT_NAMES = ["max_tokens", "max_completion_tokens", "maxOutputTokens", "max_output_tokens"]
NO_LIMITS = [None, True, False, "", "many", "9,000", float("nan"), float("inf"), -1, 0, 10**12]
NO_LIMITS += ["1e999999999", "nan", [5], {"a": 5}]


@pytest.fixture
def reaching(reaching):
    """Starts a server in place of a vendor; no guard and no confirmation."""
    lp.configure(secret_guard="off", confirm_above_usd=None)
    return reaching


def hi(model, **parameters):
    return Request(model, (Message("user", (TextPart("Hi"),)),), Parameters(**parameters))


@pytest.mark.parametrize("vendor", [*ALL, EXAMPLE], ids=str)
def test_names_of_the_call_are_refused_with_the_argument_to_use(vendor, reaching):
    server = reaching(vendor)

    for name, argument in IDENTITY:
        for extra in ({name: "x"}, {"extra_body": {name: []}}, {"generation_config": {name: 3}}):
            with pytest.raises(lp.InvalidParameterError, match=re.escape(argument)) as raised:
                lp.ask("Hi", vendor.model, extra=extra)
            assert "\n" not in str(raised.value)
            assert repr(name) in str(raised.value)
    assert server.requests == []
    assert lp.runs().empty


def attempts(model, extra):
    """The ways in which ``extra`` reaches a call."""
    plain = CallOptions("Hi", [model], parameters={"max_tokens": 5}).plan()[0]
    lp.save_preset("sly", extra=extra)
    saved = Prompt((Message("user", (TextPart("Hi"),)),), Parameters(extra=extra), model)
    lp.save_prompt("sly", saved)
    form = Form("Hi", models=[model], parameters={"extra": extra})
    file = f"---\nmodel:\n  parameters: {json.dumps(extra)}\n---\nuser:\nHi\n"
    return {
        "ask": lambda: lp.ask("Hi", model, extra=extra),
        "compare": lambda: lp.compare("Hi", [model], n=2, extra=extra),
        "estimate": lambda: lp.estimate("Hi", model, extra=extra),
        "preset": lambda: lp.ask("Hi", model, preset="sly"),
        "prompt": lambda: lp.ask(lp.prompt("sly")),
        "panel": lambda: plan_calls(form, {}),
        "price": lambda: cost_estimates(form, {}, CostContext(), datetime.now(UTC)),
        "again": lambda: calls.repeated_call(plain, {"extra": extra}),
        "next": lambda: calls.next_call(
            replace(plain, request=hi(model, extra=extra)), plain.request.messages * 2, ()
        ),
        "code": lambda: lp.code(hi(model, extra=extra)),
        "file": lambda: lp.ask(prompty.from_text(file), model),
    }


@pytest.mark.parametrize("extra", [{"model": "o1-pro"}, {"n": 8}, {"messages": []}, {"N": 2}])
def test_every_way_to_a_call_refuses_them(reaching, extra):
    server = reaching(OPENAI)

    for way, attempt in attempts("openai:gpt-4o-mini", extra).items():
        with pytest.raises(lp.InvalidParameterError, match="extra cannot set"):
            pytest.fail(f"{way} took it: {attempt()}")
    assert server.requests == []


def test_a_policy_allows_what_is_sent(reaching, tmp_path, monkeypatch):
    server = reaching(OPENAI)
    policy = tmp_path / "policy.toml"
    policy.write_text('models = ["openai:gpt-4o-mini"]')
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    call = CallOptions("Hi", ["openai:gpt-4o-mini"]).plan()[0]

    with pytest.raises(lp.ConfigError, match="not allowed here"):
        lp.ask("Hi", "openai:o1-pro")
    with pytest.raises(lp.ConfigError, match="model="):
        lp.ask("Hi", "openai:gpt-4o-mini", extra={"model": "o1-pro"})
    policy.write_text('models = ["local"]')
    for later in (
        lambda: calls.repeated_call(call, {}),
        lambda: calls.next_call(call, call.request.messages * 2, ()),
        lambda: calls.raise_for_error(_runtime.run(calls.send(call, lambda _event: None))),
    ):
        with pytest.raises(lp.ConfigError, match="not allowed here"):
            later()
    assert server.requests == []


@pytest.mark.parametrize("name", [*LIMIT_NAMES, "Max-Tokens", "max_new_tokens"])
def test_a_limit_that_cannot_be_understood_is_refused(name):
    for value in NO_LIMITS:
        inside = {name: value}
        for extra in (inside, {"generationConfig": inside}, {"reasoning": inside}):
            with pytest.raises(lp.InvalidParameterError, match="extra") as raised:
                lp.estimate("Hi", "openai:gpt-4o", extra=extra)
            assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize(
    "options",
    [
        {"include_usage": False},
        {"include_usage": None},
        {"Include_Usage": False},
        {"include_usage": True, "includeUsage": False},
        [],
        "x",
    ],
)
@pytest.mark.parametrize("name", ["stream_options", "streamOptions"])
def test_usage_cannot_be_turned_off(name, options):
    with pytest.raises(lp.InvalidParameterError, match="include_usage"):
        lp.estimate("Hi", "openai:gpt-4o", extra={name: options})


DEEP = (
    ("openrouter:m", {}, {"stream_options": None}, {"stream_options": ...}),
    ("openai:m", {}, {"store": None}, {"store": ...}),
    ("openai:m", {"temperature": 1}, {"temperature": None}, {"temperature": ...}),
    ("openai:m", {}, {"user": None}, {"user": None}),
    ("openai:m", {"stop": ("a",)}, {"stop": ["b"]}, {"stop": ["b"]}),
    ("openai:m", {}, {"provider": {"order": ["a"]}}, {"provider": {"order": ["a"]}}),
    (
        "anthropic:claude-opus-4-5",
        {"reasoning_effort": "low"},
        {"output_config": {"task_budget": {"total": 9}}},
        {"output_config": {"effort": "low", "task_budget": {"total": 9}}},
    ),
    (
        "anthropic:claude-opus-4-5",
        {"reasoning_effort": "low"},
        {"output_config": {"effort": None}},
        {"output_config": {}},
    ),
    (
        "gemini:gemini-3-pro",
        {"reasoning_effort": "low", "top_p": 0.5},
        {
            "generation_config": {
                "thinking_config": {"include_thoughts": None, "x": 1},
                "topP": None,
            }
        },
        {"generationConfig": {"thinkingConfig": {"thinkingLevel": "low", "x": 1}}},
    ),
    (
        "gemini:gemini-3-pro",
        {},
        {"generation_config": {"top_k": 1}, "generationConfig": {"topK": 2, "seed": 3}},
        {"generationConfig": {"top_k": 2, "seed": 3}},
    ),
)


@pytest.mark.parametrize(("model", "parameters", "extra", "sent"), DEEP, ids=str)
def test_settings_are_merged_at_every_depth_and_none_takes_back(model, parameters, extra, sent):
    body = readable_body(hi(model, extra=extra, **parameters))
    assert {name: body.get(name, ...) for name in sent} == sent


@pytest.mark.parametrize("vendor", ALL, ids=str)
def test_tools_of_extra_are_added_to_those_of_the_call(vendor):
    tool = Tool("look", "Looks.", {"type": "object", "properties": {}})
    asked = replace(hi(vendor.model), tools=(tool,))

    def tools(**extra):
        parameters = Parameters(extra=extra)
        return readable_body(replace(asked, parameters=parameters)).get("tools")

    own = tools()
    assert tools(tools=[{"type": "web_search"}]) == [*own, {"type": "web_search"}]
    assert tools(Tools=[]) == own
    assert tools(tools=None) is None
    assert tools(tools="odd") == "odd"


def test_a_server_without_stream_options_is_asked_as_its_user_says(reaching):
    server = reaching(OPENAI)
    run = lp.ask("Hi", OPENAI.model, extra={"stream_options": None})
    code = lp.code(run)
    assert "stream_options" not in server.requests[0].json
    assert "stream_options" not in code


def test_other_options_of_the_stream_are_added():
    body = readable_body(hi("groq:llama", extra={"stream_options": {"include_obfuscation": False}}))
    assert body["stream_options"] == {"include_usage": True, "include_obfuscation": False}


@pytest.mark.parametrize("odd", [5, None, [], "x", [{"n": 2}], {"thinkingConfig": 5}])
@pytest.mark.parametrize("vendor", ALL, ids=str)
def test_settings_of_an_odd_shape_are_sent_as_they_are(vendor, odd):
    extra = {"tools": odd, "extra_body": odd, "metadata": odd}
    if vendor is not GEMINI or isinstance(odd, dict):
        extra["generationConfig"] = odd
    asked = hi(vendor.model, extra=extra)

    assert readable_body(asked)["tools"] == odd
    assert estimates.most_usage(asked).output_tokens >= 4096
    assert secret_guard.findings(asked, {}, ["keys"]) == []


@pytest.mark.parametrize("odd", [5, None, [], "x", [{"n": 2}], False])
@pytest.mark.parametrize("name", ["generationConfig", "generation_config", "Generation-Config"])
def test_geminis_settings_with_the_limit_cannot_be_replaced(reaching, name, odd):
    server = reaching(GEMINI)

    for limit in ({}, {"max_tokens": 7}):
        with pytest.raises(lp.InvalidParameterError, match="takes an object"):
            lp.ask("Hi", GEMINI.model, extra={name: odd}, **limit)
    assert server.requests == []


def test_one_field_is_sent_in_one_spelling():
    extra = {"generation_config": {"max_output_tokens": 9, "top_k": 3}, "safety_settings": []}
    body = readable_body(hi("gemini:m", max_tokens=5, extra=extra))
    assert body["generationConfig"] == {"maxOutputTokens": 9, "top_k": 3}
    assert body["safety_settings"] == []
    others = {"new_thing": 1, "newThing": 2, "-": 3, "_": 4}
    assert readable_body(hi("openai:m", extra=others)).items() >= others.items()


def test_tools_in_extra_are_counted_and_searched():
    key = "hf" + "_" + "a1" * 12
    tool = {"type": "function", "function": {"name": "f", "description": "long " * 900}}
    asked = hi("openai:gpt-4o", extra={"tools": [tool]})
    assert estimates.most_usage(asked).input_tokens > 900
    assert asked.size_bytes > 4500
    for extra in ({"tools": [{"name": key}]}, {key: 1}, {"metadata": {"a": [key]}}):
        with pytest.raises(lp.ConfigError, match="looks like an API key"):
            lp.estimate("Hi", "openai:gpt-4o", extra=extra)


def test_a_key_in_the_pieces_of_one_message_is_found():
    parts = (TextPart("hf" + "_" + "a1" * 6), TextPart("a1" * 6))
    request = Request("openai:gpt-4o", (Message("user", parts),))
    assert secret_guard.findings(request, {}, ["keys"])


def test_names_of_tools_calls_and_models_are_searched():
    key = "hf" + "_" + "a1" * 12
    call = ToolCall("1", key, "{}")
    for request in (
        Request(f"openai:{key}", hi("openai:m").messages),
        replace(hi("openai:m"), tools=(Tool(key, "", {"type": "object"}),)),
        replace(hi("gemini:m"), tools=(Tool(key, "", {"type": "object"}),)),
        replace(hi("openai:m"), messages=(Message("assistant", (call,)),)),
        replace(hi("anthropic:m"), messages=(Message("assistant", (call,)),)),
        replace(hi("anthropic:m"), messages=(Message("tool", (ToolResult(key, "f", ""),)),)),
    ):
        assert secret_guard.findings(request, {}, ["keys"])


def test_the_model_of_a_tool_is_refused():
    tool = {"type": "advisor_20260301", "name": "advisor", "model": "claude-opus-9"}
    for extra in ({"tools": [tool]}, {"extra_body": {"tools": [tool | {"Model": "x"}]}}):
        with pytest.raises(lp.InvalidParameterError, match="model of a tool"):
            lp.estimate("Hi", ANTHROPIC.model, extra=extra)


ODD_TOOLS = ([[{"type": "web_search"}]], ["web_search"], [{"type": ["a"]}], "code", 1, [None, 2])
UNBOUNDED = (
    *({name: tools} for name in ("tools", "Tools", "functions") for tools in ODD_TOOLS),
    {"context_management": {"edits": [{"type": "compact_20260112"}]}},
    {"chat_template": "{% for n in range(10**6) %}word {% endfor %}"},
)


@pytest.mark.parametrize(
    "model", ["openai:gpt-4o", "anthropic:claude-opus-4-5", "gemini:gemini-2.5-pro"]
)
def test_what_may_cost_any_amount_has_no_worst_case(home, model):
    for extra in UNBOUNDED:
        estimate = lp.estimate("Hi", model, extra=extra)
        assert (estimate.worst_case_usd, estimate.unbounded) == (None, estimate.unbounded or "?")
    assert lp.estimate("Hi", model, extra={"tools": None}).worst_case_usd is not None


def test_a_later_change_of_extra_changes_nothing(reaching):
    server = reaching(OPENAI)
    extra = {"metadata": {"a": [1]}, 5: (1, 2)}
    [call] = CallOptions("Hi", [OPENAI.model], parameters={"extra": extra}).plan()
    extra["metadata"]["a"].append("later")
    extra["model"] = "o1-pro"

    _runtime.run(calls.send(call, lambda _event: None))

    assert server.requests[0].json["metadata"] == {"a": [1]}
    assert server.requests[0].json["5"] == [1, 2]
    assert server.requests[0].json["model"] == "gpt-4o"


TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
SPELLINGS = [str, str.upper, str.title, lambda name: name.replace("_", "-"), lambda n: f" {n}"]
KNOWN = [
    *LIMIT_NAMES,
    *(name for name, _ in IDENTITY),
    "thinking_budget",
    "stream_options",
    "tools",
]
KNOWN += ["generationConfig", "generation_config", "extra_body", "reasoning", "metadata", "top_k"]
KNOWN += ["thinkingConfig", "include_usage", "response_format", "tool_choice", "temperature"]
NAMES = st.one_of(
    st.builds(lambda name, how: how(name), st.sampled_from(KNOWN), st.sampled_from(SPELLINGS)),
    TEXTS,
)
NUMBERS = st.one_of(st.integers(-2, 10**6), st.floats(0, 1e5), st.sampled_from(["9000", "x", ""]))
SCALARS = st.one_of(NUMBERS, st.none(), st.booleans(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
EXTRAS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=4)


def plain(name):
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", name))).casefold()


def numbers_at(value, names, inside=()):
    """The numbers below any of the names, in settings but not in the user's own words."""
    if isinstance(value, dict):
        for name, item in value.items():
            number = as_number(item) if plain(name) in names else None
            if number is not None:
                yield number
            if plain(name) not in inside:
                yield from numbers_at(item, names, inside)


def as_number(value):
    try:
        return None if isinstance(value, (bool, list, dict)) else float(value)
    except (TypeError, ValueError):
        return None


SUSPECT = {plain(name) for name, _ in IDENTITY}
LIMITED = {plain(name) for name in LIMIT_NAMES} | {"thinkingbudget"}
WORDS = {"metadata", "responseformat", "toolchoice"}


def names_in(value):
    if isinstance(value, dict):
        return {plain(n) for n in value}.union(*map(names_in, value.values()))
    return set().union(*map(names_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("vendor", [*ALL, replace(GEMINI, name="gemini-legacy")], ids=str)
def test_what_is_checked_equals_what_is_sent(vendor, reaching):
    server = reaching(vendor)
    model = f"{vendor.name}:{vendor.model.partition(':')[2]}"
    bare = readable_body(CallOptions("Hi", [model]).plan()[0].request)
    fixed = [name for name in ("model", "messages", "contents", "stream") if name in bare]

    @settings(max_examples=40, suppress_health_check=list(HealthCheck))
    @given(EXTRAS, st.none() | st.integers(1, 5000))
    def check(extra, max_tokens):
        parameters = {"extra": extra} | ({"max_tokens": max_tokens} if max_tokens else {})
        try:
            [call] = CallOptions("Hi", [model], parameters=parameters).plan()
        except lp.InvalidParameterError:
            assert names_in(extra) & (SUSPECT | LIMITED | {"streamoptions", "generationconfig"})
            return
        run = _runtime.run(calls.send(call, lambda _event: None))
        wire = server.requests[-1]
        sent = wire.json

        assert sent == readable_body(call.request) == WIRE_FORMATS[vendor.name].body(call.request)
        assert {name: sent[name] for name in fixed} == {name: bare[name] for name in fixed}
        assert not {plain(name) for name in sent} & (SUSPECT - set(map(plain, fixed)))
        assert run.model == model
        assert ("model" in sent) or f"/{model.partition(':')[2]}:" in wire.path
        if vendor is OPENAI and extra.get("stream_options", ...) is not None:
            assert sent["stream_options"]["include_usage"] is True
        most = estimates.most_usage(call.request)
        assert most.output_tokens >= max([0, *numbers_at(sent, LIMITED, WORDS)])
        assert call.request.size_bytes >= len(json.dumps(extra))
        assert run.parameters.as_dict() == call.request.parameters.as_dict()
        again = replace(call.request, parameters=Parameters(**json.loads(json.dumps(parameters))))
        assert again.prompt_hash() == call.request.prompt_hash()

    check()
