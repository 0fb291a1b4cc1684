"""Rules for the text of a paragraph beside CommonMark's: emphasis, web addresses, HTML tags.

This module loads markdown-it; ``rendering.markdown`` imports it on first use.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from html import unescape
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markdown_it.common.utils import isMdAsciiPunct, isPunctChar, isWhiteSpace
from markdown_it.rules_inline.state_inline import Scanned, StateInline

if TYPE_CHECKING:
    from markdown_it.rules_core import StateCore
    from markdown_it.token import Token

_MAX_PARAGRAPH_CHARS = 20_000  # the search for the ends of links is quadratic; longer is plain text


class Parser(MarkdownIt):
    """A parser that shows addresses as they are written: another script's letters look alike."""

    def normalizeLinkText(self, link: str) -> str:  # noqa: N802 - markdown-it's name
        return link


def use(markdown: MarkdownIt) -> None:
    """Add the rules of this module to a parser."""
    markdown.core.ruler.at("inline", _inline)
    markdown.inline.ruler.before("newline", "address", _address)
    markdown.inline.ruler.before("newline", "mail_address", _mail_address)
    markdown.inline.ruler.before("html_inline", "tag", _tag)
    markdown.inline.ruler2.before("fragments_join", "tag_pairs", _pair_tags)
    plain = markdown.inline.terminator_re.pattern
    markdown.inline.terminator_re = re.compile(rf"{plain}|{_WWW.pattern}")


def _inline(state: StateCore) -> None:
    from markdown_it.token import Token

    inline = state.md.inline
    for token in state.tokens:
        if token.type != "inline":
            continue
        token.children = []
        if len(token.content) > _MAX_PARAGRAPH_CHARS:
            token.children.append(Token("text", "", 0, content=token.content))
            continue
        inside = SpacelessState(token.content, state.md, state.env, token.children)
        inline.tokenize(inside)
        for rule in inline.ruler2.getRules(""):
            rule(inside)


# Emphasis

_NO_VARIATION, _LAST_TEXT_VARIATION = "\ufe00", "\ufe0e"
_WIDE_QUOTES = ("\u2018\ufe01", "\u2019\ufe01", "\u201c\ufe01", "\u201d\ufe01")
# Emoji are wide, but no letters. The symbols beside them in these blocks are rare in texts.
_EMOJI = re.compile("[\u2300-\u2328\u232b-\u2bff\U0001f000-\U0001faff]")
# Letters that are written without spaces between words but are not wide: Hangul's parts, Thai, Lao,
# Tibetan, Burmese and Khmer.
_NARROW = re.compile("[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\ud7b0-\ud7ff\U000e0100-\U000e01ef]")


def is_spaceless(char: str) -> bool:
    """Whether a character belongs to a script that is written without spaces between words.

    >>> [is_spaceless(char) for char in "次。あ한ก"]
    [True, True, True, True, True]
    >>> [is_spaceless(char) for char in "a.)”✅"]
    [False, False, False, False, False]
    """
    if char.isascii():
        return False
    wide = unicodedata.east_asian_width(char) in "WFH" and not _EMOJI.match(char)
    return wide or _NARROW.match(char) is not None


class SpacelessState(StateInline):
    """The text of a paragraph, in which emphasis begins and ends beside any punctuation.

    CommonMark requires a space between ``**重要。**`` and the next letter, which Chinese, Japanese
    and some other scripts do not have. These are the amended rules of
    https://github.com/tats-u/markdown-cjk-friendly/blob/main/specification.md, for further scripts
    without spaces too.
    """

    def scanDelims(self, start: int, canSplitWord: bool) -> Scanned:  # noqa: N802, N803 - markdown-it's
        text, end = self.src, start
        while end < self.posMax and text[end] == text[start]:
            end += 1
        before, is_spaceless_before = self._before(start)
        after = text[end] if end < self.posMax else " "
        is_spaceless_after = is_spaceless(after)
        other_before = _is_punctuation(before) and not is_spaceless_before
        other_after = _is_punctuation(after) and not is_spaceless_after
        space_before, space_after = isWhiteSpace(ord(before)), isWhiteSpace(ord(after))
        opens = not space_after and (
            not other_after or space_before or other_before or is_spaceless_before
        )
        closes = not space_before and (
            not other_before or space_after or other_after or is_spaceless_after
        )
        can_open = opens and (canSplitWord or not closes or _is_punctuation(before))
        can_close = closes and (canSplitWord or not opens or _is_punctuation(after))
        return Scanned(can_open, can_close, end - start)

    def _before(self, start: int) -> tuple[str, bool]:
        """The character before a place, without its variation, and whether it is spaceless."""
        if start == 0:
            return " ", False
        char = self.src[start - 1]
        if start > 1 and _NO_VARIATION <= char <= _LAST_TEXT_VARIATION:
            base = self.src[start - 2]
            return base, is_spaceless(base) or base + char in _WIDE_QUOTES
        return char, is_spaceless(char)


