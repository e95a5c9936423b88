"""Signals that an installed package registers are enabled by their name in the policy."""

import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from modelsec import ConfigurationError, DetectionPolicy, PluginError
from modelsec.plugins import SIGNAL_SCORERS, installed
from tests.extraction.support import START, chat, detector

SCORER = """
from dataclasses import dataclass
from modelsec.protocols import Feature, InferenceRequest, Peak, Signal, Window

LONGEST = Peak("longest", lambda request: float(len(request.text)))

@dataclass(frozen=True)
class Longest:
    name: str = "longest_text"
    remembers: tuple[Feature, ...] = (LONGEST,)

    def score(self, window: Window) -> Signal:
        return Signal(min(window[LONGEST] / 100, 1.0), "longest text")

def make_it():
    return Longest()

def make_another():
    return Longest("another_name")

def make_none():
    return None

def make_trouble():
    raise RuntimeError("secret of the plug-in")

A_CONSTANT = 5
"""


class Install(Protocol):
    """Installs a package that registers signals."""

    def __call__(self, distribution: str, points: dict[str, str], code: str = SCORER) -> str: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Make real distributions in a folder on sys.path, and take them away again."""
    modules: list[str] = []

    def make(distribution: str, points: dict[str, str], code: str = SCORER) -> str:
        folder = tmp_path / distribution
        folder.mkdir()
        module = f"modelsec_test_{distribution}"
        modules.append(module)
        (folder / f"{module}.py").write_text(textwrap.dedent(code))
        info = folder / f"{distribution}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
        )
        lines = "".join(f"{name} = {target.format(module)}\n" for name, target in points.items())
        (info / "entry_points.txt").write_text(f"[{SIGNAL_SCORERS}]\n{lines}")
        monkeypatch.syspath_prepend(folder)
        return module

    yield make
    for module in modules:
        sys.modules.pop(module, None)


def test_enabled_by_name(install: Install) -> None:
    """A plug-in that the policy names is loaded, weighed and given its memory."""
    install("longest", {"longest_text": "{}:Longest"})
    watching = detector(weights={"longest_text": 0.5, "velocity": 0.5})
    watching.analyze_request("u", chat("x" * 50), START)
    found = watching.analyze_request("u", chat("short"), START)
    assert found.scores["longest_text"] == 0.5
    assert found.weights["longest_text"] == 0.5
    assert found.incomplete == ()


def test_a_factory_will_do(install: Install) -> None:
    """An entry point may name a function that returns the scorer."""
    install("factory", {"longest_text": "{}:make_it"})
    assert "longest_text" in detector(weights={"longest_text": 1}).policy.weights


def test_listing_imports_nothing(install: Install) -> None:
    """Plug-ins are listed, and policies that name them are made, without importing them."""
    code = "raise RuntimeError('imported')"
    module = install("lazy", {"lazy_signal": "{}:Lazy"}, code)
    assert [point.name for point in installed(SIGNAL_SCORERS)["lazy_signal"]] == ["lazy_signal"]
    assert DetectionPolicy(weights={"lazy_signal": 1.0}).weights == {"lazy_signal": 1.0}
    with pytest.raises(ConfigurationError, match="did you mean 'lazy_signal'"):
        DetectionPolicy(weights={"lazy_signals": 1.0})
    assert module not in sys.modules


def test_not_named_not_loaded(install: Install) -> None:
    """An installed plug-in that no policy names is never imported."""
    module = install("unused", {"unused_signal": "{}:Unused"}, "raise RuntimeError")
    assert "unused_signal" not in detector().analyze_request("u", chat(), START).scores
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("{}:Missing", "cannot be imported: AttributeError"),
        ("{}_missing:Longest", "cannot be imported: ModuleNotFoundError"),
        ("{}:A_CONSTANT", "is no class or function that returns a scorer"),
        ("{}", "is no class or function that returns a scorer"),
        ("{}:make_trouble", "cannot be made: RuntimeError$"),
        ("{}:make_another", "calls itself 'another_name'"),
        ("not a target!", "cannot be imported"),
    ],
)
def test_broken_plug_ins(install: Install, target: str, says: str) -> None:
    """A plug-in that cannot be used is a PluginError that names it and the fault."""
    install("broken", {"longest_text": target})
    with pytest.raises(PluginError, match=f"plug-in 'longest_text'.*{says}"):
        detector(weights={"longest_text": 1.0})


def test_a_plug_in_that_makes_no_scorer(install: Install) -> None:
    """What a plug-in makes must have the shape of a scorer."""
    install("none", {"longest_text": "{}:make_none"})
    with pytest.raises(ConfigurationError, match="scorer NoneType"):
        detector(weights={"longest_text": 1.0})


@pytest.mark.parametrize(
    "code", ["import no_such_module", "1 / 0", "def broken(:", "raise SystemError"]
)
def test_broken_imports(install: Install, code: str) -> None:
    """A plug-in whose import fails is a PluginError with the cause attached."""
    install("failing", {"failing_signal": "{}:Signal"}, code)
    with pytest.raises(PluginError, match=r"'failing_signal'.*cannot be imported") as caught:
        detector(weights={"failing_signal": 1.0})
    assert caught.value.__cause__ is not None


def test_two_packages_one_name(install: Install) -> None:
    """Two packages that register one name are told apart by nobody: an error names both."""
    one = install("one", {"longest_text": "{}:Longest"})
    two = install("two", {"longest_text": "{}:Longest"})
    with pytest.raises(PluginError, match=f"ambiguous: {one}:Longest and {two}:Longest"):
        detector(weights={"longest_text": 1.0})


def test_one_package_twice_on_the_path(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same package found twice on sys.path is one plug-in."""
    install("twice", {"longest_text": "{}:Longest"})
    monkeypatch.syspath_prepend(sys.path[0] + "/.")
    assert len(installed(SIGNAL_SCORERS)["longest_text"]) == 1
    assert detector(weights={"longest_text": 1.0}).policy.weights == {"longest_text": 1.0}


def test_built_in_signals_cannot_be_replaced(install: Install) -> None:
    """A package that registers the name of a built-in signal changes nothing."""
    module = install("shadow", {"velocity": "{}:Longest"}, "raise RuntimeError")
    assert detector().analyze_request("u", chat(), START).scores["velocity"] == 0.01
    assert module not in sys.modules
