"""Which scorers a detector takes, and what it says to those it does not."""

from dataclasses import dataclass
from typing import Any

import pytest

from modelsec import (
    ConfigurationError,
    DetectionPolicy,
    MemoryStore,
    SyncModelTheftDetector,
    Weighted,
)
from modelsec.extraction.signals import BUILT_IN, LowDiversity, Velocity
from modelsec.protocols import Distinct, Feature, Gaps, Peak, Ring, Signal, Total, Window
from tests.extraction.support import START, Custom, always, chat, detector


def nothing(_: object) -> None:
    """Add nothing."""


def silent(_: Window) -> Signal:
    return Signal(0.0)


@dataclass
class Shape:
    """Something that may be a scorer."""

    name: Any = "shape"
    remembers: Any = ()
    score: Any = silent


@pytest.mark.parametrize("name", ["a", "a1", "a_b", "x" * 40])
def test_names(name: str) -> None:
    """A name is 1 to 40 of [a-z0-9_], and begins with a letter."""
    assert detector(Weighted(Shape(name), 1.0)).analyze_request("u", {}, START).scores[name] == 0


@pytest.mark.parametrize(
    "name", ["", "1a", "_a", "A", "a-b", "a b", "a\n", "é", "x" * 41, None, 5, ["a"], b"a"]
)
def test_impossible_names(name: Any) -> None:
    """Anything else is refused."""
    with pytest.raises(ConfigurationError, match="name must be 1 to 40 characters"):
        Weighted(Shape(name), 1.0)


@pytest.mark.parametrize(
    ("scorer", "says"),
    [
        (Shape(score=None), "no method score"),
        (Shape(remembers=None), "remembers must be a tuple"),
        (Shape(remembers="sketches"), "remembers must be a tuple"),
        (Shape(remembers=(1,)), "remembers must be a tuple"),
        (Shape(remembers=(Ring,)), "Ring, Gaps, Total, Peak, Distinct"),
        (Shape(remembers=(Gaps("a"), Total("a", nothing))), "two of its features have the same"),
        (Velocity, "Velocity is a class: pass an instance"),
        (None, "name must be"),
        ("velocity", "name must be"),
        (lambda _: Signal(0.0), "name must be"),
    ],
    ids=["score", "none", "text", "number", "class", "twice", "a class", "no", "str", "function"],
)
def test_what_is_no_scorer(scorer: Any, says: str) -> None:
    """What lacks a part of a scorer is refused, and told which."""
    with pytest.raises(ConfigurationError, match=says):
        Weighted(scorer, 1.0)


@pytest.mark.parametrize("weight", [-1, -0.0001, float("nan"), 10**400, "1", None, True])
def test_impossible_weights(weight: Any) -> None:
    """A scorer of one's own weighs a finite number of at least 0."""
    with pytest.raises(ConfigurationError, match="weight of 'shape'"):
        Weighted(Shape(), weight)


@pytest.mark.parametrize("scorers", [[Shape()], [None], [(Shape(), 1.0)], ["velocity"]])
def test_scorers_come_weighted(scorers: Any) -> None:
    """A scorer without a weight is refused."""
    with pytest.raises(ConfigurationError, match=r"scorers must be Weighted\(scorer, weight\)"):
        detector(*scorers)


@pytest.mark.parametrize("scorers", [Weighted(Shape(), 1.0), None, 5])
def test_scorers_are_a_list(scorers: Any) -> None:
    """One scorer without the list around it is refused, not walked through."""
    with pytest.raises(ConfigurationError, match="scorers must be a list"):
        SyncModelTheftDetector(MemoryStore(), scorers=scorers)


def test_scorers_may_be_an_iterator() -> None:
    """Scorers may come from a generator."""
    made = (Weighted(always(0.5, name), 1.0) for name in ("a", "b"))
    watching = SyncModelTheftDetector(MemoryStore(), scorers=made)
    assert set(watching.analyze_request("u", {}, START).scores) == {*BUILT_IN, "a", "b"}


@pytest.mark.parametrize("names", [("custom", "custom"), ("velocity",), ("low_diversity",)])
def test_names_are_unique(names: tuple[str, ...]) -> None:
    """Two scorers of one name are refused, built-in ones included."""
    with pytest.raises(ConfigurationError, match=f"two scorers are called '{names[-1]}'"):
        detector(*(Weighted(always(0.0, name), 1.0) for name in names))


