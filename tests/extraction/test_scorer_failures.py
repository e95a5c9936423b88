"""A scorer that fails loses no request: its fallback is used, and everybody hears of it."""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from modelsec import DetectionPolicy, MemoryStore, StoreError, Weighted
from modelsec.protocols import Distinct, Feature, Gaps, Peak, Ring, Signal, Total, Window
from modelsec.protocols.features import cell_tag
from tests.extraction.support import START, Broken, Collector, Custom, always, chat, detector

WORD = "xylophone"


def deep_recursion(value: Any) -> Any:
    return deep_recursion(value)


def raising(error: BaseException) -> Callable[[Any], Any]:
    """Return a function that quotes the prompt in its exception."""

    def fail(subject: Any) -> Any:
        request = subject.request if isinstance(subject, Window) else subject
        raise type(error)(f"cannot handle {request.text}")

    return fail


BAD_SCORES: dict[str, Callable[[Window], Any]] = {
    "raises": raising(ValueError()),
    "raises KeyError": raising(KeyError()),
    "raises recursion": deep_recursion,
    "raises memory": raising(MemoryError()),
    "raises assertion": raising(AssertionError()),
    "nan": lambda _: Signal(math.nan),
    "infinity": lambda _: Signal(math.inf),
    "too high": lambda _: Signal(1.5),
    "too low": lambda _: Signal(-0.01),
    "a little too high": lambda _: Signal(math.nextafter(1, 2)),
    "none": lambda _: Signal(None),  # type: ignore[arg-type]
    "text": lambda _: Signal("1"),  # type: ignore[arg-type]
    "complex": lambda _: Signal(1j),  # type: ignore[arg-type]
    "no Signal": lambda _: 0.5,
    "nothing": lambda _: None,
    "tuple": lambda _: (0.5, "why"),
    "explanation": lambda _: Signal(0.5, None),  # type: ignore[arg-type]
    "bytes explanation": lambda _: Signal(0.5, b"why"),  # type: ignore[arg-type]
    "array": lambda _: Signal(np.array([0.5, 0.5])),  # type: ignore[arg-type]
}

BAD_FEATURES: dict[str, Feature] = {
    "raises": Ring("f", raising(ValueError())),
    "recursion": Peak("f", deep_recursion),
    "negative": Ring("f", lambda _: -1),
    "too wide": Ring("f", lambda _: 256, width=1),
    "text": Ring("f", lambda request: request.text),  # type: ignore[arg-type,return-value]
    "nan": Total("f", lambda _: math.nan),
    "infinite": Peak("f", lambda _: math.inf),
    "nan bit": Distinct("f", lambda _: math.nan),  # type: ignore[arg-type,return-value]
    "list": Total("f", lambda _: [1]),  # type: ignore[arg-type,return-value]
}


def check_fallback(scorer: Custom, stage: str, fallback: float | None = None) -> None:
    """Judge a request with a scorer that fails."""
    policy = DetectionPolicy() if fallback is None else DetectionPolicy(scorer_fallback=fallback)
    sink = Collector()
    watching = detector(Weighted(scorer, 0.5), sink=sink, policy=policy)
    for visit in (1, 2):
        found = watching.analyze_request("alice", chat(f"My {WORD}"), START)
        expected = 1.0 if fallback is None else fallback
        assert found.requests_seen == visit
        assert found.scores["custom"] == expected
        assert found.incomplete == ("custom",)
        assert found.extraction_score == pytest.approx(0.3 * visit / 100 + 0.5 * expected)
        assert found.scores["velocity"] == visit / 100
        (failure,) = sink.named("scorer_failed")[visit - 1 :]
        assert (failure.user_id, failure.signal, failure.stage) == ("alice", "custom", stage)
        assert failure.fallback == expected
        assert sink.named("decision_taken")[-1].incomplete == ("custom",)
    told = json.dumps([event.to_dict() for event in sink.events] + [found.to_dict()])
    assert WORD not in told
    assert WORD not in repr(sink.events)


@pytest.mark.parametrize("kind", BAD_SCORES)
def test_a_score_that_is_none(kind: str) -> None:
    """A scorer that raises or returns no score gets the fallback; the event quotes no message."""
    check_fallback(Custom(BAD_SCORES[kind]), "score")


@pytest.mark.parametrize("kind", BAD_FEATURES)
def test_a_feature_that_fails(kind: str) -> None:
    """A feature that raises or gives no value fails its scorer, not the request."""
    scorer = Custom(lambda _: Signal(0.0), remembers=(Gaps("gaps"), BAD_FEATURES[kind]))
    check_fallback(scorer, "remember")


