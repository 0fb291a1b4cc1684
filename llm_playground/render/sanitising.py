"""From tokens to HTML in which only what is named here is left.

A formula is not cleaned with the rest: it is rebuilt by rules of its own (``mathml``), and stands
in the HTML as a mark until the cleaning is done. The mark is drawn anew each time, so no answer
can hold one.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from llm_playground.render import markdown
from llm_playground.render.highlighting import KINDS

if TYPE_CHECKING:
    from markdown_it.token import Token
    from nh3 import Cleaner

TAGS = frozenset(
    {
        *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "code"),
        *("ul", "ol", "li", "strong", "em", "s", "a", "span"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
)
ATTRIBUTES = {"a": {"href", "title"}, "ol": {"start"}, "code": {"class"}, "span": {"class"}}
SCHEMES = frozenset({"http", "https", "mailto"})
_CLASSES = frozenset(f"tok-{kind}" for kind in KINDS)
_LANGUAGE = re.compile(r"language-[\w.+#-]{1,40}")


def sanitised(parsed: Sequence[Token]) -> str:
    """Safe HTML of tokens, whatever text they come from."""
    found: list[str] = []
    mark = secrets.token_hex(16)
    html = markdown.parser().renderer.render(
        parsed, markdown.parser().options, {"mark": mark, "formulas": found}
    )
    cleaned = _cleaner().clean(html)
    return re.sub(rf"{mark}:(\d+);", lambda at: found[int(at[1])], cleaned) if found else cleaned


@lru_cache(maxsize=1)
def _cleaner() -> Cleaner:
    from nh3 import Cleaner  # first use, not import

    return Cleaner(
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        url_relative="deny",
        link_rel="noopener noreferrer nofollow",
        attribute_filter=_kept,
    )


def _kept(tag: str, attribute: str, value: str) -> str | None:
    """A class only where it names a code block's language or a kind of token."""
    if attribute != "class":
        return value
    if tag == "span":
        return value if value in _CLASSES else None
    return value if _LANGUAGE.fullmatch(value) else None
