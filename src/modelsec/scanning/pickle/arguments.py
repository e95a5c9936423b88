"""Rules about the arguments and states of permitted callables.

That a name may be called says nothing about calling it with *these* arguments. Each rule here
exists because the callee's code acts on its arguments: a codec decompresses, a dtype decides
whether bytes are read as pointers, a tensor may reach beyond its storage.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Final, cast

from modelsec.errors import ArtifactError
from modelsec.scanning.formats import dtype as dtypes
from modelsec.scanning.part import Part
from modelsec.scanning.pickle.values import (
    UNKNOWN,
    Blob,
    Call,
    Container,
    Global,
    PersistentId,
    Value,
)
from modelsec.scanning.policy import Policy
from modelsec.scanning.source import BytesSource, Slice

_MATERIALISED: Final = 1 << 31
"""Elements that an expanded tensor may have, whatever its storage holds."""
FREE_ALLOCATION: Final = 1 << 20
"""Bytes that a pickle may make a constructor allocate without having brought as many."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why arguments are not permitted.

    Attributes:
        reason: for the finding.
        dangerous: no honest writer does this; else the policy merely does not cover it.
    """

    reason: str
    dangerous: bool = True


class Check:
    """A rule that accepts everything; the rules below override what they restrict."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Return why the arguments of a call are refused, or None."""
        del call, part, policy
        return None

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Return why the state of an object is refused, or None."""
        del target, state, part
        return None

    def evaluate(self, call: Call, part: Part) -> Value:
        """Return the constant that the call results in, or None if it stays symbolic."""
        del call, part
        return None

    def nested(self, call: Call, part: Part) -> Iterator[Part]:
        """Yield bytes among the arguments that the callee would load."""
        del call, part
        return iter(())


class Codec(Check):
    """``_codecs.encode(text, 'latin1')`` is how protocol 2 writes bytes; other codecs decode."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit text encodings only: 'zlib', 'hex' and others are transformations of bytes."""
        del part, policy
        match call.args:
            case [str() | Blob(), "latin1" | "latin-1" | "utf-8" | "utf8" | "ascii"]:
                return None
        return Refusal("the codec is not a plain text encoding")

    def evaluate(self, call: Call, part: Part) -> Value:
        """Return the bytes of a short text."""
        del part
        match call.args:
            case [str() as text, str() as codec]:
                try:
                    return text.encode(codec)
                except (UnicodeError, LookupError):
                    return None
        return None


class Sized(Check):
    """``bytes(n)`` and ``bytearray(n)`` allocate; text needs an encoding."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit sizes in proportion to the file."""
        del policy
        match call.args:
            case [bool()] | []:
                return None
            case [int() as size] if size > max(part.source.size, FREE_ALLOCATION):
                return Refusal(f"allocates {size} bytes that are not in the file")
            case [int() | bytes() | Blob() | Container()]:
                return None
            case [str() | Blob(), "latin1" | "latin-1" | "utf-8" | "utf8" | "ascii"]:
                return None
        return Refusal("the arguments are not plain data", dangerous=False)


class Attribute(Check):
    """``getattr`` is how members of an Enum are pickled; as a chain it reaches everything."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit one constant, public name on a class that the policy lists for it."""
        del part
        match call.args:
            case [Global(module, name), str() as attribute] if attribute.isidentifier():
                if policy.permits("import", module, f"{name}.{attribute}"):
                    return None
                if policy.permits("attribute", module, name) and not attribute.startswith("_"):
                    return None
        return Refusal("getattr on something that no policy lists")

    def evaluate(self, call: Call, part: Part) -> Value:
        """Return the attribute by its dotted name, so that a call of it is judged by that."""
        del part
        match call.args:
            case [Global(module, name), str() as attribute]:
                return Global(module, f"{name}.{attribute}")
        return None


class Factory(Check):
    """A factory is called later: it is judged as if it were called now."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit None, or a class that may be called without arguments."""
        del part
        match call.args:
            case [] | [None, *_]:
                return None
            case [Global(module, name), *_]:
                allowance = policy.permits("call", module, name)
                if allowance is not None and module in ("builtins", "collections"):
                    return None
        return Refusal("the factory is not a builtin type")


class Partial(Check):
    """``functools.partial`` over a callable that may be called."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit a first argument that the policy permits to be called with any arguments."""
        del part
        match call.args:
            case [Global(module, name), *_]:
                allowance = policy.permits("call", module, name)
                if allowance is not None and not allowance.arguments:
                    return None
        return Refusal("a partial of something that may not be called")


