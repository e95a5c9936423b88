"""The statement that is signed (in-toto v1): built to the byte, and read without mercy."""

import json
from dataclasses import dataclass, replace

from modelsec.errors import (
    BundleFormatError,
    ConfigurationError,
    UnsupportedBundleError,
    VerificationError,
    shown,
)
from modelsec.signing.bundles import strict_json
from modelsec.signing.bundles.bundle import LEGACY_PREDICATE, OMS_PREDICATE, OWN_PREDICATE
from modelsec.signing.bundles.legacy_statement import read_legacy
from modelsec.signing.bundles.members import as_object, list_of_objects, only_keys, text_in
from modelsec.signing.bundles.predicate_reader import (
    ROOT_NAME,
    check_names,
    digest_bytes,
    read_predicate,
)
from modelsec.signing.bundles.release_annotation import (
    ANNOTATION,
    annotation_of,
    read_annotation,
    read_release,
)
from modelsec.signing.manifest import DIGEST_BYTES, Manifest, ordered
from modelsec.signing.moments import utc
from modelsec.signing.profile import OMS, Profile
from modelsec.signing.receipt import Release

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_KEYS = ("_type", "subject", "predicateType", "predicate")
_OMS_FAMILY = "https://model_signing/signature/"


@dataclass(frozen=True, slots=True)
class Statement:
    """What was signed.

    Attributes:
        manifest: what the files have to be; all names were checked.
        subject: the signer's name for the model: informational, trust ``release`` only.
        release: which model it is, if the signer said so.
        predicate_type: under which rules.
        legacy: it is a statement of OMS 0.2.0.
        named: the signer named the files. Otherwise the model is one file that the signer called
            ``.``, and the signature fits it under every name.
    """

    manifest: Manifest
    subject: str
    release: Release | None
    predicate_type: str
    legacy: bool = False
    named: bool = True


def build_statement(
    manifest: Manifest,
    *,
    subject: str,
    release: Release | None = None,
    predicate_type: str = OMS_PREDICATE,
) -> bytes:
    """Return the statement as JSON; the same manifest gives the same bytes (OMS v1.0, 6.4-6.6).

    Args:
        manifest: at least one resource, in any order.
        subject: base name of the model.
        release: which model this is.
        predicate_type: ``OMS_PREDICATE``, or ``OWN_PREDICATE`` for keys that OMS does not know.

    Raises:
        ConfigurationError: this is nothing that a verifier would accept.
    """
    if predicate_type not in (OMS_PREDICATE, OWN_PREDICATE):
        raise ConfigurationError(
            f"the predicate type must be {OMS_PREDICATE} or {OWN_PREDICATE}, not "
            f"{shown(predicate_type)}"
        )
    predicate = _checked_predicate(manifest, subject, release)
    manifest = replace(manifest, resources=ordered(manifest.resources))
    entry: dict[str, object] = {"name": subject, "digest": {"sha256": manifest.root_digest}}
    if content := annotation_of(manifest, release):
        entry["annotations"] = {ANNOTATION: content}
    document = {
        "_type": STATEMENT_TYPE,
        "subject": [entry],
        "predicateType": predicate_type,
        "predicate": predicate,
    }
    # ASCII, with escapes: no reader can take a character for another, or for the end of a line.
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def parse_statement(
    payload: bytes,
    *,
    profile: Profile,
    single_file: bool = False,
    single_file_name: str | None = None,
) -> Statement:
    """Return what was signed. Call it only when the signature was verified.

    Args:
        payload: of the bundle.
        profile: which names, links, deviations and versions are permitted.
        single_file: whether the model is one file, which signers may have named ``.``.
        single_file_name: the file's own name, which then replaces the ``.`` in the manifest: the
            tree digest is that of the file as it is called, as if it had been signed so.

    Raises:
        BundleFormatError: it breaks the rules.
        UnsupportedBundleError: it asks for what this verifier or the profile does not do.
    """
    single_file = single_file or single_file_name is not None
    statement = as_object(strict_json.loads(payload), "the statement")
    only_keys(statement, required=_KEYS, where="the statement")
    if text_in(statement, "_type", "the statement") != STATEMENT_TYPE:
        raise UnsupportedBundleError(
            f"the statement is of type {shown(statement['_type'])}: this verifier reads "
            f"{STATEMENT_TYPE}"
        )
    predicate_type = text_in(statement, "predicateType", "the statement")
    if predicate_type == LEGACY_PREDICATE and profile.legacy:
        manifest = read_legacy(
            statement,
            profile=profile,
            single_file=single_file,
        )
        manifest, is_named = _with_name(manifest, single_file_name, profile)
        return Statement(manifest, "", None, predicate_type, legacy=True, named=is_named)
    if predicate_type not in (OMS_PREDICATE, OWN_PREDICATE):
        raise UnsupportedBundleError(_not_read(predicate_type))
    manifest = read_predicate(
        statement["predicate"],
        profile=profile,
        single_file=single_file,
    )
    manifest, is_named = _with_name(manifest, single_file_name, profile)
    return replace(_stated(statement, manifest, predicate_type, profile), named=is_named)


