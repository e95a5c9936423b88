"""YAML configurations: names to call are found however they are written."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec.scanning import Coverage, Policy, ScanReport, Verdict, scan

POLICY = Policy.load("core", "numpy", "torch", "yaml")

HONEST = """\
# A speech model
name: &name "QuartzNet"
model:
  preprocessor:
    _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor
    sample_rate: 16000
    "note": 'it''s *fine*'
  encoder: {_target_: nemo.collections.asr.modules.ConvASREncoder, feat_in: 64, act: [relu, "a:b"]}
  optim:
    _target_: torch.optim.AdamW
    lr: 1.0e-3
    betas: [0.9, 0.98]
    sched: {_target_: torch.optim.lr_scheduler.CosineAnnealingLR}
  text: |
    _target_: not a key, this is text

    more of it
  folded: >-
    words
    more words
trainer:
  _target_: pytorch_lightning.Trainer
  name: *name
  time: !!float 3
"""
CARD = """\
---
license: apache-2.0
tags:
- speech
---
# Title: a model

![logo](logo.png)

Configure it with `_target_: torch.nn.Linear`:

```yaml
model:
  _target_: my.own.Model
```

* **Note**: "escaped \\d+" text - and { braces: everywhere
"""


def look(text: str, **options: str) -> ScanReport:
    return scan(text.encode(), policy=POLICY, **options)


def ids(report: ScanReport) -> set[str]:
    return {finding.id for finding in report.findings}


def test_an_honest_configuration_is_allow_listed() -> None:
    """Framework classes are permitted by name or form."""
    report = look(HONEST)
    assert report.safe, report.findings
    assert (report.format, report.verdict) == ("yaml", Verdict.ALLOW_LISTED)


@pytest.mark.parametrize(
    "text",
    [
        "_target_: os.system\n",
        "a:\n  - b:\n      _target_: os.system\n",
        "a: {b: {_target_: os.system}}\n",
        '{"_target_":"os.system"}\n# comment',
        "'_target_' : os.system",
        '"\\x5ftarget\\u005f": os.system\n',
        "? _target_\n: os.system\n",
        "? |-\n  _target_\n: os.system\n",
        "k: &k _target_\n*k : os.system\n",
        "v: &v os.system\n_target_: *v\n",
        "base: &b {_target_: os.system}\nx:\n  <<: *b\n",
        "!!str _target_: !!str os.system\n",
        "&a _target_: &b os.system\n",
        "_target_:\n  os.system\n",
        "_target_:\n\n  # comment\n  'os.system'\n",
        "_target_: >-\n\n    os.system\n",
        "a: 'two\n  lines'\n_target_: os.system\n",
        "a: b\x85_target_: os.system\n",
        "a: b\r_target_: os.system\n",
        "prose\n---\n_target_: os.system\n",
        "a: 1\n...\n---\n_target_: os.system\n",
        "{? _target_ : os.system}",
        "model:\n  target: subprocess.run\n",
        "x:\n  class_path: builtins.eval\n",
        "_component_: importlib.import_module\n",
        "_target_: nemo.collections.asr.os.system\n",
        "_target_: torch.optim.lr_scheduler.subprocess.Popen\n",
        "_target_: hydra.utils.call\n",
    ],
)
def test_a_capability_is_found_however_it_is_written(text: str) -> None:
    """Quotes, escapes, anchors, brackets, complex keys and folds hide nothing."""
    report = look(text)
    assert report.verdict is Verdict.DANGEROUS, report.findings


def test_an_unsafe_tag_that_the_policy_permits_is_allow_listed(tmp_path: Path) -> None:
    """A user's own layer names what a tag may make."""
    layer = tmp_path / "mine.toml"
    layer.write_text(
        'layer = "mine"\n[[allow]]\nmodule = "my"\nnames = ["Thing"]\n'
        'operations = ["call"]\nbecause = "ours"\n'
    )
    text = b"x: !!python/object:my.Thing {}\n"
    assert scan(text, policy=Policy.load("core", layer)).verdict is Verdict.ALLOW_LISTED


@pytest.mark.parametrize(("start", "coverage"), [("a: ", "incomplete"), ("words ", "complete")])
def test_a_large_text_is_tokenised_only_if_it_is_small(start: str, coverage: str) -> None:
    """A corpus is text; a configuration of that size is not read."""
    report = look(start + "target words and words\n" * 800_000)
    assert report.coverage == coverage


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_the_encoding_does_not_matter(encoding: str) -> None:
    """Loaders accept UTF-16 and a byte order mark."""
    report = scan("_target_: os.system\n".encode(encoding), policy=POLICY)
    assert report.verdict is Verdict.DANGEROUS


@pytest.mark.parametrize(
    "text",
    [
        "x: !!python/object/apply:os.system [a]\n",
        "!!python/name:os.system ''\n",
        "x: !<tag:yaml.org,2002:python/object/new:os.system> [a]\n",
        "x: !!python%2Fmodule:os\n",
        "%TAG !p! tag:yaml.org,2002:python/\n---\nx: !p!name:os.system ''\n",
        "prose\n# c\n%TAG ! tag:yaml.org,2002:python/\n---\n!name:os.system ''\n",
        "x: !!javax.script.ScriptEngineManager []\n",
    ],
)
def test_tags_that_make_objects_are_dangerous(text: str) -> None:
    """Tags are resolved before they are compared."""
    report = look(text)
    assert report.verdict is Verdict.DANGEROUS, report.findings
    assert "MS-YML-003" in ids(report)


def test_tags_of_data_are_data() -> None:
    """A tuple is a list; a standard tag only says what is there."""
    assert look("x: !!python/tuple [1, 2]\ny: !!str 3\nz: ! 4\n").safe


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("_target_: my.own.Model\n", "MS-YML-002"),
        ("_target_: ${model.class}\n", "MS-YML-002"),
        ("_target_: a" + ".os" * 5000, "MS-YML-002"),
        ("_target_: nemo.collections.torch.X\n", "MS-YML-002"),
        ("target: ldm.models.diffusion.ddpm.LatentDiffusion\n", "MS-YML-002"),
        ("x: !custom 1\n", "MS-YML-004"),
        ('"\\x61": 1\n', "MS-YML-005"),
        ("loader_module: my.loader\n", "MS-YML-007"),
        ("flavors:\n  f:\n    loader_module: mlflow.sklearn\n    code: code\n", "MS-YML-007"),
    ],
)
def test_what_is_outside_the_policy_is_unknown(text: str, rule: str) -> None:
    """A name of the user's own package is a question, not an answer."""
    report = look(text)
    assert report.verdict is Verdict.UNKNOWN
    assert rule in ids(report)


