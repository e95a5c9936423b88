"""The conformance kit passes good signals, and names the clause that a bad one breaks."""

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from modelsec.extraction.signals import BUILT_IN
from modelsec.protocols import (
    Distinct,
    Feature,
    Gaps,
    InferenceRequest,
    Peak,
    Ring,
    Signal,
    Total,
    Window,
)
from modelsec.testing import check_scorer
from tests.extraction.support import Custom, always


def share(feature: Total | Peak | Distinct) -> Callable[[Window], Signal]:
    """Judge by the share of one feature, whatever it is."""
    return lambda window: Signal(max(0.0, min(window[feature] / 100, 1.0)), "a share")


def hash_of(value: object, request: InferenceRequest) -> int | None:
    return request.fingerprint(value[:99]) if isinstance(value, str) else None


LENGTHS = Ring("lengths", lambda request: min(len(request.text), 255), length=20, width=1)
LONG = Ring("long", lambda request: len(request.text), length=1_000)
TOTAL = Total("total", lambda request: request.max_tokens and min(request.max_tokens, 1e6), 60)
PEAK = Peak("peak", lambda request: request.temperature)
USERS = Distinct("users", lambda request: hash_of(request.body.get("user"), request))
SELDOM = Peak("seldom", lambda _: None)

GOOD = {
    "constant": always(0.3),
    "lengths": Custom(lambda w: Signal(sum(w[LENGTHS]) / 20 / 255), remembers=(LENGTHS,)),
    "long memory": Custom(lambda w: Signal(len(w[LONG]) / 1_000), remembers=(LONG,)),
    "full record": Custom(lambda _: Signal(0), remembers=(Gaps("g", 2_037),)),
    "total": Custom(share(TOTAL), remembers=(TOTAL,)),
    "peak": Custom(share(PEAK), remembers=(PEAK,)),
    "distinct": Custom(share(USERS), remembers=(USERS,)),
    "never fed": Custom(share(SELDOM), remembers=(SELDOM,)),
    "named logprobs": always(0.0, "logprobs"),
    "list of features": Custom(share(PEAK), remembers=[PEAK]),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_signals_conform(name: str) -> None:
    """The built-in signals keep the contract that others are held to."""
    check_scorer(BUILT_IN[name]())


@pytest.mark.parametrize("kind", GOOD)
def test_good_signals_pass(kind: str) -> None:
    """Signals with memory of any kind, and without, pass."""
    check_scorer(GOOD[kind])


def test_features_may_be_made_anew() -> None:
    """A scorer may make its features on every access, as long as they are the same ones."""

    class Fresh:
        name = "fresh"

        @property
        def remembers(self) -> tuple[Feature, ...]:
            return (Peak("p", lambda _: 1.0),)

        def score(self, window: Window) -> Signal:
            return Signal(window.values["p"] if window.values["p"] == 1.0 else 0.0)  # type: ignore[arg-type]

    check_scorer(Fresh())


def counter() -> Callable[[Window], Signal]:
    calls = itertools.count()
    return lambda _: Signal(min(next(calls) / 1e6, 1.0))


def sorting(window: Window) -> Signal:
    values: Any = window.values["lengths"]
    if len(values) > 1 and list(values) != sorted(values):
        values[0], values[1] = values[1], values[0]
    return Signal(0.0)


def popping(window: Window) -> Signal:
    window.request.body.pop("temperature", None)  # type: ignore[attr-defined]
    return Signal(0.0)


def history() -> Callable[[Window], Signal]:
    seen: set[str] = set()

    def judge(window: Window) -> Signal:
        known = window.request.text in seen
        seen.add(window.request.text)
        return Signal(float(known))

    return judge


def only_at(count: int, value: Any) -> Callable[[Window], Any]:
    """Go wrong at one request in the middle of the stream."""
    return lambda window: value if window.count == count else Signal(0.5)


def silent(_: Window) -> Signal:
    return Signal(0.0)


@dataclass
class Shape:
    """A scorer of any shape."""

    name: Any = "shape"
    remembers: Any = ()
    score: Any = silent


@dataclass
class Fickle:
    """Remembers something else every time."""

    name: str = "fickle"
    lengths: Any = field(default_factory=lambda: itertools.count(1))

    @property
    def remembers(self) -> tuple[Feature, ...]:
        return (Gaps("gaps", length=next(self.lengths)),)

    def score(self, window: Window) -> Signal:
        return Signal(0.0 * window.count)


CALLS = itertools.count()
SHAPE = "A scorer has a name, a tuple of features and a method score"
MEMORY = "The memory of a scorer is bounded and fits the record"
FEATURES = "Features compute for any body"
SCORES = "A score is a Signal from 0 to 1"
PURE = "The same window gives the same Signal"
QUOTES = "An explanation is a string without prompt text"
DETECTOR = "A detector gets a Signal for every request"


def quote(length: int) -> Callable[[Window], Signal]:
    return lambda window: Signal(0.0, f"asked: {window.request.text[:length]}")


def quote_prompt(window: Window) -> Signal:
    prompt = window.request.body.get("prompt")
    return Signal(0.0, prompt[:20] if isinstance(prompt, str) else "")


BAD: dict[str, tuple[Any, str]] = {
    "class": (Shape, SHAPE),
    "none": (None, SHAPE),
    "bad name": (Shape(name="Bad-Name"), SHAPE),
    "no name": (Shape(name=None), SHAPE),
    "no score": (Shape(score=None), SHAPE),
    "features are names": (Shape(remembers=("gaps",)), SHAPE),
    "fickle": (Fickle(), SHAPE),
    "too much": (Custom(lambda _: Signal(0.0), remembers=(Gaps("g", 2_047),)), MEMORY),
    "too many": (
        Custom(lambda _: Signal(0.0), remembers=tuple(Gaps(f"g{i}") for i in range(30))),
        MEMORY,
    ),
    "feature trusts the body": (
        Custom(
            lambda _: Signal(0.0),
            remembers=(Ring("r", lambda request: len(request.body["messages"])),),  # type: ignore[arg-type]
        ),
        FEATURES,
    ),
    "feature trusts the type": (
        Custom(
            lambda _: Signal(0.0),
            remembers=(Peak("p", lambda request: request.body.get("temperature", 0)),),  # type: ignore[arg-type,return-value]
        ),
        FEATURES,
    ),
    "feature recurses": (
        Custom(
            lambda _: Signal(0.0),
            remembers=(
                Peak("p", lambda request: float(len(json.dumps(dict(request.body), default=str)))),
            ),
        ),
        FEATURES,
    ),
    "feature overflows": (
        Custom(
            lambda _: Signal(0.0),
            remembers=(Ring("r", lambda request: len(request.text), width=1),),
        ),
        FEATURES,
    ),
    "feature varies": (
        Custom(
            lambda _: Signal(0.0),
            remembers=(Total("t", lambda _: float(next(CALLS))),),
        ),
        FEATURES,
    ),
    "score raises when empty": (
        Custom(lambda w: Signal(w[LENGTHS][0] / 255), remembers=(LENGTHS,)),
        SCORES,
    ),
    "score divides": (
        Custom(lambda w: Signal(1 / sum(w[LENGTHS])), remembers=(LENGTHS,)),
        SCORES,
    ),
    "score of a peak without values": (
        Custom(lambda w: Signal(w[SELDOM]), remembers=(SELDOM,)),
        SCORES,
    ),
    "nan": (always(math.nan), SCORES),
    "too high": (always(1.01), SCORES),
    "late too high": (Custom(only_at(100, Signal(2.0))), SCORES),
    "grows beyond 1": (
        Custom(lambda w: Signal(len(w[LONG]) / 999), remembers=(LONG,)),
        SCORES,
    ),
    "negative": (always(-0.1), SCORES),
    "text": (always("0.5"), SCORES),
    "number": (Custom(lambda _: 0.5), SCORES),
    "nothing at times": (Custom(only_at(77, None)), SCORES),
    "score trusts the body": (
        Custom(lambda w: Signal(float("n" in w.request.body["tools"]))),
        SCORES,
    ),  # type: ignore[operator]
    "counts its calls": (Custom(counter()), PURE),
    "keeps a history": (Custom(history()), PURE),
    "changes values": (Custom(sorting, remembers=(LENGTHS,)), PURE),
    "changes the body": (Custom(popping), PURE),
    "quotes": (Custom(quote(1_000)), QUOTES),
    "quotes a little": (Custom(quote(12)), QUOTES),
    "quotes loudly": (Custom(lambda w: Signal(0.0, w.request.text.upper())), QUOTES),
    "quotes the body": (
        Custom(lambda w: Signal(0.0, f"{w.request.body.get('prompt')!s:.90}")),
        SCORES,
    ),
    "quotes part of the body": (Custom(quote_prompt), QUOTES),
    "no explanation": (Custom(lambda _: Signal(0.0, None)), QUOTES),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_signals_are_told_the_clause(kind: str) -> None:
    """Each breach is an AssertionError that names the clause."""
    scorer, clause = BAD[kind]
    with pytest.raises(AssertionError, match=f"the scorer breaks the contract: {clause}.* But: "):
        check_scorer(scorer)


def test_the_cause_is_attached() -> None:
    """Where the scorer raised, its own exception is the cause."""
    with pytest.raises(AssertionError, match="ZeroDivisionError") as caught:
        check_scorer(BAD["score divides"][0])
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def calls_of_the_kit() -> tuple[int, int]:
    """Return how often the kit asks a scorer, and how many requests it sends through detectors."""
    counts: list[int] = []

    def judge(window: Window) -> Signal:
        counts.append(window.count)
        return Signal(0.0)

    check_scorer(Custom(judge))
    return len(counts), max(counts)


def test_a_signal_that_does_not_stand_alone() -> None:
    """A signal that behaves otherwise in the company of others, the last thing that is tried."""
    total, _ = calls_of_the_kit()
    calls = itertools.count()
    with pytest.raises(AssertionError, match=r"Other scorers beside it.* But: its signals differ"):
        check_scorer(Custom(lambda _: Signal(float(next(calls) >= total - 5))))


def test_a_signal_that_fails_in_a_detector() -> None:
    """A signal that fails in a detector only, where its exception shows as an event."""
    total, requests = calls_of_the_kit()
    calls = itertools.count()

    def judge(_: Window) -> Signal:
        if next(calls) == total - 3 * requests + 5:
            raise ValueError
        return Signal(0.0)

    with pytest.raises(AssertionError, match=rf"{DETECTOR}.* But: stage score failed: ValueError"):
        check_scorer(Custom(judge))


def test_requests_of_ones_own() -> None:
    """Bodies that matter to a signal can be given, and are fed in."""
    fed: list[object] = []

    def judge(window: Window) -> Signal:
        if window.request.body.get("x_mine"):
            fed.append(window.request.body)
            return Signal(2.0)
        return Signal(0.0)

    check_scorer(Custom(judge))
    assert not fed
    with pytest.raises(AssertionError, match=SCORES):
        check_scorer(Custom(judge), requests=({"x_mine": n} for n in range(1, 4)))
    assert fed


def test_the_same_every_time() -> None:
    """The kit feeds the same requests every time: a result can be repeated."""

    def trace() -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []

        def judge(window: Window) -> Signal:
            seen.append((window.count, window.request.text))
            return Signal(0.0)

        check_scorer(Custom(judge))
        return seen

    first = trace()
    assert first == trace()
    assert len({count for count, _ in first}) > 150


def test_it_is_fed_ordinary_and_hostile_requests() -> None:
    """All kinds of bodies are among what it is fed, and none is fed without text only."""
    seen: list[InferenceRequest] = []

    def judge(window: Window) -> Signal:
        seen.append(window.request)
        return Signal(0.0)

    check_scorer(Custom(judge))
    assert {field for request in seen for field in request.body} >= {"messages", "prompt", "input"}
    assert {request.wants_logprobs for request in seen} == {True, False}
    assert any("\ud800" in request.text for request in seen)
    assert any(request.body.get("temperature") == 10**400 for request in seen)
    assert any(not request.text for request in seen)
