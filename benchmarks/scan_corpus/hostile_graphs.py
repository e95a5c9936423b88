"""Graphs: ONNX, TensorFlow, TFLite."""

import json
import struct
from collections.abc import Iterator

from .case import Case, grouped, honest
from .opcodes import PAYLOAD
from .wire import field, tflite


def graphs() -> Iterator[Case]:
    """All of them."""
    yield from grouped("ONNX", "7.4", _onnx())
    yield from grouped("TensorFlow", "7.5", _tensorflow())
    yield from grouped("TensorFlow", "7.5", _tflite())


def _tensor(
    name: str = "w", *, location: str | None = None, pairs: tuple[tuple[str, str], ...] = ()
) -> bytes:
    out = field(1, 2) + field(2, 1) + field(8, name)
    if location is None and not pairs:
        return out + field(9, struct.pack("<2f", 1, 2))
    entries = [*((("location", location),) if location is not None else ()), *pairs]
    return (
        out
        + b"".join(field(13, field(1, key) + field(2, value)) for key, value in entries)
        + field(14, 1)
    )


def _node(op: str, domain: str = "", *attributes: bytes) -> bytes:
    return (
        field(1, "x")
        + field(2, "y")
        + field(4, op)
        + b"".join(field(5, a) for a in attributes)
        + (field(7, domain) if domain else b"")
    )


def _onnx_model(graph: bytes, more: bytes = b"", domain: str = "") -> bytes:
    shape = field(2, field(1, field(1, 2)))
    kind = field(2, field(1, field(1, 1) + shape))
    whole = (
        graph + field(2, "g") + field(11, field(1, "x") + kind) + field(12, field(1, "y") + kind)
    )
    opset = field(8, field(1, "") + field(2, 17))
    if domain:
        opset += field(8, field(1, domain) + field(2, 1))
    return field(1, 8) + field(2, "writer") + field(7, whole) + opset + more


def plain_graph() -> bytes:
    """An honest model with one operator."""
    return _onnx_model(field(1, _node("Relu")) + field(5, _tensor()))


def _onnx() -> Iterator[Case]:
    relu = field(1, _node("Relu"))
    reads = "reads a file outside the folder"
    for name, location in {
        "traversal": "../../../etc/hostname",
        "absolute": "/etc/hostname",
        "backslash": "..\\..\\x",
        "drive": "C:\\x",
        "hidden-traversal": "a/../../x",
        "nul": "a\0b",
    }.items():
        yield Case(
            f"external-{name}.onnx", _onnx_model(relu + field(5, _tensor(location=location))), reads
        )
    outside = _tensor(location="../x")
    yield Case(
        "external-attribute.onnx",
        _onnx_model(
            field(1, _node("Constant", "", field(1, "value") + field(5, outside) + field(20, 4)))
        ),
        reads,
    )
    sub = field(1, _node("Relu")) + field(5, outside)
    yield Case(
        "external-subgraph.onnx",
        _onnx_model(
            field(1, _node("If", "", field(1, "then_branch") + field(6, sub) + field(20, 5)))
        ),
        reads,
    )
    yield Case(
        "external-sparse.onnx",
        _onnx_model(relu + field(15, field(1, outside) + field(2, _tensor("i")))),
        reads,
    )
    yield Case(
        "external-function.onnx",
        _onnx_model(
            relu,
            field(
                25,
                field(1, "F")
                + field(10, "local")
                + field(
                    7, _node("Constant", "", field(1, "value") + field(5, outside) + field(20, 4))
                ),
            ),
        ),
        reads,
    )
    yield Case(
        "external-training.onnx",
        _onnx_model(relu, field(20, field(1, relu + field(5, outside)))),
        reads,
    )
    yield Case("external-second-graph.onnx", _onnx_model(relu) + field(7, field(5, outside)), reads)
    yield Case(
        "external-key.onnx",
        _onnx_model(relu + field(5, _tensor(location="w.bin", pairs=(("__class__", "x"),)))),
        "sets an attribute chosen by the file",
        dangerous=False,
    )
    yield Case(
        "external-absent.onnx",
        _onnx_model(relu + field(5, _tensor(location="absent.bin"))),
        "part of the model is not there",
        dangerous=False,
    )
    yield Case(
        "external-beyond.onnx",
        _onnx_model(
            relu
            + field(5, _tensor(location="w.bin", pairs=(("offset", "1000000"), ("length", "8"))))
        ),
        "reads beyond a file",
        dangerous=False,
        beside=(("w.bin", bytes(8)),),
    )
    yield Case(
        "python-operator.onnx",
        _onnx_model(field(1, _node("PyOp", "com.microsoft")), domain="com.microsoft"),
        "runs Python",
    )
    yield Case(
        "contrib-operator.onnx",
        _onnx_model(field(1, _node("PyCustomOp", "ai.onnx.contrib")), domain="ai.onnx.contrib"),
        "runs Python",
    )
    yield Case(
        "unknown-domain.onnx",
        _onnx_model(field(1, _node("Run", "nosuch.domain")), domain="nosuch.domain"),
        "needs native code",
        dangerous=False,
    )
    yield Case("pickle-behind.onnx", _onnx_model(relu) + PAYLOAD, dangerous=False)
    yield Case("cut.onnx", _onnx_model(relu + field(5, _tensor()))[:-9], "unclear", dangerous=False)
    deep = relu
    for _ in range(3000):
        deep = field(1, _node("If", "", field(1, "b") + field(6, deep) + field(20, 5)))
    yield Case(
        "deep.onnx", _onnx_model(deep), "overflows the stack of whoever walks it", dangerous=False
    )
    yield honest("plain.onnx", _onnx_model(relu + field(5, _tensor())))
    yield honest(
        "external.onnx",
        _onnx_model(
            relu
            + field(5, _tensor(location="weights.bin", pairs=(("offset", "0"), ("length", "8"))))
        ),
        beside=(("weights.bin", bytes(8)),),
    )
    yield honest(
        "subgraph.onnx",
        _onnx_model(
            field(1, _node("If", "", field(1, "then_branch") + field(6, relu) + field(20, 5)))
        ),
    )