def _is_punctuation(char: str) -> bool:
    return isMdAsciiPunct(ord(char)) or isPunctChar(char)


# Web and mail addresses

_WWW = re.compile(r"(?<![\w@.:/-])[wW]{3}\.(?=\w)")
_SCHEME = re.compile(r"(?<![A-Za-z0-9+.-])https?\Z", re.IGNORECASE)
# A name before "@" would pass for the host.
_HOST = re.compile(
    r"(?>[\w-]+(?:\.[\w-]+)*|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?(?![\w@]|:[^\s@]{0,200}@)"
)
_MAX_ADDRESS_CHARS = 2_000
# What no address has: blanks, quotes, controls, and punctuation of texts in other scripts.
_NOT_IN_ADDRESSES = re.compile(
    r"[\s<>\"`|\\^\x00-\x20\x7f-\x9f\u2014\u2018-\u201f\u2026\u3001-\u303f\uff01-\uff0f\uff1a-\uff20"
    r"\uff3b-\uff40\uff5b-\uff65\u060c\u061b\u061f\u06d4\u0964\u0965\u2e28\u2e29\u200b-\u200f"
    r"\u202a-\u202e\u2060-\u206f\ufeff]|\*\*|~~"
)
_AFTER_ADDRESSES = "?!.,:;'*_~&"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_LOCAL_PART = re.compile(r"(?<![\w/:.+@-])[A-Za-z0-9][\w.+-]{0,63}\Z", re.ASCII)
_DOMAIN = re.compile(
    r"[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}(?![\w@:/-])", re.ASCII
)


def address_end(text: str, host: int, most: int) -> int:
    """Where an address ends whose host begins at ``host``; ``host`` if there is no host.

    Punctuation that belongs to the sentence is not part of it, nor is a closing bracket that the
    address has not opened, nor a letter of a script without spaces directly after a Latin one.

    >>> text = "(https://example.com/a_(b)), or"
    >>> text[: address_end(text, 9, len(text))]
    '(https://example.com/a_(b)'
    """
    most = min(most, host + _MAX_ADDRESS_CHARS)
    found = _HOST.match(text, host, most)
    if found is None:
        return host
    end = _before_spaceless(text, host, found.end())
    if end < found.end():
        return end
    if end < most and text[end] in "/?#":
        stop = _NOT_IN_ADDRESSES.search(text, end, most)
        end = _before_spaceless(text, end, stop.start() if stop else most)
        end = _balanced(text, host, end)
    if end == host + _MAX_ADDRESS_CHARS:  # it may be longer
        return host
    while end > host and text[end - 1] in _AFTER_ADDRESSES:
        end -= 1
    return end


def _before_spaceless(text: str, start: int, end: int) -> int:
    """The first place where a letter of a script without spaces follows a Latin one."""
    for at in range(start + 1, end):
        if is_spaceless(text[at]) and text[at - 1].isascii() and text[at - 1].isalnum():
            return at
    return end


def _balanced(text: str, start: int, end: int) -> int:
    opened: list[str] = []
    for at in range(start, end):
        if text[at] in _PAIRS:
            if not opened or opened.pop() != _PAIRS[text[at]]:
                return at
        elif text[at] in "([{":
            opened.append(text[at])
    return end


def _address(state: StateInline, silent: bool) -> bool:
    """A web address as it stands in a text: ``https://example.com`` or ``www.example.com``."""
    text, at = state.src, state.pos
    if text.startswith("://", at):
        scheme = _SCHEME.search(text, max(at - 6, 0), at)
        begin, host, written = (scheme.start() if scheme else at), at + 3, ""
    elif text[at] in "wW" and _WWW.match(text, at):
        begin, host, written = at, at, "https://"
    else:
        return False
    end = address_end(text, host, state.posMax)
    in_tag = text[max(begin - 2, 0) : begin] in {'="', "='"}  # HTML that is shown as text
    if state.linkLevel > 0 or in_tag or end == host or (begin == at and not written):
        return False
    return _add_link(state, begin, end, written, silent=silent)


