"""What was handed out stays as it was verified."""

import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from modelsec.errors import DigestMismatchError, ResourceLimitError
from modelsec.provenance.loading import free_memory as free_memory_module
from modelsec.provenance.loading import holdings, verified_files
from modelsec.provenance.loading.free_memory import free_memory
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.read_only import COPIED, read_only
from modelsec.provenance.loading.safetensors_arrays import read_arrays
from modelsec.provenance.loading.verified_model import VerifiedModel
from tests.provenance.loading.claimed import Claimed, manifest_of, tensors, write_model

SMALL, LARGE = tensors(), tensors(rows=3 * COPIED // 256)
FILES = {"empty": b"", "large.safetensors": LARGE, "small.safetensors": SMALL}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("read-only"), FILES)


def opened(path: Path, files: dict[str, bytes] | None = None, **options: Any) -> VerifiedModel:
    return open_verified(path, Claimed(manifest_of(files or FILES)), scan=False, **options)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("sealed", [False, True])
def test_no_owner_of_a_view_can_be_written(model: Path, name: str, sealed: bool) -> None:  # noqa: FBT001 - parametrised
    """Small or large, read or sealed: neither the view nor what it names as its owner."""
    with opened(model) as loaded:
        if sealed:
            loaded.fd_path(name)
        view = loaded.buffer(name)
        assert view.readonly
        owner: Any = view.obj
        assert memoryview(owner).readonly
        if len(view):
            with pytest.raises((TypeError, ValueError)):
                owner[0:1] = b"X"
        if isinstance(owner, np.ndarray):
            with pytest.raises(ValueError, match="WRITEABLE"):
                owner.flags.writeable = True
        assert bytes(loaded.buffer(name)) == FILES[name]


def test_small_files_are_bytes() -> None:
    """What is below the limit is immutable for everybody, whatever is dug out."""
    base: Any = read_only(bytearray(COPIED - 1)).base
    assert isinstance(base, bytes)
    large: Any = read_only(memoryview(bytearray(COPIED))).base
    assert isinstance(large, memoryview)
    assert large.readonly


@pytest.mark.parametrize("name", ["small.safetensors", "large.safetensors"])
def test_no_array_can_be_made_writable(model: Path, name: str) -> None:
    """Neither an array, nor a view of it, nor the array below it."""
    with opened(model) as loaded:
        arrays = loaded.tensors(name)
    for array in (*arrays.values(), arrays["weight"][1:], arrays["weight"].base):
        assert isinstance(array, np.ndarray)
        assert not array.flags.writeable
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    assert arrays["weight"].sum() == arrays["weight"].size


def test_arrays_over_any_memory() -> None:
    """A read-only view of writable memory gives read-only arrays; empty ones are read-only, too."""
    content = bytes(save({"none": np.empty((0, 3), "f8"), "one": np.ones((), "f4")}))
    arrays = read_arrays(memoryview(bytearray(content)).toreadonly())
    assert (arrays["none"].shape, arrays["none"].dtype, arrays["one"].shape) == ((0, 3), "f8", ())
    for array in arrays.values():
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True
    assert read_arrays(memoryview(bytearray(content)))["one"].flags.writeable


def test_large_memory_is_not_copied(model: Path) -> None:
    """The arrays of a large file lie in the memory that it was read into."""
    with opened(model) as loaded:
        array = loaded.tensors("large.safetensors")["weight"]
        view = loaded.buffer("large.safetensors")
    assert np.shares_memory(array, np.frombuffer(view, "u1"))
    owner: Any = view.obj
    assert isinstance(owner.base.obj, mmap.mmap)  # as the documentation admits


def hollow(path: Path, size: int) -> Path:
    """Write two bytes, and a hole behind them."""
    path.mkdir()
    with (path / "config.json").open("wb") as file:
        file.write(b"{}")
        file.truncate(size)
    return path


@pytest.mark.parametrize("method", ["buffer", "fd_path"])
def test_a_hollow_file_gets_no_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A file that is all size is found out with one chunk, before memory for it exists."""
    path = hollow(tmp_path / "model", (64 << 20) + 1)

    def never(*_: object) -> None:
        pytest.fail("memory for a lie")

    monkeypatch.setattr("modelsec.provenance.loading.verified_model.private_memory", never)
    monkeypatch.setattr("modelsec.provenance.loading.verified_model.SealedFile", never)
    with (
        opened(path, {"config.json": b"{}"}) as loaded,
        pytest.raises(DigestMismatchError) as found,
    ):
        getattr(loaded, method)("config.json")
    assert found.value.changed == ("config.json",)


def test_a_true_file_with_holes_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Holes are no crime: what was signed with them is handed out, and counted once."""
    monkeypatch.setattr(verified_files, "_LARGE", 1 << 16)
    path = hollow(tmp_path / "model", 1 << 20)
    content = b"{}".ljust(1 << 20, b"\0")
    told: list[int] = []
    with opened(
        path, {"config.json": content}, on_progress=lambda done, _: told.append(done)
    ) as loaded:
        assert loaded.buffer("config.json") == content
        assert Path(loaded.fd_path("config.json")).read_bytes() == content
    assert told[-1] == len(content)


def test_hashing_a_hollow_file_can_be_cancelled(tmp_path: Path) -> None:
    """Sixty gigabytes of nothing take long to hash: progress is asked on the way."""
    path = hollow(tmp_path / "model", 60 << 30)

    def cancel(*_: int) -> None:
        raise KeyboardInterrupt

    with (
        pytest.MonkeyPatch.context() as patched,
        opened(path, {"config.json": b"{}"}, on_progress=cancel) as loaded,
    ):
        patched.setattr(holdings, "free_memory", lambda: None)
        with pytest.raises(KeyboardInterrupt):
            loaded.buffer("config.json")


def test_more_than_there_is_free_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file beyond the memory of the machine is refused, and the message asks the question."""
    path = hollow(tmp_path / "model", 64 << 20)
    monkeypatch.setattr(holdings, "free_memory", lambda: (64 << 20) - 1)
    with opened(path, {"config.json": b"{}"}) as loaded:
        for read in (loaded.buffer, loaded.fd_path):
            with pytest.raises(ResourceLimitError, match="is it the file that you expect"):
                read("config.json")


@pytest.mark.parametrize(
    ("told", "free"),
    [
        ("MemTotal: 9 kB\nMemAvailable:   2 kB\nSwapFree: 1 kB\n", 3072),
        ("MemAvailable: 2 kB\n", None),
        ("MemAvailable: x kB\nSwapFree: 1 kB\n", None),
        ("MemAvailable:\nSwapFree: 1 kB\n", None),
        ("", None),
        (None, None),
    ],
)
def test_free_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str | None, free: int | None
) -> None:
    """What the system tells is understood, or nothing is claimed."""
    file = tmp_path / "meminfo"
    if told is not None:
        file.write_text(told)
    monkeypatch.setattr(free_memory_module, "_TOLD", file)
    assert free_memory() == free
