"""What one element of a numpy array occupies, from what a file says about it.

numpy's type grammar is wide: names, comma strings, nested and repeated fields. Where a type holds
Python objects, an array's payload is a pickle; where a reader takes it for numbers although numpy
takes it for objects, the pickle goes unseen. So the grammar here is narrow: numeric, bool,
complex, bytes, text, void and datetime codes as numpy itself writes them, and fields of these.
**Every other code counts as object.**

A pickled ``numpy.dtype`` is worse than a header: its ``__setstate__`` believes the item size and
the flags it is told. A type with an object field and cleared flags makes numpy read raw bytes as
pointers (memory corruption); an item size below that of the fields reads beyond the buffer. Here
both are recomputed from the fields, and a contradiction is an error.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from modelsec.errors import MalformedArtifactError, ResourceLimitError, printable

MAX_BYTES = (1 << 63) - 1
"""No array is larger: numpy counts in signed 64-bit integers."""


class ShapeOverflowError(MalformedArtifactError):
    """A shape that no memory holds."""


_MAX_DIMENSIONS = 64
_DEPTH = 32

_CODE = re.compile(
    r"(?P<order>[<>=|]?)(?P<kind>[?biufcSaUVMm])(?P<size>[0-9]{0,10})(?P<unit>\[[0-9A-Za-z/]{1,24}\])?",
    re.ASCII,
)
_SIZES = {
    "b": (1,),
    "i": (1, 2, 4, 8),
    "u": (1, 2, 4, 8),
    "f": (2, 4, 8, 12, 16),
    "c": (8, 16, 24, 32),
    "M": (8,),
    "m": (8,),
}
_TEXT_UNIT = 4
_FLEXIBLE = "SUV"
_OBJECT_FLAGS = 0x01 | 0x02 | 0x04  # reference counted, pickled as a list, is a pointer
_POINTER = 8
_OBJECT_CODES = ("|O", "O", "|O4", "|O8")  # the last three by numpy of Python 2


@dataclass(frozen=True, slots=True)
class ArrayType:
    """One element of an array.

    Attributes:
        kind: numpy's letter: b bool, i, u, f, c numbers, S bytes, U text, V void or fields,
            M and m datetimes; O for Python objects and for whatever is not understood.
        itemsize: bytes of one element.
        order: ``<``, ``>`` or ``|`` (no byte order, or a mixture in fields).
        has_object: it holds Python objects somewhere.
        fields: of a structured type.
        base: of a subarray type, with its ``shape``.
        shape: see ``base``.
        as_written: spelled as numpy's own writer spells it.
    """

    kind: str
    itemsize: int
    order: str = "|"
    has_object: bool = False
    fields: "tuple[FieldType, ...]" = ()
    base: "ArrayType | None" = None
    shape: tuple[int, ...] = ()
    as_written: bool = True

    @property
    def typestr(self) -> str:
        """The code that numpy writes for a type without fields, e.g. ``<f8``."""
        units = self.itemsize // _TEXT_UNIT if self.kind == "U" else self.itemsize
        return f"{self.order}{self.kind}{units}" if self.kind != "O" else "|O"

    @property
    def is_plain(self) -> bool:
        """Whether it is one number, text or void, without fields and dimensions of its own."""
        return not self.fields and self.base is None and not self.has_object


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a structured type; ``offset`` in bytes from the element's start."""

    name: str
    type: ArrayType
    offset: int


OBJECT = ArrayType("O", _POINTER, has_object=True)


def element_count(shape: Iterable[object], itemsize: int = 1) -> int:
    """Return the number of elements of an array.

    Args:
        shape: the dimensions, as read.
        itemsize: of an element in bytes: the product has to stay below 2**63 as well.

    Raises:
        MalformedArtifactError: a dimension is no size, or there are more than 64.
        ShapeOverflowError: the product overflows; zeros do not excuse the other dimensions, as
            readers multiply in different orders.
    """
    count, magnitude = 1, max(itemsize, 1)
    for number, size in enumerate(shape):
        if isinstance(size, bool) or not isinstance(size, int) or size < 0:
            raise MalformedArtifactError("a dimension that is not a size")
        if number >= _MAX_DIMENSIONS:
            raise MalformedArtifactError(f"more than {_MAX_DIMENSIONS} dimensions")
        count *= size
        magnitude *= max(size, 1)
        if magnitude > MAX_BYTES:
            raise ShapeOverflowError("a shape whose size overflows 63 bits")
    return count


