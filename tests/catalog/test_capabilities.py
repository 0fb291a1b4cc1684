"""What each model takes: refused, left out, or sent."""

import re
from enum import Enum
from importlib import import_module
from typing import get_args, get_type_hints

import pytest

from llm_playground.catalog import capabilities, families
from llm_playground.errors import InvalidParameterError
from llm_playground.providers import wire_formats
from llm_playground.types import Parameters, Request

LEFT_OUT = [
    ("openai:gpt-4o", {"top_k": 5, "seed": 1}, ("top_k",)),
    ("openai:gpt-4o", {"reasoning_effort": "low"}, ("reasoning_effort",)),
    ("openai:o3-mini", {"temperature": 0.2, "stop": ("x",)}, ("temperature", "stop")),
    ("openai:gpt-5-mini", {"temperature": 0.2, "logprobs": 3}, ("temperature", "logprobs")),
    ("openai:gpt-5-2025-08-07", {"top_p": 0.2}, ("top_p",)),
    ("openai:gpt-5-chat-latest", {"temperature": 0.2}, ()),
    ("openai:gpt-5.4", {"temperature": 0.2}, ()),
    ("openai:gpt-5.4", {"temperature": 0.2, "reasoning_effort": "none"}, ()),
    ("openai:gpt-5.4", {"temperature": 0.2, "reasoning_effort": "low"}, ("temperature",)),
    ("openai:gpt-6-luna", {"presence_penalty": 1}, ("presence_penalty",)),
    ("openai:gpt-6-luna", {"temperature": 0.2}, ("temperature",)),  # its default is medium
    ("openai:gpt-6-luna", {"temperature": 0.2, "reasoning_effort": "none"}, ()),
    ("openai:gpt-5.6-sol", {"top_p": 0.2, "logprobs": 1}, ("top_p", "logprobs")),
    ("openai:gpt-5.6", {"top_p": 0.2, "reasoning_effort": "none"}, ()),
    ("openai:gpt-6.1-sol", {"temperature": 0.2}, ("temperature",)),
    ("openai:gpt-6-astra", {"top_p": 0.2, "reasoning_effort": "low"}, ("top_p",)),
    ("openai:a-model-of-next-year", {"temperature": 0.2}, ()),
    ("anthropic:claude-opus-4-5", {"seed": 1, "frequency_penalty": 1}, None),
    ("anthropic:claude-opus-4-5", {"temperature": 0.2, "top_p": 0.5}, ("top_p",)),
    ("anthropic:claude-opus-4-5", {"top_p": 0.5, "top_k": 3}, ()),
    ("anthropic:claude-opus-4-7", {"temperature": 0.2, "top_k": 3}, ("temperature", "top_k")),
    ("anthropic:claude-sonnet-5", {"temperature": 0.2}, ("temperature",)),
    ("anthropic:claude-haiku-5-5", {"top_p": 0.2}, ("top_p",)),
    ("anthropic:claude-3-5-haiku-latest", {"temperature": 0.2}, ()),
    ("anthropic:claude-haiku-4-5", {"reasoning_effort": "low"}, ("reasoning_effort",)),
    ("anthropic:claude-opus-4-5", {"reasoning_effort": "low", "temperature": 0}, ()),
    ("anthropic:claude-sonnet-4-20250514", {"reasoning_effort": "low"}, ("reasoning_effort",)),
    ("gemini:gemini-2.5-flash", {"top_k": 3, "presence_penalty": 1}, ("presence_penalty",)),
    ("gemini:gemini-1.5-pro", {"reasoning_effort": "low"}, ("reasoning_effort",)),
    ("local:smollm2-135m-instruct", {"top_k": 3, "seed": 1, "presence_penalty": 1}, ()),
    ("ollama:anything", {"top_k": 3, "reasoning_effort": "whatever"}, ()),
]


@pytest.mark.parametrize(("model", "given", "left_out"), LEFT_OUT)
def test_what_a_model_has_no_place_for_is_named(model, given, left_out):
    expected = tuple(given) if left_out is None else left_out

    assert set(capabilities.unsupported_in(model, Parameters(**given))) == set(expected)


