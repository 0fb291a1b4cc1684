r"""A playground as a notebook saves it: readable without a kernel, small, importable again.

The HTML has no scripts, style sheets or addresses to load from. It consists of headings, tables and
``pre``, because GitHub and an untrusted JupyterLab strip most other tags; without own colours it
suits light and dark themes.

Formulas are kept as written (``rendering.pages``).
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate
from types import MappingProxyType
from typing import Any

from llm_playground import footer
from llm_playground._validation import shorten
from llm_playground.exporting import formats, markdown, rows
from llm_playground.exporting.formats import MIME_TYPE
from llm_playground.exporting.records import KeptMedia
from llm_playground.exporting.rows import Row, plain_row
from llm_playground.inputs import inputs_from_json
from llm_playground.parts import AnswerPart, Source
from llm_playground.redaction import printable
from llm_playground.rendering import answers, pages
from llm_playground.runlog.rows import clean_text
from llm_playground.types import Run

MAX_BYTES = 256 << 10
MAX_MEDIA_BYTES = 4 << 20
NOTE = "Saved answers. Run this cell to go on."
EMPTY_NOTE = "No answers yet. Run this cell to ask."
_MAX_LINE_CHARS = 300  # of a name or a setting


def mime_bundle(
    name: str | None,
    form: Mapping[str, Any],
    runs: Sequence[Run | Row],
    *,
    max_bytes: int = MAX_BYTES,
    media: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, Any]:
    """A playground and its answers as a MIME bundle that needs neither kernel nor script.

    The log is not read. Rows of :func:`llm_playground.exporting.rows.plain_rows` hold more than
    bare runs, such as the user, and are kept for importing.

    Args:
        name: The name of the playground, which is the heading.
        form: ``prompt``, ``system``, ``models``, ``parameters``, ``preset``, ``iterations``; each
            may be missing.
        runs: The answers, in order.
        max_bytes: The maximum size of the runs in the notebook. Longer texts are truncated, which
            they say; if that is not enough, the last runs are left out.
        media: The bytes of pictures and recordings of the answers by their SHA-256; at most
            :data:`MAX_MEDIA_BYTES` of them are kept in the HTML.

    Returns:
        ``text/html`` (plain tags, answers sanitised) and ``text/markdown`` with the same content,
        ``text/plain`` without the answers' texts, and the runs under :data:`MIME_TYPE` as
        ``lp.import_runs`` takes them. None of them contains a key.

    Raises:
        InvalidParameterError: A run has a value that does not fit its column.

    >>> mime_bundle("greetings", {"prompt": "Say hello."}, [])["text/plain"].splitlines()[0]
    'greetings'
    """
    plain = [_with_prompt(plain_row(run), form) for run in runs]
    kept = _fit_rows(plain, max_bytes)
    kept_media = KeptMedia(media, MAX_MEDIA_BYTES)
    page = NotebookPage.of(
        name, _fit_form(form, max_bytes), kept, len(plain) - len(kept), kept_media
    )
    return {
        "text/plain": printable(_page_text(page)),
        "text/markdown": _page_markdown(page),
        "text/html": _page_html(page),
        MIME_TYPE: formats.json_document(kept),
    }


def _with_prompt(row: Row, form: Mapping[str, Any]) -> Row:
    """The row with the form's prompt, if it has none: bare runs do not hold their prompt."""
    if row["user_prompt"] is not None or row["system_prompt"] is not None:
        return row
    prompts = {"user_prompt": form.get("prompt"), "system_prompt": form.get("system") or None}
    return plain_row({**row, **prompts})


