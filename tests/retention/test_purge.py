"""``lp.purge``."""

import errno
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

import llm_playground as lp
from llm_playground import _files, config
from llm_playground.errors import InvalidParameterError, ProviderUnavailableError, RunLogError
from llm_playground.parts import ToolCall
from llm_playground.runlog import open_log
from llm_playground.types import Attempt
from tests.reports.shelf import add, add_row
from tests.runlog.actors import begin, execution_of, prompt, record

ROOT = Path(__file__).parents[2]
LONG_AGO = datetime.now(UTC) - timedelta(days=200)
ANSWER = "The whale is a mammal. "
METRICS = ["run_id", "model", "status", "input_tokens", "output_tokens", "cost_usd", "ttft_ms"]
METRICS += ["response_time_ms", "prompt_hash", "started_at", "username", "tags", "parameters"]


def purge(*arguments, **named):
    """The row returned by a purge that is not a dry run."""
    return lp.purge(*arguments, dry_run=False, **named).iloc[0]


def texts(log):
    return list(log.frame("SELECT response_text FROM results ORDER BY id").response_text)


def test_a_resumed_answer_replaces_the_compressed_beginning(log):
    run = record(log, text=ANSWER * 20, status="interrupted")
    purge(run=run, keep="compressed")

    log.finished(replace(run, status="completed", text=ANSWER * 40))

    assert list(lp.runs().response_text) == [ANSWER * 40]


def test_no_purge_removes_a_run_whose_answer_is_read(log):
    run = record(log, text=ANSWER, status="interrupted")
    log.resumed(run)
    assert purge(run=run, keep="nothing").left == 1

    log.finished(replace(run, status="completed"))

    [row] = lp.runs().to_dict("records")
    assert (row["username"], row["user_prompt"]) == ("ada", "What is a run log?")
    assert purge(run=run, keep="nothing").runs == 1


RESUMING = """
from llm_playground.runlog import open_log
from llm_playground.runlog.reading import run_of
[row] = open_log().rows("SELECT * FROM runs", {})
open_log().resumed(run_of(row))
open_log().text(row["run_id"], "Another beginning, which is longer. " * 9)
"""


def test_a_process_that_dies_while_it_reads_an_answer_changes_nothing(log, run_and_kill):
    run = record(log, text=ANSWER, status="interrupted")
    log.drain()

    run_and_kill(RESUMING)

    [row] = lp.runs().to_dict("records")
    assert (row["status"], row["response_text"]) == ("interrupted", ANSWER)
    log.finished(replace(run, status="completed", text=ANSWER * 2))
    assert list(lp.runs().status) == ["completed"]


def same(one, other):
    return one.astype(str).equals(other.astype(str))


def whole(log, **known):
    """A run that has every kind of text."""
    attempts = [Attempt(1, 0.0, 5.0, 503, reason="it is down"), Attempt(2, 5.0, 9.5, 200)]
    request = prompt("What is it?", "Be brief.", temperature=0.5, stop=("END",))
    execution = execution_of(request, started_at=LONG_AGO, username="ada", tags=("sea",))
    return record(
        log,
        request,
        execution,
        text=ANSWER * 40,
        reasoning="Whales, then. " * 40,
        tool_calls=(ToolCall("1", "look_up", '{"word": "whale"}'),),
        attempts=attempts,
        error=ProviderUnavailableError("It is down.", detail="message: whale"),
        **known,
    )


@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize("keep", ["compressed", "metrics", "nothing"])
@pytest.mark.parametrize("unknown", ["abcdef123", "last", "%", "ABC", "'"])
def test_a_run_that_is_not_in_the_log_is_refused(log, unknown, keep, dry_run):
    whole(log)
    with pytest.raises(InvalidParameterError, match=f"There is no run {unknown}\\. lp.runs"):
        lp.purge(run=unknown, keep=keep, dry_run=dry_run)
    assert lp.audit().empty


