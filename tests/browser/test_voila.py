"""The dashboard in Voilà, which shows a notebook's outputs as a page of their own."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.axe import violations

SHOTS = Path(__file__).parent / "screenshots"
NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "cost_dashboard.ipynb"
# Voilà loads the extensions of JupyterLab, and also this one of Notebook 7, which it cannot use.
NOTEBOOKS_EXTENSION = "@jupyter-notebook/lab-extension"


@pytest.fixture
def page(server, browser):
    """A page without a network, whose kernels end with it."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    opened = context.new_page()
    opened.route(lambda url: not url.startswith(server.url), lambda route: route.abort())
    yield opened
    kernels = f"{server.url}/api/kernels"
    token = {"Authorization": f"token {server.token}"}
    opened.goto("about:blank")
    for kernel in context.request.get(kernels, headers=token).json():
        context.request.delete(f"{kernels}/{kernel['id']}", headers=token)
    context.close()


def test_the_notebook_of_the_dashboard_works_in_voila(server, page, node_modules):
    shutil.copy(NOTEBOOK, server.folder / "voila.ipynb")
    errors, problems = [], []
    page.on("console", lambda line: errors.append(line) if line.type == "error" else None)
    page.on("pageerror", lambda error: problems.append(str(error)))

    page.goto(f"{server.url}/voila/render/voila.ipynb?token={server.token}")
    board = page.locator(".llm-dashboard")
    expect(board.locator(".llm-tile").nth(1)).to_contain_text("1,000")
    expect(board.locator("[data-card=days] .llm-chart path").first).to_be_visible()
    expect(page.locator("[data-llm-dashboard]")).to_be_hidden()  # the saved form

    savings = board.get_by_role("tab", name="Savings")
    savings.click()
    expect(savings).to_have_attribute("aria-selected", "true")
    expect(board.locator("[data-card=days]")).to_have_count(0)
    expect(board.locator("[data-card=prompts] .llm-chart rect").first).to_be_visible()
    page.locator(".llm-dash").screenshot(path=SHOTS / "voila-savings.png")

    assert violations(page, node_modules, ".llm-dash") == []
    # Voilà's own template asks the network for icons and MathJax.
    problems += [one.text for one in errors if not one.location["url"].startswith("https:")]
    assert [text for text in problems if NOTEBOOKS_EXTENSION not in text] == []
