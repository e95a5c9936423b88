"""Key files: PEM blocks that are read with bounds, private ones written for one reader only."""

import os
import re
from pathlib import Path

from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import atomic_binary
from modelsec.signing.bounded_file import read_at_most

MAX_PEM_BYTES = 64 * 1024
_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----\s.{1,65536}?-----END \1-----", re.DOTALL | re.ASCII
)
_NOT_A_KEY = b"EC PARAMETERS"  # what `openssl ecparam -genkey` writes in front of the key


def read_key_file(path: str | Path) -> bytes:
    """Return the bytes of a key file.

    The permissions of the file are not judged: secrets that an orchestrator mounts are readable
    by a group as a rule.

    Raises:
        ConfigurationError: it cannot be read, or is too large to be one.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"a key file is given by its path, not by {type(path).__name__}")
    content = read_at_most(os.fspath(path), MAX_PEM_BYTES)
    if content is None:
        raise ConfigurationError(
            f"{shown_path(path)} is larger than {MAX_PEM_BYTES:,} bytes: it is not a key file"
        )
    return content


def pem_block(pem: bytes | str, what: str) -> tuple[str, bytes]:
    """Return the label and the text of the one PEM block of a file (RFC 7468).

    Text around it is ignored, as the tools that write it intend.

    Raises:
        ConfigurationError: there is none, or more than one.
    """
    if isinstance(pem, str):
        pem = pem.encode("utf-8", "replace")
    if not isinstance(pem, bytes):
        raise ConfigurationError(f"{what} is given as PEM bytes, not as {type(pem).__name__}")
    if len(pem) > MAX_PEM_BYTES:
        raise ConfigurationError(f"{len(pem):,} bytes are too many for {what}")
    blocks = [found for found in _BLOCK.finditer(pem) if found[1] != _NOT_A_KEY]
    if len(blocks) != 1:
        raise ConfigurationError(
            f"{what} must be PEM with exactly one block (-----BEGIN ...-----), "
            f"this has {len(blocks)}"
        )
    return blocks[0][1].decode(), blocks[0][0] + b"\n"


def write_key_file(path: str | Path, content: bytes, *, private: bool) -> None:
    """Write a key file whole or not at all, and replace none.

    The name is taken first, by an empty file, so that of two writers only one can win.

    Args:
        path: must not exist.
        content: PEM.
        private: nobody but the owner may read it (POSIX).

    Raises:
        ConfigurationError: the file exists, or the folder is not writable.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"a key file is given by its path, not by {type(path).__name__}")
    target = Path(path)
    mode = 0o600 if private else 0o644
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode))
    except FileExistsError as error:
        raise ConfigurationError(
            f"{shown_path(path)} exists: a key is never overwritten; choose another name"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot write {shown_path(path)}: {error}") from error
    try:
        with atomic_binary(target) as file:
            if hasattr(os, "fchmod"):
                os.fchmod(file.fileno(), mode)  # before there is a secret in it
            file.write(content)
    except BaseException:
        target.unlink(missing_ok=True)
        raise
