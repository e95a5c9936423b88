import json
import struct
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, Limits, Policy, ScanReport, Verdict, scan
from modelsec.scanning.finding import Finding
from modelsec.scanning.formats.keras import check_config
from modelsec.scanning.limits import Budget
from modelsec.scanning.part import Permitted

POLICY = Policy.load("core", "numpy", "torch", "keras")

Json = dict[str, object]


def check(value: object, policy: Policy = POLICY) -> list[Finding | Permitted]:
    return list(check_config(value, Budget(Limits()), policy))


def ids(value: object) -> set[str]:
    return {observed.id for observed in check(value) if isinstance(observed, Finding)}


def item(
    module: str | None,
    name: str,
    config: object = None,
    registered: str | None = None,
    **more: object,
) -> Json:
    return {
        "module": module,
        "class_name": name,
        "config": {} if config is None else config,
        "registered_name": registered,
        **more,
    }


def function(module: str | None, name: str, registered: str | None = "function") -> Json:
    return item(module, "function", name, registered)


BYTECODE = {"class_name": "__lambda__", "config": {"value": ["inert", None, None]}}
POLICY_TYPE = item("keras", "DTypePolicy", {"name": "float32"})
DENSE = item(
    "keras.layers",
    "Dense",
    {
        "units": 3,
        "dtype": POLICY_TYPE,
        "activation": function("builtins", "relu"),
        "kernel_initializer": item("keras.initializers", "GlorotUniform", {"seed": None}),
        "kernel_regularizer": item("keras.regularizers", "L2", {"l2": 0.01}),
        "kernel_constraint": item("keras.constraints", "MaxNorm", {"max_value": 2}),
    },
    build_config={"input_shape": [None, 4]},
)
MODEL = item(
    "keras",
    "Sequential",
    {"name": "m", "layers": [item("keras.layers", "InputLayer"), DENSE]},
    compile_config={
        "optimizer": item(
            "keras.optimizers",
            "Adam",
            {"learning_rate": item("keras.optimizers.schedules", "ExponentialDecay")},
        ),
        "loss": item("keras.losses", "MeanSquaredError"),
        "metrics": ["accuracy", item("keras.metrics", "AUC")],
    },
)
NODE = {
    "args": [item("keras", "__keras_tensor__", {"shape": [None, 4], "keras_history": ["x", 0, 0]})],
    "kwargs": {"key": {"class_name": "__slice__", "config": {"start": None, "stop": 8}}},
}


# Honest configurations


@pytest.mark.parametrize(
    "value",
    [
        MODEL,
        DENSE,
        item("keras.src.models.functional", "Functional", {"layers": [DENSE]}, "Functional"),
        item("keras.src.ops.numpy", "Add", {"inbound_nodes": [NODE]}, "Add"),
        item("keras.layers", "TimeDistributed", {"layer": MODEL}),
        item("keras.layers", "StringLookup", {"vocabulary": ["a", "b"]}),
        item("keras.src.layers.preprocessing.feature_space", "Feature", {}, "Feature"),
        item("tf_keras.src.engine.functional", "Functional", {}, "Functional"),
        item("keras.mixed_precision", "Policy", {"name": "mixed_float16"}),
        item("keras.src.applications.convnext", "LayerScale", {}, "LayerScale"),
        function("keras.activations", "gelu", "gelu"),
        function("builtins", "mean_squared_error"),
        item("keras.layers", "Lambda", {"function": function("builtins", "relu")}),
        {"class_name": "Dense", "config": {"units": 3, "activation": "relu"}},
        {"class_name": "Custom>Adam", "config": {}},
        {"class_name": "TFOpLambda", "config": {"function": "math.add"}},
        {"class_name": "TensorShape", "items": [None, 3]},
        {"class_name": "TypeSpec", "type_spec": "tf.TensorSpec", "serialized": []},
        {"class_name": "__typespec__", "spec_name": "TensorSpec", "config": [[None], "float32"],
         "module": "tensorflow.python.framework.tensor", "registered_name": None},
        {"class_name": "__tuple__", "items": [1, 2]},
        {"model_type": "bert", "vocabulary": None},
        [],
        None,
    ],
)  # fmt: skip
def test_honest_configurations_pass(value: object) -> None:
    """What Keras 2 and 3 write for models of their own classes is permitted."""
    assert ids(value) == set()


def test_permissions_name_the_layer_once() -> None:
    """Every used allowance is reported once, with the policy layer that gave it."""
    permitted = [observed for observed in check([MODEL, MODEL]) if isinstance(observed, Permitted)]
    assert len(permitted) == len(set(permitted))
    assert Permitted("keras", "layer", "keras.layers:Dense") in permitted


