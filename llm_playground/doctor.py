"""``%llm doctor``: the state of this installation in ten lines, without secrets."""

from __future__ import annotations

import asyncio
import importlib.metadata
import json
import platform
import socket
import ssl
from urllib.parse import urlsplit

from llm_playground import _runtime, config, package_log, provenance
from llm_playground.config import credentials, dotenv
from llm_playground.errors import LLMError
from llm_playground.formatting import count
from llm_playground.installation import INSTALL
from llm_playground.redaction import printable, redact
from llm_playground.runlog import open_log

_VERSIONS = ("llm_playground", "openai", "anthropic", "google-genai", "duckdb", "ipykernel")
_ALWAYS = ("openai", "anthropic", "gemini")
_CONNECT_TIMEOUT_S = 3.0  # each of a host's addresses, and TLS
_TOTAL_TIMEOUT_S = 10.0  # with the lookup in DNS, which has no timeout of its own


def report() -> list[str]:
    """Ten lines: versions, front end, providers, embedded model, default model, log, last error.

    One more for each further provider whose key is set, and for each file of rows that the log
    refused. A connection (DNS, TCP, TLS) to each provider's host is tried for at most 10 s; no
    request is sent.
    """
    connections = _runtime.run(_reach_all(_providers()))
    versions = (f"{name} {_version(name) or 'missing'}" for name in _VERSIONS)
    lines = [
        f"Versions     {' · '.join((f'Python {platform.python_version()}', *versions))}",
        f"Front end    {_front_end()}",
        *(
            f"{config.label(name):<12} {_key(name)} · {state}"
            for name, state in connections.items()
        ),
        f"Local model  {_local()}",
        f"Default      {_default()}",
        f"Run log      {_log()}",
        f"Waiting      {_waiting()}",
        *_refused(),
        f"Last error   {_last_error()}",
    ]
    return [printable(redact(line)) for line in lines]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _front_end() -> str:
    seen = provenance.front_end()
    lab = _version("jupyterlab")
    here = f"JupyterLab {lab} in this environment" if lab else "no JupyterLab in this environment"
    return f"{seen or 'no playground has been shown yet'} · {here}"


def _key(provider: str) -> str:
    key = credentials.key_status(provider)
    if key.status == "missing":
        return f"no key ({key.variable})"
    return f"key {key.status}, {key.variable} from {key.source}"


def _providers() -> list[str]:
    """The providers that have a line: the three vendors, and others whose key is set."""
    rows = config.rows()
    keyed = [name for name in credentials.with_key() if rows[name].offered]
    used = [name for name in keyed if credentials.key_status(name).status != "missing"]
    return [name for name in keyed if name in _ALWAYS or name in used]


async def _reach_all(names: list[str]) -> dict[str, str]:
    states = await asyncio.gather(*map(_reach, names))
    return dict(zip(names, states, strict=True))


async def _reach(provider: str) -> str:
    """Connect to a provider's host, or to the proxy before it; the result for people."""
    from llm_playground.providers import http  # first use, not import

    try:
        dotenv.check_settings(provider)
        base_url = config.base_url(provider) or config.rows()[provider].base_url
    except LLMError as error:
        return str(error)
    if problem := http.problem_with(base_url):
        return f"the base URL cannot be used: {problem}"
    url, proxy = urlsplit(base_url), http.proxy_for(base_url)
    where, tls = url.hostname or "", url.scheme == "https"
    if proxy is not None:
        url, where, tls = urlsplit(f"//{proxy}"), f"proxy {proxy}", False
    try:
        at = (url.hostname or "", url.port or (443 if tls else 80))
        async with asyncio.timeout(_TOTAL_TIMEOUT_S):
            await _runtime.in_thread(lambda: _connect(at, tls))
    except (OSError, TimeoutError, ValueError) as error:
        return f"{where}: {_not_reached(error)}"
    return f"{where}: reached{', TLS ok' if tls else ''}"


def _connect(at: tuple[str, int], tls: bool) -> None:
    """Open and close a connection.

    On a blocking socket, since its timeout is judged by the operating system: an event loop that
    was held up for 3 s would report a host that answered at once as one that gives no answer.
    """
    with socket.create_connection(at, _CONNECT_TIMEOUT_S) as connection:
        if tls:
            ssl.create_default_context().wrap_socket(connection, server_hostname=at[0]).close()


def _not_reached(error: Exception) -> str:
    kinds = (
        (socket.gaierror, "not found in DNS"),
        (ssl.SSLError, "TLS fails"),
        (TimeoutError, "no answer"),
        (ConnectionRefusedError, "refused"),
        (ValueError, "not a host and a port"),
    )
    state = next((text for kind, text in kinds if isinstance(error, kind)), "not reached")
    return f"{state} ({type(error).__name__})"


def _local() -> str:
    from llm_playground.providers import local  # zip and hash tools: first use
    from llm_playground.providers.local import weights

    if not local.installed():
        return f"not installed: {INSTALL['local']}"
    try:
        file = weights.find()
    except LLMError as error:
        return str(error)
    if file is None:
        size = weights.SMOLLM2.wheel_bytes / 1e6
        return f"its weights are downloaded at the first use ({size:.0f} MB)"
    return f"{file.name}, {file.stat().st_size // 1_000_000} MB"


def _default() -> str:
    try:
        return config.default_model()
    except LLMError as error:  # it is set in a .env that needs the user's consent
        return str(error)


def _log() -> str:
    try:
        log = open_log()
        rows = log.frame("SELECT count(*) AS n FROM results")
    except LLMError as error:
        return str(error)
    return f"{log.place} · {count(int(rows['n'].iloc[0]), 'run')}"


def _waiting() -> str:
    try:
        waiting = open_log().waiting()
    except LLMError as error:
        return str(error)
    return f"{count(waiting, 'run')} not yet in the log"


def _refused() -> list[str]:
    try:
        files = open_log().refused()
    except LLMError:  # reported as the state of the log
        return []
    return [
        f"Refused      {count(len(file.rows), 'row')} in {file.path} ({'; '.join(file.reasons)}): "
        "remove the cause and call llm_playground.migrate(), or delete the file"
        for file in files
    ]


def _last_error() -> str:
    query = """
        SELECT started_at, model, error_type, error_message, CAST(attempts AS VARCHAR) AS attempts
        FROM runs WHERE error_type IS NOT NULL ORDER BY started_at DESC LIMIT 1
    """
    try:
        rows = open_log().frame(query)
    except LLMError:
        return "unknown, the log cannot be read"
    if rows.empty:
        return "none"
    row = rows.iloc[0]
    tries = json.loads(row["attempts"] or "[]")
    request_id = tries[-1].get("request_id") if tries else None
    when = row["started_at"].strftime("%d %b %H:%M UTC")
    found = f"{when} · {row['model']} · {row['error_type']} · request {request_id or 'id unknown'}"
    return f"{found} · stacks in {package_log.path()}" if package_log.path().exists() else found
