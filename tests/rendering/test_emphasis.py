"""Bold and italic beside the punctuation of scripts that are written without spaces.

Inputs of public reports: commonmark-spec 650, markdown-it 340 and 1080, marked 3694 and 3838,
github/markup 1076, markdig 728, commonmark.js 108.
"""

# ruff: noqa: RUF001 - the punctuation of other scripts is the subject

import pytest

from llm_playground.rendering import to_html

BESIDE = "，。、；：？！“”‘’（）【】《》—～…·〃-々「」『』〈〉"
BOLD = {
    **{f"**真{sign}**她": f"<strong>真{sign}</strong>她" for sign in BESIDE},
    **{f"她**{sign}真**": f"她<strong>{sign}真</strong>" for sign in "“（【《「『"},
    "**Patchouli 是 API 网关系统，**为企业": "<strong>Patchouli 是 API 网关系统，</strong>为企业",
    "**具体：**与其说“一棵树”": "<strong>具体：</strong>与其说“一棵树”",
    "**历经10年发展，**a": "<strong>历经10年发展，</strong>a",
    "前の**前の「文字列」**の後": "前の<strong>前の「文字列」</strong>の後",
    "前の**「文字列」**の後": "前の<strong>「文字列」</strong>の後",
    "**日本語の文章（括弧付き）。**この文": "<strong>日本語の文章（括弧付き）。</strong>この文",
    "**提示（Note）：**请": "<strong>提示（Note）：</strong>请",
    "*这是斜体文字（带括号）。*这": "<em>这是斜体文字（带括号）。</em>这",
    "~~删除的文字（带括号）。~~这个": "<s>删除的文字（带括号）。</s>这个",
    "**스크립트(script)**라고": "<strong>스크립트(script)</strong>라고",
    "이것은**'인용'**입니다": "이것은<strong>&#x27;인용&#x27;</strong>입니다",
    "**이름:**값": "<strong>이름:</strong>값",
    "这是**`code`**的": "这是<strong><code>code</code></strong>的",
    "**[链接](https://a.b)**的": "<strong><a",
    "**完成✅**次": "<strong>完成✅</strong>次",
    "**สำคัญ:**ข้อความ": "<strong>สำคัญ:</strong>ข้อความ",
    "**សំខាន់៖**អត្ថបទ": "<strong>សំខាន់៖</strong>អត្ថបទ",
    "***重要。***次": "<em><strong>重要。</strong></em>次",
    "a **bold.** b": "a <strong>bold.</strong> b",
}
NONE = {
    "2 ** 3 ** 4": "2 ** 3 ** 4",
    "a**bold.**b": "a**bold.**b",
    "snake_case_name": "snake_case_name",
    "** 重要 **": "** 重要 **",
    "前の_強調_後": "前の_強調_後",
}


@pytest.mark.parametrize(("text", "html"), BOLD.items(), ids=BOLD)
def test_emphasis_is_where_it_was_meant(text, html):
    rendered = to_html(text).replace("'", "&#x27;").replace("&#39;", "&#x27;")

    assert html in rendered
    assert "*" not in rendered


@pytest.mark.parametrize(("text", "html"), NONE.items(), ids=NONE)
def test_signs_that_are_no_emphasis_stay(text, html):
    assert to_html(text) == f"<p>{html}</p>\n"


def test_the_report_covers_many_inputs():
    assert len(BOLD) >= 30
