"""A policy checks itself, and answers mistakes with what to do."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelsec import (
    ConfigurationError,
    DetectionPolicy,
    MemoryStore,
    SyncModelTheftDetector,
    Weighted,
)
from modelsec.extraction import DEFAULT_WEIGHTS
from modelsec.extraction.signals import BUILT_IN, Velocity
from tests.extraction.support import Collector, chat, detector

WEIGHTS = st.dictionaries(
    st.sampled_from(sorted(BUILT_IN)), st.floats(0, 1e6) | st.integers(0, 5), min_size=1
).filter(lambda weights: any(weight > 0 for weight in weights.values()))


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (-0.1, "at least 0"),
        (-1, "at least 0"),
        pytest.param(math.nan, "at least 0", id="nan"),
        pytest.param(math.inf, "finite", id="infinite"),
        pytest.param(10**400, "finite", id="too large"),
        pytest.param(10**5_000, "finite", id="beyond digits"),
        ("0.3", "must be a number, not '0.3'"),
        (None, "must be a number, not None"),
        (True, "must be a number, not True"),
        ([0.3], "must be a number"),
    ],
)
def test_impossible_weights(weight: Any, says: str) -> None:
    """A weight is a finite number of at least 0; the message names the signal."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        DetectionPolicy(weights={"logprobs": 0.5, "velocity": weight})
    assert "weight of 'velocity'" in str(caught.value)


@pytest.mark.parametrize("weights", [{"velocity": 0}, {"velocity": 0.0, "logprobs": 0}])
def test_signals_may_be_watched_without_weight(weights: dict[str, float]) -> None:
    """With weights of 0 signals are reported and nobody is degraded: shadow mode."""
    watching = SyncModelTheftDetector(MemoryStore(), policy=DetectionPolicy(weights=weights))
    for number in range(120):
        found = watching.analyze_request("alice", {"logprobs": True}, 1_000.0 + number / 100)
    assert found.scores["velocity"] == 1.0
    assert (found.action, found.extraction_score) == ("allow", 0.0)


def test_something_must_be_judged() -> None:
    """No signal at all is refused, by the detector: it may have scorers of its own."""
    policy = DetectionPolicy(weights={})
    with pytest.raises(ConfigurationError, match="no signal is enabled"):
        SyncModelTheftDetector(MemoryStore(), policy=policy)
    own = [Weighted(Velocity(), 1.0)]
    detector = SyncModelTheftDetector(MemoryStore(), policy=policy, scorers=own)
    assert set(detector.analyze_request("alice", {}).scores) == {"velocity"}


@pytest.mark.parametrize("weights", [None, [("velocity", 1.0)], "velocity", 1.0, {"velocity"}])
def test_weights_are_a_mapping(weights: Any) -> None:
    """Weights map names to numbers."""
    with pytest.raises(ConfigurationError, match="weights must map signals to numbers"):
        DetectionPolicy(weights=weights)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("velocty", "velocity"),
        ("logprob", "logprobs"),
        ("low-diversity", "low_diversity"),
        ("Deterministic", "deterministic"),
        ("short_responses", "short_response"),
    ],
)
def test_a_typing_error_gets_a_suggestion(name: str, meant: str) -> None:
    """An unknown signal is answered with the closest known one."""
    with pytest.raises(ConfigurationError, match=f"unknown signal.*did you mean '{meant}'"):
        DetectionPolicy(weights={name: 1.0})


@pytest.mark.parametrize("name", ["entropy", "", "x" * 10_000, 5, None, (1, 2)])
def test_an_unknown_signal(name: Any) -> None:
    """Where nothing is close, the answer is what there is, and how to bring one's own."""
    with pytest.raises(ConfigurationError, match=r"there is: .*velocity.*scorers=\[Weighted"):
        DetectionPolicy(weights={name: 1.0})