def _mail_address(state: StateInline, silent: bool) -> bool:
    text, at = state.src, state.pos
    if text[at] != "@" or state.linkLevel > 0:
        return False
    local, domain = _LOCAL_PART.search(text, max(at - 65, 0), at), _DOMAIN.match(text, at + 1)
    if local is None or domain is None or domain.end() > state.posMax:
        return False
    return _add_link(state, local.start(), domain.end(), "mailto:", silent=silent)


def _add_link(state: StateInline, begin: int, end: int, scheme: str, *, silent: bool) -> bool:
    """A link to ``scheme`` and the text, whose first characters may be read already."""
    shown = state.src[begin:end]
    href = state.md.normalizeLink(scheme + shown.replace("&amp;", "&"))
    read = state.src[begin : state.pos]
    if not state.md.validateLink(href) or not (silent or state.pending.endswith(read)):
        return False
    if not silent:
        state.pending = state.pending[: len(state.pending) - len(read)]
        token = state.push("link_open", "a", 1)
        token.attrs, token.markup, token.info = {"href": href}, "linkify", "auto"
        state.push("text", "", 0).content = shown.replace("&amp;", "&")
        token = state.push("link_close", "a", -1)
        token.markup, token.info = "linkify", "auto"
    state.pos = end
    return True


# HTML tags

# The tags that have an effect, without attributes and in pairs; all other HTML is shown as text.
_TAGS = {
    **{name: name for name in ("u", "s", "sub", "sup", "kbd", "mark", "small", "strong", "em")},
    "b": "strong",
    "i": "em",
    "var": "em",
    "cite": "em",
    "dfn": "em",
    "ins": "u",
    "del": "s",
    "strike": "s",
}
_PAIRED = re.compile(rf"<(/?)({'|'.join(_TAGS)})[ \t]*>", re.IGNORECASE)
_BREAK = re.compile(r"</?br[ \t]*/?>(?:[ \t]*\n)?[ \t]*", re.IGNORECASE)
_CODE = re.compile(r"<(code|samp|tt)>([^\n]{1,500}?)</\1>", re.IGNORECASE)
_MAX_OPEN_TAGS = 20


def _tag(state: StateInline, silent: bool) -> bool:
    """A line break, code, or a tag that :func:`_pair_tags` may find to be one of a pair."""
    text, at = state.src, state.pos
    if text[at] != "<":
        return False
    if found := _BREAK.match(text, at, state.posMax):
        token = None if silent else state.push("hardbreak", "br", 0)
    elif found := _CODE.match(text, at, state.posMax):
        token = None if silent else state.push("code_inline", "code", 0)
        if token is not None:
            token.content = unescape(found[2])
    elif found := _PAIRED.match(text, at, state.posMax):
        token = None if silent else state.push("tag", "", 0)
        if token is not None:
            token.content, token.markup = found[0], found[1]
            token.tag = _TAGS[found[2].lower()]
    else:
        return False
    state.pos = found.end()
    return True


def _pair_tags(state: StateInline) -> None:
    """Tags that open and close in the same text have an effect; the others are text."""
    opened: list[Token] = []
    for token in state.tokens:
        if token.type != "tag":
            continue
        if not token.markup:
            opened.append(token)
            if len(opened) > _MAX_OPEN_TAGS:
                _as_text([opened.pop(0)])
            continue
        at = _last(opened, token)
        if at is None:
            _as_text([token])
            continue
        _as_text(opened[at + 1 :])
        opened[at].type, opened[at].nesting, opened[at].content = "tag_pair", 1, ""
        token.type, token.nesting, token.content = "tag_pair", -1, ""
        del opened[at:]
    _as_text(opened)


def _last(opened: Sequence[Token], closing: Token) -> int | None:
    for at in reversed(range(len(opened))):
        if (opened[at].tag, opened[at].level) == (closing.tag, closing.level):
            return at
    return None


def _as_text(tokens: Sequence[Token]) -> None:
    for token in tokens:
        token.type, token.tag, token.markup = "text", "", ""
