"""How soon a playground can be used after its cell was executed, beside an ``ipywidgets`` form.

    python tests/benchmarks/opening.py [rounds]

In JupyterLab, on a kernel that has executed the README's first cell. Counted from the press of
Shift+Enter until the prompt can be typed into, Run can be pressed and a frame with both was
painted: for the first panel of a page, which brings the front end's code, and for the next one.
"""

import os
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Browser, sync_playwright

from tests.browser.conftest import BROWSERS, FLAGS
from tests.browser.pages import NotebookPage, Server, serving

ROUNDS = 5
IMPORTS = "%load_ext llm_playground\nimport llm_playground as lp, ipywidgets as w"
SHOW = {
    "lp.Playground()": "lp.Playground()",
    "ipywidgets form": (
        "w.VBox([w.Textarea(), w.Dropdown(options=['a']), w.FloatSlider(), w.IntSlider(),"
        " w.Button(description='Run')])"
    ),
}
# Resolves with the time in ms at which the n-th panel of the page can be used.
WATCH = """(many) => {
  window.usable = new Promise((resolve) => {
    const isUsable = () =>
      [...document.querySelectorAll(".jp-OutputArea-output")].filter((output) => {
        const run = [...output.querySelectorAll("button")].some(
          (button) => /^Run\\b/.test(button.textContent) && !button.disabled);
        const prompt = output.querySelector("textarea, [contenteditable=true]");
        return run && prompt && prompt.getClientRects().length;
      }).length >= many;
    const look = () => {
      if (isUsable()) requestAnimationFrame(() => resolve(Date.now()));
      else requestAnimationFrame(look);
    };
    look();
  });
  window.addEventListener("keydown", (event) => {
    if (event.key === "Enter") window.pressedAt = Date.now();
  }, { capture: true });
}"""


def opened_ms(browser: Browser, server: Server, show: str) -> tuple[float, float]:
    """For the first and for the second panel of a new page."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    notebook = NotebookPage.opened(page, server, [IMPORTS, show, show])
    notebook.run_cell(0)
    took = []
    for many in (1, 2):
        page.evaluate(WATCH, many)
        notebook.start_cell(many)
        took.append(page.evaluate("window.usable.then((at) => at - window.pressedAt)"))
        page.wait_for_timeout(1_000)
    notebook.shut_down()
    page.context.close()
    return took[0], took[1]


def measure(rounds: int = ROUNDS) -> dict[str, tuple[float, float]]:
    """Medians in ms, first and next panel of a page, in turn."""
    environment = {
        "LLM_PLAYGROUND_LOCAL_MODEL": os.environ.get("LLM_PLAYGROUND_LOCAL_MODEL", ""),
        "PYTHONDONTWRITEBYTECODE": "",  # pip compiles an installed package: imports read bytecode
    }
    folder = Path(tempfile.mkdtemp())
    with serving(folder, environment=environment) as server, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        found = [
            {name: opened_ms(browser, server, show) for name, show in SHOW.items()}
            for _ in range(rounds)
        ]
        browser.close()
    shutil.rmtree(folder, ignore_errors=True)
    return {
        name: (
            statistics.median(one[name][0] for one in found),
            statistics.median(one[name][1] for one in found),
        )
        for name in SHOW
    }


if __name__ == "__main__":
    print(f"{'':20}{'first of a page':>18}{'next':>10}")
    for name, (first_ms, next_ms) in measure(*map(int, sys.argv[1:])).items():
        print(f"{name:20}{first_ms:15.0f} ms{next_ms:7.0f} ms")
