"""TorchScript: code in a restricted language, which runs when the model is loaded or called.

``code/**/*.py`` is not Python: it calls operators by name, ``torch.relu(x)`` or
``ops.namespace.name(x)``, and classes that the archive defines. Most operators compute; a few
read and write files (``aten::save``, ``aten::from_file``) or call back into Python. The source is
lexed, and every dotted name in it is checked. ``*.debug_pkl`` are pickles and are read as such.

Not checked: the bytecode of mobile archives, and what an operator of another library does.
"""

import re
from collections.abc import Iterator, Mapping

from modelsec.errors import MalformedArtifactError, printable
from modelsec.scanning.containers.archive import Member, Taken
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.part import Identified, Observation, Part, Span

DANGEROUS_OPERATOR = Rule(
    "MS-TSC-001",
    "an operator that leaves the model",
    Verdict.DANGEROUS,
    capability="file access or Python callbacks",
    reference="https://pytorch.org/docs/stable/jit.html",
    remedy="do not load this file",
)
UNKNOWN_OPERATOR = Rule(
    "MS-TSC-002",
    "an operator of an unknown library",
    Verdict.UNKNOWN,
    remedy="find out which library registers the operator, and what it does",
)
BYTECODE = Rule(
    "MS-TSC-003",
    "mobile bytecode, whose operators are not checked",
    Verdict.UNKNOWN,
    remedy="save the model without bytecode (torch.jit.save)",
)

_NAMESPACES = frozenset(
    {"aten", "prim", "quantized", "_quantized", "prepacked", "torchvision", "torchaudio", "image",
     "inductor", "mkldnn", "mkldnn_prepacked", "onednn", "sparse", "static_runtime",
     "torch_scatter", "torch_sparse", "torch_cluster", "torch_spline_conv"}
)  # fmt: skip
_CLASSES = frozenset(
    {"LinearPackedParamsBase", "Conv1dPackedParamsBase", "Conv2dPackedParamsBase",
     "Conv3dPackedParamsBase", "EmbeddingPackedParamsBase", "CellParamsBase", "LinearOpContext",
     "Conv2dOpContext", "TransposeConv2dOpContext", "LSTMCellParams", "BitFieldFlags"}
)  # fmt: skip
_ACTS = re.compile(
    r"save|file|load_|_load|open|write|exec|system|import|python|debugprims|ignored|subprocess"
    r"|shell|popen",
    re.IGNORECASE,
)
_HARMLESS = frozenset({"is_file", "unfold", "profile", "file"})
_TOKEN = re.compile(
    r"""(?P<text>\"\"\"(?>(?:[^"\\]++|\\.|"(?!""))*)\"\"\"|\'\'\'(?>(?:[^'\\]++|\\.|'(?!''))*)\'\'\'"""
    r"""|"(?>(?:[^"\\\n]++|\\.)*)"|'(?>(?:[^'\\\n]++|\\.)*)')|(?P<comment>\#[^\n]*+)"""
    r"""|(?P<python>\^[A-Za-z_][\w.]*+)"""
    r"""|(?P<name>[A-Za-z_]\w*+(?>(?:%s\.%s[A-Za-z_]\w*+)*))|(?P<quote>["'])"""
    % ((r"(?>(?:\s++|\\\n|\#[^\n]*+\n)*)",) * 2),
    re.DOTALL,
)


_BLANK = re.compile(r"\s|\\\n|\#[^\n]*+\n")
_REFLECTION = frozenset({"getattr", "hasattr", "setattr"})
_ROOTS = frozenset({"torch", "ops", "__torch__"})
"""``getattr(self, "0")`` is how torch writes a numbered layer; of these it would be an operator."""


def read_members(part: Part, members: Mapping[str, Member]) -> Iterator[Observation | Taken]:
    """Read the members that only a TorchScript archive has."""
    for name, member in members.items():
        if name.startswith("code/") and name.endswith(".py"):
            yield Taken(member.index)
            yield part.child(member.source(part), member.name, read_code)
        elif name == "bytecode.pkl":
            yield BYTECODE.at(None, "the archive holds bytecode for the mobile interpreter")


def read_code(part: Part) -> Iterator[Observation]:
    """Read one source file."""
    part.budget.allow_read(part.source.size)
    try:
        source = part.source.read(0, part.source.size).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedArtifactError("the source is not UTF-8") from None
    yield Identified("torchscript code")
    seen = set()
    asked_for = False
    for match in _TOKEN.finditer(source):
        if match["python"]:
            message = f"calls back into Python: {printable(match['python'])}"
            yield DANGEROUS_OPERATOR.at(
                match.start(), message, operation="operator", subject=match["python"][1:]
            )
        if match["quote"]:
            raise MalformedArtifactError(f"a text does not end, at {match.start()}")
        name = match["name"]
        if name is None:
            continue
        asks, asked_for = asked_for, name in _REFLECTION
        name = _BLANK.sub("", name)
        if asks and name.partition(".")[0] in _ROOTS:
            message = f"asks for an attribute of {printable(name)} by a text"
            yield DANGEROUS_OPERATOR.at(match.start(), message, operation="operator", subject=name)
        if "." not in name:
            continue
        if name in seen:
            continue
        seen.add(name)
        part.budget.opcodes(1)
        finding = _operator(name, match.start())
        if finding is not None:
            yield finding
    yield Span(0, part.source.size)


def _operator(name: str, offset: int) -> Finding | None:
    """Judge a dotted name; attributes of values (``self.weight``) are no operators."""
    first, _, rest = name.partition(".")
    if first == "ops":
        space, _, operator = rest.partition(".")
    elif first == "torch":
        space, operator = "aten", rest
    elif name.startswith("__torch__.torch.classes."):
        kind = name.rpartition(".")[2]
        if kind in _CLASSES:
            return None
        message = f"uses the class {printable(name)}"
        return UNKNOWN_OPERATOR.at(offset, message, operation="operator", subject=name)
    else:
        return None
    qualified = f"{space}::{operator}"
    if (_ACTS.search(operator) and operator not in _HARMLESS) or space == "debugprims":
        message = f"calls {printable(qualified)}"
        return DANGEROUS_OPERATOR.at(offset, message, operation="operator", subject=qualified)
    if space not in _NAMESPACES:
        message = f"calls {printable(qualified)}, of a library that is not known"
        return UNKNOWN_OPERATOR.at(offset, message, operation="operator", subject=qualified)
    return None
