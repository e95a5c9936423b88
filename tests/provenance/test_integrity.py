import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError
from modelsec.provenance import integrity
from modelsec.provenance.integrity import check_integrity, full_digest
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Layout
from modelsec.signing.profile import STRICT
from modelsec.signing.trees.tree import open_tree
from tests.provenance.cards.samples import folder_of_weights

OTHER = "0" * 64


def test_a_file(tmp_path: Path) -> None:
    """The digest of a file is the SHA-256 of its bytes; upper case is the same digest."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"weights" * 100_000)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    for expected in (digest, digest.upper()):
        check = check_integrity(str(path), expected)
        assert check.verified
        assert check.to_dict() == {
            "verified": True,
            "expected_hash": digest,
            "actual_hash": digest,
            "model_path": str(path),
            "kind": "file",
        }


def test_another_digest_is_a_result(tmp_path: Path) -> None:
    """A mismatch says both digests and raises nothing."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"")
    check = check_integrity(path, OTHER)
    assert not check.verified
    assert check.actual_hash == hashlib.sha256().hexdigest()
    assert check.expected_hash == OTHER


def test_one_bit(tmp_path: Path) -> None:
    """Every bit counts, the last one too."""
    path = tmp_path / "model.bin"
    content = bytearray(os.urandom(300_000))
    digest = hashlib.sha256(content).hexdigest()
    for place in (0, 262_143, 262_144, 299_999):
        content[place] ^= 1
        path.write_bytes(content)
        assert not check_integrity(path, digest).verified
        content[place] ^= 1
    path.write_bytes(content)
    assert check_integrity(path, digest).verified


def test_a_folder(tmp_path: Path) -> None:
    """The digest of a folder binds names and bytes; it is the one of the signatures."""
    folder = folder_of_weights(tmp_path / "model")
    with open_tree(folder, profile=STRICT) as tree:
        digest = survey(tree, Layout()).manifest.tree_digest
    check = check_integrity(folder, digest)
    assert check.verified
    assert check.kind == "tree"
    (folder / "config.json").rename(folder / "config2.json")
    assert not check_integrity(folder, digest).verified
    (folder / "config2.json").rename(folder / "config.json")
    (folder / "more.txt").write_text("")
    assert not check_integrity(folder, digest).verified


def test_an_odd_folder(tmp_path: Path) -> None:
    """What no digest can cover is an error, not a mismatch."""
    folder = folder_of_weights(tmp_path / "model")
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(UnsafeTreeError):
        check_integrity(folder, OTHER)
    (folder / "link").unlink()
    os.mkfifo(folder / "pipe")
    with pytest.raises(UnsafeTreeError):
        check_integrity(folder, OTHER)


NO_DIGESTS: list[object] = [
    *("", "ab" * 16, "ab" * 33, "sha256:" + "ab" * 32, "SHA256:" + "ab" * 32, " " + "ab" * 32),
    *("ab" * 32 + "\n", "g" * 64, "é" * 64, "\N{FULLWIDTH DIGIT ONE}" * 64, "\ud800" * 64),
    *("0x" + "ab" * 31, "a" * 1_000_000, b"ab" * 32, None, 0, ["ab" * 32]),
]


def test_no_digest(tmp_path: Path) -> None:
    """Anything but 64 hex digits is the caller's mistake, before the file is opened."""
    for expected in NO_DIGESTS:
        with pytest.raises(ConfigurationError, match=r"hash|digest") as caught:
            check_integrity(tmp_path / "missing", expected)  # type: ignore[arg-type]
        assert "missing" not in str(caught.value)


@given(value=st.text(max_size=70) | st.binary(max_size=70) | st.integers() | st.none())
def test_no_text_becomes_a_digest_by_chance(value: object) -> None:
    """Either 64 hex digits, or a refusal of ours."""
    try:
        digest = full_digest(value)
    except ConfigurationError:
        return
    assert isinstance(value, str)
    assert digest == value.lower()
    assert len(bytes.fromhex(digest)) == 32


@pytest.mark.parametrize("path", [None, 3, b"model", "", "a\0b", "missing/model"])
def test_no_path(path: object) -> None:
    """A path that is none is told as such."""
    with pytest.raises(ConfigurationError):
        check_integrity(path, OTHER)  # type: ignore[arg-type]


def test_a_pipe_does_not_hang(tmp_path: Path) -> None:
    """A pipe under a model's name is refused at once."""
    os.mkfifo(tmp_path / "model.bin")
    with pytest.raises(ConfigurationError, match="not a regular file"):
        check_integrity(tmp_path / "model.bin", OTHER)


def test_a_file_that_changes_meanwhile(tmp_path: Path) -> None:
    """Nothing is said about bytes that somebody writes to: neither equal nor different."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(1_000_000))

    def write(done: int, total: int) -> None:
        if done < total:
            with path.open("ab") as file:
                file.write(b"more")

    with pytest.raises(DigestMismatchError) as caught:
        check_integrity(path, OTHER, on_progress=write)
    assert caught.value.changed == ("model.bin",)


def test_progress_and_cancelling(tmp_path: Path) -> None:
    """Progress ends at the whole size; what it raises ends the check."""
    path = tmp_path / "model.bin"
    path.write_bytes(bytes(700_000))
    told: list[tuple[int, int]] = []
    check_integrity(path, OTHER, on_progress=lambda *how_far: told.append(how_far))
    assert told[-1] == (700_000, 700_000)
    assert told == sorted(told)

    class StoppedError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        raise StoppedError(done, total)

    with pytest.raises(StoppedError):
        check_integrity(path, OTHER, on_progress=stop)


def test_digests_are_compared_in_constant_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is ``hmac.compare_digest``."""
    seen: list[tuple[str, str]] = []

    def compare(one: str, other: str) -> bool:
        seen.append((one, other))
        return False

    monkeypatch.setattr(integrity.hmac, "compare_digest", compare)
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    assert not check_integrity(path, hashlib.sha256(b"x").hexdigest()).verified
    assert len(seen) == 1


def test_a_disk_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read error is told by type."""

    def broken(*_: object) -> int:
        raise OSError(5, "Input/output error")

    (tmp_path / "model.bin").write_bytes(b"x")
    monkeypatch.setattr(os, "preadv", broken)
    with pytest.raises(ConfigurationError, match="Input/output error"):
        check_integrity(tmp_path / "model.bin", OTHER)


def test_the_kind_of_a_digest(tmp_path: Path) -> None:
    """A digest of a file is none of a folder, whatever its value."""
    path = tmp_path / "model.bin"
    path.write_bytes(b"x")
    digest = hashlib.sha256(b"x").hexdigest()
    assert check_integrity(path, digest, kind="file").verified
    assert not check_integrity(path, digest, kind="tree").verified
    with pytest.raises(ConfigurationError):
        check_integrity(path, digest, kind="pipe")  # type: ignore[arg-type]


def test_a_link_to_a_file(tmp_path: Path) -> None:
    """A single file may be named by a link, as model caches do: its bytes count."""
    path = tmp_path / "blob"
    path.write_bytes(b"weights")
    link = tmp_path / "model.bin"
    link.symlink_to(path)
    assert check_integrity(link, hashlib.sha256(b"weights").hexdigest()).verified