def _attr(key: str, value: bytes) -> bytes:
    return field(5, field(1, key) + field(2, value))


def _constant(value: str, name: str = "c") -> bytes:
    tensor = field(1, 7) + field(2, b"") + field(8, value)
    return field(
        1,
        field(1, name)
        + field(2, "Const")
        + _attr("value", field(8, tensor))
        + _attr("dtype", field(6, 7)),
    )


def _saved(nodes: bytes, library: bytes = b"", more: bytes = b"") -> bytes:
    graph = nodes + (field(2, library) if library else b"")
    meta = field(1, field(4, "serve")) + field(2, graph) + more
    return field(1, 1) + field(2, meta)


def _op(op: str, *inputs: str) -> bytes:
    return field(1, field(1, op.lower()) + field(2, op) + b"".join(field(3, i) for i in inputs))


def _tensorflow() -> Iterator[Case]:
    path = _constant("/nonexistent/inert")
    for op in (
        "WriteFile",
        "ReadFile",
        "MatchingFiles",
        "PyFunc",
        "PyFuncStateless",
        "EagerPyFunc",
        "ImmutableConst",
        "SqlDataset",
        "DebugIdentityV3",
        "DecodeProtoV2",
        "TFRecordDataset",
        "DataServiceDataset",
        "FileSystemSetConfiguration",
        "SaveDatasetV2",
    ):
        yield Case(
            f"{op}/saved_model.pb",
            _saved(path + _op(op, "c")),
            f"runs {op}",
            dangerous=op not in {"DebugIdentityV3", "DecodeProtoV2"},
        )
    print_ = field(
        1,
        field(1, "p")
        + field(2, "PrintV2")
        + field(3, "c")
        + _attr("output_stream", field(2, "file:///nonexistent/inert")),
    )
    yield Case("print-file/saved_model.pb", _saved(path + print_), "writes a file")
    function = field(1, field(1, field(1, "f")) + field(3, field(1, "w") + field(2, "WriteFile")))
    yield Case("in-function/saved_model.pb", _saved(_op("NoOp"), function), "writes a file")
    inner = field(1, field(1, "w") + field(2, "WriteFile"))
    tensor = field(1, 7) + field(2, b"") + field(8, inner)
    nested = field(1, field(1, "c") + field(2, "Const") + _attr("value", field(8, tensor)))
    yield Case(
        "in-constant/saved_model.pb",
        _saved(nested + _op("DatasetFromGraph", "c")),
        "runs a nested graph",
    )
    yield Case(
        "save-constant/saved_model.pb",
        _saved(path + _op("SaveV2", "c")),
        "writes a file",
        dangerous=False,
    )
    yield Case(
        "unknown-operator/saved_model.pb",
        _saved(_op("NoSuchOperator")),
        "needs native code",
        dangerous=False,
    )
    asset = field(6, field(1, field(1, "asset:0")) + field(2, "../../../etc/hostname"))
    yield Case(
        "asset/saved_model.pb", _saved(_op("NoOp"), more=asset), "reads a file outside the folder"
    )
    yield Case("frozen.pb", path + _op("WriteFile", "c"), "writes a file")
    code = {
        "class_name": "Lambda",
        "config": {"function": {"class_name": "__lambda__", "config": {"code": "4wEAAAA="}}},
    }
    yield Case(
        "lambda/keras_metadata.pb",
        field(
            1,
            field(2, 1)
            + field(3, "root.layer-0")
            + field(4, "_tf_keras_layer")
            + field(5, json.dumps(code)),
        ),
        "runs embedded bytecode",
    )
    yield honest(
        "plain/saved_model.pb",
        _saved(_op("Placeholder") + _op("MatMul", "placeholder") + _op("Relu", "matmul")),
    )
    yield honest(
        "saver/saved_model.pb",
        _saved(_op("Placeholder") + _op("SaveV2", "placeholder") + _op("RestoreV2", "placeholder")),
    )


def _tflite() -> Iterator[Case]:
    yield Case(
        "custom.tflite", tflite([(32, "NoSuchOperator")]), "needs native code", dangerous=False
    )
    yield Case(
        "flex-write.tflite", tflite([(32, "FlexWriteFile")]), "writes a file", dangerous=False
    )
    yield Case("flex-python.tflite", tflite([(32, "FlexPyFunc")]), "runs Python", dangerous=False)
    yield Case(
        "broken.tflite",
        tflite([(32, "Flex")], broken=True),
        "reads beyond the file",
        dangerous=False,
    )
    yield Case(
        "root.tflite",
        struct.pack("<I", 1 << 30) + b"TFL3" + bytes(64),
        "reads beyond the file",
        dangerous=False,
    )
    yield Case("pickle-behind.tflite", tflite([(0, None)]) + PAYLOAD, dangerous=False)
