import os
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.encryption import (
    PartlyVerifiedFile,
    decrypt_file,
    decrypt_into,
    decrypt_to_buffer,
    encrypt_file,
    rewrap,
)
from modelsec.encryption.header import Header
from modelsec.errors import ConfigurationError, DecryptionError, KeyServiceError
from modelsec.protocols.keys import KeyWrapper
from tests.encryption.samples import CONTEXT, KEY, Odd, encrypted, fails, wrapper

SIZE = 30_000


def refused(
    path: Path,
    by: KeyWrapper | None = None,
    *,
    context: dict[str, str] | None = None,
    error: type[Exception] = DecryptionError,
    match: str | None = None,
) -> None:
    """Every way of decrypting refuses the file and leaves the folder as it was."""
    key = by or wrapper()
    before = sorted(os.listdir(path.parent))  # noqa: PTH208 - names only
    target = path.with_name("target")
    room = bytearray(b"\xaa" * (path.stat().st_size + 1))
    with pytest.raises(error, match=match):
        decrypt_file(path, target, key, context=context, workers=2)
    with pytest.raises(error, match=match):
        decrypt_to_buffer(path, key, context=context)
    with pytest.raises(error, match=match):
        decrypt_into(path, room, key, context=context)
    assert set(room) <= {0, 0xAA}
    with pytest.raises(error, match=match), PartlyVerifiedFile(path, key, context=context) as file:
        file.verify_whole()
    assert sorted(os.listdir(path.parent)) == before  # noqa: PTH208 - idem


def stream_of(path: Path) -> int:
    """Where the stream of an encrypted file begins."""
    return Header.parse(path.read_bytes())[1]


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    return encrypted(tmp_path, SIZE, context=CONTEXT)[0]


def test_every_byte_of_the_header(sealed: Path) -> None:
    """There is no bit of the header, or of the stream's, that can be changed."""
    raw = sealed.read_bytes()
    for position in range(stream_of(sealed) + 40):
        for bit in (0, 7):
            changed = bytearray(raw)
            changed[position] ^= 1 << bit
            sealed.write_bytes(changed)
            with pytest.raises(DecryptionError):
                decrypt_to_buffer(sealed, wrapper(), context=CONTEXT)


@given(data=st.data())
def test_any_bit(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """No bit of the file can be changed."""
    path, _ = encrypted(tmp_path_factory.mktemp("any"), SIZE)
    raw = bytearray(path.read_bytes())
    position = data.draw(st.integers(0, len(raw) - 1))
    raw[position] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    refused(path)


def test_every_boundary(sealed: Path) -> None:
    """Cut at, before and after every field and every segment: refused."""
    raw, base = sealed.read_bytes(), stream_of(sealed)
    cuts = {0, 1, 8, 16, base, base + 40, base + 55, base + 56, len(raw) - 1, len(raw) - 16}
    cuts |= {base + k * 4096 + d for k in range(1, 8) for d in (-1, 0, 1, 16, 17)}
    for cut in sorted(cuts):
        sealed.write_bytes(raw[:cut])
        refused(sealed, context=CONTEXT)


@given(data=st.data())
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """A file that is shorter is refused."""
    path, _ = encrypted(tmp_path_factory.mktemp("cut"), SIZE)
    raw = path.read_bytes()
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw) - 1))])
    refused(path)


@pytest.mark.parametrize("more", [b"\0", bytes(16), bytes(17), bytes(4096), bytes(50_000)], ids=len)
def test_extended(sealed: Path, more: bytes) -> None:
    """A file that is longer is refused."""
    sealed.write_bytes(sealed.read_bytes() + more)
    refused(sealed, context=CONTEXT)


def test_reordered(sealed: Path) -> None:
    """Segments stay where they were, and are there once."""
    raw, base = sealed.read_bytes(), stream_of(sealed)
    parts = [raw[base + k * 4096 : base + (k + 1) * 4096] for k in range(1, 7)]
    head, tail = raw[: base + 4096], raw[base + 7 * 4096 :]
    for order in ([1, 0, 2, 3, 4, 5], [0, 0, 2, 3, 4, 5], [0, 1, 2, 3, 4], [0, 1, 2, 3, 4, 5, 5]):
        sealed.write_bytes(head + b"".join(parts[n] for n in order) + tail)
        refused(sealed, context=CONTEXT, match="does not verify")


