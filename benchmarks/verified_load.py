"""What it costs to load exactly the weights that were verified, beside hashing and then loading.

The usual pattern hashes a file and then gives its path to a loader: two readings, between which
the file can be replaced. Here both are measured on the same file, which is written by our own
writer. Every case runs in a process of its own, with the file in the page cache.

    python -m pip install "modelsec[blake3]" safetensors
    python benchmarks/verified_load.py --mib 512
"""

import argparse
import hashlib
import json
import mmap
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import blake3
import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file

from harness import environment, markdown, met, write_json
from modelsec.provenance import convert
from modelsec.provenance.loading.opening import open_verified
from modelsec.provenance.loading.verified_safetensors import load_safetensors_verified
from modelsec.signing.pinned_digest import PinnedDigest

_GOAL = 0.8
_READ = 1 << 20
_MATRIX = 1 << 23  # bytes of one tensor
_HASHES: Mapping[str, Callable[[], Any]] = {"sha256": hashlib.sha256, "blake3": blake3.blake3}
Tensors = Mapping[str, Any]


def digest(path: Path, algorithm: str) -> str:
    """Hash a file as everybody does."""
    state = _HASHES[algorithm]()
    with path.open("rb") as file:
        while piece := file.read(_READ):
            state.update(piece)
    return str(state.hexdigest())


def unchecked(path: Path, _: Mapping[str, str]) -> Tensors:
    """Load, and ask nothing."""
    return load_file(path)


def hash_then_load(algorithm: str) -> Callable[[Path, Mapping[str, str]], Tensors]:
    """Return the usual pattern: check the path, then load the path."""

    def load(path: Path, digests: Mapping[str, str]) -> Tensors:
        if digest(path, algorithm) != digests[algorithm]:
            raise SystemExit("the file is not what it should be")
        return load_file(path)

    return load


def verified(algorithm: Any, *, scan: bool = True) -> Callable[[Path, Mapping[str, str]], Tensors]:  # noqa: ANN401 - one of ours
    """Return one pass into one buffer, with arrays over it."""

    def load(path: Path, digests: Mapping[str, str]) -> Tensors:
        pinned = PinnedDigest(digests[algorithm], algorithm=algorithm)
        return load_safetensors_verified(path, pinned, scan=scan)

    return load


def sealed(algorithm: Any) -> Callable[[Path, Mapping[str, str]], Tensors]:  # noqa: ANN401 - idem
    """Return a sealed copy whose path goes to the reference reader, as to any other loader."""

    def load(path: Path, digests: Mapping[str, str]) -> Tensors:
        pinned = PinnedDigest(digests[algorithm], algorithm=algorithm)
        with (
            open_verified(path, pinned) as model,
            safe_open(model.fd_path(path.name), framework="numpy") as file,
        ):
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping

    return load


CASES: dict[str, Callable[[Path, Mapping[str, str]], Tensors]] = {
    "load_file, no check": unchecked,
    "SHA-256 of the path, then load_file": hash_then_load("sha256"),
    "load_safetensors_verified, SHA-256": verified("sha256"),
    "... without the scan": verified("sha256", scan=False),
    "sealed file, SHA-256, safe_open": sealed("sha256"),
    "BLAKE3 of the path, then load_file": hash_then_load("blake3"),
    "load_safetensors_verified, BLAKE3": verified("blake3"),
    "sealed file, BLAKE3, safe_open": sealed("blake3"),
}
_PEERS = {name: f"{name} of the path, then load_file" for name in ("SHA-256", "BLAKE3")}


def best(run: Callable[[], object], rounds: int) -> float:
    """Return the CPU seconds (user and system) of the best of some rounds, after one to warm up."""
    seconds = []
    for _ in range(rounds + 1):
        before = time.process_time()
        result = run()
        seconds.append(time.process_time() - before)
        del result
    return min(seconds[1:])


