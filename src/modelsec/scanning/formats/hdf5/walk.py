"""The walk over everything that can be reached from the root group.

Hard links make a graph, cycles included: every object header is read once, by its address.
"""

from collections import deque
from collections.abc import Iterator

from modelsec.errors import (
    ArtifactError,
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
)
from modelsec.scanning.formats.hdf5 import attributes, datatype, headers, layout, links, rules
from modelsec.scanning.formats.hdf5.datasets import Checker, Dataset, external_files
from modelsec.scanning.formats.hdf5.fields import Fields, Space
from modelsec.scanning.formats.hdf5.heaps import GlobalHeaps
from modelsec.scanning.formats.hdf5.values import Values
from modelsec.scanning.part import Observation, Part

_PATH = 200
_GROUP = frozenset({headers.LINK, headers.LINK_INFO, headers.SYMBOL_TABLE})
_IN_OTHER_HEADER = 2
_WAYS_OUT = (b"://", b"..", b"\\", b"\0")


class Walk:
    """One walk over one file."""

    def __init__(self, part: Part, space: Space) -> None:
        self._part = part
        self._space = space
        self._values = Values(space, GlobalHeaps(space))
        self._checker = Checker(part, self._values)
        self._pending: deque[tuple[int, str]] = deque()
        self._seen: set[int] = set()

    def visit(self, address: int | None, path: str) -> None:
        """Remember an object that has to be read."""
        if address is None:
            return
        if address not in self._seen:
            self._space.budget.members()
            self._seen.add(address)
            self._pending.append((address, path[-_PATH:]))

    def run(self) -> Iterator[Observation]:
        """Yield what is found in every object.

        Raises:
            ResourceLimitError: there is too much of it.
        """
        while self._pending:
            address, path = self._pending.popleft()
            yield from self._guarded(self._object(address, path), address, path)

    def symbol_table(self, tree: int, heap: int) -> Iterator[Observation]:
        """Read the root group's table as the superblock repeats it."""
        found = links.of_symbol_table(self._space, tree, heap)
        yield from self._guarded(self._links(found, ""), tree, "/")

    def _guarded(
        self, steps: Iterator[Observation], address: int, path: str
    ) -> Iterator[Observation]:
        """Turn what cannot be read into a finding: one broken object must not hide the others."""
        try:
            yield from steps
        except ResourceLimitError:
            raise
        except ArtifactError as error:
            yield rules.NOT_READ.at(
                self._space.base + address, f"{path or '/'}: {error}", subject=path
            )

    def _object(self, address: int, path: str) -> Iterator[Observation]:
        dataset = Dataset()
        for message in headers.messages(self._space, address):
            yield from self._guarded(self._message(message, dataset, path), message.address, path)
        place = self._space.base + address
        for observed in self._checker.check(dataset, place, path):
            if isinstance(observed, int):
                self.visit(observed, f"{path} refers to")
            else:
                yield observed

    def _message(
        self, message: headers.Message, dataset: Dataset, path: str
    ) -> Iterator[Observation]:
        kind, space = message.kind, self._space
        place = space.base + message.address
        if kind in headers.INERT:
            return
        fields = self._resolve(message.body, kind) if message.shared else message.fields(space)
        if kind in _GROUP and not message.shared:
            yield from self._links(links.of_message(space, message), path)
        elif kind == headers.ATTRIBUTE:
            yield from self._attribute(fields, place, dataset)
        elif kind == headers.ATTRIBUTE_INFO and not message.shared:
            for stored in attributes.dense(space, message):
                yield from self._guarded(
                    self._attribute(stored, None, dataset), message.address, path
                )
        elif kind == headers.EXTERNAL_FILES:
            yield from self._external(fields, dataset, place, path)
        elif kind in {headers.DRIVER, headers.CACHE_IMAGE}:
            rule = rules.PIECES if kind == headers.DRIVER else rules.CACHE_IMAGE
            yield rule.at(place, f"message {kind:#04x} in the superblock extension")
        else:
            _describe(fields, kind, dataset)

    def _attribute(
        self, fields: Fields, place: int | None, dataset: Dataset
    ) -> Iterator[Observation]:
        attribute = attributes.parse(fields, self._resolve, place)
        for address in self._values.references(attribute.datatype, attribute.data):
            self.visit(address, "an attribute refers to")
        dataset.pickled |= attributes.marks_pickles(self._values, attribute)
        yield from attributes.meaning(self._part, self._values, attribute)

    def _external(
        self, fields: Fields, dataset: Dataset, place: int, path: str
    ) -> Iterator[Observation]:
        dataset.external = True
        for name in external_files(self._values, fields):
            yield rules.EXTERNAL_STORAGE.at(
                place, f"the values of {path} are in another file", operation="read", subject=name
            )

    def _links(self, found: Iterator[links.Link], path: str) -> Iterator[Observation]:
        for link in found:
            name = f"{path}/{link.name.decode('utf-8', 'backslashreplace')}"
            place = None if link.place is None else self._space.base + link.place
            if link.kind == links.HARD:
                self.visit(link.address, name)
            elif link.kind == links.SOFT:
                self.visit(link.address or None, name)  # a symbol table may hold both
                if any(sign in link.target for sign in _WAYS_OUT):
                    message = f"{name} links to something that is no path in the file"
                    yield rules.SOFT_LINK.at(place, message, evidence=link.target)
            elif link.kind == links.EXTERNAL:
                file, _, inner = link.target[1:].partition(b"\0")
                yield rules.EXTERNAL_LINK.at(
                    place,
                    f"{name} links into another file",
                    operation="read",
                    subject=file.decode("utf-8", "backslashreplace"),
                    evidence=inner.rstrip(b"\0"),
                )
            else:
                yield rules.USER_LINK.at(
                    place, f"{name} is a link of kind {link.kind}", evidence=link.target
                )

    def _resolve(self, body: bytes, kind: int) -> Fields:
        """Follow a shared message to the header that holds the real one."""
        fields = Fields(body, self._space, "a shared message")
        version = fields.version(1, 2, 3)
        where = fields.number(1)
        fields.take(6 if version == 1 else 0)
        if version == 3 and where != _IN_OTHER_HEADER:  # noqa: PLR2004 - the specification's
            raise UnsupportedFormatError("messages in a shared heap are not read")
        address = fields.address()
        if address is None:
            raise MalformedArtifactError("a shared message is nowhere")
        self.visit(address, "a committed datatype")
        for message in headers.messages(self._space, address):
            if message.kind == kind and not message.shared:
                return message.fields(self._space)
        raise MalformedArtifactError(f"no message of type {kind:#04x} at address {address}")


def _describe(fields: Fields, kind: int, dataset: Dataset) -> None:
    """Note what a message says about the dataset.

    Raises:
        MalformedArtifactError: it is the second of its type.
        UnsupportedFormatError: it is of an unknown type.
    """
    if kind in dataset.described:
        # Readers differ on which of them counts.
        raise MalformedArtifactError(f"a second message of type {kind:#04x}")
    dataset.described.add(kind)
    if kind == headers.DATATYPE:
        dataset.datatype = datatype.parse(fields)
    elif kind == headers.DATASPACE:
        dataset.shape = datatype.parse_dataspace(fields)
    elif kind == headers.LAYOUT:
        dataset.storage = layout.parse(fields)
    elif kind == headers.FILTERS:
        dataset.filters = tuple(layout.parse_filters(fields))
    else:
        raise UnsupportedFormatError(f"a message of type {kind:#04x} is not read")
