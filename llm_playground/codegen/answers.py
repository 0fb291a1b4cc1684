"""How generated code reads an answer: the text and the tool calls, from a stream or a whole one.

One row per wire format and language. Code names what the SDK returns ``stream`` or ``response``,
collects text in ``text`` and the calls of a stream in ``calls``, by their places.
"""

from __future__ import annotations

from dataclasses import dataclass

_STEP, _CALLS = "STEP", "CALLS"


@dataclass(frozen=True, slots=True)
class AnswerCode:
    """The code for one wire format.

    Args:
        loop: The loop over ``stream``; a line ``STEP`` is where it has a piece of text, a line
            ``CALLS`` where ``call_lines`` may be.
        piece: The expression for the piece.
        call_lines: The lines that collect tool calls in ``calls``.
        stream_calls: The expression for the list of collected calls.
        text: The expression for the text of ``response``.
        calls: The expression for the list of its calls.
        check: A line that raises an error if ``response`` has failed; empty where the SDK does.
    """

    loop: str
    piece: str
    call_lines: str
    stream_calls: str
    text: str
    calls: str
    check: str = ""

    def read_stream(self, step: str, *, calls: bool) -> str:
        """The loop that does ``step`` with each piece, and collects calls if that is asked for."""
        lines = []
        for line in self.loop.splitlines(keepends=True):
            margin = line[: len(line) - len(line.lstrip())]
            if line.strip() == _STEP:
                lines.append(f"{margin}{step}\n")
            elif line.strip() == _CALLS:
                lines += [f"{margin}{one}" for one in self._call_lines(calls=calls)]
            else:
                lines.append(line)
        return "".join(lines)

    def _call_lines(self, *, calls: bool) -> list[str]:
        return self.call_lines.splitlines(keepends=True) if calls else []


_PYTHON_PARSED = """[
    call | {"arguments": json.loads(call["arguments"] or "{}")}
    for call in calls.values()
]"""
_PYTHON_GEMINI = AnswerCode(
    loop="""\
for chunk in stream:
    STEP
    CALLS
""",
    piece='chunk.text or ""',
    call_lines="""\
for call in chunk.function_calls or []:
    calls[len(calls)] = {"id": call.id, "name": call.name, "arguments": call.args}
""",
    stream_calls="list(calls.values())",
    text='response.text or ""',
    calls="""[
    {"id": call.id, "name": call.name, "arguments": call.args}
    for call in response.function_calls or []
]""",
)
PYTHON = {
    "openai": AnswerCode(
        loop="""\
for chunk in stream:
    for choice in chunk.choices:
        STEP
        CALLS
""",
        piece='choice.delta.content or ""',
        call_lines="""\
for part in choice.delta.tool_calls or []:
    first = {"id": part.id, "name": part.function.name, "arguments": ""}
    call = calls.setdefault(part.index, first)
    call["arguments"] += part.function.arguments or ""
""",
        stream_calls=_PYTHON_PARSED,
        text='response.choices[0].message.content or ""',
        calls="""[
    {
        "id": call.id,
        "name": call.function.name,
        "arguments": json.loads(call.function.arguments or "{}"),
    }
    for call in response.choices[0].message.tool_calls or []
]""",
    ),
    "openai-responses": AnswerCode(
        loop="""\
for event in stream:
    if event.type == "response.output_text.delta":
        STEP
    CALLS
    if event.type == "response.failed":
        raise RuntimeError(f"The answer failed: {event.response.error}")
""",
        piece="event.delta",
        call_lines="""\
if event.type == "response.output_item.done" and event.item.type == "function_call":
    item = event.item
    call = {"id": item.call_id, "name": item.name, "arguments": item.arguments}
    calls[event.output_index] = call
""",
        stream_calls=_PYTHON_PARSED,
        text="response.output_text",
        calls="""[
    {
        "id": item.call_id,
        "name": item.name,
        "arguments": json.loads(item.arguments or "{}"),
    }
    for item in response.output
    if item.type == "function_call"
]""",
        check="""\
if response.error:
    raise RuntimeError(f"The answer failed: {response.error}")
""",
    ),
    "anthropic": AnswerCode(
        loop="""\
for event in stream:
    if event.type == "content_block_delta" and event.delta.type == "text_delta":
        STEP
    CALLS
""",
        piece="event.delta.text",
        call_lines="""\
if event.type == "content_block_start" and event.content_block.type == "tool_use":
    block = event.content_block
    calls[event.index] = {"id": block.id, "name": block.name, "arguments": ""}
if event.type == "content_block_delta" and event.delta.type == "input_json_delta":
    if event.index in calls:  # the vendor's own tools have input too
        calls[event.index]["arguments"] += event.delta.partial_json
""",
        stream_calls=_PYTHON_PARSED,
        text='"".join(block.text for block in response.content if block.type == "text")',
        calls="""[
    {"id": block.id, "name": block.name, "arguments": block.input}
    for block in response.content
    if block.type == "tool_use"
]""",
    ),
    "gemini": _PYTHON_GEMINI,
    "gemini-legacy": _PYTHON_GEMINI,
}

