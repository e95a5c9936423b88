"""The clauses of the store contract: one function and one docstring for each fact."""

from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import TypeAlias

from modelsec.errors import ConfigurationError, StoreError
from modelsec.protocols import (
    CellUpdate,
    Forget,
    Gaps,
    Operation,
    Recall,
    Record,
    Remember,
    Reply,
    Total,
)
from modelsec.stores.cells import remembered
from modelsec.testing.store_probe import (
    Probe,
    close,
    fresh_key,
    hold,
    keys_of_one_slot,
    record_of,
    same,
)

_T0 = 1_700_000_000_000
_HOUR_S = 3_600
_ROOM = 4_096
_A, _B, _C, _D, _E = (b"kit" + letter for letter in (b"A", b"B", b"C", b"D", b"E"))
_GAPS = Gaps("gaps", length=3)
_TOTAL = Total("total", of=lambda _: 1.0)


Clause: TypeAlias = Callable[[Probe], Awaitable[None]]


async def every_operation_is_answered(store: Probe) -> None:
    """A call returns one reply for each of its operations, in their order."""
    keys = keys_of_one_slot(3)
    made = await store.apply(*(_remember(k, _ring(b"%d" % i)) for i, k in enumerate(keys)))
    same([record_of(reply).cells[_A] for reply in made], [b"0", b"1", b"2"], "what was made")
    read = await store.apply(*(Recall(key) for key in reversed(keys)))
    same([record_of(reply).cells[_A] for reply in read], [b"2", b"1", b"0"], "what was read")


async def a_ring_keeps_the_latest(store: Probe) -> None:
    """A ring keeps the latest bytes that fit its limit, oldest first."""
    key = fresh_key()
    for payload in (b"ab", b"cd", b"ef", b"gh"):
        record = await _after(store, _remember(key, _ring(payload, limit=6)))
    same(record.cells[_A], b"cdefgh", "a ring of 6 bytes after abcdefgh")


async def gaps_are_measured(store: Probe) -> None:
    """Gaps are milliseconds between calls, at most 65,535, which is also the first one."""
    key = fresh_key()
    for at in (0, 7, 100_000, 100_000):
        record = await _after(store, _remember(key, _gap(), at=at))
        if at == 0:
            same(list(_GAPS.decode(record.cells[_A])), [65_535], "the gap of a first call")
    same(list(_GAPS.decode(record.cells[_A])), [7, 65_535, 0], "the gaps of 0, 7, 10**5, 10**5")


async def totals_add_and_decay(store: Probe) -> None:
    """A total adds, and decays by half in every half-life; with half-life 0 it never does."""
    key = fresh_key()
    cells = (CellUpdate(_A, "total", 10.0, 8.0), CellUpdate(_B, "total", 0.0, 8.0))
    await store.apply(_remember(key, *cells))
    record = await _after(store, _remember(key, *cells, at=10_000))
    close(_TOTAL.decode(record.cells[_A]), 12.0, "8, halved, plus 8")
    close(_TOTAL.decode(record.cells[_B]), 16.0, "8 plus 8 without decay")


async def peaks_latch(store: Probe) -> None:
    """A peak is the largest number so far, negative ones included."""
    key = fresh_key()
    for number, peak in ((-2.5, -2.5), (-3.0, -2.5), (0.1, 0.1), (0.0, 0.1)):
        record = await _after(store, _remember(key, CellUpdate(_A, "peak", 0.0, number)))
        same(float(record.cells[_A]), peak, f"the peak after {number}")


async def bitmaps_fill(store: Probe) -> None:
    """A distinct cell is a bitmap in which each number sets its bit, least bit first."""
    key = fresh_key()
    for number in (0.0, 9.0, 9.0, 31.0):
        record = await _after(store, _remember(key, CellUpdate(_A, "distinct", 4, number)))
    same(record.cells[_A], b"\x01\x02\x00\x80", "a bitmap of bits 0, 9 and 31")