def test_two_files(tmp_path: Path) -> None:
    """Segments, streams and headers of another file of the same key and context do not fit."""
    (tmp_path / "other").mkdir()
    one, two = encrypted(tmp_path, SIZE)[0], encrypted(tmp_path / "other", SIZE)[0]
    a, b, base = one.read_bytes(), two.read_bytes(), stream_of(one)
    segment = base + 2 * 4096
    one.write_bytes(a[:segment] + b[segment : segment + 4096] + a[segment + 4096 :])
    refused(one, match="segment 3 of 8 does not verify")
    one.write_bytes(a[:base] + b[base:])
    refused(one, match="the header does not fit the key and the stream")
    one.write_bytes(a[: base + 40] + b[base + 40 :])
    refused(one, match="does not verify")


def test_commitment_of_another_file(tmp_path: Path) -> None:
    """A commitment that fits the key and not the stream is refused before anything is opened."""
    (tmp_path / "other").mkdir()
    one, two = encrypted(tmp_path, 10)[0], encrypted(tmp_path / "other", 10)[0]
    a, b, base = one.read_bytes(), two.read_bytes(), stream_of(one)
    one.write_bytes(a[: base - 32] + b[base - 32 : base] + a[base:])
    refused(one, match="does not fit the key and the stream")


@pytest.mark.parametrize(
    ("context", "match"),
    [
        (None, "'file' is 'model.safetensors', expected is absent"),
        ({}, "expected is absent"),
        (CONTEXT | {"version": "2"}, "'version' is '3', expected is '2'"),
        (CONTEXT | {"more": ""}, "'more' is absent, expected is ''"),
        ({"name": "resnet"}, "expected is absent"),
        ({"NAME" if k == "name" else k: v for k, v in CONTEXT.items()}, "'NAME' is absent"),
    ],
    ids=range(6),
)
def test_other_context(sealed: Path, context: dict[str, str] | None, match: str) -> None:
    """The context is told again, exactly; the refusal says what differs."""
    refused(sealed, context=context, match=match)


def test_forged_context(sealed: Path) -> None:
    """A context that was rewritten in the file to what the caller expects is refused."""
    raw = sealed.read_bytes()
    sealed.write_bytes(raw.replace(b"version\x00\x013", b"version\x00\x014"))
    refused(sealed, context=CONTEXT | {"version": "4"}, match="cannot be unwrapped")


def test_forged_context_under_a_careless_wrapper(tmp_path: Path) -> None:
    """Even if the wrapper ignores what it is told to authenticate."""
    (tmp_path / "plain").write_bytes(b"weights")
    path = tmp_path / "sealed"
    encrypt_file(tmp_path / "plain", path, Odd(), context={"version": "3"})
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"version\x00\x013", b"version\x00\x014"))
    refused(path, Odd(), context={"version": "4"}, match="does not fit the key")


def test_forged_key_id(sealed: Path) -> None:
    """The wrapper authenticates under which name it wrapped."""
    raw, name = sealed.read_bytes(), wrapper().key_id.encode()
    sealed.write_bytes(raw.replace(name, b"local:" + b"0" * 32))
    refused(sealed, context=CONTEXT, match="cannot be unwrapped")


def test_other_key(sealed: Path) -> None:
    """Another key does not unwrap; the refusal names the one that does."""
    refused(sealed, wrapper(bytes(32)), context=CONTEXT, match=wrapper().key_id)


@pytest.mark.parametrize(
    "key", [b"", bytes(31), bytes(33), bytes(512), "k" * 32, None], ids=range(6)
)
def test_unwrapped_nonsense(sealed: Path, key: object) -> None:
    """What a wrapper returns has to be a data key."""
    odd = Odd(unwrap=lambda blob, context: key)  # noqa: ARG005 - the protocol
    refused(sealed, odd, context=CONTEXT, match="not a data key of 32 bytes")


