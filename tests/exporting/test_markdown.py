"""Runs as Markdown: marks of sources, earlier turns of a conversation, pictures."""

import base64

import pytest

import llm_playground as lp
from llm_playground.exporting import markdown
from llm_playground.parts import ImagePart, Source, TextPart
from llm_playground.rendering.citations import marked
from llm_playground.types import Message, Parameters, Request
from tests.exporting.shelf import KEY
from tests.runlog.actors import record

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGNgYGBgAAAABQABh6FO1AAAAABJRU5ErkJggg=="
)
URI = f"](data:image/png;base64,{base64.b64encode(PIXEL).decode()})"
PLACES = {
    "Far.[1] Near.": ("Far. Near.", [Source("a", cited_at=(4,))], 0),
    "Far.[1][2] Near.[2]": (
        "Far. Near.",
        [Source("a", cited_at=(4,)), Source("b", cited_at=(4, 10))],
        0,
    ),
    "Near.[1]": ("Near.", [Source("a", cited_at=(4, 9))], 4),
    "No place.": ("No place.", [Source("a")], 0),
}


@pytest.mark.parametrize("text", PLACES)
def test_sources_are_marked_where_they_are_cited(text):
    assert marked(*PLACES[text]) == text


def conversation(log, *messages):
    record(log, Request("local:tiny", tuple(messages), Parameters()))
    return lp.runs(limit=1)


def test_a_conversation_is_exported_with_its_earlier_turns(log):
    runs = conversation(
        log,
        Message("system", (TextPart("Be brief."),)),
        Message("user", (TextPart(f"First question, {KEY}"),)),
        Message("assistant", (TextPart("First answer."),)),
        Message("user", (TextPart("Second question."),)),
    )

    text = lp.export(runs, "markdown")

    order = ["**System prompt**", "Be brief.", "**Earlier prompt**", "First question"]
    order += ["**Earlier answer**", "First answer.", "**User prompt**", "Second question."]
    places = [text.index(each, text.index("**System prompt**")) for each in order]
    assert places == sorted(places)
    assert text.count("Be brief.") == 1
    assert KEY not in text


def test_a_picture_of_a_prompt_is_in_the_document(log):
    picture = ImagePart("image/png", PIXEL)
    runs = conversation(log, Message("user", (picture, TextPart("What is it?"))))

    assert URI in lp.export(runs, "markdown")
    small = markdown.PictureStore({"a": PIXEL}, 10)
    assert small.markdown("a", "x") == ""
    assert markdown.PictureStore({"a": b"<svg onload=alert(1)>"}).markdown("a", "x") == ""


def test_a_picture_of_an_answer_is_in_the_document():
    shown = markdown.PictureStore({"ab": PIXEL})
    items = ["Here: ", ImagePart("image/png", stored_sha256="ab")]

    assert list(markdown.items_markdown(items, (), shown))[1].endswith(URI)
    assert "data:" not in list(markdown.items_markdown(items, ()))[1]
