"""What a person typed and was answered outlives the cell, the kernel and hostile files."""

import json
import os
import random
import stat
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground import config
from llm_playground.exporting.static import MIME
from llm_playground.widgets import draft, notebook_file
from llm_playground.widgets.notice import METADATA
from llm_playground.widgets.replies import REPLIES, reply

WAIT_S = 60


def until(condition, timeout_s=WAIT_S):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def closed(home, monkeypatch):
    """Every playground of a test is closed at its end, with its drafts in a home of its own."""
    made = []
    make = lp.Playground

    def noted(*arguments, **named):
        made.append(make(*arguments, **named))
        return made[-1]

    monkeypatch.setattr(lp, "Playground", noted)
    yield made
    for panel in made:
        panel.close()


def files(home):
    return sorted((home / "drafts").glob("*"))


def test_what_was_typed_comes_back_under_the_playgrounds_name(home):
    first = lp.Playground("letters", models=["local"], prompt="Write a letter.")
    first.prompt, first.iterations, first.temperature = "Write a long letter.", 3, 0.4
    first.close()

    again = lp.Playground("letters", models=["local"], prompt="Write a letter.")

    assert (again.prompt, again.iterations, again.temperature) == ("Write a long letter.", 3, 0.4)
    assert again.draft["state"] == "restored"
    other = lp.Playground("invoices", models=["local"], prompt="Write a letter.")
    assert (other.prompt, other.draft) == ("Write a letter.", {})


def test_it_is_kept_on_each_pause_in_a_file_for_the_person_alone(home):
    panel = lp.Playground("letters")
    panel.prompt = "Typed."
    until(lambda: panel.draft.get("state") == "saved", 5)

    [path] = files(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["form"] == {"prompt": "Typed."}


def test_showing_a_playground_writes_nothing(home):
    panel = lp.Playground("letters", prompt="From the code")
    panel.kept_draft.begin()
    panel.close()

    assert files(home) == []


def test_executing_the_same_cell_again_keeps_what_was_typed_a_moment_ago(home):
    first = lp.Playground("letters")
    first.prompt = "Half a sentence"

    assert lp.Playground("letters").prompt == "Half a sentence"


def test_a_changed_argument_wins_and_the_rest_is_restored(home):
    first = lp.Playground("letters", prompt="One", system="Be brief.", preset="precise")
    first.prompt, first.system, first.iterations = "One, typed", "Be kind.", 4
    first.close()

    edited = lp.Playground("letters", prompt="Two", system="Be brief.", preset="precise")

    assert (edited.prompt, edited.system, edited.iterations) == ("Two", "Be kind.", 4)
    assert (edited.preset, edited.temperature) == ("precise", 0.2)


@pytest.mark.parametrize("arguments", [{"temperature": 0.9}, {"preset": "balanced"}])
def test_a_preset_and_what_it_sets_come_from_one_place(home, arguments):
    first = lp.Playground("letters")
    first.preset = "precise"
    first.close()
    assert lp.Playground("letters").preset == "precise"

    edited = lp.Playground("letters", **arguments)

    fresh = lp.Playground(**arguments)
    assert (edited.preset, edited.temperature) == (fresh.preset, fresh.temperature)


def test_what_the_cell_sets_after_making_it_is_the_codes_not_the_persons(home):
    panel = lp.Playground("letters")
    panel.prompt = "Set by the cell"
    panel.kept_draft.begin()
    panel.system = "Typed"
    panel.close()

    again = lp.Playground("letters")
    assert (again.prompt, again.system) == ("", "Typed")


def test_discarding_takes_the_codes_values_and_undo_brings_the_draft_back(home):
    first = lp.Playground("letters", prompt="Code")
    first.prompt, first.iterations = "Typed", 5
    first.close()
    panel = lp.Playground("letters", prompt="Code")

    panel.kept_draft.discard()
    assert (panel.prompt, panel.iterations, panel.draft["state"]) == ("Code", 1, "discarded")
    panel.kept_draft.keep()
    assert lp.Playground("letters", prompt="Code").draft == {}
    panel.kept_draft.undo()
    assert (panel.prompt, panel.iterations, panel.draft["state"]) == ("Typed", 5, "restored")
    panel.close()

    assert lp.Playground("letters", prompt="Code").prompt == "Typed"


def test_drafts_are_kept_when_python_ends(home):
    code = "import llm_playground as lp; pg = lp.Playground('letters'); pg.prompt = 'Last words'"
    subprocess.run([sys.executable, "-c", code], timeout=WAIT_S, check=True)

    assert lp.Playground("letters").prompt == "Last words"


def test_where_no_texts_are_stored_there_are_no_drafts(home, monkeypatch):
    monkeypatch.setattr(config, "_settings", config._settings)
    lp.configure(privacy="metrics")
    panel = lp.Playground("letters")
    panel.prompt = "Secret plans"
    panel.kept_draft.keep()

    assert panel.draft["why"] == "Draft not kept: privacy stores no texts."
    assert files(home) == []


@pytest.mark.parametrize(
    ("text", "privacy", "why"),
    [
        ("My key is sk-" + "a1B2" * 10, {}, "Draft not kept: it holds a key."),
        (
            "Write to ada@example.org",
            {"redact": ["email"]},
            "Draft not kept: it holds personal data.",
        ),
    ],
)
def test_what_is_never_stored_is_in_no_draft_either(home, monkeypatch, text, privacy, why):
    monkeypatch.setattr(config, "_settings", config._settings)
    lp.configure(privacy=privacy)
    panel = lp.Playground("letters")
    panel.prompt = "Harmless"
    panel.kept_draft.keep()
    panel.prompt = text
    panel.kept_draft.keep()

    assert panel.draft["why"] == why
    assert panel.prompt == text
    [path] = files(home)
    assert json.loads(path.read_bytes())["form"] == {"prompt": "Harmless"}


HOSTILE = (
    *(b"", b"\x00\xff\xfe", b"{", b"[]", b"null", b"[" * 100_000, b'"x"', b"1e999", b"9" * 10_000),
    *(b'{"format": "llm_playground.draft"}', b"x" * (draft.MOST_BYTES + 1)),
)


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:12]))
def test_a_broken_file_is_left_out_with_one_line(home, content):
    first = lp.Playground("letters", prompt="Code")
    first.prompt = "Typed"
    first.close()
    [path] = files(home)
    path.write_bytes(content)

    panel = lp.Playground("letters", prompt="Code")

    assert panel.prompt == "Code"
    assert panel.draft["state"] == "not kept"
    assert panel.draft["why"].startswith("A draft cannot be read and is left out: ")
    assert "\n" not in panel.draft["why"]
    panel.prompt = "Typed anew"
    panel.close()
    assert lp.Playground("letters", prompt="Code").prompt == "Typed anew"


