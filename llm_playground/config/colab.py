"""Google Colab's model proxy, which serves models to a notebook without a key of the user's.

Address and token are where ``google.colab.ai`` finds them:
https://github.com/googlecolab/colabtools/blob/main/google/colab/ai.py. Elsewhere it is absent.
"""

from __future__ import annotations

import re
from functools import lru_cache

from llm_playground.config.endpoint_table import EndpointRow

NAME = "colab"
SOURCE = "Colab"
HOST_VARIABLE = "MODEL_PROXY_HOST"
_KEY_VARIABLE = "MODEL_PROXY_API_KEY"
_PATH = "/models/openapi"
_HOST = re.compile(r"https?://[A-Za-z0-9.:\[\]-]+(?:/[\w.~-]+)*", re.ASCII)


@lru_cache(maxsize=4)
def rows(host: str) -> dict[str, EndpointRow]:
    """The proxy's row by name, given the value of ``HOST_VARIABLE``; none where it has no host."""
    host = host.strip().rstrip("/")
    if not _HOST.fullmatch(host):
        return {}
    row = EndpointRow(NAME, "Google Colab", host + _PATH, key_variables=(_KEY_VARIABLE,), free=True)
    return {NAME: row}


def models_url(row: EndpointRow) -> str | None:
    """Where the proxy lists its models; None for the row of another provider."""
    is_proxy = row.name == NAME and row.base_url.endswith(_PATH)
    return row.base_url.removesuffix("/openapi") if is_proxy else None


def key() -> str | None:
    """The token that Colab keeps for this notebook; None outside Colab. May wait for the page."""
    try:
        from google.colab import userdata  # type: ignore[import-untyped]  # of Colab's kernels

        token = userdata.get(_KEY_VARIABLE)
    except Exception:  # no Colab, no access to the secret, or a page that does not answer
        return None
    return token if isinstance(token, str) and token.strip() else None
