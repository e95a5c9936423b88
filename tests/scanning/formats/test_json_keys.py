import base64
import json

import pytest

from modelsec.scanning import Coverage, ScanReport, Verdict, scan

PICKLE = b"\x80\x02cinert_recorder\nrun\nX\x01\0\0\0x\x85R."
TEXT = base64.b64encode(PICKLE).decode()
BYTECODE = {"class_name": "Lambda", "config": {"function": ["4w==", None, None]}}
SYSTEM = {"class_name": "function", "config": "system", "module": "os"}
MODULE = {"path": "", "type": "sentence_transformers.models.Pooling"}


def document(value: object, name: str = "config.json") -> ScanReport:
    return scan(json.dumps(value).encode(), name=name)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


@pytest.mark.parametrize(
    "value",
    [
        {"model": {"target": "os.system"}},
        {"target": "os.system", "params": ["x"]},
        {"class_path": "os.system", "init_args": {}},
        {"_component_": "os.system"},
        {"handlers": {"a": {"()": "os.system"}}},
        {"a": [{"type": "subprocess.Popen"}]},
        {"types": {"query": "os.system"}, "structure": {"query": ["query"]}},
        [*[MODULE] * 1001, {"path": "", "type": "os.system"}],
        {"py/object": "subprocess.Popen"},
        {"py/reduce": [{"py/function": "os.system"}, {"py/tuple": ["x"]}]},
        {"lc": 1, "type": "constructor", "id": ["os", "system"]},
        {"_class_name": "Pipeline", "unet": ["os", "System", {}]},
        {"_class_name": "Pipeline", "unet": [None, None, {"type_hint": ["os", "System"]}]},
        {"model": BYTECODE},
        [BYTECODE],
        SYSTEM,
        {"template_format": "jinja2", "template": "{{ x.__class__ }}"},
        {"initializer": [{"externalData": [{"key": "location", "value": "../x"}]}]},
        {"weight_map": {"a": ".git/x.bin"}},
    ],
)
def test_what_a_library_calls_or_opens_is_dangerous(value: object) -> None:
    """Each of these keys is acted on by a loader, wherever it stands."""
    assert document(value).verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "value",
    [
        {"_target_": "os." + "path.os." * 100 + "system"},
        {"class_path": "inert_package.Thing"},
        {"types": {"query": "inert_package.Thing"}, "structure": {}},
        [{"path": "", "type": "inert_p\u00e4ckage.Thing"}],
        {"py/state": {"py/object": "inert_package.Thing"}},
        {"py/repr": "inert"},
        {"lc": 1, "type": "constructor", "id": ["inert_package", "Thing"]},
        {"custom_imports": {"imports": ["inert_package"]}},
        {"_attn_implementation": "somebody/kernel"},
        {"attn_implementation": {"text_config": "somebody/kernel"}},
        {"imports": ["$import inert_package"]},
        {"initialize": ["$inert_package.run()"]},
        {"initialize": ["$@trainer.run()"]},
        {"cells": [{"cell_type": "code", "source": []}]},
        {"nbformat": 4.0},
        {":serialized:": ["x"]},
        {":serialized:": "a"},
    ],
)
def test_code_that_comes_from_elsewhere_is_unknown(value: object) -> None:
    """Nothing is known of it but that it is run or fetched."""
    assert document(value).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "value",
    [
        {"types": ["a.b"], "structure": "x"},
        {"types": {"a": "sentence_transformers.models.Dense"}, "structure": {}},
        {"type": "object", "function": {"name": "os"}},
        {"class": "logging.Formatter"},
        {"lc": 1, "type": "constructor", "id": ["langchain", "prompts", "PromptTemplate"]},
        {"_attn_implementation": "flash_attention_2"},
        {"tokens": ["$ (", "$(", "$x", "$.ajax(", "$5"]},
        {"vocab": {"py/object": 1, ":serialized:": 2, "()": 3, "structure": 4, "class_name": 5}},
        {"class_name": "cat", "score": 1},
        {"graph": {}, "nodes": []},
        {"pixels": "gAJ" + "A" * 100},
    ],
)
def test_ordinary_words_are_no_finding(value: object) -> None:
    """A key means something only together with what its loader expects."""
    report = document(value)
    assert report.findings == ()
    assert report.safe


def test_base64_is_decoded_as_its_loader_decodes_it() -> None:
    """Characters that are none of base64 are skipped, and do not hide a pickle."""
    noisy = f"{TEXT[:6]}\n!{TEXT[6:]}"
    report = document({"policy": {":serialized:": noisy}}, "data")
    assert any(finding.path == (":serialized:",) for finding in report.findings)
    assert not report.safe


def test_a_key_that_selects_a_class_occurs_once() -> None:
    """One loader builds the first class, another the last."""
    report = scan(b'{"class_name": "A", "class_name": "B", "x": 1}')
    assert "MS-JSN-008" in ids(report)


def test_a_model_of_onnx_in_json_is_incomplete() -> None:
    """The onnx package reads it; this scanner does not."""
    report = document({"irVersion": "8", "graph": {"node": []}})
    assert report.coverage is Coverage.INCOMPLETE


@pytest.mark.parametrize("key", ["prompt_template", "tool_template_x", "Template"])
def test_an_attack_under_any_key_of_templates_is_dangerous(key: str) -> None:
    """Some program renders it; what is merely unknown to chat templates stays data."""
    assert document({"a": [{key: "{{ x.__class__ }}"}]}).verdict is Verdict.DANGEROUS
    assert document({key: "{{ question() }}"}).safe
