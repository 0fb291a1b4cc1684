"""Clouds whose calls carry the credentials of an account in place of a key.

The endpoint's row names the wire format; its base URL has project and region. The vendors' SDKs
find the credentials as they do everywhere: Google's application default credentials
(https://cloud.google.com/docs/authentication/application-default-credentials), the chain of AWS
(https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html). None of them is
read, stored or logged by this package.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from llm_playground._validation import short_repr
from llm_playground.errors import InvalidParameterError

_PLACE = re.compile(r"(?P<root>.+)/projects/(?P<project>[^/]+)/locations/(?P<region>[^/]+)")
# Also in the names of private endpoints: vpce-1.bedrock-mantle.us-east-1.vpce.amazonaws.com.
_BEDROCK_REGION = re.compile(r"://(?:[\w-]+\.)*bedrock-mantle\.([a-z0-9-]+)\.")
# As in a URL: google.com:my-project is a project of a domain.
_NAME = re.compile(r"[a-z0-9][a-z0-9.:-]{0,99}")


@dataclass(frozen=True, slots=True)
class Cloud:
    """How one wire format of a cloud is reached.

    Args:
        takes: The fields of a row in place of its base URL.
        base_url: The base URL, from the values of ``takes``.
        priced_as: The provider's id in genai-prices for a base URL; None where its prices are not
            those of the list.
        credentials: The credentials, for use within a sentence.
        advice: What to do where there are none, or they are refused, as a sentence.
    """

    takes: tuple[str, ...]
    base_url: Callable[..., str]
    priced_as: Callable[[str], str | None]
    credentials: str
    advice: str


def _vertex(version: str) -> Callable[..., str]:
    """Base URLs of Vertex AI, as the SDKs form them (``anthropic.lib.vertex``, google-genai)."""
    hosts = {
        "global": "aiplatform.googleapis.com",
        "us": "aiplatform.us.rep.googleapis.com",
        "eu": "aiplatform.eu.rep.googleapis.com",
    }

    def base_url(project: str, region: str) -> str:
        host = hosts.get(region, f"{region}-aiplatform.googleapis.com")
        return f"https://{host}/{version}/projects/{project}/locations/{region}"

    return base_url


def _google(version: str) -> Cloud:
    return Cloud(
        ("project", "region"),
        _vertex(version),
        # Calls in a region cost more than the list says.
        lambda base_url: "google" if base_url.endswith("/locations/global") else None,
        "Google's application default credentials",
        "Run gcloud auth application-default login, or name a file of credentials with the "
        "variable GOOGLE_APPLICATION_CREDENTIALS of the environment.",
    )


CLOUDS: dict[str, Cloud] = {
    "anthropic-vertex": _google("v1"),
    "gemini-vertex": _google("v1beta1"),
    "anthropic-bedrock": Cloud(
        ("region",),
        # As ``anthropic.lib.bedrock._mantle`` forms it.
        lambda region: f"https://bedrock-mantle.{region}.api.aws/anthropic",
        lambda _base_url: "aws",
        "the AWS credentials of the environment",
        "Run aws configure or aws sso login, or name a profile with the variable AWS_PROFILE of "
        "the environment.",
    ),
}


def base_url(endpoint: str, wire_format: object, values: Mapping[str, object]) -> str:
    """The base URL for ``values``, the fields ``project`` and ``region`` of a row.

    Raises:
        InvalidParameterError: The wire format takes others, or one of them is no name.

    >>> base_url("vertex", "anthropic-vertex", {"project": "my-project", "region": "us-east5"})
    'https://us-east5-aiplatform.googleapis.com/v1/projects/my-project/locations/us-east5'
    """
    cloud = CLOUDS.get(wire_format) if isinstance(wire_format, str) else None
    if cloud is None:
        raise InvalidParameterError(
            f"{endpoint} has {' and '.join(values)}, which the wire formats {', '.join(CLOUDS)} "
            "take."
        )
    if values.keys() != set(cloud.takes):
        raise InvalidParameterError(
            f"{endpoint} has the wire format {wire_format}, which takes "
            f"{' and '.join(cloud.takes)}, or the whole base_url."
        )
    for name, value in values.items():
        if not isinstance(value, str) or not _NAME.fullmatch(value):
            raise InvalidParameterError(f"{endpoint}: {short_repr(value)} cannot be a {name}.")
    return cloud.base_url(**values)


@dataclass(frozen=True, slots=True)
class VertexAddress:
    """The pieces of a base URL of Vertex AI."""

    root: str
    project: str
    region: str


def vertex_address(base_url: str) -> VertexAddress | None:
    """The pieces of a base URL of Vertex AI; None where it has no project and region.

    >>> vertex_address("http://127.0.0.1/v1/projects/p/locations/global")
    VertexAddress(root='http://127.0.0.1/v1', project='p', region='global')
    """
    match = _PLACE.fullmatch(base_url)
    return None if match is None else VertexAddress(**match.groupdict())


def bedrock_region(base_url: str) -> str | None:
    """The region in a host of Amazon Bedrock; None where it has none, as on a gateway.

    >>> bedrock_region("https://bedrock-mantle.eu-west-1.api.aws/anthropic")
    'eu-west-1'
    """
    match = _BEDROCK_REGION.search(base_url)
    return None if match is None else match[1]
