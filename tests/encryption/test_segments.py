import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption.segments import (
    MAX_SEGMENT,
    MAX_SEGMENTS,
    MIN_SEGMENT,
    Layout,
    check_segment_size,
)
from modelsec.errors import ConfigurationError, DecryptionError

SIZES = st.sampled_from([4096, 4097, 65_536, 1_048_576])


@given(plain=st.integers(0, 2**36), segment=SIZES)
def test_both_ways(plain: int, segment: int) -> None:
    """The layout of a plaintext is the layout of the stream that it becomes."""
    layout = Layout.of_plaintext(plain, segment)
    assert Layout.of_stream(layout.stream_size, segment) == layout
    assert layout.stream_size == plain + 40 + 16 * layout.count


@given(stream=st.integers(0, 2**22), segment=SIZES)
def test_one_shape(stream: int, segment: int) -> None:
    """A stream's size is accepted exactly if some plaintext has it."""
    try:
        layout = Layout.of_stream(stream, segment)
    except DecryptionError:
        near = max(0, stream - 40 - 16 * (stream // segment + 1) - 64)
        shapes = {
            Layout.of_plaintext(size, segment).stream_size for size in range(near, near + 256)
        }
        assert stream not in shapes
    else:
        assert Layout.of_plaintext(layout.plaintext_size, segment).stream_size == stream


@given(plain=st.integers(1, 2**24), segment=SIZES, data=st.data())
def test_segments_tile(plain: int, segment: int, data: st.DataObject) -> None:
    """Every byte is in the segment that is said to hold it; segments follow each other."""
    layout = Layout.of_plaintext(plain, segment)
    number = layout.segment_at(data.draw(st.integers(0, plain - 1)))
    assert 0 <= number < layout.count
    assert layout.plain_start(number) < layout.plain_stop(number) <= plain
    size = layout.plain_stop(number) - layout.plain_start(number)
    assert layout.sealed_stop(number) - layout.sealed_start(number) == size + 16
    if number:
        assert layout.plain_stop(number - 1) == layout.plain_start(number)
        assert layout.sealed_stop(number - 1) == layout.sealed_start(number)
    assert layout.segment_at(layout.plain_start(number)) == number
    assert layout.segment_at(layout.plain_stop(number) - 1) == number


def test_first_sizes() -> None:
    """An empty plaintext is one tag; the first segment shares its space with the header."""
    assert Layout.of_plaintext(0, 4096) == Layout(56, 4096, 1, 0)
    assert Layout.of_plaintext(4096 - 56, 4096).count == 1
    assert Layout.of_plaintext(4096 - 55, 4096).count == 2


@pytest.mark.parametrize("size", [0, 1, 40, 55, 4096 + 1, 4096 + 15, 4096 + 16, 2 * 4096 + 16])
def test_impossible_sizes(size: int) -> None:
    """Too short, no whole tag, and an empty segment after a full one are refused."""
    with pytest.raises(DecryptionError, match="no whole number of segments"):
        Layout.of_stream(size, 4096)


def test_too_many_segments() -> None:
    """A counter of four bytes numbers 2**32 segments, and never wraps."""
    most = MAX_SEGMENTS * (4096 - 16) - 40
    assert Layout.of_plaintext(most, 4096).count == 2**32
    with pytest.raises(ConfigurationError, match=r"more than 2\*\*32 segments"):
        Layout.of_plaintext(most + 1, 4096)
    assert Layout.of_stream(2**32 * 4096, 4096).plaintext_size == most
    with pytest.raises(DecryptionError, match=r"more than 2\*\*32 segments"):
        Layout.of_stream(2**32 * 4096 + 17, 4096)


@pytest.mark.parametrize(
    "size", [0, -1, MIN_SEGMENT - 1, MAX_SEGMENT + 1, 4096.0, "4096", True, None, 2**70]
)
def test_segment_sizes(size: object) -> None:
    """Only integers from 4 KiB to 1 MiB."""
    with pytest.raises(ConfigurationError, match="segment size"):
        check_segment_size(size)
