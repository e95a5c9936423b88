"""Is this the file that somebody named by its digest?"""

import hashlib
import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Literal

from modelsec.errors import ConfigurationError, DigestMismatchError, shown
from modelsec.files import regular_file

Kind = Literal["file", "tree"]

_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class IntegrityCheck:
    """Whether a model has the digest that was expected of it.

    It says that nothing changed since somebody wrote the digest down. It does not say who that
    was: for this, verify a signature.

    Attributes:
        verified: the digests are equal.
        expected_hash: as lowercase hex.
        actual_hash: as lowercase hex: of a file the SHA-256 of its bytes, of a folder the tree
            digest, which binds every name and every file (``Manifest.tree_digest``).
        model_path: as the caller named it.
        kind: ``file`` or ``tree``: which of the two digests it is.
    """

    verified: bool
    expected_hash: str
    actual_hash: str
    model_path: str
    kind: Kind

    def to_dict(self) -> dict[str, object]:
        """Return the check as JSON-ready values."""
        return {
            "verified": self.verified,
            "expected_hash": self.expected_hash,
            "actual_hash": self.actual_hash,
            "model_path": self.model_path,
            "kind": self.kind,
        }


def check_integrity(
    path: str | os.PathLike[str],
    expected_hash: str,
    *,
    on_progress: Callable[[int, int], None] | None = None,
) -> IntegrityCheck:
    """Compare a model with its digest. Another digest is a result, not an exception.

    Args:
        path: a file, or a folder, which must hold nothing but plain files and folders.
        expected_hash: all 64 hex digits, nothing around them.
        on_progress: told the bytes done and the bytes in all; raising from it stops the work.

    Raises:
        ConfigurationError: the digest is none, or the path cannot be opened.
        VerificationError: the folder holds links, pipes or names that no digest can cover, or
            changed while it was read.
    """
    expected = full_digest(expected_hash)
    where = checked_path(path)
    kind: Kind = "tree" if where.is_dir() else "file"
    measure = tree_digest if kind == "tree" else file_digest
    actual = measure(where, on_progress)
    return IntegrityCheck(
        verified=hmac.compare_digest(actual, expected),
        expected_hash=expected,
        actual_hash=actual,
        model_path=os.fspath(path),
        kind=kind,
    )


def full_digest(value: object) -> str:
    """Return a SHA-256 digest in lowercase.

    A prefix such as ``sha256:`` is refused like every other decoration: what is compared is
    exactly what the caller sees.

    Raises:
        ConfigurationError: it is not a string of exactly 64 hex digits.
    """
    if not isinstance(value, str):
        raise ConfigurationError(f"the expected hash must be a string, not {shown(value)}")
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        hint = "64 hex digits and nothing else"
        if value.lower().startswith(("sha256:", "sha-256:")):
            hint = f"{hint}: leave out the prefix"
        elif re.fullmatch(r"\s*[0-9a-fA-F]{64}\s*", value[:1000]):
            hint = f"{hint}: strip the white space"
        elif re.fullmatch(r"[0-9a-fA-F]+", value[:1000]):
            hint = f"{hint}: this has {len(value)}"
        raise ConfigurationError(f"{shown(value)} is no SHA-256 digest: it takes {hint}")
    return value.lower()


def checked_path(path: object) -> Path:
    """Return a path that the system can take.

    Raises:
        ConfigurationError: it is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise ConfigurationError(f"the model must be a path, not {shown(path)}")
    name = os.fspath(path)
    if not isinstance(name, str) or not name or "\0" in name:
        raise ConfigurationError(f"the model must be a path, not {shown(name)}")
    return Path(name)


def file_digest(path: Path, on_progress: Callable[[int, int], None] | None = None) -> str:
    """Return the SHA-256 of a regular file's bytes, as hex."""
    digest = hashlib.sha256()
    view = memoryview(bytearray(_BUFFER))
    done = 0
    with (
        regular_file(path) as descriptor,
        os.fdopen(descriptor, "rb", buffering=0, closefd=False) as file,
    ):
        before = identity(descriptor)
        total = before[2]
        # Not to the end: a file that somebody appends to would never end.
        while done < total and (count := _read(file, view[: total - done], path)):
            digest.update(view[:count])
            done += count
            if on_progress is not None:
                on_progress(done, total)
        if done != total or identity(descriptor) != before:
            raise DigestMismatchError(
                f"{shown(str(path))} changed while it was hashed: nothing is said about it",
                changed=(path.name,),
            )
    return digest.hexdigest()


def identity(descriptor: int) -> tuple[int, int, int, int, int]:
    """Return device, inode, size and both times of an open file: what a write changes."""
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _read(file: FileIO, into: memoryview, path: Path) -> int:
    try:
        return file.readinto(into) or 0
    except OSError as error:
        raise ConfigurationError(f"cannot read {shown(str(path))}: {error.strerror}") from error


def tree_digest(path: Path, on_progress: Callable[[int, int], None] | None = None) -> str:
    """Return the tree digest of a folder, under the strict profile, as hex."""
    from modelsec.signing.hashing.survey import survey  # noqa: PLC0415 - idem
    from modelsec.signing.manifest import Layout  # noqa: PLC0415 - a file needs none of it
    from modelsec.signing.profile import STRICT  # noqa: PLC0415 - idem
    from modelsec.signing.trees.tree import open_tree  # noqa: PLC0415 - idem

    with open_tree(path, profile=STRICT) as tree:
        found = survey(tree, Layout(), on_progress=on_progress)
        tree.recheck()
    return found.manifest.tree_digest
