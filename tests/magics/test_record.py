"""``%llm record``: what starts and stops the recording of calls of other libraries."""

import json

import httpx2
import pytest
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import capture, magics
from tests.capture.transports import post
from tests.capture.wire import answer
from tests.providers.server import WireServer

ON = "Calls of other libraries are recorded in the log. %llm record off stops it.\n"
OFF = "Calls of other libraries are not recorded. %llm record on records them.\n"
SEND = httpx2.Client.send


@pytest.fixture
def shell(home):
    started = InteractiveShell()
    started.run_cell("%load_ext llm_playground").raise_error()
    yield started
    magics.unload(started)
    capture.stop_all()


@pytest.fixture
def said(shell, capsys):
    def run(line):
        capsys.readouterr()
        shell.run_cell(line).raise_error()
        return capsys.readouterr().out

    return run


def recorded():
    """How many rows a call adds."""
    with WireServer(answer) as server:
        before = len(lp.runs())
        assert post("httpx2", server)[0] == 200
        return len(lp.runs()) - before


def test_on_and_off_say_the_state_and_are_harmless_twice(said):
    assert [said("%llm record"), recorded()] == [OFF, 0]
    assert [said("%llm record on"), said("%llm record on"), recorded()] == [ON, ON, 1]
    assert said("%llm record") == ON
    assert [said("%llm record off"), said("%llm record off"), recorded()] == [OFF, OFF, 0]
    assert httpx2.Client.send is SEND


def test_a_wrong_word_changes_nothing(shell, said):
    said("%llm record on")
    failed = shell.run_cell("%llm record onn")

    assert str(failed.error_in_exec).startswith("Write %llm record [on|off].")
    assert recorded() == 1


def test_it_goes_on_after_the_end_of_a_block_that_records_too(said):
    with lp.record(tags="block"):
        said("%llm record on")
    assert said("%llm record") == ON
    assert recorded() == 1
    assert json.loads(lp.runs()["tags"].iloc[0]) == []


def test_off_stops_what_python_has_started(said):
    with lp.record():
        assert said("%llm record") == ON
        assert said("%llm record off") == OFF
        assert recorded() == 0
    assert said("%llm record on") == ON
    assert recorded() == 1


def test_unloading_stops_what_the_magic_has_started_only(said):
    own = lp.record(tags="own")
    said("%llm record on")
    said("%unload_ext llm_playground")
    assert own.is_on
    assert recorded() == 1
    own.stop()

    assert recorded() == 0
    assert httpx2.Client.send is SEND
    assert said("%load_ext llm_playground\n%llm record") == OFF


def test_reloading_the_extension_stops_it(said):
    said("%llm record on")

    assert said("%reload_ext llm_playground\n%llm record").endswith(OFF)
