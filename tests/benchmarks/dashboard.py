"""Redraws of the dashboard on a large log: ``python tests/benchmarks/dashboard.py [ROWS] [URL]``.

Makes a log of ROWS results (1,000,000), on DuckDB or in the empty PostgreSQL database at URL, and
prints what each section takes to draw, its reading of the log included: first, after another
filter, and again from what is kept. Best of five; ``cpu`` is what this
process spent.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from llm_playground import config
from llm_playground.dashboards import Dashboard
from llm_playground.dashboards.figures import State
from tests.benchmarks.many_runs import copy_to_postgres, fill
from tests.benchmarks.runlog_reports import best, say

TIMES = 5
SECTIONS = ("overview", "quality", "savings", "runs", "admin")


def made():
    """A dashboard of all runs."""
    return Dashboard({}, tz="UTC", admin=True, at=None, open_run=lambda _: None)


def redrawn(dashboard, state, *, is_kept=False):
    """Draw a state; without ``is_kept``, nothing that was read before is used."""

    def work():
        if not is_kept:
            dashboard._figures._kept = {}
        dashboard._draw(state)
        assert not dashboard.board.problem, dashboard.board.problem

    return work


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as name:
        url = made_at = str(Path(name) / "runs.duckdb")
        fill(made_at, rows)
        if len(sys.argv) > 2:
            url = sys.argv[2]
            copy_to_postgres(made_at, url)
        config.configure(log=url)
        dashboard = made()
        for section in SECTIONS:
            for filters in ((), (("model", "openai:model-1"),), (("user", "user-1"),)):
                state = State(filters, section)
                say(f"{section} {dict(filters)}", best(redrawn(dashboard, state), TIMES))
            kept = best(redrawn(dashboard, state, is_kept=True), TIMES)
            say(f"{section}, nothing changed", kept)


if __name__ == "__main__":
    main()
