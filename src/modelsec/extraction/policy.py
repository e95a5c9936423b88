"""How signals are weighed and when the detector acts."""

import json
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import MappingProxyType

from modelsec.errors import ConfigurationError, shown
from modelsec.extraction.signals import BUILT_IN
from modelsec.plugins import SIGNAL_SCORERS, did_you_mean, installed

DEFAULT_WEIGHTS: Mapping[str, float] = MappingProxyType(
    {
        "velocity": 0.30,
        "logprobs": 0.25,
        "deterministic": 0.15,
        "short_response": 0.10,
        "low_diversity": 0.20,
    }
)

_MAX_FILE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class DetectionPolicy:
    """Weights, thresholds and fallbacks; checks itself on construction.

    Attributes:
        weights: weight of each enabled signal, at least 0 (0: computed and reported only).
            Known are the built-in signals and those that installed packages register under
            ``modelsec.signal_scorers``; a signal that is not listed is not computed.
        degrade_above: extraction scores above it are degraded.
        block_above: extraction scores above it are blocked.
        retention_seconds: the state of an account vanishes when it was idle for so long.
        scorer_fallback: score of a signal whose scorer failed. The default is the fully
            suspicious 1.0: what could not be computed is not taken for benign.

    Raises:
        ConfigurationError: a value is out of range, a signal is unknown.
    """

    weights: Mapping[str, float] = field(default_factory=lambda: DEFAULT_WEIGHTS)
    degrade_above: float = 0.4
    block_above: float = 0.7
    retention_seconds: int = 86_400
    scorer_fallback: float = 1.0

    def __post_init__(self) -> None:
        if not isinstance(self.weights, Mapping):
            raise ConfigurationError(
                f"weights must map signals to numbers, not be {type(self.weights).__name__}"
            )
        for name, weight in self.weights.items():
            _check_known(name)
            check_number(f"weight of {name!r}", weight, 0.0)
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))
        check_number("degrade_above", self.degrade_above, 0.0, 1.0)
        check_number("block_above", self.block_above, 0.0, 1.0)
        if self.degrade_above > self.block_above:
            raise ConfigurationError(
                f"thresholds are not ordered: degrade_above ({self.degrade_above}) "
                f"must not exceed block_above ({self.block_above})"
            )
        check_number("scorer_fallback", self.scorer_fallback, 0.0, 1.0)
        check_number("retention_seconds", self.retention_seconds, 60, 10 * 365 * 86_400)
        if not isinstance(self.retention_seconds, int):
            raise ConfigurationError("retention_seconds must be a whole number of seconds")

    @classmethod
    def from_mapping(cls, values: Mapping[str, object]) -> "DetectionPolicy":
        """Build a policy from plain data; unknown keys are errors.

        Raises:
            ConfigurationError: an unknown key, or a value out of range.
        """
        known = [f.name for f in fields(cls)]
        for key in values:
            if key not in known:
                raise ConfigurationError(f"unknown policy key {key!r}{did_you_mean(key, known)}")
        return cls(**values)  # type: ignore[arg-type]  # __post_init__ checks every value

    @classmethod
    def from_file(cls, path: str | Path) -> "DetectionPolicy":
        """Read a policy from a ``.toml`` or ``.json`` file.

        Raises:
            ConfigurationError: the file cannot be read, parsed, or says something impossible.
        """
        path = Path(path)
        parsers: dict[str, Callable[[str], object]] = {".toml": tomllib.loads, ".json": _json_loads}
        parse = parsers.get(path.suffix.lower())
        if parse is None:
            raise ConfigurationError(f"policy file {path}: .toml or .json is needed")
        try:
            with path.open("rb") as file:
                raw = file.read(_MAX_FILE_BYTES + 1)
            if len(raw) > _MAX_FILE_BYTES:
                raise ConfigurationError(f"policy file {path}: over {_MAX_FILE_BYTES:,} bytes")
            values = parse(raw.decode("utf-8"))
        except OSError as error:
            raise ConfigurationError(f"policy file {path}: {error.strerror}") from error
        except (ValueError, RecursionError) as error:
            raise ConfigurationError(f"policy file {path}: {error}") from error
        if not isinstance(values, dict):
            raise ConfigurationError(f"policy file {path}: a table of settings is needed")
        try:
            return cls.from_mapping(values)
        except ConfigurationError as error:
            raise ConfigurationError(f"policy file {path}: {error}") from error

    def to_dict(self) -> dict[str, object]:
        """Return JSON-compatible data that :meth:`from_mapping` reads back."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "weights": dict(self.weights)}


def _json_loads(text: str) -> object:
    return json.loads(text, object_pairs_hook=_no_duplicates)


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what TOML refuses, too: of two settings of one name, one would be ignored."""
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice!r} is given twice")
    return values


def check_number(name: str, value: object, low: float, high: float = sys.float_info.max) -> None:
    """Raise a ConfigurationError unless ``value`` is a finite number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ConfigurationError(f"{name} must be a number, not {shown(value)}")
    if not low <= value <= high:  # NaN is refused here, too
        span = f"at least {low}" if high == sys.float_info.max else f"from {low} to {high}"
        raise ConfigurationError(f"{name} must be finite and {span}, not {shown(value)}")


def _check_known(name: object) -> None:
    if name in BUILT_IN:
        return
    known = {*BUILT_IN, *installed(SIGNAL_SCORERS)}
    if name not in known:
        raise ConfigurationError(
            f"unknown signal {shown(name)}{did_you_mean(name, known)} "
            "(a scorer that is not installed as a plug-in goes to the detector itself: "
            "scorers=[Weighted(scorer, weight)])"
        )
