"""A short form of ``runlog_reports``: what reports cost against what they are made of, in CPU.

Limits are well above what is measured at rest, so that a busy machine does not fail them.
"""

import duckdb
import pytest

from llm_playground import _lifecycle, config, reports
from llm_playground.reports import run_rows, spending
from llm_playground.reports.spending import FIGURES
from tests.benchmarks import runlog_reports
from tests.benchmarks.many_runs import fill

ROWS = 200_000
THROUGH_THE_VIEW = f"""
SELECT strftime(started_at AT TIME ZONE 'UTC', '%Y-%m') AS month, model, {FIGURES}
FROM runs GROUP BY ALL ORDER BY ALL
"""


def cpu_ms(work):
    return runlog_reports.best(work, times=5)[1]


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A log with many runs, which reports read."""
    with _lifecycle.isolated_state():
        path = str(tmp_path_factory.mktemp("large") / "runs.duckdb")
        fill(path, ROWS)
        config.configure(log=path)
        yield path


@pytest.fixture(scope="module")
def opening(path):
    return cpu_ms(lambda: reports.sql("SELECT 1"))


@pytest.fixture(scope="module")
def costs(path):
    return cpu_ms(spending.costs)


def test_monthly_costs_are_little_more_than_their_query_and_the_opening(path, opening, costs):
    query = runlog_reports.costs_query()
    with duckdb.connect(path, read_only=True) as connection:
        bare = cpu_ms(lambda: connection.execute(*query).fetchnumpy())
    assert costs < 2 * (opening + bare)


def test_monthly_costs_are_not_joined_for_nothing(opening, costs):
    joined = cpu_ms(lambda: reports.sql(THROUGH_THE_VIEW))
    assert costs - opening < 0.5 * (joined - opening)


def test_monthly_costs_are_faster_than_sqlites(path, costs, tmp_path):
    assert costs < 0.5 * runlog_reports.of_sqlite(path, tmp_path)[1]


def test_the_newest_runs_are_found_before_anything_is_joined(opening):
    newest = cpu_ms(lambda: run_rows.runs(limit=100))
    naive = "SELECT * FROM runs ORDER BY started_at DESC, run_id DESC LIMIT 100"
    joined = cpu_ms(lambda: reports.sql(naive))
    assert newest - opening < 0.5 * (joined - opening)
