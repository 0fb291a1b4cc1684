"""The providers this package knows. A new OpenAI-compatible service is a row, no code."""

from __future__ import annotations

from llm_playground.endpoints.row import EndpointRow

_GEMINI_KEYS = ("GOOGLE_GEMINI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY")

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
        key_variables=_GEMINI_KEYS,
        key_prefixes=("AIza", "AQ."),
        key_page="https://aistudio.google.com/apikey",
        base_url_variable="GOOGLE_GEMINI_BASE_URL",
        priced_as="google",
    ),
    EndpointRow("local", "the local model", "", free=True),
)

# Servers of the user's own machine, at the port that each opens unless told otherwise.
AT_HOME = (
    EndpointRow("ollama", "Ollama", "http://127.0.0.1:11434/v1", free=True),
    EndpointRow("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", free=True),
    EndpointRow("llama.cpp", "llama.cpp", "http://127.0.0.1:8080/v1", free=True),
    EndpointRow("vllm", "vLLM", "http://127.0.0.1:8000/v1", free=True),
)

# Services that imitate OpenAI, each as its own documentation tells to set up an OpenAI client.
_COMPATIBLE = (
    EndpointRow(
        "openrouter",
        "OpenRouter",
        "https://openrouter.ai/api/v1",
        key_variables=("OPENROUTER_API_KEY",),
        key_prefixes=("sk-or-",),
        key_page="https://openrouter.ai/settings/keys",
        priced_as="openrouter",
    ),
    EndpointRow(
        "groq",
        "Groq",
        "https://api.groq.com/openai/v1",
        key_variables=("GROQ_API_KEY",),
        key_prefixes=("gsk_",),
        key_page="https://console.groq.com/keys",
        priced_as="groq",
    ),
    EndpointRow(
        "deepseek",
        "DeepSeek",
        "https://api.deepseek.com",
        key_variables=("DEEPSEEK_API_KEY",),
        key_prefixes=("sk-",),
        key_page="https://platform.deepseek.com/api_keys",
        priced_as="deepseek",
    ),
    EndpointRow(
        "mistral",
        "Mistral",
        "https://api.mistral.ai/v1",
        key_variables=("MISTRAL_API_KEY",),
        key_page="https://console.mistral.ai/api-keys",
        priced_as="mistral",
    ),
    EndpointRow(
        "together",
        "Together AI",
        "https://api.together.ai/v1",
        key_variables=("TOGETHER_API_KEY",),
        key_page="https://api.together.ai/settings/api-keys",
        priced_as="together",
    ),
    EndpointRow(
        "fireworks",
        "Fireworks AI",
        "https://api.fireworks.ai/inference/v1",
        key_variables=("FIREWORKS_API_KEY",),
        key_page="https://app.fireworks.ai/settings/users/api-keys",
        priced_as="fireworks",
    ),
    EndpointRow(
        "xai",
        "xAI",
        "https://api.x.ai/v1",
        key_variables=("XAI_API_KEY",),
        key_prefixes=("xai-",),
        key_page="https://console.x.ai",
        priced_as="x-ai",
    ),
    EndpointRow(
        "perplexity",
        "Perplexity",
        "https://api.perplexity.ai",
        key_variables=("PERPLEXITY_API_KEY",),
        key_prefixes=("pplx-",),
        key_page="https://www.perplexity.ai/settings/api",
        priced_as="perplexity",
    ),
    EndpointRow(
        "cerebras",
        "Cerebras",
        "https://api.cerebras.ai/v1",
        key_variables=("CEREBRAS_API_KEY",),
        key_page="https://cloud.cerebras.ai",
        priced_as="cerebras",
    ),
    EndpointRow(
        "moonshot",
        "Moonshot AI",
        "https://api.moonshot.ai/v1",
        key_variables=("MOONSHOT_API_KEY",),
        key_prefixes=("sk-",),
        key_page="https://platform.kimi.ai/console/api-keys",
        priced_as="moonshotai",
    ),
    EndpointRow(
        "zai",
        "Z.AI",
        "https://api.z.ai/api/paas/v4",
        key_variables=("ZAI_API_KEY",),
        key_page="https://z.ai/manage-apikey/apikey-list",
        priced_as="zai",
    ),
    EndpointRow(
        "cohere",
        "Cohere",
        "https://api.cohere.ai/compatibility/v1",
        key_variables=("COHERE_API_KEY",),
        key_page="https://dashboard.cohere.com/api-keys",
        priced_as="cohere",
    ),
    EndpointRow(
        "nvidia",
        "NVIDIA",
        "https://integrate.api.nvidia.com/v1",
        key_variables=("NVIDIA_API_KEY",),
        key_prefixes=("nvapi-",),
        key_page="https://build.nvidia.com/settings/api-keys",
    ),
    EndpointRow(
        "deepinfra",
        "DeepInfra",
        "https://api.deepinfra.com/v1/openai",
        key_variables=("DEEPINFRA_API_KEY",),
        key_page="https://deepinfra.com/dash/api_keys",
    ),
    EndpointRow(  # each call may go to another host at another price
        "huggingface",
        "Hugging Face",
        "https://router.huggingface.co/v1",
        key_variables=("HF_TOKEN",),
        key_prefixes=("hf_",),
        key_page="https://huggingface.co/settings/tokens",
    ),
)

_SECOND_WAYS = (
    EndpointRow(
        "gemini-legacy",
        "Gemini (retired SDK)",
        "https://generativelanguage.googleapis.com",
        wire_format="gemini-legacy",
        key_variables=_GEMINI_KEYS,
        key_prefixes=("AIza", "AQ."),
        key_page="https://aistudio.google.com/apikey",
        base_url_variable="GOOGLE_GEMINI_BASE_URL",
        priced_as="google",
        offered=False,
    ),
)

BUILT_IN: dict[str, EndpointRow] = {
    row.name: row for row in (*_VENDORS, *AT_HOME, *_COMPATIBLE, *_SECOND_WAYS)
}
