"""Parts of answers other than text, as safe HTML and as lines: pictures, tools, refusals, unknown.

The HTML has classes, which the panel's style sheet defines. :func:`with_styles` replaces them by
styles for pages that have no style sheet of this package, such as saved notebooks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from html import escape
from typing import Any

from llm_playground import formatting
from llm_playground._validation import shorten
from llm_playground.parts import (
    LEFT_OUT,
    PAUSED,
    REPEATS,
    AnswerPart,
    AudioPart,
    ImagePart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    ServerToolResult,
    TextPart,
    ToolCall,
)
from llm_playground.redaction import printable, redact
from llm_playground.rendering import media, source_list
from llm_playground.rendering.highlighting import highlight
from llm_playground.rendering.markdown import cleaned

_MAX_CHARS = 20_000  # of a result, of code, of JSON; the rest is in `run.parts`
_MAX_INDENTED_CHARS = 50_000
_MAX_LINE_CHARS = 160


@dataclass(frozen=True, slots=True)
class _Tool:
    """What a tool of a provider does, in words, and what of its arguments is shown.

    ``detail`` are the names of arguments for the line, ``code`` those of code.
    """

    names: re.Pattern[str]
    called: str
    returned: str
    detail: tuple[str, ...] = ()
    code: tuple[str, ...] = ()


# By the provider's name of the tool; the first match wins.
_TOOLS = (
    _Tool(
        re.compile(r"code|python|bash|execut", re.IGNORECASE),
        *("Ran code", "Output of the code"),
        code=("code", "command", "input"),
    ),
    _Tool(
        re.compile(r"fetch|url|open_page|browse", re.IGNORECASE),
        *("Read a page", "Text of the page"),
        detail=("url", "urls"),
    ),
    _Tool(
        re.compile(r"file_search|retrieval", re.IGNORECASE),
        *("Searched the files", "Found in the files"),
        detail=("query", "queries"),
    ),
    _Tool(
        re.compile(r"search", re.IGNORECASE),
        *("Searched the web", "Found on the web"),
        detail=("query", "queries", "q"),
    ),
)
_LANGUAGES = {"command": "bash"}  # of code in the argument with this name


def to_html(part: AnswerPart) -> str:
    r"""A part as safe HTML; empty for text, reasoning and tool calls, which are shown elsewhere.

    >>> to_html(RefusalPart("I <cannot>."))
    '<p class="llm-refusal">Refused: I &lt;cannot&gt;.</p>\n'
    """
    return next((show(part) for kind, show in _HTML if isinstance(part, kind)), "")


def to_line_html(part: AnswerPart) -> str:
    """A part as a line of safe HTML, without what :func:`to_html` shows or folds."""
    return _line_html(to_line(part))


def to_line(part: AnswerPart) -> str:
    """A part as a line of text; empty for text, reasoning and tool calls.

    >>> to_line(ServerToolCall("1", "web_search", '{"query": "tides"}'))
    'Searched the web: tides'
    """
    return next((line(part) for kind, line in _LINES if isinstance(part, kind)), "")


def is_shown(part: AnswerPart) -> bool:
    """Whether a part has a place of its own among the texts of the answer.

    >>> is_shown(OtherPart("video", "{}")), is_shown(TextPart("Hello."))
    (True, False)
    """
    return not isinstance(part, (TextPart, ReasoningPart, ToolCall))


def _image_html(part: ImagePart) -> str:
    shown = media.picture(part)
    if shown is None:
        url = source_list.safe_url(part.url)
        if url is None:
            return _line_html(_image_line(part))
        place = source_list.link(url, source_list.host(part.url))
        return f'<p class="llm-note">Picture at {place}, not loaded</p>\n'
    return (
        f'<figure class="llm-figure"><img class="llm-figure-image" src="{shown.url}" '
        f'alt="Picture, {shown.width} by {shown.height} pixels" width="{shown.width}" '
        f'height="{shown.height}"></figure>\n'
    )


def _image_line(part: ImagePart) -> str:
    if part.url is not None and part.data is None:
        is_data = part.url[:5].lower() == "data:"
        where = "in a data URL" if is_data else f"at {_short(part.url)}"
        return f"Picture {where}, not loaded"
    kind = _kind(part.media_type)
    if part.data is None:
        return f"Picture{kind}, not kept here"
    size = formatting.size(len(part.data))
    can = "" if media.picture(part) else "that cannot be shown safely"
    return " ".join(filter(None, (f"Picture{kind}, {size},", can))).rstrip(",")


def _audio_html(part: AudioPart) -> str:
    shown = media.recording(part)
    if shown is None:
        return _line_html(_audio_line(part))
    words = f'<figcaption class="llm-quote">{_text(part.transcript)}</figcaption>'
    return (
        f'<figure class="llm-figure"><audio class="llm-audio" controls preload="metadata" '
        f'src="{shown.url}"></audio>{words if part.transcript else ""}</figure>\n'
    )


def _audio_line(part: AudioPart) -> str:
    size = "not kept here" if part.data is None else formatting.size(len(part.data))
    words = f": {_short(part.transcript)}" if part.transcript else ""
    return f"Recording{_kind(part.media_type)}, {size}{words}"


def folded_text(part: AnswerPart) -> tuple[str, str]:
    """What a line of a part folds, and its language: code, a result, JSON; empty without any.

    >>> folded_text(ServerToolCall("1", "code_execution", '{"code": "1 + 1"}'))
    ('1 + 1', 'python')
    """
    match part:
        case ServerToolCall():
            return _call_text(part)
        case ServerToolResult():
            return (_cut(redact(part.text)), "") if part.text.strip() else ("", "")
        case OtherPart():
            return _indented(part.json), "json"
    return "", ""


def _call_text(part: ServerToolCall) -> tuple[str, str]:
    tool, arguments = _tool(part.name), _arguments(part.arguments_json)
    for name in () if tool is None else tool.code:
        if isinstance(code := arguments.get(name), str) and code.strip():
            language = str(arguments.get("language") or _LANGUAGES.get(name, "python"))
            return _cut(redact(code)), language
    if tool is not None and _values(arguments, tool.detail):
        return "", ""
    return (_indented(part.arguments_json), "json") if arguments else ("", "")


def _folded_html(part: AnswerPart) -> str:
    line, (text, language) = escape(to_line(part)), folded_text(part)
    if not text:
        return f'<p class="llm-note">{line}</p>\n'
    code = highlight(cleaned(text), language)
    return (
        f'<details class="llm-fold"><summary class="llm-summary">{line}</summary>'
        f'<pre class="llm-folded"><code>{code}</code></pre></details>\n'
    )


def _call_line(part: ServerToolCall) -> str:
    tool = _tool(part.name)
    if tool is None:
        return f"Used {_short(part.name) or 'a tool'}"
    values = _values(_arguments(part.arguments_json), tool.detail)
    return f"{tool.called}: {_short(' · '.join(values))}" if values else tool.called


def _result_line(part: ServerToolResult) -> str:
    tool = _tool(part.name)
    line = f"Result of {_short(part.name) or 'a tool'}" if tool is None else tool.returned
    what = "" if part.text.strip() else "nothing that can be read"
    failed = "failed" if part.is_error else ""
    return ": ".join(filter(None, (line, " · ".join(filter(None, (failed, what))))))


def _refusal_line(part: RefusalPart) -> str:
    return f"Refused: {printable(redact(part.text)).strip()}"


_KNOWN_OTHERS = {
    PAUSED: "The provider paused here",
    REPEATS: "Stopped here: the answer repeats itself",
    LEFT_OUT: "Further parts are left out: there are too many",
}


def _other_line(part: OtherPart) -> str:
    if part.kind in _KNOWN_OTHERS:
        return _KNOWN_OTHERS[part.kind]
    return f"A part that is not understood: {_short(part.kind) or 'without a name'}"


_Shown = tuple[type[Any], Callable[[Any], str]]
_HTML: tuple[_Shown, ...] = (
    (ImagePart, _image_html),
    (AudioPart, _audio_html),
    (ServerToolCall, _folded_html),
    (ServerToolResult, _folded_html),
    (RefusalPart, lambda part: f'<p class="llm-refusal">{escape(_refusal_line(part))}</p>\n'),
    (OtherPart, _folded_html),
)
_LINES: tuple[_Shown, ...] = (
    (ImagePart, _image_line),
    (AudioPart, _audio_line),
    (ServerToolCall, _call_line),
    (ServerToolResult, _result_line),
    (RefusalPart, _refusal_line),
    (OtherPart, _other_line),
)


def _tool(name: str) -> _Tool | None:
    return next((tool for tool in _TOOLS if tool.names.search(name)), None)


def _arguments(arguments_json: str) -> dict[str, Any]:
    try:
        value = json.loads(arguments_json or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _values(arguments: dict[str, Any], names: Iterable[str]) -> list[str]:
    """The texts in the first of these arguments that has any."""
    for name in names:
        value = arguments.get(name)
        values = [text for text in (value if isinstance(value, list) else [value]) if text]
        if values and all(isinstance(text, str) for text in values):
            return values
    return []


def _indented(text: str) -> str:
    """JSON as indented JSON, another text as it is."""
    text = redact(text)
    if len(text) <= _MAX_INDENTED_CHARS:
        with suppress(ValueError, RecursionError):
            text = json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    return _cut(text)


def _cut(text: str) -> str:
    more = len(text) - _MAX_CHARS
    return text if more <= 0 else f"{text[:_MAX_CHARS]}…\n[{more:,} more characters in run.parts]"


def _short(text: str) -> str:
    """Untrusted text on one short line, without keys, its controls visible."""
    return shorten(printable(redact(text)), _MAX_LINE_CHARS)


def _text(text: str) -> str:
    return escape(redact(text).replace("\0", "\ufffd"))


def _kind(media_type: str | None) -> str:
    return f" ({_short(media_type)})" if media_type else ""


def _line_html(line: str) -> str:
    return f'<p class="llm-note">{escape(line)}</p>\n'


_QUIET = "color:var(--jp-ui-font-color2,#616161)"
_EDGE = "1px solid var(--jp-border-color2,#e0e0e0)"
_WRAP = "white-space:pre-wrap;overflow-wrap:anywhere"
_STYLES = {
    "llm-note": f"{_QUIET};font-size:12px;margin:4px 0;overflow-wrap:anywhere",
    "llm-fold": f"margin:4px 0;border:{_EDGE};border-radius:4px",
    "llm-summary": f"{_QUIET};font-size:12px;padding:4px 8px;cursor:pointer;overflow-wrap:anywhere",
    "llm-folded": f"margin:0;padding:8px;border-top:{_EDGE};font-size:12px;max-height:320px;"
    f"overflow:auto;{_WRAP}",
    "llm-refusal": f"margin:4px 0;padding-left:8px;border-left:2px solid "
    f"var(--jp-error-color1,#b71c1c);{_WRAP}",
    "llm-figure": "margin:8px 0",
    "llm-figure-image": f"max-width:min(100%,512px);max-height:512px;width:auto;height:auto;"
    f"border:{_EDGE};border-radius:4px",
    "llm-audio": "max-width:100%",
    "llm-sources": f"margin:8px 0 0;padding-top:4px;border-top:{_EDGE};font-size:12px;"
    "overflow-wrap:anywhere",
    "llm-sources-title": f"{_QUIET};font-weight:600;margin:0",
    "llm-host": f"{_QUIET};padding-left:4px",
    "llm-quote": f"{_QUIET};overflow-wrap:anywhere",
    **{
        f"tok-{name}": f"color:var(--jp-mirror-editor-{name}-color)"
        for name in ("keyword", "string", "number", "operator", "builtin", "def", "comment")
    },
}
_CLASS = re.compile(r'class="((?:llm|tok)-[a-z-]+)"')


def with_styles(html: str) -> str:
    """HTML of this package with styles in place of classes.

    >>> with_styles('<p class="llm-figure">')
    '<p style="margin:8px 0">'
    """
    return _CLASS.sub(
        lambda match: f'style="{_STYLES[match[1]]}"' if match[1] in _STYLES else match[0], html
    )
