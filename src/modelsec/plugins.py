"""Entry-point plug-ins: list them without importing anything, load one by name."""

import difflib
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from modelsec.errors import PluginError

SIGNAL_SCORERS = "modelsec.signal_scorers"
"""Group of zero-argument callables (a class will do) that return a ``SignalScorer``."""


def installed(group: str) -> dict[str, list[EntryPoint]]:
    """Return the entry points of ``group`` by name, importing none of them."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=group):
        same = found.setdefault(point.name, [])
        if point not in same:
            same.append(point)
    return found


def load(group: str, name: str) -> object:
    """Import the plug-in ``name`` of ``group`` and return what its entry point names.

    Raises:
        PluginError: there is none, there are several, or its import fails.
    """
    found = installed(group)
    points = found.get(name, [])
    if not points:
        raise PluginError(f"no plug-in {name!r} in group {group!r}{did_you_mean(name, found)}")
    if len(points) > 1:
        sources = " and ".join(sorted(point.value for point in points))
        raise PluginError(f"plug-in {name!r} is ambiguous: {sources} register it; uninstall one")
    try:
        return points[0].load()
    except Exception as error:
        raise PluginError(
            f"plug-in {name!r} ({points[0].value}) cannot be imported: "
            f"{type(error).__name__}: {error}"
        ) from error


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return a hint to the closest of the known names, or what there is."""
    names = sorted(known)
    close = difflib.get_close_matches(str(name), names, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there is: {', '.join(names)}" if names else "; there is none"