def _with_name(manifest: Manifest, name: str | None, profile: Profile) -> tuple[Manifest, bool]:
    """Give a file that was signed as ``.`` its own name; say whether the name was signed."""
    if manifest.names != (ROOT_NAME,):
        return manifest, True
    if name is None:
        return manifest, False
    check_names({name}, profile)
    resources = tuple(replace(each, name=name) for each in manifest.resources)
    return replace(manifest, resources=resources), False


def _stated(
    statement: dict[str, object], manifest: Manifest, predicate_type: str, profile: Profile
) -> Statement:
    """Hold the subject and its annotation to the manifest."""
    subjects = list_of_objects(statement["subject"], "the statement's subject")
    if len(subjects) != 1:
        raise BundleFormatError(
            f"the statement has {len(subjects)} subjects, it must have exactly one"
        )
    (subject,) = subjects
    name = text_in(subject, "name", "the subject")
    if not name:
        raise BundleFormatError("the subject's name is empty")
    digests = as_object(subject.get("digest"), "the subject's digest")
    root = text_in(digests, "sha256", "the subject's digest")
    digest_bytes(root, DIGEST_BYTES["sha256"], "the subject")
    if root != manifest.root_digest:
        raise BundleFormatError(
            "the statement contradicts itself: its root digest is not that of its resources"
        )
    annotation = read_annotation(subject)
    if annotation is None:
        return Statement(manifest, name, None, predicate_type)
    if annotation.empty_files:
        manifest = _with_empty_files(manifest, annotation.empty_files, profile)
    if annotation.tree != manifest.tree_digest:
        raise BundleFormatError(
            "the statement contradicts itself: its tree digest is not that of its resources"
        )
    return Statement(manifest, name, annotation.release, predicate_type)


def _with_empty_files(manifest: Manifest, names: tuple[str, ...], profile: Profile) -> Manifest:
    if manifest.layout.shard_size is None or manifest.single_file:
        raise BundleFormatError("only directories in shards have empty files of their own")
    listed = {resource.name for resource in manifest.resources}
    if twice := listed.intersection(names):
        raise BundleFormatError(f"{shown(min(twice))} is listed with bytes and as an empty file")
    check_names(listed.union(names), profile)
    return replace(manifest, empty_files=tuple(sorted(names)))


def _not_read(predicate_type: str) -> str:
    if predicate_type == LEGACY_PREDICATE:
        return (
            "the bundle was made by OMS 0.2.0, whose statements bind less: verify it with a "
            "profile that has legacy=True, or sign the model again"
        )
    if predicate_type.startswith(_OMS_FAMILY):
        return (
            f"the bundle has the predicate type {shown(predicate_type)}: this verifier reads "
            f"{OMS_PREDICATE}"
        )
    return f"the statement is about something else: its predicate is {shown(predicate_type)}"


def _predicate(manifest: Manifest) -> dict[str, object]:
    layout = manifest.layout
    serialization: dict[str, object] = {
        "method": "files" if layout.shard_size is None else "shards",
        "hash_type": layout.algorithm,
        "allow_symlinks": False,
    }
    if layout.shard_size is not None:
        serialization["shard_size"] = layout.shard_size
    if layout.ignore_paths:
        serialization["ignore_paths"] = sorted(set(layout.ignore_paths))
    resources = [
        {"name": each.label, "digest": each.digest.hex(), "algorithm": layout.algorithm}
        for each in ordered(manifest.resources)
    ]
    return {"resources": resources, "serialization": serialization}


def _checked_predicate(
    manifest: Manifest, subject: str, release: Release | None
) -> dict[str, object]:
    """Return the predicate, and sign nothing that our own verifier would refuse by OMS's text."""
    if not isinstance(manifest, Manifest):
        raise ConfigurationError(f"a statement is built of a Manifest, not {shown(manifest)}")
    if manifest.layout.allow_symlinks:
        raise ConfigurationError(
            "allow_symlinks is never signed: replace the links by the files that they mean"
        )
    if not isinstance(subject, str) or not subject:
        raise ConfigurationError(f"the subject must be a name, not {shown(subject)}")
    if release is not None:
        _check_release(release)
    try:
        subject.encode()
        predicate = _predicate(manifest)
        read_predicate(predicate, profile=OMS, single_file=False)
        if manifest.empty_files:
            _with_empty_files(manifest, manifest.empty_files, OMS)
    except (VerificationError, UnicodeEncodeError, AttributeError, TypeError) as error:
        raise ConfigurationError(f"this cannot be signed: {error}") from error
    return predicate


def _check_release(release: Release) -> None:
    if not isinstance(release, Release):
        raise ConfigurationError(f"release must be a Release, not {shown(release)}")
    try:
        if release.not_after is not None:
            utc(release.not_after, "not_after")
        # What is None is left out, so that a name of None is missed here, too.
        read_release({"name": None, **release.to_dict()})
    except (BundleFormatError, ConfigurationError) as error:
        raise ConfigurationError(f"this release cannot be signed: {error}") from error