def from_code(code: str) -> ArrayType:
    """Return the type of a code such as ``<f8``, ``V12`` or ``M8[ns]``; OBJECT if it is none."""
    match = _CODE.fullmatch(code)
    if match is None:
        return OBJECT if code in _OBJECT_CODES else replace(OBJECT, as_written=False)
    order, kind = match["order"], match["kind"].replace("a", "S")
    digits = match["size"]
    if kind == "?":
        if digits or match["unit"]:
            return replace(OBJECT, as_written=False)
        kind, digits = "b", "1"
    if match["unit"] and kind not in "Mm":
        return replace(OBJECT, as_written=False)
    size = int(digits or "0") * (_TEXT_UNIT if kind == "U" else 1)
    if kind not in _FLEXIBLE and size not in _SIZES[kind]:
        return replace(OBJECT, as_written=False)
    ordered = kind == "U" or (size > 1 and kind not in "SV")
    found = ArrayType(kind, size, (order if order == ">" else "<") if ordered else "|")
    as_written = found.typestr + (match["unit"] or "") == code
    return found if as_written else replace(found, as_written=False)


def from_descr(descr: object, depth: int = 0) -> ArrayType:
    """Return the type of an npy header's ``descr``.

    Args:
        descr: a code, a list of fields, or a pair (descr, shape), as literals.
        depth: for the recursion.

    Raises:
        MalformedArtifactError: it is none of these, or fields contradict each other.
        ResourceLimitError: nested more than 32 deep.
    """
    if depth > _DEPTH:
        raise ResourceLimitError(f"a type nested more than {_DEPTH} deep")
    if isinstance(descr, str):
        return from_code(descr)
    if isinstance(descr, tuple):
        if len(descr) != 2:  # noqa: PLR2004 - type and shape
            raise MalformedArtifactError("a type that is a tuple without being a pair")
        return _repeated(from_descr(descr[0], depth + 1), descr[1])
    if isinstance(descr, list):
        return _described(descr, depth)
    raise MalformedArtifactError("a type that is neither a code nor a list of fields")


def from_state(base: ArrayType, state: Sequence[object]) -> ArrayType:
    """Return the type that a pickled ``numpy.dtype`` becomes when its state is set.

    Args:
        base: the type of the constructor's code: ``from_code(code)``.
        state: ``(version, byteorder, subarray, names, fields, itemsize, alignment, flags[,
            metadata])`` (the flags are absent in version 2). A subarray is None or a pair of an
            ``ArrayType`` and a shape; fields are None or a mapping of names to tuples of an
            ``ArrayType``, an offset and possibly a title.

    Raises:
        MalformedArtifactError: the state is of no known form, or contradicts itself: numpy would
            believe it, and read memory that is not the array's.
    """
    if not 7 <= len(state) <= 9 or state[0] not in (2, 3, 4) or isinstance(state[0], bool):  # noqa: PLR2004 - see Args
        raise MalformedArtifactError("a dtype state of an unknown version")
    _, order, subarray, names, fields, itemsize, _ = state[:7]
    if order not in ("<", ">", "|", "="):
        raise MalformedArtifactError("a dtype state with an unknown byte order")
    if subarray is not None or fields is not None or names is not None:
        if base.kind != "V" or base.fields or base.base is not None:
            raise MalformedArtifactError(f"a dtype state that gives fields to {base.typestr}")
        found = _with_subarray(subarray) if subarray is not None else _with_fields(names, fields)
        if subarray is not None and (fields is not None or names is not None):
            raise MalformedArtifactError("a dtype state with both fields and a subarray")
        found = _resized(found, itemsize, exact=subarray is not None)
    elif base.kind in _FLEXIBLE:
        found = _resized(base, itemsize, exact=False)
        if base.kind == "U" and found.itemsize % _TEXT_UNIT:
            raise MalformedArtifactError("a text dtype whose size is not a multiple of 4")
    else:
        found = base
    if found.order != "|" and order in "<>":
        found = replace(found, order=str(order))
    if len(state) > 7:  # noqa: PLR2004 - there are flags
        _check_flags(found, state[7])
    return found


def _check_flags(found: ArrayType, flags: object) -> None:
    if isinstance(flags, bool) or not isinstance(flags, int):
        raise MalformedArtifactError("a dtype state whose flags are no number")
    if bool(flags & 1) != found.has_object or (flags & _OBJECT_FLAGS and not found.has_object):
        raise MalformedArtifactError(
            f"a dtype state whose flags ({flags:#x}) hide or invent Python objects"
        )


