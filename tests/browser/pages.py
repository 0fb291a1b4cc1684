"""A Jupyter server of its own, and a notebook in it as a person sees it."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
from playwright.sync_api import Locator, Page, expect

REPOSITORY = Path(__file__).parents[2]
START_S = 180
STOP_S = 15
# On a busy machine a page, a kernel and a first cell take their time; nothing waits without need.
PATIENCE_MS = 60_000

expect.set_options(timeout=PATIENCE_MS)

# Where one app keeps a notebook of the server's folder.
ADDRESSES = {"lab": "lab/workspaces/{name}/tree/{name}.ipynb", "notebook": "notebooks/{name}.ipynb"}


@dataclass(frozen=True)
class Server:
    """A running Jupyter server; ``folder`` is what it serves."""

    url: str
    token: str
    folder: Path

    def address(self, app: str, name: str) -> str:
        return f"{self.url}/{ADDRESSES[app].format(name=name)}?token={self.token}"


@contextmanager
def serving(
    folder: Path,
    *options: str,
    python: str = sys.executable,
    environment: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """JupyterLab and Notebook 7 on a free loopback port, until the block ends.

    Args:
        folder: A new folder for everything the server and its kernels write.
        *options: More options of the command line.
        python: The interpreter of the environment that JupyterLab lives in.
        environment: More variables for the server and its kernels.
    """
    token, port = secrets.token_hex(16), _free_port()
    served = folder / "notebooks"
    served.mkdir(parents=True)
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*_command(python, port, served), *options],
            cwd=served,
            env=_environment(folder, token) | (environment or {}),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    server = Server(f"http://127.0.0.1:{port}", token, served)
    try:
        _wait_until_up(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(STOP_S)


def _command(python: str, port: int, served: Path) -> list[str]:
    return [
        *(python, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        *(f"--port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={served}"),
        *("--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True"),
        *("--LabApp.news_url=None", "--LabApp.extension_manager=readonly"),
    ]


def _environment(folder: Path, token: str) -> dict[str, str]:
    """Nothing of the person who runs the tests: no settings, no keys, no log."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("JUPYTER", "JPY", "LLM_PLAYGROUND", "OPENAI", "ANTHROPIC"))
        and not name.startswith(("GEMINI", "GOOGLE"))
    }
    _settle_questions(folder / "jupyter_config_dir")
    own = {
        name: str(folder / name.lower())
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    return (
        inherited
        | own
        | {
            "JUPYTER_TOKEN": token,
            "LLM_PLAYGROUND_HOME": str(folder / "home"),
            "PYTHONPATH": str(REPOSITORY),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
    )


def _settle_questions(config: Path) -> None:
    """JupyterLab asks at its first start whether to fetch news; a test has no answer to give."""
    settings = {"fetchNews": "false", "checkForUpdates": False}
    place = config / "lab" / "user-settings" / "@jupyterlab" / "apputils-extension"
    place.mkdir(parents=True)
    (place / "notification.jupyterlab-settings").write_text(json.dumps(settings), "utf-8")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/api?token={server.token}", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text('utf-8')[-3000:]}")


class NotebookPage:
    """One notebook open in one page, used as a person would use it."""

    def __init__(self, page: Page, server: Server, app: str, name: str) -> None:
        self.page, self.server, self.app, self.name = page, server, app, name

    @classmethod
    def opened(
        cls,
        page: Page,
        server: Server,
        cells: Sequence[str],
        *,
        app: str = "lab",
        kernel: str = "python3",
    ) -> "NotebookPage":
        """A new notebook with these code cells, its kernel ready."""
        name = f"n{secrets.token_hex(4)}"
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}},
        )
        nbformat.write(notebook, server.folder / f"{name}.ipynb")
        opened = cls(page, server, app, name)
        page.set_default_timeout(PATIENCE_MS)
        page.goto(server.address(app, name))
        page.wait_for_function(_KERNEL_IS_READY, timeout=PATIENCE_MS)
        return opened

    def load(self) -> None:
        """Load the page, once more as long as it has no widget's state.

        On a busy machine ipywidgets may look for a widget before its state has arrived, and then
        says "model not found" until the page is reloaded.
        """
        missing = self.page.get_by_text("Error displaying widget")
        shown = self.page.locator(".llm-playground, [data-llm=vitals]").first
        for _ in range(5):
            self.page.goto(self.server.address(self.app, self.name))
            expect(missing.or_(shown).first).to_be_visible()
            if shown.is_visible():
                return

    @property
    def panel(self) -> Locator:
        return self.page.locator(".llm-playground").first

    def by(self, hook: str) -> Locator:
        """Elements of the panel by their ``data-llm``."""
        return self.panel.locator(f"[data-llm={hook}]")

    def start_cell(self, index: int) -> None:
        """Click into a cell and press Shift+Enter."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").nth(index)
        cell.locator(".cm-content").click()
        self.page.keyboard.press("Shift+Enter")

    def run_cell(self, index: int) -> None:
        """As :meth:`start_cell`, and wait until the cell has run."""
        before = self.page.evaluate(f"i => {_CONTENT}.widgets[i].model.executionCount", index)
        self.start_cell(index)
        self.page.wait_for_function(_CELL_HAS_RUN, arg=[index, before], timeout=PATIENCE_MS)

    def run_number(self) -> int:
        """The number of the last Run of ``pg``."""
        return int(self.in_kernel("print(pg.answers.run_number)"))

    def expect_ended(self, number: int) -> None:
        """Wait until ``pg``'s Run of this number has ended and the page shows it."""
        state = "pg.answers.run_number, pg.answers.ended(), pg.running"
        self.expect_in_kernel(state, f"({number}, True, False)")
        self.painted()

    def run_to_end(self) -> None:
        """Click Run and wait until the new answers have ended and the page shows them."""
        before = self.run_number()
        self.by("run").click()
        self.expect_ended(before + 1)

    def painted(self) -> None:
        """Wait until the page shows all that it has got: it paints once a frame."""
        self.page.evaluate("() => new Promise(requestAnimationFrame)")

    def expect_no(self, script: str) -> None:
        """Wait until a script that lists faults of the page finds none."""
        until = time.monotonic() + PATIENCE_MS / 1000
        while found := self.page.evaluate(script):
            assert time.monotonic() < until, found
            self.page.wait_for_timeout(50)

    def in_kernel(self, code: str) -> str:
        """What ``code`` prints in the notebook's kernel, asked over the page's own connection."""
        printed: str = self.page.evaluate(_IN_KERNEL, code)
        return printed

    def expect_in_kernel(self, expression: str, value: str) -> None:
        """Wait until an expression's ``repr`` in the kernel is ``value``."""
        until = time.monotonic() + PATIENCE_MS / 1000
        while (seen := self.in_kernel(f"print(repr(({expression})))").strip()) != value:
            assert time.monotonic() < until, f"{expression} is {seen}, not {value}"
            self.page.wait_for_timeout(50)

    def forget_playgrounds(self) -> None:
        """Let no playground that is made from now on find what was typed or answered before."""
        self.in_kernel(_FORGET)

    def cells(self) -> list[str]:
        """The sources of all cells."""
        sources: list[str] = self.page.evaluate(
            f"() => {_CONTENT}.model.toJSON().cells.map(c => c.source)"
        )
        return sources

    def shut_down(self) -> None:
        """End the notebook's kernel."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")

    def rename(self) -> None:
        """Give the notebook another name, as the app's command does."""
        name = f"{self.name}-renamed"
        renaming = "name => window.jupyterapp.shell.currentWidget.context.rename(`${name}.ipynb`)"
        self.page.evaluate(renaming, name)
        self.name = name

    def selected(self) -> int:
        """The index of the selected cell."""
        index: int = self.page.evaluate(f"() => {_CONTENT}.activeCellIndex")
        return index

    def saved(self) -> dict:
        """The notebook's file after Ctrl+S, as JSON."""
        self.page.evaluate("() => window.jupyterapp.shell.currentWidget.context.save()")
        return json.loads((self.server.folder / f"{self.name}.ipynb").read_text("utf-8"))


