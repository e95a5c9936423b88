"""Opening an encrypted file: its header, its key, and its last segment, in this order."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.context import Pairs, check_context
from modelsec.encryption.data_key import DataKey
from modelsec.encryption.header import MAX_HEADER, Header, check_commitment, wrap_context
from modelsec.encryption.memory import wipe
from modelsec.encryption.segments import STREAM_HEADER, Layout
from modelsec.encryption.source_file import Ciphertext, Source, readable
from modelsec.encryption.transform import Stream, open_segment
from modelsec.errors import DecryptionError, shown

if TYPE_CHECKING:
    from modelsec.protocols.keys import KeyWrapper


@dataclass(frozen=True, slots=True)
class Envelope:
    """An encrypted file whose header, key and length were verified, but not yet its segments.

    Attributes:
        header: authenticated by the wrapper, the commitment and the last segment.
        stream: opens the segments.
    """

    header: Header
    stream: Stream

    @property
    def plaintext_size(self) -> int:
        """Bytes of plaintext."""
        return self.stream.cipher.layout.plaintext_size


def open_envelope(file: Source, wrapper: "KeyWrapper", context: Pairs) -> Envelope:
    """Check all of a file but the segments before the last one; see ``unlock``."""
    envelope, key = unlock(file, wrapper, context)
    key.wipe()
    return envelope


def unlock(file: Source, wrapper: "KeyWrapper", context: Pairs) -> tuple[Envelope, DataKey]:
    """Check all of a file but the segments before the last one; return its key, too.

    The last segment carries in its nonce its number and that it is the last one. That it
    verifies proves that the stream has its whole length, before anything else is decrypted.

    Raises:
        DecryptionError: the file is not ours, damaged, for another context, or the key does not
            fit.
        KeyServiceError: the wrapper could not answer.
    """
    header, base = parsed(file)
    check_context(header.context, context)
    layout = Layout.of_stream(file.size - base, header.segment_size)
    start = StreamHeader.parse(file.read(base, STREAM_HEADER))
    key = _unwrapped(header, wrapper)
    try:
        check_commitment(header, key, start.salt)
        stream = Stream(SegmentCipher(key, start, header.bound, layout), base)
        wipe(open_segment(file, stream, layout.count - 1))
    except BaseException:
        key.wipe()
        raise
    return Envelope(header, stream), key


def parsed(file: Source) -> tuple[Header, int]:
    """Return a file's header and its size: claims that nobody has verified.

    Raises:
        DecryptionError: it has none, or one that breaks a rule.
    """
    return Header.parse(file.read(0, min(file.size, MAX_HEADER)))


def _unwrapped(header: Header, wrapper: "KeyWrapper") -> DataKey:
    """Return the data key of a file, as its wrapper knows it."""
    context = wrap_context(header.bound, header.key_id)
    try:
        return DataKey.unwrapped(wrapper, header.wrapped_key, context)
    except DecryptionError as error:
        raise DecryptionError(
            f"the data key, wrapped under {shown(header.key_id)}, cannot be unwrapped: {error}"
        ) from error


def unverified_header(source: Ciphertext) -> Header:
    """Return what an encrypted file says about itself, without a key: which key it needs.

    Nothing of it is verified.

    Raises:
        DecryptionError: the file is not ours, or its header breaks a rule.
        ConfigurationError: it cannot be read.
    """
    with readable(source, DecryptionError) as file:
        return parsed(file)[0]
