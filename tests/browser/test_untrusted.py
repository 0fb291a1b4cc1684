"""Answers of cells in a notebook that is not trusted: the page removes MathML and some styles."""

from datetime import UTC, datetime

import nbformat
import pytest

from llm_playground import rendering
from llm_playground.types import Parameters, Run
from tests.browser.pages import PATIENCE_MS, Server

HEAD = [f"Considerable{number}" for number in range(10)]
TABLE = "\n".join(
    [f"| {' | '.join(HEAD)} |", f"|:-:|{'---|' * 9}", f"| {' | '.join(['unbroken'] * 10)} |"]
)
MATHS = (
    r"Half: $\frac{1}{2}$, $a^2$ for $5 to $10." + "\n\n\\begin{align}\na &= b \\\\\n\\end{align}"
)
ARABIC = "هذا نص\n\n- عنصر\n- item"
LOOK = """() => {
  const [alone, ...others] = document.querySelectorAll(".jp-OutputArea-output div:has(> table)");
  const head = alone.querySelector("th");
  const [one, two] = others.map((frame) => frame.getBoundingClientRect());
  const text = [...document.querySelectorAll(".jp-OutputArea-output p")].at(-1);
  const item = document.querySelector(".jp-OutputArea-output li[dir=rtl]");
  return {
    formulas: document.querySelectorAll("mjx-container").length,
    scrolls: [alone, ...others].every((frame) => frame.scrollWidth > frame.clientWidth),
    inside: alone.getBoundingClientRect().right <= innerWidth,
    wholeWords: head.offsetHeight < 40,
    centered: getComputedStyle(head).textAlign,
    apart: one.right <= two.left || one.bottom <= two.top,
    aligned: getComputedStyle(text).textAlign,
    direction: getComputedStyle(text).direction,
    item: getComputedStyle(item).direction,
  };
}"""


def _html(text: str) -> str:
    run = Run("a", "b", "c", 1, "x", "openai", datetime.now(UTC), Parameters(), text=text)
    return rendering.run_to_html(run)


@pytest.mark.parametrize("app", ["lab", "notebook"])
def test_numbers_tables_and_directions_are_right_without_trust(browser, server: Server, app):
    both = rendering.side_by_side([("one", _html(TABLE)), ("two", _html(TABLE))])
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": html})
        for html in (_html(f"{MATHS}\n\n{TABLE}"), both, _html(ARABIC))
    ]
    cell = nbformat.v4.new_code_cell("1", outputs=outputs, execution_count=1)
    kernel = {"name": "python3", "display_name": "python3", "language": "python"}
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"kernelspec": kernel})
    nbformat.write(notebook, server.folder / f"untrusted-{app}.ipynb")
    page = browser.new_context(viewport={"width": 1000, "height": 900}).new_page()

    page.goto(server.address(app, f"untrusted-{app}"))
    page.wait_for_function(
        "() => document.querySelectorAll('mjx-container').length >= 3", timeout=PATIENCE_MS
    )

    model = "window.jupyterapp.shell.currentWidget.content.model"
    assert page.evaluate(f"() => {model}.cells.get(0).trusted") is False
    assert page.evaluate(LOOK) == {
        "formulas": 3,
        "scrolls": True,
        "inside": True,
        "wholeWords": True,
        "centered": "center",
        "apart": True,
        "aligned": "right",
        "direction": "rtl",
        "item": "rtl",
    }
    shown = page.locator(".jp-OutputArea-output").first.inner_text()
    assert "$5 to $10" in shown
    page.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    page.context.close()
