"""What is said to a model: prompts, turns of every kind, pictures, variables. As the log has it."""

import base64
import contextlib
import json

import duckdb
import numpy as np
import pytest

import llm_playground as lp
from llm_playground.parts import Original
from tests.providers.formats import openai_stream
from tests.providers.server import Reply, WireServer

KEY = "sk-" + "planted" * 4
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
URL = "https://example.com/cat.png"
SEALED = Original("anthropic", '{"signature": "seal"}', "anthropic")


@pytest.fixture
def server(home, monkeypatch):
    """A scripted OpenAI endpoint, and it is the one that is asked."""
    with WireServer(Reply(openai_stream(["x"]))) as running:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{running.url}/v1")
        yield running


def said(*args, **kwargs):
    """The messages that the log has for what is asked so."""
    run = lp.ask(*args, model="openai:gpt-4o", **kwargs)
    [messages] = lp.sql("SELECT messages FROM prompts WHERE id = ?", [run.prompt_id]).messages
    return json.loads(messages)


def kinds(message):
    return [part["type"] for part in message["content"]]


class TestPictures:
    def test_stand_before_the_text_of_the_prompt(self, server):
        [message] = said("What is this?", images=[PNG, URL])

        assert message["role"] == "user"
        assert message["content"] == [
            {"type": "image", "media_type": "image/png", "sha256": lp.image(PNG).sha256},
            {"type": "image", "media_type": "image/png", "url": URL},
            {"type": "text", "text": "What is this?"},
        ]

    def test_are_sent_in_that_order(self, server):
        said("What is this?", images=[PNG])

        [message] = server.requests[0].json["messages"]
        picture, text = message["content"]
        assert picture["type"] == "image_url"
        assert base64.b64encode(PNG).decode() in picture["image_url"]["url"]
        assert text == {"type": "text", "text": "What is this?"}

    @pytest.mark.parametrize("one", [PNG, URL, lp.image(PNG), np.zeros((2, 2), "uint8")])
    def test_one_alone_needs_no_list(self, server, one):
        [message] = said("What is this?", images=one)

        assert kinds(message) == ["image", "text"]

    def test_need_no_prompt(self, server):
        [message] = said(images=[PNG])

        assert kinds(message) == ["image"]

    def test_tell_two_prompts_apart(self, server):
        ids = [lp.ask("?", "openai:gpt-4o", images=images).prompt_id for images in (PNG, URL, None)]

        assert len(set(ids)) == 3

    def test_their_bytes_are_not_in_the_log(self, server, home):
        said("What is this?", images=[PNG])
        lp.runs()

        for path in home.rglob("*"):
            assert path.is_dir() or base64.b64encode(PNG) not in path.read_bytes(), path


class TestTurns:
    def test_content_may_be_a_list_of_parts(self, server):
        [message, _] = said(
            "And now?",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look: "},
                        {"type": "image", "image": PNG},
                        {"type": "image", "url": URL},
                        lp.TextPart("So?"),
                        lp.ImagePart("image/png", PNG),
                    ],
                }
            ],
        )

        assert kinds(message) == ["text", "image", "image", "text", "image"]

    def test_a_message_takes_the_content_of_a_dictionary(self, server):
        contents = [
            "hi",
            [{"type": "text", "text": "hi"}],
            (lp.TextPart("hi"),),
            [lp.TextPart("hi")],
        ]

        logged = [said(messages=[lp.Message("user", content)]) for content in contents]

        assert logged == [[{"role": "user", "content": [{"type": "text", "text": "hi"}]}]] * 4

    def test_tools_may_have_been_used(self, server):
        call = lp.ToolCall("c1", "weather", '{"city": "Oslo"}')
        turns = [
            {"role": "user", "content": "Umbrella?"},
            lp.Message("assistant", (lp.ReasoningPart("Hm.", SEALED), call)),
            {"role": "tool", "content": [lp.ToolResult("c1", "weather", "rain")]},
        ]

        logged = said(messages=turns)

        assert [kinds(message) for message in logged] == [
            ["text"],
            ["reasoning", "tool_call"],
            ["tool_result"],
        ]

    def test_what_the_log_has_can_be_said_again(self, server):
        turns = [
            lp.Message("user", (lp.TextPart("Umbrella?"), lp.image(URL))),
            lp.Message(
                "assistant",
                (
                    lp.ReasoningPart("Hm.", SEALED),
                    lp.TextPart("Let me look."),
                    lp.ToolCall("c1", "weather", '{"city": "Oslo"}', SEALED),
                ),
            ),
            lp.Message("tool", (lp.ToolResult("c1", "weather", "no sun", is_error=True),)),
        ]
        once = said(messages=turns)

        assert said(messages=once) == once

    def test_variables_fill_every_text_and_leave_the_rest(self, server):
        turn = {"role": "user", "content": [{"type": "text", "text": "{{a}}"}, lp.image(URL)]}

        first, second = said("{{b}}", messages=[turn], variables={"a": 1, "b": 2})

        assert first["content"] == [
            {"type": "text", "text": "1"},
            {"type": "image", "media_type": "image/png", "url": URL},
        ]
        assert second["content"] == [{"type": "text", "text": "2"}]