class Reconstructor(Check):
    """``copyreg._reconstructor(cls, object, None)``, ``copyreg.__newobj__(cls, *args)``."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit classes that may be called; a base other than object takes a state."""
        del part
        match call.args:
            case [Global(module, name), *rest]:
                if policy.permits("call", module, name) is None:
                    return Refusal(
                        f"makes an object of {module}:{name}, which no policy lists",
                        dangerous=False,
                    )
                plain = (Global("builtins", "object"), None)
                bases = (
                    "dict",
                    "list",
                    "tuple",
                    "set",
                    "frozenset",
                    "int",
                    "float",
                    "str",
                    "bytes",
                )
                if str(call.callee).endswith("_reconstructor") and tuple(rest) != plain:
                    match rest:
                        case [Global("builtins", base), _] if base in bases:
                            return None
                    return Refusal("the base of the object is not a builtin")
                return None
        return Refusal("makes an object of something that is not a class")


class Array(Check):
    """numpy's ``_reconstruct(cls, shape, dtype)`` and ``ndarray.__setstate__``."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit array classes and shapes in proportion to the file."""
        match call.args:
            case [Global(module, name), Container(kind="tuple") as shape, *_]:
                if policy.permits("call", module, name) is None:
                    return Refusal(
                        f"an array of {module}:{name}, which no policy lists", dangerous=False
                    )
                if not all(isinstance(size, int) and size >= 0 for size in shape.items):
                    return Refusal("the shape is not a tuple of sizes")
                sizes = [size for size in shape.items if isinstance(size, int)]
                if prod(sizes) * 8 > max(part.source.size, FREE_ALLOCATION):
                    return Refusal("allocates an array that is not in the file")
                return None
        return Refusal("the arguments are not those of an array")

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the version, shape and type of an array's state."""
        del target, part
        if not isinstance(state, Container) or state.kind != "tuple":
            return Refusal("the state of the array is not a tuple")
        items = state.items
        if (
            items
            and isinstance(items[0], Container)
            and isinstance(items[0].items[:1], list)
            and len(items) == 2
        ):  # noqa: PLR2004
            items = items[0].items  # masked arrays and subclasses nest the state
        match items:
            case [int(), Container() as shape, Call() as kind, _, payload, *_]:
                return _array_state(shape, kind, payload)
        return None if len(items) >= 4 else Refusal("the state of the array is incomplete")  # noqa: PLR2004


def _array_state(shape: Container, kind: Call, payload: Value) -> Refusal | None:
    try:
        element = array_type(kind)
    except ArtifactError as error:
        return Refusal(str(error))
    if not all(isinstance(size, int) and size >= 0 for size in shape.items):
        return Refusal("the shape is not a tuple of sizes")
    count = prod(size for size in shape.items if isinstance(size, int))
    length = _length(payload)
    if element.has_object:
        if isinstance(payload, Container) and payload.kind == "list":
            return None
        return Refusal("an object array without a list of objects: bytes read as pointers")
    if length is not None and length != count * element.itemsize:
        return Refusal(f"{length} bytes for {count} elements of {element.itemsize} bytes")
    return None


def _length(payload: Value) -> int | None:
    """Return the number of bytes of a payload, or None if it cannot be told without decoding."""
    if isinstance(payload, bytes):
        return len(payload)
    if isinstance(payload, Blob) and payload.kind in ("bytes", "bytearray", "latin-1"):
        return payload.length
    if isinstance(payload, str) and payload.isascii():
        return len(payload)
    return None


