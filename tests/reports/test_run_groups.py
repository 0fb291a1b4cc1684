"""Runs that were sent together are one group."""

from datetime import timedelta
from decimal import Decimal

import pytest

import llm_playground as lp
from llm_playground import retention
from llm_playground.errors import InvalidParameterError
from llm_playground.reports import run_groups
from tests.reports.shelf import NEW_YEAR, add_row
from tests.runlog.actors import begin, execution_of, prompt, record

DAY = timedelta(days=1)
A, B = "openai:gpt-x", "anthropic:claude-y"


def together(log, at, *models, iterations=1, question="A question?", **known):
    """Runs of one Run that began at ``at``, each a little later than the one before."""
    runs = []
    for model in models:
        request = prompt(question, model=model)
        execution = execution_of(
            request, started_at=at, process="p1", cell_id="c1", iterations=iterations
        )
        for number in range(1, iterations + 1):
            started_at = at + timedelta(milliseconds=1 + len(runs))
            begun = {"started_at": started_at, "iteration_number": number}
            runs.append(record(log, request, execution, begun=begun, **known))
    return runs


def groups(limit=10, **options):
    return run_groups.newest(limit=limit, **options)


def test_models_and_iterations_of_one_run_are_one_group(log):
    older = together(log, NEW_YEAR, A, question="Older?", cost_usd=None)
    runs = together(log, NEW_YEAR + DAY, A, B, iterations=2, cost_usd=Decimal("0.0003"))
    failed = together(log, NEW_YEAR + 2 * DAY, A, status="failed", text="")

    newest, group, oldest = groups()

    assert (newest.run_id, dict(newest.statuses)) == (failed[0].id, {"failed": 1})
    assert (group.run_id, group.asked_at) == (runs[0].id, NEW_YEAR + DAY)
    assert list(group.models.items()) == [(A, 2), (B, 2)]
    assert (group.cost_usd, group.unpriced, group.is_free) == (Decimal("0.0012"), 0, False)
    assert (group.prompt, group.answer, group.source) == ("A question?", "An answer.", "test")
    assert (oldest.prompt, oldest.cost_usd, oldest.unpriced) == ("Older?", None, 1)
    for run in runs:
        assert run_groups.members(run.id) == [one.id for one in runs]
    assert run_groups.members(older[0].id) == [older[0].id]


def test_what_is_known_of_a_cost_is_in_no_other_figure(log):
    request = prompt()
    execution = execution_of(request, started_at=NEW_YEAR, process="p1", cell_id="c1")
    known = {"begun": {"started_at": NEW_YEAR}}
    about = {"cost_usd": Decimal("0.001"), "usage_source": "estimated"}
    least = {"cost_usd": None, "at_least_usd": Decimal("0.0003")}
    for more in (about, least, {"cost_usd": None}):
        record(log, request, execution, **known, **more)

    [group] = groups()

    assert (group.cost_usd, group.at_least_usd) == (Decimal("0.001"), Decimal("0.0003"))
    assert (group.is_estimated, group.unpriced) == (True, 1)


def test_other_processes_cells_and_bare_rows_are_groups_of_their_own(log):
    for place in ({"process": "p1"}, {"process": "p2"}, {"process": "p2", "cell_id": "c2"}):
        request = prompt()
        record(log, request, execution_of(request, started_at=NEW_YEAR, **place))
    later = prompt()  # an execution that another program wrote, later than its run
    execution = execution_of(later, started_at=NEW_YEAR + 9 * DAY)
    record(log, later, execution, begun={"started_at": NEW_YEAR + DAY})
    add_row(log, model="theirs:m", response_text="theirs", started_at=NEW_YEAR + 2 * DAY)
    if log.dialect == "duckdb":  # PostgreSQL refuses it
        add_row(log, model="theirs:m", response_text="no time", started_at=None)

    found = groups()

    assert [group.asked_at - NEW_YEAR for group in found] == [2 * DAY, DAY, *[0 * DAY] * 3]
    assert found[0].answer == "theirs"
    assert all(len(run_groups.members(group.run_id)) == 1 for group in found)


def test_pages_have_each_group_once(log, monkeypatch):
    monkeypatch.setattr(run_groups, "_FIRST_ROWS", 3)
    for number in range(7):  # two that began at the same moment; one longer than what is read first
        at = NEW_YEAR + (number // 2) * DAY
        together(log, at, *([A, B] if number % 2 else [A]), iterations=1 if number % 2 else 5)
        together(log, at, A, question=f"Other {number}?")
    at_once = [group.position for group in groups(limit=100)]
    shown, before = [], None
    while page := groups(limit=2, before=before):
        shown += [group.position for group in page]
        before = shown[-1]

    assert shown == at_once == sorted(set(shown), reverse=True)


def test_finds_a_group_by_one_of_its_answers(log):
    together(log, NEW_YEAR, A, B, question="Whales?")
    runs = together(log, NEW_YEAR + DAY, A, iterations=2)
    request = prompt("Snow?", model=B)
    execution = execution_of(request, started_at=NEW_YEAR + DAY, process="p1", cell_id="c1")
    snow = record(log, request, execution, text="White.")

    [group] = groups(search="WHITE")
    assert (group.run_id, group.answer, sum(group.models.values())) == (snow.id, "White.", 3)
    assert [group.prompt for group in groups(search="whales")] == ["Whales?"]
    assert [group.run_id for group in groups(among=[runs[1].id])] == [runs[1].id]
    assert groups(search="nothing like it") == groups(among=[]) == []

    log.drain()
    retention.purge(older_than=timedelta(), keep="compressed", dry_run=False)
    assert groups(search="white") == []
    [group] = groups(search="white", search_compressed=True)
    assert (group.run_id, group.answer, group.is_compressed) == (snow.id, "White.", True)
    assert groups(search="white", search_compressed=True, among=[runs[0].id]) == []


def test_running_runs_are_in_their_group(log):
    request = prompt()
    execution = execution_of(request, started_at=NEW_YEAR, iterations=2)
    record(log, request, execution)
    begin(log, request, execution, iteration_number=2)

    [group] = groups()

    assert dict(group.statuses) == {"completed": 1, "running": 1}


def test_unknown_run_is_an_error_in_one_line(log):
    with pytest.raises(InvalidParameterError, match="no longer has this run"):
        run_groups.members("nothing")


def test_a_comparison_of_several_prompts_is_one_group(home):
    runs = lp.compare(["One.", "Two."], "local", n=2, max_tokens=1).runs
    lp.ask("Three.", "local", max_tokens=1)

    alone, group = groups()

    assert (sum(alone.models.values()), sum(group.models.values())) == (1, 4)
    assert run_groups.members(runs[3].id) == [run.id for run in runs]
