"""Is this the file that somebody named by its digest?"""

import hmac
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    UnsafeTreeError,
    shown,
    shown_path,
)
from modelsec.files import as_path, regular_file
from modelsec.signing.hashing.digests import check_end, hash_descriptor, new_hasher
from modelsec.signing.trees.folders import identity_of

Kind = Literal["file", "tree"]

_BUFFER = 1 << 18

Progress = Callable[[int, int], None] | None


@dataclass(frozen=True, slots=True)
class IntegrityCheck:
    """Whether a model has the digest that was expected of it.

    It says that nothing changed since somebody wrote the digest down. It does not say who that
    was: for this, verify a signature.

    Attributes:
        verified: the digests are equal, and are digests of the same kind of thing.
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
    kind: Kind | None = None,
    on_progress: Progress = None,
) -> IntegrityCheck:
    """Compare a model with its digest. Another digest is a result, not an exception.

    Args:
        path: a file, or a folder, which must hold nothing but plain files and folders.
        expected_hash: all 64 hex digits, nothing around them.
        kind: what the digest is of. Name it where both would do: somebody can write a *file* whose
            SHA-256 is the tree digest of a folder. None: of whatever lies there.
        on_progress: told the bytes done and the bytes in all; raising from it stops the work.

    Raises:
        ConfigurationError: the digest is none, or the path cannot be opened.
        VerificationError: the folder holds links, pipes or names that no digest can cover, or
            changed while it was read.
    """
    expected = full_digest(expected_hash)
    where = as_path(path, "model")
    if kind is not None and kind not in get_args(Kind):
        raise ConfigurationError(f"kind is file, tree or None, not {shown(kind)}")
    if on_progress is not None and not callable(on_progress):
        raise ConfigurationError(f"on_progress is a function, not {shown(on_progress)}")
    found: Kind = "tree" if is_folder(where) else "file"
    measure = tree_digest if found == "tree" else file_digest
    actual = measure(where, on_progress)
    return IntegrityCheck(
        verified=hmac.compare_digest(actual, expected) and kind in {None, found},
        expected_hash=expected,
        actual_hash=actual,
        model_path=os.fspath(path),
        kind=found,
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


def is_folder(path: Path) -> bool:
    """Say whether a path leads to a folder.

    Raises:
        ConfigurationError: the system cannot say, as of a name that is too long.
    """
    try:
        return path.is_dir()
    except OSError as error:
        raise ConfigurationError(f"cannot open {shown_path(path)}: {error.strerror}") from error


def file_digest(path: Path, on_progress: Progress = None) -> str:
    """Return the SHA-256 of a regular file's bytes, as hex."""
    with regular_file(path) as descriptor:
        before = identity_of(os.fstat(descriptor))
        size = before[2]
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            done += count
            if on_progress is not None:
                on_progress(done, size)

        buffer = bytearray(min(_BUFFER, size + 1))
        try:
            digest = hash_descriptor(descriptor, 0, size, new_hasher("sha256"), buffer, advance)
            check_end(descriptor, size)
        except UnsafeTreeError as error:
            raise ConfigurationError(f"cannot read {shown_path(path)}: {error}") from error
        except DigestMismatchError as error:
            raise _changed(path) from error
        if identity_of(os.fstat(descriptor)) != before:
            raise _changed(path)
    return digest.hex()


def _changed(path: Path) -> DigestMismatchError:
    return DigestMismatchError(
        f"{shown_path(path)} changed while it was hashed: nothing is said about it",
        changed=(path.name,),
    )


def tree_digest(path: Path, on_progress: Progress = None) -> str:
    """Return the tree digest of a folder, under the strict profile, as hex."""
    from modelsec.signing.hashing.survey import survey  # noqa: PLC0415 - idem
    from modelsec.signing.manifest import Layout  # noqa: PLC0415 - a file needs none of it
    from modelsec.signing.profile import STRICT  # noqa: PLC0415 - idem
    from modelsec.signing.trees.tree import open_tree  # noqa: PLC0415 - idem

    with open_tree(path, profile=STRICT) as tree:
        found = survey(tree, Layout(), on_progress=on_progress)
        tree.recheck()
    return found.manifest.tree_digest
