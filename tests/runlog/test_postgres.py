"""What is special about a log on a server: many machines, no file, and people who own it."""

import logging
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

import llm_playground as lp
from llm_playground.errors import ConfigError, RunLogError
from llm_playground.runlog import open_log, postgres_admin, recorder, schema
from tests.postgres import PASSWORD
from tests.runlog.actors import begin, completed, execution_of, prompt, record

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 240
KERNELS = 80  # more than there are connections


def one_line(error):
    text = str(error.value)
    assert "\n" not in text
    assert PASSWORD not in text
    assert PASSWORD not in repr(error.value) + str(error.value.detail)
    return text


def database_of(url):
    return url.rpartition("/log")[2].partition("?")[0].join(["log", ""])


def connections(server, url):
    found = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database_of(url)}'"
    return server.execute("postgres", found)[0][0]


# --- frames


def test_frames_have_the_same_types_on_both_engines(url, tmp_path):
    logs = [open_log(url), open_log(str(tmp_path / "runs.duckdb"))]
    for log in logs:
        record(log, text="an answer", cost_usd=None)
        record(log, prompt(temperature=0.5), text="another")
    frames = [log.frame("SELECT * FROM runs ORDER BY started_at") for log in logs]
    assert list(frames[0].columns) == list(frames[1].columns)
    assert frames[0].dtypes.to_dict() == frames[1].dtypes.to_dict()
    measured = ["status", "cost_usd", "response_text", "input_tokens", "cached", "ttft_ms"]
    assert frames[0][measured].equals(frames[1][measured])


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT DATE '2026-03-01' AS x, NULL::DATE AS y",
        "SELECT TIMESTAMP '1850-01-01 12:00' AS x",
        "SELECT TIMESTAMPTZ '2026-03-01 12:00:00.000001+02' AS x, NULL::TIMESTAMPTZ AS y",
        "SELECT 1::SMALLINT AS a, 2::INTEGER AS b, 3::BIGINT AS c, NULL::BIGINT AS d",
        "SELECT 1.5::DECIMAL(18, 12) AS a, NULL::DECIMAL(18, 12) AS b, 0.25::REAL AS c",
        "SELECT true AS a, NULL::BOOLEAN AS b, 'x'::VARCHAR AS c, NULL::VARCHAR AS d",
        "SELECT '01890a5d-ac96-774b-bcce-b302099a8057'::UUID AS id",
        "SELECT 1 AS a, 2 AS a, 3 AS a",
        "SELECT 1 AS a WHERE false",
    ],
)
def test_a_value_of_any_kind_is_the_same_from_both_engines(url, tmp_path, sql):
    ours = open_log(url).frame(sql)
    other = open_log(str(tmp_path / "runs.duckdb")).frame(sql)
    assert list(ours.columns) == list(other.columns)
    assert ours.equals(other)
    kinds = [[dtype.kind for dtype in frame.dtypes] for frame in (ours, other)]
    assert kinds[0] == kinds[1]


def test_a_moment_without_end_is_unknown(url):
    assert open_log(url).frame("SELECT 'infinity'::TIMESTAMPTZ AS x").x.isna().all()


def test_values_are_bound_in_order_by_number_or_by_name(log, url):
    record(log, prompt(temperature=0.5), text="5% of $name, or what?")
    for sql, params in [
        ("SELECT * FROM runs WHERE response_text = ?", ["5% of $name, or what?"]),
        ("SELECT * FROM runs WHERE response_text = $1", ["5% of $name, or what?"]),
        ("SELECT * FROM runs WHERE model = $model AND '?' <> '$x'", {"model": "local:tiny"}),
        ("SELECT * FROM runs WHERE response_text LIKE '5% of%'", ()),
        ("SELECT * FROM runs WHERE parameters ? 'temperature'", {}),
        ("SELECT * FROM runs -- what? $name\nWHERE model = $model", {"model": "local:tiny"}),
    ]:
        assert len(log.frame(sql, params)) == 1, sql


