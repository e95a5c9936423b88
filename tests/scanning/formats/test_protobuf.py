import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.errors import MalformedArtifactError, ResourceLimitError
from modelsec.scanning.formats.protobuf import Reader, signed
from modelsec.scanning.formats.protobuf_schema import Message, Shape, Unknown, schema, walk
from modelsec.scanning.limits import Budget, Limits
from modelsec.scanning.source import BytesSource
from tests.scanning.support.protobuf_writer import field, group, message, varint

KINDS = schema(
    {
        "Root": Shape(
            ints=(1,),
            texts=(2,),
            numbers=(3,),
            one={4: "Leaf"},
            many={5: "Root", 7: "Plain"},
            leaf={6: "Text"},
            event=True,
        ),
        "Plain": Shape(ints=(1,), texts=(2,), numbers=(3,), many={4: "Plain", 5: "Leaf"}),
        "Leaf": Shape(ints=(1,), texts=(2,), keep=(1, 2)),
    }
)


def reader(data: bytes) -> Reader:
    return Reader(BytesSource(data), Budget(Limits()))


def fields(data: bytes) -> list[tuple[int, int, int]]:
    return list(reader(data).fields(0, len(data)))


def events(data: bytes) -> tuple[list[Message], Unknown]:
    unknown = Unknown()
    return list(walk(reader(data), KINDS["Root"], [(0, len(data))], unknown)), unknown


class CountingSource(BytesSource):
    """Counts the bytes that were asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.bytes_read = 0

    def read(self, offset: int, length: int) -> bytes:
        self.bytes_read += length
        return super().read(offset, length)


def test_every_wire_type_is_told_with_its_range() -> None:
    """A varint comes with its value, all else with the range of its bytes."""
    data = field(1, 300) + varint(2 << 3 | 1) + bytes(8) + field(3, b"abc") + varint(4 << 3 | 5)
    data += bytes(4)
    assert fields(data) == [(8, 300, 3), (17, 4, 12), (26, 14, 17), (37, 18, 22)]


def test_a_group_is_one_field() -> None:
    """Groups within a group, and fields of any kind in it, are passed over together."""
    data = group(7, field(1, 5) + group(2, field(3, b"x")) + field(4, b"yy")) + field(1, 1)
    (first, second) = fields(data)
    assert first[0] == 7 << 3 | 3
    assert second == (8, 1, len(data))


def test_overlong_integers_have_their_value() -> None:
    """Parsers accept integers with needless bytes; so does the walk."""
    data = varint(1 << 3, width=5) + varint(7, width=10) + varint(2 << 3 | 2) + varint(1, width=5)
    assert [(tag, value) for tag, value, _ in fields(data + b"z")] == [(8, 7), (18, 21)]


@pytest.mark.parametrize(
    "data",
    [
        b"\x08",  # a value that is missing
        b"\x08\xff",  # a value that is cut
        b"\x08" + b"\xff" * 10 + b"\x01",  # a value of eleven bytes
        b"\x88\x80\x80\x80\x80\x00\x01",  # a tag of six bytes
        b"\xff\xff\xff\xff\x7f",  # a tag beyond 32 bits
        b"\x00\x01",  # field number 0
        b"\x0e",  # wire type 6
        b"\x0c",  # the end of a group that has not begun
        b"\x0b\x08\x01",  # a group without end
        b"\x0b\x14",  # a group that another one ends
        b"\x12\x05abc",  # a length beyond the end
        b"\x12\xff\xff\xff\xff\xff\x01",  # a length of six bytes
        b"\x09\x00",  # eight bytes that are cut
    ],
)
def test_what_no_parser_accepts_is_malformed(data: bytes) -> None:
    """Each of these is an error to every parser."""
    with pytest.raises(MalformedArtifactError):
        fields(data)


def test_a_field_does_not_reach_beyond_its_message() -> None:
    """A nested length is compared with the parent's end, not with the file's."""
    data = field(4, b"\x12\x09a") + field(2, bytes(20))
    with pytest.raises(MalformedArtifactError, match="beyond its message"):
        events(data)


def test_the_pieces_of_a_message_are_one() -> None:
    """A nested message in three pieces gives one event with the values of all."""
    data = field(4, field(1, 1)) + field(1, 9) + field(4, field(2, b"a")) + field(4, field(1, 3))
    found, _ = events(data)
    (leaf, root) = found
    assert leaf.integer(1) == 3
    assert [value for value, _ in leaf.kept[1]] == [1, 3]
    assert len(leaf.kept[2]) == 1
    assert root.kind == "Root"


def test_unknown_fields_are_counted() -> None:
    """Fields of other numbers, other wire types and in groups are told by kind and number."""
    data = field(9, 1) + field(9, b"x") + field(5, field(2, 1) + group(8, b""))
    _, unknown = events(data)
    assert {key: count for key, (_, count) in unknown.seen.items()} == {
        ("Root", 9): 2,
        ("Root", 2): 1,
        ("Root", 8): 1,
    }


def test_packed_numbers_are_known_in_every_form() -> None:
    """A repeated number may be packed or not, fixed or not."""
    data = field(3, 1) + field(3, b"\1\2") + varint(3 << 3 | 5) + bytes(4)
    assert not events(data)[1].seen


def test_leaves_are_events_of_their_own() -> None:
    """Texts that may be many are told one by one, in order."""
    found, _ = events(field(6, b"one") + field(6, b"two"))
    assert [(event.kind, event.kept[0][0]) for event in found[:2]] == [
        ("Text", (2, 5)),
        ("Text", (7, 10)),
    ]


def nested(depth: int) -> bytes:
    data = field(1, 1)
    for _ in range(depth):
        data = field(5, data)
    return data


def test_nesting_is_bounded() -> None:
    """Ninety levels are walked, two hundred are refused, without recursion."""
    assert len(events(nested(90))[0]) == 91
    with pytest.raises(ResourceLimitError):
        events(nested(200))


def test_groups_are_bounded() -> None:
    """A hundred thousand open groups cost a refusal."""
    with pytest.raises(ResourceLimitError):
        fields(b"\x0b" * 100_000)


def test_payloads_are_not_read() -> None:
    """Of a long text only the surroundings are read."""
    data = field(2, bytes(10_000_000)) + field(1, 1)
    source = CountingSource(data)
    held = Reader(source, Budget(Limits()))
    assert len(list(held.fields(0, len(data)))) == 2
    assert source.bytes_read < 100_000


def test_a_window_ends_anywhere() -> None:
    """Fields that lie across the end of a window are read as any others."""
    for shift in range(40):
        data = field(2, bytes(32_740 + shift)) + field(5, field(2, b"abc") * 9000) + field(1, 7)
        found, unknown = events(data)
        assert not unknown.seen
        assert len(found) == 2
        assert fields(data)[-1][1] == 7


def test_negative_numbers_are_read_back() -> None:
    """An int64 is stored as its two's complement."""
    assert signed(fields(field(1, -5))[0][1]) == -5


