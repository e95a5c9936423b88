"""Decrypting a whole file, all of which is verified before anything is handed out."""

from dataclasses import replace
from hashlib import sha256
from typing import TYPE_CHECKING

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context, Pairs, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.envelope import Envelope, open_envelope
from modelsec.encryption.memory import discard, new_buffer, wipe, writable
from modelsec.encryption.receipts import Decrypted
from modelsec.encryption.source_file import Ciphertext, Source, SourceFile, opened, readable
from modelsec.encryption.targets import check_target
from modelsec.encryption.transform import Effort, open_to_file, open_to_memory
from modelsec.errors import ConfigurationError, DecryptionError
from modelsec.files import atomic_binary

if TYPE_CHECKING:
    from pathlib import Path

    from modelsec.protocols.keys import KeyWrapper


def decrypt_file(  # noqa: PLR0913 - keywords, each with a default
    source: "str | Path",
    target: "str | Path",
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
    digest: bool = False,
) -> Decrypted:
    """Decrypt a file; the target appears when every segment has been verified.

    Args:
        source: what ``encrypt_file`` wrote.
        target: is replaced if it exists, but must not be the source itself.
        wrapper: unwraps the data key.
        context: exactly the context that the file was encrypted with.
        workers: threads; None for as many as are worth it. Each needs some 2 MiB.
        on_progress: called with bytes done and in all; raising from it cancels.
        digest: also compute the SHA-256 of the plaintext, with one worker.

    Raises:
        DecryptionError: the file is not ours, was changed, cut off or extended, or the key or
            the context is another one. Nothing is left behind.
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """
    pairs = pairs_of(context)
    key_id_of(wrapper)
    hasher = sha256() if digest else None
    with opened(source, DecryptionError) as file:
        done = unseal(file, target, wrapper, pairs, Effort(workers, on_progress, hasher))
    return replace(done, plaintext_sha256=hasher.hexdigest()) if hasher else done


def unseal(
    file: SourceFile, target: "str | Path", wrapper: "KeyWrapper", pairs: Pairs, effort: Effort
) -> Decrypted:
    """Decrypt an open file; see ``decrypt_file``."""
    check_target(file, target)
    envelope = open_envelope(file, wrapper, pairs)
    with atomic_binary(target, private=True) as written:
        open_to_file(file, envelope.stream, written.fileno(), effort)
    return Decrypted(
        source=file.name,
        target=str(target),
        key_id=envelope.header.key_id,
        context=pairs,
        plaintext_size=envelope.plaintext_size,
    )


def decrypt_to_buffer(
    source: Ciphertext,
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> memoryview:
    """Decrypt a file into one new buffer; the plaintext touches no disk that we know of.

    The buffer is private, writable memory that lives as long as a view of it.

    Args:
        source: what ``encrypt_file`` wrote: its path, its bytes, or an open binary file of them,
            which is read from its beginning whatever its position.
        wrapper: unwraps the data key.
        context: exactly the context that the file was encrypted with.
        workers: threads; None for as many as are worth it. Each needs some 1 MiB.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        DecryptionError: see ``decrypt_file``; the memory is discarded.
        ResourceLimitError: there is not enough memory.
        ConfigurationError: the file cannot be read, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """
    pairs = pairs_of(context)
    key_id_of(wrapper)
    with readable(source, DecryptionError) as file:
        return unseal_to_buffer(file, wrapper, pairs, Effort(workers, on_progress))


def unseal_to_buffer(
    file: Source, wrapper: "KeyWrapper", pairs: Pairs, effort: Effort
) -> memoryview:
    """Decrypt an open file, or memory, into one new buffer; see ``decrypt_to_buffer``."""
    envelope = open_envelope(file, wrapper, pairs)
    buffer = new_buffer(envelope.plaintext_size)
    try:
        open_to_memory(file, envelope.stream, buffer, effort)
    except BaseException:
        discard(buffer)
        raise
    return buffer


def decrypt_into(  # noqa: PLR0913 - keywords, each with a default
    source: Ciphertext,
    buffer: "bytearray | memoryview",
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> int:
    """Decrypt a file into memory of the caller's; return the number of bytes.

    Args:
        source: what ``encrypt_file`` wrote: its path, its bytes, or an open binary file of them,
            which is read from its beginning whatever its position.
        buffer: writable and contiguous; may be larger than the plaintext.
        wrapper: unwraps the data key.
        context: exactly the context that the file was encrypted with.
        workers: threads; None for as many as are worth it. Each needs some 1 MiB.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        DecryptionError: see ``decrypt_file``; what was written is overwritten with zeros.
        ConfigurationError: the buffer is too small or cannot be written to, the file cannot be
            read, or an argument is wrong.
        KeyServiceError: the wrapper could not answer.
    """
    pairs = pairs_of(context)
    key_id_of(wrapper)
    with writable(buffer) as view, readable(source, DecryptionError) as file:
        envelope = open_envelope(file, wrapper, pairs)
        with _part(view, envelope) as part:
            try:
                open_to_memory(file, envelope.stream, part, Effort(workers, on_progress))
            except BaseException:
                wipe(part)
                raise
    return envelope.plaintext_size


def _part(view: memoryview, envelope: Envelope) -> memoryview:
    size = envelope.plaintext_size
    if len(view) < size:
        raise ConfigurationError(f"the plaintext has {size} bytes, the buffer only {len(view)}")
    return view[:size]
