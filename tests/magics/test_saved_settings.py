"""``%llm preset`` and ``%llm budget`` change what the Python functions change, and say how back."""

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import magics

SCOPE = ["period", "model", "user", "tag", "action", "unknown_price", "limit_usd"]


@pytest.fixture
def llm(home, capsys):
    """Runs a line of ``%llm``; returns what it prints."""
    shell = InteractiveShell()

    def run(line):
        magics.LLMMagics(shell).llm(line)
        return capsys.readouterr().out

    return run


def saved():
    frame = lp.presets()
    return dict(zip(frame.name[3:], frame.parameters[3:], strict=True))


def test_a_preset_is_saved_and_deleted_and_each_change_undone(llm):
    assert llm("preset save 'very terse' -t 0 --max-tokens 8 --param seed=7 --param stop=a") == (
        "The preset very terse is saved. %llm -p 'very terse' ... uses it.\n"
    )
    before = {"temperature": 0.0, "max_tokens": 8, "seed": 7, "stop": ("a",)}
    assert {k: tuple(v) if k == "stop" else v for k, v in saved()["very terse"].items()} == before

    for line in ("preset save 'very terse' -t 1", "preset delete 'very terse'"):
        *_, undo = llm(line).splitlines()
        assert saved().get("very terse") != before
        exec(undo.removeprefix("To undo that: "), {"lp": lp})
        assert saved()["very terse"]["seed"] == 7


def test_a_budget_is_set_and_removed_and_each_change_undone(llm):
    scope = "--model openai:* --period day --tag 'a b'"
    said = llm(f"budget set $5 {scope} --action warn --unknown-price block")
    assert said == (
        "Budget of $5.00 a day for model openai:*, tag a b: warns of calls that do not fit. "
        "It counts for everybody who shares this log.\n"
        "To undo that: %llm budget remove --period day --model 'openai:*' --tag 'a b'\n"
    )
    first = lp.budgets()[SCOPE].values.tolist()
    assert first == [["day", "openai:*", None, "a b", "warn", "block", 5.0]]

    for line in (f"budget set 0.25 {scope}", f"budget remove {scope}"):
        *_, undo = llm(line).splitlines()
        assert lp.budgets()[SCOPE].values.tolist() != first
        llm(undo.removeprefix("To undo that: %llm "))
        assert lp.budgets()[SCOPE].values.tolist() == first


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("preset save", "%llm preset save takes the name of a preset."),
        ("preset save terse", "Nothing was saved: add the parameters, such as"),
        ("preset save precise -t 1", "built-in preset"),
        ("preset save terse --param nope=1", "nope"),
        ("preset save terse --param nope", "--param takes NAME=VALUE"),
        ("preset save terse -t nan", "must be finite"),
        ("preset -t 1", "%llm preset save NAME"),
        ("preset delete terse", "No preset is called 'terse'"),
        ("preset delete terse -t 1", "takes a name only"),
        ("budget set", "%llm budget set takes a limit in US dollars: %llm budget set 5."),
        ("budget set five", "limit_usd"),
        ("budget set nan", "limit_usd"),
        ("budget set inf", "limit_usd"),
        ("budget set -1", "limit_usd"),
        ("budget set 1e99", "limit_usd"),
        ("budget set 5 --period week", "period"),
        ("budget set 5 --action shout", "action"),
        ("budget set 5 --model openai", "Write openai:* for all its models."),
        ("budget --period day", "%llm budget set 5, then the options"),
        ("budget remove 5", "%llm budget remove takes no limit"),
        ("budget remove --tag nope", "There is no such budget to remove"),
    ],
)
def test_a_mistake_is_one_line_and_changes_nothing(llm, line, message):
    with pytest.raises((lp.ConfigError, UsageError)) as error:
        llm(line)

    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not saved()
    assert lp.budgets().empty
