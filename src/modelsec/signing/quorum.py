"""Several signatures: how many signers they are, and whether they say the same."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from modelsec.errors import SignatureMismatchError, shown, shown_path
from modelsec.signing.bundles.statement import Statement
from modelsec.signing.manifest import Manifest
from modelsec.signing.receipt import Release
from modelsec.signing.trust import Signatory


@dataclass(frozen=True, slots=True)
class Authentic:
    """One bundle whose signature was verified and trusted.

    Attributes:
        bundle: its file.
        signatory: who signed.
        statement: what was signed.
        unchecked: what the trust says nothing about.
    """

    bundle: Path
    signatory: Signatory
    statement: Statement
    unchecked: tuple[str, ...]


def signers(authentic: Sequence[Authentic]) -> tuple[Signatory, ...]:
    """Return the signatories that are different ones, in their order.

    Two are one if they share a key, or the identity that an issuer gave them: whoever can get one
    certificate can get two. What is joined by a third one is one as well.
    """
    found: list[tuple[set[object], Signatory]] = []
    for each in authentic:
        marks, first = _marks(each.signatory), each.signatory
        same = [group for group in found if not marks.isdisjoint(group[0])]
        if not same:
            found.append((marks, first))
            continue
        same[0][0].update(marks, *(group[0] for group in same[1:]))
        found = [group for group in found if group not in same[1:]]
    return tuple(signatory for _, signatory in found)


def agree(authentic: Sequence[Authentic]) -> None:
    """Refuse signatures that are not of the same files as the same release.

    Raises:
        SignatureMismatchError: it says what differs, and how co-signers come to agree.
    """
    first = authentic[0]
    for other in authentic[1:]:
        if difference := _difference(first.statement, other.statement):
            one, two = (shown_path(each.bundle.name) for each in (first, other))
            raise SignatureMismatchError(
                f"{one} and {two} are right signatures, but not for the same model and release: "
                f"{difference}"
            )


def agreed(authentic: Sequence[Authentic]) -> Manifest:
    """Return the manifest of signatures that agree, with the strictest of their permissions.

    A path is left out, and links are followed, only if every signer said so.
    """
    manifest = authentic[0].statement.manifest
    layouts = [each.statement.manifest.layout for each in authentic]
    by_all = frozenset(layouts[0].ignore_paths).intersection(
        *(layout.ignore_paths for layout in layouts)
    )
    layout = replace(
        manifest.layout,
        ignore_paths=tuple(path for path in manifest.layout.ignore_paths if path in by_all),
        allow_symlinks=all(layout.allow_symlinks for layout in layouts),
    )
    return replace(manifest, layout=layout)


def _marks(signatory: Signatory) -> set[object]:
    marks: set[object] = {signatory.key_id}
    if signatory.identity is not None:
        marks.add((signatory.method, signatory.issuer, signatory.identity))
    return marks


def _told(release: Release | None) -> str:
    return "not given" if release is None else shown(release.to_dict(), 200)


def _difference(one: Statement, other: Statement) -> str | None:
    """Say what two statements disagree about; None: nothing that matters."""
    if one.release != other.release:
        return f"the release is {_told(one.release)} in one, {_told(other.release)} in the other"
    mine, yours = one.manifest, other.manifest
    if mine.tree_digest == yours.tree_digest:
        return None
    for what, left, right in (
        ("the digests' algorithm", mine.layout.algorithm, yours.layout.algorithm),
        ("the shard size", mine.layout.shard_size, yours.layout.shard_size),
    ):
        if left != right:
            return f"{what} is {left} in one, {right} in the other; co-signers have to use the same"
    names = frozenset(mine.names).symmetric_difference(yours.names)
    if names:
        return f"only one of them lists {shown(min(names))}, and {len(names)} names differ in all"
    digests = dict.fromkeys(mine.resources)
    changed = min(each.name for each in yours.resources if each not in digests)
    return f"they give {shown(changed)} different digests"
