"""Models of Hugging Face are downloaded once, resumed after a break, and verified."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path

import psutil
import pytest

from llm_playground.errors import ConfigError
from llm_playground.events import Preparing
from llm_playground.providers import Endpoint, local
from llm_playground.providers.local import huggingface
from llm_playground.providers.local.huggingface import choose
from tests.local_provider.loopback_hub import Refusal, loopback_hub
from tests.local_provider.tiny_weights import gguf_file

CONTENT = gguf_file() + os.urandom(2_000_000)
FILE = "tiny.Q4_K_M.gguf"
REFERENCE = huggingface.Reference("org/tiny-GGUF", FILE)
TOKEN = "_".join(["hf", "tokenOfATestThatMustNeverShow"])
FETCH = f"""
import threading
from llm_playground.errors import ConfigError
from llm_playground.providers.local import huggingface as hub
try:
    print(hub.fetch(hub.Reference("org/tiny-GGUF", {FILE!r}),
                    lambda event: print(event.message, flush=True), threading.Event()))
except ConfigError as error:
    print("ConfigError:", error)
"""

pytestmark = pytest.mark.usefixtures("home", "own_cache")


@pytest.fixture
def own_cache(monkeypatch, tmp_path) -> Path:
    """A cache of the test's own, and no settings of the developer's."""
    for name in [name for name in os.environ if name.startswith(("HF_", "HUGGINGFACE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


@pytest.fixture
def there(monkeypatch):
    """The hub, with one file."""
    with loopback_hub(**{FILE: CONTENT}) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def fetch(reference=REFERENCE, seen: list | None = None, stop=None) -> Path:
    seen = [] if seen is None else seen
    return huggingface.fetch(reference, seen.append, stop or threading.Event())


def blobs(own_cache: Path) -> set[str]:
    return {path.suffix or "whole" for path in own_cache.glob("models--*/blobs/*")}


def fetching_processes(pid: int | None = None) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            found += [child] if "huggingface import serve" in " ".join(child.cmdline()) else []
        except psutil.Error:  # it has just ended
            continue
    return found


def wait_until(condition, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def error_of(reference=REFERENCE) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        fetch(reference)
    said = str(caught.value)
    assert "\n" not in said
    assert TOKEN not in said
    assert TOKEN not in str(caught.value.detail)
    return caught.value


# Fetching


async def test_a_model_of_hugging_face_answers(there, real_weights, servers):
    there.files = {"SmolLM2.Q4_1.gguf": real_weights.read_bytes(), "README.md": b"hello"}
    there.wait_in_the_middle = True  # until the download is reported

    events, downloading = [], "Downloading SmolLM2.Q4_1.gguf"
    async for event in local.start("org/tiny-GGUF"):
        events.append(event)
        if downloading in getattr(event, "message", ""):
            there.go_on.set()

    fractions = [event.fraction for event in events[:-1] if event.fraction is not None]
    assert any(downloading in event.message for event in events[:-1])
    assert fractions == sorted(fractions)
    assert isinstance(events[-1], Endpoint)
    asked = list(there.asked)
    assert (await anext(local.start("org/tiny-GGUF"))) == events[-1]  # without a request
    assert there.asked == asked


def test_cache_is_shared_with_other_tools(there, own_cache):
    path = fetch()
    tool = (
        "import sys; from huggingface_hub import hf_hub_download as d;"
        "print(d('org/tiny-GGUF', sys.argv[1], local_files_only=True), end='')"
    )
    others = subprocess.run(
        [sys.executable, "-c", tool, FILE], capture_output=True, text=True, timeout=300, check=True
    )
    assert (path.read_bytes(), Path(others.stdout)) == (CONTENT, path)

    shutil.rmtree(own_cache)
    subprocess.run(
        [sys.executable, "-c", tool.replace(", local_files_only=True", ""), FILE],
        capture_output=True, timeout=300, check=True,
    )  # fmt: skip
    downloads = len(there.ranges)
    assert fetch().read_bytes() == CONTENT
    assert len(there.ranges) == downloads


def test_named_cached_file_needs_no_request(there):
    path = fetch()
    asked = len(there.asked)

    assert fetch() == path
    assert len(there.asked) == asked


def test_progress_is_seen_while_bytes_arrive(there):
    there.wait_in_the_middle = True
    seen = []

    def look(event: Preparing) -> None:
        seen.append(event)
        if event.fraction == pytest.approx(0.5):
            there.go_on.set()

    huggingface.fetch(REFERENCE, look, threading.Event())

    said = f"Downloading {FILE} from Hugging Face, once: 1 of 2 MB"
    assert any(event.message == said and event.fraction == pytest.approx(0.5) for event in seen)


@pytest.mark.parametrize("file", [None, "q4_k_m"])
def test_without_a_files_name_one_is_chosen(there, file):
    there.files |= {"tiny.Q8_0.gguf": b"other", "mmproj-tiny.gguf": b"other", "README.md": b"text"}

    assert fetch(huggingface.Reference("org/tiny-GGUF", file)).name == FILE


@pytest.mark.parametrize(
    ("names", "wanted", "chosen"),
    [
        (["m.Q8_0.gguf", "m.Q4_K_M.gguf", "m.Q2_K.gguf"], None, "m.Q4_K_M.gguf"),
        (["m-Q2_K.gguf", "m-q5_k_m.gguf", "m-F16.gguf"], None, "m-q5_k_m.gguf"),
        (["m-bf16.gguf", "m-UD-IQ2_XXS.gguf"], None, "m-UD-IQ2_XXS.gguf"),
        (["a/m-Q4_K_M-00001-of-00002.gguf", "m-Q8_0.gguf"], None, "m-Q8_0.gguf"),
        (["m-Q4_0_4_4.gguf", "m-Q4_0.gguf"], "Q4_0", "m-Q4_0.gguf"),
        (["zz.gguf", "a.gguf"], None, "zz.gguf"),  # the smaller of two that say nothing
        (["b-Q4_K_M.gguf", "a-Q4_K_M.gguf"], None, "b-Q4_K_M.gguf"),
        (["m-Q4_K_M.gguf"], "Q8_0", None),
        (["model.safetensors", "mmproj-F16.gguf", "m-imatrix.gguf"], None, None),
    ],
)
def test_the_choice_is_the_same_every_time(names, wanted, chosen):
    sizes = {name: 10 + place for place, name in enumerate(names)}
    backwards = dict(reversed(sizes.items()))

    assert choose(sizes, wanted) == choose(backwards, wanted) == chosen


# Going on


def test_resumes_a_broken_download(there, own_cache):
    there.break_off_after = [500_000, 300_000]

    assert fetch().read_bytes() == CONTENT
    assert there.ranges == [None, "bytes=500000-", "bytes=800000-"]
    assert there.bytes_sent == len(CONTENT)
    assert blobs(own_cache) == {"whole"}


def test_a_killed_fetch_goes_on_where_it_was(there, own_cache, run_script):
    there.wait_in_the_middle = True
    with subprocess.Popen(run_script(FETCH), stdout=subprocess.DEVNULL) as process:
        assert there.half_sent.wait(60)
        wait_until(lambda: sum(p.stat().st_size for p in own_cache.rglob("*.incomplete")) > 900_000)
        (fetching,) = fetching_processes(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait(60)
        wait_until(lambda: not fetching.is_running())
    (partial,) = own_cache.rglob("*.incomplete")
    so_far = partial.stat().st_size
    there.go_on.set()

    assert fetch().read_bytes() == CONTENT
    assert there.ranges == [None, f"bytes={so_far}-"]


def test_giving_up_ends_the_fetch_at_once_and_keeps_what_came(there, own_cache):
    there.wait_in_the_middle = True
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(fetch, stop=stop)
        assert there.half_sent.wait(60)
        wait_until(lambda: list(own_cache.rglob("*.incomplete")))
        stop.set()
        with pytest.raises(CancelledError):
            fetching.result(60)

    assert fetching_processes() == []
    assert blobs(own_cache) == {".incomplete"}


async def test_cancelling_the_last_who_waits_ends_the_fetch(there):
    there.wait_in_the_middle = True

    async def wait():
        async with aclosing(local.start(f"org/tiny-GGUF:{FILE}")) as events:
            async for _ in events:
                pass

    waiting = [asyncio.create_task(wait()) for _ in range(2)]
    assert await asyncio.to_thread(there.half_sent.wait, 60)
    waiting[0].cancel()
    await asyncio.wait(waiting[:1])
    assert len(fetching_processes()) == 1  # the other still wants it
    waiting[1].cancel()
    await asyncio.wait(waiting)

    await asyncio.to_thread(wait_until, lambda: not fetching_processes())


def test_hub_without_ranges_starts_over(there):
    there.knows_ranges, there.break_off_after = False, [500_000]

    assert fetch().read_bytes() == CONTENT


def test_a_busy_store_is_asked_again(there):
    there.busy = 2

    assert fetch().read_bytes() == CONTENT


def test_always_broken_download_is_one_line_and_kept(there, own_cache):
    there.break_off_after = [1_000_000] + [0] * 5

    assert "broke at 1 of 2 MB" in str(error_of())
    assert blobs(own_cache) == {".incomplete"}
    assert fetch().read_bytes() == CONTENT


# The right bytes


def test_wrong_checksum_is_deleted(there, own_cache):
    there.wrong_bytes = True

    assert "does not have the checksum" in str(error_of())
    assert blobs(own_cache) == set()
    assert not list(own_cache.glob("models--*/snapshots/*/*"))

    there.wrong_bytes = False
    assert fetch().read_bytes() == CONTENT


def test_a_damaged_beginning_is_fetched_again(there, own_cache):
    there.break_off_after = [1_000_000] + [0] * 5
    error_of()
    (partial,) = own_cache.rglob("*.incomplete")
    partial.write_bytes(bytes(1_000_000))

    assert fetch().read_bytes() == CONTENT


def test_a_hub_without_checksums_is_refused(there):
    there.tells_checksums = False

    assert "has no checksum" in str(error_of())


def test_of_two_processes_one_fetches_and_the_other_waits_for_it(there, run_script):
    there.wait_in_the_middle = True
    command = run_script(FETCH)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, text=True) as one:
        assert there.half_sent.wait(60)
        with subprocess.Popen(command, stdout=pipe, text=True) as two:
            while not two.stdout.readline().startswith("Waiting for org/tiny-GGUF"):
                assert two.poll() is None
            there.go_on.set()
            said = [process.communicate(timeout=300)[0].splitlines()[-1] for process in (one, two)]

    assert said[0] == said[1]
    assert Path(said[0]).read_bytes() == CONTENT
    assert len(there.ranges) == 1


# One line that says what to do


@pytest.mark.parametrize(
    ("refusal", "said"),
    [
        (Refusal(401, "RepoNotFound"), "There is no org/tiny-GGUF at http"),
        (Refusal(404, "RepoNotFound"), "or it is private"),
        (Refusal(403, "GatedRepo"), "requires that you accept its terms"),
        (Refusal(401, "GatedRepo"), "HF_TOKEN"),
        (Refusal(401, "", "Invalid credentials in Authorization header"), "this token"),
        (Refusal(403, "", "no"), "hf auth login"),
        (Refusal(500), "with status 500"),
    ],
)
@pytest.mark.parametrize("file", [FILE, None], ids=["named", "chosen"])
def test_a_refusal_says_what_to_do_and_not_the_token(there, monkeypatch, refusal, said, file):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    there.refusal = refusal

    assert said in str(error_of(huggingface.Reference("org/tiny-GGUF", file)))


@pytest.mark.parametrize("where", ["environment", ".env", "file"])
def test_the_token_goes_to_the_hub_and_not_to_the_store(there, monkeypatch, tmp_path, where):
    there.token = TOKEN
    assert "HF_TOKEN" in str(error_of())
    if where == "environment":
        monkeypatch.setenv("HF_TOKEN", TOKEN)
    elif where == ".env":
        (tmp_path / ".env").write_text(f"HF_TOKEN={TOKEN}\n")
    else:  # as `hf auth login` leaves it
        (tmp_path / "hf").mkdir(exist_ok=True)
        (tmp_path / "hf" / "token").write_text(TOKEN)

    assert fetch().read_bytes() == CONTENT
    assert not there.store_saw_a_token


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("missing.gguf", "has no file missing.gguf"),
        ("Q8_0", f"has no GGUF file with Q8_0. It has {FILE}"),
        ("tiny-00001-of-00003.gguf", "one part of a split model"),
        ("mmproj-F16.gguf", "not a chat model"),
        ("../../x.gguf", "not the path of a file"),
    ],
)
def test_unavailable_file_is_named(there, file, said):
    assert said in str(error_of(huggingface.Reference("org/tiny-GGUF", file)))


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tiny-00001-of-00002.gguf": b"", "tiny-00002-of-00002.gguf": b""}, "split into parts"),
        ({"model.safetensors": b"", "mmproj-F16.gguf": b""}, "has no GGUF file of a chat model"),
    ],
)
def test_repository_without_usable_file_is_named(there, files, said):
    there.files = files

    assert said in str(error_of(huggingface.Reference("org/tiny-GGUF")))


def test_another_repository_than_there_is_is_named(there):
    assert "There is no org/other at" in str(error_of(huggingface.Reference("org/other", FILE)))
    assert "is not a repository name" in str(error_of(huggingface.Reference("org/a--b", FILE)))


def test_offline_uses_the_cache_and_names_the_problem(there, monkeypatch):
    path = fetch()
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")

    assert fetch() == fetch(huggingface.Reference("org/tiny-GGUF")) == path
    said = str(error_of(huggingface.Reference("org/tiny-GGUF", "other.gguf")))
    assert "127.0.0.1:9 cannot be reached" in said
    assert "cannot be reached" in str(error_of(huggingface.Reference("org/other")))


def test_offline_is_honoured(there, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "HF_HUB_OFFLINE is set" in str(error_of())
    assert "HF_HUB_OFFLINE is set" in str(error_of(huggingface.Reference("org/tiny-GGUF")))
    assert there.asked == []

    monkeypatch.delenv("HF_HUB_OFFLINE")
    path = fetch()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    asked = len(there.asked)
    assert fetch() == fetch(huggingface.Reference("org/tiny-GGUF")) == path
    assert len(there.asked) == asked


def test_without_the_library_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)

    assert str(error_of()).endswith("huggingface_hub: pip install huggingface_hub")


def test_a_cache_that_cannot_be_written_is_named(there, monkeypatch):
    monkeypatch.setenv("HF_HOME", "/dev/null/hf")

    said = str(error_of())
    assert "/dev/null/hf" in said
    assert "HF_HOME" in said


def on_a_small_disk(command: list[str], megabytes: int, also: str, cwd: Path) -> list[str]:
    """What a command says whose cache is a disk of that size; ``also`` runs beside it."""
    own_users = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    script = (
        f"mkdir -p hf; mount -t tmpfs -o size={megabytes}m none hf; ({also}) & "
        '"$@"; wait; du -sm hf/hub | cut -f1'
    )
    done = subprocess.run(
        ["unshare", *own_users, "--mount", "sh", "-c", script, "sh", *command],
        cwd=cwd, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    return done.stdout.splitlines()


def test_too_small_a_disk_is_known_before(there, run_script, tmp_path):
    there.files[FILE] = os.urandom(24_000_000)

    *_, said, _size = on_a_small_disk(run_script(FETCH), 30, "true", tmp_path)

    assert "takes 40 MB" in said
    assert "MB are free" in said
    assert there.ranges == []


def test_disk_full_during_download_is_one_line(there, run_script, tmp_path):
    there.files[FILE] = os.urandom(24_000_000)
    there.wait_in_the_middle = True
    fill = (
        "until [ -e half ]; do sleep 0.05; done; "
        "head -c 99m /dev/zero > hf/other 2>/dev/null; touch full"
    )

    def watch() -> None:
        there.half_sent.wait(60)
        (tmp_path / "half").touch()
        wait_until((tmp_path / "full").exists)
        there.go_on.set()

    watching = threading.Thread(target=watch)
    watching.start()
    *_, said, size = on_a_small_disk(run_script(FETCH), 50, fill, tmp_path)
    watching.join(60)

    assert "No space left on device" in said
    assert "The partial file is kept." in said
    assert int(size) >= 8
