"""Calls whose names lie in long runs of constants, where a fast reader is tempted to skip.

Every case is padded with half a mebibyte of harmless constants, before, between and after.
"""

import struct
from collections.abc import Iterator

from .case import Case, grouped, honest
from .opcodes import (
    DUP,
    ECHO,
    EMPTY_LIST,
    MARK,
    MEMOIZE,
    PAYLOAD,
    POP,
    POP_MARK,
    REDUCE,
    STACK_GLOBAL,
    STOP,
    SYSTEM,
    TUPLE,
    TUPLE1,
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
    text,
)
from .torch_files import MAGIC, SYSTEM_INFO, VERSION, storage, tensor

_ONES = b"K\1" * 20_000
_FILL = EMPTY_LIST + MARK + _ONES + b"e" + POP
_MUCH = _FILL * 6
_ACT = STACK_GLOBAL + ECHO + TUPLE1 + REDUCE


def runs() -> Iterator[Case]:
    """All of them."""
    yield from grouped("pickle machine", "9", _runs())
    yield from grouped("PyTorch", "5.2, 9", _legacy())


def _within(before: bytes, inside: bytes, after: bytes) -> bytes:
    """Put ``inside`` in the middle of one long list."""
    return before + EMPTY_LIST + MARK + _ONES + inside + _ONES + b"e" + POP + after


def _runs() -> Iterator[Case]:
    names = short("os") + put(1) + short("system") + put(2)
    long_names = (
        short("os")
        + b"r"
        + struct.pack("<I", 300)
        + short("system")
        + b"r"
        + struct.pack("<I", 301)
    )
    wide = b"j" + struct.pack("<I", 300) + b"j" + struct.pack("<I", 301)
    two = get(1) + get(2)
    cases = {
        "run-memo": _within(b"", names, two + _ACT),
        "run-memo-wide": _within(b"", long_names, wide + _ACT),
        "run-memo-nested": _within(b"", EMPTY_LIST + MARK + _ONES + names + b"e", two + _ACT),
        "run-memo-tuple": _within(b"", MARK + names + TUPLE, two + _ACT),
        "run-memo-dict": _within(b"", b"}(" + names + b"u", two + _ACT),
        "run-memo-overwritten": short("math")
        + put(1)
        + POP
        + short("sin")
        + put(2)
        + POP
        + _within(b"", names, two + _ACT),
        "run-memo-copied": names
        + POP
        + POP
        + _within(b"", get(1) + put(3) + get(2) + put(4), get(3) + get(4) + _ACT),
        "run-global-hidden": named("os", "system")
        + put(5)
        + POP
        + _within(b"", get(5) + put(6), get(6) + ECHO + TUPLE1 + REDUCE),
        "run-call-inside": _within(b"", SYSTEM, b"N"),
        "run-import-inside": _within(b"", named("os", "system"), b"N"),
        "run-then-operands": _MUCH + short("os") + short("system") + _ACT,
        "run-between-operands": short("os") + _MUCH + short("system") + _ACT,
        "run-before-argument": named("os", "system") + _MUCH + ECHO + TUPLE1 + REDUCE,
        "run-as-argument": named("os", "system")
        + EMPTY_LIST
        + MARK
        + _ONES
        + b"e"
        + TUPLE1
        + REDUCE,
        "run-popped-mark": MARK + _ONES + POP_MARK + short("os") + short("system") + _ACT,
        "run-odd-literal": _within(b"", b"I0x10\n", SYSTEM),
        "run-string-with-opcodes": _within(
            b"", blob(PAYLOAD) + b"U" + bytes((len(PAYLOAD),)) + PAYLOAD, SYSTEM
        ),
        "run-many-pops": short("os") + short("system") + (b"K\1" + POP) * 60_000 + _ACT,
        "run-dup": short("os") + DUP * 20_000 + POP * 20_000 + short("system") + _ACT,
    }
    for name, body in cases.items():
        yield Case(f"{name}.pkl", pickled(_MUCH + body + POP + _MUCH + b"N", 4))
    memoized = b"".join(
        short(word) + MEMOIZE for word in ["x"] * 40 + ["os", "system"] + ["y"] * 40
    )
    yield Case(
        "run-memoize.pkl",
        pickled(_MUCH + _within(b"", memoized, get(40) + get(41) + _ACT) + POP + _MUCH + b"N", 4),
    )
    inner = (
        EMPTY_LIST
        + MARK
        + _ONES
        + short("os")
        + MEMOIZE
        + short("system")
        + MEMOIZE
        + _ONES
        + b"e"
        + MEMOIZE
    )
    yield Case(
        "run-memoize-framed.pkl",
        proto(4) + framed(inner + get(0) + get(1) + _ACT + POP + _MUCH + b"N" + STOP),
    )
    yield Case(
        "run-frame-lie.pkl",
        proto(4)
        + framed(EMPTY_LIST + MARK + _ONES + short("x" * 60) + _ONES + b"e" + POP, 20_051)
        + _MUCH
        + SYSTEM
        + STOP,
    )
    yield honest("run-plain.pkl", pickled(_MUCH + _within(b"", names, two + b"\x86"), 4))
    yield honest("run-words.pkl", pickled(_MUCH + list_of(*[text("os"), text("system")] * 1000), 2))


def _legacy() -> Iterator[Case]:
    """A legacy checkpoint with hundreds of storages: key list and dict are long runs themselves."""
    count, raw = 400, struct.pack("<1024f", *range(1024))
    pairs = [
        (
            text(f"layer{n}.weight"),
            tensor(
                (32, 32),
                (32, 1),
                held=storage(key=str(94_897_552_464_208 + n), numel=1024, view=True),
            ),
        )
        for n in range(count)
    ]
    keys = [text(str(94_897_552_464_208 + n)) + put(n % 250) for n in range(count)]
    storages = (struct.pack("<q", 1024) + raw) * count
    head = MAGIC + VERSION + SYSTEM_INFO
    yield honest(
        "many-storages.pth", head + pickled(dict_of(*pairs)) + pickled(list_of(*keys)) + storages
    )
    yield Case(
        "many-storages-call.pth",
        head + pickled(dict_of(*pairs, (text("x"), SYSTEM))) + pickled(list_of(*keys)) + storages,
    )
    yield Case(
        "many-storages-key-call.pth",
        head + pickled(dict_of(*pairs)) + pickled(list_of(*keys, SYSTEM)) + storages,
    )
    yield Case(
        "many-storages-tail.pth",
        head + pickled(dict_of(*pairs)) + pickled(list_of(*keys)) + storages + PAYLOAD,
    )
    yield Case(
        "many-storages-beyond.pth",
        head
        + pickled(
            dict_of(
                *pairs,
                (
                    text("x"),
                    tensor(
                        (64, 64), (64, 1), held=storage(key="94897552464208", numel=1024, view=True)
                    ),
                ),
            )
        )
        + pickled(list_of(*keys))
        + storages,
        effect="reads beyond a storage",
    )
    yield honest(
        "number-dict.pth",
        head
        + pickled(dict_of(*pairs, (text("step"), number(3))))
        + pickled(list_of(*keys))
        + storages,
    )
