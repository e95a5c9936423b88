"""Plug-ins are listed without being imported, and loaded by name."""

import json
from importlib.metadata import EntryPoint, EntryPoints

import pytest

from modelsec import PluginError
from modelsec import plugins as discovery
from modelsec.plugins import SIGNAL_SCORERS, did_you_mean, installed, load

GROUP = "some.group"


def point(name: str, value: str) -> EntryPoint:
    return EntryPoint(name, value, GROUP)


@pytest.fixture
def points(monkeypatch: pytest.MonkeyPatch) -> list[EntryPoint]:
    """Pretend that these are installed."""
    found: list[EntryPoint] = []
    monkeypatch.setattr(
        discovery, "entry_points", lambda group: EntryPoints(p for p in found if p.group == group)
    )
    return found


def test_the_group_has_its_name() -> None:
    """The group is part of the contract with installed packages."""
    assert SIGNAL_SCORERS == "modelsec.signal_scorers"


def test_installed_lists_by_name(points: list[EntryPoint]) -> None:
    """Entry points are listed by name, equal ones once, without being loaded."""
    points += [point("a", "no.such:A"), point("b", "no.such:B"), point("a", "no.such:A")]
    assert {name: len(same) for name, same in installed(GROUP).items()} == {"a": 1, "b": 1}
    assert installed("another.group") == {}


def test_load(points: list[EntryPoint]) -> None:
    """What the entry point names is returned."""
    points.append(point("dumps", "json:dumps"))
    assert load(GROUP, "dumps") is json.dumps


def test_load_what_is_not_there(points: list[EntryPoint]) -> None:
    """A missing plug-in is an error with the closest name, or with what there is."""
    with pytest.raises(PluginError, match=r"no plug-in 'x' in group 'some\.group'; there is none"):
        load(GROUP, "x")
    points += [point("velocity", "json:dumps"), point("other", "json:dumps")]
    with pytest.raises(PluginError, match="did you mean 'velocity'"):
        load(GROUP, "velocitiy")
    with pytest.raises(PluginError, match="there is: other, velocity"):
        load(GROUP, "zzz")


def test_load_what_is_there_twice(points: list[EntryPoint]) -> None:
    """Two of one name are an error that names both sources."""
    points += [point("a", "two:A"), point("a", "one:A")]
    with pytest.raises(PluginError, match="one:A and two:A register it; uninstall one"):
        load(GROUP, "a")


@pytest.mark.parametrize(
    "value", ["no_such_module_at_all", "json:no_such_name", "json:dumps.x.y", "!"]
)
def test_load_what_is_broken(points: list[EntryPoint], value: str) -> None:
    """An entry point that leads nowhere is an error with its cause."""
    points.append(point("broken", value))
    with pytest.raises(PluginError, match=r"'broken'.*cannot be imported") as caught:
        load(GROUP, "broken")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("velocty", ["velocity", "logprobs"], "; did you mean 'velocity'?"),
        ("zzz", ["b", "a"], "; there is: a, b"),
        ("zzz", [], "; there is none"),
        (5, ["a"], "; there is: a"),
        ("", ["a"], "; there is: a"),
    ],
)
def test_did_you_mean(name: object, known: list[str], hint: str) -> None:
    """A hint names the closest known name, else all of them in order."""
    assert did_you_mean(name, known) == hint
