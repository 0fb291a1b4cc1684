"""Code of runs sends what the runs sent: every endpoint, language and kind of request.

One test per endpoint: the SDKs of all its cases are loaded once, by the workers.
"""

import json
import re
from itertools import product

import pytest

import llm_playground as lp
from llm_playground.codegen import LANGUAGES
from tests.codegen.requests import FILES, GIF
from tests.codegen.running import CALLS as ASKED
from tests.codegen.running import KEY
from tests.codegen.sides import CALLS, DATA, SIDES, TEXT
from tests.codegen.test_hostile import NASTY

HOSTILE = "".join(NASTY)
SENDABLE = HOSTILE.encode("utf-8", "replace").decode()  # other texts than messages are not repaired
TOOL = {
    "name": "look",
    "description": f"Looks {SENDABLE}",
    "parameters": {"type": "object", "properties": {"n": {"type": "number"}, "__proto__": {}}},
}
SCHEMA = {
    "title": "Town",
    "type": "object",
    "properties": {"city": {"type": "string"}, "level": {"type": "integer"}},
    "required": ["city", "level"],
}
KINDS = {
    "plain": {"prompt": "Say hello."},
    "system": {
        "prompt": "Hi",
        "system": 'Be "brief".\nEOF\n$HOME',
        # The SDKs for JavaScript would send or assign these elsewhere.
        "extra": {"user_profile_id": "u'1", "__proto__": {"a": 1}},
    },
    "image": {"prompt": "What is this?", "images": [GIF, "https://example.com/a.png"]},
    "files": {"prompt": "What is this?", "files": list(FILES)},
    "tools": {"prompt": "Look.", "tools": [TOOL]},
    "schema": {"prompt": "Which town?", "schema": SCHEMA},
    "settings": {
        "prompt": "Hi",
        "temperature": 0.25,
        "max_tokens": 9_000,
        "extra": {
            "metadata": {"__proto__": 2**62 + 1, "": SENDABLE},
            "generationConfig": {"topK": True},
        },
        "headers": {"x-own": "a, \"b\" $HOME \\ `id` 'c'"},
    },
    "hostile": {"prompt": HOSTILE, "system": HOSTILE},
    "long": {"prompt": "A 'line' of \"it\" \\ $(id) `id` </script> 🎉\n" * 2_500},
}
# How the function's answer is printed as JSON.
PRINTED = {
    "python": "\nfrom pydantic_core import to_json\nprint(to_json(ask()).decode(), end='')\n",
    "javascript": "\nprocess.stdout.write(JSON.stringify(await ask()));\n",
    "curl": "\nask\n",
}
BASE_URLS = ("OPENAI_BASE_URL", "ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL")
STREAM_FIELDS = {"stream", "stream_options"}


@pytest.fixture(params=SIDES, ids=str)
def side(request):
    return request.param


@pytest.fixture
def server(side, monkeypatch, keys):
    with side.server() as started:
        for name in BASE_URLS:
            monkeypatch.setenv(name, started.url + ("/v1" if name.startswith("OPENAI") else ""))
        lp.configure(**side.setup(started.url))
        yield started


def without_stream(request):
    """What is left of a request for a stream if it asks for the whole answer."""
    body = {name: value for name, value in request.json.items() if name not in STREAM_FIELDS}
    return request.path.replace(":streamGenerateContent?alt=sse", ":generateContent"), body


@pytest.mark.filterwarnings("ignore::llm_playground.SchemaWarning")
def test_code_sends_what_the_run_sent(side, server, runs):
    assert len(KINDS["long"]["prompt"]) > 100_000
    for kind, arguments in KINDS.items():
        run = lp.ask(model=side.model, **arguments)
        asked = server.requests[-1]
        [key_header] = [name for name, value in asked.headers.items() if KEY in value]
        headers = (key_header, "anthropic-version", "x-own", "x-tier")
        for language in LANGUAGES:
            for stream in (True, False):
                printed = runs(language, lp.code(run.id, language, stream=stream))

                case, sent = (kind, language, stream), server.requests[-1]
                wanted = (asked.path, asked.json) if stream else without_stream(asked)
                assert (*case, sent.path, sent.json) == (*case, *wanted)
                for name in headers:
                    assert (*case, sent.headers.get(name)) == (*case, asked.headers.get(name))
                if language != "curl" and kind != "tools":
                    assert (*case, printed) == (*case, f"{TEXT}\n")


