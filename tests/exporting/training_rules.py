"""The rules of training services for JSONL files, as a strict reader.

OpenAI: guides "Supervised fine-tuning", "Vision fine-tuning" and "Direct preference optimization"
(developers.openai.com/api/docs/guides). TRL: "Dataset formats" (huggingface.co/docs/trl), where the
arguments of tool calls are objects.
"""

import base64
import json

from llm_playground import image_formats

ROLES = {"system", "user", "assistant", "tool"}


def read(text):
    """The lines; each is one JSON object without repeated names, and ends in a line feed.

    All texts can be encoded as UTF-8, also those that are escaped.
    """
    assert text.endswith("\n")
    lines = text.removesuffix("\n").split("\n")
    read = [json.loads(line, object_pairs_hook=_unique, parse_constant=_refused) for line in lines]
    assert json.dumps(read, ensure_ascii=False).encode()
    return read


def _unique(pairs):
    names = [name for name, _ in pairs]
    assert len(names) == len(set(names))
    return dict(pairs)


def _refused(constant):
    raise AssertionError(constant)


def check_tuning(example):
    assert set(example) <= {"messages", "tools"}
    check_messages(example["messages"], str)
    *earlier, last = example["messages"]
    assert last["role"] == "assistant"
    assert "weight" not in last
    assert all(one["weight"] == 0 for one in earlier if one["role"] == "assistant")
    assert any(one["role"] == "user" for one in earlier)
    check_tools(example.get("tools"))


def check_openai_pair(example):
    assert set(example) == {"input", "preferred_output", "non_preferred_output"}
    assert set(example["input"]) <= {"messages", "tools"}
    check_pair(
        example["input"]["messages"],
        example["preferred_output"],
        example["non_preferred_output"],
        str,
    )
    check_tools(example["input"].get("tools"))


def check_trl_pair(example):
    assert set(example) <= {"prompt", "chosen", "rejected", "tools"}
    check_pair(example["prompt"], example["chosen"], example["rejected"], dict)
    check_tools(example.get("tools"))


def check_pair(prompt, better, worse, arguments):
    assert prompt[-1]["role"] in ("user", "tool")
    assert better != worse
    for output in (better, worse):
        assert [one["role"] for one in output] == ["assistant"]
        check_messages([*prompt, *output], arguments)
    assert all(isinstance(one.get("content", ""), str) for one in prompt)  # DPO takes text only


def check_messages(messages, arguments):
    open_calls = []
    for message in messages:
        assert message["role"] in ROLES
        assert set(message) <= {"role", "content", "tool_calls", "tool_call_id", "weight"}
        calls = message.get("tool_calls", [])
        assert ("tool_calls" in message) == bool(calls)
        assert message["role"] == "assistant" or not calls
        if message["role"] == "tool":
            open_calls.remove(message["tool_call_id"])
        else:
            assert not open_calls
            check_content(message)
        for call in calls:
            assert set(call) == {"id", "type", "function"}
            assert call["type"] == "function"
            given = call["function"]["arguments"]
            assert isinstance(given, arguments)
            assert isinstance(json.loads(given) if arguments is str else given, dict)
            open_calls.append(call["id"])
        assert len(open_calls) == len(set(open_calls))


def check_content(message):
    content = message.get("content")
    if content is None:
        assert message["tool_calls"]
    elif isinstance(content, str):
        assert content.strip()
    else:
        assert message["role"] == "user"
        assert content
        pictures = [part for part in content if part["type"] == "image_url"]
        texts = [part for part in content if part["type"] == "text"]
        assert len(pictures) + len(texts) == len(content)
        assert len(pictures) <= 10
        assert all(part["text"].strip() for part in texts)
        for part in pictures:
            check_url(part["image_url"]["url"])


def check_url(url):
    if url.startswith("data:"):
        head, _, data = url.partition(",")
        decoded = base64.b64decode(data, validate=True)
        assert len(decoded) <= 10 << 20
        assert head in [f"data:image/{kind};base64" for kind in ("jpeg", "png", "webp")]
        assert head == f"data:{image_formats.media_type(decoded)};base64"
    else:
        assert url.startswith(("http://", "https://"))


def check_tools(tools):
    assert tools is None or tools
    for tool in tools or ():
        assert set(tool) == {"type", "function"}
        assert set(tool["function"]) == {"name", "description", "parameters"}
        assert tool["function"]["parameters"]["type"] == "object"
