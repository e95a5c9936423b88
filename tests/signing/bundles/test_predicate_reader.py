import json
from typing import Any

import pytest

from modelsec.errors import BundleFormatError, UnsupportedBundleError
from modelsec.signing.bundles.statement import parse_statement
from modelsec.signing.profile import OMS, STRICT, Profile
from tests.support.statements import (
    BY_THE_TEXT,
    FILES,
    SHARDS,
    Edit,
    built,
    read,
    resource,
    resources,
    serialization,
    signed_again,
)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: d.update(extra=1), "unknown member"),
        (lambda d: d["predicate"].update(extra=1), "unknown member"),
        (serialization(extra=1), "unknown member"),
        (lambda d: d.update(predicate=[]), "must be a JSON object"),
        (lambda d: d["predicate"].pop("serialization"), "lacks serialization"),
        (lambda d: d["subject"].append({"name": "x", "digest": {"sha256": "00" * 32}}), "subjects"),
        (lambda d: d["subject"].clear(), "subjects"),
        (lambda d: d.update(subject={}), "list of JSON objects"),
        (lambda d: d["subject"][0].update(name=""), "name is empty"),
        (lambda d: d["subject"][0].update(name=None), "must be text"),
        (serialization(allow_symlinks="false"), "true or false"),
        (serialization(allow_symlinks=0), "true or false"),
        (serialization(shard_size=10), "its method is files"),
        (serialization(method="shards"), "shard_size"),
        (serialization(hash_type=None), "must be text"),
        (serialization(ignore_paths="cache"), "list of texts"),
        (serialization(ignore_paths=[1]), "list of texts"),
        (serialization(ignore_paths=None), "list of texts"),
        (lambda d: d["predicate"].update(resources=[]), "no resource"),
        (lambda d: d["predicate"].update(resources=[[]]), "list of JSON objects"),
        (resource(name=None), "must be text"),
        (resource(digest=None), "must be text"),
        (resource(digest="ab"), "64 lowercase hex"),
        (resource(digest="AB" * 32), "64 lowercase hex"),
        (resource(digest="\u0661" * 64), "64 lowercase hex"),
        (resource(digest="ab" * 64), "64 lowercase hex"),
        (resource(digest="ab" * 31 + "a\n"), "64 lowercase hex"),
        (resource(algorithm="blake3"), "hash_type is sha256"),
        (resource(algorithm="sha256-sharded-10"), "hash_type is sha256"),
        (resource(algorithm="md5"), "hash_type is sha256"),
        (resource(algorithm=None), "must be text"),
        (resources("a", "a"), "twice"),
        (resources("a", "a/b"), "as a folder"),
        (resources("a/b", "a-b", "a"), "as a folder"),
        (resources("A", "a"), "one name on some systems"),
        *[
            (resources(name), "lists the name")
            for name in ("", ".", "..", "/a", "a/", "a//b", "./a", "a/../b", "a/.", "a\0b", "a\nb")
        ],
        *[
            (serialization(ignore_paths=[path]), "leaves out")
            for path in ("", ".", "..", "/", "/a", "a/../..", "*", "a?", "[a]", "./a", "a\nb", "a/")
        ],
    ],
    ids=range(58),
)
def test_bad_statements(edit: Edit, reason: str) -> None:
    """Signed or not, what breaks the rules is refused before a file is touched."""
    with pytest.raises(BundleFormatError, match=reason):
        read(edit)


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda d: d.update(_type="https://in-toto.io/Statement/v0.1"), "Statement/v1"),
        (lambda d: d.update(predicateType="https://slsa.dev/provenance/v1"), "something else"),
        (lambda d: d.update(predicateType="https://model_signing/signature/v1.1"), "v1.0"),
        (lambda d: d.update(predicateType="https://model_signing/Digests/v0.1"), "legacy=True"),
        (serialization(method="merkle"), "files and shards"),
        (serialization(hash_type="md5"), "knows sha256"),
        (serialization(allow_symlinks=True), "profile 'strict'"),
    ],
    ids=range(7),
)
def test_what_is_not_supported(edit: Edit, reason: str) -> None:
    """What may be valid elsewhere is refused with a way out."""
    with pytest.raises(UnsupportedBundleError, match=reason):
        read(edit)


def test_links_where_the_profile_permits_them() -> None:
    """The profile of OMS reads what was signed with links followed."""
    assert read(serialization(allow_symlinks=True), profile=OMS).manifest.layout.allow_symlinks


def test_members_of_others_are_ignored() -> None:
    """Resources and the subject may carry more, as the schemas of OMS permit."""
    assert read(resource(uri="https://x", annotations={})).manifest.names == FILES.names
    more: Edit = lambda d: d["subject"][0].update(uri="x", annotations={"other": 1})  # noqa: E731
    assert read(more).release is None


def shards(*labels: str) -> Edit:
    """List these shards; the names of empty files go."""

    def edit(document: dict[str, Any]) -> None:
        resources(*labels)(document)
        document["subject"][0].pop("annotations", None)

    return edit


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["w:0:10", "w:10:20"], ("w",)),
        (["w:10:11", "w:0:10"], ("w",)),
        (["w:0:3"], ("w",)),
        (["a:b:0:1", "a:0:10"], ("a", "a:b")),
        (["0:0:0:1"], ("0:0",)),
        (["w:0:10", "w:10:20", "v:0:1"], ("v", "w")),
    ],
    ids=range(6),
)
def test_shards(labels: list[str], names: tuple[str, ...]) -> None:
    """Ranges in any order make whole files; only the last two numbers of a label count."""
    manifest = read(shards(*labels), SHARDS).manifest
    assert manifest.names == names
    assert [each.label for each in manifest.resources] == labels


