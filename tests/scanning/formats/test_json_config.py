import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import scan
from modelsec.scanning.finding import Coverage, Verdict
from modelsec.scanning.report import ScanReport

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "auto_map": {},
    "trust_remote_code": False,
    "hidden_act": "silu",
    "activation_function": "gelu_new",
    "quantization_config": {"quant_method": "gptq", "modules_to_not_convert": ["lm_head"]},
    "rope_scaling": None,
    "target": "cpu",
    "_name_or_path": "/home/somebody/models/../llama",
    "max_length": float("inf"),
}


def document(value: object, **options: bool) -> ScanReport:
    return scan(json.dumps(value, **options).encode(), name="config.json")  # type: ignore[arg-type]


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_ordinary_configuration_is_data_only() -> None:
    """Keys that could act, and do not, are no finding."""
    report = document(CONFIG)
    assert report.findings == ()
    assert report.safe
    assert report.format == "json"


def test_a_vocabulary_may_hold_any_word() -> None:
    """Words are not deeds, neither as keys nor as values."""
    words = ["os.system", "eval", "__import__", "auto_map", "chat_template", "{{ x.__class__ }}"]
    words += ["_target_", "target", "params", "trust_remote_code", "weight_map", "../../etc/passwd"]
    vocabulary = {word: number for number, word in enumerate(words)}
    merges = [[word, word] for word in words]
    value = {"model": {"type": "BPE", "vocab": vocabulary, "merges": merges}, "added_tokens": words}
    assert document(value).findings == ()


@pytest.mark.parametrize(
    "value",
    [
        {"auto_map": {"AutoModel": "modeling_x.XModel"}},
        {"auto_map": {"AutoTokenizer": ["tokenization_x.X", None]}},
        {"auto_map": "modeling_x.XModel"},
        {"nested": [{"auto_map": {"AutoConfig": "someone/repo--configuration_x.XConfig"}}]},
        {"custom_pipelines": {"my-task": {"impl": "pipeline_x.XPipeline", "pt": ["AutoModel"]}}},
        {"loader_module": "loading_x"},
        {"model_file": "model.py"},
        {"auto_mapping": {"base_model_class": "X", "parent_library": "transformers_modules.x"}},
        {"\\u0061uto_map": {"AutoModel": "modeling_x.XModel"}},
    ],
)
def test_code_that_comes_with_the_model_is_unknown(value: dict[str, object]) -> None:
    """It runs if the user trusts it: it has to be read, and is not called dangerous."""
    report = scan(json.dumps(value).replace("\\\\u", "\\u").encode(), name="config.json")
    assert ids(report) == {"MS-JSN-001"}
    assert report.verdict is Verdict.UNKNOWN


def test_code_of_another_repository_is_told() -> None:
    """It can change without this repository changing."""
    (finding,) = document({"auto_map": {"AutoModel": "someone/x--modeling.X"}}).findings
    assert "another repository" in finding.message


def test_a_parent_library_of_its_own_kind_is_data() -> None:
    """Adapters name the module of their base class."""
    mapping = {"base_model_class": "LlamaModel", "parent_library": "transformers.models.llama"}
    assert document({"auto_mapping": mapping}).safe
    assert document({"auto_mapping": None}).safe


def test_trust_on_behalf_of_the_user_is_unknown() -> None:
    """A configuration cannot answer for whoever loads it."""
    assert ids(document({"a": {"trust_remote_code": True}})) == {"MS-JSN-002"}
    assert ids(document({"trust_remote_code": "true"})) == {"MS-JSN-002"}
    assert document({"trust_remote_code": "false"}).safe


