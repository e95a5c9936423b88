"""skops: every node under the policy of a pickle."""

import io
from pathlib import Path

import numpy as np
import pytest

from modelsec.scanning import Coverage, Policy, ScanReport, Verdict, scan
from tests.scanning.support.skops_writer import (
    dict_node,
    json_node,
    node,
    skops_file,
    tuple_node,
    zipped,
)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def array() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.arange(6.0).reshape(2, 3))
    return buffer.getvalue()


LAYER = """
layer = "mine"
[[allow]]
module = "my.package"
names = ["Model"]
operations = ["import", "build"]
because = "ours"
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    path = tmp_path / "mine.toml"
    path.write_text(LAYER)
    return Policy.load("core", path)


def test_containers_and_arrays_are_data() -> None:
    """Dictionaries, lists, numbers, arrays and bytes of numpy need no permission."""
    root = dict_node(
        numbers=node("NdArrayNode", "numpy:ndarray", type="numpy", file="1.npy"),
        scalar=node("NdArrayNode", "numpy:float64", type="numpy", file="1.npy"),
        items=tuple_node(json_node(1), json_node("os.system")),
        slice=node("SliceNode", "builtins:slice", content={"start": 0, "stop": 1, "step": None}),
        type=node("TypeNode", "numpy:float32"),
        raw=node("BytesNode", "builtins:bytes", file="2.bin"),
        sparse=node("SparseMatrixNode", "scipy.sparse._csr:csr_matrix", type="scipy", file="1.npy"),
    )
    report = scan(skops_file(root, members={"1.npy": array(), "2.bin": b"\x01\x02"}))
    assert report.safe, report.findings
    assert report.verdict is Verdict.DATA_ONLY
    assert "skops" in report.format


def test_a_permitted_class_is_allow_listed(policy: Policy) -> None:
    """An object needs import and build; both are reported with their layer."""
    root = node("ObjectNode", "my.package:Model", content=dict_node(a=json_node(1)))
    report = scan(skops_file(root), policy=policy)
    assert report.verdict is Verdict.ALLOW_LISTED
    assert {item.operation for item in report.permitted} == {"import", "build"}


def test_an_operation_that_is_not_permitted_is_unknown(policy: Policy) -> None:
    """A class that may be built may not for that reason be called."""
    root = node("ConstructorFromReduceNode", "my.package:Model", content=tuple_node(json_node(1)))
    report = scan(skops_file(root), policy=policy)
    assert report.verdict is Verdict.UNKNOWN
    assert "MS-SKO-002" in ids(report)


@pytest.mark.parametrize(
    "root",
    [
        node("ObjectNode", "subprocess:Popen"),
        node("FunctionNode", "os:system"),
        node("FunctionNode", "x:y", content={"module_path": "os", "function": "system"}),
        node("TypeNode", "builtins:eval"),
        node("ConstructorFromReduceNode", "builtins:exec", content=tuple_node(json_node("1"))),
        node("DictNode", "subprocess:Popen", content={}, key_types=json_node([])),
        node("ListNode", "os:system", content=[]),
        node("LossNode", "os:system", __reduce__={"args": tuple_node()}),
        node("JsonNode", "os:system", content="1"),
        node("MethodNode", "builtins:str", content={"func": "format", "obj": json_node("x")}),
        node("OperatorFuncNode", "operator:methodcaller", attrs=tuple_node(json_node("x"))),
        node("OperatorFuncNode", "operator:call", attrs=tuple_node()),
        dict_node(deep=tuple_node(tuple_node(node("FunctionNode", "os:system")))),
    ],
)
def test_capabilities_are_dangerous_wherever_they_stand(root: dict[str, object]) -> None:
    """The name is judged as its loader uses it."""
    assert scan(skops_file(root)).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize("name", ['"seed"', "7", ""])
def test_a_generators_name_is_looked_up_and_called(name: str) -> None:
    """The bit generator is a string in the file that names something in numpy.random."""
    state = {"content": {"bit_generator": {"content": name}}}
    root = node("RandomGeneratorNode", "numpy.random._generator:Generator")
    report = scan(skops_file({**root, "content": {"bit_generator": state, "seed_seq": {}}}))
    assert "MS-SKO-009" in ids(report)
    assert scan(skops_file({**root, "content": []})).verdict is Verdict.DANGEROUS


def test_an_honest_generator_is_data() -> None:
    """PCG64 is one of numpy's."""
    state = dict_node(bit_generator=json_node("PCG64"))
    root = node("RandomGeneratorNode", "numpy.random._generator:Generator")
    assert scan(skops_file({**root, "content": {"bit_generator": state}})).safe


@pytest.mark.parametrize(
    ("root", "rule"),
    [
        (node("JsonNode", "my.package:Thing", content="1"), "MS-SKO-003"),
        (node("PartialNode", "functools:partial", content={}), "MS-SKO-006"),
        (node("OperatorFuncNode", "operator:itemgetter", attrs=tuple_node()), "MS-SKO-006"),
        (node("SomethingNode", "builtins:str"), "MS-SKO-007"),
        ({"__loader__": "JsonNode", "__class__": None}, "MS-SKO-007"),
        (node("ObjectNode", "my.package:Thing"), "MS-SKO-002"),
    ],
)
def test_what_is_not_known_is_unknown(root: dict[str, object], rule: str) -> None:
    """Other names and nodes are questions."""
    report = scan(skops_file(root))
    assert report.verdict is Verdict.UNKNOWN, report.findings
    assert rule in ids(report)


@pytest.mark.parametrize("protocol", [3, -1, "2", None, True])
def test_a_protocol_that_is_not_known_is_incomplete(protocol: object) -> None:
    """The number picks the loaders."""
    assert scan(skops_file(json_node(1), protocol=protocol)).coverage is Coverage.INCOMPLETE


def test_an_older_protocol_is_noted() -> None:
    """Older loaders check less."""
    report = scan(skops_file(json_node(1), protocol=0))
    assert report.safe
    assert "MS-SKO-008" in ids(report)


def test_a_missing_member_is_incomplete() -> None:
    """An array that is not there cannot be judged."""
    root = node("NdArrayNode", "numpy:ndarray", type="numpy", file="gone.npy")
    assert scan(skops_file(root)).coverage is Coverage.INCOMPLETE


def test_bytes_that_look_like_a_pickle_are_scanned() -> None:
    """Bytes stay bytes to skops, but not to everybody."""
    root = node("BytesNode", "builtins:bytes", file="x.bin")
    report = scan(skops_file(root, members={"x.bin": b"\x80\x04cos\nsystem\n."}))
    assert report.verdict is Verdict.DANGEROUS


def test_a_repeated_key_is_a_disagreement() -> None:
    """Of two equal keys one reader takes the first, another the last."""
    text = b'{"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", '
    report = scan(zipped({"schema.json": text + b'"protocol": 2, "a": 1, "a": 2}'}))
    assert "MS-SKO-011" in ids(report)


@pytest.mark.parametrize("schema", [b"[]", b"{}", b'{"a": 1}'])
def test_another_schema_is_no_skops_file(schema: bytes) -> None:
    """Other zips hold a schema too."""
    assert "skops" not in scan(zipped({"schema.json": schema})).format


def test_a_broken_schema_is_never_safe() -> None:
    """Neither the application nor the scan by content can read it."""
    assert not scan(zipped({"schema.json": b'{"__loader__": "Js'})).safe
