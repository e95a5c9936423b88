"""Policies: shipped layers, layers of one's own, and hostile ones."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from modelsec.errors import ConfigurationError
from modelsec.scanning import Policy, scan
from modelsec.scanning import policy as module
from modelsec.scanning.pickle.arguments import CHECKS
from modelsec.scanning.policy import OPERATIONS, parse_layer, shipped_layers
from tests.scanning.support import assembler as asm

LAYERS = shipped_layers()
ENTRY = '[[allow]]\nmodule = "m"\nnames = ["N"]\noperations = ["import"]\nbecause = "why"\n'


@pytest.mark.parametrize("layer", LAYERS)
def test_a_shipped_layer_is_called_like_its_file(layer: str) -> None:
    """It parses, has no escapes (so that it can be looked through unparsed), and permits things."""
    content = (files("modelsec.scanning.policies") / f"{layer}.toml").read_bytes()
    name, table = parse_layer(content, layer)
    assert name == layer
    assert table
    assert b"\\" not in content


@pytest.mark.parametrize("layer", LAYERS)
def test_every_allowance_has_a_reason_and_a_rule_that_exists(layer: str) -> None:
    """``arguments`` names a check, ``because`` says why."""
    content = (files("modelsec.scanning.policies") / f"{layer}.toml").read_text()
    for entry in tomllib.loads(content)["allow"]:
        assert len(entry["because"]) > 5, entry
        graph = set(entry["operations"]) <= {
            "operator",
            "layer",
        }  # readers of graphs have their own
        assert graph or entry.get("arguments", "") in CHECKS, entry
        assert OPERATIONS.issuperset(entry["operations"]), entry
        if "arguments" in entry and not graph:
            assert "call" in entry["operations"], entry


def test_a_layer_is_parsed_when_its_package_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most files ask about nothing, or about one library."""
    parsed: list[str] = []
    real = parse_layer

    def noting(content: bytes, where: str) -> object:
        parsed.append(where)
        return real(content, where)

    monkeypatch.setattr(module, "parse_layer", noting)
    policy = Policy.load()
    assert scan(asm.PROTO2 + asm.NONE + asm.STOP, policy=policy).safe
    assert parsed == []
    assert policy.permits("call", "torch._utils", "_rebuild_tensor_v2")
    assert "torch" in parsed
    assert "pandas" not in parsed


def test_a_package_that_no_layer_mentions_permits_nothing() -> None:
    """Nor does an operation that is not listed."""
    policy = Policy.load()
    assert policy.allowance("mymodels", "Net") is None
    assert policy.permits("build", "collections", "deque") is None
    assert policy.permits("import", "collections", "deque").layer == "core"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff", "not valid TOML"),
        (b"layer = ", "not valid TOML"),
        (b"x = " + b"[" * 100_000, "not valid TOML"),
        (b"", "layer"),
        (b"layer = 7", "layer"),
        (b'layer = ""', "layer"),
        (b'layer = "a"\nallow = 7', "allow"),
        (b'layer = "a"\nallow = [7]', "table"),
        (b'layer = "a"\n[[allow]]\nmodule = "m"', "because"),
        (ENTRY.replace('["N"]', "[]"), "names"),
        (ENTRY.replace('["N"]', "[7]"), "names"),
        (ENTRY.replace('["N"]', '"N"'), "names"),
        (ENTRY.replace('"m"', '""'), "module"),
        (ENTRY.replace('"m"', "7"), "module"),
        (ENTRY.replace('["import"]', '["everything"]'), "operations"),
        (ENTRY.replace('["import"]', "[]"), "operations"),
        (ENTRY.replace('["import"]', "[[]]"), "operations"),
        (ENTRY.replace('"why"', '""'), "because"),
        (ENTRY.replace('"why"', "7"), "because"),
        (ENTRY + "permit = 1\n", "unknown keys"),
        (ENTRY + "arguments = 7\n", "arguments"),
    ],
)
def test_what_is_no_layer_is_refused_at_once(
    content: str | bytes, reason: str, tmp_path: Path
) -> None:
    """With the place and the reason, when it is loaded and not when it is needed."""
    path = tmp_path / "ours.toml"
    data = content if isinstance(content, bytes) else ('layer = "a"\n' + content).encode()
    path.write_bytes(data)
    with pytest.raises(ConfigurationError, match=reason):
        Policy.load("core", path)


def test_layers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    """By name or path."""
    with pytest.raises(ConfigurationError, match="no policy layer"):
        Policy.load("nothing")
    with pytest.raises(ConfigurationError, match="cannot read"):
        Policy.load(tmp_path / "missing.toml")


def test_a_later_layer_adds_operations(tmp_path: Path) -> None:
    """To what an earlier one permits; the digest tells the policies apart."""
    path = tmp_path / "ours.toml"
    text = ENTRY.replace('"m"', '"pathlib"').replace('"N"', '"Path"').replace("import", "build")
    path.write_text('layer = "ours"\n' + text)
    plain, ours = Policy.load("core"), Policy.load("core", path)
    assert not plain.permits("build", "pathlib", "Path")
    assert ours.permits("build", "pathlib", "Path")
    assert ours.permits("import", "pathlib", "Path")
    assert plain.digest != ours.digest
    assert repr(ours) == "Policy('core', 'ours')"


def test_names_in_a_hostile_file_do_not_pile_up_in_the_policy() -> None:
    """The default policy lives as long as the process."""
    policy = Policy.load()
    names = b"".join(asm.name(f"package{number}", "N") + asm.POP for number in range(500))
    scan(asm.PROTO2 + names + asm.NONE + asm.STOP, policy=policy)
    assert len(policy._tables) < 50
