"""One signal of the theft detector: a name, what to remember, and a pure score."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, overload

from modelsec.errors import ConfigurationError
from modelsec.protocols.features import (
    Distinct,
    Feature,
    FeatureValue,
    Gaps,
    Peak,
    Ring,
    Total,
)
from modelsec.protocols.request import InferenceRequest


@dataclass(frozen=True, slots=True)
class Signal:
    """What one scorer says about an account.

    Attributes:
        score: suspicion from 0 (none) to 1 (certain); no probability is claimed.
        explanation: one sentence for the analyst, without prompt text.
    """

    score: float
    explanation: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """Everything a scorer may look at: the request, and its own features of the account.

    Attributes:
        request: the present request.
        count: requests of the account so far, this one included.
        now: time of the request, seconds since the Unix epoch.
        values: value of each feature by name, the present request included.
    """

    request: InferenceRequest
    count: int
    now: float
    values: Mapping[str, FeatureValue]

    @overload
    def __getitem__(self, feature: Ring | Gaps) -> Sequence[int]: ...
    @overload
    def __getitem__(self, feature: Total | Peak | Distinct) -> float: ...
    def __getitem__(self, feature: Feature) -> FeatureValue:
        """Return the value of one of the scorer's own features."""
        try:
            return self.values[feature.name]
        except KeyError:
            raise ConfigurationError(
                f"feature {feature.name!r} is not remembered by this scorer; "
                f"list it in `remembers` (it has: {', '.join(sorted(self.values)) or 'none'})"
            ) from None


class SignalScorer(Protocol):
    """A signal: 10 to 30 lines, testable without a store."""

    @property
    def name(self) -> str:
        """Stable identifier, ``[a-z][a-z0-9_]*``, at most 40 characters."""
        ...

    @property
    def remembers(self) -> Sequence[Feature]:
        """Bounded memory per account; empty for a signal of the request alone."""
        ...

    def score(self, window: Window) -> Signal:
        """Judge an account, purely: no I/O, no clock, no randomness."""
        ...
