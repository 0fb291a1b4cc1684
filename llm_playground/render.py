"""Answers as HTML that cannot run code, loads nothing and holds no key.

Markdown becomes HTML with raw HTML escaped and images turned into links; nh3 then keeps only the
tags and attributes named here. Remote images are a leak without a click, so none survives. Outputs
are saved with the notebook, so keys that an answer repeats are redacted.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any

from llm_playground.redact import redact

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.token import Token

_TAGS = {
    *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code"),
    *("ul", "ol", "li", "strong", "em", "s", "a"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}}
_SCHEMES = {"http", "https", "mailto"}


def to_html(markdown: str) -> str:
    r"""Sanitised HTML of a Markdown text.

    >>> to_html("**bold** <script>alert(1)</script>")
    '<p><strong>bold</strong> &lt;script&gt;alert(1)&lt;/script&gt;</p>\n'
    >>> to_html("![logo](https://example.com/a.png)")
    '<p><a href="https://example.com/a.png" rel="noopener noreferrer nofollow">logo</a></p>\n'
    """
    import nh3  # first use, not import

    cleaned: str = nh3.clean(
        _markdown().render(redact(markdown)),
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes=_SCHEMES,
        link_rel="noopener noreferrer nofollow",
        attribute_filter=_keep_attribute,
    )
    return cleaned


def to_plain_html(text: str) -> str:
    """Text as it is, escaped, with its line breaks; what a running answer is shown as.

    >>> to_plain_html("a < b")
    '<div style="white-space:pre-wrap;overflow-wrap:anywhere">a &lt; b</div>'
    """
    return f'<div style="white-space:pre-wrap;overflow-wrap:anywhere">{escape(redact(text))}</div>'


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt  # first use, not import

    markdown = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    return markdown


def _image_as_link(
    _renderer: RendererProtocol,
    tokens: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    _env: Any,  # noqa: ANN401 - as above
) -> str:
    token = tokens[index]
    address = str(token.attrGet("src") or "")
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'


def _keep_attribute(tag: str, attribute: str, value: str) -> str | None:
    """A class only where it names a code block's language."""
    if (tag, attribute) == ("code", "class"):
        return value if value.startswith("language-") and " " not in value else None
    return value
