"""When the store fails, the operator's choice is carried out and told; sinks never matter."""

import logging
from collections.abc import Sequence
from typing import Any, Literal

import pytest

from modelsec import (
    ConfigurationError,
    MemoryStore,
    ModelTheftDetector,
    StoreError,
    SyncModelTheftDetector,
)
from modelsec.protocols import Event, Reply
from tests.extraction.support import SECRET, START, Broken, Collector, chat, detector

LOUD = {"logprobs": True, "temperature": 0, "max_tokens": 1}
Choice = Literal["raise", "allow", "block"]


class Awaited:
    """An asynchronous store around a synchronous one."""

    shared = False

    def __init__(self, store: Any) -> None:
        self.store = store

    async def apply(self, operations: Sequence[Any]) -> Sequence[Reply]:
        replies: Sequence[Reply] = self.store.apply(operations)
        return replies


def broken() -> Broken:
    return Broken(StoreError("the server said no"))


async def judged(kind: str, store: Any, choice: Choice, sink: Collector, body: object) -> Any:
    """Judge one request with either detector."""
    settings: dict[str, Any] = {"secret": SECRET, "sink": sink, "on_store_error": choice}
    if kind == "sync":
        return SyncModelTheftDetector(store, **settings).analyze_request("alice", body, START)
    if kind == "async, async store":
        store = Awaited(store)
    return await ModelTheftDetector(store, **settings).analyze_request("alice", body, START)


KINDS = ("sync", "async", "async, async store")


@pytest.mark.parametrize("kind", KINDS)
async def test_raise(kind: str) -> None:
    """With raise, the store's own error reaches the caller, after the event."""
    sink, store = Collector(), broken()
    with pytest.raises(StoreError, match="the server said no") as caught:
        await judged(kind, store, "raise", sink, chat())
    assert caught.value is store.error
    assert [event.to_dict() for event in sink.events] == [
        {
            "event": "store_failed",
            "user_id": "alice",
            "error": "the server said no",
            "action": "raise",
        }
    ]


async def test_raise_is_the_default() -> None:
    """Who chose nothing hears of the failure."""
    with pytest.raises(StoreError):
        detector(store=broken()).analyze_request("alice", chat(), START)
    with pytest.raises(StoreError):
        await ModelTheftDetector(broken()).analyze_request("alice", chat(), START)


@pytest.mark.parametrize("choice", ["allow", "block"])
@pytest.mark.parametrize("kind", KINDS)
async def test_allow_and_block(kind: str, choice: Choice) -> None:
    """With allow or block that is the action, whatever the request's own signals say."""
    for body in (chat(), chat(**LOUD)):
        sink = Collector()
        found = await judged(kind, broken(), choice, sink, body)
        assert found.action == choice
        assert found.requests_seen == 0
        assert found.incomplete == ("velocity", "low_diversity")
        assert found.scores["velocity"] == found.scores["low_diversity"] == 0.0
        assert "on_store_error" in found.reason
        assert found.to_dict()["action"] == choice
        failed, taken = sink.events
        assert (failed.action, failed.error) == (choice, "the server said no")  # type: ignore[attr-defined]
        assert (taken.action, taken.requests_seen) == (choice, 0)  # type: ignore[attr-defined]
        assert taken.incomplete == found.incomplete  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
async def test_signals_of_the_request_alone_are_reported(kind: str) -> None:
    """What needs no memory is still judged and explained."""
    found = await judged(kind, broken(), "allow", Collector(), chat(**LOUD))
    assert found.scores["logprobs"] == 0.8
    assert found.scores["deterministic"] == 1.0
    assert found.scores["short_response"] == 0.6
    assert found.extraction_score == pytest.approx(0.2 + 0.15 + 0.06)
    assert found.explanations["velocity"] == "the store did not answer"


