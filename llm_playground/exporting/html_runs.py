"""Prompts and answers in an exported HTML document: the messages of a prompt, a card per answer."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from llm_playground import footer, formatting
from llm_playground._validation import shorten
from llm_playground.exporting import rows
from llm_playground.exporting.conversations import Conversation
from llm_playground.exporting.records import KeptMedia, parts_of
from llm_playground.exporting.rows import Row
from llm_playground.parts import AudioPart, FilePart, ToolCall, part_of_json
from llm_playground.redaction import printable, redact
from llm_playground.rendering import answers, json_blocks, markdown, media, pages, parts
from llm_playground.runlog.definitions import tool_hashes
from llm_playground.types import Run

_TITLES = {
    "system": "System prompt",
    "user": "User",
    "assistant": "Assistant",
    "tool": "Tool",
}
_MAX_OPEN_CHARS = 4_000  # of a message or result; a longer one is folded
_MAX_SUMMARY_CHARS = 120
_MAX_PREVIEW_CHARS = 20_000  # of a file
_MAX_VALUE_CHARS = 500  # of a setting
_MISSING_PROMPT = "The text of the prompt is not stored (privacy, or a purge)."
_MISSING_ANSWER = "The text of the answer is not stored (privacy, or a purge)."
_ALERTS = {"failed", "blocked", "over_budget", "interrupted", "cancelled"}


@dataclass(frozen=True, slots=True)
class Entry:
    """A run in the document: its number, row and run, and what it sent and called.

    ``definitions`` are names and values for display, ``tool_calls`` JSON objects of the log.
    """

    number: int
    row: Row
    run: Run
    sent: Conversation
    definitions: Sequence[tuple[str, str]] = ()
    tool_calls: Sequence[Mapping[str, Any]] = ()

    @property
    def prompt_key(self) -> tuple[object, ...]:
        """What runs that share a section have in common."""
        known = list(self.sent.messages) or self.row["prompt_id"]
        return known, list(self.row["attachments"] or ()), list(self.definitions)


def definition_items(
    prompt: Row | None, definitions: Mapping[str, Row]
) -> tuple[tuple[str, str], ...]:
    """The names of a prompt's tools and schema, for display."""
    if prompt is None:
        return ()
    hashes = tool_hashes(prompt)
    names = [str(definitions[one]["name"]) for one in hashes if one in definitions]
    schema = definitions.get(prompt["schema_hash"] or "")
    items = [("Tools", ", ".join(names))] if names else []
    return (*items, *([("Schema", str(schema["name"]))] if schema else []))


def section(title: str, entries: Sequence[Entry], kept: KeptMedia) -> Iterator[str]:
    """The section of runs that share their messages."""
    first = entries[0]
    yield f'<section class="prompt">\n<h2>{title}</h2>\n'
    yield _conversation(first, kept)
    yield _items(first.definitions)
    yield '<div class="runs">\n'
    for entry in entries:
        yield _card(entry, kept)
    yield "</div>\n</section>\n"


def beginning(entry: Entry, max_chars: int) -> str:
    """The first words of the last prompt of a user; empty without any."""
    texts = [
        str(part.get("text", ""))
        for message in entry.sent.messages
        if message.get("role") == "user"
        for part in parts_of(message)
        if part.get("type") == "text"
    ]
    return shorten(" ".join(texts[-1].split()), max_chars) if texts else ""


def escaped(text: str) -> str:
    r"""A text as HTML, its control characters visible.

    >>> escaped("<b>\x00\u202e")
    '&lt;b&gt;␀\\u202e'
    """
    return escape(printable(redact(text)))


def text_line(text: str) -> str:
    """A text on one line as HTML, without an effect on the direction of what is around it."""
    return f"<bdi>{escaped(' '.join(text.split()))}</bdi>"


