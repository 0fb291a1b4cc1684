"""Checks of accessibility by axe-core on a page without JupyterLab."""

RUN = """async (selector) => {
  const runOnly = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"];
  const shown = document.querySelector(selector);
  const { violations } = await window.axe.run(shown, { runOnly, resultTypes: ["violations"] });
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}"""


def violations(page, node_modules, selector="html"):
    """What axe-core finds in an element of a page."""
    page.evaluate((node_modules / "axe-core" / "axe.min.js").read_text("utf-8"))
    return page.evaluate(RUN, selector)