REFUSED = [
    "INSERT INTO results (model) VALUES ('x')",
    "DELETE FROM results",
    "WITH gone AS (DELETE FROM results RETURNING *) SELECT * FROM gone",
    "SELECT * INTO mine FROM results",
    "SELECT 1; DROP TABLE results",
    "SELECT 1; COMMIT; DELETE FROM results",
    "COMMIT",
    "SET TRANSACTION READ WRITE",
    "COPY results TO STDOUT",
    "COPY results TO '/tmp/stolen'",
    "CREATE TEMP TABLE mine (x INTEGER)",
    "EXPLAIN ANALYZE DELETE FROM results",
    "DO $$ BEGIN DELETE FROM results; END $$",
    "SELECT nextval('nothing')",
    "SELEC 1",
    "",
    "-- nothing",
    "SELECT ?",
    "SELECT 'a\0b'",
]


@pytest.fixture(scope="module")
def filled(server, template):
    log = open_log(server.url(server.new_database(template)))
    record(log)
    log.drain()
    return log


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_a_question_is_refused_in_one_line(filled, sql):
    with pytest.raises(RunLogError) as error:
        filled.frame(sql)
    one_line(error)
    assert len(filled.frame("SELECT * FROM results")) == 1


INTERRUPTED = """
import os, signal, threading
from llm_playground.runlog import open_log
log = open_log(os.environ["LOG"])
log.frame("SELECT 1")
try:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    log.frame("SELECT pg_sleep(600)")
except KeyboardInterrupt:
    print("interrupted, then", len(log.frame("SELECT 1")), "row")
"""


def test_an_interrupt_ends_the_query_here_and_on_the_server(url, server, until):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED],
        env=os.environ | {"PYTHONPATH": str(ROOT), "LOG": url},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.stdout == "interrupted, then 1 row\n", done.stderr
    until(lambda: connections(server, url) == 0)


# --- the owner's part


def test_without_tables_one_line_says_who_makes_them_and_runs_wait(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path))
    log = open_log(server.url(server.new_database()))
    record(log)
    with pytest.raises(RunLogError) as error:
        log.frame("SELECT 1")
    assert one_line(error) == (
        "The run log has no tables yet. Its owner must run: python -m llm_playground migrate"
    )
    assert log.waiting() == 1
    assert log.migrate() == schema.NEWEST
    assert len(log.frame("SELECT * FROM runs")) == 1


def test_who_does_not_own_the_tables_cannot_migrate_and_is_told_so(server, tmp_path, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path))
    name = server.new_database()
    with pytest.raises(RunLogError, match="permission denied") as error:
        open_log(server.new_role(server.url(name))).migrate()
    one_line(error)
    assert open_log(server.url(name)).migrate() == schema.NEWEST


def test_owners_who_migrate_at_once_do_it_once(server, tmp_path, monkeypatch, request):
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path))
    place = server.url(server.new_database())
    command = [sys.executable, str(Path(__file__).with_name("actors.py")), "migrate", place]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    owners = [subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) for _ in range(4)]
    said = [owner.communicate(timeout=TIMEOUT_S)[0] for owner in owners]
    assert said == [f"{schema.NEWEST}\n".encode()] * 4
    versions = open_log(place).frame("SELECT version FROM schema_migrations ORDER BY 1").version
    assert list(versions) == list(range(1, schema.NEWEST + 1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (f"DELETE FROM schema_migrations WHERE version = {schema.NEWEST}", "earlier version"),
        (f"INSERT INTO schema_migrations VALUES ({schema.MAJOR})", "newer version"),
    ],
    ids=["an earlier version", "a later major"],
)
def test_tables_that_cannot_be_written_safely_are_left_alone(server, url, change, says):
    server.execute(database_of(url), change)
    log = open_log(url)
    record(log)
    with pytest.raises(RunLogError, match=says) as error:
        log.frame("SELECT 1")
    one_line(error)
    assert log.waiting() == 1


def test_later_tables_of_the_same_major_are_read_and_written(server, url):
    server.execute(
        database_of(url),
        "ALTER TABLE results ADD COLUMN mood VARCHAR DEFAULT 'calm'; "
        f"INSERT INTO schema_migrations VALUES ({schema.NEWEST + 1})",
    )
    log = open_log(url)
    record(log)
    assert list(log.frame("SELECT mood FROM results").mood) == ["calm"]


def at(year, month, day=1):
    return datetime(year, month, day, 12, tzinfo=UTC)


def record_at(log, when, **known):
    request = prompt()
    return record(log, request, execution_of(request, started_at=when), **known)


def lies_in(log):
    found = log.frame("SELECT tableoid::regclass::TEXT AS name FROM results ORDER BY started_at")
    return list(found.name)