class Dtype(Check):
    """``numpy.dtype(code, align, copy)`` and its state, which numpy trusts."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit a type code; anything else makes numpy interpret a specification."""
        del part, policy
        match call.args:
            case [str() as code, *_]:
                try:
                    dtypes.from_code(code)
                except ArtifactError as error:
                    return Refusal(str(error), dangerous=False)
                return None
            case [Global("numpy" | "numpy.rec" | "numpy.core.records", _), *_]:
                return None
        return Refusal("the type is not given by a code", dangerous=False)

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Recompute size and flags from the fields: a lie makes bytes into pointers."""
        del part
        try:
            _with_state(_base_type(target), state)
        except ArtifactError as error:
            return Refusal(str(error))
        return None


def array_type(kind: Call) -> dtypes.ArrayType:
    """Return the element type of a symbolic ``numpy.dtype`` with its states.

    Raises:
        ArtifactError: it is not a dtype, or its state contradicts itself.
    """
    if kind.known is not None and kind.known[0] == len(kind.states):
        return cast("dtypes.ArrayType", kind.known[1])  # one dtype stands for many scalars
    element = _base_type(kind)
    for state in kind.states:
        element = _with_state(element, state)
    kind.known = (len(kind.states), element)
    return element


def _base_type(kind: Call) -> dtypes.ArrayType:
    match kind.args:
        case [str() as code, *_]:
            return dtypes.from_code(code)
        case [Global("numpy" | "numpy.rec" | "numpy.core.records", "record" | "void"), *_]:
            return dtypes.from_code("V")
    return dtypes.from_code("O")  # not told: as suspicious as objects


def _with_state(element: dtypes.ArrayType, state: Value) -> dtypes.ArrayType:
    return dtypes.from_state(element, _plain(state, 0))  # type: ignore[arg-type]  # it checks


def _plain(value: Value, depth: int) -> object:
    """Return a symbolic value as plain objects, dtypes within it as array types."""
    if depth > 16:  # noqa: PLR2004 - no honest dtype nests like that
        return UNKNOWN
    if isinstance(value, Container):
        if value.kind == "dict":
            return {_key(key): _plain(item, depth + 1) for key, item in value.pairs()}
        made = [_plain(item, depth + 1) for item in value.items]
        return tuple(made) if value.kind == "tuple" else made
    if isinstance(value, Call) and str(value.produces) == "numpy:dtype":
        return array_type(value)
    return value


def _key(value: Value) -> object:
    return value if isinstance(value, str | bytes | int | None) else UNKNOWN


class Scalar(Check):
    """numpy's ``scalar(dtype, bytes)``."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit as many bytes as the type has; of objects only the object itself."""
        del part, policy
        match call.args:
            case [Call() as kind, *payload]:
                try:
                    element = array_type(kind)
                except ArtifactError as error:
                    return Refusal(str(error))
                length = _length(payload[0]) if payload else None
                if element.has_object and length is not None:
                    return Refusal("bytes given for an object: they are read as a pointer")
                if length is not None and not element.has_object and length != element.itemsize:
                    return Refusal(f"{length} bytes for an element of {element.itemsize}")
                return None
        return Refusal("the type of the scalar is not a dtype", dangerous=False)


class LoadFromBytes(Check):
    """``torch.storage._load_from_bytes`` is ``torch.load`` of its argument: read on there."""

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

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Check offset, size and stride against the number of elements."""
        del part, policy
        match call.args:
            case [storage, int() as offset, Container() as size, Container() as stride, *rest]:
                if str(call.callee).endswith("_rebuild_qtensor"):
                    rest = rest[1:]  # behind the quantiser's parameters
                return _bounds(storage, offset, size, stride) or _hooks(rest)
        return Refusal("the arguments are not those of a tensor", dangerous=False)


def _bounds(storage: Value, offset: int, size: Container, stride: Container) -> Refusal | None:
    sizes = [item for item in size.items if isinstance(item, int)]
    strides = [item for item in stride.items if isinstance(item, int)]
    if (
        len(sizes) != len(size.items)
        or len(strides) != len(stride.items)
        or len(sizes) != len(strides)
    ):
        return Refusal("size and stride are not tuples of as many integers")
    if offset < 0 or min(sizes, default=0) < 0 or min(strides, default=0) < 0:
        return Refusal("an offset, size or stride is negative")
    if prod(sizes) > 1 << 62 or max(strides, default=0) > 1 << 62:
        return Refusal("the number of elements overflows")
    elements = storage_elements(storage)
    if elements is None:
        return None
    last = offset + sum((length - 1) * step for length, step in zip(sizes, strides, strict=True))
    if prod(sizes) > max(_MATERIALISED, 4096 * elements):
        return Refusal(f"expands {elements} elements to {prod(sizes)}", dangerous=False)
    if 0 not in sizes and last >= elements:
        return Refusal(f"the tensor reaches element {last} of a storage of {elements}")
    return None


def storage_elements(storage: Value) -> int | None:
    """Return how many elements a persistent storage declares, or None if it cannot be told."""
    match storage:
        case PersistentId(Container(items=["storage", Global(_, name), _, _, int() as count, *_])):
            return None if name == "UntypedStorage" else count
    return None


def _hooks(rest: list[Value]) -> Refusal | None:
    """Backward hooks are called: none may be there."""
    match rest:
        case [_, Call(produces=Global("collections", "OrderedDict")) as hooks, *_]:
            return Refusal("backward hooks are called later") if hooks.items or hooks.args else None
        case [_, Container(items=[]) | None, *_] | [] | [_]:
            return None
    return Refusal("backward hooks are not an empty mapping")


class Parameter(Check):
    """``torch._utils._rebuild_parameter(data, requires_grad, hooks)``."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit no hooks."""
        del part, policy
        return _hooks(call.args[1:])


CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "array": Array(),
        "attribute": Attribute(),
        "codec": Codec(),
        "dtype": Dtype(),
        "factory": Factory(),
        "load from bytes": LoadFromBytes(),
        "parameter": Parameter(),
        "partial": Partial(),
        "reconstructor": Reconstructor(),
        "scalar": Scalar(),
        "sized": Sized(),
        "tensor": Tensor(),
    }
)
"""By the name that policies use."""
