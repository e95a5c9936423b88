"""Read a small file whole, or notice that it is too large to be what it should be."""

from pathlib import Path

from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import regular_file


def read_at_most(path: str | Path, limit: int) -> bytes | None:
    """Return the content of a regular file; None if it has more than ``limit`` bytes.

    No more than the limit is read, whatever the size. One descriptor is enough.

    Raises:
        ConfigurationError: it cannot be opened or read, or is not a regular file.
    """
    with regular_file(path) as descriptor:
        try:
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(limit + 1)
        except OSError as error:
            raise ConfigurationError(f"cannot read {shown_path(path)}: {error.strerror}") from error
    return content if len(content) <= limit else None
