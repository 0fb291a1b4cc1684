"""A ``.prompty`` file is read in bounded time and memory, and refused in one line."""

import time
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground.request import prompty

LIMIT_S = 30.0  # of this thread's CPU; each takes less than 0.5 s, in quadratic time minutes
SIZE = 1_000_000


def front(yaml):
    return f"---\n{yaml}\n---\nuser:\nhi\n"


def body(text):
    return f"---\nname: x\n---\nuser:\n{text}"


def times(piece, size=SIZE):
    return piece * (size // len(piece))


LAUGHS = "a0: &a0 [x, x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
REFUSED = {
    "billion laughs": front(f"{LAUGHS}name: *a29"),
    "billion laughs in parameters": front(f"{LAUGHS}model: {{parameters: {{foo: *a29}}}}"),
    "recursive list": front("name: &a [*a]"),
    "recursive mapping": front("model: &a {parameters: *a}"),
    "an alias": front("name: &a x\ndescription: *a"),
    "merge of aliases": front("a: &a {x: 1}\nb: {<<: [*a, *a]}"),
    "merge of a list": front("<<: [1, 2]"),
    "huge decimal": front(f"model: {{parameters: {{seed: {'9' * 5_000}}}}}"),
    "huge hexadecimal": front(f"name: 0x{'f' * 50_000}"),
    "huge sexagesimal": front(f"name: {'1:' * 20_000}1"),
    "deep list": front("name: " + "[" * 5_000 + "]" * 5_000),
    "deep mapping": front("".join(" " * n + "a:\n" for n in range(300))),
    "deep and open": front("name: " + "[" * 60_000),
    "long": front("name: " + "x" * 64_000),
    "many keys": front(times("a: 1\n")),
    "a list as key": front("? [a, b]\n: c"),
    "no such date": front("name: 2020-13-45"),
    "no such time": front("name: 2020-01-01 99:99:99"),
    "no integer": front('name: !!int "x"'),
    "no float": front('name: !!float "x"'),
    "no boolean": front('name: !!bool "x"'),
    "no time": front('name: !!timestamp "x"'),
    "no binary": front('name: !!binary "x"'),
    "code": front('name: !!python/object/apply:os.system ["id"]'),
    "no character": front('name: "\\UFFFFFFFF"'),
    "NUL": front('name: "\0"'),
    "surrogate": front("name: \ud800"),
    "no end": "---\n" + times("a\n"),
    "ends that are none": "---\n" + times("---x\n"),
    "logic": body(times("{% x %}")),
    "comment": body(times("{# x #}")),
    "filter": body("{{ name | upper }}"),
    "long logic": body("{%" + times("x") + "%}"),
    "bad escape": body(r"{{ '\N{' }}"),
}
READ = {
    "spaces after a role": body("user" + times(" ") + "\nx"),
    "spaces before a role": body(times(" ") + "\nuser:\nx"),
    "spaces around a mark": body(times(" ", SIZE // 2) + "#" + times(" ", SIZE // 2) + "x"),
    "roles without an end": body(times("user[[[[")),
    "brackets": body("user" + times("[")),
    "many turns": body(times("user:\na\n", SIZE // 3)),
    "open logic": body(times("{%")),
    "open comments": body(times("{#")),
    "open names": body(times("{{a")),
    "open names and spaces": body(times("{{ ")),
    "a space that never ends": body("{{" + times(" ")),
    "open quotes": body(times("{{ '")),
    "backslashes": body("{{ '" + times("\\")),
    "many quotes": body(times("{{ 'a' }}", 200_000)),
    "placeholders": body(times("\0001\0")),
    "braces": body(times("{", SIZE)),
    "empty lines": body("x" + times("\n", SIZE // 4)),
}


def timed(text):
    started = time.thread_time()
    try:
        return prompty.from_text(text), time.thread_time() - started
    except lp.ConfigError as error:
        return error, time.thread_time() - started


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_what_is_no_prompt_is_refused_in_one_short_line(text):
    error, took_s = timed(text)

    assert isinstance(error, lp.ConfigError)
    assert "\n" not in str(error)
    assert len(str(error)) < 300
    assert took_s < LIMIT_S


@pytest.mark.parametrize("text", READ.values(), ids=READ)
def test_any_text_is_read_in_linear_time(text):
    prompt, took_s = timed(text)

    assert isinstance(prompt, lp.Prompt)
    assert took_s < LIMIT_S
    assert sum(len(turn.text) for turn in prompt.messages) <= len(text)


def test_a_path_with_nul_is_one_line(home):
    with pytest.raises(lp.ConfigError, match="cannot be read"):
        lp.prompt_from_file("a\0.prompty")


@pytest.mark.parametrize(
    "header", ["user:", " User : ", "# user:", "  #user [a=b] :", "USER[x]:\t"]
)
def test_headers_of_turns_are_what_they_were(header):
    prompt = prompty.from_text(f"---\nname: x\n---\nsystem:\nBe brief.\n{header}\nhi\n")

    assert [turn.role for turn in prompt.messages] == ["system", "user"]
    assert prompty.from_text(prompty.to_text(prompt)).messages == prompt.messages


def test_a_value_that_occurs_twice_is_written_twice():
    shared = {"type": "x"}
    parameters = lp.Parameters(extra={"a": shared, "b": shared})
    prompt = prompty.from_text("---\nname: x\n---\nuser:\nhi\n")
    text = prompty.to_text(replace(prompt, parameters=parameters))

    assert "*" not in text
    assert prompty.from_text(text).parameters.extra == {"a": shared, "b": shared}
