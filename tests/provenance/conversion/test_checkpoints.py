import struct
import zipfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from modelsec.errors import ArtifactError, MalformedArtifactError, UnsupportedFormatError
from modelsec.provenance.conversion.checkpoints import read_contents
from modelsec.provenance.conversion.state_dict import Contents
from modelsec.scanning import Limits
from tests.provenance.conversion import torch_files as torch

ROW = np.arange(12, dtype="<f4").tobytes()
TENSOR = {"w": torch.tensor("0", "FloatStorage", 12, (12,), (1,))}


def contents(path: Path) -> Contents:
    """Read a file as if a scan had found it safe."""
    with path.open("rb") as file, ExitStack() as resources:
        return read_contents(file.fileno(), path.stat().st_size, Limits(), None, resources)


def test_honest_file(tmp_path: Path) -> None:
    """The unchanged file has its tensor."""
    assert len(contents(torch.torch_zip(tmp_path / "x", TENSOR, {"0": ROW})).tensors) == 1


def test_torchscript(tmp_path: Path) -> None:
    """Its tensors belong to code."""
    more = {"constants.pkl": torch.pickled(())}
    with pytest.raises(UnsupportedFormatError, match="TorchScript"):
        contents(torch.torch_zip(tmp_path / "x", TENSOR, {"0": ROW}, more=more))


def test_unknown_byte_order(tmp_path: Path) -> None:
    """A byte order that is neither is not guessed at."""
    with pytest.raises(MalformedArtifactError, match="byte order"):
        contents(torch.torch_zip(tmp_path / "x", TENSOR, {"0": ROW}, order=b"middle"))


def test_missing_storage(tmp_path: Path) -> None:
    """The tensor is named."""
    with pytest.raises(MalformedArtifactError, match="'w': the archive has no member"):
        contents(torch.torch_zip(tmp_path / "x", TENSOR, {}))


@pytest.mark.parametrize(
    ("storages", "match"),
    [
        ({"0": (11, ROW)}, "not as it was declared"),
        ({"0": (-1, ROW)}, "not as it was declared"),
        ({"1": (12, ROW)}, "not as it was declared"),
        ({"0": (12, ROW[:-1])}, "cut off"),
        ({}, "'w': the file has no storage 0"),
    ],
)
def test_legacy_storages(
    tmp_path: Path, storages: dict[str, tuple[int, bytes]], match: str
) -> None:
    """Count, key and extent of every storage are checked."""
    with pytest.raises(MalformedArtifactError, match=match):
        contents(torch.torch_legacy(tmp_path / "x", TENSOR, storages))


def test_legacy_without_list_of_keys(tmp_path: Path) -> None:
    """The fifth pickle has to be a list."""
    pickles = (torch.MAGIC, 1001, torch.SYSTEM, TENSOR, 5)
    (tmp_path / "x").write_bytes(b"".join(map(torch.pickled, pickles)))
    with pytest.raises(MalformedArtifactError, match="no list"):
        contents(tmp_path / "x")


def test_truncation_is_never_a_conversion(tmp_path: Path) -> None:
    """A legacy file that is cut anywhere has no contents."""
    whole = torch.torch_legacy(tmp_path / "x", TENSOR, {"0": (12, ROW)}).read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "x").write_bytes(whole[:length])
        with pytest.raises(ArtifactError):
            contents(tmp_path / "x")


@pytest.mark.parametrize("content", [b"", b"PK\3\4 and nothing", b"\x80\x02N.", b"hello", b"\x80"])
def test_other_files(tmp_path: Path, content: bytes) -> None:
    """They are refused, each with a reason."""
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(ArtifactError):
        contents(tmp_path / "x")


def test_member_that_is_no_array(tmp_path: Path) -> None:
    """A name in .npy is a promise."""
    with zipfile.ZipFile(tmp_path / "x", "w") as archive:
        archive.writestr("folder/", b"")
        archive.writestr("a.npy", struct.pack("<q", 5))
    with pytest.raises(MalformedArtifactError, match="'a' is not an array"):
        contents(tmp_path / "x")
