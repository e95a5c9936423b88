"""Permitted names with arguments that nobody permits."""

import pickle
import struct
from pathlib import Path

import numpy as np
import pytest

from modelsec.scanning import Policy, ScanReport, Verdict, scan
from tests.scanning.support import assembler as asm
from tests.scanning.support import torch_writer as torch
from tests.scanning.support.joblib_writer import dtype

HUGE = b"\x8a\x08" + struct.pack("<q", 1 << 50)


def judged(stream: bytes) -> ScanReport:
    return scan(asm.PROTO4 + stream + asm.STOP)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def array(kind: bytes, shape: bytes, payload: bytes, *, cls: str = "ndarray") -> bytes:
    made = asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", cls),
        b"K\0" + asm.TUPLE1,
        asm.text("b"),
    )
    state = asm.MARK + b"K\1" + shape + kind + b"\x89" + payload + asm.TUPLE
    return made + state + asm.BUILD


TWO = b"K\2" + asm.TUPLE1
REFUSED = {
    "codec zlib": asm.call("_codecs", "encode", asm.text("a"), asm.text("zlib")),
    "codec hex": asm.call("_codecs", "encode", asm.text("a"), asm.text("hex")),
    "codec computed": asm.call("_codecs", "encode", asm.text("a"), asm.call("builtins", "str")),
    "bytes(n)": asm.call("builtins", "bytes", HUGE),
    "bytearray(n)": asm.call("builtins", "bytearray", HUGE),
    "bytes by keyword": asm.name("builtins", "bytes")
    + asm.EMPTY_TUPLE
    + asm.EMPTY_DICT
    + asm.text("source")
    + HUGE
    + asm.SETITEM
    + asm.NEWOBJ_EX,
    "bytes by __newobj__": asm.call("copyreg", "__newobj__", asm.name("builtins", "bytes"), HUGE),
    "bytes by __newobj_ex__": asm.call(
        "copyreg", "__newobj_ex__", asm.name("builtins", "bytes"), HUGE + asm.TUPLE1, asm.EMPTY_DICT
    ),
    "list of a range": asm.call("builtins", "list", asm.call("builtins", "range", HUGE)),
    "deque of a range": asm.call("collections", "deque", asm.call("builtins", "range", HUGE)),
    "counter of a range": asm.call("collections", "Counter", asm.call("builtins", "range", HUGE)),
    "int of a computed value": asm.call("builtins", "int", asm.call("decimal", "Decimal")),
    "fraction with exponent": asm.call("fractions", "Fraction", asm.text("1e999999999")),
    "void of a size": asm.call("numpy", "void", HUGE),
    "getattr on a module": asm.call(
        "builtins", "getattr", asm.name("collections", "OrderedDict"), asm.text("fromkeys")
    ),
    "getattr of a private name": asm.call(
        "builtins",
        "getattr",
        asm.name("transformers.training_args", "ParallelMode"),
        asm.text("__class__"),
    ),
    "getattr of a computed name": asm.call(
        "builtins",
        "getattr",
        asm.name("transformers.training_args", "ParallelMode"),
        asm.call("builtins", "str"),
    ),
    "factory": asm.call("collections", "defaultdict", asm.name("os", "inert")),
    "factory getattr": asm.call("collections", "defaultdict", asm.name("builtins", "getattr")),
    "reconstructor of an unlisted class": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("mymodels", "Net"),
        asm.name("builtins", "object"),
        asm.NONE,
    ),
    "reconstructor with another base": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("collections", "OrderedDict"),
        asm.name("collections", "deque"),
        asm.NONE,
    ),
    "reconstructor that allocates": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("builtins", "bytes"),
        asm.name("builtins", "bytes"),
        HUGE,
    ),
    "record with a mapping": asm.call("types", "SimpleNamespace", asm.EMPTY_DICT),
    "array of an unlisted class": asm.call(
        "numpy.core.multiarray", "_reconstruct", asm.name("mymodels", "A"), TWO, asm.text("b")
    ),
    "array that allocates": asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", "ndarray"),
        HUGE + asm.TUPLE1,
        asm.text("b"),
    ),
    "array with too few bytes": array(dtype("f8"), TWO, asm.data(bytes(15))),
    "array of objects out of bytes": array(dtype("O"), TWO, asm.data(bytes(16))),
    "array with a computed type": array(asm.call("builtins", "str"), TWO, asm.data(b"")),
    "array with a list as shape": array(dtype("f8"), asm.EMPTY_LIST, asm.data(bytes(8))),
    "scalar of another size": asm.call(
        "numpy.core.multiarray", "scalar", dtype("f8"), asm.data(bytes(4))
    ),
    "scalar object out of bytes": asm.call(
        "numpy.core.multiarray", "scalar", dtype("O"), asm.data(bytes(8))
    ),
    "scalar object out of computed bytes": asm.call(
        "numpy.core.multiarray",
        "scalar",
        dtype("O"),
        asm.call("builtins", "bytes", asm.EMPTY_LIST),
    ),
    "dtype by a specification": asm.call("numpy", "dtype", asm.EMPTY_LIST),
    "masked array of another class": asm.call(
        "numpy.ma.core",
        "_mareconstruct",
        asm.name("collections", "OrderedDict"),
        asm.name("numpy", "ndarray"),
        TWO,
        asm.text("b"),
    ),
    "masked array that allocates": asm.call(
        "numpy.ma.core",
        "_mareconstruct",
        asm.name("numpy.ma", "MaskedArray"),
        asm.name("numpy", "ndarray"),
        HUGE + asm.TUPLE1,
        asm.text("b"),
    ),
    "generator with a constructor of one's own": asm.call(
        "numpy.random._pickle",
        "__generator_ctor",
        asm.text("MT19937"),
        asm.name("builtins", "list"),
    ),
    "process group": asm.call("accelerate.state", "PartialState", asm.text("gloo")),
    "file of a configuration": asm.call(
        "transformers.integrations.deepspeed", "HfDeepSpeedConfig", asm.text("inert.json")
    ),
    "estimator by its constructor": asm.call(
        "sklearn.linear_model._base", "LinearRegression", asm.NONE
    ),
    "layer by its constructor": asm.call("torch.nn.modules.linear", "Linear", HUGE, HUGE),
    "tensor of a size": asm.call("torch", "Tensor", HUGE),
    "ufunc by name": asm.call(
        "numpy.core", "_ufunc_reconstruct", asm.text("inert"), asm.text("sink")
    ),
    "codec of too much": asm.call("_codecs", "encode", torch.unicode("€"), asm.text("latin1"))
    + asm.POP
    + asm.call("_codecs", "encode", asm.NONE, asm.NONE),
    "list of a computed object": asm.call("builtins", "list", asm.call("uuid", "UUID")),
    "list of a global object": asm.call("builtins", "list", asm.name("numpy", "mean")),
    "reconstructor of no class": asm.call("copyreg", "_reconstructor", asm.NONE),
    "reconstructor with a list as text": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("builtins", "str"),
        asm.name("builtins", "str"),
        asm.EMPTY_LIST,
    ),
    "array of nothing": asm.call("numpy.core.multiarray", "_reconstruct"),
    "array with a negative size": array(
        dtype("f8"), b"J\xff\xff\xff\xff" + asm.TUPLE1, asm.data(b"")
    ),
    "array with a state that is no tuple": asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", "ndarray"),
        b"K\0" + asm.TUPLE1,
        asm.text("b"),
    )
    + asm.EMPTY_DICT
    + asm.BUILD,
    "array with a short state": asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", "ndarray"),
        b"K\0" + asm.TUPLE1,
        asm.text("b"),
    )
    + asm.NONE
    + asm.TUPLE1
    + asm.BUILD,
    "array with another shape of shape": asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", "ndarray"),
        asm.text("x") + asm.TUPLE1,
        asm.text("b"),
    ),
    "masked array with a short state": asm.call(
        "numpy.ma.core",
        "_mareconstruct",
        asm.name("numpy.ma", "MaskedArray"),
        asm.name("numpy", "ndarray"),
        b"K\0" + asm.TUPLE1,
        asm.text("b"),
    )
    + asm.NONE
    + asm.TUPLE1
    + asm.BUILD,
    "scalar of no dtype": asm.call("numpy.core.multiarray", "scalar", asm.NONE, asm.data(b"")),
    "distribution by its constructor": asm.call(
        "scipy.stats._continuous_distns", "norm_gen", asm.NONE
    ),
    "distribution with a state that is no dict": asm.name(
        "scipy.stats._continuous_distns", "norm_gen"
    )
    + asm.EMPTY_TUPLE
    + asm.NEWOBJ
    + asm.NONE
    + asm.BUILD,
    "distribution with a method replaced": asm.name("scipy.stats._continuous_distns", "norm_gen")
    + asm.EMPTY_TUPLE
    + asm.NEWOBJ
    + asm.EMPTY_DICT
    + asm.text("_attach_methods")
    + asm.name("builtins", "list")
    + asm.SETITEM
    + asm.BUILD,
    "tensor of nothing": asm.call("torch._utils", "_rebuild_tensor_v2"),
    "parameter with a state that is no dict": asm.call(
        "torch._utils", "_rebuild_parameter_with_state", asm.NONE, b"\x88", asm.NONE, asm.EMPTY_LIST
    ),
    "parameter with special slots": asm.call(
        "torch._utils",
        "_rebuild_parameter_with_state",
        asm.NONE,
        b"\x88",
        asm.NONE,
        asm.NONE + (asm.EMPTY_DICT + asm.text("__class__") + asm.NONE + asm.SETITEM) + asm.TUPLE2,
    ),
    "bytes for torch.load that are computed": asm.call(
        "torch.storage", "_load_from_bytes", asm.call("builtins", "bytes")
    ),
}


