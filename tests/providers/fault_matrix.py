"""Every fault at every provider: error class, status, number of attempts, message.

``python -m tests.providers.fault_matrix`` prints the table as it comes out, and fails where it
should be another. Everything stays on loopback; the waits between attempts are left out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass

import llm_playground as lp
from llm_playground import config, errors, footer
from llm_playground.config import options
from llm_playground.config.options import Timeouts
from llm_playground.execution import retry
from tests.providers import example_provider, responses_format
from tests.providers.runner import Runner
from tests.providers.server import Reply, WireServer, json_reply
from tests.providers.vendors import PROVIDERS, Vendor

RETRY = options.Retry(attempts=3)
SILENCE_S = 0.3
TRIED_AGAIN = RETRY.attempts

Place = Callable[[Vendor], contextlib.AbstractContextManager[str]]
"""Where a vendor is reached while its fault happens: gives the base URL."""


@dataclass(frozen=True)
class Fault:
    """One row: what goes wrong, and what is to come of it.

    ``text`` is part of the lines a person reads. Faults of keys have no place: nothing is sent.
    """

    name: str
    place: Place
    kind: type[errors.LLMError] | None
    text: str
    attempts: int = 1
    status: str = "failed"


def replying(script: Callable[[Vendor], Reply]) -> Place:
    """A server that gives every request the same reply."""

    @contextlib.contextmanager
    def place(vendor: Vendor) -> Iterator[str]:
        with WireServer(script(vendor)) as server:
            yield server.url

    return place


def refusal(status: int, message: str = "Not today.", **headers: str) -> Place:
    """A JSON error of the vendors' common shape."""
    said = {"error": {"message": message, "type": "x", "code": status, "status": "X"}}
    return replying(lambda _vendor: json_reply(status, said, headers))


def stream(change: Callable[[list[bytes], Vendor], Sequence[bytes]], **how: object) -> Place:
    """A stream of two pieces, changed."""

    def script(vendor: Vendor) -> Reply:
        return Reply(tuple(change(list(vendor.stream(["Hel", "lo"])), vendor)), **how)  # type: ignore[arg-type]

    return replying(script)


def up_to_text(events: list[bytes]) -> list[bytes]:
    """The events before the last piece of text."""
    place = next(number for number, event in enumerate(events) if b'"lo"' in event)
    return events[:place]


def without_finish(events: list[bytes], vendor: Vendor) -> list[bytes]:
    """Only what comes before the last word, and the text of the event that holds it."""
    return [event for event in up_to_text(events) if vendor.last_word not in event]


@contextlib.contextmanager
def nobody_listens(_vendor: Vendor) -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def nobody_encrypts(_vendor: Vendor) -> Iterator[str]:
    with WireServer(lambda _: Reply(), greeting=b"HTTP/1.1 400 Bad Request\r\n\r\n") as server:
        yield server.url.replace("http:", "https:")


@contextlib.contextmanager
def hangs_up_on_every_request(_vendor: Vendor) -> Iterator[str]:
    """Reads a request and resets the connection before any header."""
    with WireServer(Reply(end="reset", head=False)) as server:
        yield server.url


HTML = b"<!doctype html><html><body>Welcome to the captive portal</body></html>"
TOO_LONG = "This model's maximum context length is 8192 tokens. However, you sent 9001."

