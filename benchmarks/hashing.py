"""What hashing a model costs, beside the ceiling of the CPU and the reference implementation.

Everything is measured in one run, on the same files, which are in the page cache. Of three rounds
the best counts. CPU seconds are those of this process with all its threads; only the rows about
threads are wall time, as ratios. ``openssl speed`` hashes one buffer again and again, without
reading anything: nothing that computes SHA-256 one block after the other is faster.

Run: python benchmarks/hashing.py [--json FILE] [--folder DIR]
"""

import argparse
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Literal

import model_signing.hashing

from harness import environment, markdown, met, write_json
from modelsec.signing.hashing.digest_cache import DigestCache
from modelsec.signing.hashing.survey import Survey, survey
from modelsec.signing.manifest import Layout
from modelsec.signing.profile import STRICT
from modelsec.signing.trees.tree import open_tree

ROUNDS = 3
MIB = 1_048_576
FILES, FILE_BYTES = 4, 256 * MIB
TOTAL = FILES * FILE_BYTES
SHARD = 64 * MIB
SPARSE_FILES, SPARSE_BYTES = 8, 512 * MIB
CACHED_ENTRIES = 100_000
Algorithm = Literal["sha256", "blake2b", "blake3"]


@dataclass(frozen=True, slots=True)
class Cost:
    """Best of several rounds, in seconds."""

    cpu: float
    wall: float

    @property
    def rate(self) -> float:
        """GB per CPU second, of the files that all rows hash."""
        return TOTAL / self.cpu / 1e9