def any_json(random_, depth=3):
    kinds = ["none", "bool", "int", "float", "text", "list", "dict"][: 7 if depth else 5]
    match random_.choice(kinds):
        case "bool":
            return random_.random() < 0.5
        case "int":
            return random_.choice([0, -1, 10**30])
        case "float":
            return random_.choice([0.5, -1e300])
        case "text":
            return random_.choice(["", "a", "\ud800", "<img src=x>", "2026-01-01"])
        case "list":
            return [any_json(random_, depth - 1) for _ in range(3)]
        case "dict":
            return {str(n): any_json(random_, depth - 1) for n in range(2)}
    return None


def test_no_file_however_made_raises(home):
    first = lp.Playground("letters")
    first.prompt = "Typed"
    first.close()
    [path] = files(home)
    good = json.loads(path.read_bytes())
    choose = random.Random(5)
    for _ in range(300):
        bad = dict(good)
        part = choose.choice([*good, "form"])
        if part == "form":
            names = choose.sample(sorted(["prompt", "models", "preset", "iterations", "top_p"]), 2)
            bad["form"] = {name: any_json(choose) for name in names}
        else:
            bad[part] = any_json(choose)
        path.write_text(json.dumps(bad), "utf-8")

        panel = lp.Playground("letters")
        assert isinstance(panel.prompt, str)
        assert all(isinstance(model, str) for model in panel.models)


def test_a_form_too_long_for_a_draft_says_so(home):
    panel = lp.Playground("letters")
    panel.prompt = "x" * draft.MOST_BYTES
    panel.kept_draft.keep()

    assert panel.draft["why"] == "Draft not kept: it is longer than 1,000,000 bytes."


