"""The newest release that was ever accepted of each model: nothing older is accepted again.

A right signature says who made a model, not that it is the one in use today: an attacker who can
replace files can also put back last year's model with last year's signature. The store remembers,
for each model name, the highest serial that was verified, whoever signed it: were it kept for each
key, rotating a key would open the past again.
"""

import json
import os
from pathlib import Path
from typing import Protocol, runtime_checkable

from modelsec.errors import (
    ConfigurationError,
    StaleModelError,
    VerificationError,
    shown,
    shown_path,
)
from modelsec.files import as_path, atomic_text
from modelsec.signing.bounded_file import read_at_most
from modelsec.signing.bundles import strict_json
from modelsec.signing.bundles.release_annotation import MAX_SERIAL
from modelsec.signing.file_lock import locked

_VERSION = 1
_LIMIT = 16 * 1024 * 1024
_MAX_TEXT = 1024


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
        ConfigurationError: by every method, if the file is damaged or cannot be reached, read or
            written; if it is locked for ten seconds; or if what is to be remembered is no release.
            A store that is damaged or out of reach is never treated as an empty one.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = as_path(path, "trust store")

    def __repr__(self) -> str:
        return f"TrustStore({shown_path(self._path)})"

    def admit(self, name: str, serial: int, tree_digest: str) -> None:
        """Return if the release is not older than what is remembered."""
        _check_release(name, serial, tree_digest)
        _admit(self._read().get(name), name, serial, tree_digest)

    def remember(self, name: str, serial: int, tree_digest: str) -> None:
        """Check again and remember, as one step."""
        _check_release(name, serial, tree_digest)
        if self._read().get(name) == (serial, tree_digest):
            return  # Nothing to write: it may be on storage that cannot be written.
        with locked(self._path):
            releases = self._read()
            _admit(releases.get(name), name, serial, tree_digest)
            releases[name] = (serial, tree_digest)
            text = _document(releases)
            if len(text.encode()) > _LIMIT:
                raise ConfigurationError(
                    f"the trust store {shown_path(self._path)} would have more than {_LIMIT:,} "
                    "bytes: use one for each fleet, or a ReleaseMemory of your own"
                )
            with atomic_text(self._path) as file:
                file.write(text)

    def _read(self) -> dict[str, tuple[int, str]]:
        try:
            os.lstat(self._path)
        except FileNotFoundError:
            return {}
        except OSError as error:
            # What cannot be reached is not an empty store.
            raise ConfigurationError(
                f"cannot reach the trust store {shown_path(self._path)}: {error.strerror}"
            ) from error
        raw = read_at_most(self._path, _LIMIT)
        if raw is None:
            raise ConfigurationError(
                f"the trust store {shown_path(self._path)} is damaged: it has more than {_LIMIT:,} "
                "bytes"
            )
        try:
            return _releases(strict_json.loads(raw, limit=_LIMIT))
        except (VerificationError, TypeError, KeyError) as error:
            raise ConfigurationError(
                f"the trust store {shown_path(self._path)} is damaged: {error}. Put back a copy; "
                "deleting it means accepting any older release once"
            ) from error


def _document(releases: dict[str, tuple[int, str]]) -> str:
    models = {
        name: {"serial": serial, "tree_digest": digest}
        for name, (serial, digest) in sorted(releases.items())
    }
    return json.dumps({"version": _VERSION, "models": models}, indent=1) + "\n"


def _check_release(name: object, serial: object, tree_digest: object) -> None:
    """Refuse what could not be read again: one bad call must not end the store."""
    for what, text in (("name", name), ("tree digest", tree_digest)):
        if not isinstance(text, str) or not 0 < len(text) <= _MAX_TEXT or not _is_utf8(text):
            raise ConfigurationError(
                f"the {what} of a release is text of 1 to {_MAX_TEXT:,} characters, not "
                f"{shown(text)}"
            )
    if type(serial) is not int or not 0 <= serial <= MAX_SERIAL:
        raise ConfigurationError(
            f"the serial of a release is a whole number from 0 to 2^63 - 1, not {shown(serial)}"
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


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
