import struct
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption import context as contexts
from modelsec.encryption.cursor import Cursor
from modelsec.encryption.data_key import DataKey
from modelsec.encryption.header import (
    MAGIC,
    MAX_HEADER,
    Header,
    bound_part,
    check_commitment,
    commitment_of,
    wrap_context,
)
from modelsec.errors import ConfigurationError, DecryptionError
from tests.encryption.samples import KEY

TEXT = st.text(max_size=20)
CONTEXTS = st.dictionaries(st.text(min_size=1, max_size=10), TEXT, max_size=5)


@st.composite
def headers(draw: st.DrawFn) -> Header:
    return Header(
        draw(st.integers(4096, 1_048_576)),
        contexts.pairs_of(draw(CONTEXTS)),
        draw(st.text(min_size=1, max_size=50)),
        draw(st.binary(min_size=1, max_size=300)),
        draw(st.binary(min_size=32, max_size=32)),
    )


@given(header=headers(), rest=st.binary(max_size=100))
def test_both_ways(header: Header, rest: bytes) -> None:
    """A header is read as it was written, whatever follows it."""
    raw = header.encode()
    assert Header.parse(raw + rest) == (header, len(raw))


@given(raw=st.binary(max_size=300), cut=st.integers(0, 20))
def test_hostile_bytes(raw: bytes, cut: int) -> None:
    """Any bytes are refused with our error, or are the one encoding of a header."""
    start = bound_part(4096, (("name", "model"),))[:cut]
    for hostile in (raw, MAGIC + raw, start + raw, bound_part(4096, ()) + raw):
        try:
            header, size = Header.parse(hostile)
        except DecryptionError:
            continue
        assert header.encode() == hostile[:size]


@given(header=headers(), data=st.data())
def test_cut(header: Header, data: st.DataObject) -> None:
    """A header that is shorter is refused."""
    raw = header.encode()
    with pytest.raises(DecryptionError):
        Header.parse(raw[: data.draw(st.integers(0, len(raw) - 1))])


def test_the_longest() -> None:
    """The longest possible header is within the bound."""
    values = {f"{n:03}".ljust(256, "x"): "v" * 3000 for n in range(5)}
    header = Header(4096, contexts.pairs_of(values), "k" * 2048, bytes(8192), bytes(32))
    assert len(header.encode()) < 16 + 16_384 + 2 + 2048 + 2 + 8192 + 32 < MAX_HEADER
    assert Header.parse(header.encode())[0] == header


def fields(**changed: bytes) -> bytes:
    """A valid header of raw fields, some of them replaced."""
    parts = {
        "magic": MAGIC,
        "version": b"\x00\x01",
        "suite": b"\x00\x01",
        "segment": struct.pack(">I", 4096),
        "context": b"\x00\x00",
        "key_id": b"\x00\x01k",
        "wrapped": b"\x00\x01w",
        "commitment": bytes(32),
    }
    assert changed.keys() <= parts.keys()
    return b"".join((parts | changed).values())


def sized(*texts: bytes) -> bytes:
    return b"".join(struct.pack(">H", len(text)) + text for text in texts)


def test_to_the_byte() -> None:
    """The layout is the one that the documentation tells."""
    header, size = Header.parse(fields() + b"stream")
    assert header == Header(4096, (), "k", b"w", bytes(32))
    assert size == 8 + 2 + 2 + 4 + 2 + 3 + 3 + 32


