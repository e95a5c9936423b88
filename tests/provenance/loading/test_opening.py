import gc
import hashlib
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from modelsec.errors import (
    ArtifactError,
    ConfigurationError,
    DigestMismatchError,
    ResourceLimitError,
    StaleModelError,
    UnsafeArtifactError,
    UnsafeTreeError,
    UntrustedSignerError,
)
from modelsec.provenance.loading.inspection import Siblings
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.verified_files import SignedFile
from modelsec.provenance.loading.verified_model import VerifiedModel
from modelsec.provenance.loading.verified_safetensors import load_safetensors_verified
from modelsec.scanning import Limits, Policy
from modelsec.signing import PrivateKey, Release, TrustedKeys, TrustStore, Verifier, sign
from modelsec.signing.manifest import Manifest, Resource
from modelsec.signing.pinned_digest import PinnedDigest
from modelsec.signing.profile import OMS
from tests.provenance.loading.claimed import KEY, NOW, Claimed, manifest_of, tensors, write_model

WEIGHTS = tensors(rows=2048)  # more than one chunk
FILES = {
    "config.json": b'{"hidden_size": 64}',
    "model.safetensors": WEIGHTS,
    "sub/README.md": b"# A model\n",
}
EVIL = b"cos\nsystem\n(S'true'\ntR."


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", FILES)


def opened(path: Path, files: dict[str, bytes] | None = None, **options: Any) -> VerifiedModel:
    return open_verified(path, Claimed(manifest_of(files or FILES)), **options)


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shard_size", [None, 1, 5000, 1 << 30])
def test_every_way_of_signing(tmp_path: Path, algorithm: Any, shard_size: int | None) -> None:
    """Whole files and ranges, with every algorithm, give the bytes that were signed."""
    files = FILES if shard_size != 1 else {"a.txt": b"few bytes", "sub/empty.txt": b""}
    path = write_model(tmp_path / "model", files)
    manifest = manifest_of(files, algorithm=algorithm, shard_size=shard_size)
    with open_verified(path, Claimed(manifest)) as model:
        assert model.names == tuple(sorted(files))
        assert {name: bytes(model.buffer(name)) for name in model.names} == files
        assert model.verification().algorithm == algorithm
        assert not model.verification().partial


def test_single_file(tmp_path: Path) -> None:
    """A model may be one file; what lies beside it is neither read nor refused."""
    path = write_model(tmp_path, {"model.safetensors": WEIGHTS, "other.pkl": EVIL})
    manifest = manifest_of({"model.safetensors": WEIGHTS}, single_file=True)
    with open_verified(str(path / "model.safetensors"), Claimed(manifest)) as model:
        assert model.names == ("model.safetensors",)
        assert model.buffer("model.safetensors") == WEIGHTS
        assert model.verification().path == str(path / "model.safetensors")


def test_buffers_are_read_only_and_shared(model: Path) -> None:
    """A view cannot be written, and the same memory is given out while it is in use."""
    with opened(model) as verified:
        view = verified.buffer("model.safetensors")
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1
        again = verified.buffer("model.safetensors")
        assert np.shares_memory(np.frombuffer(view, "u1"), np.frombuffer(again, "u1"))


def test_memory_is_free_when_nobody_uses_it(model: Path) -> None:
    """A dropped buffer does not count against the limit: files can be loaded one by one."""
    limit = len(WEIGHTS) + 1
    with opened(model, max_bytes=limit) as verified:
        view = verified.buffer("model.safetensors")
        with pytest.raises(ResourceLimitError, match="max_bytes"):
            verified.buffer("config.json")
        del view
        assert verified.buffer("config.json") == FILES["config.json"]
        assert verified.buffer("model.safetensors") == WEIGHTS


def test_memory_is_free_at_once(model: Path, request: pytest.FixtureRequest) -> None:
    """Reading leaves no cycles behind that would keep gigabytes until they are collected."""
    gc.disable()
    request.addfinalizer(gc.enable)
    with opened(model, scan=False) as verified:
        arrays = verified.tensors("model.safetensors")
        assert list(verified._holdings._buffers.keys()) == ["model.safetensors"]
        del arrays
        assert not list(verified._holdings._buffers.keys())


