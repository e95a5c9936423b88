"""ONNX: a graph of operators as a protocol buffer, without any magic.

A model holds graphs of nodes (an operator's domain and name, attributes), tensors, and functions of
its own. A runtime executes the operators; most compute and do nothing else.

What an attacker does: lets a tensor's numbers come from a file outside the folder (see
``onnx_external``); uses operators that run Python, reach the network or carry compiled code; uses
a domain whose operators come from a native library that the victim is asked to register; hides
any of these in a sub-graph, a function, a training graph, or in the second piece of a split graph.

What is checked: every node, attribute and tensor of every graph, by schema; each operator against
the policy, as ``operator`` on ``onnx:<domain>``; the standard domains compute only, and their
operators leave the verdict at ``data_only``; others that a policy permits make it
``allow_listed``. Operators that the model defines itself are walked instead. A field that the
schema does not have makes the result incomplete: a newer runtime may read it.

What is not: shapes, types, and whether the graph is valid. The text forms of ONNX are not read.
"""

from collections.abc import Iterator
from itertools import islice

from modelsec.errors import ArtifactError, MalformedArtifactError, ResourceLimitError
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.onnx_external import ExternalData
from modelsec.scanning.formats.onnx_schema import (
    DOMAIN,
    FUNCTION_DOMAIN,
    FUNCTION_NAME,
    FUNCTIONS,
    GRAPH,
    IR_VERSION,
    KINDS,
    OP_DOMAIN,
    OP_TYPE,
    OPERATOR_SETS,
    PRODUCER,
    PRODUCER_VERSION,
)
from modelsec.scanning.formats.protobuf import BYTES, VARINT, Reader
from modelsec.scanning.formats.protobuf_schema import Message, Unknown, walk
from modelsec.scanning.part import NotThisFormat, Observation, Part, Permitted, Span

PYTHON = Rule(
    "MS-ONX-010",
    "operator that runs Python",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse the model",
)
NETWORK = Rule(
    "MS-ONX-011",
    "operator that reaches the network",
    Verdict.DANGEROUS,
    capability="network",
    remedy="refuse the model",
)
COMPILED = Rule(
    "MS-ONX-012",
    "operator that carries compiled code",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="compile the original model yourself",
)
OPERATOR = Rule(
    "MS-ONX-013",
    "operator outside the policy",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="find out which library implements it; permit it by a policy of your own",
)
FIELDS = Rule(
    "MS-ONX-014",
    "fields that the schema does not have",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="a newer runtime may act on them; write the model anew with the onnx package",
)
NOT_TEXT = Rule(
    "MS-ONX-015",
    "a name that is not text",
    Verdict.UNKNOWN,
    capability="reader disagreement",
    remedy="refuse the file: another reader may find a message of its own there",
)

STANDARD = frozenset(
    {"ai.onnx", "ai.onnx.ml", "ai.onnx.preview", "ai.onnx.preview.training", "ai.onnx.training"}
)
"""Domains of the ONNX standard: their permitted operators leave the verdict at ``data_only``."""

_PYTHON = frozenset({"PyOp", "PyCustomOp", "PythonOp", "PythonOpGrad", "PyFunc"})
_PYTHON_DOMAINS = ("pyopmulti_1", "onnxruntime.pyop")
_NETWORK_DOMAINS = frozenset({"com.microsoft.extensions"})
_EXTENSIONS = frozenset({"ai.onnx.contrib"})
_SERVICES = ("OpenAI", "Azure")
_COMPILED = frozenset({"EPContext", "Snpe", "TRTEngineOp", "TensorRTEngine", "ATen"})
_LONGEST = 256  # bytes of an operator's name or domain
_DISTINCT = 20_000  # operators and functions that are told apart
_VERSIONS = range(1, 1000)
_SETS_SINCE = 3  # version of the format that needs operator sets
_CUT = 2  # fields of a model before a cut
_LOOK = 64  # fields that recognition looks at
_GRAPH_NODE = 1 << 3 | BYTES


def read(part: Part) -> Iterator[Observation]:
    """Read a model: every operator of every graph, every tensor's whereabouts."""
    reader = Reader(part.source, part.budget)
    _recognise(reader)
    unknown = Unknown()
    external = ExternalData(part, reader, unknown)
    operators = _Operators(reader)
    broken: ArtifactError | None = None
    try:
        for message in walk(reader, KINDS["Model"], [(0, reader.size)], unknown):
            if message.kind == "Tensor":
                yield from external.judge(message)
            elif message.kind == "Model":
                yield from _names(reader, message)
                if message.integer(IR_VERSION) >= _SETS_SINCE and OPERATOR_SETS not in message.kept:
                    broken = MalformedArtifactError(
                        "no operator set is named: the model is cut off"
                    )
            else:
                operators.add(message)
    except ArtifactError as error:  # judge what came before it, then report it
        broken = error
    yield Span(0, reader.size if broken is None else reader.reached)
    yield from operators.judge(part)
    for (kind, number), (offset, count) in unknown.seen.items():
        text = f"field {number} of {kind}, which no known schema has, occurs {count} times"
        yield FIELDS.at(offset, text, subject=f"{kind}.{number}")
    if broken is not None:
        raise broken