def one_case(name: str, path: Path, rounds: int) -> float:
    """Measure a case in this process; the tensors are compared outside of the measurement."""
    digests = {algorithm: digest(path, algorithm) for algorithm in _HASHES}
    load = CASES[name]
    found, wanted = load(path, digests), load_file(path)
    assert found.keys() == wanted.keys()
    assert all(np.array_equal(found[key], wanted[key]) for key in wanted)
    del found, wanted
    return best(lambda: load(path, digests), rounds)


def memory_kinds(path: Path, rounds: int) -> list[list[object]]:
    """Measure one fused pass into each kind of memory: its pages are most of the difference."""
    size = path.stat().st_size

    def small() -> Any:  # noqa: ANN401 - an mmap
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def huge() -> Any:  # noqa: ANN401 - idem
        memory = small()
        memory.madvise(mmap.MADV_HUGEPAGE)
        return memory

    kinds: dict[str, Callable[[], Any]] = {
        "anonymous map": small,
        "numpy.empty": lambda: np.empty(size, np.uint8),
        "anonymous map, huge pages": huge,
    }

    def fused(allocate: Callable[[], Any], chunk: int, algorithm: str) -> None:
        state = _HASHES[algorithm]()
        with memoryview(allocate()) as view, path.open("rb", buffering=0) as file:
            for offset in range(0, size, chunk):
                with view[offset : offset + chunk] as piece:
                    os.preadv(file.fileno(), [piece], offset)
                    state.update(piece)

    return [
        [name, chunk >> 10, algorithm, best(lambda: fused(kind, chunk, algorithm), rounds)]  # noqa: B023 - called at once
        for name, kind in kinds.items()
        for chunk in (1 << 18, 1 << 20)
        for algorithm in _HASHES
    ]


def write_weights(folder: Path, mib: int) -> Path:
    """Write random matrices as safetensors, by way of our own converter."""
    rng = np.random.default_rng(1)
    arrays = {
        f"layers.{number}.weight": rng.standard_normal(_MATRIX // 4, dtype=np.float32).reshape(
            2048, -1
        )
        for number in range(max(1, mib * (1 << 20) // _MATRIX))
    }
    source = folder / "weights.npz"
    np.savez(source, **arrays)
    convert(source, folder / "model.safetensors", digests=False)
    source.unlink()
    return folder / "model.safetensors"


def in_a_process(name: str, path: Path, rounds: int) -> float:
    """Measure a case in a fresh process."""
    command = [sys.executable, __file__, "--case", name, "--file", str(path)]
    done = subprocess.run(  # noqa: S603 - this file
        [*command, "--rounds", str(rounds)], stdout=subprocess.PIPE, text=True, check=True
    )
    return float(json.loads(done.stdout))


def main() -> None:
    """Measure every case and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mib", type=int, default=512, help="size of the file")
    parser.add_argument("--rounds", type=int, default=5, help="of each case; the best one counts")
    parser.add_argument("--memory", action="store_true", help="also compare kinds of memory")
    parser.add_argument("--json", metavar="FILE", help="also write the result as JSON")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(json.dumps(one_case(options.case, options.file, options.rounds)))
        return
    versions = " ".join(f"{name} {metadata.version(name)}" for name in ("safetensors", "blake3"))
    print(environment(), versions, "\n")
    with tempfile.TemporaryDirectory() as name:
        path = write_weights(Path(name), options.mib)
        seconds = {case: in_a_process(case, path, options.rounds) for case in CASES}
        kinds = memory_kinds(path, options.rounds) if options.memory else []
    rows = []
    for case, found in seconds.items():
        peer = seconds[next((_PEERS[h] for h in _PEERS if h in case), _PEERS["SHA-256"])]
        goal = met(found <= _GOAL * peer) if case.startswith("load_safetensors_verified") else ""
        rows.append([case, found, found / peer, goal])
    print(markdown(["case", "CPU s", "of hash-then-load", f"goal {_GOAL}"], rows))
    if kinds:
        print("\n" + markdown(["memory", "chunk KiB", "hash", "CPU s"], kinds))
    write_json(options.json, {"mib": options.mib, "seconds": seconds, "memory": kinds})


if __name__ == "__main__":
    main()
