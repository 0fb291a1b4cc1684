"""A real kernel, driven as a notebook drives it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

START_TIMEOUT_S = 240
CELL_TIMEOUT_S = 240


@dataclass
class Outputs:
    """What one cell's execution published."""

    messages: list[Mapping[str, Any]] = field(default_factory=list)

    def contents(self, kind: str) -> list[Mapping[str, Any]]:
        return [m["content"] for m in self.messages if m["msg_type"] == kind]

    @property
    def text(self) -> str:
        return "".join(content["text"] for content in self.contents("stream"))

    @property
    def html(self) -> list[str]:
        """Every state an updated output went through, in order."""
        return self._shown("text/html")

    @property
    def plain(self) -> list[str]:
        """As ``html``, for where no HTML is shown."""
        return self._shown("text/plain")

    def _shown(self, media_type: str) -> list[str]:
        kinds = ("display_data", "update_display_data")
        shown = [m["content"]["data"] for m in self.messages if m["msg_type"] in kinds]
        return [data[media_type] for data in shown if media_type in data]

    @property
    def result(self) -> str:
        [content] = self.contents("execute_result")
        return content["data"]["text/plain"]

    @property
    def error(self) -> Mapping[str, Any]:
        [content] = self.contents("error")
        return content


class Kernel:
    """Runs cells in one kernel."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client

    def start(self, code: str, cell_id: str | None = None) -> str:
        """Execute without waiting, as JupyterLab's cell with that id; the message's id."""
        content = {"code": code, "silent": False, "store_history": True, "allow_stdin": False}
        content |= {"user_expressions": {}, "stop_on_error": True}
        metadata = {} if cell_id is None else {"cellId": cell_id}
        return self._send("execute_request", content, metadata)

    def widget_message(self, comm_id: str, content: Mapping[str, Any]) -> str:
        """A view's message to its widget; as JupyterLab's, it names no cell."""
        data = {"method": "custom", "content": content}
        return self._send("comm_msg", {"comm_id": comm_id, "data": data}, {})

    def _send(self, kind: str, content: Mapping[str, Any], metadata: Mapping[str, str]) -> str:
        message = self.client.session.msg(kind, content, metadata=dict(metadata))
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def finish(self, message_id: str, watch: Callable[[Outputs], None] | None = None) -> Outputs:
        """Collect what a started cell publishes, to its end; ``watch`` sees each message come."""
        outputs, deadline = Outputs(), time.monotonic() + CELL_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                message = self.client.get_iopub_msg(timeout=1)
            except Empty:
                continue
            if message["parent_header"].get("msg_id") != message_id:
                continue
            outputs.messages.append(message)
            if watch is not None:
                watch(outputs)
            if message["content"].get("execution_state") == "idle":
                return outputs
        raise TimeoutError(f"the cell did not end in {CELL_TIMEOUT_S} s")

    def run(self, code: str, cell_id: str | None = None) -> Outputs:
        return self.finish(self.start(code, cell_id))


@contextmanager
def kernel(environment: Mapping[str, str]) -> Iterator[Kernel]:
    """A kernel of this interpreter, with ``environment`` on top of the test's own."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, **environment})
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=START_TIMEOUT_S)
        yield Kernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
