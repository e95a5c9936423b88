"""Rotating the key that wraps: the data key is wrapped anew, the stream stays as it is."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.encryption.context import Context, Pairs, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.envelope import unlock
from modelsec.encryption.header import wrap_context
from modelsec.encryption.receipts import Rewrapped
from modelsec.encryption.source_file import SourceFile, opened, real_path
from modelsec.encryption.targets import check_target
from modelsec.encryption.transform import write_all
from modelsec.errors import DecryptionError, shown_path
from modelsec.files import atomic_binary

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

_STEP = 1024 * 1024


def rewrap(
    source: str | Path,
    old_wrapper: "KeyWrapper",
    new_wrapper: "KeyWrapper",
    *,
    target: str | Path | None = None,
    context: Context | None = None,
) -> Rewrapped:
    """Wrap a file's data key under another key. No plaintext is made, the stream is copied.

    Header, key, context and length are verified, the segments before the last are not: they
    verify afterwards exactly if they did before. Who knew the data key still does; only
    decrypting and encrypting again takes it away from him.

    Args:
        source: what ``encrypt_file`` wrote.
        old_wrapper: unwraps the data key.
        new_wrapper: wraps it; may be the same one, after the service rotated its key.
        target: where the result goes; None replaces the source in one step. A link stays a link:
            what it leads to at the beginning is replaced, wherever it leads later.
        context: exactly the context that the file was encrypted with.

    Raises:
        DecryptionError: the file is not ours, damaged, for another context, changed meanwhile, or
            the old key does not fit.
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
        KeyServiceError: a wrapper could not answer.
    """
    pairs = pairs_of(context)
    key_id_of(old_wrapper)
    key_id_of(new_wrapper)
    place = real_path(source, "source") if target is None else None
    with opened(source if place is None else place, DecryptionError) as file:
        if target is not None:
            check_target(file, target)
        done = wrap_anew(file, place or target, (old_wrapper, new_wrapper), pairs)
    return replace(done, source=str(source), target=str(source if target is None else target))


def wrap_anew(
    file: SourceFile,
    target: str | Path | None,
    wrappers: "tuple[KeyWrapper, KeyWrapper]",
    pairs: Pairs,
) -> Rewrapped:
    """Write an open file, wrapped anew, to a name; see ``rewrap``.

    Args:
        file: the ciphertext.
        target: the name of the result; None for that of the file, which keeps its permissions.
        wrappers: the one that unwraps, and the one that wraps.
        pairs: the context.
    """
    place = Path(file.name if target is None else target)
    replacing = file.is_also(place)
    key_id = key_id_of(wrappers[1])
    envelope, key = unlock(file, wrappers[0], pairs)
    with key:
        wrapped = key.wrapped(wrappers[1], wrap_context(envelope.header.bound, key_id))
    header = replace(envelope.header, key_id=key_id, wrapped_key=wrapped).encode()
    with atomic_binary(place) as written:
        if replacing:
            os.fchmod(written.fileno(), file.permissions)
        write_all(written.fileno(), memoryview(header), 0)
        _copy(file, envelope.stream.base, written.fileno(), len(header))
        file.check_unchanged()
        if replacing and not file.is_also(place):
            raise DecryptionError(
                f"{shown_path(place)} leads to another file now, which is not replaced: a folder "
                "above it was moved or became a link meanwhile"
            )
    return Rewrapped(
        source=file.name,
        target=str(place),
        old_key_id=envelope.header.key_id,
        new_key_id=key_id,
        context=pairs,
    )


def _copy(file: SourceFile, start: int, target: int, put: int) -> None:
    buffer = memoryview(bytearray(min(_STEP, file.size - start)))
    for done in range(0, file.size - start, _STEP):
        piece = buffer[: min(_STEP, file.size - start - done)]
        file.read_into(piece, start + done)
        write_all(target, piece, put + done)
