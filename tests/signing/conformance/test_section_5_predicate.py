"""OMS v1.0, section 5: the statement, the manifest and how it was made."""

from dataclasses import replace
from typing import Any

import pytest

from modelsec.errors import (
    BundleFormatError,
    DigestMismatchError,
    UnsupportedBundleError,
)
from modelsec.signing import OMS, PublicKey, TrustedKeys, Verifier
from tests.signing.conformance.workbench import Bench, Edit

SHARDS = 100


def statement(**changes: Any) -> Edit:
    return lambda document: document.update(changes)


def predicate(**changes: Any) -> Edit:
    return lambda document: document["predicate"].update(changes)


def serialization(**changes: Any) -> Edit:
    return lambda document: document["predicate"]["serialization"].update(changes)


def resource(**changes: Any) -> Edit:
    return lambda document: document["predicate"]["resources"][0].update(changes)


def without(*path: Any) -> Edit:
    """Remove a member of the statement."""

    def edit(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return edit


@pytest.mark.parametrize("member", ["_type", "subject", "predicateType", "predicate"])
def test_missing_statement_member(bench: Bench, member: str) -> None:
    """5: the payload MUST be an in-toto Statement v1, with its four members."""
    bench.forge(without(member))
    bench.refused(BundleFormatError, member)


@pytest.mark.parametrize(
    "edit",
    [statement(more=1), predicate(more=1), serialization(more=1)],
    ids=["statement", "predicate", "serialization"],
)
def test_extra_member(bench: Bench, edit: Edit) -> None:
    """5: the schemas forbid other members in statement, predicate and serialization."""
    bench.forge(edit)
    bench.refused(BundleFormatError, "more")


@pytest.mark.parametrize("value", [None, 1, "x", [], {}], ids=str)
@pytest.mark.parametrize("member", ["_type", "predicateType", "predicate", "subject"])
def test_wrong_type_of_statement_member(bench: Bench, member: str, value: Any) -> None:
    """5: a member of another type is refused."""
    bench.forge(statement(**{member: value}))
    text = isinstance(value, str) and member in {"_type", "predicateType"}
    bench.refused(UnsupportedBundleError if text else BundleFormatError)


@pytest.mark.parametrize(
    "value",
    [
        "https://in-toto.io/Statement/v0.1",
        "https://in-toto.io/statement/v1",
        "https://in-toto.io/Statement/v1/",
        " https://in-toto.io/Statement/v1",
        "",
    ],
)
def test_wrong_statement_type(bench: Bench, value: str) -> None:
    """5, 8.3: ``_type`` MUST be that of Statement v1, to the character."""
    bench.forge(statement(_type=value))
    bench.refused(UnsupportedBundleError, "type")


def test_produced_types(bench: Bench) -> None:
    """5, 5.1: implementations MUST set exactly these URIs."""
    assert bench.sign() == 0
    signed = bench.signed()
    assert signed["_type"] == "https://in-toto.io/Statement/v1"
    assert signed["predicateType"] == "https://model_signing/signature/v1.0"
    assert signed["predicate"].keys() == {"resources", "serialization"}


@pytest.mark.parametrize(
    "value",
    [
        "https://model_signing/signature/v1.1",
        "https://model_signing/signature/v1.0/",
        "https://model_signing/Signature/v1.0",
        "http://model_signing/signature/v1.0",
        "https://example.com/wrong-predicate/v1.0",
        "https://model_signing/Digests/v0.1",
        "",
    ],
)
def test_wrong_predicate_type(bench: Bench, value: str) -> None:
    """5.1: ``predicateType`` is exactly one URI; that of 0.2.0 is read only on request."""
    bench.forge(statement(predicateType=value))
    bench.refused(UnsupportedBundleError, "predicate|0.2.0")


@pytest.mark.parametrize("member", ["resources", "serialization"])
@pytest.mark.parametrize("value", [..., None, 1, "x"], ids=str)
def test_required_predicate_members(bench: Bench, member: str, value: Any) -> None:
    """5.2: the predicate has two required members."""
    bench.forge(without("predicate", member) if value is ... else predicate(**{member: value}))
    bench.refused(BundleFormatError)


@pytest.mark.parametrize("member", ["name", "digest", "algorithm"])
@pytest.mark.parametrize("value", [..., None, 1, "", []], ids=str)
def test_required_resource_members(bench: Bench, member: str, value: Any) -> None:
    """5.2.1: every entry MUST contain name, digest and algorithm, as texts."""
    edit = (
        without("predicate", "resources", 0, member)
        if value is ...
        else resource(**{member: value})
    )
    bench.forge(edit)
    bench.refused(BundleFormatError)


@pytest.mark.parametrize("entry", [None, 1, "x", []], ids=str)
def test_resources_are_objects(bench: Bench, entry: Any) -> None:
    """5.2.1: ``resources`` is an array of resource descriptors."""
    bench.forge(lambda document: document["predicate"]["resources"].append(entry))
    bench.refused(BundleFormatError)


@pytest.mark.parametrize("ignored", [[], ["config.json", "weights.bin", "sub"]], ids=["", "all"])
def test_at_least_one_resource(bench: Bench, ignored: list[str]) -> None:
    """5.2.1: ``resources`` MUST contain at least one entry, whatever is ignored."""
    bench.forge(predicate(resources=[]), ignored=ignored)
    bench.refused(BundleFormatError, "no resource")


def test_produced_order(empty: Bench) -> None:
    """5.2.1, 6.4: resources MUST be sorted by code points of the name, not by path components."""
    names = [
        "unet.bin",
        "unet/w.bin",
        "unet-x",
        "unet x",
        "Z",
        "a",
        "é",
        "\uff5e",
        "\U0001f600",
        "\U0001f600/x".replace("/", "-"),
        "1",
        "10",
        "9",
    ]
    for name in names:
        empty.put(name)
    assert empty.sign() == 0
    # By UTF-16 units, as JavaScript sorts, the last two would stand before the one at U+FF5E.
    assert empty.names() == sorted(names)
    empty.checked_by_the_oracle()


def test_unsorted_resources_are_read(bench: Bench) -> None:
    """5.2.1: others sort by components; that is read as listed, unless known deviations are off."""
    bench.forge(lambda document: document["predicate"]["resources"].reverse())
    assert bench.verify() == 0
    by_the_text = replace(OMS, known_deviations=False)
    verifier = Verifier(TrustedKeys([PublicKey.load(bench.pair.public)]), profile=by_the_text)
    with pytest.raises(BundleFormatError, match="order"):
        verifier.verify(bench.model, bench.bundle)


def test_duplicate_resources(bench: Bench) -> None:
    """5.2.1: one descriptor per file: a name that is listed twice is refused, even if equal."""
    bench.forge(
        lambda document: document["predicate"]["resources"].insert(
            1, dict(document["predicate"]["resources"][0])
        )
    )
    bench.refused(BundleFormatError, "twice")


def test_no_folders_are_listed(bench: Bench) -> None:
    """5.2.1: implementations MUST NOT include directory entries, only regular files."""
    (bench.model / "empty folder").mkdir()
    (bench.model / "deep" / "deeper").mkdir(parents=True)
    assert bench.sign() == 0
    assert bench.names() == ["config.json", "sub/adapter.bin", "weights.bin"]


def test_a_folder_in_the_list(bench: Bench) -> None:
    """5.2.1: a descriptor of a folder fits nothing."""
    (bench.model / "zoo").mkdir()
    entry = {"name": "zoo", "digest": "0" * 64, "algorithm": "sha256"}
    bench.forge(lambda document: document["predicate"]["resources"].append(entry))
    bench.refused(DigestMismatchError, "missing|1 gone")


def test_unknown_resource_members(bench: Bench) -> None:
    """5.2.1: verifiers MUST ignore fields that they do not know, in-toto's own among them."""
    more = {
        "uri": "https://example.com/config.json",
        "content": "AAAA",
        "download_location": "https://example.com",
        "downloadLocation": 7,
        "media_type": "application/json",
        "mediaType": None,
        "annotations": {"x": [1, 2.5, True]},
        "size": 2**53 - 1,
    }
    bench.forge(resource(**more))
    bench.accepted()


@pytest.mark.parametrize("member", ["method", "hash_type", "allow_symlinks"])
def test_required_serialization_members(bench: Bench, member: str) -> None:
    """5.2.2: method, hash_type and allow_symlinks are REQUIRED."""
    bench.forge(without("predicate", "serialization", member))
    bench.refused(BundleFormatError, member)


@pytest.mark.parametrize("value", ["", "file", "Files", "shard", "digest", "manifest"])
def test_unknown_method(bench: Bench, value: str) -> None:
    """5.2.2: ``method`` is ``files`` or ``shards``; another one is named in the refusal."""
    bench.forge(serialization(method=value))
    bench.refused(UnsupportedBundleError, "files and shards")


@pytest.mark.parametrize("value", [None, 1, [], True], ids=str)
@pytest.mark.parametrize("member", ["method", "hash_type"])
def test_wrong_type_of_serialization_text(bench: Bench, member: str, value: Any) -> None:
    """5.2.2: both are strings."""
    bench.forge(serialization(**{member: value}))
    bench.refused(BundleFormatError, member)


@pytest.mark.parametrize("value", [None, 0, 1, "false", "true", []], ids=repr)
def test_wrong_allow_symlinks(bench: Bench, value: Any) -> None:
    """5.2.2: ``allow_symlinks`` is a boolean, and nothing that reads like one."""
    bench.forge(serialization(allow_symlinks=value))
    bench.refused(BundleFormatError, "allow_symlinks")


@pytest.mark.parametrize("value", [0, -1, 100, 10**9])
def test_files_have_no_shard_size(bench: Bench, value: int) -> None:
    """5.2.2: ``shard_size`` MUST be absent when the method is ``files``."""
    bench.forge(serialization(shard_size=value))
    bench.refused(BundleFormatError, "shard_size")


@pytest.mark.parametrize("value", [..., 0, -1, None, "100", True, [], 1.5, 2**63, 1e300], ids=str)
def test_shards_need_a_size(bench: Bench, value: Any) -> None:
    """5.2.2: ``shard_size`` is REQUIRED with ``shards``, a positive integer."""
    edit = (
        without("predicate", "serialization", "shard_size")
        if value is ...
        else serialization(shard_size=value)
    )
    bench.forge(edit, shard_size=SHARDS)
    bench.refused(BundleFormatError, "shard_size", oracle=value != 2**63)


@pytest.mark.parametrize("value", [None, "x", {}, [1], [None], [["x"]]], ids=str)
def test_wrong_ignore_paths(bench: Bench, value: Any) -> None:
    """5.2.2: ``ignore_paths`` is an array of strings."""
    bench.forge(serialization(ignore_paths=value))
    bench.refused(BundleFormatError, "ignore_paths", oracle=isinstance(value, list))


def test_ignore_paths_are_optional(bench: Bench) -> None:
    """5.2.2, 11.1: absence MUST be accepted; so are an empty list and only the defaults."""
    for edit in (without("predicate", "serialization", "ignore_paths"), lambda _: None):
        bench.forge(edit)
        bench.accepted()
    bench.forge(serialization(ignore_paths=[]))
    bench.accepted()


@pytest.mark.parametrize("algorithm", ["sha256", "blake2b", "blake3"])
@pytest.mark.parametrize("shard_size", [None, SHARDS])
def test_the_recorded_hash_is_used(bench: Bench, algorithm: str, shard_size: int | None) -> None:
    """5.2.2: verifiers MUST use ``hash_type`` to choose the algorithm."""
    bench.forge(algorithm=algorithm, shard_size=shard_size)
    bench.accepted()
    bench.put("config.json", b"other")
    bench.refused(DigestMismatchError, "config.json")


@pytest.mark.parametrize("other", ["sha256", "blake2b", "blake3"])
def test_another_hash_than_recorded(bench: Bench, other: str) -> None:
    """5.2.2, 6.3.2: a descriptor whose algorithm is not the ``hash_type`` is refused."""
    algorithm = "blake3" if other == "sha256" else "sha256"
    bench.forge(resource(algorithm=other), algorithm=algorithm)
    bench.refused(BundleFormatError, "hash_type")
    bench.forge(serialization(hash_type=other), algorithm=algorithm)
    bench.refused(BundleFormatError, "hash_type")
