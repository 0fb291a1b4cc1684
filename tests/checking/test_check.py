"""What the check of a notebook finds without executing it, and what it leaves unsaid."""

import json
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml

from llm_playground.__main__ import main
from llm_playground.parts import TextPart
from llm_playground.recording import entries, file
from llm_playground.recording.entries import CALL, Entry, Recording
from llm_playground.types import Message, Request

ROOT = Path(__file__).parents[2]
KEY = "sk-" + "planted" * 4
SETUP = "import llm_playground as lp\n%load_ext llm_playground\n"
RECORDED = {("one", "openai:gpt-4o"): 1, ("two", "openai:gpt-4o"): 2, ("one", "a:b"): 1}


def recording(recorded=RECORDED):
    """The text of a recording with so many answers to each prompt and model."""
    made = []
    for (prompt, model), answers in recorded.items():
        request = Request(model, (Message("user", (TextPart(prompt),)),))
        each = {number: {"response_text": "x"} for number in range(1, answers + 1)}
        made.append(Entry(CALL, entries.key_of(request), entries.described(request), each))
    return file.as_text(Recording(tuple(made)))


def notebook(*sources, **fields):
    """The values of a notebook with code cells; ``fields`` are of the last one."""
    cells = [nbformat.v4.new_code_cell(source, id=f"c{n}") for n, source in enumerate(sources)]
    cells[-1].update(fields)
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture
def check(home, capsys):
    """Checks a notebook's text beside a recording; the exit code, findings and the report."""

    def run(text, recorded=None, *options):
        path = home.parent / "n.ipynb"
        if isinstance(text, str):
            text = text.encode()
        path.write_bytes(text if isinstance(text, bytes) else nbformat.writes(text).encode())
        if recorded is not None:
            (path.parent / "recordings").mkdir(exist_ok=True)
            (path.parent / "recordings" / "n.yaml").write_text(recorded)
        code = main(["check", "n.ipynb", "--json", *options])
        [report] = json.loads(capsys.readouterr().out)["notebooks"]
        return code, [(f["kind"], f["cell"], f["message"]) for f in report["findings"]], report

    return run


# Code of a cell: how many calls have an answer, how many are not checked, and the first finding.
CODE = {
    'lp.ask("one", "gpt-4o")': (1, 0, None),
    'print(lp.ask("one").text)\nlp.ask("two"); lp.ask("two")': (3, 0, None),
    "%llm -m openai:gpt-4o one": (1, 0, None),
    "x = %llm one": (1, 0, None),
    "%%llm -n 2\n\ntwo\n": (1, 0, None),
    '%%time\nlp.ask("one")': (1, 0, None),
    'await lp.complete("one")': (1, 0, None),
    'from llm_playground import ask as a\na("one")': (1, 0, None),
    'lp.compare(["one", "two"], ["openai:gpt-4o"])': (2 - 1, 0, None),
    "%llm models\n%llm budget\n%llm replay": (0, 0, None),
    "%llm --dry-run three": (0, 0, None),
    "lp.ask(prompt)": (0, 1, None),
    'lp.ask(f"one {x}")': (0, 1, None),
    'lp.ask("one {{x}}", variables=v)': (0, 1, None),
    "%llm one {{x}}": (0, 1, None),
    'lp.ask("one", messages=turns)': (0, 1, None),
    "lp.ask(**options)": (0, 1, None),
    'def f():\n    lp.ask("three")': (0, 1, None),
    'if x:\n    lp.ask("three")': (0, 1, None),
    "%llm chat three": (0, 1, None),
    'pg = lp.Playground(prompt="three")': (0, 1, None),
    "lp.ask(": (0, 0, None),
    '"\\d"\n!ls\n%%html': (0, 0, None),
    'lp.ask("three")': (0, 0, "no answer is recorded for “three”"),
    "%%llm\nthree": (0, 0, "no answer is recorded for “three”"),
    "%llm --raw three {{x}}": (0, 0, "no answer is recorded for “three {{x}}”"),
    'for _ in range(3):\n    lp.ask("three")': (0, 0, "no answer is recorded for “three”"),
    'lp.ask("two", "claude-x")': (0, 0, "“two” has answers of openai:gpt-4o only, none of anth"),
    'lp.compare("two", "gpt-4o", n=3)': (0, 0, "2 answers recorded for “two”, and the cells up"),
    f'lp.ask("{KEY}")': (0, 0, "a key (…ted) in its source"),
    'lp.configure(mode="record")': (0, 0, 'lp.configure(mode="record") comes before'),
    "%llm replay off": (0, 0, "%llm replay off ends mode replay"),
    "%env LLM_PLAYGROUND_MODE=live": (0, 0, "%env sets the mode live"),
    'lp.ask("one", fresh=True)': (1, 0, "fresh=True sends in every mode"),
    "%llm --fresh one": (1, 0, "--fresh sends in every mode"),
    'lp.configure(recording="other.yaml")\nlp.ask("one", "a:b")': (
        0,
        1,
        "its calls have no recording,",
    ),
    "lp.configure(recording=path)\nlp.ask('three', 'a:b')": (0, 1, None),
    'os.chdir(x)\nlp.configure(recording="other.yaml")\nlp.ask("one", "a:b")': (0, 1, None),
}


