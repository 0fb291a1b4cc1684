"""Documents list runs as they were asked for, the oldest first."""

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest

import llm_playground as lp
from llm_playground.ids import new_id
from llm_playground.recording import numbers
from tests.exporting.shelf import KEY, run
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.reports.shelf import NEW_YEAR, add

FORMATS = ("markdown", "html", "notebook")
SECOND = timedelta(seconds=1)


def answers(document):
    """The answers ``answer-N`` in a document, each where it is first."""
    return list(dict.fromkeys(re.findall(r"answer-\d", document)))


@pytest.mark.parametrize("form", FORMATS)
def test_the_oldest_execution_is_the_first(log, form):
    for number, at in enumerate((NEW_YEAR + SECOND / 2, NEW_YEAR, NEW_YEAR + SECOND)):
        add(log, text=f"answer-{number}", question=f"Question {number}?", at=at)

    runs = lp.runs()

    assert answers(lp.export(runs, form)) == ["answer-1", "answer-0", "answer-2"]
    assert [row["run_id"] for row in json.loads(lp.export(runs))["runs"]] == list(runs.run_id)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.usefixtures("home")
def test_iterations_and_models_keep_their_order(form):
    first, second = sorted((new_id(), new_id()))
    runs = [
        run("answer-0", "m:a", execution_id=first, iteration_number=1),
        run("answer-1", "m:a", execution_id=first, iteration_number=2),
        run("answer-2", "m:b", execution_id=second, iteration_number=1),
    ]
    ended_otherwise = [replace(one, id=new_id()) for one in reversed(runs)]

    assert answers(lp.export(ended_otherwise, form)) == ["answer-0", "answer-1", "answer-2"]


def test_a_notebook_in_mode_reuse_gets_each_answer_in_its_cell(home, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    said = [f"answer-{number}" for number in range(3)]
    with WireServer([Reply(openai_stream([text])) for text in said]) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        for _ in said:
            lp.ask("Say a number.", "openai:gpt-4o")
        cells = json.loads(lp.export(lp.runs(), "notebook"))["cells"]
        numbers.reset()  # as in a new kernel
        lp.configure(mode="reuse")
        codes = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"][1:]
        found = [eval(code, {"lp": lp}).text for code in codes]

    assert found == said
    assert len(server.requests) == 3


def test_only_failed_runs_are_counted_as_failed(log):
    for status in ("completed", "cancelled", "failed", "blocked", "interrupted"):
        add(log, status=status, text="")
    add(log, model="m:b")

    html = lp.export(lp.runs(), "html")

    models = html.partition("<h2>Models</h2>")[2].partition("</section>")[0]
    figures = [re.findall(r"<td[^>]*>([^<]*)</td>", line) for line in models.split("<tr>")[2:]]
    assert [line[:3] for line in figures] == [["openai:gpt-x", "5", "1"], ["m:b", "1", ""]]
