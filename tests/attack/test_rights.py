"""What the package writes is for the user only, under any umask, unless a group was chosen."""

import grp
import lzma
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.budgeting.liveness import Liveness
from llm_playground.errors import ConfigError
from llm_playground.runlog import open_log
from tests.conftest import OPENAI_KEY
from tests.exporting.shelf import run
from tests.postgres import Server
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.runlog.actors import record

ROOT = Path(__file__).parents[2]
V1 = ROOT / "tests/runlog/fixtures/v1.duckdb.xz"
TIMEOUT_S = 240
USE = """
import os, sys
os.umask(int(sys.argv[1], 8))
import llm_playground as lp
from llm_playground import config, doctor
from llm_playground.runlog import open_log
from tests.attack.test_rights import wide
from tests.codegen.requests import GIF

home, place = config.home(), open_log().place
run = lp.ask("Say hello.", "openai:gpt-4o", images=[GIF])
lp.configure(endpoints={"gone": "http://127.0.0.1:9/v1"}, retry=1)
try:
    lp.ask("Say hello.", "gone:model")
except lp.LLMError:
    pass  # its stack is in the package's log file
lp.set_budget(50, action="block")
lp.ask("Say hello.", "openai:gpt-4o")
lp.rate(run, 1, note="good")
lp.save_prompt("greeting", run)
lp.save_preset("mine", temperature=0.1)
panel = lp.Playground("letters")
panel.prompt = "Typed."
panel.close()
open_log().change(lambda session: (session.execute("DELETE FROM ratings"), print(*wide(home))))
lp.export(lp.runs(), path=home / "runs.csv", format="csv")
lp.chart(lp.costs()).save(home / "costs.json")
lp.backup(home / "backup.duckdb")
lp.purge("0d", keep="metrics", dry_run=False)
if not place.startswith("postgresql"):
    lp.restore(home / "backup.duckdb")
    lp.ask("Say hello.", "openai:gpt-4o")
    lp.set_aside_log()
    lp.runs()
if len(sys.argv) > 2:
    print(*doctor.report(), file=sys.stderr)
print(*wide(home))
"""


def wide(folder):
    """What is not as private as it should be in a folder, with its rights."""
    wanted = {True: 0o700, False: 0o600}
    found = {path: stat.S_IMODE(path.lstat().st_mode) for path in [folder, *folder.rglob("*")]}
    return [f"{path} {mode:o}" for path, mode in found.items() if mode != wanted[path.is_dir()]]


def use(home, umask, *arguments, log=None, code=USE):
    reply = Reply(openai_stream("Hello."))
    with WireServer(lambda _request: reply) as server:
        environment = {
            "PYTHONPATH": str(ROOT),
            "LLM_PLAYGROUND_HOME": str(home),
            "OPENAI_API_KEY": OPENAI_KEY,
            "OPENAI_BASE_URL": f"{server.url}/v1",
        }
        done = subprocess.run(
            [sys.executable, "-c", code, umask, *arguments],
            env=os.environ | environment | ({"LLM_PLAYGROUND_LOG": log} if log else {}),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("umask", ["000", "777"])
def test_all_that_a_first_use_writes_is_private(tmp_path, umask):
    home = tmp_path / "a" / "home"
    assert use(home, umask, *(["doctor"] if umask == "000" else [])) == ""
    assert wide(tmp_path / "a") == []
    wanted = {"runs.duckdb", "runs.duckdb.journal", "drafts", "backup.duckdb", "runs.csv"}
    assert wanted | {"llm_playground.log"} <= {path.name for path in home.iterdir()}


def test_a_log_on_a_server_leaves_private_files_too(tmp_path):
    server = Server()
    try:
        name = server.new_database()
        open_log(server.url(name)).migrate()
        assert use(tmp_path / "home", "000", log=server.url(name)) == ""
    finally:
        server.close()
    assert wide(tmp_path / "home") == []


READ = "import llm_playground as lp; lp.runs()"
ASK = "import llm_playground as lp; lp.ask('Hi', 'openai:gpt-4o')"
DRAFT = "import llm_playground as lp; lp.Playground('letters').close()"


@pytest.mark.parametrize(
    ("mode", "code"),
    [(0o755, READ), (0o777, DRAFT), (0o775, READ), (0o2775, ASK), (0o750, ASK)],
)
def test_an_existing_home_is_made_private(tmp_path, mode, code):
    home = tmp_path / "home"
    for folder in ("journal/server", "drafts", "models", "runs.duckdb.journal"):
        (home / folder).mkdir(parents=True)
    (home / "runs.duckdb").write_bytes(lzma.decompress(V1.read_bytes()))
    names = ["drafts/a.json", "models/m.gguf", "runs.duckdb.before-v2", "runs.duckdb.aside-1"]
    for name in [*names, "journal/server/budgets.json", "llm_playground.log", "old.duckdb"]:
        (home / name).write_text("{}")
    for path in [*home.rglob("*"), home]:
        path.chmod(mode if path.is_dir() else mode & 0o666)
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "elsewhere").chmod(0o644)
    (home / "drafts" / "link.json").symlink_to(tmp_path / "elsewhere")
    use(home, "022", code=code)
    (home / "drafts" / "link.json").unlink()
    assert wide(home) == []
    assert stat.S_IMODE((tmp_path / "elsewhere").stat().st_mode) == 0o644


