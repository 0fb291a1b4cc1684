"""``%llm code`` in a real kernel."""

import pytest

from tests.kernel import kernel
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer


@pytest.fixture(scope="module")
def nb(tmp_path_factory):
    with kernel({"LLM_PLAYGROUND_HOME": str(tmp_path_factory.mktemp("home"))}) as started:
        started.run("%load_ext llm_playground\nimport llm_playground as lp")
        started.run('run = lp.ask("Say hello.", max_tokens=2, temperature=0)')
        yield started


def test_the_newest_run_is_printed_as_python(nb):
    code = nb.run("%llm code").text

    assert 'lp.ask(\n    "Say hello.",\n    "local:smollm2-135m-instruct",' in code
    assert nb.run("%llm code last").text == code
    assert nb.run("%llm code --language=python").text == code
    assert nb.run("import sys\nget_ipython().run_line_magic('llm', f'code {run.id}')").text == code


def test_options_choose_the_form(nb):
    assert "def ask() -> str:" in nb.run("%llm code last --function").text
    with WireServer(Reply(openai_stream(["Indeed."]))) as server:
        nb.run(f"lp.configure(endpoints={{'other': '{server.url}/v1'}})")
        nb.run("_ = lp.ask('Hi', 'other:m')")
        assert "stream=True" in nb.run("%llm code last").text
        assert "response = client" in nb.run("%llm code last --no-stream").text
        nb.run("_ = lp.ask('Say hello.', max_tokens=2, temperature=0)")


def test_what_cannot_be_is_said_in_one_line(nb):
    said = nb.run("%llm code --language curl").error
    assert said["ename"] == "ConfigError"
    assert "no address outside this kernel" in said["evalue"]
    assert "no run with the id 'golf'" in nb.run("%llm code golf").error["evalue"]
    assert "Write %llm code" in nb.run("%llm code --lang curl").text
    assert "Did you mean" in nb.run("%llm code --language pyton").error["evalue"]


def test_a_question_that_begins_so_is_a_prompt(nb):
    with WireServer(Reply(openai_stream(["Indeed."]))) as server:
        nb.run(f"lp.configure(endpoints={{'mine': '{server.url}/v1'}}, model='mine:m')")
        nb.run("%llm code review is hard to like")
        nb.run("lp.configure(model='local')")

    [turn] = server.requests[0].json["messages"]
    assert turn["content"] == "code review is hard to like"


def test_the_command_is_in_the_help(nb):
    assert "%llm code [RUN_ID]" in nb.run("%llm help").text
