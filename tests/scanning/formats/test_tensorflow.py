import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.policy import Policy
from modelsec.scanning.report import ScanReport
from tests.scanning.support.protobuf_writer import (
    field,
    message,
    tf_call,
    tf_function,
    tf_graph,
    tf_node,
    tf_saved_model,
    tf_text,
    varint,
)

POLICY = Policy.load("tensorflow")
CALL = "StatefulPartitionedCall"


def look(content: bytes) -> ScanReport:
    return scan(content, policy=POLICY)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def const(name: str, *values: bytes) -> bytes:
    return tf_node(name, "Const", [], {"dtype": field(6, 7), "value": tf_text(*values)})


def numbers(name: str) -> bytes:
    return tf_node(name, "Const", [], {"value": field(8, message((1, 1), (4, bytes(16))))})


SAVE = tf_function(
    "traced_save",
    ["file_prefix", "value"],
    [
        const("Const", b".part"),
        const("Const_1", b"_temp/part"),
        tf_node("Match", "StaticRegexFullMatch", ["file_prefix"], {"pattern": field(2, "s3://.*")}),
        tf_node("Select", "Select", ["Match:output:0", "Const:output:0", "Const_1:output:0"]),
        tf_node("StringJoin", "StringJoin", ["file_prefix", "Select:output:0"]),
        tf_node("Sharded", "ShardedFilename", ["StringJoin:output:0", "shard:0", "shards:0"]),
        tf_node("SaveV2", "SaveV2", ["Sharded:filename:0", "names:0", "slices:0", "value"]),
        tf_node("Pack", "Pack", ["Sharded:filename:0", "^SaveV2"]),
        tf_node("Merge", "MergeV2Checkpoints", ["Pack:output:0", "file_prefix"]),
    ],
)
RESTORE = tf_function(
    "traced_restore",
    ["file_prefix"],
    [tf_node("RestoreV2", "RestoreV2", ["file_prefix", "names:0", "slices:0"])],
)
SAVER = [
    tf_node("saver_filename", "Placeholder"),
    tf_node("save", CALL, ["saver_filename", "w"], {"f": tf_call("traced_save")}),
    tf_node("restore", CALL, ["saver_filename"], {"f": tf_call("traced_restore")}),
]
MATH = [
    tf_node("x", "Placeholder"),
    tf_node("w", "VarHandleOp"),
    tf_node("read", "ReadVariableOp", ["w"]),
    numbers("c"),
    tf_node("y", "MatMul", ["x", "read"]),
]
HONEST = tf_saved_model(tf_graph([*MATH, *SAVER], [SAVE, RESTORE]))


def test_a_saved_model_is_allow_listed() -> None:
    """Saving and restoring from the saver's placeholder is what every honest model does."""
    report = look(HONEST)
    assert report.safe
    assert report.format == "tensorflow saved model"
    assert report.verdict is Verdict.ALLOW_LISTED
    assert report.findings == ()
    assert {item.subject for item in report.permitted} == {
        "SaveV2", "RestoreV2", "MergeV2Checkpoints", "ShardedFilename",
    }  # fmt: skip


def test_a_frozen_graph_is_data_only() -> None:
    """A graph of mathematics and constants computes and does nothing else."""
    report = look(tf_graph(MATH))
    assert report.safe
    assert report.format == "tensorflow graph"
    assert report.verdict is Verdict.DATA_ONLY


def test_a_meta_graph_is_read() -> None:
    """The .meta file beside a checkpoint is a meta graph without the outer message."""
    report = look(message((1, message((4, "t"))), (2, tf_graph(MATH)), (3, message((1, "x:0")))))
    assert report.safe
    assert report.format == "tensorflow meta graph"


def test_a_fingerprint_is_read() -> None:
    """The fingerprint beside a SavedModel is a handful of hashes."""
    report = look(message((1, 2**63 + 1), (2, 5), (3, 6), (4, 7), (5, 8), (6, message((1, 1)))))
    assert report.safe
    assert report.format == "tensorflow fingerprint"


