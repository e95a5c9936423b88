"""What a scan costs: CPU seconds and peak memory, modelsec beside other scanners.

Large files (dense pickles, and a gibibyte of holes in four layouts), small files in process, and
the start of the command lines. Every measurement is a process of its own, limited to 120 CPU
seconds; CPU is what the kernel accounts to it (user and system), memory its largest resident set.

Run ``python benchmarks/scan_cost.py [--only modelsec,...] [--json FILE]`` after
``scan_detection.py``, whose environments and small files it uses.
"""

import argparse
import json
import os
import resource
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import environment, markdown, spread, write_json
from scan_corpus import benign, large
from scan_corpus.cache import CACHE, CORPUS
from scan_corpus.peers import PEERS, RUNNER, Peer, install, run
from scan_corpus.peers import environment as quiet

LIMIT_S = int(os.environ.get("BENCH_CPU_LIMIT_S", "120"))
MEMORY = 8 << 30
ROUNDS = 5
SMALL = 100_000
"""Bytes: files up to this count as small."""
COMMANDS: Mapping[str, Sequence[str]] = {
    "modelsec": ("python", "-m", "modelsec", "scan"),
    "picklescan": ("picklescan", "-p"),
    "fickling": ("fickling", "--check-safety"),
    "modelscan": ("modelscan", "-p"),
    "modelaudit": ("modelaudit", "scan", "--no-cache"),
    "hayward": ("hayward", "scan"),
}


def measured(command: Sequence[str], typed: str = "", folder: str | None = None) -> dict[str, Any]:
    """Run a process to its end, under limits, and return what it cost."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as given:
        given.write(typed)
        given.seek(0)
        process = subprocess.Popen(  # noqa: S603 - pinned environments of our own
            list(command),
            stdin=given,
            stdout=out,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            env={**quiet(), "BENCH_FILE_LIMIT_S": "900"},
            preexec_fn=_limit,  # noqa: PLW1509 - one thread
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        return {
            "cpu": usage.ru_utime + usage.ru_stime,
            "peak_mib": usage.ru_maxrss / 1024,
            "status": process.returncode,
            "out": out.read(),
        }


def _limit() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT_S, LIMIT_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def large_file(peer: Peer, path: Path, idle: float) -> dict[str, Any]:
    """Scan one file in a fresh process; ``idle`` is what the process costs without it."""
    with tempfile.TemporaryDirectory() as folder:
        cost = measured([str(peer.python), str(RUNNER), peer.label], f"{path}\n", folder)
    said = json.loads(cost.pop("out") or "{}")
    # What the kernel accounts to a process includes the moment before it became its program.
    peak = said["peak_kib"] / 1024 if "peak_kib" in said else cost["peak_mib"]
    return {
        **cost,
        "peak_mib": peak,
        "cpu": max(cost["cpu"] - idle, 0.0),
        "outcome": said.get("outcome", "ended"),
        "detail": said.get("detail", ""),
        "verdict": said.get("verdict", ""),
    }


def small_files(peer: Peer, paths: Sequence[str]) -> dict[str, float]:
    """Median and 95th percentile in milliseconds, the second time that a process sees each file."""
    answers = run(peer, [*paths, *paths])[len(paths) :]
    cpu = sorted(1000 * answer["cpu"] for answer in answers)
    return {"median": cpu[len(cpu) // 2], "p95": cpu[int(len(cpu) * 0.95)]}


def start(peer: Peer, path: Path) -> list[float]:
    """CPU seconds of the command line for a file of 20 bytes."""
    name, *arguments = COMMANDS[peer.label]
    program = str(peer.python if name == "python" else peer.python.with_name(name))
    with tempfile.TemporaryDirectory() as folder:
        return [
            measured([program, *arguments, str(path)], folder=folder)["cpu"] for _ in range(ROUNDS)
        ]


def _earlier(path: str | None) -> dict[str, dict[str, Any]]:
    """Return what an earlier run wrote: scanners can be measured one by one."""
    if path is None or not Path(path).exists():
        return {}
    return dict(json.loads(Path(path).read_text("utf-8")))


def _shown(cost: Mapping[str, Any]) -> str:
    if cost["status"] != 0:
        return f"> {cost['cpu']:.0f}, ended / {cost['peak_mib']:.0f}"
    return f"{cost['cpu']:.2f} / {cost['peak_mib']:.0f} ({cost['outcome']})"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="scanners, separated by semicolons")
    parser.add_argument("--json", help="add the measurements to this file")
    options = parser.parse_args()
    chosen = [peer for peer in PEERS if peer.label in COMMANDS]
    if options.only:
        chosen = [peer for peer in chosen if peer.label in options.only.split(";")]
    files = large.write(CACHE / "cost")
    tiny = CACHE / "cost" / "tiny.pkl"
    tiny.write_bytes(b"\x80\x02}X\1\0\0\0aK\1s.")
    small = [
        str(CORPUS / sample.path)
        for source in ("real", "written")
        for sample in benign.listed(source)
        if (CORPUS / sample.path).stat().st_size <= SMALL
    ]
    result = _earlier(options.json)
    for peer in chosen:
        if peer.venv:
            install(peer.venv, peer.requirements)
        idle = measured([str(peer.python), str(RUNNER), peer.label])["cpu"]
        result[peer.label] = {
            "large": {name: large_file(peer, path, idle) for name, path in files.items()},
            "small": small_files(peer, small),
            "start": start(peer, tiny),
        }
        write_json(options.json, result)
    print(environment(), "\n")
    rows: list[list[object]] = [
        [name, *(_shown(found["large"][name]) for found in result.values())] for name in files
    ]
    rows += [
        [
            f"{len(small)} small files, warm: median / 95 %, ms",
            *(f"{f['small']['median']:.2f} / {f['small']['p95']:.1f}" for f in result.values()),
        ],
        [
            "command line for 14 bytes, CPU s",
            *(spread(found["start"]) for found in result.values()),
        ],
    ]
    print("CPU s beyond an idle process / peak MiB (what it said)\n")
    print(markdown(["", *result], rows))


if __name__ == "__main__":
    main()
