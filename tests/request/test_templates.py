r"""``{{name}}``, expressions between braces, and ``\{{`` in texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import llm_playground as lp
from llm_playground.errors import TemplateError
from llm_playground.request import templates
from llm_playground.request.templates import escaped, fill, names, unescaped
from llm_playground.types import Message
from tests.providers.formats import openai_stream
from tests.providers.server import Reply

VALUES = {"a": "1", "b": "2", "title": "My notebook"}
# Text of other languages that is no variable.
FOREIGN = [
    *("{a}", "{{ }}", "{{1a}}", "{{1}}", "{{1, 2}}", '{{"a": 1}}', "{{color: red}}", "{{#if a}}"),
    *(
        "{{/if}}",
        "{{> a}}",
        "{{!-- a --}}",
        r"{{\bf a}}",
        "{{ .Values.a }}",
        "{% raw %}",
        "{{a",
        "$",
    ),
    *(r"\{{1}}", r"\\{{\bf a}}", "{{a; b}}", "{{one of the many words}}"),
]
EXPRESSIONS = {
    "user.name": "user_name = user.name",
    "row['x']": "row_x = row['x']",
    "f(x)": "f_x = f(x)",
    "f(g(1), [2])": "f_g_1_2 = f(g(1), [2])",
    "1+1": "value = 1+1",
    "user-name": "user_name = ...",
    "first name": "first_name = ...",
    "price | round(2)": "price_round_2 = ...",
    "price:.2f": "price_2f = ...",
}


def test_a_value_is_not_filled_again():
    assert fill("{{a}}", {"a": "{{b}}", "b": "no"}) == "{{b}}"


@pytest.mark.parametrize("text", FOREIGN)
def test_text_of_other_languages_is_sent_as_it_is(text):
    assert fill(text, VALUES) == escaped(text) == unescaped(text) == text


@pytest.mark.parametrize(
    ("template", "text"),
    [
        (r"<h1>\{{ title }}</h1>", "<h1>{{ title }}</h1>"),
        (r"\frac\{{a}}\{{b}}", r"\frac{{a}}{{b}}"),
        (r"C:\dir\\{{a}}", "C:\\dir\\1"),
        (r"\\\{{a}}", r"\{{a}}"),
        (r"\{{user.name}} {{a}}", "{{user.name}} 1"),
        ("{{\n a }}", "1"),
    ],
)
def test_a_backslash_keeps_braces(template, text):
    assert fill(template, VALUES) == text


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_is_refused_with_what_to_write(expression):
    with pytest.raises(TemplateError) as caught:
        fill(f"{{{{ {expression} }}}}", VALUES)

    line = str(caught.value)
    assert line.startswith(f"{{{{{expression}}}}} is no name")
    assert f": {EXPRESSIONS[expression]}, then write" in line
    assert f"write \\{{{{{expression}}}}}." in line
    assert fill(f"\\{{{{{expression}}}}}", {}) == f"{{{{{expression}}}}}"


def test_a_missing_name_is_named_with_the_way_to_send_braces():
    with pytest.raises(TemplateError) as caught:
        fill("{{article}}", {})

    assert str(caught.value) == (
        "{{article}} is not defined. Run the cell that defines it, or type a value. "
        r"To send the braces as they are, write \{{article}}."
    )


BRACES = st.lists(
    st.sampled_from(["{{", "}}", "{", "\\", "a", "user.name", " ", "'", "user:", "\n", '"'])
).map("".join)


@given(st.text() | BRACES)
def test_every_text_can_be_sent(text):
    assert fill(escaped(text), {}) == text
    assert unescaped(escaped(text)) == text


@given(st.text())
def test_text_without_braces_is_unchanged(text):
    if "{{" not in text:
        assert fill(text, {}) == text


@given(BRACES.filter(lambda text: text.strip()))
def test_a_prompty_file_keeps_braces(text):
    template = escaped(text)
    prompt = lp.Prompt((Message("user", (lp.TextPart(template + "{{a}}"),)),))

    again = templates_of(prompt.to_prompty())

    assert again == template + "{{a}}"


def templates_of(prompty_text):
    from llm_playground.request import prompty

    [turn] = prompty.from_text(prompty_text).messages
    return turn.text


def test_a_long_run_of_backslashes_is_read_in_linear_time():
    text = "\\" * 1_000_000 + "{{a" * 1_000
    assert names(text) == []


def asked(server):
    return server.requests[-1].json["messages"]


ANSWER = Reply(openai_stream(["Use {{ name }} here."]))


def test_an_earlier_answer_keeps_its_braces(serve):
    server = serve(ANSWER)
    run = lp.ask("Hi", "openai:gpt-4o")

    lp.ask("Go on, {{a}}", "openai:gpt-4o", messages=[run], variables=VALUES)

    assert [turn["content"] for turn in asked(server)] == ["Use {{ name }} here.", "Go on, 1"]


@pytest.mark.parametrize("sent", ["Fix {{ x }} and {{user.name}}", "plain"])
def test_a_saved_run_is_asked_as_it_was_sent(serve, sent):
    server = serve(ANSWER)
    lp.save_prompt("fix", lp.ask(sent, "openai:gpt-4o"))

    lp.ask(lp.prompt("fix"))
    assert asked(server)[0]["content"] == sent

    lp.ask(lp.prompt("fix"), variables={"x": "no"})
    assert asked(server)[0]["content"] == sent


def test_a_saved_prompt_is_a_template(serve):
    serve(ANSWER)
    lp.save_prompt("say", lp.Playground(prompt="Say {{word}}", models="openai:gpt-4o"))

    with pytest.raises(lp.TemplateError, match=r"\{\{word\}\} is not defined. Add it to variables"):
        lp.ask(lp.prompt("say"))


@pytest.mark.parametrize("as_function", [True, False])
def test_code_of_a_saved_prompt_sends_the_braces(as_function):
    prompt = lp.Prompt((Message("user", (lp.TextPart(r"Fix \{{ x }}"),)),), model="openai:gpt-4o")

    code = lp.code(prompt, as_function=as_function)

    assert '"Fix {{ x }}"' in code


def test_values_are_made_into_text_once():
    class Counted:
        times = 0

        def __str__(self):
            self.times += 1
            return "text"

    value = Counted()
    lp.calls.CallOptions("{{a}} {{a}}", ["local"], variables={"a": value}).plan()

    assert value.times == 1
    assert templates.hashes_of({"a": "text"})["a"].startswith("982d9e3e")
