"""The judge is pure: the shells add a store call in between, and nothing else."""

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import DetectionPolicy, MemoryStore, Weighted
from modelsec.extraction import Judge
from modelsec.keyed import Secret
from modelsec.protocols import Peak, Recall, Record, Remember, Signal, Total
from modelsec.stores.codec import packed_size
from tests.extraction.support import SECRET, START, Collector, Custom, always, chat, detector

BODIES = st.builds(
    lambda text, settings: chat(text, **settings),
    st.sampled_from(["one", "two", "a much longer text than the others", ""]),
    st.dictionaries(
        st.sampled_from(["temperature", "logprobs", "max_tokens", "top_k"]),
        st.sampled_from([0, 1, 60]),
    ),
)
STREAMS = st.lists(
    st.tuples(st.sampled_from(["alice", "bob", "üser"]), BODIES, st.floats(0, 200)), max_size=25
)


def judge(*scorers: Weighted, **settings: Any) -> Judge:
    return Judge(DetectionPolicy(**settings), scorers, Secret(SECRET))


@given(STREAMS)
def test_by_hand(stream: list[tuple[str, dict[str, Any], float]]) -> None:
    """plan, store and conclude by hand say what the detector says, events included."""
    sink, store, mine = Collector(), MemoryStore(), judge()
    watching, now = detector(sink=sink), START
    for user, body, step in stream:
        now += step
        sink.events.clear()
        found = watching.analyze_request(user, body, now)
        plan = mine.plan(user, body, now)
        (record,) = store.apply((plan.operation,))
        assert isinstance(record, Record)
        verdict = mine.conclude(plan, record)
        assert verdict.assessment == found
        assert list(verdict.events) == sink.events


def test_planning_and_concluding_leave_no_trace() -> None:
    """The same request planned twice is the same plan, and concluded twice the same verdict."""
    mine, body = judge(), chat("text", logprobs=True)
    first, before = mine.plan("alice", body, START), copy.deepcopy(body)
    for number in range(20):
        mine.plan("bob", chat(f"other {number}"), START + number)
    again = mine.plan("alice", body, START)
    assert first.operation == again.operation
    assert body == before
    (record,) = MemoryStore().apply((first.operation,))
    assert isinstance(record, Record)
    cells = dict(record.cells)
    assert mine.conclude(first, record) == mine.conclude(first, record)
    assert mine.conclude(again, record).assessment == mine.conclude(first, record).assessment
    assert record.cells == cells


def test_a_plan_asks_for_one_operation() -> None:
    """A request is one Remember: the account's key, time, retention and each feature once."""
    plan = judge(retention_seconds=3_600).plan("alice", chat(), START)
    operation = plan.operation
    assert isinstance(operation, Remember)
    assert (operation.key, operation.now_ms) == ("alice", 1_700_000_000_000)
    assert operation.ttl_seconds == 3_600
    assert sorted(cell.kind for cell in operation.cells) == ["gaps", "ring"]
    assert len({cell.tag for cell in operation.cells}) == 2
    assert judge().plan("alice", chat(), None).operation.now_ms is None


def test_signals_of_the_request_alone_remember_nothing() -> None:
    """A policy without memory still counts, and stores no cells."""
    mine = judge(weights={"logprobs": 1.0, "deterministic": 1.0})
    assert mine.plan("alice", chat(), START).operation.cells == ()


def test_the_record_stays_small() -> None:
    """All five signals at their fullest take at most 625 bytes an account."""
    store, watching = MemoryStore(), None
    watching = detector(store=store)
    for number in range(150):
        watching.analyze_request("alice", chat(f"text {number}"), START + number)
    (record,) = store.apply((Recall("alice"),))
    assert isinstance(record, Record)
    assert 600 < packed_size(record.cells) <= 625


LONGEST = Peak("longest", lambda request: float(len(request.text)))
SUM = Total("sum", lambda _: 1.0)


def test_detectors_with_other_signals_keep_each_others_state() -> None:
    """While two versions with different signals share a store, neither resets the other."""
    store = MemoryStore()
    longest = Custom(lambda w: Signal(min(w[LONGEST] / 100, 1.0)), "longest", (LONGEST,))
    total = Custom(lambda w: Signal(min(w[SUM] / 100, 1.0)), "total", (SUM,))
    old = detector(Weighted(total, 0.1), store=store)
    new = detector(
        Weighted(longest, 0.1), store=store, weights={"low_diversity": 1.0, "logprobs": 0.1}
    )
    for number in range(12):
        old.analyze_request("alice", chat("the same text"), START + number)
    for number in range(12, 17):
        mixed = new.analyze_request("alice", chat("x" * 90), START + number)
    assert mixed.requests_seen == 17
    assert mixed.scores["low_diversity"] == pytest.approx(1 - 2 / 17)
    assert mixed.scores["longest"] == 0.9
    back = old.analyze_request("alice", chat("the same text"), START + 17)
    assert back.scores["total"] == pytest.approx(0.13)
    assert back.scores["low_diversity"] == pytest.approx(1 - 2 / 18)
    assert back.scores["velocity"] >= 0.13
    assert new.analyze_request("alice", chat("x"), START + 18).scores["longest"] == 0.9


def test_a_signal_that_is_new_begins_empty() -> None:
    """A signal that joins later sees its own requests only, not those before it."""
    store = MemoryStore()
    old = detector(store=store, weights={"logprobs": 1.0})
    for number in range(20):
        old.analyze_request("alice", chat("same"), START + number)
    found = detector(store=store).analyze_request("alice", chat("same"), START + 20)
    assert found.requests_seen == 21
    assert found.scores["low_diversity"] == 0.0
    assert found.scores["velocity"] == 0.02  # the record knows when the last request was


def test_another_secret_is_another_past() -> None:
    """Under another secret sketches mean nothing, and plain accounts keep their counts."""
    store = MemoryStore()
    for number in range(20):
        detector(store=store).analyze_request("alice", chat("a longer text"), START + number)
    other = detector(store=store, secret=SECRET[::-1])
    found = other.analyze_request("alice", chat("a longer text"), START + 20)
    assert found.requests_seen == 21
    assert found.scores["low_diversity"] < 0.96


def test_results_are_frozen() -> None:
    """Nobody changes an assessment or its weights after the fact."""
    found = detector().analyze_request("alice", chat(), START)
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.action = "allow"  # type: ignore[misc]
    with pytest.raises(TypeError):
        found.weights["velocity"] = 0.0  # type: ignore[index]


@pytest.mark.parametrize("score", [0.0, 0.3, 0.5, 0.9])
def test_the_events_of_a_decision(score: float) -> None:
    """A decision is one event with the account, volume, score and statistics of its inputs."""
    sink = Collector()
    watching = detector(Weighted(always(score), 1.0), sink=sink, weights={"logprobs": 1.0})
    found = watching.analyze_request("alice", chat(), START)
    (event,) = sink.events
    assert event.to_dict() == {
        "event": "decision_taken",
        "user_id": "alice",
        "action": found.action,
        "extraction_score": score,
        "scores": {"logprobs": 0.0, "custom": score},
        "requests_seen": 1,
        "incomplete": [],
    }
