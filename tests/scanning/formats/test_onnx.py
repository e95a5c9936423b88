from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.limits import Limits
from modelsec.scanning.policy import Policy
from modelsec.scanning.report import ScanReport
from tests.scanning.support.protobuf_writer import (
    field,
    group,
    message,
    onnx_graph,
    onnx_model,
    onnx_node,
    onnx_tensor,
    varint,
)

POLICY = Policy.load("onnx")
HONEST = onnx_model(onnx_graph([onnx_node("Relu"), onnx_node("Add")], [onnx_tensor()]))


def look(content: bytes) -> ScanReport:
    return scan(content, policy=POLICY)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def external(location: str, **more: str) -> bytes:
    return onnx_tensor([("location", location), *more.items()])


def test_standard_operators_are_data_only() -> None:
    """A graph of standard operators computes and does nothing else."""
    report = look(HONEST)
    assert report.safe
    assert report.format == "onnx"
    assert report.verdict is Verdict.DATA_ONLY
    assert report.findings == ()


def test_a_permitted_domain_is_allow_listed() -> None:
    """Operators of a runtime are permitted by the policy, which the report names."""
    report = look(onnx_model(onnx_graph([onnx_node("FusedConv", "com.microsoft")])))
    assert report.safe
    assert report.verdict is Verdict.ALLOW_LISTED
    assert {item.subject for item in report.permitted} == {"com.microsoft:FusedConv"}


def test_both_names_of_the_standard_domain_are_one() -> None:
    """An empty domain and ai.onnx are the same."""
    assert look(onnx_model(onnx_graph([onnx_node("Relu", "ai.onnx")]))).safe


@pytest.mark.parametrize(
    ("op", "domain", "rule", "verdict"),
    [
        ("Anything", "acme", "MS-ONX-013", Verdict.UNKNOWN),
        ("NotAnOperator", "", "MS-ONX-013", Verdict.UNKNOWN),
        ("PyCustomOp", "ai.onnx.contrib", "MS-ONX-010", Verdict.DANGEROUS),
        ("PyOp", "pyopmulti_1", "MS-ONX-010", Verdict.DANGEROUS),
        ("AzureAudioToText", "ai.onnx.contrib", "MS-ONX-011", Verdict.DANGEROUS),
        ("AnyService", "com.microsoft.extensions", "MS-ONX-011", Verdict.DANGEROUS),
        ("EPContext", "com.microsoft", "MS-ONX-012", Verdict.UNKNOWN),
    ],
)
def test_operators_outside_the_policy(op: str, domain: str, rule: str, verdict: Verdict) -> None:
    """An operator is judged by its domain and name; the finding says how often it is used."""
    report = look(onnx_model(onnx_graph([onnx_node(op, domain)] * 3)))
    assert ids(report) == {rule}
    assert report.verdict is verdict
    assert not report.safe
    assert "3 times" in report.findings[0].message


def in_attribute(number: int, content: bytes) -> bytes:
    return onnx_graph([onnx_node("Relu", "", (5, message((1, "a"), (number, content))))])


def everywhere(node: bytes, tensor: bytes) -> dict[str, bytes]:
    """Return models that hold a node and a tensor in every place a graph can be."""
    inner = onnx_graph([node], [tensor])
    sparse = message((1, tensor), (2, onnx_tensor()))
    function = message((1, "f"), (7, node), (10, "own"))
    plain = onnx_graph([onnx_node("Relu")])
    return {
        "graph": onnx_model(inner),
        "attribute": onnx_model(in_attribute(6, inner)),
        "attributes": onnx_model(in_attribute(11, inner)),
        "deep": onnx_model(in_attribute(6, in_attribute(11, in_attribute(6, inner)))),
        "training": onnx_model(plain, (20, message((2, inner)))),
        "initialisation": onnx_model(plain, (20, message((1, inner)))),
        "function": onnx_model(plain, (25, function)),
        "second piece": onnx_model(plain, (7, inner)),
        "sparse": onnx_model(onnx_graph([node], [], (15, sparse))),
        "tensor": onnx_model(in_attribute(5, tensor) + onnx_graph([node])),
        "tensors": onnx_model(in_attribute(10, tensor) + onnx_graph([node])),
        "sparse attribute": onnx_model(in_attribute(22, sparse) + onnx_graph([node])),
        "unknown first": field(1999, b"x") + onnx_model(inner),
    }


