"""``kill -9`` in mid-stream: what the provider had counted is in the log and in its price."""

import json
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground.runlog import open_log
from llm_playground.runlog.reading import json_value
from llm_playground.types import Usage
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
