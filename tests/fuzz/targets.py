"""Readers of foreign input, with the pieces that their fuzzed input is made of.

A target reads one input and returns the size of what it makes of it. Only errors of the package may
leave it. Sizes are in characters, and limits of output are stated with each target.
"""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import astuple, dataclass
from pathlib import Path

import llm_playground as lp
from llm_playground.catalog import listing
from llm_playground.config import dotenv
from llm_playground.config.policy import read_policy
from llm_playground.events import Finish, PartAdded, ReasoningDelta, TextDelta, ToolCallDelta
from llm_playground.exporting import formats, importing, row_checks
from llm_playground.exporting.rows import COLUMNS
from llm_playground.parts import part_as_json
from llm_playground.providers import Endpoint, RequestContext, anthropic, errors, gemini, openai
from llm_playground.providers.streaming import stream_events
from llm_playground.redaction import StreamRedactor, printable, redact
from llm_playground.rendering import answers, pages, to_html
from llm_playground.rendering.markdown import FREE_HTML_CHARS, MAX_HTML_PER_CHAR
from llm_playground.rendering.streaming import GrowingAnswer
from llm_playground.request import prompty
from llm_playground.runlog import journal, open_log
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream

_CALL = RequestContext(Endpoint("openai", "planted-key-of-a-test"), "openai:gpt-4o")


@dataclass(frozen=True)
class Target:
    """One reader.

    Args:
        read: Reads a text and returns the size of its output.
        pieces: Parts of valid and of hostile inputs.
        most_per_char: The limit of the output, in characters for each of the input.
        free_chars: The limit for an empty input.
        ms: How long one example takes, which decides how many the short form tries.
    """

    read: Callable[[str], int]
    pieces: tuple[str, ...]
    most_per_char: float
    free_chars: int = 2_000
    ms: int = 5


def _stream(reader: Callable[[], object], text: str) -> int:
    """The size of an answer; the length of the text chooses where its bytes are cut."""
    data = text.encode("utf-8", "surrogatepass")
    size = 1 + len(data) * 7 % 61

    async def chunks() -> AsyncIterator[bytes]:
        for begin in range(0, len(data), size):
            yield data[begin : begin + size]

    async def answer() -> int:
        total = 0
        async for event in stream_events(_CALL, {}, chunks(), reader()):
            match event:
                case TextDelta(piece) | ReasoningDelta(piece):
                    total += len(piece)
                case ToolCallDelta():
                    total += len(event.arguments_json) + len(event.name or "")
                case PartAdded(part):
                    total += len(json.dumps(part_as_json(part)))
                case Finish():
                    total += len(repr(event.sources))
                    total += len(event.response_model or "") + len(event.request_id or "")
                    assert event.usage is None or min(astuple(event.usage)[0] or 0, 0) == 0
        return total

    return asyncio.run(answer())


def _error_body(text: str) -> int:
    status = (400, 401, 403, 404, 413, 422, 429, 500, 503, 529)[len(text) % 10]
    error = errors.status_error(_CALL, status, text, {"retry-after": text[:30]})
    assert "\n" not in str(error)
    return len(str(error)) + len(error.detail or "")


def _model_list(text: str) -> int:
    try:
        items = listing.items_of(importing._load_json(text), "data")
    except (ValueError, RecursionError):  # as in `listed`
        return 0
    readers = (each for each in listing._READERS.values())
    models = [listing._model(read, item) for read in readers for item in items]
    return sum(len(model.name) for model in models if model is not None)


def _import(text: str) -> int:
    rows = row_checks.check_rows(importing.read_export(text.encode("utf-8", "replace")).rows)
    return sum(len(repr(row)) for row in rows)


def _csv(text: str) -> int:
    return _import(f"{','.join(COLUMNS)}\n{text}")


def _journal(text: str) -> int:
    log = open_log()
    one = journal.Journal.create(log.journals)
    one.append(text.encode("utf-8", "surrogatepass"))
    one.close()
    with warnings.catch_warnings(action="ignore"):
        frame = lp.runs()
    return int(frame.astype(str).map(len).to_numpy().sum()) if len(frame) else 0


def _in_file(name: str, read: Callable[[Path], object], text: str) -> int:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(action="ignore"):
        path = Path(folder) / name
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        return len(repr(read(path)))


