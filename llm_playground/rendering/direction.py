"""Right-to-left blocks of an answer: Arabic, Hebrew, Persian and other scripts.

Each paragraph, heading and cell of such a block has ``dir="auto"``, by which a browser reads its
direction from its first letter. Lists, their items, quotations and tables have the direction of
their own first letter, as ``auto`` ignores what has a direction itself. Code and formulas are
left-to-right. A block without a right-to-left letter has no attribute.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it.token import Token

_RIGHT_TO_LEFT = re.compile(
    "[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]"
)
_DIRECTIONS = {"L": "ltr", "R": "rtl", "AL": "rtl"}
_LEAVES = frozenset({"paragraph_open", "heading_open", "th_open", "td_open"})
_CONTAINERS = frozenset(
    {"bullet_list_open", "ordered_list_open", "list_item_open", "blockquote_open", "table_open"}
)
_ALWAYS_LEFT_TO_RIGHT = re.compile("<(pre|code|math)(?=[ >])")


def of(text: str) -> str:
    """``rtl`` or ``ltr`` by the first letter of a text, empty without one.

    >>> of("1. שלום world"), of("Hello"), of("12")
    ('rtl', 'ltr', '')
    """
    found = (_DIRECTIONS.get(unicodedata.bidirectional(char)) for char in text)
    return next(filter(None, found), "")


def mark(block: Sequence[Token]) -> bool:
    """Set the directions of a top-level block's tokens; whether it has any."""
    if not any(token.type == "inline" and _RIGHT_TO_LEFT.search(token.content) for token in block):
        return False
    opened: list[Token] = []
    for token in block:
        if token.type in _LEAVES:
            token.attrSet("dir", "auto")
        elif token.type in _CONTAINERS:
            opened.append(token)
        elif token.type == "inline":
            texts = (child.content for child in token.children or () if child.type == "text")
            direction = of("".join(texts))
            for container in opened if direction else ():
                container.attrSet("dir", direction)
            opened = [] if direction else opened
        elif token.nesting < 0 and token.type.replace("_close", "_open") in _CONTAINERS:
            opened = [one for one in opened if one.level != token.level]
    return True


def keep_code(html: str) -> str:
    """The sanitised HTML of a marked block in which code and formulas are left-to-right."""
    return _ALWAYS_LEFT_TO_RIGHT.sub(r'<\1 dir="ltr"', html)