OPERATORS = [
    ("PyFunc", "MS-TFG-001"), ("EagerPyFunc", "MS-TFG-001"), ("PyFuncStateless", "MS-TFG-001"),
    ("ReadFile", "MS-TFG-001"), ("WriteFile", "MS-TFG-001"), ("MatchingFiles", "MS-TFG-001"),
    ("ImmutableConst", "MS-TFG-001"), ("SqlDataset", "MS-TFG-001"), ("RpcClient", "MS-TFG-001"),
    ("DataServiceDatasetV4", "MS-TFG-001"), ("SaveDatasetV2", "MS-TFG-001"),
    ("FileSystemSetConfiguration", "MS-TFG-001"), ("Abort", "MS-TFG-001"),
    ("XlaCustomCallV2", "MS-TFG-004"), ("TRTEngineOp", "MS-TFG-004"),
    ("AcmeOperator", "MS-TFG-005"), ("TFRecordDataset", "MS-TFG-003"),
]  # fmt: skip


@pytest.mark.parametrize(("op", "rule"), OPERATORS)
def test_operators_are_found_in_graph_and_library(op: str, rule: str) -> None:
    """An operator is judged alike in the graph, in a function and in a frozen file."""
    node = tf_node("n", op)
    function = tf_function("f", [], [node])
    for content in (
        tf_graph([*MATH, node]),
        tf_graph(MATH, [function]),
        tf_saved_model(tf_graph([*MATH, node])),
        tf_saved_model(tf_graph(MATH, [SAVE, function])),
        tf_saved_model(tf_graph(MATH) + tf_graph([node])),
    ):
        report = look(content)
        assert rule in ids(report)
        assert not report.safe


def test_dangerous_operators_say_what_is_gained() -> None:
    """The finding names the operator and the capability."""
    report = look(tf_graph([*MATH, tf_node("n", "WriteFile")]))
    assert report.verdict is Verdict.DANGEROUS
    (finding,) = report.findings
    assert finding.subject == "WriteFile"
    assert "file write" in finding.message


def packed(*texts: bytes) -> bytes:
    content = b"".join(varint(len(text)) for text in texts) + b"".join(texts)
    return field(8, message((1, 7), (4, content)))


HIDING = {
    "string": tf_text,
    "second string": lambda text: tf_text(b"a", text),
    "attribute": lambda text: field(2, text),
    "packed": packed,
    "packed last": lambda text: packed(b"", b"abc", text),
    "list": lambda text: field(1, message((2, text))),
    "variant": lambda text: field(8, message((1, 21), (15, message((2, text))))),
    "second piece": lambda text: field(8, message((1, 7))) + tf_text(text),
}


@pytest.mark.parametrize("place", HIDING)
def test_graphs_in_strings_are_scanned(place: str) -> None:
    """A dataset carries its graph as a string; whatever holds the string, it is a part."""
    value = HIDING[place](tf_graph([tf_node("n", "ReadFile")]))
    report = look(tf_graph([*MATH, tf_node("c2", "Const", [], {"value": value})]))
    assert "MS-TFG-001" in ids(report)
    assert any(finding.member.startswith("graph at") for finding in report.findings)


def test_object_graphs_in_strings_are_no_graphs() -> None:
    """The object graph of a checkpoint is a string of the same shape as nodes without operators."""
    child = message((1, message((1, 1), (2, "layer"))), (2, message((1, "VARIABLE_VALUE"))))
    assert look(tf_graph([*MATH, const("c2", field(1, child) * 3)])).safe


