"""Bounded memory that a signal scorer may ask for: what to keep about the past of an account.

Every feature has a size that is known before the first request; a store updates it atomically
without understanding it. ``of`` maps a request to what this request adds; ``None`` adds nothing.
"""

import math
import sys
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import ClassVar, TypeAlias

from modelsec.errors import ConfigurationError
from modelsec.protocols.request import InferenceRequest
from modelsec.protocols.store import CellUpdate

_TYPECODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
_MAX_CELL_BYTES = 8_192
_MAX_HALF_LIFE_S = 1e12

FeatureValue: TypeAlias = Sequence[int] | float


@dataclass(frozen=True, slots=True)
class Ring:
    """The last ``length`` values, each an unsigned integer of ``width`` bytes.

    In a window: a sequence of integers, oldest first, the present request's value last.
    """

    name: str
    of: Callable[[InferenceRequest], int | None]
    length: int = 100
    width: int = 4
    kind: ClassVar[str] = "ring"

    def __post_init__(self) -> None:
        _check_shape(self.name, self.of)
        if self.width not in (1, 2, 4, 8):
            raise ConfigurationError(f"ring {self.name!r}: width must be 1, 2, 4 or 8 bytes")
        _check_size(self.name, self.length, self.width)

    @property
    def limit(self) -> int:
        """Bytes that the ring may take."""
        return self.length * self.width

    @property
    def identity(self) -> str:
        """What two rings must have in common to share their past."""
        return f"{self.name}/ring{self.width}"

    def encode(self, value: int) -> bytes:
        """Pack one value; numbers outside the width are an error of the scorer."""
        return int(value).to_bytes(self.width, "little")

    def decode(self, raw: bytes) -> Sequence[int]:
        """Unpack the stored values."""
        return _unpack(_TYPECODES[self.width], raw[len(raw) % self.width :])

    def empty(self) -> Sequence[int]:
        """Value before anything was remembered."""
        return ()


@dataclass(frozen=True, slots=True)
class Gaps:
    """The last ``length`` gaps between calls, in milliseconds, saturating at 65,535.

    In a window: a sequence of integers, oldest first; the last one is the time from the
    previous call to the present one (saturated if there was none).
    """

    name: str
    length: int = 100
    kind: ClassVar[str] = "gaps"

    def __post_init__(self) -> None:
        _check_shape(self.name, self.of)
        _check_size(self.name, self.length, 2)

    @property
    def limit(self) -> int:
        """Bytes that the gaps may take."""
        return self.length * 2

    @property
    def identity(self) -> str:
        """What two features must have in common to share their past."""
        return f"{self.name}/gaps"

    def of(self, request: InferenceRequest) -> float:
        """Add the gap before every request; the store measures it."""
        del request
        return 0.0

    def encode(self, value: float) -> float:
        """Send nothing: the store knows the gap."""
        return value

    def decode(self, raw: bytes) -> Sequence[int]:
        """Unpack the stored gaps."""
        return _unpack("H", raw[len(raw) % 2 :])

    def empty(self) -> Sequence[int]:
        """Value before anything was remembered."""
        return ()


@dataclass(frozen=True, slots=True)
class Total:
    """A sum that decays by half every ``half_life`` seconds (``None``: never)."""

    name: str
    of: Callable[[InferenceRequest], float | None]
    half_life: float | None = None
    kind: ClassVar[str] = "total"

    def __post_init__(self) -> None:
        _check_shape(self.name, self.of)
        half_life = self.half_life
        if half_life is not None and not (
            isinstance(half_life, (int, float)) and 0 < half_life <= _MAX_HALF_LIFE_S
        ):
            raise ConfigurationError(
                f"total {self.name!r}: half_life must be a positive number of seconds, or None"
            )

    @property
    def limit(self) -> float:
        """Half-life in seconds, 0 for none."""
        return self.half_life or 0.0

    @property
    def identity(self) -> str:
        """What two totals must have in common to share their past."""
        return f"{self.name}/total"

    def encode(self, value: float) -> float:
        """Check the addend."""
        return _finite(self.name, value)

    def decode(self, raw: bytes) -> float:
        """Read the stored sum."""
        return float(raw[6:])

    def empty(self) -> float:
        """Value before anything was remembered."""
        return 0.0


