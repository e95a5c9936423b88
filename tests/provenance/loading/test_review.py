"""Attacks on verified loading, from outside."""

import gc
import os
from pathlib import Path
from typing import Any

import pytest

from modelsec.errors import (
    ConfigurationError,
    DigestMismatchError,
    ModelSecError,
    ResourceLimitError,
)
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.verified_model import VerifiedModel
from tests.provenance.loading.claimed import Claimed, manifest_of, tensors, write_model

FILES = {"config.json": b'{"a": 1}', "model.safetensors": tensors(), "sub/README.md": b"# A\n"}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_model(tmp_path / "model", FILES)


def opened(path: Path, **options: Any) -> VerifiedModel:
    return open_verified(path, Claimed(manifest_of(FILES)), **options)


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names


def test_a_receipt_of_nothing_does_not_say_verified(model: Path) -> None:
    """Before the first file is read, nothing of the model was compared with anything."""
    with opened(model) as loaded:
        assert loaded.verification().to_dict()["verified"] is not True


def test_the_memory_of_a_view_cannot_be_written(model: Path) -> None:
    """What one reader does to a buffer must not reach the next, whose bytes are not hashed."""
    with opened(model) as loaded:
        view = loaded.buffer("config.json")
        try:
            owner: Any = view.obj
            owner[0:1] = b"X"
        except (TypeError, ValueError):
            return
        assert bytes(loaded.buffer("config.json")) == FILES["config.json"]


def test_arrays_cannot_be_made_writable(model: Path) -> None:
    """Read-only stays read-only: the memory is shared with readers that do not hash again."""
    with opened(model) as loaded:
        array = loaded.tensors("model.safetensors")["weight"]
        with pytest.raises(ValueError, match="WRITEABLE"):
            array.flags.writeable = True


def test_refusals_leave_no_descriptor(model: Path) -> None:
    """Changed, unknown and too large files leave nothing open."""
    before = descriptors()
    (model / "config.json").write_bytes(b'{"a": 2}')
    for _ in range(3):
        with opened(model) as loaded:
            for reading in (loaded.buffer, loaded.fd_path, loaded.open):
                with pytest.raises(DigestMismatchError):
                    reading("config.json")
            with pytest.raises(ConfigurationError):
                loaded.buffer("../config.json")
            with pytest.raises(DigestMismatchError), loaded.directory():
                pytest.fail("a changed model was laid out")
        (model / "more").touch()
        with pytest.raises(DigestMismatchError):
            opened(model)
        (model / "more").unlink()
    assert descriptors() == before


def test_a_sparse_file_beyond_the_limit_is_not_read(model: Path) -> None:
    """A terabyte that takes no room on the disk takes none in memory."""
    with (model / "config.json").open("ab") as file:
        file.truncate(1 << 40)
    with opened(model) as loaded, pytest.raises(ResourceLimitError):
        loaded.buffer("config.json")


@pytest.mark.parametrize("name", ["", ".", "/", "sub", "sub/", "./config.json", None, 5, b"a", []])
def test_only_signed_names_are_read(model: Path, name: Any) -> None:
    """No other spelling, type or folder is a file of the model."""
    with opened(model) as loaded:
        for reading in (loaded.buffer, loaded.fd_path, loaded.open, loaded.tensors):
            with pytest.raises(ModelSecError):
                reading(name)


def test_a_closed_model_hands_nothing_out(model: Path) -> None:
    """Neither again nor anew; what was handed out stays as it was."""
    with opened(model) as loaded:
        view = loaded.buffer("config.json")
    assert bytes(view) == FILES["config.json"]
    for reading in (loaded.buffer, loaded.fd_path, loaded.open, loaded.tensors):
        with pytest.raises(ConfigurationError):
            reading("config.json")
