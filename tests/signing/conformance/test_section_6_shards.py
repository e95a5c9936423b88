"""OMS v1.0, section 6.3.2: shards, and ranges that are none."""

from typing import Any

import pytest

from modelsec.cli import main
from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
)
from modelsec.signing import STRICT, PublicKey, TrustedKeys, Verifier
from tests.signing.conformance import spec_signer
from tests.signing.conformance.workbench import Bench

ALGORITHMS = {"sha256": 64, "blake2b": 128, "blake3": 64}


def sign(bench: Bench, *options: str, profile: str = "oms") -> int:
    """Sign with options that the public suite does not know."""
    call = ["sign", str(bench.model), "--key", str(bench.pair.private), "--profile", profile]
    return main([*call, *options])


def entries(bench: Bench) -> list[dict[str, str]]:
    found: list[dict[str, str]] = bench.signed()["predicate"]["resources"]
    return found


@pytest.mark.parametrize("size", [1, 7, 100, 255, 256, 257, 10**12])
def test_shards(bench: Bench, size: int) -> None:
    """6.3.2: consecutive ranges of exactly the size, the last may be shorter, none is empty."""
    for length in (0, 1, size if size < 1000 else 2, 2 * size if size < 1000 else 3):
        bench.put(f"of {length}", b"x" * length)
    assert sign(bench, "--shards", str(size)) == 0
    serialization = bench.serialization()
    assert (serialization["method"], serialization["shard_size"]) == ("shards", size)
    names = spec_signer.names_in(bench.model)
    assert entries(bench) == spec_signer.resources(bench.model, names, "sha256", size)
    assert not [name for name in bench.names() if name.startswith("of 0:")]
    bench.accepted()


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_algorithm_of_a_shard(bench: Bench, algorithm: str) -> None:
    """6.3.2: it is the same identifier as the ``hash_type``."""
    assert sign(bench, "--shards", "100", "--algorithm", algorithm) == 0
    assert {entry["algorithm"] for entry in entries(bench)} == {algorithm}
    bench.checked_by_the_oracle()


def test_default_shard_size(bench: Bench) -> None:
    """6.3.2: the default SHOULD be 1,000,000,000 bytes."""
    assert sign(bench, "--shards") == 0
    assert bench.serialization()["shard_size"] == 1_000_000_000


def test_shards_are_sorted_by_label(bench: Bench) -> None:
    """5.2.1, 6.4: by code points of the whole ``name``, so ``:10:`` stands before ``:5:``."""
    assert sign(bench, "--shards", "5") == 0
    assert bench.names() == sorted(bench.names())
    first = [name for name in bench.names() if name.startswith("weights.bin")][:3]
    assert first == ["weights.bin:0:5", "weights.bin:100:105", "weights.bin:105:110"]


def test_ranges_in_names(empty: Bench) -> None:
    """6.3.2: the range is the last two numbers, because names may hold colons."""
    for name in ("w", "w:0:4", "w:0:4:0:4", ":", "0:4"):
        empty.put(name, name.encode() * 3)
    empty.forge(shard_size=4)
    empty.accepted()
    assert sign(empty, "--shards", "4") == 0
    empty.checked_by_the_oracle()
    empty.put("w:0:4", b"changed")
    assert empty.verify() == 1


def test_empty_files_of_other_signers(bench: Bench) -> None:
    """6.3.2: files without bytes MUST be omitted: the text's profile passes them, strict not."""
    bench.put("sub/__init__.py", b"")
    bench.forge(shard_size=100)
    bench.accepted(strict=False)
    with pytest.raises(DigestMismatchError) as refusal:
        Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=STRICT).verify(
            bench.model, bench.bundle
        )
    assert refusal.value.added == ("sub/__init__.py",)
    bench.put("sub/__init__.py", b"x")
    bench.refused(DigestMismatchError, "__init__")