_CONTENT = "window.jupyterapp.shell.currentWidget.content"
_FORGET = """
import shutil
from llm_playground import config
from llm_playground.widget import draft_store
stores = list(draft_store._stores)
draft_store.forget_all()
for store in stores:
    store.save()  # saves nothing any more, but waits for what is being written
shutil.rmtree(config.home() / "drafts", ignore_errors=True)
"""
_KERNEL_IS_READY = """() => {
  const widget = window.jupyterapp?.shell?.currentWidget;
  const status = widget?.sessionContext?.session?.kernel?.status;
  return status === "idle" && widget.content?.widgets?.length > 0;
}"""
_CELL_HAS_RUN = """([index, before]) => {
  const cell = window.jupyterapp.shell.currentWidget.content.widgets[index].model;
  return cell.executionCount !== null && cell.executionCount !== before;
}"""
_IN_KERNEL = """async code => {
  const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, store_history: false});
  let printed = "";
  future.onIOPub = message => {
    if (message.header.msg_type === "stream") printed += message.content.text;
    if (message.header.msg_type === "error") printed += message.content.traceback.join("\\n");
  };
  const late = new Promise((_, reject) => {
    setTimeout(() => reject(Error("the kernel is busy")), 60000);
  });
  await Promise.race([future.done, late]);
  return printed;
}"""
