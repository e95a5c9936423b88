"""From names and objects to the scorers of one detector, checked once at the start."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from modelsec.errors import ConfigurationError, PluginError, shown
from modelsec.extraction.policy import DetectionPolicy, check_number
from modelsec.extraction.signals import BUILT_IN
from modelsec.plugins import SIGNAL_SCORERS, load
from modelsec.protocols import Distinct, Gaps, Peak, Ring, SignalScorer, Total

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}\Z")


@dataclass(frozen=True, slots=True)
class Weighted:
    """A scorer of your own and its weight in the extraction score.

    Attributes:
        scorer: any object with ``name``, ``remembers`` and ``score``.
        weight: at least 0; 0 computes and reports the signal without acting on it.

    Raises:
        ConfigurationError: not a scorer, or not a weight.
    """

    scorer: SignalScorer
    weight: float

    def __post_init__(self) -> None:
        check_scorer_shape(self.scorer)
        check_number(f"weight of {self.scorer.name!r}", self.weight, 0.0)


def enabled_scorers(policy: DetectionPolicy, own: Iterable[Weighted]) -> list[Weighted]:
    """Return the policy's scorers by name, then the caller's own ones.

    Raises:
        ConfigurationError: two scorers of one name, or an object that is not a scorer.
        PluginError: an installed plug-in that cannot be loaded.
    """
    enabled: dict[str, Weighted] = {}
    for name, weight in policy.weights.items():
        enabled[name] = Weighted(_named_scorer(name), weight)
    if not isinstance(own, Iterable):
        raise ConfigurationError(
            f"scorers must be a list of Weighted(scorer, weight), not {type(own).__name__}"
        )
    for weighted in own:
        if not isinstance(weighted, Weighted):
            raise ConfigurationError(
                f"scorers must be Weighted(scorer, weight), not {type(weighted).__name__}"
            )
        if weighted.scorer.name in enabled:
            raise ConfigurationError(
                f"two scorers are called {weighted.scorer.name!r}: give one of them another name"
            )
        enabled[weighted.scorer.name] = weighted
    return list(enabled.values())


def check_scorer_shape(scorer: object) -> None:
    """Raise a ConfigurationError unless ``scorer`` has the members of a SignalScorer."""
    kind = type(scorer).__name__
    name = getattr(scorer, "name", None)
    if isinstance(scorer, type):
        raise ConfigurationError(f"{scorer.__name__} is a class: pass an instance of it")
    if not isinstance(name, str) or not _NAME.match(name):
        raise ConfigurationError(
            f"scorer {kind}: name must be 1 to 40 characters of [a-z0-9_], beginning with a "
            f"letter, not {shown(name)}"
        )
    if not callable(getattr(scorer, "score", None)):
        raise ConfigurationError(f"scorer {name!r}: it has no method score(window) -> Signal")
    remembers = getattr(scorer, "remembers", None)
    if not isinstance(remembers, (tuple, list)) or not all(
        isinstance(feature, (Ring, Gaps, Total, Peak, Distinct)) for feature in remembers
    ):
        raise ConfigurationError(
            f"scorer {name!r}: remembers must be a tuple of Ring, Gaps, Total, Peak, Distinct "
            "(empty for a signal of the request alone)"
        )
    names = [feature.name for feature in remembers]
    if len(set(names)) != len(names):
        raise ConfigurationError(f"scorer {name!r}: two of its features have the same name")


def _named_scorer(name: str) -> SignalScorer:
    if name in BUILT_IN:
        return BUILT_IN[name]()
    factory = load(SIGNAL_SCORERS, name)
    if not callable(factory):
        raise PluginError(f"plug-in {name!r} is no class or function that returns a scorer")
    try:
        scorer = factory()
    except Exception as error:
        raise PluginError(f"plug-in {name!r} cannot be made: {type(error).__name__}") from error
    check_scorer_shape(scorer)
    if scorer.name != name:
        raise PluginError(f"plug-in {name!r} returns a scorer that calls itself {scorer.name!r}")
    return scorer  # type: ignore[no-any-return]
