"""The newest release that was ever accepted of each model: nothing older is accepted again.

A right signature says who made a model, not that it is the one in use today: an attacker who can
replace files can also put back last year's model with last year's signature. The store remembers,
for each model name, the highest serial that was verified, whoever signed it: were it kept for each
key, rotating a key would open the past again.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from modelsec.errors import (
    ConfigurationError,
    StaleModelError,
    VerificationError,
    shown,
    shown_path,
)
from modelsec.files import as_path, atomic_text, regular_file
from modelsec.signing.bundles import strict_json

_VERSION = 1
_LIMIT = 16 * 1024 * 1024


@runtime_checkable
class ReleaseMemory(Protocol):
    """Remember the newest release of each model; what a fleet may keep in its own database."""

    def admit(self, name: str, serial: int, tree_digest: str) -> None:
        """Return if the release is not older than what is remembered.

        Raises:
            StaleModelError: a higher serial is remembered, or this one with another digest.
        """
        ...

    def remember(self, name: str, serial: int, tree_digest: str) -> None:
        """Check again and remember, as one step that no other process can come between.

        Raises:
            StaleModelError: as ``admit``: another process was faster.
        """
        ...


class TrustStore:
    """A ``ReleaseMemory`` in one JSON file, replaced atomically under a lock.

    Args:
        path: the file; made by the first release that is remembered. Whoever can write it can
            roll models back: keep it where the process that replaces models cannot.

    Raises:
        ConfigurationError: by every method, if the file is damaged or cannot be read or written.
            A damaged store is never treated as an empty one.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = as_path(path, "trust store")

    def admit(self, name: str, serial: int, tree_digest: str) -> None:
        """Return if the release is not older than what is remembered."""
        _admit(self._read().get(name), name, serial, tree_digest)

    def remember(self, name: str, serial: int, tree_digest: str) -> None:
        """Check again and remember, as one step."""
        with _locked(self._path):
            releases = self._read()
            known = releases.get(name)
            _admit(known, name, serial, tree_digest)
            if known == (serial, tree_digest):
                return
            releases[name] = (serial, tree_digest)
            models = {
                key: {"serial": value[0], "tree_digest": value[1]}
                for key, value in sorted(releases.items())
            }
            with atomic_text(self._path) as file:
                json.dump({"version": _VERSION, "models": models}, file, indent=1)
                file.write("\n")

    def _read(self) -> dict[str, tuple[int, str]]:
        if not os.path.lexists(self._path):
            return {}
        with regular_file(self._path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
            raw = file.read(_LIMIT + 1)
        try:
            document = strict_json.loads(raw, limit=_LIMIT)
            return _releases(document)
        except (VerificationError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"the trust store {shown_path(self._path)} is damaged: {error}. Put back a copy; "
                "deleting it means accepting any older release once"
            ) from error


def _releases(document: object) -> dict[str, tuple[int, str]]:
    if not isinstance(document, dict) or _version(document) != _VERSION:
        raise TypeError(f"it is not a document of version {_VERSION}")
    models = document["models"]
    if not isinstance(models, dict):
        raise TypeError("its models are no table")
    releases = {}
    for name, entry in models.items():
        serial, digest = entry["serial"], entry["tree_digest"]
        if type(serial) is not int or serial < 0 or not isinstance(digest, str):
            raise TypeError(f"the entry of {shown(name)} is not a serial and a digest")
        releases[name] = (serial, digest)
    return releases


def _version(document: dict[str, object]) -> int | None:
    version = document.get("version")
    return version if type(version) is int else None


def _admit(known: tuple[int, str] | None, name: str, serial: int, tree_digest: str) -> None:
    if known is None or serial > known[0]:
        return
    if serial < known[0]:
        raise StaleModelError(
            f"release {serial} of {shown(name)} is older than release {known[0]}, which was "
            "accepted before: an old model was put back, or the trust store is another fleet's"
        )
    if tree_digest != known[1]:
        raise StaleModelError(
            f"release {serial} of {shown(name)} was accepted before with other content: a serial "
            "must never be used twice"
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the lock file beside the store; where there are no such locks, do without."""
    try:
        import fcntl  # noqa: PLC0415 - only POSIX has it
    except ImportError:
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(
            f"cannot lock the trust store {shown_path(path)}: {error.strerror}"
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
