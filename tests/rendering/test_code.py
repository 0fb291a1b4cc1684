"""Code in an answer: in colours where its language is known, and never another text."""

import html
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llm_playground.rendering import json_blocks, to_html
from llm_playground.rendering.markdown import TOKEN_CLASSES

_NAMES = """
python py javascript js jsx typescript ts tsx json jsonc yaml yml toml ini bash sh zsh shell
console powershell bat sql postgresql html xml css scss c cpp c++ csharp c# java kotlin swift go
rust rs ruby rb php perl r julia matlab lua haskell elixir erlang clojure dart latex tex markdown
diff dockerfile docker makefile make nginx http graphql protobuf hcl terraform pycon Python JSON
"""
LANGUAGES = _NAMES.split()

SAMPLE = "# <a href=\"1\"> { x: 1.5, 'y': true } // $z\n- if (x == 1) \\frac -- return;\n+ ok"
SAMPLES = {
    "php": "<?php\nif ($x === 'a') { return 1; } // why",
    "http": "GET /v1/models HTTP/1.1\nHost: example.com",
    "pycon": ">>> 1 + 1\n2",
}


def fenced(code, language):
    return f"````{language}\n{code}\n````\n"


def text_of(rendered):
    return html.unescape(re.sub(r"<[^>]*>", "", rendered))


def test_code_of_a_known_language_is_in_colours():
    assert to_html(fenced('def f(x):\n    return "a<b" # why', "python")) == (
        '<pre><code class="language-python"><span class="tok-keyword">def</span> '
        '<span class="tok-def">f</span>(x):\n'
        '    <span class="tok-keyword">return</span> '
        '<span class="tok-string">"a&lt;b"</span> <span class="tok-comment"># why</span>\n'
        "</code></pre>\n"
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_languages_that_answers_are_written_in_are_known(language):
    code = SAMPLES.get(language, SAMPLE)

    rendered = to_html(fenced(code, language))

    assert "<span class=" in rendered
    assert text_of(rendered) == f"{code}\n\n"


@pytest.mark.parametrize(
    "language", ["", "mermaid", "klingon", "python2000", "x" * 500, "{.python}"]
)
def test_code_of_another_language_is_plain(language):
    rendered = to_html(fenced("if x: return 1", language))

    assert "<span" not in rendered
    assert "if x: return 1" in rendered


@pytest.mark.parametrize("code", ["x = 1\n" * 9_000, "x = 1;" * 200], ids=["long", "long line"])
def test_code_that_is_very_long_is_plain(code):
    rendered = to_html(fenced(code, "python"))

    assert "<span" not in rendered
    assert text_of(rendered) == f"{code}\n\n"


def test_code_that_takes_a_lexer_very_long_is_plain():
    rendered = to_html(fenced("\n" * 49_000, "c"))

    assert rendered == f'<pre><code class="language-c">{chr(10) * 49_001}</code></pre>\n'


@given(
    st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\x00`")),
    st.sampled_from(LANGUAGES),
)
@example("a  b\x0c", "JSON")
@settings(max_examples=100)
def test_the_text_of_code_is_never_another(code, language):
    rendered = to_html(fenced(code, language))

    shown = text_of(rendered)
    if language.lower() == "json" and json_blocks.begins(code):  # indented on several lines
        assert "".join(shown.split()) == "".join(code.split())
    else:
        assert shown == f"{code}\n\n"
    assert set(re.findall('<span class="tok-([a-z]+)">', rendered)) <= TOKEN_CLASSES
