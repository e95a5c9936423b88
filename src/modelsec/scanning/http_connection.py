"""An HTTP connection to one address, with one deadline for all that a request does.

The standard client bounds each wait for the network, not their sum: a server that sends a byte
every few seconds would hold it for ever.
"""

import socket
from collections.abc import Callable
from http.client import HTTPConnection
from io import BufferedReader, RawIOBase
from typing import Literal, cast
from urllib.parse import SplitResult


class Connection(HTTPConnection):
    """A connection to one host whose every operation ends by ``deadline``."""

    def __init__(
        self,
        target: SplitResult,
        now: Callable[[], float],
        address: Callable[[str, int], str],
    ) -> None:
        self._tls = target.scheme == "https"
        self.default_port = 443 if self._tls else 80
        # With a port, the host is not searched for one: an IPv6 address is full of colons.
        super().__init__(target.hostname or "", target.port or self.default_port)
        self.deadline = now()
        self._now = now
        self._address = address

    def connect(self) -> None:
        """Connect to the address that the policy chose."""
        address = self._address(self.host, self.port)
        plain = socket.create_connection((address, self.port), timeout=self.left())
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wrapped = self._secured(plain) if self._tls else plain
        except BaseException:
            plain.close()
            raise
        self.sock = _TimedSocket(wrapped, self.left)

    def left(self) -> float:
        """Return the seconds that are left for this request."""
        left = self.deadline - self._now()
        if left <= 0:
            raise TimeoutError
        return left

    def _secured(self, plain: socket.socket) -> socket.socket:
        import ssl  # noqa: PLC0415 - costs more than a scan; only for https

        return ssl.create_default_context().wrap_socket(plain, server_hostname=self.host)


class _TimedSocket:
    """As much of a socket as ``http.client`` uses, with one deadline for all it does."""

    def __init__(self, sock: socket.socket, left: Callable[[], float]) -> None:
        self._sock = sock
        self._left = left

    def sendall(self, data: bytes) -> None:
        self._sock.settimeout(self._left())
        self._sock.sendall(data)

    def makefile(self, mode: Literal["rb"]) -> BufferedReader:
        # The socket counts its files and stays open until the last of them is closed.
        return BufferedReader(_TimedReader(self._sock, self._left, mode))

    def close(self) -> None:
        self._sock.close()


class _TimedReader(RawIOBase):
    def __init__(self, sock: socket.socket, left: Callable[[], float], mode: Literal["rb"]) -> None:
        self._sock = sock
        self._left = left
        self._file = cast("RawIOBase", sock.makefile(mode, buffering=0))

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int | None:  # type: ignore[override]
        self._sock.settimeout(self._left())
        return cast("int | None", self._file.readinto(buffer))

    def close(self) -> None:
        self._file.close()
        super().close()