@pytest.mark.parametrize(
    "nodes",
    [
        [const("path", b"/tmp/x")],
        [const("path", b"relative")],
        [const("a", b"/tmp/x"), tf_node("path", "Identity", ["a"])],
        [const("a", b"/tmp/"), const("b", b"x"), tf_node("path", "StringJoin", ["a", "b"])],
        [const("a", b""), const("b", b"/x"), tf_node("path", "StringJoin", ["a", "b"])],
        [const("b", b"/../../x"), tf_node("path", "StringJoin", ["saver_filename", "b"])],
        [
            const("b", b"/."), const("c", b"./x"),
            tf_node("path", "StringJoin", ["saver_filename", "b", "c"]),
        ],
        [
            const("b", b"x"),
            tf_node("path", "StringJoin", ["saver_filename", "b"], {"separator": field(2, "/../")}),
        ],
        [const("a", b"/tmp/x"), tf_node("path", "ShardedFilename", ["a", "b", "c"])],
        [const("a", b"/tmp/x"), tf_node("path", "PlaceholderWithDefault", ["a"])],
        [const("a", b"/tmp/x"), tf_node("path", "Select", ["c", "saver_filename", "a"])],
        [const("a", b"/tmp/x"), tf_node("path", "Pack", ["saver_filename", "a"])],
        [
            const("a", b"/tmp/x"), tf_node("v", "VarHandleOp"),
            tf_node("set", "AssignVariableOp", ["v", "a"]),
            tf_node("path", "ReadVariableOp", ["v"]),
        ],
        [tf_node("path", "Const", [], {"value": packed(b"/tmp/x")})],
    ],
)  # fmt: skip
def test_a_constant_path_is_dangerous(nodes: list[bytes]) -> None:
    """However a constant becomes the name of a file, the author of the graph chose it."""
    for op in ("SaveV2", "RestoreV2"):
        graph = tf_graph([*MATH, *SAVER, *nodes, tf_node("n", op, ["path"])], [SAVE, RESTORE])
        report = look(tf_saved_model(graph))
        assert "MS-TFG-002" in ids(report), op
        assert report.verdict is Verdict.DANGEROUS


def test_a_constant_reaches_a_function_by_its_callers() -> None:
    """A function that restores from its argument is as good as what its callers hand to it."""
    bad = [const("a", b"/tmp/x"), tf_node("c", CALL, ["a"], {"f": tf_call("traced_restore")})]
    assert "MS-TFG-002" in ids(look(tf_saved_model(tf_graph([*SAVER, *bad], [SAVE, RESTORE]))))
    outer = tf_function(
        "outer", ["p"], [tf_node("c", CALL, ["p"], {"f": tf_call("traced_restore")})]
    )
    bad = [const("a", b"/tmp/x"), tf_node("d", CALL, ["a"], {"f": tf_call("outer")})]
    graph = tf_graph([*SAVER, *bad], [SAVE, RESTORE, outer])
    assert "MS-TFG-002" in ids(look(tf_saved_model(graph)))


@pytest.mark.parametrize(
    "nodes",
    [
        [tf_node("path", "Placeholder")],
        [tf_node("path", "ReverseV2", ["saver_filename"])],
        [tf_node("path", "ReadVariableOp", ["v"])],
        [
            tf_node("v", "VarHandleOp"),
            tf_node("set", "AssignVariableOp", ["v", "saver_filename"]),
            tf_node("call", CALL, ["v"], {"f": tf_call("traced_save")}),
            tf_node("path", "ReadVariableOp", ["v"]),
        ],
        [tf_node("path", "PlaceholderWithDefault", ["x"])],
        [],
    ],
)
def test_a_path_that_cannot_be_traced_is_unknown(nodes: list[bytes]) -> None:
    """A name from elsewhere is neither honest nor proven bad."""
    graph = tf_graph([*MATH, *SAVER, *nodes, tf_node("n", "RestoreV2", ["path"])], [SAVE, RESTORE])
    report = look(tf_saved_model(graph))
    assert ids(report) == {"MS-TFG-003"}
    assert report.verdict is Verdict.UNKNOWN


def test_functions_that_call_in_a_circle_end() -> None:
    """A trace through functions that call each other is bounded."""
    one = tf_function("one", ["p"], [tf_node("c", CALL, ["p"], {"f": tf_call("two")})])
    two = tf_function(
        "two", ["p"],
        [tf_node("c", CALL, ["p"], {"f": tf_call("one")}), tf_node("n", "RestoreV2", ["p"])],
    )  # fmt: skip
    assert look(tf_saved_model(tf_graph(MATH, [one, two]))).coverage is Coverage.COMPLETE


