"""Earlier answers: restored from kernel, log or notebook, and kept for the next time."""

import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import threading

import pandas as pd
import pytest
from PIL import Image

import llm_playground as lp
from llm_playground import provenance
from llm_playground.exporting.formats import MIME_TYPE
from llm_playground.widget import draft_store, restore
from llm_playground.widget.fallback_output import METADATA
from llm_playground.widget.requests import reply
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer
from tests.widget import panels
from tests.widget.hostile import HOSTILE, any_json
from tests.widget.panels import ANSWER_S, retried, until

closed = panels.closed
pytestmark = pytest.mark.usefixtures("closed")


def in_another_kernel(code):
    """What the code prints in another process."""
    preamble = "import llm_playground as lp, json\n"
    done = subprocess.run(
        [sys.executable, "-c", preamble + code],
        timeout=ANSWER_S,
        check=True,
        capture_output=True,
        text=True,
        env=dict(os.environ),
    )
    return done.stdout


ASKED = (
    "pg = lp.Playground('letters', models=['local'], prompt='Say hello.', max_tokens=8, n=2)\n"
    "pg.run(); print(json.dumps(pg.results.run_id.tolist()))"
)


def test_new_kernel_shows_the_last_answers_and_sends_nothing(home):
    ids = json.loads(in_another_kernel(ASKED))

    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", max_tokens=8, n=2)

    assert panel.results.run_id.tolist() == ids
    assert panel.results.status.tolist() == ["completed", "completed"]
    assert (panel.saved["count"], panel.saved["wanted"], panel.saved["where"]) == (2, 2, "log")
    assert len(lp.runs()) == 2
    shown = [pane["footer"] for pane in panel.answers.changes_and_snapshot()[1]]
    assert all(footer.startswith("free") for footer in shown)


def test_run_replaces_restored_answers(home):
    in_another_kernel(ASKED)
    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", max_tokens=8)
    before = set(panel.results.run_id)

    panel.run()

    assert panel.saved == {}
    assert not before & set(panel.results.run_id)
    panel.draft_store.save()
    again = lp.Playground("letters")
    assert again.results.run_id.tolist() == panel.results.run_id.tolist()


def test_executed_again_while_streaming_continues_the_same_answers(home, monkeypatch):
    given = {"models": ["openai:gpt-4o"], "prompt": "Tell a story."}
    with WireServer(Reply(openai_stream(["Once "])[:2], end="hang")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        first = lp.Playground("letters", **given)
        first.run()
        until(lambda: first.answers.text(1))

        again = lp.Playground("letters", **given)
        assert again.running
        again.stop()

        assert again.results.status.tolist() == ["cancelled"]
        assert again.results.run_id.tolist() == first.results.run_id.tolist()
        until(lambda: not again.running and not first.running)
    assert len(lp.runs()) == 1


def test_killed_kernel_leaves_an_interrupted_answer(home, monkeypatch):
    given = "models=['openai:gpt-4o'], prompt='Tell a story.'"
    code = f"""if True:
        import os, signal, time
        import llm_playground as lp
        from llm_playground.runlog import open_log
        lp.Playground('letters', {given}).run()
        journals = open_log().journals
        while not any(b"sailed" in path.read_bytes() for path in journals.glob("*.jsonl")):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)"""
    pieces = ["Once ", "a ", "ship ", "sailed ", "to ", "sea"]
    with WireServer(Reply(openai_stream(pieces)[:7], end="hang")) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        subprocess.run([sys.executable, "-c", code], timeout=ANSWER_S, check=False)

        panel = lp.Playground("letters", models=["openai:gpt-4o"], prompt="Tell a story.")

    [row] = panel.results.to_dict("records")
    assert row["status"] == "interrupted"
    assert "Once a ship sailed" in row["response_text"]
    assert not panel.running


@pytest.fixture
def notebook(home, monkeypatch):
    """A notebook file of this kernel with the output of a playground."""
    first = lp.Playground("letters", models=["local"], max_tokens=8)
    first.prompt = "Say hello."
    first.run()
    assert first.results.status.tolist() == ["completed"]
    bundle, metadata = first.saved_answers.output()
    output = {"output_type": "display_data", "data": bundle, "metadata": metadata}
    cells = [{"cell_type": "code", "id": "c1", "source": "", "outputs": [output]}]
    path = home.parent / "letters.ipynb"
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells}), "utf-8")
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    first.close()
    return path


@pytest.fixture
def colleague(notebook, tmp_path, monkeypatch):
    """The notebook on another machine, without the log and the drafts."""
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(tmp_path / "colleague"))
    return notebook