@pytest.mark.parametrize("stream", REFUSED.values(), ids=REFUSED)
def test_arguments_that_act_are_refused(stream: bytes) -> None:
    """The name may be called; with these arguments it computes, allocates, opens or calls."""
    assert not judged(stream).safe


PERMITTED = {
    "latin-1": asm.call("_codecs", "encode", torch.unicode("x" * 5000), asm.text("latin1")),
    "reconstructor over a dict": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("collections", "OrderedDict"),
        asm.name("builtins", "dict"),
        asm.EMPTY_DICT,
    ),
    "reconstructor over a text": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("builtins", "str"),
        asm.name("builtins", "str"),
        asm.text("a"),
    ),
    "reconstructor over bytes": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("builtins", "bytes"),
        asm.name("builtins", "bytes"),
        asm.data(b"a"),
    ),
    "new object by __newobj_ex__": asm.call(
        "copyreg",
        "__newobj_ex__",
        asm.name("argparse", "Namespace"),
        asm.EMPTY_TUPLE,
        asm.EMPTY_DICT,
    ),
    "new object by __newobj__": asm.call(
        "copyreg", "__newobj__", asm.name("argparse", "Namespace")
    ),
    "a large array": array(dtype("f8"), asm.number(1000) + asm.TUPLE1, asm.data(bytes(8000))),
    "an array of the first version": asm.call(
        "numpy.core.multiarray",
        "_reconstruct",
        asm.name("numpy", "ndarray"),
        b"K\0" + asm.TUPLE1,
        asm.text("b"),
    )
    + asm.MARK
    + TWO
    + dtype("f8")
    + b"\x89"
    + asm.data(bytes(16))
    + asm.TUPLE
    + asm.BUILD,
    "an old tensor with hooks in a dict": asm.call(
        "torch._utils", "_rebuild_parameter", asm.NONE, b"\x88", asm.EMPTY_DICT
    ),
    "a parameter with a plain state": asm.call(
        "torch._utils",
        "_rebuild_parameter_with_state",
        asm.NONE,
        b"\x88",
        asm.NONE,
        asm.EMPTY_DICT + asm.text("note") + asm.NONE + asm.SETITEM,
    ),
    "a tensor of a tensor": asm.call("torch.nn", "Parameter", asm.call("torch", "Tensor")),
    "codec": asm.call("_codecs", "encode", asm.text("é"), asm.text("latin1")),
    "bytes": asm.call("builtins", "bytes", asm.data(b"abc")),
    "small bytes(n)": asm.call("builtins", "bytes", b"K\x10"),
    "set": asm.call("builtins", "set", asm.EMPTY_LIST),
    "range": asm.call("builtins", "range", b"K\0", HUGE, b"K\1"),
    "complex": asm.call("builtins", "complex", b"G" + bytes(8), b"G" + bytes(8)),
    "fraction": asm.call("fractions", "Fraction", asm.text("-3/7")),
    "decimal": asm.call("decimal", "Decimal", asm.text("1.5E-7")),
    "counter": asm.call("collections", "Counter", asm.EMPTY_DICT),
    "factory": asm.call("collections", "defaultdict", asm.name("builtins", "list")),
    "no factory": asm.call("collections", "defaultdict", asm.NONE),
    "enum": asm.call(
        "builtins",
        "getattr",
        asm.name("transformers.training_args", "ParallelMode"),
        asm.text("NOT_PARALLEL"),
    ),
    "reconstructor": asm.call(
        "copyreg",
        "_reconstructor",
        asm.name("argparse", "Namespace"),
        asm.name("builtins", "object"),
        asm.NONE,
    ),
    "array": array(dtype("f8"), TWO, asm.data(bytes(16))),
    "array of objects": array(
        dtype("O"), TWO, asm.EMPTY_LIST + asm.MARK + asm.NONE * 2 + asm.APPENDS
    ),
    "empty array": array(dtype("f8"), b"K\0" + asm.TUPLE1, asm.data(b"")),
    "scalar": asm.call("numpy.core.multiarray", "scalar", dtype("f8"), asm.data(bytes(8))),
}


