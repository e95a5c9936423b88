"""What is different between the model that was signed and the one that is there."""

from collections.abc import Collection, Iterable
from pathlib import Path

from modelsec.errors import DigestMismatchError, shown, shown_path
from modelsec.signing.manifest import Manifest

_NAMED = 5


def changed_files(signed: Manifest, observed: Manifest, names: Collection[str]) -> tuple[str, ...]:
    """Return which of the named files do not have the digests that were signed, sorted."""
    before, now = _digests(signed), _digests(observed)
    return tuple(sorted(name for name in names if before.get(name) != now.get(name)))


def signed_sizes(signed: Manifest) -> dict[str, int]:
    """Return the sizes that a manifest tells, by name: of shards, and of their empty files."""
    sizes = dict.fromkeys(signed.empty_files, 0)
    for resource in signed.resources:
        if resource.end is not None:
            sizes[resource.name] = max(sizes.get(resource.name, 0), resource.end)
    return sizes


def mismatch(
    path: Path,
    *,
    added: Iterable[str] = (),
    missing: Iterable[str] = (),
    changed: Iterable[str] = (),
) -> DigestMismatchError:
    """Return the error that names what is different."""
    lists = {
        "not signed": tuple(sorted(added)),
        "missing": tuple(sorted(missing)),
        "changed": tuple(sorted(changed)),
    }
    parts = [f"{len(names):,} {what} ({_some(names)})" for what, names in lists.items() if names]
    return DigestMismatchError(
        f"{shown_path(path)} is not what was signed: {'; '.join(parts)}. Get it again from its "
        "source, or have it signed again",
        added=lists["not signed"],
        missing=lists["missing"],
        changed=lists["changed"],
    )


def _digests(manifest: Manifest) -> dict[str, list[tuple[int, int | None, bytes]]]:
    files: dict[str, list[tuple[int, int | None, bytes]]] = {
        name: [] for name in manifest.empty_files
    }
    for resource in manifest.resources:
        files.setdefault(resource.name, []).append((resource.start, resource.end, resource.digest))
    for ranges in files.values():
        ranges.sort(key=lambda each: each[0])
    return files


def _some(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    return ", ".join(shown(name) for name in names[:_NAMED]) + more
