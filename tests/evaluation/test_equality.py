"""``evaluation.equality``: when two answers are the same, and letters for groups of answers."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.errors import InvalidParameterError
from llm_playground.evaluation.equality import RULES, Field, TextKey, letters, rule

SIMPLE = ["text", "loose", "json", "json:a", "numbers"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)  # fmt: skip


def same(name, before, after):
    key = rule(name).key
    return key(before) == key(after)


@given(st.text(max_size=60))
def test_a_text_is_the_same_as_itself(text):
    for name in SIMPLE:
        assert same(name, text, text)
        assert rule(name).key(text) is not None
        hash(rule(name).key(text))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Hello, world!", "hello world"),
        ("STRASSE", "stra\u00dfe"),
        ("\ufb01ne \uff21", "FINE A"),
        ("**4 %**", "4%"),
        ("1,200 rows", "1200 rows."),
        ("1\u00a0200", "1200"),
        ("It\u2019s", "it's"),
        ("\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\u4f60\u597d \u4e16\u754c"),
        ("so\u00adft \u200bhyphen", "soft hyphen"),
        ("\u22125", "-5"),
    ],
)
def test_loose_ignores_case_spaces_and_punctuation(before, after):
    assert same("loose", before, after)
    assert not same("text", before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("1.5", "15"),
        ("1, 2", "12"),
        ("-5", "5"),
        ("5 %", "5"),
        ("C++", "C"),
        ("5 < 6", "5 > 6"),
        ("\U0001f44d", "\U0001f44e"),
        ("caf\u00e9", "cafe"),
        ("\u0928\u092e", "\u0928\u093e\u092e"),
        ("???", "!!!"),
    ],
)
def test_loose_keeps_what_carries_the_meaning(before, after):
    assert not same("loose", before, after)


@given(JSON)
def test_json_is_the_same_however_it_is_written(value):
    compact = json.dumps(value)
    fenced = f"Here it is:\n\n```json\n{json.dumps(value, indent=2, ensure_ascii=False)}\n```\n"

    assert same("json", compact, fenced)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ('{"a": 1, "b": [2]}', '{"b": [2.0], "a": 1e0}', True),
        ("[1]", "[true]", False),
        ("[0]", "[false]", False),
        ("[]", "{}", False),
        ('["1"]', "[1]", False),
        ("[1, 2]", "[2, 1]", False),
        ('{"a": null}', "{}", False),
        ("[NaN]", "[NaN]", True),  # not JSON: by their texts
        ('"[1]"', "[1]", False),
        ("10000000000000000000001", "10000000000000000000000", False),
        ("~~~\n[1]\n~~~", "[1]", True),
        ("```\n[1]\n```\n```\n[1]\n```", "[1]", False),  # two blocks
        ("````\n```\n[1]\n```\n````", "[1]", False),  # a block in a block is its text
    ],
)
def test_equal_json(before, after, expected):
    assert same("json", before, after) is expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Sorry.", "not JSON: Expecting value, line 1, column 1"),
        ("[NaN]", "not JSON: NaN is not a JSON number"),
        ("[1e99999999999999999999]", "not JSON: a number is out of range"),
        ("[" * 100_000, "not JSON: nested more than 100 levels deep"),
        ("[" * 200 + "]" * 200, "not JSON: nested more than 100 levels deep"),
        ("```\n1\n```\n```\n2\n```", "2 code blocks with JSON, expected one"),
    ],
)
def test_an_answer_that_is_no_json_is_its_text_and_says_why(text, reason):
    for name in ("json", "json:a"):
        key = rule(name).key(text)

        assert key == TextKey(text, "")
        assert key.reason == reason


def test_the_same_field():
    one = '{"total": 1.0, "items": [{"price": 3}], "a.b": 5}'
    other = '{"total": 1, "items": [{"price": 4}], "a.b": 5}'

    assert same("json:total", one, other)
    assert same(Field("a.b"), one, other)
    assert not same("json:items.0.price", one, other)
    assert rule("json:items.1.price").key(one) == TextKey(one, "")
    assert rule("json:items.9999999999999.price").key(one).reason.startswith("no field items.")
    assert rule("json:total").key('{"total": null}') != rule("json:total").key("{}")


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("Sales: 1,200 (+4 %)", "They rose 4% ... ", False),
        ("1,200, up 4 %", "**1200**: 4.0 percent", True),
        ("1 and 2", "2 and 1", False),
        ("-4", "4", False),
        ("4 %", "4", False),
        ("none", "nothing", False),
    ],
)
def test_the_same_numbers(before, after, expected):
    assert same("numbers", before, after) is expected


def test_a_function_decides():
    by_length = rule(len)

    assert (by_length.label, by_length.name) == ("same len", "function:len")
    assert by_length.key("ab") == by_length.key("cd")
    assert rule(lambda text: {"words": text.split()}).key("a  b") == rule(
        lambda text: {"words": text.split()}
    ).key("a b")
    assert rule(lambda _: None).key("a") is not None


def test_an_answer_for_which_the_function_raises_is_its_text():
    total = rule(lambda text: json.loads(text)["total"])

    assert total.key('{"total": 1}') == total.key('{"total": 1.0, "a": 2}')
    assert total.key("{}") == TextKey("{}", "")
    assert total.key("{}").reason == "KeyError: 'total'"


async def later(text):
    return text


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("fuzzy", "same_if='fuzzy' is no rule. Use 'text', 'loose', 'json', 'json:FIELD',"),
        ("json:", "is no rule"),
        (3, "same_if=3 is no rule"),
        (lambda one, other: one == other, "must take the text of one answer alone"),
        (later, "not be async"),
        ("function:total", "The function total of same_if= is not stored. Pass it again."),
    ],
)
def test_a_wrong_rule_is_one_line_with_the_choices(value, part):
    with pytest.raises(InvalidParameterError) as raised:
        rule(value)

    assert part in str(raised.value)
    assert "\n" not in str(raised.value)


def test_each_rule_of_the_table_can_be_chosen():
    for name, label in RULES.items():
        assert rule(name).label.startswith(label)
        assert rule(rule(name).name) == rule(name) or name == "json:FIELD"


def test_letters_go_on_after_z():
    names = letters(range(703))

    assert [names[at] for at in (0, 25, 26, 51, 52, 701, 702)] == [
        *("A", "Z", "AA", "AZ", "BA", "ZZ", "AAA")
    ]


def test_no_answer_has_no_letter():
    key = rule("loose").key

    assert letters([None, key("Oslo."), key("oslo"), None, key("Rome")]) == [
        *(None, "A", "A", None, "B")
    ]
