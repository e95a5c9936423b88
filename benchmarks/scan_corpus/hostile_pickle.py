"""Pickle streams: tricks with the machine that reads them, bombs, and honest streams."""

import pickle
import struct
from collections.abc import Iterator

from .case import Case, grouped, honest
from .opcodes import (
    APPEND,
    DUP,
    ECHO,
    EMPTY_LIST,
    EMPTY_TUPLE,
    HARMLESS,
    MARK,
    MEMOIZE,
    NONE,
    OBJ,
    PAYLOAD,
    POP,
    POP_MARK,
    REDUCE,
    STACK_GLOBAL,
    STOP,
    SYSTEM,
    TUPLE1,
    TUPLE2,
    blob,
    dict_of,
    framed,
    get,
    list_of,
    named,
    number,
    pickled,
    proto,
    put,
    short,
    stacked,
    text,
)

_ACT = SYSTEM + POP  # the call is made, its result thrown away


_PLAIN = dict_of((text("epoch"), number(3)))


def tricks() -> Iterator[Case]:
    """Streams whose reading, not whose names, is the difficulty."""
    for part in (_literals, _operands, _memo, _frames, _endings):
        yield from grouped("pickle machine", "4.1, 4.5", part())


def _literals() -> Iterator[Case]:
    """Text arguments that one reader converts and another refuses, before a call."""
    for name, opcode in {
        "int-base-16": b"I0x10\n",
        "int-base-8": b"I0o17\n",
        "int-base-2": b"I0b11\n",
        "long-base-16": b"L0x10L\n",
        "int-octal": b"I010\n",
        "int-nul": b"I12\0junk\n",
        "long-nul": b"L1\0L\n",
        "float-nul": b"F1\0x\n",
        "int-plus": b"I+1\n",
        "float-blank": b"F 1\n",
        "float-underscore": b"F1_0.0\n",
        "float-huge": b"F1e400\n",
        "string-not-ascii": b"S'\xc3\xa9'\n",
        "string-inner-quote": b"S'a'b'\n",
        "binstring-not-ascii": b"U\2\xc3\xa9",
        "unicode-surrogate": b"V\\ud800\n",
    }.items():
        yield Case(f"{name}.pkl", opcode + POP + SYSTEM + STOP)
        yield Case(f"{name}-protocol2.pkl", pickled(opcode + POP + SYSTEM))


