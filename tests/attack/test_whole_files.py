"""Files are put in place whole: no row and no name is lost, and no other file is overwritten."""

import lzma
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import duckdb
import pytest

import llm_playground as lp
from llm_playground.errors import LLMError, RunLogError
from llm_playground.runlog import open_log, schema
from llm_playground.widget import drafts
from tests.attack.crash_rounds import ids_of
from tests.attack.killed_steps import KILLED, WORKS
from tests.runlog.actors import record
from tests.runlog.conftest import server, template, url

__all__ = ["server", "template", "url"]

ROOT = Path(__file__).parents[2]
V1 = ROOT / "tests/runlog/fixtures/v1.duckdb.xz"
TIMEOUT_S = 240
NAME = "runs.duckdb"
COPY = f"{NAME}.before-v{schema.NEWEST}"


@pytest.fixture
def path(home, monkeypatch, tmp_path):
    """The file of a log in a folder of its own."""
    path = tmp_path / "log" / NAME
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(path))
    return path


def fill(path):
    """A log with one row in its file."""
    log = open_log(str(path))
    run = record(log)
    log.close()  # so that nothing drains in the background
    return run.id


def leave_wal(path):
    subprocess.run([sys.executable, "-c", KILLED, str(path)], check=True, timeout=TIMEOUT_S)
    assert path.with_name(f"{path.name}.wal").stat().st_size > 0


def others(path):
    """Names beside a log, other than its own."""
    own = {path.name, *(f"{path.name}.{ending}" for ending in ("lock", "journal"))}
    return sorted(one.name for one in path.parent.iterdir() if one.name not in own)


class TestWriteAheadLog:
    """The rows of a log whose process died are in each copy of it."""

    def test_backup(self, path, tmp_path):
        ids = {fill(path), "of the wal"}
        leave_wal(path)
        written = lp.backup(tmp_path / "backup.duckdb")
        assert set(ids_of(written)) == ids
        assert not (tmp_path / "backup.duckdb.wal").exists()

    def test_backup_of_a_log_of_a_newer_version(self, path, tmp_path):
        ids = {fill(path), "of the wal"}
        with duckdb.connect(str(path)) as connection:
            connection.execute(f"INSERT INTO schema_migrations (version) VALUES ({schema.MAJOR})")
        leave_wal(path)
        assert set(ids_of(open_log(str(path)).backup(tmp_path / "backup.duckdb"))) == ids

    def test_set_aside(self, path):
        ids = {fill(path), "of the wal"}
        leave_wal(path)
        aside = lp.set_aside_log()
        assert set(ids_of(aside)) == ids
        assert lp.runs().empty
        assert others(path) == [aside.name]

    def test_the_log_that_is_replaced(self, path, tmp_path):
        ids = {fill(path), "of the wal"}
        backup = lp.backup(tmp_path / "backup.duckdb")
        leave_wal(path)
        aside = lp.restore(backup)
        assert set(ids_of(aside)) == ids
        assert set(lp.runs().run_id) == ids - {"of the wal"}

    @pytest.mark.parametrize("engine", ["duckdb", "postgres"])
    def test_the_file_that_is_restored(self, path, tmp_path, engine, request):
        source = tmp_path / "other" / NAME
        ids = {fill(source), "of the wal"}
        leave_wal(source)
        target = open_log(str(path) if engine == "duckdb" else request.getfixturevalue("url"))
        target.restore(source)
        assert set(target.frame("SELECT run_id FROM runs").run_id) == ids

    def test_copy_before_a_migration(self, path):
        path.parent.mkdir()
        path.write_bytes(lzma.decompress(V1.read_bytes()))
        leave_wal(path)
        assert len(lp.runs()) == 6
        assert len(ids_of(path.with_name(COPY))) == 6

    def test_compaction(self, path):
        ids = {fill(path), "of the wal"}
        leave_wal(path)
        open_log(str(path)).compact()
        assert set(ids_of(path)) == ids

    @pytest.mark.parametrize("change", [lp.set_aside_log, lp.restore])
    def test_of_a_damaged_file_it_is_kept_beside_it(self, path, tmp_path, change):
        backup = open_log(str(tmp_path / "b" / NAME))
        fill(backup.path)
        fill(path)
        leave_wal(path)
        wal = path.with_name(f"{NAME}.wal").read_bytes()
        path.write_bytes(b"damaged" * 1000)
        aside = change() if change is lp.set_aside_log else change(backup.path)
        assert aside.read_bytes() == b"damaged" * 1000
        assert aside.with_name(f"{aside.name}.wal").read_bytes() == wal
        assert len(lp.runs()) == (change is lp.restore)