REFUSED = [
    ("openai:gpt-4o", {"presence_penalty": 2.1}),
    ("openai:gpt-4o", {"frequency_penalty": -2.1}),
    ("openai:gpt-4o", {"stop": ("a", "b", "c", "d", "e")}),
    ("openai:gpt-6-luna", {"reasoning_effort": "a lot"}),
    ("anthropic:claude-opus-5-5", {"reasoning_effort": "none"}),
    ("anthropic:claude-opus-4-6", {"reasoning_effort": "minimal"}),
    ("gemini:gemini-3.8-flash", {"reasoning_effort": "max"}),
    ("openai:gpt-4o", {"logprobs": 21}),
    ("openai:gpt-4o", {"seed": 1.5}),
    ("anthropic:claude-opus-4-5", {"temperature": 1.1}),
    ("anthropic:claude-opus-4-5", {"top_k": 0}),
    ("gemini:gemini-2.5-flash", {"seed": 2**40}),
    ("gemini:gemini-2.5-flash", {"stop": ("a",) * 6}),
    # Left out of what is sent, and wrong all the same.
    ("openai:gpt-5-mini", {"temperature": "hot"}),
    ("openai:gpt-5-mini", {"temperature": 3}),
    ("openai:gpt-4o", {"top_k": 0}),
    ("openai:gpt-4o", {"reasoning_effort": "a lot"}),
    ("openai:o3-mini", {"stop": ("a",) * 5}),
    ("anthropic:claude-opus-4-7", {"temperature": 1.5}),
    ("anthropic:claude-opus-4-5", {"seed": 1.5}),
]


@pytest.mark.parametrize(("model", "given"), REFUSED)
def test_what_is_out_of_range_is_refused_by_name(model, given):
    [name] = given

    with pytest.raises(InvalidParameterError, match=name):
        capabilities.check_parameters(model, Parameters(**given))


@pytest.mark.parametrize(("model", "given", "left_out"), LEFT_OUT)
def test_what_is_left_out_is_not_refused(model, given, left_out):
    capabilities.check_parameters(model, Parameters(**given))


EFFORTS = {
    "openai:o3-mini": "low medium high",
    "openai:o1-mini": "",
    "openai:gpt-4o": "",
    "openai:gpt-5-mini": "minimal low medium high",
    "openai:gpt-5-pro": "high",
    "openai:gpt-oss-120b": "low medium high",
    "openai:gpt-5-codex": "low medium high",
    "openai:gpt-5.1-codex-max": "low medium high xhigh",
    "openai:gpt-5.1": "none low medium high",
    "openai:gpt-5.2": "none low medium high xhigh",
    "openai:gpt-5.5": "none low medium high xhigh",
    "openai:gpt-5.4-pro": "medium high xhigh",
    "openai:gpt-5.3-codex": "low medium high xhigh",
    "openai:gpt-5.6-luna": "none low medium high xhigh max",
    "openai:gpt-6-luna": "none low medium high xhigh max",
    "openai:gpt-6-astra": "low medium high xhigh max",
    "openai:gpt-6.1-sol": "low medium high xhigh max",
    "anthropic:claude-haiku-4-5": "",
    "anthropic:claude-opus-4-5-20251101": "low medium high",
    "anthropic:claude-opus-4-6": "low medium high max",
    "anthropic:claude-sonnet-4-6": "low medium high max",
    "anthropic:claude-mythos-preview": "low medium high max",
    "anthropic:claude-opus-4-7": "low medium high xhigh max",
    "anthropic:claude-haiku-5-5": "low medium high xhigh max",
    "gemini:gemini-2.0-flash": "",
    "gemini:gemini-2.5-pro": "minimal low medium high",
    "gemini:gemini-2.5-flash": "none minimal low medium high",
    "gemini:gemini-3-flash-preview": "minimal low medium high",
    "gemini:gemini-3-pro-preview": "low high",
    "gemini:gemini-3.1-pro-preview": "low medium high",
    "gemini:gemini-3.5-flash-lite": "minimal low medium high",
    "gemini:gemini-3.8-flash": "low medium high",
    "gemini:gemini-4-argon": "low medium high",
    "gemini:gemini-4-neon": "low medium high xhigh",
}


PLACES = {  # of a level in the body of each wire format
    "openai": ("reasoning_effort",),
    "openai-responses": ("reasoning", "effort"),
    "anthropic": ("output_config", "effort"),
    "gemini": ("generationConfig", "thinkingConfig", "thinkingLevel"),
    "gemini-legacy": ("generationConfig", "thinkingConfig", "thinkingLevel"),
}
BUDGET = ("generationConfig", "thinkingConfig", "thinkingBudget")
BUDGETS = {"none": 0, "minimal": 512, "low": 1_024, "medium": 8_192, "high": 24_576}
FORMATS = {"openai": ("openai", "openai-responses"), "gemini": ("gemini", "gemini-legacy")}


def level_in(body, place):
    for name in place:
        body = body.get(name, {})
    return None if body == {} else body


