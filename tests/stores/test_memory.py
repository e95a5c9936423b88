import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from modelsec import MemoryStore, SyncModelTheftDetector
from modelsec.errors import ConfigurationError
from modelsec.protocols import CellUpdate, Forget, Recall, Record, Remember

TAG = b"test"


def remember(
    key: object, *cells: CellUpdate, now: object = None, ttl: object = 60, room: object = 4_096
) -> Remember:
    """Make an operation of anything, the hostile included."""
    return Remember(key, now, ttl, room, cells)  # type: ignore[arg-type]


class FakeClock:
    """Shows what it was set to, in seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def eager_threads() -> Iterator[None]:
    """Let threads take turns as often as the interpreter can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_least_recently_remembered_is_evicted() -> None:
    """Beyond max_records the record goes that was remembered longest ago, and is counted."""
    store = MemoryStore(max_records=2)
    for key in ("a", "b", "a", "c"):
        store.apply([remember(key)])
    known = store.apply([Recall(key) for key in "abc"])
    assert [reply is not None for reply in known] == [True, False, True]
    assert (len(store), store.evictions) == (2, 1)


def test_reading_does_not_prolong() -> None:
    """A recall does not save a record from eviction: reading changes nothing."""
    store = MemoryStore(max_records=2)
    for key in ("a", "b"):
        store.apply([remember(key)])
    store.apply([Recall("a")])
    store.apply([remember("c")])
    assert store.apply([Recall("a")]) == [None]


def test_call_larger_than_the_store() -> None:
    """A call with more keys than max_records is answered in full, and the bound still holds."""
    store = MemoryStore(max_records=3)
    replies = store.apply([remember(f"k{i}") for i in range(10)])
    assert [reply.count for reply in replies if reply] == [1] * 10
    assert (len(store), store.evictions) == (3, 7)


def test_refused_call_evicts_nobody() -> None:
    """A call that is refused does not evict records, either."""
    store = MemoryStore(max_records=1)
    store.apply([remember("a")])
    with pytest.raises(Exception, match="bytes"):
        store.apply([remember("b"), remember("c", room=1)])
    assert store.apply([Recall("a")]) != [None]
    assert store.evictions == 0


def test_forgetting_makes_room() -> None:
    """A forgotten record does not count towards max_records."""
    store = MemoryStore(max_records=1)
    store.apply([remember("a")])
    store.apply([Forget("a")])
    store.apply([remember("b")])
    assert (len(store), store.evictions) == (1, 0)


def test_record_expires_by_the_store_clock() -> None:
    """A record vanishes ttl_seconds of the store's clock after the latest call, not earlier."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    store.apply([remember("a", ttl=60)])
    clock.now += 59.0
    assert store.apply([remember("a", ttl=60)]) == [Record(2, 1_059_000, {})]
    clock.now += 59.999
    assert store.apply([Recall("a")]) == [Record(2, 1_059_000, {})]
    clock.now += 0.001
    assert store.apply([Recall("a")]) == [None]
    assert store.apply([Forget("a")]) == [None]


def test_expired_record_starts_afresh() -> None:
    """A record that expired by the store's clock is gone, even for a call whose time is older."""
    clock = FakeClock()
    store = MemoryStore(clock=clock)
    store.apply([remember("a", now=5_000, ttl=60)])
    clock.now += 60
    assert store.apply([remember("a", now=5_001, ttl=60)]) == [Record(1, 5_001, {})]


def test_calls_without_time_use_the_clock() -> None:
    """The store's clock dates calls that carry no time, to the nearest millisecond."""
    clock = FakeClock()
    clock.now = 1_234.567_9
    assert MemoryStore(clock=clock).apply([remember("a")]) == [Record(1, 1_234_568, {})]


def test_replies_are_snapshots() -> None:
    """A reply does not change when the record does."""
    store = MemoryStore()
    ring = CellUpdate(TAG, "ring", 8, b"x")
    (first,) = store.apply([remember("a", ring)])
    store.apply([remember("a", ring)])
    assert first is not None
    assert (first.count, first.cells[TAG]) == (1, b"x")


@pytest.mark.usefixtures("eager_threads")
def test_threads_lose_no_count() -> None:
    """8 threads that analyse requests of one account see every count exactly once."""
    detector = SyncModelTheftDetector(MemoryStore())
    body = {"prompt": "hello"}
    with ThreadPoolExecutor(8) as threads:
        seen = threads.map(lambda _: detector.analyze_request("a", body).requests_seen, range(400))
        assert sorted(seen) == list(range(1, 401))


@pytest.mark.usefixtures("eager_threads")
def test_threads_keep_the_bound() -> None:
    """Under concurrent eviction the store keeps its bound and counts every eviction."""
    store = MemoryStore(max_records=5)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda i: store.apply([remember(f"k{i}")]), range(400)))
    assert (len(store), store.evictions) == (5, 395)


@pytest.mark.parametrize("bound", [0, -1, True, 1.5, "3", None])
def test_impossible_bound_is_refused(bound: object) -> None:
    """max_records must be a positive integer."""
    with pytest.raises(ConfigurationError, match="max_records must be a positive integer"):
        MemoryStore(max_records=bound)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "operations",
    [
        None,
        (),
        [],
        "remember",
        Recall("a"),
        iter([Recall("a")]),
        [None],
        ["a"],
        [Recall],
        [Recall("a"), None],
        [Recall("a"), remember("a")],
        *([Recall(key)] for key in (None, 7, b"a", "", " ", "a\n", "a\0b", "{a}", "é", "k" * 129)),
        *([remember("a", now=now)] for now in (-1, 2**48, 1.5, float("nan"), "5")),
        *([remember("a", ttl=ttl)] for ttl in (0, -5, 2**31, 1.5, float("inf"), "60", None)),
        *([remember("a", room=room)] for room in (0, 65_536, 1.5, float("nan"), "9", None)),
        *([remember("a", CellUpdate(tag, "ring", 8, b"x"))] for tag in (b"abc", b"abcde", "abcd")),  # type: ignore[arg-type]
    ],
)
def test_hostile_operations_are_refused(operations: object) -> None:
    """Whatever is not a list of operations of one kind is a ConfigurationError, and no trace."""
    store = MemoryStore()
    with pytest.raises(ConfigurationError):
        store.apply(operations)  # type: ignore[arg-type]
    assert len(store) == 0


def test_sharing_is_declared() -> None:
    """The store says that other processes do not see it, so a detector needs no common secret."""
    assert MemoryStore.shared is False
    assert SyncModelTheftDetector(MemoryStore()).analyze_request("a", {}).requests_seen == 1


@pytest.mark.parametrize(
    "key", [10**5_000, None, b"key", ["key"]], ids=["huge", "null", "bytes", "list"]
)
def test_a_key_that_cannot_be_shown_is_refused_all_the_same(key: Any) -> None:
    """A message about a hostile key does not fail itself."""
    with pytest.raises(ConfigurationError, match="store key"):
        MemoryStore().apply([Recall(key)])
