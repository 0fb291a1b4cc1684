"""Answers that only repeat themselves."""

import pytest

import llm_playground as lp
from llm_playground import footer
from llm_playground.execution.repetition import Repetition, ends_in_a_loop
from tests.providers.formats import openai_stream
from tests.providers.server import Reply

LOOP = ["I am a helpful assistant. "] * 100


@pytest.mark.parametrize("piece", [1, 7, 300, 10_000])
@pytest.mark.parametrize("unit", ["Yes. ", "The answer is yes.\n", "word " * 79])
def test_a_loop_is_found_however_it_comes(unit, piece):
    text, watch = "A beginning. " + unit * 200, Repetition()

    found = [watch.add(text[at : at + piece]) for at in range(0, len(text), piece)]

    assert any(found)


@pytest.mark.parametrize(
    "text",
    [
        "-" * 5_000,
        "| --- " * 1_000,
        "\n".join("#" * 40 for _ in range(200)),
        "0, " * 2_000,
        "\n".join(f"| row {n} | yes | yes |" for n in range(500)),
        "\n".join(f"x[{n}] = 0" for n in range(500)),
        ", ".join(str(n) for n in range(3_000)),
        "Yes. " * 19,
        "A long sentence that comes a few times only, as in the chorus of a song. " * 12,
        "",
    ],
)
def test_tables_rules_code_and_numbers_are_no_loop(text):
    watch = Repetition()

    assert not any(watch.add(text[at : at + 11]) for at in range(0, len(text), 11))
    assert not ends_in_a_loop(text)


@pytest.mark.parametrize(("mode", "is_stopped"), [("local", False), ("all", True), ("off", False)])
def test_the_setting_says_which_answers_are_stopped(serve, mode, is_stopped):
    serve(Reply(openai_stream(LOOP)))
    lp.configure(stop_repetition=mode)

    run = lp.ask("Hi", "openai:gpt-4o")

    assert (len(run.text) < len("".join(LOOP))) == is_stopped
    assert run.status == "completed"
    assert run.finish_reason == ("other" if is_stopped else "stop")
    said = any("repeats itself" in line for line in footer.notices(run))
    assert said == is_stopped
