"""Secrets for the command line come from files: arguments can be read by everybody."""

import os

from modelsec.errors import ConfigurationError
from modelsec.files import regular_file

_LIMIT = 64 * 1024


def secret(path: str) -> bytes:
    """Return the bytes of a file that holds a secret, without one trailing line break.

    Raises:
        ConfigurationError: it cannot be opened, is empty, or is too large to be a secret.
    """
    with regular_file(path) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        content = file.read(_LIMIT + 1)
    if not content or len(content) > _LIMIT:
        raise ConfigurationError(
            f"{path!r:.60} holds {'nothing' if not content else 'too much'} to be a secret"
        )
    return content.removesuffix(b"\n").removesuffix(b"\r")


def password(path: str | None) -> bytes | None:
    """Return the password in a file; None if there is no file."""
    return None if path is None else secret(path)
