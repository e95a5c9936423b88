"""Array files and weight files: npy, npz, joblib, safetensors, GGUF, HDF5."""

import json
import struct
from collections.abc import Iterator

from . import hdf5_file as h5
from .archives import Member, zipped
from .case import Case, grouped, honest
from .opcodes import (
    BUILD,
    EMPTY_TUPLE,
    NEWOBJ,
    PAYLOAD,
    POP,
    STOP,
    SYSTEM,
    TUPLE1,
    call,
    dict_of,
    named,
    number,
    pickled,
    proto,
    short,
    text,
    tuple_of,
)
from .templates import CHATML, TEMPLATES
from .wire import gguf, gguf_string, gguf_tensor, npy, safetensors


def arrays() -> Iterator[Case]:
    """All of them."""
    yield from grouped("arrays", "5.5", _npy())
    yield from grouped("arrays", "5.6", _joblib())
    yield from grouped("safetensors", "7.1", _safetensors())
    yield from grouped("GGUF", "7.2", _gguf())
    yield from grouped("HDF5", "7.7", _hdf5())


def _npy() -> Iterator[Case]:
    for name, descr in {
        "object": "'|O'",
        "object8": "'O8'",
        "object-word": "'object'",
        "object-word2": "'object_'",
        "object-in-list": "'f4,O'",
        "object-subarray": "'(2,)O'",
        "object-escaped": "'\\x7cO'",
        "object-field": "[('a', '<f4'), ('b', '|O')]",
        "object-nested": "[('a', [('b', 'O')])]",
        "object-titled": "[(('title', 'b'), 'O', (1,))]",
    }.items():
        yield Case(f"{name}.npy", npy(descr, data=PAYLOAD))
    yield Case("duplicate-key.npy", npy("'<f8'", data=PAYLOAD, extra="'descr': '|O'"))
    yield Case("bare-pickle.npy", PAYLOAD)
    yield Case("pickle-behind.npy", npy("'<f8'", data=bytes(16) + PAYLOAD), dangerous=False)
    yield Case(
        "shape-bomb.npy",
        npy("'<f8'", "(1000000, 1000000)"),
        effect="allocates 8 TB",
        dangerous=False,
    )
    yield Case("shape-negative.npy", npy("'<f8'", "(-2,)"), effect="unclear", dangerous=False)
    yield Case(
        "header-code.npy",
        npy("__import__('os').system('echo inert')"),
        dangerous=False,
        effect="code where a literal belongs",
    )
    yield Case("object.npz", zipped([Member("a.npy", npy("'|O'", data=PAYLOAD))]))
    yield Case("object-other-name.npz", zipped([Member("weights", npy("'|O'", data=PAYLOAD), 8)]))
    yield Case(
        "pickle-member.npz", zipped([Member("a.npy", npy("'<f8'")), Member("b.pkl", PAYLOAD)])
    )
    yield honest("plain.npy", npy("'<f8'"))
    yield honest("fields.npy", npy("[('a', '<f4'), ('b', '<i4', (1,))]"))
    yield honest("text.npy", npy("'<U2'"))
    yield honest("python2.npy", npy("'<f8'", "(2L,)"))
    yield honest(
        "plain.npz",
        zipped([Member("a.npy", npy("'<f8'"), 8), Member("b.npy", npy("'|b1'", "(16,)"))]),
    )


def _wrapper(*, kind: bytes = b"f8", align: bool = True, shape: int = 2) -> bytes:
    """A NumpyArrayWrapper up to and including its BUILD; the array's bytes come next."""
    dtype = call(named("numpy", "dtype"), text(kind.decode()), b"\x89", b"\x88")
    dtype += (
        tuple_of(number(3), text("<"), b"N", b"N", b"N", number(-1), number(-1), number(0)) + BUILD
    )
    fields = [
        (text("subclass"), named("numpy", "ndarray")),
        (text("shape"), number(shape) + TUPLE1),
        (text("order"), text("C")),
        (text("dtype"), dtype),
        (text("allow_mmap"), b"\x88"),
    ]
    if align:
        fields.append((text("numpy_array_alignment_bytes"), number(16)))
    return (
        named("joblib.numpy_pickle", "NumpyArrayWrapper")
        + EMPTY_TUPLE
        + NEWOBJ
        + dict_of(*fields)
        + BUILD
    )


