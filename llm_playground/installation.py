"""The command that installs what an optional feature needs, as messages say it.

The commands name the libraries of an extra of ``pyproject.toml``, not the extra: this project is
not on PyPI, where ``llm_playground`` is a project of somebody else.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

INSTALL: Mapping[str, str] = MappingProxyType(
    {
        "local": "pip install xllamacpp",
        "hf": "pip install huggingface_hub",
        "postgres": 'pip install "psycopg[binary]"',
        "gemini-legacy": "pip install google-generativeai requests urllib3",
        "bedrock": 'pip install "anthropic[bedrock]"',
        "keyring": "pip install keyring",
        "otel": "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
        "charts": "pip install altair vl-convert-python",
    }
)
"""By the extra's name; quoted for every shell."""
