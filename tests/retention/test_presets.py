"""Presets of one's own: saved in the log, shared through it, the newest word on a name."""

import pytest

import llm_playground as lp
from llm_playground import provenance, saved_presets
from llm_playground.errors import InvalidParameterError
from llm_playground.parameters import parameters_from


@pytest.fixture
def person(monkeypatch):
    return lambda name: monkeypatch.setattr(provenance, "username", lambda: name)


def own():
    return {one.name: one.parameters.as_dict() for one in saved_presets.saved()}


def test_a_preset_is_kept_with_every_parameter_it_was_given(log):
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


def test_it_is_a_preset_wherever_one_is_named(log):
    lp.save_preset("terse", temperature=0.1, max_tokens=20)

    assert parameters_from({"top_p": 0.5, "max_tokens": 9}, "terse").as_dict() == {
        "temperature": 0.1,
        "max_tokens": 9,
        "top_p": 0.5,
    }


def test_the_newest_word_on_a_name_counts_whoever_says_it(log, person):
    person("ada")
    lp.save_preset("terse", temperature=0.1)
    person("bob")
    lp.save_preset("terse", temperature=0.2)
    assert own() == {"terse": {"temperature": 0.2}}
    person("ada")
    lp.save_preset("terse", temperature=0.3)

    [one] = saved_presets.saved()
    assert (one.parameters.temperature, one.username) == (0.3, "ada")


def test_a_deleted_preset_is_gone_for_all_and_can_be_saved_again(log, person):
    person("ada")
    lp.save_preset("terse", temperature=0.1)
    person("bob")
    lp.delete_preset("terse")
    assert own() == {}
    with pytest.raises(InvalidParameterError, match="No preset is called 'terse'"):
        lp.delete_preset("terse")

    lp.save_preset("terse", temperature=0.4)
    assert own() == {"terse": {"temperature": 0.4}}
    assert len(log.frame("SELECT * FROM presets")) == 2, "each keeps one row of a name"


def test_a_clock_that_is_behind_loses_no_word(log):
    ahead = """INSERT INTO presets (username, name, parameters, created_at)
        VALUES ('carol', 'terse', '{"temperature": 1}', TIMESTAMPTZ '2099-01-01 00:00:00+00')"""
    log.change(lambda session: session.execute(ahead))

    lp.save_preset("terse", temperature=0.2)

    assert own() == {"terse": {"temperature": 0.2}}


def test_presets_lists_the_three_and_then_those_that_were_saved(log):
    lp.save_preset("terse", temperature=0.1)
    lp.save_preset("Also mine", seed=7)

    frame = lp.presets()

    assert frame.name.tolist() == ["precise", "balanced", "creative", "Also mine", "terse"]
    assert frame.parameters[3] == {"seed": 7}
    assert frame.created_at.isna().tolist() == [True, True, True, False, False]


@pytest.mark.parametrize("name", ["", "  ", None, 3, "x" * 41, "two\nlines", "Precise", "creative"])
def test_a_name_is_a_short_text_and_none_of_the_three(log, name):
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
def test_what_is_saved_is_one_value_of_each_parameter(log, parameters, line):
    with pytest.raises(InvalidParameterError, match=line):
        lp.save_preset("mine", **parameters)


def test_an_unknown_preset_is_explained_with_the_closest(log):
    lp.save_preset("invoices", temperature=0.1)

    with pytest.raises(InvalidParameterError, match="Did you mean invoices"):
        parameters_from({}, "invoice")


def test_a_row_that_another_program_wrote_wrongly_is_left_out(log):
    for name, parameters in (("a", '"text"'), ("b", '{"no_parameter": 1}'), ("c", '{"seed": 1}')):
        values = {"name": name, "parameters": parameters}
        insert = """INSERT INTO presets (username, name, parameters)
            VALUES ('x', $name, CAST($parameters AS JSON))"""
        log.change(lambda session, values=values, insert=insert: session.execute(insert, values))

    assert own() == {"c": {"seed": 1}}
