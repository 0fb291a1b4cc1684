"""Recordings that are damaged, changed by hand or not writable: one line, and nothing is lost."""

import errno
import os
import re
from decimal import Decimal

import pytest
from filelock import lock_descriptor

from llm_playground import _files
from llm_playground.recording import answers, file
from llm_playground.recording.entries import CALL, Entry, Recording
from llm_playground.recording.file import RecordingFile, as_text, of_text

ANSWER = {"response_text": "Oslo.\nBergen.", "input_tokens": 3, "cost_usd": "0.5", "ttft_ms": 7}


def entry(key="k1", **values):
    request = {"model": "a:b", "messages": [{"user": key}]}
    return Entry(CALL, key, request, {1: {**ANSWER, **values}})


GOOD = as_text(Recording((entry(), entry("k2"))))


def changed(old, new):
    text = GOOD.replace(old, new, 1)
    assert text != GOOD
    return text


def merge_keys(levels):
    """Mappings that each merge the one before thrice: 3 ** levels values where they are merged."""
    bomb = "".join(
        f"a{n}: &a{n}\n  ? !!merge m\n  : [{', '.join([f'*a{n - 1}'] * 3)}]\n"
        for n in range(1, levels)
    )
    return f"a0: &a0 {{x: 1}}\n{bomb}"


DAMAGED = {
    changed("entries:", "entries: 5\nmedia:"): "its entries are no list",
    GOOD + "media: [1]\n": "its entries are no list, or its media have no names",
    GOOD + "format: 1\n": "the name 'format' is there twice; remove one",
    GOOD + "note: mine\n": "it has 'note', which a recording has not; remove it",
    GOOD + "||||||| base\n": "it has marks of a conflict of git",
    changed("key: k2", "key: k1"): "two of its entries have the key k1; remove one",
    changed("      1:\n", "      1:\n        status: failed\n      1:\n"): "the name '1' is there",
    changed("      1:\n", "      first:\n"): "an answer of the entry k1 has no number",
    changed("      1:\n", "      - 1\n    x:\n"): "the answers of the entry k1 have no numbers",
    changed("      1:\n", "      1: text\n    x:\n"): "has no number, or no values by name",
    changed("entries:", merge_keys(40) + "entries:"): "merge",
    changed("entries:", "a: &a text\nb: *a\nentries:"): "anchors and aliases are not supported",
    changed("ttft_ms: 7", "ttft_ms: 1e999"): "a number is too large",
    changed("response_text:", "response_text: 42\n        other:"): "response_text is 42; expected",
    changed("input_tokens: 3", "input_tokens: many"): "answer 1 of the entry k1: input_tokens is",
    changed("input_tokens: 3", f"input_tokens: {1 << 63}"): "a whole number of at least 0",
    changed("input_tokens: 3", "status: exploded"): "status is 'exploded'; expected one of blocked",
    changed("input_tokens: 3", "parts: 5"): "parts is 5; expected a list",
    changed('cost_usd: "0.5"', 'cost_usd: "-1"'): "cost_usd is '-1'; expected an amount",
    changed('cost_usd: "0.5"', "cost_usd: nan"): "cost_usd is 'nan'; expected an amount",
    changed("ttft_ms: 7", "ttft_ms: -7"): "ttft_ms is -7; expected a number of at least 0",
    changed("ttft_ms: 7", f"ttft_ms: {10**400}"): "expected a number of at least 0",
}


@pytest.mark.parametrize("text", DAMAGED, ids=range(len(DAMAGED)))
def test_what_would_be_lost_or_misread_is_refused_in_one_line(text):
    with pytest.raises(ValueError, match=re.escape(DAMAGED[text])) as refused:
        of_text(text)
    assert len(str(refused.value).splitlines()) == 1


def test_a_file_that_was_cut_off_anywhere_is_refused():
    for length in range(len(GOOD) - 1):  # the last character is the end of the last line
        with pytest.raises(ValueError, match=r"\w"):
            of_text(GOOD[:length])
    assert len(of_text(GOOD).entries) == 2


def test_what_a_formatter_or_an_editor_writes_is_read():
    quoted = GOOD.replace("model: a:b", "'model': \"a:b\"").replace("ttft_ms: 7", "ttft_ms: 7.0")
    [first, _] = of_text(f"---\n{quoted}...\n").entries
    assert first.answers[1] == ANSWER
    run = answers.run_of_answer(first.answers[1], None, {})
    assert (run.cost_usd, run.ttft_ms) == (Decimal("0.5"), 7)


def adding(one):
    return lambda recording: Recording((*recording.entries, one), recording.media)


def test_a_failed_write_keeps_the_file_and_the_next_one_writes_both(home, monkeypatch):
    recording = RecordingFile(home.parent / "r.yaml")
    recording.change(adding(entry()))
    before = recording.path.read_bytes()

    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(_files.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            recording.change(adding(entry("k2")))
    assert recording.path.read_bytes() == before
    assert [path.name for path in recording.path.parent.glob(".llm_playground-*")] == []

    recording.change(adding(entry("k3")))
    assert [one.key for one in of_text(recording.path.read_text()).entries] == ["k1", "k2", "k3"]


def test_no_file_is_written_that_is_too_long_to_be_read(home, monkeypatch):
    recording = RecordingFile(home.parent / "r.yaml")
    recording.change(adding(entry()))
    monkeypatch.setattr(file, "MAX_BYTES", recording.path.stat().st_size + 100)
    with pytest.raises(OSError, match="it would be longer than"):
        recording.change(adding(entry("k2")))
    assert [one.key for one in RecordingFile(recording.path).read().entries] == ["k1"]


def test_a_process_with_another_data_folder_waits_for_its_turn(home, monkeypatch):
    """Such as another user's kernel: what it adds meanwhile must not be lost."""
    recording = RecordingFile(home.parent / "r.yaml")
    recording.change(adding(entry()))
    monkeypatch.setattr(file, "_LOCK_WAIT_S", 0)
    descriptor = os.open(recording.path.parent, os.O_RDONLY)
    try:
        assert lock_descriptor(descriptor, blocking=False)
        with pytest.raises(TimeoutError, match="another process has locked its folder"):
            recording.change(adding(entry("k2")))
    finally:
        os.close(descriptor)
    recording.change(adding(entry("k3")))
    assert [one.key for one in RecordingFile(recording.path).read().entries] == ["k1", "k2", "k3"]
