"""A reading position in GGUF metadata: windows of a mebibyte, never a value beyond the end."""

import struct

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.limits import MIB, Budget
from modelsec.scanning.source import Source


class Cursor:
    """Reads numbers and strings in a row.

    Args:
        source: the file.
        budget: pays for strings that are walked over.
        position: where to begin, in bytes.
        order: ``<`` or ``>``, as in ``struct``.
        wide: lengths have 64 bits (version 2 on), not 32.
    """

    __slots__ = ("_budget", "_length", "_order", "_source", "_start", "_window", "position")

    def __init__(
        self, source: Source, budget: Budget, position: int, *, order: str, wide: bool
    ) -> None:
        self._source = source
        self._budget = budget
        self._order = order
        self._length = struct.Struct(order + ("Q" if wide else "I"))
        self._window = b""
        self._start = 0
        self.position = position

    @property
    def remaining(self) -> int:
        """Bytes up to the end of the file."""
        return self._source.size - self.position

    @property
    def width(self) -> int:
        """Bytes of a length or count."""
        return self._length.size

    def number(self, code: str) -> int:
        """Return the next integer, of a ``struct`` type."""
        form = struct.Struct(self._order + code)
        return int(form.unpack(self.take(form.size))[0])

    def length(self) -> int:
        """Return the next length or count."""
        return int(self._length.unpack(self.take(self._length.size))[0])

    def take(self, count: int) -> bytes:
        """Return the next bytes; long ones count against ``read_bytes``."""
        self._require(count)
        if count > MIB:
            self._budget.allow_read(count)
            taken = self._source.read(self.position, count)
        else:
            offset = self.position - self._start
            if offset < 0 or offset + count > len(self._window):
                self._fill()
                offset = 0
            taken = self._window[offset : offset + count]
        self.position += count
        return taken

    def string(self, most: int | None = None) -> bytes:
        """Return the next string, of at most ``most`` bytes."""
        start = self.position
        length = self.length()
        if most is not None and length > most:
            raise MalformedArtifactError(
                f"a name of {length} bytes at {start}; {most} are the most"
            )
        return self.take(length)

    def skip(self, count: int) -> None:
        """Step over bytes without reading them."""
        self._require(count)
        self.position += count

    def skip_strings(self, count: int) -> None:
        """Step over strings; only their lengths are looked at, where they lie in the window."""
        width, unpack = self._length.size, self._length.unpack_from
        self.require_items(count, width)
        while count:
            self._budget.check_time()
            self._require(width)
            self._fill()
            window, offset, last = self._window, 0, len(self._window) - width
            while count and offset <= last:
                offset += width + unpack(window, offset)[0]
                count -= 1
            self.skip(offset)

    def require_items(self, count: int, least: int) -> None:
        """Raise if ``count`` items of at least ``least`` bytes cannot follow."""
        if count * least > self.remaining:
            raise MalformedArtifactError(
                f"{count} items are announced at {self.position} of {self._source.size} bytes"
            )

    def _require(self, count: int) -> None:
        if count > self.remaining:
            raise MalformedArtifactError(
                f"{count} bytes are announced at {self.position}, where {self.remaining} remain"
            )

    def _fill(self) -> None:
        self._start = self.position
        self._window = self._source.read(self.position, min(MIB, self.remaining))