@pytest.mark.parametrize("stream", PERMITTED.values(), ids=PERMITTED)
def test_arguments_that_honest_writers_use_are_permitted(stream: bytes) -> None:
    """Named by a policy, and complete."""
    report = judged(stream)
    assert report.safe, report.findings
    assert report.verdict is Verdict.ALLOW_LISTED


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        np.arange(6.0).reshape(2, 3),
        np.array(["a", None, {"b": 1}], dtype=object),
        np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")]),
        np.float32(1.5),
        np.datetime64("2026-01-01"),
        np.ma.masked_array([1, 2], mask=[True, False]),
        np.random.default_rng(0),
        np.random.RandomState(0),
        np.asfortranarray(np.eye(3)),
        np.array(["abc"], dtype="U5"),
    ],
    ids=[
        "table",
        "objects",
        "record",
        "float",
        "date",
        "masked",
        "rng",
        "old rng",
        "fortran",
        "text",
    ],
)
def test_what_numpy_pickles_is_safe(value: object, protocol: int) -> None:
    """By the numpy that is installed, in every protocol."""
    report = scan(pickle.dumps(value, protocol))
    assert report.safe, report.findings


def fields(kind: bytes, *, after: bytes = b"") -> bytes:
    """``V8`` with one field, whose dict is in memo entry 5."""
    table = asm.EMPTY_DICT + asm.put(5) + asm.text("a") + kind + b"K\0" + asm.TUPLE2 + asm.SETITEM
    state = (
        asm.MARK
        + b"K\3"
        + asm.text("|")
        + asm.NONE
        + asm.text("a")
        + asm.TUPLE1
        + table
        + b"K\x08K\x01K\0"
        + asm.TUPLE
    )
    return dtype("V8") + state + asm.BUILD + after


