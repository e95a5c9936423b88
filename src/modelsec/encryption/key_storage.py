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

from modelsec.errors import ConfigurationError
from modelsec.files import regular_file
from modelsec.keyed import Secret

KEY_BYTES = 32
MAX_KEYS = 64

_ID_BYTES = 16
_MAX_FILE_BYTES = 65_536
_FORMAT = "modelsec-key-file 1"
_COMMENT = "# Secret. The first key wraps, all of them unwrap. To retire a key, delete its line."
_KEY_LINE = re.compile(r"([0-9a-f]{32}) ([0-9a-f]{64})")
_OWNER_ONLY = 0o600
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
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")

    def named() -> None:
        # Not a rename: that would replace a key file that is already there.
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise ConfigurationError(
                f"{_shown_path(path)} exists, and a key file is never overwritten: what was "
                "encrypted under its keys would be lost; choose another name, or rotate it"
            ) from None
        temporary.unlink()

    _write(temporary, f"create the key file {_shown_path(path)}", lambda: _text([key]), named)


def add(path: Path) -> None:
    """Put a new random key in front of those of a key file.

    The file is replaced in one step, and by one caller at a time.

    Raises:
        ConfigurationError: it cannot be read or written, is full, or is being rotated.
    """
    # The new file is also the lock: of two that rotate at once, one would lose the other's key.
    # So it has to exist before the old one is read.
    successor = path.with_name(f".{path.name}.rotating")

    def grown() -> bytes:
        keys = read(path, readable_by_others=False)
        if len(keys) >= MAX_KEYS:
            raise ConfigurationError(
                f"{_shown_path(path)} holds {len(keys)} keys, the most there may be; "
                "wrap again what the oldest ones wrapped and delete their lines"
            )
        return _text([secrets.token_bytes(KEY_BYTES), *keys])

    def named() -> None:
        successor.replace(path)

    _write(successor, f"rotate the key file {_shown_path(path)}", grown, named)


def read(path: Path, *, readable_by_others: bool) -> list[bytes]:
    """Return the keys of a key file, the one that wraps first.

    Raises:
        ConfigurationError: the file cannot be opened, is open to others, or breaks the format.
    """
    with regular_file(path) as descriptor:
        _check_mode(path, os.fstat(descriptor).st_mode, readable_by_others=readable_by_others)
        try:
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                raw = file.read(_MAX_FILE_BYTES + 1)
        except OSError as error:
            raise ConfigurationError(
                f"cannot read the key file {_shown_path(path)}: {error.strerror}"
            ) from error
    return _parsed(path, raw)


def _parsed(path: Path, raw: bytes) -> list[bytes]:
    """Return the keys in the bytes of a key file; messages name lines, never what is in them."""
    where = f"the key file {_shown_path(path)}"
    if len(raw) > _MAX_FILE_BYTES:
        raise ConfigurationError(f"{where} has more than {_MAX_FILE_BYTES} bytes: it is none")
    first, *lines = raw.decode("latin-1").split("\n")
    if first != _FORMAT:
        raise ConfigurationError(
            f"{where} does not begin with the line {_FORMAT!r}: it is no key file, or one of a "
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


def _check_mode(path: Path, mode: int, *, readable_by_others: bool) -> None:
    """Refuse a file that its owner shares.

    Raises:
        ConfigurationError: group or others may do more than was agreed to.
    """
    if mode & (_WRITABLE if readable_by_others else _ALL_BUT_OWNER):
        verb = "write" if mode & _WRITABLE else "read"
        advice = "" if mode & _WRITABLE else "; for a mounted secret pass readable_by_others=True"
        raise ConfigurationError(
            f"others than its owner may {verb} the key file {_shown_path(path)} (mode "
            f"{stat.S_IMODE(mode):04o}): chmod 600 it, and replace the keys if someone "
            f"may have used that{advice}"
        )


def _shown_path(path: Path) -> str:
    return f"{str(path)!r:.300}"  # the end of a path says the most, so longer than shown()


def _text(keys: Sequence[bytes]) -> bytes:
    lines = (f"{identifier(Secret(key)).hex()} {key.hex()}" for key in keys)
    return "\n".join((_FORMAT, _COMMENT, *lines, "")).encode("ascii")


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
