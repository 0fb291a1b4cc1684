"""A whole run against a scripted server: engine, limiter and log as users have them."""

from __future__ import annotations

from llm_playground import limiter
from llm_playground.calls import plan
from llm_playground.engine import Engine
from llm_playground.retries import Retry
from llm_playground.runlog import open_log
from llm_playground.timeouts import Timeouts
from llm_playground.types import Run
from tests.wire.vendors import Vendor

ONCE = Retry(attempts=1)
PATIENT = Timeouts()


class Asker:
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
        self._engine = Engine(self._connect, limiter, open_log(), timeouts, retry)

    async def _connect(self, _model: str, _progress: object):
        return self._provider

    async def __aenter__(self) -> Asker:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._provider.aclose()

    async def run(self, prompt: str = "Hi") -> Run:
        """One run to its end, however it ends."""
        [call] = plan(prompt, [self._vendor.model])
        return await self._engine.execute(call, lambda _event: None)
