"""Values that no call can use end as one line of the package's own errors, whatever they are."""

from datetime import date

import pandas as pd
import pytest

import llm_playground as lp


def deep(levels, make=lambda inner: [inner]):
    value = 1
    for _ in range(levels):
        value = make(value)
    return value


def keyed(inner):
    return {"a": inner}


class Unprintable:
    """A class of the user whose texts raise."""

    def __repr__(self):
        raise ValueError("no text")

    __str__ = __repr__


class Endless:
    """A class of the user whose text contains itself."""

    def __repr__(self):
        return repr([self])

    __str__ = __repr__


CYCLE = []
CYCLE.append(CYCLE)
KEYED_CYCLE = {}
KEYED_CYCLE["a"] = KEYED_CYCLE
VALUES = {
    "deep list": deep(1_000),
    "deeper list": deep(5_000),
    "deep object": deep(3_000, keyed),
    "cycle": CYCLE,
    "cycle of objects": KEYED_CYCLE,
    "unprintable": Unprintable(),
    "endless": Endless(),
    "huge integer": 10**5_000,
    "lone surrogate": "\ud800",
    "long text": "x" * 5_000,
}
ARGUMENTS = {
    "prompt": lambda value: lp.ask(value if not isinstance(value, str) else "", "gpt-4o"),
    "messages": lambda value: lp.ask(messages=value),
    "one message": lambda value: lp.ask(messages=[value]),
    "content": lambda value: lp.ask(messages=[{"role": "user", "content": [value]}]),
    "model": lambda value: lp.estimate("x", value if not isinstance(value, str) else ""),
    "images": lambda value: lp.estimate("x", "gpt-4o", images=value),
    "tools": lambda value: lp.estimate("x", "gpt-4o", tools=[value]),
    "temperature": lambda value: lp.estimate("x", "gpt-4o", temperature=value),
    "max tokens": lambda value: lp.estimate("x", "gpt-4o", max_tokens=value),
    "n": lambda value: lp.estimate("x", "gpt-4o", n=value),
    "extra": lambda value: lp.estimate("x", "gpt-4o", extra=[value]),
    "confirm": lambda value: lp.configure(confirm_above_usd=value),
    "timeout": lambda value: lp.configure(timeout_s=value),
    "retry": lambda value: lp.configure(retry=[value]),
    "mode": lambda value: lp.configure(mode=value),
    "limit": lambda value: lp.runs(limit=value),
    "since": lambda value: lp.runs(since=value),
    "by": lambda value: lp.costs(by=[value]),
    "import": lambda value: lp.import_runs(value),
    "restore": lambda value: lp.restore(value),
    "budget": lambda value: lp.set_budget(value),
    "older than": lambda value: lp.purge(older_than=value),
    "prompt's name": lambda value: lp.prompt(value),
    "prompt's file": lambda value: lp.prompt_from_file(value),
    "code": lambda value: lp.code(value),
    "export": lambda value: lp.export(value),
}


def refuses_in_one_line(call, value):
    with pytest.raises(lp.LLMError) as raised:
        call(value)

    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) <= 2_003


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
@pytest.mark.parametrize("call", ARGUMENTS.values(), ids=ARGUMENTS)
def test_a_value_that_no_call_can_use_is_one_line(home, call, value):
    refuses_in_one_line(call, value)


WITHOUT_TRUTH = [pd.Series([1, 2]), pd.DataFrame({"a": [1]}), pd.Index(["a", "b"]), pd.NA]


@pytest.mark.parametrize("value", WITHOUT_TRUTH, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["variables", "preset", "system", "messages", "max_tokens"])
def test_a_value_that_is_neither_true_nor_false_is_one_line(home, name, value):
    refuses_in_one_line(lambda given: lp.estimate("x", "gpt-4o", **{name: given}), value)


CALL = {"type": "tool_call", "id": "1", "name": "f", "arguments": {}}
RESULT = {"type": "tool_result", "id": "1", "name": "f", "text": "x"}
NO_TEXTS = [5, True, 1.5, b"x", ["x"], {"a": 1}, 10**5_000, date(2026, 12, 1), pd.NA, pd.Index([1])]


