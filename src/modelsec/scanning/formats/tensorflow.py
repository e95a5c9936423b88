"""TensorFlow graphs: SavedModel, MetaGraph (``.meta``) and GraphDef (frozen ``.pb``) files.

A graph is a list of nodes, each an operator with attributes and inputs, and a library of functions
that are graphs themselves. Loading a SavedModel runs some of them, calling it runs the others;
operators read and write files, open sockets and call Python.

What an attacker does: adds ``WriteFile``, ``ReadFile`` or ``PyFunc`` to a graph, to a function in
the library, or to a graph that hides in a string constant and is run as a dataset; points the
saver's operators, a vocabulary, ``PrintV2`` or a debugger at a path of their choice; names an
asset ``../../x``; leaves a Lambda in the JSON that Keras keeps beside the graph.

What is checked: every node of every graph and function; each operator against a list of dangerous
ones, then against the policy (``tensorflow:compute`` leaves the verdict at ``data_only``, all else
that is permitted makes it ``allow_listed``). Operators that open files are permitted only if the
name comes from the saver or from the assets (``tensorflow_files``). Strings that are graphs are
scanned as parts. Keras metadata is checked as a Keras configuration is.

What is not: types, shapes, signatures, whether the graph is valid. The text form (``.pbtxt``) is
not read. Gradients and collections name operators that are in the graph anyway.
"""

import re
from collections.abc import Callable, Iterator
from itertools import islice

from modelsec.errors import ArtifactError, ResourceLimitError, printable
from modelsec.scanning.finding import Finding, Rule, Verdict
from modelsec.scanning.formats.protobuf import BYTES, VARINT, Reader, varint
from modelsec.scanning.formats.protobuf_schema import Message, Unknown, walk
from modelsec.scanning.formats.tensorflow_files import climbs, plain
from modelsec.scanning.formats.tensorflow_graph import Graphs
from modelsec.scanning.formats.tensorflow_keras import check_metadata
from modelsec.scanning.formats.tensorflow_schema import (
    ASSET_NAME,
    ASSET_TENSOR,
    KINDS,
    SAVER,
    STRING_TYPE,
    TENSOR_CONTENT,
    TENSOR_TYPE,
)
from modelsec.scanning.part import Identified, NotThisFormat, Observation, Part, Span
from modelsec.scanning.source import BytesSource, Slice

ASSET = Rule(
    "MS-TFG-020",
    "asset outside the folder of assets",
    Verdict.DANGEROUS,
    capability="file read",
    remedy="refuse the model",
)
FIELDS = Rule(
    "MS-TFG-021",
    "fields that the schema does not have",
    Verdict.DATA_ONLY,
    incomplete=True,
    remedy="a newer TensorFlow may act on them; save the model again with a current one",
)

_FIRST, _SECOND = 1 << 3 | BYTES, 2 << 3 | BYTES
"""Tags: a graph's nodes, or a node's name; a graph's library, a node's operator, a meta graph."""
_LOOK = 64  # nodes that recognition looks at
_GRAPH_STARTS = frozenset(b"\x0a\x12\x18\x22\x2a")  # first byte of every field of a graph
_NAME = re.compile(rb"[A-Za-z0-9_.>/-]++")  # an operator's
_PACKED = 2_000_000  # strings of one constant
_SMALLEST = 6  # bytes of a graph with a node


def read(part: Part) -> Iterator[Observation]:
    """Read a SavedModel, a MetaGraph, a GraphDef, or the fingerprint beside a SavedModel."""
    reader = Reader(part.source, part.budget)
    for kind, name, fits in _ROOTS:
        if _attempt(fits, reader):
            yield Identified(name)
            yield from _read(part, reader, kind)
            return
    raise NotThisFormat


def read_graph(part: Part) -> Iterator[Observation]:
    """Read a graph that was found in a string."""
    yield Identified("tensorflow graph")
    yield from _read(part, Reader(part.source, part.budget), "Graph")


def read_keras_metadata(part: Part) -> Iterator[Observation]:
    """Read ``keras_metadata.pb``: the JSON text of every object."""
    reader = Reader(part.source, part.budget)
    if not _attempt(_is_keras, reader):
        raise NotThisFormat
    yield from _read(part, reader, "KerasMetadata")


def _read(part: Part, reader: Reader, kind: str) -> Iterator[Observation]:
    unknown = Unknown()
    graphs = Graphs(part, reader)
    broken: ArtifactError | None = None
    try:
        for message in walk(reader, KINDS[kind], [(0, reader.size)], unknown):
            yield from _message(part, reader, graphs, message)
    except ArtifactError as error:  # judge what came before it, then report it
        broken = error
    yield Span(0, reader.size if broken is None else reader.reached)
    yield from graphs.judge()
    for (name, number), (offset, count) in unknown.seen.items():
        text = f"field {number} of {name}, which no known schema has, occurs {count} times"
        yield FIELDS.at(offset, text, subject=f"{name}.{number}")
    if broken is not None:
        raise broken


def _message(part: Part, reader: Reader, graphs: Graphs, message: Message) -> Iterator[Observation]:
    match message.kind:
        case "Node":
            yield from graphs.node(message)
        case "Text":
            start, stop = message.kept[0][0]
            if _is_graph_text(reader, start, stop):
                source = Slice(part.source, start, stop - start)
                yield part.child(source, f"graph at {start}", read_graph)
        case "Tensor":
            yield from _packed(part, reader, message)
        case "NamedAttributes":
            graphs.reference(message)
        case "Function":
            graphs.function(message)
        case "Metadata":
            yield from check_metadata(part, *message.kept[0][0])
        case "Asset":
            yield from _asset(reader, graphs, message)
        case "MetaGraph":
            _saver(reader, graphs, message)