def _conversation(entry: Entry, kept: KeptMedia) -> str:
    """The messages of a prompt; those between the system prompt and the last prompt are folded.

    Of a run that continues another one, these are the new ones, below a link to that run.
    """
    messages = list(entry.sent.new)
    if (number := entry.sent.continues) is not None:
        link = f'<a href="#run-{number}">run {number}</a>'
        new = "".join(_message(one, kept) for one in messages)
        note = f'<p class="llm-note">Continues the conversation of {link}.</p>\n'
        return f'{note}<div class="messages">\n{new}</div>\n'
    if not messages:
        return f'<p class="llm-note">{_MISSING_PROMPT}</p>\n'
    asked = [at for at, one in enumerate(messages) if one.get("role") == "user"]
    begin = 1 if messages[0].get("role") == "system" else 0
    last = asked[-1] if asked else begin
    earlier = "".join(_message(one, kept) for one in messages[begin:last])
    shown = [_message(one, kept) for one in messages[:begin]]
    if earlier:
        title = formatting.count(last - begin, "earlier message")
        shown.append(_fold(title, earlier))
    shown += [_message(one, kept) for one in messages[last:]]
    return f'<div class="messages">\n{"".join(shown)}</div>\n'


def _message(message: Mapping[str, Any], kept: KeptMedia) -> str:
    role = str(message.get("role"))
    body = "".join(_part(part, kept) for part in parts_of(message))
    title = _TITLES.get(role) or escaped(role)
    return f'<div class="message">\n<h3 class="role">{title}</h3>\n{body}</div>\n'


def _part(part: Mapping[str, Any], kept: KeptMedia) -> str:
    show = _PARTS.get(str(part.get("type")))
    if show is not None:
        return show(part, kept)
    return parts.to_html(kept.with_bytes(part_of_json(part)))


def _text(text: str) -> str:
    """A text with its line breaks."""
    return f'<div class="text" dir="auto">{escaped(text)}</div>\n'


def _prose(text: str) -> str:
    """A text; a long one is folded."""
    if len(text) <= _MAX_OPEN_CHARS:
        return _text(text)
    start = shorten(" ".join(text[: 4 * _MAX_SUMMARY_CHARS].split()), _MAX_SUMMARY_CHARS)
    return _fold(f"{len(text):,} characters: {start}", _text(text))


def _call(part: Mapping[str, Any], _kept: KeptMedia) -> str:
    """A call of a tool with its arguments, a JSON object or its text."""
    given = part.get("arguments")
    text = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    code = json_blocks.to_html(json_blocks.indented(markdown.cleaned(redact(text))))
    name = str(part.get("name") or "a tool")
    html = f'<pre class="llm-folded"><code>{code}</code></pre>'
    return _fold(f"Called {name}", html, is_open=True)


def _result(part: Mapping[str, Any], _kept: KeptMedia) -> str:
    failed = ": failed" if part.get("type") == "tool_error" else ""
    text, name = str(part.get("text", "")), str(part.get("name") or "a tool")
    is_open = len(text) <= _MAX_OPEN_CHARS
    return _fold(f"Result of {name}{failed}", _text(text), is_open=is_open)


def _file(part: Mapping[str, Any], kept: KeptMedia) -> str:
    """A file to download, never to open, with a preview of text; a recording to play."""
    media_type, name, url, sha256 = (
        None if part.get(key) is None else str(part[key])
        for key in ("media_type", "name", "url", "sha256")
    )
    file = kept.with_bytes(FilePart(media_type, name, url=url, stored_sha256=sha256))
    name = file.name or "File"
    kind = f" ({file.media_type})" if file.media_type else ""
    if file.data is None:
        where = f", at {file.url}" if file.url else ", not kept here"
        return f'<p class="llm-note">{text_line(f"{name}{kind}{where}")}</p>\n'
    recording = AudioPart(file.media_type, file.data)
    if media.recording(recording) is not None:
        return parts.to_html(recording)
    encoded = base64.b64encode(file.data).decode()
    line = text_line(f"{name}{kind}, {formatting.size(len(file.data))}")
    link = (
        f'<p class="llm-note"><a download="{escape(printable(name))}" '
        f'href="data:application/octet-stream;base64,{encoded}">{line}</a></p>\n'
    )
    preview = redact(file.text or "")[:_MAX_PREVIEW_CHARS]
    return link + (_fold("Its text", _text(preview)) if preview else "")


_PARTS: dict[str, Callable[[Mapping[str, Any], KeptMedia], str]] = {
    "text": lambda part, _kept: _prose(str(part.get("text", ""))),
    "reasoning": lambda part, _kept: _reasoning(str(part.get("text", ""))),
    "tool_call": _call,
    "tool_result": _result,
    "tool_error": _result,
    "file": _file,
}


def _reasoning(text: str) -> str:
    return _fold("Reasoning", _text(text)) if text.strip() else ""


