"""OMS v1.0, section 3.1: bundles against all four schemas, ours and those of the oracle."""

import base64
import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from modelsec.cli import main
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench, KeyPair
from tests.support.pki_files import write_pki

Schemas = dict[str, Draft202012Validator]


def check(schemas: Schemas, document: dict[str, Any]) -> None:
    """Validate every layer of a bundle."""
    envelope = document["dsseEnvelope"]
    statement = json.loads(base64.b64decode(envelope["payload"]))
    layers = {
        "bundle": document,
        "envelope": envelope,
        "statement": statement,
        "predicate": statement["predicate"],
    }
    assert layers.keys() == schemas.keys()
    for name, layer in layers.items():
        schemas[name].validate(layer)


OPTIONS: dict[str, list[str]] = {
    "plain": [],
    "blake2b": ["--algorithm", "blake2b"],
    "blake3": ["--algorithm", "blake3"],
    "shards": ["--shards", "100"],
    "blake3 shards": ["--algorithm", "blake3", "--shards", "100"],
    "ignored": ["--ignore", "config.json", "--profile", "oms"],
    "release": ["--name", "churn", "--model-version", "2", "--serial", "7"],
    "release until": ["--name", "x", "--not-after", "2099-01-01T00:00:00Z"],
    "oms": ["--profile", "oms"],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_ours(schemas: Schemas, bench: Bench, options: list[str]) -> None:
    """3.1: what a producer writes SHOULD validate: it does, with every option."""
    bench.put("empty.bin", b"")
    call = ["sign", str(bench.model), "--key", str(bench.pair.private), *options]
    assert main(call) == 0
    check(schemas, bench.document())
    bench.checked_by_the_oracle()


@pytest.mark.parametrize("curve", ["p256", "p384", "p521"])
def test_ours_with_certificates(schemas: Schemas, bench: Bench, curve: str) -> None:
    """3.1: bundles with a chain validate, too."""
    files = write_pki(bench.folder, curve)
    call = ["sign", str(bench.model), "--key", str(files.key), "--certificate", str(files.leaf)]
    assert main([*call, "--chain", str(files.intermediate)]) == 0
    check(schemas, bench.document())


@pytest.mark.parametrize("shard_size", [None, 100])
@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
def test_the_oracle(
    schemas: Schemas,
    bench: Bench,
    pairs: dict[str, KeyPair],
    algorithm: str,
    shard_size: int | None,
) -> None:
    """3.1: what the oracle writes validates: it is a signer by the text."""
    statement = spec_signer.statement(bench.model, algorithm=algorithm, shard_size=shard_size)
    for pair in pairs.values():
        for material in (spec_signer.by_hint(pair.key), spec_signer.by_bytes(pair.key)):
            check(schemas, spec_signer.sealed(statement, pair.key, material))


def test_single_file(schemas: Schemas, bench: Bench) -> None:
    """3.1: a model of one file validates, too."""
    assert main(["sign", str(bench.model / "weights.bin"), "--key", str(bench.pair.private)]) == 0
    check(schemas, bench.document(bench.model / "weights.bin.sig"))
