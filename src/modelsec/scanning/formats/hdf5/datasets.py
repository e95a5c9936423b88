"""Datasets: is everything within the file, and is there as much as the shape says?"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

from modelsec.errors import MalformedArtifactError
from modelsec.scanning.formats.hdf5 import layout, rules, selections
from modelsec.scanning.formats.hdf5.attributes import looks_pickled, perhaps_pickle
from modelsec.scanning.formats.hdf5.chunks import Chunk
from modelsec.scanning.formats.hdf5.datatype import OPAQUE, STRING, VLEN, Datatype
from modelsec.scanning.formats.hdf5.fields import Fields
from modelsec.scanning.formats.hdf5.heaps import LocalHeap
from modelsec.scanning.formats.hdf5.values import Values
from modelsec.scanning.part import Observation, Part
from modelsec.scanning.source import BytesSource, Slice

_BUILT_IN = range(1, 7)
_KNOWN = {
    257: "hid", 305: "lzo", 307: "bzip2", 32000: "lzf", 32001: "blosc", 32004: "lz4",
    32008: "bitshuffle", 32013: "zfp", 32015: "zstd", 32017: "sz", 32024: "sz3", 32026: "blosc2",
}  # fmt: skip
_FLOOR = 1 << 30
_FLETCHER = 3
_LEAST_PICKLE = 2


@dataclass(slots=True)
class Dataset:
    """The messages of an object that make it a dataset."""

    datatype: Datatype | None = None
    shape: tuple[int, ...] | None = None
    storage: layout.Layout | None = None
    filters: tuple[layout.Filter, ...] = ()
    external: bool = False
    pickled: bool = False
    described: set[int] = field(default_factory=set)

    @property
    def logical(self) -> int:
        """Bytes that a reader allocates for all values."""
        if self.datatype is None or self.shape is None:
            return 0
        return math.prod(self.shape) * self.datatype.size


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks the datasets of one file."""

    part: Part
    values: Values

    def check(self, dataset: Dataset, place: int, path: str) -> Iterator[Observation | int]:
        """Yield findings, nested parts, and addresses of the objects that values refer to.

        Args:
            dataset: what the object's messages say.
            place: offset of the object in the part.
            path: of the object in the file.

        Raises:
            MalformedArtifactError: values lie outside the file, or are fewer than promised.
        """
        for step in dataset.filters:
            yield from self._filter(step, place, path)
        where = dataset.storage
        if where is None or dataset.datatype is None or dataset.external:
            return
        if where.kind == layout.VIRTUAL:
            yield from self._virtual(where, place, path)
        stored = len(where.data)
        if dataset.pickled and not self._has_rows(dataset):
            yield rules.OBJECT_ARRAY.at(place, f"{path} is an array whose rows are unpickled")
        yield from self._acting(dataset, where, path)
        for address, size in self._pieces(dataset, where):
            stored += size
            yield from self._piece(dataset, (address, size), path)
        limit = max(_FLOOR, self.values.space.budget.limits.ratio * stored)
        if dataset.logical > limit:
            yield rules.SHAPE_BOMB.at(
                place,
                f"{path} is {dataset.logical} bytes by its shape, {stored} bytes are stored",
                subject=path,
            )

    def _filter(self, step: layout.Filter, place: int, path: str) -> Iterator[Observation]:
        if step.number in _KNOWN:
            message = f"{path} is compressed with {_KNOWN[step.number]}"
            yield rules.PLUGIN.at(place, message, subject=_KNOWN[step.number])
        elif step.number not in _BUILT_IN:
            message = f"{path} is stored through filter {step.number}"
            yield rules.FILTER.at(place, message, subject=str(step.number), evidence=step.name)

    def _virtual(self, where: layout.Layout, place: int, path: str) -> Iterator[Observation]:
        if not where.address:
            return
        space = self.values.space
        described = self.values.heaps.object(where.address, where.size)
        for file, name in selections.sources(Fields(described, space, "a virtual dataset")):
            space.budget.opcodes(1)
            if file != selections.HERE:
                yield rules.VIRTUAL.at(
                    place,
                    f"{path} takes its values from another file",
                    operation="read",
                    subject=file.decode("utf-8", "backslashreplace"),
                    evidence=name,
                )

    def _pieces(self, dataset: Dataset, where: layout.Layout) -> Iterator[Chunk]:
        """Yield the ranges that hold the values, checked against the file."""
        space, logical = self.values.space, dataset.logical
        if where.kind == layout.CHUNKED:
            yield from where.chunks(space, dataset.shape or ())
        if where.kind == layout.COMPACT and len(where.data) < logical:
            raise MalformedArtifactError(f"{logical} bytes of values in {len(where.data)} bytes")
        if where.kind != layout.CONTIGUOUS or where.address is None:
            return
        size = logical if where.size < 0 else where.size
        if size < logical:
            raise MalformedArtifactError(f"{logical} bytes of values in {size} bytes")
        space.check(where.address, size, "values")
        yield where.address, size

    def _acting(
        self, dataset: Dataset, where: layout.Layout, path: str
    ) -> Iterator[Observation | int]:
        """Yield what values in the header can do: name objects without a link, be a pickle."""
        kind = dataset.datatype
        if kind is None or where.kind != layout.COMPACT:
            return
        yield from self.values.references(kind, where.data[: dataset.logical])
        if dataset.pickled:
            yield from self._rows(dataset, where.data, path)
        if looks_pickled(where.data) and _is_bytes(kind):
            yield perhaps_pickle(self.part, BytesSource(where.data), path.encode())

    def _piece(self, dataset: Dataset, piece: Chunk, path: str) -> Iterator[Observation | int]:
        """Yield what values outside the header can do."""
        kind, space = dataset.datatype, self.values.space
        address, size = piece
        if kind is None:
            return
        if kind.refers and any(step.number != _FLETCHER for step in dataset.filters):
            message = f"{path}: compressed references are not followed"
            yield rules.NOT_READ.at(space.base + address, message, subject=path)
        elif kind.refers and kind.size:
            data = space.read(address, size // kind.size * kind.size, "references")
            yield from self.values.references(kind, data)
        elif dataset.pickled and self._has_rows(dataset):
            yield from self._rows(dataset, space.read(address, size, "rows"), path)
        elif _is_bytes(kind) and not dataset.filters and self._looks_pickled(piece):
            source = Slice(space.source, space.base + address, size)
            yield perhaps_pickle(self.part, source, path.encode())

    def _has_rows(self, dataset: Dataset) -> bool:
        """Whether rows of bytes can be had: they are in the global heap, by plain addresses."""
        kind = dataset.datatype
        if kind is None or kind.kind != VLEN or kind.base is None or kind.base.size != 1:
            return False
        return all(step.number == _FLETCHER for step in dataset.filters)

    def _rows(self, dataset: Dataset, data: bytes, path: str) -> Iterator[Observation]:
        """Yield rows that PyTables unpickles, as parts to be judged."""
        if dataset.datatype is None or not self._has_rows(dataset):
            return
        for number, row in enumerate(self.values.rows(dataset.datatype, data)):
            if row:
                yield perhaps_pickle(self.part, BytesSource(row), f"{path}[{number}]".encode())

    def _looks_pickled(self, piece: Chunk) -> bool:
        """Whether a range begins like a pickle: programs keep such things in byte datasets."""
        address, size = piece
        return size >= _LEAST_PICKLE and looks_pickled(
            self.values.space.read(address, _LEAST_PICKLE, "values")
        )


def _is_bytes(kind: Datatype) -> bool:
    return kind.size == 1 or kind.kind in {OPAQUE, STRING}


def external_files(values: Values, fields: Fields) -> Iterator[str]:
    """Yield the names of the files that hold a dataset's values.

    Raises:
        MalformedArtifactError: the list is broken.
    """
    fields.version(1)
    fields.take(5)
    count = fields.number(2)
    heap = fields.address()
    if not count:
        return
    if heap is None:
        raise MalformedArtifactError("a list of external files without names")
    names = LocalHeap(values.space, heap)
    for _ in range(count):
        offset = fields.length()
        fields.length()
        fields.length()
        yield names.text(offset).decode("utf-8", "backslashreplace")
