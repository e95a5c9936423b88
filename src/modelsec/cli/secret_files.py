"""Secrets for the command line come from files: arguments can be read by everybody."""

import sys

from modelsec.errors import ConfigurationError, shown
from modelsec.signing.bounded_file import read_at_most

_LIMIT = 64 * 1024
STANDARD_INPUT = "-"


def secret(path: str) -> bytes:
    """Return the bytes of a file that holds a secret, without one trailing line break.

    The whole file counts, for a random secret may have any bytes.

    Raises:
        ConfigurationError: it cannot be opened, is empty, or is too large to be a secret.
    """
    return _content(path).removesuffix(b"\n").removesuffix(b"\r")


def password(path: str | None) -> bytes | None:
    """Return the password in a file: its first line; None if there is no file.

    Every command reads it so: what follows may be a note, and a key that one command has encrypted
    can be read by the others.

    Args:
        path: the file; ``-`` for standard input.

    Raises:
        ConfigurationError: it cannot be opened, is too large, or its first line is empty.
    """
    if path is None:
        return None
    line = _content(path).split(b"\n", 1)[0].rstrip(b"\r")
    if not line:
        raise ConfigurationError(f"the first line of {shown(path)} is empty: it is the password")
    return line


def _content(path: str) -> bytes:
    if path == STANDARD_INPUT:
        # A line, not the whole: whoever types has nothing else to say.
        content: bytes | None = sys.stdin.buffer.readline(_LIMIT + 1)
    else:
        content = read_at_most(path, _LIMIT)
    if not content or len(content) > _LIMIT:
        raise ConfigurationError(
            f"{shown(path)} holds {'nothing' if content == b'' else 'too much'} to be a secret"
        )
    return content
