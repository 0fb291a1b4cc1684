"""``%llm`` and ``%%llm`` in a real kernel, on the embedded model and on scripted endpoints."""

import json
import re
import threading

import pytest

from tests.kernel import kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

KEY = "sk-" + "planted" * 4
URL = "https://example.com/cat.png"
GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


@pytest.fixture(scope="module")
def nb(tmp_path_factory):
    """A kernel with the extension loaded, on a log of its own."""
    home = tmp_path_factory.mktemp("home")
    with kernel({"LLM_PLAYGROUND_HOME": str(home)}) as started:
        started.run("%load_ext llm_playground\nimport llm_playground as lp")
        yield started


@pytest.fixture
def serve(nb):
    """Makes a scripted server the OpenAI endpoint of the kernel."""
    servers = []

    def start(script):
        server = WireServer(script).__enter__()
        servers.append(server)
        nb.run(f"%env OPENAI_API_KEY={KEY}\n%env OPENAI_BASE_URL={server.url}/v1")
        return server

    yield start
    nb.run("import os; os.environ.pop('OPENAI_API_KEY', 0); os.environ.pop('OPENAI_BASE_URL', 0)")
    for server in servers:
        server.__exit__(None, None, None)


def test_the_answer_streams_and_ends_as_markdown_with_a_footer(nb, serve):
    seen = threading.Event()
    role, first, *rest = openai_stream(["The sea is ", "**wide**."])
    serve(Reply((role, first, seen, *rest)))

    def watch(outputs):
        if outputs.html and "The sea is" in outputs.html[-1]:
            seen.set()

    states = nb.finish(nb.start("%%llm -m openai:gpt-4o\nThe sea?"), watch).html

    assert any("pre-wrap" in state and "The sea is" in state for state in states[:-1])
    assert "pre-wrap" not in states[-1]
    assert "<p>The sea is <strong>wide</strong>.</p>" in states[-1]
    assert "tokens" in states[-1]


def test_the_embedded_model_is_free_and_says_what_it_is(nb):
    shown = nb.run("%%llm --max-tokens 8\nWrite two sentences about the sea.").html[-1]

    assert "free · " in shown
    assert " token" in shown
    assert "A very small model, to try the tool." in shown


def test_what_the_small_model_is_is_said_once_for_all_answers(nb):
    states = nb.run("%%llm -n 2 --max-tokens 4 -o both\nSay hello.")

    assert states.html[-1].count("A very small model") == 1
    assert states.plain[-1].count("A very small model") == 1
    assert any("1 of 2 answers" in html or "0 of 2 answers" in html for html in states.html)
    assert states.html[-1].count("2 answers · ") == 1
    assert nb.run("print(both._repr_html_().count('A very small model'))").text == "1\n"
    assert nb.run("%llm show").html[-1].count("A very small model") == 1


def test_a_cut_off_answer_says_so(nb, serve):
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    serve(Reply(openai_stream(["Once upon a"], finish_reason="length", usage=usage)))

    cell = "%%llm -m openai:gpt-4o --max-tokens 3\nTell me a long story."

    assert "Cut off at 3 tokens" in nb.run(cell).html[-1]


def test_the_line_magic_asks_too(nb):
    assert "free · " in nb.run("%llm --max-tokens 8 Say hello.").html[-1]


