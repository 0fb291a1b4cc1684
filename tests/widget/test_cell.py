"""Copy as cell: the cell, executed in IPython, asks what the panel would have asked."""

import ast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from IPython.core.history import HistoryManager
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

import llm_playground as lp
from llm_playground import comparison, magics
from llm_playground.errors import ConfigError, InvalidParameterError
from llm_playground.magics import question
from llm_playground.widget.cell_source import as_cell
from llm_playground.widget.form import Form, plan_calls

NOTEBOOK = {"n": 3, "name": "Ada", "case": "mine", "temperature": "warm"}


@pytest.fixture(scope="module")
def shell():
    """A shell of IPython with the magics, and some variables of the notebook."""
    quiet = Config({"HistoryManager": {"enabled": False}})
    made = InteractiveShell(config=quiet)
    assert isinstance(made.history_manager, HistoryManager)
    magics.load(made)
    made.user_ns.update(NOTEBOOK)
    return made


@pytest.fixture
def asked(shell, monkeypatch):
    """What a cell would send: each call's request, up to the moment of sending."""

    def requests(cell):
        caught = []

        async def catch(calls, _watch):
            caught.extend(calls)
            return ()

        def watch(calls):
            caught.extend(calls)
            return [None] if len(calls) == 1 else ()

        with monkeypatch.context() as patch:
            patch.setattr(question, "watch", watch)
            patch.setattr(comparison, "run_all", catch)
            patch.setattr(comparison, "compared", lambda *_: comparison.Comparison((), ()))
            shell.run_cell(cell).raise_error()
        return sorted(call.request.prompt_hash() for call in caught)

    return requests


def of_form(form):
    return sorted(one.call.request.prompt_hash() for one in plan_calls(form, NOTEBOOK))