def symlink(path, victim):
    path.symlink_to(victim)


def hard_link(path, victim):
    path.hardlink_to(victim)


def dangling(path, victim):
    path.symlink_to(victim.with_name("nowhere"))


def pipe(path, _victim):
    os.mkfifo(path)


def folder(path, _victim):
    path.mkdir()
    (path / "mine").write_text("mine")


def file_of_another(path, _victim):
    path.write_text("another's")
    with suppress(PermissionError):  # not as root: a file that cannot be written
        os.chown(path, 12345, 12345)
    path.chmod(0o444)


KINDS = [symlink, hard_link, dangling, pipe, folder, file_of_another]
OBSOLETE = [f"{NAME}.compact", f"{COPY}.part", f"{NAME}.journal/budgets.new", ".runs.part"]
TARGETS = [COPY, "backup.duckdb", f"{NAME}.journal/budgets.json", f"{NAME}.journal/budgets.changed"]


@pytest.mark.parametrize("plant", KINDS)
@pytest.mark.parametrize("names", [OBSOLETE, TARGETS, [f"{NAME}.wal"], [f"{NAME}.lock"]])
def test_what_lies_under_a_predictable_name_is_not_written_through(path, tmp_path, plant, names):
    victim = tmp_path / "victim"
    victim.write_text("victim")
    (path.parent / f"{NAME}.journal").mkdir(parents=True)
    backup = open_log(str(tmp_path / "b" / NAME)).backup(tmp_path / "b.duckdb")
    path.write_bytes(lzma.decompress(V1.read_bytes()))
    for name in names:
        plant(path.parent / name, victim)
    log = open_log(str(path))
    works = {
        "record": lambda: record(log),
        "read": lp.runs,
        "limit": lambda: lp.set_budget(9),
        "call": lambda: log.change(lambda session: session.rows("SELECT 1")),
        "purge": lambda: lp.purge("0d", keep="metrics", dry_run=False),
        "backup": lambda: lp.backup(path.parent / "backup.duckdb"),
        "restore": lambda: lp.restore(backup),
        "set aside": lp.set_aside_log,
    }
    errors = []
    for work in works.values():
        try:
            work()
        except LLMError as error:
            errors.append(str(error))
    assert not any("\n" in error for error in errors)
    assert victim.read_text() == "victim"
    assert not victim.with_name("nowhere").exists()
    if plant is folder:
        assert len(list(path.parent.rglob("mine"))) == len(names)


@pytest.mark.parametrize("plant", KINDS)
def test_a_backup_is_written_under_a_free_name_only(path, tmp_path, plant):
    fill(path)
    victim = tmp_path / "victim"
    victim.write_text("victim")
    plant(tmp_path / "backup.duckdb", victim)
    with pytest.raises(RunLogError, match="already exists"):
        lp.backup(tmp_path / "backup.duckdb")
    assert victim.read_text() == "victim"


@pytest.mark.parametrize("plant", KINDS)
def test_a_draft_replaces_what_lies_under_its_name(home, tmp_path, plant):
    victim = tmp_path / "victim"
    victim.write_text("victim")
    lp.Playground("letters").close()
    place = drafts._path(drafts.Identity("letters"))
    place.parent.mkdir(parents=True)
    plant(place, victim)
    panel = lp.Playground("letters")
    panel.prompt = "Typed."
    panel.close()
    assert victim.read_text() == "victim"
    assert plant is folder or "Typed." in place.read_text()


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, Path("/dev/zero").symlink_to])
def test_what_is_no_file_is_not_restored(path, tmp_path, make):
    fill(path)
    if make in (Path.mkdir, os.mkfifo):
        make(tmp_path / "source")
    else:
        (tmp_path / "source").symlink_to("/dev/zero")
    with pytest.raises(RunLogError) as error:
        lp.restore(tmp_path / "source")
    assert "\n" not in str(error.value)
    assert len(lp.runs()) == 1


def test_a_log_that_is_a_link_is_the_file_it_names(path, tmp_path):
    (tmp_path / "disk").mkdir()
    path.parent.mkdir()
    path.symlink_to(tmp_path / "disk" / "big.duckdb")
    fill(path)
    lp.purge("0d", keep="metrics", dry_run=False)
    assert path.is_symlink()
    assert len(ids_of(tmp_path / "disk" / "big.duckdb")) == 1
    assert others(path) == []


@pytest.mark.parametrize("work", WORKS)
def test_killed_before_each_step_it_is_as_before_or_done(tmp_path, work):
    command = [sys.executable, str(ROOT / "tests/attack/killed_steps.py"), work, str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, env=os.environ
    )
    assert "all as promised" in done.stdout, done.stdout + done.stderr
