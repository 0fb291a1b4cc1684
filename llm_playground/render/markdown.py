"""Markdown as tokens: CommonMark with tables, strikethrough and formulas, without raw HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from html import escape
from typing import TYPE_CHECKING, Any, TypeAlias

from llm_playground.render import formulas
from llm_playground.render.highlighting import highlighted

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.renderer import RendererProtocol
    from markdown_it.token import Token

References: TypeAlias = dict[str, Any]  # link definitions by label, as markdown-it keeps them


def tokens(text: str, references: References) -> list[Token]:
    """The tokens of ``text``; the link definitions in it are added to ``references``."""
    return parser().parse(_mended(text), {"references": references})


def block_tokens(text: str) -> list[Token]:
    """Only which blocks ``text`` consists of, at a third of the price."""
    found: list[Token] = []
    parser().block.parse(text, parser(), {}, found)
    return found


def by_block(parsed: Sequence[Token]) -> Iterator[list[Token]]:
    """The tokens of each block that is in no other."""
    block: list[Token] = []
    for token in parsed:
        block.append(token)
        if token.level == 0 and token.nesting <= 0:
            yield block
            block = []


@lru_cache(maxsize=1)
def parser() -> MarkdownIt:
    """The one parser, made at the first use."""
    from markdown_it import MarkdownIt  # first use, not import

    markdown = MarkdownIt("commonmark", {"html": False, "highlight": highlighted})
    markdown.enable(["table", "strikethrough"])
    markdown.add_render_rule("image", _image_as_link)
    formulas.add_to(markdown)
    return markdown


def _mended(text: str) -> str:
    """``text`` without halves of characters, which no HTML can hold."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _image_as_link(
    _renderer: RendererProtocol,
    parsed: Sequence[Token],
    index: int,
    _options: Any,  # noqa: ANN401 - markdown-it's own signature
    _env: Any,  # noqa: ANN401 - as above
) -> str:
    token = parsed[index]
    address = str(token.attrGet("src") or "")
    return f'<a href="{escape(address)}">{escape(token.content or address)}</a>'