def test_colleague_sees_the_notebooks_answers_and_imports_them(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)

    assert panel.results.status.tolist() == ["completed"]
    assert panel.prompt == "Say hello."
    assert (panel.saved["where"], panel.saved["count"]) == ("notebook", 1)
    assert len(lp.runs()) == 0

    assert panel.saved_answers.import_runs() == 1
    assert panel.saved["where"] == "log"
    assert lp.runs().run_id.tolist() == panel.results.run_id.tolist()


@pytest.fixture
def make(home, monkeypatch, closed):
    """Makes the panel without a name of the only cell of a notebook file: ``make(path)``."""
    monkeypatch.setattr(provenance, "cell_id", lambda: "c1")

    def made(path):
        monkeypatch.setenv("JPY_SESSION_NAME", str(path))
        draft_store._made_in_cell.clear()
        panel = lp.Playground(models=["local"], max_tokens=8)
        panel.saved_answers.wait()
        return panel

    return made


def end_kernel(panel, path):
    """Save the notebook as its page has it, and close the panel."""
    until(lambda: not panel.running)
    until(lambda: all(one.name != "llm_playground-notebook" for one in threading.enumerate()))
    kept = [panel.fallback_output.output()] if panel.saved_count else []
    outputs = [{"output_type": "display_data", **output} for output in kept]
    cells = [{"cell_type": "code", "id": "c1", "source": "", "outputs": outputs}]
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "cells": cells}), "utf-8")
    panel.close()


def rename(_home, _monkeypatch, path):
    path.rename(path.with_name("renamed.ipynb"))
    return path.with_name("renamed.ipynb")


def copy(_home, _monkeypatch, path):
    shutil.copy(path, path.with_name("copy.ipynb"))
    return path.with_name("copy.ipynb")


def lose_drafts(home, _monkeypatch, path):
    shutil.rmtree(home / "drafts")
    return path


def move_to_colleague(home, monkeypatch, path):
    monkeypatch.setenv("LLM_PLAYGROUND_HOME", str(home.with_name("colleague")))
    return path


@pytest.mark.parametrize("change", [rename, copy, lose_drafts, move_to_colleague])
def test_a_panel_without_a_name_keeps_answers_and_prompt(make, home, monkeypatch, change):
    path = home.parent / "letters.ipynb"
    panel = make(path)
    panel.prompt = "Say hello."
    panel.run()
    ids = panel.results.run_id.tolist()
    end_kernel(panel, path)
    path = change(home, monkeypatch, path)

    for _ in range(4):
        panel = make(path)
        assert panel.results.run_id.tolist() == ids
        assert panel.prompt == "Say hello."
        end_kernel(panel, path)
        found = restore.find_in_notebook(path, None, "c1")
        assert [one.run.id for one in found.stored_runs()] == ids
        assert found.draft.form["prompt"] == "Say hello."


@pytest.mark.parametrize(("change", "prompt"), [(rename, "Typed."), (copy, "")])
def test_what_was_typed_moves_with_the_notebook(make, home, monkeypatch, change, prompt):
    path = home.parent / "letters.ipynb"
    panel = make(path)
    panel.prompt = "Typed."
    end_kernel(panel, path)
    new = change(home, monkeypatch, path)

    panel = make(new)
    assert panel.prompt == prompt
    panel.prompt = "Later."
    end_kernel(panel, new)
    if change is rename:
        new.rename(path)
    assert make(path).prompt == ("Later." if change is rename else "Typed.")


ENTRIES = [
    {"id": "1", "name": "a.png", "path": "FILE"},
    {"path": "FILE"},
    {"url": "FILE"},
    {"id": "2", "url": "FILE", "media_type": "image/png"},
    {"id": "3", "url": "https://example.org/a.png", "path": "FILE"},
    {"name": "a.png", "url": "file://FILE"},
    {"id": "4", "name": "a.png", "size_bytes": 68, "sha256": "0" * 64, "path": "FILE"},
]


@pytest.mark.parametrize("place", ["images", "files", "turns"])
@pytest.mark.parametrize("entry", ENTRIES)
def test_a_picture_in_a_file_that_the_notebook_names_is_not_read(
    colleague, tmp_path, monkeypatch, place, entry
):
    picture = tmp_path / "private.png"
    Image.new("RGB", (4, 3), "teal").save(picture)
    entry = {name: str(value).replace("FILE", str(picture)) for name, value in entry.items()}
    turn = {"role": "user", "content": "Look.", "images": [entry]}
    document = json.loads(colleague.read_bytes())
    draft = document["cells"][0]["outputs"][0]["metadata"][METADATA]["draft"]
    draft["form"] |= {"turns": [turn]} if place == "turns" else {place: [entry]}
    colleague.write_text(json.dumps(document), "utf-8")
    with WireServer(Reply(openai_stream(["Hi"]))) as server:
        monkeypatch.setenv("OPENAI_API_KEY", "planted-key")
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        panel = lp.Playground("letters", models=["openai:gpt-4o"], max_tokens=8)
        panel.saved_answers.wait()
        [restored] = panel.turns[0]["images"] if place == "turns" else getattr(panel, place)

        with contextlib.suppress(lp.LLMError):
            panel.run()
            panel.results  # noqa: B018 - waits for the end

        assert "is a file. Add it again" in restored["problem"]
        assert not panel.inputs.attachments.kept
        assert not server.requests


