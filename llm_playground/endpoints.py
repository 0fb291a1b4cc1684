"""Which providers there are: one row each. A new OpenAI-compatible service is a row, no code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One provider: where it is reached, in which wire format, with whose key, at whose prices.

    Args:
        name: What stands before the colon in ``provider:name``.
        label: The name for people, as within a sentence.
        base_url: Where requests go unless the base URL's variable says otherwise.
        wire_format: ``openai``, ``anthropic``, ``gemini`` or ``gemini-legacy``; a package of its
            own may bring another as ``module:Class``.
        key_variables: Environment variables that may hold the key; none where no key is needed.
        key_prefixes: How the vendor's keys start; none where nobody documents it.
        key_page: Where a key is had.
        base_url_variable: The environment variable that moves ``base_url``.
        free: Whether a call costs nothing, because the server is the user's own.
        priced_as: The provider's id in genai-prices, None where it does not list it.
    """

    name: str
    label: str
    base_url: str
    wire_format: str = "openai"
    key_variables: tuple[str, ...] = ()
    key_prefixes: tuple[str, ...] = ()
    key_page: str | None = None
    base_url_variable: str | None = None
    free: bool = False
    priced_as: str | None = None


_VENDORS = (
    EndpointRow(
        "openai",
        "OpenAI",
        "https://api.openai.com/v1",
        key_variables=("OPENAI_API_KEY",),
        key_prefixes=("sk-",),
        key_page="https://platform.openai.com/api-keys",
        base_url_variable="OPENAI_BASE_URL",
        priced_as="openai",
    ),
    EndpointRow(
        "anthropic",
        "Anthropic",
        "https://api.anthropic.com",
        wire_format="anthropic",
        key_variables=("ANTHROPIC_API_KEY",),
        key_prefixes=("sk-ant-",),
        key_page="https://console.anthropic.com/settings/keys",
        base_url_variable="ANTHROPIC_BASE_URL",
        priced_as="anthropic",
    ),
    EndpointRow(
        "gemini",
        "Gemini",
        "https://generativelanguage.googleapis.com",
        wire_format="gemini",
        key_variables=("GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
        key_prefixes=("AIza", "AQ."),
        key_page="https://aistudio.google.com/apikey",
        base_url_variable="GOOGLE_GEMINI_BASE_URL",
        priced_as="google",
    ),
    EndpointRow("local", "the local model", "", free=True),
)
# Servers of the user's own machine, at the port that each opens unless told otherwise.
_AT_HOME = (
    EndpointRow("ollama", "Ollama", "http://127.0.0.1:11434/v1", free=True),
    EndpointRow("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", free=True),
    EndpointRow("llama.cpp", "llama.cpp", "http://127.0.0.1:8080/v1", free=True),
    EndpointRow("vllm", "vLLM", "http://127.0.0.1:8000/v1", free=True),
)
BUILT_IN: dict[str, EndpointRow] = {row.name: row for row in (*_VENDORS, *_AT_HOME)}
