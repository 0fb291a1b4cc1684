"""Odd and hostile lines: each sends the right prompt, or says in one line what to do."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

from llm_playground import magics
from tests.conftest import OPENAI_KEY
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

LONG = "100 kB," * 15_000  # IPython alone takes 10 s for a line of 1 MB
VERY_LONG = "1 MB, " * 170_000
SHELL = "$(rm -rf /) `id` $HOME ${x} | > & ; * ~ ! %d \\ && \"a\" 'b'"
NAMES = {"topic": "bees", "שם": "ערך", "x": 1}

# A cell, and the prompts that it sends.
SENT = {
    "a command's name after --": ("%llm -- budget", ["budget"]),
    "a command after options": ("%llm -t 0 budget", ["budget"]),
    "an option after --": ("%llm -- --model is what?", ["--model is what?"]),
    "-- after --": ("%llm -- -- x", ["-- x"]),
    "a command in a cell": ("%%llm\nbudget", ["budget"]),
    "an option in a cell": ("%%llm\n--model", ["--model"]),
    "-- alone before a cell": ("%%llm --\nx", ["x"]),
    "quotes that do not match": ("%llm it's 5\" wide", ["it's 5\" wide"]),
    "the same option twice: the last": ("%llm -t 9 -t 0.1 -s a -s b hi", ["hi"]),
    "a shell's characters": (f"%llm {SHELL}", [SHELL]),
    "a shell's characters in a cell": (f"%%llm\n{SHELL}", [SHELL]),
    "braces of f-strings": ("%llm {x} {topic!r} {{topic}} {}", ["{x} {topic!r} bees {}"]),
    "a variable from right to left": ("%llm {{שם}} עם שלום", ["ערך עם שלום"]),
    "emoji": ("%llm 👩‍👩‍👧 🇳🇴 -t 0.2", ["👩‍👩‍👧 🇳🇴 -t 0.2"]),
    "NUL": ("%llm a\0b", ["a\0b"]),
    "NUL in a cell": ("%%llm\na\0b", ["a\0b"]),
    "a newline in the argument": ("get_ipython().run_line_magic('llm', 'a\\nb')", ["a\nb"]),
    "a newline in a value": ("get_ipython().run_line_magic('llm', '-s \"a\\nb\" hi')", ["hi"]),
    "a line that goes on": ("%llm a \\\n  b", ["a    b"]),
    "form feeds and line separators": ("%llm a\fb\u2028c", ["a\fb\u2028c"]),
    "within blocks": ("for x in (1, 2):\n    if x:\n        %llm {{x}}\nx = 1", ["1", "2"]),
    "%%llm within a cell is text": ("%%llm\na\n%%llm -t 9\n%llm b", ["a\n%%llm -t 9\n%llm b"]),
    "assigned": ("y = %llm hi?\nz = %llm hi!", ["hi?", "hi!"]),
    "a long line": (f"%llm --override x {LONG}", [LONG]),
    "a long cell": (f"%%llm --override x\n{VERY_LONG}", [VERY_LONG]),
    "a regular expression": (r"%llm ^\d+{2,3}(\w)\1$", [r"^\d+{2,3}(\w)\1$"]),
    "HTML": ("%llm <script>alert('x')</script>", ["<script>alert('x')</script>"]),
}

# A cell, and a part of the one line that it gets; nothing is sent.
REFUSED = {
    "an empty cell": ("%%llm\n", "empty"),
    "a cell of blanks": ("%%llm -t 0\n  \n\t\n", "empty"),
    "options alone": ("%llm -t 0.2", "empty"),
    "-- alone": ("%llm --", "empty"),
    "an unknown option": ("%llm --temprature 1 hi", "the closest is --temperature"),
    "an unknown option in a cell": ("%%llm --dry_run\nhi", "there is no option --dry"),
    "an open quote": ("%llm -s 'Be brief. hi", "the quote ' is not closed"),
    "an open double quote": ('%%llm --file "a b.txt\nhi', 'the quote " is not closed'),
    "no value": ("%llm -m", "-m takes a value: -m MODEL."),
    "an empty value": ("%llm --file '' hi", "file"),
    "an empty model": ("%llm -m '' hi", "model"),
    "not a number": ("%llm -t nan hi", "temperature"),
    "infinity": ("%llm -t inf hi", "temperature"),
    "a negative number": ("%llm -t -1 hi", "temperature"),
    "a huge number": ("%llm -t 1e400 hi", "temperature"),
    "negative tokens": ("%llm --max-tokens -5 hi", "max_tokens"),
    "no tokens": ("%llm --max-tokens 0 hi", "max_tokens"),
    "huge tokens": (f"%llm --max-tokens {'9' * 30} hi", "Not sent: could cost up to $10,"),
    "no answers": ("%llm -n 0 hi", "iterations"),
    "huge answers": (f"%llm -n {'9' * 18} hi", "iterations"),
    "NaN in --param": ("%llm --param seed=nan hi", "seed"),
    "NaN in extra": ("%llm --param 'extra={\"a\": NaN}' hi", "extra"),
    "--param without a name": ("%llm --param =5 hi", "--param takes NAME=VALUE, not '=5'."),
    "an unknown parameter": ("%llm --param temprature=1 hi", "temperature"),
    "a variable that is none": ("%llm About {{topc}}", "{{topc}} is not defined. Run the cell"),
    "an expression": ("%llm {{topic.upper()}}", "{{"),
    "no variable in -o": ("%llm -o a.b hi", "-o takes the name of a variable"),
    "a path of Windows": (r"%llm --file C:\new\table.csv hi", r"C:\new\table.csv"),
    "a path with blanks, not quoted": ("%llm --image my cat.png hi", "no image at my"),
    "a path with a NUL": ("%llm --file a\0b hi", "a"),
    "a folder": ("%llm --file / hi", "/"),
    "a mistyped command": ("%llm budgets", "Did you mean %llm budget?"),
    "a command's name with more": ("%llm budget 5", "To ask a model that, write -- before it."),
    "text after the options of a cell": ("%%llm -t 0 hi\nho", "'hi' is none: put the prompt"),
}


@pytest.fixture(scope="module")
def shell():
    started = InteractiveShell()
    magics.load(started)
    started.user_ns.update(NAMES)
    return started


@pytest.fixture
def server(shell, monkeypatch):
    with WireServer(Reply(openai_stream(["fine"]))) as started:
        monkeypatch.setenv("OPENAI_API_KEY", OPENAI_KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{started.url}/v1")
        shell.run_cell("%llm use gpt-4o")
        yield started


def prompts(server):
    return [request.json["messages"][-1]["content"] for request in server.requests]


@pytest.mark.parametrize(("cell", "sent"), SENT.values(), ids=SENT)
def test_a_prompt_is_sent_as_it_is_written(shell, server, cell, sent):
    shell.run_cell(cell).raise_error()

    assert prompts(server) == sent


@pytest.mark.parametrize(("cell", "message"), REFUSED.values(), ids=REFUSED)
def test_a_mistake_is_one_line_and_nothing_is_sent(shell, server, cell, message):
    error = shell.run_cell(cell).error_in_exec

    assert message in str(error)
    assert len(str(error).splitlines()) == 1
    assert len(str(error)) < 400
    assert not server.requests


@pytest.mark.parametrize("cell", ["%llm", "%llm   \t ", "%llm?", "%llm --help", "%%llm -h\nx"])
def test_help_sends_nothing(shell, server, cell, capsys):
    shell.run_cell(cell).raise_error()

    assert "%llm help" in capsys.readouterr().out
    assert not server.requests


@pytest.mark.parametrize("name", ["a b.txt", "it's.txt", 'a "b".txt', r"a\n.txt", "נ 📄.txt"])
def test_files_of_any_name_are_sent(shell, server, tmp_path, name):
    (tmp_path / name).write_text("bees")
    quoted = str(tmp_path / name).replace("\\", "\\\\").replace('"', '\\"')

    shell.run_cell(f'%llm --file "{quoted}" What is this?').raise_error()

    [parts] = prompts(server)
    shown = name.rpartition("\\")[2]  # a path of Windows may be shown here
    assert parts[0]["text"] == f"File {shown}:\n\nbees\n"
