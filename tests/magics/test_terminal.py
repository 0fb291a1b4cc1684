"""Answers of ``%%llm`` on a terminal."""

import pytest

from llm_playground import footer
from llm_playground.calls import CallOptions
from llm_playground.magics import live_output


def shown(capsys, iterations):
    calls = CallOptions(
        "Say hello.", ["local"], parameters={"max_tokens": 4}, iterations=iterations
    ).plan()
    runs = live_output.watch(calls)
    return runs, capsys.readouterr()


def test_one_answer_streams_and_ends_with_its_footer(capsys):
    [run], written = shown(capsys, 1)

    assert written.out.startswith(run.text)
    assert written.out.endswith(f"{footer.line(run)}\n{footer.LOCAL_NOTE}\n")
    assert written.err == ""


@pytest.mark.parametrize("is_terminal", [True, False])
def test_several_answers_come_whole_below_a_line_that_counts_them(capsys, monkeypatch, is_terminal):
    monkeypatch.setattr(live_output, "is_terminal", lambda: is_terminal)

    runs, written = shown(capsys, 2)

    *_, last, note = written.out.splitlines()
    assert all(run.text in written.out for run in runs)
    assert last.startswith("2 answers · ")
    assert note == footer.LOCAL_NOTE
    assert written.out.count(footer.LOCAL_NOTE) == 1
    assert ("of 2 answers" in written.err) is is_terminal
    assert written.err == "" or written.err.endswith("\r\x1b[2K")
