"""Which lines of ``%llm`` are commands, which are prompts, and which are neither."""

import pytest
from IPython.core.error import UsageError

from llm_playground import magics


@pytest.mark.parametrize(
    "line",
    [
        *("models", "keys", "keys set openai --save", "keys forget openai", "use gpt-4o"),
        *("code", "code last --function", "code --language curl golf", "code --language=python"),
        *("export", "export everything", "export --format csv", "export runs.csv --format=csv"),
        "export 'my runs.csv'",
    ],
)
def test_a_line_with_its_arguments_is_a_command(line):
    assert magics.command(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        *("runs are fun, say yes", "use a b", "keys to success", "what is new"),
        *("code review is hard", "export my notes to Markdown", "export the user's data"),
    ],
)
def test_a_sentence_that_begins_with_a_command_is_a_prompt(line):
    assert magics.command(line) is None


@pytest.mark.parametrize(
    "line",
    [
        *("Hello", "Hello!", "Why?", "translate", "Poem", "Explain", "Yes", "日本"),
        *(
            "budgets are limits",
            "codes of honour",
            "Costs of war",
            "used cars rust",
            "hell is others",
        ),
    ],
)
def test_a_word_that_is_near_no_command_is_a_prompt(line):
    assert magics.command(line) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("modles", "Did you mean %llm models?"),
        ("exprot", "Did you mean %llm export?"),
        ("exprot --format csv", "Did you mean %llm export?"),
        ("exprot runs.csv", "Did you mean %llm export?"),
        ("exporrt --format csv runs.csv", "Did you mean %llm export?"),
        ("budgets", "Did you mean %llm budget?"),
        ("cots", "Did you mean %llm cost?"),
        ("Cost", "Did you mean %llm cost?"),
        ("COTS", "Did you mean %llm cost?"),
        ("hlep", "Did you mean %llm help?"),
        ("docter", "Did you mean %llm doctor?"),
        ("latnecy", "Did you mean %llm latency?"),
        ("presets", "Did you mean %llm preset?"),
        ("run", "Did you mean %llm runs?"),
        ("key set openai", "Did you mean %llm keys?"),
        ("kyes --save", "Did you mean %llm keys?"),
        ("us openai:gpt-4o", "Did you mean %llm use?"),
        ("codde last", "Did you mean %llm code?"),
        ("models openai", "%llm models takes nothing after it."),
        ("use", "Write %llm use MODEL."),
        ("keys openai", "Write %llm keys"),
        ("code last one two", "Write %llm code"),
        ("code --lang curl", "Write %llm code"),
        ("export --fmt csv now", "Write %llm export"),
    ],
)
def test_what_could_be_a_typo_is_an_error_in_one_line(line, message):
    with pytest.raises(UsageError) as error:
        magics.command(line)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)
