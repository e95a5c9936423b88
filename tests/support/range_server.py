"""An HTTP server for ranges of bodies that are computed, never stored; it can misbehave."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, Protocol

Fault = Literal[
    "", "no ranges", "other range", "other size", "short", "endless", "long length", "chunked",
    "gzip", "no length", "no content-range", "unknown size", "status", "hang up", "slow body",
    "slow headers", "close", "many parts",
]  # fmt: skip


class Body(Protocol):
    """What is served."""

    size: int

    def read(self, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Sparse:
    """Zeros with pieces in them: a huge file that nobody stores."""

    size: int
    pieces: Sequence[tuple[int, bytes]] = ()

    def read(self, offset: int, length: int) -> bytes:
        data = bytearray(length)
        for start, piece in self.pieces:
            low, high = max(start, offset), min(start + len(piece), offset + length)
            if low < high:
                data[low - offset : high - offset] = piece[low - start : high - start]
        return bytes(data)


@dataclass(slots=True)
class RangeServer:
    """A running server, what it does wrong, and what it has done.

    Attributes:
        fault: applied to every request after the first ``honest`` ones.
        etags: of one answer after the other; the last one stays.
        moves: path to the ``Location`` of a redirect.
        sent: bytes of bodies that were handed to the network.
        ranges: first and last byte of every range that was asked for.
    """

    body: Body
    fault: Fault = ""
    honest: int = 0
    etags: list[str] = field(default_factory=lambda: ['"v1"'])
    last_modified: str = ""
    moves: dict[str, str] = field(default_factory=dict)
    url: str = ""
    sent: int = 0
    ranges: list[tuple[int, int]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])


@contextmanager
def range_server(body: Body, fault: Fault = "") -> Iterator[RangeServer]:
    """Serve a body on a free port of this machine, at any path."""
    state = RangeServer(body, fault)

    class Handler(_Handler):
        server_state = state

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_address[1]}/model.bin"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server_state: RangeServer

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        state = self.server_state
        if self.path in state.moves:
            self.send_response(302)
            self.send_header("Location", state.moves[self.path])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        first, last = (int(n) for n in self.headers["Range"].removeprefix("bytes=").split("-"))
        last = min(last, state.body.size - 1)
        fault = state.fault if len(state.ranges) >= state.honest else ""
        state.ranges.append((first, last))
        state.headers.append(dict(self.headers))
        try:
            self._answer(first, last, fault)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _answer(self, first: int, last: int, fault: Fault) -> None:
        state = self.server_state
        if fault == "hang up":
            self.close_connection = True
            return
        if fault == "slow headers":
            self.wfile.write(b"HTTP/1.1 206 Partial Content\r\nX-Slow: ")
            self._trickle(b"x")
            return
        if state.body.size == 0:
            self.send_response(416)
            self.send_header("Content-Range", "bytes */0")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response({"no ranges": 200, "endless": 200, "status": 503}.get(fault, 206))
        for name, value in self._headers(first, last, fault):
            self.send_header(name, value)
        self.end_headers()
        _BODIES.get(fault, _Handler._whole)(self, first, last)

    def _headers(self, first: int, last: int, fault: Fault) -> Iterator[tuple[str, str]]:
        state = self.server_state
        size = state.body.size
        length = last - first + 1
        etag = state.etags.pop(0) if len(state.etags) > 1 else state.etags[0]
        if etag:
            yield "ETag", etag
        if state.last_modified:
            yield "Last-Modified", state.last_modified
        if fault == "gzip":
            yield "Content-Encoding", "gzip"
        if fault == "chunked":
            yield "Transfer-Encoding", "chunked"
        elif fault == "no ranges":
            yield "Content-Length", str(size)
        elif fault not in {"no length", "endless"}:
            yield "Content-Length", str(length + (fault == "long length"))
        if fault == "close":
            yield "Connection", "close"
        if fault == "many parts":
            yield "Content-Type", "multipart/byteranges; boundary=x"
        elif fault not in {"no ranges", "no content-range", "endless"}:
            shift, more = (fault == "other range"), (fault == "other size")
            total = "*" if fault == "unknown size" else str(size + more)
            yield "Content-Range", f"bytes {first + shift}-{last + shift}/{total}"

    def _whole(self, first: int, last: int) -> None:
        data = self.server_state.body.read(first, last - first + 1)
        self.server_state.sent += len(data)
        self.wfile.write(data)

    def _short(self, first: int, last: int) -> None:
        self._whole(first, (first + last) // 2)
        self.close_connection = True

    def _closed(self, first: int, last: int) -> None:
        self._whole(first, last)
        self.close_connection = True

    def _endless(self, _first: int, _last: int) -> None:
        """Send until the other side goes away."""
        self.close_connection = True
        while not self.server_state.stopping.is_set():
            self.wfile.write(bytes(1 << 16))
            self.server_state.sent += 1 << 16

    def _slowly(self, _first: int, _last: int) -> None:
        self._trickle(b"\0")

    def _trickle(self, piece: bytes) -> None:
        self.close_connection = True
        while not self.server_state.stopping.wait(0.01):
            self.wfile.write(piece)
            self.wfile.flush()


_BODIES: dict[str, Callable[[_Handler, int, int], None]] = {
    "short": _Handler._short,
    "endless": _Handler._endless,
    "no ranges": _Handler._endless,
    "no length": _Handler._endless,
    "slow body": _Handler._slowly,
    "close": _Handler._closed,
}