@pytest.mark.parametrize("source", CODE)
def test_calls_are_compared_as_far_as_code_shows_them(check, source):
    matched, unchecked, message = CODE[source]

    code, found, report = check(notebook(SETUP + "import helpers", source), recording())

    assert (report["matched"], report["unchecked"]) == (matched, unchecked)
    assert code == (message is not None)
    assert [(cell in (2, None), text.startswith(message)) for _, cell, text in found[:1]] == (
        [] if message is None else [(True, True)]
    )
    assert KEY not in str(report)


# Cells of a notebook without a recording: how many calls need none, are not checked, the finding.
LIVE = {
    ('lp.ask("x")', "%llm x", "%llm chat x", "%%llm -m local\nx", "lp.Playground()"): (5, 0, None),
    ('lp.compare(x, ["local", "local:a/b.gguf"])',): (1, 0, None),
    ('lp.compare("x", ["local", "a:b"])',): (0, 1, "recording"),
    ('lp.ask("x", model)',): (0, 1, "recording"),
    ('lp.ask("x", **options)',): (0, 1, "recording"),
    ('lp.Playground(models="a:b")', "lp.resume()"): (0, 2, None),
    ("%llm chat -m a:b x",): (0, 1, "recording"),
    ("%llm --prompt saved",): (0, 1, "recording"),
    ("%llm use a:b", "%llm x"): (0, 1, "recording"),
    ('lp.configure(model="a:b")\nlp.ask("x")', "%llm use local\n%llm x"): (1, 1, "recording"),
    ("lp.configure(model=name)", "%llm x"): (0, 1, "recording"),
    ('lp.configure(mode="replay")', "%llm x"): (0, 1, "recording"),
    ('lp.ask("x", "a:b", fresh=True)  # llm: live',): (1, 0, None),
    ("# llm: live", 'lp.ask("x", "a:b")'): (0, 1, "recording"),
    ('lp.configure(mode="live")  # llm: live\r\n', 'lp.ask("x", "a:b")'): (1, 0, None),
    ('lp.configure(mode="live")', 'lp.ask("x")'): (1, 0, "mode"),
    ("# llm:live\n%llm replay off", "%%time\n%llm -m a:b x"): (1, 0, None),
    ("# llm: live\n%env LLM_PLAYGROUND_MODE=live", "%llm replay on", 'lp.ask("x", "a:b")'): (
        0, 1, "recording",
    ),
}  # fmt: skip


@pytest.mark.parametrize("cells", LIVE)
def test_local_calls_and_marked_cells_need_no_recording(check, cells):
    live, unchecked, kind = LIVE[cells]

    _, found, report = check(notebook(SETUP, *cells))

    assert (report["live"], report["unchecked"]) == (live, unchecked)
    assert [one[0] for one in found] == ([] if kind is None else [kind])


def test_the_tag_of_a_cell_accepts_its_calls(check):
    for tags in (["llm-live"], ["hide", "llm-live"], []):
        code, _, _ = check(notebook(SETUP, "%%llm -m a:b\nx", metadata={"tags": tags}))
        assert code == ("llm-live" not in tags)


def test_where_there_is_a_recording_local_calls_need_an_answer(check):
    _, found, _ = check(notebook(SETUP, 'lp.ask("three", "local")', "lp.ask(x)"), recording())

    assert [kind for kind, *_ in found] == ["call"]


