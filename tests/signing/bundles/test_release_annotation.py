from typing import Any

import pytest

from modelsec.errors import BundleFormatError, UnsupportedBundleError
from modelsec.signing.bundles.statement import parse_statement
from modelsec.signing.profile import OMS
from tests.support.statements import FILES, RELEASE, SHARDS, Edit, built, read, signed_again


def annotation(**changes: object) -> Edit:
    """Change members of the annotation; None takes one away."""

    def edit(document: dict[str, Any]) -> None:
        content = document["subject"][0]["annotations"]["modelsec"]
        content.update(changes)
        for key in [key for key, value in changes.items() if value is None]:
            del content[key]

    return edit


def reread(edit: Edit, release: Any = RELEASE, manifest: Any = FILES) -> Any:
    document = built(manifest, release=release)
    edit(document)
    return parse_statement(signed_again(document), profile=OMS)


def test_members_that_are_optional() -> None:
    """All of a release but its name may be missing."""
    bare = annotation(version=None, serial=None, not_after=None, supersedes=None)
    release = reread(bare).release
    assert (release.name, release.to_dict()) == (RELEASE.name, {"name": RELEASE.name})


@pytest.mark.parametrize(
    "edit",
    [
        annotation(name=None),
        annotation(name=""),
        annotation(name=3),
        annotation(name="a\nb"),
        annotation(name="a\u2028b"),
        annotation(name="x" * 1025),
        annotation(version=1.0),
        annotation(version=""),
        annotation(serial=-1),
        annotation(serial=True),
        annotation(serial=1.0),
        annotation(serial="1"),
        annotation(serial=2**63),
        annotation(not_after=1700000000),
        annotation(not_after="2027-01-31"),
        annotation(not_after="2027-01-31T12:00:00"),
        annotation(not_after="2027-01-31T12:00:00+00:00"),
        annotation(not_after="2027-01-31T12:00:00.5Z"),
        annotation(not_after="2027-01-31T12:00:60Z"),
        annotation(not_after="2027-02-30T12:00:00Z"),
        annotation(not_after="0000-01-01T00:00:00Z"),
        annotation(not_after="\u0662\u0660\u0662\u0667-01-31T12:00:00Z"),
        annotation(supersedes="ab"),
        annotation(supersedes="AB" * 32),
        annotation(tree=None),
        annotation(tree=3),
        annotation(tree="AB" * 32),
        annotation(tree="00" * 32),
        annotation(empty_files="x"),
        annotation(empty_files=[1]),
        annotation(empty_files=["x"]),
        lambda d: d["subject"][0].update(annotations=[]),
        lambda d: d["subject"][0].update(annotations={"modelsec": None}),
        lambda d: d["subject"][0].update(annotations={"modelsec": "1.0"}),
        lambda d: d["subject"][0].update(annotations={"modelsec": {}}),
    ],
    ids=range(35),
)
def test_bad_annotations(edit: Edit) -> None:
    """Types, ranges and forms are exact: a signer of ours wrote it, or nobody."""
    with pytest.raises(BundleFormatError):
        reread(edit)


def test_a_member_of_a_later_version() -> None:
    """What is not understood may be a restriction: it is refused, not skipped."""
    with pytest.raises(UnsupportedBundleError, match="update modelsec"):
        reread(annotation(only_on="tuesdays"))


def test_no_annotation() -> None:
    """Without one, null included, the bundle says nothing about a release."""
    assert reread(lambda d: d["subject"][0].update(annotations=None)).release is None
    assert reread(lambda d: d["subject"][0].update(annotations={"x": []})).release is None


@pytest.mark.parametrize(
    "names",
    [["x"], ["x/y"], ["w:1:2"], ["e", "e"], ["e", "e/f"], ["../e"], [""], ["/e"], ["."]],
    ids=range(9),
)
def test_bad_empty_files(names: list[str]) -> None:
    """Empty files have canonical names of their own, once each."""
    with pytest.raises(BundleFormatError):
        read(annotation(empty_files=names), SHARDS)


def test_a_file_less_or_more_shows_in_the_tree_digest() -> None:
    """Whoever takes an empty file off the list changes the tree digest."""
    with pytest.raises(BundleFormatError, match="tree digest"):
        read(annotation(empty_files=["__init__.py"]), SHARDS)