@pytest.mark.parametrize("fallback", [0.0, 0.25, 1.0])
def test_the_fallback_is_a_setting(fallback: float) -> None:
    """scorer_fallback says what an unknown score counts; 1 is the default."""
    check_fallback(Custom(raising(ValueError())), "score", fallback)


def test_the_event_names_type_and_place() -> None:
    """The event says which exception, in which file and line, and nothing else of it."""
    sink = Collector()
    watching = detector(Weighted(Custom(raising(LookupError())), 1.0), sink=sink)
    watching.analyze_request("alice", chat(WORD), START)
    (failure,) = sink.named("scorer_failed")
    assert failure.error.startswith("LookupError at test_scorer_failures.py:")
    assert failure.to_dict()["event"] == "scorer_failed"


def test_one_bad_request_is_one_failure() -> None:
    """A scorer that fails on one request works on the next."""

    def judge(window: Window) -> Signal:
        if "bad" in window.request.text:
            raise ValueError
        return Signal(0.1)

    watching = detector(Weighted(Custom(judge), 1.0))
    scores = [
        watching.analyze_request("a", chat(text), START).scores["custom"]
        for text in ("good", "bad", "good")
    ]
    assert scores == [0.1, 1.0, 0.1]


def test_others_keep_their_memory() -> None:
    """While one scorer's feature fails, all others remember."""
    broken = Custom(lambda _: Signal(0.0), remembers=(BAD_FEATURES["raises"],))
    watching = detector(Weighted(broken, 0.0))
    for number in range(12):
        found = watching.analyze_request("a", chat("same"), START + number)
    assert found.scores["velocity"] == 0.12
    assert found.scores["low_diversity"] > 0.9
    assert found.incomplete == ("custom",)


@pytest.mark.parametrize(
    "score",
    [np.float64(0.5), np.float32(0.5), Fraction(1, 2), Decimal("0.5"), np.array(0.5)],
    ids=lambda s: type(s).__name__,
)
def test_numbers_of_other_kinds_become_plain(score: Any) -> None:
    """A score of NumPy or another number type is taken, as a plain float."""
    watching = detector(Weighted(always(score), 1.0), weights={"logprobs": 1.0})
    found = watching.analyze_request("a", chat(), START)
    assert found.scores["custom"] == 0.5
    assert type(found.scores["custom"]) is float
    assert type(found.extraction_score) is float
    json.dumps(found.to_dict())


@pytest.mark.parametrize(
    ("score", "expected"), [(True, 1.0), (False, 0.0), (1, 1.0), (0, 0.0)], ids=repr
)
def test_whole_numbers_are_scores(score: Any, expected: float) -> None:
    """0, 1 and truth values are scores, too."""
    watching = detector(Weighted(always(score), 1.0))
    assert type(watching.analyze_request("a", chat(), START).scores["custom"]) is float
    assert watching.analyze_request("a", chat(), START).scores["custom"] == expected


@pytest.mark.parametrize("kind", BAD_SCORES)
def test_failing_without_a_store(kind: str) -> None:
    """With the store down, a scorer of the request alone that fails gets its fallback, too."""
    sink = Collector()
    watching = detector(
        Weighted(Custom(BAD_SCORES[kind]), 0.5),
        store=Broken(StoreError("down")),
        on_store_error="allow",
        sink=sink,
    )
    found = watching.analyze_request("alice", chat(WORD), START)
    assert found.action == "allow"
    assert found.scores["custom"] == 1.0
    assert found.explanations["custom"] == "the scorer failed: fallback score"
    assert set(found.incomplete) == {"custom", "velocity", "low_diversity"}
    assert [failure.signal for failure in sink.named("scorer_failed")] == ["custom"]
    assert WORD not in repr(sink.events)


def test_what_is_no_exception_passes() -> None:
    """Ctrl-C in a scorer is the operator's, and is not swallowed."""
    watching = detector(Weighted(Custom(raising(KeyboardInterrupt())), 1.0))
    with pytest.raises(KeyboardInterrupt):
        watching.analyze_request("alice", chat(), START)


def test_damaged_memory_is_a_failure_of_its_scorer() -> None:
    """A stored value that cannot be read fails the scorer that it belongs to, and no other."""
    store, total = MemoryStore(), Total("sum", lambda _: None)
    scorer = Custom(lambda window: Signal(min(window[total], 1.0)), remembers=(total,))
    watching = detector(Weighted(scorer, 0.1), store=store)
    watching.analyze_request("alice", chat(), START)
    record, expiry = store._records["alice"]
    damaged = {**record.cells, cell_tag("custom", total): b"no number"}
    store._records["alice"] = (type(record)(record.count, record.last_ms, damaged), expiry)
    found = watching.analyze_request("alice", chat(), START)
    assert found.incomplete == ("custom",)
    assert found.scores["velocity"] == 0.02
