"""Remember digests of files that did not change since: opt-in, and only where that is safe.

A file is taken for unchanged when device, inode, size, and the times of its last modification and
change are what they were. That notices every write through the system, with these exceptions. Do
not use a cache where one of the first three is possible; the last one is dealt with:

* A writer on the same machine who may set the clock, or write to the disk below the file system,
  or to this cache. The cache is for speed, not against somebody who is already there.
* A process that holds the file mapped for writing: its later writes need not move the times.
* Network file systems: they keep attributes for a while, and another machine's clock.
* A write within the granularity of the time stamps. So a digest is remembered, and used, only if
  the file was at least two seconds old when its hashing began.

The file is a heading, the SHA-256 of what follows, and records of one size sorted by key, so that
it is looked up without being parsed. It is replaced as a whole: of two processes that write it at
the same time, the entries of the last one stay.
"""

import hashlib
import os
import stat
import struct
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from modelsec.errors import ConfigurationError, shown, shown_path
from modelsec.files import atomic_binary
from modelsec.signing.manifest import DIGEST_BYTES
from modelsec.signing.moments import utc
from modelsec.signing.trees.folders import Identity

MAX_RECORDS = 200_000
"""Digests that are kept, those hashed last; about 21 MB."""

_HEADING = b"modelsec digest cache 1\n"
_RECORD = struct.Struct(">32sq64s")
"""Key, when hashing began (nanoseconds since 1970), digest (padded with zeros)."""

_START = len(_HEADING) + 32
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
_SETTLED_NS = 2_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = 2**63 - 1
_MICROSECOND = timedelta(microseconds=1)


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DigestCache:
    """Digests of files, kept in a file that only its owner may write.

    Args:
        path: of the cache; it is made when there is something to keep. Not inside a model.
        clock: tells the time (aware); the one that the file system's time stamps are from.

    Raises:
        ConfigurationError: the file is damaged, no cache, or somebody else's.
    """

    def __init__(
        self, path: str | os.PathLike[str], clock: Callable[[], datetime] = _utc_now
    ) -> None:
        if not isinstance(path, str | os.PathLike):
            raise ConfigurationError(f"the digest cache is a path, not {shown(path)}")
        self._path = Path(path)
        self._clock = clock
        self._records = _read(self._path)
        self._new: dict[bytes, bytes] = {}

    def now(self) -> int:
        """Return the time in nanoseconds since 1970.

        Raises:
            ConfigurationError: the clock tells no aware time, or one that a record cannot hold.
        """
        now = utc(self._clock(), "the time of the digest cache")
        nanoseconds = (now - _EPOCH) // _MICROSECOND * 1_000
        if not -_LAST <= nanoseconds <= _LAST:
            raise ConfigurationError(f"the digest cache ends in the year 2262: it is {shown(now)}")
        return nanoseconds

    def get(self, identity: Identity, algorithm: str, start: int, end: int) -> bytes | None:
        """Return the digest of a range of a file that is still the same, or None.

        Args:
            identity: device, inode, size, and times of modification and change (nanoseconds).
            algorithm: of the digest.
            start: first byte of the range.
            end: the byte behind it.
        """
        key = _key(identity, algorithm, start, end)
        record = self._new.get(key) or self._find(key)
        if record is None:
            return None
        _, began, digest = _RECORD.unpack(record)
        return digest[: DIGEST_BYTES[algorithm]] if _settled(identity, began) else None

    def put(  # noqa: PLR0913, PLR0917 - the key, the digest, and the time
        self,
        identity: Identity,
        algorithm: str,
        start: int,
        end: int,
        digest: bytes,
        began: int,
    ) -> None:
        """Remember a digest, if the file was old enough when its hashing began.

        Args:
            identity: as in ``get``; the same before and after hashing.
            algorithm: of the digest.
            start: first byte of the range.
            end: the byte behind it.
            digest: of the range.
            began: what ``now`` told before the file was opened.
        """
        if _settled(identity, began):
            key = _key(identity, algorithm, start, end)
            self._new[key] = _RECORD.pack(key, began, digest)

    def save(self) -> None:
        """Write what is new to the file, which is replaced as a whole.

        Raises:
            ConfigurationError: the folder does not exist or is not writable.
        """
        if not self._new:
            return
        size = _RECORD.size
        kept = {
            self._records[at : at + 32]: self._records[at : at + size]
            for at in range(0, len(self._records), size)
        }
        records = list((kept | self._new).values())
        if len(records) > MAX_RECORDS:
            records.sort(key=lambda record: -_RECORD.unpack(record)[1])
        body = b"".join(sorted(records[:MAX_RECORDS]))
        with atomic_binary(self._path) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), stat.S_IRUSR | stat.S_IWUSR)
            file.write(_HEADING + hashlib.sha256(body).digest() + body)
        self._records = body
        self._new = {}

    def refuse_inside(self, model: Path) -> None:
        """Refuse a cache that lies inside a model, where it would be an unsigned file.

        Raises:
            ConfigurationError: it does.
        """
        if Path(os.path.realpath(self._path)).is_relative_to(os.path.realpath(model)):
            raise ConfigurationError(
                f"the digest cache {shown_path(self._path)} lies inside the model: move it out"
            )

    def _find(self, key: bytes) -> bytes | None:
        size = _RECORD.size
        index = bisect_left(
            range(len(self._records) // size),
            key,
            key=lambda number: self._records[number * size : number * size + 32],
        )
        record = self._records[index * size : index * size + size]
        return record if record[:32] == key else None


def _key(identity: Identity, algorithm: str, start: int, end: int) -> bytes:
    return hashlib.sha256(repr((*identity, algorithm, start, end)).encode()).digest()


def _settled(identity: Identity, began: int) -> bool:
    """Say whether a file was written clearly before its hashing began."""
    *_, modified, changed = identity
    return began - max(modified, changed) >= _SETTLED_NS


def _read(path: Path) -> bytes:
    """Return the records of a cache file; none if there is no file."""
    flags = os.O_RDONLY
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY"):
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags)
        try:
            status = os.fstat(descriptor)
            _refuse_foreign(path, status)
            if status.st_size > _START + MAX_RECORDS * _RECORD.size:
                raise _damaged(path)
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                heading, body = file.read(_START), file.read(status.st_size)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return b""
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(
            f"cannot read the digest cache {shown_path(path)}: {reason} (it must not be a link)"
        ) from error
    if len(body) % _RECORD.size or heading != _HEADING + hashlib.sha256(body).digest():
        raise _damaged(path)
    return body


def _damaged(path: Path) -> ConfigurationError:
    return ConfigurationError(
        f"{shown_path(path)} is damaged, or no digest cache of this version: delete it"
    )


def _refuse_foreign(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigurationError(f"the digest cache {shown_path(path)} is no regular file")
    if not hasattr(os, "geteuid"):
        return
    if status.st_uid != os.geteuid():
        raise ConfigurationError(
            f"the digest cache {shown_path(path)} is owned by somebody else, who could write any "
            "digest there: use a file of your own"
        )
    if status.st_mode & _OTHERS_MAY_WRITE:
        raise ConfigurationError(
            f"others may write to the digest cache {shown_path(path)}, and put any digest there: "
            "delete it, it will be made anew"
        )
