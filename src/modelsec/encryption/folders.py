"""Encrypting a model that is a folder: each file by itself, all of them as one set.

Each file's context says, besides what the caller tells, its name within the folder, a digest of
the names of all files, and a random number of the set. So a file cannot be renamed, left out,
added, or taken from another encryption of the same folder.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.decrypting import decrypt_file
from modelsec.encryption.encrypting import SEGMENT_1MB, encrypt_file
from modelsec.encryption.envelope import unverified_header
from modelsec.encryption.receipts import Decrypted, Encrypted
from modelsec.encryption.source_file import check_path
from modelsec.errors import ConfigurationError, DecryptionError, UnsafeTreeError, shown

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

FILE: Final = "modelsec.file"
FILES: Final = "modelsec.files"
SET: Final = "modelsec.set"
_RESERVED: Final = frozenset((FILE, FILES, SET))


def encrypt_folder(  # noqa: PLR0913 - keywords, each with a default
    source: str | Path,
    target: str | Path,
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    segment_size: int = SEGMENT_1MB,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Encrypted, ...]:
    """Encrypt every file of a folder into a new folder, which appears when it is complete.

    Names stay readable; folders without files are not kept. The wrapper is asked once a file.

    Args:
        source: the folder. Nobody may write to it meanwhile.
        target: must not exist.
        wrapper: wraps the data keys.
        context: what the model is; names that begin with ``modelsec.`` are ours.
        segment_size: bytes of ciphertext that are authenticated at once, 4 KiB to 1 MiB.
        workers: threads; None for as many as are worth it.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        UnsafeTreeError: the folder holds links or what is no file, or nothing.
        ConfigurationError: something cannot be read or written, or an argument is wrong.
        MalformedArtifactError: a file was changed while it was read.
        KeyServiceError: the wrapper could not wrap a key.
    """
    key_id_of(wrapper)
    given = _own(context)
    names = _names(source)
    common = given | {FILES: _digest(names), SET: secrets.token_hex(16)}
    tell = _overall(Path(source), names, on_progress)
    with _new_folder(target) as written:
        return tuple(
            encrypt_file(
                Path(source, name),
                _place(written, name),
                wrapper,
                context=common | {FILE: name},
                segment_size=segment_size,
                workers=workers,
                on_progress=tell(name),
            )
            for name in names
        )


def decrypt_folder(  # noqa: PLR0913 - keywords, each with a default
    source: str | Path,
    target: str | Path,
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> tuple[Decrypted, ...]:
    """Decrypt a folder into a new one, which appears when every file has been verified.

    Args:
        source: what ``encrypt_folder`` wrote, with nothing added and nothing missing.
        target: must not exist.
        wrapper: unwraps the data keys.
        context: exactly the context that the folder was encrypted with.
        workers: threads; None for as many as are worth it.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        DecryptionError: a file was changed, renamed, added, left out, or is of another set; or
            the key or the context is another one. Nothing is left behind.
        UnsafeTreeError: the folder holds links or what is no file, or nothing.
        ConfigurationError: something cannot be read or written, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """
    key_id_of(wrapper)
    given = _own(context)
    names = _names(source)
    claimed = dict(unverified_header(Path(source, names[0])).context)
    if SET not in claimed:
        raise DecryptionError(
            f"{shown(names[0])} is not a file of an encrypted folder: decrypt it by itself"
        )
    # The number is a claim until the first file is decrypted under it, and then the others'.
    common = given | {FILES: _digest(names), SET: claimed[SET]}
    tell = _overall(Path(source), names, on_progress)
    with _new_folder(target) as written:
        return tuple(
            decrypt_file(
                Path(source, name),
                _place(written, name),
                wrapper,
                context=common | {FILE: name},
                workers=workers,
                on_progress=tell(name),
            )
            for name in names
        )


def _own(context: Context | None) -> dict[str, str]:
    given = dict(pairs_of(context))
    if not _RESERVED.isdisjoint(given):
        raise ConfigurationError(
            f"the names {', '.join(sorted(_RESERVED))} of a context say which file of the folder "
            "it is: leave them out"
        )
    return given


def _names(folder: object) -> list[str]:
    """Return the names of all files in a folder, with ``/``, in code-point order."""
    root = Path(check_path(folder, "source"))
    if not is_folder(root):
        raise ConfigurationError(f"{shown(str(root))} is no folder")
    found = []
    for place, folders, files in os.walk(root, onerror=_unreadable):
        for name in (*folders, *files):
            path = Path(place, name)
            if _is_file(path):
                found.append(path.relative_to(root).as_posix())
    if not found:
        raise UnsafeTreeError(f"{shown(str(root))} holds no files")
    return sorted(found)


def is_folder(path: str | Path) -> bool:
    """Say whether a path leads to a folder; whatever cannot be looked at is none."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def _is_file(path: Path) -> bool:
    try:
        mode = path.lstat().st_mode
    except OSError as error:
        raise ConfigurationError(f"cannot read {shown(str(path))}: {error.strerror}") from error
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise UnsafeTreeError(
            f"{shown(str(path))} is a link, a pipe or a device: only files and folders are "
            "encrypted"
        )
    return stat.S_ISREG(mode)


def _unreadable(error: OSError) -> None:
    raise ConfigurationError(f"cannot read {shown(error.filename)}: {error.strerror}") from error


def _digest(names: list[str]) -> str:
    """Return the hex SHA-256 over each name after its length in 4 bytes."""
    digest = sha256()
    for name in names:
        raw = os.fsencode(name)
        digest.update(len(raw).to_bytes(4) + raw)
    return digest.hexdigest()


def _overall(
    root: Path, names: list[str], on_progress: Progress | None
) -> Callable[[str], Progress | None]:
    """Return what makes the progress of one file that of all of them."""
    if on_progress is None or not callable(on_progress):
        return lambda _name: on_progress
    sizes = {name: _size(root / name) for name in names}
    before = dict(zip(names, accumulate(sizes.values(), initial=0), strict=False))
    overall = sum(sizes.values())

    def of(name: str) -> Progress:
        # A ciphertext is larger than what is told of it: its end is the whole of it.
        return lambda done, total: on_progress(
            before[name] + (sizes[name] if done == total else done), overall
        )

    return of


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError as error:
        raise ConfigurationError(f"cannot read {shown(str(path))}: {error.strerror}") from error


@contextmanager
def _new_folder(target: object) -> Iterator[Path]:
    """Give a temporary folder that is renamed when the block ends, and deleted if it raises."""
    path = Path(check_path(target, "target"))
    if os.path.lexists(path):
        raise ConfigurationError(f"{shown(str(path))} exists: name a new folder")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        temporary.mkdir()
        yield temporary
        temporary.rename(path)
    except OSError as error:
        raise ConfigurationError(f"cannot write {shown(str(path))}: {error.strerror}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _place(folder: Path, name: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
