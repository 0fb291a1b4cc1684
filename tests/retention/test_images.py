"""Images of prompts: stored once, by hash, and found again wherever a run is."""

import base64
import hashlib
import json
import logging
import os
import stat
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground import _files, config
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.parts import ImagePart, TextPart
from llm_playground.runlog import open_log
from llm_playground.runlog.attachments import Attachment, insert
from llm_playground.runlog.recorder import Recorder
from llm_playground.types import Message, Request
from llm_playground.widget.stored_runs import stored_runs
from tests.attack.killed_steps import killed_while_making
from tests.codegen.requests import GIF
from tests.runlog.actors import begin, completed, record

PNG = b"\x89PNG\r\n\x1a\n"
MB = 1_000_000
COLUMNS = "sha256, media_type, size_bytes, data"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def asks(*images, question="What is this?", before=()):
    """A request with images; ``before`` are earlier turns."""
    parts = [i if isinstance(i, ImagePart) else ImagePart("image/png", i) for i in images]
    return Request("openai:gpt-4o", (*before, Message("user", (*parts, TextPart(question)))))


def stored(log):
    rows = log.rows(f"SELECT {COLUMNS} FROM attachments ORDER BY sha256")
    return {row["sha256"]: row["data"] and bytes(row["data"]) for row in rows}


def purge(**arguments):
    return lp.purge("0d", dry_run=False, **arguments)


@pytest.mark.parametrize(
    ("media_type", "data"),
    [
        ("image/png", PNG + b"\0\n\r'\"\\" * 9),
        ("image/jpeg", b"\xff\xd8\xff" + bytes(range(256))),
        ("image/gif", GIF),
        ("image/webp", b"RIFF\0\0\0\0WEBP" + os.urandom(64)),
        ("image/svg+xml", b"<svg/>"),
        ("text/../x", b"odd"),
        (None, b"\x80"),
        ("image/png", PNG + bytes(5 * MB)),
    ],
    ids=["png", "jpeg", "gif", "webp", "svg", "odd", "unknown", "5 MB"],
)
def test_an_image_is_stored_with_its_bytes(log, media_type, data):
    request = asks(ImagePart(media_type, data))
    run = record(log, request)

    [row] = log.rows(f"SELECT {COLUMNS} FROM attachments")

    known = None if media_type in (None, "text/../x") else media_type
    assert (row["sha256"], row["media_type"], row["size_bytes"]) == (sha256(data), known, len(data))
    assert bytes(row["data"]) == data
    assert json.loads(lp.runs().attachments[0]) == [sha256(data)]
    assert stored_runs([run.id])[0].messages == request.messages
    assert not list(log.journals.glob("attachments/*"))


def test_each_image_is_stored_once(log):
    for question in ("One?", "Two?", "Three?"):
        record(log, asks(GIF, question=question))
        log.drain()
    record(log, asks(GIF, PNG, GIF, before=(Message("user", (ImagePart(None, GIF),)),)))
    assert stored(log) == {sha256(GIF): GIF, sha256(PNG): PNG}