async def calls_are_counted(store: Probe) -> None:
    """Every call is counted and leaves its time, with or without cells."""
    key = fresh_key()
    for number, at in enumerate((0, 5, 9), start=1):
        record = await _after(store, _remember(key, at=at))
        same((record.count, record.last_ms), (number, _T0 + at), "count and time")


async def the_clock_never_runs_back(store: Probe) -> None:
    """Time never runs back by up to five minutes; beyond it the clock was reset, and counts."""
    key = fresh_key()
    cells = (_gap(), CellUpdate(_B, "total", 10.0, 1.0))
    for at, settled in ((0, 0), (-1, 0), (-300_000, 0), (-300_001, -300_001)):
        record = await _after(store, _remember(key, *cells, at=at))
        same(record.last_ms - _T0, settled, f"the time after a call {at} ms from the first")
    same(record.count, 4, "the count after a reset of the clock")
    same(list(_GAPS.decode(record.cells[_A])), [0, 0, 0], "gaps backwards")
    close(_TOTAL.decode(record.cells[_B]), 4.0, "a total over calls that go back in time")


async def idle_records_start_afresh(store: Probe) -> None:
    """A record that was idle for ttl_seconds of operation time starts afresh."""
    key = fresh_key()
    await store.apply(_remember(key, _ring(b"a"), ttl=60))
    record = await _after(store, _remember(key, _ring(b"b"), ttl=60, at=59_999))
    same((record.count, record.cells[_A]), (2, b"ab"), "count and ring after 59.999 s of 60")
    record = await _after(store, _remember(key, _ring(b"c"), _gap(_B), ttl=60, at=119_999))
    same((record.count, record.cells[_A]), (1, b"c"), "count and ring after 60 s of 60")
    same(list(_GAPS.decode(record.cells[_B])), [65_535], "the gap of a record started afresh")


async def unnamed_cells_are_kept(store: Probe) -> None:
    """Cells that a call does not name are kept as they are."""
    key = fresh_key()
    await store.apply(_remember(key, _ring(b"guest")))
    record = await _after(store, _remember(key, _ring(b"own", tag=_B)))
    same(dict(record.cells), {_A: b"guest", _B: b"own"}, "the cells")


async def guests_leave_first(store: Probe) -> None:
    """When max_bytes is short, cells that the call does not name go, and only those."""
    key = fresh_key()
    room = 15 + 6 + 50  # header, cell header, cell
    await store.apply(_remember(key, _ring(b"g" * 40)))
    record = await _after(store, _remember(key, _ring(b"o" * 50, tag=_B), room=room))
    same(dict(record.cells), {_B: b"o" * 50}, "the cells")
    same(record.count, 2, "the count")


async def what_does_not_fit_is_refused(store: Probe) -> None:
    """A record that would outgrow max_bytes is a StoreError and changes nothing."""
    key = fresh_key()
    await store.apply(_remember(key, _ring(b"a")))
    too_large = _remember(key, _ring(b"o" * 50, limit=50), room=15 + 6 + 49)
    await _changes_nothing(store, [key], too_large)


async def what_cannot_be_read_is_refused(store: Probe) -> None:
    """A cell that is of another kind, or of none, is a StoreError and changes nothing."""
    key = fresh_key()
    await store.apply(_remember(key, _ring(b"not a number")))
    for kind in ("total", "peak", "distinct", "no-such-kind"):
        await _changes_nothing(store, [key], _remember(key, CellUpdate(_A, kind, 4, 1.0)))
    await _changes_nothing(store, [key], _remember(key, CellUpdate(_B, "distinct", 4, 32.0)))


async def calls_happen_whole_or_not_at_all(store: Probe) -> None:
    """A call with one impossible operation changes nothing, whatever else is in it."""
    known, unknown = keys_of_one_slot(2)
    await store.apply(_remember(known, _ring(b"a")))
    fine, fine_too = _remember(known, _ring(b"b")), _remember(unknown, _ring(b"b"))
    too_large = _remember(unknown, _ring(b"o" * 50), room=20)
    await _changes_nothing(store, [known, unknown], fine, fine_too, too_large)