def test_a_home_that_cannot_be_written_says_so(home):
    home.write_text("a file where the folder should be")
    panel = lp.Playground("letters")
    panel.prompt = "Typed"
    panel.kept_draft.keep()

    assert panel.draft["why"].startswith("Draft not kept: the file cannot be written (")


WRITER = """
import sys, time
import llm_playground as lp
who = sys.argv[1]
pg = lp.Playground("shared")
for number in range(200):
    pg.prompt = f"{who} {number} " + who * 5_000
    pg.kept_draft.keep()
assert pg.draft["state"] == "saved", pg.draft
"""


def test_two_kernels_with_one_name_leave_one_whole_draft(home):
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, who]) for who in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        prompt = lp.Playground("shared").prompt
        if prompt:
            who, _number, text = prompt.split(" ")
            assert text == who * 5_000
            seen.add(who)
        time.sleep(0.05)

    assert [writer.returncode for writer in writers] == [0, 0]
    assert lp.Playground("shared").prompt.split(" ")[1] == "199"
    assert not list((home / "drafts").glob("*.part"))


def test_typing_in_two_threads_and_keeping_loses_nothing(home):
    panel = lp.Playground("letters")

    def type_(trait, values):
        for value in values:
            setattr(panel, trait, value)
            panel.kept_draft.keep()

    typing = [
        threading.Thread(target=type_, args=("prompt", [f"p{n}" for n in range(100)])),
        threading.Thread(target=type_, args=("system", [f"s{n}" for n in range(100)])),
    ]
    for thread in typing:
        thread.start()
    for thread in typing:
        thread.join(WAIT_S)
    panel.close()

    again = lp.Playground("letters")
    assert (again.prompt, again.system) == ("p99", "s99")


def made_elsewhere(code):
    """What another kernel prints."""
    preamble = "import llm_playground as lp, json\n"
    done = subprocess.run(
        [sys.executable, "-c", preamble + code],
        timeout=WAIT_S,
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ},
    )
    return done.stdout


ASKED = (
    "pg = lp.Playground('letters', models=['local'], prompt='Say hello.', max_tokens=8, n=2)\n"
    "pg.run(); print(json.dumps(pg.results.run_id.tolist()))"
)


def test_a_new_kernel_shows_the_last_answers_and_sends_nothing(home):
    ids = json.loads(made_elsewhere(ASKED))

    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", max_tokens=8, n=2)

    assert panel.results.run_id.tolist() == ids
    assert panel.results.status.tolist() == ["completed", "completed"]
    assert (panel.saved["count"], panel.saved["wanted"], panel.saved["where"]) == (2, 2, "log")
    assert len(lp.runs()) == 2
    shown = [pane["footer"] for pane in panel.sheet.catch_up()[1]]
    assert all(footer.startswith("free") for footer in shown)


def test_running_again_takes_their_place(home):
    made_elsewhere(ASKED)
    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", max_tokens=8)
    before = set(panel.results.run_id)

    panel.run()

    assert panel.saved == {}
    assert not before & set(panel.results.run_id)
    panel.kept_draft.keep()
    again = lp.Playground("letters")
    assert again.results.run_id.tolist() == panel.results.run_id.tolist()


def test_made_again_in_mid_stream_it_goes_on_with_the_same_answers(home):
    first = lp.Playground("letters", models=["local"], prompt="Tell a story.", max_tokens=300)
    first.run()
    until(lambda: first.sheet.text(1))

    again = lp.Playground("letters", models=["local"], prompt="Tell a story.", max_tokens=300)
    assert again.running
    again.stop()

    assert again.results.status.tolist() == ["cancelled"]
    assert again.results.run_id.tolist() == first.results.run_id.tolist()
    until(lambda: not again.running and not first.running)
    assert len(lp.runs()) == 1


def test_a_kernel_that_died_in_mid_stream_leaves_its_answer_interrupted(home):
    code = (
        "import os, signal, time\n"
        "pg = lp.Playground('letters', models=['local'], prompt='Tell a story.', max_tokens=500)\n"
        "pg.run()\n"
        "while len(pg.sheet.text(1)) < 50: time.sleep(0.02)\n"
        "time.sleep(0.2)\n"  # the journal writes text every 50 ms
        "print(json.dumps(pg.sheet.text(1)), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import llm_playground as lp, json\n" + code],
        timeout=WAIT_S,
        check=False,
        capture_output=True,
        text=True,
    )
    said = json.loads(done.stdout)

    panel = lp.Playground("letters", models=["local"], prompt="Tell a story.", max_tokens=500)

    [row] = panel.results.to_dict("records")
    assert row["status"] == "interrupted"
    assert said[:50] in row["response_text"]
    assert not panel.running


