"""The signed annotation of ours: which model this is, and what shards cannot list.

It lives in ``subject[0].annotations["modelsec"]``, which the schemas of OMS permit and which
other verifiers ignore.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from modelsec.errors import BundleFormatError, UnsupportedBundleError, shown
from modelsec.signing.bundles.members import as_object, list_of_texts, text_in
from modelsec.signing.manifest import Manifest
from modelsec.signing.moments import parse_rfc3339
from modelsec.signing.receipt import Release

ANNOTATION = "modelsec"
MAX_TEXT_BYTES = 1024
MAX_SERIAL = 2**63 - 1

_RELEASE_KEYS = ("name", "version", "serial", "not_after", "supersedes")
_KEYS = (*_RELEASE_KEYS, "tree", "empty_files")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)
_WHERE = f"the annotation {ANNOTATION!r}"


@dataclass(frozen=True, slots=True)
class Annotation:
    """What the annotation says.

    Attributes:
        release: which model this is; None if the signer did not say.
        tree: the tree digest of the manifest, hex.
        empty_files: names that shards leave out.
    """

    release: Release | None
    tree: str
    empty_files: tuple[str, ...]


def annotation_of(manifest: Manifest, release: Release | None) -> dict[str, object] | None:
    """Return the annotation, JSON-ready; None if there is nothing to say."""
    if release is None and not manifest.empty_files:
        return None
    content = {} if release is None else release.to_dict()
    content["tree"] = manifest.tree_digest
    if manifest.empty_files:
        content["empty_files"] = sorted(manifest.empty_files)
    return content


def read_annotation(subject: dict[str, object]) -> Annotation | None:
    """Return our annotation of a subject; None if it has none.

    Raises:
        BundleFormatError: it breaks the rules.
        UnsupportedBundleError: it says something that this version does not know.
    """
    annotations = subject.get("annotations")
    if annotations is None:
        return None
    found = as_object(annotations, "the subject's annotations")
    if ANNOTATION not in found:
        return None
    content = as_object(found[ANNOTATION], _WHERE)
    if unknown := [key for key in content if key not in _KEYS]:
        raise UnsupportedBundleError(
            f"{_WHERE} says {shown(unknown[0])}, which this version does not know: update modelsec"
        )
    tree = text_in(content, "tree", _WHERE)
    if not _DIGEST.fullmatch(tree):
        raise BundleFormatError(f"{_WHERE}: tree must be 64 lowercase hex digits")
    names = list_of_texts(content.get("empty_files", []), f"{_WHERE}: empty_files")
    if len(set(names)) != len(names):
        raise BundleFormatError(f"{_WHERE} lists an empty file twice")
    return Annotation(read_release(content), tree, tuple(names))


def read_release(content: dict[str, object]) -> Release | None:
    """Return the release in an annotation; None if it says nothing about one.

    Raises:
        BundleFormatError: a member has another type, is too long, or out of range.
    """
    if not any(key in content for key in _RELEASE_KEYS):
        return None
    serial = content.get("serial")
    if "serial" in content and (type(serial) is not int or not 0 <= serial <= MAX_SERIAL):
        raise BundleFormatError(f"{_WHERE}: serial must be a whole number from 0 to 2^63 - 1")
    return Release(
        name=_text(content, "name"),
        version=_text(content, "version") if "version" in content else None,
        serial=serial if isinstance(serial, int) else None,
        not_after=_moment(content) if "not_after" in content else None,
        supersedes=_supersedes(content) if "supersedes" in content else None,
    )


def _text(content: dict[str, object], key: str) -> str:
    text = text_in(content, key, _WHERE)
    try:
        length = len(text.encode())
    except UnicodeEncodeError as error:
        raise BundleFormatError(f"{_WHERE}: {key} is not valid UTF-8") from error
    if not 1 <= length <= MAX_TEXT_BYTES:
        raise BundleFormatError(f"{_WHERE}: {key} must have 1 to {MAX_TEXT_BYTES} bytes")
    if not text.isprintable():
        raise BundleFormatError(
            f"{_WHERE}: {key} has characters that cannot be printed: {shown(text)}"
        )
    return text


def _moment(content: dict[str, object]) -> datetime:
    text = text_in(content, "not_after", _WHERE)
    moment = parse_rfc3339(text)
    if moment is None:
        raise BundleFormatError(
            f"{_WHERE}: not_after must be a time such as 2027-01-31T12:00:00Z, not {shown(text)}"
        )
    return moment


def _supersedes(content: dict[str, object]) -> str:
    text = text_in(content, "supersedes", _WHERE)
    if not _DIGEST.fullmatch(text):
        raise BundleFormatError(f"{_WHERE}: supersedes must be a tree digest, 64 hex digits")
    return text