def _recognise(reader: Reader) -> None:
    """Raise ``NotThisFormat`` unless the outermost fields are those of a model.

    A model needs a version and a graph (or functions), or a graph with an operator: random bytes
    and other kinds of message do not have them. A model that is cut off is recognised by the
    fields before the cut.
    """
    table = KINDS["Model"].table
    seen: dict[int, tuple[int, int]] = {}
    strange = 0
    cut = False
    try:
        for tag, value, after in reader.fields(0, reader.size):
            if tag in table:
                seen.setdefault(tag, (value, after))
            else:
                strange += 1
    except ArtifactError:
        cut = True
    version = seen.get(IR_VERSION << 3 | VARINT, (0, 0))[0] in _VERSIONS
    graph = seen.get(GRAPH << 3 | BYTES)
    if cut:
        accepted = version and len(seen) >= _CUT and not strange
    elif graph is None:
        accepted = version and FUNCTIONS << 3 | BYTES in seen
    else:
        accepted = _is_graph(reader, *graph, strict=not version)
    if not accepted:
        raise NotThisFormat


def _is_graph(reader: Reader, start: int, stop: int, *, strict: bool) -> bool:
    """Whether a message begins like a graph; if strict, whether a node in it has an operator."""
    table = KINDS["Graph"].table
    node = KINDS["Node"].table
    fitting = 0
    try:
        for tag, first, after in islice(reader.fields(start, stop), _LOOK):
            fitting += tag in table
            if tag == _GRAPH_NODE:
                tags = [inner for inner, _, _ in islice(reader.fields(first, after), _LOOK)]
                if OP_TYPE << 3 | BYTES in tags and all(inner in node for inner in tags):
                    return True
    except ArtifactError:
        return not strict
    return not strict and (fitting > 0 or start == stop)


def _names(reader: Reader, model: Message) -> Iterator[Finding]:
    """Report a producer or domain that is no text: to another format it might be a message."""
    for number in (PRODUCER, PRODUCER_VERSION, DOMAIN):
        for start, stop in model.kept.get(number, ()):
            text = reader.text(start, min(stop, start + _LONGEST))
            if any(byte < ord(" ") for byte in text):
                message = f"field {number} of the model, a name, holds control characters"
                yield NOT_TEXT.at(start, message, evidence=text)


class _Operators:
    """Counts operators, and knows those that the model defines."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._used: dict[tuple[bytes, bytes], tuple[int, int]] = {}
        self._own: set[tuple[bytes, bytes]] = set()

    def add(self, message: Message) -> None:
        """Take note of a node or a function."""
        if message.kind == "Function":
            for domain in self._texts(message, FUNCTION_DOMAIN):
                for name in self._texts(message, FUNCTION_NAME):
                    self._own.add((_domain(domain), name))
        else:
            # Parsers take the last of several values; every one is judged.
            for domain in self._texts(message, OP_DOMAIN):
                for name in self._texts(message, OP_TYPE):
                    key = (_domain(domain), name)
                    first, count = self._used.get(key, (message.start, 0))
                    self._used[key] = (first, count + 1)
        if len(self._used) > _DISTINCT or len(self._own) > _DISTINCT:
            raise ResourceLimitError(f"more than {_DISTINCT} different operators")

    def _texts(self, message: Message, number: int) -> list[bytes]:
        ranges = message.kept.get(number)
        if not ranges:
            return [b""]
        return [
            self._reader.text(start, min(stop, start + _LONGEST)) for start, stop in ranges[-3:]
        ]

    def judge(self, part: Part) -> Iterator[Observation]:
        """Yield a finding or a permission for each operator."""
        for key, (offset, count) in self._used.items():
            domain, name = (text.decode("utf-8", "backslashreplace") for text in key)
            for observed in _judge(part, domain, name, offset, count):
                own = isinstance(observed, Finding) and observed.rule is OPERATOR
                if not (own and key in self._own):  # the body of its own function was walked
                    yield observed


def _judge(part: Part, domain: str, name: str, offset: int, count: int) -> Iterator[Observation]:
    subject = f"{domain}:{name}"
    times = "once" if count == 1 else f"{count} times"
    rule, why = OPERATOR, "is in no policy: only a native library of its own could implement it"
    if name in _PYTHON or domain.startswith(_PYTHON_DOMAINS):
        rule, why = PYTHON, "hands tensors to Python code"
    elif domain in _NETWORK_DOMAINS or (domain in _EXTENSIONS and name.startswith(_SERVICES)):
        rule, why = NETWORK, "sends tensors to a service on the network"
    elif name in _COMPILED:
        rule, why = COMPILED, "runs what was compiled for one device, and cannot be looked into"
    else:
        allowed = part.policy.permits("operator", f"onnx:{domain}", name)
        if allowed is not None:
            if domain not in STANDARD:
                yield Permitted(allowed.layer, "operator", subject)
            return
    message = f"the operator {subject} (used {times}) {why}"
    yield rule.at(offset, message, operation="operator", subject=subject)


def _domain(text: bytes) -> bytes:
    """Return a domain; the standard one has two spellings."""
    return text or b"ai.onnx"