def _operands() -> Iterator[Case]:
    """The two names of an import, delivered in every way that the machine allows."""
    module, name = short("os"), short("system")
    build = lambda a, b: pickled(a + b + STACK_GLOBAL + ECHO + TUPLE1 + REDUCE, 4)  # noqa: E731
    yield Case("operands-dup.pkl", build(module + DUP + POP, name))
    yield Case("operands-pop-between.pkl", build(module, short("decoy") + POP + name))
    yield Case("operands-mark-between.pkl", build(module, MARK + short("a") + POP_MARK + name))
    yield Case(
        "operands-memo.pkl",
        pickled(
            module
            + put(0)
            + POP
            + name
            + put(1)
            + POP
            + short("math")
            + POP
            + short("floor")
            + POP
            + get(0)
            + get(1)
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case(
        "operands-long-get.pkl",
        pickled(
            module
            + b"r"
            + struct.pack("<I", 300)
            + POP
            + name
            + b"p301\n"
            + POP
            + b"j"
            + struct.pack("<I", 300)
            + b"g301\n"
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case("operands-string-escape.pkl", build(b"S'\\x6f\\163'\n", b'S"sys\\x74em"\n'))
    yield Case("operands-unicode-escape.pkl", build(b"V\\u006fs\n", b"Vsyste\\u006d\n"))
    yield Case("operands-binstring.pkl", build(b"U\2os", b"T\6\0\0\0system"))
    yield Case(
        "operands-binunicode8.pkl",
        build(b"\x8d" + struct.pack("<Q", 2) + b"os", b"\x8d" + struct.pack("<Q", 6) + b"system"),
    )
    yield Case(
        "operands-get-blank.pkl",
        pickled(
            module
            + b"p0\n"
            + POP
            + name
            + b"p1\n"
            + POP
            + b"g 0 \ng00001\n"
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case("inst.pkl", MARK + ECHO + b"ios\nsystem\n" + STOP)
    yield Case("obj.pkl", pickled(MARK + named("os", "system") + ECHO + OBJ, 1))
    yield Case("protocol0.pkl", b"cos\nsystem\n(S'echo inert'\ntR.")
    yield Case("no-proto.pkl", named("os", "system") + ECHO + TUPLE1 + REDUCE + STOP)
    yield Case(
        "proto-late.pkl",
        pickled(_PLAIN + POP + proto(4) + stacked("os", "system") + ECHO + TUPLE1 + REDUCE),
    )


def _memo() -> Iterator[Case]:
    """Memo entries that a careless model of the memo resolves to something else."""
    yield Case(
        "memoize-after-pop.pkl",
        pickled(
            short("decoy")
            + MEMOIZE
            + POP
            + short("os")
            + MEMOIZE
            + POP
            + short("system")
            + MEMOIZE
            + POP
            + get(1)
            + get(2)
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case(
        "memoize-sparse.pkl",
        pickled(
            short("x")
            + put(9)
            + POP
            + short("os")
            + MEMOIZE
            + POP
            + short("system")
            + put(2)
            + POP
            + get(1)
            + get(2)
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case(
        "memo-overwritten.pkl",
        pickled(
            short("math")
            + put(0)
            + POP
            + short("os")
            + put(0)
            + POP
            + get(0)
            + short("system")
            + STACK_GLOBAL
            + ECHO
            + TUPLE1
            + REDUCE,
            4,
        ),
    )
    yield Case(
        "memo-global.pkl",
        pickled(
            named("os", "system") + put(7) + POP + _PLAIN + POP + get(7) + ECHO + TUPLE1 + REDUCE
        ),
    )
    carried = pickled(short("os") + put(0) + short("system") + put(1), 4)
    second = proto(4) + get(0) + get(1) + STACK_GLOBAL + ECHO + TUPLE1 + REDUCE + STOP
    yield Case("memo-across-streams.pkl", carried + second, dangerous=False)


def _frames() -> Iterator[Case]:
    """Frames that lie."""
    act = stacked("os", "system") + ECHO + TUPLE1 + REDUCE + STOP
    yield Case("frame-beyond-end.pkl", proto(4) + framed(act, len(act) + 100))
    yield Case("frame-too-short.pkl", proto(4) + framed(act, 3))
    yield Case("frame-in-argument.pkl", proto(4) + framed(short("abcdefgh") + POP, 5) + act)
    yield Case("frame-nested.pkl", proto(4) + framed(framed(act)))
    yield Case(
        "frame-hides-stream.pkl",
        proto(4) + framed(blob(act) + POP, 5) + short("x") + STOP,
        dangerous=True,
    )
    yield Case("frame-huge.pkl", proto(4) + framed(act, (1 << 63) - 1))
    yield Case(
        "frame-only-lie.pkl",
        proto(4) + framed(short("abcd") + STOP, 4),
        dangerous=False,
        effect="two readers of the same bytes disagree",
    )


def _endings() -> Iterator[Case]:
    """The call is made before the stream breaks, or after it seems to end."""
    yield Case("no-stop.pkl", proto(2) + SYSTEM)
    yield Case("bad-opcode.pkl", proto(2) + SYSTEM + b"\xff\xff")
    yield Case("missing-memo-key.pkl", proto(2) + _ACT + get(99) + STOP)
    yield Case("cut-string.pkl", proto(2) + _ACT + b"X\xff\0\0\0abc")
    yield Case("underflow.pkl", proto(2) + _ACT + POP + POP + POP + STOP)
    yield Case("bad-utf8.pkl", proto(2) + _ACT + b"X\2\0\0\0\xff\xfe" + STOP)
    yield Case("bad-protocol.pkl", proto(2) + _ACT + proto(200) + STOP)
    yield Case("second-stream.pkl", HARMLESS + PAYLOAD)
    yield Case("fifth-stream.pkl", HARMLESS * 4 + PAYLOAD)
    yield Case("after-zeros.pkl", HARMLESS + b"\0" * 64 + PAYLOAD, dangerous=False)
    yield Case("after-text.pkl", HARMLESS + b"# a comment\n" + PAYLOAD, dangerous=False)
    yield Case("distant.pkl", pickled(list_of(*[number(n) for n in range(200_000)]) + POP + SYSTEM))
    yield Case("popped.pkl", pickled(_ACT + _PLAIN))
    yield Case("popped-mark.pkl", pickled(MARK + SYSTEM + POP_MARK + _PLAIN))
    yield Case("in-ignored-key.pkl", pickled(dict_of((text("a"), number(1)), (text("_"), SYSTEM))))
    yield Case("under-the-result.pkl", pickled(SYSTEM + _PLAIN))
    yield Case(
        "random-tail.pkl",
        HARMLESS + bytes(range(7, 256, 3)),
        dangerous=False,
        effect="bytes that no loader explains",
    )


def bombs() -> Iterator[Case]:
    """Small streams that cost much."""
    yield from grouped("resource exhaustion", "8", _bombs())


def _bombs() -> Iterator[Case]:
    doubling = EMPTY_LIST + b"".join(
        put(n) + EMPTY_LIST + get(n) + APPEND + get(n) + APPEND for n in range(60)
    )
    exhausts = {"effect": "exhausts memory or time"}
    yield Case("memo-index.pkl", pickled(NONE + b"r\xff\xff\xff\x7f"), **exhausts)
    yield Case("memo-index-text.pkl", pickled(NONE + b"p2147483647\n"), **exhausts)
    yield Case("doubling-list.pkl", pickled(doubling), **exhausts)
    doubled = EMPTY_TUPLE + b"".join(DUP + TUPLE2 for _ in range(60))
    yield Case("doubling-tuple.pkl", pickled(doubled), **exhausts)
    yield Case(
        "nested-lists.pkl",
        pickled(EMPTY_LIST * 100_000 + APPEND * 99_999),
        effect="overflows the stack of whoever walks it",
        dangerous=False,
    )
    yield Case(
        "nested-tuples.pkl",
        pickled(EMPTY_TUPLE + TUPLE1 * 200_000),
        effect="overflows the stack of whoever walks it",
        dangerous=False,
    )
    declared = {"effect": "allocates what it declares", "dangerous": False}
    for name, opcode in {
        "binbytes8": b"\x8e" + struct.pack("<Q", 1 << 40),
        "bytearray8": b"\x96" + struct.pack("<Q", 1 << 40),
        "binunicode8": b"\x8d" + struct.pack("<Q", (1 << 63) - 1),
        "long4": b"\x8b" + struct.pack("<i", (1 << 31) - 1),
        "long4-negative": b"\x8b" + struct.pack("<i", -1),
        "binstring-negative": b"T" + struct.pack("<i", -1),
    }.items():
        yield Case(f"declares-{name}.pkl", proto(5) + opcode + b"abc" + STOP, **declared)


def alike() -> Iterator[Case]:
    """The same encodings without the trick."""
    yield from grouped("pickle", "4, 14", _alike())


def _alike() -> Iterator[Case]:
    values = {
        "scalars": {"a": 1, "b": 2.5, "c": None, "d": True, "e": "x" * 300, "f": 1 << 70},
        "vocabulary": {
            w: n
            for n, w in enumerate(
                [
                    "os.system",
                    "eval",
                    "exec",
                    "subprocess",
                    "cos\nsystem\n",
                    "__import__('os')",
                    "é",
                ]
            )
        },
        "nested": [{"layers": [(1, 2), (3,), ()], "set": {1, 2}, "frozen": frozenset("ab")}] * 3,
        "bytes": {"raw": bytes(range(256)), "magic": b"MZ\x7fELFPK\3\4"},
    }
    for name, value in values.items():
        for protocol in range(6):
            yield honest(f"{name}-protocol{protocol}.pkl", pickle.dumps(value, protocol))
    yield honest("many-streams.pkl", b"".join(pickle.dumps(n, 2) for n in range(5)))
    yield honest(
        "several-frames.pkl",
        proto(4) + framed(EMPTY_LIST + short("a") + APPEND) + framed(short("b") + APPEND + STOP),
    )
    yield honest("memo-reused.pkl", pickle.dumps([("os", "system")] * 5, 4))
    yield honest("get-reused.pkl", pickled(text("a") + put(0) + get(0) + TUPLE2))
    yield honest("long-list.pkl", pickle.dumps(list(range(200_000)), 2))
    yield honest("duplicated.pkl", pickled(number(7) + DUP + TUPLE2))
