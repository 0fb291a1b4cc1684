"""Prompts and answers of runs as chat messages, the form that training files share.

These are the messages of OpenAI's Chat Completions, which Azure, Mistral, Together, Fireworks and
Hugging Face's TRL take as well. Reasoning has no place in them and is not exported. A run with
anything else that they cannot hold raises :class:`LeftOut`.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from llm_playground import image_formats
from llm_playground.exporting.records import Exported, by_id, conversation, parts_of
from llm_playground.exporting.rows import Row, earlier_turns
from llm_playground.parts import ToolCall
from llm_playground.runlog.reading import json_value
from llm_playground.runlog.rows import clean_json

Json = dict[str, Any]

# OpenAI's limits for training files with pictures.
MAX_PICTURES, MAX_PICTURE_BYTES = 10, 10 << 20
_PICTURE_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
_OWN_TOOLS = "with calls of the provider's own tools"
# Why a run with a part of this type is left out.
_REASONS = {
    "file": "with documents or recordings",
    "audio": "with documents or recordings",
    "server_tool_call": _OWN_TOOLS,
    "server_tool_result": _OWN_TOOLS,
    "server_tool_error": _OWN_TOOLS,
    "refusal": "with a refusal",
}
_RESULTS = ("tool_result", "tool_error")
_ENDS = {
    "cancelled": "stopped",
    "over_budget": "refused by a budget",
    "running": "still running",
    None: "without a known end",
}


class LeftOut(Exception):  # noqa: N818 - an outcome that is counted, no failure
    """A run or pair that a format cannot hold. The text is the reason, to follow a number."""


@dataclass(frozen=True, slots=True)
class ChatFormat:
    """What the messages of a format can hold."""

    pictures: bool  # as parts of the type `image_url`
    arguments: type[str] | type[dict[str, Any]]  # of tool calls: JSON as text, or an object


@dataclass(frozen=True)
class ChatRuns:
    """Runs whose prompts and answers become messages of one format."""

    exported: Exported
    format: ChatFormat

    def prompt(self, row: Row) -> list[Json]:
        """All messages that a run sent.

        Raises:
            LeftOut: They cannot be expressed, or are not known.
        """
        if row["prompt_id"] not in self._prompts and row["prompt_id"] in self._turns:
            raise LeftOut("of conversations whose texts were changed")
        sent = conversation(row, self._prompts)
        if not sent or not any(message.get("role") == "user" for message in sent):
            raise LeftOut("without stored texts")
        messages = [one for message in sent for one in self._messages(message)]
        shown = _pictures_in(messages)
        if row["attachments"] and not shown:
            raise LeftOut("with pictures or files that the log does not hold")
        if shown > MAX_PICTURES:
            raise LeftOut(f"with more than {MAX_PICTURES} pictures")
        _check_tool_calls(messages)
        return messages

    def answer(self, row: Row) -> Json:
        """The answer of a run, as the message that a model is to learn.

        Raises:
            LeftOut: There is no whole answer, or it cannot be expressed.
        """
        if row["status"] != "completed":
            raise LeftOut(_ENDS.get(row["status"], str(row["status"])))
        if row["finish_reason"] == "length":
            raise LeftOut("cut off")
        parts = row["parts"] if isinstance(row["parts"], list) else []
        _check_parts(parts, "assistant")
        calls = self._results.get(row["run_id"], {}).get("tool_calls") or ()
        if row["response_text"] is None and not calls:
            raise LeftOut("without stored texts")
        return self._assistant(row["response_text"] or "", calls)

    def tools(self, row: Row) -> list[Json]:
        """The tools of a run's prompt, in their order.

        Raises:
            LeftOut: The log does not hold one of them.
        """
        names = self._prompts.get(row["prompt_id"] or "", {}).get("tools")
        tools = []
        for one in names if isinstance(names, list) else ():
            if not isinstance(one, str) or one not in self._definitions:
                raise LeftOut("with tools that the log does not hold")
            definition = self._definitions[one]
            function = {"name": definition["name"], **json_value(definition["content"])}
            tools.append({"type": "function", "function": function})
        return tools

    def schema_hash(self, row: Row) -> str | None:
        """The hash of the schema that an answer had to follow; None without one."""
        found: str | None = self._prompts.get(row["prompt_id"] or "", {}).get("schema_hash")
        return found

    @cached_property
    def _prompts(self) -> dict[str, Row]:
        return by_id(self.exported.records, "prompts")

    @cached_property
    def _results(self) -> dict[str, Row]:
        return by_id(self.exported.records, "results")

    @cached_property
    def _definitions(self) -> dict[str, Row]:
        return by_id(self.exported.records, "definitions")

    @cached_property
    def _turns(self) -> dict[str, list[Mapping[str, Any]]]:
        """The earlier turns of prompts that the frame has changed, for which no record is there."""
        changed = [row for row in self.exported.rows if row["prompt_id"] not in self._prompts]
        return earlier_turns(changed)

    def _messages(self, message: Mapping[str, Any]) -> Iterator[Json]:
        role, parts = str(message.get("role")), list(parts_of(message))
        _check_parts(parts, role)
        results = [part for part in parts if part.get("type") in _RESULTS]
        if role == "tool" or results:
            for part in results:
                text = str(part.get("text", ""))
                yield {"role": "tool", "tool_call_id": str(part.get("id", "")), "content": text}
        elif role == "assistant":
            calls = [part for part in parts if part.get("type") == "tool_call"]
            yield self._assistant(_text(parts), calls)
        else:
            yield {"role": role, "content": self._content(parts)}

    def _content(self, parts: Sequence[Mapping[str, Any]]) -> str | list[Json]:
        """The content of a user's or system message: text, or parts if there are pictures."""
        if not any(part.get("type") == "image" for part in parts):
            return _not_empty(_text(parts))
        if not self.format.pictures:
            raise LeftOut("with pictures")
        content = []
        for part in parts:
            if part.get("type") == "image":
                url = part.get("url") or self._data_uri(str(part.get("sha256")))
                content.append({"type": "image_url", "image_url": {"url": url}})
            elif str(part.get("text", "")).strip():
                content.append({"type": "text", "text": str(part["text"])})
        return content

    def _data_uri(self, sha256: str) -> str:
        data = self.exported.pictures.get(sha256)
        if data is None:
            raise LeftOut("with pictures or files that the log does not hold")
        media_type = image_formats.media_type(data)  # by the bytes, not by the claim
        if media_type not in _PICTURE_TYPES:
            raise LeftOut("with pictures that are not JPEG, PNG or WebP")
        if len(data) > MAX_PICTURE_BYTES:
            raise LeftOut("with pictures above 10 MB")
        return f"data:{media_type};base64,{base64.b64encode(data).decode()}"

    def _assistant(self, text: str, calls: Iterable[Mapping[str, Any]]) -> Json:
        """A message of the model; one without text has its tool calls only."""
        written = [self._call(call) for call in calls]
        content = {"content": text} if text.strip() or not written else {}
        if content:
            _not_empty(text)
        return {"role": "assistant", **content, **({"tool_calls": written} if written else {})}

    def _call(self, call: Mapping[str, Any]) -> Json:
        given = call.get("arguments")
        text = given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)
        try:
            parsed = ToolCall("", "", text).arguments
        except (ValueError, RecursionError):
            raise LeftOut("with tool calls whose arguments are not JSON") from None
        # Escapes in the text may be lone surrogates, which a file in UTF-8 cannot hold.
        arguments: object = text if self.format.arguments is str else clean_json(parsed)
        function = {"name": str(call.get("name", "")), "arguments": arguments}
        return {"id": str(call.get("id", "")), "type": "function", "function": function}


