"""What is built is what is needed: the wheel holds every file that is loaded at run time."""

import re
import shlex
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from llm_playground.installation import INSTALL

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    [built] = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_file_of_the_package(wheel):
    listed = subprocess.run(
        ["git", "ls-files", "llm_playground"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    packed = set(zipfile.ZipFile(wheel).namelist())

    assert set(listed.stdout.split()) <= packed
    assert "llm_playground/py.typed" in packed
    assert any(name.endswith(".js") for name in packed)
    assert any(name.endswith(".css") for name in packed)


def test_the_wheel_works_away_from_the_checkout(wheel, tmp_path):
    site = tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True, timeout=300)
    code = (
        f"import sys; sys.path.insert(0, {str(site)!r})\n"
        "import llm_playground as lp\n"
        "assert lp.__file__.startswith(sys.path[0]), lp.__file__\n"
        "assert lp.Playground()._esm and lp.Playground()._css\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, timeout=300)


def test_ruff_finds_nothing():
    subprocess.run([sys.executable, "-m", "ruff", "check", "."], cwd=ROOT, check=True, timeout=300)


def test_everything_is_formatted():
    check = [sys.executable, "-m", "ruff", "format", "--check", "."]
    subprocess.run(check, cwd=ROOT, check=True, timeout=300)


def test_mypy_finds_nothing():
    subprocess.run([sys.executable, "-m", "mypy"], cwd=ROOT, check=True, timeout=300)


def test_the_conda_environment_installs_what_the_readme_does():
    text = (ROOT / "environment.yml").read_text("utf-8")

    assert "-e .[local,lab,test]" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["name"]


@pytest.mark.parametrize("extra", INSTALL)
def test_a_hint_names_the_libraries_of_its_extra(extra):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [re.split("[<>=]", one)[0] for one in project["optional-dependencies"][extra]]
    assert shlex.split(INSTALL[extra]) == ["pip", "install", *wanted]


def test_no_text_installs_the_project_of_that_name_on_pypi():
    texts = [*ROOT.glob("*.md"), *(ROOT / "notebooks").glob("*.ipynb")]
    texts += [*(ROOT / "llm_playground").rglob("*.py"), *(ROOT / "llm_playground").rglob("*.md")]
    asked = re.compile(r"pip install [^`\n]*llm_playground|dependencies: .*llm_playground")
    assert [path.name for path in texts if asked.search(path.read_text("utf-8"))] == []