def test_a_structured_type_is_permitted() -> None:
    """With the size and flags that its fields have."""
    assert judged(fields(dtype("u8"))).safe


def test_a_structured_type_that_hides_an_object_is_refused() -> None:
    """Flags that deny the pointer among the fields."""
    assert "MS-PKL-005" in ids(judged(fields(dtype("O"))))


@pytest.mark.parametrize("many", [False, True])
def test_fields_that_change_after_the_type_was_judged_are_refused(many: bool) -> None:  # noqa: FBT001
    """Numpy keeps the very dict: a later item would make bytes into pointers."""
    item = asm.text("a") + dtype("O") + b"K\0" + asm.TUPLE2
    fill = asm.MARK + item + asm.SETITEMS if many else item + asm.SETITEM
    assert "MS-PKL-006" in ids(judged(fields(dtype("u8"), after=asm.get(5) + fill + asm.POP)))


def test_a_type_whose_state_changes_after_an_array_has_it_is_refused() -> None:
    """The array shares the type: its bytes would become pointers."""
    kind = dtype("V8") + asm.put(6)
    one = array(kind, b"K\1" + asm.TUPLE1, asm.data(bytes(8)))
    later = asm.get(6) + fields(dtype("u8"))[len(dtype("V8")) :]
    assert "MS-PKL-006" in ids(judged(one + asm.POP + later))


def test_the_position_of_a_generator_is_within_its_state() -> None:
    """It indexes the memory of the generator, and numpy does not check it."""
    honest = pickle.dumps(np.random.RandomState(3), 4)
    assert scan(honest).safe
    made = asm.call("numpy.random._pickle", "__randomstate_ctor")
    inner = asm.EMPTY_DICT + asm.text("pos") + asm.number(10**6) + asm.SETITEM
    state = asm.EMPTY_DICT + asm.text("state") + inner + asm.SETITEM
    assert "MS-PKL-005" in ids(judged(made + state + asm.BUILD))


