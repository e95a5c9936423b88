"""What it costs to scan one small file from the command line, start of the interpreter included.

CPU seconds, user and system, of a child process from its start to its end; the commands take
turns, reported are medians over rounds. The file is a small pickle, its verdict is
data_only. The goal is 200 ms for text.

Run ``python benchmarks/scan_start.py [--rounds N] [--json FILE]``. It takes about half a minute.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from harness import environment, markdown, met, spread, write_json

GOAL_MS = 200.0
SMALL = b"\x80\x02]q\x00(K\x01K\x02K\x03K\x04K\x05K\x06K\x07K\x08X\x0d\x00\x00\x00a few numberse."


def child_cpu_ms(command: Sequence[str]) -> float:
    """Return the CPU milliseconds of one child process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, *command], check=True, stdout=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1000 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def measured(commands: dict[str, list[str]], rounds: int) -> dict[str, list[float]]:
    """Run the commands in turns."""
    costs: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(child_cpu_ms(command))
    return costs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", metavar="FILE", help="write the results here, too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "small.pkl")
        path.write_bytes(SMALL)
        scan = ["-m", "modelsec", "scan", str(path)]
        commands = {
            "python -c pass": ["-c", "pass"],
            "import modelsec.scanning": ["-c", "import modelsec.scanning"],
            "modelsec scan": scan,
            "modelsec scan --format json": [*scan, "--format", "json"],
            "modelsec scan --format sarif": [*scan, "--format", "sarif"],
        }
        measured(commands, 2)  # compiled files and caches of the disk
        costs = measured(commands, options.rounds)
    print(environment())
    print(f"{len(SMALL)} bytes; {options.rounds} rounds; load {os.getloadavg()[0]:.1f}\n")
    rows = [
        [name, spread(cost), met(median(cost) <= GOAL_MS) if name == "modelsec scan" else ""]
        for name, cost in costs.items()
    ]
    print(markdown(["command", "CPU ms", f"goal <= {GOAL_MS:g}"], rows))
    medians = {name: median(cost) for name, cost in costs.items()}
    write_json(options.json, {"environment": environment(), "cpu_ms": medians})


if __name__ == "__main__":
    main()
