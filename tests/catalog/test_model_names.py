"""Names of models, and the limits of their parameters."""

import pytest

from llm_playground.catalog import capabilities
from llm_playground.errors import InvalidParameterError, UnknownModelError
from llm_playground.types import Parameters


@pytest.mark.parametrize(
    ("typed", "resolved"),
    [
        ("local", "local:smollm2-135m-instruct"),
        ("gpt-anything", "openai:gpt-anything"),
        ("o3", "openai:o3"),
        ("claude-anything", "anthropic:claude-anything"),
        ("gemini-anything", "gemini:gemini-anything"),
        ("openai:as written", "openai:as written"),
    ],
)
def test_a_name_is_resolved_by_its_prefix(typed, resolved):
    assert capabilities.resolve_model(typed) == resolved


@pytest.mark.parametrize("typed", ["", "   ", "unknown", "unknown:model", "openai:"])
def test_an_unknown_name_is_an_error(typed):
    with pytest.raises(UnknownModelError):
        capabilities.resolve_model(typed)


def test_an_unknown_name_comes_with_close_matches():
    with pytest.raises(UnknownModelError, match="openai:gpt-6-luna"):
        capabilities.resolve_model("gpt6-luna", ["openai:gpt-6-luna", "anthropic:claude-x"])


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine:plain", 'No endpoint is called mine: lp.configure(endpoints={"mine": '),
        ("opnai:gpt-6-luna", "Did you mean openai:gpt-6-luna?"),
        ("qwen2:7c", "Closest: ollama:qwen2:7b."),
    ],
)
def test_an_unknown_prefix_is_a_misspelling_or_an_endpoint_to_add(name, says):
    with pytest.raises(UnknownModelError) as unknown:
        capabilities.resolve_model(name, ["openai:gpt-6-luna", "ollama:qwen2:7b"])

    assert says in str(unknown.value)
    assert ("No endpoint" in str(unknown.value)) is says.startswith("No endpoint")


@pytest.mark.parametrize(
    ("provider", "given"),
    [
        ("openai", {"temperature": 2.1}),
        ("openai", {"temperature": -0.1}),
        ("openai", {"temperature": float("nan")}),
        ("openai", {"temperature": "hot"}),
        ("openai", {"temperature": True}),
        ("anthropic", {"temperature": 1.5}),
        ("local", {"top_p": 1.01}),
        ("local", {"max_tokens": 0}),
        ("local", {"max_tokens": 1.5}),
    ],
)
def test_values_outside_a_providers_range_are_rejected(provider, given):
    [name] = given

    with pytest.raises(InvalidParameterError, match=name):
        capabilities.check_parameters(f"{provider}:any", Parameters(**given))
