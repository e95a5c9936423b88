"""Fixtures of the conformance suite."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.signing.conformance.workbench import CURVES, Bench, KeyPair, new_pair

SCHEMAS = ("bundle", "envelope", "statement", "predicate")


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KeyPair]:
    """One key pair of every curve."""
    folder = tmp_path_factory.mktemp("keys")
    return {curve: new_pair(folder, curve) for curve in CURVES}


@pytest.fixture(scope="session")
def other_pair(tmp_path_factory: pytest.TempPathFactory) -> KeyPair:
    """A key that signed nothing."""
    return new_pair(tmp_path_factory.mktemp("other"))


@pytest.fixture
def empty(tmp_path: Path, pairs: dict[str, KeyPair]) -> Bench:
    """A model without files."""
    bench = Bench(tmp_path, pairs["p256"])
    bench.model.mkdir()
    return bench


@pytest.fixture
def bench(empty: Bench) -> Bench:
    """A model of two files and a folder."""
    empty.put("config.json")
    empty.put("weights.bin", bytes(range(256)))
    empty.put("sub/adapter.bin")
    return empty


@pytest.fixture(scope="session")
def schemas(shared_data: Path) -> dict[str, Draft202012Validator]:
    """The four schemas of the specification."""
    folder = shared_data / "oms" / "spec" / "schemas"
    found: dict[str, Any] = {
        name: json.loads((folder / f"{name}.schema.json").read_bytes()) for name in SCHEMAS
    }
    registry: Registry[Any] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in found.values()
    )
    return {name: Draft202012Validator(schema, registry=registry) for name, schema in found.items()}
