"""The house stands: imports go to lower floors only, and each library has its one room."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "llm_playground"

# A room's floor; a room is the first part of the module's name below the package.
FLOORS = {
    "errors": 0,
    "deeds": 0,
    "personal": 0,
    "key_shapes": 0,
    "redact": 0,
    "_ids": 0,
    "_loop": 0,
    "_signatures": 0,
    "_version": 0,
    "diff": 0,
    "template": 0,
    "docstrings": 0,
    "misfit": 0,
    "naming": 0,
    "types": 1,
    "events": 1,
    "endpoints": 1,
    "timeouts": 1,
    "retries": 1,
    "guard_modes": 1,
    "privacy": 1,
    "policy": 1,
    "credentials": 1,
    "vault": 1,
    "config": 1,
    "provenance": 1,
    "revision": 1,
    "capabilities": 2,
    "parameters": 2,
    "guard": 2,
    "images": 2,
    "patterns": 2,
    "schemas": 2,
    "tools": 2,
    "toolcalls": 2,
    "conversation": 2,
    "saved_prompt": 2,
    "saved_presets": 2,
    "prompt_file": 2,
    "pricing": 2,
    "tokens": 2,
    "abilities": 2,
    "catalog": 2,
    "limiter": 2,
    "deadlines": 2,
    "roles": 2,
    "call": 2,
    "fold": 2,
    "render": 2,
    "footer": 2,
    "answers": 2,
    "providers": 2,
    "runlog": 2,
    "estimates": 2,
    "engine": 3,
    "prompt_versions": 3,
    "budgeting": 3,
    "reuse": 3,
    "codegen": 3,
    "exporting": 3,
    "calls": 4,
    "comparison": 5,
    "estimation": 5,
    "toolloop": 5,
    "demo": 5,
    "reports": 5,
    "audits": 6,
    "ratings": 6,
    "retention": 6,
    "charts": 6,
    "doctor": 6,
    "live": 6,
    "widgets": 6,
    "key_commands": 6,
    "code_command": 6,
    "export_command": 6,
    "magics": 7,
    "__init__": 8,
    "__main__": 8,
}
ROOMS_OF_LIBRARY = {
    "openai": {"providers/openai", "providers/http"},
    "anthropic": {"providers/anthropic", "providers/http"},
    "google": {"providers/gemini", "providers/gemini_legacy"},
    "xllamacpp": {"providers/local", "providers/local_server"},
    "huggingface_hub": {"providers/hub_download", "providers/hub_errors"},
    "duckdb": {"runlog"},
    "psycopg": {"runlog"},
    "sqlalchemy": {"runlog"},
    "genai_prices": {"pricing", "catalog"},
    "altair": {"charts"},
    "vl_convert": {"charts"},
    "anywidget": {"widgets"},
    "ipywidgets": {"widgets"},
    "IPython": {"magics", "live", "widgets", "provenance"},
    "markdown_it": {"render"},
    "nh3": {"render"},
    "math_core": {"render"},
    "pygments": {"render"},
    "dotenv": {"config"},
    "yaml": {"prompt_file"},
    "keyring": {"vault"},
    "platformdirs": {"config"},
    "tenacity": {"retries"},
    "pydantic": {"schemas", "tools"},
    "pydantic_core": {"answers", "patterns", "toolcalls"},
    "jsonschema": {"patterns", "schemas"},
}
ENVIRONMENT_READERS = {"config"}
MODULES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def place(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


def imported(path: Path) -> set[str]:
    """Full names of what a module imports when it runs, wherever the import stands."""
    found = set()
    tree = ast.parse(path.read_text("utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def rooms_used(path: Path) -> set[str]:
    ours = {name.split(".")[1] for name in imported(path) if name.startswith("llm_playground.")}
    return ours & FLOORS.keys()


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_imports_go_to_lower_floors_only(path):
    here = room(path)
    assert here in FLOORS, f"{here} has no floor: add it to FLOORS"

    higher = {
        used
        for used in rooms_used(path) - {here}
        if FLOORS[used] > FLOORS[here] or (FLOORS[used] == FLOORS[here] and FLOORS[here] > 2)
    }

    assert not higher


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_a_library_is_imported_in_its_own_room_only(path):
    for name in imported(path):
        rooms = ROOMS_OF_LIBRARY.get(name.partition(".")[0])
        assert rooms is None or place(path) in rooms or room(path) in rooms, name


@pytest.mark.parametrize("path", MODULES, ids=place)
def test_only_config_reads_the_environment(path):
    if room(path) in ENVIRONMENT_READERS:
        return
    tree = ast.parse(path.read_text("utf-8"))  # not the text: codegen writes such code
    reading = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in {"environ", "environb", "getenv"})
        or (isinstance(node, ast.ImportFrom) and node.module == "os")
    ]
    assert not reading, "ask llm_playground.config"


HEAVY = (
    *("openai", "anthropic", "google.genai", "pandas", "numpy", "duckdb", "jupyter_server"),
    *("psycopg", "sqlalchemy", "genai_prices", "altair", "anywidget", "ipywidgets", "aiohttp"),
    "httpx2",
)


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*[m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
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
