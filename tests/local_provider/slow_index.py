"""A package index on loopback that serves one wheel slowly."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class SlowIndex(ThreadingHTTPServer):
    """Sends half of the wheel at once, and the rest when ``go_on`` is set."""

    daemon_threads = True

    def __init__(self, wheel: Path) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.wheel = wheel
        self.go_on = threading.Event()
        self.half_sent = threading.Event()
        self.downloads = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/simple"

    def handle_error(self, request, client_address) -> None:
        """A client that was stopped on purpose is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: SlowIndex

    def do_GET(self) -> None:
        if self.path.startswith("/simple"):
            name = self.server.wheel.name
            self._send("text/html", [f'<a href="/wheels/{name}">{name}</a>'.encode()])
            return
        content = self.server.wheel.read_bytes()
        self.server.downloads += 1
        middle = len(content) // 2
        self._send("application/zip", [content[:middle], content[middle:]])

    def _send(self, kind: str, pieces: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(sum(map(len, pieces))))
        self.end_headers()
        for number, piece in enumerate(pieces):
            if number:
                self.server.half_sent.set()
                self.server.go_on.wait(120)
            self.wfile.write(piece)
            self.wfile.flush()

    def log_message(self, *_args) -> None:
        """Quiet."""


@contextmanager
def slow_index(wheel: Path) -> Iterator[SlowIndex]:
    server = SlowIndex(wheel)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
