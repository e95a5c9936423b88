"""The built-in signals, one file each; the module's docstring is its documentation page.

They use the public plug-in protocol only: copy one to begin your own.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from modelsec.extraction.signals.deterministic import Deterministic
from modelsec.extraction.signals.logprobs import Logprobs
from modelsec.extraction.signals.low_diversity import LowDiversity
from modelsec.extraction.signals.short_response import ShortResponse
from modelsec.extraction.signals.velocity import Velocity
from modelsec.protocols import SignalScorer

BUILT_IN: Mapping[str, Callable[[], SignalScorer]] = MappingProxyType(
    {
        "velocity": Velocity,
        "logprobs": Logprobs,
        "deterministic": Deterministic,
        "short_response": ShortResponse,
        "low_diversity": LowDiversity,
    }
)

__all__ = [
    "BUILT_IN",
    "Deterministic",
    "Logprobs",
    "LowDiversity",
    "ShortResponse",
    "Velocity",
]
