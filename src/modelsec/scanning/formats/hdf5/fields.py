"""The address space of an HDF5 file, and a cursor over the fields of one structure.

Addresses are relative to the superblock and end at the end-of-file address that it declares; sizes
of addresses and lengths are chosen by the file. Nothing reads past either end.
"""

from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, UnsupportedFormatError
from modelsec.scanning.limits import Budget
from modelsec.scanning.source import Source

DEPTH = 32
"""Deepest nesting of datatypes and trees that is followed; honest files stay below 10."""

BLOCK = 10
"""What reading one block costs, in nodes of the budget."""


@dataclass(frozen=True, slots=True)
class Space:
    """Where the structures of one file live.

    Attributes:
        source: the bytes of the part.
        budget: pays for everything that is read.
        base: offset of address 0 in the part.
        size: bytes from address 0 to the end-of-file address.
        offset_size: bytes of an address.
        length_size: bytes of a length.
    """

    source: Source
    budget: Budget
    base: int
    size: int
    offset_size: int
    length_size: int

    def check(self, address: int, length: int, what: str) -> None:
        """Raise unless the range lies within the file."""
        if address + length > self.size:
            raise MalformedArtifactError(
                f"{what}: {length} bytes at address {address} reach beyond the end-of-file address "
                f"{self.size}"
            )

    def read(self, address: int, length: int, what: str) -> bytes:
        """Return exactly these bytes; ``what`` names them in errors."""
        self.check(address, length, what)
        self.budget.allow_read(length)
        self.budget.check_time()
        return self.source.read(self.base + address, length)

    def fields(self, address: int, length: int, what: str) -> "Fields":
        """Return a cursor over these bytes."""
        return Fields(self.read(address, length, what), self, what)

    def block(self, address: int, length: int, signature: bytes) -> "Fields":
        """Return a cursor behind the signature of a block.

        Raises:
            MalformedArtifactError: the signature is not there.
        """
        self.budget.opcodes(BLOCK)
        what = signature.decode()
        fields = self.fields(address, length, f"the block {what}")
        if fields.take(4) != signature:
            raise MalformedArtifactError(f"no block {what} at address {address}")
        return fields

    def head(self, address: int, most: int, signature: bytes) -> "Fields":
        """Return a cursor behind the signature of a block whose size is not known yet."""
        return self.block(address, min(most, max(self.size - address, 0)), signature)


class Fields:
    """Reads little-endian fields one after another."""

    __slots__ = ("_data", "_space", "_what", "position")

    def __init__(self, data: bytes, space: Space, what: str) -> None:
        self._data = data
        self._space = space
        self._what = what
        self.position = 0

    @property
    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self._data) - self.position

    def take(self, length: int) -> bytes:
        """Return the next bytes.

        Raises:
            MalformedArtifactError: there are fewer.
        """
        start, self.position = self.position, self.position + length
        if self.position > len(self._data):
            raise MalformedArtifactError(f"{self._what} ends within a field")
        return self._data[start : self.position]

    def part(self, data: bytes) -> "Fields":
        """Return a cursor over a piece that was taken from this one."""
        return Fields(data, self._space, self._what)

    def number(self, width: int) -> int:
        """Return an unsigned number of ``width`` bytes."""
        return int.from_bytes(self.take(width), "little")

    def address(self) -> int | None:
        """Return an address, None if it is the undefined one (all bits set)."""
        width = self._space.offset_size
        value = self.number(width)
        return None if value == (1 << 8 * width) - 1 else value

    def length(self) -> int:
        """Return a length."""
        return self.number(self._space.length_size)

    def text(self, align: int = 1) -> bytes:
        """Return a text that ends with NUL; text and NUL fill a multiple of ``align`` bytes."""
        end = self._data.find(b"\0", self.position)
        if end < 0:
            raise MalformedArtifactError(f"{self._what} holds a text without end")
        text = self._data[self.position : end]
        self.take(-(-(len(text) + 1) // align) * align)
        return text

    def version(self, *known: int) -> int:
        """Return a version byte.

        Raises:
            UnsupportedFormatError: it is none of the known ones.
        """
        found = self.number(1)
        if found not in known:
            raise UnsupportedFormatError(f"{self._what} has version {found}, which is not read")
        return found


def encoded_width(limit: int) -> int:
    """Return how many bytes the format spends on numbers up to ``limit``."""
    return (max(limit, 1).bit_length() - 1) // 8 + 1