def test_a_built_in_name_is_free_when_it_is_off() -> None:
    """A scorer may take the name of a built-in one that the policy does not list."""
    watching = detector(Weighted(always(0.25, "velocity"), 1.0), weights={"logprobs": 1.0})
    assert watching.analyze_request("u", chat(), START).scores["velocity"] == 0.25


def test_own_scorers_count_on_top() -> None:
    """The weight of one's own scorer adds to those of the policy."""
    found = detector(Weighted(always(0.5), 0.4)).analyze_request("u", chat(), START)
    assert found.weights["custom"] == 0.4
    assert found.extraction_score == pytest.approx(0.3 * 0.01 + 0.4 * 0.5)


@pytest.mark.parametrize(
    "features",
    [
        (Ring("a", nothing, length=500, width=8),),
        (Ring("a", nothing, length=4_096, width=1),),
        (Distinct("a", nothing, bits=8 * 4_096),),
        tuple(Gaps(f"gaps{number}", length=100) for number in range(20)),
        tuple(Total(f"total{number}", nothing) for number in range(120)),
        tuple(Peak(f"peak{number}", nothing) for number in range(120)),
    ],
    ids=["ring", "wide", "bitmap", "gaps", "totals", "peaks"],
)
def test_too_much_memory(features: tuple[Feature, ...]) -> None:
    """Scorers that would remember more than an account may take are refused together."""
    scorer = Custom(lambda _: Signal(0.0), "big", features)
    with pytest.raises(ConfigurationError, match=r"would remember \d+ bytes an account, 4096"):
        detector(Weighted(scorer, 1.0))


def test_features_that_collide(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two features that would share one cell of the record are refused, and both are named."""
    monkeypatch.setattr("modelsec.extraction.judge.cell_tag", lambda *_: b"same")
    with pytest.raises(
        ConfigurationError, match=r"velocity/gaps.* and low_diversity/sketches coll"
    ):
        detector()


def test_all_that_is_admitted_fits() -> None:
    """Scorers at the very limit work: the largest values of all features fit the record."""
    huge = -1.7976931348623157e308
    features = (
        Ring("ring", lambda _: 2**64 - 1, length=300, width=8),
        Gaps("gaps", length=200),
        Distinct("bits", lambda _: 7, bits=2_048),
        *(Total(f"total{number}", lambda _: huge / 1e4, half_life=1e9) for number in range(5)),
        *(Peak(f"peak{number}", lambda _: huge) for number in range(5)),
    )
    watching = detector(Weighted(Custom(lambda _: Signal(0.0), "big", features), 1.0))
    for number in range(320):
        found = watching.analyze_request("u", chat("é" * 500), START + number * 7.7)
        assert found.incomplete == ()


def test_a_scorer_sees_its_own_features_only() -> None:
    """A window holds the values that the scorer asked for, by name, and no others."""
    seen: list[Window] = []

    def judge(window: Window) -> Signal:
        seen.append(window)
        return Signal(0.0)

    ring = Ring("sketches", lambda request: len(request.text), length=3)
    watching = detector(Weighted(Custom(judge, "own", (ring, Gaps("gaps", length=2))), 1.0))
    for number in range(5):
        watching.analyze_request("u", chat("x" * number), START + number)
    assert [list(window.values["sketches"]) for window in seen] == [  # type: ignore[arg-type]
        [0],
        [0, 1],
        [0, 1, 2],
        [1, 2, 3],
        [2, 3, 4],
    ]
    assert set(seen[-1].values) == {"sketches", "gaps"}
    assert list(seen[-1].values["gaps"]) == [1000, 1000]  # type: ignore[arg-type]
    assert (seen[-1].count, seen[-1].now) == (5, START + 4)


def test_window_names_what_it_has() -> None:
    """Asking a window for a feature of another scorer is a ConfigurationError with a list."""
    window = Window(detector()._judge.plan("u", {}, 1.0).request, 1, 1.0, {"gaps": []})
    with pytest.raises(ConfigurationError, match=r"'sketches' is not remembered.*it has: gaps"):
        window[LowDiversity().remembers[0]]


def test_the_order_of_signals() -> None:
    """Signals are reported in the order of the policy, then one's own."""
    policy = DetectionPolicy(weights={"logprobs": 0.1, "velocity": 0.9})
    watching = detector(Weighted(always(0.0), 1.0), policy=policy)
    assert list(watching.analyze_request("u", {}, START).signals) == [
        "logprobs",
        "velocity",
        "custom",
    ]
