"""Writing out a view that is not contiguous: transposed, sliced, expanded, or big-endian.

The view is cut into blocks of the output, and each block is read from the file in the order of
the *file*: dimensions sorted by stride, neighbouring runs in one read where the gap between them
costs less than another system call. Memory is a few blocks, whatever the size of the tensor.
"""

import math
from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray

from modelsec.errors import ResourceLimitError
from modelsec.provenance.conversion.tensors import StoredTensor, contiguous_strides
from modelsec.provenance.conversion.transfer import read_into

BLOCK = 1 << 23
"""Bytes of the output that are gathered at once."""

_GAP = 1 << 13
_COST_OF_A_READ = 1 << 12
_EFFORT = 32
_MAX_DIMENSIONS = 32


def blocks(tensor: StoredTensor) -> Iterator[memoryview]:
    """Yield a tensor's elements in C order, little-endian, in blocks of at most 8 MiB.

    Raises:
        ResourceLimitError: the view is scattered so widely that reading it is out of proportion.
        MalformedArtifactError: the file shrank.
    """
    if not tensor.count:
        return
    shape, strides = _merged(tensor.shape, tensor.strides)
    if len(shape) > _MAX_DIMENSIONS:
        raise ResourceLimitError(f"{tensor.shown} has more than {_MAX_DIMENSIONS} dimensions")
    reader = _Reader(tensor)
    start = tensor.storage.bytes.start + tensor.offset * tensor.itemsize
    for part, offset in _cut(shape, strides, BLOCK // tensor.itemsize):
        block = reader.block(part, strides[len(strides) - len(part) :], start, offset)
        if tensor.swapped:
            block = _byteswapped(block, tensor.dtype)
        yield _bytes(np.ascontiguousarray(block))


def _merged(
    shape: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the same view with as few dimensions as it can have."""
    merged: list[tuple[int, int]] = []
    for size, stride in zip(shape, strides, strict=True):
        if size == 1:
            continue
        if merged and merged[-1][1] == stride * size:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    if not merged:
        return (1,), (1,)
    sizes, steps = zip(*merged, strict=True)
    return sizes, steps


def _cut(
    shape: tuple[int, ...], strides: tuple[int, ...], most: int
) -> Iterator[tuple[tuple[int, ...], int]]:
    """Yield the shape and the first element of blocks of at most ``most`` elements, in C order."""
    axis = 0
    while math.prod(shape[axis + 1 :]) > most:
        axis += 1
    rows = most // math.prod(shape[axis + 1 :])
    for index in product(*(range(size) for size in shape[:axis])):
        base = sum(i * stride for i, stride in zip(index, strides, strict=False))
        for row in range(0, shape[axis], rows):
            height = min(rows, shape[axis] - row)
            yield (height, *shape[axis + 1 :]), base + row * strides[axis]


class _Reader:
    """Reads blocks of one tensor, and keeps account of what that costs."""

    def __init__(self, tensor: StoredTensor) -> None:
        self._tensor = tensor
        self._itemsize = tensor.itemsize
        self._dtype = np.dtype(f"u{tensor.itemsize}")
        self._scratch = memoryview(b"")
        self._allowance = _EFFORT * (tensor.storage.bytes.size + tensor.nbytes) + BLOCK

    def block(
        self, shape: tuple[int, ...], strides: tuple[int, ...], start: int, offset: int
    ) -> NDArray[np.unsignedinteger]:
        """Return one block of the output.

        Args:
            shape: of the block.
            strides: in elements.
            start: of the view in the file, in bytes.
            offset: of the block's first element from there, in elements.
        """
        # An expanded dimension (stride 0) is read once and repeated.
        varying = [axis for axis, stride in enumerate(strides) if stride and shape[axis] > 1]
        order = sorted(varying, key=lambda axis: -strides[axis])
        found = np.empty([shape[axis] for axis in order], self._dtype)
        self._fill(found, tuple(strides[axis] for axis in order), start + offset * self._itemsize)
        found = found.transpose([order.index(axis) for axis in varying])
        expanded = [size if axis in varying else 1 for axis, size in enumerate(shape)]
        return np.broadcast_to(found.reshape(expanded), shape)

    def _fill(
        self, found: NDArray[np.unsignedinteger], strides: tuple[int, ...], position: int
    ) -> None:
        """Read into an array whose dimensions are in the order of the file."""
        inner = 1 + sum(
            (size - 1) * stride for size, stride in zip(found.shape[1:], strides[1:], strict=True)
        )
        if not strides:
            self._read(found.reshape(1), (1,), position, 1)
            return
        step = strides[0] * self._itemsize
        if self._dense(found.shape, strides) and inner * self._itemsize <= BLOCK:
            rows = max(1, BLOCK // step)
            for row in range(0, found.shape[0], rows):
                piece = found[row : row + rows]
                span = (len(piece) - 1) * strides[0] + inner
                self._read(piece, strides, position + row * step, span)
            return
        for row in range(found.shape[0]):
            self._fill(
                found[row : row + 1].reshape(found.shape[1:]), strides[1:], position + row * step
            )

    def _dense(self, shape: tuple[int, ...], strides: tuple[int, ...]) -> bool:
        """Whether reading over the gaps is cheaper than reading around them."""
        span = 1
        for size, stride in zip(reversed(shape), reversed(strides), strict=True):
            if (stride - span) * self._itemsize > _GAP:
                return False
            span += (size - 1) * stride
        return True

    def _read(
        self,
        found: NDArray[np.unsignedinteger],
        strides: tuple[int, ...],
        position: int,
        span: int,
    ) -> None:
        """Read one range of the file, and pick the elements out of it."""
        size = span * self._itemsize
        self._allowance -= max(size, _COST_OF_A_READ)
        if self._allowance < 0:
            raise ResourceLimitError(
                f"{self._tensor.shown} is scattered over its storage beyond all proportion"
            )
        if found.flags.c_contiguous and strides == contiguous_strides(found.shape):
            read_into(self._tensor.storage.bytes.descriptor, position, _bytes(found))
            return
        if len(self._scratch) < size:
            self._scratch = memoryview(bytearray(size))
        read_into(self._tensor.storage.bytes.descriptor, position, self._scratch[:size])
        found[...] = np.ndarray(
            found.shape,
            self._dtype,
            self._scratch,
            strides=[stride * self._itemsize for stride in strides],
        )


def _byteswapped(block: NDArray[np.unsignedinteger], dtype: str) -> NDArray[np.unsignedinteger]:
    if dtype == "C64":  # two numbers, each swapped by itself
        return np.ascontiguousarray(block).view(np.uint32).byteswap()
    return block.byteswap()


def _bytes(block: NDArray[np.unsignedinteger]) -> memoryview:
    return block.reshape(-1).view(np.uint8).data
