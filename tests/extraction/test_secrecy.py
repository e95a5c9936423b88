"""Neither prompts nor secrets show: not in events, logs, reprs, results or stores."""

import json
import logging
from collections.abc import Iterator
from hashlib import blake2b, md5, sha1, sha256
from typing import Any

import pytest

from modelsec import MemoryStore, StoreError, SyncModelTheftDetector, Weighted
from modelsec.keyed import Secret
from modelsec.protocols import Distinct, Record, Ring, Signal, Window
from tests.extraction.support import START, Broken, Collector, Custom, detector

WORD = "kumquatmarmalade"
SECRET = b"plainly visible secret bytes! 32"
ACCOUNT = "a person's name <a@example.org>"
BODIES: list[dict[str, Any]] = [
    {"messages": [{"role": "system", "content": WORD}, {"role": "user", "content": WORD}]},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": WORD}]}]},
    {"messages": [{"role": WORD, "content": f"{WORD} " * 100, "name": WORD}], WORD: WORD},
    {"prompt": WORD, "temperature": WORD, "max_tokens": WORD, "logprobs": WORD, "user": WORD},
    {"prompt": [WORD, WORD], "suffix": WORD, "stop": [WORD], "temperature": 0, "top_k": 1},
    {"input": WORD, "instructions": WORD, "max_output_tokens": 5, "metadata": {WORD: WORD}},
]


def quoting(window: Window) -> Signal:
    raise ValueError(window.request.text, window.request.body)


CURIOUS = Custom(
    lambda _: Signal(0.0),
    "curious",
    (
        Ring("prints", lambda request: request.fingerprint(request.text), 5, 8),
        Distinct("texts", lambda request: request.fingerprint(request.text)),
    ),
)


def leaks() -> Iterator[bytes]:
    """Yield what must not be found: the word and the secret, plain and in the usual disguises."""
    for plain in (WORD.encode(), SECRET):
        yield plain
        yield plain.hex().encode()
        yield repr(plain).encode()
        for algorithm in (md5, sha1, sha256, blake2b):
            digest = algorithm(plain).digest()
            yield digest[:4]
            yield digest[:8].hex().encode()


def check(place: str, content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    for leak in leaks():
        assert leak not in raw, place


def everything_in(store: MemoryStore) -> Iterator[tuple[str, bytes]]:
    for key, (record, expiry) in store._records.items():
        yield key, repr((record, expiry)).encode()
        yield from ((key, tag + value) for tag, value in record.cells.items())
        yield key, key.encode()


def run(store: Any, **settings: Any) -> tuple[SyncModelTheftDetector, list[Any], Collector]:
    sink = Collector()
    watching = detector(
        Weighted(CURIOUS, 0.1),
        Weighted(Custom(quoting, "quoting"), 0.1),
        store=store,
        secret=SECRET,
        sink=sink,
        **settings,
    )
    bodies = BODIES * 3
    found = [watching.analyze_request(ACCOUNT, body, START) for body in bodies]
    return watching, found, sink


def test_stores() -> None:
    """A store holds no text, no plain hash of it, no secret and no unusual account name."""
    store = MemoryStore()
    run(store)
    places = list(everything_in(store))
    assert len(places) > 5
    for place, content in places:
        check(place, content)
        assert b"example" not in content


def test_results() -> None:
    """An assessment neither quotes nor shows any of it, as data or printed."""
    _, found, _ = run(MemoryStore())
    for assessment in found:
        assert assessment.incomplete == ("quoting",)
        check("to_dict", json.dumps(assessment.to_dict()))
        check("repr", repr(assessment))


@pytest.mark.parametrize("choice", [None, "allow", "block"])
def test_events(choice: str | None) -> None:
    """No event does, not even those about failures."""
    store = Broken(StoreError("down")) if choice else MemoryStore()
    _, _, sink = run(store, **({"on_store_error": choice} if choice else {}))
    names = {event.to_dict()["event"] for event in sink.events}
    assert names == {"decision_taken", "scorer_failed"} | ({"store_failed"} if choice else set())
    for event in sink.events:
        check("to_dict", json.dumps(event.to_dict()))
        check("repr", repr(event))


def test_logs(caplog: pytest.LogCaptureFixture) -> None:
    """No log line does, at any level."""
    caplog.set_level(logging.DEBUG)
    watching = detector(Weighted(Custom(quoting, "quoting"), 0.1), secret=SECRET, sink=None)
    for body in BODIES:
        watching.analyze_request("alice", body, START)
    assert len(caplog.records) == 2 * len(BODIES)
    for record in caplog.records:
        check("log", record.getMessage())
        check("record", repr(record.__dict__))


def test_reprs() -> None:
    """Printing any part of the machinery shows neither: debuggers and error reporters print."""
    watching, _, _ = run(MemoryStore())
    judge = watching._judge
    plan = judge.plan(ACCOUNT, BODIES[0], START)
    verdict = judge.conclude(plan, Record(1, 0, {}))
    window = Window(plan.request, 1, 0.0, {})
    for thing in (
        *(watching, judge, plan, plan.request, plan.operation, verdict, window),
        *(watching.policy, judge._fingerprints, judge._fingerprints._minhash, Secret(SECRET)),
    ):
        check(type(thing).__name__, repr(thing))
        check(type(thing).__name__, str(thing))


def test_errors() -> None:
    """The error about a secret that is none does not show it."""
    for secret in (SECRET[:15], SECRET.decode()):
        with pytest.raises(Exception, match="secret") as caught:
            detector(secret=secret)
        assert "plainly" not in str(caught.value)


def test_the_search_finds() -> None:
    """The search of these tests would find a text in a store: it does if one is planted."""
    store = MemoryStore()
    planted = Custom(
        lambda _: Signal(0.0),
        "planted",
        (Ring("raw", lambda _: int.from_bytes(WORD[:8].encode(), "little"), 2, 8),),
    )
    watching = detector(Weighted(planted, 0.1), store=store)
    watching.analyze_request("alice", BODIES[0], START)
    assert any(WORD[:8].encode() in content for _, content in everything_in(store))
