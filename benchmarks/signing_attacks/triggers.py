"""Let something happen at the moment when a verifier opens a certain file.

Python tells its audit hooks (PEP 578) of every file that it opens, whoever does. So each verifier
meets the same attacker at the same point of its work, and none of them has to help. A hook cannot
be removed: use this in a process of its own.
"""

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .probe import Race

_EVENTS = frozenset({"open", "os.listdir", "os.scandir"})
_PATIENCE_S = 2.0
_READ_S = 0.05
"""Long enough to read a small file that was just opened."""


class Trigger:
    """An audit hook that is armed with one race at a time.

    Attributes:
        happened: what the attacker of the last race did was done.
    """

    def __init__(self) -> None:
        self.happened = False
        self._race: Race | None = None
        self._opened: set[str] = set()
        self._attacker: threading.Thread | None = None
        self._started = threading.Lock()
        sys.addaudithook(self._heard)

    @contextmanager
    def armed(self, race: Race | None) -> Iterator[None]:
        """Have a race happen within the block."""
        self._opened.clear()
        self._attacker = None
        self.happened = False
        self._started = threading.Lock()
        self._race = race
        try:
            yield
        finally:
            self._race = None
            if self._attacker is not None:
                self._attacker.join()

    def _heard(self, event: str, arguments: tuple[object, ...]) -> None:
        race = self._race
        if race is None or event not in _EVENTS:
            return
        path = arguments[0]
        if not isinstance(path, str | bytes | os.PathLike):
            return
        name = os.path.basename(os.fsdecode(path))  # noqa: PTH119 - may be of any type
        if race.earlier is not None and name == race.earlier[0] and name not in self._opened:
            race.earlier[1]()
            self.happened = True
        self._opened.add(name)
        if name == race.opened and self._started.acquire(blocking=False):
            self._set_off(race)

    def _set_off(self, race: Race) -> None:
        if race.after is not None:
            self._wait_for(race.after)
        if not race.beside:
            race.act()
            self.happened = True
            return
        self._attacker = threading.Thread(target=self._once_open, args=(race,), daemon=True)
        self._attacker.start()

    def _wait_for(self, name: str) -> None:
        latest = time.monotonic() + _PATIENCE_S
        while name not in self._opened and time.monotonic() < latest:
            time.sleep(0.001)
        time.sleep(_READ_S)

    def _once_open(self, race: Race) -> None:
        """Act as soon as this process holds the file open."""
        latest = time.monotonic() + _PATIENCE_S
        while time.monotonic() < latest:
            if any(_target(link) == race.opened for link in Path("/proc/self/fd").iterdir()):
                race.act()
                self.happened = True
                return


def _target(link: Path) -> str:
    try:
        return link.readlink().name
    except OSError:
        return ""