@pytest.mark.usefixtures("one_day")
def test_the_first_run_of_a_month_finds_its_place_and_moves_when_there_is_a_partition(url):
    log = open_log(url)
    log.change(lambda _: None)  # an owner's first look after the partitions
    record_at(log, at(2025, 12, 31))
    record_at(log, at(2026, 1))
    record(log)
    assert lies_in(log) == ["results_default", "results_default", f"results_{today():%Y_%m}"]
    log.migrate()
    assert lies_in(log) == ["results_2025_12", "results_2026_01", f"results_{today():%Y_%m}"]
    record_at(log, at(2025, 12, 31))
    assert lies_in(log)[:2] == ["results_2025_12"] * 2


def today():
    return datetime.now(UTC)


@pytest.mark.usefixtures("one_day")
def test_a_process_of_the_owner_makes_the_next_partitions_by_itself(server, url):
    name = f"results_{today():%Y_%m}"
    server.execute(database_of(url), f"DROP TABLE {name}")
    log = open_log(url)
    record(log)
    log.drain()
    assert lies_in(log) == [name]


def waiting_for_a_lock(server, url):
    """How many connections wait for a lock."""
    found = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = "
    return server.execute("postgres", f"{found}'{database_of(url)}'")[0][0]


@contextmanager
def reading_the_default_partition(server, url):
    """A transaction that keeps the default partition from being locked."""
    with psycopg.connect(server.url(database_of(url), "postgres", None)) as reader:
        reader.execute("SELECT count(*) FROM results_default")
        yield


def test_a_run_that_is_written_while_its_month_gets_a_partition_is_kept(
    server, url, until, monkeypatch
):
    monkeypatch.setattr(postgres_admin, "_PARTITION_LOCK_WAIT", "60s")
    log = open_log(url)
    log.change(lambda _: None)
    record_at(log, at(2026, 1))
    log.drain()
    record_at(log, at(2026, 1, 2))
    with psycopg.connect(url, autocommit=True) as owner, ThreadPoolExecutor() as pool:
        with reading_the_default_partition(server, url):
            created = pool.submit(postgres_admin.create_partitions, owner)
            until(lambda: waiting_for_a_lock(server, url) == 1)
            written = pool.submit(log.drain)
            until(lambda: waiting_for_a_lock(server, url) == 2)
        created.result(TIMEOUT_S)
        written.result(TIMEOUT_S)
    assert lies_in(log) == ["results_2026_01"] * 2


@pytest.mark.usefixtures("one_day")
def test_runs_are_written_while_the_next_partitions_cannot_be_made(server, url, monkeypatch):
    monkeypatch.setattr(postgres_admin, "_PARTITION_LOCK_WAIT", "10ms")
    name = f"results_{today():%Y_%m}"
    server.execute(database_of(url), f"DROP TABLE {name}")
    log = open_log(url)
    record(log)
    with reading_the_default_partition(server, url):
        assert lies_in(log) == ["results_default"]
    assert log.waiting() == 0


def test_costs_are_summed_up_and_the_log_says_up_to_when_they_are_exact(url):
    log = open_log(url)
    for when in (at(2026, 1), at(2026, 1, 2), at(2026, 2)):
        record_at(log, when, cost_usd=None if when.month == 2 else 0.5)
    assert log.summed_until() == datetime(2026, 1, 1, tzinfo=UTC)  # these came after the last time
    log.migrate()
    sums = log.frame("SELECT month, runs, cost_usd, unpriced_runs FROM monthly_costs ORDER BY 1")
    assert sums.iloc[0].tolist() == ["2026-01", 2, 1.0, 0]
    assert sums.iloc[1, [0, 1, 3]].tolist() == ["2026-02", 1, 1]
    log.change(lambda session: session.execute("UPDATE results SET recorded_at = '2026-01-01+00'"))
    assert log.summed_until() > today()
    record_at(log, at(2026, 2, 3))
    assert log.summed_until() == datetime(2026, 2, 1, tzinfo=UTC)
    log.change(lambda session: session.execute("DELETE FROM results WHERE cost_usd IS NULL"))
    assert log.summed_until() is None


