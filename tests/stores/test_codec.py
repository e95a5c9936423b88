import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import StoreError
from modelsec.protocols import Record
from modelsec.stores.codec import HEADER_BYTES, decode, encode, packed_size

records = st.builds(
    Record,
    count=st.integers(0, 2**32 - 1),
    last_ms=st.integers(0, 2**48 - 1),
    cells=st.dictionaries(st.binary(min_size=4, max_size=4), st.binary(max_size=300), max_size=8),
)
EXAMPLE = Record(7, 1_700_000_000_000, {b"aaaa": b"ring", b"bbbb": b"", b"cccc": bytes(32)})


@given(records)
def test_round_trip(record: Record) -> None:
    """Decoding gives back what was encoded, the order of the cells included."""
    raw = encode(record)
    assert decode(raw) == record
    assert list(decode(raw).cells) == list(record.cells)


@given(records)
def test_size_is_known_beforehand(record: Record) -> None:
    """packed_size() is the length of the encoding, to the byte."""
    assert packed_size(record.cells) == len(encode(record))


@pytest.mark.parametrize("length", range(len(encode(EXAMPLE))))
def test_truncated_record_is_refused(length: int) -> None:
    """A record that was cut short anywhere is a StoreError."""
    with pytest.raises(StoreError):
        decode(encode(EXAMPLE)[:length])


@given(records, st.data())
def test_any_truncated_record_is_refused(record: Record, data: st.DataObject) -> None:
    """So is any other."""
    raw = encode(record)
    with pytest.raises(StoreError):
        decode(raw[: data.draw(st.integers(0, len(raw) - 1))])


@given(records, st.binary(min_size=1, max_size=9))
def test_extended_record_is_refused(record: Record, tail: bytes) -> None:
    """A record with anything behind it is a StoreError."""
    with pytest.raises(StoreError, match="damaged"):
        decode(encode(record) + tail)


@pytest.mark.parametrize("loose", range(1, 6))
def test_loose_end_is_refused(loose: int) -> None:
    """Bytes after the last cell that are too few for another are a StoreError."""
    raw = bytearray(encode(EXAMPLE) + bytes(loose))
    raw[4] += loose
    with pytest.raises(StoreError, match="a cell header ends outside it"):
        decode(bytes(raw))


@pytest.mark.parametrize("bit", range(8 * HEADER_BYTES))
def test_flipped_header_is_refused_or_reread(bit: int) -> None:
    """A flip in magic, version or length is a StoreError; one in time or count only that."""
    raw = bytearray(encode(EXAMPLE))
    raw[bit // 8] ^= 1 << (bit % 8)
    if bit // 8 < 5:
        with pytest.raises(StoreError):
            decode(bytes(raw))
    else:
        flipped = decode(bytes(raw))
        assert flipped.cells == EXAMPLE.cells
        assert (flipped.count != EXAMPLE.count) != (flipped.last_ms != EXAMPLE.last_ms)


@pytest.mark.parametrize("version", [0, 2, 255])
def test_other_version_is_named(version: int) -> None:
    """A record of another version says which, and what to do."""
    raw = bytearray(encode(EXAMPLE))
    raw[2] = version
    with pytest.raises(StoreError, match=f"has version {version}, .* upgrade the process"):
        decode(bytes(raw))


@pytest.mark.parametrize("raw", [b"", b"M", b"hello, I am another program's value", b"\0" * 40])
def test_foreign_value_is_named(raw: bytes) -> None:
    """A value without our mark is called another program's."""
    with pytest.raises(StoreError, match="another program uses this key"):
        decode(raw)


@given(st.binary(max_size=60), st.booleans())
def test_no_bytes_raise_anything_else(body: bytes, marked: bool) -> None:  # noqa: FBT001
    """Whatever bytes are decoded, a record or a StoreError comes out, never another exception."""
    raw = b"MS\1" + (len(body) + 5).to_bytes(2, "big") + body if marked else body
    try:
        record = decode(raw)
    except StoreError:
        return
    assert marked
    assert packed_size(record.cells) <= len(raw)
