"""What it costs to show growing answers in JupyterLab, beside the ways a notebook has without us.

    python tests/benchmarks/painting.py [panes] [deltas] [contender ...]
    python tests/benchmarks/painting.py flat

All in one run, one after the other: the playground, ``ipywidgets.HTML`` whose value is replaced at
every token, and ``display_id`` Markdown at every token and ten times a second. The deltas are made
in the kernel, 200 a second for each answer. Counted are bytes and messages of the websocket, how
long after it was made the last delta stands in the page, the CPU and the longest task of the
page's main thread, and the kernel's CPU beyond what the same streams cost without a view.

``flat`` asks whether a delta costs the same in a short and in a long answer: one pane, 1,000 to
100,000 deltas as fast as 2,500 a second.
"""

import json
import os
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import CDPSession, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLate

from tests.browser.conftest import BROWSERS, FLAGS
from tests.browser.pages import NotebookPage, serving

PANES, DELTAS = 4, 2_000
PER_SECOND = 200

# In the kernel: a provider that writes words, some as Markdown, and notes when it wrote the last.
WRITER = """
import asyncio, sys, time
import llm_playground as lp
from llm_playground import providers
from llm_playground import Finish, TextDelta, Usage

lp.configure(stop_repetition="off")  # what is written repeats itself
PANES, DELTAS, PER_SECOND = {panes}, {deltas}, {per_second}
written_at, began_at = [], []

def words(number):
    for i in range(DELTAS - 1):
        yield "word%d%s" % (i % 10, "\\n\\n" if i % 60 == 59 else " ")
    yield "ENDMARK"

async def paced(number):
    began = time.perf_counter()
    for i, word in enumerate(words(number)):
        wait = began + i / PER_SECOND - time.perf_counter()
        if wait < -1:  # the machine paused: what it missed does not come all at once
            began -= wait
        if wait > 0:
            await asyncio.sleep(wait)
        if word == "ENDMARK":
            written_at.append(time.time() * 1000)
        yield word

class Writer:
    async def stream(self, request):
        async for word in paced(0):
            yield TextDelta(word)
        yield Finish("stop", Usage(10, DELTAS))
    async def aclose(self): ...

async def connect(model, progress):
    return Writer()

providers.connect = connect
from IPython.display import HTML, display
display(HTML("<b>ready</b>"))  # JupyterLab loads what it draws outputs with at the first one

def begin():
    written_at.clear()
    began_at.append(time.time() * 1000)
    return time.process_time()
"""
WITHOUT_A_VIEW = """
cpu = begin()
async def read():
    async for event in lp.stream("hi", "local:writer"): pass
await asyncio.gather(*[read() for _ in range(PANES)])
cpu = time.process_time() - cpu
"""
SHOW = """
pg = lp.Playground("painting", models=["local:writer"], prompt="hi", n=PANES)
pg
"""
PLAYGROUND = """
cpu = begin()
pg.run()
while pg.running:
    await asyncio.sleep(0.05)
cpu = time.process_time() - cpu
"""
HTML_PER_TOKEN = """
import ipywidgets
shown = [ipywidgets.HTML() for _ in range(PANES)]
display(ipywidgets.HBox(shown))
cpu = begin()
async def show(number):
    async for event in lp.stream("hi", "local:writer"):
        if isinstance(event, lp.TextDelta): shown[number].value += event.text
await asyncio.gather(*[show(n) for n in range(PANES)])
cpu = time.process_time() - cpu
"""
MARKDOWN = """
from IPython.display import Markdown, display
every = {every}
handles = [display(Markdown(""), display_id=True) for _ in range(PANES)]
cpu = begin()
async def show(number):
    text, told = "", 0.0
    async for event in lp.stream("hi", "local:writer"):
        if not isinstance(event, lp.TextDelta): continue
        text += event.text
        if time.perf_counter() - told >= every:
            told = time.perf_counter()
            handles[number].update(Markdown(text))
    handles[number].update(Markdown(text))
await asyncio.gather(*[show(n) for n in range(PANES)])
cpu = time.process_time() - cpu
"""
CONTENDERS = {
    "playground": PLAYGROUND,
    "Markdown, 10 Hz": MARKDOWN.format(every=0.1),
    "Markdown, per token": MARKDOWN.format(every=0),
    "HTML, per token": HTML_PER_TOKEN,
}
WATCH = """() => {
  window.ends = [];
  window.long = [];
  const notebook = document.querySelector(".jp-Notebook");
  // Where answers are, not in the cells' code and not in what is kept of them for later.
  const places = () => {
    const answers = notebook.querySelectorAll("[data-llm=answer]");
    return answers.length ? answers : notebook.querySelectorAll(".jp-OutputArea-output");
  };
  const ended = (place) => (place.textContent.match(/ENDMARK/g) ?? []).length;
  const seen = (node) => (node.data ?? node.textContent ?? "").includes("ENDMARK");
  const isHere = (record) =>
    record.type === "characterData" ? seen(record.target) : [...record.addedNodes].some(seen);
  const watch = { subtree: true, childList: true, characterData: true };
  new MutationObserver((records) => {
    if (!records.some(isHere)) return;
    const many = [...places()].reduce((sum, place) => sum + ended(place), 0);
    while (window.ends.length < many) window.ends.push(Date.now());
  }).observe(notebook, watch);
  new PerformanceObserver((list) => {
    for (const { startTime, duration } of list.getEntries())
      window.long.push([performance.timeOrigin + startTime, duration]);
  }).observe({ type: "longtask" });
}"""


