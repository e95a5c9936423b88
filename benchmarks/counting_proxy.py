"""A TCP proxy on the loopback that counts round trips.

A round trip is a write of the client that follows a reply (or the start): however many packets
a request or a reply is cut into, the direction of the conversation turns once. That is exact for
clients that read all replies to what they sent before they send again, as redis-py does.
"""

import selectors
import socket
import threading
from typing import Self

_CHUNK = 262_144
_POLL_S = 0.05


class CountingProxy:
    """Forwards connections to a port of the loopback, and counts; a context manager.

    Attributes:
        port: where it listens.
        round_trips: turns from reply to request, over all connections.
    """

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(_POLL_S)
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._accept)]
        self.port: int = self._listener.getsockname()[1]
        self.round_trips = 0

    def __enter__(self) -> Self:
        """Start."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and close all connections."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._forward, args=(client,))
            thread.start()
            self._threads.append(thread)

    def _forward(self, client: socket.socket) -> None:
        client.settimeout(None)
        with (
            client,
            socket.create_connection(("127.0.0.1", self._target)) as server,
            selectors.DefaultSelector() as selector,
        ):
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(end, selectors.EVENT_READ)
            replied = True
            while not self._ended.is_set():
                for ready, _ in selector.select(_POLL_S):
                    source = client if ready.fileobj is client else server
                    data = source.recv(_CHUNK)
                    if not data:
                        return
                    if source is client and replied:
                        with self._lock:
                            self.round_trips += 1
                    replied = source is server
                    (server if source is client else client).sendall(data)
