"""What Tab offers in ``%llm`` and ``%%llm``."""

import math

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import magics
from llm_playground.magics import completion
from llm_playground.magics.command_lines import ASKING, DOCUMENTED
from llm_playground.magics.completion import offer
from llm_playground.magics.options import OPTION_OF_FLAG

NAMES = {"topic": "bees", "town": 1, "math": math, "total": len, "Town": dict, "_t": 1}


@pytest.fixture(autouse=True)
def _patience(monkeypatch):
    monkeypatch.setattr(completion, "PATIENCE_S", 60)  # on a busy machine


@pytest.mark.parametrize(
    ("before", "fragment", "texts"),
    [
        ("%llm mo", "mo", ["models"]),
        ("a = 1\nif a:\n    %llm c", "c", ["cost", "code", "chat"]),
        ("%llm ", "", [*DOCUMENTED, *OPTION_OF_FLAG]),
        ("%llm -", "-", list(OPTION_OF_FLAG)),
        ("%%llm --to", "--to", ["--top-p"]),
        ("%%llm ", "", [*ASKING, *OPTION_OF_FLAG]),
        ("%llm -t 0.2 --m", "--m", ["--model", "--max-tokens"]),
        ("%%llm -t 0.2 -p cr", "cr", ["creative"]),
        ("%%llm -t 0.2 --preset=cr", "cr", ["creative"]),
        ("x = %llm -s 'Be brief.' -p 'ba", "ba", ["balanced"]),
        ("%llm --param se", "se", ["seed="]),
        ("%llm -o to", "to", ["topic", "town"]),
        ("%llm --schema To", "To", ["Town"]),
        ("%llm use local", "local", ["local:smollm2-135m-instruct"]),
        ("%llm keys s", "s", ["set"]),
        ("%llm keys set anth", "anth", ["anthropic"]),
        ("%llm code --l", "--l", ["--language"]),
        ("%llm code --language c", "c", ["curl"]),
        ("%llm export --format m", "m", ["markdown"]),
        ("%llm export --mi", "--mi", ["--min-rating"]),
        ("%llm export runs.csv --status fa", "fa", ["failed"]),
        ("%llm runs --since 2026-03 --provider anth", "anth", ["anthropic"]),
        ("%llm runs --se", "--se", ["--search"]),
        ("%llm help la", "la", ["latency"]),
        ("%llm chat u", "u", ["undo"]),
        ("%llm chat -p cr", "cr", ["creative"]),
        ("%%llm chat --to", "--to", ["--top-p"]),
        ("%llm fix --ce", "--ce", ["--cell"]),
        ("%llm chat About {{to", "to", ["topic}}", "town}}"]),
        ("%llm show l", "l", ["last"]),
        ("%llm preset ", "", ["save", "delete"]),
        ("%llm preset save terse --m", "--m", ["--max-tokens"]),
        ("%llm budget ", "", ["set", "remove"]),
        ("%llm budget set 5 --p", "--p", ["--period"]),
        ("%llm budget set 5 --period d", "d", ["day"]),
        ("%llm budget set 5 --model loc", "loc", ["local:smollm2-135m-instruct"]),
        ("%llm About {{to", "to", ["topic}}", "town}}"]),
        ("%llm -t 0.2 About {{ to", "to", ["topic}}", "town}}"]),
        ("%%llm -n 2\nAbout {{top", "top", ["topic}}"]),
        ("%%llm\nAbout {{a}} and\n{{", "", ["topic}}", "town}}"]),
        ("%%llm\n%llm mo", "", []),
        ("%llm About mo", "", []),
        ("%llm -s mo", "", []),
        ("%llm -q ", "", []),
        ("print('%llm mo", "", []),
        ("%time mo", "", []),
        ("x = 5 %llm", "", []),
    ],
)
def test_tab_offers_what_may_follow(before, fragment, texts):
    found = offer(before, NAMES)

    assert (found.fragment, list(found.texts)) == (fragment, texts)


@pytest.mark.parametrize(
    "before", ["%llm {{to", r"%llm \\{{to", "%llm --fresh {{to", "%%llm\nAbout {{to"]
)
def test_variables_are_offered_where_braces_are_filled(before):
    assert offer(before, NAMES).texts
    for raw in (before.replace("{{", r"\{{"), before.replace("%llm", "%llm --raw", 1)):
        assert not offer(raw, NAMES).texts


def test_braces_that_are_there_are_not_added():
    assert offer("%llm {{to", NAMES, " }} to a child").texts == ["topic", "town"]


def test_models_are_offered_usable_ones_first_and_names_of_the_log():
    lp.save_preset("my-preset", temperature=0.3)
    message = lp.Message("user", (lp.TextPart("Say hello."),))
    lp.save_prompt("my-prompt", lp.Prompt((message,)))

    assert offer("%llm -m ", {}).texts[0].startswith("local:")
    assert offer("%llm -p my", {}).texts == ["my-preset"]
    assert offer("%llm --prompt my", {}).texts == ["my-prompt"]


@pytest.mark.parametrize("use_jedi", [True, False])
def test_the_shell_offers_them_alone_and_nothing_after_unloading(use_jedi):
    shell = InteractiveShell()
    shell.Completer.use_jedi = use_jedi
    magics.load(shell)
    shell.user_ns["topic"] = "bees"

    def offered(code):
        with provisionalcompleter():
            return [(c.start, c.text) for c in shell.Completer.completions(code, len(code))]

    assert offered("%llm use loc") == [(9, "local:smollm2-135m-instruct")]
    assert offered("%%llm --max") == [(6, "--max-tokens")]
    assert offered("%%llm\nAbout {{top") == [(14, "topic}}")]
    assert offered("import llm_play\n%llm lat") == [(21, "latency")]
    magics.unload(shell)
    assert "latency" not in [text for _, text in offered("%llm lat")]
