import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.lib.stride_tricks import as_strided

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.provenance.conversion import gather
from modelsec.provenance.conversion.tensors import Storage, StoredTensor, contiguous_strides
from modelsec.provenance.conversion.transfer import Range

DTYPES = {1: "U8", 2: "F16", 4: "F32", 8: "F64"}
Stored = Callable[[np.ndarray], Storage]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    path = tmp_path_factory.mktemp("gather") / "storage"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)

    def write(array: np.ndarray) -> Storage:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, b"xyz" + array.tobytes(), 0)
        return Storage(Range(descriptor, 3, array.nbytes), "0")

    yield write
    os.close(descriptor)


def gathered(tensor: StoredTensor) -> bytes:
    return b"".join(gather.blocks(tensor))


@given(data=st.data())
def test_any_view_is_written_as_numpy_sees_it(stored: Stored, data: st.DataObject) -> None:
    """Whatever the strides, the bytes are those of the C-contiguous copy."""
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=4)))
    strides = tuple(data.draw(st.integers(0, 7)) for _ in shape)
    offset = data.draw(st.integers(0, 3))
    itemsize = data.draw(st.sampled_from(sorted(DTYPES)))
    base = np.arange(150, dtype=f"u{itemsize}")
    storage = stored(base)
    tensor = StoredTensor("x", DTYPES[itemsize], shape, strides, storage, offset)
    view = as_strided(base[offset:], shape, [stride * itemsize for stride in strides])
    block = data.draw(st.sampled_from([16, 64, 1 << 20]))
    gap = data.draw(st.sampled_from([0, 8, 1 << 13]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gather, "BLOCK", block)
        patch.setattr(gather, "_GAP", gap)
        patch.setattr(gather, "_EFFORT", 10**6)
        assert gathered(tensor) == view.tobytes()
    if tensor.contiguous:
        start, stop = tensor.reach
        assert base.tobytes()[start:stop] == view.tobytes()


@given(st.lists(st.integers(0, 4), max_size=4).map(tuple), st.booleans())
def test_contiguous_strides_are_numpys(shape: tuple[int, ...], fortran: bool) -> None:  # noqa: FBT001
    """Row by row, or column by column."""
    array = np.zeros(shape, "u1", order="F" if fortran else "C")
    if array.size:
        assert contiguous_strides(shape, fortran=fortran) == array.strides


@pytest.mark.parametrize(("dtype", "code"), [("I16", ">i2"), ("F64", ">f8"), ("C64", ">c8")])
def test_big_endian(stored: Stored, dtype: str, code: str) -> None:
    """Each number is turned round by itself, the two of a complex one as well."""
    base = (np.arange(60) * (1 + 2j if code == ">c8" else 1)).astype(code).reshape(5, 12)
    tensor = StoredTensor("x", dtype, (12, 5), (1, 12), stored(base), swapped=True)
    assert gathered(tensor) == base.T.astype(base.dtype.newbyteorder("<")).tobytes()


def test_large_transposed(stored: Stored) -> None:
    """A view over several blocks."""
    base = np.arange(3_000_000, dtype="f8").reshape(1500, 2000)
    tensor = StoredTensor("x", "F64", (2000, 1500), (1, 2000), stored(base))
    pieces = [bytes(piece) for piece in gather.blocks(tensor)]
    assert len(pieces) > 2
    assert max(map(len, pieces)) <= gather.BLOCK
    assert b"".join(pieces) == np.ascontiguousarray(base.T).tobytes()


def test_scattered_beyond_proportion(stored: Stored, monkeypatch: pytest.MonkeyPatch) -> None:
    """A view that makes a small file cost much reading is refused by name."""
    base = np.zeros(4_000_000, "u1")
    tensor = StoredTensor("x", "U8", (50, 20, 50, 20), (0, 100_000, 0, 99_999), stored(base))
    monkeypatch.setattr(gather, "BLOCK", 64)
    with pytest.raises(ResourceLimitError, match="tensor 'x' is scattered"):
        gathered(tensor)


def test_too_many_dimensions(stored: Stored) -> None:
    """What cannot be an array in memory is refused by name."""
    shape, strides = (2,) * 33, (0, 1) * 16 + (0,)
    tensor = StoredTensor("x", "U8", shape, strides, stored(np.zeros(20, "u1")))
    with pytest.raises(ResourceLimitError, match="'x' has more than 32 dimensions"):
        gathered(tensor)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((4,), (1,), 0), ((2,), (3,), 0), ((1,), (1,), 3), ((2, 2), (2, 1), 0), ((2,), (1, 1), 0),
        ((-1,), (1,), 0), ((2,), (-1,), 1), ((2,), (1,), -1), ((2**62, 2), (0, 0), 0),
    ],
)  # fmt: skip
def test_views_beyond_their_storage(
    stored: Stored, shape: tuple[int, ...], strides: tuple[int, ...], offset: int
) -> None:
    """Every descriptor is checked against its bytes before anything is read."""
    with pytest.raises(MalformedArtifactError, match="tensor 'x"):
        StoredTensor("x", "F32", shape, strides, stored(np.zeros(3, "f4")), offset)
