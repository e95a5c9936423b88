"""Digests of files and ranges."""

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

import blake3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError
from modelsec.signing.hashing.digests import BUFFER_BYTES, check_end, hash_descriptor, new_hasher
from modelsec.signing.manifest import DIGEST_BYTES

REFERENCES: dict[str, Callable[[bytes], bytes]] = {
    "sha256": lambda data: hashlib.sha256(data).digest(),
    "blake2b": lambda data: hashlib.blake2b(data, digest_size=64).digest(),
    "blake3": lambda data: blake3.blake3(data).digest(),
}


@pytest.fixture(params=["preadv", "lseek"])
def reading(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a test with reads at an offset, and as on a system without them."""
    if request.param == "lseek":
        monkeypatch.delattr(os, "preadv")
    return str(request.param)


def hashed(path: Path, start: int, end: int, algorithm: str = "sha256", buffer: int = 64) -> bytes:
    told: list[int] = []
    descriptor = os.open(path, os.O_RDONLY)
    try:
        digest = hash_descriptor(
            descriptor, start, end, new_hasher(algorithm), bytearray(buffer), told.append
        )
    finally:
        os.close(descriptor)
    assert sum(told) == end - start
    return digest


@pytest.mark.parametrize("algorithm", REFERENCES)
def test_digests_are_those_of_the_registry(algorithm: str) -> None:
    """Each algorithm gives the digest that its name means, at the registered length."""
    hasher = new_hasher(algorithm)
    hasher.update(b"weights")
    assert hasher.digest() == REFERENCES[algorithm](b"weights")
    assert len(hasher.digest()) == DIGEST_BYTES[algorithm]


@pytest.mark.parametrize("algorithm", ["", "md5", "SHA256", "sha512", "blake2", None, 3, [], "\0"])
def test_an_unknown_algorithm_is_refused(algorithm: object) -> None:
    """The message names those that there are."""
    with pytest.raises(ConfigurationError, match="sha256, blake2b, blake3"):
        new_hasher(algorithm)  # type: ignore[arg-type]


def test_blake3_names_its_extra_when_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is a wrong installation."""
    monkeypatch.setitem(sys.modules, "blake3", None)
    with pytest.raises(ConfigurationError, match=r"modelsec\[blake3\]"):
        new_hasher("blake3")


@pytest.mark.parametrize("algorithm", REFERENCES)
@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 1000])
def test_a_whole_file_is_hashed(tmp_path: Path, reading: str, algorithm: str, size: int) -> None:
    """Sizes around the buffer's give the digest of the bytes."""
    assert reading
    data = bytes(range(256)) * 4
    file = tmp_path / "f"
    file.write_bytes(data[:size])
    assert hashed(file, 0, size, algorithm) == REFERENCES[algorithm](data[:size])


@given(
    st.binary(max_size=300),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 100),
)
def test_a_range_is_hashed_exactly(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, one: int, other: int, buffer: int
) -> None:
    """Start inclusive, end exclusive, whatever the buffer."""
    start, end = sorted((min(one, len(data)), min(other, len(data))))
    file = tmp_path_factory.mktemp("range") / "f"
    file.write_bytes(data)
    assert hashed(file, start, end, buffer=buffer) == hashlib.sha256(data[start:end]).digest()


def test_a_file_that_is_too_short_is_refused(tmp_path: Path, reading: str) -> None:
    """A range beyond the end is never hashed as a shorter one."""
    assert reading
    file = tmp_path / "f"
    file.write_bytes(b"x" * 100)
    with pytest.raises(DigestMismatchError, match="ends at byte 100, expected were 101"):
        hashed(file, 0, 101)
    with pytest.raises(DigestMismatchError, match="ends at byte 500"):
        hashed(file, 500, 600)


def test_a_file_that_is_cut_while_it_is_read_is_refused(tmp_path: Path, reading: str) -> None:
    """The bytes that are gone are missed."""
    assert reading
    file = tmp_path / "f"
    file.write_bytes(b"x" * 1000)
    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(DigestMismatchError, match="it was cut"):
        hash_descriptor(
            descriptor,
            0,
            1000,
            new_hasher("sha256"),
            bytearray(100),
            lambda _: os.truncate(file, 150),
        )
    os.close(descriptor)


def test_what_cannot_be_read_is_an_error_of_ours(tmp_path: Path, reading: str) -> None:
    """A folder opens, but does not read; neither does a descriptor that is closed."""
    assert reading
    descriptor = os.open(tmp_path, os.O_RDONLY)
    arguments = (0, 10, new_hasher("sha256"), bytearray(10), lambda _: None)
    with pytest.raises(UnsafeTreeError, match="cannot read at byte 0"):
        hash_descriptor(descriptor, *arguments)
    os.close(descriptor)
    with pytest.raises(UnsafeTreeError, match="cannot read"):
        hash_descriptor(descriptor, *arguments)


def test_advance_is_told_each_read_and_can_end_it(tmp_path: Path) -> None:
    """An exception from ``advance`` passes through at once."""
    file = tmp_path / "f"
    file.write_bytes(b"x" * (2 * BUFFER_BYTES))
    told: list[int] = []

    def stop(count: int) -> None:
        told.append(count)
        raise KeyboardInterrupt

    descriptor = os.open(file, os.O_RDONLY)
    with pytest.raises(KeyboardInterrupt):
        hash_descriptor(
            descriptor, 0, 2 * BUFFER_BYTES, new_hasher("sha256"), bytearray(BUFFER_BYTES), stop
        )
    os.close(descriptor)
    assert told == [BUFFER_BYTES]


def test_the_offset_of_a_descriptor_does_not_matter(tmp_path: Path, reading: str) -> None:
    """Two ranges of one descriptor are read in any order."""
    assert reading
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    descriptor = os.open(file, os.O_RDONLY)
    os.lseek(descriptor, 7, os.SEEK_SET)
    buffer = bytearray(4)
    for start, end in ((5, 10), (0, 5)):
        digest = hash_descriptor(
            descriptor, start, end, new_hasher("sha256"), buffer, lambda _: None
        )
        assert digest == hashlib.sha256(b"0123456789"[start:end]).digest()
    os.close(descriptor)


def test_a_file_that_goes_on_is_told(tmp_path: Path, reading: str) -> None:
    """The end of a file is where no byte follows."""
    assert reading
    file = tmp_path / "f"
    file.write_bytes(b"0123456789")
    descriptor = os.open(file, os.O_RDONLY)
    check_end(descriptor, 10)
    with pytest.raises(DigestMismatchError, match="behind its end at 9"):
        check_end(descriptor, 9)
    os.close(descriptor)
    with pytest.raises(UnsafeTreeError, match="cannot read at byte 9"):
        check_end(descriptor, 9)
