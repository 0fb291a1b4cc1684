"""Values, settings, templates and rendering: what holds without any provider."""

import dataclasses
import re
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_playground import capabilities, config, footer, parameters, render, template
from llm_playground.errors import (
    ConfigError,
    InvalidParameterError,
    TemplateError,
    UnknownModelError,
)
from llm_playground.events import RunFinished
from llm_playground.types import Message, Parameters, Request, Run, TextPart


def request(text="hi", **parameters):
    return Request("local:m", (Message("user", (TextPart(text),)),), Parameters(**parameters))


def test_a_run_shows_itself_on_one_short_line_without_keys():
    key = "sk-" + "planted" * 4
    began = datetime(2026, 3, 31, tzinfo=UTC)
    run = Run("r1", "e1", "p1", 1, "openai:gpt-4o", "openai", began, Parameters())
    text, cost_usd = f"Hello\n{key} " + "there " * 900, Decimal("0.000500")
    priced = dataclasses.replace(run, status="completed", text=text, cost_usd=cost_usd)

    assert repr(run) == "Run(openai:gpt-4o, running, '', r1)"
    assert repr(priced).startswith("Run(openai:gpt-4o, completed, 'Hello ")
    assert repr(priced).endswith("…', $0.0005, r1)")
    assert key not in repr(priced)
    assert len(repr(RunFinished(priced))) < 130


class TestModels:
    @pytest.mark.parametrize(
        ("typed", "resolved"),
        [
            ("local", "local:smollm2-135m-instruct"),
            ("gpt-anything", "openai:gpt-anything"),
            ("o3", "openai:o3"),
            ("claude-anything", "anthropic:claude-anything"),
            ("gemini-anything", "gemini:gemini-anything"),
            ("openai:as written", "openai:as written"),
        ],
    )
    def test_a_name_is_resolved_by_its_prefix(self, typed, resolved):
        assert capabilities.resolve_model(typed) == resolved

    @pytest.mark.parametrize("typed", ["", "   ", "nobody", "nobody:model", "openai:"])
    def test_an_unknown_name_is_an_error(self, typed):
        with pytest.raises(UnknownModelError):
            capabilities.resolve_model(typed)

    def test_an_unknown_name_comes_with_close_matches(self):
        with pytest.raises(UnknownModelError, match="openai:gpt-6-luna"):
            capabilities.resolve_model("gpt6-luna", ["openai:gpt-6-luna", "anthropic:claude-x"])


class TestParameters:
    @pytest.mark.parametrize(
        ("provider", "given"),
        [
            ("openai", {"temperature": 2.1}),
            ("openai", {"temperature": -0.1}),
            ("openai", {"temperature": float("nan")}),
            ("openai", {"temperature": "hot"}),
            ("openai", {"temperature": True}),
            ("anthropic", {"temperature": 1.5}),
            ("local", {"top_p": 1.01}),
            ("local", {"max_tokens": 0}),
            ("local", {"max_tokens": 1.5}),
        ],
    )
    def test_what_a_provider_would_refuse_is_refused_here(self, provider, given):
        [name] = given

        with pytest.raises(InvalidParameterError, match=name):
            capabilities.check_parameters(f"{provider}:any", Parameters(**given))

    def test_numbers_out_of_a_frame_are_sent_as_plain_ones(self):
        frame = pd.DataFrame({"n": [4], "t": [0.5]})
        chosen = parameters.parameters_from(
            {"max_tokens": frame.n[0], "temperature": frame.t[0], "top_p": Decimal("0.5")}
        )

        assert [type(value) for value in chosen.as_dict().values()] == [float, float, int]
        assert parameters.check_iterations(frame.n[0]) == 4

    def test_what_nobody_set_is_not_there(self):
        assert parameters.parameters_from({"temperature": None}).as_dict() == {}

    def test_what_is_said_wins_over_the_preset(self):
        chosen = parameters.parameters_from({"temperature": 0.9}, "precise")

        assert chosen.as_dict() == {"temperature": 0.9}

    def test_a_misspelt_parameter_gets_a_suggestion(self):
        with pytest.raises(InvalidParameterError, match="Did you mean temperature"):
            parameters.parameters_from({"temprature": 1})

    @pytest.mark.parametrize(
        "given", [{"stop": 5}, {"stop": ["a", 1]}, {"extra": "x"}, {"reasoning_effort": 1}]
    )
    def test_a_value_of_the_wrong_kind_is_refused_by_name(self, given):
        [name] = given

        with pytest.raises(InvalidParameterError, match=name):
            parameters.parameters_from(given)

    def test_a_whole_number_is_sent_as_one(self):
        assert repr(parameters.parameters_from({"max_tokens": 5.0}).max_tokens) == "5"

    def test_an_unknown_preset_names_the_known_ones(self):
        with pytest.raises(InvalidParameterError, match="precise, balanced, creative"):
            parameters.preset("wild")

    @pytest.mark.parametrize("iterations", [0, -1, 1.5, True, "3", 1_001])
    def test_iterations_are_a_whole_number_from_one(self, iterations):
        with pytest.raises(InvalidParameterError):
            parameters.check_iterations(iterations)