async def a_key_may_come_twice(store: Probe) -> None:
    """A key that comes twice in one call is updated twice."""
    key, other = keys_of_one_slot(2)
    operations = [_remember(k, _ring(v)) for k, v in ((key, b"a"), (other, b"x"), (key, b"b"))]
    replies = [record_of(reply) for reply in await store.apply(*operations)]
    same([record.cells[_A] for record in replies], [b"a", b"x", b"ab"], "the rings")
    same([record.count for record in replies], [1, 1, 2], "the counts")
    same(await _recall(store, key), replies[2], "the record afterwards")


async def mistakes_are_named(store: Probe) -> None:
    """No operations, several types in one call and malformed ones are a ConfigurationError."""
    key = fresh_key()
    fine = _remember(key)
    mistakes: list[tuple[Operation, ...]] = [
        (),
        (fine, Recall(key)),
        (Recall(key), Forget(key)),
        *((Recall(bad),) for bad in ("", "a b", "{a}", "a\n", "ä", "k" * 129)),
        (_remember(key, ttl=0),),
        (_remember(key, room=0),),
        (_remember(key, at=-_T0 - 1),),
        (_remember(key, _ring(b"a", tag=b"abc")),),
    ]
    for operations in mistakes:
        await store.refuses(ConfigurationError, *operations)
    same(await _recall(store, key), None, "the record afterwards")


async def reading_changes_nothing(store: Probe) -> None:
    """Recall of an unknown key is None; of a known one the record, which it does not change."""
    key, unknown = keys_of_one_slot(2)
    made = await _after(store, _remember(key, _ring(b"a"), _gap(_B)))
    for _ in range(2):
        same(list(await store.apply(Recall(key), Recall(unknown))), [made, None], "the replies")


async def forgetting_returns_the_record(store: Probe) -> None:
    """Forget deletes a record and returns it; None if there was none."""
    key, unknown, bystander = keys_of_one_slot(3)
    made = await _after(store, _remember(key, _ring(b"a")))
    await store.apply(_remember(bystander, _ring(b"a")))
    replies = await store.apply(Forget(key), Forget(unknown), Forget(key))
    same(list(replies), [made, None, None], "the replies, the third to the first key again")
    same(await _recall(store, key), None, "the record afterwards")
    same(await _recall(store, bystander), made, "the record next to it")


async def concurrent_calls_all_count(store: Probe) -> None:
    """Calls made at the same time are all counted, each of them once."""
    key = fresh_key()
    cells = (_ring(b"x", limit=200), CellUpdate(_B, "total", 0.0, 1.0))
    replies = [record_of(reply) for reply in await store.together(_remember(key, *cells))]
    calls = len(replies)
    same(sorted(r.count for r in replies), list(range(1, calls + 1)), "the counts in the replies")
    record = record_of(await _recall(store, key))
    same((record.count, record.cells[_A]), (calls, b"x" * calls), "the count and the ring")
    close(_TOTAL.decode(record.cells[_B]), float(calls), "the total")


async def the_store_has_a_clock(store: Probe) -> None:
    """Calls without a time get the store's own, which the gaps agree with."""
    key = fresh_key()
    calls = [record_of((await store.apply(_own_time(key)))[0]) for _ in range(2)]
    first, second = (record.last_ms for record in calls)
    hold(0 < first <= second, f"time was {first} ms, then {second} ms")
    gap = min(second - first, 65_535)
    same(list(_GAPS.decode(calls[1].cells[_A])), [65_535, gap], "the gaps")


