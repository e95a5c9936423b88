"""Exact ranges of a file over HTTP, from a server that may be slow, wrong or hostile.

Every answer is checked before its body is read: status 206, the range and the size that were
asked for, no encoding, and the same validators (``ETag``, ``Last-Modified``) as the first answer.
A redirect may not leave HTTP, fall from HTTPS to HTTP, or lead from the public network into a
private one. No proxy, no cookie, no credential is taken from the environment.
"""

import ipaddress
import re
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse, RemoteDisconnected
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from modelsec.errors import ArtifactError, ConfigurationError, MalformedArtifactError, printable
from modelsec.scanning.http_connection import Connection

REDIRECTS = 5
SECONDS = 30.0
"""For one request; a body adds a second for each ``BYTES_A_SECOND``."""
TOTAL_SECONDS = 300.0
"""For all requests; what has arrived adds a second for each ``BYTES_A_SECOND``."""
BYTES_A_SECOND = 1 << 18

_IN_URLS = "/?%:@!$&'()*+,;=~-._"
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})", re.ASCII)
_EMPTY_RANGE = re.compile(r"bytes \*/0", re.ASCII)


_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OTHER_VERSION = frozenset({200, 412, 416})
"""Who served ranges before and refuses one now has another file."""


class RemoteReadError(MalformedArtifactError):
    """The far side did not deliver what was asked for."""


class RemoteChangedError(RemoteReadError):
    """The far side has another file now."""


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses of a host, preferred ones first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Say whether an address belongs to the public network."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None)
    return (inner or parsed).is_global


@dataclass(frozen=True, slots=True)
class Network:
    """What this module asks of the world, to be replaced in tests.

    Attributes:
        resolve: addresses of a host and port.
        is_public: whether an address belongs to the public network.
        now: seconds of a monotonic clock.
    """

    resolve: Callable[[str, int], list[str]] = resolve
    is_public: Callable[[str], bool] = is_public
    now: Callable[[], float] = time.monotonic


