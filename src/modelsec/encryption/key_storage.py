"""The file of a local wrapping key: a few lines of text that only its owner may read.

The first line names the format and its version. Every other line is a comment (``#``) or a key:
its identifier, a space, and 64 lowercase hexadecimal digits. The first key wraps, all unwrap::

    modelsec-key-file 1
    # Secret. The first key wraps, all of them unwrap. To retire a key, delete its line.
    c3ab8ff13720e8ad9047dd39466b3c89 5f3c...

An identifier is derived from its key, so a digit that was lost or mistyped is noticed.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import regular_file, sync_folder, temporary_beside
from modelsec.keyed import Secret

KEY_BYTES = 32
MAX_KEYS = 64

_ID_BYTES = 16
_MAX_FILE_BYTES = 65_536
FORMAT = "modelsec-key-file 1"
_COMMENT = "# Secret. The first key wraps, all of them unwrap. To retire a key, delete its line."
_KEY_LINE = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{64})")
_OWNER_ONLY = 0o600
_KEPT = 48
"""Characters of a key file's name in that of its successor; a name has at most 255 bytes."""
_ALL_BUT_OWNER = stat.S_IRWXG | stat.S_IRWXO
_WRITABLE = stat.S_IWGRP | stat.S_IWOTH


def identifier(key: Secret) -> bytes:
    """Return the 16 bytes that name a key and say nothing about it."""
    return key.subkey("encryption/key-id")[:_ID_BYTES]


def create(path: Path, key: bytes) -> None:
    """Write a new key file of mode 0600, whole or not at all, over nothing.

    Raises:
        ConfigurationError: the name is taken, or the folder cannot be written to.
    """
    temporary = temporary_beside(path)

    def named() -> None:
        # Not a rename: that would replace a key file that is already there.
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise ConfigurationError(
                f"{shown_path(path)} exists, and a key file is never overwritten: what was "
                "encrypted under its keys would be lost; choose another name, or rotate it"
            ) from None
        temporary.unlink()
        sync_folder(path.parent)

    _write(temporary, f"create the key file {shown_path(path)}", lambda: _text([key]), named)


def add(path: Path) -> None:
    """Put a new random key in front of those of a key file.

    Raises:
        ConfigurationError: see ``_replaced``; or it is full.
    """

    def grown(place: Path, keys: list[bytes]) -> list[bytes]:
        if len(keys) >= MAX_KEYS:
            raise ConfigurationError(
                f"{shown_path(place)} holds {len(keys)} keys, the most there may be; "
                "wrap again what the oldest ones wrapped and delete their lines"
            )
        return [secrets.token_bytes(KEY_BYTES), *keys]

    _replaced(path, "rotate", grown)


def remove(path: Path, name: bytes) -> None:
    """Take a key that does not wrap any more out of a key file.

    Args:
        path: the key file.
        name: the identifier of the key.

    Raises:
        ConfigurationError: see ``_replaced``; or there is no such key, or it is the first one.
    """

    def left(place: Path, keys: list[bytes]) -> list[bytes]:
        names = [identifier(Secret(key)) for key in keys]
        if name not in names[1:]:
            what = "the key that wraps: rotate first" if name in names else "not in it"
            raise ConfigurationError(
                f"cannot retire the key {name.hex()} of {shown_path(place)}: it is {what}"
            )
        return [key for one, key in zip(names, keys, strict=True) if one != name]

    _replaced(path, "change", left)


def _replaced(path: Path, verb: str, change: Callable[[Path, list[bytes]], list[bytes]]) -> None:
    """Replace a key file in one step, and by one caller at a time. A link stays a link.

    Raises:
        ConfigurationError: it cannot be read or written, is not the caller's own, or is being
            replaced by somebody else.
    """
    place = _resolved(path)
    # The new file is also the lock: of two that rotate at once, one would lose the other's key.
    # So it has to exist before the old one is read.
    successor = place.with_name(f".{place.name[:_KEPT]}.rotating")

    def content() -> bytes:
        keys = read(place, readable_by_others=False)
        if place.stat().st_uid != os.geteuid():
            raise ConfigurationError(
                f"cannot {verb} the key file {shown_path(place)}: it belongs to another user, who "
                "could not read it afterwards; work as that user"
            )
        return _text(change(place, keys))

    def named() -> None:
        successor.replace(place)
        sync_folder(place.parent)

    _write(successor, f"{verb} the key file {shown_path(place)}", content, named)