def _aligned(stream: bytes, data: bytes = bytes(16)) -> bytes:
    """Padding to 16 as joblib writes it, and the array's bytes."""
    padding = 16 - (len(stream) + 1) % 16
    return stream + bytes((padding,)) + b"\xff" * padding + data


def _joblib() -> Iterator[Case]:
    head = proto(3) + _wrapper()
    yield Case("after-array.joblib", _aligned(head) + POP + SYSTEM + STOP)
    yield Case(
        "second-array.joblib", _aligned(_aligned(head) + POP + _wrapper()) + POP + SYSTEM + STOP
    )
    yield Case(
        "not-aligned.joblib", proto(3) + _wrapper(align=False) + bytes(16) + POP + SYSTEM + STOP
    )
    yield Case("object-array.joblib", proto(3) + _wrapper(kind=b"O8") + PAYLOAD + STOP)
    yield Case("call.joblib", PAYLOAD)
    frame = short("x") + POP + _wrapper() + POP + STOP
    yield Case(
        "open-frame.joblib",
        proto(4) + b"\x95" + struct.pack("<Q", len(frame) + 20) + frame + bytes(60),
    )
    yield Case(
        "shape-bomb.joblib",
        _aligned(proto(3) + _wrapper(shape=1 << 40)) + STOP,
        effect="allocates what it declares",
        dangerous=False,
    )
    for name, file in {
        "sibling-traversal": "../../evil.npy",
        "sibling-absolute": "/etc/hostname",
    }.items():
        old = (
            named("joblib.numpy_pickle", "NDArrayWrapper")
            + EMPTY_TUPLE
            + NEWOBJ
            + dict_of(
                (text("filename"), text(file)),
                (text("subclass"), named("numpy", "ndarray")),
                (text("allow_mmap"), b"\x88"),
            )
            + BUILD
        )
        yield Case(f"{name}.pkl", pickled(old), effect="reads a file outside the folder")
    old = (
        named("joblib.numpy_pickle", "NDArrayWrapper")
        + EMPTY_TUPLE
        + NEWOBJ
        + dict_of(
            (text("filename"), text("old.pkl_01.npy")),
            (text("subclass"), named("numpy", "ndarray")),
            (text("allow_mmap"), b"\x88"),
        )
        + BUILD
    )
    yield Case("sibling.pkl", pickled(old), beside=(("old.pkl_01.npy", npy("'|O'", data=PAYLOAD)),))
    yield honest("plain.joblib", _aligned(head) + STOP)
    yield honest(
        "two.joblib", _aligned(_aligned(proto(3) + b"](" + _wrapper()) + _wrapper()) + b"e" + STOP
    )
    yield honest("not-aligned-plain.joblib", proto(3) + _wrapper(align=False) + bytes(16) + STOP)


