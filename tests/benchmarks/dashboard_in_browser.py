"""Redraws of the dashboard in JupyterLab: ``... dashboard_in_browser.py [ROWS] [PICTURES]``.

Makes a log of ROWS results (1,000,000) and opens its dashboard. Prints how long each section takes
from the press of its tab until a frame with it was painted: with the log read anew, and from what
is kept; medians of five. Then writes pictures of each section, light and dark, 800 and 1,400 px
wide, into PICTURES (the folder of the tests' own) and runs axe-core, which ``npm ci`` in tests/js
installs.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import sync_playwright

from tests.benchmarks.many_runs import fill
from tests.browser import test_dashboard
from tests.browser.conftest import BROWSERS, FLAGS
from tests.browser.pages import NotebookPage, serving
from tests.browser.test_accessibility import LOAD_THEMES, THEMES
from tests.browser.test_dashboard import RUN_AXE, SECTIONS, SHOTS, take_pictures

TIMES = 5
AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"
# Presses a tab; resolves with the ms until its section is drawn and a frame with it was painted.
PRESS = """section => new Promise(resolve => {
  const board = document.querySelector(".llm-dashboard");
  const panel = board.querySelector("[role=tabpanel]");
  const before = panel.firstChild;
  const began = performance.now();
  const seen = new MutationObserver(() => {
    const tab = board.querySelector(`[data-section="${section}"]`);
    const isBusy = board.querySelector(".llm-dash-status").textContent !== "";
    if (tab.ariaSelected !== "true" || isBusy || panel.firstChild === before) return;
    seen.disconnect();
    requestAnimationFrame(() => setTimeout(() => resolve(performance.now() - began)));
  });
  seen.observe(board, { subtree: true, childList: true, attributes: true, characterData: true });
  board.querySelector(`[data-section="${section}"]`).click();
})"""


def redraw_ms(notebook: NotebookPage, section: str, *, is_kept: bool) -> float:
    """The median time from the press of a section's tab until it was painted."""
    took = []
    for _ in range(TIMES):
        other = "overview" if section == "runs" else "runs"
        test_dashboard.show(notebook, other)
        if not is_kept:
            notebook.in_kernel("d._figures._kept = {}")
        took.append(notebook.page.evaluate(PRESS, section))
    return statistics.median(took)


def main(rows: int = 1_000_000, pictures: Path = SHOTS) -> None:
    """Print the times and what axe-core finds."""
    test_dashboard.SHOTS = pictures
    pictures.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp())
    model = {"LLM_PLAYGROUND_LOCAL_MODEL": os.environ.get("LLM_PLAYGROUND_LOCAL_MODEL", "")}
    with serving(folder, environment=model) as server, sync_playwright() as playwright:
        fill(str(server.folder / "dashboard.duckdb"), rows)
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        page = browser.new_page(viewport={"width": 1400, "height": 1400})
        notebook = NotebookPage.opened(page, server, [test_dashboard.CELL])
        notebook.run_cell(0)
        print(f"{'section':12}{'read anew':>14}{'kept':>10}")
        for section in SECTIONS:
            anew_ms, kept_ms = (
                redraw_ms(notebook, section, is_kept=is_kept) for is_kept in (False, True)
            )
            print(f"{section:12}{anew_ms:11.0f} ms{kept_ms:7.0f} ms", flush=True)
        page.evaluate(AXE.read_text("utf-8"))
        page.evaluate(LOAD_THEMES, THEMES)
        for section in SECTIONS:
            test_dashboard.show(notebook, section)
            take_pictures(notebook, f"{rows}-{section}")
            print(f"{section}: axe-core found {page.evaluate(RUN_AXE) or 'nothing'}")
        notebook.shut_down()
        browser.close()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *map(Path, sys.argv[2:]))