def test_without_the_policy_layer_everything_is_unknown() -> None:
    """The allow-list is data: without it no class is permitted."""
    found = check(MODEL, Policy.load("core"))
    assert all(isinstance(observed, Finding) for observed in found)


def test_a_policy_of_the_user_permits_classes_of_the_user(tmp_path) -> None:  # noqa: ANN001
    """A registered name is permitted by name, a plain one by module and name."""
    path = tmp_path / "ours.toml"
    path.write_text(
        'layer = "ours"\n[[allow]]\nmodule = "keras:by-name"\nnames = ["mine>Twice"]\n'
        'operations = ["layer"]\nbecause = "ours"\n'
        '[[allow]]\nmodule = "mine.layers"\nnames = ["Thrice"]\n'
        'operations = ["layer"]\nbecause = "ours"\n'
    )
    policy = Policy.load("keras", path)
    for value in (item(None, "Twice", {}, "mine>Twice"), item("mine.layers", "Thrice")):
        assert all(isinstance(observed, Permitted) for observed in check(value, policy))
        assert ids(value) == {"MS-KER-007"}


# Code


@pytest.mark.parametrize(
    "value",
    [
        BYTECODE,
        item("keras.layers", "Lambda", {"function": BYTECODE}),
        {"class_name": "Lambda", "config": {"function": ["inert", None, None]}},
        {"class_name": "Lambda", "config": {"function": "x", "function_type": "lambda"}},
        {"class_name": "Lambda", "config": {"function": "relu", "output_shape": BYTECODE}},
        {"class_name": "Lambda", "config": {"output_shape_type": "lambda", "function": "relu"}},
        {"class_name": "Lambda", "config": {}},
        {"class_name": "Lambda"},
        {"class_name": "mine>Lambda", "config": {"function": ["inert", None, None]}},
    ],
)
@pytest.mark.parametrize("wrapped", [0, 1, 2, 3])
def test_bytecode_is_dangerous_however_deep(value: Json, wrapped: int) -> None:
    """A Lambda is found in wrappers, sub-models, compile options and call arguments."""
    nests = [
        value,
        item("keras.layers", "TimeDistributed", {"layer": {"config": {"layer": value}}}),
        item(
            "keras", "Sequential", {"layers": [DENSE, item("keras", "Model", {"layers": [value]})]}
        ),
        {
            **MODEL,
            "compile_config": {"loss": [value]},
            "inbound_nodes": [["x", 0, 0, {"a": value}]],
        },
    ]
    assert "MS-KER-001" in ids(nests[wrapped])


def test_a_lambda_is_as_good_as_its_function() -> None:
    """By name: permitted, unknown, or of a module that no model needs."""
    for named, expected in (
        (function("builtins", "my_function"), {"MS-KER-009", "MS-KER-007"}),
        (function("os", "no_such_function"), {"MS-KER-002"}),
        ("relu", set()),
        ("my_function", {"MS-KER-009"}),
    ):
        value = item("keras.layers", "Lambda", {"function": named})
        assert ids(value) == expected
    old = {"function": "no_such_function", "function_type": "function", "module": "os"}
    assert ids({"class_name": "Lambda", "config": old}) == {"MS-KER-002"}


def test_a_lambda_whose_module_is_no_text_is_not_vouched_for() -> None:
    """A list where a name has to be is no permission."""
    config = {"function": function("builtins", "relu"), "module": ["os"]}
    assert ids(item("keras.layers", "Lambda", config)) == {"MS-KER-009"}


def test_a_lambda_of_another_module_is_another_class() -> None:
    """The name Lambda does not vouch for a module."""
    config = {"function": function("builtins", "relu")}
    assert ids(item("evil", "Lambda", config)) == {"MS-KER-007"}
    assert ids(item("keras.layers", "Lambda", config, "evil>Lambda")) >= {"MS-KER-007"}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "anything"),
        ("subprocess", "Anything"),
        ("importlib.util", "find_spec"),
        ("numpy", "anything"),
        ("torch.hub", "anything"),
        ("tensorflow.io", "anything"),
    ],
)
def test_modules_that_no_model_needs_are_dangerous(module: str, name: str) -> None:
    """Older versions import any module and call what it holds (CVE-2025-1550)."""
    assert ids(item(module, name)) == {"MS-KER-002"}
    assert ids(function(module, name)) == {"MS-KER-002"}
    assert ids(item(module, "__tuple__")) == {"MS-KER-002"}
    assert ids({**item(module, "__typespec__"), "spec_name": name}) in (
        {"MS-KER-002"},
        {"MS-KER-007"},
    )


