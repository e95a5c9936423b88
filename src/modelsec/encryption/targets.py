"""Where results may be written: never over the source, and never over a key file."""

import os
from typing import Final

from modelsec.encryption.key_storage import FORMAT
from modelsec.encryption.source_file import SourceFile, check_path
from modelsec.errors import ConfigurationError, shown_path
from modelsec.files import regular_file

_KEY_FILE: Final = FORMAT.partition(" ")[0].encode()


def check_target(file: SourceFile, target: object) -> None:
    """Raise unless something else than the source may be written under this name.

    Raises:
        ConfigurationError: it is no name of a file, leads to the source, to a key file, or to
            what is no regular file: a device would be replaced, not written to.
    """
    path = check_path(target, "target")
    if file.is_also(path):
        raise ConfigurationError(
            f"{shown_path(path)} is the source itself: write to another name, and delete the "
            "source when you have checked the result"
        )
    # Of os.path: a name that is too long is answered, not raised.
    if not os.path.exists(path):  # noqa: PTH110 - see above
        return
    if not os.path.isfile(path):  # noqa: PTH113 - idem
        raise ConfigurationError(
            f"cannot write {shown_path(path)}: it is a folder, a pipe or a device"
        )
    if _begins_as_a_key_file(path):
        raise ConfigurationError(
            f"{shown_path(path)} is a key file, and a key file is never overwritten: what was "
            "encrypted under its keys would be lost; write to another name"
        )


def _begins_as_a_key_file(path: object) -> bool:
    """Say so of every version of the format; what cannot be read is not replaced either."""
    with regular_file(check_path(path, "target")) as descriptor:
        try:
            return os.pread(descriptor, len(_KEY_FILE), 0) == _KEY_FILE
        except OSError as error:
            raise ConfigurationError(
                f"cannot read {shown_path(path)} before it is replaced: {error.strerror}"
            ) from error
