"""Which lines of ``%llm`` are commands, which are prompts, and which are neither."""

import pytest
from IPython.core.error import UsageError

from llm_playground import magics
from llm_playground.magics import command_lines


@pytest.mark.parametrize(
    "line",
    [
        *("models", "keys", "keys set openai --save", "keys forget openai", "use gpt-4o"),
        *(
            "help",
            "help models",
            "models mine",
            "models?",
            "runs??",
            "runs -h",
            "export notes.ipynb --help",
            "show",
            "show last",
            "show 019abc",
        ),
        *("code", "code last --function", "code --language curl golf", "code --language=python"),
        *("export", "export everything", "export --format csv", "export runs.csv --format=csv"),
        "export 'my runs.csv'",
        *("cost --by user --by month --tz Europe/Oslo", "latency --model openai:*"),
        *("preset", "preset save 'very terse' -t 0", "preset delete terse", "preset?"),
        *("budget set 5 --model openai:* --period day", "budget remove --tag 'a b'"),
    ],
)
def test_a_line_with_its_arguments_is_a_command(line):
    assert magics.command(line) is not None


@pytest.mark.parametrize(
    "line",
    [
        *("runs are fun, say yes", "use of force?", "use it wisely.", "what is new"),
        *("code review is hard", "export my notes to Markdown", "export the user's data"),
        *(
            "use short words to explain X",
            "runs a marathon",
            "runs a marathon in Oslo",
            "cost of war",
        ),
        *("budget planning for a family", "export my data!", "set the table for five people"),
        *(
            "forget all that I said",
            "import taxes of Norway explained",
            "purge it all?",
            "Set theory!",
        ),
        *(
            "models of cars?",
            "show me a poem",
            "show a dog",
            "help me write a letter",
            "models are fun, why?",
        ),
        *("backup plans for a rainy day", "the keys mistral abc", "Keys to a good life are many"),
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
        ("model?", "Did you mean %llm models? To ask 'model?', write -- before it."),
        ("use", "Write %llm use MODEL."),
        ("doctor openai", "%llm doctor takes nothing after it."),
        ("cost by user", "Write %llm cost [--by NAME] [FILTERS] (unrecognized arguments: by"),
        ("cost user", "Write %llm cost [--by NAME] [FILTERS]. To ask"),
        ("latency --by", "Write %llm latency [--by NAME] [FILTERS] (argument --by: expected one"),
        ("budget 5", "Write %llm budget [set USD [OPTIONS] | remove [OPTIONS]]. To ask a model"),
        (
            "budget set 5 per month --model openai:*",
            "Write %llm budget [set USD [OPTIONS] | remove [OPTIONS]] (unrecognized arguments: per",
        ),
        ("budget set 5 --notebook a.ipynb", "Write %llm budget [set USD [OPTIONS]"),
        ("preset terse", "Write %llm preset [save NAME OPTIONS | delete NAME]. To ask"),
        ("preset save terse -t hot", "Write %llm preset [save NAME OPTIONS | delete NAME] (arg"),
        ("use openai gpt-4o", "Write %llm use MODEL."),
        ("use a b", "Write %llm use MODEL."),
        ("export as csv", "Write %llm export"),
        (
            "set budget 5",
            "Nothing was sent. Use %llm keys set PROVIDER for a key, or %llm budget set",
        ),
        ("set budget 5 a month --tag x", "Nothing was sent. Use %llm keys set"),
        ("forget openai", "Nothing was sent. Use %llm keys forget PROVIDER."),
        ("purge 90d", "Nothing was sent. Use lp.purge(...)."),
        ("Purge 90d keep=metrics", "Nothing was sent. Use lp.purge(...)."),
        ("purge", "Nothing was sent. Use lp.purge(...)."),
        ("backup x.duckdb", "Nothing was sent. Use lp.backup(...)."),
        ("restore x.duckdb", "Nothing was sent. Use lp.restore(...)."),
        ("import runs.json", "Nothing was sent. Use lp.import_runs(...)."),
        ("code last one two", "Write %llm code"),
        (
            "show 1234",
            "Write %llm show [RUN_ID ...] ('1234' is not the beginning of a run's id, which has "
            "six or more of its characters; %llm runs lists ids). To ask a model that, write --",
        ),
        ("show {rid}", "Write %llm show [RUN_ID ...] (there is no variable rid). To ask"),
        ("show $rid {other}", "Write %llm show [RUN_ID ...] (there is no variable rid). To ask"),
        ("code {rid} $rid", "Write %llm code [RUN_ID|last]"),
        ("code --lang curl", "Write %llm code"),
        ("export --fmt csv now", "Write %llm export"),
        ("export --min-rating high a.csv", "Write %llm export [--format NAME] [FILTERS] [PATH] ("),
        ("export a.csv b.csv", "Write %llm export [--format NAME] [FILTERS] [PATH]."),
        ("runs --limit many", "Write %llm runs [FILTERS] (argument --limit: invalid int value"),
        ("runs --model", "Write %llm runs [FILTERS] (argument --model: expected one argument)"),
        ("runs --min-rating 4", "Write %llm runs [FILTERS] (unrecognized arguments: --min-rating"),
    ],
)
def test_what_could_be_a_typo_is_an_error_in_one_line(line, message):
    with pytest.raises(UsageError) as error:
        magics.command(line)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", command_lines.COMMANDS)
