import os
from collections.abc import Callable
from pathlib import Path

import pytest

from modelsec.encryption import decrypt_tink_stream, encrypt_tink_stream, tink_stream_to_buffer
from modelsec.encryption.cipher import SegmentCipher, StreamHeader
from modelsec.encryption.data_key import DataKey
from modelsec.encryption.segments import Layout
from modelsec.errors import ConfigurationError, DecryptionError
from tests.encryption.samples import KEY
from tests.encryption.tink_oracle import TinkStream

AAD = b"associated \x00\xff data"
SMALL, LARGE = 4096, 1_048_576


def boundaries(segment: int) -> list[int]:
    """Plaintext sizes around the ends of the first three segments."""
    first, full = segment - 56, segment - 16
    return [0, 1] + [first + k * full + d for k in range(3) for d in (-1, 0, 1)]


CASES = [(segment, size) for segment in (SMALL, LARGE) for size in boundaries(segment)]


@pytest.mark.parametrize(("segment", "size"), CASES)
def test_tink_reads_ours(tmp_path: Path, segment: int, size: int) -> None:
    """Tink decrypts what we encrypt."""
    content = os.urandom(size)
    (tmp_path / "plain").write_bytes(content)
    encrypt_tink_stream(
        tmp_path / "plain",
        tmp_path / "sealed",
        KEY,
        associated_data=AAD,
        segment_size=segment,
        workers=2,
    )
    sealed = (tmp_path / "sealed").read_bytes()
    assert TinkStream(KEY, segment).decrypt(sealed, AAD) == content


@pytest.mark.parametrize(("segment", "size"), CASES)
def test_we_read_tinks(tmp_path: Path, segment: int, size: int) -> None:
    """We decrypt what Tink encrypts, to memory and to a file, with one worker and with more."""
    content = os.urandom(size)
    source, target = tmp_path / "sealed", tmp_path / "plain"
    source.write_bytes(TinkStream(KEY, segment).encrypt(content, AAD))
    for workers in (1, 3):
        got = tink_stream_to_buffer(
            source, KEY, associated_data=AAD, segment_size=segment, workers=workers
        )
        assert bytes(got) == content
        decrypt_tink_stream(
            source, target, KEY, associated_data=AAD, segment_size=segment, workers=workers
        )
        assert target.read_bytes() == content


def test_same_bytes() -> None:
    """With Tink's salt and nonce prefix we write Tink's very bytes."""
    content = os.urandom(3 * SMALL)
    theirs = TinkStream(KEY, SMALL).encrypt(content, AAD)
    layout = Layout.of_plaintext(len(content), SMALL)
    cipher = SegmentCipher(DataKey(KEY), StreamHeader.parse(theirs[:40]), AAD, layout)
    ours = bytearray(layout.stream_size - 40)
    cipher.seal(0, layout.count, memoryview(content), memoryview(ours))
    assert theirs == theirs[:40] + ours


def test_empty_last_segment(tmp_path: Path) -> None:
    """Tink's reader accepts an empty segment after a full one; ours does not."""
    content = os.urandom(SMALL - 56)
    header = StreamHeader(bytes(32), bytes(7))
    # The first segment, sealed as one that others follow, and an empty last one.
    two = Layout(SMALL + 16, SMALL, 2, len(content))
    cipher = SegmentCipher(DataKey(KEY), header, AAD, two)
    sealed = bytearray(SMALL - 40 + 16)
    cipher.seal(0, 2, memoryview(content), memoryview(sealed))
    stream = header.encode() + sealed
    assert TinkStream(KEY, SMALL).decrypt(stream, AAD) == content
    (tmp_path / "sealed").write_bytes(stream)
    with pytest.raises(DecryptionError, match="no whole number of segments"):
        tink_stream_to_buffer(tmp_path / "sealed", KEY, associated_data=AAD, segment_size=SMALL)


CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "cut after the first": lambda raw: raw[:SMALL],
    "cut after the second": lambda raw: raw[: 2 * SMALL],
    "bare header": lambda raw: raw[:40],
    "header and 16 bytes": lambda raw: raw[:56],
    "one byte less": lambda raw: raw[:-1],
    "one byte more": lambda raw: raw + b"\0",
    "swapped": lambda raw: b"".join(
        (raw[:SMALL], raw[2 * SMALL : 3 * SMALL], raw[SMALL : 2 * SMALL], raw[3 * SMALL :])
    ),
    "repeated": lambda raw: raw[: 2 * SMALL] + raw[SMALL:],
    "length byte": lambda raw: b"\x27" + raw[1:],
    "salt": lambda raw: raw[:1] + bytes([raw[1] ^ 1]) + raw[2:],
    "nonce prefix": lambda raw: raw[:39] + bytes([raw[39] ^ 1]) + raw[40:],
    "nothing": lambda raw: raw[:0],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_changed_streams(tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    """What Tink refuses we refuse: cut at and between boundaries, swapped, repeated, changed."""
    tink = TinkStream(KEY, SMALL)
    raw = change(tink.encrypt(os.urandom(3 * SMALL), AAD))
    (tmp_path / "sealed").write_bytes(raw)
    with pytest.raises(Exception):  # noqa: B017, PT011 - Tink's own kind
        tink.decrypt(raw, AAD)
    with pytest.raises(DecryptionError):
        tink_stream_to_buffer(tmp_path / "sealed", KEY, associated_data=AAD, segment_size=SMALL)
    with pytest.raises(DecryptionError):
        decrypt_tink_stream(
            tmp_path / "sealed", tmp_path / "p", KEY, associated_data=AAD, segment_size=SMALL
        )
    assert [path.name for path in tmp_path.iterdir()] == ["sealed"]


@pytest.mark.parametrize(
    "other",
    [
        {"key": bytes(32)},
        {"associated_data": b""},
        {"segment_size": LARGE},
        {"segment_size": SMALL + 1},
    ],
)
def test_other_arguments(tmp_path: Path, other: dict[str, object]) -> None:
    """Another key, other associated data, another segment size."""
    source = tmp_path / "sealed"
    source.write_bytes(TinkStream(KEY, SMALL).encrypt(os.urandom(3 * SMALL), AAD))
    given = {"key": KEY, "associated_data": AAD, "segment_size": SMALL} | other
    with pytest.raises(DecryptionError):
        tink_stream_to_buffer(source, **given)  # type: ignore[arg-type]  # mixed on purpose


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33), "k" * 32, bytearray(32), None])
def test_wrong_keys(tmp_path: Path, key: object) -> None:
    """A key is 32 bytes, and is not shown."""
    (tmp_path / "plain").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="32 bytes") as refused:
        encrypt_tink_stream(tmp_path / "plain", tmp_path / "sealed", key)  # type: ignore[arg-type]  # the test
    assert "kkk" not in str(refused.value)


def test_wrong_associated_data(tmp_path: Path) -> None:
    """Text is not bytes."""
    (tmp_path / "plain").write_bytes(b"x")
    with pytest.raises(ConfigurationError, match="associated data must be bytes, not str"):
        encrypt_tink_stream(
            tmp_path / "plain",
            tmp_path / "sealed",
            KEY,
            associated_data="a",  # type: ignore[arg-type]  # the test
        )