# Whatever a shell, IPython, a template or Python could take for something else.
HOSTILE = [
    *("%%time", "%ls", "!ls", "?", "x?", "??x", "In [1]: x", "...: y", ">>> 1", "... 2", "\\", "'"),
    *('"', '"""', "'''", "{", "}", "{name}", "{{n}}", "{{ name }}", "{{n", "$HOME", "`ls`", "#"),
    *("-n", "--model", "-s", "%%llm -m local", "\t", "  ", "\n", "\n\n", "\r\n", "\r", "\x0b"),
    *("\x85", "\u2028", "\ud800", "\u202e", "é", "🙂", "; rm", "&&", "a b", "=", "f'{n}'", "\\n"),
]
texts = st.lists(
    st.one_of(st.sampled_from(HOSTILE), st.text(max_size=8)), min_size=1, max_size=8
).map("".join)
numbers = st.floats(0, 2, allow_nan=False)
parameters = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.one_of(st.none(), numbers, st.lists(numbers, min_size=2, max_size=3)),
        "max_tokens": st.integers(1, 4096),
        "seed": st.integers(-5, 5),
        "stop": st.one_of(texts, st.lists(texts, max_size=3)),
        "extra": st.dictionaries(texts, st.one_of(st.none(), texts, st.integers()), max_size=2),
        "headers": st.dictionaries(st.sampled_from(["-n", "x$`!`", "X-A"]), texts, max_size=2),
    },
)
turns = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant"]), "content": texts}),
    max_size=2,
)
forms = st.builds(
    Form,
    prompt=texts,
    system=st.one_of(st.just(""), texts),
    models=st.lists(
        st.sampled_from(["local", "openai:gpt-4o", "ollama:a b", "openrouter:-x/y"]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
    preset=st.sampled_from([None, "precise"]),
    parameters=parameters,
    iterations=st.integers(1, 3),
    turns=turns,
    values=st.dictionaries(st.sampled_from(["n", "name"]), texts, max_size=2),
    cases=st.lists(st.fixed_dictionaries({"n": st.one_of(texts, st.integers())}), max_size=2),
)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(form=forms)
def test_cell_makes_the_calls_of_any_form(asked, form):
    try:
        wanted = of_form(form)
    except ConfigError:
        return  # the panel would not send it either
    assert asked(as_cell(form)) == wanted


@pytest.mark.parametrize(
    ("form", "cell"),
    [
        (Form("Hi {{name}}.", models=["local"]), "%%llm -m local\nHi {{name}}."),
        (
            Form("A\n%%time\nB", "It's you.", ["local"], None, {"temperature": 0.5, "seed": 1}),
            '%%llm -m local -s "It\'s you." -t 0.5 --param seed=1\nA\n%%time\nB',
        ),
        (
            Form(
                "Hi", models=["local", "ollama:x"], preset="precise", iterations=2,
                parameters={"temperature": 0.2, "top_p": None},
            ),
            "%%llm -m local -m ollama:x -p precise -n 2\nHi",
        ),
    ],
)  # fmt: skip
def test_prefers_the_magic(form, cell):
    assert as_cell(form) == cell


@pytest.mark.parametrize("prompt", ["\\{{n}}\n", "\\{{f(n)}}\n", "\\\\{{n}}\n", "{{n\n"])
def test_escaped_names_in_python(asked, prompt):
    form = Form(prompt, models=["local"])

    assert as_cell(form).startswith("import llm_playground as lp")
    assert asked(as_cell(form)) == of_form(form)


def test_a_long_line_is_python(asked):
    form = Form("Hi", "word " * 3_000, ["local"])

    assert as_cell(form).startswith("import llm_playground as lp")
    assert asked(as_cell(form)) == of_form(form)


def test_sweep_over_cases_is_a_comprehension_with_own_names(asked, shell):
    form = Form(
        "{{temperature}} {{case}} {{n}}",
        models=["local"],
        parameters={"temperature": [0, 1]},
        cases=[{"n": "a"}, {"n": "b"}],
    )

    assert asked(as_cell(form)) == of_form(form)
    assert len(of_form(form)) == 4
    assert shell.user_ns["case"] == "mine"


def test_cell_has_no_keys():
    key = "-".join(["sk", "planted" * 4])
    form = Form(f"Use {key}.", f"It is {key}", ["local"], parameters={"temperature": [0, 1]})

    assert key not in as_cell(form)
    assert key not in as_cell(Form(f"Use {key}.", models=["local"]))
    for sweep in (0, [0, 1]):
        assert key not in as_cell(Form("Hi", "", [f"openai:{key}"], key, {"temperature": sweep}))


@pytest.mark.parametrize("role", ['user", print("obeyed"), "', *HOSTILE])
def test_no_role_of_a_turn_is_code(role):
    turns = [{"role": role, "content": "Hi"}]  # of a notebook that somebody else made

    cell = ast.parse(as_cell(Form("Hello", models=["local"], turns=turns)))

    calls = [node for node in ast.walk(cell) if isinstance(node, ast.Call)]
    names = [call.func.attr for call in calls if isinstance(call.func, ast.Attribute)]
    assert len(names) == len(calls)
    assert sorted(names) == ["Message", "Message", "Prompt", "TextPart", "TextPart", "compare"]
    assert role in [node.value for node in ast.walk(cell) if isinstance(node, ast.Constant)]


@pytest.mark.parametrize(
    ("form", "line"),
    [
        (Form("Hi"), "No model is chosen. Add one."),
        (Form(" ", models=["local"]), "The prompt is empty."),
        (Form("Hi", models=["local"], images=["a.png"]), "A cell cannot hold the pictures"),
    ],
)
def test_form_that_no_cell_can_hold_is_explained(form, line):
    with pytest.raises(InvalidParameterError, match=line):
        as_cell(form)


def test_executed_cell_logs_the_same_requests(shell, home, capsys):
    form = Form("Say {{n}} words.\n%%time", "Be 'brief'.", ["local"],
                parameters={"max_tokens": 1, "seed": 1}, iterations=2)  # fmt: skip
    swept = Form("Say >>> hello.", models=["local"], parameters={"max_tokens": [1, 2]})

    for one in (form, swept):
        shell.run_cell(as_cell(one)).raise_error()

    logged = lp.runs()
    assert sorted(logged.prompt_hash) == sorted(of_form(form) + of_form(swept))
    assert set(logged.status) == {"completed"}
