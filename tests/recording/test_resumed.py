"""``lp.resume`` while recording and in replay."""

import threading

import pytest

import llm_playground as lp
from llm_playground.recording import kernel
from llm_playground.recording.file import RecordingFile
from tests.providers.conftest import own_providers as own_providers
from tests.providers.test_background import IN_BACKGROUND, MODEL, TEXT, Vendor, ask, beginning
from tests.providers.test_background import no_waits as no_waits
from tests.recording.test_recordings import restart

__all__ = ["ask"]


def answered(path):
    [entry] = RecordingFile(path).read().entries
    return {number: answer.get("response_text") for number, answer in entry.answers.items()}


@pytest.mark.parametrize("same_kernel", [True, False])
def test_a_resumed_answer_is_recorded_as_that_of_the_interrupted_call(ask, home, same_kernel):
    path, is_back = home.parent / "r.yaml", threading.Event()
    lp.configure(recording=str(path))
    restart("record")
    first = ask(Vendor(beginning(1)))
    with pytest.raises(lp.StreamInterruptedError):
        ask(vendor := Vendor(beginning(0.6), allowed=lambda _number: is_back.is_set()))
    assert answered(path) == {1: first.text}

    if not same_kernel:
        restart("record")
    is_back.set()
    assert lp.resume().text == TEXT
    assert answered(path) == {1: first.text, 2: TEXT}

    restart("replay")
    asked = len(vendor.read), vendor.created
    replayed = [lp.ask("Hi", MODEL, **IN_BACKGROUND) for _ in range(2)]
    assert [(run.text, run.cached) for run in replayed] == [(first.text, True), (TEXT, True)]
    assert (len(vendor.read), vendor.created) == asked
    assert kernel.use().from_file == 2


def test_replay_resumes_nothing(ask):
    with pytest.raises(lp.StreamInterruptedError):
        ask(vendor := Vendor(beginning(0.6), allowed=lambda _number: False))
    asked = len(vendor.read)
    lp.configure(mode="replay")
    with pytest.raises(lp.ConfigError, match="mode replay never uses the network"):
        lp.resume()
    assert len(vendor.read) == asked
    assert list(lp.runs().status) == ["interrupted"]
