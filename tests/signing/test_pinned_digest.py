import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import blake3
import pytest

from modelsec.errors import ConfigurationError, DigestMismatchError, UnsafeTreeError
from modelsec.signing.hashing.survey import survey
from modelsec.signing.manifest import Layout, Manifest, Resource
from modelsec.signing.pinned_digest import PinnedDigest
from modelsec.signing.profile import OMS
from modelsec.signing.trees.tree import open_tree

NOW = datetime(2026, 11, 20, tzinfo=UTC)
HASHES: dict[str, Any] = {
    "sha256": hashlib.sha256,
    "blake2b": hashlib.blake2b,
    "blake3": blake3.blake3,
}
FILES = {"config.json": b"{}", "sub/weights.bin": b"weights"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def tree_digest(algorithm: Any = "sha256", files: dict[str, bytes] | None = None) -> str:
    resources = tuple(
        Resource(name, HASHES[algorithm](content).digest())
        for name, content in (files or FILES).items()
    )
    return Manifest(resources, Layout(algorithm)).tree_digest


def pinned(digest: str, **options: Any) -> PinnedDigest:
    return PinnedDigest(digest, clock=lambda: NOW, **options)


@pytest.mark.parametrize("algorithm", sorted(HASHES))
def test_file(model: Path, algorithm: str) -> None:
    """Of a file the digest is that of its content, whatever its name; it is compared when read."""
    path = model / "config.json"
    digest = HASHES[algorithm](b"{}").hexdigest()
    claim = pinned(digest.upper(), algorithm=algorithm).authenticate(path)
    assert claim.path == path
    assert claim.manifest.single_file
    assert claim.manifest.resources == (Resource("config.json", bytes.fromhex(digest)),)
    assert claim.manifest.layout.algorithm == algorithm
    assert (claim.now, claim.bundles, claim.release) == (NOW, (), None)


@pytest.mark.parametrize("algorithm", sorted(HASHES))
def test_directory(model: Path, algorithm: str) -> None:
    """Of a directory it is the tree digest, which names every file."""
    digest = tree_digest(algorithm)
    claim = pinned(digest, algorithm=algorithm).authenticate(str(model))
    assert claim.manifest.tree_digest == digest
    assert claim.manifest.names == tuple(FILES)
    (who,) = claim.signatories
    assert (who.method, who.key_id, who.identity) == ("digest", digest, None)
    assert any("nobody signed" in gap for gap in claim.unchecked)


def test_another_directory(model: Path) -> None:
    """A changed byte, a new name and a new file are another model each."""
    authority = pinned(tree_digest())
    (model / "config.json").write_bytes(b"[]")
    with pytest.raises(DigestMismatchError, match="another model"):
        authority.authenticate(model)
    (model / "config.json").write_bytes(b"{}")
    authority.authenticate(model)
    (model / "config.json").rename(model / "konfig.json")
    with pytest.raises(DigestMismatchError):
        authority.authenticate(model)
    (model / "konfig.json").rename(model / "config.json")
    (model / "empty").write_bytes(b"")
    with pytest.raises(DigestMismatchError):
        authority.authenticate(model)


def test_strict_trees_only(model: Path) -> None:
    """What no digest covers is refused; the profile of OMS leaves git's files out."""
    (model / ".git").mkdir()
    (model / ".git" / "config").write_bytes(b"")
    with pytest.raises(UnsafeTreeError):
        pinned(tree_digest()).authenticate(model)
    assert pinned(tree_digest(), profile=OMS).authenticate(model).manifest.names == tuple(FILES)
    (model / "link").symlink_to("config.json")
    with pytest.raises(UnsafeTreeError):
        pinned(tree_digest()).authenticate(model / "link")


@pytest.mark.parametrize(
    "digest",
    ["", "ab", "g" * 64, "a" * 63, "a" * 65, "a" * 128, " " + "a" * 63, "0x" + "a" * 62,
     "٣" * 64, "a" * 64 + "\n", b"a" * 64, None, 3],
)  # fmt: skip
def test_no_digests(digest: Any) -> None:
    """What cannot be a digest is the caller's mistake, told before anything is read."""
    with pytest.raises(ConfigurationError, match="hex digits"):
        PinnedDigest(digest)


def test_lengths_depend_on_what_is_pinned(model: Path) -> None:
    """BLAKE2b digests of files have 128 digits, tree digests always 64."""
    tree, file = tree_digest("blake2b"), hashlib.blake2b(b"{}").hexdigest()
    for digest, path in ((tree, model / "config.json"), (file, model)):
        with pytest.raises(ConfigurationError, match="hex digits, the pinned one"):
            pinned(digest, algorithm="blake2b").authenticate(path)


def test_arguments(model: Path) -> None:
    """Unknown algorithms, profiles, signatures that nobody would verify and naive clocks."""
    digest = "a" * 64
    wrong: list[dict[str, Any]] = [
        {"algorithm": "md5"},
        {"algorithm": None},
        {"algorithm": ["sha256"]},
        {"profile": "strict"},
    ]
    for options in wrong:
        with pytest.raises(ConfigurationError):
            PinnedDigest(digest, **options)
    with pytest.raises(ConfigurationError, match="no signature"):
        PinnedDigest(digest).authenticate(model, "model.sig")
    with pytest.raises(ConfigurationError, match="time zone"):
        PinnedDigest(digest, clock=lambda: datetime(2026, 1, 1)).authenticate(model)  # noqa: DTZ001
    for path in (model / "nothing", 3):
        with pytest.raises(ConfigurationError):
            PinnedDigest(digest).authenticate(path)  # type: ignore[arg-type]


def test_default_clock(model: Path) -> None:
    """Without a clock it is the system's, in UTC."""
    assert PinnedDigest(tree_digest()).authenticate(model).now.tzinfo is UTC


def test_shards(model: Path) -> None:
    """A digest over ranges is compared with ranges, of a directory and of a file."""
    for path in (model, model / "sub" / "weights.bin"):
        with open_tree(path, profile=OMS) as tree:
            digest = survey(tree, Layout(shard_size=4)).manifest.tree_digest
        claim = pinned(digest, shard_size=4).authenticate(path)
        assert claim.manifest.tree_digest == digest
        assert claim.manifest.layout.shard_size == 4


def test_what_the_digest_is_over_is_told(model: Path) -> None:
    """Whoever pinned the digest of another layout finds out why it does not fit."""
    for size, said in ((None, "sha256 digests of whole files"), (4, "of shards of 4 bytes")):
        with pytest.raises(DigestMismatchError, match=said):
            pinned("0" * 64, shard_size=size).authenticate(model)


@pytest.mark.parametrize("size", [0, -1, 2**63, 1.5, "4", True])
def test_the_size_of_shards_is_a_number_of_bytes(size: Any) -> None:
    """Wrong types and sizes that no file has."""
    with pytest.raises(ConfigurationError, match="shard_size"):
        PinnedDigest("0" * 64, shard_size=size)