def _saver(reader: Reader, graphs: Graphs, message: Message) -> None:
    """Remember the tensor into which the saver puts the name of the checkpoint."""
    for start, stop in message.kept.get(SAVER, ()):
        for tag, first, after in reader.fields(start, stop):
            if tag == 1 << 3 | BYTES:
                graphs.flow.fed = (graphs.flow.fed or set()) | {plain(reader.text(first, after))}


def _asset(reader: Reader, graphs: Graphs, asset: Message) -> Iterator[Finding]:
    """Judge the name of an asset; remember the tensor that takes its path."""
    for start, stop in asset.kept.get(ASSET_TENSOR, ()):
        for tag, first, after in reader.fields(start, stop):
            if tag == 1 << 3 | BYTES:
                graphs.flow.assets.add(plain(reader.text(first, after)))
    for start, stop in asset.kept.get(ASSET_NAME, ()):
        name = reader.text(start, stop)
        if climbs(name) or name.startswith((b"/", b"\\")) or b":" in name:
            message = f"the asset {printable(name)} is not in the model's own folder"
            yield ASSET.at(start, message, operation="asset", subject=printable(name))


def _packed(part: Part, reader: Reader, tensor: Message) -> Iterator[Observation]:
    """Look for graphs in strings that are packed: all lengths, then all bytes."""
    if tensor.integer(TENSOR_TYPE) != STRING_TYPE:
        return
    for start, stop in tensor.kept.get(TENSOR_CONTENT, ()):
        content = reader.text(start, stop)
        lengths: list[int] = []
        position = total = 0
        try:
            while position + total < len(content):
                length, position = varint(content, position, 5)
                lengths.append(length)
                total += length
                if len(lengths) > _PACKED:
                    raise ResourceLimitError(f"more than {_PACKED} strings in one constant")
        except IndexError:
            lengths = []
        for length in lengths:
            text = BytesSource(content[position : position + length])
            if _is_graph_text(Reader(text, part.budget), 0, text.size):
                yield part.child(text, f"graph at {start + position}", read_graph)
            position += length


def _is_graph_text(reader: Reader, start: int, stop: int) -> bool:
    if stop - start < _SMALLEST or reader.text(start, start + 1)[0] not in _GRAPH_STARTS:
        return False
    return _attempt(lambda held: _is_graph(held, start, stop), reader)


def _attempt(fits: Callable[[Reader], bool], reader: Reader) -> bool:
    """Whether the bytes fit; bytes that are no message do not."""
    try:
        return fits(reader)
    except ArtifactError:
        return False


def _is_saved_model(reader: Reader) -> bool:
    """Whether one of the first fields is a meta graph. Unknown fields are for the walk to tell."""
    fields = islice(reader.fields(0, reader.size), _LOOK)
    return any(_is_meta_graph(reader, *at) for tag, *at in fields if tag == _SECOND)


def _is_meta_graph(reader: Reader, start: int, stop: int) -> bool:
    """Whether one of the fields is a graph."""
    fields = islice(reader.fields(start, stop), _LOOK * _LOOK)
    return any(_is_graph(reader, *at) for tag, *at in fields if tag == _SECOND)


def _is_graph(reader: Reader, start: int, stop: int) -> bool:
    """Whether there is a node or a function, and the first nodes all have operators."""
    looked = found = 0
    for tag, first, after in reader.fields(start, stop):
        if tag == _FIRST and looked < _LOOK:
            looked += 1
            ops = [
                reader.text(*at) for inner, *at in reader.fields(first, after) if inner == _SECOND
            ]
            if not ops or not all(map(_NAME.fullmatch, ops)):
                return False
            found += 1
        elif tag == _SECOND and not found:
            inner = [piece for piece, _, _ in islice(reader.fields(first, after), _LOOK)]
            found += bool(inner) and set(inner) <= KINDS["Library"].table.keys()
        elif tag in {_FIRST & ~BYTES, _SECOND & ~BYTES}:
            return False  # numbers where a graph has messages
    return found > 0


def _is_fingerprint(reader: Reader) -> bool:
    tags = [tag for tag, _, _ in islice(reader.fields(0, reader.size), _LOOK)]
    hashes = {number << 3 | VARINT for number in range(1, 5)}
    return hashes <= set(tags) <= KINDS["Fingerprint"].table.keys() and len(tags) < _LOOK


def _is_keras(reader: Reader) -> bool:
    """Whether all fields are objects, and the first ones have metadata."""
    table = KINDS["KerasObject"].table
    looked = 0
    for tag, start, stop in reader.fields(0, reader.size):
        if tag != 1 << 3 | BYTES:
            return False
        if looked < _LOOK:
            looked += 1
            tags = {inner for inner, _, _ in reader.fields(start, stop)}
            if not tags <= table.keys() or 5 << 3 | BYTES not in tags:
                return False
    return looked > 0


_ROOTS: tuple[tuple[str, str, Callable[[Reader], bool]], ...] = (
    ("SavedModel", "tensorflow saved model", _is_saved_model),
    ("MetaGraph", "tensorflow meta graph", lambda reader: _is_meta_graph(reader, 0, reader.size)),
    ("Graph", "tensorflow graph", lambda reader: _is_graph(reader, 0, reader.size)),
    ("Fingerprint", "tensorflow fingerprint", _is_fingerprint),
)