def test_cycles_do_not_use_up_the_limit(model: Path, request: pytest.FixtureRequest) -> None:
    """Memory that only the collector can free is freed before a file is refused for it."""
    gc.disable()
    request.addfinalizer(gc.enable)
    with opened(model, max_bytes=len(WEIGHTS) + 1) as verified:
        cycle: list[Any] = [verified.buffer("model.safetensors")]
        cycle.append(cycle)
        del cycle
        assert verified.buffer("config.json") == FILES["config.json"]


def test_limit_comes_before_allocation(tmp_path: Path) -> None:
    """A sparse file of a terabyte is refused before memory for it exists."""
    path = tmp_path / "model"
    path.mkdir()
    with (path / "huge.bin").open("wb") as file:
        file.truncate(1 << 40)
    with opened(path, {"huge.bin": b"small"}) as verified:
        for read in (verified.buffer, verified.fd_path):
            with pytest.raises(ResourceLimitError, match="1,099,511,627,776"):
                read("huge.bin")


def test_views_outlive_the_model(model: Path) -> None:
    """Closing ends reading, not what was read; a closed model says so."""
    with opened(model) as verified:
        view = verified.buffer("model.safetensors")
        arrays = verified.tensors("model.safetensors")
        verified.fd_path("config.json")
    verified.close()
    assert view == WEIGHTS
    assert arrays["weight"].sum() == 2048 * 64
    for use in (verified.buffer, verified.open, verified.fd_path, verified.tensors):
        with pytest.raises(ConfigurationError, match="closed"):
            use("config.json")
    with pytest.raises(ConfigurationError, match="closed"), verified.directory():
        pass
    assert verified.verification().files == ("config.json", "model.safetensors")


