"""Runs as Markdown: marks of sources, earlier turns of a conversation, pictures."""

import base64
import json
from datetime import timedelta

import pytest

import llm_playground as lp
from llm_playground.exporting import markdown
from llm_playground.parts import ImagePart, Source, TextPart, ToolCall, ToolResult
from llm_playground.rendering.citations import marked
from llm_playground.types import Message, Parameters, Request
from tests.exporting.shelf import KEY, run
from tests.reports.shelf import NEW_YEAR
from tests.runlog.actors import execution_of, record

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


def chat(log, *turns):
    """A run for each turn, a question and its answer, with the turns before as its messages."""
    messages = [Message("system", (TextPart("Be brief."),))]
    for number, (question, answer) in enumerate(turns):
        messages.append(Message("user", (TextPart(question),)))
        request = Request("local:tiny", tuple(messages), Parameters())
        at = NEW_YEAR + timedelta(minutes=number)
        record(log, request, execution_of(request, started_at=at), text=answer)
        messages.append(Message("assistant", (TextPart(answer),)))
    return lp.runs()


TURNS = [("Question 1?", "Answer 1."), ("Question 2?", "Answer 2."), ("Question 3?", "Answer 3.")]
SHOWN = {"markdown": "```text\n{}\n```", "html": '<div class="text" dir="auto">{}</div>'}


@pytest.mark.parametrize("form", SHOWN)
def test_no_turn_of_a_chat_is_repeated(log, form):
    runs = chat(log, *TURNS)
    text = lp.export(runs, form)

    for question in ("Be brief.", *(question for question, _ in TURNS)):
        assert text.count(SHOWN[form].format(question)) == 1
    places = [text.rindex(said) for turn in TURNS for said in turn]
    assert places == sorted(places)
    first, second = reversed(runs.run_id.tolist()[1:])
    names = [first, second] if form == "markdown" else ['<a href="#run-1">', '<a href="#run-2">']
    continued = [line for line in text.splitlines() if "Continues the conversation of" in line]
    assert [name in line for name, line in zip(names, continued, strict=True)] == [True, True]


@pytest.mark.parametrize("form", SHOWN)
def test_a_turn_whose_run_before_is_missing_or_changed_repeats_all(log, form):
    runs = chat(log, *TURNS)
    last, changed = runs.head(1), runs.assign(response_text="Changed.")
    for frame, times in ((last, 1), (changed, 3)):
        text = lp.export(frame, form)
        assert "Continues the conversation" not in text
        assert text.count(SHOWN[form].format("Question 1?")) == times


def test_rounds_of_tools_show_the_results_that_are_new(log):
    call = ToolCall("c1", "look", "{}")
    asked = (Message("user", (TextPart("Go."),)),)
    shown = (
        *asked,
        Message("assistant", (call,)),
        Message("tool", (ToolResult("c1", "look", "rain"),)),
    )
    for number, messages in enumerate((asked, shown)):
        request = Request("openai:gpt-x", messages)
        execution = execution_of(request, started_at=NEW_YEAR + timedelta(minutes=number))
        known = {"text": "It rains."} if number else {"text": "", "tool_calls": (call,)}
        record(log, request, execution, **known)

    text = lp.export(lp.runs(), "markdown")

    assert text.count("**User prompt**") == text.count("**Called look**") == 1
    assert text.index("**Called look**") < text.index("Continues") < text.index("rain\n")


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


def test_calls_of_tools_and_their_results_are_in_the_document(log):
    call = ToolCall("c1", "look", '{"at": "```"}')
    earlier = (
        Message("user", (TextPart("Go."),)),
        Message("assistant", (TextPart("I look."), call)),
        Message("tool", (ToolResult("c1", "look", "rain"), ToolResult("c2", "b", "no", True))),
        Message("user", (TextPart("And now?"),)),
    )
    record(log, Request("openai:gpt-x", earlier), text="", parts=(call,), tool_calls=(call,))

    text = lp.export(lp.runs(), "markdown")

    called = '**Called look**\n\n````json\n{"at": "```"}\n````'
    assert text.count(called) == 2
    assert f"```text\nI look.\n```\n\n{called}" in text
    assert "**Result of look**\n\n```text\nrain\n```" in text
    assert "**Result of b: failed**\n\n```text\nno\n```" in text
    assert "not understood" not in text
    assert "".join(outputs(lp.export(lp.runs(), "notebook"))).count(called) == 1


def outputs(notebook):
    """The Markdown of a notebook's outputs."""
    for cell in json.loads(notebook)["cells"]:
        for output in cell.get("outputs", ()):
            yield "".join(output["data"]["text/markdown"])


def test_a_picture_of_a_run_that_is_in_no_log_is_in_each_document(log):
    drawn = run("Here.", parts=(TextPart("Here."), ImagePart("image/png", PIXEL)))

    for form in ("markdown", "html", "notebook"):
        assert URI.partition(",")[2].rstrip(")") in lp.export(drawn, form)
    [attached] = json.loads(lp.export(drawn))["attachments"]
    assert base64.b64decode(attached["data"]) == PIXEL
