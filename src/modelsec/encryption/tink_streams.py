"""Plain Tink streams, without our header, as any Tink reads and writes them.

Tink calls them ``AES256_GCM_HKDF_1MB`` and ``AES256_GCM_HKDF_4KB``.
The key is the 32 bytes in Tink's ``AesGcmHkdfStreamingKey`` (HKDF with SHA-256, derived keys of
32 bytes, output prefix RAW). Such a stream does not say which key it needs and does not commit to
one: prefer ``encrypt_file`` where both sides are modelsec.
"""

from typing import TYPE_CHECKING

from modelsec.encryption.blocks import Progress, workers_for
from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.data_key import DataKey
from modelsec.encryption.encrypting import SEGMENT_1MB
from modelsec.encryption.memory import discard, new_buffer, wipe
from modelsec.encryption.segments import STREAM_HEADER, Layout, check_segment_size
from modelsec.encryption.source_file import Ciphertext, Source, opened, readable
from modelsec.encryption.targets import check_target
from modelsec.encryption.transform import (
    Effort,
    Stream,
    open_segment,
    open_to_file,
    open_to_memory,
    seal_to_file,
    write_all,
)
from modelsec.errors import ConfigurationError, DecryptionError, MalformedArtifactError
from modelsec.files import atomic_binary

if TYPE_CHECKING:
    from pathlib import Path


def encrypt_tink_stream(  # noqa: PLR0913 - keywords, each with a default
    source: "str | Path",
    target: "str | Path",
    key: bytes,
    *,
    associated_data: bytes = b"",
    segment_size: int = SEGMENT_1MB,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Encrypt a file to a Tink stream; the target appears when it is complete.

    Args:
        source: the plaintext. Nobody may write to it meanwhile.
        target: is replaced if it exists, but must not be the source itself.
        key: 32 random bytes; a key may encrypt many streams.
        associated_data: has to be told again to decrypt.
        segment_size: bytes of ciphertext a segment.
        workers: threads; None for as many as are worth it.
        on_progress: called with bytes done and in all; raising from it cancels.

    Raises:
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
        MalformedArtifactError: the source was changed while it was read.
    """
    check_segment_size(segment_size)
    _check_associated(associated_data)
    with DataKey(key) as data_key, opened(source, MalformedArtifactError) as file:
        check_target(file, target)
        layout = Layout.of_plaintext(file.size, segment_size)
        workers_for(layout, workers)
        start = StreamHeader.random()
        stream = Stream(SegmentCipher(data_key, start, associated_data, layout), 0)
        with atomic_binary(target) as written:
            write_all(written.fileno(), memoryview(start.encode()), 0)
            seal_to_file(file, stream, written.fileno(), Effort(workers, on_progress))
            file.check_unchanged()


def decrypt_tink_stream(  # noqa: PLR0913 - keywords, each with a default
    source: "str | Path",
    target: "str | Path",
    key: bytes,
    *,
    associated_data: bytes = b"",
    segment_size: int = SEGMENT_1MB,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Decrypt a Tink stream to a file; the target appears when all of it has been verified.

    Arguments are those of ``encrypt_tink_stream``. A stream with an empty segment after a full
    one, which Tink's own reader accepts, is refused: no writer makes it.

    Raises:
        DecryptionError: the stream was changed, cut off or extended, or key, associated data or
            segment size are others. Nothing is left behind.
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
    """
    with opened(source, DecryptionError) as file:
        check_target(file, target)
        stream = _stream(file, key, associated_data, segment_size)
        with atomic_binary(target, private=True) as written:
            open_to_file(file, stream, written.fileno(), Effort(workers, on_progress))


def tink_stream_to_buffer(  # noqa: PLR0913 - keywords, each with a default
    source: Ciphertext,
    key: bytes,
    *,
    associated_data: bytes = b"",
    segment_size: int = SEGMENT_1MB,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> memoryview:
    """Decrypt a Tink stream, a file or in memory, into one new buffer of private memory.

    Raises:
        DecryptionError: see ``decrypt_tink_stream``; the memory is discarded.
        ResourceLimitError: there is not enough memory.
        ConfigurationError: the file cannot be read, or an argument is wrong.
    """
    with readable(source, DecryptionError) as file:
        stream = _stream(file, key, associated_data, segment_size)
        buffer = new_buffer(stream.cipher.layout.plaintext_size)
        try:
            open_to_memory(file, stream, buffer, Effort(workers, on_progress))
        except BaseException:
            discard(buffer)
            raise
    return buffer


def _stream(file: Source, key: bytes, associated_data: object, segment_size: int) -> Stream:
    """Return what opens a stream, once its last segment has verified."""
    check_segment_size(segment_size)
    associated = _check_associated(associated_data)
    with DataKey(key) as data_key:
        layout = Layout.of_stream(file.size, segment_size)
        start = StreamHeader.parse(file.read(0, STREAM_HEADER))
        stream = Stream(SegmentCipher(data_key, start, associated, layout), 0)
    wipe(open_segment(file, stream, layout.count - 1))
    return stream


def _check_associated(associated_data: object) -> bytes:
    if not isinstance(associated_data, bytes):
        raise ConfigurationError(
            f"associated data must be bytes, not {type(associated_data).__name__}"
        )
    return associated_data
