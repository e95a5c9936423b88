"""Core ML: ``.mlmodel`` files, and the model within an ``.mlpackage``; a protocol buffer.

A model is a description and one of some thirty kinds: a neural network of layers, a program, a
pipeline of models, a classical model. All but a few compute and do nothing else.

What an attacker does: asks for a custom model or layer, that is, for a class of the application by
its name; links to a model in another place; lets a program's weights come from a file outside the
package.

What is checked: custom models, custom layers (also within branches, loops and pipelines), links,
and the files of weights. What is not: everything else. The layers and operations of Core ML are not
compared with a list, so that a model is never called complete.
"""

from collections.abc import Iterator
from itertools import islice

from modelsec.errors import ArtifactError, UnsupportedFormatError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.protobuf import BYTES, VARINT, Reader
from modelsec.scanning.formats.protobuf_schema import Message, Shape, Unknown, schema, walk
from modelsec.scanning.part import NotThisFormat, Observation, Part, Span

CUSTOM = Rule(
    "MS-CML-001",
    "custom model or layer",
    Verdict.UNKNOWN,
    capability="native code",
    remedy="find out which class of the application is meant",
)
LINKED = Rule(
    "MS-CML-002",
    "link to another model",
    Verdict.UNKNOWN,
    capability="file read",
    remedy="scan the linked model, and keep it where only you can write",
)
OUTSIDE = Rule(
    "MS-CML-003",
    "weights outside the model's package",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the model",
)

_KINDS = schema(
    {
        "Model": Shape(
            one={
                200: "Wrapped",
                201: "Wrapped",
                202: "Pipeline",
                303: "Network",
                403: "Network",
                500: "Network",
                502: "Program",
                555: "CustomModel",
                556: "LinkedModel",
            }
        ),
        "Wrapped": Shape(one={1: "Pipeline"}),
        "Pipeline": Shape(many={1: "Model"}),
        "Network": Shape(many={1: "Layer"}),
        "Layer": Shape(one={500: "CustomLayer", 605: "Branch", 615: "Loop"}),
        "Branch": Shape(one={1: "Network", 2: "Network"}),
        "Loop": Shape(one={3: "Network", 4: "Network"}),
        "CustomLayer": Shape(keep=(10,)),
        "CustomModel": Shape(keep=(10,)),
        "LinkedModel": Shape(event=True),
        "Program": Shape(many={2: "FunctionEntry", 4: "ValueEntry"}),
        "FunctionEntry": Shape(one={2: "Function"}),
        "Function": Shape(many={3: "BlockEntry", 4: "ValueEntry"}),
        "BlockEntry": Shape(one={2: "Block"}),
        "Block": Shape(many={3: "Operation", 4: "ValueEntry"}),
        "Operation": Shape(many={2: "ArgumentEntry", 4: "Block", 5: "ValueEntry"}),
        "ArgumentEntry": Shape(one={2: "Argument"}),
        "Argument": Shape(many={1: "Binding"}),
        "Binding": Shape(one={2: "Value"}),
        "ValueEntry": Shape(one={2: "Value"}),
        "Value": Shape(one={3: "Immediate", 5: "Blob"}),
        "Immediate": Shape(many={2: "Values", 3: "Values", 4: "Pairs"}),
        "Values": Shape(many={1: "Value"}),
        "Pairs": Shape(many={1: "Pair"}),
        "Pair": Shape(one={1: "Value", 2: "Value"}),
        "Blob": Shape(keep=(1,)),
    }
)
_VERSION, _DESCRIPTION, _UPDATABLE = 1 << 3 | VARINT, 2 << 3 | BYTES, 10 << 3 | VARINT
_VERSIONS = range(1, 1000)
_TYPES = range(200, 4000)  # field numbers of the kinds of model
_LOOK = 64
_LONGEST = 1024
_PACKAGE = b"@model_path/"


def read(part: Part) -> Iterator[Observation]:
    """Look for what is not Core ML's own, and say that the rest is not read."""
    reader = Reader(part.source, part.budget)
    kind = _recognise(reader)
    broken: ArtifactError | None = None
    try:
        for message in walk(reader, _KINDS["Model"], [(0, reader.size)], Unknown()):
            yield from _judge(reader, message)
    except ArtifactError as error:  # judge what came before it, then report it
        broken = error
    yield Span(0, reader.size if broken is None else reader.reached)
    if broken is None:
        broken = UnsupportedFormatError(
            f"of a Core ML model (kind {kind}) only custom code, links and weights are looked for"
        )
    raise broken


def _recognise(reader: Reader) -> int:
    """Return the number of the model's kind; raise ``NotThisFormat`` unless it is a model."""
    kinds = []
    version = described = False
    try:
        for tag, value, _ in islice(reader.fields(0, reader.size), _LOOK):
            if tag == _VERSION:
                version = value in _VERSIONS
            elif tag == _DESCRIPTION:
                described = True
            elif tag >> 3 in _TYPES and tag & 7 == BYTES:
                kinds.append(tag >> 3)
            elif tag != _UPDATABLE:
                raise NotThisFormat
    except ArtifactError:
        raise NotThisFormat from None
    if not (version and described and kinds):
        raise NotThisFormat
    return kinds[-1]


def _judge(reader: Reader, message: Message) -> Iterator[Finding]:
    if message.kind == "LinkedModel":
        yield LINKED.at(message.start, "the model is a link to another model")
        return
    for names in message.kept.values():
        start, stop = names[-1]
        name = reader.text(start, min(stop, start + _LONGEST))
        if message.kind == "Blob":
            path = name.removeprefix(_PACKAGE).replace(b"\\", b"/")
            inside = name.startswith(_PACKAGE) and b".." not in path.split(b"/")
            if not inside or path.startswith(b"/") or b"\0" in path:
                text = f"weights are read from {printable(name)}, outside the package"
                yield OUTSIDE.at(start, text, operation="external data", evidence=name)
        else:
            what = "model" if message.kind == "CustomModel" else "layer"
            text = f"a {what} is the class {printable(name)} of the application"
            yield CUSTOM.at(start, text, operation="layer", subject=printable(name))
