"""Keys reach neither journal nor database, however they come."""

import pytest

from llm_playground.errors import AuthenticationError
from llm_playground.redaction import MASK, remember
from tests.runlog.actors import begin, completed, execution_of, prompt

KNOWN = "-".join(["planted", "key", "0f9a", "77b1", "c3d2"])
SHAPED = "s" + "k-" + "Test0123456789" * 3
KEYS = [KNOWN, SHAPED]


def setup_module():
    remember(KNOWN)


def on_disk(path):
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    return b"".join(file.read_bytes() for file in files)


@pytest.mark.parametrize("key", KEYS, ids=["known", "shaped"])
def test_a_key_is_stored_nowhere(log, path, key):
    request = prompt(f"use {key} please", system=f"the key {key}", extra={"header": key, key: 1})
    execution = execution_of(request, notebook=f"{key}.ipynb", tags=(key,), cell_id=key)
    error = AuthenticationError(f"{key} is wrong", detail=f"Authorization: Bearer {key}")
    log.finished(completed(begin(log, request, execution), text=f"= {key}", error=error))
    assert key.encode() not in on_disk(path)
    log.drain()
    assert key.encode() not in on_disk(path)
    row = log.frame("SELECT * FROM runs").iloc[0]
    assert row.response_text == f"= {MASK}"
    assert row.user_prompt == f"use {MASK} please"


@pytest.mark.parametrize("key", KEYS, ids=["known", "shaped"])
@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_a_key_cut_into_deltas_is_not_put_together_again(log, path, key, size):
    run = begin(log)
    text = f"The answer is {key} and more words"
    for start in range(0, len(text), size):
        log.text(run.id, text[start : start + size])
        log._recorder._flush()  # the worst case: every delta is written on its own
    shown = log.frame("SELECT response_text FROM runs").response_text[0]
    assert shown.startswith("The answer is ")
    assert shown.endswith(" and more words")
    assert key not in shown
    assert key[5:].encode() not in on_disk(path)
    assert key[:12].encode() not in on_disk(path)


def test_the_start_of_a_key_waits_until_it_is_known_what_it_is(log, path):
    run = begin(log)
    log.text(run.id, f"see {KNOWN[:-1]}")
    log._recorder._flush()
    assert KNOWN[:8].encode() not in on_disk(path)
    log.text(run.id, "? no, it was another")
    log._recorder._flush()
    shown = log.frame("SELECT response_text FROM runs").response_text[0]
    assert shown == f"see {KNOWN[:-1]}? no, it was another"


def test_ordinary_text_is_held_back_by_nobody(log):
    run = begin(log)
    words = "Ask the task force: a desk, AI and hf. Is 2 > 1? Yes."
    for letter in words:
        log.text(run.id, letter)
    log._recorder._flush()
    assert log.frame("SELECT response_text FROM runs").response_text[0] == words
