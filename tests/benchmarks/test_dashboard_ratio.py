"""A short form of ``dashboard``: a redraw against the reports that it is made of, in CPU."""

import pytest

from llm_playground import _lifecycle, config
from llm_playground.dashboards.figures import State
from llm_playground.reports import spending
from tests.benchmarks.dashboard import made, redrawn
from tests.benchmarks.many_runs import fill
from tests.benchmarks.runlog_reports import best

ROWS = 100_000


@pytest.fixture(scope="module")
def costs_cpu_ms(tmp_path_factory):
    """What the costs by day and model, and by user and notebook, take on a log with many runs."""
    with _lifecycle.isolated_state():
        path = str(tmp_path_factory.mktemp("large") / "runs.duckdb")
        fill(path, ROWS)
        config.configure(log=path)
        by = (["day", "model"], ["user", "notebook"])
        yield best(lambda: [spending.costs(names) for names in by], times=3)[1]


def test_a_redraw_costs_little_more_than_its_reports(costs_cpu_ms):
    dashboard = made()
    assert best(redrawn(dashboard, State()), times=3)[1] < 4 * costs_cpu_ms


def test_an_unchanged_log_is_not_read_again(costs_cpu_ms):
    dashboard = made()
    kept = best(redrawn(dashboard, State(), is_kept=True), times=3)[1]
    assert kept < 0.6 * best(redrawn(dashboard, State()), times=3)[1]