@pytest.mark.parametrize("place", everywhere(b"", b""))
def test_operators_are_found_everywhere(place: str) -> None:
    """Sub-graphs, functions, training graphs and split graphs are walked."""
    content = everywhere(onnx_node("Anything", "acme"), onnx_tensor())[place]
    assert "MS-ONX-013" in ids(look(content))


TENSORS = [place for place in everywhere(b"", b"") if place != "function"]


@pytest.mark.parametrize("place", TENSORS)
def test_external_data_is_found_everywhere(place: str) -> None:
    """Every tensor may name a file."""
    content = everywhere(onnx_node("Relu"), external("../secret"))[place]
    assert "MS-ONX-001" in ids(look(content))
    assert look(content).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "location",
    [
        "../x", "a/../../x", "..\\x", "a\\..\\..\\x", "/etc/x", "\\x", "C:\\x", "c:x", "~/x",
        "file:///x", "a\0b", "", "..",
    ],
)  # fmt: skip
def test_a_name_that_leaves_the_folder_is_dangerous(location: str) -> None:
    """Absolute names, drives, links upwards with either separator, and control characters."""
    assert ids(look(onnx_model(onnx_graph([], [external(location)])))) == {"MS-ONX-001"}


def test_an_address_in_memory_is_dangerous() -> None:
    """Runtimes use such a location within one process; a file must not."""
    report = look(onnx_model(onnx_graph([], [external("*/_ORT_MEM_ADDR_/*", offset="4096")])))
    assert ids(report) == {"MS-ONX-002"}
    assert report.verdict is Verdict.DANGEROUS


def test_a_missing_sibling_is_incomplete() -> None:
    """What cannot be looked at is never called complete."""
    report = look(onnx_model(onnx_graph([], [external("weights.bin")])))
    assert ids(report) == {"MS-ONX-003"}
    assert report.coverage is Coverage.INCOMPLETE
    assert report.verdict is Verdict.DATA_ONLY


@pytest.mark.parametrize(
    ("offset", "length", "rule"),
    [
        ("0", "100", None), ("40", "60", None), ("0", None, None), ("100", "0", None),
        ("41", "60", "MS-ONX-004"), ("0", "101", "MS-ONX-004"), ("-1", "1", "MS-ONX-004"),
        ("1e3", "1", "MS-ONX-004"), ("9" * 30, "1", "MS-ONX-004"), (" 1", "1", "MS-ONX-004"),
    ],
)  # fmt: skip
def test_a_sibling_must_hold_the_range(
    tmp_path: Path, offset: str, length: str | None, rule: str | None
) -> None:
    """Offset and length are plain numbers within the file beside the model."""
    (tmp_path / "weights.bin").write_bytes(bytes(100))
    more = {"offset": offset} | ({"length": length} if length is not None else {})
    model = tmp_path / "m.onnx"
    model.write_bytes(onnx_model(onnx_graph([], [external("weights.bin", **more)])))
    report = scan(model, policy=POLICY)
    assert ids(report) == ({rule} if rule else set())
    assert report.safe is (rule is None)


def test_a_link_beside_the_model_is_dangerous(tmp_path: Path) -> None:
    """A name in the folder may be a link out of it."""
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(bytes(100))
    (folder / "weights.bin").symlink_to(tmp_path / "secret")
    (folder / "m.onnx").write_bytes(onnx_model(onnx_graph([], [external("weights.bin")])))
    assert ids(scan(folder / "m.onnx", policy=POLICY)) == {"MS-ONX-001"}


def test_an_unknown_key_is_unknown() -> None:
    """Loaders have set every key as an attribute."""
    assert "MS-ONX-005" in ids(look(onnx_model(onnx_graph([], [external("w", odd="x")]))))


