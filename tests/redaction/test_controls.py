"""No control of a terminal leaves the package on what it prints, raises or shows as plain text."""

import logging
import re
import warnings
from dataclasses import replace
from datetime import UTC, datetime

import pytest

import llm_playground as lp
from llm_playground import doctor, footer, formatting, rendering
from llm_playground.calls import CallOptions
from llm_playground.events import Preparing, Retrying, Waiting
from llm_playground.exporting.notebook_output import mime_bundle
from llm_playground.magics import commands, live_output
from llm_playground.parts import ToolCall
from llm_playground.progress import Progress
from llm_playground.redaction import printable
from llm_playground.types import Attempt, Parameters, Run
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply

CONTROLS = {
    "clear the screen": "\x1b[2J\x1b[H",
    "set the title": "\x1b]0;owned\x07",
    "write the clipboard": "\x1b]52;c;cm0gLXJm\x1b\\",
    "a link": "\x1b]8;;https://evil.example\x1b\\ok\x1b]8;;\x1b\\",
    "bell": "\x07",
    "backspace": "rm\x08\x08ls",
    "overwrite the line": "evil\rgood",
    "8-bit CSI": "\x9b2J",
    "8-bit OSC": "\x9d0;owned\x9c",
    "next line": "\x85",
    "delete": "\x7f",
    "NUL": "a\0b",
    "right to left": "\u202eexe.txt",
    "embedding": "\u202a\u202b\u202c\u202d",
    "isolate": "\u2066a\u2067b\u2068c\u2069",
    "line separator": "a\u2028b\u2029c",
    "zero width in a name": "gpt\u200b-4o\ufeff",
    "word joiner": "pay\u2060pal",
    "form feed": "a\x0cb\x0bc",
}
HARMFUL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|(?<=[!-~])[\u200b\u2060\ufeff]"
)
each = pytest.mark.parametrize("text", CONTROLS.values(), ids=CONTROLS)


def harmless(shown):
    """Nothing in the text controls a terminal; the package's own ``\\r`` of a progress bar may."""
    assert not HARMFUL.search(shown), repr(shown)
    return shown


def a_run(text, **fields):
    run = Run(
        "a", "b", "c", 1, f"openai:{text}", "openai", datetime.now(UTC), Parameters(), text=text
    )
    return replace(run, status="completed", **fields)


@each
def test_controls_are_written_visibly_and_the_rest_stays(text):
    shown = harmless(printable(f"before {text} after"))

    assert shown.startswith("before ")
    assert shown.endswith(" after")
    assert len(shown) >= len(f"before {text} after")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "plain",
        "tab\there\nand there",
        "Grüße, 世界 😀",
        "👨\u200d👩\u200d👧",
        "ไทย\u200bไทย",
        "שלום\u200e!",
        "e\u0301",
        "soft\u00adhyphen",
        "no\u00a0break",
    ],
)
def test_ordinary_text_is_unchanged(text):
    assert printable(text) == text


def test_windows_line_breaks_become_line_breaks_and_surrogates_are_replaced():
    assert printable("a\r\nb\ud800") == "a\nb\ufffd"


@each
def test_public_objects_print_no_control(text):
    prompt = lp.Prompt((lp.Message("user", (lp.TextPart(f"Say {text}"),)),))
    run = a_run(text, tool_calls=(ToolCall("1", text, f'{{"a": "{text}"}}'),))

    for shown in (str(run), repr(run), str(prompt), repr(prompt)):
        harmless(shown)
    assert run.text == text, "the run keeps it"


@each
def test_notices_footers_and_texts_have_no_control(text):
    run = a_run(
        text,
        error=lp.RequestRejectedError(f"It says: {text}", model=text, detail=text),
        tool_calls=(ToolCall("1", text, text),),
        dropped_parameters=(text,),
        budget_notices=(text,),
        data_error=text,
        attempts=(Attempt(1, 0.0, 1.0, skipped_events=2),),
    )

    for notice in footer.notices(run):
        harmless(notice)
    harmless(rendering.answer_to_text(run))
    harmless(rendering.heading(f"openai:{text}", text, alone=False))
    harmless(formatting.retrying(Retrying(2, 5, 6.0, text)))
    harmless(mime_bundle(text, {"prompt": text}, [])["text/plain"])
    error = run.error
    harmless(f"{error}{error.model}{error.detail}{error._render_traceback_()}")


@each
@pytest.mark.parametrize("total", [1, 2])
def test_progress_lines_have_no_control(text, total):
    for event in (Preparing(text, 0.5), Waiting(text), Retrying(2, 5, 6.0, text)):
        shown = Progress(total)
        shown.take("a", event)
        harmless(shown.line())


def test_what_a_provider_sends_reaches_no_terminal(serve, capsys, caplog):
    text = " ".join(CONTROLS.values())
    serve(
        Reply((*openai_stream([text[:1], text[1:]])[:-1], b"data: {bad\n\n", b"data: [DONE]\n\n")),
        json_reply(400, {"error": {"message": f"no {text}", "type": text, "code": text}}),
    )

    with (
        caplog.at_level(logging.DEBUG, "llm_playground"),
        warnings.catch_warnings(record=True) as w,
    ):
        run = live_output.watch(
            [CallOptions.of({"prompt": "hi", "model": "openai:gpt-4o"}).plan_one()]
        )[0]
        with pytest.raises(lp.RequestRejectedError) as raised:
            lp.ask("hi", "openai:gpt-4o", max_tokens=5)
    print(run)
    commands.export(None, "markdown", None, None)
    commands.export(None, "json", None, None)
    commands.export(None, "csv", None, None)
    commands.code(run.id, "python", function=False, no_stream=False)
    print("\n".join(doctor.report()))

    assert run.text == text.replace("\ud800", "\ufffd")
    captured = capsys.readouterr()
    harmless(captured.out)
    harmless(captured.err)
    harmless(str(raised.value))
    for line in [*caplog.messages, *map(str, w)]:
        harmless(line)


def test_names_that_a_user_gives_are_written_visibly_in_errors(home):
    text = " ".join(CONTROLS.values())
    attempts = [
        lambda: lp.ask("hi", f"nobody:{text}"),
        lambda: lp.ask("hi", text),
        lambda: lp.ask("hi", "local", **{text: 1}),
        lambda: lp.ask("hi", "local", images=f"{text}.png"),
        lambda: lp.prompt_from_file(f"{text}.prompty".replace("\0", "")),
        lambda: lp.import_runs(f"{text}.json".replace("\0", "")),
        lambda: lp.export([], text),
        lambda: lp.prompt(text),
        lambda: lp.runs(status=text),
    ]
    for attempt in attempts:
        with pytest.raises(lp.LLMError) as raised:
            attempt()
        harmless(str(raised.value))
