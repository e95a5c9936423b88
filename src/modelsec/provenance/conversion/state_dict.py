"""Which tensors a checkpoint holds, under which names.

A checkpoint is whatever was given to ``torch.save``: a state dict, dicts within dicts, a module, a
single tensor. The walk knows a handful of forms and refuses every other one that holds a tensor:
a conversion that leaves tensors out without a word would be worse than none.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from modelsec.errors import (
    MalformedArtifactError,
    ResourceLimitError,
    UnsupportedFormatError,
    printable,
)
from modelsec.provenance.conversion.tensors import Storage, StoredTensor
from modelsec.provenance.conversion.torch_forms import (
    REBUILD,
    is_dict,
    is_empty,
    is_tensor,
    key_text,
    kind_of,
    module_parts,
    named_type,
    pairs,
    rebuilds,
    shown_path,
    sizes,
    wrapped,
)
from modelsec.provenance.conversion.torch_types import STORAGE_TYPES, is_storage, is_untyped
from modelsec.scanning.formats.safetensors import BITS
from modelsec.scanning.limits import Budget
from modelsec.scanning.pickle.values import Call, Container, Global, PersistentId, Value

FindStorage = Callable[[str], Storage]
"""Returns the bytes of a storage by its key, or raises an ``ArtifactError``."""

_DEPTH: Final = 100
_KEPT: Final = 10_000
_ATTRIBUTES: Final = ("_metadata",)
"""What torch hangs on a state dict: versions of its modules, of no use without the classes."""


@dataclass(frozen=True, slots=True)
class DroppedLeaf:
    """Something that is not a tensor, and so not in the output.

    Attributes:
        name: dotted, as the tensors' names are.
        kind: of the value, e.g. ``int``, ``list``, ``argparse:Namespace``.
        text: the value, if it is a short constant; "" otherwise.
    """

    name: str
    kind: str
    text: str = ""


@dataclass(slots=True)
class Contents:
    """What was found in a checkpoint.

    Attributes:
        tensors: in the order of the file.
        dropped: everything else, at most 10,000 entries.
        dropped_count: how many there are.
        scalars: the dropped numbers, texts and truth values, by name.
    """

    tensors: list[StoredTensor] = field(default_factory=list)
    dropped: list[DroppedLeaf] = field(default_factory=list)
    dropped_count: int = 0
    scalars: dict[str, bool | int | float | str | None] = field(default_factory=dict)

    def drop(self, leaf: DroppedLeaf) -> None:
        """Note something that is not converted."""
        self.dropped_count += 1
        if len(self.dropped) < _KEPT:
            self.dropped.append(leaf)


def walk(root: Value, find: FindStorage, budget: Budget, *, swapped: bool = False) -> Contents:
    """Return what a checkpoint holds.

    Args:
        root: what its pickle stands for.
        find: the storages.
        budget: what may be spent.
        swapped: the storages are big-endian.

    Raises:
        UnsupportedFormatError: a tensor in a form that cannot be converted, with its name.
        MalformedArtifactError: a tensor that is not in its storage.
        ResourceLimitError: nested too deep, or too many values.
    """
    walker = _Walker(find, budget, swapped=swapped)
    walker.walk(root)
    return walker.contents


class _Walker:
    def __init__(self, find: FindStorage, budget: Budget, *, swapped: bool) -> None:
        self.contents = Contents()
        self._find = find
        self._budget = budget
        self._swapped = swapped
        self._barren: dict[int, Value] = {}

    def walk(self, root: Value) -> None:
        """Visit everything that has a name."""
        pending: list[tuple[tuple[str, ...], Value]] = [((), root)]
        while pending:
            path, value = pending.pop()
            self._budget.opcodes(1)
            if len(path) > _DEPTH:
                raise ResourceLimitError(f"nested more than {_DEPTH} deep: {shown_path(path)}")
            pending.extend(reversed(self._visit(path, value)))

    def _visit(self, path: tuple[str, ...], value: Value) -> list[tuple[tuple[str, ...], Value]]:
        """Convert or drop a value, or return what is in it."""
        while (inner := wrapped(value, path)) is not None:
            value, *attributes = inner
            for state in attributes:
                self._check_attributes(state, path)
        if isinstance(value, Call) and is_tensor(value):
            self.contents.tensors.append(self._tensor(path, value))
            return []
        if (entries := pairs(value, path)) is not None:
            for state in value.states if isinstance(value, Call) else []:
                self._check_attributes(state, path)
            return [((*path, key_text(key, path)), item) for key, item in entries]
        if not self._holds_tensor(value):
            self._drop(path, value)
            return []
        if isinstance(value, Container) and value.kind in {"list", "tuple"} and not value.hidden:
            return [((*path, str(index)), item) for index, item in enumerate(value.items)]
        if (parts := module_parts(value)) is not None:
            self.contents.drop(
                DroppedLeaf(".".join(path), f"{kind_of(value)} (a module's attributes)")
            )
            return [(path, part) for part in parts]
        raise UnsupportedFormatError(f"{shown_path(path)} holds a tensor in {kind_of(value)}")

    def _tensor(self, path: tuple[str, ...], call: Call) -> StoredTensor:
        name = ".".join(path) or "tensor"
        try:
            return self._described(name, call)
        except UnsupportedFormatError as error:
            raise UnsupportedFormatError(f"{shown_path(path)}: {error}") from error
        except MalformedArtifactError as error:
            if printable(name) in str(error):
                raise
            raise MalformedArtifactError(f"{shown_path(path)}: {error}") from error

    def _described(self, name: str, call: Call) -> StoredTensor:
        match call.args:
            case [PersistentId(identity), int() as offset, size, stride, *rest]:
                pass
            case _:
                raise UnsupportedFormatError("a tensor of an unknown form")
        version = REBUILD.index(call.callee.name) if isinstance(call.callee, Global) else 0
        explicit = None
        if call.states:
            raise UnsupportedFormatError("a tensor with state of its own")
        if version:
            if len(rest) < 2 or not is_empty(rest[1]):  # noqa: PLR2004 - gradient flag and hooks
                raise UnsupportedFormatError("a tensor with hooks")
            rest = rest[2:]
        if version == 2:  # noqa: PLR2004 - the version that names the type
            explicit = named_type(rest[0] if rest else None)
            rest = rest[1:]
        if any(item is not None and not is_empty(item) for item in rest):
            raise UnsupportedFormatError("a tensor with metadata (conjugated or negated)")
        storage, dtype = self._storage(identity, explicit)
        return StoredTensor(
            name=name,
            dtype=dtype,
            shape=sizes(size),
            strides=sizes(stride),
            storage=storage,
            offset=offset,
            swapped=self._swapped and BITS[dtype] > 8,  # noqa: PLR2004 - bits of a byte
        )

    def _storage(self, identity: Value, explicit: str | None) -> tuple[Storage, str]:
        """Return a tensor's storage and element type."""
        match identity:
            case Container(
                kind="tuple",
                items=[
                    "storage",
                    Global() as kind,
                    str() | int() as key,
                    location,
                    int() as count,
                    *views,
                ],
            ) if is_storage(kind):
                key = str(key)
            case _:
                raise UnsupportedFormatError("a storage of an unknown form")
        if location == "meta" or any(view is not None for view in views):
            raise UnsupportedFormatError("a storage without data, or a view of another one")
        storage = self._find(key)
        dtype = explicit or STORAGE_TYPES.get(kind.name)
        if dtype is None:
            raise UnsupportedFormatError(f"elements of {kind}, which safetensors cannot hold")
        bits = 8 if is_untyped(kind) else BITS[STORAGE_TYPES.get(kind.name, dtype)]
        if count * bits != storage.bytes.size * 8:
            raise MalformedArtifactError(
                f"storage {printable(key)} should have {count} elements of {bits} bits, "
                f"and has {storage.bytes.size} bytes"
            )
        return storage, dtype

    def _holds_tensor(self, value: Value) -> bool:
        """Whether a storage can be reached from a value."""
        seen: dict[int, Value] = {}
        pending: list[Value] = [value]
        while pending:
            item = pending.pop()
            if not isinstance(item, Container | Call | PersistentId):
                continue
            if id(item) in seen or id(item) in self._barren:
                continue
            self._budget.opcodes(1)
            seen[id(item)] = item
            if isinstance(item, Call) and rebuilds(item):
                return True
            if isinstance(item, PersistentId):
                return True
            if isinstance(item, Container):
                pending.extend(item.items)
            else:
                pending += [item.callee, *item.args, item.kwargs, *item.states, *item.items]
        self._barren |= seen  # the values are kept with their ids: no id is used twice
        return False

    def _check_attributes(self, state: Value, path: tuple[str, ...]) -> None:
        """Note what hangs on a mapping or tensor instead of being in it; refuse tensors there."""
        if self._holds_tensor(state):
            raise UnsupportedFormatError(f"{shown_path(path)} has a tensor among its attributes")
        if not isinstance(state, Container) or not is_dict(state):
            if not is_empty(state):
                self.contents.drop(DroppedLeaf(".".join(path), "state"))
            return
        for name, _ in state.pairs():
            if isinstance(name, str) and name not in _ATTRIBUTES:
                self.contents.drop(DroppedLeaf(".".join((*path, name)), "attribute"))

    def _drop(self, path: tuple[str, ...], value: Value) -> None:
        name = ".".join(path)
        if value is None or isinstance(value, bool | int | float | str):
            self.contents.scalars[name] = value
            self.contents.drop(DroppedLeaf(name, type(value).__name__, printable(str(value), 60)))
        else:
            self.contents.drop(DroppedLeaf(name, kind_of(value)))
