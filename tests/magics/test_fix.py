"""``%llm fix`` sends the newest traceback without secrets; ``--cell`` makes a cell of the code."""

import inspect
import sys

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from llm_playground import magics
from llm_playground.magics.code_cells import new_cell
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
SECRET = "hf" + "_" + "aB3dE6gH9jK2mN5pQ8sT" * 2


@pytest.fixture
def server(home, monkeypatch):
    with WireServer(Reply(openai_stream(["Because.\n\n```python\nx = {}\n```\n"]))) as started:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{started.url}/v1")
        yield started


@pytest.fixture
def shell(server):
    started = InteractiveShell()
    magics.load(started)
    started.run_cell("%llm use gpt-4o")
    yield started
    magics.unload(started)


@pytest.fixture
def few_frames():
    """IPython takes seconds to show a thousand frames."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 150)
    yield
    sys.setrecursionlimit(limit)


def asked(server):
    return server.requests[-1].json["messages"][-1]["content"]


def test_the_cell_and_its_traceback_are_sent_without_keys_and_values(shell, server, capsys):
    code = f"hidden = 'the' + ' value'\ntoken = '{SECRET}'  # {{{{braces}}}}\ndef f(n):\n"
    code += "    return f(n - 1) if n else [1][n + 5]\nf(30)"
    shell.run_cell(code, store_history=True)
    shell.run_cell("%llm --nonsense", store_history=True)  # a mistake in a magic is no failure
    shell.run_cell("1 + 1", store_history=True)
    shell.run_cell("%llm fix -- Keep f.").raise_error()

    text = asked(server)
    assert "def f(n):\n    return f(n - 1)" in text
    assert "IndexError: list index out of range" in text
    assert "{{braces}}" in text
    assert "Keep f." in text
    assert SECRET not in text
    assert "the value" not in text
    assert "interactiveshell.py" not in text
    assert text.count("in f\n") <= 12
    assert "IndexError: list index out of range\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("x = = 1", "SyntaxError"),
        ("```x```", "SyntaxError"),
        ("import json\njson.loads('{')", "JSONDecodeError"),
        (
            "try:\n    1 / 0\nexcept Exception as e:\n    raise KeyError('k') from e",
            "KeyError: 'k'",
        ),
        ("raise ExceptionGroup('g', [ValueError('v')])", "ValueError: v"),
        ("raise ValueError('y' * 50_000)", "characters are left out"),
        ("def f(): f()\nf()", "RecursionError"),
    ],
)
def test_every_kind_of_failure_is_described(shell, server, few_frames, code, error):
    shell.run_cell(code)
    shell.run_cell("%%llm fix\nBriefly.").raise_error()

    assert error in asked(server)
    assert code[:20] in asked(server)
    assert len(asked(server)) < 12_000


@pytest.mark.parametrize("code", ["f()", "x = = 1"])
def test_a_second_execution_sends_the_same_so_that_a_recording_answers(shell, server, code):
    sent = []
    for _ in range(2):
        for cell in ("def f():\n    1 / 0", code):
            shell.run_cell(cell, store_history=True)
        shell.run_cell("%llm fix", store_history=True).raise_error()
        sent.append(asked(server))

    assert sent[0] == sent[1]
    assert 'File "this cell", line 1' in sent[0]
    assert ('File "another cell", line 2, in f' in sent[0]) == (code == "f()")


def test_without_a_failure_it_is_one_line(shell, server, monkeypatch):
    monkeypatch.delattr("sys.last_value", raising=False)
    error = shell.run_cell("%llm fix").error_in_exec

    assert isinstance(error, UsageError)
    assert "no cell of this kernel has failed. Run the cell that fails" in str(error)
    assert not server.requests


def test_a_sentence_that_begins_with_fix_is_a_prompt(shell, server):
    shell.run_cell("1 / 0")
    shell.run_cell("%llm fix this sentence: he go").raise_error()

    assert asked(server) == "fix this sentence: he go"


def test_the_code_goes_into_a_new_cell(shell, server, monkeypatch):
    cells = []
    monkeypatch.setattr(
        shell, "set_next_input", lambda text, replace: cells.append((text, replace))
    )
    shell.run_cell("1 / 0")
    shell.run_cell("%llm fix --cell").raise_error()
    shell.run_cell("%%llm --cell\ncode").raise_error()
    several = shell.run_cell("%llm --cell -n 2 code").error_in_exec

    assert cells == [("x = {}", False)] * 2
    assert "x" not in shell.user_ns
    assert "--cell takes the code of one answer" in str(several)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("answer", "text", "note"),
    [
        ("```python\na\n```\ntext\n```py\nb\n```", "a\n\nb", "2 blocks"),
        ("```sh\npip install x\n```\n```python\nimport x\n```", "import x", ""),
        ("```bash\nls\n```\n```bash\npwd\n```", "%%bash\nls\n\npwd", "2 blocks"),
        ("```js\nlet a\n```", "%%javascript\nlet a", ""),
        ("```\nx = 1\n```", "x = 1", ""),
        ("```\nsome output here\n```", None, "code in text, which no cell runs"),
        ("```rust\nfn\n```", None, "code in rust, which no cell runs"),
        ("- a\n\n  ```python\n  x = 1\n    y\n  ```", "x = 1\n  y", ""),
        ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''", ""),
        ("~~~{.python}\nx\n~~~", "x", ""),
        ("```python\nx = 1", "x = 1", ""),
        ("```python\n\n```", None, "no code in a fence"),
        ("x = 1", None, "no code in a fence"),
    ],
)
def test_which_code_is_taken(answer, text, note):
    cell = new_cell(answer)

    assert cell.text == text
    assert note in cell.note
    assert bool(note) == bool(cell.note)
