"""Encrypting a file under a key of its own, which is wrapped and stored in front of it."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final

from modelsec.encryption.blocks import Progress, workers_for
from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.context import Context, Pairs, pairs_of
from modelsec.encryption.data_key import DataKey, key_id_of
from modelsec.encryption.header import Header, bound_part, commitment_of, wrap_context
from modelsec.encryption.receipts import Encrypted
from modelsec.encryption.segments import MAX_SEGMENT, Layout, check_segment_size
from modelsec.encryption.source_file import SourceFile, opened
from modelsec.encryption.targets import check_target
from modelsec.encryption.transform import Effort, Stream, seal_to_file, write_all
from modelsec.errors import MalformedArtifactError
from modelsec.files import atomic_binary

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper

SEGMENT_1MB: Final = MAX_SEGMENT
"""The default: fastest, for files that are read whole."""
SEGMENT_4KB: Final = 4096
"""For many small reads at random places."""


def encrypt_file(  # noqa: PLR0913 - keywords, each with a default
    source: str | Path,
    target: str | Path,
    wrapper: "KeyWrapper",
    *,
    context: Context | None = None,
    segment_size: int = SEGMENT_1MB,
    workers: int | None = None,
    on_progress: Progress | None = None,
    digest: bool = False,
) -> Encrypted:
    """Encrypt a file with AES-256-GCM; the target appears when it is complete.

    Args:
        source: the plaintext. Nobody may write to it meanwhile.
        target: is replaced if it exists, but must not be the source itself.
        wrapper: wraps the new, random data key.
        context: what the file is: model name, version, file name. It is stored in the clear,
            authenticated, and has to be told again to decrypt.
        segment_size: bytes of ciphertext that are authenticated at once, 4 KiB to 1 MiB.
        workers: threads; None for as many as are worth it. Each needs some 2 MiB.
        on_progress: called with bytes done and in all; raising from it cancels.
        digest: also compute the SHA-256 of the plaintext, with one worker.

    Raises:
        ConfigurationError: a file cannot be read or written, or an argument is wrong.
        MalformedArtifactError: the source was changed while it was read.
        KeyServiceError: the wrapper could not wrap the key.
    """
    pairs = pairs_of(context)
    check_segment_size(segment_size)
    key_id_of(wrapper)
    hasher = sha256() if digest else None
    effort = Effort(workers, on_progress, hasher)
    with opened(source, MalformedArtifactError) as file:
        done = seal(file, target, wrapper, pairs, segment_size, effort)
    return replace(done, plaintext_sha256=hasher.hexdigest()) if hasher else done


def seal(  # noqa: PLR0913, PLR0917 - what one file of many needs, all of it checked before
    file: SourceFile,
    target: str | Path,
    wrapper: "KeyWrapper",
    pairs: Pairs,
    segment_size: int,
    effort: Effort,
) -> Encrypted:
    """Encrypt an open file; see ``encrypt_file``."""
    check_target(file, target)
    layout = Layout.of_plaintext(file.size, segment_size)
    workers_for(layout, effort.workers)
    key_id = key_id_of(wrapper)
    with DataKey.random() as key:
        start, stream = _prepared(key, wrapper, key_id, pairs, layout)
    with atomic_binary(target) as written:
        write_all(written.fileno(), memoryview(start), 0)
        seal_to_file(file, stream, written.fileno(), effort)
        file.check_unchanged()
    return Encrypted(
        source=file.name,
        target=str(target),
        key_id=key_id,
        context=pairs,
        plaintext_size=layout.plaintext_size,
        ciphertext_size=stream.base + layout.stream_size,
        segment_size=segment_size,
    )


def _prepared(
    key: DataKey, wrapper: "KeyWrapper", key_id: str, pairs: Pairs, layout: Layout
) -> tuple[bytes, Stream]:
    """Return how the file begins, up to the first segment, and its stream."""
    start = StreamHeader.random()
    bound = bound_part(layout.segment_size, pairs)
    header = Header(
        segment_size=layout.segment_size,
        context=pairs,
        key_id=key_id,
        wrapped_key=key.wrapped(wrapper, wrap_context(bound, key_id)),
        commitment=commitment_of(key, start.salt, bound),
    ).encode()
    stream = Stream(SegmentCipher(key, start, bound, layout), len(header))
    return header + start.encode(), stream