def test_builtins_are_judged_by_name() -> None:
    """A function of one's own is unknown; one that evaluates is dangerous."""
    assert ids(function("builtins", "my_loss")) == {"MS-KER-007"}
    assert ids(function("builtins", "exec")) == {"MS-KER-002"}
    assert ids(item("builtins", "eval")) == {"MS-KER-002"}


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("keras.utils", "get_file"),
        ("keras.config", "enable_unsafe_deserialization"),
        ("keras.models", "load_model"),
        ("keras.saving", "load_model"),
        ("keras.src.saving.saving_api", "load_model"),
        ("tf_keras.utils", "get_file"),
        ("keras.applications", "ResNet50"),
        ("keras.datasets.mnist", "load_data"),
        ("keras.losses", "deserialize"),
        ("keras.preprocessing.image", "load_img"),
    ],
)
def test_functions_of_keras_that_act_are_dangerous(module: str, name: str) -> None:
    """What downloads, reads, writes or switches protection off (CVE-2025-8747, -9906)."""
    assert ids(function(module, name, name)) == {"MS-KER-003"}
    assert ids(item(module, name)) == {"MS-KER-003"}


def test_other_names_of_keras_are_unknown() -> None:
    """A name that the policy does not list may be a gadget that nobody has found yet."""
    assert ids(item("keras.layers", "NoSuchLayer")) == {"MS-KER-007"}
    assert ids(item("keras.ops", "Map")) == {"MS-KER-007"}
    assert ids(item("keras_hub.models", "Anything")) == {"MS-KER-007"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [("TorchModuleWrapper", "MS-KER-004"), ("TFSMLayer", "MS-KER-005")],
)
def test_layers_that_load_are_dangerous(name: str, expected: str) -> None:
    """By any module and without one (CVE-2025-49655, CVE-2026-1462)."""
    for module in ("keras.layers", "keras.src.utils.torch_utils", None):
        assert ids(item(module, name, {"module": "inert", "filepath": "/x"})) == {expected}


@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_vocabularies_by_path_are_dangerous(name: str) -> None:
    """A path instead of a list is opened on loading (CVE-2025-12058)."""
    assert ids(item("keras.layers", name, {"vocabulary": "/nowhere/words.txt"})) == {"MS-KER-006"}
    assert ids({"class_name": name, "config": {"vocabulary": "http://x/y"}}) == {"MS-KER-006"}


def test_functions_in_a_graph() -> None:
    """TFOpLambda calls by name: listed, unknown, or acting outside the graph."""
    for name, expected in (
        ("nn.relu", set()),
        ("math.no_such_function", {"MS-KER-007"}),
        ("io.write_file", {"MS-KER-008"}),
        ("py_function", {"MS-KER-008"}),
        (["nn.relu"], {"MS-KER-010"}),
    ):
        assert ids({"class_name": "TFOpLambda", "config": {"function": name}}) == expected
    assert "MS-KER-007" in ids({"class_name": "ClassMethod", "config": {"function": "nn.relu"}})


def test_registered_names_win() -> None:
    """A registered object is looked up first, whatever the module says."""
    assert ids(item("keras.layers", "Dense", {}, "mine>Dense")) == {"MS-KER-007"}
    assert ids(item("os", "x", {}, "mine>Dense")) == {"MS-KER-007", "MS-KER-002"}
    assert ids(item("keras.layers", "Dense", {}, "Dense")) == set()
    assert ids(function("keras.activations", "relu", "get_file")) >= {"MS-KER-007"}


@pytest.mark.parametrize(
    "value",
    [
        {"class_name": {"a": 1}},
        item("keras.layers", "Dense") | {"module": 7},
        item("keras.layers", "Dense") | {"registered_name": []},
        function("builtins", "relu") | {"config": {}},
        function("builtins", "relu") | {"module": []},
        {"class_name": "Lambda", "config": {"function": "relu"}, "registered_name": []},
    ],
)
def test_names_that_are_no_texts_are_unknown(value: Json) -> None:
    """Keras never writes them."""
    assert ids(value) == {"MS-KER-010"}


def test_findings_say_where() -> None:
    """The message names the origin and the place in the tree."""
    found = next(
        check_config({"a": [{"b": BYTECODE}]}, Budget(Limits()), POLICY, origin="model_config")
    )
    assert isinstance(found, Finding)
    assert found.message == "model_config: a[0].b holds Python bytecode"


