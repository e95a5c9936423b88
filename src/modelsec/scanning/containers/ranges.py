"""Ranges of bytes, [start, stop): what was claimed and what was left over."""

from collections.abc import Iterable, Iterator

Range = tuple[int, int]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the union as sorted ranges that do not touch."""
    result: list[Range] = []
    for start, stop in sorted(ranges):
        if result and start <= result[-1][1]:
            if stop > result[-1][1]:
                result[-1] = (result[-1][0], stop)
        elif stop > start:
            result.append((start, stop))
    return result


def between(ranges: list[Range], start: int, stop: int) -> Iterator[Range]:
    """Yield what merged ``ranges`` leave over of [start, stop)."""
    for range_start, range_stop in ranges:
        if range_start > start:
            yield start, min(range_start, stop)
        start = max(start, range_stop)
        if start >= stop:
            return
    if start < stop:
        yield start, stop


def without(whole: Range, holes: Iterable[Range]) -> list[Range]:
    """Return ``whole`` less the ``holes``."""
    return list(between(merged(holes), *whole))
