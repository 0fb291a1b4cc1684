"""Drafts: what a person typed survives the cell, the kernel, other kernels and hostile files."""

import json
import random
import stat
import subprocess
import sys
import threading
import time

import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.widget import drafts
from tests.widget import panels
from tests.widget.hostile import HOSTILE, any_json
from tests.widget.panels import ANSWER_S, until

closed = panels.closed
pytestmark = pytest.mark.usefixtures("closed")


def files(home):
    return sorted((home / "drafts").glob("*"))


def test_restores_what_was_typed_by_name(home):
    first = lp.Playground("letters", models=["local"], prompt="Write a letter.")
    first.prompt, first.iterations, first.temperature = "Write a long letter.", 3, 0.4
    first.close()

    again = lp.Playground("letters", models=["local"], prompt="Write a letter.")

    assert (again.prompt, again.iterations, again.temperature) == ("Write a long letter.", 3, 0.4)
    assert again.draft["state"] == "restored"
    other = lp.Playground("invoices", models=["local"], prompt="Write a letter.")
    assert (other.prompt, other.draft) == ("Write a letter.", {})


def test_saves_after_a_pause_in_a_private_file(home):
    panel = lp.Playground("letters")
    panel.prompt = "Typed."
    until(lambda: panel.draft.get("state") == "saved")

    [path] = files(home)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_bytes())["form"] == {"prompt": "Typed."}


def test_display_alone_writes_nothing(home):
    panel = lp.Playground("letters", prompt="From the code")
    panel.draft_store.on_view_message()
    panel.close()

    assert files(home) == []


def test_executing_the_cell_again_keeps_unsaved_text(home):
    first = lp.Playground("letters")
    first.prompt = "Half a sentence"

    assert lp.Playground("letters").prompt == "Half a sentence"


def test_changed_argument_wins_over_the_draft(home):
    first = lp.Playground("letters", prompt="One", system="Be brief.", preset="precise")
    first.prompt, first.system, first.iterations = "One, typed", "Be kind.", 4
    first.close()

    edited = lp.Playground("letters", prompt="Two", system="Be brief.", preset="precise")

    assert (edited.prompt, edited.system, edited.iterations) == ("Two", "Be kind.", 4)
    assert (edited.preset, edited.temperature) == ("precise", 0.2)


@pytest.mark.parametrize("arguments", [{"temperature": 0.9}, {"preset": "balanced"}])
def test_preset_and_its_parameters_are_restored_together(home, arguments):
    first = lp.Playground("letters")
    first.preset = "precise"
    first.close()
    assert lp.Playground("letters").preset == "precise"

    edited = lp.Playground("letters", **arguments)

    fresh = lp.Playground(**arguments)
    assert (edited.preset, edited.temperature) == (fresh.preset, fresh.temperature)


def test_values_set_by_the_cell_are_no_draft(home):
    panel = lp.Playground("letters")
    panel.prompt = "Set by the cell"
    panel.draft_store.on_view_message()
    panel.system = "Typed"
    panel.close()

    again = lp.Playground("letters")
    assert (again.prompt, again.system) == ("", "Typed")


def test_typed_text_is_kept_while_the_messages_to_a_new_view_are_late(home):
    panel = lp.Playground("letters")
    late = threading.Event()
    panel._on_widget_thread(late.wait)
    panel._handle_custom_msg({"type": "sync", "view": "v"}, [])
    panel.prompt = "Typed at once"
    late.set()
    synced = threading.Event()
    panel._on_widget_thread(synced.set)
    assert synced.wait(ANSWER_S)
    panel.close()

    assert lp.Playground("letters").prompt == "Typed at once"


def test_discard_and_undo(home):
    first = lp.Playground("letters", prompt="Code")
    first.prompt, first.iterations = "Typed", 5
    first.close()
    panel = lp.Playground("letters", prompt="Code")

    panel.draft_store.discard()
    assert (panel.prompt, panel.iterations, panel.draft["state"]) == ("Code", 1, "discarded")
    panel.draft_store.save()
    assert lp.Playground("letters", prompt="Code").draft == {}
    panel.draft_store.undo()
    assert (panel.prompt, panel.iterations, panel.draft["state"]) == ("Typed", 5, "restored")
    panel.close()

    assert lp.Playground("letters", prompt="Code").prompt == "Typed"