def test_unwrapped_other_key(sealed: Path) -> None:
    """A data key that is none of this file's is told by the commitment, not by a segment."""
    odd = Odd(unwrap=lambda blob, context: bytes(32))  # noqa: ARG005 - the protocol
    refused(sealed, odd, context=CONTEXT, match="does not fit the key")


def test_failing_unwrap(sealed: Path) -> None:
    """Foreign errors become ours, and say nothing of what they held."""
    odd = Odd(unwrap=fails(ValueError("secret 1234")))
    with pytest.raises(KeyServiceError, match="could not unwrap the key: ValueError") as refusal:
        decrypt_to_buffer(sealed, odd, context=CONTEXT)
    assert "1234" not in str(refusal.value)
    refused(sealed, odd, context=CONTEXT, error=KeyServiceError)


def test_not_ours(tmp_path: Path) -> None:
    """A plain file, an empty one, one that a text transfer damaged: all the same error."""
    path = tmp_path / "model"
    for raw in (b"", b"\x89", b"plain weights" * 100, b"\x89MSE\n\x1a\n" + bytes(200)):
        path.write_bytes(raw)
        refused(path, match="not encrypted by modelsec")


def test_other_versions(sealed: Path) -> None:
    """Another version or suite is not guessed at."""
    raw = sealed.read_bytes()
    for position in (8, 9, 10, 11):
        changed = bytearray(raw)
        changed[position] += 1
        sealed.write_bytes(changed)
        refused(sealed, context=CONTEXT, match="this release of modelsec reads version 1")


@pytest.mark.parametrize("segment", [0, 1, 4095, 1_048_577, 2**32 - 1])
def test_hostile_segment_sizes(sealed: Path, segment: int) -> None:
    """A segment size out of bounds allocates nothing."""
    raw = bytearray(sealed.read_bytes())
    raw[12:16] = struct.pack(">I", segment)
    sealed.write_bytes(raw)
    refused(sealed, context=CONTEXT, match="the header says segments of")


def test_a_hole(tmp_path: Path) -> None:
    """A file of a terabyte that is all hole costs no memory and no time."""
    path, _ = encrypted(tmp_path, 10)
    os.truncate(path, stream_of(path) + 2**40)
    for decrypt in (decrypt_to_buffer, PartlyVerifiedFile):
        with pytest.raises(DecryptionError, match="segment 268435456 of 268435456"):
            decrypt(path, wrapper())
    with pytest.raises(DecryptionError, match="segment 268435456 of 268435456"):
        decrypt_file(path, tmp_path / "target", wrapper())
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


def test_shrinks_meanwhile(tmp_path: Path) -> None:
    """A ciphertext that is cut while it is read is refused; a mapped one would kill us."""
    path, _ = encrypted(tmp_path, 3_000_000, segment_size=1_048_576)
    size = path.stat().st_size

    def cut(_done: int, _total: int) -> None:
        os.truncate(path, size - 1_500_000)

    with pytest.raises(DecryptionError, match="became shorter while it was read"):
        decrypt_file(path, tmp_path / "target", wrapper(), on_progress=cut, workers=1)
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


def test_changes_meanwhile(tmp_path: Path) -> None:
    """A segment that is changed after the file was opened does not verify."""
    path, _ = encrypted(tmp_path, 3_000_000, segment_size=1_048_576)

    def change(_done: int, _total: int) -> None:
        with path.open("r+b") as file:
            file.seek(2_000_000)
            file.write(b"changed")

    with pytest.raises(DecryptionError, match="segment 2 of 3 does not verify"):
        decrypt_to_buffer(path, wrapper(), on_progress=change, workers=1)


@pytest.mark.parametrize("workers", [1, 4])
def test_one_bad_segment_stops_all(tmp_path: Path, workers: int) -> None:
    """With many workers a refusal is one error, when no thread runs any more."""
    path, _ = encrypted(tmp_path, 12_000_000, segment_size=1_048_576)
    raw = bytearray(path.read_bytes())
    raw[3_000_000] ^= 1
    path.write_bytes(raw)
    before = threading.active_count()
    with pytest.raises(DecryptionError, match="segment 3 of 12 does not verify"):
        decrypt_file(path, tmp_path / "target", wrapper(), workers=workers)
    with pytest.raises(DecryptionError, match="segment 3 of 12 does not verify"):
        decrypt_to_buffer(path, wrapper(), workers=workers)
    assert threading.active_count() == before
    assert [found.name for found in tmp_path.iterdir()] == ["model.enc"]