def test_dry_run_is_the_default(log):
    add(log, at=LONG_AGO, text=ANSWER, question="an old one")
    add(log, at=datetime.now(UTC), text="new")
    before = log.frame("SELECT * FROM results")

    planned = lp.purge().iloc[0]

    assert (planned.runs, planned.done, planned.keep) == (1, False, "compressed")
    assert planned.texts >= 2
    assert planned.bytes >= len(ANSWER)
    assert lp.purge().given_back_bytes.isna().all()
    assert same(log.frame("SELECT * FROM results"), before)


def test_compressed_texts_are_readable(log):
    whole(log)
    add(log, at=datetime.now(UTC), text="new")
    before = lp.runs()

    done = purge()

    after = lp.runs()
    assert (done.runs, done.done) == (1, True)
    assert after.compressed.tolist() == [False, True]
    assert same(after.drop(columns="compressed"), before.drop(columns="compressed"))
    row = log.frame("SELECT response_text, reasoning_text, tool_calls, texts_gz FROM results")
    assert sorted(row.response_text.isna()) == [False, True]
    view = log.frame("SELECT response_text, user_prompt FROM runs WHERE compressed")
    assert view.isna().all(axis=None)


def test_compressing_twice_changes_nothing(log):
    whole(log)
    before = lp.runs()
    purge()
    again = purge()
    assert (again.runs, again.texts, again.bytes) == (0, 0, 0)
    assert same(lp.runs().drop(columns="compressed"), before.drop(columns="compressed"))


def test_search_in_compressed_texts(log):
    add(log, at=LONG_AGO, text="An old WHALE.", user="ada")
    add(log, at=LONG_AGO, text="An old shark.", user="ada")
    add(log, at=datetime.now(UTC), text="A new whale.", user="bob")
    purge()
    assert lp.runs(search="whale").response_text.tolist() == ["A new whale."]
    both = lp.runs(search="whale", search_compressed=True)
    assert both.response_text.tolist() == ["A new whale.", "An old WHALE."]
    of_ada = lp.runs(search="whale", search_compressed=True, user="ada")
    assert of_ada.response_text.tolist() == ["An old WHALE."]
    assert len(lp.runs(search="whale", search_compressed=True, limit=1)) == 1


def test_prompt_of_a_newer_run_is_not_compressed(log):
    add(log, at=LONG_AGO, question="the same", text="old")
    add(log, at=datetime.now(UTC), question="the same", text="new")
    purge()
    assert log.frame("SELECT user_prompt FROM prompts").user_prompt.tolist() == ["the same"]
    assert lp.runs(search="the same").response_text.tolist() == ["new", "old"]


def test_sending_a_compressed_prompt_again_adds_no_row(log):
    add(log, at=LONG_AGO, question="the same", text="old")
    purge()
    add(log, at=datetime.now(UTC), question="the same", text="new")
    assert len(log.frame("SELECT * FROM prompts")) == 1
    assert lp.runs().user_prompt.tolist() == ["the same", "the same"]


def test_metrics_keeps_no_text(log):
    run = whole(log)
    lp.rate(run, 4, note="about the whale")
    before = lp.runs()

    done = purge(keep="metrics")

    after = lp.runs()
    assert done.runs == 1
    kept = [name for name in METRICS if name != "parameters"]
    assert same(after[kept], before[kept])
    assert json.loads(after.parameters[0]) == {"temperature": 0.5}
    texts = ["system_prompt", "user_prompt", "response_text", "reasoning_text", "error_message"]
    assert after[texts].isna().all(axis=None)
    assert [sorted(attempt) for attempt in json.loads(after.attempts[0])] == [
        ["duration_ms", "number", "skipped_events", "status_code", "wait_ms"]
    ] * 2
    everything = " ".join(
        log.frame(f"SELECT * FROM {table}").to_csv() for table in ("results", "prompts", "ratings")
    )
    assert "hale" not in everything
    assert "brief" not in everything


