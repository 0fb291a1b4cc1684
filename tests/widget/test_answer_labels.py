"""What distinguishes answers: of one form, of runs of the log, and as a draft keeps it."""

from datetime import UTC, datetime

import pytest

from llm_playground import footer
from llm_playground.events import RunFinished
from llm_playground.parts import TextPart
from llm_playground.types import Attempt, Message, Parameters
from llm_playground.widget import drafts
from llm_playground.widget.answer_labels import AnswerLabel, labels_of_requests
from llm_playground.widget.drafts import Draft, DraftAnswer
from llm_playground.widget.form import Form, plan_calls
from llm_playground.widget.session import AnswerSet
from tests.exporting.shelf import run as make_run


def asked(text, **parameters):
    return (Message("user", (TextPart(text),)),), Parameters(**parameters)


@pytest.mark.parametrize(
    ("requests", "labels"),
    [
        ([asked("Hi"), asked("Hi")], [AnswerLabel(), AnswerLabel()]),
        (
            [asked("Hi", temperature=0.2), asked("Hi")],
            [AnswerLabel(parameters="temperature 0.2"), AnswerLabel(parameters="temperature auto")],
        ),
        (
            [asked("Hi"), asked("Ho"), asked("Hi")],
            [
                AnswerLabel(prompt="prompt 1", text="Hi"),
                AnswerLabel(prompt="prompt 2", text="Ho"),
                AnswerLabel(prompt="prompt 1", text="Hi"),
            ],
        ),
        ([(None, Parameters())], [AnswerLabel()]),
    ],
)
def test_runs_of_the_log_are_labelled_by_what_differs(requests, labels):
    assert labels_of_requests(requests) == labels


def test_a_draft_keeps_labels():
    label = AnswerLabel("case 1", "", "temperature 0.2", "Great service")
    draft = Draft(datetime.now(UTC), answers=(DraftAnswer("r1", label),))

    assert drafts.from_json(drafts.as_json("", draft)).answers == draft.answers


def test_a_view_gets_the_fields_that_differ(home):
    calls = plan_calls(Form("Hi", models=["local"], parameters={"temperature": [0, 1]}), {})

    states = AnswerSet(1, calls).initial_states()

    assert [state["label"] for state in states] == [
        {"parameters": "temperature 0"},
        {"parameters": "temperature 1"},
    ]


def test_the_note_about_local_models_is_said_once(home):
    form = Form("Hi", models=["local", "local:other"], iterations=2)
    answers = AnswerSet(1, plan_calls(form, {}))
    for number in range(1, 5):
        model = answers.request(number).model
        done = RunFinished(make_run(model=model, provider="local", status="completed"))
        answers.apply(number, done)

    _, panes = answers.changes_and_snapshot()

    said = [footer.LOCAL_NOTE in pane["notices"] for pane in panes]
    assert said == [True, False, False, False]


def test_a_footer_says_what_part_was_waiting():
    waited = [Attempt(1, 0, 300, 429), Attempt(2, 12_000, 1_800)]
    run = make_run(response_time_ms=14_100, attempts=waited)

    assert " · 2.1 s + 12 s waiting · " in footer.line(run)