@pytest.mark.parametrize(
    ("field", "raw", "match"),
    [
        ("magic", b"\x89PNG\r\n\x1a\n", "not encrypted by modelsec"),
        ("version", b"\x00\x02", "version 2"),
        ("suite", b"\x01\x01", "suite 257"),
        ("segment", struct.pack(">I", 4095), "segments of 4095 bytes"),
        ("segment", struct.pack(">I", 2**20 + 1), "segments of 1048577 bytes"),
        ("context", b"\x00\x41", "65 pairs"),
        ("context", b"\x00\x01" + sized(b"", b"x"), "1 to 256 are possible"),
        ("context", b"\x00\x01" + sized(b"n" * 257, b"x"), "1 to 256 are possible"),
        ("context", b"\x00\x01" + sized(b"n", b"v" * 4097), "0 to 4096 are possible"),
        ("context", b"\x00\x01" + sized(b"n\xff", b""), "not UTF-8"),
        ("context", b"\x00\x01" + sized(b"n", b"\xed\xa0\x80"), "not UTF-8"),
        ("context", b"\x00\x02" + sized(b"a", b"", b"a", b""), "not sorted and unique"),
        ("context", b"\x00\x02" + sized(b"b", b"", b"a", b""), "not sorted and unique"),
        (
            "context",
            b"\x00\x05" + b"".join(sized(b"%d" % n, b"v" * 4096) for n in range(5)),
            "beyond the limit of 16384",
        ),
        ("key_id", b"\x00\x00", "1 to 2048 are possible"),
        ("key_id", sized(b"k" * 2049), "1 to 2048 are possible"),
        ("key_id", sized(b"\xc0\x80"), "not UTF-8"),
        ("wrapped", b"\x00\x00", "1 to 8192 are possible"),
        ("wrapped", sized(b"w" * 8193), "1 to 8192 are possible"),
        ("wrapped", b"\x20\x00w", "cut off"),
        ("commitment", bytes(31), "cut off"),
    ],
    ids=range(21),
)
def test_broken_rules(field: str, raw: bytes, match: str) -> None:
    """Every field has its rules."""
    with pytest.raises(DecryptionError, match=match):
        Header.parse(fields(**{field: raw}))


def test_one_encoding_of_contexts() -> None:
    """The order in which a context is given does not matter; its sorting is that of UTF-8."""
    names = ["\U0001f600", "\uff5e", "a", "B"]
    one, two = (dict.fromkeys(order, "v") for order in (names, names[::-1]))
    assert contexts.pairs_of(one) == contexts.pairs_of(two)
    raw = contexts.encode(contexts.pairs_of(one))
    assert contexts.decode(Cursor(raw)) == contexts.pairs_of(one)


@pytest.mark.parametrize(
    "context",
    [
        "name=x",
        [("name", "x")],
        3,
        {"name": 3},
        {3: "x"},
        {"": "x"},
        {"name": None},
        {"n" * 257: "x"},
        {"name": "v" * 4097},
        {"name": "\ud800"},
        {"\udfff": "x"},
        {str(n): "" for n in range(65)},
        {str(n): "v" * 4096 for n in range(4)},
    ],
    ids=range(13),
)
def test_bad_contexts(context: object) -> None:
    """A context is a small mapping of text to text."""
    with pytest.raises(ConfigurationError):
        contexts.pairs_of(context)


def test_unpaired_fields_do_not_move() -> None:
    """No two contexts have one encoding: lengths stand before texts."""
    assert contexts.encode((("ab", "c"),)) != contexts.encode((("a", "bc"),))


def test_commitment() -> None:
    """It depends on the key, the salt and everything that never changes, and is no segment key."""
    bound = bound_part(4096, (("name", "a"),))
    given_ = commitment_of(DataKey(KEY), bytes(32), bound)
    others = {
        commitment_of(DataKey(bytes(32)), bytes(32), bound),
        commitment_of(DataKey(KEY), bytes(31) + b"\1", bound),
        commitment_of(DataKey(KEY), bytes(32), bound_part(4096, (("name", "b"),))),
        commitment_of(DataKey(KEY), bytes(32), bound_part(8192, (("name", "a"),))),
        DataKey(KEY).derive(bytes(32), bound),
    }
    assert len(others) == 5
    assert given_ not in others
    header = Header(4096, (("name", "a"),), "k", b"w", given_)
    check_commitment(header, DataKey(KEY), bytes(32))
    for wrong in (bytes(32), given_[:31] + bytes([given_[31] ^ 1])):
        with pytest.raises(DecryptionError, match="does not fit the key"):
            check_commitment(
                Header(4096, (("name", "a"),), "k", b"w", wrong), DataKey(KEY), bytes(32)
            )


def test_wrap_context() -> None:
    """The wrapper authenticates the unchanging part and the key id: a SHA-256 of them."""
    bound = bound_part(4096, ())
    assert (
        wrap_context(bound, "k")
        == sha256(b"modelsec/encryption/v1/wrap\0" + fields()[:18] + b"k").digest()
    )
    assert wrap_context(bound, "k") != wrap_context(bound, "l")