def _safetensors() -> Iterator[Case]:
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    half = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    written = json.dumps(one)
    other = {"effect": "readers disagree, or read what nobody declared", "dangerous": False}
    for name, content in {
        "overlap": safetensors({"a": one, "b": half}),
        "hole": safetensors({"a": half, "b": {**half, "data_offsets": [12, 16], "shape": [1]}}),
        "trailing": safetensors({"a": half}),
        "beyond": safetensors({"a": {**one, "shape": [400], "data_offsets": [0, 1600]}}),
        "shape-mismatch": safetensors({"a": {**one, "shape": [400]}}),
        "overflow": safetensors({"a": {**one, "shape": [1 << 32, 1 << 32]}}),
        "negative": safetensors({"a": {**one, "data_offsets": [-16, 0]}}),
        "float-offset": safetensors({"a": {**one, "data_offsets": [0, 16.0]}}),
        "unknown-dtype": safetensors({"a": {**one, "dtype": "OBJ"}}),
        "metadata-number": safetensors({"__metadata__": {"a": 1}, "a": one}),
        "duplicate": safetensors(f'{{"a": {written}, "a": {written}}}'),
        "duplicate-metadata": safetensors(
            f'{{"__metadata__": {{"a": "1", "a": "2"}}, "a": {written}}}'
        ),
        "header-longer": safetensors({"a": one}, length=(1 << 63) - 1),
        "header-deep": safetensors("[" * 100_000 + "]" * 100_000),
        "not-json": safetensors("{'a': 1}"),
        "traversal-name": safetensors({"../../evil": one}),
    }.items():
        yield Case(f"{name}.safetensors", content, **other)  # type: ignore[arg-type]
    good = safetensors({"a": one})
    yield Case("pickle-behind.safetensors", good + PAYLOAD, dangerous=False)
    yield Case("zip-behind.safetensors", good + zipped([Member("archive/data.pkl", PAYLOAD)]))
    yield Case("pickle-in-front.safetensors", PAYLOAD + good)
    yield honest("plain.safetensors", good)
    yield honest(
        "metadata.safetensors",
        safetensors(
            {
                "__metadata__": {"format": "pt", "note": "os.system eval("},
                "a": half,
                "b": {**half, "data_offsets": [8, 16]},
            }
        ),
    )
    yield honest("padded.safetensors", safetensors(json.dumps({"a": one}) + " " * 7))
    yield honest("empty.safetensors", safetensors({}, b""))


def _gguf() -> Iterator[Case]:
    for name, template in TEMPLATES.items():
        yield Case(
            f"template-{name}.gguf",
            gguf({"tokenizer.chat_template": template}),
            effect="runs code when the chat template is rendered",
        )
    attr = TEMPLATES["class-walk"]
    yield Case(
        "template-second.gguf",
        gguf({"tokenizer.chat_template": CHATML, "tokenizer.chat_template.tool_use": attr}),
    )
    many = {"effect": "allocates or overflows", "dangerous": False}
    yield Case("tensor-count.gguf", gguf({}, count=1 << 60), **many)  # type: ignore[arg-type]
    yield Case("key-count.gguf", gguf({}, keys=1 << 60), **many)  # type: ignore[arg-type]
    yield Case("string-length.gguf", gguf([("a", struct.pack("<IQ", 8, (1 << 64) - 1))]), **many)  # type: ignore[arg-type]
    yield Case("array-count.gguf", gguf([("a", struct.pack("<IIQ", 9, 4, 1 << 61))]), **many)  # type: ignore[arg-type]
    nested = struct.pack("<I", 9) + struct.pack("<IQ", 9, 1) * 5000 + struct.pack("<IQ", 0, 0)
    yield Case("array-nested.gguf", gguf([("a", nested)]), **many)  # type: ignore[arg-type]
    yield Case("value-type.gguf", gguf([("a", struct.pack("<I", 77))]), **many)  # type: ignore[arg-type]
    for name, entry in {
        "dims": gguf_tensor(dims=(1 << 62, 4)),
        "rank": gguf_tensor(rank=1 << 31),
        "offset": gguf_tensor(offset=1 << 40),
        "kind": gguf_tensor(kind=999),
        "name": gguf_tensor("x" * 5000),
    }.items():
        yield Case(f"tensor-{name}.gguf", gguf({}, tensors=entry), **many)  # type: ignore[arg-type]
    yield Case("overlap.gguf", gguf({}, tensors=gguf_tensor() + gguf_tensor("v"), count=2), **many)  # type: ignore[arg-type]
    for value in (0, 3, 1 << 31):
        yield Case(f"alignment-{value}.gguf", gguf({"general.alignment": value}), **many)  # type: ignore[arg-type]
    yield Case(
        "duplicate-key.gguf",
        gguf([("a", struct.pack("<II", 4, 1)), ("a", struct.pack("<II", 4, 2))]),
        **many,
    )  # type: ignore[arg-type]
    yield Case("version.gguf", gguf({}, version=77), **many)  # type: ignore[arg-type]
    yield Case("pickle-behind.gguf", gguf({}) + PAYLOAD, dangerous=False)
    yield honest("plain.gguf", gguf({"general.architecture": "llama", "general.alignment": 32}))
    yield honest("template.gguf", gguf({"tokenizer.chat_template": CHATML}))
    words = struct.pack("<IIQ", 9, 8, 3) + b"".join(
        map(gguf_string, ("eval", "__class__", "{{ x.__init__ }}"))
    )
    yield honest("vocabulary.gguf", gguf([("tokenizer.ggml.tokens", words)]))


