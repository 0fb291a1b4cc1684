"""Draws the picture of the README: ``python -m tests.browser.draw_readme``.

It needs the fonts Inter and JetBrains Mono (on Debian ``fonts-inter`` and
``fonts-jetbrains-mono``). Answers are scripted, all else is the panel as it is.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.browser.conftest import BROWSERS, FLAGS
from tests.browser.pages import REPOSITORY, NotebookPage, serving
from tests.providers.formats import anthropic_stream, openai_stream
from tests.providers.server import Reply, WireRequest, WireServer

PICTURE = REPOSITORY / "notebooks" / "images" / "playground.png"
WIDTH = 1160
COLORS = 128
FONTS = """:root {
  --jp-ui-font-family: Inter, system-ui, sans-serif !important;
  --jp-code-font-family: "JetBrains Mono", monospace !important;
}"""
MODELS = ["openai:gpt-6.1-terra", "anthropic:claude-sonnet-5-5"]
CELL = """import os
os.environ.update({environment!r})
import llm_playground as lp
report = {report!r}
n = 3
pg = lp.Playground('board-summary', models={models!r}, max_tokens=1024)
pg.prompt = 'Summarise {{{{report}}}} in {{{{n}}}} points.\\nName the risk.'
pg"""
PROMPT = "Summarise {{report}} in {{n}} points for the board.\nName the risk."
REPORT = (
    "Third quarter. Revenue came to 10.8 million dollars, 4 % more than in the quarter before. "
    "Exports to the north grew after the new terminal opened in July; the summer catalogue sold "
    "out twice, and the days to restock fell from 12 to 5. Returns went down, because sizes are "
    "now shown with measurements. Freight prices have risen since September. "
) * 5
BEFORE = """Revenue rose 4 % to $10.8 m.

1. Exports grew after the new terminal opened in July.
2. The summer catalogue sold out twice.
3. Returns went down.

Risk: freight prices are rising."""
AFTER = {
    "openai": """Revenue rose 4 % to $10.8 m.

1. Exports to the north grew after the new terminal opened in July.
2. The summer catalogue sold out twice.
3. Returns fell, since sizes are shown in centimetres.

Risk: freight prices are rising.""",
    "anthropic": """Revenue grew 4 % to $10.8 m.

1. Exports grew, helped by the new terminal.
2. The summer catalogue sold out twice.
3. Returns went down.

Risk: freight prices, up since September.""",
}
SIZES = {"openai": (402, 71), "anthropic": (431, 64)}


def answer(request: WireRequest) -> Reply:
    """What the vendor of a request answers: other words for the board."""
    vendor = "anthropic" if request.path.endswith("/messages") else "openai"
    text = AFTER[vendor] if "for the board" in request.body.decode() else BEFORE
    pieces = [f"{word} " for word in text.split(" ")]
    sent, received = SIZES[vendor]
    if vendor == "anthropic":
        usage = {"input_tokens": sent, "output_tokens": received}
        return Reply(anthropic_stream(pieces, usage=usage), delay_s=0.3, pause_s=0.012)
    counted = {"prompt_tokens": sent, "completion_tokens": received}
    usage = counted | {"total_tokens": sent + received}
    return Reply(openai_stream(pieces, usage=usage), delay_s=0.4, pause_s=0.016)


def draw(notebook: NotebookPage) -> None:
    """Ask twice, with the first answer as the baseline, and store the picture."""
    notebook.page.evaluate(
        "() => window.jupyterapp.commands.execute('application:toggle-left-area')"
    )
    notebook.page.add_style_tag(content=FONTS)
    notebook.run_cell(0)
    notebook.panel.locator(".llm-chip").filter(has_text="$").nth(1).wait_for()
    notebook.run_to_end()
    notebook.in_kernel("pg.baseline = 1")
    notebook.by("prompt").fill(PROMPT)
    notebook.run_to_end()
    notebook.panel.get_by_role("button", name="Diff", exact=True).click()
    notebook.panel.locator("ins").first.wait_for()
    notebook.page.mouse.move(1, 1)
    notebook.page.evaluate("() => document.activeElement.blur()")
    picture = Image.open(io.BytesIO(notebook.panel.screenshot())).convert("RGB")
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(PICTURE, optimize=True)


def main() -> None:
    """Start JupyterLab, the vendors and Chromium, and draw."""
    program = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, WireServer(answer) as vendor:
        environment = {
            "OPENAI_API_KEY": "-".join(["sk", "only", "for", "this", "picture"]),
            "OPENAI_BASE_URL": f"{vendor.url}/v1",
            "ANTHROPIC_API_KEY": "-".join(["sk", "ant", "only", "for", "this", "picture"]),
            "ANTHROPIC_BASE_URL": vendor.url,
        }
        cell = CELL.format(environment=environment, report=REPORT, models=MODELS)
        with serving(Path(folder)) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
            viewport = {"width": WIDTH + 120, "height": 1400}
            context = browser.new_context(viewport=viewport, device_scale_factor=2)
            notebook = NotebookPage.opened(context.new_page(), server, [cell])
            draw(notebook)
            notebook.shut_down()
            browser.close()


if __name__ == "__main__":
    main()