E = errors
FAULTS = (
    Fault("400", refusal(400), E.RequestRejectedError, "rejected the request (400): Not today."),
    Fault("401", refusal(401), E.AuthenticationError, "refused the key (401)."),
    Fault("403", refusal(403), E.AuthenticationError, "does not let this key use"),
    Fault("404", refusal(404), E.RequestRejectedError, "has no model"),
    Fault("413", refusal(413), E.RequestRejectedError, "too large (413)"),
    Fault("422", refusal(422), E.RequestRejectedError, "rejected the request (422)"),
    Fault("429", refusal(429), E.RateLimitError, "limits the rate (429)", TRIED_AGAIN),
    Fault("500", refusal(500), E.ProviderUnavailableError, "internal error (500)", TRIED_AGAIN),
    Fault("502", refusal(502), E.ProviderUnavailableError, "(502)", TRIED_AGAIN),
    Fault("503", refusal(503), E.ProviderUnavailableError, "(503)", TRIED_AGAIN),
    Fault("504", refusal(504), E.ProviderUnavailableError, "(504)", TRIED_AGAIN),
    Fault("529", refusal(529), E.ProviderUnavailableError, "overloaded (529)", TRIED_AGAIN),
    Fault("context too long", refusal(400, TOO_LONG), E.ContextLengthError, "too long for"),
    Fault(
        "DNS failure",
        lambda _vendor: contextlib.nullcontext("http://nowhere.invalid"),
        E.ProviderUnavailableError,
        "nowhere.invalid cannot be found",
        TRIED_AGAIN,
    ),
    Fault("refused", nobody_listens, E.ProviderUnavailableError, "refuses", TRIED_AGAIN),
    Fault("TLS failure", nobody_encrypts, E.ProviderUnavailableError, "No secure", TRIED_AGAIN),
    Fault(
        "reset before headers",
        hangs_up_on_every_request,
        E.ProviderUnavailableError,
        "broke before an answer arrived",
        TRIED_AGAIN,
    ),
    Fault(
        "reset mid-stream",
        stream(lambda events, _: up_to_text(events), end="reset"),
        E.StreamInterruptedError,
        "was lost. The text so far is kept.",
    ),
    Fault(
        "silence before text",
        stream(lambda _events, _: (), end="hang"),
        E.ProviderTimeoutError,
        "sent nothing for 0.3 s",
        TRIED_AGAIN,
    ),
    Fault(
        "silence mid-stream",
        stream(lambda events, _: up_to_text(events), end="hang"),
        E.ProviderTimeoutError,
        "stopped sending for 0.3 s. The text so far is kept.",
    ),
    Fault(
        "HTML, status 200",
        replying(lambda _: Reply((HTML,), headers={"content-type": "text/html"})),
        E.ProviderError,
        "sent text/html instead of a stream",
    ),
    Fault(
        "HTML, status 502",
        replying(lambda _: Reply((HTML,), status=502, headers={"content-type": "text/html"})),
        E.ProviderUnavailableError,
        "(502)",
        TRIED_AGAIN,
    ),
    Fault(
        "JSON error, status 200",
        replying(lambda _: json_reply(200, {"error": {"message": "Sorry.", "code": 503}})),
        E.ProviderUnavailableError,
        "Sorry.",
        TRIED_AGAIN,
    ),
    Fault(
        "error event first",
        stream(lambda _events, vendor: (vendor.fault(500),)),
        E.ProviderUnavailableError,
        "Sorry.",
        TRIED_AGAIN,
    ),
    Fault(
        "error event mid-stream",
        stream(lambda events, vendor: [*up_to_text(events), vendor.fault(500)]),
        E.StreamInterruptedError,
        "Sorry. Run again in a moment. The text so far is kept.",
    ),
    Fault(
        "malformed SSE line",
        stream(lambda events, _: [events[0], b"data: {nonsense\n\n", *events[1:]]),
        None,
        "1 event of the stream could not be read",
        status="completed",
    ),
    Fault(
        "truncated JSON in the last event",
        stream(lambda events, _: [*up_to_text(events), b'data: {"choices": [{"del']),
        E.StreamInterruptedError,
        "stopped in mid-answer",
    ),
    Fault(
        "no finish event",
        stream(lambda events, vendor: without_finish(events, vendor)),
        E.StreamInterruptedError,
        "stopped in mid-answer. The text so far is kept.",
    ),
    Fault(
        "empty stream",
        stream(lambda _events, _: ()),
        E.ProviderUnavailableError,
        "sent an empty answer",
        TRIED_AGAIN,
    ),
    Fault(
        "finish twice",
        stream(lambda events, _: [*events[:-1], events[-2], events[-1]]),
        None,
        "",
        status="completed",
    ),
)


