"""Documents of prompts: stored once, by hash, and found again wherever a run is."""

import hashlib
import json
import logging

import pytest

import llm_playground as lp
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.parts import FilePart, ImagePart, TextPart
from llm_playground.runlog import open_log
from llm_playground.types import Message, Request
from llm_playground.widget.stored_runs import stored_runs
from tests.retention.test_images import MB, PNG, purge, stored
from tests.runlog.actors import record

PDF = FilePart("application/pdf", "a.pdf", b"%PDF-1.4\n" + bytes(range(256)))
CSV = FilePart("text/csv", "tëst.csv", b"a,b\n1,2\n")
KEY = "sk-" + "proj-" + "a1B2" * 10


def sha256(part):
    return hashlib.sha256(part.data).hexdigest()


def asks(*parts, question="What is this?", before=()):
    return Request("anthropic:claude-x", (*before, Message("user", (*parts, TextPart(question)))))


def test_a_file_goes_through_the_log_and_an_export(log, new_url, monkeypatch):
    earlier = Message("user", (CSV, TextPart("A")))
    request = asks(ImagePart("image/png", PNG), PDF, CSV, before=(earlier,))
    run = record(log, request)
    record(log, asks(PDF, question="Again?"))
    every = {sha256(PDF): PDF.data, sha256(CSV): CSV.data, hashlib.sha256(PNG).hexdigest(): PNG}
    assert stored(log) == every
    [row] = log.rows("SELECT sha256 FROM attachments WHERE media_type = 'text/csv'")
    assert row["sha256"] == sha256(CSV)
    assert stored_runs([run.id])[0].messages == request.messages
    assert not stored_runs([run.id])[0].lacks_attachments
    assert lp.code(run) == lp.code(request)
    lp.save_prompt("of a run", run)
    assert lp.prompt("of a run").messages == request.messages

    single = record(log, asks(PDF, CSV, question="Alone?"))
    exported = lp.export(single)
    names = {one["name"] for one in json.loads(exported)["attachments"]}
    assert names == {"a.pdf", "tëst.csv"}
    url = new_url(log.dialect)
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)
    other = open_log(url)
    assert lp.import_runs(exported) == 1
    assert stored_runs([single.id])[0].messages == asks(PDF, CSV, question="Alone?").messages
    assert lp.export(lp.runs()) == exported
    other.close()


def test_limits_privacy_and_purges_hold_for_files_too(log, caplog):
    lp.configure(privacy={"image_mb": 1})
    large = FilePart("application/pdf", "large.pdf", b"%PDF-" + bytes(MB))
    with caplog.at_level(logging.WARNING):
        run = record(log, asks(large))
    assert stored(log) == {sha256(large): None}
    assert "Images and files above 1 MB" in caplog.text
    assert stored_runs([run.id])[0].lacks_attachments
    with pytest.raises(ConfigError, match="images or files that are not stored"):
        lp.code(run)
    record(log, asks(PDF, CSV))
    purge(run=run.id, keep="nothing")
    assert set(stored(log)) == {sha256(PDF), sha256(CSV)}
    purge()  # compressed
    assert set(stored(log)) == {sha256(PDF), sha256(CSV)}
    purge(keep="metrics")
    assert stored(log) == {}
    lp.configure(privacy={"redact": ["email"]})
    record(log, asks(CSV))
    assert stored(log) == {}


def test_a_text_with_a_key_is_not_stored(log, caplog):
    secret = FilePart("text/plain", "env.txt", f"KEY={KEY}".encode())
    with caplog.at_level(logging.WARNING):
        run = record(log, asks(secret))
    assert stored(log) == {sha256(secret): None}
    assert "A file with a key in its text is not stored" in caplog.text
    assert KEY not in str(log.rows("SELECT * FROM prompts"))
    with pytest.raises(InvalidParameterError, match="not stored"):
        lp.save_prompt("secret", run)
    with pytest.raises(InvalidParameterError, match="holds a key"):
        lp.save_prompt("secret", lp.Prompt(asks(secret).messages))


def test_a_file_of_a_web_address_stays_an_address(log):
    request = asks(lp.file("https://example.com/a.pdf"))
    run = record(log, request)
    assert stored(log) == {}
    assert stored_runs([run.id])[0].messages == request.messages
