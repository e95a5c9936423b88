"""Shards: the labels of byte ranges, and whether the ranges of a file make a whole."""

import re
from collections.abc import Iterable

from modelsec.errors import BundleFormatError, shown
from modelsec.signing.manifest import Resource

MAX_OFFSET = 2**63 - 1
"""No file system holds more bytes in a file."""

# The name takes whatever it can: only the last two numbers are the range (OMS v1.0, 6.3.2).
_LABEL = re.compile(r"(.+):(0|[1-9][0-9]{0,18}):([1-9][0-9]{0,18})", re.DOTALL | re.ASCII)


def split_label(label: str) -> tuple[str, int, int]:
    """Return name, start and end of ``name:start:end``.

    Raises:
        BundleFormatError: it is not a name with a range that holds at least one byte.
    """
    found = _LABEL.fullmatch(label)
    if found is None:
        raise BundleFormatError(
            f"the shard {shown(label)} is not named path:start:end with plain decimal numbers"
        )
    start, end = int(found[2]), int(found[3])
    if not start < end <= MAX_OFFSET:
        raise BundleFormatError(f"the shard {shown(label)} has a range that holds nothing")
    return found[1], start, end


def check_ranges(resources: Iterable[Resource], shard_size: int) -> None:
    """Refuse files whose ranges do not follow each other from the first byte.

    Every range has the size of a shard, but the last one of a file, which may be shorter. Whether
    it ends where the file ends, only the file can tell.

    Raises:
        BundleFormatError: a range is missing, occurs twice, overlaps, or has another size.
    """
    expected: dict[str, int] = {}
    finished: set[str] = set()
    for resource in sorted(resources, key=lambda each: (each.name, each.start)):
        name, size = resource.name, (resource.end or 0) - resource.start
        if resource.start != expected.get(name, 0) or name in finished:
            raise BundleFormatError(
                f"the shards of {shown(name)} leave a gap or overlap at {shown(resource.label)}"
            )
        if size > shard_size:
            raise BundleFormatError(
                f"the shard {shown(resource.label)} is larger than the shard size {shard_size:,}"
            )
        if size < shard_size:
            finished.add(name)
        expected[name] = resource.start + size
