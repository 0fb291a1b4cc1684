"""Answers that are JSON: as code, indented, each name and value as it was written."""

import html
import re

import pytest

from llm_playground.rendering import to_html
from llm_playground.rendering.json_blocks import begins, indented
from llm_playground.rendering.streaming import GrowingAnswer


def code_of(rendered):
    codes = re.findall(
        r'<pre><code class="language-json">(.*?)\n*</code></pre>', rendered, re.DOTALL
    )
    return [html.unescape(re.sub("<[^>]*>", "", code)) for code in codes]


WHOLE = {
    '{"a":1,"b":[true,{}]}': '{\n  "a": 1,\n  "b": [\n    true,\n    {}\n  ]\n}',
    "```json\n[1.10,1e400]\n```": "[\n  1.10,\n  1e400\n]",
    '  {"n":12345678901234567890.123456789,"n":-0.0}': (
        '{\n  "n": 12345678901234567890.123456789,\n  "n": -0.0\n}'
    ),
    '{"k\\u00e9_*x*_":"a\\\\b <b> $x$ **y**"}': '{\n  "k\\u00e9_*x*_": "a\\\\b <b> $x$ **y**"\n}',
    '{"cut":[1,2,{"a":"b': '{\n  "cut": [\n    1,\n    2,\n    {\n      "a": "b',
    '{"broken":1,,}': '{\n  "broken": 1,,\n}',
    '{\n"a": 1,\n}': '{\n"a": 1,\n}',
    '{"a": "line\n\nline _b_"}': '{"a": "line\n\nline _b_"}',
    '[{"a":1},\n\n{"b":2}]': '[\n  {\n    "a": 1\n  },\n  {\n    "b": 2\n  }\n]',
    '{"a":1}\n{"a":2}': '{"a":1}\n{"a":2}',
    "{'a': 1}": "{\n  'a': 1\n}",
    "[]": None,
    '["a", "b"]': '[\n  "a",\n  "b"\n]',
}


@pytest.mark.parametrize(("text", "code"), WHOLE.items(), ids=WHOLE)
def test_json_is_code(text, code):
    rendered = to_html(text)

    assert code_of(rendered) == ([] if code is None else [code])
    assert code is None or rendered.count("<p>") == 0


@pytest.mark.parametrize("text", [*WHOLE, '{"a":1}\n\nThat is *it*.', 'So:\n\n{"a":\n1}\n- x\n'])
def test_a_growing_answer_has_the_same_code_as_the_whole(text):
    for step in (1, 3, 1_000):
        growing, shown = GrowingAnswer(), []
        for begin in range(0, len(text), step):
            growing.feed(text[begin : begin + step])
            shown += growing.update().blocks
        shown += growing.finish().blocks
        assert "".join(shown) == to_html(text), step


def test_json_ends_with_its_last_bracket():
    growing = GrowingAnswer()
    growing.feed('{"a": [1,\n\n2]\n}\n\nThat is it.')

    (block,) = growing.update().blocks

    assert code_of(block) == ['{\n  "a": [\n    1,\n    2\n  ]\n}']


@pytest.mark.parametrize(
    "line",
    [
        "[1] Smith",
        "[a](b)",
        '["a" b](c)',
        "[x]: y",
        "[1]: https://a.b",
        "{{name}}",
        "{name}",
        "[ ] x",
        "[1]",
        "[12]",
        "[null hypothesis]",
        "[true story]",
        "[1, see below",
        "{ x: 1 }",
        "[]",
        "$[1]$",
    ],
)
def test_what_only_begins_like_json_is_text(line):
    assert not begins(line)
    assert "<pre>" not in to_html(line)


def test_names_and_values_have_their_colours():
    rendered = to_html('{"a": "b", "c": -1.5e3, "d": null}')

    for name, value in {"tag": '"a"', "string": '"b"', "number": "-1.5e3", "atom": "null"}.items():
        assert f'<span class="tok-{name}">{value}</span>' in rendered


@pytest.mark.parametrize(
    "text",
    ["[" * 3_000 + "]" * 3_000, '{"a":' * 3_000, '[[0],"' * 2_000, "[" + "1," * 150_000 + "1]"],
)
def test_large_and_deep_json_keeps_its_size(text):
    assert len(indented(text)) <= 5 * len(text) + 4_000
    assert re.sub(r"\s", "", indented(text)) == text
    assert len(to_html(text[:20_000])) < 40 * 20_000 + 20_000
