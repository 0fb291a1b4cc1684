"""Where JupyterLab and the kernel live in two environments, a sentence says what to do.

JupyterLab finds front ends in the folders of its own environment. Here it is told of a folder that
holds none, or ipywidgets' alone, and so stands as it does in an environment without them.
"""

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.pages import NotebookPage, serving

SENTENCE = (
    "Open this notebook in JupyterLab to see the playground. "
    "If JupyterLab shows this text instead: install the playground's front end where JupyterLab "
    "runs (pip install anywidget), then reload the page. %%llm works without it."
)
PLAYGROUND = "import llm_playground as lp\npg = lp.Playground(models=['local'])\npg"
MAGIC = "%load_ext llm_playground\n%llm --max-tokens 8 Say hello."
OUR_KERNEL = "the-kernels-environment"
INSTALLED = Path(sysconfig.get_path("data")) / "share" / "jupyter" / "labextensions"


@pytest.mark.parametrize("front_ends", [[], ["@jupyter-widgets"]], ids=["none", "ipywidgets only"])
def test_a_missing_front_end_is_explained_below_the_cell(tmp_path, browser, front_ends):
    found = tmp_path / "labextensions"
    found.mkdir()
    for name in front_ends:
        (found / name).symlink_to(INSTALLED / name)

    with serving(tmp_path / "jupyter", f"--LabApp.labextensions_path={found}") as server:
        context = browser.new_context()
        notebook = NotebookPage.opened(context.new_page(), server, [PLAYGROUND])
        notebook.run_cell(0)

        expect(notebook.page.locator(".jp-OutputArea").first).to_contain_text(SENTENCE)
        assert notebook.page.locator(".llm-playground").count() == 0
        notebook.shut_down()
        context.close()


@pytest.fixture
def bare_lab(tmp_path):
    """The interpreter of a new environment that has JupyterLab and nothing of ours."""
    place = tmp_path / "bare"
    venv.create(place, with_pip=True)
    python = str(place / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "-q", "jupyterlab"], check=True, timeout=900)
    return python


def offer_our_kernel(folder):
    """A kernel of this environment, for a server that lives in another."""
    spec = folder / "jupyter_data_dir" / "kernels" / OUR_KERNEL
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    described = {"argv": command, "display_name": OUR_KERNEL, "language": "python"}
    (spec / "kernel.json").write_text(json.dumps(described), "utf-8")


def test_lab_and_kernel_in_two_environments(tmp_path, browser, bare_lab):
    offer_our_kernel(tmp_path / "jupyter")
    model = {"LLM_PLAYGROUND_LOCAL_MODEL": os.environ["LLM_PLAYGROUND_LOCAL_MODEL"]}

    with serving(tmp_path / "jupyter", python=bare_lab, environment=model) as server:
        context = browser.new_context()
        notebook = NotebookPage.opened(
            context.new_page(), server, [PLAYGROUND, MAGIC], kernel=OUR_KERNEL
        )
        notebook.run_cell(0)
        notebook.run_cell(1)

        outputs = notebook.page.locator(".jp-OutputArea")
        expect(outputs.first).to_contain_text(SENTENCE)
        expect(outputs.nth(1)).to_contain_text("free ·")
        notebook.shut_down()
        context.close()


def test_a_living_panel_has_no_such_sentence(open_notebook):
    notebook = open_notebook(PLAYGROUND)
    notebook.run_cell(0)
    expect(notebook.by("run")).to_be_visible()

    notebook.in_kernel("import time; from llm_playground.widget import fallback_output")
    notebook.in_kernel("time.sleep(fallback_output.WAIT_S + 1)")

    expect(notebook.page.locator(".jp-OutputArea").first).not_to_contain_text("not installed")
