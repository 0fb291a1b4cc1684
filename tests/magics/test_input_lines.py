"""What IPython makes of lines and cells with ``%llm``: calls with the text as it is written."""

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from IPython.core.interactiveshell import InteractiveShell

from llm_playground import magics
from llm_playground.magics import input_lines


@pytest.fixture
def manager():
    one = TransformerManager()
    input_lines.install(one)
    return one


class Shell:
    """Records the magics that a cell calls."""

    def __init__(self):
        self.called = []

    def run_line_magic(self, name, line):
        self.called.append((name, line))
        return line

    def run_cell_magic(self, name, line, cell):
        self.called.append((name, line, cell))


def executed(manager, cell):
    """The magics that a cell calls, and its variables."""
    shell = Shell()
    names = {"get_ipython": lambda: shell}
    exec(manager.transform_cell(cell), names)
    return shell.called, names


@pytest.mark.parametrize(
    "text",
    [
        *("What is the capital of France?", "-m local hi?", "hi??", "-t 0.2 What's 2+2?", "why *?"),
        *(
            'Don\'t say "hello".',
            r"Explain \n in C:\new",
            "Say   -n  3\ttimes",
            'Say """ and (',
            "?",
        ),
        *("f{x} $y {{z}} #no comment", "-- models?", "a?b?", "[1, {", "1 = 2?", "Grüße — 世界?"),
        "Ends in a backslash\\",
        *(f"one {char}print(5) two?" for char in "\x0b\x0c\x1c\x85\u2028\u2029"),
    ],
)
def test_the_line_is_a_prompt_wherever_a_magic_may_stand(manager, text):
    cell = f"a = 1\n%llm {text}\nfor i in range(2):\n    %llm   {text}\nx = %llm {text}\ny = 2"
    if text.endswith("\\"):
        cell = f"a = 1\n%llm {text}"

    called, names = executed(manager, cell)

    line, *others = called
    assert line == ("llm", text)
    assert others in (
        [],
        [("llm", text), ("llm", text), ("llm", input_lines.AS_VALUE + text)],
    )
    assert names["a"] == 1
    assert not others or names["y"] == 2


@pytest.mark.parametrize(
    ("cell", "call"),
    [
        *(
            (f"a = 1\n{asked}", ("pinfo", "%llm"))
            for asked in ("%llm?", "%llm??", "%llm?  ", "?%llm")
        ),
        ("??%llm", ("pinfo2", "%llm")),
        ("?%%llm", ("pinfo", "%%llm")),
        ("%%llm?", ("pinfo", "%%llm")),
        ("%%llm??", ("pinfo", "%%llm")),
        ("%%llm ?\n", ("pinfo", "%%llm")),
        ("%llm", ("llm", "")),
        ("%llm ?", ("llm", "?")),
        ("%llms hi?", ("pinfo", "hi")),
        ("%time hi?", ("pinfo", "hi")),
        ("x = %who?", ("pinfo", "%who")),
        ("%lsmagic", ("lsmagic", "")),
        ("x = %llm\thi?", ("llm", input_lines.AS_VALUE + "hi?")),
        ("x: str = %llm hi?", ("llm", input_lines.AS_VALUE + "hi?")),
        ("a[f(b=1)] = %llm hi?", ("llm", input_lines.AS_VALUE + "hi?")),
        ("%llm one \\\ntwo?", ("llm", "one  two?")),
    ],
)
def test_help_and_other_magics_stay_what_they_are(manager, cell, call):
    shell = Shell()
    names = {"get_ipython": lambda: shell, "a": {}, "f": lambda b: b}
    exec(manager.transform_cell(cell), names)

    assert shell.called == [call]


@pytest.mark.parametrize(
    "cell",
    [
        'x = """\n%llm hi?\n"""\n',
        "llm = 3\nx = 7 %llm\n",
        "llm = 3\nx = (7\n%llm)\n",
        "x = {'a': '%llm hi?'}  # %llm hi?\n",
        "def f(a=1):\n    return a %2\n",
    ],
)
def test_python_is_left_alone(manager, cell):
    assert manager.transform_cell(cell) == cell


@pytest.mark.parametrize(
    ("cell", "line", "body"),
    [
        ("%%llm\nhi?", "", "hi?\n"),
        ("\n\n%%llm -s 'Who are you?'  \n\n  two\n\n", "-s 'Who are you?'", "\n  two\n\n"),
        ("%%llm\t-n 2\nExplain:\n>>> x = 1\n... y\n", "-n 2", "Explain:\n>>> x = 1\n... y\n"),
        ("%%llm\nIn [1]: x\n", "", "In [1]: x\n"),
        ("%%llm\n%llm hi?\n%%time\n!ls\n", "", "%llm hi?\n%%time\n!ls\n"),
        ("%%llm\n'''\n\\\n", "", "'''\n\\\n"),
    ],
)
def test_a_cell_is_the_prompt_unchanged(manager, cell, line, body):
    assert executed(manager, cell)[0] == [("llm", line, body)]


def test_a_cell_of_several_lines_waits_for_a_blank_line_in_a_terminal(manager):
    assert manager.check_complete("%%llm\nhi")[0] == "incomplete"
    assert manager.check_complete("%%llm\nhi\n\n")[0] == "complete"
    assert manager.check_complete("%llm What's up (?")[0] == "complete"


def test_unloading_leaves_nothing_and_loading_twice_adds_nothing():
    shell = InteractiveShell()
    manager = shell.input_transformer_manager
    before = [*manager.cleanup_transforms], [*manager.token_transformers]

    magics.load(shell)
    magics.load(shell)
    added = len(manager.cleanup_transforms) - len(before[0])
    magics.unload(shell)

    assert added == 1
    assert ([*manager.cleanup_transforms], [*manager.token_transformers]) == before
    assert shell.find_line_magic("llm") is None
    assert shell.find_cell_magic("llm") is None
