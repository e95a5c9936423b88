"""Skipping runs of constants says the same as reading them: on honest data, and on hostile ones."""

import pickle
import random
import struct

import pytest

from modelsec.scanning import ScanReport, Verdict, scan
from modelsec.scanning.pickle import reader, runs
from tests.scanning.support import assembler as asm

PADDING = asm.LIST + asm.MARK + b"K\x01" * 140_000 + asm.APPENDS + asm.POP
"""Enough for a pickle to be large."""
RUN_OF_NUMBERS = asm.MARK + b"K\x01" * 60 + asm.APPENDS


def exactly(data: bytes, monkeypatch: pytest.MonkeyPatch) -> ScanReport:
    with monkeypatch.context() as patch:
        patch.setattr(reader, "SKIPPING_SIZE", 1 << 60)
        return scan(data)


def told(report: ScanReport) -> set[tuple[str, str]]:
    return {
        (found.id, found.subject)
        for found in report.findings
        if found.id not in ("MS-PKL-018", "MS-PKL-016", "MS-PKL-017")
    }


def rows(seed: int, count: int = 9000) -> list[object]:
    chance = random.Random(seed)  # noqa: S311 - a test's choice
    names = [f"column {number}" for number in range(8)]
    made: list[object] = []
    for number in range(count):
        row = {name: chance.choice([number, chance.random(), "text", None, True]) for name in names}
        made.append(chance.choice([row, list(row.values()), tuple(row.values()), [row, row]]))
    return made


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_honest_tables_are_safe_with_and_without_skipping(
    protocol: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames, memo entries and shared rows included."""
    data = pickle.dumps(rows(seed), protocol)
    assert len(data) > reader.SKIPPING_SIZE
    assert scan(data).verdict is exactly(data, monkeypatch).verdict is Verdict.DATA_ONLY


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_a_call_spliced_in_anywhere_is_found(
    protocol: int, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within a run, behind it, and at the end."""
    chance = random.Random(seed)  # noqa: S311
    plain = pickle.dumps(rows(seed), protocol)
    # An opcode boundary that both readings agree on: in front of a BININT1 or of STOP.
    content = plain[:2] + b"".join(_unframed(plain)) if protocol == 4 else plain
    places = [at for at, code in _offsets(content) if code == "BININT1"]
    at = chance.choice([*places, len(content) - 1])
    data = content[:at] + asm.call("inert", "sink") + asm.POP + content[at:]
    skipped, exact = scan(data), exactly(data, monkeypatch)
    assert told(skipped) == told(exact)
    assert ("MS-PKL-003", "inert:sink") in told(skipped)


def _offsets(data: bytes) -> list[tuple[int, str]]:
    import pickletools  # noqa: PLC0415 - an oracle, of a pickle that this test has written

    return [(at or 0, opcode.name) for opcode, _, at in pickletools.genops(data)]


def _unframed(data: bytes) -> list[bytes]:
    found = _offsets(data)
    ends = [at for at, _ in found[1:]] + [len(data)]
    return [
        data[at:end]
        for (at, name), end in zip(found, ends, strict=True)
        if name not in ("FRAME", "PROTO")
    ]


def fetched_after(head: bytes, run: bytes, fetch: bytes) -> bytes:
    """A call of ``<fetched>.OrderedDict`` after a run, in a large pickle."""
    called = fetch + asm.text("OrderedDict") + asm.STACK_GLOBAL + asm.EMPTY_TUPLE + asm.REDUCE
    return head + asm.LIST + run + asm.POP + called + PADDING + asm.STOP


REPLACED = {
    "BINPUT": fetched_after(
        asm.PROTO2 + asm.text("collections") + asm.put(1) + asm.POP,
        asm.MARK + b"K\x01" * 60 + asm.text("inert") + asm.put(1) + asm.APPENDS,
        asm.get(1),
    ),
    "LONG_BINPUT": fetched_after(
        asm.PROTO2 + asm.text("collections") + asm.put(300) + asm.POP,
        asm.MARK + b"K\x01" * 60 + asm.text("inert") + asm.put(300) + asm.APPENDS,
        asm.get(300),
    ),
    "MEMOIZE": fetched_after(
        asm.PROTO4 + asm.text("collections") + asm.put(50) + asm.POP,
        asm.MARK + (asm.text("inert") + asm.MEMOIZE) * 90 + asm.APPENDS,
        asm.get(50),
    ),
    "set in a run": fetched_after(
        asm.PROTO2,
        asm.MARK + b"K\x01" * 60 + asm.text("inert") + asm.put(7) + asm.APPENDS,
        asm.get(7),
    ),
    "MEMOIZE in a run": fetched_after(
        asm.PROTO4,
        asm.MARK + (asm.text("inert") + asm.MEMOIZE) * 90 + asm.APPENDS,
        asm.get(60),
    ),
}


@pytest.mark.parametrize("data", REPLACED.values(), ids=REPLACED)
def test_a_name_that_a_run_puts_into_the_memo_is_the_name_imported(data: bytes) -> None:
    """An entry known before is not believed after a run that may have replaced it."""
    assert ("MS-PKL-001", "inert:OrderedDict") in told(scan(data))


NAMESPACE = asm.name("argparse", "Namespace") + asm.EMPTY_TUPLE + asm.NEWOBJ
ATTRIBUTES = b"".join(asm.text(f"a{number}") + asm.NONE for number in range(30))
FILLED_BY_A_RUN = {
    "state": NAMESPACE
    + asm.EMPTY_DICT
    + asm.MARK
    + ATTRIBUTES
    + asm.text("__class__")
    + asm.NONE
    + asm.SETITEMS
    + asm.BUILD,
    "state fetched from a run": asm.LIST
    + asm.MARK
    + b"K\x01" * 60
    + asm.EMPTY_DICT
    + asm.put(9)
    + asm.MARK
    + asm.text("__class__")
    + asm.NONE
    + asm.SETITEMS
    + asm.APPENDS
    + asm.POP
    + NAMESPACE
    + asm.get(9)
    + asm.BUILD,
    "state changed within a run": asm.EMPTY_DICT
    + asm.put(9)
    + asm.POP
    + asm.LIST
    + asm.MARK
    + b"K\x01" * 60
    + asm.get(9)
    + asm.MARK
    + asm.text("__class__")
    + asm.NONE
    + asm.SETITEMS
    + asm.APPENDS
    + asm.POP
    + NAMESPACE
    + asm.get(9)
    + asm.BUILD,
}


@pytest.mark.parametrize("stream", FILLED_BY_A_RUN.values(), ids=FILLED_BY_A_RUN)
def test_a_state_is_read_though_a_run_filled_it(stream: bytes) -> None:
    """Attributes that matter do not hide in what was skipped."""
    report = scan(asm.PROTO2 + stream + PADDING + asm.STOP)
    assert ("MS-PKL-024", "argparse:Namespace") in told(report)


def test_an_object_that_a_run_fills_is_judged() -> None:
    """A run that fetches an object from the memo and puts items into it is not skipped."""
    filled = asm.MARK + b"K\x01" * 60 + asm.get(3) + asm.MARK + asm.text("k") + asm.NONE
    stream = NAMESPACE + asm.put(3) + asm.POP + asm.LIST + filled + asm.SETITEMS + asm.APPENDS
    called = asm.POP + asm.call("collections", "OrderedDict")
    report = scan(asm.PROTO2 + stream + called + PADDING + asm.STOP)
    assert ("MS-PKL-008", "argparse:Namespace") in told(report)


def test_hooks_that_a_run_fills_are_hooks() -> None:
    """An ordered dict is not empty because its items were skipped."""
    hooks = asm.call("collections", "OrderedDict") + asm.MARK + ATTRIBUTES * 2 + asm.SETITEMS
    sizes = asm.MARK + b"K\x01" + asm.TUPLE
    tensor = asm.call(
        "torch._utils", "_rebuild_tensor_v2", asm.NONE, b"K\0", sizes, sizes, b"\x89", hooks
    )
    report = scan(asm.PROTO2 + tensor + PADDING + asm.STOP)
    assert ("MS-PKL-005", "torch._utils:_rebuild_tensor_v2") in told(report)


def test_a_memo_bomb_behind_a_run_is_dangerous() -> None:
    """That runs may have set entries does not make two thousand million of them plausible."""
    stream = asm.LIST + asm.MARK + b"K\x01q\x07" * 60 + asm.APPENDS
    bomb = b"r" + struct.pack("<I", 0x7FFFFFFF)
    assert scan(asm.PROTO2 + stream + bomb + PADDING + asm.STOP).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("cut", [3, 40, 100])
def test_a_frame_that_ends_within_a_run_is_dangerous(cut: int) -> None:
    """Frames are checked in runs as everywhere."""
    run = asm.LIST + asm.MARK + asm.number(7) * 40 + asm.APPENDS
    framed = asm.frame(run, 2 + 5 * (cut // 5) + 2)
    report = scan(asm.PROTO4 + framed + asm.POP + PADDING + asm.STOP)
    assert ("MS-PKL-014", "") in told(report)


def test_the_memo_uses_of_a_run_are_told_apart_from_bytes_in_texts() -> None:
    """Indices are read opcode by opcode."""
    body = (
        asm.MARK
        + asm.text("hqjr")
        + asm.get(5)
        + asm.put(300)
        + b"C\x02h\x01"
        + asm.get(700)
        + b"e"
    )
    assert list(runs.memo_uses(body)) == [(5, False), (300, True), (700, False)]


def test_the_count_of_memoize_is_exact() -> None:
    """The byte 0x94 in numbers and texts does not count."""
    body = asm.MARK + b"K\x94" + b"\x94" + asm.data(b"")[:0] + b"C\x01\x94" + b"\x94" + b"e"
    assert runs.count_memoizes(body) == 2