def _dotenv(path: Path) -> object:
    return dict(dotenv.parse(str(path), (hash(path.read_bytes()),)))


def _markdown(text: str) -> int:
    html = to_html(text)
    growing, size = GrowingAnswer(), 1 + len(text) // 9
    for begin in range(0, len(text), size):
        growing.feed(text[begin : begin + size])
        growing.update()
    last = growing.finish().whole
    blocks = "".join(growing.snapshot().blocks)
    page = pages.to_html(answers.blocks([text], (), "", pages.PAGE))
    return max(len(html), len(blocks), len(last or ""), len(page))


def _redaction(text: str) -> int:
    redactor = StreamRedactor(("email", "phone", "card"))
    for begin in range(0, len(text), 97):
        redactor.add(text[begin : begin + 97])
        redactor.take()
    redactor.flush()
    list(formats.read_csv(formats.to_csv_cell(text)))
    return len(printable(redact(text)))


def _sse_pieces(stream: Callable[..., tuple[bytes, ...]]) -> tuple[str, ...]:
    events = (chunk.decode() for chunk in stream(["one ", "two"], reasoning=["hm"]))
    return (*events, *_SSE, *_JSON)


_JSON = (
    *("{", "}", "[", "]", ",", ":", '"', '"a":', '"id":', '"data":', '"name":', "null", "true"),
    *("-1", "1e999", "NaN", "9" * 400, "0", '""', '"\\ud83d"', '"\\u0000"', '{"data": [', "]}"),
    *(
        '{"id": "m"}',
        '{"error": {"message": "x", "code": 429}}',
        '"message":',
        '"code":',
        '"type":',
    ),
    '{"object": "list", "data": [{"id": "a", "context_length": 1e400, "created": 1e300}]}',
    '{"data": [{"id": "a", "type": ["x"], "architecture": {"output_modalities": "text"}}]}',
    '{"models": [{"name": "models/g", "supportedGenerationMethods": 5}]}',
)
_CITATION = {"url": "https://a.b", "title": 5, "start_index": -1, "end_index": 1e400}
_PARTS: tuple[object, ...] = (
    {"citations": ["https://a.b", {"url": 5}, 5], "search_results": [{"url": ["x"]}, 5]},
    *(
        {"choices": [{"delta": {name: value}}]}
        for name, values in {
            "images": ([{"image_url": {"url": "data:image/png;base64,%"}}], [{"image_url": 5}], 5),
            "annotations": ([{"type": "url_citation", "url_citation": _CITATION}], [{"type": 5}]),
            "audio": ({"id": 5, "data": "YQ==", "transcript": 5}, {"data": "%"}, []),
            "reasoning_details": ([{"type": 5, "text": 5}, 5], {"a": 1}, "x"),
            "executed_tools": ([{"index": 0, "arguments": "x", "output": 5}], [{"index": [1]}]),
            "context": ({"citations": [_CITATION]}, "x"),
            "content": ([{"type": "thinking", "thinking": 5}], [{"type": ["x"]}], [5]),
            "hologram": ([{"type": 5}], "x"),
            "tool_calls": ([{"id": "a", "function": {"name": "f", "arguments": "{}"}}], [5]),
        }.items()
        for value in values
    ),
    *(
        {"type": "content_block_start", "index": 0, "content_block": block}
        for block in (
            {"type": "server_tool_use", "id": 5, "name": ["x"], "input": 5},
            {"type": "web_search_tool_result", "content": [{"title": {"text": ["x"]}}]},
            {"type": "thinking", "signature": "c2k="},
            {"type": "text", "text": "x", "citations": [{"cited_text": "x"}, 5]},
            {"type": ["x"], "content": None},
        )
    ),
    *(
        {"type": "content_block_delta", "index": 0, "delta": delta}
        for delta in ({"citation": _CITATION}, {"partial_json": "{"}, {"signature": 5}, {"a": [1]})
    ),
    {"type": "content_block_stop", "index": 0},
    *(
        {"candidates": [{"content": {"parts": [part]}, "groundingMetadata": about}]}
        for part in (
            {"inlineData": {"mimeType": "image/png", "data": "%"}, "thoughtSignature": 5},
            {"executableCode": {"code": 5}},
            {"codeExecutionResult": {"outcome": 5, "output": ["x"]}},
            {"hologram": [1]},
            {"text": 5, "thought": "x"},
        )
        for about in (
            None,
            {
                "groundingChunks": [{"web": {"uri": 5}}, 5],
                "groundingSupports": [{"segment": {"endIndex": -1}, "groundingChunkIndices": [9]}],
                "webSearchQueries": [{"x": 1}],
            },
        )
    ),
)
_SSE = (
    *(
        "data: ",
        "data:",
        "event: ",
        "event: error\n",
        "id: 1\n",
        ": c\n",
        "\n",
        "\r",
        "\r\n",
        "\n\n",
    ),
    *("data: {}\n\n", "data: [DONE]\n\n", "data: null\n\n", "data: []\n\n", 'data: "x"\n\n'),
    'data: {"choices": [{"delta": {"content": 5}}]}\n\n',
    'data: {"choices": [{"index": 1e400, "delta": {"tool_calls": [{"index": "x"}]}}]}\n\n',
    'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": 1}}]}}]}\n\n',
    'data: {"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 1e999}}\n\n',
    'data: {"type": "content_block_delta", "index": 9, "delta": {"type": "text_delta"}}\n\n',
    'data: {"type": "message_delta", "delta": null, "usage": []}\n\n',
    'data: {"candidates": [{"content": {"parts": [{"functionCall": {"args": 1}}]}}]}\n\n',
    'data: {"candidates": [{"finishReason": 5}], "usageMetadata": {"promptTokenCount": "x"}}\n\n',
    *(f"data: {json.dumps(event)}\n\n" for event in _PARTS),
    'data: {"error": {"message": ["x"], "code": "429", "status": 5}}\n\n',
    'data: {"type": "error", "error": null}\n\n',
)
_MARKDOWN = (
    *(
        "# ",
        "- ",
        "1. ",
        "> ",
        "* ",
        "**",
        "_",
        "~~",
        "`",
        "```",
        "```python\n",
        "~~~",
        "    ",
        "\t",
    ),
    *("[a]", "[a]: https://b 'c'\n", "![a](b)", "[a](https://b)", "<https://a.b>", "&amp;", "&#0;"),
    *("|a|b|\n|-|-|\n", "|", "|x|\n", "---\n", "===\n", "$x$", "$$\n", "\\[", "\\]", "\\(", "\\)"),
    *(r"\frac{1}{2}", r"\begin{matrix}", r"\end{matrix}", "&", "{", "}", "^", "<b>", "<!--", "\\"),
    *("\n", "\n\n", " ", "x", "word ", "  \n", "😀", "\ud83d", "\0", "\r", "\u202e", "<script>"),
)
_PROMPTY = (
    *(
        "---\n",
        "name: x\n",
        "model:\n  parameters:\n    seed: ",
        "description: ",
        "&a ",
        "*a",
        "<<: ",
    ),
    *(
        "user:\n",
        "system:\n",
        "# user [a=b]:\n",
        "assistant:\n",
        "{{ name }}",
        "{{ 'q' }}",
        "{{",
        "}}",
    ),
    *(
        "{%",
        "%}",
        "{#",
        "#}",
        "!!int ",
        "!!binary ",
        "2020-13-45",
        "0x",
        "1:",
        ".nan",
        "- ",
        "? ",
        ": ",
    ),
    *(
        "[",
        "]",
        "{",
        "}",
        "'",
        '"',
        "\\",
        "\n",
        " ",
        "x",
        "\0",
        "\ufeff",
        "\u2028",
        "|\n",
        ">\n",
        "\t",
    ),
    "---\nname: x\n---\nuser:\nSay {{ word }}.\n",
)
_DOTENV = (
    *(
        "OPENAI_API_KEY=",
        "A=",
        "export ",
        "=",
        "#",
        "'",
        '"',
        "\\",
        "\n",
        "\r\n",
        "${A}",
        "${",
        " ",
    ),
    *(
        "x",
        "\0",
        "\ufeff",
        "A='",
        'A="\\',
        "\ud800",
        "LLM_PLAYGROUND_LOG=postgresql://a:b@c/d\n",
        "é",
    ),
)
_TOML = (
    *(
        'models = ["gpt-*"]\n',
        "endpoints = ",
        'log = "x"\n',
        'privacy = "metrics"\n',
        "prices = ",
        "{",
    ),
    *(
        "[",
        "]",
        "}",
        '"',
        "'",
        "=",
        ".",
        ",",
        "\n",
        "[prices]\n",
        '"openai:m" = {input = 1}\n',
        "1e999",
    ),
    *(
        "secret_guard = ",
        '{known = "off"}',
        "nan",
        "2020-13-45",
        "0x",
        "9" * 400,
        '"""',
        "\\u",
        "x = ",
    ),
    *(
        "inf",
        "-1",
        "true",
        '"https://a.b/%2e"',
        '"*"',
        "[[a]]\n",
        "a.b.c = 1\n",
        "\0",
        "\ufeff",
        "é",
    ),
)
_ROWS = (
    *(
        '{"format": "llm-playground/runs", "version": 1, "runs": [',
        '{"runs": [',
        '"run_id": "a"',
        "{}",
    ),
    *(
        '"cost_usd": 1e400',
        '"cost_usd": "1"',
        '"started_at": "2026-13-01"',
        '"parameters": {"a": 1}',
    ),
    *_JSON,
)
_CELLS = (
    *(
        ",",
        '"',
        '""',
        "\n",
        "\r\n",
        "'",
        "=",
        "x",
        "{}",
        "[1]",
        "9" * 400,
        "1e400",
        "NaN",
        "\0",
        "é",
    ),
    *(
        "2026-01-01T00:00:00Z",
        "\ud800",
        '"a,b"',
        '"a\nb"',
        "completed",
        "true",
        "\t",
        "," * 40 + "\n",
    ),
)
_JOURNAL = (
    *(
        '{"kind": "started", ',
        '{"kind": "finished", ',
        '{"table": "results", ',
        '"id": "a", ',
        '"v": 1, ',
    ),
    *('"started_at": "2026-01-01T00:00:00Z", ', '"cost_usd": 1e400, ', '"run": {', "}}\n", "}\n"),
    *("\n", "\0\n", "\ud800", "[1]\n", "null\n", "5\n", '"x"\n', "{}\n", "[" * 500 + "\n", *_JSON),
)
_SECRETS = (
    *(
        "sk-",
        "Bearer ",
        "api-key: ",
        "-----BEGIN PRIVATE KEY-----",
        "-----END ",
        "eyJ",
        "AIza",
        "_",
        "-",
    ),
    *(
        "a@b.example",
        "@",
        "+49 30 ",
        "4111 1111 1111 1111",
        "0 ",
        "1",
        ".",
        " ",
        "\n",
        "x",
        "\\n",
        "%20",
    ),
    *("\x1b[2J", "\r", "\u202e", "\u200b", '"', "'", "=", ",", "?key=", "http://a:b@c", "é", "😀"),
)

