"""Reading fields of a header one after the other, with a typed refusal where they end early."""

from modelsec.errors import DecryptionError


class Cursor:
    """A position in bytes that moves on with everything that is read.

    Args:
        raw: the bytes; hostile.
    """

    __slots__ = ("_raw", "position")

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that have not been read."""
        return len(self._raw) - self.position

    def take(self, size: int) -> bytes:
        """Return the next ``size`` bytes.

        Raises:
            DecryptionError: there are fewer.
        """
        if size > self.left:
            raise DecryptionError("the header is cut off")
        taken = self._raw[self.position : self.position + size]
        self.position += size
        return taken

    def number(self, size: int) -> int:
        """Return an unsigned big-endian number of ``size`` bytes."""
        return int.from_bytes(self.take(size))

    def sized(self, least: int, most: int) -> bytes:
        """Return bytes after their length, which has two bytes.

        Raises:
            DecryptionError: the length is not from ``least`` to ``most``.
        """
        size = self.number(2)
        if not least <= size <= most:
            raise DecryptionError(
                f"a field of the header has {size} bytes: {least} to {most} are possible"
            )
        return self.take(size)

    def text(self, least: int, most: int) -> str:
        """Return UTF-8 text after its length in bytes; see ``sized``."""
        try:
            return self.sized(least, most).decode()
        except UnicodeDecodeError as error:
            raise DecryptionError("a text of the header is not UTF-8") from error
