"""Token counts without a tokenizer, for when nobody else counts."""

from __future__ import annotations

from llm_playground.types import Request, Usage

# OpenAI's rule of thumb: one token is about four characters of English, three quarters of a word
# (https://help.openai.com/en/articles/4936856). Scripts without spaces take about one a character.
_BYTES_PER_TOKEN = 4


def estimate(text: str) -> int:
    """About how many tokens a text has: a quarter of its UTF-8 bytes, rounded up.

    >>> estimate("twelve bytes"), estimate("")
    (3, 0)
    """
    return of_bytes(len(text.encode("utf-8", "surrogatepass")))


def of_bytes(count: int) -> int:
    """About how many tokens a text of so many UTF-8 bytes has."""
    return -(-count // _BYTES_PER_TOKEN)


def estimate_usage(request: Request, answer: str) -> Usage:
    """The usage of a request whose provider sent none, such as a stopped stream."""
    prompt = sum(estimate(message.text) for message in request.messages)
    return Usage(input_tokens=prompt, output_tokens=estimate(answer))
