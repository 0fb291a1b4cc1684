"""Files for fine-tuning: what a line holds, which runs are left out, and the services' rules."""

import json
import warnings

import pytest

import llm_playground as lp
from llm_playground import exporting
from llm_playground.errors import InvalidParameterError
from llm_playground.export_formats import FORMATS
from llm_playground.parts import (
    AudioPart,
    ImagePart,
    OtherPart,
    ReasoningPart,
    RefusalPart,
    ServerToolCall,
    TextPart,
    ToolCall,
    ToolResult,
)
from llm_playground.types import Request
from tests.exporting import training_rules
from tests.exporting.everything import (
    CALL,
    PICTURE,
    WEATHER,
    fill,
    message,
    requests,
    vote,
)
from tests.runlog.actors import execution_of, record

ASKED = message("user", "Is it raining in Oslo?")
ON_ONE_ENGINE = pytest.mark.parametrize("log", ["duckdb"], indirect=True)
TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": WEATHER.parameters,
    },
}


def made(log, *content, request=None, **known):
    """A run of a request whose user message has this content."""
    request = request or Request("openai:gpt-x", (message("user", *content),))
    return record(log, request, execution_of(request), **known)


def exported(name, runs=None, **options):
    """The lines of a file, each checked, and the warning about runs that are left out."""
    frame = lp.runs().sort_values("run_id") if runs is None else runs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        text = lp.export(frame, name, **options)
    lines = training_rules.read(text)
    check = {
        "openai-tuning": training_rules.check_tuning,
        "openai-preferences": training_rules.check_openai_pair,
        "trl-preferences": training_rules.check_trl_pair,
    }[name]
    for line in lines:
        check(line)
    assert len(caught) <= 1
    return lines, str(caught[0].message) if caught else ""


def test_a_line_for_each_run_with_turns_pictures_tools_and_calls(log):
    runs = fill(log)
    lines, warning = exported("openai-tuning")
    assert warning.startswith("2 of 7 runs are left out of openai-tuning: ")
    assert "1 with documents or recordings" in warning
    # The request with a schema has the same prompt as the plain one, and the same answer.
    names = [name for name in runs if name not in ("file", "schema")]
    by_run = dict(zip(names, lines, strict=True))
    answer = {"role": "assistant", "content": "An answer."}
    assert by_run["plain"] == {
        "messages": [{"role": "user", "content": "Is it raining in Oslo?"}, answer]
    }
    assert by_run["conversation"]["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Is it raining in Oslo?"},
        {"role": "assistant", "content": "Yes.", "weight": 0},
        {"role": "user", "content": "And in Rome?"},
        answer,
    ]
    picture, question = by_run["picture"]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("data:image/png;base64,iVBORw0KGgo")
    assert question == {"type": "text", "text": "What is it?"}
    call = {"id": "c1", "type": "function"}
    call["function"] = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert by_run["tools"]["tools"] == [TOOL]
    assert by_run["tools"]["messages"][1:3] == [
        {"role": "assistant", "content": "I look.", "tool_calls": [call], "weight": 0},
        {"role": "tool", "tool_call_id": "c1", "content": "rain"},
    ]
    assert by_run["call"]["messages"][-1] == {"role": "assistant", "tool_calls": [call]}
    detail = json.loads(lp.audit(action="export").detail[0])
    assert detail == {"format": "openai-tuning", "runs": 5}