def _text(parts: Iterable[Mapping[str, Any]]) -> str:
    texts = (str(part.get("text", "")) for part in parts if part.get("type") == "text")
    return "\n\n".join(text for text in texts if text)


def _not_empty(text: str) -> str:
    if not text.strip():
        raise LeftOut("with an empty message")
    return text


def _check_parts(parts: Iterable[object], role: str) -> None:
    for part in parts:
        kind = str(part.get("type")) if isinstance(part, Mapping) else "other"
        if kind == "image" and role == "assistant":
            raise LeftOut("with pictures in an answer")
        if kind not in ("text", "image", "reasoning", "tool_call", *_RESULTS):
            raise LeftOut(_REASONS.get(kind, "with parts that only their provider can read"))


def _check_tool_calls(messages: Sequence[Json]) -> None:
    """Check that each call has an id of its own and its result right behind it.

    Raises:
        LeftOut: One has not, so that training services refuse the file.
    """
    open_calls: list[str] = []
    for message in [*messages, {"role": "end"}]:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                raise LeftOut("with results of tools that were not called")
            open_calls.remove(message["tool_call_id"])
        elif open_calls:
            raise LeftOut("with tool calls without results")
        open_calls += [call["id"] for call in message.get("tool_calls", ())]


def _pictures_in(messages: Iterable[Json]) -> int:
    contents = (message.get("content") for message in messages)
    parts = (part for content in contents if isinstance(content, list) for part in content)
    return sum(part["type"] == "image_url" for part in parts)


def counted(reasons: Iterable[str]) -> str:
    """Reasons with their numbers, the most frequent first.

    >>> counted(["failed", "cut off", "failed"])
    '2 failed, 1 cut off'
    """
    return ", ".join(f"{number:,} {reason}" for reason, number in Counter(reasons).most_common())


def json_line(value: Json) -> str:
    r"""A line of JSONL.

    >>> json_line({"messages": []})
    '{"messages": []}\n'
    """
    return json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n"
