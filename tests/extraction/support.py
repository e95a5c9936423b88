"""What the tests of the detector share."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from modelsec import DetectionPolicy, MemoryStore, SyncModelTheftDetector, Weighted
from modelsec.protocols import Event, Feature, Record, Reply, Signal, Window
from modelsec.stores.cells import remembered

SECRET = b"a secret of tests, 32 bytes long"
START = 1_700_000_000.0


def chat(text: str = "Hello", **settings: Any) -> dict[str, Any]:
    """Return a chat body with one message."""
    return {"messages": [{"role": "user", "content": text}], **settings}


@dataclass
class Collector:
    """A sink that keeps what it gets; it is falsy while empty, as containers are."""

    events: list[Event] = field(default_factory=list)

    def emit(self, event: Event) -> None:
        self.events.append(event)

    def __len__(self) -> int:
        return len(self.events)

    def named(self, name: str) -> list[Any]:
        return [event for event in self.events if event.to_dict()["event"] == name]


def detector(*scorers: Weighted, **settings: Any) -> SyncModelTheftDetector:
    """Return a detector on a store of its own that keeps quiet."""
    store = settings.pop("store") if "store" in settings else MemoryStore()
    settings.setdefault("secret", SECRET)
    settings.setdefault("sink", Collector())
    weights = settings.pop("weights", None)
    if weights is not None:
        settings["policy"] = DetectionPolicy(weights=weights)
    return SyncModelTheftDetector(store, scorers=scorers, **settings)


def diversity_scores(texts: Iterable[str], secret: bytes = SECRET) -> list[float]:
    """Return the low_diversity score after each of the texts, sent by one account."""
    watching = detector(weights={"low_diversity": 1.0}, secret=secret)
    return [
        watching.analyze_request("account", chat(text), START + second).scores["low_diversity"]
        for second, text in enumerate(texts)
    ]


@dataclass(frozen=True)
class Custom:
    """A scorer made of a function."""

    judge: Callable[[Window], Any]
    name: str = "custom"
    remembers: tuple[Feature, ...] = ()

    def score(self, window: Window) -> Any:
        return self.judge(window)


def always(score: Any, name: str = "custom") -> Custom:
    """Return a scorer that always gives this score."""
    return Custom(lambda _: Signal(score), name)


class Frozen:
    """A store in which every request meets the same past, because it keeps nothing."""

    shared = False

    def __init__(self, past: Record) -> None:
        self.past = past

    def apply(self, operations: Sequence[Any]) -> list[Reply]:
        return [remembered(self.past, op, op.now_ms) for op in operations]


class Broken:
    """A store that always fails."""

    shared = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def apply(self, operations: Sequence[Any]) -> list[Reply]:
        del operations
        raise self.error


def past_of(bodies: Iterable[object], secret: bytes = SECRET) -> Record:
    """Return the record of an account that has sent these bodies, a second apart."""
    store = MemoryStore()
    watching = detector(store=store, secret=secret)
    for second, body in enumerate(bodies):
        watching.analyze_request("account", body, START + second)
    (record, _) = store._records["account"]
    return record