def test_members_see_their_own_runs_and_cannot_change_what_is_everybodys(server, url):
    server.execute(database_of(url), postgres_admin.sql())
    server.execute(database_of(url), postgres_admin.sql())  # again, as after an upgrade
    logs = [open_log(server.new_role(url, "llm_playground_member")) for _ in range(2)]
    for log, text in zip(logs, ("hers", "his"), strict=True):
        run = begin(log)  # the same prompt for both
        log.text(run.id, "half")
        assert list(log.frame("SELECT status FROM runs").status) == ["running"]
        log.finished(completed(run, text=text))
        found = log.frame("SELECT response_text, user_prompt FROM runs")
        assert found.values.tolist() == [[text, "What is a run log?"]]
    audit = "INSERT INTO audit_log (action) VALUES ('looked')"
    assert logs[0].change(lambda session: session.execute(audit)) == 1
    for sql in [
        "INSERT INTO budgets (limit_usd) VALUES (1)",
        "DELETE FROM results",
        "UPDATE audit_log SET action = 'slept'",
        "INSERT INTO results (model, db_role) VALUES ('x', 'owner')",
    ]:
        with pytest.raises(RunLogError, match=r"permission denied|row-level security") as error:
            logs[0].change(lambda session, sql=sql: session.execute(sql))
        one_line(error)
    for table in ("audit_log", "monthly_costs", "results_default"):
        with pytest.raises(RunLogError, match="permission denied"):
            logs[0].frame(f"SELECT * FROM {table}")
    assert logs[0].summed_until() is None
    reader = open_log(server.new_role(url, "llm_playground_reader"))
    assert set(reader.frame("SELECT response_text FROM runs").response_text) == {"hers", "his"}


def test_members_see_the_images_of_their_own_prompts(server, url):
    server.execute(database_of(url), postgres_admin.sql())
    logs = [open_log(server.new_role(url, "llm_playground_member")) for _ in range(3)]
    images = [(b"one", b"shared"), (b"two", b"shared"), ()]
    for log, own in zip(logs, images, strict=True):
        for image in own:
            record(log, prompt(f"What is {image!r} to {log.place}?", image=image))
        log.drain()
    for log, own in zip(logs, images, strict=True):
        found = log.rows("SELECT data FROM attachments")
        assert sorted(bytes(row["data"]) for row in found) == sorted(own)
    lp.configure(privacy={"image_mb": 0})
    record(logs[2], prompt("Too large for now", image=b"three"))
    lp.configure(privacy={"image_mb": 1})
    record(logs[2], prompt("Not too large", image=b"three"))
    assert bytes(logs[2].rows("SELECT data FROM attachments")[0]["data"]) == b"three"


# --- the server is away, full, or not what the URL says


def test_while_the_server_is_away_runs_go_on_and_arrive_when_it_is_back(server, url, until, caplog):
    caplog.set_level(logging.WARNING, logger="llm_playground.runlog")
    log = open_log(url)
    record(log)
    log.drain()
    server.stop()
    try:
        for _ in range(3):
            record(log)
        until(lambda: log.place in caplog.text)
        with pytest.raises(RunLogError, match=r"^3 runs wait for the log \(.*since") as error:
            log.frame("SELECT 1")
        assert "They are safe on this machine." in one_line(error)
        assert "does not answer since" in log.check()
        assert log.waiting() == 3
    finally:
        server.start()
    count = "SELECT count(*) FROM results"
    until(lambda: server.execute(database_of(url), count) == [(4,)], timeout_s=60)
    assert log.waiting() == 0
    (warning,) = [text for text in caplog.messages if log.place in text]
    assert "run waits for" in warning or "runs wait for" in warning


def test_a_connection_lasts_no_longer_than_its_use(server, url):
    log = open_log(url)
    record(log)
    log.frame("SELECT 1")
    log.change(lambda session: session.rows("SELECT 1"))
    assert connections(server, url) == 0


@pytest.mark.parametrize(
    ("user", "password", "host", "says"),
    [
        ("owner", "not it", None, "does not accept the password"),
        ("nobody", "secret word", None, "does not let this user in"),
        ("owner", "secret word", "127.0.0.1:9", "does not answer since"),
        ("owner", "secret word", "no.such.invalid", "host of .* is not known"),
    ],
    ids=["a wrong password", "an unknown user", "a closed port", "an unknown host"],
)
def test_a_server_that_does_not_let_us_in_is_named_without_the_password(
    server, url, user, password, host, says, caplog, until, tmp_path
):
    caplog.set_level(logging.WARNING, logger="llm_playground.runlog")
    place = server.url(database_of(url), user, password)
    if host is not None:
        place = place.partition("@")[0] + f"@{host}/log"
    log = open_log(place)
    record(log)
    with pytest.raises(RunLogError, match=f"1 run waits for the log .*{says}") as error:
        log.frame("SELECT 1")
    until(lambda: caplog.records)
    said = [one_line(error), repr(error.value), str(error.value.detail), log.place, caplog.text]
    said += [str(path) for path in tmp_path.rglob("*")]
    chain = error.value.__cause__
    while chain is not None:
        said.append(repr(chain))
        chain = chain.__cause__ or chain.__context__
    assert not any(word in text for text in said for word in (password, "secret"))


