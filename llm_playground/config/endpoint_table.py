"""The built-in providers. Adding an OpenAI-compatible service takes a row, but no code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from llm_playground.config.clouds import CLOUDS


@dataclass(frozen=True, slots=True)
class EndpointRow:
    """One provider.

    Args:
        name: The part before the colon in ``provider:name``.
        label: The display name, for use within a sentence.
        base_url: The base URL of requests unless ``base_url_variable`` is set; ``{model}`` in it is
            the model's name.
        wire_format: ``openai`` (Chat Completions), ``openai-responses``, ``anthropic``, ``gemini``
            or ``gemini-legacy``, or one of ``clouds.CLOUDS``; other packages may add one as
            ``module:Class``.
        key_variables: Environment variables that may hold the key; empty if no key is needed.
        key_prefixes: Documented prefixes of the vendor's keys; empty if there are none.
        key_page: The page where users create a key.
        key_header: The header that carries the key as it is, where the server reads another than
            the wire format's; None for that of the wire format.
        headers: HTTP headers of every request, by names in lower case; ``${NAME}`` in a value is
            a variable of the environment.
        query: Fields of every request's query, such as ``api-version``.
        base_url_variable: The environment variable that replaces ``base_url``.
        free: Whether calls cost nothing, because the server is the user's own.
        priced_as: The provider's id in genai-prices; None if it is not listed there.
        offered: Whether its models are listed; False for an alternative API to the same models.
    """

    name: str
    label: str
    base_url: str
    wire_format: str = "openai"
    key_variables: tuple[str, ...] = ()
    key_prefixes: tuple[str, ...] = ()
    key_page: str | None = None
    key_header: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    base_url_variable: str | None = None
    free: bool = False
    priced_as: str | None = None
    offered: bool = True


_GEMINI = EndpointRow(
    "gemini",
    "Gemini",
    "https://generativelanguage.googleapis.com",
    wire_format="gemini",
    key_variables=("GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY"),
    key_prefixes=("AIza", "AQ."),
    key_page="https://aistudio.google.com/apikey",
    base_url_variable="GOOGLE_GEMINI_BASE_URL",
    priced_as="google",
)
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
    _GEMINI,
    EndpointRow("local", "the local model", "", free=True),
)

# Servers on this machine, at their default ports.
LOCAL_SERVERS = (
    EndpointRow("ollama", "Ollama", "http://127.0.0.1:11434/v1", free=True),
    EndpointRow("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", free=True),
    EndpointRow("llama.cpp", "llama.cpp", "http://127.0.0.1:8080/v1", free=True),
    EndpointRow("vllm", "vLLM", "http://127.0.0.1:8000/v1", free=True),
)

# OpenAI-compatible services, as their documentation configures an OpenAI client: name, label, base
# URL, variable and prefixes of the key, page where users create one, id in genai-prices.
_SERVICES: tuple[tuple[str, str, str, str, tuple[str, ...], str, str | None], ...] = (
    ("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY",
     ("sk-or-",), "https://openrouter.ai/settings/keys", "openrouter"),
    ("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY",
     ("gsk_",), "https://console.groq.com/keys", "groq"),
    ("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY",
     ("sk-",), "https://platform.deepseek.com/api_keys", "deepseek"),
    ("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY",
     (), "https://console.mistral.ai/api-keys", "mistral"),
    ("together", "Together AI", "https://api.together.ai/v1", "TOGETHER_API_KEY",
     (), "https://api.together.ai/settings/api-keys", "together"),
    ("fireworks", "Fireworks AI", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY",
     (), "https://app.fireworks.ai/settings/users/api-keys", "fireworks"),
    ("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY",
     ("xai-",), "https://console.x.ai", "x-ai"),
    ("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY",
     ("pplx-",), "https://www.perplexity.ai/settings/api", "perplexity"),
    ("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY",
     (), "https://cloud.cerebras.ai", "cerebras"),
    ("moonshot", "Moonshot AI", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY",
     ("sk-",), "https://platform.kimi.ai/console/api-keys", "moonshotai"),
    ("zai", "Z.AI", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY",
     (), "https://z.ai/manage-apikey/apikey-list", "zai"),
    ("cohere", "Cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY",
     (), "https://dashboard.cohere.com/api-keys", "cohere"),
    ("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY",
     ("nvapi-",), "https://build.nvidia.com/settings/api-keys", None),
    ("deepinfra", "DeepInfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY",
     (), "https://deepinfra.com/dash/api_keys", None),
    # Not priced: calls are routed to hosts with different prices.
    ("huggingface", "Hugging Face", "https://router.huggingface.co/v1", "HF_TOKEN",
     ("hf_",), "https://huggingface.co/settings/tokens", None),
)  # fmt: skip

_COMPATIBLE = [
    EndpointRow(name, label, url, "openai", (variable,), prefixes, page, priced_as=priced_as)
    for name, label, url, variable, prefixes, page, priced_as in _SERVICES
]
_GEMINI_LEGACY = replace(
    _GEMINI,
    name="gemini-legacy",
    label="Gemini (retired SDK)",
    wire_format="gemini-legacy",
    offered=False,
)

BUILT_IN: dict[str, EndpointRow] = {
    row.name: row for row in (*_VENDORS, *LOCAL_SERVERS, *_COMPATIBLE, _GEMINI_LEGACY)
}
# ``openai-responses`` is the format of ``openai`` at OpenAI's own address, see
# ``providers.wire_formats.format_name``.
WIRE_FORMATS = (
    *("openai", "openai-responses", "anthropic", "gemini", "gemini-legacy"),
    *CLOUDS,
)