TEMPLATE = """
def _parse_args(self, a, b,  loc=0, scale=1):
    return (a, b, ), loc, scale

def _parse_args_rvs(self, a, b,  loc=0, scale=1, size=None):
    return self._argcheck_rvs(a, b,  loc, scale, size=size)

def _parse_args_stats(self, a, b,  loc=0, scale=1, moments='mv'):
    return (a, b, ), loc, scale, moments
"""


def distribution(template: str, *, key: bytes | None = None) -> bytes:
    made = asm.name("scipy.stats._continuous_distns", "norm_gen") + asm.EMPTY_TUPLE + asm.NEWOBJ
    name = asm.text("_parse_arg_template") if key is None else key
    state = asm.EMPTY_DICT + name + torch.unicode(template) + asm.SETITEM
    return made + state + asm.BUILD


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATE,
        TEMPLATE.replace("a, b, ", ""),
        TEMPLATE.replace("loc=0, scale=1", "loc=0").replace("loc, scale", "loc, 1"),
    ],
)
def test_the_template_of_scipys_distributions_is_permitted(template: str) -> None:
    """Scipy runs it through ``exec`` when the state is set; this is the one that it writes."""
    assert judged(distribution(template)).safe


@pytest.mark.parametrize(
    "template",
    [
        "inert()",
        TEMPLATE + "inert()\n",
        "inert()\n" + TEMPLATE,
        TEMPLATE.replace("a, b, ", "a=inert(), "),
        TEMPLATE.replace("scale=1", "scale=inert()"),
        TEMPLATE.replace("'mv'", "inert()"),
    ],
)
def test_another_template_is_code(template: str) -> None:
    """Anything else in its place would be run."""
    assert "MS-PKL-005" in ids(judged(distribution(template)))


def test_a_template_under_a_computed_name_is_refused() -> None:
    """The name of an attribute has to stand in the file."""
    key = asm.call("builtins", "str", asm.text("_parse_arg_template"))
    assert judged(distribution("inert()", key=key)).verdict is Verdict.DANGEROUS


def tensor(**named: object) -> ScanReport:
    return scan(torch.torch_zip(torch.pickled(torch.tensor(**named))))  # type: ignore[arg-type]


def test_a_tensor_within_its_storage_is_permitted() -> None:
    """Transposed, expanded by stride 0, empty, or a scalar."""
    assert tensor().safe
    assert tensor(size=(2, 2), stride=(1, 2)).safe
    assert tensor(size=(1000, 4), stride=(0, 1)).safe
    assert tensor(size=(0, 5), stride=(5, 1)).safe
    assert tensor(size=(), stride=(), offset=3).safe


@pytest.mark.parametrize(
    "named",
    [
        {"offset": 1},
        {"offset": -1},
        {"size": (5,), "stride": (1,)},
        {"size": (2, 2), "stride": (3, 1)},
        {"size": (2, -2)},
        {"size": (2, 2), "stride": (-2, 1)},
        {"size": (2, 2, 2)},
        {"size": (1 << 40, 1 << 40), "stride": (0, 0)},
        {"size": (), "stride": (), "offset": 4},
    ],
)
def test_a_tensor_beyond_its_storage_is_refused(named: dict[str, object]) -> None:
    """Offset, size and stride are trusted by loaders."""
    assert "MS-PKL-005" in ids(tensor(**named))


@pytest.mark.parametrize(
    "hooks",
    [
        torch.HOOKS + asm.text("k") + asm.NONE + asm.SETITEM,
        asm.EMPTY_DICT + asm.text("k") + asm.NONE + asm.SETITEM,
        asm.text("hooks"),
        asm.call("collections", "Counter"),
        torch.HOOKS + asm.EMPTY_DICT + asm.BUILD,
    ],
)
def test_backward_hooks_are_refused(hooks: bytes) -> None:
    """They are called by the first training step."""
    assert "MS-PKL-005" in ids(tensor(hooks=hooks))


def test_hooks_that_come_after_the_tensor_are_refused() -> None:
    """The tensor keeps the very mapping."""
    hooks = torch.HOOKS + asm.put(9)
    later = asm.get(9) + torch.unicode("k") + asm.NONE + asm.SETITEM
    report = scan(torch.torch_zip(torch.pickled(torch.tensor(hooks=hooks), later)))
    assert "MS-PKL-006" in ids(report)


