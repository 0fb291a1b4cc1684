"""Streams of each wire format that have every kind of part, for tests that change their values."""

from __future__ import annotations

from typing import Any

from tests.providers.responses_format import (
    call_item,
    events,
    message_item,
    reasoning_item,
    response,
)

Event = dict[str, Any]


def chat() -> list[Event]:
    """Chat Completions, with the fields of compatible services."""

    def chunk(delta: Event, reason: str | None = None, **more: Any) -> Event:
        choice = {"index": 0, "delta": delta, "finish_reason": reason, **more}
        return {"model": "gpt-4o", "service_tier": "priority", "choices": [choice]}

    cited = {"url": "https://a.example", "title": "t1", "start_index": 0, "end_index": 3}
    function = {"name": "t2", "arguments": '{"t3": 1}'}
    found = {"results": [{"url": "https://b.example", "title": "t4"}]}
    token = {"token": "a", "logprob": -1.0, "top_logprobs": [{"token": "a", "logprob": -1.0}]}
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 50,
        "total_tokens": 150,
        "cost": 0.01,
        "cost_details": {"upstream_inference_cost": 0.01},
        "prompt_tokens_details": {"cached_tokens": 10, "audio_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 5, "image_tokens": 7},
        "server_tool_use": {"web_search_requests": 1},
    }
    return [
        chunk({"role": "assistant", "content": "t5"}, logprobs={"content": [token]}),
        chunk({"reasoning_content": "t6"}),
        chunk({"reasoning_details": [{"type": "reasoning.text", "text": "t7", "index": 0}]}),
        chunk({"content": "t8", "annotations": [{"type": "url_citation", "url_citation": cited}]}),
        chunk({"images": [{"image_url": {"url": "https://c.example/t9.png"}}]}),
        chunk({"audio": {"id": "a", "data": "YWJj", "transcript": "t10"}}),
        chunk({"executed_tools": [{"index": 0, "type": "search", "output": "t11"}]}),
        chunk({"executed_tools": [{"index": 0, "search_results": found}]}),
        chunk({"tool_calls": [{"index": 0, "id": "1", "type": "function", "function": function}]}),
        chunk({"refusal": "t12"}),
        chunk({"content": [{"type": "text", "text": "t13"}, {"type": "hologram", "x": "t14"}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "t15"}]}]}),
        chunk({"hologram": [{"type": "t16"}]}),
        chunk({}, "stop", content_filter_results={"hate": {"filtered": True}}),
        {
            "citations": ["https://d.example"],
            "search_results": [{"title": "t17", "url": "https://d.example"}],
            "choices": [],
            "usage": usage,
        },
    ]


def messages() -> list[Event]:
    """Messages."""

    def block(index: int, content: Event, *deltas: Event) -> list[Event]:
        name = "content_block"
        return [
            {"type": f"{name}_start", "index": index, name: content},
            *({"type": f"{name}_delta", "index": index, "delta": delta} for delta in deltas),
            {"type": f"{name}_stop", "index": index},
        ]

    found = [{"type": "web_search_result", "title": "t5", "url": "https://a.example"}]
    cited = {"url": "https://a.example", "title": "t7", "cited_text": "t8"}
    start_usage = {
        "input_tokens": 100,
        "output_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 3},
        "service_tier": "standard",
    }
    usage = {
        "output_tokens": 50,
        "output_tokens_details": {"thinking_tokens": 5},
        "server_tool_use": {"web_search_requests": 1},
        "iterations": [{"type": "compaction", "input_tokens": 5, "output_tokens": 5}],
    }
    return [
        {"type": "message_start", "message": {"model": "claude-opus-4-6", "usage": start_usage}},
        *block(
            0,
            {"type": "thinking", "thinking": ""},
            {"type": "thinking_delta", "thinking": "t1"},
            {"type": "signature_delta", "signature": "t2"},
        ),
        *block(
            1,
            {"type": "server_tool_use", "id": "s", "name": "t3", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"q": "t4"}'},
        ),
        *block(2, {"type": "web_search_tool_result", "tool_use_id": "s", "content": found}),
        *block(
            3,
            {"type": "text", "text": "", "citations": []},
            {"type": "text_delta", "text": "t6"},
            {"type": "citations_delta", "citation": cited},
        ),
        *block(
            4,
            {"type": "tool_use", "id": "t", "name": "t9", "input": {}},
            {"type": "input_json_delta", "partial_json": '{"q": "t10"}'},
        ),
        *block(5, {"type": "redacted_thinking", "data": "t11"}),
        *block(6, {"type": "hologram", "x": ["t12"]}),
        {
            "type": "message_delta",
            "delta": {"stop_reason": "stop_sequence", "stop_sequence": "x"},
            "usage": usage,
        },
        {"type": "message_stop"},
    ]


