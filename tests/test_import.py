"""Importing modelsec costs next to nothing, and every public name is there."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import modelsec

HEAVY = ("scipy", "numpy", "redis", "pydantic", "rich", "asyncio", "fakeredis", "hypothesis")


def python(code: str) -> str:
    """Run code in a fresh interpreter."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_importing_imports_nothing_heavy() -> None:
    """``import modelsec`` imports none of the dependencies, optional or not."""
    found = python(f"import sys, modelsec; print([m for m in {HEAVY} if m in sys.modules])")
    assert found == "[]"


def test_the_detector_needs_no_optional_dependency() -> None:
    """A detector on a memory store needs neither scipy, redis, pydantic nor rich."""
    code = (
        "import sys, modelsec as m\n"
        "m.SyncModelTheftDetector(m.MemoryStore()).analyze_request('alice', {'prompt': 'Hi'})\n"
        "print([n for n in ('scipy', 'redis', 'pydantic', 'rich') if n in sys.modules])"
    )
    assert python(code) == "[]"


def test_importing_is_silent() -> None:
    """Importing prints nothing."""
    assert python("import modelsec") == ""


@pytest.mark.parametrize("name", sorted(modelsec._HOMES))
def test_every_public_name_resolves(name: str) -> None:
    """Each public name is there, is listed by dir(), and is a documented class."""
    value = getattr(modelsec, name)
    assert name in dir(modelsec)
    assert value.__name__ == name
    assert value.__doc__


def test_public_names_are_sorted_and_unique() -> None:
    """__all__ is sorted, without duplicates, and holds what needs no extra."""
    assert modelsec.__all__ == sorted(set(modelsec.__all__))
    extras = {"AsyncRedisStore", "RedisStore"}
    assert set(modelsec._HOMES) == {*modelsec.__all__, *extras}


@pytest.mark.parametrize("name", ["no_such_name", "Detector", "_private", "numpy"])
def test_unknown_names(name: str) -> None:
    """An unknown attribute is an AttributeError, as of any module."""
    with pytest.raises(AttributeError, match=f"module 'modelsec' has no attribute '{name}'"):
        getattr(modelsec, name)
    assert not hasattr(modelsec, name)


def test_the_version() -> None:
    """The version is that of the installed distribution."""
    assert modelsec.__version__ == version("modelsec")


def test_errors_are_one_family() -> None:
    """Every error that modelsec raises on purpose is a ModelSecError."""
    errors = [n for n in modelsec.__all__ if n.endswith("Error")]
    assert len(errors) >= 5
    for name in errors:
        assert issubclass(getattr(modelsec, name), modelsec.ModelSecError)


def test_without_an_extra_only_its_own_names_are_missing() -> None:
    """A bare installation can import everything else, and is told what to install."""
    code = (
        "import sys; sys.modules['redis'] = None\n"
        "from modelsec import *\n"
        "print(SyncModelTheftDetector(MemoryStore()).analyze_request('a', {}).action)\n"
        "try:\n"
        "    from modelsec import RedisStore\n"
        "except ConfigurationError as error:\n"
        "    print(error)"
    )
    allowed, message = python(code).splitlines()
    assert allowed == "allow"
    assert message.endswith("pip install 'modelsec[redis]'")