class Unwritable:
    """Not JSON."""


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"images": 7}, "An image is"),
        ({"images": ["nowhere.png"]}, "no image at nowhere.png"),
        ({"tools": [lambda x: x]}, "needs a name"),
        ({"schema": "Invoice"}, "schema takes"),
        ({"messages": 7}, "messages takes a list"),
        ({"messages": {"role": "user", "content": "x"}}, "messages takes a list"),
        ({"messages": [{"role": "user", "content": 7}]}, "A message is"),
        ({"messages": [{"role": "user", "content": [7]}]}, "A message part is"),
        ({"messages": [{"role": "user", "content": [{"type": "film"}]}]}, "A message part is"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "no 'text'"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "no 'image'"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": 7}]}]}, "is text"),
        ({"messages": [lp.Message("user", 7)]}, "A message is"),
        ({"messages": [lp.Message("robot", "x")]}, "A message is"),
        ({"messages": [lp.Message("user", (7,))]}, "A message part is"),
        ({"messages": [lp.Message("user", [{"type": "text"}])]}, "no 'text'"),
        (
            {"messages": [lp.Message("user", (lp.TextPart(3),))]},
            "text of TextPart takes str; got 3",
        ),
        (
            {"messages": [lp.Message("tool", (lp.ToolResult("c", "f", None),))]},
            "text of ToolResult",
        ),
        ({"messages": [lp.Message("tool", "rain")]}, "takes ToolResult; got TextPart"),
        ({"messages": [{"role": "user", "content": [lp.ImagePart(7)]}]}, "media_type of ImagePart"),
        ({"messages": [{"role": "tool", "content": "rain"}]}, "takes ToolResult; got TextPart"),
        ({"messages": [{"role": "system", "content": [lp.image(URL)]}]}, "got ImagePart"),
        ({"prompt": None}, "empty"),
        ({"prompt": None, "messages": [{"role": "user", "content": []}]}, "empty"),
        ({"prompt": None, "messages": [{"role": "assistant", "content": "x"}]}, "empty"),
        ({"variables": 7}, "variables takes a dictionary"),
        ({"variables": ["a"]}, "variables takes a dictionary"),
        ({"tags": 7}, "tags takes"),
        ({"tags": [7]}, "tags takes"),
        ({"extra": {"a": Unwritable()}}, r"extra\['a'\] cannot be sent as JSON"),
        ({"extra": {"a": [float("nan")]}}, r"extra\['a'\] cannot be sent as JSON"),
        ({"extra": {"a": {1, 2}}}, r"extra\['a'\] cannot be sent as JSON"),
    ],
)
def test_bad_input_is_one_clear_line_and_sends_nothing(server, given, message):
    with pytest.raises(lp.ConfigError, match=message) as caught:
        lp.ask(**{"prompt": "hi", "model": "openai:gpt-4o"} | given)

    assert "\n" not in str(caught.value)
    assert not server.requests
    assert lp.runs().empty


LOCATIONS = [
    {"image": "FILE"},
    {"url": "FILE"},
    {"url": "file://FILE"},
    {"url": "FILE", "sha256": "0" * 64},
    {"image": "~/private.png"},
]


@pytest.mark.parametrize("location", LOCATIONS)
def test_a_file_that_a_stored_prompt_names_is_not_read(server, tmp_path, monkeypatch, location):
    """A log that was restored, or is shared, may have rows that another person wrote."""
    (tmp_path / "private.png").write_bytes(PNG)
    monkeypatch.setenv("HOME", str(tmp_path))
    text = json.dumps(location).replace("FILE", str(tmp_path / "private.png"))
    part = {"type": "image", **json.loads(text)}
    run = lp.ask("Look.", "openai:gpt-4o")
    lp.save_prompt("look", run)
    lp.runs()  # all is in the database
    messages = [{"role": "user", "content": [part, {"type": "text", "text": "Look."}]}]
    with duckdb.connect(str(tmp_path / "home" / "runs.duckdb")) as database:
        database.execute("UPDATE prompts SET messages = ?", [json.dumps(messages)])

    with contextlib.suppress(lp.LLMError):
        lp.ask(lp.prompt("look"), "openai:gpt-4o")
    with contextlib.suppress(lp.LLMError):
        assert base64.b64encode(PNG).decode() not in lp.code(run.id)
    panel = lp.Playground(run=run.id)
    panel.run()
    panel.results  # noqa: B018 - waits for the end
    panel.close()

    assert len(server.requests) > 1
    assert not any(b"image_url" in request.body for request in server.requests)