def test_options_reach_the_request(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run(
        "%%llm -m openai:gpt-4o -t 0.3 --top-p 0.9 --max-tokens 50 -s 'Be brief.' "
        "--param seed=7 -o answer --tag mine --header X-Beta=a=1 --header 'x-note=b c'\nhi"
    )

    body = server.requests[0].json
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert body["messages"][1] == {"role": "user", "content": "hi"}
    sent = {name: body.get(name) for name in ("temperature", "top_p", "seed")}
    assert sent == {"temperature": 0.3, "top_p": 0.9, "seed": 7}
    assert body["max_completion_tokens"] == 50
    headers = server.requests[0].headers
    assert (headers["x-beta"], headers["x-note"]) == ("a=1", "b c")
    assert nb.run("answer.text").result == "'fine'"
    assert nb.run("len(lp.runs(tag='mine'))").result == "1"


def test_a_preset_sets_the_temperature_and_nothing_else(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("%%llm -m openai:gpt-4o -p creative\nhi")

    assert server.requests[0].json["temperature"] == 1.0
    assert "top_p" not in server.requests[0].json


def test_names_in_double_braces_take_the_notebooks_values(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("topic = 'the sea'")
    nb.run("%%llm -m openai:gpt-4o\nAbout {{topic}}, {not this}.")

    assert server.requests[0].json["messages"][0]["content"] == "About the sea, {not this}."


def test_raw_sends_braces_as_they_are(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))
    prompt = r"<h1>{{ title }}</h1> \frac{{a}}{{b}} {{user.name}} \{{x}}"

    nb.run(f"title = 'no'\n%llm -m openai:gpt-4o --raw {prompt}")
    nb.run(f"%%llm -m openai:gpt-4o --raw\n{prompt}")

    sent = [request.json["messages"][0]["content"] for request in server.requests]
    assert sent == [prompt, prompt]


def test_pictures_are_sent_before_the_prompt(nb, serve, tmp_path):
    server = serve(Reply(openai_stream(["a dot"])))
    (tmp_path / "a dot.gif").write_bytes(GIF)

    nb.run(f"%%llm -m openai:gpt-4o --image '{tmp_path}/a dot.gif' --image {URL}\nWhat is this?")

    [message] = server.requests[0].json["messages"]
    assert [part["type"] for part in message["content"]] == ["image_url", "image_url", "text"]
    assert message["content"][1]["image_url"]["url"] == URL


def test_files_are_named_by_path_or_address(nb, serve, tmp_path):
    server = serve(Reply(openai_stream(["a table"])))
    (tmp_path / "a table.csv").write_bytes(b"a,b")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.4 <</Type /Page>>")

    nb.run(
        f"%%llm -m openai:gpt-4o --file '{tmp_path}/a table.csv' --file {tmp_path}/b.pdf\nSum up."
    )

    [message] = server.requests[0].json["messages"]
    assert [part["type"] for part in message["content"]] == ["text", "file", "text"]
    assert message["content"][0]["text"] == "File a table.csv:\n\na,b\n"


def test_a_schema_is_named_and_its_data_is_shown_and_kept(nb, serve):
    serve(Reply(openai_stream(['{"city": "<b>Oslo", "people": 7}'])))
    nb.run(
        "import dataclasses\n@dataclasses.dataclass\nclass Town:\n    city: str\n    people: int"
    )

    shown = nb.run("%%llm -m openai:gpt-4o --schema Town -o answer\nA town.").html[-1]

    assert nb.run("answer.data").result == "Town(city='<b>Oslo', people=7)"
    shown = re.sub("<[^>]*>", "", shown)
    assert "&quot;people&quot;: 7\n" in shown.replace('"', "&quot;")
    assert "&lt;b&gt;Oslo" in shown


def test_an_answer_of_another_shape_is_shown_with_the_reason(nb, serve):
    serve(Reply(openai_stream(["A **town**."])))

    nb.run("shape = list[str]")
    shown = nb.run("%%llm -m openai:gpt-4o --schema shape -o answer\nA town.").html[-1]

    assert "<strong>town</strong>" in shown
    assert shown.count("Not the shape that was asked for: The answer is not JSON") == 1


def test_a_simple_shape_needs_no_variable(nb, serve):
    serve(Reply(openai_stream(['["Mars", "Venus"]'])))

    nb.run("%%llm -m openai:gpt-4o --schema 'list[str]' -o answer\nTwo planets.")

    assert nb.run("answer.data").result == "['Mars', 'Venus']"


def test_a_json_schema_is_written_in_the_line(nb, serve):
    server = serve(Reply(openai_stream(['{"a": 1}'])))

    nb.run(
        """x = %llm -m openai:gpt-4o --schema '{"type": "object", "additionalProperties": {}}' A"""
    )

    assert nb.run("x.data").result == "{'a': 1}"
    assert '"additionalProperties"' in json.dumps(server.requests[0].json)


def test_a_file_that_is_an_image_belongs_to_the_other_option_and_needs_a_model_with_vision(
    nb, tmp_path
):
    (tmp_path / "cat.gif").write_bytes(GIF)
    before = nb.run("len(lp.runs())").result

    as_file = nb.run(f"%llm --file {tmp_path}/cat.gif What is it?")
    blind = nb.run(f"%llm -m local --image {tmp_path}/cat.gif What is it?")

    assert as_file.error["evalue"] == "cat.gif is an image. Pass it as --image."
    assert blind.error["evalue"].endswith("takes no images. Choose a model with vision.")
    assert (blind.html, blind.plain) == ([], [])
    assert nb.run("len(lp.runs())").result == before


def test_extra_is_written_as_json(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("""%%llm -m openai:gpt-4o --param 'extra={"user":"x"}'\nhi""")

    assert server.requests[0].json["user"] == "x"


def test_an_output_without_html_has_the_answer_and_its_footer(nb, serve):
    serve(Reply(openai_stream([f"**fine** {KEY}"])))

    one = nb.run("%%llm -m openai:gpt-4o\nhi").plain[-1].splitlines()
    two = nb.run("%%llm -m openai:gpt-4o -n 2\nhi").plain[-1].splitlines()

    assert one[0].startswith("**fine** ")
    assert KEY not in one[0]
    assert " tokens" in one[-1]
    assert two[0].startswith("2 answers · $")
    assert two[1:] == ["", "openai:gpt-4o", one[0], two[4], "", "openai:gpt-4o", one[0], two[8]]


def test_a_comparison_fails_only_where_no_answer_came(nb, serve):
    def refuse_one(request):
        if request.json["model"] == "nope":
            return json_reply(404, {"error": {"message": "no such model"}})
        return Reply(openai_stream(["fine"]))

    serve(refuse_one)

    some = nb.run("%%llm -m openai:gpt-4o -m openai:nope\nhi")
    none = nb.run("%%llm -m openai:nope -n 2\nhi")

    assert not some.contents("error")
    assert "fine" in some.html[-1]
    assert "(404)" in some.html[-1]
    assert none.html[-1].count("(404)") == 2
    assert "(404)" in none.error["evalue"]


def test_several_models_or_iterations_are_a_comparison(nb, serve):
    serve(Reply(openai_stream(["fine"])))

    shown = nb.run("%%llm -m openai:gpt-4o -m openai:gpt-4.1 -n 2 -o both\nhi").html[-1]

    assert shown.count("fine") == 4
    assert nb.run("both.df.iteration_number.tolist()").result == "[1, 2, 1, 2]"
    assert nb.run("lp.sql('SELECT iterations FROM executions').iterations.max()").result


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("%%llm -m unknown\nhi", "No provider is known"),
        ("%%llm -m openai:gpt-4o\nhi", "OPENAI_API_KEY"),
        ("%%llm\n", "empty"),
        ("%%llm -t 9\nhi", "temperature"),
        ("%%llm -t hot\nhi", "-t takes a number"),
        ("%%llm --nonsense\nhi", "%llm help"),
        ("%%llm -s 'open\nhi", "quot"),
        ("%%llm -n 0\nhi", "iterations"),
        ("%%llm -p wild\nhi", "precise"),
        ("%%llm -o 'not a name'\nhi", "variable"),
        ("%%llm -o class\nhi", "variable"),
        ("%llm --schema nosuch hi", "There is no variable nosuch. --schema takes the name of a "),
        ("%llm --schema '{open' hi", "The JSON is invalid"),
        ("%llm --param seed hi", "--param takes NAME=VALUE, not 'seed'."),
        ("%%llm -o print\nhi", "take another name"),
        ("%llm -o get_ipython hi", "take another name"),
        ("%%llm --schema unknown\nhi", "There is no variable unknown."),
        (
            "%%llm --schema list[open('x')]\nhi",
            "There is no variable list[open(x)]. --schema",
        ),
        ("%%llm --param extra=x\nhi", "extra takes a JSON object"),
        ("%%llm --param extra=7\nhi", "extra"),
        (f"%%llm --param extra={'[' * 20_000}\nhi", "The JSON is invalid"),
        ('%%llm --param \'extra={"model":"o1-pro"}\'\nhi', "Use -m instead"),
        ("%%llm --param 'extra={\"N\":8}'\nhi", "-n in a cell"),
        ("%%llm --header X-Beta\nhi", "--header takes NAME=VALUE"),
        ("%%llm --header Cookie=a\nhi", "headers cannot set cookie"),
        ("%%llm --header X-A=${NOPE}\nhi", "headers['x-a']: variables such as ${NOPE} are read"),
        ("%%llm --schema lp\nhi", "schema takes"),
        ("%%llm --image nowhere.png\nhi", "no image at nowhere.png"),
        ("%%llm --file nowhere.pdf\nhi", "There is no file at nowhere.pdf"),
        ("%%llm\n{{undefined}}", r"write \{{undefined}}, or the option --raw for all of them."),
        ("%%llm --raw --prompt sum\nhi", "--raw sends text as it is"),
        ("%llm use unknown", "No provider is known"),
        ("%llm modles", "Did you mean %llm models"),
        ("%llm models nosuch", "No model has 'nosuch' in its name."),
        ("%llm use", "Write %llm use MODEL."),
        ("%llm keys mistral " + "Zx81kLm" + "qRst92vW", "Nothing was sent. Write %llm keys"),
        ("%llm purge 90d", "Nothing was sent. Use lp.purge(...)"),
        ("%llm --nonsense hi", "no option --nonsense"),
        ("%llm help nothing", "there is no command 'nothing'"),
        ("%%llm hello\nhi", "takes options only, and 'hello' is none"),
    ],
)
def test_bad_input_is_one_line_and_loses_nothing(nb, code, message):
    outputs = nb.run(code)
    errors = outputs.contents("error")
    lines = errors[0]["traceback"] if errors else outputs.text.strip().splitlines()

    assert len(lines) == 1, lines
    assert message in lines[0]
    assert nb.run("1 + 1").result == "2"


def test_a_providers_error_is_one_line(nb, serve):
    serve(json_reply(401, {"error": {"message": f"Incorrect API key: {KEY}"}}))

    error = nb.run("%%llm -m openai:gpt-4o\nhi").error

    assert len(error["traceback"]) == 1
    assert "401" in error["evalue"]
    assert KEY not in str(error)


def test_interrupting_keeps_the_partial_text(nb, serve):
    pieces = openai_stream(["one ", "two ", "three "], finish_reason=None)[:4]
    server = serve(Reply(pieces, end="hang"))
    interrupted = []

    def interrupt_once(outputs):
        if not interrupted and outputs.html and "one two three" in outputs.html[-1]:
            interrupted.append(True)
            nb.manager.interrupt_kernel()

    cell = nb.start("%%llm -m openai:gpt-4o --tag broken\nhi")
    outputs = nb.finish(cell, interrupt_once)

    assert server.wait_for(lambda s: bool(s.left_at))
    assert len(outputs.error["traceback"]) == 1
    assert outputs.error["traceback"][0].startswith(
        "Interrupted: the text so far is kept (%llm show"
    )
    assert "one two three" in outputs.html[-1]
    assert "stopped after" in outputs.html[-1]
    status = "lp.runs(tag='broken')[['status', 'response_text']].values.tolist()"
    assert nb.run(status).result == "[['cancelled', 'one two three ']]"


@pytest.mark.parametrize(
    "code",
    [
        "lp.ask('hi', 'openai:gpt-4o', tags=['stopped'])",
        "await lp.complete('hi', 'openai:gpt-4o', tags=['stopped'])",
        "lp.compare('hi', ['openai:gpt-4o'], n=2, tags=['stopped'])",
        "%llm -m openai:gpt-4o -n 2 --tag stopped hi",
        "for _ in lp.stream('hi', 'openai:gpt-4o', tags=['stopped']): pass",
        "async for _ in lp.stream('hi', 'openai:gpt-4o', tags=['stopped']): pass",
        "pg = lp.Playground(models=['openai:gpt-4o'], prompt='hi')\npg.run()\npg.results",
    ],
)
def test_an_interrupted_call_is_one_line(nb, serve, code):
    pieces = openai_stream(["one ", "two "], finish_reason=None)[:3]
    server = serve(Reply(pieces, end="hang"))
    calls = 2 if "2" in code else 1

    cell = nb.start(f"{code}\nprint('not reached')")
    assert server.wait_for(lambda s: len(s.requests) == calls)
    nb.manager.interrupt_kernel()
    outputs = nb.finish(cell)

    [line] = outputs.error["traceback"]
    assert line.startswith("Interrupted: the ")
    assert "not reached" not in outputs.text
    stop = "pg.stop()" if "pg" in code else "0"
    assert nb.run(f"{stop}\n1 + 1").result == "2"
    assert server.wait_for(lambda s: len(s.left_at) == calls)


def test_top_level_await_works(nb):
    assert nb.run("(await lp.complete('Say hello.', max_tokens=8)).status").result == "'completed'"


def test_runs_go_on_while_another_cell_is_busy(nb, serve):
    serve(Reply(openai_stream(["fine"]), delay_s=0.2))

    nb.run(
        "import threading, time\n"
        "done = []\n"
        "threading.Thread(target=lambda: done.append(lp.ask('hi', 'openai:gpt-4o').text)).start()"
    )

    busy = (
        "ends = time.monotonic() + 60\n"
        "while not done and time.monotonic() < ends:\n"
        "    time.sleep(0.01)\n"
        "done"
    )
    assert nb.run(busy).result == "['fine']"


@pytest.mark.parametrize("word", ["models", "keys", "preset", "runs", "cost", "latency"])
def test_look_ups_are_frames(nb, word):
    [content] = nb.run(f"%llm {word}").contents("execute_result")

    assert "<table" in content["data"]["text/html"]


def test_models_are_shown_with_their_whole_names_and_none_left_out(nb):
    [content] = nb.run("%llm models").contents("execute_result")
    names = json.loads(nb.run("import json\nprint(json.dumps(lp.models().model.tolist()))").text)
    assigned = nb.run("table = %llm models\nprint(len(table), list(table)[0])")

    assert len(names) > 60
    assert all(f">{name}<" in content["data"]["text/html"] for name in names)
    assert all(f" {name} " in content["data"]["text/plain"] for name in names)
    assert assigned.text.endswith(f"{len(names)} model\n")
    assert not assigned.contents("execute_result")


def test_models_are_filtered_by_a_part_of_their_names(nb):
    shown = nb.run("found = %llm models SMOL\nprint(found.model.tolist())").text
    assert shown == "['local:smollm2-135m-instruct']\n"


def test_reports_take_what_their_functions_take(nb, serve):
    serve(Reply(openai_stream(["fine"])))
    nb.run("%llm -m openai:gpt-4o --tag by-report hi")

    nb.run(
        "cost = %llm cost --by user --by tag --tag by-report\n"
        "speed = %llm latency --by provider --model openai:* --tag by-report"
    )

    assert nb.run("(list(cost)[:2], cost.runs.tolist())").result == "(['user', 'tag'], [1])"
    assert nb.run("speed.provider.tolist()").result == "['openai']"
    assert "by" in nb.run("%llm cost --by colour").error["evalue"]


def test_use_sets_the_default_model(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("%llm use gpt-4o")
    nb.run("%llm hi")
    nb.run("%llm use local")

    assert server.requests[0].json["model"] == "gpt-4o"


def test_a_sentence_that_starts_with_a_command_is_a_prompt(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("%llm use gpt-4o")
    shown = nb.run("%llm runs are fun, say yes").html[-1]
    nb.run("%llm use local")

    assert "fine" in shown
    assert server.requests[0].json["messages"][0]["content"] == "runs are fun, say yes"


def test_the_line_takes_options_too(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))

    nb.run("%llm -m openai:gpt-4o -t 0.5 Say {hello}, that is 3 - 2.")

    body = server.requests[0].json
    assert body["messages"][0]["content"] == "Say {hello}, that is 3 - 2."
    assert body["temperature"] == 0.5


def test_use_says_when_the_model_lacks_its_key(nb):
    text = nb.run("%llm use claude-anything").text
    nb.run("%llm use local")

    assert "The default model is now anthropic:claude-anything." in text
    assert "put ANTHROPIC_API_KEY in .env" in text


def test_help_lists_every_option(nb):
    text = nb.run("%llm help").text
    assert nb.run("%llm --help").text == nb.run("%llm -h").text == text

    for option in (
        "--image",
        "--file",
        "--schema",
        "-m",
        "-t",
        "--top-p",
        "--max-tokens",
        "-s",
        "-n",
        "-o",
        "-p",
        "doctor",
    ):
        assert option in text


def test_doctor_prints_ten_lines_without_a_secret(nb, serve):
    serve(json_reply(500, {"error": {"message": KEY}}, {"x-request-id": "req_doctor"}))
    nb.run("%llm use gpt-4o")
    nb.run("%llm hi")
    nb.run("%llm use local")

    lines = nb.run("%llm doctor").text.strip().splitlines()

    assert len(lines) == 10
    assert KEY not in "\n".join(lines)
    assert "key present, OPENAI_API_KEY from environment · 127.0.0.1: reached" in lines[2]
    assert "req_doctor" in lines[9]


def test_answers_that_are_code_stay_text(nb, serve):
    hostile = "<script>x()</script><img src=https://example.com onerror=x()> [a](javascript:x)"
    serve(Reply(openai_stream([hostile])))

    for state in nb.run("%%llm -m openai:gpt-4o\nhi").html:
        assert "<script" not in state
        assert "<img" not in state
        assert 'href="javascript' not in state


def test_a_question_is_asked_and_its_run_can_be_assigned(nb, serve):
    server = serve(Reply(openai_stream(["fine"])))
    questions = ['What\'s the "capital" of France?', "Say -n 3 {topic} $HOME C:\\new", "hi??"]

    nb.run("%llm use gpt-4o")
    for question in questions:
        nb.run(f"a = 1\n%llm -t 0.2 {question}")
    nb.run("def about(topic):\n    %llm About {{topic}}?\nabout('bees')")
    nb.run(f"%%llm\n>>> {questions[0]}")
    assigned = nb.run("x = %llm hi?\nprint(x.text, x.source if hasattr(x, 'source') else '')")
    two = nb.run("y = %llm -n 2 hi?\nprint(len(y.runs))")
    nb.run("%llm use local")

    asked = [request.json["messages"][-1]["content"] for request in server.requests]
    assert asked == [*questions, "About bees?", f">>> {questions[0]}", "hi?", "hi?", "hi?"]
    assert assigned.text.startswith("fine")
    assert not assigned.contents("execute_result")
    assert two.text == "2\n"


def test_help_is_documentation_from_the_parsers_tables(nb):
    help_text = nb.run("%llm help").text
    pages = nb.run(
        "import json\n"
        "pages = [get_ipython().object_inspect_mime(name) for name in ('%llm', '%%llm', 'llm')]\n"
        "print(json.dumps([page['text/plain'] for page in pages]))"
    ).text

    assert help_text == nb.run("%llm").text == nb.run("%llm ?").text
    assert nb.run("%llm help code").text == nb.run("%llm code?").text
    assert nb.run("%llm help use").text.startswith("%llm use MODEL\n")
    for page in json.loads(pages):
        assert all(line.strip() in page for line in help_text.splitlines())


def test_show_brings_an_answer_of_the_log_back(nb, serve):
    serve(Reply(openai_stream(["It is **fine**."])))
    nb.run("%%llm -m openai:gpt-4o -n 2 -o both\nhi")

    by_id = nb.run("get_ipython().run_line_magic('llm', f'show {both.runs[0].id}')")
    newest = nb.run("%llm show")
    named = nb.run("rid = both.df.run_id[0]\n%llm show {rid}").html[-1]

    assert newest.html[-1].count("<strong>fine</strong>") == 2
    assert "<strong>fine</strong>" in by_id.html[-1]
    for words in ("$rid", "{{rid}}", "{both.runs[0]}", "{both.df[run_id][0]}"):
        assert nb.run(f"%llm show {words}").html[-1] == named
    assert "hi" in nb.run("%llm code {rid}").text
    assert "no run" in str(nb.run("%llm show 0000000000").contents("error")).lower()


def test_tab_reaches_the_kernel(nb):
    nb.run("from llm_playground.magics import completion\ncompletion.PATIENCE_S = 60")

    def offered(code):
        return nb.client.complete(code, reply=True, timeout=60)["content"]["matches"]

    assert offered("%llm use local") == ["local:smollm2-135m-instruct"]
    assert offered("%%llm --max") == ["--max-tokens"]
    nb.run("topic = 'bees'")
    assert "topic}}" in offered("%%llm\nAbout {{to")