def generate_content() -> list[Event]:
    """Gemini's streamGenerateContent."""

    def content(*parts: Event, **more: Any) -> Event:
        candidate = {"index": 0, "content": {"parts": list(parts), "role": "model"}, **more}
        return {"modelVersion": "gemini-3-pro", "candidates": [candidate]}

    token = {"token": "a", "logProbability": -1.0}
    about = {
        "logprobsResult": {
            "topCandidates": [{"candidates": [token]}],
            "chosenCandidates": [token],
        },
        "groundingMetadata": {
            "webSearchQueries": ["t8"],
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "t9"}}],
            "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0]}],
        },
        "citationMetadata": {"citationSources": [{"uri": "https://t10.example", "endIndex": 2}]},
    }
    usage = {
        "promptTokenCount": 100,
        "candidatesTokenCount": 50,
        "totalTokenCount": 165,
        "thoughtsTokenCount": 15,
        "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
    }
    return [
        content({"text": "t1"}),
        content({"text": "t2", "thought": True, "thoughtSignature": "t3"}),
        content({"functionCall": {"name": "t4", "args": {"a": "t5"}, "id": "1"}}),
        content(
            {"executableCode": {"language": "PYTHON", "code": "t6"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "t7"}},
            {"inlineData": {"mimeType": "image/png", "data": "YWJj"}},
            {"hologram": {"a": "t11"}},
        ),
        content({"text": "t12"}, {"text": "t13"}, finishReason="STOP", **about)
        | {"usageMetadata": usage},
    ]


def responses() -> list[Event]:
    """OpenAI's Responses."""
    note = {"type": "url_citation", "url": "https://a.example", "title": "t3", "end_index": 3}
    message = message_item("t2", [note])
    logs = [{"type": "logs", "logs": "t8"}, {"type": "image", "url": "https://t9.example/a.png"}]
    others: list[Event] = [
        {"type": "web_search_call", "id": "w", "action": {"type": "search", "query": "t6"}},
        {
            "type": "code_interpreter_call",
            "id": "ci",
            "container_id": "k",
            "code": "t7",
            "outputs": logs,
        },
        {"type": "image_generation_call", "id": "ig", "result": "YWJj", "revised_prompt": "t10"},
        {
            "type": "mcp_call",
            "id": "mc",
            "server_label": "s",
            "name": "t11",
            "arguments": "{}",
            "output": "t12",
        },
        {"type": "custom_tool_call", "id": "ct", "call_id": "c2", "name": "t13", "input": "t14"},
        {"type": "hologram", "id": "h", "x": ["t15"]},
    ]
    streamed = events(
        [
            (reasoning_item("t1"), ["t1"]),
            (message, ["t2"]),
            (call_item("t4", '{"a": "t5"}'), ['{"a": "t5"}']),
        ],
        background=True,
    )
    refused = {"type": "message", "id": "m2", "content": [{"type": "refusal", "refusal": "t16"}]}
    output = [*streamed[-1]["response"]["output"], *others, refused]
    usage = streamed[-1]["response"]["usage"]
    tools = {"web_search": {"num_requests": 2}, "image_gen": {"output_tokens": 4}}
    end = response("completed", output=output, usage=usage, tool_usage=tools)
    return [*streamed[:-1], {**streamed[-1], "response": end}]