@pytest.mark.parametrize(
    ("state", "safe"),
    [
        (torch.storage() + b"K\0" + torch.sizes(2, 2) + torch.sizes(2, 1), True),
        (torch.storage() + b"K\0" + torch.sizes(3, 2) + torch.sizes(2, 1), False),
        (b"\x89\x89" + torch.HOOKS, True),
        (b"\x89\x89" + torch.HOOKS + asm.text("k") + asm.NONE + asm.SETITEM, False),
        (asm.NONE, False),
    ],
)
def test_the_state_of_a_tensor_is_checked_like_its_arguments(state: bytes, safe: bool) -> None:  # noqa: FBT001
    """Old versions set storage and hooks by BUILD."""
    built = torch.tensor() + asm.MARK + state + asm.TUPLE + asm.BUILD
    assert scan(torch.torch_zip(torch.pickled(built))).safe is safe


@pytest.mark.parametrize("name", ["_backward_hooks", "__class__"])
def test_the_state_of_a_parameter_sets_nothing_special(name: str) -> None:
    """``_rebuild_parameter_with_state`` sets whatever attributes it is given."""
    state = asm.EMPTY_DICT + torch.unicode(name) + asm.NONE + asm.SETITEM
    made = asm.call(
        "torch._utils", "_rebuild_parameter_with_state", torch.tensor(), b"\x88", torch.HOOKS, state
    )
    assert not scan(torch.torch_zip(torch.pickled(made))).safe


def test_bytes_for_torch_load_are_scanned_as_a_file() -> None:
    """A payload inside is found under its own name; an honest file inside is fine."""
    inner = torch.legacy()
    for content, safe in ((inner, True), (asm.PROTO2 + asm.call("inert", "sink") + b".", False)):
        report = scan(
            asm.PROTO2 + asm.call("torch.storage", "_load_from_bytes", asm.data(content)) + b"."
        )
        assert report.safe is safe
    assert any(finding.path == ("bytes for torch.load",) for finding in report.findings)


def test_a_long_file_for_torch_load_is_scanned_where_it_lies() -> None:
    """Its bytes are not copied."""
    evil = asm.PROTO2 + b"N0" * 3000 + asm.call("inert", "sink") + b"."
    report = scan(asm.PROTO2 + asm.call("torch.storage", "_load_from_bytes", asm.data(evil)) + b".")
    assert any(finding.path == ("bytes for torch.load",) for finding in report.findings)


def test_a_tensor_expanded_beyond_measure_is_unknown() -> None:
    """A stride of 0 costs nothing in the file, and a terabyte when the tensor is copied."""
    report = tensor(size=(1 << 20, 1 << 20), stride=(0, 0))
    assert report.verdict is Verdict.UNKNOWN


def test_a_quantised_tensor_is_within_its_storage() -> None:
    """Its arguments have the quantiser between stride and hooks."""
    for elements, safe in ((4, True), (3, False)):
        made = asm.call(
            "torch._utils",
            "_rebuild_qtensor",
            torch.storage(elements=elements, kind="QInt8Storage"),
            b"K\0",
            torch.sizes(2, 2),
            torch.sizes(2, 1),
            asm.name("torch", "per_tensor_affine") + b"G" + bytes(8) + b"K\0" + asm.TUPLE3,
            b"\x89",
            torch.HOOKS,
        )
        members = {"data/0": bytes(elements)}
        assert scan(torch.torch_zip(torch.pickled(made), members)).safe is safe


def test_a_rule_that_nobody_has_written_permits_nothing(tmp_path: Path) -> None:
    """A policy of one's own that names one is no way around the rules."""
    layer = tmp_path / "ours.toml"
    layer.write_text(
        'layer = "ours"\n[[allow]]\nmodule = "mymodels"\nnames = ["Net"]\narguments = "none such"\n'
        'operations = ["import", "call", "build"]\nbecause = "ours"\n'
    )
    stream = asm.call("mymodels", "Net") + asm.EMPTY_DICT + asm.BUILD
    report = scan(asm.PROTO4 + stream + asm.STOP, policy=Policy.load(layer))
    assert not report.safe


def test_a_partial_is_of_something_that_may_be_called(tmp_path: Path) -> None:
    """With any arguments: those that follow are not known."""
    layer = tmp_path / "ours.toml"
    layer.write_text(
        'layer = "ours"\n[[allow]]\nmodule = "functools"\nnames = ["partial"]\n'
        'arguments = "partial"\noperations = ["import", "call"]\nbecause = "ours"\n'
    )
    policy = Policy.load("core", "numpy", layer)
    for name, safe in (("slice", True), ("bytes", False)):
        stream = asm.call("functools", "partial", asm.name("builtins", name))
        assert scan(asm.PROTO4 + stream + asm.STOP, policy=policy).safe is safe