@pytest.mark.parametrize("value", NO_TEXTS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize(
    ("role", "part", "field"),
    [
        *(("assistant", CALL, field) for field in ("type", "id", "name", "original")),
        *(("tool", RESULT, field) for field in ("type", "id", "name", "text")),
        ("assistant", {"type": "reasoning", "text": "x"}, "signature"),
        ("user", {"type": "image"}, "url"),
    ],
)
def test_a_field_of_a_message_part_is_text(home, role, part, field, value):
    turn = {"role": role, "content": [part | {field: value}]}
    refuses_in_one_line(lambda one: lp.estimate("x", "gpt-4o", messages=[one]), turn)


@pytest.mark.parametrize("value", NO_TEXTS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("field", ["wire_format", "json", "provider"])
def test_a_field_of_an_original_is_text(home, field, value):
    original = {"wire_format": "gemini", "json": "{}"} | {field: value}
    turn = {"role": "assistant", "content": [CALL | {"original": original}]}
    refuses_in_one_line(lambda one: lp.estimate("x", "gpt-4o", messages=[one]), turn)


@pytest.mark.parametrize("value", [b"x", date(2026, 12, 1), {1}, deep(5_000, keyed), KEYED_CYCLE])
def test_arguments_of_a_tool_call_that_are_no_json_are_one_line(home, value):
    turn = {"role": "assistant", "content": [CALL | {"arguments": {"a": value}}]}
    refuses_in_one_line(lambda one: lp.estimate("x", "gpt-4o", messages=[one]), turn)


@pytest.mark.parametrize("value", [Unprintable(), Endless(), deep(5_000), 10**5_000], ids="abcd")
def test_a_variable_that_cannot_be_written_is_one_line(home, value):
    with pytest.raises(lp.TemplateError, match=r"\{\{x\}\} is of type \w+ and cannot be written"):
        lp.estimate("{{x}}", "gpt-4o", variables={"x": value})


@pytest.mark.parametrize("params", [[deep(200)], [deep(3_000)], [CYCLE], {"a": KEYED_CYCLE}])
def test_parameters_of_sql_that_are_too_deep_are_refused_before_the_database(home, params):
    with pytest.raises(lp.InvalidParameterError, match="nested more than 100 levels"):
        lp.sql("SELECT ?", params)


@pytest.mark.parametrize(
    "query", ["SELECT '\ud800'", "SELECT \0", f"SELECT {'(' * 5_000}1{')' * 5_000}", 5, None]
)
def test_sql_that_no_database_takes_is_one_line(home, query):
    with pytest.raises(lp.LLMError):
        lp.sql(query)


PANEL = {
    "name": lambda value: lp.Playground(value),
    "prompt": lambda value: lp.Playground(prompt=value),
    "system": lambda value: lp.Playground(system=value),
    "models": lambda value: lp.Playground(models=value),
    "one model": lambda value: lp.Playground(models=["local", value]),
    "preset": lambda value: lp.Playground(preset=value),
    "n": lambda value: lp.Playground(n=value),
    "temperature": lambda value: lp.Playground(temperature=value),
    "stop": lambda value: lp.Playground(stop=value),
    "run": lambda value: lp.Playground(run=value),
    "assigned prompt": lambda value: setattr(lp.Playground(), "prompt", value),
    "assigned models": lambda value: setattr(lp.Playground(), "models", value),
    "assigned seed": lambda value: setattr(lp.Playground(), "seed", value),
}
NO_TEXT = {name: value for name, value in VALUES.items() if not isinstance(value, str)}


@pytest.mark.parametrize("value", NO_TEXT.values(), ids=NO_TEXT)
@pytest.mark.parametrize("make", PANEL.values(), ids=PANEL)
def test_a_value_that_no_panel_can_hold_is_one_line(home, make, value):
    refuses_in_one_line(make, value)


@pytest.mark.parametrize("models", [range(10**9), ["local"] * 1_001, map(str, range(10**9))])
def test_a_panel_takes_a_bounded_number_of_models(home, models):
    with pytest.raises(lp.InvalidParameterError, match="models"):
        lp.Playground(models=models)


NAMES = {
    "tz": lambda value: lp.costs(tz=value),
    "forecast by": lambda value: lp.forecast(by=value),
    "failures by": lambda value: lp.failures(by=[value]),
    "provider": lambda value: lp.reconcile("x.csv", provider=value, month="2026-03"),
    "month": lambda value: lp.reconcile("x.csv", provider="openai", month=value),
    "key of": lambda value: lp.set_key(value, "x"),
    "deleted preset": lambda value: lp.delete_preset(value),
    "keep": lambda value: lp.purge(keep=value),
    "log": lambda value: lp.configure(log=value),
    "language": lambda value: lp.code(lp.Run, language=value),
}


@pytest.mark.parametrize("value", NO_TEXT.values(), ids=NO_TEXT)
@pytest.mark.parametrize("call", NAMES.values(), ids=NAMES)
def test_a_value_in_the_place_of_a_name_is_one_line(home, call, value):
    refuses_in_one_line(call, value)


@pytest.mark.parametrize("path", ["x" * 300, "ö" * 200, "circle", "~no-such-user-here/a"])
@pytest.mark.parametrize("by", ["configure", "environment"])
def test_a_path_that_no_log_can_have_is_one_line(home, tmp_path, monkeypatch, path, by):
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(lp.ConfigError, match="The run log cannot be"):  # noqa: PT012 - two ways
        if by == "configure":
            lp.configure(log=path)
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", path)
        lp.runs()


def test_a_message_with_line_breaks_of_a_file_name_is_one_line(home):
    with pytest.raises(lp.LLMError) as raised:
        lp.prompt_from_file("a\nb\rc\x1b[2J")
    assert "\n" not in str(raised.value)