ANSWERS = {"plain": TEXT, "schema": DATA, "tools": CALLS}


def test_functions_return_answers_and_repeat_failed_calls(side, server, runs):
    for kind, answer in ANSWERS.items():
        run = lp.ask(model=side.model, **KINDS[kind])
        asked = server.requests[-1]
        for language in LANGUAGES:
            for stream in (True, False):
                code = lp.code(run, language, as_function=True, stream=stream)
                count = len(server.requests)
                runs(language, code)
                assert len(server.requests) == count, "an import calls nothing"
                is_refused = kind == "plain" and stream
                side.refusals[:] = [429] if is_refused else []
                printed = runs(language, code + PRINTED[language])

                case, sent = (kind, language, stream), server.requests[count:]
                assert (*case, len(sent)) == (*case, 2 if is_refused else 1)
                wanted = (asked.path, asked.json) if stream else without_stream(asked)
                assert (*case, sent[-1].path, sent[-1].json) == (*case, *wanted)
                if language != "curl":
                    assert (*case, json.loads(printed)) == (*case, answer)


STRICTER = {
    **SCHEMA,
    "properties": {"city": {"type": "string"}, "level": {"type": "integer", "maximum": 2}},
}
CAUGHT = """
from pydantic import ValidationError
try:
    ask()
except ValidationError as error:
    print(error.title, error.errors()[0]["loc"], end="")
"""


@pytest.mark.filterwarnings("ignore::llm_playground.SchemaWarning")
def test_python_functions_return_models_and_repeat_calls_for_valid_answers(side, server, runs):
    lp.configure(retry=3)
    good = lp.ask("Which town?", side.model, schema=SCHEMA)
    bad = lp.ask("Which town?", side.model, schema=STRICTER)
    for stream in (True, False):
        code = lp.code(good, as_function=True, stream=stream)
        assert runs("python", f"{code}\ntown = ask()\nprint(type(town), town.level)") == (
            "<class '__main__.Town'> 3\n"
        )

        count = len(server.requests)
        code = lp.code(bad, as_function=True, stream=stream)
        assert runs("python", code + CAUGHT) == "Town ('level',)"
        assert len(server.requests) == count + 3


# As CALLS of a program does, but no answer is printed, and a Python one may not be valid.
UNREAD = {
    "python": lambda texts: (
        f"\ntry:\n    ask({', '.join(map(ascii, texts))})\nexcept ValueError:\n    pass\n"
    ),
    "javascript": lambda texts: f"\nawait ask({', '.join(map(json.dumps, texts))});\n",
    "curl": ASKED["curl"],
}


@pytest.mark.filterwarnings("ignore::llm_playground.SchemaWarning")
def test_placeholders_may_have_the_names_that_functions_use(side, server, runs):
    lp.configure(retry=2)
    forms = [*product(("python", "javascript"), (True, False)), ("curl", True)]
    for kind, arguments in {
        "tools": {"tools": [TOOL], "extra": {"__proto__": {}}},
        "schema": {"schema": STRICTER},
    }.items():
        plain = lp.ask("Hi", side.model, **arguments)
        codes = [lp.code(plain, form, as_function=True, stream=stream) for form, stream in forms]
        values = {name: f"<{name}>" for name in re.findall(r"[A-Za-z_]\w*", "".join(codes))}
        prompt = "".join(f"{{{{{name}}}}}" for name in values)
        run = lp.ask(prompt, side.model, variables=values, **arguments)
        asked = server.requests[-1]
        for language, stream in forms:
            count = len(server.requests)
            code = lp.code(run, language, as_function=True, stream=stream)
            runs(language, code + UNREAD[language]([*values.values()]))

            case, sent = (kind, language, stream), server.requests[count:]
            wanted = asked.json if stream else without_stream(asked)[1]
            is_repeated = kind == "schema" and language == "python"
            bodies = [wanted] * (2 if is_repeated else 1)
            assert (*case, [one.json for one in sent]) == (*case, bodies)