@pytest.mark.parametrize("choice", ["raise", "allow", "block"])
async def test_mistakes_of_the_caller_are_no_store_failure(choice: Choice) -> None:
    """on_store_error is about the store: an empty account is still an error."""
    sink = Collector()
    settings: dict[str, Any] = {"sink": sink, "on_store_error": choice}
    watching = ModelTheftDetector(Awaited(broken()), **settings)
    with pytest.raises(ConfigurationError):
        await watching.analyze_request("", chat(), START)
    with pytest.raises(ConfigurationError):
        SyncModelTheftDetector(broken(), **settings).analyze_request("", chat(), START)
    assert len(sink) == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_working_store(kind: str) -> None:
    """Both detectors judge alike over a synchronous and an asynchronous store."""
    store, sink = MemoryStore(), Collector()
    for number in range(1, 4):
        found = await judged(kind, store, "raise", sink, chat())
        assert (found.requests_seen, found.incomplete) == (number, ())
    assert [event.to_dict()["event"] for event in sink.events] == ["decision_taken"] * 3


def test_the_synchronous_detector_refuses_an_asynchronous_store() -> None:
    """An asynchronous store in the synchronous detector is refused, and told where to go."""
    with pytest.raises(ConfigurationError, match="Awaited is asynchronous: use ModelTheftDetector"):
        SyncModelTheftDetector(Awaited(MemoryStore()))  # type: ignore[arg-type]


class Answering:
    """A store of somebody's own that answers anything."""

    shared = False

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def apply(self, operations: Sequence[Any]) -> Any:
        del operations
        return self.answer


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", [None, [], [None], [{}], 3, "x", (None, None)])
async def test_a_store_that_answers_nonsense(kind: str, answer: Any) -> None:
    """A reply that is not the one record is a failure of the store, treated as chosen."""
    with pytest.raises(StoreError, match="did not return the one record"):
        await judged(kind, Answering(answer), "raise", Collector(), chat())
    found = await judged(kind, Answering(answer), "block", Collector(), chat())
    assert (found.action, found.requests_seen) == ("block", 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [OSError("secret path"), KeyError("x"), RecursionError()])
async def test_a_store_that_raises_its_own_errors(kind: str, error: Exception) -> None:
    """Whatever a store raises is a StoreError that names the type and keeps the cause."""
    with pytest.raises(StoreError, match=type(error).__name__) as caught:
        await judged(kind, Broken(error), "raise", Collector(), chat())
    assert caught.value.__cause__ is error
    assert "secret" not in str(caught.value)
    assert (await judged(kind, Broken(error), "allow", Collector(), chat())).action == "allow"


async def test_a_store_that_recovers() -> None:
    """After a failure the next request is judged and counted as if nothing had happened."""
    sink, store = Collector(), MemoryStore()
    assert (await judged("async", store, "allow", sink, chat())).requests_seen == 1
    assert (await judged("async", broken(), "allow", sink, chat())).requests_seen == 0
    assert (await judged("async", store, "allow", sink, chat())).requests_seen == 2


class Furious:
    """A sink that always raises, quoting what it got."""

    def emit(self, event: Event) -> None:
        raise RuntimeError(f"disk full: {event.to_dict()}")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_sink_that_raises(kind: str, caplog: pytest.LogCaptureFixture) -> None:
    """A sink that raises loses no request; the log says which exception, without its message."""
    store, sink = MemoryStore(), Furious()
    for number in (1, 2):
        found = await judged(kind, store, "raise", sink, chat())  # type: ignore[arg-type]
        assert found.requests_seen == number
    with pytest.raises(StoreError):
        await judged(kind, broken(), "raise", sink, chat())  # type: ignore[arg-type]
    assert (await judged(kind, broken(), "block", sink, chat())).action == "block"  # type: ignore[arg-type]
    assert {record.getMessage() for record in caplog.records} == {
        "the event sink failed: RuntimeError"
    }
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    assert {record.exc_info for record in caplog.records} == {None}