def test_a_module_that_mlflow_imports_can_be_dangerous() -> None:
    """The module is asked for what it can do."""
    assert look("loader_module: subprocess\n").verdict is Verdict.DANGEROUS


def test_an_honest_mlflow_model_is_allow_listed() -> None:
    """MLflow's own flavours are permitted."""
    text = "flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n    code: null\n"
    assert look(text).verdict is Verdict.ALLOW_LISTED


@pytest.mark.parametrize(
    "text",
    [
        CARD,
        "numpy>=1.24 ; python_version < '3.12'\ntorch!=2.0  # target\n",
        "name: env\nchannels:\n  - conda-forge\ndependencies:\n  - pip:\n    - 'a!=1'\n",
        'The target: a model that works.\n\nIt says "no" \\ and goes on!\n',
        '[PAD]\n[UNK]\n!\n"\n\\\ntarget\n',
        "- ![a](b)\n- ![c](d)\n",
        "*Note*: the target\n",
        "target: label\ndomain: example\n",
    ],
)
def test_cards_requirements_and_vocabularies_are_clean(text: str) -> None:
    """Prose that mentions a key is not a configuration."""
    report = look(text)
    assert report.safe, report.findings


def test_front_matter_of_a_card_is_judged() -> None:
    """The part between the dashes is a document."""
    report = look(CARD.replace("license: apache-2.0", "_target_: os.system"), name="README.md")
    assert report.verdict is Verdict.DANGEROUS