def _resolved(path: Path) -> Path:
    """Return the file that a link leads to: replacing the link would leave the file as it was."""
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot open {shown_path(path)}: {reason}") from error


def read(path: Path, *, readable_by_others: bool) -> list[bytes]:
    """Return the keys of a key file, the one that wraps first.

    Raises:
        ConfigurationError: the file cannot be opened, is open to others, or breaks the format.
    """
    with regular_file(path) as descriptor:
        status = os.fstat(descriptor)
        _check_owner(path, status.st_uid)
        _check_mode(path, status.st_mode, readable_by_others=readable_by_others)
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                raw = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the key file {shown_path(path)}: {error.strerror}"
            ) from error
    return _parsed(path, raw)


def _parsed(path: Path, raw: bytes) -> list[bytes]:
    """Return the keys in the bytes of a key file; messages name lines, never what is in them."""
    where = f"the key file {shown_path(path)}"
    if len(raw) > _MAX_FILE_BYTES:
        raise ConfigurationError(f"{where} has more than {_MAX_FILE_BYTES} bytes: it is none")
    first, *lines = raw.decode("latin-1").split("\n")
    if first != FORMAT:
        raise ConfigurationError(
            f"{where} does not begin with the line {FORMAT!r}: it is no key file, or one of a "
            "newer version; LocalKeyWrapper.generate makes one"
        )
    if lines[-1:] != [""]:
        raise ConfigurationError(f"{where} ends within a line: it was cut off")
    keys: dict[bytes, bytes] = {}
    for number, line in enumerate(lines[:-1], start=2):
        if line.startswith("#"):
            continue
        match = _KEY_LINE.fullmatch(line)
        if match is None:
            raise ConfigurationError(
                f"line {number} of {where} is neither a comment nor an identifier of 32 and a "
                "key of 64 lowercase hexadecimal digits with one space between them"
            )
        name, key = bytes.fromhex(match[1]), bytes.fromhex(match[2])
        if identifier(Secret(key)) != name:
            raise ConfigurationError(
                f"in line {number} of {where} the identifier does not fit the key: "
                "a digit was changed; restore the file from its backup"
            )
        if name in keys:
            raise ConfigurationError(f"line {number} of {where} repeats a key: delete the line")
        keys[name] = key
    if not 0 < len(keys) <= MAX_KEYS:
        raise ConfigurationError(f"{where} holds {len(keys)} keys; 1 to {MAX_KEYS} is what it may")
    return list(keys.values())


def _check_owner(path: Path, owner: int) -> None:
    """Refuse a file of somebody else, who may read and change it; root's are mounted secrets.

    Raises:
        ConfigurationError: it is another user's.
    """
    if owner not in {os.geteuid(), 0}:
        raise ConfigurationError(
            f"the key file {shown_path(path)} belongs to the user with the number {owner}, who "
            "can read and change it: copy it to a file of your own, or work as that user"
        )


def _check_mode(path: Path, mode: int, *, readable_by_others: bool) -> None:
    """Refuse a file that its owner shares.

    Raises:
        ConfigurationError: group or others may do more than was agreed to.
    """
    if mode & (_WRITABLE if readable_by_others else _ALL_BUT_OWNER):
        verb = "write" if mode & _WRITABLE else "read"
        advice = "" if mode & _WRITABLE else "; for a mounted secret pass readable_by_others=True"
        raise ConfigurationError(
            f"others than its owner may {verb} the key file {shown_path(path)} (mode "
            f"{stat.S_IMODE(mode):04o}): chmod 600 it, and replace the keys if someone "
            f"may have used that{advice}"
        )


def _text(keys: Sequence[bytes]) -> bytes:
    lines = (f"{identifier(Secret(key)).hex()} {key.hex()}" for key in keys)
    return "\n".join((FORMAT, _COMMENT, *lines, "")).encode("ascii")


def _write(
    temporary: Path, purpose: str, content: Callable[[], bytes], named: Callable[[], None]
) -> None:
    """Write a new file of mode 0600 under another name, and then let it be named.

    ``named`` is the last step that may fail: after it the temporary name may be another caller's.
    """
    try:
        descriptor = os.open(
            temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY
        )
    except FileExistsError:
        raise ConfigurationError(
            f"cannot {purpose}: {temporary.name!r} exists beside it, so another call is at it; "
            "if it was one that died, delete that file"
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigurationError(f"cannot {purpose}: {reason}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content())
            file.flush()
            os.fsync(descriptor)
        named()
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigurationError(f"cannot {purpose}: {error.strerror}") from error
        raise