_JAVASCRIPT_PARSED = """\
Object.values(calls).map((call) => ({
  ...call,
  arguments: JSON.parse(call.arguments || "{}"),
}))"""
_JAVASCRIPT_GEMINI = AnswerCode(
    loop="""\
for await (const chunk of stream) {
  STEP
  CALLS
}
""",
    piece='chunk.text ?? ""',
    call_lines="""\
for (const call of chunk.functionCalls ?? []) {
  const { id, name, args } = call;
  calls[Object.keys(calls).length] = { id, name, arguments: args };
}
""",
    stream_calls="Object.values(calls)",
    text='response.text ?? ""',
    calls="""\
(response.functionCalls ?? []).map(({ id, name, args }) => ({
  id,
  name,
  arguments: args,
}))""",
)
JAVASCRIPT = {
    "openai": AnswerCode(
        loop="""\
for await (const chunk of stream) {
  for (const choice of chunk.choices ?? []) {
    STEP
    CALLS
  }
}
""",
        piece='choice.delta.content ?? ""',
        call_lines="""\
for (const part of choice.delta.tool_calls ?? []) {
  const name = part.function.name;
  calls[part.index] ??= { id: part.id, name, arguments: "" };
  calls[part.index].arguments += part.function.arguments ?? "";
}
""",
        stream_calls=_JAVASCRIPT_PARSED,
        text='response.choices[0].message.content ?? ""',
        calls="""\
(response.choices[0].message.tool_calls ?? []).map((call) => ({
  id: call.id,
  name: call.function.name,
  arguments: JSON.parse(call.function.arguments || "{}"),
}))""",
    ),
    "openai-responses": AnswerCode(
        loop="""\
for await (const event of stream) {
  if (event.type === "response.output_text.delta") {
    STEP
  }
  CALLS
  if (event.type === "response.failed") {
    throw new Error(`The answer failed: ${event.response.error?.message}`);
  }
}
""",
        piece="event.delta",
        call_lines="""\
if (event.type === "response.output_item.done" && event.item.type === "function_call") {
  const { call_id: id, name, arguments: written } = event.item;
  calls[event.output_index] = { id, name, arguments: written };
}
""",
        stream_calls=_JAVASCRIPT_PARSED,
        text="response.output_text",
        calls="""\
response.output
  .filter((item) => item.type === "function_call")
  .map((item) => ({
    id: item.call_id,
    name: item.name,
    arguments: JSON.parse(item.arguments || "{}"),
  }))""",
        check="""\
if (response.error) {
  throw new Error(`The answer failed: ${response.error.message}`);
}
""",
    ),
    "anthropic": AnswerCode(
        loop="""\
for await (const event of stream) {
  if (event.type === "content_block_delta" && event.delta.type === "text_delta") {
    STEP
  }
  CALLS
}
""",
        piece="event.delta.text",
        call_lines="""\
if (event.type === "content_block_start" && event.content_block.type === "tool_use") {
  const { id, name } = event.content_block;
  calls[event.index] = { id, name, arguments: "" };
}
if (event.type === "content_block_delta" && event.delta.type === "input_json_delta") {
  const call = calls[event.index]; // the vendor's own tools have input too
  if (call) call.arguments += event.delta.partial_json;
}
""",
        stream_calls=_JAVASCRIPT_PARSED,
        text="""\
response.content
  .filter((block) => block.type === "text")
  .map((block) => block.text)
  .join("")""",
        calls="""\
response.content
  .filter((block) => block.type === "tool_use")
  .map(({ id, name, input }) => ({ id, name, arguments: input }))""",
    ),
    "gemini": _JAVASCRIPT_GEMINI,
    "gemini-legacy": _JAVASCRIPT_GEMINI,
}
