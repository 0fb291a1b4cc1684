"""Runs as one HTML file to read, print or send: no script, nothing loaded from elsewhere.

The page's Content-Security-Policy refuses scripts, requests, frames and forms, also where another
program has changed an answer. Answers are sanitised as in the panel (``rendering.answers``), all
other texts are escaped. Pictures, recordings and files are data URIs up to :data:`MAX_MEDIA_BYTES`;
beyond that they are named.

A section for each prompt has its messages once and a card for each answer; runs of one prompt that
follow each other share a section. ``html_document.css`` in this folder is the style sheet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path

from llm_playground import footer, formatting
from llm_playground.exporting import html_runs, rows
from llm_playground.exporting.conversations import conversations
from llm_playground.exporting.html_runs import Entry, escaped, text_line
from llm_playground.exporting.records import Exported, KeptMedia, by_id

MAX_MEDIA_BYTES = 64 << 20  # of one document
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:"
_MAX_TITLE_CHARS = 120
_MAX_OPEN_ROWS = 100  # of the table of all runs; a longer one is folded
_MAX_DRAWN_RUNS = 100  # in a longer document, a browser draws a card once it comes into view
_STYLES = Path(__file__).with_name("html_document.css")
_FIGURES = frozenset(
    {"runs", "cost", "time", "mean time", "first text", "tokens", "rating", "failed"}
)


def to_html(exported: Exported) -> str:
    """The whole document."""
    return "".join(pieces(exported))


def pieces(exported: Exported) -> Iterator[str]:
    """The document in pieces of at most one section's size, in their order."""
    prompts, definitions, results = (
        by_id(exported.records, table) for table in ("prompts", "definitions", "results")
    )
    sent = conversations(exported)
    entries = [
        Entry(
            number,
            row,
            rows.as_run(row),
            sent[number - 1],
            html_runs.definition_items(prompts.get(row["prompt_id"] or ""), definitions),
            results.get(row["run_id"], {}).get("tool_calls") or (),
        )
        for number, row in enumerate(exported.exact_rows, 1)
    ]
    media = KeptMedia(exported.pictures if entries else {}, MAX_MEDIA_BYTES)
    sections = [list(group) for _, group in groupby(entries, key=lambda one: one.prompt_key)]
    title, kind = _title(sections), ' class="long"' if len(entries) > _MAX_DRAWN_RUNS else ""
    yield f"{_head(title)}<body{kind}>\n<header>\n<h1>{text_line(title)}</h1>\n"
    yield f"{_summary(entries)}</header>\n<main>\n"
    if len(entries) > 1:
        yield _models(entries)
        yield _comparison(entries, has_prompts=len(sections) > 1)
    for number, section in enumerate(sections, 1):
        heading = "Prompt" if len(sections) == 1 else f"Prompt {number}"
        yield from html_runs.section(heading, section, media)
    yield "</main>\n</body>\n</html>\n"


def _head(title: str) -> str:
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="generator" content="llm_playground">\n'
        f"<title>{text_line(title)}</title>\n<style>\n{_styles()}</style>\n</head>\n"
    )


@lru_cache(maxsize=1)
def _styles() -> str:
    return _STYLES.read_text("utf-8")


def _title(sections: Sequence[Sequence[Entry]]) -> str:
    if not sections:
        return "No runs"
    if len(sections) == 1:
        return html_runs.beginning(sections[0][0], _MAX_TITLE_CHARS) or "A run without its prompt"
    runs = sum(map(len, sections))
    return f"{formatting.count(runs, 'run')} of {formatting.count(len(sections), 'prompt')}"