def test_a_name_that_is_given_twice_does_not_fit(tmp_path: Path) -> None:
    """Readers disagree on which of two locations counts."""
    for name in ("a.bin", "b.bin"):
        (tmp_path / name).write_bytes(bytes(10))
    tensor = onnx_tensor([("location", "a.bin"), ("location", "b.bin")])
    (tmp_path / "m.onnx").write_bytes(onnx_model(onnx_graph([], [tensor])))
    assert "MS-ONX-004" in ids(scan(tmp_path / "m.onnx", policy=POLICY))


def test_the_pieces_of_a_tensor_are_one() -> None:
    """A tensor whose pieces say external and where, one each, is external."""
    split = message((1, "a"), (5, message((13, message((1, "location"), (2, "../x"))))))
    split += field(5, message((14, 1)))
    graph = onnx_graph([onnx_node("Constant", "", (5, split))])
    assert ids(look(onnx_model(graph))) == {"MS-ONX-001"}


def test_a_leftover_is_no_external_data() -> None:
    """Tensors that were taken into the model may keep the old name."""
    entry = message((1, "location"), (2, "weights.bin"))
    tensor = message((1, 2), (2, 1), (8, "w"), (9, bytes(8)), (13, entry))
    assert look(onnx_model(onnx_graph([], [tensor]))).safe


def test_the_models_own_functions_are_walked_instead() -> None:
    """A node of a function that the model defines needs no permission; the body does."""
    use = onnx_graph([onnx_node("f", "own")])
    good = message((1, "f"), (7, onnx_node("Relu")), (10, "own"))
    bad = message((1, "f"), (7, onnx_node("Anything", "acme")), (10, "own"))
    assert look(onnx_model(use, (25, good))).verdict is Verdict.DATA_ONLY
    assert ids(look(onnx_model(use, (25, bad)))) == {"MS-ONX-013"}
    assert ids(look(onnx_model(use))) == {"MS-ONX-013"}


def test_a_function_excuses_no_dangerous_operator() -> None:
    """A runtime may prefer its own operator to the model's function of that name."""
    function = message((1, "PyOp"), (7, onnx_node("Relu")), (10, "own"))
    content = onnx_model(onnx_graph([onnx_node("PyOp", "own")]), (25, function))
    assert ids(look(content)) == {"MS-ONX-010"}


def test_external_tensors_name_a_file() -> None:
    """External, and no location: no reader could agree on the numbers."""
    assert ids(look(onnx_model(onnx_graph([], [message((14, 1))])))) == {"MS-ONX-004"}


def test_a_folder_of_its_own_is_unknown() -> None:
    """A base path that leaves the folder is told as well as the location."""
    tensor = external("weights.bin", basepath="/etc", checksum="0" * 40)
    assert ids(look(onnx_model(onnx_graph([], [tensor])))) == {"MS-ONX-003", "MS-ONX-005"}


def test_strange_fields_of_an_entry_are_incomplete() -> None:
    """Fields that an entry of external data does not have are counted too."""
    entry = message((1, "location"), (2, "../x"), (9, b"?"))
    report = look(onnx_model(onnx_graph([], [message((13, entry), (14, 1))])))
    assert ids(report) == {"MS-ONX-001", "MS-ONX-014"}


def test_a_model_without_operator_sets_is_cut_off() -> None:
    """They come last: a model that lacks them is incomplete."""
    cut = message((1, 8), (7, onnx_graph([onnx_node("Relu")])))
    assert look(cut).coverage is Coverage.INCOMPLETE
    assert look(message((1, 2), (7, onnx_graph([onnx_node("Relu")])))).safe


def test_unknown_fields_are_incomplete() -> None:
    """A newer runtime may act on what this schema does not have."""
    report = look(onnx_model(onnx_graph([onnx_node("Relu", "", (77, b"?"))]), (99, b"?")))
    assert ids(report) == {"MS-ONX-014"}
    assert report.coverage is Coverage.INCOMPLETE
    assert {finding.subject for finding in report.findings} == {"Node.77", "Model.99"}


