"""In what the values of the notebook differ from those that were sent."""

import pytest

from llm_playground.differences import text_difference
from llm_playground.request.templates import hashes_of
from llm_playground.widget.form import Form
from llm_playground.widget.form_changes import changed_values, differences

ROWS = [{"city": "Oslo"}, {"city": "Bergen"}]


@pytest.mark.parametrize(
    ("asked", "form", "notebook", "expected"),
    [
        ([{"n": "3"}], Form("{{n}}"), {"n": 3}, []),
        ([{"n": "3"}], Form("{{n}}"), {"n": 4}, ["{{n}}"]),
        ([{"n": "3"}], Form("Hi", system="{{n}}"), {"n": 4}, ["{{n}}"]),
        ([{"n": "3"}], Form("{{n}}", values={"n": "4"}), {}, []),  # typed: part of the form
        ([{"n": "3"}], Form("{{m}}"), {"m": 4}, []),
        ([{"n": "3"}], Form("{{n}}"), {}, []),  # not defined: unknown
        ([{}], Form("{{n}}"), {"n": 3}, []),
        (ROWS, Form("{{city}}", cases=ROWS), {}, []),
        (ROWS[:1], Form("{{city}}", cases=ROWS), {}, []),  # the first was tried alone
        (ROWS, Form("{{city}}", cases=[*ROWS, {"city": "Bodø"}]), {}, ["cases"]),
        (ROWS, Form("{{city}}", cases=ROWS[:1]), {}, ["cases"]),
        (ROWS, Form("Hi", cases=[{"city": "Bodø"}]), {}, []),
        (
            [row | {"n": "3"} for row in ROWS],
            Form("{{n}} {{city}}", cases=[{"city": "Bodø"}]),
            {"n": 4},
            ["{{n}}", "cases"],
        ),
    ],
)
def test_names_values_that_are_others_now(asked, form, notebook, expected):
    assert changed_values(map(hashes_of, asked), form, notebook) == expected


def changes(before, after):
    return [(one.words, one.in_full) for one in differences(before, after)]


@pytest.mark.parametrize(
    ("trait", "before", "after", "words", "in_full"),
    [
        ("temperature", 0.2, 0.9, "temperature 0.2 \u2192 0.9", None),
        ("temperature", None, [0, 0.5], "temperature auto \u2192 0, 0.5", None),
        ("max_tokens", 100_000, None, "max tokens 100000 \u2192 auto", None),
        ("stop_at", ["END"], ["x" * 90], "stop", "stop: “END” \u2192 “" + "x" * 79 + "…”"),
        ("iterations", 1, 3, "iterations 1 \u2192 3", None),
        ("models", ["a:b"], ["c:d", "e:f"], "models b \u2192 d, f", None),
        ("system", "", "Be dry.", "system prompt", "system prompt: (empty) \u2192 “Be dry.”"),
        ("cases", "df", "df2", "cases df \u2192 df2", None),
        ("images", [], [{"id": "1", "name": "a.png"}], "images 0 \u2192 1", None),
        (
            "images",
            [{"id": "1", "name": "cat.png"}],
            [{"id": "2", "name": "dog.png"}],
            "images",
            "images: [-cat-]{+dog+}.png",
        ),
        (
            "turns",
            [{"role": "user", "content": "Is the sky blue?"}],
            [{"role": "user", "content": "Is the sky red?"}],
            "earlier turns",
            "earlier turns: user: Is the sky [-blue-]{+red+}?",
        ),
        ("values", {"n": "1"}, {"n": "2"}, "typed values", "typed values: n: [-1-]{+2+}"),
    ],
)
def test_says_how_a_value_differs(trait, before, after, words, in_full):
    assert changes({trait: before}, {trait: after}) == [(words, in_full or words)]
    assert changes({trait: before}, {trait: before}) == changes({}, {trait: after}) == []


def test_a_difference_within_a_long_text_is_shown_and_no_key_is():
    long = "word " * 1_000
    assert text_difference(f"{long}One.", f"{long}Two.") == "“…One.” \u2192 “…Two.”"
    key = "sk-" + "planted" * 4 + "7Qa"
    assert "planted" not in text_difference("Use a key.", f"Use {key} as a key.")