def test_files_are_private_under_any_umask(log):
    before = os.umask(0)
    try:
        begin(log, asks(GIF))
    finally:
        os.umask(before)
    [file] = log.journals.glob("attachments/*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("limit_mb", "size", "kept"),
    [(1, MB, True), (1, MB + 1, False), (0, 1, False), (0.5, MB // 2, True), (0.5, MB, False)],
)
def test_of_a_large_image_hash_type_and_size_are_stored(log, caplog, limit_mb, size, kept):
    lp.configure(privacy={"image_mb": limit_mb})
    data = bytes(size)
    with caplog.at_level(logging.WARNING):
        run = record(log, asks(data))
        record(log, asks(data + b"more", question="Again?"))
        assert (stored(log)[sha256(data)] == data) == kept
    said = [line for line in caplog.messages if "are not stored" in line]
    assert len(said) == (0 if kept and size + 4 <= limit_mb * MB else 1)
    assert stored_runs([run.id])[0].lacks_attachments == (not kept)
    if not kept:
        with pytest.raises(ConfigError, match="images or files that are not stored"):
            lp.code(run)
        with pytest.raises(InvalidParameterError, match="images or files that are not stored"):
            lp.save_prompt("large", run)
        lp.configure(privacy={"image_mb": 20})
        record(log, asks(data))
        assert stored(log)[sha256(data)] == data


@pytest.mark.parametrize("limit", [-1, "many", float("nan"), None, True])
def test_odd_limits_are_refused(limit):
    with pytest.raises(InvalidParameterError, match="image_mb"):
        lp.configure(privacy={"image_mb": limit})


@pytest.mark.parametrize(
    "privacy",
    ["metrics", "off", {"sample": 0.0}, {"redact": ["email"]}, {"redact": "card", "sample": 1}],
    ids=str,
)
def test_privacy_stores_no_image(log, privacy):
    lp.configure(privacy=privacy)
    record(log, asks(GIF))
    assert not list(log.journals.glob("attachments/*"))
    assert stored(log) == {}


def test_an_administrator_limits_images(log, tmp_path, monkeypatch):
    policy = tmp_path / "policy.toml"
    policy.write_text("privacy = { image_mb = 1 }")
    monkeypatch.setenv("LLM_PLAYGROUND_POLICY", str(policy))
    with pytest.raises(ConfigError, match="images and files up to 1 MB"):
        lp.configure(privacy={"image_mb": 2})
    record(log, asks(bytes(MB + 1)))
    assert list(stored(log).values()) == [None]


def test_a_killed_process_loses_no_image(log, run_and_kill):
    run_and_kill(
        "from llm_playground.runlog import open_log\n"
        "from tests.retention.test_images import asks\n"
        "from tests.runlog.actors import begin\n"
        "begin(open_log(), asks(b'\\x89PNG' + bytes(3_000_000)))"
    )
    data = b"\x89PNG" + bytes(3 * MB)
    assert lp.runs().status.tolist() == ["interrupted"]
    assert stored(log) == {sha256(data): data}


def test_what_a_killed_writer_left_is_removed(log):
    begin(log, asks(GIF))
    with _files.making(log.journals / "attachments" / "new") as new:
        killed_while_making(log.journals / "attachments" / "old")
        log.drain()
        assert stored(log) == {sha256(GIF): GIF}
        assert list(log.journals.glob("attachments/*")) == [new]


def test_a_refused_image_stays_as_a_file_and_the_log_goes_on(log, caplog):
    log.change(lambda session: session.execute("ALTER TABLE attachments RENAME TO hidden"))
    record(log, asks(GIF))
    record(log, asks(PNG, question="Another?"))
    assert len(lp.runs()) == 2
    assert len([line for line in caplog.messages if "is not in the log" in line]) == 1
    assert len(list(log.journals.glob("attachments/*"))) == 2
    log.change(lambda session: session.execute("ALTER TABLE hidden RENAME TO attachments"))
    again = type(log)(log._store)  # as another process
    again.drain()
    assert set(stored(log)) == {sha256(GIF), sha256(PNG)}


def test_a_folder_that_cannot_be_written_keeps_the_run(log, caplog):
    log.journals.mkdir(parents=True, exist_ok=True)
    (log.journals / "attachments").write_text("in the way")
    record(log, asks(GIF))
    assert len(lp.runs()) == 1
    assert "An attachment of a prompt is not stored" in caplog.text


@pytest.mark.parametrize("keep", ["metrics", "nothing"])
def test_purge_removes_images_that_no_prompt_has(log, keep):
    gone = record(log, asks(PNG, GIF))
    record(log, asks(GIF, question="Stays?"))
    purge(run=gone.id, keep=keep)
    assert set(stored(log)) == {sha256(GIF)}
    purge(keep=keep)
    assert stored(log) == {}
    record(log, asks(PNG))
    assert set(stored(log)) == {sha256(PNG)}


def test_compressed_prompts_keep_their_images(log):
    request = asks(GIF, before=(Message("user", (ImagePart("image/png", PNG), TextPart("A"))),))
    run = record(log, request)
    purge()
    assert lp.runs().compressed.all()
    assert stored_runs([run.id])[0].messages == request.messages
    purge(keep="metrics", tag="another")
    assert set(stored(log)) == {sha256(GIF), sha256(PNG)}


def test_a_damaged_image_counts_as_missing(log):
    run = record(log, asks(GIF))
    damage = "UPDATE attachments SET data = $data"
    log.change(lambda session: session.execute(damage, {"data": b"other"}))
    assert stored_runs([run.id])[0].lacks_attachments


def test_backup_and_restore_carry_images(log, tmp_path, new_url, monkeypatch):
    large = PNG + os.urandom(5 * MB)
    run = record(log, asks(large, GIF))
    lp.backup(tmp_path / "backup.duckdb")
    url = new_url(log.dialect)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    lp.restore(tmp_path / "backup.duckdb")
    restored = open_log(url)
    assert stored(restored) == {sha256(large): large, sha256(GIF): GIF}
    restored.compact()
    assert stored(restored)[sha256(large)] == large
    assert not stored_runs([run.id])[0].lacks_attachments
    restored.close()


def test_export_and_import_carry_images(log, new_url, monkeypatch):
    request = asks(GIF, PNG + bytes(2 * MB))
    run = record(log, request)
    record(log, asks(GIF, question="Again?"))
    exported = lp.export(lp.runs())
    assert len(json.loads(exported)["attachments"]) == 2
    url = new_url(log.dialect)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    other = open_log(url)
    assert lp.import_runs(exported) == 2
    assert stored(other) == stored(log)
    [again] = stored_runs([run.id])
    assert again.messages == request.messages
    assert lp.export(lp.runs()) == exported
    other.close()


@pytest.mark.parametrize("later", ["the same", "without"])
@pytest.mark.parametrize(
    ("model", "endpoint", "variable"),
    [
        ("openai:gpt-4o", None, None),
        ("openai:gpt-4o", "http://127.0.0.1:9/v1", "OPENAI_BASE_URL"),
        ("anthropic:claude-x", "http://127.0.0.1:9", "ANTHROPIC_BASE_URL"),
        ("gemini:gemini-x", "http://127.0.0.1:9", "GOOGLE_GEMINI_BASE_URL"),
        ("mine:tiny", "http://127.0.0.1:9/v1", None),
        ("groq:tiny", "http://127.0.0.1:9/v1", None),
    ],
)
def test_imported_runs_of_any_base_url_are_whole(
    log, new_url, monkeypatch, model, endpoint, variable, later
):
    for name in ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL"):
        monkeypatch.setenv(name, endpoint or "" if name == variable else "")
    provider = model.partition(":")[0]
    if endpoint and not variable:
        lp.configure(endpoints={provider: endpoint})
    request = replace(asks(ImagePart("image/gif", GIF)), model=model, endpoint=endpoint)
    run = record(log, request)
    exported, code = lp.export(run), lp.code(run.id, "curl")
    url = new_url(log.dialect)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    if later == "without" and variable:
        monkeypatch.setenv(variable, "")
    other = open_log(url)
    assert lp.import_runs(exported) == 1
    [again] = stored_runs([run.id])
    assert again.messages == request.messages
    assert not again.lacks_attachments
    if later == "the same":
        assert lp.code(run.id, "curl") == code
        repeated = replace(request, messages=again.messages, endpoint=config.base_url(provider))
        assert repeated.prompt_hash() == request.prompt_hash()
    other.close()


def attachments(*values):
    return {"attachments": list(values)}


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"attachments": "text"},
        attachments({"sha256": sha256(GIF), "data": base64.b64encode(b"another").decode()}),
        attachments({"sha256": sha256(GIF), "data": "not base64!"}),
        attachments({"sha256": sha256(GIF), "data": None}, 7, None, []),
        attachments({"sha256": sha256(PNG), "data": base64.b64encode(PNG).decode()}),
        attachments({"sha256": [], "data": base64.b64encode(GIF).decode()}),
    ],
    ids=["none", "text", "another", "no base64", "no data", "of no run", "no hash"],
)
def test_an_import_takes_only_whole_images_of_its_runs(log, new_url, monkeypatch, more):
    run = record(log, asks(GIF))
    document = json.loads(lp.export(run))
    del document["attachments"]
    url = new_url(log.dialect)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    other = open_log(url)
    assert lp.import_runs(document | more) == 1
    assert stored(other) == {}
    assert stored_runs([run.id])[0].lacks_attachments
    other.close()