def test_groups_are_skipped_and_counted() -> None:
    """A group in a node is a field that no schema has."""
    node = onnx_node("Anything", "acme") + group(9, field(4, "Relu"))
    assert ids(look(onnx_model(onnx_graph([node])))) == {"MS-ONX-013", "MS-ONX-014"}


def test_overlong_lengths_hide_nothing() -> None:
    """Lengths with needless bytes are read as parsers read them."""
    inner = onnx_node("Anything", "acme")
    graph = varint(1 << 3 | 2) + varint(len(inner), width=5) + inner
    assert ids(look(onnx_model(graph))) == {"MS-ONX-013"}


def test_every_value_of_a_repeated_operator_counts() -> None:
    """A node with two operators is judged by both."""
    node = onnx_node("Anything", "acme") + field(4, "Relu") + field(7, "")
    assert "MS-ONX-013" in ids(look(onnx_model(onnx_graph([node]))))


def test_a_producer_that_is_a_message_is_told() -> None:
    """Bytes that are a name to ONNX could be a graph to another reader."""
    assert "MS-ONX-015" in ids(look(HONEST + field(2, b"\x0a\x03abc\x12\x01x")))


def test_fields_may_come_in_any_order() -> None:
    """Parsers take fields as they come."""
    graph = onnx_graph([onnx_node("Relu")])
    model = field(8, message((2, 17))) + field(7, graph) + field(1, 8)
    assert look(model).format == "onnx"
    assert look(model).safe


def test_a_model_without_version_is_recognised() -> None:
    """The version may be absent if the graph is plainly one."""
    assert look(field(7, onnx_graph([onnx_node("Anything", "acme")]))).format == "onnx"


@pytest.mark.parametrize(
    "content",
    [
        field(1, 8) + field(3, b"not a graph"),
        field(1, 8) + field(9, 9),
        field(2, b"name") * 3,
        b"\x08\x01",
        field(7, b"\xff\xff"),
    ],
)
def test_other_messages_are_not_onnx(content: bytes) -> None:
    """Without a graph there is no model, and what is not recognised is never safe."""
    report = look(content)
    assert "onnx" not in report.format
    assert not report.safe


def test_a_cut_is_never_safe() -> None:
    """Wherever a model is cut, it is incomplete."""
    for length in range(len(HONEST)):
        assert not look(HONEST[:length]).safe, length


def test_what_follows_a_model_is_never_safe() -> None:
    """Bytes behind the last field are no message, or fields that the schema does not have."""
    for tail in (b"\0", b"\x0f", b"garbage", b"PK\5\6" + bytes(18), field(1000, b"x")):
        assert not look(HONEST + tail).safe


def test_danger_before_a_break_stands() -> None:
    """What was found before a broken field is told along with the break."""
    graph = onnx_graph([onnx_node("PyOp", "pyopmulti_1")]) + b"\x0a\xff"
    report = look(onnx_model(graph))
    assert report.verdict is Verdict.DANGEROUS
    assert report.coverage is Coverage.INCOMPLETE


def test_deep_sub_graphs_are_a_limit() -> None:
    """Nesting without end costs a finding, not a stack."""
    graph = onnx_graph([onnx_node("Relu")])
    for _ in range(300):
        graph = in_attribute(6, graph)
    report = look(onnx_model(graph))
    assert report.coverage is Coverage.INCOMPLETE
    assert "MS-COV-003" in ids(report)


def test_many_empty_nodes_are_bounded() -> None:
    """Two bytes a node: the budget of nodes ends it."""
    report = scan(
        onnx_model(onnx_graph([onnx_node("Relu")] * 3000)),
        policy=POLICY,
        limits=Limits(opcodes=2000),
    )
    assert "MS-COV-003" in ids(report)


@given(st.integers(0, len(HONEST) - 1), st.integers(0, 255))
def test_a_changed_byte_raises_nothing(place: int, value: int) -> None:
    """Whatever a byte becomes, the result is a report without a failure of ours."""
    changed = HONEST[:place] + bytes([value]) + HONEST[place + 1 :]
    assert "MS-COV-004" not in ids(look(changed))
