"""A notebook that two kernels replay, each with a log of its own, has the same outputs."""

import json
import os
import re
from decimal import Decimal

import nbclient
import nbformat
import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.events import RunFinished
from llm_playground.progress import Progress
from tests.providers.formats import openai_stream
from tests.providers.server import Reply
from tests.test_progress import a_run
from tests.test_tool_use import calling

MODEL = "openai:gpt-4o"
SHOWN = "See [a](http://x.y).\n\n```python\nprint(1)\n```\n"


def weather(city: str) -> str:
    """The weather now."""
    return f"rain in {city}"


CELLS = (
    'import llm_playground as lp\n%load_ext llm_playground\nlp.configure(mode="replay")',
    'def weather(city: str) -> str:\n    "The weather now."\n    return f"rain in {city}"',
    f'run = lp.ask("one", "{MODEL}")\nrun',
    "print(repr(run), run.attempts)",
    f"%llm -m {MODEL} two",
    f"%%llm -m {MODEL} -n 2\nthree",
    f'for event in lp.stream("four", "{MODEL}"):\n    print(event)',
    f'both = lp.compare(["five", "six"], "{MODEL}", n=2)\nboth',
    "both.df",
    "print(both)",
    f'lp.ask_with_tools("umbrella", "{MODEL}", tools=[weather])',
    f'lp.ask("seven", "{MODEL}", schema=list[str])',  # warns, since the answer is no list
    f'await lp.complete("eight", "{MODEL}")',
    "lp.runs()",
)


def record():
    """The calls of the notebook, once."""
    for prompt in ("one", "two", "four", "eight"):
        lp.ask(prompt, MODEL)
    lp.compare(["three"], MODEL, n=2)
    lp.compare(["five", "six"], MODEL, n=2)
    lp.ask_with_tools("umbrella", MODEL, tools=[weather])
    with pytest.warns(lp.SchemaWarning):
        lp.ask("seven", MODEL, schema=list[str])


def replayed(folder, home):
    """The outputs of the notebook's cells in a new kernel."""
    cells = [nbformat.v4.new_code_cell(source, id=f"c{n}") for n, source in enumerate(CELLS)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    environment = {**os.environ, "LLM_PLAYGROUND_HOME": str(home)}
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(folder)}}
    )
    client.execute(env=environment)
    return [cell.outputs for cell in notebook.cells]


def test_two_replays_of_a_notebook_have_the_same_outputs(serve, home, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_RECORDING", str(tmp_path / "recordings" / "one.yaml"))

    def answer(request):
        messages = json.loads(request.body)["messages"]
        is_first = messages[-1]["content"] == "umbrella"
        return calling(("weather", {"city": "Oslo"})) if is_first else Reply(openai_stream([SHOWN]))

    serve(answer)
    lp.configure(mode="record")
    record()
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name)

    first, second = (replayed(tmp_path, tmp_path / f"home {n}") for n in range(2))

    for source, one, other in zip(CELLS, first, second, strict=True):
        assert json.dumps(one) == json.dumps(other), source
    [shown] = first[2]
    assert shown.data["text/plain"].endswith(", reused, saved $0.0000775)")
    assert ">run_id</th>" not in first[8][0].data["text/html"]


SAVED = {"cached": True, "saved_usd": Decimal("2.10"), "cost_usd": Decimal(0)}
PAID = {"cost_usd": Decimal("0.0031")}
TOTALS = [
    ([SAVED, SAVED], 2, "reused 2 answers, saved $4.20", r"reused 2 answers, saved \$4.20"),
    ([SAVED, PAID], 2, "reused 1 of 2 answers, saved $2.10",
     r"2 answers · \$0.0031 · reused 1 of 2 answers, saved \$2.10 · [\d.]+ s"),
    ([SAVED, {"cached": True}], 2, "reused 2 answers, saved at least $2.10", "reused 2 .*"),
    ([SAVED | {"saved_usd": Decimal(0)}] * 2, 2, "reused 2 answers", "reused 2 answers"),
    ([SAVED, SAVED], 3, "reused 2 answers, saved $4.20", r"2 of 3 answers · reused 2 .*\$4.20"),
    ([PAID, PAID], 2, "", r"2 answers · \$0.0062 · [\d.]+ s"),
    ([SAVED], 1, "reused 1 answer, saved $2.10", r"reused, saved \$2.10"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "total", "sentence", "line"), TOTALS)
def test_several_reused_answers_have_one_total(fields, total, sentence, line):
    runs = [a_run(**one) for one in fields]
    progress = Progress(total)
    for number, run in enumerate(runs):
        progress.take(str(number), RunFinished(run))
    shown = lp.Comparison(tuple(runs), ("Hi",) * len(runs))

    assert footer.reused(runs) == sentence
    assert re.fullmatch(line, progress.last_line())
    assert sentence in repr(shown)
    assert sentence.replace("$", "<span>$</span>") in shown._repr_html_()