def sent_levels(request):
    """What the body has in place of a level, in each wire format of the provider."""
    provider = request.provider
    for name in FORMATS.get(provider, (provider,)):
        place = BUDGET if request.model_name.startswith("gemini-2") else PLACES[name]
        yield level_in(wire_formats.WIRE_FORMATS[name].body(request), place)


@pytest.mark.parametrize("model", EFFORTS)
def test_a_level_is_sent_or_refused_by_the_row_of_the_family_or_left_out(model):
    taken, name = EFFORTS[model].split(), model.partition(":")[2]
    for level in families.LEVELS:
        parameters = Parameters(reasoning_effort=level)
        if taken and level not in taken:
            with pytest.raises(InvalidParameterError) as refused:
                capabilities.check_parameters(model, parameters)
            says = f"reasoning_effort is {level!r}; {name} takes {', '.join(taken)}."
            assert str(refused.value) == says
            continue
        capabilities.check_parameters(model, parameters)
        dropped = capabilities.unsupported_in(model, parameters)
        assert dropped == (() if taken else ("reasoning_effort",))
        form = BUDGETS[level] if name.startswith("gemini-2") and taken else level
        sent = set(sent_levels(Request(model, (), parameters).as_sent(dropped)))
        assert sent == {form if taken else None}, level

    with pytest.raises(InvalidParameterError) as refused:
        capabilities.check_parameters(model, Parameters(reasoning_effort="hgh"))
    assert ", ".join(taken or families.LEVELS) in str(refused.value)


@pytest.mark.parametrize("model", ["openai:next", "anthropic:next", "gemini:next", "mine:gpt-5"])
def test_an_unknown_model_takes_any_level(model):
    for level in (*families.LEVELS, "a lot"):
        parameters = Parameters(reasoning_effort=level)
        capabilities.check_parameters(model, parameters)
        assert capabilities.unsupported_in(model, parameters) == ()


@pytest.mark.parametrize("provider", ["openai", "anthropic", "gemini"])
def test_the_levels_of_every_family_are_tested(provider):
    patterns = [pattern for pattern, _ in families.FAMILIES[provider]]
    named = (model.partition(":") for model in EFFORTS)
    names = [name for owner, _, name in named if owner == provider]

    first = (next(row for row in patterns if re.match(row, name)) for name in names)
    assert set(first) == set(patterns)
    assert families.FAMILIES["gemini-legacy"] == families.FAMILIES["gemini"]


ROWS = [
    *families.PROVIDERS.values(),
    families.ANY,
    *(row for rows in families.FAMILIES.values() for _, row in rows),
    *(row for rows in families.ABILITIES.values() for row in rows),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.source[-40:])
def test_a_row_names_documents_and_types_that_have_its_values(row):
    sources = row.source.split("; ")
    pages = [source for source in sources if source.startswith("https://")]
    types = [_type_of(source) for source in sources if source not in pages]

    assert pages or types
    assert all(re.fullmatch(r"https://[\w.-]+/[\w./#-]+", page) for page in pages)
    known = {word for one in types for word in _words_of(one)}
    budget_of_zero = {"none"} if "google.genai" in row.source else set()
    if known and getattr(row, "efforts", None):
        assert set(row.efforts) <= known | budget_of_zero


def _type_of(name):
    module, _, kind = name.rpartition(".")
    return getattr(import_module(module), kind)


def _words_of(kind):
    """The words of an enum, of a Literal, or of the field ``effort`` of a TypedDict."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return {one.value.lower() for one in kind}
    if "effort" in getattr(kind, "__annotations__", {}):
        return _words_of(get_type_hints(kind)["effort"])
    words = get_args(kind)
    inner = {word for each in words if get_args(each) for word in _words_of(each)}
    return inner | {word for word in words if isinstance(word, str)}


def test_a_whole_number_range_is_written_in_full():
    with pytest.raises(InvalidParameterError, match="to 9,223,372,036,854,775,807"):
        capabilities.check_parameters("openai:gpt-4o", Parameters(seed=2**63))


class TestAControl:
    def test_offers_what_every_model_takes(self):
        both = ["openai:gpt-4o", "anthropic:claude-haiku-4-5"]

        assert capabilities.control("temperature", both).range.top == 1

    def test_names_the_models_that_take_nothing(self):
        control = capabilities.control("temperature", ["openai:o3", "openai:gpt-4o"])

        assert (control.without, control.range.top) == (("openai:o3",), 2)

    def test_rests_where_all_agree_and_nowhere_else(self):
        assert capabilities.control("temperature", ["local:any"]).default == 0.8
        assert capabilities.control("temperature", ["local:any", "openai:gpt-4o"]).default is None
