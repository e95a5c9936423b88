"""Rules about numpy's arrays, element types and generators.

numpy trusts the states that it is given: size and flags of a dtype decide whether bytes are read
as pointers, and the position of a generator is an index into its memory.
"""

import re
from math import prod
from typing import Final, cast

from modelsec.errors import ArtifactError, MalformedArtifactError
from modelsec.scanning.formats import dtype as dtypes
from modelsec.scanning.part import Part
from modelsec.scanning.pickle.checks import (
    FREE_ALLOCATION,
    Check,
    Refusal,
    require_exact,
)
from modelsec.scanning.pickle.values import (
    UNKNOWN,
    Blob,
    Blurred,
    Call,
    Container,
    Global,
    Inert,
    Value,
)
from modelsec.scanning.policy import Policy

_DTYPE = Global("numpy", "dtype")
_SHORTEST_STATE = 4
_DEEPEST_TYPE = 16
_MERSENNE_WORDS: Final = 624
_RECORDS = ("numpy", "numpy.rec", "numpy.core.records", "numpy._core.records")


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
                return _shape(shape, part)
        return Refusal("the arguments are not those of an array")

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the version, shape and type of an array's state."""
        del target, part
        if not isinstance(state, Container) or state.kind != "tuple":
            return Refusal("the state of the array is not a tuple")
        items = state.items
        match items:
            case [Container(kind="tuple", items=[_, *_]) as inner, _]:
                items = inner.items  # subclasses nest the state
        match items:
            case [int(), Container() as shape, Call() as kind, _, payload, *_]:
                return _array_state(shape, kind, payload)
            case [Container() as shape, Call() as kind, _, payload]:
                return _array_state(shape, kind, payload)  # the first version had no number
        return Refusal("the state of the array is not one that numpy writes")


def _shape(shape: Container, part: Part) -> Refusal | None:
    sizes = [size for size in shape.items if isinstance(size, int)]
    if len(sizes) != len(shape.items) or min(sizes, default=0) < 0:
        return Refusal("the shape is not a tuple of sizes")
    if prod(sizes) * 8 > max(part.source.size, FREE_ALLOCATION):
        return Refusal("allocates an array that is not in the file")
    return None


def _array_state(shape: Container, kind: Call, payload: Value) -> Refusal | None:
    require_exact([shape])
    try:
        element = array_type(kind)
    except ArtifactError as error:
        return Refusal(str(error))
    if shape.kind != "tuple" or not all(
        isinstance(item, int) and item >= 0 for item in shape.items
    ):
        return Refusal("the shape is not a tuple of sizes")
    count = prod(size for size in shape.items if isinstance(size, int))
    length = _length(payload)
    if element.has_object:
        if (isinstance(payload, Container) and payload.kind == "list") or type(payload) is Inert:
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


class Masked(Array):
    """``numpy.ma._mareconstruct(subclass, base class, shape, type)`` and its state."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit masked arrays over plain ones, in proportion to the file."""
        del policy
        match call.args:
            case [Global("numpy.ma" | "numpy.ma.core", _), Global("numpy", base), *rest] if (
                base
                in (
                    "ndarray",
                    "matrix",
                )
            ):
                match rest:
                    case [Container(kind="tuple") as shape, str() | bytes() | Call()]:
                        return _shape(shape, part)
        return Refusal("the arguments are not those of a masked array", dangerous=False)

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the array; the mask has its shape, which numpy sees to."""
        match state:
            case Container(kind="tuple", items=[int(), Container(), Call(), *_]):
                return super().build(target, state, part)
        return Refusal("the state of the masked array is not one that numpy writes")


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
            case [Global(module, _), *_] if module in _RECORDS:
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
        Blurred: a part of it was skipped.
    """
    if kind.known is not None and kind.known[0] == len(kind.states):
        return cast("dtypes.ArrayType", kind.known[1])  # one dtype stands for many scalars
    element = _base_type(kind)
    for state in kind.states:
        element = _with_state(element, state)
    kind.known = (len(kind.states), element)
    return element


