"""One Jupyter server for the folder, one browser a module, one notebook a test."""

import os
import shutil
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.pages import NotebookPage, Server, serving
from tests.browser.stories import Storyteller

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
Opener = Callable[..., NotebookPage]
# As root Chromium has no sandbox; the others keep it from talking to anybody or using a GPU.
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--no-first-run"),
)


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    model = {"LLM_PLAYGROUND_LOCAL_MODEL": os.environ["LLM_PLAYGROUND_LOCAL_MODEL"]}
    with serving(tmp_path_factory.mktemp("jupyter"), environment=model) as started:
        yield started


@pytest.fixture(scope="session")
def storyteller() -> Iterator[Storyteller]:
    with Storyteller() as started:
        yield started


@pytest.fixture
def story(storyteller) -> Iterator[Storyteller]:
    """``ollama:story`` goes on until ``story.end()``, at the latest until the test ends."""
    storyteller.begin()
    yield storyteller
    storyteller.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Ends with the module: Playwright's loop would be in the way of asynchronous tests."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert path, f"none of {', '.join(BROWSERS)} is installed"
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


@pytest.fixture(scope="module")
def opened_notebooks() -> list[NotebookPage]:
    return []


def _end(notebook: NotebookPage) -> None:
    notebook.shut_down()
    notebook.page.context.close()


@pytest.fixture(autouse=True)
def ended(request) -> Iterator[None]:
    """The notebooks that a test itself opened end with it; those of its module's fixtures stay."""
    if "open_notebook" not in request.fixturenames:
        yield
        return
    opened = request.getfixturevalue("opened_notebooks")
    shared = len(opened)
    yield
    while len(opened) > shared:
        _end(opened.pop())


@pytest.fixture(autouse=True)
def forgotten(request) -> None:
    """A playground that is made again begins anew: each test has its own, without a draft."""
    if "open_notebook" in request.fixturenames:
        for notebook in request.getfixturevalue("opened_notebooks"):
            notebook.forget_playgrounds()


@pytest.fixture(scope="module")
def open_notebook(server, browser, opened_notebooks) -> Iterator[Opener]:
    """Opens notebooks, and ends their kernels after the module's tests."""
    opened = opened_notebooks

    def open_one(*cells: str, app: str = "lab", width: int = 1280) -> NotebookPage:
        context = browser.new_context(viewport={"width": width, "height": 900})
        opened.append(NotebookPage.opened(context.new_page(), server, cells, app=app))
        return opened[-1]

    yield open_one
    for notebook in opened:
        _end(notebook)