@dataclass
class Cost:
    """What one contender cost."""

    megabytes: float = 0.0
    messages: int = 0
    behind_ms: float | None = 0.0  # None when it never came
    main_thread_s: float = 0.0
    longest_task_ms: float = 0.0
    tasks_over_50_ms: int = 0
    kernel_s: float = 0.0
    sizes: list[int] = field(default_factory=list, repr=False)


def main_thread_s(session: CDPSession) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")


def measured(page: Page, notebook: NotebookPage, cell: int, panes: int, seconds: float) -> Cost:
    """Run one cell to the last delta in the page."""
    cost = Cost()
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    session.send("Network.enable")

    def hear(event: dict) -> None:
        frame = event["response"]
        size = len(frame["payloadData"])
        cost.sizes.append(size * 3 // 4 if frame["opcode"] == 2 else size)  # 2 is in base64

    page.evaluate(WATCH)
    session.on("Network.webSocketFrameReceived", hear)
    before = main_thread_s(session)
    notebook.start_cell(cell)
    all_here = "panes => window.ends.length >= panes"
    try:
        page.wait_for_function(all_here, arg=panes, timeout=1000 * (6 * seconds + 60))
    except TooLate:  # Jupyter's server drops what is more than 1 MB in a second
        cost.behind_ms = None
    page.wait_for_timeout(1_000)  # what is done after the last delta counts as well
    cost.main_thread_s = main_thread_s(session) - before
    cost.messages, cost.megabytes = len(cost.sizes), sum(cost.sizes) / 1e6
    page.wait_for_function(
        "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.status === 'idle'",
        timeout=60_000,
    )
    told = notebook.in_kernel("import json; print(json.dumps([cpu, written_at, began_at[-1]]))")
    cost.kernel_s, written_at, began_at = json.loads(told)
    if cost.behind_ms is not None:
        cost.behind_ms = page.evaluate("window.ends.at(-1)") - max(written_at)
    # What comes before the kernel began is JupyterLab's: a key was pressed in a cell.
    long = [took for start, took in page.evaluate("window.long") if start > began_at]
    cost.longest_task_ms, cost.tasks_over_50_ms = max(long, default=0), len(long)
    return cost


def measure(
    panes: int = PANES, deltas: int = DELTAS, *names: str, per_second: int = PER_SECOND
) -> dict[str, Cost]:
    """The cost of each contender, all when none is named; each in a notebook of its own."""
    setup = WRITER.format(panes=panes, deltas=deltas, per_second=per_second)
    environment = {"LLM_PLAYGROUND_LOCAL_MODEL": os.environ.get("LLM_PLAYGROUND_LOCAL_MODEL", "")}
    folder = Path(tempfile.mkdtemp())
    costs: dict[str, Cost] = {}
    with serving(folder, environment=environment) as server, sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, BROWSERS)))
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        for name in names or CONTENDERS:
            page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
            show = SHOW if name == "playground" else "None"
            cells = [setup, WITHOUT_A_VIEW, show, CONTENDERS[name]]
            notebook = NotebookPage.opened(page, server, cells)
            notebook.run_cell(0)
            notebook.run_cell(1)
            idle_s = float(notebook.in_kernel("print(cpu)"))
            notebook.run_cell(2)
            page.wait_for_timeout(3_000)  # the first paint is another matter
            cost = measured(page, notebook, 3, panes, deltas / per_second)
            cost.kernel_s -= idle_s
            costs[name] = cost
            notebook.shut_down()
            page.context.close()
        browser.close()
    shutil.rmtree(folder, ignore_errors=True)
    return costs


def report(costs: dict[str, Cost]) -> None:
    print(f"{'':22}{'MB':>8}{'messages':>10}{'behind ms':>11}{'main s':>8}{'longest ms':>12}"
          f"{'> 50 ms':>9}{'kernel s':>10}")  # fmt: skip
    for name, c in costs.items():
        behind = "never" if c.behind_ms is None else f"{c.behind_ms:.0f}"
        print(f"{name:22}{c.megabytes:8.2f}{c.messages:10}{behind:>11}{c.main_thread_s:8.2f}"
              f"{c.longest_task_ms:12.0f}{c.tasks_over_50_ms:9}{c.kernel_s:10.2f}")  # fmt: skip


def flat() -> None:
    """What a thousand deltas cost in answers of different length."""
    for deltas in (1_000, 10_000, 100_000):
        cost = measure(1, deltas, "playground", per_second=2_500)["playground"]
        page_ms, kernel_ms = (1e6 * s / deltas for s in (cost.main_thread_s, cost.kernel_s))
        print(f"{deltas:8,} deltas; each thousand {page_ms:6.1f} ms of the page's main thread,"
              f" {kernel_ms:6.1f} ms of kernel CPU, {1e3 * cost.megabytes / deltas:.3f} MB;"
              f" longest task {cost.longest_task_ms:.0f} ms")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1:] == ["flat"]:
        flat()
        sys.exit()
    numbers = [int(argument) for argument in sys.argv[1:3]]
    report(measure(*numbers, *sys.argv[3:]))