def test_another_default_model_of_the_kernel_needs_a_recording(check, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_MODEL", "a:b")

    assert check(notebook(SETUP, 'lp.ask("x")'))[0] == 1


def test_the_notebooks_of_the_project_have_no_finding(home, capsys):
    assert main(["check", *map(str, sorted((ROOT / "notebooks").glob("*.ipynb")))]) == 0
    assert " · 0 findings · " in capsys.readouterr().out


@pytest.mark.parametrize("extra", ["", "import helpers", "lp.ask(x)", "%run other.py"])
def test_entries_are_unused_only_if_that_is_sure(check, extra):
    _, found, _ = check(notebook(SETUP, 'lp.ask("one")', extra), recording())

    unused = [text for kind, _, text in found if kind == "unused"]
    assert ["“two”" in text for text in unused] == ([] if extra else [True])


ERROR = nbformat.v4.new_output("error", ename="E", evalue=f"no {KEY}", traceback=[])
EXPECTED = nbformat.v4.new_output("error", ename="E", evalue="x")
PICTURE = nbformat.v4.new_output("display_data", {"image/png": KEY})
HTML = nbformat.v4.new_output("display_data", {"text/html": f"<b>{KEY}</b>"})
OUTPUTS = {
    "error": ({"outputs": [ERROR]}, [("key", 1), ("error", 1)]),
    "expected error": (
        {"outputs": [EXPECTED], "metadata": {"tags": ["raises-exception"]}}, [],
    ),
    "html": ({"outputs": [HTML]}, [("key", 1)]),
    "picture": ({"outputs": [PICTURE]}, []),
    "metadata": ({"metadata": {"papermill": {"key": KEY}}}, [("key", 1)]),
}  # fmt: skip


@pytest.mark.parametrize("name", OUTPUTS)
def test_outputs_and_metadata_are_searched(check, name):
    fields, expected = OUTPUTS[name]

    code, found, report = check(notebook("1", **fields))

    assert [(kind, cell) for kind, cell, _ in found] == expected
    assert code == bool(expected)
    assert KEY not in str(report)
    assert bool(check(notebook("1", **fields), None, "--keys-only")[0]) == (("key", 1) in expected)


TWO = notebook(SETUP, 'lp.ask("one")')
OLD = {"cells": [{"cell_type": "code", "input": [SETUP, 'lp.ask("three")'], "outputs": []}]}
FILES = {
    "": "it is empty",
    "{": "line 1: ",
    "[]": "it has no cells",
    "[" * 100_000: "",
    "{\n<<<<<<< ours\n": "line 2 has marks of a conflict of git",
    '{"nbformat": 4, "cells": "x"}': "it has no cells",
    b"\xff\xfe{\x00": "byte 1 is not UTF-8",
    nbformat.writes(TWO).replace("\n", "\r\n"): None,
    "\ufeff" + nbformat.writes(TWO): None,
    '{"nbformat": 4, "cells": [null, {}, {"source": 3}]}': None,
    json.dumps({"nbformat": 3, "worksheets": [OLD]}): "no answer is recorded for “three”",
    '{"nbformat": 4, "cells": [{"outputs": 5}, {"outputs": true}, {"outputs": [5, null]}]}': None,
    json.dumps({"nbformat": 4, "cells": [{"outputs": KEY}]}): "a key (…ted) in its outputs",
    '{"nbformat": 3, "worksheets": [5, {"cells": 5}]}': None,
    nbformat.writes(
        notebook(f"{SETUP}lp.configure(recording='{'a' * 300}.yaml')\nlp.ask('one', 'a:b')")
    ): "its calls have no recording",
}


@pytest.mark.parametrize("text", FILES, ids=range(len(FILES)))
def test_every_file_gives_a_report(check, text):
    code, found, _ = check(text, recording({("one", "a:b"): 1}))
    found = [one for one in found if one[0] != "unused"]

    assert bool(code) == bool(found) == (FILES[text] is not None)
    assert not found or FILES[text] in found[0][2]


BROKEN = {
    recording().replace("messages:", "messages: 5\n      turns:"): "no answer is recorded for",
    "entries: [": "cannot be read (line 2",
    recording() + f"# {KEY}\n": "a key (…ted) in ",
    "": "cannot be read (it is no recording",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_recording_is_read_too(check, text):
    code, found, _ = check(TWO, text)

    assert code == 1
    assert BROKEN[text] in found[0][2]
    assert KEY not in found[0][2]


def test_folders_and_wrong_use(home, capsys):
    folder = home.parent / "a" / ".ipynb_checkpoints"
    folder.mkdir(parents=True)
    for place in (folder, folder.parent):
        (place / "x.ipynb").write_text(nbformat.writes(notebook(KEY)))
    Path("script.py").write_text("")
    Path("none").mkdir()

    assert main(["check", "a"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("a/x.ipynb:cell 1: a key (…ted) in its source: remove it and revoke")
    assert lines[1:] == ["1 notebook · 1 finding"]
    for wrong in ([], ["script.py"], ["missing.ipynb"], ["none"], ["a", "--what"]):
        assert main(["check", *wrong]) == 2
        assert capsys.readouterr().err.splitlines()[-1].startswith("python -m llm_playground check")


def examples():
    """The YAML examples of the README by their file's name."""
    blocks = (ROOT / "README.md").read_text("utf-8").split("```yaml\n")[1:]
    texts = [block.partition("```")[0] for block in blocks]
    return {text.splitlines()[0].removeprefix("# "): yaml.safe_load(text) for text in texts}


def test_the_hook_and_the_examples_of_the_readme_run(home):
    [hook] = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))
    found = examples()
    [repository] = found[".pre-commit-config.yaml"]["repos"]
    workflow = found[".github/workflows/notebooks.yml"]
    [job] = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    Path("n.ipynb").write_text(nbformat.writes(notebook(KEY)))

    words = hook["entry"].split()
    assert words[0] == "python"
    done = subprocess.run([sys.executable, *words[1:], "n.ipynb"], capture_output=True, text=True)

    assert done.returncode == 1
    assert done.stdout.startswith("n.ipynb:cell 1: a key")
    assert hook["types"] == ["jupyter"]
    [own] = repository["hooks"]
    assert {name: own[name] for name in hook.keys() & own.keys()} == {
        name: hook[name] for name in hook if name != "description"
    }
    assert job["env"] == {"LLM_PLAYGROUND_MODE": "replay"}
    assert f"{hook['entry']} notebooks" in commands
