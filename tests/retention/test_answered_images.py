"""Pictures and recordings of answers: stored once, by hash, and given back with their run."""

import hashlib
import json

import pytest

import llm_playground as lp
from llm_playground.parts import (
    AudioPart,
    ImagePart,
    Original,
    OtherPart,
    ServerToolCall,
    Source,
    TextPart,
)
from llm_playground.recording import numbers
from llm_playground.runlog import attachments, open_log
from llm_playground.runlog.reading import run_of
from llm_playground.types import Message, Request
from llm_playground.widget.stored_runs import stored_runs
from tests.providers.formats import gemini_event
from tests.providers.server import Reply, WireServer
from tests.runlog.actors import begin, completed, prompt, record

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MODEL = "gemini:gemini-2.5-flash-image"
SIGNATURE = Original("gemini", '{"thoughtSignature":"c2k="}', "gemini")
PARTS = (
    TextPart("Look."),
    ImagePart("image/png", PNG, original=SIGNATURE),
    AudioPart("audio/wav", b"RIFF", "Hello"),
    OtherPart("hologram", '{"depth":3}'),
)
SOURCES = (Source("T", "https://example.com", "Quote.", (5,)),)


def answer(log, parts=PARTS, **known):
    """A run in the log with these parts."""
    run = begin(log, prompt())
    ended = completed(run, "Look.", parts=parts, sources=SOURCES, **known)
    log.finished(ended)
    return ended


def stored(log):
    rows = log.rows("SELECT sha256, data FROM attachments")
    return {row["sha256"]: row["data"] and bytes(row["data"]) for row in rows}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def test_an_answers_bytes_are_in_the_log_and_come_back(log):
    run = answer(log)

    row = log.rows("SELECT * FROM runs WHERE run_id = $id", {"id": run.id})[0]
    read = run_of(row)

    assert stored(log) == {sha256(PNG): PNG, sha256(b"RIFF"): b"RIFF"}
    assert [image.stored_sha256 for image in read.images] == [sha256(PNG)]
    assert attachments.parts_with_bytes(log, read.parts)[1].data == PNG
    assert read.sources == SOURCES


@pytest.mark.parametrize(
    "privacy", [{"store": "metrics"}, {"redact": ("email",)}, {"image_mb": 1e-6}], ids=str
)
def test_privacy_settings_hold_for_answers(log, privacy):
    lp.configure(privacy=privacy)
    answer(log)
    assert not any(stored(log).values())


def test_keys_in_parts_and_sources_are_removed(log):
    key = "sk-proj-" + "Zz9" * 14
    parts = (ServerToolCall("1", "fetch", json.dumps({"q": key})), OtherPart("x", f'"{key}"'))
    run = answer(log, parts)
    row = log.rows("SELECT parts FROM runs WHERE run_id = $id", {"id": run.id})[0]
    assert "fetch" in str(row["parts"])
    assert key not in str(row["parts"])


@pytest.mark.parametrize("keep", ["compressed", "metrics", "nothing"])
def test_a_purge_keeps_pictures_as_long_as_their_answers(log, keep):
    answer(log)
    assert len(stored(log)) == 2
    lp.purge("0d", keep=keep, dry_run=False)
    assert len(stored(log)) == (2 if keep == "compressed" else 0)


def test_pictures_of_answers_that_stay_are_not_purged(log):
    answer(log)
    other = answer(log, PARTS[:2])
    lp.purge(run=other.id, keep="nothing", dry_run=False)
    assert len(stored(log)) == 2


def test_an_export_holds_pictures_and_an_import_reads_them(log, monkeypatch, tmp_path):
    run = answer(log)
    exported = lp.export(run.id)

    monkeypatch.setenv("LLM_PLAYGROUND_LOG", f"duckdb:///{tmp_path / 'other.duckdb'}")
    assert lp.import_runs(exported) == 1

    other = open_log()
    read = run_of(other.rows("SELECT * FROM runs")[0])
    assert attachments.parts_with_bytes(other, read.parts)[1].data == PNG
    assert [type(part) for part in read.parts] == [type(part) for part in PARTS]
    assert read.sources == SOURCES


def picture_event():
    blob = {"mimeType": "image/png", "data": "iVBORw0KGgo="}
    part = {"inlineData": blob, "thoughtSignature": "c2k="}
    content = {"parts": [part], "role": "model"}
    grounding = {"groundingChunks": [{"web": {"uri": "https://example.com", "title": "T"}}]}
    candidate = {"content": content, "finishReason": "STOP", "groundingMetadata": grounding}
    return gemini_event({"candidates": [{**candidate, "index": 0}]})


def test_a_re_used_answer_has_its_parts_and_can_be_sent_back(log, monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_API_KEY", "AIza" + "SyZz9" * 7)
    with WireServer([Reply((picture_event(),)), Reply((picture_event(),))]) as wire:
        monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", wire.url)
        sent = lp.ask("Draw.", MODEL)
        numbers.reset()  # as a restart does
        lp.configure(mode="replay")
        again = lp.ask("Draw.", MODEL)
        lp.configure(mode="live")
        lp.ask("Smaller.", MODEL, messages=[{"role": "user", "content": "Draw."}, again])
        [_, request] = wire.requests

    assert again.cached
    assert [image.data for image in again.images] == [image.data for image in sent.images]
    assert again.sources == sent.sources == (Source("T", "https://example.com"),)
    assert request.json["contents"][1]["parts"] == [
        {
            "inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="},
            "thoughtSignature": "c2k=",
        }
    ]


def test_a_conversation_is_stored_with_the_pictures_and_recordings_of_its_answers(log, caplog):
    turns = (Message("user", (TextPart("Draw."),)), Message("assistant", PARTS[:3]))
    request = Request(MODEL, (*turns, Message("user", (TextPart("Smaller."),))))
    run = record(log, request)

    assert stored(log) == {sha256(PNG): PNG, sha256(b"RIFF"): b"RIFF"}
    assert not caplog.records
    assert stored_runs([run.id])[0].messages == request.messages
    lp.save_prompt("of a run", lp.Prompt(request.messages))
    lp.purge("0d", keep="nothing", dry_run=False)
    assert lp.prompt("of a run").messages == request.messages


def test_a_new_picture_is_stored_beside_one_that_is_gone(log, caplog):
    gone = Message("assistant", (ImagePart("image/png", stored_sha256="ab" * 32),))
    new = Message("user", (ImagePart("image/png", PNG), TextPart("And this?")))
    record(log, Request(MODEL, (gone, new)))

    assert stored(log)[sha256(PNG)] == PNG
    assert "ab" * 32 not in stored(log)
    assert not caplog.records


def test_a_picture_that_the_log_has_lost_is_one_line(log):
    lost = ImagePart("image/png", stored_sha256="ab" * 32)
    with pytest.raises(lp.InvalidParameterError, match="no longer in the log"):
        lp.ask("Smaller.", MODEL, messages=[{"role": "assistant", "content": [lost]}])
