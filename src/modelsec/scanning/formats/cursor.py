"""A position in a source, for formats that are read from front to back in small steps."""

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.source import Source

_WINDOW = 1 << 16


class Cursor:
    """Reads forwards through a window of 64 KiB; what is skipped is never read."""

    __slots__ = ("_index", "_source", "_start", "_window")

    def __init__(self, source: Source, position: int = 0) -> None:
        self._source = source
        self._start = position  # of the window
        self._window = b""
        self._index = 0

    @property
    def position(self) -> int:
        """Offset of the next byte."""
        return self._start + self._index

    @property
    def remaining(self) -> int:
        """Bytes up to the end."""
        return self._source.size - self._start - self._index

    def peek(self, length: int) -> bytes:
        """Return the next bytes without moving; fewer than ``length`` only at the end."""
        stop = self._index + length
        if stop > len(self._window):
            self._fill(length)
            stop = self._index + length
        return self._window[self._index : stop]

    def take(self, length: int) -> bytes:
        """Return the next bytes and move behind them.

        Raises:
            MalformedArtifactError: the source ends before.
        """
        found = self.peek(length)
        if len(found) < length:
            raise MalformedArtifactError(
                f"cut off: {length} bytes expected at {self.position}, {len(found)} left"
            )
        self._index += length
        return found

    def skip(self, length: int) -> None:
        """Move on without reading.

        Raises:
            MalformedArtifactError: the source ends before.
        """
        if length > self.remaining:
            raise MalformedArtifactError(
                f"cut off: {length} bytes expected at {self.position}, {self.remaining} left"
            )
        self._index += length

    def _fill(self, length: int) -> None:
        self._start += self._index
        self._index = 0
        wanted = min(max(length, _WINDOW), self._source.size - self._start)
        self._window = self._source.read(self._start, wanted)
