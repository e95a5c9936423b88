"""Run probes in a verifier's own process; one that ends or hangs costs its probe only."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from .verifiers import Outcome
from .workshop import open_folder, remove

ROOT = Path(__file__).resolve().parents[2]
LIMIT_S = 20.0
"""Wall seconds for a probe, its control included; ours takes below one."""

Answer = dict[str, Outcome]


def run(verifier: str, names: Iterable[str], *, limit_s: float = LIMIT_S) -> Iterator[Answer]:
    """Yield the outcomes of each probe, in order.

    Args:
        verifier: a key of ``VERIFIERS``.
        names: of probes and variants, as the catalogue has them.
        limit_s: wall seconds for a probe before its process is ended.
    """
    session: _Session | None = None
    try:
        for name in names:
            session = session or _Session(verifier)
            answer = session.ask(name, limit_s)
            yield answer
            if answer["result"].kind in {"hung", "ended"}:
                session.close()
                session = None
    finally:
        if session is not None:
            session.close()


class _Session:
    """A runner's process."""

    def __init__(self, verifier: str) -> None:
        # What a process that is killed leaves behind lies here.
        self._folder = open_folder()
        self._process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", f"{__package__}.runner", verifier],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "TMPDIR": str(self._folder)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions = self._process.stdin
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(
            target=_pass_on, args=(self._process.stdout, self._lines), daemon=True
        )
        self._reader.start()

    def ask(self, name: str, limit_s: float) -> Answer:
        try:
            self._questions.write(name + "\n")
            self._questions.flush()
            line = self._lines.get(timeout=limit_s)
        except queue.Empty:
            return {"result": Outcome("hung", "", f"no answer within {limit_s:.0f} s")}
        except BrokenPipeError:
            line = None
        if line is None:
            code = self._process.wait()
            return {"result": Outcome("ended", "", f"the process ended with {code}")}
        return {key: Outcome(**value) for key, value in json.loads(line).items()}

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        self._questions.close()
        assert self._process.stdout is not None
        self._process.stdout.close()
        remove(self._folder)


def _pass_on(lines: IO[str], to: "queue.Queue[str | None]") -> None:
    for line in lines:
        to.put(line)
    to.put(None)
