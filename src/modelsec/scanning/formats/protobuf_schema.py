"""Messages by schema: which fields of a protocol buffer are messages, and what of them matters.

A schema is data: for each kind of message the field numbers, with as little said about them as the
walk needs. The walk is iterative, bounded in depth, and keeps next to nothing.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from modelsec.errors import ResourceLimitError
from modelsec.scanning.formats.protobuf import (
    BYTES,
    DEPTH,
    FIXED32,
    FIXED64,
    MORE,
    VARINT,
    Range,
    Reader,
    varint,
)

KEPT = 100_000
"""Values of one message that are kept, and pieces into which one message may be split."""

_SMALL = 4096  # bytes of a message that is worth a look that may be in vain
_BATCH = 4096  # steps between two questions to the budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a schema writes down one kind of message, by field numbers.

    Attributes:
        ints, texts, fixed32, fixed64: single or repeated values that need no look.
        numbers: repeated numbers, packed or not: any wire type will do.
        one: nested messages that occur once; if there are several, parsers merge them.
        many: nested messages that occur any number of times.
        keep: values that the event is to tell: integers, or ranges of texts and messages.
        leaf: texts that are an event of their own, for they may be many; by field number, the
            name of the event.
        event: report each message of this kind; implied by ``keep``.
    """

    ints: tuple[int, ...] = ()
    texts: tuple[int, ...] = ()
    fixed32: tuple[int, ...] = ()
    fixed64: tuple[int, ...] = ()
    numbers: tuple[int, ...] = ()
    one: Mapping[int, str] = field(default_factory=dict)
    many: Mapping[int, str] = field(default_factory=dict)
    keep: tuple[int, ...] = ()
    leaf: Mapping[int, str] = field(default_factory=dict)
    event: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A kind of message, ready for the walk.

    Attributes:
        name: as in the schema.
        table: by tag, the kind of message to walk, the name of a leaf, or None for a plain value.
        merged: tags of nested messages that a parser merges.
        kept: tags whose values the event tells.
        event: whether the walk reports messages of this kind.
    """

    name: str
    table: "dict[int, Kind | str | None]"
    merged: frozenset[int]
    kept: frozenset[int]
    event: bool


def schema(shapes: Mapping[str, Shape]) -> dict[str, Kind]:
    """Return the kinds that the shapes describe."""
    kinds = {}
    for name, shape in shapes.items():
        kept = {number << 3 | BYTES for number in shape.keep}
        kept |= {number << 3 for number in shape.keep if number in shape.ints}
        merged = frozenset(number << 3 | BYTES for number in shape.one)
        kinds[name] = Kind(name, {}, merged, frozenset(kept), shape.event or bool(shape.keep))
    for name, shape in shapes.items():
        table = kinds[name].table
        for wire, numbers in (
            (VARINT, shape.ints + shape.numbers),
            (BYTES, shape.texts + shape.numbers),
            (FIXED32, shape.fixed32 + shape.numbers),
            (FIXED64, shape.fixed64 + shape.numbers),
        ):
            table.update((number << 3 | wire, None) for number in numbers)
        for nested in (shape.one, shape.many):
            table.update((number << 3 | BYTES, kinds[kind]) for number, kind in nested.items())
        table.update((number << 3 | BYTES, leaf) for number, leaf in shape.leaf.items())
    return kinds


@dataclass(frozen=True, slots=True)
class Message:
    """A message whose fields have all been seen; the messages within it came before.

    Attributes:
        kind: name in the schema, or of the leaf.
        start: offset of its first field, or of the text.
        parent: offset of the first field of the message that holds it.
        kept: by field number, integers (with the offset behind them) or ranges [start, stop);
            of a leaf, field 0 is its range.
    """

    kind: str
    start: int
    parent: int
    kept: dict[int, list[tuple[int, int]]]

    def integer(self, number: int) -> int:
        """Return the last value of an integer field: it is the one that counts; 0 if absent."""
        values = self.kept.get(number)
        return values[-1][0] if values else 0


@dataclass(slots=True)
class Unknown:
    """Fields that the schema does not have, by kind and number: offset of the first, and count."""

    seen: dict[tuple[str, int], tuple[int, int]] = field(default_factory=dict)

    def add(self, kind: str, tag: int, offset: int) -> None:
        """Count a field."""
        key = (kind, tag >> 3)
        first, count = self.seen.get(key, (offset, 0))
        if not count and len(self.seen) >= _BATCH:
            raise ResourceLimitError(f"more than {_BATCH} kinds of field that the schema lacks")
        self.seen[key] = (first, count + 1)


class _Frame:
    """A message on the way: what is left of it, and what was kept."""

    __slots__ = ("fields", "kept", "kind", "later", "parent", "pieces", "start")

    def __init__(self, kind: Kind, pieces: list[Range], parent: int, reader: Reader) -> None:
        self.kind = kind
        self.start = pieces[0][0]
        self.parent = parent
        self.fields = reader.fields(*pieces[0])
        self.pieces = pieces[:0:-1]
        self.kept: dict[int, list[tuple[int, int]]] = {}
        self.later: dict[int, list[Range]] = {}


def walk(reader: Reader, kind: Kind, pieces: list[Range], unknown: Unknown) -> Iterator[Message]:
    """Yield every message of a kind that asks for an event, the inner ones first.

    Args:
        reader: of the source.
        kind: of the outermost message.
        pieces: ranges of the outermost message, in order.
        unknown: takes what the schema does not have.

    Raises:
        MalformedArtifactError: no parser would accept the bytes.
        ResourceLimitError: too deep, too many pieces, or the budget is used up.
    """
    stack = [_Frame(kind, pieces, pieces[0][0], reader)]
    left = _BATCH
    while stack:
        left -= 1
        if not left:
            reader.budget.opcodes(_BATCH)
            left = _BATCH
        frame = stack[-1]
        inner = _advance(frame, unknown, reader) or _deferred(frame, reader)
        if inner is None:
            stack.pop()
            if frame.kind.event:
                yield Message(frame.kind.name, frame.start, frame.parent, frame.kept)
            continue
        nested, ranges = inner
        if isinstance(nested, str):
            yield Message(nested, ranges[0][0], frame.start, {0: ranges})
        elif nested is not None:
            if len(stack) >= DEPTH:
                offset = ranges[0][0]
                raise ResourceLimitError(f"messages nested more than {DEPTH} deep at {offset}")
            stack.append(_Frame(nested, ranges, frame.start, reader))


_Inner = tuple[Kind | str | None, list[Range]]


def _advance(frame: _Frame, unknown: Unknown, reader: Reader) -> _Inner | None:
    """Pass over fields up to the next message or leaf; None at the end of the piece."""
    kind = frame.kind
    table, kept = kind.table, kind.kept
    for tag, value, after in frame.fields:
        if tag in kept:
            _keep(frame.kept, tag >> 3, value, after)
        try:
            action = table[tag]
        except KeyError:
            if tag not in kept:
                unknown.add(kind.name, tag, value if tag & 7 else after)
            continue
        if action is None or after == value:
            continue
        if isinstance(action, Kind) and not action.event and _fits(reader, action, value, after):
            continue
        if tag in kind.merged:
            _keep(frame.later, tag, value, after)
        else:
            return action, [(value, after)]
    return None


def _fits(reader: Reader, kind: Kind, start: int, stop: int) -> bool:
    """Whether a small message holds nothing that is unknown or to be reported: a fast look.

    False says nothing: the message is then to be walked, which finds out what is there.
    """
    if stop - start > _SMALL:
        return False
    held = reader.held(start, stop)
    if held is None:
        return False
    data, position = held
    try:
        return _all_known(data, position, position + stop - start, kind.table)
    except IndexError:
        return False


def _all_known(  # noqa: C901, PLR0912 - one loop without calls, for it meets most fields
    data: bytes, position: int, end: int, table: "dict[int, Kind | str | None]"
) -> bool:
    """Look at a message and all within it in one pass, without an object for each."""
    outer: list[tuple[int, dict[int, Kind | str | None]]] = []
    while True:
        while position < end:
            tag = data[position]
            position += 1
            if tag >= MORE:
                tag, position = varint(data, position - 1, 5)
            action = table.get(tag, "")
            wire = tag & 7
            if wire == BYTES:
                length = data[position]
                position += 1
                if length >= MORE:
                    length, position = varint(data, position - 1, 5)
                if length > end - position:
                    return False
                if action is None:
                    position += length
                elif isinstance(action, Kind) and not action.event:
                    outer.append((end, table))
                    end, table = position + length, action.table
                else:
                    return False
            elif action is not None:
                return False
            elif wire == VARINT:
                if data[position] < MORE:
                    position += 1
                else:
                    _, position = varint(data, position, 10)
            else:
                position += 4 if wire == FIXED32 else 8
        if position > end or len(outer) > DEPTH // 2:
            return False
        if not outer:
            return True
        end, table = outer.pop()


def _deferred(frame: _Frame, reader: Reader) -> _Inner | None:
    """Go to the next piece of the message, or return a nested message that parsers merge."""
    if frame.pieces:
        frame.fields = reader.fields(*frame.pieces.pop())
        return None, []
    if frame.later:
        tag, ranges = frame.later.popitem()
        return frame.kind.table[tag], ranges
    return None


def _keep(kept: dict[int, list[tuple[int, int]]], key: int, value: int, after: int) -> None:
    held = kept.setdefault(key, [])
    if len(held) >= KEPT:
        raise ResourceLimitError(f"more than {KEPT} values of one field, near {after}")
    held.append((value, after))