BROKEN = ToolCall("c1", "weather", "{")
SEARCH = ServerToolCall("s1", "web_search", '{"query": "rain"}')
GIF = ImagePart("image/gif", b"GIF89a" + bytes(20))
UNASKED = message("tool", ToolResult("c9", "weather", "rain"))
LEFT_OUT = [
    ({"status": "failed", "text": ""}, "failed"),
    ({"status": "cancelled"}, "stopped"),
    ({"status": "over_budget", "text": ""}, "refused by a budget"),
    ({"finish_reason": "length"}, "cut off"),
    ({"text": " \n"}, "with an empty message"),
    ({"parts": (SEARCH, TextPart("An answer."))}, "with calls of the provider's own tools"),
    ({"parts": (RefusalPart("No."),), "text": ""}, "with a refusal"),
    ({"parts": (TextPart("An answer."), PICTURE)}, "with pictures in an answer"),
    ({"parts": (AudioPart("audio/wav", b"RIFF"),)}, "with documents or recordings"),
    (
        {"parts": (TextPart("An answer."), OtherPart("new", "{}"))},
        "with parts that only their provider can read",
    ),
    (
        {
            "tool_calls": (ToolCall("c1", "weather", "{"),),
            "parts": (ToolCall("c1", "weather", "{"),),
        },
        "with tool calls whose arguments are not JSON",
    ),
    ({"request": Request("m:m", (message("user", " "),))}, "with an empty message"),
    ({"request": Request("m:m", (message("system", "Be brief."),))}, "without stored texts"),
    (
        {"request": Request("m:m", (ASKED, message("assistant", CALL), message("user", "And?")))},
        "with tool calls without results",
    ),
    ({"request": Request("m:m", (ASKED, UNASKED))}, "with results of tools that were not called"),
    (
        {"request": Request("m:m", (message("user", GIF, "What is it?"),))},
        "with pictures that are not JPEG, PNG or WebP",
    ),
    (
        {"request": Request("m:m", (message("user", *[PICTURE] * 11, "What are they?"),))},
        "with more than 10 pictures",
    ),
    (
        {"request": Request("m:m", (message("user", PICTURE, "?"), message("assistant", PICTURE)))},
        "with pictures in an answer",
    ),
]


@ON_ONE_ENGINE
def test_what_a_line_cannot_hold_is_left_out_and_counted(log):
    for known, _ in LEFT_OUT:
        made(log, "Is it raining?", **known)
    made(log, "Hello.")
    made(log, "Hello.")
    lines, warning = exported("openai-tuning")
    assert len(lines) == 1
    assert f"{len(LEFT_OUT) + 1} of {len(LEFT_OUT) + 2} runs are left out" in warning
    for reason in {reason for _, reason in LEFT_OUT}:
        count = sum(one == reason for _, one in LEFT_OUT)
        assert f"{count} {reason}" in warning
    assert "1 equal to another" in warning


@ON_ONE_ENGINE
def test_reasoning_is_not_exported(log):
    made(
        log,
        "Why?",
        reasoning="A secret thought.",
        parts=(ReasoningPart("A secret thought."), TextPart("An answer.")),
    )
    assert "secret" not in json.dumps(exported("openai-tuning")[0])


@ON_ONE_ENGINE
def test_texts_that_are_not_stored_are_no_line_and_no_file(log, tmp_path):
    lp.configure(privacy="metrics")
    made(log, "Hello.")
    path = tmp_path / "tuning.jsonl"
    path.write_text("kept")
    with pytest.raises(InvalidParameterError, match=r"none of the runs: 1 without stored texts\.$"):
        lp.export(lp.runs(), "openai-tuning", path)
    assert path.read_text() == "kept"


@ON_ONE_ENGINE
def test_an_answer_is_corrected_in_the_frame(log):
    made(log, "Name a planet.", text="Pluto")
    frame = lp.runs()
    frame["response_text"] = "Mars"
    assert exported("openai-tuning", frame)[0][0]["messages"][-1]["content"] == "Mars"


@ON_ONE_ENGINE
def test_a_changed_prompt_of_a_conversation_is_left_out(log):
    """Its earlier turns are those of the unchanged prompt."""
    fill(log)
    frame = lp.runs()
    frame["system_prompt"] = frame["system_prompt"].str.upper()
    lines, warning = exported("openai-tuning", frame)
    assert "1 of conversations whose texts were changed" in warning
    assert "BE BRIEF." not in json.dumps(lines)


@ON_ONE_ENGINE
def test_min_rating_keeps_the_runs_that_are_rated_so(log):
    for number, text in enumerate(("bad", "good", "unrated")):
        run = made(log, "Name a planet.", text=text)
        if text != "unrated":
            lp.rate(run, number)
    lines, _ = exported("openai-tuning", min_rating=1)
    assert [line["messages"][-1]["content"] for line in lines] == ["good"]
    rows = json.loads(lp.export(lp.runs(), min_rating=0))["runs"]
    assert sorted(row["response_text"] for row in rows) == ["bad", "good"]
    with pytest.raises(InvalidParameterError, match="min_rating is 'good'; it takes a number"):
        lp.export(lp.runs(), "openai-tuning", min_rating="good")