def test_targets(tmp_path: Path) -> None:
    """The source is not its own target; an existing target is kept when something fails."""
    path, content = encrypted(tmp_path, 100)
    with pytest.raises(ConfigurationError, match="is the source itself"):
        decrypt_file(path, path, wrapper())
    target = tmp_path / "target"
    target.write_bytes(b"before")
    with pytest.raises(DecryptionError):
        decrypt_file(path, target, wrapper(bytes(32)))
    assert target.read_bytes() == b"before"
    decrypt_file(path, target, wrapper())
    assert target.read_bytes() == content
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigurationError, match="cannot write"):
        decrypt_file(path, tmp_path / "folder", wrapper())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "model.enc", "target"]


def test_special_sources(tmp_path: Path) -> None:
    """A pipe does not hang; a folder and a missing file are the caller's fault."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "missing"):
        with pytest.raises(ConfigurationError):
            decrypt_file(tmp_path / name, tmp_path / "target", wrapper())
        with pytest.raises(ConfigurationError):
            decrypt_to_buffer(tmp_path / name, wrapper())


def test_wrong_types(sealed: Path) -> None:
    """What is no path, no wrapper, no context and no number of workers."""
    for bad in (
        {"source": None},
        {"wrapper": KEY},
        {"context": "name"},
        {"context": {"name": 3}},
        {"workers": 0},
        {"on_progress": "loud"},
    ):
        given_ = {"source": sealed, "wrapper": wrapper(), "context": CONTEXT} | bad
        with pytest.raises(ConfigurationError):
            decrypt_to_buffer(**given_)  # type: ignore[arg-type]  # the test


def test_into_memory_of_the_callers(tmp_path: Path) -> None:
    """Arrays, views and bytearrays that are large enough are filled from their start."""
    path, content = encrypted(tmp_path, 10_000)
    array = np.full(2_500, 7, "<u4")
    assert decrypt_into(path, array, wrapper()) == 10_000  # type: ignore[arg-type]  # a buffer, too
    assert array.tobytes() == content
    room = bytearray(b"\xaa" * 10_005)
    assert decrypt_into(path, room, wrapper()) == 10_000
    assert bytes(room) == content + b"\xaa" * 5


@pytest.mark.parametrize(
    ("buffer", "match"),
    [
        (bytes(10_000), "cannot be written"),
        (bytearray(9_999), "has 10000 bytes, the buffer only 9999"),
        (memoryview(bytearray(20_000))[::2], "must be contiguous"),
        ("text", "must be contiguous memory, not str"),
        (None, "must be contiguous memory"),
    ],
    ids=["readonly", "small", "strided", "text", "none"],
)
def test_bad_buffers(tmp_path: Path, buffer: object, match: str) -> None:
    """Memory that cannot hold the plaintext is refused."""
    path, _ = encrypted(tmp_path, 10_000)
    with pytest.raises(ConfigurationError, match=match):
        decrypt_into(path, buffer, wrapper())  # type: ignore[arg-type]  # the test


def test_rewrapped_by_an_attacker(sealed: Path, tmp_path: Path) -> None:
    """Wrapping another data key under the right name does not open this stream."""
    forged = tmp_path / "forged"
    raw = sealed.read_bytes()
    header, base = Header.parse(raw)
    blob = wrapper().wrap(bytes(32), b"any")
    fake = Header(header.segment_size, header.context, header.key_id, blob, header.commitment)
    forged.write_bytes(fake.encode() + raw[base:])
    refused(forged, context=CONTEXT, match="cannot be unwrapped")
    with pytest.raises(DecryptionError):
        rewrap(forged, wrapper(), wrapper(bytes(32)), context=CONTEXT)