def test_help_flags_show_the_help_of_each_command(name, capsys):
    for line in (f"{name} --help", f"{name} -h"):
        magics.command(line)()
        assert capsys.readouterr().out == f"{command_lines.help_text(name)}\n"


_SECRET = "Zx81kLm" + "qRst92vW"


@pytest.mark.parametrize(
    "line",
    [
        *(f"keys mistral {_SECRET}", f"keys  {_SECRET}", f"keys mistral is {_SECRET}, keep it?"),
        *("keys st openai", "keys openai set abc", "keys add mistral", "keys remove openai"),
        *(f"keys set openai --sav {_SECRET}", f"keys --key={_SECRET}", f"keys\t'{_SECRET}"),
        *("keys openai", "keys to success", "keys are small things that open doors, why?"),
    ],
)
def test_a_line_that_begins_with_keys_is_never_sent_and_its_rest_never_shown(line):
    with pytest.raises(UsageError) as error:
        magics.command(line)

    assert str(error.value) == (
        "Nothing was sent. Write %llm keys [set PROVIDER [--save] | forget PROVIDER]. If there is "
        "a key on this line, delete it. To ask a model that, write -- before it."
    )


@pytest.mark.parametrize(
    "line",
    ["Keys mistral {}", "key mistral {}", "kyes add {}", "set mistral {}", "forget mistral {}"],
)
def test_a_line_that_may_hold_a_key_is_refused_without_it(line):
    with pytest.raises(UsageError) as error:
        magics.command(line.format(_SECRET))

    assert _SECRET not in str(error.value)


@pytest.mark.parametrize(
    "line",
    [
        *("-x {}", "--key={}", "--param {}", "-o {}", "--schema {}", "-t {}", "-n {}", "'{}"),
        "--param extra={{{}",
    ],
)
def test_an_error_of_a_cells_line_does_not_repeat_a_key(line):
    key = "hf" + "_" + "aB3dE6gH9jK2mN5pQ8sT" * 2
    with pytest.raises(UsageError) as error:
        magics.LLMMagics(None).llm(line.format(key), "Hi")

    assert key not in str(error.value)


def test_models_are_shown_where_the_policy_allows_none_of_the_list(home, tmp_path, monkeypatch):
    policy = tmp_path / "policy.toml"
    policy.write_text('models = ["mine:*"]')
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    assert magics.command("models")().empty
