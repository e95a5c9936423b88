"""How much memory this machine can still give."""

from pathlib import Path

_TOLD = Path("/proc/meminfo")
_COUNTED = {"MemAvailable", "SwapFree"}


def free_memory() -> int | None:
    """Return the bytes that can be used before somebody has to give some back; None if unknown.

    What a container may use is not asked: that is for ``max_bytes``.
    """
    try:
        lines = _TOLD.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:  # not Linux, or hidden
        return None
    told = dict(line.split(":", 1) for line in lines if ":" in line)
    try:
        return sum(int(told[name].split()[0]) for name in _COUNTED) * 1024
    except (KeyError, ValueError, IndexError):
        return None