def _base_type(kind: Call) -> dtypes.ArrayType:
    if kind.callee != _DTYPE:
        # Anything with attributes of these names will do for some loaders.
        raise MalformedArtifactError("the type of an array is not a numpy.dtype")
    if kind.hidden:
        raise Blurred
    match kind.args:
        case [str() as code, *_]:
            return dtypes.from_code(code)
        case [Global(module, "record" | "void"), *_] if module in _RECORDS:
            return dtypes.from_code("V")
    return dtypes.from_code("O")  # not told: as suspicious as objects


def _with_state(element: dtypes.ArrayType, state: Value) -> dtypes.ArrayType:
    require_exact([state])
    return dtypes.from_state(element, _plain(state, 0))  # type: ignore[arg-type]  # it checks


def _plain(value: Value, depth: int) -> object:
    """Return a symbolic value as plain objects, dtypes within it as array types."""
    if depth > _DEEPEST_TYPE:
        return UNKNOWN
    if isinstance(value, Container):
        value.given = True  # numpy keeps the very object: it may not change any more
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

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit as many bytes as the type has; of objects only the object itself."""
        del part, policy
        match call.args:
            case [Call() as kind, *payload]:
                try:
                    element = array_type(kind)
                except ArtifactError as error:
                    return Refusal(str(error))
                return _scalar(element, payload)
        return Refusal("the type of the scalar is not a dtype", dangerous=False)


def _scalar(element: dtypes.ArrayType, payload: list[Value]) -> Refusal | None:
    length = _length(payload[0]) if payload else None
    if element.has_object:
        match payload:
            case [] | [Call(produces=Global("numpy", _))]:
                return None
        return Refusal("bytes given for an object: they are read as a pointer")
    if length is not None and length != element.itemsize:
        return Refusal(f"{length} bytes for an element of {element.itemsize}")
    return None


class Generator(Check):
    """numpy's constructors of random generators call what they are given."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit a bit generator or its name, and numpy's own constructor of one."""
        del part, policy
        for argument in call.args:
            match argument:
                case str() | int() | None:
                    pass
                case Global(module, name) if module.startswith(
                    "numpy.random"
                ) and not name.startswith("_p"):
                    pass
                case Call(produces=Global(module, _)) if module.startswith("numpy.random"):
                    pass
                case _:
                    return Refusal("a random generator made of something else")
        return None

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Check the position, which indexes the generator's memory."""
        del target, part
        pending, looked = [state], 0
        while pending and looked < 64:  # noqa: PLR2004 - no honest state holds as many containers
            value = pending.pop()
            looked += 1
            if not isinstance(value, Container):
                continue
            require_exact([value], 0)
            if value.kind == "dict":
                position = value.get("pos")
                if isinstance(position, int) and not 0 <= position <= _MERSENNE_WORDS:
                    return Refusal("the position of the generator is outside its state")
            pending.extend(item for item in value.items if isinstance(item, Container))
        return None


_NAMES = r"(?>(?:[A-Za-z]\w*+, )*)"
_TEMPLATE = re.compile(
    rf"\ndef _parse_args\(self, (?P<shapes>{_NAMES}) (?P<given>loc=0(?:, scale=1)?)\):\n"
    r"    return \((?P=shapes)\), (?P<out>loc, (?:scale|1))\n\n"
    r"def _parse_args_rvs\(self, (?P=shapes) (?P=given), size=None\):\n"
    r"    return self\._argcheck_rvs\((?P=shapes) (?P=out), size=size\)\n\n"
    r"def _parse_args_stats\(self, (?P=shapes) (?P=given), moments='mv'\):\n"
    r"    return \((?P=shapes)\), (?P=out), moments\n",
    re.ASCII,
)


class Distribution(Check):
    """scipy's distributions run ``_parse_arg_template`` of their state through ``exec``."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit a new object only."""
        del part, policy
        return Refusal("made by its constructor", dangerous=False) if call.args else None

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Permit the one template that scipy has, with names of shapes in it."""
        del target, part
        if not isinstance(state, Container) or state.kind != "dict":
            return Refusal("the state of the distribution is not a dict")
        for key, value in state.pairs():
            if not isinstance(key, str):
                return Refusal("the name of an attribute is computed")
            if key == "_parse_arg_template" and not (
                isinstance(value, str) and _TEMPLATE.fullmatch(value)
            ):
                return Refusal("source code that scipy runs is not scipy's own")
            if key.startswith("_attach"):
                return Refusal("a method that scipy calls is replaced")
        return None