def test_a_budget_ends_the_walk() -> None:
    """Nodes cost: the walk stops when they are used up."""
    data = field(4, field(1, 1)) * 1 + field(5, field(1, 1)) * 20_000
    held = Reader(BytesSource(data), Budget(Limits(opcodes=5000)))
    with pytest.raises(ResourceLimitError):
        list(walk(held, KINDS["Root"], [(0, len(data))], Unknown()))


def test_a_small_message_with_overlong_integers_is_known() -> None:
    """The fast look at small messages reads integers of any length."""
    inner = varint(1 << 3, width=3) + varint(5, width=9) + varint(2 << 3 | 2) + varint(1, width=4)
    inner += b"z" + varint(3 << 3 | 5) + bytes(4) + varint(3 << 3 | 1) + bytes(8)
    assert not events(field(7, inner + field(4, inner)))[1].seen


def test_what_the_fast_look_refuses_is_walked() -> None:
    """Small messages with unknown fields, events, or broken lengths end as large ones do."""
    assert events(field(7, group(3, b"")))[1].seen
    assert events(field(7, field(9, b"x")))[1].seen
    assert events(field(7, field(5, field(1, 7))))[0][0].kind == "Leaf"
    deep = field(1, 1)
    for _ in range(60):
        deep = field(4, deep)
    assert not events(field(7, deep))[1].seen
    for broken in (b"\x12\x7f", b"\x08", b"\x22\x7f", b"\x1d\0", b"\x22\x02\x12\x05"):
        with pytest.raises(MalformedArtifactError):
            events(field(7, broken))


values = st.one_of(st.integers(0, 2**64 - 1), st.binary(max_size=40))


@given(st.lists(st.tuples(st.integers(1, 40), values), max_size=20))
def test_what_is_written_is_read(content: list[tuple[int, int | bytes]]) -> None:
    """Numbers, wire types and values come back as they were written."""
    data = message(*content)
    read = [
        (tag >> 3, value if tag & 7 == 0 else data[value:after])
        for tag, value, after in fields(data)
    ]
    assert read == content


@given(st.binary(max_size=200))
def test_random_bytes_raise_nothing_else(data: bytes) -> None:
    """The walk ends with an event or with an error of ours."""
    with contextlib.suppress(MalformedArtifactError, ResourceLimitError):
        events(data or b"\0")
