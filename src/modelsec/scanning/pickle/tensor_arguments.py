"""Rules about torch's tensors: what they reach, and what is called with them later."""

from collections.abc import Iterator
from math import prod
from typing import Final

from modelsec.scanning.part import Part
from modelsec.scanning.pickle.checks import Check, Refusal
from modelsec.scanning.pickle.values import (
    Blob,
    Call,
    Container,
    Global,
    PersistentId,
    Value,
)
from modelsec.scanning.policy import Policy
from modelsec.scanning.source import BytesSource, Slice

_WITH_STORAGE = 4
_LARGEST = 1 << 62
_MATERIALISED: Final = 1 << 31
"""Elements that an expanded tensor may have, whatever its storage holds."""


class LoadFromBytes(Check):
    """``torch.storage._load_from_bytes`` is ``torch.load`` of its argument: read on there."""

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit constants only; they are scanned as a torch file."""
        del part, policy
        match call.args:
            case [bytes() | Blob(kind="bytes" | "bytearray")]:
                return None
        return Refusal("loads computed bytes")

    def nested(self, call: Call, part: Part) -> Iterator[Part]:
        """Yield the bytes."""
        match call.args:
            case [bytes() as data]:
                yield part.child(BytesSource(data), "bytes for torch.load")
            case [Blob(_, offset, length)]:
                yield part.child(Slice(part.source, offset, length), "bytes for torch.load")


class Tensor(Check):
    """``torch._utils._rebuild_tensor*``: what the tensor reaches must be in its storage."""

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Check offset, size and stride against the number of elements."""
        del part, policy
        match call.args:
            case [storage, int() as offset, Container() as size, Container() as stride, *rest]:
                if str(call.callee).endswith("_rebuild_qtensor"):
                    rest = rest[1:]  # behind the quantiser's parameters
                return _bounds(storage, offset, size, stride) or _hooks(rest)
        return Refusal("the arguments are not those of a tensor", dangerous=False)

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the states of old versions: a storage anew, or hooks."""
        del target, part
        return _tensor_state(state)


def _tensor_state(state: Value) -> Refusal | None:
    if not isinstance(state, Container) or state.kind != "tuple":
        return Refusal("the state of the tensor is not a tuple")
    match state.items:
        case [storage, int() as offset, Container() as size, Container() as stride]:
            return _bounds(storage, offset, size, stride)
        case [_, bool() | int(), hooks] | [_, _, hooks, bool() | int(), _]:
            return _hooks([None, hooks])
    return Refusal("the state of the tensor is not one that torch writes", dangerous=False)


def _bounds(storage: Value, offset: int, size: Container, stride: Container) -> Refusal | None:
    sizes = [item for item in size.items if isinstance(item, int)]
    strides = [item for item in stride.items if isinstance(item, int)]
    whole = len(sizes) == len(size.items) and len(strides) == len(stride.items)
    if not whole or len(sizes) != len(strides):
        return Refusal("size and stride are not tuples of as many integers")
    if offset < 0 or min(sizes, default=0) < 0 or min(strides, default=0) < 0:
        return Refusal("an offset, size or stride is negative")
    if prod(sizes) > _LARGEST or max(strides, default=0) > _LARGEST:
        return Refusal("the number of elements overflows")
    elements = storage_elements(storage)
    return None if elements is None else _reach(elements, offset, sizes, strides)


def _reach(elements: int, offset: int, sizes: list[int], strides: list[int]) -> Refusal | None:
    last = offset + sum((length - 1) * step for length, step in zip(sizes, strides, strict=True))
    if 0 not in sizes and last >= elements:
        return Refusal(f"the tensor reaches element {last} of a storage of {elements}")
    if prod(sizes) > max(_MATERIALISED, 4096 * elements):
        return Refusal(f"expands {elements} elements to {prod(sizes)}", dangerous=False)
    return None


def storage_elements(storage: Value) -> int | None:
    """Return how many elements a persistent storage declares, or None if it cannot be told."""
    match storage:
        case PersistentId(Container(items=["storage", Global(_, name), _, _, int() as count, *_])):
            return None if name == "UntypedStorage" else count
    return None


def _hooks(rest: list[Value]) -> Refusal | None:
    """Backward hooks are called: none may be there, nor come later."""
    match rest:
        case [_, Call(produces=Global("collections", "OrderedDict")) as hooks, *_]:
            hooks.given = True
            if hooks.items or hooks.args or hooks.hidden or hooks.states or hooks.kwargs:
                return Refusal("backward hooks are called later")
            return None
        case [_, Container(items=[]) as empty, *_]:
            empty.given = True
            return None
        case [_, None, *_] | [] | [_]:
            return None
    return Refusal("backward hooks are not an empty mapping")


class Parameter(Check):
    """``torch._utils._rebuild_parameter(data, requires_grad, hooks)``, perhaps with a state."""

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit no hooks, in whatever way they might be set."""
        del part, policy
        states = call.args[3:]
        dicts = [part for state in states for part in _parts(state) if isinstance(part, Container)]
        for attributes in dicts:
            if attributes.kind != "dict":
                return Refusal("the state of the parameter is not a dict")
            for name in attributes.items[::2]:
                if not isinstance(name, str) or name.startswith("__") or "hook" in name:
                    return Refusal("a special attribute of the parameter is set")
        return _hooks(call.args[1:])

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check what a tensor's state is checked for."""
        del target, part
        return _tensor_state(state)


def _parts(state: Value) -> "list[Value]":
    """Return the dict of a state, and that of its slots."""
    if isinstance(state, Container) and state.kind == "tuple":
        return state.items
    return [state]


class TensorObject(Check):
    """``torch.Tensor`` and ``torch.nn.Parameter`` themselves, as old versions pickled them."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit a tensor of another one; a size would allocate."""
        del part, policy
        match call.args:
            case [] | [Call()] | [Call(), bool()]:
                return None
        return Refusal("a tensor made of something else than a tensor", dangerous=False)

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the states of old versions."""
        del target, part
        return _tensor_state(state)
