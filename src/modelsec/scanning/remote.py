"""Files elsewhere: a scan reads the ranges that it needs and nothing else.

``http`` and ``https`` URLs are read by ``http_ranges``, ``hf`` ones are the hub's ``https`` ones,
and those of object stores (``s3``, ``gs``, ``az`` ...) go through fsspec, if it is installed. A
claim about a file elsewhere is a claim about the bytes that were served: whoever serves them can
serve others tomorrow.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Protocol
from urllib.parse import quote

from modelsec.errors import ConfigurationError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.http_ranges import (
    HttpRanges,
    Network,
    RemoteChangedError,
    RemoteReadError,
    shown_url,
)
from modelsec.scanning.source import check_range

FAILED = Rule(
    "MS-REM-001",
    "the file could not be read to the end of the scan",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="try again, or download the file and scan the copy",
)
CHANGED = Rule(
    "MS-REM-002",
    "the file elsewhere changed during the scan",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="time of check to time of use",
    remedy="download the file, scan the copy, and load that copy",
)
UNVERSIONED = Rule(
    "MS-REM-003",
    "the server does not say which version of the file it sends",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="download the file and scan the copy: ranges of two versions cannot be told apart",
)

BLOCK = 1 << 10
"""Unit of the cache. Small: headers are scattered over a checkpoint, and each costs a block."""
KEPT_BLOCKS = 8 << 10
AHEAD_BLOCKS = 256
"""How far a run of adjacent reads reads ahead, at most; it doubles from one block."""
REQUEST_BYTES = 4 << 20
FIRST = 4096

STORES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "oci", "oss", "memory")
"""Schemes that fsspec may be asked for: object stores, no local files, no shells, no chains."""
VERSIONS = (
    "ETag", "etag", "LastModified", "last_modified", "mtime", "updated", "generation",
    "VersionId", "md5Hash", "content_settings", "created",
)  # fmt: skip
"""What filesystems say about the version of an object, whichever of them they know."""


class Ranges(Protocol):
    """One file elsewhere."""

    size: int
    head: bytes

    def fetch(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes, of the version that was opened."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


@dataclass(frozen=True, slots=True)
class Remote:
    """An open file elsewhere.

    Attributes:
        source: its bytes.
        label: its URL without what must not be in a report.
    """

    source: "RemoteSource"
    label: str

    def afterwards(self) -> Iterator[Finding]:
        """Yield what is known only at the end of a scan."""
        self.source.confirm()
        failure = self.source.failure
        if failure is not None:
            rule = CHANGED if isinstance(failure, RemoteChangedError) else FAILED
            yield rule.at(None, str(failure))
        if not self.source.versioned:
            yield UNVERSIONED.at(None, "neither an ETag nor a time of change came with it")


@contextmanager
def opened(url: str, network: Network | None = None) -> Iterator[Remote]:
    """Open a file elsewhere.

    Raises:
        ConfigurationError: there is no such file, it cannot be read by ranges, or its scheme is
            none that a scan may use.
    """
    scheme = url.partition("://")[0].lower()
    ranges: HttpRanges | StoreRanges
    if scheme in {"http", "https", "hf"}:
        target = hub_url(url) if scheme == "hf" else url
        ranges = HttpRanges(target, FIRST, network)
        versioned = any(ranges.validators)
    elif scheme in STORES and "::" not in url:
        ranges = StoreRanges(url)
        versioned = bool(ranges.version)
    else:
        raise ConfigurationError(
            f"cannot scan {shown_url(url)}: a URL is http, https, hf or one of "
            f"{', '.join(STORES)}; give a local file as pathlib.Path"
        )
    try:
        yield Remote(RemoteSource(ranges, versioned=versioned), shown_url(url))
    finally:
        ranges.close()


def hub_url(url: str) -> str:
    """Return the address of ``hf://[datasets/|spaces/]owner/name[@revision]/path``.

    Raises:
        ConfigurationError: it is not of that form.
    """
    rest = url.partition("://")[2]
    kind = next((kind for kind in ("datasets/", "spaces/") if rest.startswith(kind)), "")
    owner, _, rest = rest.removeprefix(kind).partition("/")
    repository, _, path = rest.partition("/")
    name, _, revision = repository.partition("@")
    if not (owner and name and path) or ".." in path.split("/"):
        raise ConfigurationError(
            f"not hf://owner/name[@revision]/path: {printable(url)}; write a / in a revision as %2F"
        )
    where = f"{kind}{quote(owner)}/{quote(name)}/resolve/{quote(revision or 'main', safe='%')}"
    return f"https://huggingface.co/{where}/{quote(path)}"


class StoreRanges:
    """One object of a store that fsspec knows."""

    def __init__(self, url: str) -> None:
        try:
            core = import_module("fsspec.core")
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"cannot open {shown_url(url)}: it needs: pip install 'modelsec[remote]'"
            ) from error
        self.head = b""
        try:
            # Neither instances nor listings of others: what they remember may be out of date.
            self._filesystem, self._path = core.url_to_fs(
                url, skip_instance_cache=True, use_listings_cache=False
            )
            info = self._info()
        except Exception as error:  # every store has exceptions of its own
            raise ConfigurationError(f"cannot open {shown_url(url)}: {_reason(error)}") from error
        size = info.get("size")
        if info.get("type") != "file" or not isinstance(size, int) or size < 0:
            raise ConfigurationError(f"cannot scan {shown_url(url)}: it is no file of a known size")
        self.size = size
        self.version = _version(info)

    def fetch(self, offset: int, length: int) -> bytes:
        """Return exactly these bytes."""
        try:
            data = self._filesystem.cat_file(self._path, start=offset, end=offset + length)
        except Exception as error:
            raise RemoteReadError(f"{length} bytes at {offset}: {_reason(error)}") from error
        if not isinstance(data, bytes) or len(data) != length:
            raise RemoteChangedError(f"{length} bytes at {offset} are not there any more")
        return data

    def confirm(self) -> None:
        """Raise if the object is not the one that was opened."""
        try:
            info = self._info()
        except Exception as error:
            raise RemoteChangedError(f"it cannot be found again: {_reason(error)}") from error
        if (info.get("size"), _version(info)) != (self.size, self.version):
            raise RemoteChangedError("its size or version is not what it was")

    def close(self) -> None:
        """Hold nothing: the filesystem closes itself."""

    def _info(self) -> dict[str, Any]:
        self._filesystem.invalidate_cache()
        return dict(self._filesystem.info(self._path))


def _version(info: dict[str, Any]) -> tuple[str, ...]:
    return tuple(f"{key}={info[key]}" for key in VERSIONS if info.get(key))


def _reason(error: Exception) -> str:
    return printable(f"{type(error).__name__}: {error}", 300)


class RemoteSource:
    """Bytes elsewhere, behind a cache of small blocks.

    Scattered small reads (headers, directories) fetch a block each; adjacent ones read ahead, in
    growing steps. After the first failure nothing more is asked for.
    """

    def __init__(self, ranges: Ranges, *, versioned: bool) -> None:
        self.versioned = versioned
        self.failure: RemoteReadError | None = None
        self._ranges = ranges
        self._lock = threading.Lock()
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._next = len(ranges.head) // BLOCK
        self._ahead = 1
        self._keep(0, ranges.head)

    far = True

    @property
    def size(self) -> int:
        """Number of bytes."""
        return self._ranges.size

    def read(self, offset: int, length: int) -> bytes:
        """Return exactly ``length`` bytes from ``offset``.

        Raises:
            MalformedArtifactError: the range is not within the file.
            RemoteReadError: the far side failed; ``failure`` has the first reason.
        """
        check_range(self, offset, length)
        if not length:
            return b""
        first, stop = offset // BLOCK, (offset + length - 1) // BLOCK + 1
        pieces = []
        with self._lock:
            block = first
            while block < stop:
                held = self._blocks.get(block)
                if held is None:
                    held = self._fetched(block, stop)
                else:
                    self._blocks.move_to_end(block)
                pieces.append(held)
                block += -(-len(held) // BLOCK)
        start = offset - first * BLOCK
        return b"".join(pieces)[start : start + length]

    def confirm(self) -> None:
        """Find out whether the file is still the one that was opened; see ``failure``."""
        confirm = getattr(self._ranges, "confirm", None)
        if confirm is not None and self.failure is None:
            try:
                confirm()
            except RemoteReadError as error:
                self.failure = error

    def _fetched(self, block: int, stop: int) -> bytes:
        """Return blocks from ``block`` on: at most to ``stop``, at most one request's worth."""
        if self.failure is not None:
            raise self.failure
        self._ahead = min(2 * self._ahead, AHEAD_BLOCKS) if block == self._next else 1
        wanted = max(stop, block + self._ahead)
        end = block + 1
        while end < wanted and end not in self._blocks and end - block < REQUEST_BYTES // BLOCK:
            end += 1
        offset = block * BLOCK
        try:
            data = self._ranges.fetch(offset, min(end * BLOCK, self.size) - offset)
        except RemoteReadError as error:
            self.failure = error
            raise
        self._next = end
        self._keep(block, data)
        return data[: (min(stop, end) - block) * BLOCK]

    def _keep(self, block: int, data: bytes) -> None:
        """Keep whole blocks, and the last one of the file."""
        for number, start in enumerate(range(0, len(data), BLOCK), block):
            piece = data[start : start + BLOCK]
            if len(piece) == BLOCK or number * BLOCK + len(piece) == self.size:
                self._blocks[number] = piece
                self._blocks.move_to_end(number)
        while len(self._blocks) > KEPT_BLOCKS:
            self._blocks.popitem(last=False)