@dataclass(frozen=True, slots=True)
class NotebookPage:
    """One playground with its answers; the texts contain no keys and are not escaped."""

    HEAD = ("answer", "model", "ended", "cost", "time", "tokens")

    name: str
    note: str
    prompts: tuple[tuple[str, str], ...]  # titles and texts
    settings: tuple[tuple[str, str], ...]  # names and values
    comparison: tuple[tuple[str, ...], ...]  # of several answers, a row for each, under `HEAD`
    answers: tuple[Answer, ...]

    @classmethod
    def of(
        cls,
        name: str | None,
        form: Mapping[str, Any],
        kept: Sequence[Row],
        left_out: int,
        media: KeptMedia,
    ) -> NotebookPage:
        """The page of a playground with the answers that fit; ``left_out`` others did not.

        ``media`` has the bytes of pictures and recordings.
        """
        note = NOTE if kept or left_out else EMPTY_NOTE
        if left_out:
            more = f"{left_out:,} more answers are" if left_out > 1 else "1 more answer is"
            note = f"{note} {more} not kept in the notebook."
        prompts = (("System prompt", form.get("system")), ("User prompt", form.get("prompt")))
        runs = [(number, row, rows.as_run(row)) for number, row in enumerate(kept, 1)]
        lines = [
            (str(number), _line(row["model"] or ""), *rows.figures(row, run))
            for number, row, run in runs
        ]
        return cls(
            name=_line(name or "") or "Playground",
            note=note,
            prompts=tuple((title, str(text)) for title, text in prompts if text),
            settings=tuple(_settings(form)),
            comparison=tuple(lines) if len(lines) > 1 else (),
            answers=tuple(Answer.of(*each, media) for each in runs),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: its title, texts, parts and sources, and the lines below it.

    ``lines`` are notices, footer and settings; ``anchor`` begins the ids of the sources.
    """

    number: int
    model: str
    items: tuple[str | AnswerPart, ...]
    sources: tuple[Source, ...]
    anchor: str
    lines: tuple[str, ...]

    @classmethod
    def of(cls, number: int, row: Row, run: Run, media: KeptMedia) -> Answer:
        """The answer of a row; ``run`` is the row as a run."""
        items = rows.parameter_items(row["parameters"])
        parameters = " · ".join(f"{name} {value}" for name, value in items)[:_MAX_LINE_CHARS]
        filled = inputs_from_json(row["inputs"])
        case = _line(filled.case.label) if filled is not None and filled.case is not None else ""
        settings = " · ".join(part for part in (case, parameters, rows.start_time(row)) if part)
        lines = (*footer.notices(run), footer.line(run), settings)
        return cls(
            number=number,
            model=_line(row["model"] or "model unknown"),
            items=tuple(map(media.with_bytes, answers.items(run))),
            sources=run.sources,
            anchor=answers.anchor(run),
            lines=tuple(line for line in lines if line),
        )


def _settings(form: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    models = form.get("models")
    names = [models] if isinstance(models, str) else list(models or ())
    if names:
        yield "models" if len(names) > 1 else "model", _line(", ".join(map(str, names)))
    for name in ("preset", "iterations"):
        if form.get(name) is not None:
            yield name, _line(form[name])
    for name, value in rows.parameter_items(form.get("parameters")):
        if value != "None":  # automatic: the parameter is not sent
            yield _line(name), _line(value)


def _line(value: object) -> str:
    return shorten(clean_text(str(value)), _MAX_LINE_CHARS)


def _page_html(page: NotebookPage) -> str:
    """The page as one ``div`` of safe HTML."""
    sections = [
        f"<h3>{_html_lines([page.name])}</h3>",
        f"<p><em>{_html_lines([page.note])}</em></p>",
        *(f"<p><strong>{title}</strong></p>\n{_pre(text)}" for title, text in page.prompts),
        _html_table(("setting", "value"), page.settings) if page.settings else "",
        _html_table(page.HEAD, page.comparison) if page.comparison else "",
        *map(_answer_html, page.answers),
    ]
    return "<div>\n" + "\n".join(section for section in sections if section) + "\n</div>"


def _page_markdown(page: NotebookPage) -> str:
    """The page as Markdown, each text in a fence of its own."""
    sections = [
        f"### {markdown.escape_markdown(page.name)}",
        f"*{markdown.escape_markdown(page.note)}*",
        *(f"**{title}**\n\n{markdown.fence(text)}" for title, text in page.prompts),
        markdown.markdown_table(("setting", "value"), page.settings) if page.settings else "",
        markdown.markdown_table(page.HEAD, page.comparison) if page.comparison else "",
        *map(_answer_markdown, page.answers),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _page_text(page: NotebookPage) -> str:
    """The page as plain text, without the answers' texts: the notebook holds them three times."""
    sections = [
        f"{page.name}\n{page.note}",
        *(f"{title}:\n{content}" for title, content in page.prompts),
        "\n".join(f"{name}: {value}" for name, value in page.settings),
        *("\n".join((_title(answer, str), *answer.lines)) for answer in page.answers),
    ]
    return "\n\n".join(section for section in sections if section)


def _answer_html(answer: Answer) -> str:
    title = _html_lines([_title(answer, str)])
    blocks = answers.blocks(answer.items, answer.sources, answer.anchor, pages.PAGE)
    html = pages.to_html(blocks).rstrip()
    return (
        f"<details open>\n<summary><strong>{title}</strong></summary>\n"
        f"{html}\n"
        f"<p><small>{_html_lines(answer.lines)}</small></p>\n</details>"
    )


def _answer_markdown(answer: Answer) -> str:
    lines = [
        f"#### {_title(answer, markdown.escape_markdown)}",
        *markdown.items_markdown(answer.items, answer.sources),
        markdown.sources_markdown(answer.sources),
        "\n".join(f"- {markdown.escape_markdown(line)}" for line in answer.lines),
    ]
    return "\n\n".join(line for line in lines if line)


def _title(answer: Answer, escape: Callable[[str], str]) -> str:
    return f"{answer.number} · {escape(answer.model)}"


def _html_table(head: Sequence[str], table: Iterable[Sequence[str]]) -> str:
    """A table of texts, aligned left except for figures; JupyterLab aligns all cells right."""
    figures = ("cost", "time", "tokens")
    styles = ["" if title in figures else ' style="text-align:left"' for title in head]

    def html_row(tag: str, cells: Sequence[str]) -> str:
        pairs = zip(styles, cells, strict=True)
        written = (f"<{tag}{style}>{_html_lines([cell])}</{tag}>" for style, cell in pairs)
        return f"<tr>{''.join(written)}</tr>"

    body = "\n".join(html_row("td", cells) for cells in table)
    return f"<table>\n<thead>{html_row('th', head)}</thead>\n<tbody>\n{body}\n</tbody>\n</table>"


def _pre(text: str) -> str:
    """Text as it is; readers that strip the style show long lines."""
    style = "white-space:pre-wrap;overflow-wrap:anywhere"
    return f'<pre dir="auto" style="{style}">{_escape(text)}</pre>'


def _escape(text: str) -> str:
    return escape(text.replace("\0", "\ufffd"))  # HTML cannot hold NUL


def _html_lines(texts: Iterable[str]) -> str:
    """Lines of text in one paragraph."""
    return pages.isolated("<br>".join(map(_escape, texts)))


_TEXT_COLUMNS = ("system_prompt", "user_prompt", "response_text", "reasoning_text", "error_message")
_FORM_SHARE = 8  # each text of the form takes at most an eighth of the size of the runs
_MAX_VALUE_CHARS = 2_000  # of a value in a part, if the runs do not fit
_MIN_TRUNCATED_CHARS = 70  # truncating less would make no text shorter


def _fit_rows(plain: Sequence[Row], max_bytes: int) -> list[Row]:
    """The rows with their longest texts truncated so that the document takes ``max_bytes``.

    If truncating all texts is not enough, the last rows are left out.
    """
    room = max_bytes - _document_bytes([]) - 1
    whole_bytes = sum(map(_row_bytes, plain))
    if whole_bytes <= room:
        return list(plain)
    shortest = [_truncate_row(_without_copies(row), 0) for row in plain]
    ends = list(accumulate(map(_row_bytes, shortest)))
    if ends[-1] > room:
        return shortest[: bisect_right(ends, room)]
    plain = [_without_copies(row) for row in plain]
    room -= sum(map(_row_bytes, plain)) - sum(map(_text_bytes, plain))
    fits, too_long = 0, max(len(row[name] or "") for row in plain for name in _TEXT_COLUMNS)
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if sum(_text_bytes(_truncate_row(row, middle)) for row in plain) <= room:
            fits = middle
        else:
            too_long = middle
    return [_truncate_row(row, fits) for row in plain]


def _fit_form(form: Mapping[str, Any], max_bytes: int) -> dict[str, Any]:
    """The form without keys and with its texts truncated."""
    max_chars = max(max_bytes // _FORM_SHARE, 0)
    texts = {
        name: truncate(clean_text(str(form.get(name) or "")), max_chars)
        for name in ("prompt", "system")
    }
    return {**form, **texts}


def truncate(text: str, max_chars: int) -> str:
    """The first characters of a text, and how many are missing.

    A text that would not become shorter is returned unchanged.

    >>> truncate("a" * 100, 2)
    'aa… [98 more characters are not kept in the notebook]'
    """
    missing = len(text) - max_chars
    if missing <= _MIN_TRUNCATED_CHARS:
        return text
    return f"{text[:max_chars]}… [{missing:,} more characters are not kept in the notebook]"


def _truncate_row(row: Row, max_chars: int) -> Row:
    present = [name for name in _TEXT_COLUMNS if row[name] is not None]
    return {**row, **{name: truncate(row[name], max_chars) for name in present}}


def _without_copies(row: Row) -> Row:
    """The row without texts of its parts that its columns have, and without long values in them."""
    kept = [
        {
            name: truncate(value, _MAX_VALUE_CHARS) if isinstance(value, str) else value
            for name, value in one.items()
            if name != "original"
        }
        for one in (row["parts"] if isinstance(row["parts"], list) else ())
        if isinstance(one, Mapping) and one.get("type") not in {"text", "reasoning"}
    ]
    return {**row, "parts": kept or None}


def _row_bytes(row: Row) -> int:
    """What a row adds to the size of a document."""
    return _document_bytes([row]) - _document_bytes([]) - 1


def _text_bytes(row: Row) -> int:
    return sum(len(json.dumps(row[name])) for name in _TEXT_COLUMNS)


def _document_bytes(plain: Sequence[Row]) -> int:
    """The most bytes that a program may use for the runs: indented, non-ASCII escaped."""
    return len(json.dumps(formats.json_document(plain), indent=1))