def test_savers_of_the_old_kind_are_honest() -> None:
    """They have a placeholder with a default, and a bare name in it."""
    nodes = [
        const("save/filename/input", b"model"),
        tf_node("save/filename", "PlaceholderWithDefault", ["save/filename/input"]),
        tf_node("save/Const", "PlaceholderWithDefault", ["save/filename"]),
        tf_node("save/SaveV2", "SaveV2", ["save/Const", "names", "slices", "w"]),
        tf_node("save/RestoreV2", "RestoreV2", ["save/Const", "names", "slices"]),
    ]
    assert look(tf_saved_model(tf_graph([*MATH, *nodes]), saver="save/Const:0")).safe
    assert look(tf_graph([*MATH, *nodes])).safe


def table(asset: str) -> bytes:
    nodes = [
        tf_node(asset, "Placeholder"),
        tf_node("v", "VarHandleOp"),
        tf_node("set", "AssignVariableOp", ["v", asset]),
        tf_node("r", "ReadVariableOp", ["v", "^set"]),
        tf_node("init", CALL, ["r", "table"], {"f": tf_call("initializer")}),
    ]
    body = [tf_node("n", "InitializeTableFromTextFileV2", ["handle", "path"])]
    return tf_graph([*MATH, *nodes], [tf_function("initializer", ["path", "handle"], body)])


def test_vocabularies_among_the_assets_are_honest() -> None:
    """The path of an asset comes through a placeholder and a variable."""
    graph = table("asset_path_initializer")
    assert look(tf_saved_model(graph, assets=[("asset_path_initializer:0", "vocab.txt")])).safe
    assert "MS-TFG-003" in ids(look(tf_saved_model(graph)))


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "C:x"])
def test_assets_stay_in_their_folder(name: str) -> None:
    """The loader joins the folder and the name."""
    report = look(tf_saved_model(tf_graph(MATH), assets=[("a:0", name)]))
    assert ids(report) == {"MS-TFG-020"}
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    ("op", "key", "value", "rule"),
    [
        ("PrintV2", "output_stream", "stderr", None),
        ("PrintV2", "output_stream", "file:///tmp/x", "MS-TFG-002"),
        ("FixedUnigramCandidateSampler", "vocab_file", "", None),
        ("FixedUnigramCandidateSampler", "vocab_file", "/x", "MS-TFG-002"),
        ("DecodeProtoV2", "descriptor_source", "/x", "MS-TFG-002"),
    ],
)
def test_attributes_decide(op: str, key: str, value: str, rule: str | None) -> None:
    """Some operators open what an attribute names."""
    report = look(tf_graph([*MATH, tf_node("n", op, [], {key: field(2, value)})]))
    assert (rule in ids(report)) if rule else report.safe


def test_addresses_of_a_debugger_are_dangerous() -> None:
    """A debug node sends its tensor to every address in a list."""
    urls = field(1, message((2, "file:///tmp/x")))
    report = look(tf_graph([*MATH, tf_node("n", "DebugIdentity", ["x"], {"debug_urls": urls})]))
    assert report.verdict is Verdict.DANGEROUS


def test_functions_called_by_their_names_are_walked() -> None:
    """An operator that is a function of the library needs no permission of its own."""
    function = tf_function("acme_square", ["x"], [tf_node("y", "Mul", ["x", "x"])])
    assert look(tf_graph([*MATH, tf_node("n", "acme_square", ["x"])], [function])).safe


def test_a_function_excuses_no_dangerous_operator() -> None:
    """A function of the same name does not make an operator harmless."""
    function = tf_function("WriteFile", ["x"], [tf_node("y", "Mul", ["x", "x"])])
    assert "MS-TFG-001" in ids(look(tf_graph([*MATH, tf_node("n", "WriteFile")], [function])))