@pytest.mark.parametrize(
    "place", ["postgresql://u:se@cret@host/db", "postgresql://u:se%ZZcret@host/db"]
)
def test_a_url_that_cannot_be_understood_is_refused_without_repeating_it(place):
    with pytest.raises(ConfigError, match="is invalid") as error:
        open_log(place)
    assert "cret" not in str(error.value)


def test_tls_options_pass_through(server, url):
    log = open_log(url.replace("@/", "@127.0.0.1:9/").partition("?")[0] + "?sslmode=verify-full")
    assert "verify-full" in repr(log._store._server._conninfo)


def test_a_password_from_the_environment_is_used_and_not_shown(server, url, monkeypatch):
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    log = open_log(server.url(database_of(url), "owner", None))
    record(log)
    assert len(log.frame("SELECT * FROM runs")) == 1
    assert PASSWORD not in repr(log._store._server) + log.place


def test_lines_that_the_server_cannot_read_cost_only_themselves(url, actor, journals):
    """Not JSON, JSON of the wrong shape, and values that fit no column, in a long journal."""
    actor("write_many", 1).wait(TIMEOUT_S)
    victim = actor("break_off")
    victim.stdout.readline()
    victim.send_signal(signal.SIGKILL)
    victim.wait(TIMEOUT_S)
    (file,) = journals()
    lines = file.read_bytes().splitlines()
    bad = [
        b'{"kind":"finished","result":{"id":"half',
        b'{"kind":"finished","result":{"id":"x1","started_at":"2026-01-01","input_tokens":"many"}}',
        b'{"kind":"finished","result":{"id":"x2","started_at":"yesterday or so"}}',
        b'{"kind":"text","pieces":"none","n":1}',
        b'{"kind":"finished","execution":[1]}',
        b"\x00\xff\xfe",
    ]
    mixed = [line for pair in zip(lines, bad * len(lines), strict=False) for line in pair]
    file.write_bytes(b"\n".join(mixed))
    log = open_log(url)
    statuses = sorted(log.frame("SELECT status FROM runs").status)
    assert statuses == ["completed", "completed", "completed", "interrupted"]
    assert journals() == []


def test_a_long_wait_makes_several_journals_and_all_of_them_arrive(url, journals, monkeypatch):
    monkeypatch.setattr(recorder, "_JOURNAL_BYTES", 20_000)
    log = open_log(url)
    log._drainer.soon = lambda: None  # the server is away, as far as this process knows
    open_run = begin(log)
    log.text(open_run.id, "still ")
    for number in range(100):
        record(log, text=f"{number} " * 200)
    log.text(open_run.id, "running")
    log._recorder._flush()
    assert len(journals()) > 3
    assert all(file.stat().st_size < 50_000 for file in journals())
    found = log.frame("SELECT status, response_text FROM runs ORDER BY started_at")
    assert len(found) == 101
    assert found.iloc[0].tolist() == ["running", "still running"]


# --- many at once


def test_changes_that_lock_the_same_name_wait_for_each_other(url, actor):
    log = open_log(url)
    log.change(lambda s: s.execute("INSERT INTO ratings (id, score) VALUES ('counter', 0)"))
    for counter in [actor("count_up", 20) for _ in range(3)]:
        _, complaints = counter.communicate(timeout=TIMEOUT_S)
        assert (counter.returncode, complaints) == (0, "")
    assert log.frame("SELECT score FROM ratings").score[0] == 60


def test_80_processes_share_50_connections_and_all_their_runs_arrive(server, url, actor):
    crowd = actor("many", KERNELS)
    said, complaints = crowd.communicate(timeout=2 * TIMEOUT_S)
    assert (said, complaints) == (f"content {KERNELS}\n", "")
    found = open_log(url).frame("SELECT count(*) AS n, count(DISTINCT run_id) AS ids FROM runs")
    assert (found.n[0], found.ids[0]) == (2 * KERNELS, 2 * KERNELS)