def test_an_import_respects_privacy(log, new_url, monkeypatch):
    exported = lp.export(record(log, asks(GIF)))
    for privacy in ("metrics", {"store": "texts", "redact": ["email"]}, {"image_mb": 0}):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", url := new_url(log.dialect))
        lp.configure(privacy=privacy)
        assert lp.import_runs(exported) == 1
        other = open_log(url)
        assert not any(stored(other).values())
        other.close()


def test_markdown_holds_the_images_of_the_prompt(log):
    exported = lp.export(record(log, asks(GIF, PNG)), "markdown")
    assert "](data:image/gif;base64," in exported
    assert "](data:image/png;base64," in exported


def test_code_of_a_run_has_its_images(log, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "")
    request = asks(ImagePart("image/gif", GIF))
    run = record(log, request)
    assert lp.code(run) == lp.code(request)
    assert lp.code(run.id, "curl") == lp.code(request, "curl")


def test_a_saved_prompt_has_its_images(log):
    request = asks(ImagePart("image/gif", GIF))
    lp.save_prompt("of a run", record(log, request))
    prompt = lp.prompt("of a run")
    assert prompt.messages == request.messages
    lp.save_prompt("changed", replace(prompt, messages=asks(PNG).messages))
    purge(keep="nothing")
    assert lp.prompt("changed").messages == asks(PNG).messages
    assert lp.prompt("of a run").messages == request.messages


def test_an_image_of_two_users_is_stored_once(log):
    image = Attachment(sha256(GIF), "image/gif", len(GIF), GIF)
    log.change(lambda session: insert(session, image))
    log.change(lambda session: insert(session, replace(image, data=None)))
    assert stored(log) == {sha256(GIF): GIF}


def test_an_image_at_an_address_is_not_stored(log):
    request = asks(ImagePart("image/png", url="https://example.com/a.png"))
    run = record(log, request)
    assert stored(log) == {}
    assert stored_runs([run.id])[0].messages == request.messages


def test_runs_in_memory_end_while_images_wait(log):
    run = begin(log, asks(GIF))
    log.finished(completed(run))
    assert stored(log) == {sha256(GIF): GIF}


def test_a_change_leaves_images_whose_prompts_are_in_journals_of_other_processes(log):
    other = Recorder(log.journals)
    begin(other, asks(GIF))
    record(log, asks(PNG))
    found = log.change(lambda session: session.rows("SELECT sha256 FROM attachments"))
    assert found == [(sha256(PNG),)]  # a purge would remove an image without a prompt
    assert stored(log) == dict(sorted([(sha256(GIF), GIF), (sha256(PNG), PNG)]))
    other.remove(other.retire())