def test_metrics_removes_compressed_texts(log):
    whole(log)
    purge()
    done = purge(keep="metrics")
    assert done.runs == 1
    assert log.frame("SELECT texts_gz FROM results").texts_gz.isna().all()
    assert log.frame("SELECT texts_gz FROM prompts").texts_gz.isna().all()
    assert not lp.runs().compressed.any()


def test_other_users_keep_a_shared_prompt(log):
    for user in ("ada", "bob"):
        add(log, user=user, question="the same", text=f"for {user}")
    purge(user="ada", keep="metrics")
    shown = lp.runs().set_index("username").user_prompt
    assert shown["bob"] == "the same"
    assert shown.isna()["ada"]
    assert lp.runs().prompt_hash.nunique() == 1


def test_sending_a_purged_prompt_again_stores_it(log):
    add(log, question="the same")
    purge(keep="metrics", user="ada")
    add(log, question="the same", user="bob")
    assert lp.runs(user="bob").user_prompt.tolist() == ["the same"]
    assert lp.runs(user="ada").user_prompt.isna().all()


def test_removes_all_rows_of_a_user(log):
    mine = add(log, user="ada", question="of ada", at=datetime.now(UTC))
    add(log, user="bob", question="of bob", at=datetime.now(UTC))
    save = "INSERT INTO presets (username, name) VALUES ($user, 'mine')"
    vote = "INSERT INTO ratings (id, result_id, username, score) VALUES ($user, $run, $user, 1)"
    for user in ("ada", "bob"):
        log.change(lambda session, user=user: session.execute(save, {"user": user}))
        values = {"user": user, "run": mine.id}
        log.change(lambda session, values=values: session.execute(vote, values))

    done = purge(user="ada", keep="nothing")

    assert done.runs == 1
    assert lp.runs().username.tolist() == ["bob"]
    for table in ("prompts", "executions", "results", "presets"):
        assert len(log.frame(f"SELECT * FROM {table}")) == 1, table
    assert len(log.frame("SELECT * FROM ratings")) == 0


def test_filters_are_combined(log):
    add(log, user="ada", at=LONG_AGO, text="old")
    add(log, user="ada", at=datetime.now(UTC), text="new")
    add(log, user="bob", at=LONG_AGO, text="of bob")
    assert purge("90d", user="ada", keep="nothing").runs == 1
    assert lp.runs().response_text.tolist() == ["new", "of bob"]


def test_by_tag(log):
    add(log, tags=("secret", "x"), text="one")
    add(log, tags=("x",), text="two")
    assert purge(tag="secret", keep="nothing").runs == 1
    assert lp.runs().response_text.tolist() == ["two"]


def test_by_run_keeps_the_prompt_of_its_execution(log):
    request = prompt("three times")
    execution = execution_of(request, iterations=2)
    first, _ = (record(log, request, execution, text=text) for text in ("one", "two"))
    assert purge(run=first, keep="metrics").runs == 1
    assert purge(run=first, keep="metrics").runs == 0
    assert sorted(lp.runs().response_text.fillna("-")) == ["-", "two"]
    assert lp.runs().user_prompt.tolist() == ["three times"] * 2
    assert purge(run=first.id, keep="nothing").runs == 1
    assert lp.runs().response_text.tolist() == ["two"]


def test_running_runs_are_left(log):
    running = begin(log)
    add(log, text="ended")
    done = purge("0d", keep="nothing")
    assert (done.runs, done.left) == (1, 1)
    assert lp.runs().run_id.tolist() == [running.id]


def test_rows_of_other_programs(log):
    values = {"id": "x~1", "response_text": "theirs", "started_at": LONG_AGO, "status": "completed"}
    add_row(log, **values)
    assert purge().runs == 1
    assert lp.runs().response_text.tolist() == ["theirs"]
    assert purge(keep="metrics").runs == 1
    assert lp.runs().response_text.isna().all()
    assert purge(keep="nothing").runs == 1
    assert lp.runs().empty