TARGETS = {
    "SSE of Chat Completions": Target(
        functools.partial(_stream, openai.Reader), _sse_pieces(openai_stream), 1
    ),
    "SSE of Messages": Target(
        functools.partial(_stream, anthropic.Reader), _sse_pieces(anthropic_stream), 1
    ),
    "SSE of generateContent": Target(
        functools.partial(_stream, gemini.Reader), _sse_pieces(gemini_stream), 2
    ),
    "JSON of errors": Target(_error_body, _JSON, 1, free_chars=6_000),
    "JSON of model lists": Target(_model_list, _JSON, 4),
    "JSON of exports": Target(_import, _ROWS, 20),
    "CSV of exports": Target(_csv, _CELLS, 50, free_chars=5_000),
    "journals": Target(_journal, _JOURNAL, 10, free_chars=100_000, ms=150),
    ".env": Target(functools.partial(_in_file, ".env", _dotenv), _DOTENV, 10),
    "policy": Target(functools.partial(_in_file, "p.toml", read_policy), _TOML, 10),
    ".prompty": Target(lambda text: len(repr(prompty.from_text(text))), _PROMPTY, 10),
    "Markdown": Target(_markdown, _MARKDOWN, MAX_HTML_PER_CHAR, FREE_HTML_CHARS, ms=40),
    "secrets": Target(_redaction, _SECRETS, 12, ms=60),
}
