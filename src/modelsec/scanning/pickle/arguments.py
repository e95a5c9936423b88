"""Rules about the arguments and states of permitted callables.

That a name may be called says nothing about calling it with *these* arguments. Each rule here
exists because the callee's code acts on its arguments: a codec decompresses, a dtype decides
whether bytes are read as pointers, a tensor may reach beyond its storage.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from modelsec.scanning.part import Part
from modelsec.scanning.pickle.array_arguments import (
    Array,
    Distribution,
    Dtype,
    Generator,
    Masked,
    Scalar,
)
from modelsec.scanning.pickle.checks import FREE_ALLOCATION, Check, Refusal, is_constant
from modelsec.scanning.pickle.tensor_arguments import (
    LoadFromBytes,
    Parameter,
    Tensor,
    TensorObject,
)
from modelsec.scanning.pickle.values import Blob, Call, Container, Global, Value
from modelsec.scanning.policy import Policy

_TEXT_CODECS = ("latin1", "latin-1", "utf-8", "utf8", "ascii")
_FRACTION = re.compile(r"[+-]?[0-9]++(?:/[0-9]++)?", re.ASCII)
_DECIMAL = re.compile(r"[+-]?[0-9_.]++(?:[eE][+-]?[0-9]++)?|[+-]?(?:s?NaN[0-9]*+|Inf(?:inity)?)")


class Codec(Check):
    """``_codecs.encode(text, 'latin1')`` is how protocol 2 writes bytes; other codecs decode."""

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit text encodings only: 'zlib', 'hex' and others are transformations of bytes."""
        del part, policy
        match call.args:
            case [str() | Blob(), str() as codec] if codec in _TEXT_CODECS:
                return None
        return Refusal("the codec is not a plain text encoding")

    def evaluate(self, call: Call, part: Part) -> Value:
        """Return the bytes of a short text."""
        del part
        match call.args:
            case [str() as text, str() as codec] if codec in _TEXT_CODECS:
                try:
                    return text.encode(codec)
                except UnicodeError:
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
            case [str() | Blob(), str() as codec] if codec in _TEXT_CODECS:
                return None
        return Refusal("the arguments are not plain data", dangerous=False)


class Constants(Check):
    """Constructors of scalars: a computed argument may be larger than any file."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit scalars and text that stand in the file."""
        del part, policy
        if all(is_constant(argument) for argument in call.args):
            return None
        return Refusal("an argument is not a scalar or text", dangerous=False)


class Number(Constants):
    """``Fraction`` and ``Decimal``: an exponent makes a few characters into gigabytes."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit what their ``__reduce__`` writes."""
        del part, policy
        pattern = _FRACTION if str(call.callee).endswith("Fraction") else _DECIMAL
        match call.args:
            case [str() as text] if pattern.fullmatch(text):
                return None
            case [int()] | [int(), int()]:
                return None
        return Refusal("the text is not that of a number", dangerous=False)


class Members(Check):
    """Constructors of containers iterate over their arguments, to the end."""

    exact = False

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit containers in the file; a ``range`` of ten bytes has any number of members."""
        del part, policy
        for argument in call.args:
            if isinstance(argument, Call):
                made = argument.callee
                if not isinstance(made, Global) or made.module not in ("builtins", "collections"):
                    return Refusal("a container made of a computed object", dangerous=False)
                if made.name == "range":
                    return Refusal("a container made of a range that is not in the file")
            elif isinstance(argument, Global):
                return Refusal("a container made of a global object", dangerous=False)
        return None


class New(Check):
    """Objects that pickle makes without ``__init__`` and fills with their state."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit no arguments: then the constructor has nothing to act upon."""
        del part, policy
        if call.args:
            return Refusal("its constructor is run with arguments", dangerous=False)
        return None


class Attribute(Check):
    """``getattr`` is how members of an Enum are pickled; as a chain it reaches everything."""

    tool = True

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
            case [] | [None] | [None, Container()]:
                return None
            case [Global("builtins" | "collections" as module, name), *rest]:
                allowance = policy.permits("call", module, name)
                tool = allowance is not None and check_named(allowance.arguments).tool
                if (
                    allowance is not None
                    and not tool
                    and all(isinstance(argument, Container) for argument in rest)
                ):
                    return None
        return Refusal("the factory is not a builtin type")


class Partial(Check):
    """``functools.partial`` over a callable that may be called."""

    tool = True

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

    tool = True

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit classes that may be called; a base other than object takes a state."""
        match call.args:
            case [Global(module, name) as made, *rest]:
                allowance = policy.permits("call", module, name)
                if allowance is None:
                    return Refusal(
                        f"makes an object of {module}:{name}, which no policy lists",
                        dangerous=False,
                    )
                if str(call.callee).endswith("_reconstructor"):
                    return _base(rest)
                if str(call.callee).endswith("__newobj_ex__"):
                    return _named(rest)
                check = check_named(allowance.arguments)
                return check.call(Call(made, rest, made), part, policy)
        return Refusal("makes an object of something that is not a class")


def _base(rest: list[Value]) -> Refusal | None:
    match rest:
        case [Global("builtins", "object"), None]:
            return None
        case [Global("builtins", base), state]:
            if base in ("dict", "list", "tuple", "set", "frozenset") and isinstance(
                state, Container
            ):
                return None
            if base in ("int", "float", "str", "complex") and is_constant(state):
                return None
            if base == "bytes" and isinstance(state, bytes | Blob):
                return None
    return Refusal("the base of the object is not a builtin, or its state is computed")


def _named(rest: list[Value]) -> Refusal | None:
    match rest:
        case [Container(kind="tuple", items=[]), Container(kind="dict", items=[])]:
            return None
    return Refusal("makes an object with arguments", dangerous=False)


class NoSuchRule(Check):
    """What a policy of one's own names, and nobody has written."""

    def call(self, call: Call, part: Part, policy: Policy) -> Refusal | None:
        """Permit nothing."""
        del call, part, policy
        return Refusal("the policy names a rule of arguments that does not exist", dangerous=False)

    def build(self, target: Call, state: Value, part: Part) -> Refusal | None:
        """Permit nothing."""
        del target, state, part
        return Refusal("the policy names a rule of arguments that does not exist", dangerous=False)


def check_named(name: str) -> Check:
    """Return the rule of this name."""
    return CHECKS.get(name, _NO_SUCH_RULE)


_NO_SUCH_RULE: Final = NoSuchRule()
CHECKS: Final[Mapping[str, Check]] = MappingProxyType(
    {
        "": Check(),
        "array": Array(),
        "attribute": Attribute(),
        "codec": Codec(),
        "constants": Constants(),
        "distribution": Distribution(),
        "dtype": Dtype(),
        "factory": Factory(),
        "generator": Generator(),
        "load from bytes": LoadFromBytes(),
        "masked": Masked(),
        "members": Members(),
        "new": New(),
        "number": Number(),
        "parameter": Parameter(),
        "partial": Partial(),
        "reconstructor": Reconstructor(),
        "scalar": Scalar(),
        "sized": Sized(),
        "tensor": Tensor(),
        "tensor object": TensorObject(),
    }
)
"""By the name that policies use."""