def _resized(found: ArrayType, itemsize: object, *, exact: bool) -> ArrayType:
    if isinstance(itemsize, bool) or not isinstance(itemsize, int):
        raise MalformedArtifactError("a dtype state whose item size is no number")
    if itemsize == -1 and not found.fields and found.base is None:
        return found  # unset: numpy keeps the constructor's
    needed = found.itemsize if found.fields or found.base is not None else 0
    if not needed <= itemsize < 1 << 31 or (exact and itemsize != needed):
        raise MalformedArtifactError(
            f"a dtype state with an item size of {itemsize} for {needed} bytes"
        )
    return replace(found, itemsize=itemsize)


def _with_subarray(subarray: object) -> ArrayType:
    if not isinstance(subarray, Sequence) or len(subarray) != 2:  # noqa: PLR2004 - type and shape
        raise MalformedArtifactError("a dtype state with a subarray of an unknown form")
    if not isinstance(subarray[0], ArrayType):
        raise MalformedArtifactError("a subarray of something that is not a dtype")
    return _repeated(subarray[0], subarray[1])


def _with_fields(names: object, fields: object) -> ArrayType:
    if not isinstance(names, list | tuple) or not isinstance(fields, Mapping):
        raise MalformedArtifactError("a dtype state with names or fields only")
    if len(set(map(str, names))) != len(names):
        raise MalformedArtifactError("a dtype state with a name twice")
    found: list[FieldType] = []
    titles: set[object] = set()
    for name in names:
        field = fields.get(name) if isinstance(name, str) else None
        if not isinstance(field, Sequence) or len(field) not in (2, 3):
            raise MalformedArtifactError("a dtype state that lacks a field")
        type_, offset = field[0], field[1]
        if not isinstance(type_, ArrayType) or isinstance(offset, bool):
            raise MalformedArtifactError("a field that is not a dtype with an offset")
        if not isinstance(offset, int) or offset < 0:
            raise MalformedArtifactError("a field with an offset that is no size")
        titles.update(field[2:] if isinstance(field[-1], str) else ())
        found.append(FieldType(str(name), type_, offset))
    if set(fields) - set(names) - titles:
        raise MalformedArtifactError("a dtype state with fields that have no name")
    return _structured(found, max((f.offset + f.type.itemsize for f in found), default=0))


def _described(descr: list[object], depth: int) -> ArrayType:
    """Return a structured type; as in numpy, a void without a name is padding."""
    fields: list[FieldType] = []
    seen: set[str] = set()
    offset = 0
    for entry in descr:
        if not isinstance(entry, tuple) or len(entry) not in (2, 3):
            raise MalformedArtifactError("a field that is not a tuple of name and type")
        name = entry[0]
        if isinstance(name, tuple) and len(name) == 2:  # noqa: PLR2004 - title and name
            name = name[1]
        if not isinstance(name, str):
            raise MalformedArtifactError("a field whose name is not text")
        type_ = from_descr(entry[1], depth + 1)
        if len(entry) == 3:  # noqa: PLR2004 - and a shape
            type_ = _repeated(type_, entry[2])
        if name or type_.kind != "V" or type_.fields:
            if name in seen:
                raise MalformedArtifactError(f"a field twice: {printable(name)}")
            seen.add(name)
            fields.append(FieldType(name, type_, offset))
        offset += type_.itemsize
        if offset > MAX_BYTES:
            raise MalformedArtifactError("a type whose size overflows 63 bits")
    return _structured(fields, offset)


def _structured(fields: list[FieldType], itemsize: int) -> ArrayType:
    _refuse_overlapping_objects(fields)
    return ArrayType(
        "V",
        itemsize,
        has_object=any(field.type.has_object for field in fields),
        fields=tuple(fields),
        as_written=all(field.type.as_written for field in fields),
    )


def _refuse_overlapping_objects(fields: list[FieldType]) -> None:
    """Fields may overlap (a union), but not where one of them is a pointer."""
    end, holds_object = 0, False
    for field in sorted(fields, key=lambda field: (field.offset, field.type.itemsize)):
        if field.offset < end and (holds_object or field.type.has_object):
            raise MalformedArtifactError("a field that overlaps Python objects")
        stop = field.offset + field.type.itemsize
        holds_object = field.type.has_object or (holds_object and field.offset < end)
        end = max(end, stop)


def _repeated(base: ArrayType, shape: object) -> ArrayType:
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, list | tuple):
        raise MalformedArtifactError("a subarray whose shape is not one")
    count = element_count(sizes, base.itemsize)
    return ArrayType(
        "V",
        count * base.itemsize,
        has_object=base.has_object,
        base=base,
        shape=tuple(size for size in sizes if isinstance(size, int)),
        as_written=base.as_written,
    )