def test_notebook_keeps_answers_that_are_not_imported(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)
    ids = panel.results.run_id.tolist()

    bundle, metadata = panel.saved_answers.output()

    output = {"output_type": "display_data", "data": bundle, "metadata": metadata}
    cells = [{"cell_type": "code", "id": "c1", "source": "", "outputs": [output]}]
    colleague.write_text(json.dumps({"cells": cells}), "utf-8")
    found = restore.find_in_notebook(colleague, "letters", None)
    assert [one.run.id for one in found.stored_runs()] == ids


def test_answers_of_another_playground_are_not_restored(colleague):
    panel = lp.Playground("invoices", models=["local"])
    panel.saved_answers.wait()

    assert panel.saved == {}


def test_no_notebook_raises(colleague):
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
        found = restore.find_in_notebook(colleague, "letters", None)
        assert found is None or isinstance(found.stored_runs(), list)
    for content in HOSTILE:
        colleague.write_bytes(content)
        assert restore.find_in_notebook(colleague, "letters", None) is None


def test_takes_over_the_last_answers_not_older_ones(home):
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
def test_privacy_applies_to_the_notebook(home, monkeypatch, privacy, kept):
    lp.configure(privacy=privacy)
    panel = lp.Playground("letters", models=["local"], max_tokens=4)
    panel.prompt = "Write to ada@example.org."
    saved = []
    monkeypatch.setattr(panel.fallback_output, "replace", lambda *output: saved.append(output) or 1)

    panel.run()
    assert panel.results.status.tolist() == ["completed"]
    until(lambda: not panel.running)
    until(lambda: all(one.name != "llm_playground-notebook" for one in threading.enumerate()))

    assert panel.problem == ""
    assert "ada@example.org" not in json.dumps(saved)
    assert (kept in json.dumps(saved)) if kept else not saved


def kept_ids(panel):
    bundle, metadata = panel.saved_answers.output()
    rows = [row["run_id"] for row in bundle[MIME_TYPE]["runs"]]
    assert rows == [run_id for run_id, *_ in metadata[METADATA]["draft"]["answers"]]
    return rows


def test_retry_of_a_notebook_answer_is_kept(colleague):
    panel = lp.Playground("letters", models=["local"], max_tokens=8)

    now = retried(panel, 1)

    assert kept_ids(panel) == now
    assert panel.saved == {}


def test_retry_of_an_opened_run_is_kept_with_the_others(home):
    panel = lp.Playground("letters", models=["local"], prompt="Say hello.", n=2, max_tokens=4)
    panel.run()
    opened = panel.results.run_id.tolist()
    other = lp.Playground("invoices", models=["local"], run=opened, max_tokens=4)

    now = retried(other, 2)

    assert now[0] == opened[0]
    assert now[1] != opened[1]
    assert kept_ids(other) == now


def test_the_notebook_keeps_opened_answers_and_they_stay_with_their_call(make, home, monkeypatch):
    run = lp.ask("Say hello.", max_tokens=4)
    path = home.parent / "letters.ipynb"
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    panel = lp.Playground(run=run)
    until(lambda: panel.saved_count)

    kept = panel.fallback_output.output()["data"][MIME_TYPE]["runs"]
    assert [row["run_id"] for row in kept] == [run.id]

    end_kernel(panel, path)
    assert make(path).results.empty


def test_import_from_a_cell_executed_twice(colleague):
    first = lp.Playground("letters", models=["local"], max_tokens=8)
    ids = first.results.run_id.tolist()

    again = lp.Playground("letters", models=["local"], max_tokens=8)

    assert again.results.run_id.tolist() == ids
    assert again.saved["where"] == "notebook"
    assert kept_ids(again) == ids
    assert again.saved_answers.import_runs() == 1
    assert again.saved["where"] == "log"


def test_form_comes_back_after_a_run_was_opened(home):
    frame = pd.DataFrame({"name": ["Ada", "Grace"]})
    panel = lp.Playground(models=["local"], prompt="Greet {{name}}.", max_tokens=4)
    panel.cases = frame
    run = lp.ask("Say hello.", max_tokens=4)

    assert reply(panel, {"name": "reopen", "arguments": {"run": run.id}})["value"] == {"note": ""}
    assert panel.prompt == "Say hello."
    assert reply(panel, {"name": "undo"})["value"] is None

    assert panel.prompt == "Greet {{name}}."
    assert panel.cases is frame
