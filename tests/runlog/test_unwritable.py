"""A log that cannot be written is read, with one warning; new runs wait."""

import os
import shutil
from urllib.parse import urlsplit

import pytest

import llm_playground as lp
from llm_playground.runlog import open_log, postgres_admin
from tests.runlog.actors import record

TIMEOUT_S = 240
MEEK = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if os.geteuid() == 0 else ()


@pytest.fixture
def protected(path):
    """Takes rights from paths of a log with one run, and gives them back."""
    before = {}

    def protect(modes):
        for name, mode in modes.items():
            target = path.parent / name
            before[target] = target.stat().st_mode
            target.chmod(mode)

    log = open_log(str(path))
    record(log, text="old")
    log.close()
    yield protect
    for target, mode in reversed(before.items()):
        target.chmod(mode)


PROTECTIONS = {
    "file": {"runs.duckdb": 0o444},
    "file and folder": {"runs.duckdb": 0o444, ".": 0o555},
    "lock": {"runs.duckdb": 0o444, "runs.duckdb.lock": 0o444},
    "unreadable lock": {"runs.duckdb": 0o444, "runs.duckdb.lock": 0},
    "lock alone": {"runs.duckdb.lock": 0o444},
    "all": {
        "runs.duckdb": 0o444,
        "runs.duckdb.lock": 0o444,
        "runs.duckdb.journal": 0o555,
        ".": 0o555,
    },
}


@pytest.mark.parametrize("modes", PROTECTIONS.values(), ids=PROTECTIONS)
def test_protected_file_is_read(path, protected, actor, modes):
    protected(modes)
    said, warned = actor("look", before=MEEK).communicate(timeout=TIMEOUT_S)
    assert said == "1 runs\n"
    assert warned.count("\n") == 1
    assert f"{path}" in warned
    assert "Permission denied" in warned


def test_file_without_a_lock_file_in_a_protected_folder_is_read(path, protected, actor):
    path.with_name("runs.duckdb.lock").unlink()
    shutil.rmtree(path.with_name("runs.duckdb.journal"))
    protected({"runs.duckdb": 0o444, ".": 0o555})
    said, warned = actor("look", before=MEEK).communicate(timeout=TIMEOUT_S)
    assert (said, warned.count("\n")) == ("1 runs\n", 1)


@pytest.mark.usefixtures("protected")
def test_file_on_a_read_only_mount_is_read(path, actor):
    mounted = f'mount --bind -o ro "{path.parent}" "{path.parent}" && exec "$@"'
    as_root = ("--map-root-user",) if os.geteuid() else ()
    alone = ("unshare", *as_root, "--mount", "sh", "-c", mounted, "sh")
    said, warned = actor("look", before=alone).communicate(timeout=TIMEOUT_S)
    assert (said, warned.count("\n")) == ("1 runs\n", 1), warned
    assert "Read-only file system" in warned


def test_run_that_waited_is_written_once_the_file_can_be(path, protected, actor):
    protected({"runs.duckdb": 0o444})
    actor("look", before=MEEK).communicate(timeout=TIMEOUT_S)
    path.chmod(0o644)
    assert len(open_log(str(path)).frame("SELECT * FROM runs")) == 2


def test_log_on_a_full_disk_is_read(log, path, actor):
    record(log)
    log.drain()
    log.close()
    said, warned = actor("look_on_a_full_disk").communicate(timeout=TIMEOUT_S)
    assert said == "1 runs\n", warned
    assert warned.count("\n") == 1


# --- PostgreSQL


def unwritable(caplog):
    return [line for line in caplog.messages if "cannot be written" in line]


def database_of(url):
    return url.partition("?")[0].rpartition("/")[2]


@pytest.fixture
def role(server, url):
    """Makes a database role with these grants; its URL."""

    def make(*grants, within=""):
        server.execute(database_of(url), postgres_admin.sql())
        place = server.new_role(url, within)
        name = urlsplit(place).username
        for grant in grants:
            server.execute(database_of(url), f"GRANT {grant} TO {name}")
        return place

    return make


def test_server_that_only_reads_is_read_with_one_warning(server, url, caplog):
    log = open_log(url)
    record(log, text="old")
    log.drain()
    database = database_of(url)
    server.execute("postgres", f"ALTER DATABASE {database} SET default_transaction_read_only = on")
    record(log, text="new")

    for _ in range(3):
        assert list(log.frame("SELECT response_text FROM runs").response_text) == ["old"]
        assert log.read(lambda session: session.rows("SELECT count(*) FROM runs")) == [(1,)]
    assert log.waiting() == 1
    assert "read-only" in log.check()
    [warning] = unwritable(caplog)
    assert "cannot be written (its transactions are read-only" in warning

    server.execute("postgres", f"ALTER DATABASE {database} RESET default_transaction_read_only")
    assert log.check() == "ok"
    assert sorted(log.frame("SELECT response_text FROM runs").response_text) == ["new", "old"]


def test_standby_server_is_read_with_one_warning(server, url, caplog):
    log = open_log(url)
    record(log, text="old")
    log.drain()
    signal = server.folder / "data" / "standby.signal"
    server.stop()
    signal.touch()
    server.start()
    try:
        record(log, text="new")
        assert list(log.frame("SELECT response_text FROM runs").response_text) == ["old"]
        assert log.read(lambda session: session.rows("SELECT count(*) FROM runs")) == [(1,)]
        with log.engine().connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM runs").scalar() == 1
    finally:
        server.stop()
        signal.unlink()
        server.start()
    assert len(unwritable(caplog)) == 1
    assert log.check() == "ok"
    assert log.waiting() == 0


@pytest.mark.parametrize(
    "grants",
    [
        ("SELECT ON ALL TABLES IN SCHEMA public",),
        ("SELECT ON ALL TABLES IN SCHEMA public", "INSERT ON audit_log"),
        ("SELECT ON ALL TABLES IN SCHEMA public", "INSERT ON prompts, executions"),
        ("pg_read_all_data",),
    ],
)
def test_role_that_may_only_select_reads_with_one_warning(url, role, caplog, grants):
    record(open_log(url), text="old")
    open_log(url).drain()
    log = open_log(role(*grants))
    for _ in range(2):
        record(log, text="new")
        assert log.rows("SELECT count(*) AS n FROM results") in ([{"n": 1}], [{"n": 0}])
    assert log.waiting() == 2
    assert log.refused() == []
    [warning] = unwritable(caplog)
    assert "permission denied" in warning


def test_reader_exports_and_is_audited(url, role, caplog, monkeypatch, tmp_path):
    record(open_log(url), text="hers")
    open_log(url).drain()
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", role(within="llm_playground_reader"))
    for form in ("json", "csv", "markdown"):
        assert "hers" in lp.export(lp.runs(), form)
        lp.export(lp.runs(), form, tmp_path / f"runs.{form}")
        assert list(lp.runs().response_text) == ["hers"]
    assert set(open_log().frame("SELECT action FROM audit_log").action) == {"export"}
    assert (open_log().waiting(), unwritable(caplog)) == (0, [])