def test_deep_trees_are_walked_without_recursion() -> None:
    """Depth costs no stack."""
    value: object = BYTECODE
    for _ in range(20_000):
        value = [value]
    assert ids(value) == {"MS-KER-001"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["class_name", "module", "config", "registered_name", "vocabulary", "x"]
            )
            | st.text(max_size=3),
            inner | st.sampled_from(["Lambda", "function", "__lambda__", "Dense", "TFOpLambda"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(json_values)
@example({"class_name": "Lambda", "registered_name": []})
def test_any_json_gives_findings_not_errors(value: object) -> None:
    """Trees of any form are judged without an exception."""
    check(value)


@given(json_values, st.sampled_from(["layers", "config", "x"]))
def test_nesting_never_improves(value: object, key: str) -> None:
    """What is found at the root is found in any wrapper."""
    assert ids(value) <= ids({key: [value]})


# Archives


def archive(members: dict[str, bytes]) -> bytes:
    """Write a zip of stored members."""
    body, directory = b"", b""
    for name, data in members.items():
        fields = struct.pack(
            "<HHHHHIIIHH", 20, 0, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0
        )
        directory += b"PK\1\2\x14\0" + fields + struct.pack("<HHHII", 0, 0, 0, 0, len(body))
        directory += name.encode()
        body += b"PK\3\4" + fields + name.encode() + data
    end = struct.pack("<HHHHIIH", 0, 0, len(members), len(members), len(directory), len(body), 0)
    return body + directory + b"PK\5\6" + end


def keras_file(config: object, **more: bytes) -> ScanReport:
    text = config if isinstance(config, bytes) else json.dumps(config).encode()
    members = {
        "metadata.json": b'{"keras_version": "3.15.1"}',
        "config.json": text,
        "model.weights.npz": archive({}),
        **more,
    }
    return scan(archive(members), policy=POLICY, name="model.keras")


def test_an_honest_archive_is_permitted() -> None:
    """Configuration, metadata and weights, and nothing else."""
    report = keras_file(MODEL)
    assert report.format == "keras"
    assert (report.verdict, report.coverage) == (Verdict.ALLOW_LISTED, Coverage.COMPLETE)


def test_the_configuration_of_an_archive_is_checked() -> None:
    """With the member's name in the finding."""
    report = keras_file({**MODEL, "compile_config": {"loss": BYTECODE}})
    assert report.verdict is Verdict.DANGEROUS
    assert next(f for f in report.findings if f.id == "MS-KER-001").member == "config.json"


def test_an_archive_without_metadata_is_read_as_keras() -> None:
    """Keras asks for the configuration only."""
    config = json.dumps({**MODEL, "compile_config": {"loss": BYTECODE}}).encode()
    report = scan(archive({"config.json": config, "model.weights.npz": archive({})}))
    assert report.format == "keras"
    assert report.verdict is Verdict.DANGEROUS


def test_broken_and_doubtful_configurations() -> None:
    """No JSON is incomplete; a repeated key is unknown."""
    assert keras_file(b'{"class_name"').coverage is Coverage.INCOMPLETE
    report = keras_file(b'{"a": 1, "a": 2}')
    assert "MS-KER-011" in {finding.id for finding in report.findings}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("extra.txt", "MS-KER-012"),
        ("assets/../../x.txt", "MS-KER-013"),
        ("/x.txt", "MS-KER-013"),
        ("assets\\..\\x.txt", "MS-KER-013"),
    ],
)
def test_members_are_judged_by_name(name: str, expected: str) -> None:
    """Names that leave the folder are dangerous (CVE-2025-12060), others beside the known odd."""
    found = {finding.id for finding in keras_file(MODEL, **{name: b"some text"}).findings}
    assert expected in found


def test_assets_are_scanned_by_content() -> None:
    """A text in assets is nothing; what is not understood there is incomplete."""
    assert keras_file(MODEL, **{"assets/words.txt": b"a\nb\n"}).coverage is Coverage.COMPLETE
    assert keras_file(MODEL, **{"assets/x": b"\0\1\2\3 \xff"}).coverage is Coverage.INCOMPLETE


def test_weights_in_hdf5_are_scanned() -> None:
    """The weights are a part of their own."""
    report = keras_file(MODEL, **{"model.weights.h5": b"\x89HDF\r\n\x1a\n"})
    assert report.coverage is Coverage.INCOMPLETE
