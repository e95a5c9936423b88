"""Would ``torch.load(weights_only=True)`` accept this file, and if not, what stops it?

torch's restricted unpickler knows 34 opcodes and a short list of names; it is a mitigation, not a
proof (CVE-2025-32434, CVE-2026-24747). The answer here is static: the file's pickles run on the
symbolic machine under torch's rules, and nothing is loaded. The rules are those of torch 2.13.

A yes says nothing about safety: that is what ``scan`` is for.
"""

import os
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from typing import BinaryIO, Final

from modelsec.errors import ArtifactError, printable
from modelsec.scanning.containers import zip as zip_reader
from modelsec.scanning.file import open_source
from modelsec.scanning.formats.torch_legacy import is_magic
from modelsec.scanning.limits import Budget, Limits
from modelsec.scanning.part import Identified, NotThisFormat, Part
from modelsec.scanning.pickle import opcodes as op
from modelsec.scanning.pickle.lexer import Lexer, Opcode
from modelsec.scanning.pickle.machine import Machine
from modelsec.scanning.pickle.values import Call, Container, Global, PersistentId, Value
from modelsec.scanning.policy import default_policy

TORCH_VERSION: Final = "2.13"
"""Whose rules these are."""

_OPCODES = frozenset(
    {
        op.GLOBAL, op.NEWOBJ, op.REDUCE, op.BUILD, op.APPEND, op.APPENDS, op.SETITEM, op.SETITEMS,
        op.MARK, op.TUPLE, op.TUPLE1, op.TUPLE2, op.TUPLE3, op.NONE, op.NEWFALSE, op.NEWTRUE,
        op.EMPTY_TUPLE, op.EMPTY_LIST, op.EMPTY_DICT, op.EMPTY_SET, op.BININT, op.BININT1,
        op.BININT2, op.BINFLOAT, op.BINUNICODE, op.SHORT_BINSTRING, op.BINPERSID, op.BINGET,
        op.LONG_BINGET, op.BINPUT, op.LONG_BINPUT, op.LONG1, op.PROTO, op.STOP,
    }
)  # fmt: skip
_NAMES = {code: name for name, code in vars(op).items() if name.isupper()}
_BLOCKED = ("sys", "os", "posix", "nt")
_TYPES = [
    "BFloat16",
    "Bool",
    "Byte",
    "Char",
    "ComplexDouble",
    "ComplexFloat",
    "Double",
    "Float",
    "Half",
    "Int",
    "Long",
    "QInt32",
    "QInt8",
    "QUInt2x4",
    "QUInt4x2",
    "QUInt8",
    "Short",
]
_DTYPES = [
    "bfloat16",
    "bool",
    "complex32",
    "complex64",
    "complex128",
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "qint8",
    "qint32",
    "quint8",
    "quint4x2",
    "quint2x4",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e4m3fnuz",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
    "float4_e2m1fn_x2",
    "bits8",
    "bits16",
    "bits1x8",
    "bits2x4",
    "bits4x2",
    "uint1",
    "uint2",
    "uint3",
    "uint4",
    "uint5",
    "uint6",
    "uint7",
    "int1",
    "int2",
    "int3",
    "int4",
    "int5",
    "int6",
    "int7",
    "per_tensor_affine",
    "per_tensor_symmetric",
    "per_channel_affine",
    "per_channel_symmetric",
    "per_channel_affine_float_qparams",
]
_REBUILD = [
    "_rebuild_parameter",
    "_rebuild_parameter_with_state",
    "_rebuild_qtensor",
    "_rebuild_tensor",
    "_rebuild_tensor_v2",
    "_rebuild_tensor_v3",
    "_rebuild_sparse_tensor",
    "_rebuild_meta_tensor_no_storage",
    "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass",
    "_rebuild_device_tensor_from_numpy",
    "_rebuild_device_tensor_from_cpu_tensor",
]
_TENSORS = ["Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool"]
ALLOWED: Final = frozenset(
    {
        "collections.OrderedDict", "collections.Counter", "torch.nn.parameter.Parameter",
        "torch.serialization._get_layout", "torch.Size", "torch.Tensor", "torch.device",
        "_codecs.encode", "builtins.bytearray", "builtins.set", "builtins.complex",
        "torch._tensor._rebuild_from_type_v2", "torch.storage.TypedStorage",
        "torch.storage.UntypedStorage",
        *(f"torch.{name}Storage" for name in _TYPES),
        *(f"torch.cuda.{name}Storage" for name in _TYPES if not name.startswith("Q")),
        *(f"torch.{name}Tensor" for name in _TENSORS),
        *(f"torch.cuda.{name}Tensor" for name in _TENSORS),
        *(f"torch.sparse.{name}Tensor" for name in _TENSORS if name != "Bool"),
        *(f"torch.cuda.sparse.{name}Tensor" for name in _TENSORS if name != "Bool"),
        *(f"torch.{name}" for name in _DTYPES),
        *(f"torch._utils.{name}" for name in _REBUILD),
    }
)  # fmt: skip
"""Names that torch's restricted unpickler accepts without being told."""

