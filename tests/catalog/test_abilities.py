"""What models can do beside text: known where documented, unknown elsewhere, never guessed."""

import pytest

from llm_playground.catalog import capabilities
from llm_playground.catalog.models import Choice

KNOWN = [
    ("openai:gpt-4o-mini", True, True, False),
    ("openai:gpt-6-luna", True, None, True),
    ("openai:o3-mini", False, True, True),
    ("openai:gpt-4", False, None, False),
    ("openai:chatgpt-4o-latest", True, None, False),
    ("openai:gpt-5-mini", True, True, True),
    ("anthropic:claude-haiku-5-5", True, True, True),
    ("anthropic:claude-3-haiku-20240307", True, True, False),
    ("anthropic:claude-2", False, False, False),
    ("gemini:gemini-2.5-flash", True, True, True),
    ("gemini:gemini-1.5-pro", True, True, False),
    ("gemini:gemma-3-27b-it", None, None, False),
    ("openai:ft:gpt-4o:me::1", None, None, None),
    ("ollama:llama3.2", None, None, None),
    ("local:smollm2-135m-instruct", False, None, False),
]


@pytest.mark.parametrize(("model", "vision", "tools", "reasoning"), KNOWN)
def test_a_family_says_what_its_models_can(model, vision, tools, reasoning):
    assert capabilities.abilities_of(model) == capabilities.Abilities(vision, tools, reasoning)


def choice(**facts):
    unknown = (None, None, None)
    return Choice("mine:x", "x", "mine", True, None, *unknown, **facts)


def test_only_what_is_known_is_a_badge():
    assert choice().badges == ()
    assert choice(vision=True, tools=False, reasoning=True).badges == ("vision", "reasoning")


def test_the_line_about_a_model_is_the_lists_word_or_made_of_facts():
    assert choice(about="Small and quick").description == "Small and quick"
    assert choice(reasoning=True).description == "Reasons before it answers"
    assert choice().description == ""
    known = Choice("mine:x", "x", "mine", True, None, 128_000, None, None)
    assert known.description == "128k tokens of context"