@pytest.mark.parametrize(
    ("degrade", "block"),
    [(0.8, 0.7), (0.5, math.nextafter(0.5, 0)), (-0.1, 0.5), (0.1, 1.1), (math.nan, 0.7)],
)
def test_impossible_thresholds(degrade: float, block: float) -> None:
    """Thresholds lie from 0 to 1, in order."""
    with pytest.raises(ConfigurationError, match=r"degrade_above|block_above"):
        DetectionPolicy(degrade_above=degrade, block_above=block)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_equal_thresholds_leave_no_degrading(threshold: float) -> None:
    """Equal thresholds are possible: then requests are allowed or blocked."""
    policy = DetectionPolicy(degrade_above=threshold, block_above=threshold)
    judge = detector(policy=policy)._judge
    assert {judge.action(step / 10) for step in range(11)} <= {"allow", "block"}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("retention_seconds", 59),
        ("retention_seconds", 10**10),
        ("retention_seconds", 3600.0),
        ("retention_seconds", True),
        ("retention_seconds", "1 day"),
        ("scorer_fallback", -0.1),
        ("scorer_fallback", 1.1),
        ("scorer_fallback", None),
        ("degrade_above", "0.4"),
        ("block_above", False),
    ],
)
def test_other_impossible_values(name: str, value: Any) -> None:
    """Every setting is checked, and named."""
    with pytest.raises(ConfigurationError, match=name):
        DetectionPolicy(**{name: value})


def test_it_is_frozen() -> None:
    """Neither the policy nor its weights can be changed, not even through the original mapping."""
    weights = {"velocity": 1.0}
    policy = DetectionPolicy(weights=weights)
    weights["velocity"] = 5.0
    weights["logprobs"] = 5.0
    assert dict(policy.weights) == {"velocity": 1.0}
    with pytest.raises(dataclasses.FrozenInstanceError):
        policy.block_above = 1.0  # type: ignore[misc]
    with pytest.raises(TypeError):
        policy.weights["velocity"] = 0.0  # type: ignore[index]


def test_replace_checks_again() -> None:
    """dataclasses.replace makes another policy, checked like any."""
    policy = dataclasses.replace(DetectionPolicy(), block_above=0.9)
    assert (policy.block_above, dict(policy.weights)) == (0.9, dict(DEFAULT_WEIGHTS))
    with pytest.raises(ConfigurationError):
        dataclasses.replace(policy, block_above=0.1)


@given(WEIGHTS, st.floats(0, 1), st.floats(0, 1), st.integers(60, 10**8), st.floats(0, 1))
def test_round_trip(
    weights: dict[str, float], one: float, other: float, retention: int, fallback: float
) -> None:
    """to_dict() is JSON that from_mapping() reads back to an equal policy."""
    policy = DetectionPolicy(weights, min(one, other), max(one, other), retention, fallback)
    plain = json.loads(json.dumps(policy.to_dict(), allow_nan=False))
    assert DetectionPolicy.from_mapping(plain) == policy


@pytest.mark.parametrize(
    ("key", "meant"),
    [("weight", "weights"), ("block-above", "block_above"), ("retention", "retention_seconds")],
)
def test_an_unknown_key_gets_a_suggestion(key: str, meant: str) -> None:
    """An unknown key is an error that names the closest known one: no setting is ignored."""
    with pytest.raises(
        ConfigurationError, match=f"unknown policy key '{key}'; did you mean '{meant}'"
    ):
        DetectionPolicy.from_mapping({key: 1})


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_from_toml(tmp_path: Path) -> None:
    """A .toml file sets what it names and leaves the rest at the defaults."""
    path = write(tmp_path / "policy.toml", "block_above = 0.6\n[weights]\nvelocity = 1\n")
    policy = DetectionPolicy.from_file(path)
    assert policy == DetectionPolicy(weights={"velocity": 1}, block_above=0.6)
    assert DetectionPolicy.from_file(str(path)) == policy