# Nothing is sent and nothing is logged: these have a run of no attempts and no row.
KEY_FAULTS = {"no key": "", "malformed key": "no key at all"}
KEY_TEXTS = {"no key": "No key for", "malformed key": "is not a key of"}


@dataclass(frozen=True)
class Outcome:
    """What came of a fault; ``said`` are the lines a person reads."""

    error: errors.LLMError | None
    status: str
    attempts: int
    said: str


async def outcome_of(fault: Fault, vendor: Vendor) -> Outcome:
    """What comes of a fault at one vendor, waits left out."""
    first_s = SILENCE_S if fault.name == "silence before text" else 60
    next_s = SILENCE_S if fault.name == "silence mid-stream" else 60
    timeouts = Timeouts(connect=5, first_delta=first_s, between_deltas=next_s)
    with fault.place(vendor) as base_url, retry.without_waits():
        async with Runner(vendor, base_url, RETRY, timeouts) as asker:
            run = await asker.run()
    return Outcome(run.error, run.status, len(run.attempts), " ".join(footer.notices(run)))


async def outcome_of_key(fault: str, vendor: Vendor) -> Outcome:
    """What comes of a key that is none."""
    variables = config.rows()[vendor.name].key_variables
    kept = {variable: os.environ.pop(variable, None) for variable in variables}
    try:
        os.environ[variables[0]] = KEY_FAULTS[fault]
        run = await lp.complete("Hi", vendor.model)
    except errors.ConfigError as error:
        return Outcome(error, "none", 0, str(error))
    finally:
        for variable, value in kept.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
    return Outcome(None, run.status, len(run.attempts), run.text)


def complaint(fault: Fault, outcome: Outcome) -> str:
    """What is not as the table has it, empty when all is."""
    found = (type(outcome.error) if outcome.error else None, outcome.status, outcome.attempts)
    wanted = (fault.kind, fault.status, fault.attempts)
    if found != wanted:
        return f"{found} instead of {wanted}"
    return "" if fault.text in outcome.said else f"{fault.text!r} is not in {outcome.said!r}"


async def table() -> AsyncIterator[tuple[Fault, Vendor, Outcome]]:
    """Every fault at every provider that can have it."""
    for name, text in KEY_TEXTS.items():
        fault = Fault(name, nobody_listens, errors.MissingKeyError, text, 0, "none")
        for vendor in PROVIDERS:
            if config.rows()[vendor.name].key_variables:
                yield fault, vendor, await outcome_of_key(name, vendor)
    for fault in FAULTS:
        for vendor in PROVIDERS:
            yield fault, vendor, await outcome_of(fault, vendor)


async def main() -> int:
    lp.configure(**example_provider.SETTINGS)
    lp.configure(**responses_format.SETTINGS)
    rows = wrong = 0
    print(f"{'fault':<34}{'provider':<15}{'error':<27}{'status':<11}tries  text")
    async for fault, vendor, outcome in table():
        kind = type(outcome.error).__name__ if outcome.error else "—"
        print(
            f"{fault.name:<34}{vendor.name:<15}{kind:<27}{outcome.status:<11}"
            f"{outcome.attempts:<7}{outcome.said}"
        )
        rows += 1
        if problem := complaint(fault, outcome):
            wrong += 1
            print(f"    WRONG: {problem}")
    print(f"{rows} rows, {wrong} wrong")
    return min(wrong, 1)


if __name__ == "__main__":
    import tempfile

    os.environ["LLM_PLAYGROUND_HOME"] = tempfile.mkdtemp()
    for variable in [name for name in os.environ if "proxy" in name.lower()]:
        del os.environ[variable]
    sys.exit(asyncio.run(main()))
