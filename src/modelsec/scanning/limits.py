"""One budget for a whole run: what it may cost to read a file that wants to be expensive."""

import time
from collections.abc import Callable
from dataclasses import dataclass, fields

from modelsec.errors import ConfigurationError, ResourceLimitError, shown

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one scan may spend. Exceeding a limit makes the result incomplete, never clean.

    Attributes:
        seconds: CPU seconds of the scanning thread for one file.
        depth: of parts within parts (a pickle in a zip in a tar is three).
        members: parts, archive members and table entries, in all.
        expanded_bytes: bytes that decompression may produce, in all.
        ratio: expanded bytes for each compressed byte; applies beyond 32 MiB expanded.
        read_bytes: bytes of one structure that is read into memory at once (a header, a string).
        opcodes: pickle opcodes, graph nodes and JSON values, in all.
        memo: entries of a pickle's memo.
        kept_values: values that the pickle machine remembers, in all.
        findings: findings that are kept; further ones count, but are not listed.
    """

    seconds: float = 60.0
    depth: int = 8
    members: int = 100_000
    expanded_bytes: int = 4096 * MIB
    ratio: int = 200
    read_bytes: int = 128 * MIB
    opcodes: int = 200_000_000
    memo: int = 20_000_000
    kept_values: int = 20_000_000
    findings: int = 1000

    def __post_init__(self) -> None:
        """Refuse what is not a positive number."""
        for field in fields(self):
            value = getattr(self, field.name)
            kinds = (int, float) if field.name == "seconds" else (int,)
            if isinstance(value, bool) or not isinstance(value, kinds) or not value > 0:
                raise ConfigurationError(
                    f"limits.{field.name} must be a positive number, not {shown(value)}"
                )


class Budget:
    """What is left of the limits. One for each file that is scanned; not shared by threads.

    Every method raises ``ResourceLimitError`` instead of going below zero; ask *before*
    allocating or looping.
    """

    __slots__ = ("_clock", "_deadline", "_expanded", "_members", "_opcodes", "limits")

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.thread_time) -> None:
        self.limits = limits
        self._clock = clock
        self._deadline = clock() + limits.seconds
        self._members = limits.members
        self._expanded = limits.expanded_bytes
        self._opcodes = limits.opcodes

    def check_time(self) -> None:
        """Raise if the CPU time is used up; call it at least every few milliseconds of work."""
        if self._clock() > self._deadline:
            raise ResourceLimitError(
                f"more than {self.limits.seconds:g} CPU seconds; raise limits.seconds if this "
                "file is worth it"
            )

    def members(self, count: int = 1) -> None:
        """Spend members (or table entries) that are about to be read."""
        self._members -= count
        if self._members < 0:
            raise ResourceLimitError(f"more than {self.limits.members} members or entries")
        self.check_time()

    def opcodes(self, count: int) -> None:
        """Spend opcodes, graph nodes or JSON values."""
        self._opcodes -= count
        if self._opcodes < 0:
            raise ResourceLimitError(f"more than {self.limits.opcodes} opcodes or nodes")
        self.check_time()

    def expanded(self, count: int, *, produced: int, consumed: int) -> None:
        """Spend ``count`` bytes that a decoder produced.

        Args:
            count: bytes since the last call.
            produced: bytes of this stream so far.
            consumed: compressed bytes of this stream so far.
        """
        self._expanded -= count
        if self._expanded < 0:
            raise ResourceLimitError(
                f"decompression produces more than {self.limits.expanded_bytes} bytes"
            )
        if produced > 32 * MIB and produced > self.limits.ratio * max(consumed, 1):
            raise ResourceLimitError(
                f"decompression of {consumed} bytes produces over {self.limits.ratio} times as many"
            )
        self.check_time()

    def allow_read(self, length: int) -> None:
        """Raise if a structure of this many bytes is too large to be held in memory."""
        if length > self.limits.read_bytes:
            raise ResourceLimitError(
                f"a structure of {length} bytes is larger than limits.read_bytes "
                f"({self.limits.read_bytes})"
            )
