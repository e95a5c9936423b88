from typing import Any

import numpy as np
import pytest

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.dtype import (
    OBJECT,
    ArrayType,
    ShapeOverflowError,
    element_count,
    from_code,
    from_descr,
    from_state,
)

DTYPES = [
    "?", "i1", ">i2", "i4", "<u8", "f2", ">f4", "f8", "c8", "c16", "g", "G", "S5", "U3", ">U3",
    "V7", "M8[ns]", "m8[25us]", "O", "S0", "V0",
    [("a", "<f4"), ("b", ">i2", (2, 3))],
    [("a", "<f4"), ("b", "O")],
    [("x", [("y", "u1"), ("z", "O")]), (("title", "n"), "f8")],
    ("f4", (2,)),
    np.dtype([("a", "u1"), ("b", "f8")], align=True),
    np.dtype({"names": ["a", "b"], "formats": ["f4", "u1"], "offsets": [0, 1], "itemsize": 20}),
]  # fmt: skip


def rebuilt(dtype: np.dtype[Any]) -> ArrayType:
    """Follow a dtype's own reduction, as a reader of pickles does."""
    _, arguments, state = dtype.__reduce__()  # type: ignore[misc]
    return from_state(from_code(arguments[0]), [_translated(item) for item in state])


def _translated(value: object) -> object:
    if isinstance(value, np.dtype):
        return rebuilt(value)
    if isinstance(value, tuple):
        return tuple(_translated(item) for item in value)
    if hasattr(value, "items"):
        return {name: _translated(item) for name, item in value.items()}
    return value


@pytest.mark.parametrize("spec", DTYPES, ids=str)
def test_pickled_types_agree_with_numpy(spec: object) -> None:
    """Size and objects are what numpy has, for every honest state."""
    dtype = np.dtype(spec)  # type: ignore[call-overload]
    found = rebuilt(dtype)
    assert (found.itemsize, found.has_object) == (dtype.itemsize, dtype.hasobject)
    offsets = [(f.name, f.offset, f.type.itemsize) for f in found.fields]
    expected = [(n, dtype.fields[n][1], dtype.fields[n][0].itemsize) for n in dtype.names or ()]  # type: ignore[index]
    assert offsets == expected


@pytest.mark.parametrize("code", ["<f8", ">f4", "|u1", "|b1", "<U3", "|S5", "|V7", "<c16", "|O"])
def test_code_of_a_type(code: str) -> None:
    """A canonical code comes back as it was."""
    found = from_code(code)
    assert (found.typestr, found.as_written) == (code, True)


def test_plain_types() -> None:
    """Only a type without fields, dimensions and objects is plain."""
    assert from_code("<f8").is_plain
    assert not OBJECT.is_plain
    assert not from_descr([("a", "<f8")]).is_plain
    assert not from_descr(("<f8", (2,))).is_plain


def state(**changes: object) -> list[object]:
    """Return the state of a structure of one float, changed."""
    fields = {
        "version": 3, "order": "|", "subarray": None, "names": ("a",),
        "fields": {"a": (from_code("f4"), 0)}, "itemsize": 4, "alignment": 1, "flags": 16,
    }  # fmt: skip
    return list((fields | changes).values())


def test_honest_state() -> None:
    """The unchanged state passes."""
    assert from_state(from_code("V4"), state()).itemsize == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 1},
        {"version": True},
        {"order": "x"},
        {"order": None},
        {"subarray": (OBJECT, (1,))},
        {"subarray": (OBJECT,), "names": None, "fields": None},
        {"subarray": ("f4", (1,)), "names": None, "fields": None},
        {"subarray": (from_code("f4"), "x"), "names": None, "fields": None},
        {"subarray": (from_code("f4"), (2,)), "names": None, "fields": None, "itemsize": 4},
        {"names": None},
        {"names": ("a", "a")},
        {"names": ("b",)},
        {"names": (1,)},
        {"fields": None},
        {"fields": {"a": (from_code("f4"), 0), "b": (OBJECT, 0)}},
        {"fields": {"a": (from_code("f4"),)}},
        {"fields": {"a": ("f4", 0)}},
        {"fields": {"a": (from_code("f4"), -1)}},
        {"fields": {"a": (from_code("f4"), True)}},
        {"fields": {"a": (OBJECT, 0)}, "itemsize": 8},
        {"fields": {"a": (from_code("f4"), 4)}},
        {"itemsize": 3},
        {"itemsize": -1},
        {"itemsize": 2**40},
        {"itemsize": "4"},
        {"flags": 27},
        {"flags": 2},
        {"flags": None},
        {
            "names": ("a", "b"),
            "fields": {"a": (OBJECT, 0), "b": (from_code("f8"), 4)},
            "itemsize": 12,
            "flags": 27,
        },
    ],
    ids=str,
)
def test_contradictions_are_refused(changes: dict[str, object]) -> None:
    """Whatever would make numpy read beyond a buffer, or bytes as pointers, is an error."""
    with pytest.raises(MalformedArtifactError):
        from_state(from_code("V4"), state(**changes))


def test_fields_of_a_number_are_refused() -> None:
    """Only void types have fields."""
    with pytest.raises(MalformedArtifactError, match="gives fields"):
        from_state(from_code("f4"), state())


def test_hidden_object_is_refused() -> None:
    """An object type with cleared flags, and flags that invent objects."""
    with pytest.raises(MalformedArtifactError, match="hide or invent"):
        from_state(from_code("O8"), [3, "|", None, None, None, -1, -1, 0])
    with pytest.raises(MalformedArtifactError, match="hide or invent"):
        from_state(from_code("f8"), [3, "<", None, None, None, -1, -1, 63])


def test_text_of_a_broken_size_is_refused() -> None:
    """Text has four bytes a character."""
    with pytest.raises(MalformedArtifactError, match="multiple of 4"):
        from_state(from_code("U4"), [3, "<", None, None, None, 15, 4, 8])


@pytest.mark.parametrize("length", [0, 6, 10])
def test_state_of_another_length(length: int) -> None:
    """States of no known version are refused."""
    with pytest.raises(MalformedArtifactError):
        from_state(from_code("f4"), ([3] * 10)[:length])


def test_state_without_flags() -> None:
    """Version 2 had none."""
    assert from_state(from_code("i4"), [2, ">", None, None, None, -1, -1]).order == ">"


def test_element_count() -> None:
    """Sizes multiply; overflow is an error, even beside a zero."""
    assert element_count((2, 3)) == 6
    assert element_count(()) == 1
    assert element_count((0, 5), 8) == 0
    for shape in [(2**62, 2), (2**62, 2, 0)]:
        with pytest.raises(ShapeOverflowError):
            element_count(shape)
    with pytest.raises(MalformedArtifactError):
        element_count((1,) * 65)
    with pytest.raises(MalformedArtifactError):
        element_count((2.0,))
