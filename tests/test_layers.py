"""Imports point downwards, and each library is imported in one place."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "llm_playground"

# Packages and top-level modules from the lowest layer to the highest. Imports point downwards;
# those of one layer may import each other where no cycle of modules arises.
LAYERS = (
    ("_lifecycle", "_files"),
    ("redaction",),
    ("errors",),
    ("parts", "image_formats", "inputs"),
    ("types", "ids", "_validation", "http_headers", "export_formats", "installation"),
    ("events", "config"),
    ("_runtime", "provenance", "formatting", "footer", "package_log", "frames", "text_table"),
    ("updating_output", "progress", "differences"),
    ("rendering", "runlog", "telemetry"),
    ("recording",),
    ("request", "catalog", "providers"),
    ("codegen", "execution", "budgeting", "reports"),
    ("exporting",),
    ("calls", "event_stream", "estimation", "dry_runs", "resuming", "retention"),
    ("charts", "demo", "doctor"),
    ("comparison", "evaluation", "tool_use", "capture"),
    ("magics", "widget", "dashboards"),
    ("checking",),
    ("__init__", "__main__"),
)
LAYER_OF = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES_OF_LIBRARY = {
    "openai": {"providers/openai", "providers/openai_responses_stream", "providers/http"},
    "anthropic": {"providers/anthropic", "providers/clouds", "providers/http"},
    "google": {
        *("providers/gemini", "providers/gemini_legacy", "providers/clouds", "config/colab"),
    },
    "boto3": {"providers/clouds"},
    "botocore": {"providers/clouds"},
    "xllamacpp": {"providers/local"},
    "huggingface_hub": {"providers/local"},
    "duckdb": {"runlog"},
    "psycopg": {"runlog"},
    "sqlalchemy": {"runlog"},
    "genai_prices": {"catalog"},
    "altair": {"charts"},
    "vl_convert": {"charts"},
    "anywidget": {"widget", "dashboards"},
    "ipywidgets": {"updating_output", "widget", "dashboards"},
    "IPython": {"magics", "widget", "provenance", "updating_output", "dashboards", "checking"},
    "markdown_it": {"rendering"},
    "nh3": {"rendering"},
    "math_core": {"rendering"},
    "pygments": {"rendering"},
    "dotenv": {"config"},
    "yaml": {"request/prompty", "recording/yaml_text"},
    "keyring": {"config"},
    "platformdirs": {"config"},
    "tenacity": {"execution/retry"},
    "jsonschema": {"request/schemas"},
    "opentelemetry": {"telemetry/emission"},
}
MODULES = sorted(PACKAGE.rglob("*.py"))


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def package(path: Path) -> str:
    return place(path).partition("/")[0]


def imported(path: Path) -> set[str]:
    """Full names of what a module imports at run time, at its top or inside functions."""
    tree = ast.parse(path.read_text("utf-8"))
    blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.dump(n)]
    for_types = {inner for block in blocks for inner in ast.walk(block)}
    found = set()
    for node in set(ast.walk(tree)) - for_types:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_point_downwards(path):
    used = {name.split(".")[1] for name in imported(path) if name.startswith("llm_playground.")}
    level = LAYER_OF[package(path)]

    assert not {name for name in used & LAYER_OF.keys() if LAYER_OF[name] > level}


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_library_is_imported_in_its_own_module_only(path):
    for name in imported(path):
        places = MODULES_OF_LIBRARY.get(name.partition(".")[0], {place(path)})
        assert any(f"{place(path)}/".startswith(f"{allowed}/") for allowed in places), name


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_config_reads_the_environment(path):
    if package(path) == "config":
        return
    tree = ast.parse(path.read_text("utf-8"))  # not the text: codegen writes such code
    reading = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    ]
    assert not reading, "ask llm_playground.config"


def modules_needed(path: Path) -> set[Path]:
    """The modules of the package that a module imports while it is loaded."""
    outer = [ast.parse(path.read_text())]
    needed = set()
    while outer:
        for node in ast.iter_child_nodes(outer.pop()):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGE.name):
                folder = PACKAGE.parent.joinpath(*node.module.split("."))
                places = [folder / name.name for name in node.names]
                found = {place.with_suffix(".py") for place in places} & set(MODULES)
                found |= {place / "__init__.py" for place in places} & set(MODULES)
                needed |= found or {folder.with_suffix(".py"), folder / "__init__.py"} & set(
                    MODULES
                )
            elif isinstance(node, ast.If | ast.Try | ast.With | ast.ClassDef):
                is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
                outer += [] if is_for_types else [node]
    return needed - {PACKAGE / "__init__.py"}


def test_every_module_can_be_imported_first():
    """There is no cycle of modules at load time, so no order of imports fails."""
    TopologicalSorter({path: modules_needed(path) for path in MODULES}).prepare()


def test_a_cycle_of_modules_is_found():
    assert modules_needed(PACKAGE / "events.py") == {PACKAGE / "parts.py", PACKAGE / "types.py"}
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()


HEAVY = (
    *("openai", "anthropic", "google.genai", "pandas", "numpy", "duckdb", "jupyter_server"),
    *("psycopg", "sqlalchemy", "genai_prices", "altair", "anywidget", "ipywidgets", "aiohttp"),
    *("httpx2", "botocore"),
)


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True
    )
    return set(done.stdout.split())


def test_importing_the_package_loads_nothing_heavy():
    assert loaded_after("import llm_playground") == set()


def test_loading_the_extension_loads_nothing_heavy():
    shell = (
        "from IPython.core.interactiveshell import InteractiveShell as S\n"
        "S.instance().run_line_magic('load_ext', 'llm_playground')"
    )

    assert loaded_after(shell) == set()