def test_saved_prompts_stay(log):
    run = add(log, question="to be kept", user="ada")
    keep = "INSERT INTO prompt_versions (name, version, prompt_id) VALUES ('p', 1, $id)"
    log.change(lambda session: session.execute(keep, {"id": run.prompt_id}))
    purge(user="ada", keep="nothing")
    assert log.frame("SELECT user_prompt FROM prompts").user_prompt.tolist() == ["to be kept"]


def test_unused_images_are_removed(log):
    kept, gone = "a" * 64, "b" * 64
    picture = "INSERT INTO attachments (sha256, created_at) VALUES ($sha, $at)"
    shows = "UPDATE prompts SET messages = $messages WHERE user_prompt = $question"
    for sha, question in ((kept, "stays"), (gone, "goes")):
        add(log, question=question, tags=(question,), at=LONG_AGO)
        content = [{"type": "image", "sha256": sha}]
        values = {"messages": json.dumps([{"role": "user", "content": content}])}
        values["question"] = question
        log.change(lambda session, values=values: session.execute(shows, values))
        values = {"sha": sha, "at": LONG_AGO}
        log.change(lambda session, values=values: session.execute(picture, values))
    purge()
    assert len(log.frame("SELECT sha256 FROM attachments")) == 2
    purge(tag="goes", keep="metrics")
    assert log.frame("SELECT sha256 FROM attachments").sha256.tolist() == [kept]


def test_is_audited(log):
    add(log, at=LONG_AGO)
    lp.purge(keep="metrics")
    assert lp.audit(action="purge").empty
    purge(keep="metrics")
    row = lp.audit(action="purge").iloc[0]
    assert "before" in row.target
    assert json.loads(row.detail)["runs"] == 1


def test_frees_disk_space(log, everything_is_worn):
    for number in range(60):
        add(log, at=LONG_AGO, question=f"q {number}", text=f"{number}" + ANSWER * 2_000)
    done = purge(keep="nothing")
    assert done.runs == 60
    assert done.given_back_bytes > 100_000


def test_compresses_in_batches(log, monkeypatch):
    monkeypatch.setattr("llm_playground.retention.removal._BATCH_ROWS", 3)
    for number in range(8):
        add(log, at=LONG_AGO, question=f"q {number}", text=f"a {number}")
    before = lp.runs()
    assert purge().runs == 8
    assert same(lp.runs().drop(columns="compressed"), before.drop(columns="compressed"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"older_than": "90"}, "older_than"),
        ({"older_than": 90}, "older_than"),
        ({"older_than": timedelta(days=-1)}, "older_than"),
        ({"keep": "all"}, "compressed, metrics, nothing"),
        ({"user": 3}, "user"),
        ({"run": ""}, "run"),
        ({"dry_run": "no"}, "dry_run"),
    ],
)
def test_invalid_arguments(log, arguments, expected):
    with pytest.raises(InvalidParameterError, match=expected) as error:
        lp.purge(**arguments)
    assert "\n" not in str(error.value)