def test_pairs_of_ratings_use_each_answer_once_best_with_worst(log):
    for score, text in [(5, "best"), (1, "worst"), (4, "good"), (2, "bad"), (3, "fair")]:
        other = Request(f"m:{text}", (message("system", "Be brief."), ASKED), tools=(WEATHER,))
        lp.rate(made(log, request=other, text=text), score)
    lp.rate(made(log, "Another prompt."), 5)
    made(log, "Not rated.")
    lines, warning = exported("openai-preferences")
    answers = [
        (line["preferred_output"][0]["content"], line["non_preferred_output"][0]["content"])
        for line in lines
    ]
    assert answers == [("best", "worst"), ("good", "bad")]
    assert lines[0]["input"] == {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Is it raining in Oslo?"},
        ],
        "tools": [TOOL],
    }
    assert "3 of 7 runs are left out of openai-preferences: " in warning
    assert "2 without a differently rated answer to the same prompt" in warning
    assert "1 not rated" in warning
    assert exported("trl-preferences")[0][0] == {
        "prompt": lines[0]["input"]["messages"],
        "chosen": [{"role": "assistant", "content": "best"}],
        "rejected": [{"role": "assistant", "content": "worst"}],
        "tools": [TOOL],
    }


@ON_ONE_ENGINE
def test_pairs_have_tool_calls_in_the_form_of_each_service(log):
    asked = requests()["tools"]
    for score, calls in enumerate(((CALL,), ())):
        text = "" if calls else "It rains."
        run = made(log, request=asked, text=text, tool_calls=calls, parts=calls)
        lp.rate(run, score)
    openai, trl = exported("openai-preferences")[0], exported("trl-preferences")[0]
    of_openai = openai[0]["non_preferred_output"][0]["tool_calls"][0]["function"]
    assert of_openai == {"name": "weather", "arguments": '{"city": "Oslo"}'}
    of_trl = trl[0]["rejected"][0]["tool_calls"][0]["function"]
    assert of_trl == {"name": "weather", "arguments": {"city": "Oslo"}}


@ON_ONE_ENGINE
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((message("user", "a"),), (message("user", "b"),)),
        ((message("system", "a"), ASKED), (message("system", "b"), ASKED)),
        ((ASKED,), (ASKED, message("assistant", "Yes."), ASKED)),
    ],
)
def test_answers_to_other_prompts_are_no_pair(log, one, other):
    lp.rate(made(log, request=Request("m:m", one), text="good"), 1)
    lp.rate(made(log, request=Request("m:m", other), text="bad"), 0)
    with pytest.raises(InvalidParameterError, match="2 without a differently rated answer"):
        lp.export(lp.runs(), "openai-preferences")


@ON_ONE_ENGINE
def test_votes_make_pairs_ties_and_equal_answers_make_none(log):
    def answers(prompt, *texts):
        return [made(log, prompt, text=text) for text in texts]

    won, lost = answers("A", "won", "lost")
    vote(log, won, lost)
    vote(log, *answers("B", "one", "other"), score=0.0)
    vote(log, *answers("C", "same", "same"))
    rated, unrated = answers("D", "rated", "voted")
    lp.rate(rated, 9)
    lp.rate(unrated, 1)
    vote(log, rated, unrated, score=-1.0)  # against the ratings
    lines, warning = exported("openai-preferences")
    assert [line["preferred_output"][0]["content"] for line in lines] == ["won", "voted"]
    assert "4 of 8 runs" in warning
    assert "2 tied" in warning
    assert "2 equal to the answer they were compared with" in warning
    only = lp.runs()
    only = only[only.run_id == won.id]
    with pytest.raises(InvalidParameterError, match="1 compared with a run that is not exported"):
        lp.export(only, "openai-preferences")


def test_the_table_of_formats_has_what_can_be_written():
    assert list(FORMATS) == list(exporting._WRITERS)


@ON_ONE_ENGINE
def test_a_shared_suffix_asks_for_the_format(log, tmp_path):
    made(log, "Hello.")
    with pytest.raises(InvalidParameterError, match=r"Several formats end in \.jsonl: add format="):
        lp.export(lp.runs(), path=tmp_path / "a.jsonl")