def test_a_library_in_two_pieces_is_one() -> None:
    """Parsers merge the pieces; each is walked."""
    bad = tf_function("f", [], [tf_node("n", "PyFunc")])
    graph = tf_graph(MATH, [RESTORE]) + field(2, message((1, bad)))
    assert "MS-TFG-001" in ids(look(tf_saved_model(graph)))


def test_unknown_fields_are_incomplete() -> None:
    """A newer TensorFlow may act on what this schema does not have."""
    graph = tf_graph([*MATH, tf_node("n", "Add") + field(77, b"?")])
    report = look(tf_saved_model(graph))
    assert ids(report) == {"MS-TFG-021"}
    assert report.coverage is Coverage.INCOMPLETE


def test_keras_metadata_is_checked() -> None:
    """Each object is JSON; text that begins like JSON and is none is incomplete."""
    good = message((2, 1), (3, "root"), (4, "_tf_keras_layer"), (5, '{"name": "a"}'))
    assert look(field(1, good) * 2).safe
    assert look(field(1, good)).format == "keras metadata"
    bad = message((2, 1), (4, "_tf_keras_layer"), (5, '{"name": '))
    assert "MS-TFG-010" in ids(look(field(1, bad)))


def test_a_lambda_in_keras_metadata_is_not_safe() -> None:
    """Classes that Keras does not know are rebuilt from the graph; a Lambda brings code."""
    text = '{"class_name": "Lambda", "config": {"function": {"class_name": "__lambda__"}}}'
    lambda_ = message((2, 1), (4, "_tf_keras_layer"), (5, text))
    assert look(field(1, lambda_)).format == "keras metadata"
    own = message((2, 1), (4, "_tf_keras_layer"), (5, '{"class_name": "Own", "config": {}}'))
    assert look(field(1, own)).safe
    other = message((2, 1), (4, "_generic_user_object"), (5, "no JSON"))
    assert look(field(1, other)).safe


def test_metadata_in_the_object_graph_is_checked() -> None:
    """Older SavedModels keep the JSON in the object graph."""
    user = message((1, "_tf_keras_layer"), (3, '{"class_name": '))
    objects = message((1, message((4, user))))
    meta = message((2, tf_graph(MATH)), (7, objects))
    assert "MS-TFG-010" in ids(look(message((1, 1), (2, meta))))


def test_a_long_chain_is_bounded() -> None:
    """A name that passes thousands of nodes is not followed to its end."""
    chain = [tf_node(f"n{i}", "Identity", [f"n{i - 1}"]) for i in range(1, 8000)]
    report = look(tf_graph([*MATH, *chain, tf_node("s", "RestoreV2", ["n7999"])]))
    assert ids(report) == {"MS-TFG-003"}


def test_a_cut_is_never_safe() -> None:
    """A SavedModel is one field: wherever it is cut, it is broken."""
    for length in range(0, len(HONEST), 7):
        assert not look(HONEST[:length]).safe, length


def test_what_follows_is_never_safe() -> None:
    """Bytes behind a SavedModel are no message, or fields that the schema does not have."""
    for tail in (b"\0", b"\x0f", b"garbage", field(1000, b"x")):
        assert not look(HONEST + tail).safe


@given(st.integers(0, len(HONEST) - 1), st.integers(0, 255))
def test_a_changed_byte_raises_nothing(place: int, value: int) -> None:
    """Whatever a byte becomes, the result is a report without a failure of ours."""
    changed = HONEST[:place] + bytes([value]) + HONEST[place + 1 :]
    assert "MS-COV-004" not in ids(look(changed))


def test_the_strings_of_one_constant_are_bounded() -> None:
    """Two million empty strings in two megabytes."""
    value = field(8, message((1, 7), (4, bytes(2_000_001))))
    report = look(tf_graph([*MATH, tf_node("c2", "Const", [], {"value": value})]))
    assert "MS-COV-003" in ids(report)
