"""What it costs to convert a checkpoint to safetensors, and whether every tensor is the same.

Needs torch, for writing the checkpoint and for judging the result; the conversion runs in a
process of its own, in which torch must not be imported.

    python -m pip install torch==2.13.0
    python benchmarks/conversion.py --gib 1
"""

import argparse
import json
import subprocess
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from harness import environment, markdown, met, write_json

if TYPE_CHECKING:
    from collections.abc import Callable

_GOAL_SECONDS, _GOAL_MB = 2.0, 128
_ROUNDS = 2

_CONVERT = """
import json, pathlib, re, sys, time
from modelsec.provenance import convert
started = time.process_time()
done = convert(sys.argv[1], sys.argv[2], digests=json.loads(sys.argv[3]))
seconds = time.process_time() - started
assert "torch" not in sys.modules
# Not ru_maxrss: that of the process that started this one would count as well.
status = pathlib.Path("/proc/self/status").read_text()
peak = int(re.search("VmHWM: *([0-9]+)", status.replace(chr(9), " "))[1]) / 1024
print(json.dumps({"seconds": seconds, "mb": peak, "bytes": done.target_bytes}))
"""


def contiguous(gib: float) -> dict[str, torch.Tensor]:
    """Return a checkpoint as it usually is: matrices of 16 MiB, half of them bfloat16."""
    count = max(2, round(gib * 64))
    types = (torch.float32, torch.bfloat16)
    rows = {torch.float32: 2048, torch.bfloat16: 4096}
    return {
        f"layers.{n}.weight": torch.randn(rows[types[n % 2]], 2048).to(types[n % 2])
        for n in range(count)
    }


def transposed(gib: float) -> dict[str, torch.Tensor]:
    """Return the worst honest case: every matrix is stored the other way round."""
    return {name: tensor.T for name, tensor in contiguous(gib).items()}


def many(gib: float) -> dict[str, torch.Tensor]:
    """Return very many small tensors."""
    del gib
    return {f"block.{n}.bias": torch.randn(64) for n in range(20_000)}


def measure(folder: Path, *, digests: bool) -> dict[str, float]:
    """Convert in a fresh process; the best of some rounds."""
    paths = [str(folder / "model.pt"), str(folder / "model.safetensors")]
    command = [sys.executable, "-c", _CONVERT, *paths, json.dumps(digests)]
    found = [
        json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)  # noqa: S603 - our own
        for _ in range(_ROUNDS)
    ]
    return min(found, key=lambda result: result["seconds"])


def equal(folder: Path) -> int:
    """Compare every tensor with what torch itself reads; return how many there are."""
    want = torch.load(folder / "model.pt", weights_only=True, mmap=None)
    got = load_file(folder / "model.safetensors")
    assert want.keys() == got.keys()
    for name, tensor in want.items():
        assert tensor.dtype == got[name].dtype
        assert torch.equal(tensor, got[name]), name
    return len(got)


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=1.0, help="size of the large checkpoints")
    parser.add_argument("--json", metavar="FILE", help="also write the result as JSON")
    options = parser.parse_args()
    print(environment(), "torch", metadata.version("torch"), "\n")
    cases: list[tuple[str, Callable[[float], dict[str, torch.Tensor]], bool, bool]] = [
        ("torch zip, contiguous", contiguous, False, False),
        ("the same, with all digests", contiguous, False, True),
        ("torch before 1.6, contiguous", contiguous, True, False),
        ("torch zip, all transposed", transposed, False, False),
        ("torch zip, 20,000 small tensors", many, False, False),
    ]
    rows, results = [], []
    for label, make, legacy, digests in cases:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            torch.save(
                make(options.gib),
                folder / "model.pt",
                _use_new_zipfile_serialization=not legacy,
            )
            result = measure(folder, digests=digests)
            count = equal(folder)
        fits = result["seconds"] <= _GOAL_SECONDS and result["mb"] <= _GOAL_MB
        goal = met(fits) if label == cases[0][0] else ""
        rows.append([label, result["bytes"] / 2**20, result["seconds"], result["mb"], count, goal])
        results.append({"case": label, "tensors": count, **result})
    headers = ["case", "MiB", "CPU s", "peak RSS MB", "tensors, all equal", "goal 2 s, 128 MB"]
    print(markdown(headers, rows))
    write_json(options.json, results)


if __name__ == "__main__":
    main()
