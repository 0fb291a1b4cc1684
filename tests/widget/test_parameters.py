"""The panel's parameters from Python: controls of the capability table, sweeps, presets."""

import json
import time

import numpy as np
import pandas as pd
import pytest

import llm_playground as lp
from llm_playground.widget.controls import parameter_controls
from llm_playground.widget.form import plan_calls

OPENAI, CLAUDE, REASONER = "openai:gpt-4o", "anthropic:claude-haiku-4-5", "openai:o3"


@pytest.fixture
def pg(home):
    made = lp.Playground(models=["local"], prompt="Say hello.")
    yield made
    made.close()


def ask(pg, name, /, **arguments):
    """The kernel's reply to a view's request."""
    replies = []
    send, pg.send = pg.send, replies.append
    try:
        pg._handle_custom_msg(
            {"type": "request", "id": "q", "name": name, "arguments": arguments}, []
        )
        deadline = time.monotonic() + 60
        while not any(reply["type"] == "reply" for reply in replies):
            assert time.monotonic() < deadline, "no reply"
            time.sleep(0.01)
    finally:
        pg.send = send
    return next(reply for reply in replies if reply["type"] == "reply")


class TestControls:
    def test_every_parameter_has_a_control(self):
        every = (
            *("temperature", "top_p", "max_tokens", "reasoning_effort", "stop_at", "seed"),
            *("top_k", "presence_penalty", "frequency_penalty"),
        )

        assert tuple(parameter_controls([], {})) == every

    def test_range_and_default_come_from_the_models(self):
        both = parameter_controls([OPENAI, CLAUDE], {})["temperature"]
        assert (both["min"], both["max"], both["rest"]) == (0, 1, 1)
        assert parameter_controls(["local:any"], {})["temperature"]["default"] == 0.8
        assert parameter_controls([OPENAI], {})["presence_penalty"]["min"] == -2

    @pytest.mark.parametrize(
        ("models", "values", "trait", "note", "off"),
        [
            ([REASONER], {}, "temperature", "Not taken by o3: left out.", True),
            ([OPENAI], {}, "top_k", "Not taken by gpt-4o: left out.", True),
            ([OPENAI], {}, "reasoning_effort", "Not taken by gpt-4o: left out.", True),
            ([OPENAI, "local:any"], {}, "top_k", "gpt-4o: left out. The others get it.", False),
            ([REASONER], {}, "stop_at", "Not taken by o3: left out.", True),
            (["openai:gpt-5.4"], {}, "temperature", "", False),
            (["openai:gpt-5.4"], {"reasoning_effort": "low"}, "temperature", "reasons", True),
            (["openai:gpt-5.4"], {"reasoning_effort": "none"}, "temperature", "", False),
            ([CLAUDE], {"temperature": 0.5}, "top_p", "one of Temperature and Top p", True),
            ([CLAUDE], {}, "top_p", "", False),
            ([CLAUDE], {"top_p": 0.5}, "top_p", "with API version 2023-06-01", False),
            ([CLAUDE], {"top_k": [1, 2]}, "top_k", "with API version 2023-06-01", False),
            (["anthropic:claude-opus-5-5"], {"top_k": 5}, "top_k", "left out.", True),
            (["openai:gpt-6-luna"], {}, "temperature", "set Reasoning effort to none", True),
            (["openai:gpt-6-luna"], {"reasoning_effort": "none"}, "temperature", "", False),
        ],
    )
    def test_note_explains_which_models_do_not_take_it(self, models, values, trait, note, off):
        dial = parameter_controls(models, values)[trait]

        assert note in dial["note"]
        assert bool(note) == bool(dial["note"])
        assert dial["off"] is off

    def test_efforts_are_those_that_all_models_take(self):
        assert (
            parameter_controls(["openai:gpt-6-luna"], {})["reasoning_effort"]["words"][0] == "none"
        )
        both = parameter_controls(["openai:gpt-6-luna", "gemini:gemini-2.5-flash"], {})[
            "reasoning_effort"
        ]
        assert both["words"] == ["none", "low", "medium", "high"]

    def test_they_follow_the_chosen_models_and_values(self, pg):
        pg.models = ["openai:gpt-5.4"]
        assert not pg.dials["temperature"]["off"]
        pg.reasoning_effort = "high"
        assert pg.dials["temperature"]["off"]