@pytest.fixture
def notebook(home, monkeypatch):
    """The file that the kernel is told is its notebook, holding what a playground keeps in it."""
    first = lp.Playground("letters", models=["local"], max_tokens=8)
    first.prompt = "Say hello."
    first.run()
    assert first.results.status.tolist() == ["completed"]
    bundle, metadata = first.kept_answers.output()
    output = {"output_type": "display_data", "data": bundle, "metadata": metadata}
    cells = [{"cell_type": "code", "id": "c1", "source": "", "outputs": [output]}]
    path = home.parent / "letters.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells}), "utf-8")
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    first.close()
    return path


@pytest.fixture
def colleague(notebook, tmp_path, monkeypatch):
    """Somebody else has the notebook, but neither the log nor the drafts."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "colleague"))
    return notebook


def test_a_colleague_sees_the_notebooks_answers_and_may_import_them(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)

    assert panel.results.status.tolist() == ["completed"]
    assert panel.prompt == "Say hello."
    assert (panel.saved["where"], panel.saved["count"]) == ("notebook", 1)
    assert len(lp.runs()) == 0

    assert panel.kept_answers.import_them() == 1
    assert panel.saved["where"] == "log"
    assert lp.runs().run_id.tolist() == panel.results.run_id.tolist()


def test_until_they_are_imported_the_notebook_goes_on_keeping_them(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)
    ids = panel.results.run_id.tolist()

    bundle, metadata = panel.kept_answers.output()

    output = {"output_type": "display_data", "data": bundle, "metadata": metadata}
    cells = [{"cell_type": "code", "id": "c1", "source": "", "outputs": [output]}]
    colleague.write_text(json.dumps({"cells": cells}), "utf-8")
    leaf = notebook_file.find(colleague, "letters", None)
    assert [one.run.id for one in leaf.stored()] == ids


def test_another_playgrounds_answers_are_not_taken(colleague):
    panel = lp.Playground("invoices", models=["local"])
    panel.kept_answers.wait()

    assert panel.saved == {}


def test_no_notebook_however_made_raises(colleague):
    good = json.loads(colleague.read_bytes())
    choose = random.Random(7)

    def broken(value, depth=0):
        if choose.random() < 0.08 and depth > 1:
            return any_json(choose, 2)
        if isinstance(value, dict):
            return {name: broken(item, depth + 1) for name, item in value.items()}
        if isinstance(value, list):
            return [broken(item, depth + 1) for item in value]
        return value

    for _ in range(300):
        colleague.write_text(json.dumps(broken(good)), "utf-8")
        leaf = notebook_file.find(colleague, "letters", None)
        assert leaf is None or isinstance(leaf.stored(), list)
    for content in HOSTILE:
        colleague.write_bytes(content)
        assert notebook_file.find(colleague, "letters", None) is None


def test_made_again_it_takes_over_the_last_answers_not_older_ones(home):
    arguments = {"models": ["local"], "prompt": "Say hello.", "max_tokens": 4}
    oldest = lp.Playground("letters", **arguments)
    oldest.run()
    assert len(oldest.results) == 1
    newer = lp.Playground("letters", **arguments)
    newer.run()
    last = newer.results.run_id.tolist()
    newer.close()

    assert lp.Playground("letters", **arguments).results.run_id.tolist() == last


@pytest.mark.parametrize(
    ("privacy", "kept"),
    [({"redact": ["email"]}, "Write to [redacted]."), ("metrics", None)],
)
def test_the_notebook_keeps_no_more_than_may_be_stored(home, monkeypatch, privacy, kept):
    monkeypatch.setattr(config, "_settings", config._settings)
    lp.configure(privacy=privacy)
    panel = lp.Playground("letters", models=["local"], max_tokens=4)
    panel.prompt = "Write to ada@example.org."
    shown = []
    monkeypatch.setattr(panel.beside, "show", lambda *output: shown.append(output) or 1)

    panel.run()
    assert panel.results.status.tolist() == ["completed"]
    until(lambda: not panel.running)
    until(lambda: all(one.name != "llm_playground-notebook" for one in threading.enumerate()))

    assert panel.problem == ""
    assert "ada@example.org" not in json.dumps(shown)
    assert (kept in json.dumps(shown)) if kept else not shown


def retried(panel, number):
    """The runs that are shown once the answer was asked for again."""
    until(lambda: not panel.running)
    before = panel.results.run_id.tolist()
    panel._handle_custom_msg({"type": "retry", "number": number, "changes": {}}, [])
    until(lambda: not panel.running and panel.results.run_id.tolist() != before)
    return panel.results.run_id.tolist()


def kept_ids(panel):
    bundle, metadata = panel.kept_answers.output()
    rows = [row["run_id"] for row in bundle[MIME]["runs"]]
    assert rows == [run_id for run_id, _ in metadata[METADATA]["draft"]["answers"]]
    return rows


def test_an_answer_of_the_notebook_that_is_asked_for_again_is_kept(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)

    now = retried(panel, 1)

    assert kept_ids(panel) == now
    assert panel.saved == {}


def test_of_runs_that_were_opened_the_one_asked_for_again_is_kept_with_the_others(home):
    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", n=2, max_tokens=4)
    panel.run()
    opened = panel.results.run_id.tolist()
    other = lp.Playground("invoices", models=["local"], run=opened, max_tokens=4)

    now = retried(other, 2)

    assert now[0] == opened[0]
    assert now[1] != opened[1]
    assert kept_ids(other) == now


def test_the_notebooks_answers_can_be_imported_from_a_cell_executed_twice(colleague):
    first = lp.Playground("letters", models=["local"], max_tokens=8)
    ids = first.results.run_id.tolist()

    again = lp.Playground("letters", models=["local"], max_tokens=8)

    assert again.results.run_id.tolist() == ids
    assert again.saved["where"] == "notebook"
    assert kept_ids(again) == ids
    assert again.kept_answers.import_them() == 1
    assert again.saved["where"] == "log"


def test_of_a_frame_in_the_form_the_draft_has_no_row(home):
    panel = lp.Playground("letters", models=["local"], prompt="Write to {{name}}.")
    panel.cases = pd.DataFrame({"name": ["Ada of ada@example.org"]})
    panel.values = {"place": pd.Series(["sk-" + "planted" * 4])}
    panel.prompt = "Write to {{name}} soon."
    panel.kept_draft.keep()

    texts = "".join(path.read_text("utf-8") for path in files(home))
    assert "ada@example.org" not in texts + json.dumps(panel.kept_draft.document())
    assert "planted" not in texts + json.dumps(panel.kept_draft.document())


def test_a_run_opened_in_the_panel_takes_nothing_from_the_form_for_good(home):
    frame = pd.DataFrame({"name": ["Ada", "Grace"]})
    panel = lp.Playground(models=["local"], prompt="Greet {{name}}.", max_tokens=4)
    panel.cases = frame
    run = lp.ask("Say hello.", max_tokens=4)

    assert reply(panel, {"what": "reopen", "given": {"run": run.id}})["value"] == {"note": ""}
    assert panel.prompt == "Say hello."
    assert reply(panel, {"what": "put_back"})["value"] is None

    assert panel.prompt == "Greet {{name}}."
    assert panel.cases is frame


def test_a_retry_takes_no_longer_than_it_takes(home, monkeypatch):
    panel = lp.Playground(models=["local"], prompt="Say hello.", max_tokens=2)
    panel.run()
    assert len(panel.results) == 1
    until(lambda: not panel.running)
    panel.sheet._ended_at -= 600  # as if that was ten minutes ago
    panel.sheet._started_at -= 600

    retried(panel, 1)

    assert " min" not in panel.sheet.summary()


def test_what_a_view_asks_is_answered_even_where_we_are_wrong(home, monkeypatch):
    panel = lp.Playground(models=["local"])
    monkeypatch.setitem(REPLIES, "text", lambda *_: 1 / 0)

    told = reply(panel, {"id": "7", "what": "text", "given": {}})

    assert told == {
        "type": "reply",
        "id": "7",
        "error": "This cannot be shown (ZeroDivisionError).",
    }
