"""Plain text: nothing to load, unless its name says that it is code, or a graph in text.

Text has no structure that a model loader acts on. Whether it is run depends on who reads it, and
that is decided by its name: this is the one place where a name matters. Three kinds are told:
source code; ``.pth`` files, of which Python runs the lines that begin with ``import``; and text
forms of graphs (``saved_model.pbtxt``, Caffe's ``.prototxt``), which loaders read as they read the
binary form, and this scanner does not. Base64 of a pickle is scanned (see ``encoded``).
"""

import codecs
import re
from collections.abc import Iterator

from modelsec.scanning.finding import Rule, Verdict
from modelsec.scanning.formats import encoded
from modelsec.scanning.limits import MIB
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

CODE = Rule(
    "MS-TXT-001",
    "source code",
    Verdict.UNKNOWN,
    capability="code execution",
    remedy="read it, or load the model without it (trust_remote_code=False)",
)

IMPORTS = Rule(
    "MS-TXT-002",
    "lines that Python runs at its start",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse it: in a folder of packages, every start of Python runs these lines",
)
GRAPH = Rule(
    "MS-TXT-003",
    "a graph in text, which is not read",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="store the model in its binary form, which can be checked",
)
HIDDEN = Rule(
    "MS-TXT-005",
    "text behind thousands of blanks",
    Verdict.UNKNOWN,
    capability="hidden payload",
    remedy="a loader skips the blanks: remove them, and scan what is left",
)
NOT_JSON = Rule(
    "MS-TXT-006",
    "not JSON, but other readers of configurations may read it",
    Verdict.UNKNOWN,
    incomplete=True,
    capability="reader disagreement",
    remedy="write it anew as plain JSON, without comments and with double quotes",
)
PYTHON_LAYER = Rule(
    "MS-TXT-004",
    "a graph with a layer in Python",
    Verdict.DANGEROUS,
    capability="code execution",
    remedy="refuse it: the loader imports the module that the layer names",
)

_CODE = (
    *(".py", ".pyw", ".pyx", ".ipy", ".sage", ".sh", ".bash", ".zsh", ".fish", ".ksh", ".csh"),
    *(".bat", ".cmd", ".ps1", ".psm1", ".psd1", ".vbs", ".vbe", ".wsf", ".hta", ".reg", ".command"),
    *(".desktop", ".scpt", ".applescript", ".js", ".mjs", ".cjs", ".jse", ".lua", ".jl", ".r"),
    *(".pl", ".rb", ".php", ".tcl", ".groovy", ".gin", ".jsonnet", ".libsonnet"),
)
_GRAPHS = (".pbtxt", ".prototxt", ".textproto", ".txtpb", ".onnxtxt", ".onnxtext", ".pbtext")
_NODES = re.compile(
    rb"(?:^|[\s{;,])(?:node|node_def|graph|graph_def|meta_graphs|layers?|function|library)\s*+[:{<]"
    rb"|<\s*+ir_version"
)
_PYTHON_LAYER = re.compile(rb"python_param\s*+[:{<]")
_OPENING = frozenset({b"{", b"[", b"<", b"\xff", b"\xfe"})
_IMPORT = re.compile(rb"^import[ \t]", re.MULTILINE)
_ACTING = re.compile(
    rb"auto_map|_target_|_component_|class_path|trust_remote_code|chat_template|py/object"
    rb"|loader_module|class_name|weight_map|custom_pipeline|:serialized:"
)
_BLANK = 4096  # bytes that recognition looks at
_SEARCHED = 16 * MIB
_PLAIN_CONTROLS = frozenset("\t\n\r\f\x1b")


def read(part: Part) -> Iterator[Observation]:
    """Accept UTF-8 or UTF-16 text without control characters."""
    source = part.source
    start = source.read(0, min(60, source.size))
    utf16 = start.startswith((b"\xff\xfe", b"\xfe\xff"))
    decoder = codecs.getincrementaldecoder("utf-16" if utf16 else "utf-8")()
    for offset in range(0, source.size, MIB):
        part.budget.check_time()
        length = min(MIB, source.size - offset)
        try:
            text = decoder.decode(source.read(offset, length), final=offset + length == source.size)
        except UnicodeDecodeError:
            raise NotThisFormat from None
        if any(character < " " and character not in _PLAIN_CONTROLS for character in set(text)):
            raise NotThisFormat
    yield Span(0, source.size)
    yield from _about(part)


def is_code(part: Part) -> bool:
    """Whether a name says that its text is run."""
    return part.name.lower().endswith(_CODE)


def _about(part: Part) -> Iterator[Observation]:
    """Yield what the name, or what stands in the text, makes of it."""
    source = part.source
    name = part.name.lower()
    start = source.read(0, min(60, source.size))
    data = source.read(0, min(_SEARCHED, source.size))
    if is_code(part):
        yield CODE.at(0, "source code beside a model", evidence=start)
    elif name.endswith(".pth") and (line := _IMPORT.search(data)) is not None:
        yield IMPORTS.at(line.start(), "Python runs this line", evidence=data[line.start() :][:60])
    elif name.endswith(_GRAPHS):
        if (layer := _PYTHON_LAYER.search(data)) is not None:
            yield PYTHON_LAYER.at(layer.start(), "a layer names a Python module")
        elif (node := _NODES.search(data)) is not None:
            yield GRAPH.at(node.start(), "the text form of a graph")
    elif name.endswith(".json") and (acting := _ACTING.search(data)) is not None:
        yield NOT_JSON.at(acting.start(), "it holds a key that loaders act on")
    if source.size > _BLANK and not data[:_BLANK].strip() and data.lstrip()[:1] in _OPENING:
        yield HIDDEN.at(0, "what follows may be JSON or XML")
    yield from encoded.pickles(part, data)
