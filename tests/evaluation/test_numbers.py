"""``evaluation.numbers``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground.evaluation.numbers import number_key, numbers_in


def plain(text):
    return [number.plain for number in numbers_in(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1,200 and 1'200 and 1\u00a0200 and 1_200", ["1200"] * 4),
        ("1,234,567.89", ["1234567.89"]),
        ("1.234.567,89", ["1234567.89"]),
        ("0.125 0,125 1234,567", ["0.125", "0.125", "1234.567"]),
        ("1.250", ["1.250"]),
        ("1.250 bei 3,5", ["1250", "3.5"]),
        ("-5, \u22123, -$4, +2", ["-5", "-3", "-4", "2"]),
        ("gpt-4, 3-5, f(x)-1", ["4", "3", "5", "1"]),
        ("2026-03-31 14:30", ["2026", "03", "31", "14", "30"]),
        ("1,2,3 [1,2] [1,200] v2.1.3", ["1", "2", "3", "1", "2", "1", "200", "2", "1", "3"]),
        ("1.5,2.5", ["1.5", "2.5"]),
        (".5, 5., x.5", ["0.5", "5", "5"]),
        ("1e3 2E\u22127 12em", ["1e3", "2e-7", "12"]),
        ("\u0661\u066c\u0662\u0660\u0660 \u0663\u066b\u0665", ["1200", "3.5"]),
        ("no numbers", []),
    ],
)
def test_numbers_are_read_as_people_write_them(text, expected):
    assert plain(text) == expected


@pytest.mark.parametrize("text", ["4 %", "4%", "4 percent", "4 per cent", "4\u066a"])
def test_percentages_are_marked(text):
    (number,) = numbers_in(text)

    assert (number.plain, number.is_percent, text[number.start : number.end]) == ("4", True, text)


@given(st.text(alphabet="019.,-'e+%[] $\u00a0\u0663", max_size=40))
def test_each_number_has_a_value_and_a_place(text):
    numbers = numbers_in(text)

    assert len(number_key(numbers)) == len(numbers)
    ends = [0, *(number.end for number in numbers)]
    assert all(end <= one.start < one.end for end, one in zip(ends, numbers, strict=False))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12))
def test_a_formatted_number_is_read_again(value):
    text = f"It is {value:,f}."

    assert [number.value for number in numbers_in(text)] == [value]