def _model(layer: dict[str, object]) -> str:
    return json.dumps({"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}})


def _hdf5() -> Iterator[Case]:
    code = {
        "class_name": "Lambda",
        "config": {"name": "l", "function": ["4wEAAAA=", None, None], "function_type": "lambda"},
    }
    config = h5.attribute("model_config", _model(code))
    yield Case("lambda.h5", h5.hdf5(config), effect="runs embedded bytecode")
    nested = {"class_name": "TimeDistributed", "config": {"layer": code}}
    yield Case(
        "lambda-nested.h5",
        h5.hdf5(h5.attribute("model_config", _model(nested))),
        effect="runs embedded bytecode",
    )
    yield Case(
        "lambda-user-block.h5", h5.hdf5(config, block=bytes(512)), effect="runs embedded bytecode"
    )
    other = {
        "class_name": "Net",
        "module": "nosuchpackage.layers",
        "registered_name": None,
        "config": {},
    }
    yield Case(
        "module.h5",
        h5.hdf5(h5.attribute("model_config", _model(other))),
        dangerous=False,
        effect="imports a module",
    )
    outside = {"effect": "reads another file"}
    yield Case(
        "external-link.h5", h5.hdf5(h5.external_link("weights", "/etc/hostname", "/x")), **outside
    )
    yield Case(
        "external-link-relative.h5", h5.hdf5(h5.external_link("w", "../other.h5", "/x")), **outside
    )
    heap_name = b"/etc/hostname\0"
    place = h5.after_root(h5.hard_link("w", 0))
    heap_data = bytes(8) + heap_name + bytes(-len(heap_name) % 8)
    heap = (b"HEAP\0\0\0\0" + struct.pack("<QQQ", len(heap_data), 1, place + 32)) + heap_data
    dataset = h5.header(h5.dataset_messages((4,), 0, 16, external=(place, 8)))
    yield Case(
        "external-storage.h5",
        h5.hdf5(h5.hard_link("w", place + len(heap)), heap + dataset),
        **outside,
    )
    mapping = h5.mapping_heap("/etc/hostname", "/x")
    virtual = h5.header(h5.dataset_messages((4,), 0, 16, virtual=place))
    yield Case(
        "virtual.h5", h5.hdf5(h5.hard_link("w", place + len(mapping)), mapping + virtual), **outside
    )
    huge = h5.header(h5.dataset_messages((1 << 40, 1 << 10), place, 16))
    yield Case(
        "shape-bomb.h5",
        h5.hdf5(h5.hard_link("w", place), huge),
        dangerous=False,
        effect="allocates what it declares",
    )
    yield Case("pickle-behind.h5", h5.hdf5(h5.attribute("a", "b")) + PAYLOAD, dangerous=False)
    yield Case(
        "pickle-user-block.h5", h5.hdf5(h5.attribute("a", "b"), block=PAYLOAD.ljust(512, b"\0"))
    )
    yield Case("cut.h5", h5.hdf5(config)[:120], dangerous=False)
    yield Case("soft-link.h5", h5.hdf5(h5.soft_link("w", "/../../etc")), dangerous=False, **outside)
    dense = {"class_name": "Dense", "config": {"name": "d", "units": 2, "activation": "relu"}}
    yield honest("dense.h5", h5.hdf5(h5.attribute("model_config", _model(dense))))
    plain = h5.header(h5.dataset_messages((4,), 0, 16))
    whole = h5.header(h5.dataset_messages((4,), place + len(plain), 16)) + struct.pack(
        "<4f", 1, 2, 3, 4
    )
    yield honest("dataset.h5", h5.hdf5(h5.hard_link("w", place), whole))