class TestPromptHash:
    def test_does_not_see_how_a_number_is_spelt_or_keys_are_ordered(self):
        one = request(temperature=1, extra={"a": 1, "b": 2.0})
        other = request(temperature=1.0, extra={"b": 2, "a": 1})

        assert one.prompt_hash() == other.prompt_hash()

    def test_sees_the_text_the_model_and_the_parameters(self):
        hashes = {
            request().prompt_hash(),
            request("ho").prompt_hash(),
            request(temperature=0).prompt_hash(),
            dataclasses.replace(request(), model="local:other").prompt_hash(),
        }

        assert len(hashes) == 4


class TestTemplate:
    def test_a_value_is_not_filled_again(self):
        assert template.fill("{{a}}", {"a": "{{b}}", "b": "no"}) == "{{b}}"

    @pytest.mark.parametrize("text", ["{a}", "{{a.b}}", "{{a()}}", "{{ }}", "{{1a}}"])
    def test_only_plain_names_in_double_braces_are_slots(self, text):
        assert template.fill(text, {"a": "no"}) == text

    def test_a_missing_name_is_named(self):
        with pytest.raises(TemplateError, match=r"\{\{article\}\} is not defined"):
            template.fill("{{article}}", {})

    @given(st.text())
    def test_text_without_slots_stays_byte_for_byte(self, text):
        if not template.names(text):
            assert template.fill(text, {}) == text


class TestLogUrl:
    def test_a_path_is_a_duckdb_file(self, home, monkeypatch):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", "logs/mine.duckdb")

        assert config.log_url() == f"duckdb:///{home.parent}/logs/mine.duckdb"

    @pytest.mark.parametrize("url", ["mysql:///x", "mysql://user:word@host/x", "duckdb://x"])
    def test_another_kind_of_database_is_refused(self, home, monkeypatch, url):
        monkeypatch.setenv("LLM_PLAYGROUND_LOG", url)

        with pytest.raises(ConfigError, match="a path such as"):
            config.log_url()


HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](data:text/html,<script>1</script>)",
    "![x](https://example.com/leak.png)",
    "![x][r]\n\n[r]: https://example.com/leak.png",
    "<svg/onload=alert(1)>",
    "</script><script>alert(1)</script>",
    "<style>@import 'https://example.com/x.css';</style>",
    "`<img src=x onerror=1>`",
    "```<script>\n</script>\n```",
    '<a href="https://example.com" onclick="x()">x</a>',
    '<https://example.com/?a="><img src=x>',
    "| a |\n|---|\n| <iframe src=//example.com> |",
]


class TestRender:
    @pytest.mark.parametrize("answer", HOSTILE)
    def test_a_hostile_answer_keeps_no_active_element(self, answer):
        html = render.to_html(answer)

        elements = set(re.findall(r"<\s*([a-zA-Z]+)", html))
        attributes = set(re.findall(r"\s([a-zA-Z-]+)=\"", re.sub(r">[^<]*<", "><", html)))
        assert elements <= {"p", "code", "pre", "a", "table", "thead", "tbody", "tr", "th", "td"}
        assert attributes <= {"href", "rel", "class", "title"}
        assert not re.search(r"href=\"(?!https?:|mailto:)", html)

    def test_markdown_is_rendered(self):
        html = render.to_html("# Title\n\n- *a*\n- **b**\n\n```python\nx\n```")

        assert "<h1>Title</h1>" in html
        assert "<em>a</em>" in html
        assert '<code class="language-python">' in html

    def test_a_running_answer_is_escaped_text(self):
        assert "<script>" not in render.to_plain_html("<script>")


class TestFooter:
    @pytest.mark.parametrize(
        ("ms", "text"),
        [
            (0, "0.00 s"),
            (999, "1.00 s"),
            (59_900, "59.9 s"),
            (59_990, "1 min 0 s"),
            (61_000, "1 min 1 s"),
            (119_990, "2 min 0 s"),
        ],
    )
    def test_durations_read_naturally(self, ms, text):
        assert footer.duration(ms) == text
