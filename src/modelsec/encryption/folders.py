"""Encrypting a model that is a folder: each file by itself, all of them as one set.

Each file's context says, besides what the caller tells, its name within the folder, a digest of
the names of all files, and a random number of the set. So a file cannot be renamed, left out,
added, or taken from another encryption of the same folder.
"""

import secrets
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import FILE, FILES, OURS, SET, Context, Pairs, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.decrypting import unseal
from modelsec.encryption.encrypting import SEGMENT_1MB, seal
from modelsec.encryption.envelope import parsed
from modelsec.encryption.folder_listing import Listing, is_folder
from modelsec.encryption.new_folder import new_folder
from modelsec.encryption.receipts import Decrypted, Encrypted
from modelsec.encryption.segments import check_segment_size
from modelsec.encryption.transform import Effort
from modelsec.errors import ConfigurationError, DecryptionError, MalformedArtifactError, shown

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

__all__ = [
    "FILE",
    "FILES",
    "SET",
    "claimed_set",
    "decrypt_folder",
    "encrypt_folder",
    "is_folder",
    "own_pairs",
    "pairs_in",
]


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
        target: must not exist, and not be within the source.
        wrapper: wraps the data keys.
        context: what the model is; names that begin with ``modelsec.`` are ours.
        segment_size: bytes of ciphertext that are authenticated at once, 4 KiB to 1 MiB.
        workers: threads; None for as many as are worth it.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        UnsafeTreeError: the folder holds links or what is no file, or nothing.
        ConfigurationError: something cannot be read or written, or an argument is wrong.
        MalformedArtifactError: a file was changed, added or removed meanwhile.
        KeyServiceError: the wrapper could not wrap a key.
    """
    key_id_of(wrapper)
    check_segment_size(segment_size)
    given = own_pairs(context)
    listing = Listing(source, MalformedArtifactError)
    common = given | {FILES: listing.digest(), SET: secrets.token_hex(16)}
    tell = listing.overall(on_progress)
    done = []
    with new_folder(target, outside=listing.root) as written:
        for name in listing.names:
            pairs, effort = pairs_in(common, name), Effort(workers, tell(name))
            with listing.opened(name) as file:
                one = seal(file, written.place(name), wrapper, pairs, segment_size, effort)
            done.append(replace(one, target=str(written.path / name)))
        listing.check_unchanged()
    return tuple(done)


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
        target: must not exist, and not be within the source.
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
    given = own_pairs(context)
    listing = Listing(source, DecryptionError)
    common = claimed_set(listing, given)
    tell = listing.overall(on_progress)
    done = []
    with new_folder(target, outside=listing.root) as written:
        for name in listing.names:
            effort = Effort(workers, tell(name))
            with listing.opened(name) as file:
                one = unseal(file, written.place(name), wrapper, pairs_in(common, name), effort)
            done.append(replace(one, target=str(written.path / name)))
        listing.check_unchanged()
    return tuple(done)


def own_pairs(context: Context | None) -> dict[str, str]:
    """Return a caller's context of a folder.

    Raises:
        ConfigurationError: it is none, or a name in it is ours.
    """
    given = dict(pairs_of(context))
    ours = [name for name in given if name.startswith(OURS)]
    if ours:
        raise ConfigurationError(
            f"names of a context that begin with {OURS!r} are ours, they say which file of the "
            f"folder it is; leave them out: {', '.join(map(shown, ours[:4]))}"
        )
    return given


def claimed_set(listing: Listing, given: dict[str, str]) -> dict[str, str]:
    """Return what the contexts of all files of an encrypted folder have in common.

    The number of the set is a claim of the first file, until that is decrypted under it.

    Raises:
        DecryptionError: the first file does not say that it belongs to a folder.
    """
    first = listing.names[0]
    with listing.opened(first) as file:
        claimed = dict(parsed(file)[0].context)
    if SET not in claimed:
        raise DecryptionError(
            f"{shown(first)} is not a file of an encrypted folder: decrypt it by itself"
        )
    return given | {FILES: listing.digest(), SET: claimed[SET]}


def pairs_in(common: dict[str, str], name: str) -> Pairs:
    """Return the context of one file of an encrypted folder."""
    return pairs_of(common | {FILE: name})
