"""Attributes of OpenTelemetry's conventions by name, with their types, and the JSON of messages.

Written by hand from the documents ``client-inference.md`` and ``execute-tool.md`` of
``open-telemetry/semantic-conventions-genai`` (schema 1.42.0-dev, commit 024a4f94), and from
``open-telemetry/semantic-conventions`` v1.44.0 for ``error``, ``http`` and ``server``.
"""

import json

TYPES = {
    "error.type": str,
    "gen_ai.input.messages": "messages",
    "gen_ai.operation.name": {"chat", "execute_tool"},
    "gen_ai.output.messages": "messages",
    "gen_ai.output.type": {"text", "json", "image", "speech"},
    "gen_ai.provider.name": str,
    "gen_ai.request.frequency_penalty": float,
    "gen_ai.request.max_tokens": int,
    "gen_ai.request.model": str,
    "gen_ai.request.presence_penalty": float,
    "gen_ai.request.reasoning.level": str,
    "gen_ai.request.seed": int,
    "gen_ai.request.stop_sequences": list,
    "gen_ai.request.stream": bool,
    "gen_ai.request.temperature": float,
    "gen_ai.request.top_k": int,
    "gen_ai.request.top_p": float,
    "gen_ai.response.finish_reasons": list,
    "gen_ai.response.id": str,
    "gen_ai.response.model": str,
    "gen_ai.response.time_to_first_chunk": float,
    "gen_ai.system_instructions": "parts",
    "gen_ai.tool.call.arguments": "object",
    "gen_ai.tool.call.id": str,
    "gen_ai.tool.call.result": str,
    "gen_ai.tool.definitions": "tools",
    "gen_ai.tool.description": str,
    "gen_ai.tool.name": str,
    "gen_ai.tool.type": {"function", "extension", "datastore"},
    "gen_ai.usage.audio.input_tokens": int,
    "gen_ai.usage.audio.output_tokens": int,
    "gen_ai.usage.cache_read.input_tokens": int,
    "gen_ai.usage.cache_write.input_tokens": int,
    "gen_ai.usage.image.input_tokens": int,
    "gen_ai.usage.image.output_tokens": int,
    "gen_ai.usage.input_tokens": int,
    "gen_ai.usage.output_tokens": int,
    "gen_ai.usage.reasoning.output_tokens": int,
    "http.request.resend_count": int,
    "http.response.status_code": int,
    "server.address": str,
    "server.port": int,
}
REQUIRED = {"gen_ai.operation.name", "gen_ai.provider.name", "gen_ai.request.model"}
PROVIDERS = {
    *("anthropic", "aws.bedrock", "azure.ai.inference", "azure.ai.openai", "cohere", "deepseek"),
    *("gcp.gemini", "gcp.gen_ai", "gcp.vertex_ai", "groq", "ibm.watsonx.ai", "mistral_ai"),
    *("moonshot_ai", "openai", "perplexity", "x_ai"),
}
FINISH_REASONS = {"stop", "length", "content_filter", "tool_call", "error", "other"}
# What a part of each type must have; a part of another type may have anything.
PARTS = {
    "text": {"content"},
    "reasoning": {"content"},
    "tool_call": {"name"},
    "tool_call_response": {"response"},
    "server_tool_call": {"name", "server_tool_call"},
    "server_tool_call_response": {"server_tool_call_response"},
    "uri": {"modality", "uri"},
    "blob": {"modality", "content"},
    "file": {"modality", "file_id"},
}
OWN = "llm_playground."


def check(name, attributes):
    """Check the attributes of a span by the table; those of ours have their own prefix."""
    if name.startswith("chat "):
        assert set(attributes) >= REQUIRED
        assert name == f"chat {attributes['gen_ai.request.model']}"
    if name.startswith("execute_tool "):
        assert attributes["gen_ai.operation.name"] == "execute_tool"
        assert name == f"execute_tool {attributes['gen_ai.tool.name']}"
    assert ("server.address" in attributes) == ("server.port" in attributes)
    for attribute, value in attributes.items():
        if attribute.startswith(OWN):
            continue
        kind = TYPES[attribute]
        if isinstance(kind, set):
            assert value in kind, attribute
        elif isinstance(kind, str):
            _JSON[kind](json.loads(value))
        else:
            assert type(value) is kind, attribute
        if kind is list:
            assert all(type(one) is str for one in value), attribute
    assert set(attributes.get("gen_ai.response.finish_reasons", ())) <= FINISH_REASONS


def _check_messages(messages):
    assert messages
    for message in messages:
        assert set(message) == {"role", "parts"}
        assert message["role"] in ("user", "assistant", "tool")
        _check_parts(message["parts"])


def _check_parts(parts):
    for part in parts:
        assert set(part) >= {"type", *PARTS.get(part["type"], ())}
        assert None not in part.values()
        if part["type"] in ("text", "reasoning"):
            assert isinstance(part["content"], str)


def _check_tools(tools):
    assert tools
    for tool in tools:
        assert set(tool) == {"type", "name", "description", "parameters"}


_JSON = {
    "messages": _check_messages,
    "parts": _check_parts,
    "tools": _check_tools,
    "object": lambda value: isinstance(value, dict),
}
