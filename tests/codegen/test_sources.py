"""The sources of code, the notes about missing parts, and that no key is in it."""

import ast
from contextlib import nullcontext
from dataclasses import replace

import pytest

import llm_playground as lp
from llm_playground import budgeting
from llm_playground.codegen import LANGUAGES, find_request
from llm_playground.codegen.request import prepare
from llm_playground.errors import ConfigError, InvalidParameterError, UnknownModelError
from llm_playground.parts import ImagePart, TextPart
from llm_playground.runlog import open_log
from llm_playground.types import Message, Request
from tests.codegen.requests import GIF, text
from tests.codegen.running import KEY
from tests.postgres import Server
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

MODEL = "openai:gpt-4o"
INCOMPLETE = "The log holds less than was sent"


@pytest.fixture
def openai(monkeypatch, keys):
    """A scripted server in OpenAI's place."""
    with WireServer(Reply(openai_stream(['{"value": 1}']))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", f"{server.url}/v1")
        yield server


def request(said="Say hello.", **parameters):
    return Request(MODEL, (text("user", said),), lp.Parameters(**parameters))


def test_code_of_a_run_is_code_of_its_request_at_its_address(openai):
    run = lp.ask("Say hello.", MODEL, temperature=0.5)

    assert lp.code(run) == lp.code(replace(request(temperature=0.5), endpoint=f"{openai.url}/v1"))
    assert f'base_url="{openai.url}/v1"' in lp.code(run)


def test_a_run_keeps_its_address_when_the_base_url_changes(openai, monkeypatch):
    run = lp.ask("Say hello.", MODEL)
    before = lp.code(run)
    for other in ("http://127.0.0.1:9/v1", ""):
        monkeypatch.setenv("OPENAI_BASE_URL", other)
        assert lp.code(run) == lp.code(run.id) == before
    assert f'base_url="{openai.url}/v1"' in before


def test_a_note_says_what_may_differ_if_the_log_has_another_hash(openai, monkeypatch):
    run = lp.ask("Say hello.", MODEL)
    lacks = "UPDATE executions SET base_url = NULL"
    open_log().change(lambda session: session.execute(lacks))
    monkeypatch.delenv("OPENAI_BASE_URL")

    note = "headers and base URL of the endpoint, may differ."
    assert lp.code(run).splitlines()[0].endswith(note)


def test_last_is_the_newest_run_of_the_same_user(openai, monkeypatch):
    lp.ask("One", MODEL)
    lp.ask("Two", MODEL)
    monkeypatch.setenv("LLM_PLAYGROUND_USER", "somebody-else")
    lp.ask("Three", MODEL)
    monkeypatch.delenv("LLM_PLAYGROUND_USER")

    assert '"Two"' in lp.code("last")


def test_dropped_parameters_are_not_in_the_code(openai):
    run = lp.ask("Say hello.", MODEL, top_k=5, temperature=0.5)

    assert run.dropped_parameters == ("top_k",)
    for source in (run, run.id, request(top_k=5, temperature=0.5)):
        assert "top_k" not in lp.code(source)
        assert "temperature=0.5" in lp.code(source)


def test_the_max_tokens_cap_of_a_budget_is_in_the_code(openai):
    budgeting.set_budget(5, model="openai:*")
    run = lp.ask("Say hello.", MODEL)

    assert run.max_tokens_cap == openai.requests[0].json["max_completion_tokens"]
    assert f"max_completion_tokens={run.max_tokens_cap}," in lp.code(run)


@pytest.mark.parametrize(
    "more",
    [
        {"schema": list[int]},
        {"tools": [{"name": "look", "description": "Looks.", "parameters": {"type": "object"}}]},
    ],
    ids=["schema", "tools"],
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_tools_and_schema_are_in_the_code_and_notes_say_if_the_log_lacks_them(
    openai, more, language
):
    with pytest.warns(lp.SchemaWarning) if "schema" in more else nullcontext():
        run = lp.ask("One number.", MODEL, **more)

    code = lp.code(run, language)
    assert INCOMPLETE not in code
    sent = prepare(find_request(run.id).request).body
    assert sent == openai.requests[0].json

    log = open_log()
    log.change(lambda session: session.execute("DELETE FROM definitions"))
    first = lp.code(run, language).splitlines()[0]
    assert f"{INCOMPLETE}: tools or the schema are missing." in first
    assert first.startswith(("# ", "// "))


def test_notes_that_privacy_masked_the_text(openai):
    lp.configure(privacy={"redact": ["email"]})
    run = lp.ask("Write to ada@example.org.", MODEL)

    assert f"{INCOMPLETE}: [redacted] stands for personal data" in lp.code(run)
    assert "ada@" not in lp.code(run)


def test_a_row_without_parameters_has_code_with_a_note(openai):
    run = lp.ask("Say hello.", MODEL, temperature=0.5)
    open_log().change(lambda session: session.execute("UPDATE prompts SET parameters = NULL"))

    assert INCOMPLETE in lp.code(run.id)


def test_no_code_without_a_stored_prompt(openai):
    lp.configure(privacy="metrics")
    run = lp.ask("Say hello.", MODEL)

    with pytest.raises(ConfigError, match="The text of this run's prompt is not stored"):
        lp.code(run)


def test_code_of_a_compressed_run(openai):
    run = lp.ask("Say hello.", MODEL, temperature=0.5)
    before = lp.code(run.id)
    lp.purge(older_than="0d", keep="compressed", dry_run=False)

    assert lp.runs().compressed.all()
    assert lp.code(run.id) == before


def test_images_are_in_the_code_of_a_request_and_of_a_run(openai):
    run = lp.ask("What is this?", MODEL, images=[GIF])
    seen = Message("user", (ImagePart("image/gif", GIF), TextPart("What is this?")))
    for source in (run, replace(request(), messages=(seen,))):
        assert "data:image/gif;base64,R0lGOD" in lp.code(source)


def test_an_image_url_is_in_the_code_of_a_run(openai):
    run = lp.ask("What is this?", MODEL, images=["https://example.com/a.png"])

    assert '"https://example.com/a.png"' in lp.code(run)
    assert INCOMPLETE not in lp.code(run)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_key_is_in_the_code(openai, language):
    leaky = replace(
        request(f"My key is {KEY}.", stop=(KEY,), extra={"metadata": {KEY: [KEY]}}),
        tools=(lp.Tool("look", KEY, {"description": KEY}),),
        endpoint=f"{openai.url}/v1",
    )

    code = lp.code(leaky, language)

    assert KEY not in code
    assert "The request contained a key; [redacted] stands in its place." in code
    assert "OPENAI_API_KEY" in code or language != "curl"  # the SDKs read it


def test_reads_the_key_variable_that_is_set(monkeypatch):
    gemini = replace(request(), model="gemini:gemini-2.5-flash")
    assert 'os.environ["GOOGLE_GEMINI_API_KEY"]' in lp.code(gemini)

    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    assert 'os.environ["GEMINI_API_KEY"]' in lp.code(gemini)
    assert "process.env.GEMINI_API_KEY" in lp.code(gemini, "javascript")
    assert "$GEMINI_API_KEY" in lp.code(gemini, "curl")


def test_placeholders_of_a_saved_prompt_are_parameters_and_those_of_a_run_text(openai):
    run = lp.ask("Say {{word}}.", MODEL)
    lp.save_prompt("template", lp.Playground(prompt="Say {{word}}.", models=[MODEL]))
    lp.save_prompt("text", run)

    assert "def ask(word: str) -> str:" in lp.code(lp.prompt("template"), as_function=True)
    for sent in (run, lp.prompt("text")):
        assert "def ask() -> str:" in lp.code(sent, as_function=True)
    for prompt in (run, lp.prompt("text"), lp.prompt("template")):
        assert '"Say {{word}}."' in lp.code(prompt)


def test_what_a_run_was_filled_with_are_parameters_of_its_function(openai):
    earlier = [{"role": "user", "content": "{{tone}} \\{{kept}}"}]
    run = lp.ask(
        "Say {{word}}, {{word}} and \\{{kept}}.",
        MODEL,
        system="Be {{tone}}.",
        messages=[*earlier, {"role": "assistant", "content": "Yes?"}],
        images=[GIF],
        variables={"word": "{{tone}}", "tone": "dry"},
    )
    row = lp.runs(limit=1).iloc[0]

    for source in (run, run.id, "last", row):
        code = lp.code(source, as_function=True)
        assert "def ask(tone: str, word: str) -> str:" in code
        assert '"content": "Be " + tone + "."' in code
        assert '"Say " + word + ", " + word + " and {{kept}}."' in code
        assert '"dry {{kept}}"' in code
        assert '"Say {{tone}}, {{tone}} and {{kept}}."' in lp.code(source)

    open_log().change(
        lambda session: session.execute(
            'UPDATE executions SET inputs = \'{"values": {"word": "x"}, "prompt": "Say {{word}}"}\''
        )
    )
    assert "def ask() -> str:" in lp.code(run, as_function=True)  # another text than was sent


def test_parameter_names_are_valid_in_every_language():
    said = "{{class}} {{await}} {{ask}} {{class_}} {{größe}} {{ﬁ}} {{fi}} {{x²}} {{__debug__}}"

    code = lp.code(request(said), "javascript", as_function=True)

    names = "class_, await_, ask_, class__, größe, value6, fi, value8, __debug___"
    assert f"function ask({names}) {{" in code
    ast.parse(lp.code(request(said), as_function=True))


def test_models_and_the_parameters_of_a_function_have_distinct_names():
    town = lp.Schema("Town", {"type": "object", "properties": {"city": {"type": "string"}}}, str)
    said = "{{Town}} {{ANSWER}} {{failures}} {{ValidationError}} {{city}}"

    code = lp.code(replace(request(said), schema=town), as_function=True)

    parameters = ("Town", "ANSWER_", "failures_", "ValidationError_", "city")
    lines = "".join(f"    {name}: str,\n" for name in parameters)
    assert f"def ask(\n{lines}) -> Town2:" in code
    assert "    city: Annotated[str | None, NotNull] = None\n" in code
    assert "return Town2.model_validate_json(reply)" in code
    assert code.startswith('# pip install openai "pydantic>=2"\n')


def test_a_comment_names_what_models_cannot_express():
    mixed = lp.Schema("Town", {"type": "object", "not": {"required": ["a"]}}, str)

    for model in (MODEL, "local"):
        asked = replace(request(), schema=mixed, model=model)
        code = lp.code(asked, as_function=True)
        note = 'Not validated, as no pydantic model can express the schema: "not".'
        assert code.startswith(f"# {note}\n")
        assert "def ask() -> Any:" in code
        assert "import pydantic" not in code
        assert note not in lp.code(asked)


def test_a_long_prompt_keeps_its_lines():
    said = "".join(f"Line {number} of a long prompt.\n" for number in range(5)) + "{{end}}"

    code = lp.code(request(said), as_function=True)

    assert '"Line 3 of a long prompt.\\n"\n' in code
    assert '"Line 4 of a long prompt.\\n" +\n' in code


@pytest.mark.parametrize("wrong", [None, 7, [], {}, {"run_id": None}, {"run_id": 3}], ids=repr)
def test_rejects_other_sources(wrong):
    with pytest.raises(InvalidParameterError, match=r"one row of lp\.runs\(\)"):
        lp.code(wrong)


def test_a_frame_is_not_pasted_into_the_message(openai):
    lp.ask("Say hello.", MODEL)

    with pytest.raises(InvalidParameterError) as error:
        lp.code(lp.runs())
    assert str(error.value).endswith("got a frame: take a row of it, such as lp.runs().iloc[0].")


def test_streamed_answers_of_scripts_end_with_a_line():
    for model in (MODEL, "anthropic:claude-haiku-4-5", "gemini:gemini-2.5-flash"):
        asked = replace(request(), model=model)
        assert lp.code(asked).endswith("\nprint()\n")
        assert lp.code(asked, "javascript").endswith("\nconsole.log();\n")


def test_an_unknown_run_is_named():
    with pytest.raises(InvalidParameterError, match="no run with the id 'missing'"):
        lp.code("missing")
    with pytest.raises(InvalidParameterError, match="no run of yours"):
        lp.code("last")


def test_an_unknown_language_gets_the_closest():
    with pytest.raises(InvalidParameterError, match=r"'pyton'\. Did you mean python\?"):
        lp.code(request(), "pyton")
    with pytest.raises(InvalidParameterError, match="Available: python, javascript, curl"):
        lp.code(request(), "COBOL")
    with pytest.raises(InvalidParameterError, match="There is no code in None"):
        lp.code(request(), None)


def test_an_unknown_provider_and_an_impossible_model_are_named():
    with pytest.raises(UnknownModelError, match="No provider is known for unknown:m"):
        lp.code(replace(request(), model="unknown:m"))
    with pytest.raises(InvalidParameterError, match=r"No model of Gemini is called 'a\?b'"):
        lp.code(replace(request(), model="gemini:a?b"), "curl")


def test_rejects_what_json_cannot_hold():
    with pytest.raises(InvalidParameterError, match="cannot be sent as JSON"):
        lp.code(request(extra={"weight": float("nan")}))


def test_deeply_nested_values_are_valid_code():
    deep = "end"
    for _ in range(98):
        deep = [deep]

    ast.parse(lp.code(request(extra={"metadata": deep})))
    assert lp.code(request(extra={"metadata": deep}), "curl").count('"end"') == 1


@pytest.fixture(scope="module")
def postgres():
    server = Server()
    yield server.url(server.new_database())
    server.close()


def test_a_log_on_postgresql_gives_the_same_code(openai, postgres, monkeypatch):
    monkeypatch.setenv("LLM_PLAYGROUND_LOG", postgres)
    lp.migrate()
    run = lp.ask("Say hello.", MODEL, temperature=0.5, top_k=5, system="Be brief.")

    assert lp.code(run.id) == lp.code("last") == lp.code(run)
    assert INCOMPLETE not in lp.code(run)
    open_log().close()
