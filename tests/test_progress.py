"""The line about calls that take long."""

import asyncio
import threading
from datetime import UTC, datetime
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import progress
from llm_playground.events import Preparing, Retrying, RunFinished, TextDelta, Waiting
from llm_playground.progress import Progress
from llm_playground.types import Parameters, Run
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, json_reply


def a_run(**fields):
    return Run("0", "0", "0", 1, "a:b", "a", NOW, Parameters(), status="completed", **fields)


NOW = datetime(2026, 3, 31, tzinfo=UTC)
LIMITED = Waiting("Waiting 6 s for the rate limit of OpenAI.", rate_limited=True)
RETRY = Retrying(2, 5, 6.0, "OpenAI limits the rate (429). Run again in 6 s.", rate_limited=True)
ANSWERED = RunFinished(a_run(cost_usd=Decimal("0.0031")))


@pytest.mark.parametrize(
    ("total", "events", "line"),
    [
        (1, [], ""),
        (1, [LIMITED], "Waiting 6 s for the rate limit of OpenAI."),
        (1, [Preparing("Downloading", 0.5)], "Downloading 50%"),
        (1, [RETRY], "OpenAI limits the rate (429). Next try in 6 s, 2 of 5."),
        (1, [RETRY, TextDelta("a")], ""),
        (24, [], "0 of 24 answers"),
        (24, [ANSWERED], "1 of 24 answers · $0.0031 so far"),
        (24, [RunFinished(a_run())], "1 of 24 answers"),
        (24, [LIMITED], "0 of 24 answers · 1 waiting for a rate limit"),
        (24, [Waiting("Waiting for the budget.")], "0 of 24 answers · 1 waiting"),
        (24, [LIMITED, ANSWERED], "1 of 24 answers · $0.0031 so far"),
    ],
)
def test_the_line(total, events, line):
    shown = Progress(total)
    for event in events:
        shown.take("a", event)

    assert shown.line() == line


class Lines:
    """A place for the line that keeps everything that was shown."""

    def __init__(self):
        self.shown, self.last, self.seen = [], [], threading.Event()

    def show(self, text):
        self.shown.append(text)
        self.seen.set()

    def end(self, text):
        self.last.append(text)


@pytest.fixture
def lines(monkeypatch):
    place = Lines()
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setattr(progress, "_UPDATE_EVERY_S", 0.01)
    monkeypatch.setattr(progress, "_line", lambda: place)
    return place


ANSWER = Reply(openai_stream(["Hi"]))


@pytest.mark.parametrize("ask", [lp.ask, lambda *a: asyncio.run(lp.complete(*a))])
def test_a_call_that_waits_is_shown_and_ends_with_its_footer(serve, lines, ask):
    serve(json_reply(429, {"error": {"message": "slow"}}, {"retry-after": "1"}), ANSWER)

    run = ask("Hi", "openai:gpt-4o")

    assert lines.shown[0].endswith("2 of 5.")
    assert lines.last == [progress.footer.line(run)]


def test_a_comparison_ends_with_its_sum(serve, lines):
    serve(ANSWER, Reply((lines.seen, *openai_stream(["Hi"]))))

    lp.compare("Hi", "openai:gpt-4o", n=2)

    assert " of 2 answers" in lines.shown[0]
    assert lines.last[0].startswith("2 answers · $")


def test_calls_awaited_at_once_share_a_line(serve, lines):
    limited = json_reply(429, {"error": {"message": "slow"}}, {"retry-after": "1"})
    serve(limited, limited, *[ANSWER] * 3)

    async def gathered():
        await asyncio.gather(*(lp.complete("Hi", "openai:gpt-4o") for _ in range(3)))

    asyncio.run(gathered())

    assert " of 3 answers" in lines.shown[-1]
    assert [text.partition(" · ")[0] for text in lines.last] == ["3 answers"]


def test_only_terminals_and_notebooks_have_a_line(capsys, monkeypatch):
    monkeypatch.setattr(progress, "_shell", lambda: None)
    assert progress._line() is None

    monkeypatch.setattr(progress, "is_terminal", lambda: True)
    line = progress._line()
    line.show("1 of 2")
    line.end("2 answers")
    lp.configure(progress=False)

    assert progress._line() is None
    assert capsys.readouterr().err == "\r\x1b[2K1 of 2\r\x1b[2K"