def _summary(entries: Sequence[Entry]) -> str:
    """The totals of the document as a list of names and values."""
    if not entries:
        return "<p>No runs were exported.</p>\n"
    runs = [one.run for one in entries]
    models = list(dict.fromkeys(run.model for run in runs))
    usages = [run.usage for run in runs if run.usage]
    tokens = [
        f"{sum(counts):,} {way}"
        for way, counts in (
            ("in", [one.input_tokens for one in usages if one.input_tokens is not None]),
            ("out", [one.output_tokens for one in usages if one.output_tokens is not None]),
        )
        if counts
    ]
    starts = sorted(filter(None, (rows.start_time(one.row) for one in entries)))
    items = [
        ("Runs", f"{len(runs):,}"),
        ("Model" if len(models) == 1 else "Models", models[0] if len(models) == 1 else len(models)),
        ("Cost", footer.total_cost(runs)),
        ("Tokens", ", ".join(tokens)),
        ("Began", " to ".join(dict.fromkeys((starts[0], starts[-1]))) if starts else ""),
        ("Reused", footer.reused(runs).removeprefix("reused ")),
    ]
    shown = "".join(
        f"<div><dt>{name}</dt><dd>{text_line(str(value))}</dd></div>\n"
        for name, value in items
        if value
    )
    return f'<dl class="totals">\n{shown}</dl>\n'


def _models(entries: Sequence[Entry]) -> str:
    """The totals of each model; empty where there is only one, or a run of each."""
    by_model: dict[str, list[Entry]] = {}
    for one in entries:
        by_model.setdefault(one.run.model, []).append(one)
    if len(by_model) in (1, len(entries)):
        return ""
    lines = []
    for model, group in by_model.items():
        runs = [one.run for one in group]
        tokens = [run.usage.output_tokens for run in runs if run.usage]
        times = [run.response_time_ms for run in runs if run.response_time_ms is not None]
        failed = sum(run.status == "failed" for run in runs)
        lines.append(
            (
                escaped(model),
                f"{len(runs):,}",
                f"{failed:,}" if failed else "",
                escaped(footer.total_cost(runs)),
                formatting.duration(sum(times) / len(times)) if times else "",
                f"{sum(filter(None, tokens)):,}" if tokens else "",
            )
        )
    table = _table(("model", "runs", "failed", "cost", "mean time", "tokens"), lines)
    return f'<section class="overview">\n<h2>Models</h2>\n{table}</section>\n'


def _comparison(entries: Sequence[Entry], *, has_prompts: bool) -> str:
    """A table with a row for each run, which links to its card."""
    has_ratings = any(one.row["rating"] is not None for one in entries)
    head = ["run", "model", *(["prompt"] if has_prompts else []), "ended"]
    head += ["cost", "time", "first text", "tokens", *(["rating"] if has_ratings else [])]
    lines = []
    for one in entries:
        ended, cost, time, tokens = rows.figures(one.row, one.run)
        ttft_ms, rating = one.row["ttft_ms"], one.row["rating"]
        cells = [
            f'<a href="#run-{one.number}">{one.number}</a>',
            escaped(one.run.model),
            *([escaped(html_runs.beginning(one, 60))] if has_prompts else []),
            escaped(ended),
            escaped(cost),
            time,
            "" if ttft_ms is None else formatting.duration(ttft_ms),
            tokens,
            *(["" if rating is None else f"{rating:g}"] if has_ratings else []),
        ]
        lines.append(cells)
    is_open = " open" if len(entries) <= _MAX_OPEN_ROWS else ""
    return (
        f'<details class="overview"{is_open}>\n<summary><h2>Comparison</h2></summary>\n'
        f"{_table(head, lines)}</details>\n"
    )


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table of safe HTML, figures aligned right."""
    kinds = ['class="figure"' if name in _FIGURES else 'dir="auto"' for name in head]

    def line(tag: str, cells: Sequence[str]) -> str:
        scope = ' scope="col"' if tag == "th" else ""
        pairs = zip(kinds, cells, strict=True)
        return "".join(f"<{tag}{scope} {kind}>{cell}</{tag}>" for kind, cell in pairs)

    body = "".join(f"<tr>{line('td', cells)}</tr>\n" for cells in lines)
    return (
        '<div class="llm-table-frame" role="group" aria-label="Table" tabindex="0">\n'
        f"<table>\n<thead><tr>{line('th', head)}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n"
        "</div>\n"
    )