def test_our_empty_files(bench: Bench) -> None:
    """6.3.2: ours are omitted, too; the annotation has them, for the strict profile."""
    path = bench.put("sub/__init__.py", b"")
    assert sign(bench, "--shards", "100") == 0
    assert not [name for name in bench.names() if "__init__" in name]
    bench.accepted()
    path.unlink()
    with pytest.raises(DigestMismatchError) as refusal:
        Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=STRICT).verify(
            bench.model, bench.bundle
        )
    assert refusal.value.missing == ("sub/__init__.py",)


def label(old: str, new: str) -> Any:
    def edit(statement: dict[str, Any]) -> None:
        listed = statement["predicate"]["resources"]
        (entry,) = [each for each in listed if each["name"] == old]
        entry["name"] = new
        listed.sort(key=lambda each: each["name"])

    return edit


@pytest.mark.parametrize(
    "new",
    [
        "weights.bin",
        "weights.bin:100",
        "weights.bin:100:",
        "weights.bin::200",
        "weights.bin:+100:200",
        "weights.bin:-100:200",
        "weights.bin:0100:0200",
        "weights.bin:1e2:2e2",
        "weights.bin:0x64:0xc8",
        "weights.bin: 100: 200",
        "weights.bin:100:200 ",
        "weights.bin:\u0661\u0660\u0660:200",
        "weights.bin:100:100",
        "weights.bin:200:100",
        "weights.bin:100:199",
        "weights.bin:99:199",
        "weights.bin:101:200",
        "weights.bin:100:201",
        "weights.bin:0:100",
        "weights.bin:100:99999999999999999999",
        ":100:200",
        "weights.bin/100/200",
    ],
    ids=ascii,
)
def test_wrong_ranges(bench: Bench, new: str) -> None:
    """6.3.2: ``path:start:end`` in decimal, ranges of exactly the size, without gap or overlap."""
    bench.forge(label("weights.bin:100:200", new), shard_size=100)
    bench.refused(BundleFormatError)


def test_missing_shard(bench: Bench) -> None:
    """6.3.2: a range that is not there is a gap, at the end it is a missing part of the file."""
    bench.forge(lambda s: s["predicate"]["resources"].pop(3), shard_size=100)
    bench.refused(BundleFormatError, "gap")
    bench.forge(lambda s: s["predicate"]["resources"].pop(), shard_size=100)
    bench.refused(DigestMismatchError, "weights.bin")


@pytest.mark.parametrize("length", [0, 99, 100, 200, 255, 257, 300, 400])
def test_files_of_another_length(bench: Bench, length: int) -> None:
    """6.3.2: a file that is cut off or grows does not verify."""
    bench.forge(shard_size=100)
    content = (bench.model / "weights.bin").read_bytes()
    bench.put("weights.bin", (content * 2)[:length])
    bench.refused(DigestMismatchError, "weights.bin")


@pytest.mark.parametrize("size", [50, 99, 101, 200, 10**9])
def test_another_size_than_recorded(bench: Bench, size: int) -> None:
    """6.3.2: the verifier MUST partition by the recorded size: ranges of another are refused."""
    bench.forge(lambda s: s["predicate"]["serialization"].update(shard_size=size), shard_size=100)
    assert bench.verify() == 1


def test_known_deviations_of_the_reference(bench: Bench) -> None:
    """6.3.2: it writes another algorithm and a float size in shards: both are read."""

    def deviate(statement: dict[str, Any]) -> None:
        statement["predicate"]["serialization"]["shard_size"] = 100.0
        for entry in statement["predicate"]["resources"]:
            entry["algorithm"] = "sha256-sharded-100"

    bench.forge(deviate, shard_size=100)
    assert bench.verify() == 0


@pytest.mark.parametrize("algorithm", ["sha256-sharded-99", "sha256-sharded", "sha256-100"])
def test_unknown_deviations(bench: Bench, algorithm: str) -> None:
    """6.3.2: an algorithm that is neither is refused."""
    bench.forge(
        lambda s: s["predicate"]["resources"][0].update(algorithm=algorithm), shard_size=100
    )
    bench.refused(BundleFormatError, "algorithm")
