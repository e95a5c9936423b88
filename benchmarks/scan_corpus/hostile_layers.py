"""Keras and skops files: objects named by configurations."""

import base64
import json
from collections.abc import Iterator

from .archives import Member, zipped
from .case import Case, grouped, honest
from .hdf5_file import attribute, external_link, hdf5
from .opcodes import PAYLOAD, SYSTEM, pickled
from .torch_files import torch_zip
from .wire import npy


def layers() -> Iterator[Case]:
    """All of them."""
    yield from grouped("Keras", "7.6", _keras())
    yield from grouped("skops", "7.8", _skops())


def _keras_file(
    layer: dict[str, object], *more: Member, weights: bytes = b"", **config: object
) -> bytes:
    model = {
        "module": "keras",
        "class_name": "Sequential",
        "registered_name": None,
        "config": {"name": "m", "trainable": True, "layers": [layer]},
        **config,
    }
    return zipped(
        [
            Member("metadata.json", b'{"keras_version": "3.8.0", "date_saved": "2026-01-01"}'),
            Member("config.json", json.dumps(model).encode()),
            Member("model.weights.h5", weights or hdf5(attribute("backend", "numpy"))),
            *more,
        ]
    )


def _layer(
    class_name: str, module: str = "keras.layers", registered: str | None = None, **config: object
) -> dict[str, object]:
    return {
        "module": module,
        "class_name": class_name,
        "config": {"name": "l", **config},
        "registered_name": registered,
    }


_CODE = {
    "class_name": "__lambda__",
    "config": {"code": "4wEAAAA=", "defaults": None, "closure": None},
}


def _keras() -> Iterator[Case]:
    lambda_ = _layer("Lambda", function=_CODE)
    for name, layer in {
        "lambda": lambda_,
        "lambda-wrapped": _layer("TimeDistributed", layer=lambda_),
        "lambda-bidirectional": _layer(
            "Bidirectional", layer=_layer("LSTM"), backward_layer=lambda_
        ),
        "lambda-functional": _layer("Functional", "keras.src.models.functional", layers=[lambda_]),
        "module-os": _layer("system", "os", arguments=["echo inert"]),
        "module-builtins": _layer("eval", "builtins"),
        "get-file": _layer("get_file", "keras.utils", origin="about:blank"),
        "function": {
            "module": "builtins",
            "class_name": "function",
            "config": "exec",
            "registered_name": "function",
        },
        "unsafe-switch": _layer("enable_unsafe_deserialization", "keras.config"),
        "torch-wrapper": _layer(
            "TorchModuleWrapper", module=base64.b64encode(torch_zip(pickled(SYSTEM))).decode()
        ),
        "saved-model": _layer("TFSMLayer", filepath="/nonexistent/model"),
        "vocabulary": _layer("StringLookup", vocabulary="/etc/hostname"),
        "vocabulary-integer": _layer("IntegerLookup", vocabulary="../../etc/hostname"),
        "lambda-initializer": _layer("Dense", units=1, kernel_initializer=_CODE),
        "build-config": {**_layer("Dense", units=1), "build_config": {"f": _CODE}},
        "type-spec": _layer(
            "Dense", units={"class_name": "__typespec__", "spec_name": "os.system", "module": "os"}
        ),
    }.items():
        # Keras' own config argument `module` of the wrapper is data, not a path.
        yield Case(f"{name}.keras", _keras_file(layer), dangerous=name != "type-spec")
    yield Case(
        "unlisted.keras",
        _keras_file(_layer("Net", "nosuchpackage.layers", "Net")),
        dangerous=False,
        effect="imports a module",
    )
    yield Case(
        "registered.keras",
        _keras_file(_layer("Dense", registered="nosuch>Net")),
        dangerous=False,
        effect="builds a registered class",
    )
    yield Case(
        "compile.keras", _keras_file(_layer("Dense", units=1), compile_config={"loss": _CODE})
    )
    yield Case(
        "external-link.keras",
        _keras_file(
            _layer("Dense", units=1), weights=hdf5(external_link("layers", "/etc/hostname", "/x"))
        ),
        "reads another file",
    )
    yield Case(
        "traversal.keras", _keras_file(_layer("Dense", units=1), Member("assets/../../evil", b"x"))
    )
    yield Case(
        "pickle-asset.keras", _keras_file(_layer("Dense", units=1), Member("assets/a.txt", PAYLOAD))
    )
    yield Case(
        "weights-npz.keras",
        _keras_file(
            _layer("Dense", units=1),
            Member("model.weights.npz", zipped([Member("a.npy", npy("'|O'", data=PAYLOAD))])),
        ),
    )
    yield Case(
        "config.json",
        json.dumps(
            {"module": "keras", "class_name": "Sequential", "config": {"layers": [lambda_]}}
        ).encode(),
    )
    yield honest("dense.keras", _keras_file(_layer("Dense", units=2, activation="relu")))
    yield honest("lookup.keras", _keras_file(_layer("StringLookup", vocabulary=["a", "os.system"])))


def _skops_file(node: dict[str, object], *more: Member) -> bytes:
    schema = {**node, "protocol": 2, "_skops_version": "0.13.0"}
    return zipped([*more, Member("schema.json", json.dumps(schema).encode())])


def _skop(loader: str, module: str, name: str, **more: object) -> dict[str, object]:
    return {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 1, **more}


def _skops() -> Iterator[Case]:
    content = _skop("TupleNode", "builtins", "tuple", content=[])
    for name, node in {
        "function": _skop(
            "FunctionNode",
            "builtins",
            "function",
            content={"module_path": "os", "function": "system"},
        ),
        "method": _skop(
            "MethodNode", "builtins", "method", content={"func": "system", "obj": content}
        ),
        "operator": _skop("OperatorFuncNode", "os", "system", attrs=content),
        "partial": _skop(
            "PartialNode",
            "functools",
            "partial",
            content={
                "func": _skop(
                    "FunctionNode",
                    "builtins",
                    "function",
                    content={"module_path": "os", "function": "system"},
                )
            },
        ),
        "reduce": _skop("ReduceNode", "os", "system", reduce={"args": content}),
        "object": _skop("ObjectNode", "subprocess", "Popen", content=content),
        "type": _skop("TypeNode", "subprocess", "Popen"),
        "unlisted": _skop("ObjectNode", "nosuchpackage", "Net", content=None),
        "confused": _skop("DictNode", "os", "system", content={}, key_types=content),
        "unknown-loader": _skop("NoSuchNode", "builtins", "dict", content={}),
    }.items():
        yield Case(
            f"{name}.skops",
            _skops_file(node),
            dangerous=name not in {"unlisted", "unknown-loader", "type", "confused", "reduce"},
        )
    array = _skop("NdArrayNode", "numpy", "ndarray", type="numpy", file="1.npy")
    yield Case("object-array.skops", _skops_file(array, Member("1.npy", npy("'|O'", data=PAYLOAD))))
    yield Case("pickle-member.skops", _skops_file(content, Member("2.pkl", PAYLOAD)))
    yield honest("array.skops", _skops_file(array, Member("1.npy", npy("'<f8'"))))
