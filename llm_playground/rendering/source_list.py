"""The numbered sources of an answer, as safe HTML and as lines.

Titles, quotes and addresses are untrusted. A link goes to http or https only, shows the
host it leads to, and passes on no referrer; every other address is text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from itertools import islice
from urllib.parse import urlsplit

from llm_playground._validation import shorten
from llm_playground.parts import Source
from llm_playground.redaction import printable, redact

MAX_SHOWN = 200  # of one answer; all are in `run.sources`
_MAX_TITLE_CHARS, _MAX_QUOTE_CHARS, _MAX_URL_CHARS = 200, 500, 2_000
# Browsers read a backslash as a slash, and skip blanks and controls: the host would be another.
_UNSAFE = re.compile(r"[\\\"<>`\s\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
REL = "noopener noreferrer nofollow"


def to_html(sources: Sequence[Source], anchor: str) -> str:
    """The list under an answer; empty without sources. ``anchor`` begins the ids of its items.

    >>> print(to_html([Source("Moon", "https://example.com/moon")], "a"))
    <section class="llm-sources" aria-label="Sources"><p class="llm-sources-title">Sources</p><ol>
    <li id="a-1"><a href="https://example.com/moon" rel="noopener noreferrer nofollow">Moon</a>
    <span class="llm-host">example.com</span></li>
    </ol></section>
    """
    if not sources:
        return ""
    items = [
        f'<li id="{anchor}-{number}">{_item(source)}</li>\n'
        for number, source in enumerate(islice(sources, MAX_SHOWN), 1)
    ]
    more = _more(sources)
    rest = f'<p class="llm-note">{escape(more)}</p>' if more else ""
    return (
        '<section class="llm-sources" aria-label="Sources"><p class="llm-sources-title">Sources</p>'
        f"<ol>\n{''.join(items)}</ol>{rest}</section>"
    )


def to_lines(sources: Sequence[Source]) -> list[str]:
    """The sources as numbered lines; empty without sources.

    >>> to_lines([Source("Moon", "https://example.com/moon")])
    ['Sources:', '[1] Moon, https://example.com/moon']
    """
    lines = [
        f"[{number}] " + ", ".join(dict.fromkeys(filter(None, (title(one), address(one)))))
        for number, one in enumerate(islice(sources, MAX_SHOWN), 1)
    ]
    return ["Sources:", *lines, *filter(None, [_more(sources)])] if lines else []


def title(source: Source) -> str:
    """The title on one line, else the host, else the address as it is."""
    text = _line(source.title, _MAX_TITLE_CHARS)
    return text or host(source.url) or address(source) or "Source without a title"


def label(source: Source) -> str:
    """The title and the host, for the marker in the text."""
    return ", ".join(dict.fromkeys(filter(None, (title(source), host(source.url)))))


def address(source: Source) -> str:
    """The address as text, controls written visibly."""
    return _line(source.url, _MAX_URL_CHARS)


def quote(source: Source) -> str:
    """The cited text on one line."""
    return _line(source.quote, _MAX_QUOTE_CHARS)


def host(url: str | None) -> str:
    """The host that a safe link leads to, letters of other scripts in ASCII; empty for others.

    >>> host("https://user@www.example.com:8080/a"), host("javascript:alert(1)")
    ('www.example.com', '')
    """
    if safe_url(url) is None:
        return ""
    name = urlsplit(str(url)).hostname or ""
    try:
        return name.encode("idna").decode()
    except UnicodeError:
        return printable(name)


def safe_url(url: str | None) -> str | None:
    """The address, if a page may link to it: http or https, a host, no hidden characters.

    >>> safe_url("https://example.com/a b"), safe_url("file:///etc/passwd")
    (None, None)
    """
    if not isinstance(url, str) or len(url) > _MAX_URL_CHARS or _UNSAFE.search(url):
        return None
    try:
        parts = urlsplit(url)
        is_safe = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return None
    return redact(url) if is_safe else None


def link(url: str, text: str) -> str:
    """A link to a safe address."""
    return f'<a href="{escape(url)}" rel="{REL}">{escape(text)}</a>'


def _item(source: Source) -> str:
    url, text = safe_url(source.url), title(source)
    if url is not None:
        html = f'{link(url, text)}\n<span class="llm-host">{escape(host(source.url))}</span>'
    else:
        html, shown = f"<span>{escape(text)}</span>", address(source)
        if shown not in {"", text}:
            html += f'\n<span class="llm-host">{escape(shown)}</span>'
    cited = quote(source)
    return html + (f'<div class="llm-quote">{escape(cited)}</div>' if cited else "")


def _more(sources: Sequence[Source]) -> str:
    more = len(sources) - MAX_SHOWN
    return f"and {more:,} more" if more > 0 else ""


def _line(text: str | None, most: int) -> str:
    """Untrusted text on one line, without keys, its controls visible."""
    return shorten(printable(" ".join(redact(str(text or "")).split())), most)
