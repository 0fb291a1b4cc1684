"""A loopback server that answers like the vendors, whole or as a stream, in every wire format."""

import json

from tests.providers import formats, responses_format
from tests.providers.server import Reply, WireRequest, json_reply

PIECES = ("Hel", "lo, ", "wörld 😀.")
TEXT = "".join(PIECES)
IN, OUT = 11, 5
KEY = "planted-" + "key-" * 4 + "7Qa"


def answer(request: WireRequest) -> Reply:
    """What the vendor of a request's path sends."""
    path = request.path.partition("?")[0]
    if path.endswith("/chat/completions"):
        streamed, whole = formats.openai_stream(PIECES), _chat()
    elif path.endswith("/responses"):
        item = responses_format.message_item(TEXT)
        streamed = responses_format.responses_stream(PIECES)
        whole = responses_format.response("completed", output=[item], usage=responses_format.USAGE)
    elif path.endswith("/messages"):
        streamed, whole = formats.anthropic_stream(PIECES), _message()
    elif path.endswith(":streamGenerateContent"):
        return Reply(formats.gemini_stream(PIECES))
    elif path.endswith(":generateContent"):
        return json_reply(200, _gemini())
    else:
        return json_reply(200, {"object": "list", "data": [], "model": "m", "usage": {}})
    return Reply(streamed) if json.loads(request.body).get("stream") else json_reply(200, whole)


def _chat() -> dict:
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1741569952,
        "model": "gpt-4o-2024-08-06",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "usage": formats.OPENAI_USAGE,
    }


def _message() -> dict:
    return {
        "id": "msg_1nZdL29xx5MUA1yADyHTEsnR8uuvGzszyY",
        "type": "message",
        "role": "assistant",
        "content": [{"type": "text", "text": TEXT}],
        "model": "claude-sonnet-4-5-20250929",
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": formats.ANTHROPIC_USAGE,
    }


def _gemini() -> dict:
    content = {"parts": [{"text": TEXT}], "role": "model"}
    return {
        "candidates": [{"content": content, "finishReason": "STOP", "index": 0}],
        "usageMetadata": formats.GEMINI_USAGE,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "FSxnaNbUHZbjz7IPzaLPoQY",
    }
