"""What an error says about the call that failed."""

from __future__ import annotations

from dataclasses import dataclass, field

import httpx2

from llm_playground import config, credentials
from llm_playground.providers import NO_KEY
from llm_playground.providers.address import proxy_for
from llm_playground.providers.base import Endpoint
from llm_playground.redact import mask
from llm_playground.types import Parameters


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where it went, for which model, and with what set."""

    endpoint: Endpoint
    model: str
    parameters: Parameters = field(default_factory=Parameters)

    @property
    def label(self) -> str:
        """The provider's name for people, as within a sentence."""
        return config.label(self.endpoint.provider)

    @property
    def model_name(self) -> str:
        """The model as the provider knows it."""
        return self.model.partition(":")[2]

    @property
    def host(self) -> str:
        """The host as written in the base URL; the provider's name for the vendor's own."""
        base_url = self.endpoint.base_url
        return httpx2.URL(base_url).netloc.decode() if base_url else self.label

    @property
    def proxy(self) -> str | None:
        """The proxy between here and the host as ``host:port``, None where there is none."""
        row = config.rows().get(self.endpoint.provider)
        base_url = self.endpoint.base_url or (row.base_url if row else None)
        return proxy_for(base_url) if base_url else None

    @property
    def key_origin(self) -> str:
        """Where the key came from and how it ends, as a sentence."""
        if self.endpoint.api_key == NO_KEY:
            return "None is set."
        masked = mask(self.endpoint.api_key)
        source = credentials.source_of(self.endpoint.provider, self.endpoint.api_key)
        if source is not None:
            return f"It came from {_with_article(source)} and ends in {masked}."
        return f"It ends in {masked}."

    @property
    def key_advice(self) -> str:
        """What to do about a key that is refused, as a sentence."""
        provider = self.endpoint.provider
        if self.endpoint.api_key == NO_KEY:
            setting = f'{{"{provider}": {{"key_variable": "NAME"}}}}'
            return f"Say which variable holds it: lp.configure(endpoints={setting})."
        row = config.rows().get(provider)
        if row is None or not row.key_variables:
            return "Restart the kernel."  # it is the embedded server's own
        check = f", or check {row.base_url_variable}" if row.base_url_variable else ""
        return f"Set another with %llm keys set {provider}{check}."


def _with_article(source: str) -> str:
    return f"the {source}" if source.isalpha() else source