@dataclass(frozen=True, slots=True)
class Peak:
    """The largest value ever seen: a latch that is never forgotten while the record lives."""

    name: str
    of: Callable[[InferenceRequest], float | None]
    kind: ClassVar[str] = "peak"
    limit: ClassVar[float] = 0.0

    def __post_init__(self) -> None:
        _check_shape(self.name, self.of)

    @property
    def identity(self) -> str:
        """What two peaks must have in common to share their past."""
        return f"{self.name}/peak"

    def encode(self, value: float) -> float:
        """Check the value."""
        return _finite(self.name, value)

    def decode(self, raw: bytes) -> float:
        """Read the stored maximum."""
        return float(raw)

    def empty(self) -> float:
        """Value before anything was remembered."""
        return -math.inf


@dataclass(frozen=True, slots=True)
class Distinct:
    """Estimated number of distinct values, by linear counting in a bitmap of ``bits`` bits.

    Whang, Vander-Zanden, Taylor (1990): n = -m ln(share of zero bits). The
    relative standard error at ``bits`` values is .85 / sqrt(bits), 5 % for 256; the estimate
    saturates at ``bits * ln(bits)``. Feed it keyed fingerprints
    (:meth:`InferenceRequest.fingerprint`).
    """

    name: str
    of: Callable[[InferenceRequest], int | None]
    bits: int = 256
    kind: ClassVar[str] = "distinct"

    def __post_init__(self) -> None:
        _check_shape(self.name, self.of)
        if not isinstance(self.bits, int) or self.bits < 8 or self.bits % 8:  # noqa: PLR2004
            raise ConfigurationError(f"distinct {self.name!r}: bits must be a multiple of 8")
        _check_size(self.name, self.bits // 8, 1)

    @property
    def limit(self) -> int:
        """Bytes of the bitmap."""
        return self.bits // 8

    @property
    def identity(self) -> str:
        """What two bitmaps must have in common to share their past."""
        return f"{self.name}/distinct{self.bits}"

    def encode(self, value: int) -> float:
        """Map a fingerprint to the index of its bit."""
        return float(int(value) % self.bits)

    def decode(self, raw: bytes) -> float:
        """Estimate the number of distinct values."""
        zeros = self.bits - int.from_bytes(raw, "little").bit_count()
        return self.bits * math.log(self.bits / max(zeros, 1))

    def empty(self) -> float:
        """Value before anything was remembered."""
        return 0.0


Feature: TypeAlias = Ring | Gaps | Total | Peak | Distinct


def cell_tag(scorer: str, feature: Feature) -> bytes:
    """Return the 4 bytes that name a scorer's feature in a record."""
    return sha256(f"{scorer}/{feature.identity}".encode()).digest()[:4]


def cell_update(tag: bytes, feature: Feature, request: InferenceRequest) -> CellUpdate | None:
    """Return what ``request`` adds to ``feature``, or ``None`` for nothing."""
    value = feature.of(request)
    if value is None:
        return None
    return CellUpdate(tag, feature.kind, feature.limit, feature.encode(value))  # type: ignore[arg-type]


def constant_update(tag: bytes, feature: Feature) -> CellUpdate | None:
    """Return what every request adds to ``feature``, or ``None`` if that depends on the request."""
    return CellUpdate(tag, feature.kind, feature.limit, 0.0) if isinstance(feature, Gaps) else None


def _check_shape(name: object, of: object) -> None:
    if not isinstance(name, str) or not name:
        raise ConfigurationError("a feature needs a name, a non-empty string")
    if not callable(of):
        raise ConfigurationError(
            f"feature {name!r}: of must be a function from a request to what it adds, "
            f"not {type(of).__name__}"
        )


def _check_size(name: str, length: object, width: int) -> None:
    if isinstance(length, bool) or not isinstance(length, int):
        raise ConfigurationError(
            f"feature {name!r}: its length must be a whole number, not {type(length).__name__}"
        )
    if not 0 < length * width <= _MAX_CELL_BYTES:
        raise ConfigurationError(
            f"feature {name!r} would be of length {length} times {width} bytes an account; "
            f"1 to {_MAX_CELL_BYTES} bytes are possible"
        )


def _finite(name: str, value: float) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ConfigurationError(f"feature {name!r} can only remember finite numbers, not {number}")
    return number


def _unpack(typecode: str, raw: bytes) -> Sequence[int]:
    values = array(typecode, raw)
    if sys.byteorder == "big":  # pragma: no cover - records are little-endian
        values.byteswap()
    return values
