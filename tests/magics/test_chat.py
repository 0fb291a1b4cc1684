"""``%llm chat``: what is sent of earlier turns, what stays, and what is taken back."""

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

import llm_playground as lp
from llm_playground import magics
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer, json_reply

GIF = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff,\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


@pytest.fixture
def server(home, monkeypatch):
    def answer(request):
        question = request.json["messages"][-1]["content"]
        if question == "fail":
            return json_reply(400, {"error": {"message": "no"}})
        return Reply(openai_stream(["re {{x}}"]))

    with WireServer(answer) as started:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-" + "planted" * 4)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{started.url}/v1")
        yield started


@pytest.fixture
def run(server, capsys):
    """Runs a cell; returns what it prints, or raises."""
    shell = InteractiveShell()
    magics.load(shell)
    shell.user_ns["x"] = "filled"

    def cell(code):
        shell.run_cell(code).raise_error()
        return capsys.readouterr().out

    return cell


def turns(request):
    return [(one["role"], one["content"]) for one in request.json["messages"]]


def test_turns_options_and_parts_stay_and_failures_change_nothing(run, server, tmp_path):
    (tmp_path / "a.gif").write_bytes(GIF)

    assert "The chat is empty" in run("%llm chat")
    run("%llm chat -m openai:gpt-4o -t 0.1 -s 'Be brief.' --param stop=a A {{x}}")
    run("x = 'changed'")
    with pytest.raises(lp.LLMError):
        run("%llm chat -t 0.9 fail")
    run(f"%%llm chat -t 0.5 --param seed=7 --image {tmp_path}/a.gif\nB")
    run("%llm chat --dry-run not sent")
    run("y = %llm chat -- undo")

    first, _, second, third = server.requests
    assert turns(first) == [("system", "Be brief."), ("user", "A filled")]
    assert turns(second)[:3] == [*turns(first), ("assistant", "re {{x}}")]
    assert [part["type"] for part in turns(second)[3][1]] == ["image_url", "text"]
    assert turns(third) == [*turns(second), ("assistant", "re {{x}}"), ("user", "undo")]
    options = [(r.json["temperature"], r.json["stop"], r.json.get("seed")) for r in (first, third)]
    assert options == [(0.1, ["a"], None), (0.5, ["a"], 7)]
    shown = run("%llm chat")
    assert shown.startswith("Chat with openai:gpt-4o: 3 turns, 48 tokens, $")
    assert "-t 0.5 -s 'Be brief.' --param stop=a --param seed=7\n1  A filled\n" in shown
    assert "2  B [and 1 image or file]\n   → re {{x}}\n" in shown


def test_undo_takes_turns_and_resets_back(run, server):
    run("%llm chat -m openai:gpt-4o one")
    run("%llm chat two")
    assert run("%llm chat undo").startswith("Taken back: two\nChat with openai:gpt-4o: 1 turn")
    assert "The chat of 1 turn is over" in run("%llm chat reset")
    assert "The chat is empty" in run("%llm chat")
    assert run("%llm chat undo").startswith("Chat with openai:gpt-4o: 1 turn")
    run("%llm chat three")

    assert [text for _, text in turns(server.requests[-1])] == ["one", "re {{x}}", "three"]
    run("%llm chat undo\n%llm chat undo")
    assert "no turn to take back" in run("%llm chat undo")


def test_an_unknown_price_is_said_and_an_empty_chat_is_not_reset(run, server):
    lp.configure(endpoints={"mine": f"{server.url}/v1"})
    assert run("%llm chat reset").startswith("The chat is empty.")
    assert "no turn to take back" in run("%llm chat undo")
    run("%llm chat -m mine:tiny one")
    assert run("%llm chat").startswith("Chat with mine:tiny: 1 turn, 16 tokens, price unknown.")


@pytest.mark.parametrize("options", ["-n 2", "-m local -m openai:gpt-4o", "--prompt saved"])
def test_a_turn_has_one_model_and_one_answer(run, server, options):
    with pytest.raises(UsageError, match="leave -n, further -m and --prompt out"):
        run(f"%llm chat {options} hi")
    assert not server.requests
