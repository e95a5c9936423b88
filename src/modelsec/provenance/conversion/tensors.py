"""Where a tensor's elements lie in a file: which bytes, in which order."""

from dataclasses import dataclass

from modelsec.errors import MalformedArtifactError, printable
from modelsec.provenance.conversion.transfer import Range
from modelsec.scanning.formats.dtype import element_count
from modelsec.scanning.formats.safetensors import BITS


@dataclass(frozen=True, slots=True)
class Storage:
    """A run of bytes in an open file, which tensors may share.

    Attributes:
        bytes: where they are.
        key: what the file calls it; tensors with the same key share memory.
    """

    bytes: Range
    key: str


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor as a file holds it: a view of a storage.

    Attributes:
        name: within the file, dotted.
        dtype: safetensors' name of the element type, e.g. ``F32``.
        shape: sizes of the dimensions.
        strides: elements from one index to the next, for each dimension.
        storage: the bytes.
        offset: of the first element in the storage, in elements.
        swapped: the bytes of each number are in big-endian order.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    storage: Storage
    offset: int = 0
    swapped: bool = False

    def __post_init__(self) -> None:
        """Refuse a view that reaches beyond its storage.

        Raises:
            MalformedArtifactError: with the tensor's name.
        """
        try:
            count = element_count(self.shape, self.itemsize)
        except MalformedArtifactError as error:
            raise MalformedArtifactError(f"{self.shown}: {error}") from error
        sizes = all(type(size) is int and size >= 0 for size in (*self.strides, self.offset))
        if not sizes or len(self.strides) != len(self.shape):
            raise MalformedArtifactError(f"{self.shown}: shape, strides and offset do not fit")
        _, stop = self.reach
        if count and stop > self.storage.bytes.size:
            raise MalformedArtifactError(
                f"{self.shown} reaches {stop} bytes into a storage of {self.storage.bytes.size}"
            )

    @property
    def shown(self) -> str:
        """The name as a message may say it."""
        return f"tensor '{printable(self.name)}'"

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return BITS[self.dtype] // 8

    @property
    def count(self) -> int:
        """Number of elements."""
        return element_count(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all elements, written out."""
        return self.count * self.itemsize

    @property
    def reach(self) -> tuple[int, int]:
        """The bytes of the storage that the view touches: [start, stop)."""
        last = sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        start = self.offset * self.itemsize
        return start, start + (last + 1) * self.itemsize if self.count else start

    @property
    def range(self) -> Range:
        """The bytes of a contiguous tensor, in the file."""
        whole, start = self.storage.bytes, self.reach[0]
        return Range(whole.descriptor, whole.start + start, self.nbytes)

    @property
    def contiguous(self) -> bool:
        """Whether the elements lie one after the other, as safetensors wants them."""
        if self.swapped:
            return False
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return self.count == 0
            expected *= size
        return True


def contiguous_strides(shape: tuple[int, ...], *, fortran: bool = False) -> tuple[int, ...]:
    """Return the strides, in elements, of an array without gaps.

    Args:
        shape: sizes of the dimensions.
        fortran: the first index varies fastest, instead of the last.
    """
    strides: list[int] = []
    step = 1
    for size in shape if fortran else reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(strides if fortran else reversed(strides))
