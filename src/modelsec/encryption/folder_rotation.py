"""Rotating the key that wraps the data keys of an encrypted folder."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.encryption.context import Context, check_context
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.envelope import parsed
from modelsec.encryption.folder_listing import Listing
from modelsec.encryption.folders import claimed_set, own_pairs, pairs_in
from modelsec.encryption.new_folder import NewFolder, new_folder
from modelsec.encryption.receipts import Rewrapped
from modelsec.encryption.rotation import wrap_anew
from modelsec.encryption.source_file import real_path
from modelsec.errors import DecryptionError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from modelsec.protocols.keys import KeyWrapper


def rewrap_folder(
    source: str | Path,
    old_wrapper: "KeyWrapper",
    new_wrapper: "KeyWrapper",
    *,
    target: str | Path | None = None,
    context: Context | None = None,
) -> tuple[Rewrapped, ...]:
    """Wrap the data keys of all files of an encrypted folder under another key; see ``rewrap``.

    Without a target, files are replaced one after the other. If that is interrupted, some are
    wrapped under the new key already: call it again, files that name the new key are opened with
    the new wrapper. The set stays the same: contexts do not change.

    Args:
        source: what ``encrypt_folder`` wrote, with nothing added and nothing missing.
        old_wrapper: unwraps the data keys.
        new_wrapper: wraps them; may be the same one, after the service rotated its key.
        target: a new folder for the result, which appears when it is complete; None replaces the
            files.
        context: exactly the context that the folder was encrypted with.

    Raises:
        DecryptionError: a file is not of the set, is damaged or changed meanwhile, or the old key
            does not fit. That the files say that they are of one set is checked before the first
            one is replaced.
        UnsafeTreeError: the folder holds links or what is no file, or nothing.
        ConfigurationError: something cannot be read or written, or an argument is wrong.
        KeyServiceError: a wrapper could not answer.
    """
    old_id, new_id = key_id_of(old_wrapper), key_id_of(new_wrapper)
    given = own_pairs(context)
    # A link stays a link: what it leads to now is read and replaced, wherever it leads later.
    listing = Listing(real_path(source, "source"), DecryptionError)
    common = claimed_set(listing, given)
    openers = {}
    for name in listing.names:
        with listing.opened(name) as file:
            header = parsed(file)[0]
        check_context(header.context, pairs_in(common, name))
        done_before = header.key_id == new_id != old_id
        openers[name] = new_wrapper if done_before else old_wrapper
    done = []
    with _target(target, listing) as written:
        root = written.path if written else Path(source)
        for name, opener in openers.items():
            pairs = pairs_in(common, name)
            with listing.opened(name) as file:
                place = written.place(name) if written else None
                one = wrap_anew(file, place, (opener, new_wrapper), pairs)
            done.append(replace(one, source=str(Path(source, name)), target=str(root / name)))
        if written:
            listing.check_unchanged()
    return tuple(done)


def _target(
    target: str | Path | None, listing: Listing
) -> "AbstractContextManager[NewFolder | None]":
    return nullcontext() if target is None else new_folder(target, outside=listing.root)
