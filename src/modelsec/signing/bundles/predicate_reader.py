"""The predicate of OMS v1.0 becomes a manifest, or is refused before a file is touched."""

import re
from typing import cast

from modelsec.errors import BundleFormatError, UnsupportedBundleError, shown
from modelsec.signing.bundles.members import (
    as_object,
    kind_of,
    list_of_objects,
    list_of_texts,
    only_keys,
    text_in,
)
from modelsec.signing.bundles.shard_ranges import MAX_OFFSET, check_ranges, split_label
from modelsec.signing.manifest import DIGEST_BYTES, Algorithm, Layout, Manifest, Resource
from modelsec.signing.profile import Profile
from modelsec.signing.trees.names import ignore_path_fault, name_fault, set_fault

ROOT_NAME = "."
"""How the reference implementation names a model that is one file."""

_HEX = re.compile(r"[0-9a-f]*", re.ASCII)
_ALIASES = {"blake2": "blake2b"}


def read_predicate(value: object, *, profile: Profile, single_file: bool) -> Manifest:
    """Return the manifest of a predicate (OMS v1.0, section 5.2); all names are checked.

    Args:
        value: the predicate, parsed.
        profile: which names, links and deviations are permitted.
        single_file: whether the model is one file, which may be named ``.``.

    Raises:
        BundleFormatError: it breaks the rules.
        UnsupportedBundleError: it asks for what this verifier or the profile does not do.
    """
    predicate = as_object(value, "the predicate")
    only_keys(predicate, required=("resources", "serialization"), where="the predicate")
    layout, spellings = _layout(predicate["serialization"], profile)
    entries = list_of_objects(predicate["resources"], "the predicate's resources")
    if not entries:
        raise BundleFormatError("the predicate lists no resource: it would fit any model")
    resources = [_resource(entry, layout, spellings) for entry in entries]
    if not profile.known_deviations:
        _check_order(resources)
    may_be_root = single_file and profile.known_deviations
    names = {resource.name for resource in resources}
    if not (may_be_root and names == {ROOT_NAME}):
        check_names(names, profile)
    if layout.shard_size is None:
        if len(names) != len(resources):
            raise BundleFormatError("the predicate lists a file twice")
    else:
        check_ranges(resources, layout.shard_size)
    return Manifest(resources=tuple(resources), layout=layout, single_file=single_file)


def check_names(names: set[str], profile: Profile) -> None:
    """Refuse names of files that cannot be in one model.

    Raises:
        BundleFormatError: one is not canonical, or they contradict each other.
    """
    for name in names:
        if fault := name_fault(name, profile=profile):
            raise BundleFormatError(f"the bundle lists the name {shown(name)}, which {fault}")
    if fault := set_fault(names, profile=profile):
        raise BundleFormatError(f"the bundle {fault}")


def digest_bytes(text: str, length: int, where: str) -> bytes:
    """Return the bytes of a digest in lowercase hex.

    Raises:
        BundleFormatError: it has another length or other characters.
    """
    if len(text) != 2 * length or not _HEX.fullmatch(text):
        raise BundleFormatError(
            f"the digest of {where} must be {2 * length} lowercase hex digits, not {shown(text)}"
        )
    return bytes.fromhex(text)


def _layout(value: object, profile: Profile) -> tuple[Layout, frozenset[str]]:
    """Return the layout, and how the algorithm may be spelt in the resources."""
    where = "the serialization"
    serialization = as_object(value, where)
    only_keys(
        serialization,
        required=("method", "hash_type", "allow_symlinks"),
        optional=("shard_size", "ignore_paths"),
        where=where,
    )
    algorithm = _algorithm(text_in(serialization, "hash_type", where), profile)
    shard_size = _shard_size(serialization, profile)
    links = serialization["allow_symlinks"]
    if not isinstance(links, bool):
        raise BundleFormatError(f"{where}: allow_symlinks must be true or false")
    if links and not profile.symlinks:
        raise UnsupportedBundleError(
            f"the model was signed with links followed (allow_symlinks), which the profile "
            f"{profile.name!r} refuses: sign it with its links replaced by files"
        )
    ignored = list_of_texts(serialization.get("ignore_paths", []), f"{where}'s ignore_paths")
    if profile.known_deviations and profile.excluded_files:
        # Other signers record the paths as they were typed. To leave out less is to check more.
        ignored = [path for path in ignored if not path.startswith("/")]
    for path in ignored:
        _check_ignored(path, profile)
    layout = Layout(
        algorithm=algorithm,
        shard_size=shard_size,
        ignore_paths=tuple(ignored),
        allow_symlinks=links,
    )
    return layout, _spellings(layout, profile)


def _algorithm(hash_type: str, profile: Profile) -> Algorithm:
    known = _ALIASES.get(hash_type, hash_type) if profile.known_deviations else hash_type
    if known not in DIGEST_BYTES:
        raise UnsupportedBundleError(
            f"the bundle's digests are of the kind {shown(hash_type)}: this verifier knows "
            f"{', '.join(DIGEST_BYTES)}"
        )
    return cast("Algorithm", known)


def _spellings(layout: Layout, profile: Profile) -> frozenset[str]:
    spellings: set[str] = {layout.algorithm}
    if profile.known_deviations:
        spellings |= {alias for alias, name in _ALIASES.items() if name == layout.algorithm}
        if layout.shard_size is not None:
            spellings |= {f"{name}-sharded-{layout.shard_size}" for name in spellings}
    return frozenset(spellings)


def _shard_size(serialization: dict[str, object], profile: Profile) -> int | None:
    method = text_in(serialization, "method", "the serialization")
    if method == "files":
        if "shard_size" in serialization:
            raise BundleFormatError("the serialization has a shard_size, but its method is files")
        return None
    if method != "shards":
        raise UnsupportedBundleError(
            f"the serialization's method is {shown(method)}: this verifier knows files and shards"
        )
    size = serialization.get("shard_size")
    if isinstance(size, float) and size.is_integer() and profile.known_deviations:
        size = int(size)
    if type(size) is not int or not 0 < size <= MAX_OFFSET:
        found = shown(size) if isinstance(size, int | float) else kind_of(size)
        raise BundleFormatError(f"shard_size must be a positive number of bytes, not {found}")
    return size


def _check_ignored(path: str, profile: Profile) -> None:
    fault = ignore_path_fault(path)
    if fault is None and profile.portable_names:
        fault = name_fault(path, profile=profile)
    if fault is not None:
        raise BundleFormatError(f"the bundle leaves out {shown(path)}, which {fault}")


def _resource(entry: dict[str, object], layout: Layout, spellings: frozenset[str]) -> Resource:
    """Return one resource; members that OMS does not know are ignored (section 5.2.1)."""
    label = text_in(entry, "name", "a resource")
    algorithm = text_in(entry, "algorithm", "a resource")
    if algorithm not in spellings:
        raise BundleFormatError(
            f"the resource {shown(label)} has the algorithm {shown(algorithm)}, but the bundle's "
            f"hash_type is {layout.algorithm}"
        )
    digest = digest_bytes(
        text_in(entry, "digest", "a resource"), DIGEST_BYTES[layout.algorithm], shown(label)
    )
    if layout.shard_size is None:
        return Resource(label, digest)
    name, start, end = split_label(label)
    return Resource(name, digest, start, end)


def _check_order(resources: list[Resource]) -> None:
    labels = [resource.label for resource in resources]
    if labels != sorted(labels):
        raise BundleFormatError("the resources are not in the code-point order of their names")
