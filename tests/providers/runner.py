"""Complete runs against a scripted server, with the real engine, limiter and log."""

from __future__ import annotations

from typing import Any

from llm_playground.calls import CallOptions
from llm_playground.config.options import Retry, Timeouts
from llm_playground.execution import Emit, Engine
from llm_playground.runlog import open_log
from llm_playground.types import Run
from tests.providers.vendors import Vendor

ONCE = Retry(attempts=1)
PATIENT = Timeouts()


class Runner:
    """Asks one vendor's provider at one address."""

    def __init__(
        self,
        vendor: Vendor,
        base_url: str,
        retry: Retry = ONCE,
        timeouts: Timeouts = PATIENT,
    ) -> None:
        self._vendor = vendor
        self._provider = vendor.provider(base_url, timeouts.connect)
        self._engine = Engine(self._connect, open_log(), timeouts, retry)

    async def _connect(self, _model: str, _progress: object):
        return self._provider

    async def __aenter__(self) -> Runner:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._provider.aclose()

    async def run(
        self, prompt: str = "Hi", emit: Emit = lambda _event: None, **parameters: Any
    ) -> Run:
        """One run to its end, however it ends."""
        [call] = CallOptions(prompt, [self._vendor.model], parameters=parameters).plan()
        return await self._engine.execute(call, emit)
