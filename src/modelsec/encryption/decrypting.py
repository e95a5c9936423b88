"""Decrypting a whole file, all of which is verified before anything is handed out."""

from hashlib import sha256
from typing import TYPE_CHECKING

from modelsec.encryption.blocks import Progress
from modelsec.encryption.context import Context, pairs_of
from modelsec.encryption.data_key import key_id_of
from modelsec.encryption.encrypting import check_target
from modelsec.encryption.envelope import Envelope, open_envelope
from modelsec.encryption.memory import discard, new_buffer, wipe
from modelsec.encryption.receipts import Decrypted
from modelsec.encryption.source_file import opened
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
    with opened(source, DecryptionError) as file:
        check_target(file, target)
        envelope = open_envelope(file, wrapper, pairs)
        hasher = sha256() if digest else None
        effort = Effort(workers, on_progress, hasher)
        with atomic_binary(target) as written:
            open_to_file(file, envelope.stream, written.fileno(), effort)
    return Decrypted(
        source=str(source),
        target=str(target),
        key_id=envelope.header.key_id,
        context=pairs,
        plaintext_size=envelope.plaintext_size,
        plaintext_sha256=hasher.hexdigest() if hasher else None,
    )


def decrypt_to_buffer(
    source: "str | Path",
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> memoryview:
    """Decrypt a file into one new buffer; the plaintext touches no disk that we know of.

    The buffer is private, writable memory that lives as long as a view of it.

    Args:
        source: what ``encrypt_file`` wrote.
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
    with opened(source, DecryptionError) as file:
        envelope = open_envelope(file, wrapper, pairs)
        buffer = new_buffer(envelope.plaintext_size)
        try:
            open_to_memory(file, envelope.stream, buffer, Effort(workers, on_progress))
        except BaseException:
            discard(buffer)
            raise
    return buffer


def decrypt_into(  # noqa: PLR0913 - keywords, each with a default
    source: "str | Path",
    buffer: "bytearray | memoryview",
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> int:
    """Decrypt a file into memory of the caller's; return the number of bytes.

    Args:
        source: what ``encrypt_file`` wrote.
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
    with _writable(buffer) as view, opened(source, DecryptionError) as file:
        envelope = open_envelope(file, wrapper, pairs)
        with _part(view, envelope) as part:
            try:
                open_to_memory(file, envelope.stream, part, Effort(workers, on_progress))
            except BaseException:
                wipe(part)
                raise
    return envelope.plaintext_size


def _writable(buffer: object) -> memoryview:
    try:
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # anything else raises
    except (TypeError, BufferError) as error:
        raise ConfigurationError(
            f"the buffer must be contiguous memory, not {type(buffer).__name__}"
        ) from error
    if view.readonly:
        raise ConfigurationError("the buffer cannot be written to: pass a bytearray, for example")
    return view


def _part(view: memoryview, envelope: Envelope) -> memoryview:
    size = envelope.plaintext_size
    if len(view) < size:
        raise ConfigurationError(f"the plaintext has {size} bytes, the buffer only {len(view)}")
    return view[:size]
