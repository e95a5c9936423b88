"""torch's storages: what a persistent id in a torch file has to look like.

A torch pickle holds no numbers. Each tensor names its storage by a persistent id,
``("storage", storage class, key, location, number of elements)``, and the container holds the
bytes under that key. The loader trusts the id: class and count decide how many bytes it takes.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from modelsec.errors import printable
from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.part import Observation
from modelsec.scanning.pickle.values import Container, Global, PersistentId, Value

ITEM_SIZES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "DoubleStorage": 8,
        "FloatStorage": 4,
        "HalfStorage": 2,
        "BFloat16Storage": 2,
        "LongStorage": 8,
        "IntStorage": 4,
        "ShortStorage": 2,
        "CharStorage": 1,
        "ByteStorage": 1,
        "BoolStorage": 1,
        "ComplexDoubleStorage": 16,
        "ComplexFloatStorage": 8,
        "QUInt8Storage": 1,
        "QInt8Storage": 1,
        "QInt32Storage": 4,
        "QUInt4x2Storage": 1,
        "QUInt2x4Storage": 1,
        "UntypedStorage": 1,
    }
)
"""Bytes of an element, by the name of the storage class."""

_MODULES = ("torch", "torch.storage", "torch.cuda")

BAD_ID = Rule(
    "MS-TOR-001",
    "a persistent id that is no storage",
    Verdict.DANGEROUS,
    capability="reader disagreement",
    remedy="torch never writes this; do not load the file",
)
BAD_STORAGE = Rule(
    "MS-TOR-002",
    "a storage that does not have the declared size",
    Verdict.DANGEROUS,
    capability="memory corruption in loaders that trust the declaration",
    reference="CVE-2026-24747",
    remedy="do not load this file",
)
MISSING_STORAGE = Rule(
    "MS-TOR-003",
    "a storage is missing",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the file again from its source",
)
SOURCE_IN_ID = Rule(
    "MS-TOR-004",
    "the source code of a module is embedded",
    Verdict.DATA_ONLY,
    remedy="save the state dict instead of the module",
)


@dataclass(frozen=True, slots=True)
class Storage:
    """One declared storage.

    Attributes:
        key: names it in the container.
        kind: storage class, e.g. ``FloatStorage``.
        elements: declared number of elements.
        offset: of the declaration in the pickle.
    """

    key: str
    kind: str
    elements: int
    offset: int

    @property
    def size(self) -> int:
        """Declared bytes."""
        return self.elements * ITEM_SIZES[self.kind]


class Storages:
    """The persistent-id rule of torch files; collects the declared storages.

    Attributes:
        declared: by key, in order of appearance.
    """

    def __init__(self) -> None:
        self.declared: dict[str, Storage] = {}

    def persistent(self, offset: int, identity: PersistentId) -> Iterator[Observation]:
        """Accept exactly what torch writes."""
        match identity.id:
            case Container(kind="tuple", items=["module", Global(), *_]):
                yield SOURCE_IN_ID.at(offset, "the file holds the source code of a module")
                return
            case Container(
                kind="tuple",
                items=["storage", Global(module, kind), key, str(), int() as elements, *rest],
            ) if module in _MODULES and kind in ITEM_SIZES and elements >= 0 and _plain(rest):
                yield from self._declare(offset, key, kind, elements)
                return
        yield BAD_ID.at(offset, "the persistent id is not that of a storage")

    def _declare(self, offset: int, key: Value, kind: str, elements: int) -> Iterator[Observation]:
        if not isinstance(key, str | int) or isinstance(key, bool):
            yield BAD_ID.at(offset, "the key of a storage is neither text nor a number")
            return
        found = Storage(str(key), kind, elements, offset)
        held = self.declared.setdefault(found.key, found)
        if (held.kind, held.elements) != (kind, elements):
            message = f"storage {printable(found.key)} is declared in two ways"
            yield BAD_STORAGE.at(offset, message, subject=found.key)


def _plain(rest: list[Value]) -> bool:
    """The sixth item is the view of legacy files: None, or (key, offset, size)."""
    match rest:
        case [] | [None]:
            return True
        case [Container(kind="tuple", items=[str(), int(), int()])]:
            return True
    return False