class HttpRanges:
    """One file on an HTTP server.

    Args:
        url: http or https, without user and password.
        first: bytes to ask for at once, from the start; they are in ``head``.
        network: see ``Network``.

    Attributes:
        head: the first bytes of the file.
        size: of the file, in bytes.
        validators: ``ETag`` and ``Last-Modified`` of every answer; "" where the server has none.

    Raises:
        ConfigurationError: there is no such file, or the server cannot serve ranges of it.
    """

    def __init__(self, url: str, first: int, network: Network | None = None) -> None:
        self._network = network or Network()
        self._began = self._network.now()
        self._received = 0
        self._public: bool | None = None
        self._connection: Connection | None = None
        self._response: HTTPResponse | None = None
        self.validators = ("", "")
        try:
            self._target, response = self._follow(url, first)
            self.size, self.head = self._opening(response, first)
        except (OSError, HTTPException, ValueError, ArtifactError) as error:
            self.close()
            raise ConfigurationError(f"cannot open {shown_url(url)}: {_reason(error)}") from error
        except ConfigurationError:
            self.close()
            raise

    def fetch(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes.

        Raises:
            RemoteReadError: the server failed, or answered something else.
            RemoteChangedError: the file is another one now.
        """
        try:
            response = self._ask(self._target, offset, length)
            self._check_later(response, offset, length)
            return self._body(response, length)
        except RemoteReadError:
            self.close()
            raise
        except (OSError, HTTPException, ValueError) as error:
            self.close()
            raise RemoteReadError(f"{length} bytes at {offset}: {_reason(error)}") from error

    def close(self) -> None:
        """Close the connection."""
        if self._response is not None:  # the connection forgets an answer that ends it
            self._response.close()
            self._response = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _follow(self, url: str, first: int) -> tuple[SplitResult, HTTPResponse]:
        target = checked_url(url)
        for _ in range(REDIRECTS + 1):
            response = self._ask(target, 0, first)
            if response.status not in _REDIRECTS:
                return target, response
            target = redirected(target, response.getheader("Location", ""))
            self.close()
        raise RemoteReadError(f"more than {REDIRECTS} redirects")

    def _opening(self, response: HTTPResponse, first: int) -> tuple[int, bytes]:
        if _is_empty(response):
            self.close()
            return 0, b""
        if response.status == HTTPStatus.OK:
            raise RemoteReadError(
                "the server sends whole files only, no ranges: download it and scan the copy"
            )
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            raise RemoteReadError(f"the server answered {response.status}")
        start, stop, size = self._range(response)
        if (start, stop) != (0, min(first, size)):
            raise RemoteReadError("the server sends another range than the one asked for")
        self.validators = _validators(response)
        return size, self._body(response, stop)

    def _check_later(self, response: HTTPResponse, offset: int, length: int) -> None:
        """Raise unless the answer is the range that was asked for, of the same version."""
        if response.status in _OTHER_VERSION:
            raise RemoteChangedError(f"the server refuses a range ({response.status})")
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            raise RemoteReadError(f"the server answered {response.status}")
        if self._range(response) != (offset, offset + length, self.size):
            raise RemoteChangedError("the server sends another range, or of another size")
        if _validators(response) != self.validators:
            raise RemoteChangedError("ETag or Last-Modified changed during the scan")

    def _range(self, response: HTTPResponse) -> tuple[int, int, int]:
        """Return start, stop and size as the answer gives them."""
        matched = _CONTENT_RANGE.fullmatch(_header(response, "Content-Range"))
        if matched is None:
            raise RemoteReadError("the answer has no Content-Range of one range and a known size")
        start, last, size = (int(number) for number in matched.groups())
        return start, last + 1, size

    def _body(self, response: HTTPResponse, length: int) -> bytes:
        encoding = _header(response, "Content-Encoding") or "identity"
        if encoding != "identity" or _header(response, "Transfer-Encoding"):
            raise RemoteReadError("the answer is encoded: its bytes are not those of the file")
        if _header(response, "Content-Length") != str(length):
            raise RemoteReadError("the length of the answer is not that of the range")
        body = response.read(length)
        if len(body) != length:
            raise RemoteReadError(f"the answer ended after {len(body)} of {length} bytes")
        self._received += length
        return body

    def _ask(self, target: SplitResult, offset: int, length: int) -> HTTPResponse:
        """Send one request; a connection that was kept open may have been closed meanwhile."""
        kept = self._connection is not None
        try:
            return self._send(target, offset, length)
        except (RemoteDisconnected, ConnectionError):
            if not kept:
                raise
            self.close()
            return self._send(target, offset, length)

    def _send(self, target: SplitResult, offset: int, length: int) -> HTTPResponse:
        if self._connection is None:
            self._connection = Connection(target, self._network.now, self._address)
        now = self._network.now()
        total = self._began + TOTAL_SECONDS + self._received / BYTES_A_SECOND
        self._connection.deadline = min(total, now + SECONDS) + length / BYTES_A_SECOND
        path = quote(target.path or "/", safe=_IN_URLS)
        query = "?" + quote(target.query, safe=_IN_URLS) if target.query else ""
        headers = {
            "Range": f"bytes={offset}-{offset + length - 1}",
            "Accept-Encoding": "identity",
            "User-Agent": "modelsec",
        }
        self._connection.request("GET", path + query, headers=headers)
        self._response = self._connection.getresponse()
        return self._response

    def _address(self, host: str, port: int) -> str:
        """Choose the address to connect to, so that no second look-up can choose another."""
        addresses = self._network.resolve(host, port)
        if self._public:
            addresses = [address for address in addresses if self._network.is_public(address)]
        if not addresses:
            raise RemoteReadError(f"{printable(host)} leads from a public into a private network")
        if self._public is None:
            self._public = all(self._network.is_public(address) for address in addresses)
        return addresses[0]


def checked_url(url: str) -> SplitResult:
    """Return the pieces of an HTTP URL.

    Raises:
        ConfigurationError: it is none, or carries a user and a password.
    """
    try:
        pieces = urlsplit(url)
        port = pieces.port
    except ValueError as error:
        raise ConfigurationError(f"not a URL: {printable(url)}: {error}") from error
    if pieces.scheme not in {"http", "https"} or not pieces.hostname or port == 0:
        raise ConfigurationError(f"not an http or https URL: {printable(url)}")
    if pieces.username is not None or pieces.password is not None:
        raise ConfigurationError("a URL with a user or a password would end up in reports")
    return pieces


def redirected(source: SplitResult, location: str) -> SplitResult:
    """Return where a redirect leads.

    Raises:
        RemoteReadError: it leads where a scan must not go.
    """
    try:
        target = checked_url(urljoin(source.geturl(), location))
    except (ConfigurationError, ValueError) as error:
        raise RemoteReadError(f"redirect refused: {error}") from error
    if source.scheme == "https" and target.scheme != "https":
        raise RemoteReadError("redirect refused: from https to http")
    return target


def shown_url(url: str) -> str:
    """Return a URL for messages and reports: no user, no query (it may be a signature)."""
    bare = url.partition("#")[0].partition("?")[0]
    scheme, mark, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return printable(f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}", 500)


def _is_empty(response: HTTPResponse) -> bool:
    if response.status != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
        return False
    return _EMPTY_RANGE.fullmatch(_header(response, "Content-Range")) is not None


def _header(response: HTTPResponse, name: str) -> str:
    return (response.getheader(name) or "").strip()


def _validators(response: HTTPResponse) -> tuple[str, str]:
    return _header(response, "ETag"), _header(response, "Last-Modified")


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "the server is too slow"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return printable(str(error) or type(error).__name__, 300)