_BUILDABLE = ("collections", "torch", "torch.nn.parameter", "torch._utils", "torch._tensor")


@dataclass(frozen=True, slots=True)
class WeightsOnly:
    """The answer.

    Attributes:
        accepted: whether torch would read the file to its end.
        reason: what stops it; "" if nothing does.
        opcode: name of the opcode that stops it, or "".
        subject: ``module.name`` that stops it, or "".
        member: of an archive; "" for the file itself.
        offset: bytes from the start of the member, or None.
        torch_version: whose rules were applied.
    """

    accepted: bool
    reason: str = ""
    opcode: str = ""
    subject: str = ""
    member: str = ""
    offset: int | None = None
    torch_version: str = TORCH_VERSION

    def to_dict(self) -> dict[str, object]:
        """Return the answer as JSON-ready values."""
        return asdict(self)


class _Refused(Exception):  # noqa: N818 - a signal that carries the answer
    def __init__(self, offset: int, reason: str, *, opcode: str = "", subject: str = "") -> None:
        super().__init__(reason)
        self.answer = WeightsOnly(
            accepted=False, reason=reason, opcode=opcode, subject=subject, offset=offset
        )


def weights_only(
    what: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    *,
    safe_globals: Collection[str] = (),
    limits: Limits | None = None,
) -> WeightsOnly:
    """Predict the answer of ``torch.load(what, weights_only=True)``.

    Args:
        what: a path, the content, or a seekable binary file object.
        safe_globals: dotted names that the caller passes to ``add_safe_globals``.
        limits: what the answer may cost.

    Raises:
        ConfigurationError: ``what`` cannot be opened or is not a regular file.
    """
    with open_source(what) as opened:
        source = opened.source
        part = Part(source, "", default_policy(), Budget(limits or Limits()))
        try:
            if source.size < 4 or source.read(0, 4) != b"PK\3\4":  # noqa: PLR2004 - as torch asks
                return _legacy(part, frozenset(safe_globals))
            return _archive(part, frozenset(safe_globals))
        except _Refused as refused:
            return refused.answer
        except ArtifactError as error:
            return WeightsOnly(accepted=False, reason=str(error))


def _archive(part: Part, names: frozenset[str]) -> WeightsOnly:
    found = None
    try:
        for observed in zip_reader.read(part):
            if isinstance(observed, Identified) and observed.format == "torchscript":
                return WeightsOnly(accepted=False, reason="it is a TorchScript archive")
            if isinstance(observed, Part) and observed.name.casefold().endswith("/data.pkl"):
                found = observed
                break
    except NotThisFormat:
        return WeightsOnly(accepted=False, reason="it is not a zip that torch can read")
    if found is None:
        return WeightsOnly(accepted=False, reason="the archive has no data.pkl")
    try:
        _run(found, 0, _TorchRules(ALLOWED | names, storages=True, legacy=False))
    except _Refused as refused:
        return WeightsOnly(**{**refused.answer.to_dict(), "member": found.name})  # type: ignore[arg-type]
    return WeightsOnly(accepted=True)