def _card(entry: Entry, kept: KeptMedia) -> str:
    """One run: its model, reasoning and answer, notices, figures and settings."""
    row, run, anchor = entry.row, entry.run, f"run-{entry.number}"
    ended, *_ = rows.figures(row, run)
    tone = "red" if run.status in _ALERTS else "amber" if ended == "cut off" else ""
    state = f'<p class="state" data-tone="{tone}">{escaped(ended)}</p>' if tone else ""
    settings = " · ".join(f"{name} {value}" for name, value in _parameters(row))
    when = " · ".join(filter(None, (rows.start_time(row), settings)))
    return (
        f'<article class="run" id="{anchor}" aria-labelledby="{anchor}-model">\n'
        f'<header><h3 id="{anchor}-model"><span class="number">{entry.number}</span> '
        f"{text_line(run.model or 'model unknown')}</h3>{state}</header>\n"
        f"{_reasoning(row['reasoning_text'] or '')}{_answer(entry, kept)}"
        + "".join(f'<p class="notice">{text_line(one)}</p>\n' for one in footer.notices(run))
        + f'<footer><p class="figures">{text_line(footer.line(run))}</p>\n'
        f"<p>{text_line(when)}</p>\n{_fold('Details', _items(_details(entry)))}</footer>\n"
        "</article>\n"
    )


def _answer(entry: Entry, kept: KeptMedia) -> str:
    row, run = entry.row, entry.run
    calls = entry.tool_calls or [
        {"name": one.name, "arguments": one.arguments_json}
        for one in run.parts
        if isinstance(one, ToolCall)
    ]
    called = "".join(_call(one, kept) for one in calls if isinstance(one, Mapping))
    items = list(map(kept.with_bytes, answers.items(run)))
    blocks = answers.blocks(items, run.sources, f"run-{entry.number}-source", pages.DOCUMENT)
    shown = f'<div class="answer" dir="auto">\n{answers.html(blocks)}</div>\n' if blocks else ""
    if not shown and not called and row["response_text"] is None and run.status == "completed":
        shown = f'<p class="llm-note">{_MISSING_ANSWER}</p>\n'
    return shown + called


def _parameters(row: Row) -> list[tuple[str, str]]:
    items = rows.parameter_items(row["parameters"])
    return [(name, shorten(value, _MAX_VALUE_CHARS)) for name, value in items]


def _details(entry: Entry) -> Iterator[tuple[str, str]]:
    """Names and values of what the log knows of a run."""
    row = entry.row
    yield "Model that answered", row["response_model"] or ""
    yield from (
        (name, formatting.duration(row[column]))
        for name, column in (
            ("Time", "response_time_ms"),
            ("First text", "ttft_ms"),
            ("Waited in the queue", "queue_ms"),
        )
        if row[column] is not None
    )
    yield from (
        (name, f"{row[column]:,}")
        for name, column in (
            ("Tokens in", "input_tokens"),
            ("Read from the cache", "cache_read_tokens"),
            ("Written to the cache", "cache_write_tokens"),
            ("Tokens out", "output_tokens"),
            ("Of these, reasoning", "reasoning_tokens"),
        )
        if row[column] is not None
    )
    yield "Cost", "" if row["cost_usd"] is None else f"${row['cost_usd'].normalize():f}"
    attempts = row["attempts"] if isinstance(row["attempts"], list) else []
    yield "Attempts", str(len(attempts) or "")
    yield from rows.input_items(row)
    yield "Rating", "" if row["rating"] is None else f"{row['rating']:g}"
    yield "Tags", ", ".join(map(str, row["tags"])) if isinstance(row["tags"], list) else ""
    yield from (
        (name, str(row[column] or ""))
        for name, column in (("User", "username"), ("Notebook", "notebook"), ("Run", "run_id"))
    )


def _items(items: Iterable[tuple[str, str]]) -> str:
    """Names and values as a list; those without a value are left out."""
    shown = "".join(
        f"<div><dt>{text_line(name)}</dt><dd>{text_line(shorten(value, _MAX_VALUE_CHARS))}</dd>"
        "</div>\n"
        for name, value in items
        if value
    )
    return f'<dl class="items">\n{shown}</dl>\n' if shown else ""


def _fold(title: str, html: str, *, is_open: bool = False) -> str:
    """Safe HTML below a line that folds it."""
    return (
        f'<details class="llm-fold"{" open" if is_open else ""}>'
        f'<summary class="llm-summary">{text_line(title)}</summary>\n{html}</details>\n'
    )