class TestValues:
    def test_every_parameter_is_sent(self, home):
        given = {
            "temperature": 0.2,
            "top_p": 0.9,
            "max_tokens": 5,
            "reasoning_effort": "low",
            "stop": ["END"],
            "seed": 7,
            "top_k": 3,
            "presence_penalty": 1,
            "frequency_penalty": -1,
        }
        pg = lp.Playground(models=["local"], prompt="Hi", **given)

        [one] = plan_calls(pg.form(), {})

        assert one.call.request.parameters.as_dict() == given | {"stop": ("END",)}
        assert pg.stop_at == ["END"]

    @pytest.mark.parametrize(
        ("trait", "value", "line"),
        [
            ("seed", 1.5, "seed is 1.5; local takes a whole number"),
            ("stop_at", 3, "stop is 3; it takes text or a list of texts."),
            ("temperature", [0, 7], "temperature is 7; local takes a number from 0 to 2."),
            ("temperature", [0, "hot"], "temperature is 'hot'; local takes a number from 0 to 2."),
            ("top_k", list(range(1, 60)), "top_k has more than 50 values."),
        ],
    )
    def test_wrong_value_is_explained(self, pg, trait, value, line):
        setattr(pg, trait, value)

        assert pg.problem.startswith(line)
        with pytest.raises(lp.InvalidParameterError, match=line[:12]):
            pg.run()


class TestASweep:
    def test_asks_once_with_each_value(self, pg):
        pg.temperature, pg.max_tokens, pg.iterations = [0, 0.5, 1], [10, 20], 2

        calls = plan_calls(pg.form(), {})

        assert len(calls) == 3 * 2 * 2
        assert pg.problem == ""
        assert {one.label.parameters for one in calls} >= {"temperature 0.5 · max_tokens 20"}

    def test_goes_over_two_parameters_at_most(self, pg):
        pg.temperature, pg.top_p, pg.seed = [0, 1], [0.1, 0.2], [1, 2]

        assert pg.problem == (
            "temperature, top_p, seed are all lists; a sweep goes over one or two parameters."
        )

    def test_takes_ranges_series_and_arrays(self, pg):
        for several in (range(1, 4), (1, 2, 3), np.array([1, 2, 3]), pd.Series([1, 2, 3])):
            pg.top_k = several
            assert pg.top_k == [1, 2, 3]
            json.dumps(pg.get_state("top_k"))
        assert pg.problem == ""

    def test_of_stop_is_a_list_of_lists(self, pg):
        pg.stop_at = [["."], ["!", "?"]]

        stops = [one.call.request.parameters.stop for one in plan_calls(pg.form(), {})]

        assert stops == [(".",), ("!", "?")]


class TestPresets:
    def test_saved_preset_sets_every_parameter(self, pg):
        lp.save_preset("terse", temperature=0.1, stop=["END"], reasoning_effort="low")
        pg.top_p = 0.5

        pg.preset = "terse"

        assert (pg.temperature, pg.stop_at, pg.reasoning_effort) == (0.1, ["END"], "low")
        assert pg.top_p is None
        assert pg.problem == ""

    def test_another_value_leaves_the_preset(self, pg):
        lp.save_preset("terse", temperature=0.1)
        pg.preset = "terse"

        pg.seed = 7

        assert (pg.preset, pg.temperature) == (None, 0.1)

    def test_preset_values_are_sent(self, pg):
        lp.save_preset("terse", temperature=0.1)
        pg.preset = "terse"
        lp.save_preset("terse", temperature=0.9)

        [one] = plan_calls(pg.form(), {})

        assert one.call.request.parameters.as_dict() == {"temperature": 0.1}

    def test_arguments_take_precedence_over_the_preset(self, home):
        lp.save_preset("terse", temperature=0.1, max_tokens=9)

        pg = lp.Playground(models=["local"], preset="terse", max_tokens=20)

        assert (pg.temperature, pg.max_tokens) == (0.1, 20)

    def test_unknown_preset_is_explained(self, pg):
        lp.save_preset("terse", temperature=0.1)

        pg.preset = "ters"

        assert pg.problem == "No preset is called 'ters'. Did you mean terse?"

    def test_preset_sent_with_its_values_stays(self, pg):
        pg.preset = "creative"

        pg.set_state({"temperature": 0.2, "preset": "precise"})

        assert (pg.preset, pg.temperature) == ("precise", 0.2)

    def test_view_saves_and_deletes_presets(self, pg):
        reply = ask(pg, "save_preset", name=" mine ", parameters={"seed": 7, "stop_at": ["END"]})
        assert reply["value"] == "mine"
        assert pg.own_presets["mine"]["parameters"] == {"seed": 7, "stop_at": ["END"]}
        pg.preset = "mine"

        ask(pg, "delete_preset", name="mine")

        assert pg.own_presets == {}
        assert (pg.preset, pg.seed) == (None, 7)

    def test_refused_preset_is_explained(self, pg):
        reply = ask(pg, "save_preset", name="mine", parameters={"temperature": [0, 1]})

        assert reply["error"] == (
            "temperature is a list of values; a preset has one value of each parameter."
        )

    def test_opened_view_shows_presets_of_others(self, pg):
        lp.save_preset("theirs", seed=1)

        ask(pg, "refresh_presets")

        assert list(pg.own_presets) == ["theirs"]
