"""Rotating the key that wraps: the data key is wrapped anew, the stream stays as it is."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from modelsec.encryption.context import Context, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.encrypting import check_target
from modelsec.encryption.envelope import unlock
from modelsec.encryption.header import wrap_context
from modelsec.encryption.receipts import Rewrapped
from modelsec.encryption.source_file import SourceFile, opened
from modelsec.encryption.transform import write_all
from modelsec.errors import DecryptionError
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
        target: where the result goes; None replaces the source in one step.
        context: exactly the context that the file was encrypted with.

    Raises:
        DecryptionError: the file is not ours, damaged, for another context, changed meanwhile, or
            the old key does not fit.
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
        KeyServiceError: a wrapper could not answer.
    """
    pairs = pairs_of(context)
    key_id_of(old_wrapper)
    key_id = key_id_of(new_wrapper)
    with opened(source, DecryptionError) as file:
        if target is not None:
            check_target(file, target)
        envelope, key = unlock(file, old_wrapper, pairs)
        with key:
            wrapped = key.wrapped(new_wrapper, wrap_context(envelope.header.bound, key_id))
        header = replace(envelope.header, key_id=key_id, wrapped_key=wrapped).encode()
        # A link stays a link: what it leads to is replaced.
        with atomic_binary(Path(source).resolve() if target is None else target) as written:
            if target is None:
                os.fchmod(written.fileno(), file.permissions)
            write_all(written.fileno(), memoryview(header), 0)
            _copy(file, envelope.stream.base, written.fileno(), len(header))
            file.check_unchanged()
    return Rewrapped(
        source=str(source),
        target=str(source if target is None else target),
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