@pytest.mark.parametrize(
    "value",
    [
        {"_target_": "torch.optim.AdamW", "lr": 0.1},
        {"model": {"target": "torch.nn.Linear", "params": {}}},
        {"target": "numpy.random"},
        {"activation_function": "torch.nn.modules.activation.Tanh"},
        [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}],
        [{"path": "/a/b", "type": "file"}],
    ],
)
def test_classes_of_known_families_pass(value: object) -> None:
    """Optimisers, layers, modules; and words that only look alike."""
    assert document(value).findings == ()


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ({"_target_": "os.system"}, "MS-JSN-004"),
        ({"_target_": "builtins.eval"}, "MS-JSN-004"),
        ({"_target_": "subprocess.Popen"}, "MS-JSN-004"),
        ({"model": {"target": "importlib.import_module", "params": {}}}, "MS-JSN-004"),
        ({"activation_fn": "os.system"}, "MS-JSN-004"),
        ([{"path": "", "type": "os.system"}], "MS-JSN-004"),
        ({"_target_": "mylib.models.Net"}, "MS-JSN-003"),
        ({"_target_": "torch.nn.functional.relu"}, "MS-JSN-003"),
        ([{"path": "", "type": "mylib.Pooling"}], "MS-JSN-003"),
    ],
)
def test_paths_that_loaders_call(value: object, rule: str) -> None:
    """A known capability is dangerous, anything else that is not a known class is unknown."""
    report = document(value)
    assert ids(report) == {rule}
    assert report.verdict is (Verdict.DANGEROUS if rule == "MS-JSN-004" else Verdict.UNKNOWN)


HOSTILE = "{{ messages.__class__ }}"


@pytest.mark.parametrize(
    "value",
    [
        HOSTILE,
        [{"name": "default", "template": "{{ messages }}"}, {"name": "x", "template": HOSTILE}],
        {"default": HOSTILE},
        [HOSTILE],
    ],
)
@pytest.mark.parametrize("key", ["chat_template", "chat_templates"])
def test_templates_are_checked(key: str, value: object) -> None:
    """As a string, a list of named ones, a dict."""
    report = document({"tokenizer_class": "X", key: value})
    assert ids(report) == {"MS-JIN-001"}
    assert report.verdict is Verdict.DANGEROUS
    assert report.findings[0].offset is not None


def test_an_honest_template_is_data() -> None:
    """With line breaks and quotes escaped by JSON."""
    template = "{% for m in messages %}{{ '<|' + m['role'] + \"|>\\n\" }}\n{% endfor %}"
    assert document({"chat_template": template, "description": HOSTILE}).findings == ()


@pytest.mark.parametrize(
    "name",
    [
        "../x.safetensors",
        "a/../../x",
        "/etc/passwd",
        "C:\\x",
        "c:x",
        "..\\x",
        "~/x",
        "a\\b",
        "https://example.org/x",
        "x\x00y",
    ],
)
def test_shards_outside_the_folder_are_dangerous(name: str) -> None:
    """The parts of a model lie beside its index."""
    report = document({"metadata": {}, "weight_map": {"a": "ok-00001-of-2.safetensors", "b": name}})
    assert ids(report) == {"MS-JSN-005"}
    assert report.verdict is Verdict.DANGEROUS
    manifest = [{"paths": ["group1-shard1of1.bin", name], "weights": []}]
    assert ids(document({"weightsManifest": manifest})) == {"MS-JSN-005"}


def test_an_index_of_shards_is_data() -> None:
    """Plain names, also in folders below; ``paths`` elsewhere means nothing."""
    shards = {f"layer.{n}": f"model-0000{n % 3}-of-00003.safetensors" for n in range(100)}
    assert document({"weight_map": {**shards, "x": "text_encoder/a..b.safetensors"}}).safe
    assert document({"paths": ["/usr/share", "../x"]}).safe


