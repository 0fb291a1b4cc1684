"""A log is one file and back again, on either engine and from one to the other."""

import json
import lzma
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

import llm_playground as lp
from llm_playground.errors import ProviderUnavailableError, RunLogError
from llm_playground.runlog import open_log, schema
from llm_playground.types import Attempt
from tests.runlog.actors import begin, execution_of, prompt, record

V1 = Path(__file__).with_name("fixtures") / "v1.duckdb.xz"
PICTURE = bytes(range(256)) * 5


def fill(log):
    request = prompt("Why?\n'quoted' \\ \"twice\" 日本語 🎈", system="", temperature=0.2)
    execution = execution_of(request, tags=("x", "y,z"), notebook="a b.ipynb")
    run = record(log, request, execution, text="", reasoning="\\N", attempts=[Attempt(1, 0.0, 9.5)])
    record(log, cost_usd=Decimal("123456.123456789012"), text="\\u0041 \t\x01\x02 x" * 50_000)
    record(log, status="failed", error=ProviderUnavailableError("It is down."), cost_usd=None)
    begin(log)
    values = {"id": run.id, "data": PICTURE}
    for sql in [
        "INSERT INTO ratings (id, result_id, score, blind) VALUES ($id, $id, 0.1, true)",
        "INSERT INTO attachments (sha256, media_type, data) VALUES ($id, 'image/png', $data)",
        "INSERT INTO budgets (id, limit_usd) VALUES ($id, 999999999999.000000000001)",
        """INSERT INTO presets (username, name, parameters) VALUES ('ada', $id, '{"a": [1]}')""",
    ]:
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        log.change(lambda session, sql=sql, used=used: session.execute(sql, used))


def content(log):
    """All that the log holds, table by table, as text that is the same on both engines."""
    found = {}
    for table in schema.TABLES:
        frame = log.frame(f"SELECT * FROM {table}")
        own = [name for name in frame.columns if name not in ("db_role", "recorded_at")]
        rows = frame[own].map(comparable).sort_values(own[0]).reset_index(drop=True)
        found[table] = rows.to_dict("list")
    return found


def comparable(value):
    if isinstance(value, str) and value.startswith(("[", "{")):
        return json.dumps(json.loads(value), sort_keys=True)  # PostgreSQL has an order of its own
    if isinstance(value, float):
        return f"{value:.12g}"  # money is exact in the tables, and a rounded float in a frame
    return value.hex() if isinstance(value, (bytes, bytearray, memoryview)) else repr(value)


@pytest.fixture(params=["duckdb", "postgres"])
def empty(request, tmp_path, server, template):
    """Another log to restore into."""
    if request.param == "duckdb":
        return open_log(str(tmp_path / "other" / "runs.duckdb"))
    return open_log(server.url(server.new_database(template)))


def test_what_is_restored_is_what_was_backed_up(log, empty, tmp_path):
    fill(log)
    written = log.backup(tmp_path / "backup.duckdb")
    before = content(log)
    assert [len(next(iter(columns.values()))) for columns in before.values()][:4] == [2, 4, 4, 1]
    empty.restore(written)
    for table, columns in content(empty).items():
        for name, values in columns.items():
            assert values == before[table][name], f"{table}.{name}"
    exact = "SELECT CAST(cost_usd AS VARCHAR) AS usd FROM results WHERE cost_usd > 1"
    assert list(empty.frame(exact).usd) == ["123456.123456789012"]
    limit = empty.frame("SELECT CAST(limit_usd AS VARCHAR) AS usd FROM budgets").usd
    assert list(limit) == ["999999999999.000000000001"]


def test_a_backup_can_be_opened_as_a_log_itself(log, tmp_path):
    record(log, text="kept")
    copy = open_log(str(log.backup(tmp_path / "backup.duckdb")))
    assert list(copy.frame("SELECT response_text FROM runs").response_text) == ["kept"]


def test_a_backup_replaces_nothing(log, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunLogError, match="already exists"):
        log.backup(tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("bad", [b"junk" * 5000, None], ids=["junk", "nothing"])
def test_what_is_no_run_log_is_not_restored(log, tmp_path, bad):
    record(log)
    log.drain()
    if bad is not None:
        (tmp_path / "bad.duckdb").write_bytes(bad)
    with pytest.raises(RunLogError) as error:
        log.restore(tmp_path / "bad.duckdb")
    assert "\n" not in str(error.value)
    assert len(log.frame("SELECT * FROM runs")) == 1


@pytest.mark.parametrize("name", ["nix.duckdb", "no/nix.duckdb", "no/../nix", "n i x.duckdb"])
def test_a_file_that_does_not_exist_is_not_restored(log, tmp_path, monkeypatch, name):
    record(log)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunLogError) as error:
        log.restore(name)
    assert str(error.value) == f"There is no file {name}."
    assert len(log.rows("SELECT run_id FROM runs")) == 1


@pytest.mark.parametrize(
    "content", [b"\x89PNG\r\n\x1a\n", b"", b"DUCK", b"SQLite format 3\0", b"{}", b"PK\3\4" * 99]
)
def test_another_file_is_not_a_backup(log, tmp_path, monkeypatch, content):
    record(log)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(content)
    with pytest.raises(RunLogError) as error:
        log.restore("cat.png")
    assert str(error.value) == "cat.png is not a backup of a run log. Nothing was changed."
    assert len(log.rows("SELECT run_id FROM runs")) == 1


@pytest.mark.parametrize("name", ["no/x.duckdb", "./no/x", "no/deeper/x.duckdb"])
def test_a_backup_needs_its_folder(log, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunLogError) as error:
        log.backup(name)
    folder = (tmp_path / name).parent
    assert str(error.value) == f"There is no folder {folder}. Create it first."


def test_a_restored_file_takes_the_place_of_the_log_which_is_kept_aside(path, tmp_path):
    log = open_log(str(path))
    record(log, text="first")
    backup = log.backup(tmp_path / "backup.duckdb")
    record(log, text="second")
    log.drain()
    aside = log.restore(backup)
    assert list(log.frame("SELECT response_text FROM runs").response_text) == ["first"]
    with duckdb.connect(str(aside), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (2,)


def test_runs_that_wait_come_on_top_of_what_is_restored(path, tmp_path):
    log = open_log(str(path))
    backup = log.backup(tmp_path / "backup.duckdb")
    record(log, text="waits")
    log.restore(backup)
    assert list(log.frame("SELECT response_text FROM runs").response_text) == ["waits"]


def test_rolling_a_migration_back_is_one_call(tmp_path, monkeypatch):
    place = tmp_path / "runs.duckdb"
    place.write_bytes(lzma.decompress(V1.read_bytes()))
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(place))
    assert len(lp.runs()) == 5
    lp.restore(f"{place}.before-v{schema.NEWEST}")
    assert len(lp.runs()) == 5


def test_a_log_of_a_newer_version_is_backed_up_as_it_is(path, tmp_path):
    log = open_log(str(path))
    record(log)
    log.drain()
    with duckdb.connect(str(path)) as connection:
        connection.execute(f"INSERT INTO schema_migrations (version) VALUES ({schema.MAJOR})")
    assert log.backup(tmp_path / "backup.duckdb").read_bytes() == path.read_bytes()


def test_a_backup_goes_only_into_empty_tables_of_a_server(url, tmp_path):
    log = open_log(url)
    record(log)
    backup = log.backup(tmp_path / "backup.duckdb")
    with pytest.raises(RunLogError, match="not empty"):
        log.restore(backup)
    assert len(log.frame("SELECT * FROM runs")) == 1
