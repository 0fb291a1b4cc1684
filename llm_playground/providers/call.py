"""What an error says about the call that failed."""

from __future__ import annotations

from dataclasses import dataclass

import httpx2

from llm_playground import config, credentials
from llm_playground.providers.base import Endpoint
from llm_playground.redact import mask


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where it went and for which model."""

    endpoint: Endpoint
    model: str

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
    def key_origin(self) -> str:
        """Where the key came from and how it ends, as a sentence."""
        masked = mask(self.endpoint.api_key)
        if self.endpoint.provider in credentials.with_key():
            status = credentials.key_status(self.endpoint.provider)
            if status.masked == masked and status.source is not None:
                return f"It came from {_with_article(status.source)} and ends in {masked}."
        return f"It ends in {masked}."


def _with_article(source: str) -> str:
    return f"the {source}" if source.isalpha() else source
