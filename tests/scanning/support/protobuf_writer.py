"""Protocol buffers, byte by byte: fields, and the few messages that tests of graphs need."""

from collections.abc import Iterable, Sequence


def varint(value: int, *, width: int = 0) -> bytes:
    """Return a varint; ``width`` makes it longer than it needs to be."""
    value &= (1 << 64) - 1
    out = bytearray()
    while True:
        low, value = value & 0x7F, value >> 7
        more = bool(value) or len(out) + 1 < width
        out.append(low | 0x80 if more else low)
        if not more:
            return bytes(out)


def field(number: int, value: int | str | bytes) -> bytes:
    """Return a field: an integer as a varint, anything else with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Return the fields one after the other."""
    return b"".join(field(number, value) for number, value in fields)


def group(number: int, content: bytes) -> bytes:
    """Return a group."""
    return varint(number << 3 | 3) + content + varint(number << 3 | 4)


def onnx_node(op: str, domain: str = "", *extra: tuple[int, int | str | bytes]) -> bytes:
    """Return a NodeProto with one input and one output."""
    named = [(7, domain)] if domain else []
    return message((1, "x"), (2, "y"), (4, op), *extra, *named)


def onnx_tensor(
    entries: Iterable[tuple[str, str]] = (), *extra: tuple[int, int | str | bytes]
) -> bytes:
    """Return a TensorProto; with entries, its numbers are external."""
    external = [(13, message((1, key), (2, value))) for key, value in entries]
    where: list[tuple[int, int | str | bytes]] = (
        [*external, (14, 1)] if external else [(9, bytes(8))]
    )
    return message((1, 2), (2, 1), (8, "w"), *where, *extra)


def onnx_graph(
    nodes: Sequence[bytes] = (), tensors: Sequence[bytes] = (), *extra: tuple[int, bytes]
) -> bytes:
    """Return a GraphProto."""
    return message(
        *((1, node) for node in nodes), (2, "g"), *((5, tensor) for tensor in tensors), *extra
    )


def onnx_model(graph: bytes, *extra: tuple[int, int | str | bytes]) -> bytes:
    """Return a ModelProto; what is extra stands before the operator sets."""
    sets = message((1, ""), (2, 17))
    return message((1, 8), (2, "test"), (7, graph), *extra, (8, sets))


def tf_text(*values: bytes) -> bytes:
    """Return an AttrValue: a tensor of strings."""
    return field(8, message((1, 7), (2, b""), *((8, value) for value in values)))


def tf_call(function: str) -> bytes:
    """Return an AttrValue: a function."""
    return field(10, message((1, function)))


def tf_node(
    name: str, op: str, inputs: Sequence[str] = (), attributes: dict[str, bytes] | None = None
) -> bytes:
    """Return a NodeDef."""
    entries = [message((1, key), (2, value)) for key, value in (attributes or {}).items()]
    return message(
        (1, name), (2, op), *((3, tensor) for tensor in inputs), *((5, entry) for entry in entries)
    )


def tf_function(name: str, arguments: Sequence[str], nodes: Sequence[bytes]) -> bytes:
    """Return a FunctionDef."""
    signature = message((1, name), *((2, message((1, argument))) for argument in arguments))
    return message((1, signature), *((3, node) for node in nodes))


def tf_graph(nodes: Sequence[bytes], functions: Sequence[bytes] = ()) -> bytes:
    """Return a GraphDef."""
    library = [(2, message(*((1, function) for function in functions)))] if functions else []
    return message(*((1, node) for node in nodes), *library, (4, message((1, 1994))))


def tf_saved_model(
    graph: bytes, *, saver: str = "saver_filename:0", assets: Sequence[tuple[str, str]] = ()
) -> bytes:
    """Return a SavedModel with one meta graph."""
    meta = message(
        (1, message((4, "serve"), (5, "2.21.0"))),
        (2, graph),
        (3, message((1, saver))),
        *((6, message((1, message((1, tensor))), (2, name))) for tensor, name in assets),
    )
    return message((1, 1), (2, meta))
