"""The scanner against CPython's own unpicklers, on generated streams of inert names."""

import json
import pickle
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelsec.errors import printable
from modelsec.scanning import ScanReport, scan
from tests.scanning.support import assembler as asm

ORACLE = Path(__file__).with_name("oracle.py")


class Oracle:
    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(ORACLE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def effects(self, stream: bytes) -> tuple[set[str], dict[str, str]]:
        """Return what any unpickler did, and how each ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(stream.hex() + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        done = {effect for reader in answer.values() for effect in reader["effects"]}
        return done, {label: reader["error"] for label, reader in answer.items()}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    started = Oracle()
    yield started
    started.close()


def imports(report: ScanReport) -> set[str]:
    return {finding.subject for finding in report.findings if finding.operation == "import"}


def check(oracle: Oracle, stream: bytes) -> None:
    """Everything that a real unpickler did is in the report."""
    effects, _ = oracle.effects(stream)
    report = scan(stream)
    if not effects:
        return
    assert not report.safe, (stream, effects)
    reached = {
        printable(effect.removeprefix("import:"))
        for effect in effects
        if effect.startswith("import")
    }
    if any(finding.id == "MS-PKL-009" for finding in report.findings):
        return  # an extension code stands for any name
    assert reached <= imports(report), (stream, report.findings)


TEXTS = ["inert", "sink", "Recorder", "os.sink", "x", "", "é"]
LITERALS = [
    b"I1\n", b"I01\n", b"I0x10\n", b"I010\n", b"I12\0junk\n", b"I+1\n", b"I 1\n", b"I1_0\n",
    b"L1L\n", b"L0b1L\n", b"L1\0L\n", b"F1\n", b"F 1\n", b"F1_0.0\n", b"F1e400\n", b"F1\0x\n",
    b"S'a'\n", b"S'in\\x65rt'\n", b"S'a'b'\n", b'S"q"\n', b"S'\xe9'\n", b"V\\u0069nert\n",
    b"Vsink\n", b"U\x04sink", b"T\x05\0\0\0inert", b"X\x05\0\0\0inert", b"K\x01", b"M\1\0",
    b"J\1\0\0\0", b"G" + b"\0" * 8, b"N", b"\x88", b"\x89", b"\x8a\x01\x01", b"\x8b\1\0\0\0\1",
    b"C\1a", b"B\1\0\0\0a", b"\x8e\1" + b"\0" * 7 + b"a", b"\x96\1" + b"\0" * 7 + b"a",
    b"\x8d\x04" + b"\0" * 7 + b"sink",
]  # fmt: skip
PLAIN = [
    asm.MARK, asm.POP, asm.POP_MARK, asm.DUP, asm.REDUCE, asm.BUILD, asm.APPEND, asm.APPENDS,
    asm.SETITEM, asm.SETITEMS, asm.LIST, asm.DICT, asm.TUPLE, asm.EMPTY_TUPLE, asm.EMPTY_DICT,
    asm.TUPLE1, asm.TUPLE2, asm.TUPLE3, asm.NEWOBJ, asm.NEWOBJ_EX, asm.OBJ, asm.STACK_GLOBAL,
    asm.MEMOIZE, asm.EMPTY_SET, asm.ADDITEMS, asm.FROZENSET, b"l", b"\x98", b"\x82\x07",
    asm.name("inert", "sink"), asm.name("inert", "Recorder"), asm.name("inert", "os.sink"),
    b"iinert\nsink\n", b"iinert\nRecorder\n", asm.PROTO2, asm.PROTO4, b"\x80\x00", b"\x80\x05",
    b"q\0", b"q\1", b"r\2\0\0\0", b"h\0", b"h\1", b"j\2\0\0\0", b"p0\n", b"g0\n", b"g00\n",
    b"g 1 \n", b"p+1\n", b"\x95" + b"\x04" + b"\0" * 7, b"\x95" + b"\0" * 8, b"\x97",
]  # fmt: skip
GADGETS = [
    asm.text("inert") + asm.text("sink") + asm.STACK_GLOBAL + asm.EMPTY_TUPLE + asm.REDUCE,
    asm.text("inert") + asm.MEMOIZE + asm.POP + asm.text("sink"),
    asm.call("inert", "sink"),
    asm.name("inert", "Recorder") + asm.EMPTY_TUPLE + asm.NEWOBJ,
    asm.MARK + asm.name("inert", "sink") + asm.OBJ,
    asm.EMPTY_DICT + asm.MARK + asm.text("k") + asm.call("inert", "sink") + asm.SETITEMS,
]
FRAGMENTS = st.one_of(
    st.sampled_from(PLAIN),
    st.sampled_from(LITERALS),
    st.sampled_from(GADGETS),
    st.sampled_from([asm.text(value) for value in TEXTS]),
)
many = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@many
@given(st.lists(FRAGMENTS, max_size=14), st.sampled_from([b"", asm.PROTO2, asm.PROTO4]))
def test_what_real_unpicklers_do_with_random_opcodes_is_reported(
    oracle: Oracle, fragments: list[bytes], head: bytes
) -> None:
    """An effect in any unpickler is never a safe report, and its import is in the findings."""
    check(oracle, head + b"".join(fragments) + asm.STOP)


@many
@given(st.lists(st.sampled_from(GADGETS + LITERALS), min_size=1, max_size=6), st.data())
def test_what_real_unpicklers_do_before_a_break_is_reported(
    oracle: Oracle, fragments: list[bytes], chosen: st.DataObject
) -> None:
    """Streams that are cut, mutated or end in rubbish have run up to there."""
    stream = bytearray(asm.PROTO4 + b"".join(fragments) + asm.STOP)
    position = chosen.draw(st.integers(0, len(stream) - 1))
    how = chosen.draw(st.sampled_from(["cut", "change", "insert", "delete"]))
    if how == "cut":
        del stream[position:]
    elif how == "change":
        stream[position] = chosen.draw(st.integers(0, 255))
    elif how == "insert":
        stream[position:position] = chosen.draw(st.binary(min_size=1, max_size=4))
    else:
        del stream[position]
    check(oracle, bytes(stream))


@many
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(st.text(), inner)
            | st.tuples(inner, inner)
            | st.sets(st.integers())
            | st.frozensets(st.text())
        ),
        max_leaves=30,
    ),
    st.integers(0, 5),
)
def test_what_pickle_writes_of_plain_data_is_safe(value: object, protocol: int) -> None:
    """Builtin containers and scalars, every protocol: complete, and nothing but data or core."""
    report = scan(pickle.dumps(value, protocol))
    assert report.safe, report.findings
    assert report.format == "pickle"


@pytest.mark.parametrize("seed", range(8))
def test_every_tail_of_a_gadget_is_judged(oracle: Oracle, seed: int) -> None:
    """A call after thousands of entries is found, whatever the entries are."""
    chance = random.Random(seed)  # noqa: S311 - a test's choice
    entries = [{"a": chance.random(), "b": [chance.randint(0, 9)] * 3} for _ in range(6000)]
    body = pickle.dumps(entries, chance.choice([2, 4]))[:-1]
    check(oracle, body + asm.call("inert", "sink") + asm.STOP)
