"""A Hugging Face hub on loopback, which redirects to a store on another port."""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "c0ffee" + "0" * 34
PATIENCE_S = 240


@dataclass
class Refusal:
    """How the hub says no."""

    status: int
    code: str = ""
    message: str = ""


@dataclass
class Hub:
    """What is there, how it misbehaves, and what was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    repo: str = "org/tiny-GGUF"
    refusal: Refusal | None = None
    token: str | None = None  # needed for everything, when set
    break_off_after: list[int] = field(default_factory=list)  # bytes, one per answer of the store
    wait_in_the_middle: bool = False
    wrong_bytes: bool = False
    knows_ranges: bool = True
    tells_checksums: bool = True
    busy: int = 0  # so many answers of the store are 503
    url: str = ""
    store: str = ""
    half_sent: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    store_saw_a_token: bool = False
    bytes_sent: int = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *_args) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self.do_GET()


class HubHandler(_Handler):
    def do_GET(self) -> None:
        hub = self.hub
        hub.asked.append(f"{self.command} {self.path.partition('?')[0]}")
        given = self.headers.get("Authorization")
        refusal = hub.refusal
        if hub.token is not None and given != f"Bearer {hub.token}":
            refusal = Refusal(401, "RepoNotFound", f"not with {given}")
        if refusal:
            self.answer(
                refusal.status,
                json.dumps({"error": f"{refusal.message} {given}"}).encode(),
                X_Error_Code=refusal.code,
                X_Error_Message=refusal.message,
            )
        elif self.path.startswith(f"/api/models/{hub.repo}"):
            self.answer(200, json.dumps(self.listing()).encode(), Content_Type="application/json")
        elif match := re.fullmatch(rf"/{hub.repo}/resolve/(main|{COMMIT})/(.+)", self.path):
            self.resolve(match[2])
        else:
            self.answer(404, b"", X_Error_Code="RepoNotFound")

    def listing(self) -> dict:
        files = [{"rfilename": name, "size": len(data)} for name, data in self.hub.files.items()]
        return {"id": self.hub.repo, "modelId": self.hub.repo, "sha": COMMIT, "siblings": files}

    def resolve(self, name: str) -> None:
        if name not in self.hub.files:
            self.answer(404, b"", X_Error_Code="EntryNotFound")
            return
        data = self.hub.files[name]
        checksum = {"X_Linked_Etag": f'"{hashlib.sha256(data).hexdigest()}"'}
        self.answer(
            302,
            Location=f"{self.hub.store}/{name}?signature=of-now",
            X_Repo_Commit=COMMIT,
            X_Linked_Size=str(len(data)),
            **(checksum if self.hub.tells_checksums else {}),
        )


class StoreHandler(_Handler):
    def do_GET(self) -> None:
        hub = self.hub
        hub.store_saw_a_token |= "Authorization" in self.headers
        hub.ranges.append(self.headers.get("Range"))
        if hub.busy:
            hub.busy -= 1
            self.answer(503)
            return
        data = hub.files[self.path[1:].partition("?")[0]]
        if hub.wrong_bytes:
            data = data[:-1] + bytes([data[-1] ^ 1])
        begin = 0
        if hub.knows_ranges and self.headers.get("Range"):
            begin = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"])[1])
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("ETag", '"of-the-store"')
        self.end_headers()
        self.send(data[begin:])

    def send(self, data: bytes) -> None:
        hub, middle = self.hub, len(data) // 2
        if hub.break_off_after:
            self.write(data[: hub.break_off_after.pop(0)])
            self.close_connection = True
            return
        self.write(data[:middle])
        hub.half_sent.set()
        if hub.wait_in_the_middle:
            hub.go_on.wait(PATIENCE_S)
        self.write(data[middle:])

    def write(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()
        self.hub.bytes_sent += len(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        """A client that was stopped on purpose is no news."""


@contextmanager
def _serving(kind: type[_Handler], hub: Hub) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), type("Handler", (kind,), {"hub": hub}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        hub.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


@contextmanager
def loopback_hub(**files: bytes) -> Iterator[Hub]:
    hub = Hub(dict(files))
    with _serving(StoreHandler, hub) as hub.store, _serving(HubHandler, hub) as hub.url:
        yield hub