def test_parts_of_a_pipeline() -> None:
    """Known libraries and the pipelines' own modules pass; others are unknown or worse."""
    honest = {
        "_class_name": "StableDiffusionPipeline",
        "_diffusers_version": "0.30.0",
        "feature_extractor": ["transformers", "CLIPImageProcessor"],
        "safety_checker": [None, None],
        "checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "force_zeros": [1, 2],
    }
    assert document(honest).findings == ()
    assert ids(document({**honest, "unet": ["my_unet", "MyUNet"]})) == {"MS-JSN-001"}
    assert ids(document({**honest, "unet": ["transformers", "pipeline"]})) == {"MS-JSN-001"}
    assert ids(document({**honest, "unet": ["os", "system"]})) == {"MS-JSN-004"}
    assert ids(document({**honest, "_class_name": ["pipeline", "Mine"]})) == {"MS-JSN-001"}


def test_a_notebook_is_code() -> None:
    """Nobody needs it to load a model."""
    report = scan(b'{"nbformat": 4, "nbformat_minor": 5, "cells": []}', name="train.ipynb")
    assert report.format == "notebook"
    assert ids(report) == {"MS-JSN-006"}
    assert report.verdict is Verdict.UNKNOWN


def test_keys_that_occur_twice() -> None:
    """A note for data; dangerous where loaders act."""
    assert scan(b'{"a": 1, "a": 2}').safe
    assert ids(scan(b'{"a": 1, "a": 2}')) == {"MS-JSN-007"}
    twice = scan(b'{"auto_map": {"A": "b.C"}, "auto_map": {}}')
    assert ids(twice) == {"MS-JSN-008"}
    assert twice.verdict is Verdict.DANGEROUS


def test_encodings() -> None:
    """UTF-16 is read by few loaders; a byte order mark is a note."""
    text = json.dumps({"auto_map": {"AutoModel": "x.Y"}})
    assert ids(scan(text.encode("utf-16"))) == {"MS-JSN-001", "MS-JSN-009"}
    assert ids(scan(b"\xef\xbb\xbf" + b'{"a": 1}')) == {"MS-JSN-010"}


def test_lines_of_json() -> None:
    """Several documents in a row are each looked at."""
    lines = b'{"text": "eval(x)"}\n' * 50
    assert scan(lines, name="data.jsonl").findings == ()
    assert ids(scan(lines + b'{"auto_map": {"A": "b.C"}}\n')) == {"MS-JSN-001"}


@pytest.mark.parametrize(
    "text",
    [b'{"a": 1', b'{"a": 1}}', b'[{"a": 1}, {"a"', b'{"a": ' + b"[" * 200, b'{"a": \xff}'],
)
def test_broken_json_is_incomplete(text: bytes) -> None:
    """What is clearly JSON and does not parse is not taken for text."""
    report = scan(text, name="config.json")
    assert report.coverage is Coverage.INCOMPLETE
    assert not report.safe


@pytest.mark.parametrize(
    "text",
    ["[badge](https://example.org)\nSome text.", "{a: 1, b: [2]}", "[1] A. Author.", "{ x }"],
)
def test_text_that_begins_like_json_is_text(text: str) -> None:
    """Prose, YAML, lists of references."""
    assert "json" not in scan(text.encode(), name="notes").format


def test_a_keras_model_in_json_reaches_its_reader() -> None:
    """The configuration of a Keras model is judged as one, also in a manifest."""
    model = {"class_name": "Sequential", "config": {"name": "s", "layers": []}}
    for value in (model, {"modelTopology": {"model_config": model}}):
        assert document(value).coverage is Coverage.COMPLETE


@given(st.integers(0, 200), st.integers(0, 255))
def test_a_changed_byte_never_breaks_the_scan(offset: int, byte: int) -> None:
    """Whatever is changed, the result is a report."""
    data = bytearray(json.dumps(CONFIG).encode())
    data[offset] = byte
    assert "MS-COV-004" not in ids(scan(bytes(data)))


@given(st.integers(1, 300))
def test_no_cut_object_is_safe(size: int) -> None:
    """Truncation is noticed from the first key on."""
    data = json.dumps(CONFIG).encode()
    assert not scan(data[: min(size + 2, len(data) - 1)]).safe
