"""The hostile corpus and its look-alikes: all groups, and the folder they are written to."""

from collections.abc import Iterator
from pathlib import Path

from .case import Case
from .hostile_arrays import arrays
from .hostile_calls import callables, effects
from .hostile_containers import containers
from .hostile_graphs import graphs
from .hostile_layers import layers
from .hostile_pickle import alike, bombs, tricks
from .hostile_polyglots import polyglots
from .hostile_runs import runs
from .hostile_texts import texts
from .hostile_torch import torch

GROUPS = (
    tricks,
    effects,
    runs,
    callables,
    bombs,
    torch,
    containers,
    arrays,
    graphs,
    layers,
    texts,
    polyglots,
    alike,
)


def cases() -> Iterator[Case]:
    """Yield every case once; names are unique within a group and kind."""
    for group in GROUPS:
        yield from group()


def place(case: Case) -> str:
    """Return the path of a case within the corpus: one folder a case, because siblings count."""
    kind = "hostile" if case.hostile else "alike"
    group = case.group.replace(" ", "-").lower()
    folder, _, name = case.name.rpartition("/")
    return f"{kind}/{group}/{folder or name.replace('.', '_')}/{name}"


def write(folder: Path) -> dict[str, Case]:
    """Write what differs, remove what is stale, and return the cases by path within ``folder``."""
    written: dict[str, Case] = {}
    kept: set[Path] = set()
    for case in cases():
        where = place(case)
        if where in written:
            raise ValueError(f"two cases are called {where}")
        written[where] = case
        for name, content in ((where, case.content), *_beside(where, case)):
            path = folder / name
            kept.add(path)
            if not path.is_file() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    for kind in ("hostile", "alike"):
        for path in (folder / kind).rglob("*"):
            if path.is_file() and path not in kept:
                path.unlink()
    return written


def _beside(where: str, case: Case) -> Iterator[tuple[str, bytes]]:
    for name, content in case.beside:
        yield f"{where.rpartition('/')[0]}/{name}", content
