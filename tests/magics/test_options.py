"""How the options of a line are read, and that the rest is the prompt, byte for byte."""

import pytest
from IPython.core.error import UsageError

from llm_playground.magics.options import OPTIONS, PromptOptions, read_cell_line, read_line


@pytest.mark.parametrize(
    "prompt",
    [
        "Don't say \"hello\", it's late.",
        "What's 2+2",
        r"Explain \n in C:\new",
        "Say -n 3 times hello",
        "Use the -v flag of grep",
        "two  blanks\tand a tab, and at the end  ",
        'an open " quote',
        "-5 + 3 = ?",
        "-> what is this arrow?",
        "- an item",
        "— said he, — translate.",
        "\u20135 °C in Fahrenheit?",
        "—ism and —ness: what are they?",
        "$HOME {x} {{y}} ${z} %d",
        "'quoted' whole",
        "what does --model do?",
    ],
)
@pytest.mark.parametrize("options", ["", "-t 0.2 ", "-m local --tag 'a b' -s \"\" "])
def test_the_rest_of_the_line_is_the_prompt(options, prompt):
    assert read_line(options + prompt).prompt == prompt


@pytest.mark.parametrize("prompt", ["-m local", "--", "--model", "", "  indented", "models"])
def test_two_hyphens_end_the_options(prompt):
    line = read_line(f"-t 0.2 -- {prompt}")

    assert (line.options.temperature, line.prompt) == (0.2, prompt)


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ("-s 'Be brief.' -n 3 -t0.5 -p=creative", ("Be brief.", 3, 0.5, "creative")),
        ('--system="a \\"b\\" \\\\ \\n" -n3', ('a "b" \\ \\n', 3, None, None)),
        ('-s Don"\'"t', ("Don't", 1, None, None)),
        (r"-s two\ words", ("two words", 1, None, None)),
        (r"-s C:\new\x.png", (r"C:\new\x.png", 1, None, None)),
        ("-s '' -t -1", ("", 1, -1.0, None)),
        ("--system=-t --preset x", ("-t", 1, None, "x")),
    ],
)
def test_values_are_quoted_as_in_a_shell(line, values):
    found = read_line(f"{line} hi").options

    assert (found.system, found.iterations, found.temperature, found.preset) == values


def test_every_option_has_a_field_and_repeats_where_it_says_so():
    words = {int: "2", float: "0.5"}
    line = " ".join(
        f"{option.flags[0]} {words.get(option.read, 'x') if option.metavar else ''}"
        for option in OPTIONS
    )

    once, twice = read_line(f"{line} hi"), read_line(f"{line} {line} hi")

    assert once.prompt == twice.prompt == "hi"
    assert all(getattr(once.options, o.field) != getattr(PromptOptions(), o.field) for o in OPTIONS)
    assert {o.field for o in OPTIONS if o.repeatable} == {
        o.field for o in OPTIONS if getattr(twice.options, o.field) == ("x", "x")
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--modle x hi", "there is no option --modle; the closest is --model. To send it as text"),
        ("-q hi", "there is no option -q; the closest is"),
        ("--nonsense-flag hi", "there is no option --nonsense-flag. To send it as text"),
        ("-model x hi", "there is no option -model; the closest is --model."),
        ("-t", "-t takes a value: -t T."),
        ("-s -t 0.2 hi", "-s takes a value: -s TEXT."),
        ("-t hot hi", "-t takes a number, not 'hot'."),
        ("-n 2.5 hi", "-n takes a whole number, not '2.5'."),
        (f"-n {'9' * 5_000} hi", f"-n takes a whole number, not '{'9' * 39}…'."),
        (f"--{'x' * 5_000} hi", f"there is no option --{'x' * 37}…. To send it"),
        ("--fresh=yes hi", "--fresh takes no value."),
        ("-s 'Be brief. hi", "the quote ' is not closed"),
        ("-s “Be brief.” hi", "quote the value of -s with ' or \", since “ is no quote."),
        ("\u2013m local hi", "\u2013m has a dash where a hyphen belongs: write -m"),
        ("—model local hi", "—model has a dash where a hyphen belongs: write --model"),
        (
            "-\u2013max-tokens 3 hi",
            "-\u2013max-tokens has a dash where a hyphen belongs: write --max-tokens",
        ),
    ],
)
@pytest.mark.parametrize("read", [read_line, read_cell_line])
def test_a_mistake_in_the_options_is_one_line(read, line, message):
    with pytest.raises(UsageError) as error:
        read(line)

    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert "Nothing was sent" in str(error.value)


def test_text_on_the_first_line_of_a_cell_is_said_to_be_none_of_the_options():
    with pytest.raises(UsageError, match="takes options only, and 'What' is none: put the prompt"):
        read_cell_line("-t 0.2 What is this?")
