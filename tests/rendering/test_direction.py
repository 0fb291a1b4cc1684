"""Right-to-left text, by block."""

# ruff: noqa: RUF001 - letters of other scripts are the subject

import pytest

from llm_playground.rendering import direction, to_html, to_plain_html

CASES = {
    "مرحبا بالعالم": '<p dir="auto">مرحبا بالعالم</p>',
    "# שלום": '<h1 dir="auto">שלום</h1>',
    "- فارسی\n- English": '<ul dir="rtl">\n<li dir="rtl">فارسی</li>\n<li dir="ltr">English</li>',
    "1. `x` שלום": '<ol dir="rtl">\n<li dir="rtl"><code dir="ltr">x</code> שלום</li>',
    "- א\n\n- b": '<li dir="rtl">\n<p dir="auto">א</p>',
    "> اقتباس": '<blockquote dir="rtl">\n<p dir="auto">اقتباس</p>',
    "| א | b |\n|---|---|\n| 1 | ב |": '<table dir="rtl">\n<thead>\n<tr>\n<th dir="auto">א</th>',
    "- نص\n\n  ```python\n  x\n  ```": '<pre dir="ltr"><code dir="ltr" class="language-python">',
    "مع $x^2$": '<math dir="ltr">',
    "- a\n  - ב\n": '<ul dir="ltr">\n<li dir="ltr">a\n<ul dir="rtl">\n<li dir="rtl">ב</li>',
}


@pytest.mark.parametrize(("text", "html"), CASES.items(), ids=CASES)
def test_a_block_has_the_direction_of_its_first_letter(text, html):
    assert html in to_html(text)


def test_a_block_of_left_to_right_text_has_none():
    assert "dir=" not in to_html("# Sea\n\n- a\n\n> b\n\n| a |\n|---|\n| 1 |\n\n$x$ 次 한 ก")
    assert to_html("Sea\n\nשלום").startswith("<p>Sea</p>\n<p dir=")


def test_a_growing_answer_has_the_direction_of_each_line():
    assert 'dir="auto"' in to_plain_html("שלום")
    assert "unicode-bidi:plaintext" in to_plain_html("שלום")
    assert direction.of("12. \N{HEBREW LETTER ALEF} a") == "rtl"
