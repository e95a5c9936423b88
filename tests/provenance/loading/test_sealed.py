import errno
import mmap
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    MalformedArtifactError,
    ResourceLimitError,
    VerificationError,
)
from modelsec.provenance.loading import sealed
from modelsec.provenance.loading.holdings import Holdings
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.sealed import SealedFile, private_memory, write_copy
from modelsec.provenance.loading.verified_model import VerifiedModel
from tests.provenance.loading.claimed import Claimed, manifest_of, tensors, write_model

WEIGHTS = tensors()
FILES = {
    "config.json": b'{"hidden_size": 64}',
    "empty.txt": b"",
    "model.safetensors": WEIGHTS,
    "sub/deep/README.md": b"# A model\n",
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", FILES)


def opened(path: Path, **options: Any) -> VerifiedModel:
    return open_verified(path, Claimed(manifest_of(FILES)), **options)


@pytest.fixture
def unsealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without sealed files."""
    monkeypatch.delattr(os, "memfd_create")


def test_nobody_writes_to_a_sealed_file(model: Path) -> None:
    """Writing, cutting, extending, mapping and unsealing it fail: by descriptor and by path."""
    with opened(model) as verified:
        path = verified.fd_path("model.safetensors")
        copy = verified._holdings.sealed("model.safetensors")
        assert copy is not None
        with open(path, "r+b", buffering=0) as again:  # noqa: PTH123 - as an attacker would
            for descriptor in (copy.descriptor, again.fileno()):
                attempts: list[Any] = [
                    lambda fd=descriptor: os.pwrite(fd, b"evil", 0),
                    lambda fd=descriptor: os.ftruncate(fd, 0),
                    lambda fd=descriptor: os.ftruncate(fd, 1 << 20),
                    lambda fd=descriptor: mmap.mmap(fd, 0),
                    lambda fd=descriptor: sealed._seal(fd),
                ]
                for attempt in attempts:
                    with pytest.raises(PermissionError):
                        attempt()
        assert Path(path).read_bytes() == WEIGHTS


def test_paths_serve_loaders(model: Path) -> None:
    """A loader that wants a path reads the sealed bytes, whatever becomes of the file."""
    with opened(model) as verified:
        path = verified.fd_path("model.safetensors")
        assert path.startswith("/proc/self/fd/")
        assert verified.fd_path("model.safetensors") == path
        (model / "model.safetensors").write_bytes(tensors(fill=-1))
        assert load_file(path)["weight"].min() == 1
        with safe_open(path, framework="numpy") as file:
            assert sorted(file.keys()) == ["bias", "weight"]
        assert verified.buffer("model.safetensors") == WEIGHTS
        empty = verified.fd_path("empty.txt")
        assert Path(empty).read_bytes() == b""
        inode = Path(path).stat().st_ino
    assert not Path(path).exists() or Path(path).stat().st_ino != inode


def test_buffer_of_a_sealed_file_is_a_map(model: Path) -> None:
    """What is sealed is not read again; the map is read-only and outlives the descriptor."""
    with opened(model) as verified:
        verified.fd_path("model.safetensors")
        (model / "model.safetensors").unlink()
        view = verified.buffer("model.safetensors")
        assert view.readonly
    assert view == WEIGHTS


def test_the_digest_is_that_of_the_sealed_bytes(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who writes to the copy before it is sealed, through /proc, is found out by the digest."""
    copy = sealed.copy

    def copy_and_attack(source: Any, target: int, *rest: Any) -> None:
        copy(source, target, *rest)
        with open(f"/proc/{os.getpid()}/fd/{target}", "r+b") as attacker:  # noqa: PTH123
            attacker.seek(-1, os.SEEK_END)
            attacker.write(b"\xff")

    monkeypatch.setattr(sealed, "copy", copy_and_attack)
    with opened(model) as verified:
        with pytest.raises(DigestMismatchError):
            verified.fd_path("model.safetensors")
        with pytest.raises(DigestMismatchError), verified.directory():
            pass


def test_a_foreign_map_prevents_the_seal(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that somebody mapped for writing cannot be sealed, and is not handed out."""
    copy, maps = sealed.copy, []

    def copy_and_map(source: Any, target: int, *rest: Any) -> None:
        copy(source, target, *rest)
        maps.append(mmap.mmap(target, 0))

    monkeypatch.setattr(sealed, "copy", copy_and_map)
    with opened(model) as verified, pytest.raises(VerificationError, match="busy"):
        verified.fd_path("model.safetensors")
    assert len(maps) == 1


def test_directory(model: Path) -> None:
    """It is laid out like the model, private, links to sealed copies, and is gone afterwards."""
    with opened(model) as verified:
        with verified.directory() as root:
            assert stat.S_IMODE(root.stat().st_mode) == 0o700
            found = {
                str(path.relative_to(root)): path.read_bytes()
                for path in root.rglob("*")
                if path.is_file()
            }
            assert found == FILES
            assert all((root / name).is_symlink() for name in FILES)
            assert load_file(root / "model.safetensors")["weight"].max() == 1
            file = (root / "config.json").open("r+b", buffering=0)
            with file, pytest.raises(PermissionError):
                file.write(b"{")
            receipt = verified.verification()
            assert not receipt.partial
            assert receipt.unchecked == ("of the claim",)
        assert not root.exists()
    assert (model / "config.json").read_bytes() == FILES["config.json"]


def test_directory_for_other_processes(model: Path) -> None:
    """A process that this one starts reads the same bytes, although its descriptors are others."""
    code = "import pathlib, sys; print(len(pathlib.Path(sys.argv[1]).read_bytes()))"
    with opened(model) as verified, verified.directory() as root:
        command = [sys.executable, "-c", code, str(root / "model.safetensors")]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) == len(WEIGHTS)


def test_directory_of_copies(model: Path) -> None:
    """Loaders that resolve links get real files, read-only; the receipt says what that means."""
    with opened(model) as verified:
        with verified.directory(copies=True) as root:
            for name, content in FILES.items():
                path = root / name
                assert path.read_bytes() == content
                assert path.resolve().read_bytes() == content
                assert not path.is_symlink()
                assert stat.S_IMODE(path.stat().st_mode) == 0o400
            assert stat.S_IMODE(root.stat().st_mode) == 0o700
        assert not root.exists()
        assert any("same user" in gap for gap in verified.verification().unchecked)


@pytest.mark.usefixtures("unsealed")
def test_without_sealed_files(model: Path) -> None:
    """Other systems get private copies, with a receipt that says so; they go when it closes."""
    with opened(model) as verified:
        first = Path(verified.fd_path("model.safetensors"))
        second = Path(verified.fd_path("model.safetensors"))
        for path in (first, second):
            assert path.read_bytes() == WEIGHTS
            assert stat.S_IMODE(path.stat().st_mode) == 0o400
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        with verified.directory() as root:
            assert not (root / "config.json").is_symlink()
        assert any("same user" in gap for gap in verified.verification().unchecked)
    assert not first.exists()
    assert not second.exists()
    with pytest.raises(ConfigurationError, match="closed"):
        verified.fd_path("config.json")


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EPERM, errno.EACCES])
def test_forbidden_sealed_files(model: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a sandbox forbids them it is as where there are none."""

    def forbidden(*_: object) -> int:
        raise OSError(code, "forbidden")

    monkeypatch.setattr(os, "memfd_create", forbidden)
    with opened(model) as verified:
        assert Path(verified.fd_path("config.json")).read_bytes() == FILES["config.json"]
        assert "/proc/" not in verified.fd_path("config.json")


def test_older_kernels(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that does not know the flag against execution is asked again without it."""
    create, flags = os.memfd_create, []

    def older(name: str, wanted: int) -> int:
        flags.append(wanted)
        if wanted & sealed._NOT_EXECUTABLE:
            raise OSError(errno.EINVAL, "Invalid argument")
        return create(name, wanted)

    monkeypatch.setattr(os, "memfd_create", older)
    with opened(model) as verified:
        assert Path(verified.fd_path("config.json")).read_bytes() == FILES["config.json"]
    assert any(wanted & sealed._NOT_EXECUTABLE for wanted in flags)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_exhaustion(model: Path, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """No descriptor or memory left is a limit, told as such."""

    def exhausted(*_: object) -> int:
        raise OSError(code, os.strerror(code))

    with opened(model) as verified:
        monkeypatch.setattr(os, "memfd_create", exhausted)
        with pytest.raises(ResourceLimitError, match="private copy"):
            verified.fd_path("config.json")
        monkeypatch.setattr(sealed, "can_seal", lambda: True)
        monkeypatch.setattr("modelsec.provenance.loading.verified_model.can_seal", lambda: True)
        with pytest.raises(ResourceLimitError, match="private copy"):
            verified.fd_path("config.json")


def test_a_full_disk_leaves_no_descriptor(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy that fails half-way is closed, and the reason is typed."""
    before = len(list(Path("/proc/self/fd").iterdir()))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sealed, "copy", full)
    with opened(model) as verified, pytest.raises(ResourceLimitError, match="No space"):
        verified.fd_path("config.json")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_holdings_own_what_they_keep(tmp_path: Path) -> None:
    """Of two copies of one file the first is kept, the other closed; when closed, all are."""
    (tmp_path / "file").write_bytes(b"content")
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (tmp_path / "file").open("rb") as file:
        copies = [SealedFile(file.fileno(), 7) for _ in range(3)]
    holdings = Holdings(100)
    assert holdings.keep_sealed("file", copies[0]) is copies[0]
    assert holdings.keep_sealed("file", copies[1]) is copies[0]
    holdings.close()
    with pytest.raises(ConfigurationError, match="closed"):
        holdings.keep_sealed("file", copies[2])
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_failing_maps_and_files(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that was cut, and a map for which there is no memory, leave nothing open."""
    before = len(list(Path("/proc/self/fd").iterdir()))
    with (model / "config.json").open("rb") as file, pytest.raises(MalformedArtifactError):
        SealedFile(file.fileno(), 1000)

    def exhausted(*_: object, **__: object) -> None:
        raise OSError(errno.ENOMEM, "Cannot allocate memory")

    with opened(model) as verified:
        monkeypatch.setattr(mmap, "mmap", exhausted)
        for read in (verified.buffer, verified.fd_path):
            with pytest.raises(ResourceLimitError):
                read("config.json")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_systems_without_private_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where memory has no flags it is had without them."""
    monkeypatch.delattr(mmap, "MAP_PRIVATE")
    assert bytes(private_memory(3)) == b"\0\0\0"


def test_private_memory_has_an_end() -> None:
    """More memory than there can be is a limit, not a crash."""
    for size in (1 << 62, 1 << 70):
        with pytest.raises(ResourceLimitError):
            private_memory(size)
    memory = private_memory(3 << 21)
    assert len(memory) == 3 << 21
    assert memory[-1] == 0


def test_copies_are_never_written_through_links(tmp_path: Path) -> None:
    """A copy is a new file: nothing that was there before is followed or replaced."""
    (tmp_path / "victim").write_bytes(b"mine")
    (tmp_path / "link").symlink_to("victim")
    for name in ("link", "victim"):
        with pytest.raises(VerificationError, match="exists"):
            write_copy(tmp_path / name, memoryview(b"evil"))
    assert (tmp_path / "victim").read_bytes() == b"mine"


def test_no_private_directory(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a place for temporary files, a directory is refused with the way out."""

    def broken(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryDirectory", broken)
    with (
        opened(model) as verified,
        pytest.raises(ConfigurationError, match="TMPDIR"),
        verified.directory(),
    ):
        pass
