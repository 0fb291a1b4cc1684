"""``kill -9`` in mid-stream: what the provider had counted is in the log and in its price."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.runlog import open_log
from llm_playground.runlog.reading import json_value, run_of
from llm_playground.types import Attempt, Usage
from tests.providers.formats import anthropic_stream, gemini_stream, openai_stream
from tests.providers.server import Reply, WireServer
from tests.runlog.actors import begin, prompt

ROOT = Path(__file__).parents[2]
LIMIT_S = 240
KEY = "planted-" + "key-" * 4
PIECE = "word " * 20
RECEIVED = 25  # tokens of a piece, as estimated here

ASK = """
import asyncio, sys, llm_playground as lp
from llm_playground.events import TextDelta
lp.configure(confirm_above_usd=None)

async def ask(model):
    async for event in lp.stream("Hi", model):
        if isinstance(event, TextDelta):
            print(model, flush=True)

async def main():
    await asyncio.gather(*map(ask, sys.argv[1:]))

asyncio.run(main())
"""


@dataclass(frozen=True)
class Told:
    """What the beginning of an answer tells, and what the row of the killed run has of it."""

    events: tuple[bytes, ...]
    columns: dict[str, object]
    usd: float


WRITTEN = {
    "input_tokens": 10,
    "cache_read_input_tokens": 20_000,
    "cache_creation_input_tokens": 90_000,
    "cache_creation": {"ephemeral_5m_input_tokens": 60_000, "ephemeral_1h_input_tokens": 30_000},
    "service_tier": "standard",
}
CACHED = {
    "promptTokenCount": 50_000,
    "cachedContentTokenCount": 10_000,
    "candidatesTokenCount": 400,
    "totalTokenCount": 50_400,
}
TIERED = openai_stream([PIECE], usage=None, finish_reason=None, done=False)
ANSWERS = {
    "anthropic:claude-sonnet-4-5": Told(
        anthropic_stream([PIECE], usage=WRITTEN, stop_reason=None, done=False),
        {
            "response_model": "claude-sonnet-4-5-20250929",
            "input_tokens": 110_010,
            "output_tokens": RECEIVED,
            "cache_read_tokens": 20_000,
            "cache_write_tokens": 90_000,
            "service_tier": "standard",
            "billed_units": {"cache_write_1h_tokens": 30_000},
        },
        (10 * 3 + 20_000 * 0.3 + 60_000 * 3.75 + 30_000 * 6 + RECEIVED * 15) / 1e6,
    ),
    "gemini:gemini-2.5-flash": Told(
        gemini_stream([PIECE], usage=CACHED, finish_reason=None),
        {
            "response_model": "gemini-2.5-flash",
            "input_tokens": 50_000,
            "output_tokens": 400,  # counted, and more than its text has
            "cache_read_tokens": 10_000,
        },
        (40_000 * 0.3 + 10_000 * 0.03 + 400 * 2.5) / 1e6,
    ),
    # It counts at its end; until then its tier and the model that answers are known.
    "openai:gpt-4.1": Told(
        tuple(event.replace(b'{"id"', b'{"service_tier": "priority", "id"') for event in TIERED),
        {
            "response_model": "gpt-4o-2024-08-06",
            "input_tokens": 1,
            "output_tokens": RECEIVED,
            "service_tier": "priority",
        },
        (1 * 4.25 + RECEIVED * 17) / 1e6,
    ),
}
PATHS = {"/messages": "anthropic", "GenerateContent": "gemini", "/chat/": "openai"}


@pytest.fixture
def vendors(log_url, monkeypatch):
    """A server with the addresses of all vendors; each answer stays in its middle."""

    def answer(request):
        provider = next(PATHS[part] for part in PATHS if part in request.path)
        [expected] = [expected for model, expected in ANSWERS.items() if model.startswith(provider)]
        return Reply(expected.events, end="hang")

    monkeypatch.setenv("LLM_PLAYGROUND_LOG", log_url)
    with WireServer(answer) as server:
        for name, path in {"OPENAI": "/v1", "ANTHROPIC": "", "GOOGLE_GEMINI": ""}.items():
            monkeypatch.setenv(f"{name}_API_KEY", KEY)
            monkeypatch.setenv(f"{name}_BASE_URL", f"{server.url}{path}")
        yield


def test_a_killed_run_has_what_its_provider_told(vendors):
    command = [sys.executable, "-c", ASK, *ANSWERS]
    asking = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert {asking.stdout.readline().strip() for _ in ANSWERS} == {*ANSWERS}
        running = lp.runs().set_index("model")  # which the row that comes later replaces
    finally:
        asking.send_signal(signal.SIGKILL)
        asking.communicate(timeout=LIMIT_S)
    assert running.input_tokens["anthropic:claude-sonnet-4-5"] == 110_010
    open_log().drain()
    lp.set_budget(100)

    spent_usd = lp.budgets().spent_usd[0]

    rows = {row["model"]: row for row in lp.runs().to_dict("records")}
    for model, expected in ANSWERS.items():
        row = rows[model]
        assert (row["status"], row["response_text"]) == ("interrupted", PIECE)
        row["billed_units"] = json_value(row["billed_units"])
        assert {name: row[name] for name in expected.columns} == expected.columns
        assert (row["usage_source"], row["price_source"]) == ("estimated", "genai-prices")
        assert row["cost_usd"] == pytest.approx(expected.usd)
        assert len(json_value(row["attempts"])) == 1
    assert spent_usd == pytest.approx(sum(expected.usd for expected in ANSWERS.values()))


# By what another program, or a provider that cannot count, left in the row of an interrupted run:
# its input and its cost in millionths of a dollar. The prompt is one token, as estimated.
ROWS = {
    "no counts": ({}, "NULL", 1, 2),
    "counts": ({"usage": Usage(1_000), "usage_source": "provider"}, "NULL", 1_000, 2_000),
    "impossible counts": ({"usage": Usage(10**15), "usage_source": "provider"}, "NULL", 1, 2),
    "units of another form": ({"usage": Usage(5)}, "'[1]'", 5, 10),
}


@pytest.mark.parametrize("case", ROWS)
def test_a_row_without_a_cost_gets_one(log_url, monkeypatch, case):
    known, units, input_tokens, micro_usd = ROWS[case]
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", log_url)
    lp.configure(prices={"openai:*": {"input_usd_per_mtok": 2, "output_usd_per_mtok": 10}})
    log = open_log()
    run = begin(log, prompt("Hi", model="openai:any"))
    log.finished(replace(run, status="interrupted", **known))
    log.change(lambda session: session.execute(f"UPDATE results SET billed_units = {units}"))
    lp.set_budget(1)

    assert lp.budgets().spent_usd[0] == pytest.approx(micro_usd / 1e6)
    [row] = log.rows("SELECT input_tokens, usage_source, tokens_used FROM results")
    assert (row["input_tokens"], row["usage_source"]) == (input_tokens, "estimated")
    expected = {"input": input_tokens, "output": 0, "total": input_tokens}
    assert json.loads(row["tokens_used"]) == expected


@dataclass(frozen=True)
class Killed:
    """A run in a state in which its process dies, and what is known of its cost then.

    The prompt is one token, as estimated; it costs 2 and the answer 10 dollars per million tokens.
    """

    known: dict[str, object]  # of the row that was recorded last
    text: str = ""
    usd: float | None = None
    least_usd: float | None = None
    footer: str = ""


IN_BACKGROUND = [Attempt(1, 0, 1, response_id="r1")]
KILLED = {
    "before the first delta": Killed({}, "", 2e-6, None, "< $0.0001 · about 0 tokens"),
    "in mid-stream": Killed({}, PIECE, 252e-6, None, "about $0.0003 · about 25 tokens"),
    "in the arguments of a call": Killed(
        {"usage": Usage(1, 40)}, "", 402e-6, None, "about $0.0004 · about 40 tokens"
    ),
    "after a stated cost": Killed(
        {"at_least_usd": Decimal("0.5")}, "", 0.5, None, "about $0.5000 · about 0 tokens"
    ),
    "in the background": Killed(
        {"attempts": IN_BACKGROUND}, "", None, 2e-6, "at least $0.0000020 · about 0 tokens"
    ),
}
LEAVE = """
import os, sys
from tests.budgeting.test_interrupted import leave
leave(sys.argv[1])
os._exit(1)
"""


def leave(url):
    """Record all runs of :data:`KILLED`, and end none."""
    log = open_log(url)
    for number, killed in enumerate(KILLED.values()):
        run = begin(log, prompt("Hi", model=f"openai:m{number}"))
        log.updated(replace(run, **{"attempts": [Attempt(1, 0, 1)], **killed.known}))
        if killed.text:
            log.text(run.id, killed.text)


def test_reports_have_what_killed_runs_cost(log_url, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", log_url)
    lp.configure(prices={"openai:m*": {"input_usd_per_mtok": 2, "output_usd_per_mtok": 10}})
    subprocess.run([sys.executable, "-c", LEAVE, log_url], cwd=ROOT, check=False, timeout=LIMIT_S)

    costs = lp.costs(by="model").astype(object).set_index("model")  # first: nothing priced them yet
    runs = {row["model"]: run_of(row) for row in open_log().rows("SELECT * FROM runs")}

    for number, (case, killed) in enumerate(KILLED.items()):
        row, run = costs.loc[f"openai:m{number}"], runs[f"openai:m{number}"]
        usd, least_usd = (None if n != n else n for n in (row.cost_usd, row.at_least_usd))
        assert (usd, least_usd) == (pytest.approx(killed.usd), pytest.approx(killed.least_usd)), (
            case
        )
        assert (row.estimated_runs, row.unpriced_runs) == (1, int(killed.usd is None)), case
        assert footer.line(run) == killed.footer, case
    assert costs.estimated_usd.sum() == pytest.approx(sum(one.usd or 0 for one in KILLED.values()))


def test_of_a_run_that_goes_on_or_died_nothing_is_said_to_be_free():
    run = run_of({"run_id": "r", "status": "interrupted"})

    assert footer.line(run) == "price unknown"
    assert footer.line(replace(run, status="running")) == "price unknown"
    assert footer.line(replace(run, status="failed")) == "nothing billed"
