"""The dashboard in JupyterLab: on an empty log and on 1,000 runs, light and dark."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.test_accessibility import LOAD_THEMES, THEMES

SHOTS = Path(__file__).parent / "screenshots"
CELL = """import llm_playground as lp
lp.configure(log="dashboard.duckdb")
lp.set_budget(20)
d = lp.dashboard(admin=True)
d"""
SECTIONS = ("overview", "quality", "savings", "runs", "admin")
# All rules in the first theme, those of colours in each.
RUN_AXE = """async () => {
  const shown = document.querySelector(".llm-dash");
  const links = [...document.querySelectorAll("link[data-theme]")];
  const found = [];
  for (const [at, { dataset: { theme } }] of links.entries()) {
    for (const link of links) link.disabled = link.dataset.theme !== theme;
    const runOnly = at === 0 ? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
      : { type: "rule", values: ["color-contrast", "link-in-text-block"] };
    const { violations } = await window.axe.run(shown, { runOnly, resultTypes: ["violations"] });
    found.push(...violations.flatMap(({ id, nodes }) =>
      nodes.map(({ html }) => `${theme}: ${id}: ${html.slice(0, 200)}`)));
  }
  for (const [at, link] of links.entries()) link.disabled = at !== 0;
  return found;
}"""
USE_THEME = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
OPEN_TABLES = """() => {
  for (const one of document.querySelectorAll(".llm-dashboard details")) one.open = true;
}"""
OVERFLOWS = """() => [...document.querySelectorAll(
    ".llm-dash, .llm-dashboard, .llm-card, .jp-OutputArea-output")]
  .filter(one => one.scrollWidth > one.clientWidth + 1)
  .map(one => `${one.className}: ${one.scrollWidth} > ${one.clientWidth}`)"""

# Texts of a chart, and of a line above a bar, that lie on each other.
OVERLAPS = """() => [...document.querySelectorAll(".llm-chart > svg, .llm-row")].flatMap(one => {
  const texts = [...one.querySelectorAll("text, :scope > span")]
    .map(text => [text.textContent, text.getBoundingClientRect()]).filter(([, box]) => box.width);
  return texts.flatMap(([name, a], place) => texts.slice(place + 1)
    .filter(([, b]) => a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 3 && b.top < a.bottom - 3)
    .map(([other]) => `${name} is on ${other}`));
})"""


@pytest.fixture(scope="module")
def notebook(open_notebook, node_modules):
    opened = open_notebook(CELL, width=1400)
    opened.run_cell(0)
    opened.page.evaluate((node_modules / "axe-core" / "axe.min.js").read_text("utf-8"))
    return opened


def by(notebook, selector):
    return notebook.page.locator(f".llm-dashboard {selector}")


def show(notebook, section):
    notebook.in_kernel(f"d.show({section!r}); d.wait()")
    tab = by(notebook, f"[data-section={section}]")
    expect(tab).to_have_attribute("aria-selected", "true")
    expect(by(notebook, ".llm-dash-status")).to_be_empty()


def take_pictures(notebook, name):
    """Pictures at both widths in both themes; nothing is wider than its place."""
    for theme in ("Light", "Dark"):
        notebook.page.evaluate(USE_THEME, f"JupyterLab {theme}")
        dark = "false" if theme == "Dark" else "true"
        expect(notebook.page.locator("body")).to_have_attribute("data-jp-theme-light", dark)
        for width in (800, 1400):
            notebook.page.set_viewport_size({"width": width, "height": 1400})
            notebook.expect_no(OVERFLOWS)
            notebook.expect_no(OVERLAPS)
            shown = notebook.page.locator(".llm-dash").first
            shown.screenshot(path=SHOTS / f"dashboard-{name}-{width}-{theme.lower()}.png")
    notebook.page.evaluate(USE_THEME, "JupyterLab Light")


def test_an_empty_log_becomes_charts_whose_figures_lead_to_a_playground(notebook):
    page = notebook.page
    expect(by(notebook, ".llm-notice")).to_contain_text("The run log is empty")
    take_pictures(notebook, "empty")
    by(notebook, ".llm-demo").click()
    expect(by(notebook, ".llm-notice")).to_contain_text("This shows demo data: 1,000 generated")
    expect(by(notebook, ".llm-tile").nth(1)).to_contain_text("1,000")
    expect(page.locator("[data-llm-dashboard]").first).to_be_hidden()
    take_pictures(notebook, "costs")

    # A filter by its label, then a bar by the keyboard, then a run.
    page.get_by_label("User", exact=True).select_option("editing")
    expect(by(notebook, "[data-card=users] .llm-pressable")).to_have_count(1)
    bar = by(notebook, "[data-card=models] .llm-pressable").first
    bar.focus()
    page.keyboard.press("ArrowDown")
    second = by(notebook, "[data-card=models] .llm-pressable").nth(1)
    expect(second).to_be_focused()
    expect(by(notebook, ".llm-tip")).to_have_text(second.get_attribute("aria-label"))
    model = notebook.in_kernel("print(d.cards()[3].drawing.rows[1].label)").strip()
    page.keyboard.press("Enter")
    expect(by(notebook, "[data-card=runs] h3")).to_have_text(f"Runs of {model}")
    by(notebook, "[data-card=runs] tbody button").first.click()
    expect(page.locator(".llm-playground").first).to_be_visible()
    notebook.in_kernel("d._playground.children = []")

    # A table behind a chart is sorted by its heads.
    page.get_by_role("button", name="Reset").click()
    show(notebook, "overview")
    card = by(notebook, "[data-card=models]")
    expect(card.locator(".llm-pressable")).to_have_count(7)
    card.locator("summary").click()
    card.get_by_role("button", name="Runs", exact=True).click()
    runs = [
        int(text.replace(",", "")) for text in card.locator("td:nth-child(3)").all_inner_texts()
    ]
    assert runs == sorted(runs, reverse=True)


def test_no_section_breaks_a_rule_or_overflows(notebook):
    notebook.in_kernel("lp.demo_runs(1000) if lp.runs(limit=1).empty else None; d.refresh()")
    notebook.page.evaluate(LOAD_THEMES, THEMES)
    broken = {}
    for section in SECTIONS:
        show(notebook, section)
        notebook.page.evaluate(OPEN_TABLES)
        if found := notebook.page.evaluate(RUN_AXE):
            broken[section] = found
        for width in (800, 1300):
            notebook.page.set_viewport_size({"width": width, "height": 1400})
            notebook.expect_no(OVERFLOWS)
            notebook.expect_no(OVERLAPS)
        shown = notebook.page.locator(".llm-dash").first
        shown.screenshot(path=SHOTS / f"dashboard-{section}-tables.png")
    assert broken == {}