async def random_calls_agree_with_the_reference(store: Probe) -> None:
    """Any sequence of calls gives the records of modelsec.stores.cells.remembered."""
    random = Random(20_260_101)  # noqa: S311 - a reproducible choice, not a secret
    keys = keys_of_one_slot(3)
    expected: dict[str, Record] = {}
    at = 0
    for step in range(100):
        at += random.choice((0, 1, 40, 3_000, 70_000, 130_000, -20, -200_000, -400_000))
        operations = [_random_call(random, random.choice(keys), at) for _ in range(1 + step % 3)]
        for operation, reply in zip(operations, await store.apply(*operations), strict=True):
            known = expected.get(operation.key)
            expected[operation.key] = remembered(known, operation, _T0 + at)
            _agree(record_of(reply), expected[operation.key], f"call {step}")
    for key in keys:
        _agree(record_of(await _recall(store, key)), expected[key], "the end")


CLAUSES: tuple[Clause, ...] = (
    every_operation_is_answered,
    calls_are_counted,
    a_ring_keeps_the_latest,
    gaps_are_measured,
    totals_add_and_decay,
    peaks_latch,
    bitmaps_fill,
    the_clock_never_runs_back,
    idle_records_start_afresh,
    unnamed_cells_are_kept,
    guests_leave_first,
    what_does_not_fit_is_refused,
    what_cannot_be_read_is_refused,
    calls_happen_whole_or_not_at_all,
    a_key_may_come_twice,
    mistakes_are_named,
    reading_changes_nothing,
    forgetting_returns_the_record,
    concurrent_calls_all_count,
    the_store_has_a_clock,
    random_calls_agree_with_the_reference,
)
"""Every clause, the simple ones first."""


def _remember(
    key: str, *cells: CellUpdate, at: int = 0, ttl: int = _HOUR_S, room: int = _ROOM
) -> Remember:
    return Remember(key, _T0 + at, ttl, room, cells)


def _own_time(key: str) -> Remember:
    return Remember(key, None, _HOUR_S, _ROOM, (_gap(),))


def _ring(payload: bytes, *, limit: int = 60, tag: bytes = _A) -> CellUpdate:
    return CellUpdate(tag, "ring", limit, payload)


def _gap(tag: bytes = _A) -> CellUpdate:
    return CellUpdate(tag, "gaps", _GAPS.limit, 0.0)


def _random_call(random: Random, key: str, at: int) -> Remember:
    cells = (
        CellUpdate(_A, "ring", 12, random.randbytes(random.choice((1, 4)))),
        CellUpdate(_B, "gaps", 6, 0.0),
        CellUpdate(_C, "total", 30.0, random.uniform(0, 10)),
        CellUpdate(_D, "peak", 0.0, random.gauss(0, 1e6)),
        CellUpdate(_E, "distinct", 32, float(random.randrange(256))),
    )
    named = random.sample(cells, random.randint(0, len(cells)))
    return _remember(key, *named, at=at, ttl=120)


async def _after(store: Probe, operation: Remember) -> Record:
    return record_of((await store.apply(operation))[0])


async def _recall(store: Probe, key: str) -> Reply:
    return (await store.apply(Recall(key)))[0]


async def _changes_nothing(store: Probe, keys: Sequence[str], *operations: Operation) -> None:
    recalls = [Recall(key) for key in keys]
    before = list(await store.apply(*recalls))
    await store.refuses(StoreError, *operations)
    same(list(await store.apply(*recalls)), before, "the record after the refusal")


def _agree(found: Record, expected: Record, where: str) -> None:
    same((found.count, found.last_ms), (expected.count, expected.last_ms), f"{where}: count, time")
    same(sorted(found.cells), sorted(expected.cells), f"{where}: the tags")
    for tag, value in expected.cells.items():
        if tag == _C:  # the powers of two libraries may differ in the last bit
            same(found.cells[tag][:6], value[:6], f"{where}: the total's time")
            close(_TOTAL.decode(found.cells[tag]), _TOTAL.decode(value), f"{where}: the total")
        elif tag == _D:
            same(float(found.cells[tag]), float(value), f"{where}: the peak")
        else:
            same(found.cells[tag], value, f"{where}: cell {tag!r}")
