import json
from dataclasses import replace
from typing import Any

import pytest

from modelsec.errors import BundleFormatError, UnsupportedBundleError
from modelsec.signing.profile import OMS, STRICT
from modelsec.signing.statement import parse_statement
from tests.support.statements import *

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


