"""Every schema that has landed is brought to the newest, once, by itself, after a copy."""

import lzma
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from llm_playground.errors import RunLogError
from llm_playground.runlog import open_log, schema
from tests.runlog.actors import record

FIXTURES = Path(__file__).with_name("fixtures")
LANDED = sorted(FIXTURES.glob("v*.duckdb.xz"))
TIMEOUT_S = 240
NEW_TABLES = {"prompt_versions", "presets", "attachments", "budgets", "budget_reservations"}


@pytest.fixture(params=LANDED, ids=lambda path: path.name.partition(".")[0])
def landed(request, path):
    """A log as an earlier version left it: five runs, one of them rated."""
    path.parent.mkdir()
    path.write_bytes(lzma.decompress(request.param.read_bytes()))
    return path


def copy_of(path):
    return path.with_name(f"{path.name}.before-v{schema.NEWEST}")


def versions(path):
    with duckdb.connect(str(path), read_only=True) as connection:
        rows = connection.execute("SELECT version FROM schema_migrations ORDER BY 1").fetchall()
    return [row[0] for row in rows]


def test_there_is_a_file_of_every_version_before_the_newest():
    assert [path.name for path in LANDED] == [f"v{n}.duckdb.xz" for n in range(1, schema.NEWEST)]


def test_reading_an_earlier_log_brings_it_to_the_newest_tables_with_all_its_runs(landed):
    log = open_log(str(landed))
    frame = log.frame("SELECT * FROM runs ORDER BY started_at")
    assert list(frame.response_text) == ["answer 1", "answer 2", "answer 3", "answer 4", ""]
    assert list(frame.status) == ["completed"] * 4 + ["failed"]
    assert frame.rating[0] == 4.0
    assert frame.cost_usd[0] == pytest.approx(0.0000015)
    assert frame.saved_usd.isna().all()
    tables = set(log.frame("SELECT table_name FROM duckdb_tables()").table_name)
    assert tables >= NEW_TABLES | set(schema.TABLES)
    assert versions(landed) == list(range(1, schema.NEWEST + 1))


def test_a_run_recorded_on_an_earlier_log_is_the_sixth(landed):
    log = open_log(str(landed))
    record(log, saved_usd=Decimal("0.25"), cached=True)
    frame = log.frame("SELECT saved_usd FROM runs WHERE cached")
    assert list(frame.saved_usd) == [0.25]
    assert len(log.frame("SELECT * FROM runs")) == 6


def test_the_copy_made_before_is_the_log_as_it_was(landed):
    before = versions(landed)
    open_log(str(landed)).frame("SELECT 1")
    assert versions(copy_of(landed)) == before
    with duckdb.connect(str(copy_of(landed)), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (5,)


def test_a_new_log_needs_no_copy(log, path):
    log.drain()
    assert versions(path) == list(range(1, schema.NEWEST + 1))
    assert not copy_of(path).exists()


def test_processes_that_open_it_at_once_migrate_it_once_and_lose_nothing(landed, actor):
    openers = [actor("write_many", 3) for _ in range(4)]
    for opener in openers:
        _, complaints = opener.communicate(timeout=TIMEOUT_S)
        assert (opener.returncode, complaints) == (0, "")
    assert versions(landed) == list(range(1, schema.NEWEST + 1))
    assert len(open_log(str(landed)).frame("SELECT * FROM runs")) == 5 + 4 * 3
    with duckdb.connect(str(copy_of(landed)), read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (5,)


def test_a_migration_that_fails_leaves_the_tables_of_before_and_the_next_try_succeeds(
    landed, monkeypatch
):
    with monkeypatch.context() as broken:
        steps = (*schema._MIGRATIONS[:-1], schema._MIGRATIONS[-1] + "SELECT no_such_thing;")
        broken.setattr(schema, "_MIGRATIONS", steps)
        with pytest.raises(RunLogError, match="no_such_thing") as error:
            open_log(str(landed)).frame("SELECT 1")
        assert "left as it is" in str(error.value)
    assert versions(landed) == list(range(1, schema.NEWEST))
    assert len(open_log(str(landed)).frame("SELECT * FROM runs")) == 5


def test_no_room_for_the_copy_means_no_migration_and_runs_go_on(landed, journals):
    in_the_way = copy_of(landed)
    in_the_way.mkdir()
    log = open_log(str(landed))
    record(log)
    before = versions(landed)
    with pytest.raises(RunLogError, match="cannot be written"):
        log.frame("SELECT 1")
    assert versions(landed) == before
    assert len(journals()) == 1
    in_the_way.rmdir()
    assert len(log.frame("SELECT * FROM runs")) == 6


def later(path):
    """What a later version of the same major may have done: added."""
    with duckdb.connect(str(path)) as connection:
        connection.execute("ALTER TABLE results ADD COLUMN mood VARCHAR DEFAULT 'calm'")
        connection.execute("CREATE TABLE moods (id VARCHAR)")
        connection.execute(f"INSERT INTO schema_migrations (version) VALUES ({schema.NEWEST + 1})")


def test_a_later_log_of_the_same_major_is_read_and_written(log, path):
    record(log)
    log.drain()
    later(path)
    record(log)
    assert list(log.frame("SELECT mood FROM results").mood) == ["calm", "calm"]
    assert log.check() == "ok"
    assert versions(path)[-1] == schema.NEWEST + 1


FOREIGN = {
    "another program's tables": "CREATE TABLE customers (id INTEGER)",
    "another program's migrations": "CREATE TABLE schema_migrations (version VARCHAR); "
    "INSERT INTO schema_migrations VALUES ('20260101'); CREATE TABLE customers (id INTEGER)",
    "only another program's migrations": "CREATE TABLE schema_migrations (version INTEGER); "
    "INSERT INTO schema_migrations VALUES (7)",
}


@pytest.mark.parametrize("statements", FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_run_log_is_refused_in_one_line_and_left_alone(path, statements):
    path.parent.mkdir()
    with duckdb.connect(str(path)) as connection:
        connection.execute(statements)
    before = path.read_bytes()
    log = open_log(str(path))
    record(log)
    for _ in range(2):
        with pytest.raises(RunLogError, match="is not a run log") as error:
            log.frame("SELECT 1")
        assert "\n" not in str(error.value)
    assert path.read_bytes() == before
    assert log.waiting() == 1
    log.close()
