import json
from dataclasses import replace
from typing import Any

import pytest

from modelsec.errors import BundleFormatError, UnsupportedBundleError
from modelsec.signing.bundles.bundle import LEGACY_PREDICATE
from modelsec.signing.bundles.statement import Statement, parse_statement
from modelsec.signing.profile import OMS, STRICT

LEGACY = replace(OMS, legacy=True)


def read(subjects: Any, profile: Any = LEGACY, **options: Any) -> Statement:
    document = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": LEGACY_PREDICATE,
        "predicate": {"unused": "Unused, just passed due to API requirements"},
    }
    return parse_statement(json.dumps(document).encode(), profile=profile, **options)


def file(name: Any, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "digest": {"sha256": "ab" * 32},
        "annotations": {"actual_hash_algorithm": "file-sha256"},
        **changes,
    }


def test_one_subject_a_file() -> None:
    """The subjects are the files; there is no name of a model and no release."""
    statement = read([file("b"), file("a/c")])
    assert statement.legacy
    assert statement.manifest.names == ("a/c", "b")
    assert (statement.subject, statement.release) == ("", None)


@pytest.mark.parametrize("profile", [STRICT, OMS], ids=["strict", "oms"])
def test_only_where_the_profile_says_so(profile: Any) -> None:
    """No shipped profile reads it."""
    with pytest.raises(UnsupportedBundleError, match="legacy=True"):
        read([file("a")], profile)


@pytest.mark.parametrize(
    "subjects",
    [
        [],
        {},
        None,
        [1],
        [file("a"), file("a")],
        [file("a"), file("a/b")],
        [file("../a")],
        [file("")],
        [file(".")],
        [file(3)],
        [file("a", digest=None)],
        [file("a", digest={})],
        [file("a", digest={"sha256": "AB" * 32})],
        [file("a", digest={"sha256": "ab"})],
        [file("a", annotations=None)],
    ],
    ids=range(15),
)
def test_bad_subjects(subjects: Any) -> None:
    """No file, one twice, names that are not canonical, and digests of another form."""
    with pytest.raises(BundleFormatError):
        read(subjects)


@pytest.mark.parametrize("algorithm", ["file-blake2b", "file-sha256-sharded-10", 3, []])
def test_other_digests(algorithm: Any) -> None:
    """Only whole files under SHA-256 are read."""
    with pytest.raises(UnsupportedBundleError, match="sign the model again"):
        read([file("a", annotations={"actual_hash_algorithm": algorithm})])


def test_a_single_file() -> None:
    """Named by the dot, it gets its own name."""
    assert read([file(".")], single_file_name="w").manifest.names == ("w",)
    assert read([file(".")], single_file=True).manifest.names == (".",)
