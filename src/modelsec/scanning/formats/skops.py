"""skops: scikit-learn models as JSON and arrays in a zip.

**The format.** ``schema.json`` is a tree of nodes. Each names a class (``__class__``,
``__module__``) and the loader that rebuilds it (``__loader__``); arrays and bytes lie beside it as
``<id>.npy``, ``<id>.npz``, ``<uuid>.bin``. A number ``protocol`` picks older loaders.

**What an attacker does with it.** There is no pickle, but every node names something to import,
and its loader says whether it is called, built from a state, or handed on as a function: that is
what a pickle can do. skops asks its user to trust names; type confusion (CVE-2025-54412,
CVE-2025-54413: a node whose class is not what its loader uses) hid the names from that question.

**What is checked.** Every node, wherever it stands, under the same policy as a pickle: imports,
calls, states. A class has to fit its loader. Bound methods and ``operator`` functions other than
``itemgetter`` are dangerous, as are known capabilities; names outside the policy are ``unknown``.
Arrays are left to the scan by content, which reports those that hold objects.

**What is not.** Whether the numbers of a tree are in bounds: scikit-learn does not check them.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from modelsec.errors import ArtifactError
from modelsec.scanning.containers.archive import Archive, Member, Taken
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats import json_text
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Permitted
from modelsec.scanning.pickle.capabilities import capability

CAPABILITY = Rule(
    "MS-SKO-001",
    "a node imports or calls something harmful",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse the file; do not add the name to the trusted ones",
)
UNLISTED = Rule(
    "MS-SKO-002",
    "a node imports or calls something outside the policy",
    Verdict.UNKNOWN,
    capability="import",
    remedy="if the package is yours, add the name to a policy layer",
)
CONFUSED = Rule(
    "MS-SKO-003",
    "a node's class is not of its loader",
    Verdict.UNKNOWN,
    capability="type confusion",
    reference="CVE-2025-54412",
    remedy="no writer produces this: ask how the file was made",
)
METHOD = Rule(
    "MS-SKO-004",
    "a bound method",
    Verdict.DANGEROUS,
    capability="call",
    reference="CVE-2025-54413",
    remedy="refuse the file: a model can be stored without methods of its objects",
)
OPERATOR = Rule(
    "MS-SKO-005",
    "a function of the operator module",
    Verdict.DANGEROUS,
    capability="call",
    reference="CVE-2025-54412",
    remedy="refuse the file: such functions reach any attribute or call anything",
)
COMPOSED = Rule(
    "MS-SKO-006",
    "a function is put together",
    Verdict.UNKNOWN,
    capability="call",
    remedy="read which function is called with which arguments",
)
LOADER = Rule(
    "MS-SKO-007",
    "a node that is not understood",
    Verdict.UNKNOWN,
    incomplete=True,
    remedy="a newer skops may know it; save the model with a version that this scanner knows",
)
PROTOCOL = Rule(
    "MS-SKO-008",
    "an older protocol",
    Verdict.DATA_ONLY,
    remedy="older loaders check less: save the model anew",
)
GENERATOR = Rule(
    "MS-SKO-009",
    "a random generator of an unknown kind",
    Verdict.DANGEROUS,
    capability="call",
    remedy="refuse the file: the name is looked up in numpy.random and called",
)
MISSING = Rule(
    "MS-SKO-010",
    "a member is missing",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="get the file again from its source",
)
DUPLICATE = Rule(
    "MS-SKO-011",
    "a key occurs twice in one node",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="no writer produces this: ask how the file was made",
)

_NEWEST = 2
_LISTED = 20
_LONGEST_NAME = 500

_TYPES = (
    *("bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list"),
    *("object", "set", "slice", "str", "tuple", "NoneType", "range"),
)
_NUMPY_SCALARS = (
    *("bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("intc", "uintc", "longlong", "ulonglong", "float16", "float32", "float64", "longdouble"),
    *("complex64", "complex128", "clongdouble", "str_", "bytes_", "datetime64", "timedelta64"),
)
_BIT_GENERATORS = frozenset({"MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"})


@dataclass(frozen=True, slots=True)
class _Loader:
    """What a loader does with the name of its node.

    Attributes:
        operations: as a policy calls them; none if the name is not used.
        names: ``module:name`` that need no permission, ``module:*`` for all of a module.
        only: no other name fits.
    """

    operations: tuple[str, ...]
    names: frozenset[str] = frozenset()
    only: bool = False


def _own(*names: str) -> _Loader:
    return _Loader((), frozenset(names), only=True)


_PLAIN = frozenset(f"builtins:{name}" for name in _TYPES)
_SCALARS = frozenset(f"numpy:{name}" for name in _NUMPY_SCALARS)
_LOADERS = {
    "DictNode": _Loader(
        ("import", "call"), frozenset({"builtins:dict", "collections:OrderedDict"})
    ),
    "DefaultDictNode": _own("collections:defaultdict"),
    "ListNode": _Loader(("import", "call"), frozenset({"builtins:list"})),
    "SetNode": _Loader(("import", "call"), frozenset({"builtins:set", "builtins:frozenset"})),
    "TupleNode": _Loader(("import", "call"), frozenset({"builtins:tuple"})),
    "BytesNode": _own("builtins:bytes"),
    "BytearrayNode": _own("builtins:bytearray"),
    "SliceNode": _own("builtins:slice"),
    "JsonNode": _own(*_PLAIN),
    "TypeNode": _Loader(("import",), _PLAIN | _SCALARS),
    "FunctionNode": _Loader(("import",)),
    "ObjectNode": _Loader(("import", "build")),
    "ConstructorFromReduceNode": _Loader(("import", "call")),
    "NdArrayNode": _Loader(("import", "call"), _SCALARS | {"numpy:ndarray"}),
    "MaskedArrayNode": _own("numpy.ma:MaskedArray", "numpy.ma.core:MaskedArray"),
    "RandomStateNode": _Loader(
        ("import", "call"),
        frozenset({"numpy.random.mtrand:RandomState", "numpy.random:RandomState"}),
    ),
    "RandomGeneratorNode": _Loader(
        ("import", "call"),
        frozenset({"numpy.random._generator:Generator", "numpy.random:Generator"}),
    ),
    "DTypeNode": _own("numpy:dtype"),
    "SparseMatrixNode": _own("scipy.sparse:*"),
    "TreeNode": _Loader(("import", "call", "build")),
    "LossNode": _Loader(("import", "call")),
    "QuantileForestNode": _Loader(("import", "call", "build")),
    "_DictWithDeprecatedKeysNode": _own("sklearn:*"),
    "PartialNode": _own("functools:partial"),
    "MethodNode": _Loader(()),
    "OperatorFuncNode": _own("operator:*"),
    "CachedNode": _Loader(()),
}


def read_archive(part: Part, archive: Archive) -> Iterator[Observation | Taken]:
    """Accept an archive whose ``schema.json`` is a tree of nodes."""
    schemas = [member for member in archive.members if member.name == "schema.json"]
    if not schemas:
        raise NotThisFormat
    accepted = False
    for member in schemas:
        source = member.source(part)
        part.budget.allow_read(source.size)
        document = json_text.parse(source.read(0, source.size), part.budget)
        schema = document.value
        if not isinstance(schema, dict) or "__loader__" not in schema:
            continue
        accepted = True
        yield Identified("skops")
        yield Taken(member.index)
        for key in document.duplicates:
            yield DUPLICATE.at(None, f"the key {key!r} occurs twice in one node", subject=key)
        yield from _protocol(schema.get("protocol"))
        reader = _Reader(part, archive)
        yield from reader.read(schema)
    if not accepted:
        raise NotThisFormat


def _protocol(protocol: object) -> Iterator[Finding]:
    if not isinstance(protocol, int) or isinstance(protocol, bool) or not 0 <= protocol <= _NEWEST:
        yield LOADER.at(None, "the protocol is none that is known", subject=str(protocol)[:40])
    elif protocol < _NEWEST:
        yield PROTOCOL.at(None, f"protocol {protocol} picks older loaders")


class _Reader:
    """Judges each node once; equal nodes are judged together."""

    def __init__(self, part: Part, archive: Archive) -> None:
        self._part = part
        self._members = {member.name: member for member in archive.members}
        self._judged: set[tuple[str, str, str]] = set()
        self._taken: set[int] = set()
        self._missing = 0

    def read(self, schema: object) -> Iterator[Observation | Taken]:
        """Yield what every node does, wherever it stands in the tree."""
        stack: list[object] = [schema]
        while stack:
            value = stack.pop()
            if isinstance(value, dict):
                if "__loader__" in value or "__class__" in value:
                    yield from self._node(value)
                stack.extend(value.values())
            elif isinstance(value, list):
                stack.extend(value)

    def _node(self, node: dict[str, object]) -> Iterator[Observation | Taken]:
        loader, module, name = (node.get(key) for key in ("__loader__", "__module__", "__class__"))
        if not isinstance(loader, str) or not isinstance(module, str) or not isinstance(name, str):
            yield LOADER.at(None, "a node without the names of its loader, module and class")
            return
        yield from self._member(node, loader)
        if loader == "RandomGeneratorNode":
            yield from _generator(node.get("content"))
        old = node.get("content")
        if loader == "FunctionNode" and isinstance(old, dict):  # protocol 0
            module, name = str(old.get("module_path")), str(old.get("function"))
        key = (loader, module, name)
        if key not in self._judged:
            self._judged.add(key)
            yield from self._judge(loader, module, name)

    def _judge(self, loader: str, module: str, name: str) -> Iterator[Observation]:
        subject = f"{module}:{name}"
        rule = _LOADERS.get(loader)
        if rule is None:
            yield LOADER.at(None, f"no loader {loader} is known", subject=loader)
        elif loader == "MethodNode":
            message = "a bound method is looked up by name and handed on to be called"
            yield METHOD.at(None, message, operation="call", subject=subject)
        elif loader == "OperatorFuncNode" and subject != "operator:itemgetter":
            message = "a function of the operator module is called with arguments of the file"
            yield OPERATOR.at(None, message, operation="call", subject=subject)
        elif rule.only and not _fits(rule.names, module, name):
            yield from self._confused(loader, module, name)
        elif loader in {"PartialNode", "OperatorFuncNode"}:
            message = f"{name}: called when the model is used"
            yield COMPOSED.at(None, message, operation="call", subject=subject)
        elif not rule.only and subject not in rule.names:
            yield from self._asked(rule.operations, module, name)

    def _confused(self, loader: str, module: str, name: str) -> Iterator[Finding]:
        subject = f"{module}:{name}"
        yield CONFUSED.at(None, f"{loader} does not load a {name}", subject=subject)
        if len(subject) <= _LONGEST_NAME and (able := capability(module, name)):
            yield CAPABILITY.at(None, f"the name of a thing that {able}", subject=subject)

    def _asked(self, operations: tuple[str, ...], module: str, name: str) -> Iterator[Observation]:
        """Ask the policy about everything that a loader does with a name."""
        subject = f"{module}:{name}"
        refused = ""
        for operation in operations:
            allowance = self._part.policy.permits(operation, module, name)
            if allowance is None:
                refused = operation
            else:
                yield Permitted(allowance.layer, operation, subject)
        if not refused:
            return
        if len(subject) <= _LONGEST_NAME and (able := capability(module, name)):
            message = f"{refused} of {subject}, which {able}"
            yield CAPABILITY.at(None, message, operation=refused, subject=subject)
        else:
            message = f"{refused} of {subject} is in no policy layer"
            yield UNLISTED.at(None, message, operation=refused, subject=subject)

    def _member(self, node: dict[str, object], loader: str) -> Iterator[Observation | Taken]:
        """Look for the file that a node names; bytes stay bytes unless they look like a pickle."""
        file = node.get("file")
        if not isinstance(file, str):
            return
        member = self._members.get(file)
        if member is None:
            self._missing += 1
            if self._missing <= _LISTED:
                yield MISSING.at(None, "a node names a member that is not there", subject=file)
        elif (
            loader in {"BytesNode", "BytearrayNode"}
            and member.index not in self._taken
            and self._is_inert(member)
        ):
            self._taken.add(member.index)
            yield Taken(member.index)

    def _is_inert(self, member: Member) -> bool:
        try:
            source = member.source(self._part)
            return source.read(0, min(1, source.size)) not in {
                b"\x80",
                b"P",
                b"\x1f",
                b"B",
                b"\x7f",
            }
        except ArtifactError:
            return False


def _fits(names: frozenset[str], module: str, name: str) -> bool:
    if f"{module}:{name}" in names:
        return True
    pieces = module.split(".")
    return any(f"{'.'.join(pieces[:count])}:*" in names for count in range(1, len(pieces) + 1))


def _generator(content: object) -> Iterator[Finding]:
    """Yield a finding unless the bit generator, a plain string in the file, is one of numpy's."""
    name: object = None
    try:
        if isinstance(content, dict):
            name = content["bit_generator"]["content"]["bit_generator"]["content"]
    except (KeyError, TypeError, IndexError):
        pass
    if not isinstance(name, str) or name.strip('"') not in _BIT_GENERATORS:
        shown = name[:80] if isinstance(name, str) else ""
        message = "the bit generator is none of numpy's"
        yield GENERATOR.at(None, message, operation="call", subject=shown)
