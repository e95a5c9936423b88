"""One writer at a time: a lock file beside the file that is replaced."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelsec.errors import ConfigurationError, shown_path

_TRIES = 200
_PAUSE_SECONDS = 0.05


@contextmanager
def locked(path: Path, *, wait: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the lock of a file; where there are no such locks (Windows), do without.

    Args:
        path: of the file; the lock is ``.<name>.lock`` beside it.
        wait: pauses between 200 attempts, told 0.05 seconds.

    Raises:
        ConfigurationError: there is no place for the lock, or somebody else holds it all the time.
    """
    try:
        import fcntl  # noqa: PLC0415 - only POSIX has it
    except ImportError:
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigurationError(f"cannot lock {shown_path(path)}: {error.strerror}") from error
    try:
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                wait(_PAUSE_SECONDS)
            except OSError as error:
                raise ConfigurationError(
                    f"cannot lock {shown_path(path)}: {error.strerror}"
                ) from error
        else:
            raise ConfigurationError(
                f"{shown_path(path)} stays locked ({shown_path(lock)}): end the process that "
                "holds it"
            )
        yield
    finally:
        os.close(descriptor)
