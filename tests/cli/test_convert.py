import json
from pathlib import Path

import numpy as np
import pytest

from modelsec.cli import main
from modelsec.scanning import scan
from tests.provenance.conversion import torch_files as torch

ROW = np.arange(12, dtype="<f4")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    row = torch.tensor("0", "FloatStorage", 12, (12,), (1,))
    root = {"w": row, "tied": row, "epoch": 3, "tags": ["a"]}
    return torch.torch_zip(tmp_path / "model.pt", root, {"0": ROW.tobytes()})


def test_text(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says what was written, what was shared and what was left out."""
    target = tmp_path / "model.safetensors"
    assert main(["convert", str(checkpoint), str(target)]) == 0
    printed = capsys.readouterr()
    assert "2 tensors" in printed.out
    assert "shared memory, now copied: tied, w" in printed.out
    assert "left out: epoch (int) = 3" in printed.out
    assert "left out: tags (list)" in printed.out
    assert printed.err == ""
    assert scan(target).safe


def test_json(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record can be read by a program."""
    target = tmp_path / "model.safetensors"
    assert main(["convert", str(checkpoint), str(target), "--json", "--keep-scalars"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [tensor["name"] for tensor in record["tensors"]] == ["tied", "w"]
    assert b'"scalars"' in target.read_bytes()


def test_refusal(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A refusal is one line and an exit code, and writes nothing."""
    target = tmp_path / "model.safetensors"
    assert main(["convert", str(checkpoint), str(target), "--refuse-shared"]) == 1
    assert "share memory: tied, w" in capsys.readouterr().err
    assert not target.exists()


def test_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A layer of one's own permits what the shipped ones do not know."""
    row = torch.tensor("0", "FloatStorage", 12, (12,), (1,))
    root = {"w": row, "config": torch.call("our_package:Config", 1)}
    source = torch.torch_zip(tmp_path / "model.pt", root, {"0": ROW.tobytes()})
    target = tmp_path / "model.safetensors"
    assert main(["convert", str(source), str(target)]) == 1
    assert "our_package:Config" in capsys.readouterr().err
    layer = tmp_path / "ours.toml"
    layer.write_text(
        'layer = "ours"\n[[allow]]\nmodule = "our_package"\nnames = ["Config"]\n'
        'operations = ["import", "call"]\nbecause = "our own"\n'
    )
    assert main(["convert", str(source), str(target), "--policy", str(layer)]) == 0
    assert "left out: config (our_package:Config)" in capsys.readouterr().out


def test_many_leaves(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Long lists are cut, and say so."""
    row = torch.tensor("0", "FloatStorage", 12, (12,), (1,))
    root = {"w": row} | {f"n{number}": number for number in range(50)}
    source = torch.torch_zip(tmp_path / "model.pt", root, {"0": ROW.tobytes()})
    assert main(["convert", str(source), str(tmp_path / "model.safetensors")]) == 0
    assert "and 30 more that are no tensors" in capsys.readouterr().out


def test_progress_where_somebody_watches(
    checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a terminal the percentage is told, on standard error."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert main(["convert", str(checkpoint), str(tmp_path / "model.safetensors")]) == 0
    assert "converting 100%" in capsys.readouterr().err