@pytest.mark.parametrize(
    "labels",
    [
        ["w"],
        ["w:0"],
        [":0:1"],
        ["w:0:"],
        ["w:a:b"],
        ["w:0:0"],
        ["w:5:3"],
        ["w:00:1"],
        ["w:0:01"],
        ["w:+0:1"],
        ["w: 0:1"],
        ["w:0:1 "],
        ["w:0:1\n"],
        ["w:-1:1"],
        ["w:0:1_0"],
        ["w:\u0660:\u0661"],
        ["w:0:11"],
        ["w:1:2"],
        ["w:10:20"],
        ["w:0:5", "w:5:10"],
        ["w:0:5", "w:10:20"],
        ["w:0:10", "w:20:30"],
        ["w:0:10", "w:9:19"],
        ["w:0:10", "w:0:10"],
        ["w:0:10", "w:0:5"],
        ["w:0:9223372036854775808"],
        ["w:0:99999999999999999999"],
        ["w:0:1", "w/x:0:1"],
        ["../w:0:1"],
    ],
    ids=range(29),
)
def test_bad_shards(labels: list[str]) -> None:
    """Gaps, overlaps, doubles, empty ranges and other spellings of numbers are refused."""
    with pytest.raises(BundleFormatError):
        read(shards(*labels), SHARDS, profile=OMS)


@pytest.mark.parametrize("size", [0, -1, True, "10", None, 1.5, 2**63, 1e300, [10]], ids=range(9))
def test_bad_shard_sizes(size: object) -> None:
    """A shard size is a positive whole number that a file can have."""
    with pytest.raises(BundleFormatError, match="shard_size must be"):
        read(serialization(shard_size=size), SHARDS)


@pytest.mark.parametrize(
    "edit",
    [
        serialization(shard_size=10.0),
        resource(algorithm="sha256-sharded-10"),
        lambda d: d["predicate"]["resources"].reverse(),
        lambda d: (
            d["predicate"]["serialization"].update(hash_type="blake2"),
            [
                each.update(algorithm="blake2b-sharded-10", digest="ab" * 64)
                for each in d["predicate"]["resources"]
            ],
        ),
    ],
    ids=["float", "algorithm", "order", "blake2"],
)
def test_known_deviations(edit: Edit) -> None:
    """What the reference writes against the text is read, and can be refused by a profile."""

    def without_annotation(document: dict[str, Any]) -> None:
        document["subject"][0].pop("annotations")
        edit(document)

    manifest = read(without_annotation, SHARDS).manifest
    assert (type(manifest.layout.shard_size), manifest.layout.shard_size) == (int, 10)
    with pytest.raises((BundleFormatError, UnsupportedBundleError)):
        read(without_annotation, SHARDS, profile=BY_THE_TEXT)


@pytest.mark.parametrize(
    "algorithm", ["sha256-sharded-11", "sha256-sharded-10.0", "sha256-sharded-", "blake2b"]
)
def test_deviations_that_nobody_makes(algorithm: str) -> None:
    """The tolerance is exact: another size in the algorithm's name is a contradiction."""
    with pytest.raises(BundleFormatError, match="hash_type is sha256"):
        read(resource(algorithm=algorithm), SHARDS)


def test_the_root_digest_is_checked_in_the_listed_order() -> None:
    """The reference sorts by components, which gives another root for the same tree."""
    document = built()
    document["predicate"]["resources"].reverse()
    with pytest.raises(BundleFormatError, match="root digest"):
        parse_statement(json.dumps(document).encode(), profile=OMS)
    assert parse_statement(signed_again(document), profile=OMS).manifest.names == FILES.names


def test_a_single_file_named_as_the_root() -> None:
    """The reference names it ".": it gets its own name, or keeps the dot if that is not known."""
    dot = resources(".")
    assert read(dot, single_file_name="w.bin").manifest.names == ("w.bin",)
    assert read(dot, single_file_name="w.bin").manifest.single_file
    assert read(dot, single_file=True).manifest.names == (".",)
    for profile, options in [(STRICT, {}), (BY_THE_TEXT, {"single_file_name": "w.bin"})]:
        with pytest.raises(BundleFormatError, match="lists the name"):
            read(dot, profile=profile, **options)
    with pytest.raises(BundleFormatError, match="lists the name"):
        read(resources(".", "a"), single_file_name="w.bin")


def test_a_single_file_in_shards_named_as_the_root() -> None:
    """The same for shards, whose label then starts with the dot."""
    manifest = read(shards(".:0:10", ".:10:11"), SHARDS, single_file_name="w").manifest
    assert [each.label for each in manifest.resources] == ["w:0:10", "w:10:11"]


def test_a_single_file_by_its_name() -> None:
    """The text wants the base name; it is kept, whatever the file is called now."""
    assert read(resources("old.bin"), single_file_name="new.bin").manifest.names == ("old.bin",)


@pytest.mark.parametrize("profile", [STRICT, OMS], ids=["strict", "oms"])
def test_portable_names(profile: Profile) -> None:
    """Names that only some systems have are for the profile to judge."""
    for name in ("con", "a ", "a\\b", "a\nb", "a\u202eb"):
        if profile.portable_names:
            with pytest.raises(BundleFormatError, match="lists the name"):
                read(resources(name), profile=profile)
        else:
            assert read(resources(name), profile=profile).manifest.names == (name,)