def test_a_folder_that_is_not_the_packages_alone_stays_as_it_is(tmp_path, monkeypatch):
    for name, mode in {"tmp": 0o1777, "me": 0o755}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(mode)
        monkeypatch.setenv("HOME", str(tmp_path / "me"))
        monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / name))
        config.home()
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode


def test_a_log_elsewhere_is_private_in_a_folder_that_stays_as_it_is(tmp_path, monkeypatch):
    place = tmp_path / "project" / "runs.duckdb"
    place.parent.mkdir()
    place.parent.chmod(0o2775)  # a folder that a group shares is no choice to share the log
    log = open_log(str(place))
    record(log)
    log.drain()
    assert [path for path in wide(place.parent) if not path.endswith(" 2775")] == []
    place.chmod(0o664)
    use(tmp_path / "home", "000", log=str(place), code=READ)
    assert [path for path in wide(place.parent) if not path.endswith(" 2775")] == []


@pytest.fixture
def group():
    return grp.getgrgid(os.getgid()).gr_name


def not_shared(folder):
    found = [folder, *folder.rglob("*")]
    modes = {path: 0o2770 if path.is_dir() else 0o660 for path in found}
    return [path for path in found if stat.S_IMODE(path.stat().st_mode) != modes[path]]


SHARED = "import os, sys; os.umask(int(sys.argv[1], 8))\n"


@pytest.mark.parametrize("umask", ["000", "077"])
def test_a_group_shares_a_log_by_choice(tmp_path, group, umask):
    place = tmp_path / "team" / "runs.duckdb"
    place.parent.mkdir()
    place.parent.chmod(0o2770)
    ask = f"{SHARED}import llm_playground as lp\nlp.ask('Hi', 'openai:gpt-4o')\n"
    chosen = f"{SHARED}import llm_playground as lp\nlp.configure(log_group={group!r})\n{ask}"
    use(tmp_path / "home", umask, log=str(place), code=f"{chosen}lp.set_budget(9)")
    assert not_shared(place.parent) == []
    # Another process follows the choice of the first.
    change = "lp.purge('0d', keep='metrics', dry_run=False); lp.set_aside_log(); lp.runs()"
    use(tmp_path / "home", umask, log=str(place), code=f"{ask}{change}")
    assert not_shared(place.parent) == []
    assert len(list(place.parent.glob("*.aside-*"))) == 1


OTHER_LOGS = """
import llm_playground as lp
for log in {logs}:
    lp.configure(log=log)
    lp.ask("Hi", "openai:gpt-4o")
lp.configure(log={team!r}, log_group={group!r})
lp.ask("Hi", "openai:gpt-4o")
lp.configure(log={last!r})
lp.ask("Hi", "openai:gpt-4o")
{end}
"""
ENDS = {
    "whole": "",
    "without the group": "import os; os.environ['LLM_PLAYGROUND_LOG_GROUP'] = 'gone'",
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_a_group_shares_no_other_log_of_the_process(tmp_path, group, end):
    home, folder = tmp_path / "home", tmp_path / "other"
    for name in ("other", "team"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o2770)
    logs = [str(path / "runs.duckdb") for path in (folder, home)]
    team, last = str(tmp_path / "team" / "runs.duckdb"), str(folder / "last.duckdb")
    code = OTHER_LOGS.format(logs=logs, team=team, last=last, group=group, end=end)
    assert use(home, "022", code=code) == ""
    assert not_shared(tmp_path / "team") == []
    assert [path for path in wide(folder) if not path.endswith("other 2770")] == []
    assert wide(home) == []


def test_a_group_sees_which_processes_of_its_log_live(tmp_path):
    folder = tmp_path / "runs.duckdb.journal"
    folder.mkdir()
    folder.chmod(0o2770)
    liveness = Liveness(folder)
    liveness.announce()
    try:
        assert list(folder.iterdir())
        assert not_shared(folder) == []
    finally:
        liveness.close()


def test_a_group_cannot_be_given_a_log_in_the_private_folder(home, group, monkeypatch):
    for log in (None, home / "other.duckdb"):
        with pytest.raises(ConfigError, match="LLM_PLAYGROUND_LOG"):
            lp.configure(log=log, log_group=group)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG_GROUP", group)
    with pytest.raises(ConfigError, match="LLM_PLAYGROUND_LOG"):
        lp.runs()


def test_a_group_cannot_be_given_a_log_on_a_server(home, group):
    with pytest.raises(ConfigError, match="admin sql"):
        lp.configure(log="postgresql://ada@db/llm", log_group=group)


@pytest.mark.parametrize("name", ["no such group", "0", "-", "*"])
def test_a_group_that_is_none_is_named(tmp_path, monkeypatch, home, name):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "team" / "runs.duckdb"))
    with pytest.raises(ConfigError, match="There is no group"):
        lp.configure(log_group=name)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG_GROUP", name)
    with pytest.raises(ConfigError, match="There is no group"):
        lp.runs()


def test_an_exported_file_keeps_the_rights_that_its_owner_gave_it(tmp_path, home):
    for name, mode in {"new": None, "wide": 0o644, "group": 0o640, "own": 0o600}.items():
        path = tmp_path / f"{name}.json"
        if mode:
            path.write_text("before")
            path.chmod(mode)
        lp.export(run(), path=path)
        assert stat.S_IMODE(path.stat().st_mode) == (mode or 0o600)
