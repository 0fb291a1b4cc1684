"""Runs as Markdown, grouped by prompt, each answer in a fence that it cannot break out of.

Pictures are data URIs, so that an export is one file; beyond :data:`MAX_PICTURE_BYTES` they are
named. Marks such as ``[1]`` in an answer are the numbers of its sources.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from llm_playground import _validation, footer, image_formats
from llm_playground.exporting.conversations import Conversation, conversations
from llm_playground.exporting.formats import with_visible_controls
from llm_playground.exporting.records import Exported, by_id, parts_of
from llm_playground.exporting.rows import (
    Row,
    as_run,
    before_last,
    input_items,
    parameter_items,
    start_time,
)
from llm_playground.formatting import count
from llm_playground.parts import AnswerPart, ImagePart, Source, TextPart, ToolCall, part_of_json
from llm_playground.rendering import answers, citations, parts, source_list
from llm_playground.types import Run

MAX_PICTURE_BYTES = 4 << 20  # of one document
_TITLES = {"user": "Earlier prompt", "assistant": "Earlier answer", "tool": "Results of tools"}
_MARKDOWN_SIGNS = re.compile(r"[\\`*_\[\]<>#|~&$@!{}]")
_MAX_HEADING_CHARS = 80
_LANGUAGE = re.compile(r"[^\w+#-]")  # what the name of a language has not


def to_markdown(exported: Exported) -> str:
    """A section for each prompt: its texts, its parameters as a table, its answers."""
    shown = PictureStore(exported.pictures)
    results = by_id(exported.records, "results") if exported.rows else {}
    rows = [
        row | {"tool_calls": results.get(row["run_id"], {}).get("tool_calls")}
        for row in exported.rows
    ]
    pairs = zip(rows, conversations(exported), strict=True)
    sections = [
        _section([row for row, _ in group], sent, shown)
        for (*_, sent), group in groupby(pairs, lambda pair: (*_prompt(pair[0]), pair[1]))
    ]
    return "\n".join(sections) if sections else "No runs.\n"


@dataclass(slots=True)
class PictureStore:
    """The bytes of pictures by their SHA-256, of which a document holds a limited number."""

    by_sha256: Mapping[str, bytes]
    left_bytes: int = MAX_PICTURE_BYTES

    def markdown(self, sha256: str | None, name: str) -> str:
        """A picture as a data URI; empty without its bytes, or where no more fit."""
        data = self.by_sha256.get(sha256 or "", b"")
        kind = image_formats.media_type(data)  # by the bytes, not by the claim
        if kind is None or len(data) > self.left_bytes:
            return ""
        self.left_bytes -= len(data)
        encoded = base64.b64encode(data).decode()
        return f"![{escape_markdown(name)}](data:{kind};base64,{encoded})"


def _prompt(row: Row) -> tuple[Any, ...]:
    return row["system_prompt"], row["user_prompt"], row["parameters"], row["inputs"]


def _section(rows: Sequence[Row], sent: Conversation, pictures: PictureStore) -> str:
    first = rows[0]
    system, user, parameters, _ = _prompt(first)
    items, inputs = parameter_items(parameters), input_items(first)
    heading = escape_markdown(_validation.shorten(str(user or ""), _MAX_HEADING_CHARS))
    hashes = [one for one in first["attachments"] or () if isinstance(one, str)]
    beginning = [f"**System prompt**\n\n{fence(str(system))}"] if system else []
    if sent.continues is not None:
        beginning = [f"Continues the conversation of run {escape_markdown(sent.run_id)}."]
        new = {part.get("sha256") for message in sent.new for part in parts_of(message)}
        hashes = [one for one in hashes if one in new]
        user = user if any(message.get("role") == "user" for message in sent.new) else None
    shown = [
        picture
        for number, sha256 in enumerate(hashes, 1)
        if (picture := pictures.markdown(sha256, f"picture {number} of the prompt"))
    ]
    more = len(hashes) - len(shown)
    lines = [
        f"# {heading or 'A run without its prompt'}",
        *beginning,
        *map(_turn, before_last(sent.new)),
        *([f"**User prompt**\n\n{fence(str(user))}"] if user else []),
        *shown,
        *([f"{count(more, 'attachment')}, which the JSON export holds."] if more else []),
        markdown_table(("parameter", "value"), items) if items else "No parameter was set.",
        *([markdown_table(("input", "value"), inputs)] if inputs else []),
        *(_answer(row, pictures) for row in rows),
    ]
    return "\n\n".join(lines) + "\n"


def _turn(message: Mapping[str, Any]) -> str:
    """An earlier message of a conversation."""
    content = message.get("content")
    given = content if isinstance(content, list) else [{"type": "text", "text": str(content)}]
    parts = [one for one in given if isinstance(one, Mapping)]
    title = _TITLES.get(str(message.get("role")), str(message.get("role")))
    blocks = [f"**{escape_markdown(title)}**"]
    for kind, group in groupby(parts, lambda part: _TOOL_PARTS.get(str(part.get("type")))):
        if kind is not None:
            blocks += map(kind, group)
            continue
        read = map(part_of_json, group)
        pieces = (part.text if isinstance(part, TextPart) else part for part in read)
        blocks += items_markdown(answers.joined(pieces))
    return "\n\n".join(filter(None, blocks))


def _call(part: Mapping[str, Any]) -> str:
    """A call of a tool with its arguments, a JSON object or its text."""
    given = part.get("arguments")
    text = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
    return f"**Called {escape_markdown(part.get('name') or 'a tool')}**\n\n{fence(text, 'json')}"


def _result(part: Mapping[str, Any]) -> str:
    failed = ": failed" if part.get("type") == "tool_error" else ""
    name = escape_markdown(part.get("name") or "a tool")
    return f"**Result of {name}{failed}**\n\n{fence(str(part.get('text', '')))}"


_TOOL_PARTS = {"tool_call": _call, "tool_result": _result, "tool_error": _result}


def calls_markdown(run: Run) -> str:
    """The calls of tools that an answer makes; empty without any.

    >>> from llm_playground.exporting.rows import plain_row
    >>> calls_markdown(as_run(plain_row({"run_id": "r1"})))
    ''
    """
    calls = run.tool_calls or [part for part in run.parts if isinstance(part, ToolCall)]
    return "\n\n".join(_call({"name": one.name, "arguments": one.arguments_json}) for one in calls)


def _answer(row: Row, pictures: PictureStore) -> str:
    model = escape_markdown(row["model"] or "model unknown")
    origin = (start_time(row), row["username"], row["notebook"], f"run {row['run_id']}")
    run = as_run(row)
    lines = [
        f"## {model} · answer {row['iteration_number'] or 1}",
        *items_markdown(answers.items(run), run.sources, pictures),
        calls_markdown(run),
        sources_markdown(run.sources),
        "\n".join(f"- {escape_markdown(notice)}" for notice in footer.notices(run)),
        escape_markdown(footer.line(run)),
        " · ".join(escape_markdown(part) for part in origin if part),
    ]
    return "\n\n".join(line for line in lines if line)


def items_markdown(
    items: Iterable[str | AnswerPart],
    sources: Sequence[Source] = (),
    pictures: PictureStore | None = None,
) -> Iterator[str]:
    r"""The texts of an answer in fences, with marks of its sources; other parts as lines.

    >>> list(items_markdown(["It is far. Yes."], [Source("Moon", cited_at=(10,))]))
    ['```text\nIt is far.[1] Yes.\n```']
    """
    start = 0
    for item in items:
        if isinstance(item, str):
            yield fence(citations.marked(item, sources, start))
            start += len(item)
        elif isinstance(item, ImagePart) and pictures is not None:
            yield pictures.markdown(item.sha256, "picture of the answer") or _line(item)
        else:
            yield _line(item)


def _line(part: AnswerPart) -> str:
    """A part as a line, with what it folds in a fence."""
    text, language = parts.folded_text(part)
    line = escape_markdown(parts.to_line(part))
    return f"{line}\n\n{fence(text, _LANGUAGE.sub('', language))}" if text else line


def sources_markdown(sources: Sequence[Source]) -> str:
    """The sources of an answer as a numbered list, empty without any.

    >>> print(sources_markdown([Source("Moon", "https://example.com/moon", "It is far.")]))
    **Sources**
    <BLANKLINE>
    1. [Moon](<https://example.com/moon>): It is far.
    """
    lines = [
        f"{number}. {_source_markdown(source)}"
        for number, source in enumerate(sources[: source_list.MAX_SHOWN], 1)
    ]
    return "\n".join(["**Sources**", "", *lines]) if lines else ""


def _source_markdown(source: Source) -> str:
    url, title = source_list.safe_url(source.url), escape_markdown(source_list.title(source))
    if url is not None:
        address = url.replace("<", "%3C").replace(">", "%3E")
        title = f"[{title}](<{address}>)"
    elif source.url:
        title = f"{title}, {escape_markdown(source_list.address(source))}"
    quote = escape_markdown(source_list.quote(source))
    return f"{title}: {quote}" if quote else title


def fence(content: str, language: str = "text") -> str:
    """Text in a fence longer than any in it.

    >>> print(fence("```"))
    ````text
    ```
    ````
    """
    content = with_visible_controls(content)
    longest = max(map(len, re.findall("`+", content)), default=0)
    ticks = "`" * max(longest + 1, 3)
    return f"{ticks}{language or 'text'}\n{content.rstrip()}\n{ticks}"


def escape_markdown(content: object) -> str:
    r"""Text on one line in which Markdown has no effect.

    >>> print(escape_markdown("a <b> | *c*"))
    a \<b\> \| \*c\*
    """
    line = with_visible_controls(" ".join(str(content).split()))
    return _MARKDOWN_SIGNS.sub(r"\\\g<0>", line)


def markdown_table(head: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table of texts."""
    escaped = ([escape_markdown(cell) for cell in line] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *escaped))
