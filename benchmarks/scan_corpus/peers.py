"""The scanners that are compared: pinned environments, and a driver that survives their crashes."""

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cache import VENVS

RUNNER = Path(__file__).with_name("runner.py")
WATCHDOG_S = 600
"""Wall seconds without an answer until a process is ended; its own limit is 60 CPU s a file."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A scanner.

    Attributes:
        label: as the runner knows it.
        venv: its environment; empty for ours.
        requirements: pinned.
    """

    label: str
    venv: str = ""
    requirements: tuple[str, ...] = ()

    @property
    def python(self) -> Path:
        """The interpreter to run it with."""
        return VENVS / self.venv / "bin" / "python" if self.venv else Path(sys.executable)


# What each needs beyond its declared requirements to do its best is added.
PICKLESCAN = ("picklescan==1.0.5", "numpy==2.4.6")
HAYWARD = ("hayward==1.4.1",)
PEERS = (
    Peer("modelsec"),
    Peer("picklescan", "picklescan", PICKLESCAN),
    Peer("picklescan --strict", "picklescan", PICKLESCAN),
    Peer("fickling", "fickling", ("fickling==0.1.12", "typing_extensions")),
    Peer("modelscan", "modelscan", ("modelscan==0.8.8", "h5py")),
    Peer("modelaudit", "modelaudit", ("modelaudit==0.2.54",)),
    Peer("hayward", "hayward", HAYWARD),
    Peer("hayward, any finding", "hayward", HAYWARD),
)


def install(venv: str, requirements: Sequence[str]) -> Path:
    """Make an environment if it is not there, and return its interpreter."""
    folder = VENVS / venv
    python = folder / "bin" / "python"
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)  # noqa: S603
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", *requirements], check=True)  # noqa: S603
        (folder / "installed").write_text("\n".join(requirements), "utf-8")
    return python


def environment() -> dict[str, str]:
    """No telemetry, no network caches, no colours."""
    return {
        **os.environ,
        "PROMPTFOO_DISABLE_TELEMETRY": "1",
        "NO_ANALYTICS": "1",
        "CI": "1",
        "NO_COLOR": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def run(peer: Peer, paths: Sequence[str]) -> list[dict[str, Any]]:
    """Scan all paths in one process; one that dies or hangs costs its file only."""
    answers: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        while len(answers) < len(paths):
            rest = paths[len(answers) :]
            got = _session(peer, rest, folder)
            answers += got
            if len(got) < len(rest):
                answers.append(
                    {
                        "path": rest[len(got)],
                        "outcome": "error",
                        "exit": 2,
                        "detail": "the process ended",
                        "cpu": 0.0,
                    }
                )
    return answers


def _session(peer: Peer, paths: Sequence[str], folder: str) -> list[dict[str, Any]]:
    process = subprocess.Popen(  # noqa: S603 - pinned environments of our own
        [str(peer.python), str(RUNNER), peer.label],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        cwd=folder,
        env=environment(),
    )
    assert process.stdin is not None
    lines: queue.Queue[str | None] = queue.Queue()
    reader = threading.Thread(target=_pass_on, args=(process, lines), daemon=True)
    reader.start()
    got: list[dict[str, Any]] = []
    try:
        for path in paths:
            process.stdin.write(path + "\n")
            process.stdin.flush()
            line = lines.get(timeout=WATCHDOG_S)
            if line is None:
                break
            got.append(json.loads(line))
    except (queue.Empty, BrokenPipeError):
        pass
    finally:
        process.kill()
        process.wait()
    return got


def _pass_on(process: "subprocess.Popen[str]", lines: "queue.Queue[str | None]") -> None:
    assert process.stdout is not None
    for line in process.stdout:
        lines.put(line)
    lines.put(None)
