"""What each model takes: refused, left out, or sent."""

import pytest

from llm_playground.catalog import capabilities
from llm_playground.errors import InvalidParameterError
from llm_playground.types import Parameters

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
    ("openai:a-model-of-next-year", {"temperature": 0.2}, ()),
    ("anthropic:claude-opus-4-5", {"seed": 1, "frequency_penalty": 1}, None),
    ("anthropic:claude-opus-4-5", {"temperature": 0.2, "top_p": 0.5}, ("top_p",)),
    ("anthropic:claude-opus-4-5", {"top_p": 0.5, "top_k": 3}, ()),
    ("anthropic:claude-opus-4-7", {"temperature": 0.2, "top_k": 3}, ("temperature", "top_k")),
    ("anthropic:claude-sonnet-5", {"temperature": 0.2}, ("temperature",)),
    ("anthropic:claude-haiku-5-5", {"top_p": 0.2}, ("top_p",)),
    ("anthropic:claude-3-5-haiku-latest", {"temperature": 0.2}, ()),
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