def test_no_descriptor_is_left(model: Path) -> None:
    """Whatever happens, closing gives back every descriptor."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with opened(model) as verified, verified.directory():
        verified.open("config.json")
    with pytest.raises(DigestMismatchError):
        opened(model, {**FILES, "gone.txt": b"x"})
    wrong = {**FILES, "config.json": b'{"hidden_size": 65}'}
    with opened(model, wrong) as verified:
        for read in (verified.buffer, verified.fd_path):
            with pytest.raises(DigestMismatchError):
                read("config.json")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_names_are_compared_before_anything_is_read(model: Path) -> None:
    """Missing and added files are told by name; unsigned ones pass only where it was asked for."""
    with pytest.raises(DigestMismatchError) as missing:
        opened(model, {**FILES, "gone.txt": b"x"})
    assert missing.value.missing == ("gone.txt",)
    (model / "added.pkl").write_bytes(EVIL)
    with pytest.raises(DigestMismatchError) as added:
        opened(model)
    assert added.value.added == ("added.pkl",)
    with opened(model, ignore_unsigned=True) as verified:
        assert verified.names == tuple(sorted(FILES))
        assert verified.verification().unsigned == ("added.pkl",)
        with pytest.raises(ConfigurationError, match=r"added\.pkl"):
            verified.buffer("added.pkl")
    (model / "added.pkl").unlink()
    (model / "link").symlink_to("config.json")
    with pytest.raises(UnsafeTreeError):
        opened(model)


def test_wrong_bytes(model: Path) -> None:
    """One wrong bit is one changed file: the others can be read, and the receipt is partial."""
    content = bytearray(WEIGHTS)
    content[-1] ^= 1
    (model / "model.safetensors").write_bytes(content)
    with opened(model) as verified:
        for read in (
            verified.buffer,
            verified.open,
            verified.fd_path,
            verified.tensors,
        ):
            with pytest.raises(DigestMismatchError) as refused:
                read("model.safetensors")
            assert refused.value.changed == ("model.safetensors",)
        with pytest.raises(DigestMismatchError), verified.directory():
            pass
        assert verified.buffer("config.json") == FILES["config.json"]
        receipt = verified.verification()
        assert (receipt.partial, receipt.files) == (True, ("config.json",))


@pytest.mark.parametrize(
    "ranges",
    [
        [(0, 6), (5, 10)],
        [(0, 4), (5, 10)],
        [(0, 5)],
        [(0, 5), (5, 11)],
        [(5, 10)],
        [(0, 10), (0, 10)],
        [(0, 10), (10, None)],
        [(3, None)],
        [(0, 10), (10, 9)],
        [],
    ],
)
def test_ranges_cover_every_byte_once(tmp_path: Path, ranges: list[tuple[int, int | None]]) -> None:
    """Right digests of ranges with a hole, an overlap or a rest are no digest of the file."""
    content = b"0123456789"
    path = write_model(tmp_path / "model", {"a.txt": content})
    resources = tuple(
        Resource("a.txt", hashlib.sha256(content[start:end]).digest(), start, end)
        for start, end in ranges
    )
    manifest = Manifest(resources, empty_files=() if ranges else ("a.txt",))
    with pytest.raises(DigestMismatchError) as refused:
        open_verified(path, Claimed(manifest))
    assert refused.value.changed == ("a.txt",)


def test_bytes_of_another_size_do_not_match() -> None:
    """Ranges that do not cover the bytes do not match them, whatever their digests."""
    file = SignedFile("a", "sha256", (Resource("a", hashlib.sha256(b"ab").digest(), 0, 2),))
    told: list[int] = []
    assert file.matches(memoryview(b"ab"), told.append)
    assert not file.matches(memoryview(b"abc"), told.append)
    assert not file.matches(memoryview(b"a"), told.append)
    assert told == [2]


def test_one_wrong_range(tmp_path: Path) -> None:
    """Each range is compared: right ones do not make up for a wrong one."""
    content = os.urandom(40)
    for position in (0, 15, 39):
        other = bytearray(content)
        other[position] ^= 0x80
        path = write_model(tmp_path / str(position), {"a.bin": bytes(other)})
        claimed = Claimed(manifest_of({"a.bin": content}, shard_size=10))
        with open_verified(path, claimed, scan=False) as verified:
            for read in (verified.buffer, verified.fd_path):
                with pytest.raises(DigestMismatchError):
                    read("a.bin")


def test_oms_leaves_empty_files_out_of_shards(tmp_path: Path) -> None:
    """By the text of OMS nobody signs an empty file in shards: its profile permits it, ours not."""
    path = write_model(tmp_path / "model", {"a.txt": b"text", "b/__init__.py": b""})
    claimed = Claimed(manifest_of({"a.txt": b"text"}, shard_size=4))
    with pytest.raises(DigestMismatchError):
        open_verified(path, claimed)
    with open_verified(path, replace(claimed, profile=OMS)) as verified:
        assert verified.names == ("a.txt",)
        assert verified.verification().unsigned == ("b/__init__.py",)


def test_unsafe_although_signed(tmp_path: Path) -> None:
    """A signature does not make a pickle that acts safe; the refusal names the finding."""
    files = {"good.txt": b"text", "model.pkl": EVIL}
    path = write_model(tmp_path / "model", files)
    with opened(path, files) as verified:
        for read in (verified.buffer, verified.open, verified.fd_path, verified.tensors):
            with pytest.raises(UnsafeArtifactError, match=r"model\.pkl.*system"):
                read("model.pkl")
        with pytest.raises(UnsafeArtifactError), verified.directory():
            pass
        assert not verified.reports["model.pkl"].safe
        assert bytes(verified.buffer("good.txt")) == b"text"
        assert verified.reports["good.txt"].safe
    with opened(path, files, scan=False) as verified:
        assert verified.buffer("model.pkl") == EVIL
        assert any("scanned" in gap for gap in verified.verification().unchecked)
        assert verified.reports == {}


def test_policy_and_limits_are_those_of_the_scan(tmp_path: Path) -> None:
    """A policy that lists less refuses more; so do limits."""
    files = {"model.pkl": pickle.dumps(np.arange(3))}
    path = write_model(tmp_path / "model", files)
    with opened(path, files) as verified:
        assert verified.buffer("model.pkl") == files["model.pkl"]
    for options in ({"policy": Policy([])}, {"limits": Limits(opcodes=1)}):
        with (
            opened(path, files, **options) as verified,
            pytest.raises(UnsafeArtifactError, match="MS-"),
        ):
            verified.buffer("model.pkl")


def test_a_file_is_scanned_once(model: Path) -> None:
    """Its digest is signed, so the same name means the same bytes and the same report."""
    with opened(model) as verified:
        verified.buffer("model.safetensors")
        first = verified.reports["model.safetensors"]
        verified.buffer("model.safetensors")
        verified.fd_path("model.safetensors")
        assert verified.reports["model.safetensors"] is first


def test_siblings_are_signed_files(model: Path) -> None:
    """A scan that asks for a file beside gets verified bytes, or nothing."""
    with opened(model) as verified, ExitStack() as files:
        top = Siblings("", verified._beside, files)
        below = Siblings("sub", verified._beside, files)
        found = top.open("./config.json")
        assert found is not None
        assert found.read(0, found.size) == FILES["config.json"]
        assert top.open("sub/README.md") is not None
        assert below.open("README.md") is not None
        assert below.open("config.json") is None
        for name in ("../config.json", "/etc/passwd", "..\\config.json", "C:x", ""):
            with pytest.raises(UnsafeArtifactError):
                below.open(name)
        files.close()
        (model / "sub" / "README.md").write_bytes(b"# Another\n")
        with pytest.raises(DigestMismatchError):
            below.open("README.md")


def test_receipt(model: Path) -> None:
    """The receipt says what was read until now, who signed, and what nobody looked at."""
    with opened(model) as verified:
        before = verified.receipt
        assert (before.files, before.partial) == ((), True)
        assert any("the others" in gap for gap in before.unchecked)
        verified.buffer("config.json")
        verified.fd_path("model.safetensors")
        assert verified.receipt.files == ("config.json", "model.safetensors")
        verified.open("sub/README.md")
        receipt = verified.receipt
    manifest = manifest_of(FILES)
    assert receipt.partial is False
    assert receipt.files == tuple(sorted(FILES))
    assert (receipt.key_id, receipt.verified_at, receipt.profile) == (KEY, NOW, "strict")
    assert receipt.tree_digest == manifest.tree_digest
    assert receipt.root_digest == manifest.root_digest
    assert receipt.release is not None
    assert receipt.release.serial == 7
    assert receipt.unchecked == ("of the claim",)
    assert receipt.to_dict()["verified"] is True


@pytest.mark.parametrize("method", ["buffer", "open", "fd_path", "tensors"])
def test_a_release_is_accepted_once_and_before_it_is_used(model: Path, method: str) -> None:
    """The first verified file has the release remembered; wrong bytes do not, refusals last."""
    accepted: list[str] = []
    claimed = Claimed(manifest_of(FILES), accept=lambda: accepted.append("release"))
    (model / "config.json").write_bytes(b'{"hidden_size": 65}')
    with open_verified(model, claimed) as verified:
        with pytest.raises(DigestMismatchError):
            verified.buffer("config.json")
        assert not accepted
        getattr(verified, method)("model.safetensors")
        verified.buffer("sub/README.md")
        assert accepted == ["release"]

    def stale() -> None:
        raise StaleModelError("a newer one was accepted")

    with open_verified(model, Claimed(manifest_of(FILES), accept=stale)) as verified:
        for _ in range(2):
            with pytest.raises(StaleModelError):
                getattr(verified, method)("model.safetensors")
        assert verified.verification().files == ()


def test_progress_counts_bytes_and_cancels(model: Path) -> None:
    """Progress reaches the total; an exception from it ends the reading, and nothing is given."""
    told: list[tuple[int, int]] = []
    total = sum(map(len, FILES.values()))
    with opened(model, on_progress=lambda done, of: told.append((done, of))) as verified:
        for name in verified.names:
            verified.buffer(name)
    assert told[-1] == (total, total)
    assert told == sorted(told)

    def cancel(*_: int) -> None:
        raise KeyboardInterrupt

    with opened(model, on_progress=cancel) as verified:
        for read in (verified.buffer, verified.fd_path):
            with pytest.raises(KeyboardInterrupt):
                read("model.safetensors")
        assert verified.verification().files == ()


def test_threads(tmp_path: Path) -> None:
    """Threads that read the same and different files at once all get the signed bytes."""
    files = {f"{n}.safetensors": tensors(n, rows=512) for n in range(4)}
    path = write_model(tmp_path / "model", files)
    with opened(path, files) as verified, ThreadPoolExecutor(8) as pool:
        wanted = [name for name in files for _ in range(8)]
        views = list(pool.map(verified.buffer, wanted))
        paths = list(pool.map(verified.fd_path, wanted))
        assert all(view == files[name] for view, name in zip(views, wanted, strict=True))
        assert len(set(paths)) == len(files)
        assert all(
            Path(where).read_bytes() == files[name]
            for where, name in zip(paths, wanted, strict=True)
        )


@pytest.mark.parametrize("name", ["", ".", "nothing", "../model", "sub", "sub//README.md", 3, None])
def test_names_that_are_not_signed(model: Path, name: Any) -> None:
    """Only signed names can be read; everything else is the caller's mistake."""
    with opened(model) as verified:
        for read in (verified.buffer, verified.open, verified.fd_path, verified.tensors):
            with pytest.raises(ConfigurationError, match="signed"):
                read(name)