def test_broken_yaml_that_names_things_to_call_is_incomplete() -> None:
    """Where this reader stops another may go on."""
    report = look("a: b: c\n_target_: os.system\n")
    assert report.coverage is Coverage.INCOMPLETE
    assert not report.safe


def test_code_stays_code() -> None:
    """Python that could be read as YAML is still reported as source code."""
    report = look("target: int = 3\n", name="model.py")
    assert "MS-TXT-001" in ids(report)


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_deep_nesting_is_bounded(opening: str) -> None:
    """Brackets and indents in brackets: the reader does not recurse, and stops."""
    report = look("_target_: x\nb: \n" + " " + opening * 3000)
    assert "MS-COV-004" not in ids(report)
    assert not report.safe


def test_many_findings_are_counted() -> None:
    """A hundred unknown names are summed up; a dangerous one is always told."""
    text = "".join(f"- _target_: my.Model{number}\n" for number in range(100))
    report = look(text + "- _target_: os.system\n")
    assert "MS-YML-008" in ids(report)
    assert report.verdict is Verdict.DANGEROUS


@given(st.lists(st.sampled_from([
    "_target_", ": ", "os.system", "\n", "  ", "- ", "? ", "[", "]", "{", "}", ", ", "&a ", "*a",
    '"', "'", "\\x5f", "|\n", ">-\n", "#", "---\n", "!!python/name:os.system ", "%TAG ! x\n", "\t",
])))  # fmt: skip
def test_no_text_makes_the_reader_fail(pieces: list[str]) -> None:
    """Whatever is broken, the result is a report."""
    assert "MS-COV-004" not in ids(look("".join(pieces) + "x"))


@pytest.mark.parametrize(
    "text",
    [
        "backbone:\n- [-1, 1, \"__import__('inert').run()\", [64]]\n",
        "activation: eval('inert')\n",
        "bundle: x\nimports:\n- $import inert\n",
        "run:\n- $inert.run()\n",
        'run: ["$@trainer.run()"]\n',
    ],
)
def test_python_in_values_is_unknown(text: str) -> None:
    """YOLO evaluates layers and activations, MONAI what begins with a dollar sign."""
    report = scan(text.encode(), name="model.yaml")
    assert ids(report) >= {"MS-YML-009"}
    assert "MS-YML-009" not in ids(scan(text.encode(), name="README.md"))


@pytest.mark.parametrize("key", ["type", "class", "func", "'()'"])
def test_ordinary_keys_count_if_they_name_a_capability(key: str) -> None:
    """Registries import dotted names; most of what stands there is harmless."""
    assert look(f"a:\n  {key}: os.system\n").verdict is Verdict.DANGEROUS
    assert look(f"a:\n  {key}: logging.StreamHandler\n").safe


def test_code_of_mlflow_counts_before_and_behind_its_loader() -> None:
    """Keys have no order."""
    for keys in (("code: code", "loader_module: mlflow.sklearn"),) * 2:
        text = "flavors:\n  python_function:\n" + "".join(f"    {key}\n" for key in keys)
        assert "MS-YML-007" in ids(look(text))
    assert "MS-YML-007" not in ids(look("a:\n  code: code\n  target: x\n"))


@pytest.mark.parametrize(
    "start", ["# x\n", "\n", "? a\n", "&a x: 1\n", "%YAML 1.1\n---\n", "a.b-c: 1\n"]
)
def test_a_large_text_that_calls_is_incomplete(start: str) -> None:
    """However it begins; it is not tokenised, and never safe."""
    text = start + "# filled up with words\n" * (800 << 10) + "_target_: os.system\n"
    assert not look(text).safe
