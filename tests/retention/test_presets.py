"""Saved presets: stored in the log, shared through it, the latest row for a name wins."""

import pytest

import llm_playground as lp
from llm_playground import provenance
from llm_playground.errors import InvalidParameterError
from llm_playground.request import parameters
from llm_playground.request.parameters import parameters_from


@pytest.fixture
def person(monkeypatch):
    return lambda name: monkeypatch.setattr(provenance, "username", lambda: name)


def own():
    return {one.name: one.parameters.as_dict() for one in parameters.saved()}


def test_preset_keeps_all_parameters(log):
    lp.save_preset(
        "terse", temperature=0, max_tokens=20, stop=["END", "\n"], reasoning_effort="low"
    )

    assert own() == {
        "terse": {
            "temperature": 0,
            "max_tokens": 20,
            "stop": ("END", "\n"),
            "reasoning_effort": "low",
        }
    }


def test_saved_preset_is_usable(log):
    lp.save_preset("terse", temperature=0.1, max_tokens=20)

    assert parameters_from({"top_p": 0.5, "max_tokens": 9}, "terse").as_dict() == {
        "temperature": 0.1,
        "max_tokens": 9,
        "top_p": 0.5,
    }


def test_latest_row_wins(log, person):
    person("ada")
    lp.save_preset("terse", temperature=0.1)
    person("bob")
    lp.save_preset("terse", temperature=0.2)
    assert own() == {"terse": {"temperature": 0.2}}
    person("ada")
    lp.save_preset("terse", temperature=0.3)

    [one] = parameters.saved()
    assert (one.parameters.temperature, one.username) == (0.3, "ada")


def test_deleted_preset_can_be_saved_again(log, person):
    person("ada")
    lp.save_preset("terse", temperature=0.1)
    person("bob")
    lp.delete_preset("terse")
    assert own() == {}
    with pytest.raises(InvalidParameterError, match="No preset is called 'terse'"):
        lp.delete_preset("terse")

    lp.save_preset("terse", temperature=0.4)
    assert own() == {"terse": {"temperature": 0.4}}
    assert len(log.frame("SELECT * FROM presets")) == 2, "one row per user and name"


def test_saving_with_a_clock_that_is_behind(log):
    ahead = """INSERT INTO presets (username, name, parameters, created_at)
        VALUES ('carol', 'terse', '{"temperature": 1}', TIMESTAMPTZ '2099-01-01 00:00:00+00')"""
    log.change(lambda session: session.execute(ahead))

    lp.save_preset("terse", temperature=0.2)

    assert own() == {"terse": {"temperature": 0.2}}


def test_lists_built_in_and_saved_presets(log):
    lp.save_preset("terse", temperature=0.1)
    lp.save_preset("Also mine", seed=7)

    frame = lp.presets()

    assert frame.name.tolist() == ["precise", "balanced", "creative", "Also mine", "terse"]
    assert frame.parameters[3] == {"seed": 7}
    assert frame.created_at.isna().tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", ["", "  ", None, 3, "x" * 41, "two\nlines", "Precise", "creative"])
def test_invalid_names(log, name):
    with pytest.raises(InvalidParameterError, match="preset"):
        lp.save_preset(name, temperature=0.1)
    assert own() == {}


@pytest.mark.parametrize(
    ("parameters", "line"),
    [
        ({}, "Nothing to save"),
        ({"temperature": None}, "Nothing to save"),
        ({"temperature": [0, 1]}, "temperature is a list of values"),
        ({"stop": [["a"], ["b"]]}, "stop is a list of values"),
        ({"temprature": 1}, "Did you mean temperature"),
    ],
)
def test_invalid_parameters(log, parameters, line):
    with pytest.raises(InvalidParameterError, match=line):
        lp.save_preset("mine", **parameters)


def test_unknown_preset_suggests_the_closest(log):
    lp.save_preset("invoices", temperature=0.1)

    with pytest.raises(InvalidParameterError, match="Did you mean invoices"):
        parameters_from({}, "invoice")


def test_invalid_rows_are_ignored(log):
    for name, text in (("a", '"text"'), ("b", '{"no_parameter": 1}'), ("c", '{"seed": 1}')):
        values = {"name": name, "parameters": text}
        insert = """INSERT INTO presets (username, name, parameters)
            VALUES ('x', $name, CAST($parameters AS JSON))"""
        log.change(lambda session, values=values, insert=insert: session.execute(insert, values))

    assert own() == {"c": {"seed": 1}}