def test_arguments(model: Path, tmp_path: Path) -> None:
    """What cannot be meant is refused as the caller's mistake."""
    claimed = Claimed(manifest_of(FILES))
    bad: list[dict[str, Any]] = [
        {"verifier": None},
        {"path": 3},
        {"path": tmp_path / "nothing"},
        {"max_bytes": 0},
        {"max_bytes": True},
        {"max_bytes": "1"},
        {"policy": "core"},
        {"limits": 3},
    ]
    for wrong in bad:
        with pytest.raises(ConfigurationError):
            open_verified(**{"path": model, "verifier": claimed, **wrong})


def test_unreadable(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fails is an artifact that cannot be read, told with the name."""
    with opened(model) as verified:
        monkeypatch.setattr("modelsec.provenance.loading.verified_files.io.FileIO", _Broken)
        with pytest.raises(ArtifactError, match=r"config\.json.*Input/output error"):
            verified.buffer("config.json")


class _Broken:
    def __init__(self, *_: object, **__: object) -> None: ...

    def readinto(self, _: object) -> int:
        raise OSError(5, "Input/output error")


def test_file_object(model: Path) -> None:
    """The file reads, seeks and ends like a file on disk."""
    with opened(model) as verified, verified.open("sub/README.md") as file:
        assert file.readable()
        assert file.seekable()
        assert not file.writable()
        assert (file.name, file.read(3), file.tell()) == ("sub/README.md", b"# A", 3)
        assert file.read() == b" model\n"
        assert file.read() == file.read(5) == b""
        assert file.seek(-6, os.SEEK_END) == 4
        assert file.seek(1, os.SEEK_CUR) == 5
        target = bytearray(100)
        assert file.readinto(target) == 5
        assert target.startswith(b"odel\n")
        assert file.seek(1000) == 1000
        assert file.readall() == b""
        file.seek(0)
        assert file.peek() == FILES["sub/README.md"]
        assert list(file) == [b"# A model\n"]
        assert file.getbuffer() == FILES["sub/README.md"]
        for offset, whence in ((-1, 0), (0, 3)):
            with pytest.raises(ValueError, match=r"position|whence"):
                file.seek(offset, whence)
    for use in (file.read, file.tell, file.peek, file.getbuffer, lambda: file.seek(0)):
        with pytest.raises(ValueError, match="closed"):
            use()


def test_file_object_serves_loaders(tmp_path: Path) -> None:
    """Loaders such as numpy and pickle load from it as from a file."""
    np.save(tmp_path / "a.npy", np.arange(10))
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"lines": ["a\n"] * 5000}, protocol=0))
    files = {name: (tmp_path / name).read_bytes() for name in ("a.npy", "a.pkl")}
    path = write_model(tmp_path / "model", files)
    with opened(path, files) as verified:
        assert np.load(verified.open("a.npy")).tolist() == list(range(10))
        loaded = pickle.load(verified.open("a.pkl"))  # noqa: S301 - verified and scanned
        assert loaded == {"lines": ["a\n"] * 5000}


def test_with_a_real_signature(model: Path, tmp_path: Path) -> None:
    """A signed model opens for its signer's key, once a newer release was not accepted."""
    key, other = PrivateKey.generate(), PrivateKey.generate()
    releases = TrustStore(tmp_path / "releases.json")
    old, new = tmp_path / "old.sig", tmp_path / "new.sig"
    sign(model, key, signature=old, release=Release("demo", serial=1))
    sign(model, key, signature=new, release=Release("demo", serial=2), shard_size=100_000)
    verifier = Verifier(TrustedKeys([key.public]), name="demo", releases=releases)
    for bundle in (old, new):
        with open_verified(model, verifier, signature=bundle) as verified:
            assert {name: bytes(verified.buffer(name)) for name in verified.names} == FILES
            assert verified.verification().key_id == key.key_id
    with pytest.raises(StaleModelError):
        open_verified(model, verifier, signature=old)
    with pytest.raises(UntrustedSignerError):
        open_verified(model, Verifier(TrustedKeys([other.public])), signature=new)
    with pytest.raises(ConfigurationError):
        open_verified(model, verifier)


def test_several_signatures(model: Path, tmp_path: Path) -> None:
    """Two signers have to agree, and both bundles are given; one is not enough."""
    keys = [PrivateKey.generate() for _ in range(2)]
    bundles = [tmp_path / "1.sig", tmp_path / "2.sig"]
    for key, bundle in zip(keys, bundles, strict=True):
        sign(model, key, signature=bundle)
    verifier = Verifier(TrustedKeys([key.public for key in keys]), threshold=2)
    with open_verified(model, verifier, signature=bundles) as verified:
        verified.buffer("config.json")
        assert {who.key_id for who in verified.receipt.signatories} == {k.key_id for k in keys}
    with pytest.raises(UntrustedSignerError):
        open_verified(model, verifier, signature=bundles[:1])


def test_what_is_no_verifier(model: Path) -> None:
    """A trust, a class, a list or a stranger is told what is missing."""
    trust: Any = TrustedKeys([PrivateKey.generate().public])
    for opener in (open_verified, load_safetensors_verified):
        with pytest.raises(ConfigurationError, match=r"wrap it: Verifier\(TrustedKeys\(\.\.\.\)\)"):
            opener(model, trust)
        for wrong in (Verifier, TrustedKeys, PinnedDigest, [trust], None, "key"):
            stranger: Any = wrong
            with pytest.raises(ConfigurationError, match="give a Verifier"):
                opener(model, stranger)

    class Odd:
        def authenticate(self) -> None:
            pass

    class Silent:
        def authenticate(self, path: Path, signature: object = None) -> None:
            del path, signature

    odd: Any = Odd()
    silent: Any = Silent()
    with pytest.raises(ConfigurationError, match="takes a path"):
        open_verified(model, odd)
    with pytest.raises(ConfigurationError, match="no Claim"):
        open_verified(model, silent)


def test_receipts_say_what_was_not_scanned(tmp_path: Path) -> None:
    """A file that was refused, and one that only another's scan asked for, are both named."""
    files = {"a.safetensors": WEIGHTS, "model.bin": EVIL}
    path = write_model(tmp_path / "model", files)
    with opened(path, files) as verified:
        with pytest.raises(UnsafeArtifactError):
            verified.buffer("model.bin")
        assert verified._beside("a.safetensors") == WEIGHTS
        gaps = verified.receipt.unchecked
    assert any("refused: 'model.bin'" in gap for gap in gaps)
    assert any("not scanned by themselves: 'a.safetensors'" in gap for gap in gaps)


def test_a_release_that_became_stale_meanwhile(model: Path, tmp_path: Path) -> None:
    """A model that was opened before a newer release was accepted cannot be read after it."""
    key = PrivateKey.generate()
    releases = TrustStore(tmp_path / "releases.json")
    bundles = [tmp_path / "1.sig", tmp_path / "2.sig"]
    for serial, bundle in enumerate(bundles, 1):
        sign(model, key, signature=bundle, release=Release("demo", serial=serial))
    verifier = Verifier(TrustedKeys([key.public]), releases=releases)
    with open_verified(model, verifier, signature=bundles[0]) as verified:
        verifier.verify(model, bundles[1])
        with pytest.raises(StaleModelError):
            verified.buffer("config.json")