def main() -> None:
    """Measure, print a table, and say whether the goals are met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", metavar="FILE", help="write the result as JSON")
    parser.add_argument("--folder", metavar="DIR", help="where to put 1 GiB of files for a while")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        model = Path(folder) / "model"
        _write_model(model)
        ceiling = openssl_rate()
        costs = measure(
            {
                "modelsec, SHA-256": lambda: hash_tree(model, "sha256", workers=1),
                "model-signing, SHA-256": lambda: hash_with_peer(model, "sha256", workers=1),
                "modelsec, BLAKE2b": lambda: hash_tree(model, "blake2b", workers=1),
                "modelsec, BLAKE3": lambda: hash_tree(model, "blake3", workers=1),
                "model-signing, BLAKE3": lambda: hash_with_peer(model, "blake3", workers=1),
            }
        )
        file = model / "w0.bin"
        threads = measure(
            {
                f"{workers} threads": lambda workers=workers: hash_tree(
                    file, "sha256", workers=workers, shard_size=SHARD // 4
                )
                for workers in (1, 2)
            }
        )
        shutil.rmtree(model)
        cached = measure_cache(Path(folder))
    report(ceiling, costs, threads, cached)
    write_json(
        options.json,
        {
            "environment": environment(),
            "openssl_gb_per_s": ceiling,
            "costs": {name: asdict(cost) for name, cost in costs.items()},
            "threads": {name: asdict(cost) for name, cost in threads.items()},
            "cache": {name: asdict(cost) for name, cost in cached.items()},
        },
    )


def openssl_rate() -> float | None:
    """Return GB per CPU second of SHA-256 over one buffer; None without the program."""
    program = shutil.which("openssl")
    if program is None:
        return None
    command = [program, "speed", "-seconds", "2", "-bytes", "16384", "-evp", "sha256"]
    best = 0.0
    for _ in range(ROUNDS):
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, capture_output=True, text=True, check=True
        )
        found = re.search(r"^sha256\s+([\d.]+)k", done.stdout, re.IGNORECASE | re.MULTILINE)
        assert found is not None, done.stdout
        best = max(best, float(found[1]) / 1e6)
    return best


def hash_tree(
    path: Path, algorithm: Algorithm, *, workers: int, shard_size: int | None = None
) -> Survey:
    """Hash with modelsec: list, hash, and list again."""
    with open_tree(path, profile=STRICT) as tree:
        return survey(tree, Layout(algorithm, shard_size), workers=workers)


def hash_with_peer(path: Path, algorithm: Literal["sha256", "blake3"], *, workers: int) -> object:
    """Hash with the reference implementation: reads of 1 MiB, mapped files for BLAKE3."""
    config = model_signing.hashing.Config()
    config.use_file_serialization(hashing_algorithm=algorithm, max_workers=workers)
    return config.hash(path)


def measure(runs: dict[str, Callable[[], object]]) -> dict[str, Cost]:
    """Return the best cost of each run; the rounds alternate, so that noise hits all alike."""
    cpu: dict[str, list[float]] = {name: [] for name in runs}
    wall: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            started, clock = time.process_time(), time.perf_counter()
            run()
            wall[name].append(time.perf_counter() - clock)
            cpu[name].append(time.process_time() - started)
    return {name: Cost(min(cpu[name]), min(wall[name])) for name in runs}


def measure_cache(folder: Path) -> dict[str, Cost]:
    """Return what hashing 4 GiB again costs when nothing changed since."""
    model = folder / "sparse"
    model.mkdir()
    for number in range(SPARSE_FILES):
        with (model / f"w{number}.bin").open("wb") as file:
            file.truncate(SPARSE_BYTES)
    # As if the files were old: nothing is remembered of a file that was just written.
    later = datetime.now(UTC) + timedelta(minutes=1)
    caches = {"cache of this model": folder / "small", "cache of 100,000 files": folder / "large"}
    for path in caches.values():
        cache = DigestCache(path, lambda: later)
        if path.name == "large":
            for inode in range(CACHED_ENTRIES):
                cache.put((0, inode, 1, 0, 0), "sha256", 0, 1, bytes(32), cache.now())
        _survey_cached(model, cache)
    return measure(
        {
            name: lambda path=path: _expect_cached(_survey_cached(model, DigestCache(path)))
            for name, path in caches.items()
        }
    )


def _survey_cached(model: Path, cache: DigestCache) -> Survey:
    with open_tree(model, profile=STRICT) as tree:
        return survey(tree, Layout(), cache=cache)


def _expect_cached(found: Survey) -> None:
    assert len(found.cached) == SPARSE_FILES


def report(
    ceiling: float | None,
    costs: dict[str, Cost],
    threads: dict[str, Cost],
    cached: dict[str, Cost],
) -> None:
    """Print the tables and the goals."""
    print(environment())
    packages = ", ".join(f"{name} {metadata.version(name)}" for name in ("model-signing", "blake3"))
    print(f"{packages}; {FILES} files of {FILE_BYTES // MIB} MiB, best of {ROUNDS}\n")
    rows: list[tuple[object, ...]] = [
        (name, cost.cpu, cost.rate, cost.rate / ceiling if ceiling else "")
        for name, cost in costs.items()
    ]
    if ceiling is None:
        print("openssl is not installed: no ceiling")
    else:
        rows.insert(0, ("openssl speed, SHA-256, no reads", "", ceiling, 1.0))
    print(markdown(("1 GiB, one thread", "CPU s", "GB/CPU-s", "of openssl"), rows))
    one, two = threads["1 threads"], threads["2 threads"]
    print(f"\none file in shards, wall time of 1 thread over 2: {one.wall / two.wall:.2f}")
    print(f"the same in CPU seconds, 2 threads over 1: {two.cpu / one.cpu:.2f}")
    for name, cost in cached.items():
        print(f"4 GiB again, {name}: {cost.wall * 1e3:.2f} ms, {cost.cpu * 1e3:.2f} CPU ms")
    ours, peer = costs["modelsec, SHA-256"], costs["model-signing, SHA-256"]
    fast = costs["modelsec, BLAKE3"]
    if ceiling is not None:
        print(f"\nSHA-256 >= 85 % of openssl: {met(ours.rate >= 0.85 * ceiling)}")
    print(f"SHA-256 >= the reference: {met(ours.cpu <= peer.cpu)} ({peer.cpu / ours.cpu:.2f}x)")
    print(f"BLAKE3 >= 2.4x SHA-256: {met(fast.rate >= 2.4 * ours.rate)}")
    quick = all(cost.wall < 0.02 for cost in cached.values())  # noqa: PLR2004
    print(f"4 GiB again in < 20 ms: {met(quick)}")


def _write_model(model: Path) -> None:
    model.mkdir()
    for number in range(FILES):
        block = os.urandom(MIB)
        with (model / f"w{number}.bin").open("wb") as file:
            for _ in range(FILE_BYTES // MIB):
                file.write(block)


if __name__ == "__main__":
    main()