def no_room(**_arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_backups_are_listed_while_they_exist(log, tmp_path):
    add(log, at=LONG_AGO)
    kept, deleted = (lp.backup(tmp_path / name) for name in ("kept.duckdb", "deleted.duckdb"))
    deleted.unlink()
    (tmp_path / "other.duckdb").write_text("of another log")
    assert purge(keep="nothing").copies == str(kept)


@pytest.mark.parametrize("keep", ["compressed", "metrics", "nothing"])
@pytest.mark.parametrize("by", ["user", "tag", "run", "age"])
def test_files_of_refused_rows_are_listed_with_copies(log, keep, by):
    stored = whole(log)
    whole(log, cost_usd=Decimal("99999999"))
    log.drain()
    [refused] = log.refused()
    assert "whale" in refused.path.read_text("utf-8")
    chosen = {"user": {"user": "ada"}, "tag": {"tag": "sea"}, "run": {"run": stored.id}}

    assert purge(keep=keep, **chosen.get(by, {})).copies == str(refused.path)

    refused.path.unlink()
    assert lp.purge().copies[0] == ""


class TestFile:
    """Behaviour of logs in files."""

    @pytest.fixture
    def log(self, tmp_path, monkeypatch):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", str(tmp_path / "runs.duckdb"))
        log = open_log()
        yield log
        log.close()

    @pytest.mark.parametrize("keep", ["metrics", "nothing"])
    def test_removed_texts_are_in_no_file(self, log, tmp_path, keep):
        whole(log)
        log.drain()
        assert b"whale" in log.path.read_bytes()
        purge(keep=keep)
        left = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"whale" not in left
        assert b"brief" not in left

    def test_compacted_log_is_complete_and_writable(self, log):
        for number in range(5):
            add(log, at=LONG_AGO, question=f"q {number}", text=ANSWER * 3_000)
        before = log.frame("SELECT * FROM duckdb_indexes()").index_name.tolist()
        mode = log.path.stat().st_mode
        done = purge(keep="metrics")
        assert done.given_back_bytes > 0
        assert log.frame("SELECT * FROM duckdb_indexes()").index_name.tolist() == before
        assert log.path.stat().st_mode == mode
        add(log, text="later", at=datetime.now(UTC))
        assert lp.runs().response_text[0] == "later"
        assert not list(log.path.parent.glob("*.compact*"))

    def test_failed_compaction_is_reported(self, log, monkeypatch):
        add(log, at=LONG_AGO)
        log.drain()
        with monkeypatch.context() as full:  # a disk that is full for the copy only
            full.setattr(_files, "mkdtemp", no_room)
            with pytest.raises(RunLogError, match=r"Purged, but.*No space left"):
                purge(keep="nothing")
        assert lp.runs().empty
        assert purge(keep="nothing").runs == 0

    def test_copies_of_the_log_are_listed(self, log):
        add(log, at=LONG_AGO)
        log.drain()
        aside = lp.set_aside_log()
        log.path.with_name(f"{log.path.name}.before-v3").write_bytes(b"x")
        lp.backup(log.path.with_name("mine"))
        lp.backup(log.path.with_name("runs.duckdb.bak"))
        add(log, at=LONG_AGO)
        with _files.making(log.path) as folder:  # a process is making a copy
            names = {aside.name, "runs.duckdb.before-v3", "mine", "runs.duckdb.bak", folder.name}
            paths = sorted(str(log.path.with_name(name)) for name in names)
            assert lp.purge().copies[0].split(", ") == paths

    def test_what_was_typed_in_a_panel_is_listed_with_copies(self, log):
        add(log, at=LONG_AGO)
        panel = lp.Playground("letters")
        panel.prompt = "a secret plan"
        panel.close()
        (draft,) = config.drafts_folder().iterdir()
        assert "a secret plan" in draft.read_text()
        assert lp.purge("0d", keep="nothing", dry_run=False).copies[0] == str(draft)

    @pytest.mark.parametrize("place", ["back.duckdb", "./back.duckdb", "{log}/back.duckdb"])
    def test_copies_are_absolute_and_each_once_after_a_restore(
        self, log, tmp_path, monkeypatch, place
    ):
        add(log, at=LONG_AGO)
        monkeypatch.chdir(tmp_path)
        backup = lp.backup(place.format(log=log.path.parent))
        aside = [lp.restore(place.format(log=log.path.parent)) for _ in range(2)]
        monkeypatch.chdir("/")
        assert lp.purge().copies[0].split(", ") == sorted(map(str, [backup, *aside]))

    def test_runs_in_journals_of_other_processes_are_left(self, log, tmp_path):
        actor = [sys.executable, str(ROOT / "tests/runlog/actors.py"), "break_off", str(log.path)]
        process = subprocess.Popen(
            actor,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        try:
            assert process.stdout.readline().startswith("streaming")
            process.send_signal(signal.SIGSTOP)
            done = purge("0d", keep="nothing")
            assert done.runs + done.left == 3
            assert done.left >= 1
            assert len(lp.runs()) == done.left
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.communicate(timeout=300)
        assert len(lp.runs()) == done.left