def _legacy(part: Part, names: frozenset[str]) -> WeightsOnly:
    plain = _TorchRules(ALLOWED | names, storages=False, legacy=True)
    with_storages = _TorchRules(ALLOWED | names, storages=True, legacy=True)
    position, first = _run(part, 0, plain)
    if not is_magic(first):
        return WeightsOnly(accepted=False, reason="it does not begin with torch's magic number")
    for rules in (plain, plain, with_storages, plain):
        position, _ = _run(part, position, rules)
    return WeightsOnly(accepted=True)


def _run(part: Part, start: int, rules: "_TorchRules") -> tuple[int, Value]:
    lexer = _RestrictedLexer(part.source, start, part.budget)
    machine = Machine(lexer, rules, part.budget)
    machine.run()
    return lexer.position, machine.result


class _RestrictedLexer(Lexer):
    """A lexer that stops at opcodes that torch does not know."""

    def __iter__(self) -> Iterator[Opcode]:
        for offset, code, argument in super().__iter__():
            if code not in _OPCODES:
                name = _NAMES[code]
                raise _Refused(offset, f"opcode {name} is not supported", opcode=name)
            yield offset, code, argument


class _TorchRules:
    """The judge that torch's restricted unpickler is."""

    def __init__(self, names: frozenset[str], *, storages: bool, legacy: bool) -> None:
        self._names = names
        self._storages = storages
        self._legacy = legacy

    def imported(self, offset: int, target: Global, *, walks: bool) -> None:
        del walks
        name = f"{target.module}.{target.name}"
        if target.module in _BLOCKED or name not in self._names:
            raise _Refused(
                offset,
                f"{printable(name)} is not among the allowed names",
                opcode="GLOBAL",
                subject=name,
            )

    def called(self, offset: int, call: Call) -> Value:
        if not isinstance(call.callee, Global):
            raise _Refused(
                offset, "something that is not an allowed name is called", opcode="REDUCE"
            )
        return call

    def built(self, offset: int, target: Value, state: Value) -> None:
        del state
        made = target.produces if isinstance(target, Call) else None
        own = made is not None and f"{made.module}.{made.name}" not in ALLOWED
        if made is None or not (own or made.module in _BUILDABLE):
            raise _Refused(offset, "state is set on something else than a tensor", opcode="BUILD")

    def filled(self, offset: int, target: Value, items: list[Value], code: int) -> None:
        del items
        made = target.produces if isinstance(target, Call) else None
        mappings = (Global("collections", "OrderedDict"), Global("collections", "Counter"))
        if code in (op.SETITEM, op.SETITEMS) and made in mappings:
            return
        raise _Refused(
            offset, "items are put into something else than a dict or list", opcode=_NAMES[code]
        )

    def persistent(self, offset: int, identity: PersistentId) -> Value:
        if not self._storages:
            raise _Refused(offset, "a persistent id where torch has none", opcode="BINPERSID")
        match identity.id:
            case Container(items=["storage", Global(_, "UntypedStorage"), *_]) if self._legacy:
                raise _Refused(offset, "an untyped storage in a legacy file", opcode="BINPERSID")
            case Container(kind="tuple", items=["storage", *_]):
                return identity
        raise _Refused(offset, "a persistent id that is no storage", opcode="BINPERSID")

    def odd(self, offset: int, message: str, evidence: bytes = b"") -> None:
        del evidence
        raise _Refused(offset, message)

    def extension(self, offset: int, code: object) -> None:
        raise _Refused(offset, f"extension code {code}")

    def out_of_band(self, offset: int) -> None:
        raise _Refused(offset, "a buffer outside the file")

    def memo_bomb(self, offset: int, index: int) -> None:
        """Accept: torch's memo is a dict."""

    def memo_carried(self, offset: int, index: int) -> None:
        raise _Refused(offset, f"memo entry {index} was never set")