def test_from_json(tmp_path: Path) -> None:
    """So does a .json file, and to_dict() writes one; the case of the suffix is ignored."""
    policy = DetectionPolicy(weights={"logprobs": 0.5}, scorer_fallback=0.5)
    path = write(tmp_path / "policy.JSON", json.dumps(policy.to_dict()))
    assert DetectionPolicy.from_file(path) == policy
    assert DetectionPolicy.from_file(write(tmp_path / "empty.json", "{}")) == DetectionPolicy()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("typo.toml", b"blok_above = 0.6", "did you mean 'block_above'"),
        ("signal.toml", b"[weights]\nvelocty = 1.0", "did you mean 'velocity'"),
        ("order.json", b'{"degrade_above": 0.9}', "thresholds are not ordered"),
        ("nan.json", b'{"degrade_above": NaN}', "degrade_above must be"),
        ("huge number.json", b'{"weights": {"velocity": 1e999}}', "finite"),
        ("digits.json", b'{"block_above": ' + b"9" * 5_000 + b"}", "digits"),
        ("digits.toml", b"block_above = " + b"9" * 5_000, "digits"),
        ("list.json", b"[]", "a table of settings is needed"),
        ("null.json", b"null", "a table of settings is needed"),
        ("number.json", b"1", "a table of settings is needed"),
        ("nothing.json", b"", "Expecting value"),
        ("cut.json", b'{"weights": {', "line 1"),
        ("broken.toml", b"weights = ", "invalid value"),
        ("twice.json", b'{"weights": {"velocity": 1, "velocity": 2}}', "'velocity' is given twice"),
        ("twice.toml", b"block_above = 1\nblock_above = 1", "overwrite"),
        ("latin.json", b'{"note": "caf\xe9"}', "utf-8"),
        ("latin.toml", b"# caf\xe9", "utf-8"),
        ("utf-16.json", '{"block_above": 0.8}'.encode("utf-16"), "utf-8"),
        ("binary.toml", bytes(range(256)), "policy file"),
        ("deep.json", b"[" * 200_000, "recursion"),
        ("deep.toml", b"a = " + b"[" * 200_000, "recursion"),
        ("deep-object.json", b'{"weights": ' + b'{"a":' * 100_000, "recursion"),
        ("huge.json", b" " * 1_000_001, "over 1,000,000 bytes"),
        ("policy.yaml", b"block_above: 0.6", r"\.toml or \.json is needed"),
        ("policy", b"{}", r"\.toml or \.json is needed"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value[-6:] else "",
)
def test_files_that_hold_no_policy(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """Whatever is in the file, the error is a ConfigurationError that names file and fault."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match=f"(?i){says}") as caught:
        DetectionPolicy.from_file(path)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize(
    "place",
    [
        lambda folder: folder / "missing.toml",
        lambda folder: folder / "missing" / "policy.json",
        lambda folder: (folder / "folder.json").mkdir() or folder / "folder.json",
        lambda folder: folder / "nul\0.json",
        lambda folder: folder / ("x" * 5_000 + ".json"),
    ],
    ids=["missing", "no folder", "a folder", "nul", "too long"],
)
def test_files_that_cannot_be_read(tmp_path: Path, place: Callable[[Path], Path]) -> None:
    """A file that is missing or cannot be opened is a ConfigurationError."""
    with pytest.raises(ConfigurationError, match="policy file"):
        DetectionPolicy.from_file(place(tmp_path))


def test_a_weight_of_0_reports_only() -> None:
    """A signal of weight 0 is computed and reported without changing the score."""
    watching = detector(weights={"logprobs": 0, "deterministic": 1})
    found = watching.analyze_request("a", chat(logprobs=True), 1.0)
    assert found.scores["logprobs"] == 0.8
    assert found.extraction_score == 0.0


def test_signals_that_are_not_listed_are_not_computed() -> None:
    """Only the signals of the policy appear, and only they are remembered."""
    watching = detector(weights={"deterministic": 1})
    found = watching.analyze_request("a", chat(logprobs=True), 1.0)
    assert set(found.signals) == {"deterministic"}


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"policy": {"velocity": 1.0}}, "policy must be a DetectionPolicy"),
        ({"on_store_error": "ignore"}, "on_store_error must be one of raise, allow, block"),
        ({"on_store_error": None}, "on_store_error must be one of .*, not None"),
        ({"on_store_error": ["block"]}, r"on_store_error must be one of .*, not \['block'\]"),
        ({"secret": "a string is no secret, however long it is"}, "must be bytes"),
        ({"secret": b"short"}, "too short"),
        ({"sink": print}, "a sink needs emit"),
        ({"clock": 1_700_000_000}, "clock must be a function"),
        ({"store": None}, "a store is needed, not NoneType"),
        ({"store": {}}, "a store is needed, not dict"),
        ({"store": "redis://localhost"}, "a store is needed, not str"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_settings_of_a_detector(settings: dict[str, Any], says: str) -> None:
    """A detector refuses at once what could only fail later, and says what it wants."""
    with pytest.raises(ConfigurationError, match=says):
        detector(**settings)


def test_a_shared_store_needs_a_secret() -> None:
    """A store that does not say it is private needs one secret for all processes."""

    class Shared:
        def apply(self, operations: object) -> list[Any]:
            raise NotImplementedError(operations)

    with pytest.raises(ConfigurationError, match="needs one common secret"):
        detector(store=Shared(), secret=None)
    assert detector(store=Shared()).policy == DetectionPolicy()


def test_an_empty_sink_is_a_sink() -> None:
    """A sink that is a container, and empty, still gets the events."""
    sink = Collector()
    detector(sink=sink).analyze_request("a", chat(), 1.0)
    assert len(sink) == 1
