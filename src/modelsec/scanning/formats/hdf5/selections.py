"""What a virtual dataset is made of: files, datasets, and which part of each."""

from collections.abc import Iterator

from modelsec.errors import UnsupportedFormatError
from modelsec.scanning.formats.hdf5.fields import Fields

_FILE_SHARED, _NAME_SHARED, _SAME_FILE = 1, 2, 4
_NONE, _POINTS, _HYPERSLAB, _ALL = range(4)
HERE = b"."
"""The name of the file itself."""


def sources(fields: Fields) -> Iterator[tuple[bytes, bytes]]:
    """Yield file and dataset of every mapping.

    A shared name is the number of an earlier mapping that has it: nothing new, so it is skipped.

    Raises:
        UnsupportedFormatError: a selection is of an unknown form; what follows it is not known.
    """
    version = fields.version(0, 1)
    for _ in range(fields.length()):
        flags = fields.number(1) if version else 0
        if flags & ~(_FILE_SHARED | _NAME_SHARED | _SAME_FILE):
            raise UnsupportedFormatError(f"a virtual mapping with flags {flags:#04x} is not read")
        file = HERE
        if not flags & _SAME_FILE:
            file = _name(fields, shared=bool(flags & _FILE_SHARED))
        yield file, _name(fields, shared=bool(flags & _NAME_SHARED))
        _skip(fields)
        _skip(fields)


def _name(fields: Fields, *, shared: bool) -> bytes:
    if not shared:
        return fields.text()
    fields.length()
    return HERE


def _skip(fields: Fields) -> None:
    """Read one selection; what it selects is numbers."""
    kind, version = fields.number(4), fields.number(4)
    if kind in {_NONE, _ALL}:
        fields.take(8)
    elif kind == _POINTS:
        _skip_points(fields, version)
    elif kind == _HYPERSLAB:
        _skip_hyperslab(fields, version)
    else:
        raise UnsupportedFormatError(f"a selection of type {kind} is not read")


def _skip_points(fields: Fields, version: int) -> None:
    if version == 1:
        fields.take(8)
        rank, width = fields.number(4), 4
    else:
        width, rank = fields.number(1), fields.number(4)
    fields.take(rank * width * fields.number(width))


def _skip_hyperslab(fields: Fields, version: int) -> None:
    if version == 1:
        fields.take(8)
        rank = fields.number(4)
        fields.take(8 * rank * fields.number(4))
        return
    flags, width = fields.number(1), 8
    if version == 2:  # noqa: PLR2004 - the specification's
        fields.take(4)
    else:
        width = fields.number(1)
    rank = fields.number(4)
    fields.take(rank * width * (4 if flags & 1 else 2 * fields.number(width)))
