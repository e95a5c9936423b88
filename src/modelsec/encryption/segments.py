"""Where the segments of a stream lie: pure arithmetic on sizes and offsets.

The wire format is Tink's ``AES256_GCM_HKDF``: a header of 40 bytes (its own length in one byte,
a salt, a nonce prefix), then segments of equal size, each ending with a tag of 16 bytes. The
first segment shares its space with the header, the last one may be shorter.
"""

from dataclasses import dataclass
from typing import Final, Self

from modelsec.errors import ConfigurationError, DecryptionError, shown

STREAM_HEADER: Final = 40
TAG: Final = 16
MIN_SEGMENT: Final = 4 * 1024
MAX_SEGMENT: Final = 1024 * 1024
MAX_SEGMENTS: Final = 2**32
"""The segment's number is four bytes of its nonce."""


def check_segment_size(size: object) -> int:
    """Return a segment size that we write and read.

    Raises:
        ConfigurationError: it is not an integer from 4 KiB to 1 MiB.
    """
    if type(size) is not int or not MIN_SEGMENT <= size <= MAX_SEGMENT:
        raise ConfigurationError(
            f"the segment size must be an integer from {MIN_SEGMENT} to {MAX_SEGMENT} bytes, "
            f"not {shown(size)}"
        )
    return size


@dataclass(frozen=True, slots=True)
class Layout:
    """The segments of one stream.

    Attributes:
        stream_size: bytes of the whole stream, its header and all tags included.
        segment_size: bytes of a full segment, its tag included.
        count: of segments; at least one, also for an empty plaintext.
        plaintext_size: bytes without header and tags.
    """

    stream_size: int
    segment_size: int
    count: int
    plaintext_size: int

    @classmethod
    def of_plaintext(cls, size: int, segment_size: int) -> Self:
        """Return the layout of the stream that a plaintext of ``size`` bytes becomes.

        Raises:
            ConfigurationError: the segments would be more than 2**32.
        """
        count = max(1, -(-(size + STREAM_HEADER) // (segment_size - TAG)))
        if count > MAX_SEGMENTS:
            raise ConfigurationError(
                f"{size} bytes are more than 2**32 segments of {segment_size} bytes: "
                "choose larger segments or split the file"
            )
        return cls(size + STREAM_HEADER + TAG * count, segment_size, count, size)

    @classmethod
    def of_stream(cls, size: int, segment_size: int) -> Self:
        """Return the layout of a stream of ``size`` bytes.

        Raises:
            DecryptionError: no plaintext has a stream of this size. A last segment that holds
                only a tag is refused, too, unless it is the only one: else a plaintext would
                have two shapes.
        """
        count = max(1, -(-size // segment_size))
        last = size - (count - 1) * segment_size
        least = STREAM_HEADER + TAG if count == 1 else TAG + 1
        if last < least:
            raise DecryptionError(
                f"a stream of {size} bytes is no whole number of segments: it was cut off, or "
                "something was added"
            )
        if count > MAX_SEGMENTS:
            raise DecryptionError(
                f"a stream of {size} bytes has more than 2**32 segments of {segment_size} bytes"
            )
        return cls(size, segment_size, count, size - STREAM_HEADER - TAG * count)

    def sealed_start(self, segment: int) -> int:
        """Return where in the stream a segment's ciphertext begins."""
        return segment * self.segment_size if segment else STREAM_HEADER

    def sealed_stop(self, segment: int) -> int:
        """Return where in the stream a segment's tag ends."""
        return min((segment + 1) * self.segment_size, self.stream_size)

    def plain_start(self, segment: int) -> int:
        """Return where in the plaintext a segment's bytes begin."""
        return segment * (self.segment_size - TAG) - STREAM_HEADER if segment else 0

    def plain_stop(self, segment: int) -> int:
        """Return where in the plaintext a segment's bytes end."""
        return min(self.plain_start(segment + 1), self.plaintext_size)

    def segment_at(self, offset: int) -> int:
        """Return the segment that holds the plaintext byte at ``offset``."""
        return (offset + STREAM_HEADER) // (self.segment_size - TAG)