def test_saves_when_python_ends(home):
    code = "import llm_playground as lp; pg = lp.Playground('letters'); pg.prompt = 'Last words'"
    subprocess.run([sys.executable, "-c", code], timeout=ANSWER_S, check=True)

    assert lp.Playground("letters").prompt == "Last words"


def test_privacy_without_texts_has_no_drafts(home):
    lp.configure(privacy="metrics")
    panel = lp.Playground("letters")
    panel.prompt = "Secret plans"
    panel.draft_store.save()

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
def test_keys_and_personal_data_are_not_saved(home, text, privacy, why):
    lp.configure(privacy=privacy)
    panel = lp.Playground("letters")
    panel.prompt = "Harmless"
    panel.draft_store.save()
    panel.prompt = text
    panel.draft_store.save()

    assert panel.draft["why"] == why
    assert panel.prompt == text
    [path] = files(home)
    assert json.loads(path.read_bytes())["form"] == {"prompt": "Harmless"}


@pytest.mark.parametrize("content", HOSTILE, ids=lambda content: repr(content[:12]))
def test_broken_file_is_left_out_with_one_line(home, content):
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
    panel.prompt = "Typed again"
    panel.close()
    assert lp.Playground("letters", prompt="Code").prompt == "Typed again"


def test_no_file_raises(home):
    first = lp.Playground("letters")
    first.prompt = "Typed"
    first.close()
    [path] = files(home)
    good = json.loads(path.read_bytes())
    choose = random.Random(5)
    for _ in range(100):
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


def test_form_that_is_too_long_is_not_kept(home):
    panel = lp.Playground("letters")
    panel.prompt = "x" * drafts.MOST_BYTES
    panel.draft_store.save()

    assert panel.draft["why"] == "Draft not kept: it is longer than 1,000,000 bytes."


def test_home_that_cannot_be_written_is_reported(home):
    home.write_text("a file where the folder should be")
    panel = lp.Playground("letters")
    panel.prompt = "Typed"
    panel.draft_store.save()

    assert panel.draft["why"].startswith("Draft not kept: the file cannot be written (")


WRITER = """
import sys, time
import llm_playground as lp
who = sys.argv[1]
pg = lp.Playground("shared")
for number in range(200):
    pg.prompt = f"{who} {number} " + who * 5_000
    pg.draft_store.save()
assert pg.draft["state"] == "saved", pg.draft
"""


def test_two_kernels_leave_one_whole_draft(home):
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


def test_two_threads_lose_nothing(home):
    panel = lp.Playground("letters")

    def type_(trait, values):
        for value in values:
            setattr(panel, trait, value)
            panel.draft_store.save()

    typing = [
        threading.Thread(target=type_, args=("prompt", [f"p{n}" for n in range(100)])),
        threading.Thread(target=type_, args=("system", [f"s{n}" for n in range(100)])),
    ]
    for thread in typing:
        thread.start()
    for thread in typing:
        thread.join(ANSWER_S)
    panel.close()

    again = lp.Playground("letters")
    assert (again.prompt, again.system) == ("p99", "s99")


def test_frame_in_the_form_is_saved_without_rows(home):
    panel = lp.Playground("letters", models=["local"], prompt="Write to {{name}}.")
    panel.cases = pd.DataFrame({"name": ["Ada of ada@example.org"]})
    panel.values = {"place": pd.Series(["sk-" + "planted" * 4])}
    panel.prompt = "Write to {{name}} soon."
    panel.draft_store.save()

    texts = "".join(path.read_text("utf-8") for path in files(home))
    assert "ada@example.org" not in texts + json.dumps(panel.draft_store.as_json())
    assert "planted" not in texts + json.dumps(panel.draft_store.as_json())
